"""What producers with transactional ids do, each scenario a function of a `Stage`. All are run with Java's producer, which goes by
`transaction.version` 2, and with librdkafka's, which does not; what they print is compared between brokers.

A scenario's topics, groups and transactional ids are named after it (`s.t`, `s.group`, `s.id`), so none meets another's.
"""

LATER = 4_000_000_000_000  # a timestamp in the year 2096


class Stage:
    """One scenario with one kind of client. `lines` are the commands and what came of them."""

    def __init__(self, name, kind, broker, java, producers, restart):
        self.t = self.group = self.id = f"{name}-{kind}"
        self.kind, self.broker, self.java, self.producers, self.restart_broker = kind, broker, java, producers, restart
        self.lines, self.made = [], []

    def note(self, words, answer):
        text = " ".join(str(w) if len(str(w)) < 60 else f"({len(str(w))} characters)" for w in words)
        if len(answer) == 1:
            self.lines.append(f"{text}: {answer[0]}")
        else:
            self.lines += [text, *("    " + line for line in answer)]
        return answer[0]

    def do(self, command, who="p", *words):
        """A command of a producer."""
        return self.note([command, who, *words], self.producers.ask(command, who, *words))

    def ask(self, *words, quiet=False):
        """A command of the administration or of a consumer, which is always Java's."""
        answer = self.java.ask(*words)
        return answer[0] if quiet else self.note(words, answer)

    def producer(self, who="p", id=None, **settings):
        """A producer; `_` in the names of settings stands for a period."""
        # What a scenario leaves open is open until the end, however slow the machine: kafka-transactions lists it.
        common = {"bootstrap.servers": self.broker.bootstrap, "transactional.id": id or self.id, "linger.ms": 0, "transaction.timeout.ms": 600_000}
        mine = {"max.block.ms": 15_000, "request.timeout.ms": 8_000, "delivery.timeout.ms": 9_000, "retry.backoff.max.ms": 200, "retry.backoff.ms": 20} if self.kind == "java" else \
            {"message.timeout.ms": 5_000, "retry.backoff.ms": 20, "log_level": 0}
        settings = {k.replace("_", "."): v for k, v in settings.items()}
        if self.kind == "rdkafka" and "transaction.timeout.ms" in settings:
            # It wants a transaction to outlive its messages.
            mine["message.timeout.ms"] = min(mine["message.timeout.ms"], settings["transaction.timeout.ms"])
        if who in self.made:
            raise ValueError(f"a second producer {who}")
        self.made.append(who)
        answer = self.producers.ask("producer", who, *(f"{k}={v}" for k, v in {**common, **mine, **settings}.items()))
        if answer != ["ok"]:
            raise ValueError(f"no producer {who}: {answer}")

    def ready(self, who="p", **settings):
        self.producer(who, **settings)
        return self.do("init", who)

    def topic(self, partitions=2, *configs, name=None):
        self.ask("create", name or self.t, partitions, *configs, quiet=True)

    def send(self, who="p", partition=0, value="v", topic=None, timestamp=None):
        words = [topic or self.t, partition, "k", value] + ([timestamp] if timestamp else [])
        return self.do("send", who, *words)

    def look(self, *topics):
        """Both views, once nothing is open."""
        for topic in topics or (self.t,):
            self.ask("ended", topic)
        self.look_now(*topics)

    def look_now(self, *topics):
        for topic in topics or (self.t,):
            self.ask("view", topic)
            self.ask("producers", topic)

    def describe(self, id=None):
        self.ask("describe", id or self.id)

    def goes_on(self, who="p", value="after"):
        """The producer can do another transaction, or tells why not."""
        self.do("begin", who)
        self.send(who, value=value)
        self.do("commit", who)

    def consumer(self, protocol, records):
        """A consumer of the topic that is a member of the group, with everything polled."""
        member = {"session.timeout.ms": 10_000, "heartbeat.interval.ms": 500} if protocol == "classic" else {}
        settings = {"bootstrap.servers": self.broker.bootstrap, "group.id": self.group, "group.protocol": protocol, "auto.offset.reset": "earliest",
                    "isolation.level": "read_committed", "enable.auto.commit": "false", **member}
        self.ask("consumer", self.t, *(f"{k}={v}" for k, v in settings.items()), quiet=True)
        self.ask("subscribe", self.t, self.t, quiet=True)
        self.note(["poll"], self.java.ask("poll", self.t, records))

    def offsets(self, offsets, who="p", generation=None, member=None, instance=""):
        """sendOffsetsToTransaction, as the consumer or as the member that is given."""
        if generation is None and self.kind == "java":
            return self.note(["offsets", who, offsets], self.producers.ask("offsets-of", who, self.t, offsets))
        if generation is None:
            generation, member = self.ask("member", self.t, quiet=True).split(" ")
        return self.note(["offsets", who, offsets], self.producers.ask("offsets", who, self.group, generation, member, instance, offsets))

    def restart(self, how):
        """A broker may take long to come back, and a client to notice."""
        self.producers.ask("patience", 60_000)
        self.lines.append(f"the broker is {how}")
        self.restart_broker(how)

    def ready_for_a_restart(self):
        long = {"delivery_timeout_ms": 60_000} if self.kind == "java" else {"message_timeout_ms": 60_000}
        self.ready(transaction_timeout_ms=300_000, **long)


def commit(s):
    s.topic()
    s.ready()
    s.describe()
    s.do("begin")
    s.send(value="a")
    s.send(value="b", partition=1)
    s.send(value="c")
    s.describe()
    s.look_now()
    s.do("commit")
    s.look()
    s.ask("await", s.id, "CompleteCommit")
    s.goes_on()
    s.look()


def abort(s):
    s.topic()
    s.ready()
    s.do("begin")
    s.send(value="a")
    s.send(value="b", partition=1)
    s.do("abort")
    s.look()
    s.ask("await", s.id, "CompleteAbort")
    s.goes_on()
    s.look()


def nothing_to_end(s):
    s.topic()
    s.ready()
    for how in ("commit", "abort", "commit"):
        s.do("begin")
        s.do(how)
        s.describe()
    s.goes_on()
    s.do("begin")
    s.do("commit")
    s.ask("ended", s.t)
    s.describe()
    s.look()


def many_in_one(s):
    s.topic(5)
    s.ready()
    s.do("begin")
    for n in range(20):
        s.do("post", "p", s.t, n % 5, "k", f"v{n}")
    s.do("flush")
    s.do("outcomes")
    s.do("commit")
    s.do("begin")
    for n in range(20):
        s.do("post", "p", s.t, n % 5, "k", f"w{n}")
    s.do("flush")
    s.do("abort")
    s.look()


def one_open_beside_others(s):
    s.topic(1)
    for who in ("a", "b", "c"):
        s.ready(who, id=f"{s.id}-{who}")
        s.do("begin", who)
    s.send("a", value="a1")
    s.send("b", value="b1")
    s.send("c", value="c1")
    s.send("a", value="a2")
    s.do("commit", "b")
    s.ask("await", f"{s.id}-b", "CompleteCommit")
    s.look_now()
    s.do("abort", "c")
    s.ask("await", f"{s.id}-c", "CompleteAbort")
    s.look_now()
    s.do("commit", "a")
    s.look()


def wrong_order(s):
    s.topic()
    s.producer()
    s.do("begin")
    s.do("commit")
    s.do("abort")
    s.send()
    s.do("init")
    s.do("init")
    s.do("commit")
    s.do("abort")
    s.send()
    s.offsets(f"{s.t}:0:1", generation=-1, member="")
    s.do("begin")
    s.do("begin")
    s.do("init")
    s.send()
    s.do("commit")
    s.do("commit")
    s.do("abort")
    s.look()
    s.goes_on()
    s.look()


def timeout_above_the_maximum(s):
    s.producer(transaction_timeout_ms=900_001)
    s.do("init")
    s.do("begin")
    s.do("abort")


def _fenced(s, first):
    """Two producers with one id: the other one comes while this one is in a transaction, and then this one goes on."""
    s.topic()
    s.ready("old")
    s.do("begin", "old")
    s.send("old", value="of the old one")
    s.ready("new")
    s.describe()
    first(s)
    s.send("old", value="too late")
    s.do("commit", "old")
    s.do("abort", "old")
    s.do("begin", "old")
    s.do("init", "old")
    s.goes_on("new", "of the new one")
    s.look()
    s.describe()


def fenced_sends(s):
    _fenced(s, lambda s: s.send("old", value="too late"))


def fenced_sends_to_a_new_partition(s):
    _fenced(s, lambda s: s.send("old", value="too late", partition=1))


def fenced_commits(s):
    _fenced(s, lambda s: s.do("commit", "old"))


def fenced_aborts(s):
    _fenced(s, lambda s: s.do("abort", "old"))


def fenced_sends_offsets(s):
    _fenced(s, lambda s: s.offsets(f"{s.t}:0:1", who="old", generation=-1, member=""))


def fenced_between_transactions(s):
    s.topic()
    s.ready("old")
    s.goes_on("old", "before")
    s.ready("new")
    s.do("begin", "old")
    s.send("old", value="too late")
    s.do("abort", "old")
    s.goes_on("new", "of the new one")
    s.look()


def fenced_while_both_are_in_a_transaction(s):
    s.topic()
    s.ready("old")
    s.ready("new")
    s.do("begin", "old")
    s.do("begin", "new")
    s.send("new", value="of the new one")
    s.send("old", value="too late")
    s.do("commit", "new")
    s.do("abort", "old")
    s.look()


def fenced_by_the_administrator(s):
    s.topic()
    s.ready()
    s.do("begin")
    s.send()
    s.ask("fence", s.id)
    s.ask("await", s.id, "Empty")
    s.do("commit")
    s.do("abort")
    s.look()
    s.ask("fence", s.id + "-nobody")
    s.describe(s.id + "-nobody")


def _timed_out(s, then):
    s.topic()
    s.ready(transaction_timeout_ms=2500)
    s.do("begin")
    s.send(value="slow")
    s.ask("await", s.id, "CompleteAbort")
    then(s)
    s.do("commit")
    s.do("abort")
    s.goes_on()
    s.look()
    s.describe()


def timed_out_sends(s):
    _timed_out(s, lambda s: s.send(value="too late"))


def timed_out_sends_to_a_new_partition(s):
    _timed_out(s, lambda s: s.send(value="too late", partition=1))


def timed_out_commits(s):
    _timed_out(s, lambda s: s.do("commit"))


def timed_out_aborts(s):
    _timed_out(s, lambda s: s.do("abort"))


def timed_out_sends_offsets(s):
    _timed_out(s, lambda s: s.offsets(f"{s.t}:0:1", generation=-1, member=""))


def terminated(s):
    s.topic()
    s.ready()
    s.do("begin")
    s.send(value="a")
    s.ask("terminate", s.id)
    s.ask("await", s.id, "Empty")
    s.do("commit")
    s.do("abort")
    s.goes_on()
    s.look()
    s.describe()
    s.ask("terminate", s.id + "-nobody")


def terminated_between_transactions(s):
    s.topic()
    s.ready()
    s.goes_on(value="before")
    s.ask("await", s.id, "CompleteCommit")
    s.ask("terminate", s.id)
    s.describe()
    s.goes_on()
    s.do("abort")
    s.look()


def _offsets(s, protocol):
    s.topic(1)
    s.ready()
    s.do("begin")
    for value in "abc":
        s.send(value=value)
    s.do("commit")
    s.consumer(protocol, 3)
    s.do("begin")
    s.send(value="d")
    s.offsets(f"{s.t}:0:2")
    s.ask("committed", s.group)
    s.describe()
    s.do("abort")
    s.ask("await", s.id, "CompleteAbort")
    s.ask("committed", s.group)
    s.do("begin")
    s.offsets(f"{s.t}:0:3")
    s.send(value="e")
    s.do("commit")
    s.ask("await", s.id, "CompleteCommit")
    s.ask("committed", s.group)
    s.do("begin")
    s.offsets(f"{s.t}:0:4")
    s.offsets(f"{s.t}:0:5")
    s.do("commit")
    s.ask("await", s.id, "CompleteCommit")
    s.ask("committed", s.group)
    s.ask("leave", s.t, quiet=True)
    s.look()


def offsets_of_a_classic_group(s):
    _offsets(s, "classic")


def offsets_of_a_consumer_group(s):
    _offsets(s, "consumer")


def _fenced_generation(s, protocol):
    s.topic(1)
    s.ready()
    s.goes_on(value="a")
    s.consumer(protocol, 1)
    generation, member = s.ask("member", s.t, quiet=True).split(" ")
    for number, who, instance in ((int(generation) + 5, member, ""), (generation, "nobody", ""), (generation, member, "an instance"), (int(generation) - 1, member, ""),
                                  (-1, "", "")):
        s.lines.append(f"# generation {int(number) - int(generation)} beside the group's, {'the' if who == member else 'another'} member, instance {instance!r}")
        s.do("begin")
        s.send(value="b")
        s.offsets(f"{s.t}:0:1", generation=number, member=who, instance=instance)
        s.do("commit")
        s.do("abort")
        s.ask("ended", s.t)
        s.ask("committed", s.group)
    s.lines.append("# a member that has left")
    s.ask("leave", s.t, quiet=True)
    s.do("begin")
    s.offsets(f"{s.t}:0:1", generation=generation, member=member)
    s.do("commit")
    s.do("abort")
    s.ask("committed", s.group)
    s.goes_on()
    s.look()


def a_fenced_generation_of_a_classic_group(s):
    _fenced_generation(s, "classic")


def a_fenced_epoch_of_a_consumer_group(s):
    _fenced_generation(s, "consumer")


def offsets_of_a_topic_that_is_not_there(s):
    s.topic(1)
    s.ready(**({"max_block_ms": 4000} if s.kind == "java" else {}))
    s.do("begin")
    s.offsets(f"{s.t}-missing:0:1", generation=-1, member="")
    s.do("abort")
    s.do("begin")
    s.offsets(f"{s.t}:0:7", generation=-1, member="")
    s.do("commit")
    s.describe()
    s.ask("committed", s.group)


def too_large_for_the_topic(s):
    """An abortable error, after which the producer takes a new epoch (KIP-360)."""
    s.topic(2, "max.message.bytes=500")
    s.ready()
    s.do("begin")
    s.send(value="a")
    s.send(value="x" * 2000)
    s.send(value="b")
    s.do("commit")
    s.do("abort")
    s.describe()
    s.goes_on()
    s.look()
    s.describe()


def a_time_that_the_topic_refuses(s):
    s.topic(1, "message.timestamp.after.max.ms=1000")
    s.ready()
    s.do("begin")
    s.send(value="a")
    s.send(value="b", timestamp=LATER)
    s.do("commit")
    s.do("abort")
    s.goes_on()
    s.look()
    s.describe()


def more_replicas_wanted_than_there_are(s):
    """There is one replica: not more of them can be asked for."""
    s.topic(1, "min.insync.replicas=2")
    s.ready()
    s.goes_on()
    s.describe()
    s.look()


def a_topic_that_is_not_there(s):
    s.topic()
    s.ready(**({"max_block_ms": 3000} if s.kind == "java" else {}))
    s.do("begin")
    s.send(value="a")
    s.send(topic=s.t + "-missing")
    s.do("commit")
    s.do("abort")
    s.goes_on()
    s.look()


def a_topic_is_deleted_within(s):
    s.topic()
    s.topic(2, name=s.t + "-gone")
    s.ready()
    s.do("begin")
    s.send(value="a")
    s.send(value="b", topic=s.t + "-gone")
    s.ask("delete", s.t + "-gone")
    s.do("commit")
    s.ask("await", s.id, "CompleteCommit")
    s.goes_on()
    s.look()


def a_topic_is_made_anew_within(s):
    s.topic()
    s.ready(transaction_timeout_ms=4000)
    s.do("begin")
    s.send(value="a")
    s.ask("delete", s.t)
    s.topic()
    s.do("abort")
    s.ask("await", s.id, "CompleteAbort")
    s.goes_on()
    s.look()
    s.ask("await", s.id, "CompleteCommit" if s.kind == "java" else "CompleteAbort")


def its_records_are_deleted(s):
    """The partition forgets nobody over it."""
    s.topic(1)
    s.ready()
    s.goes_on(value="a")
    s.ask("ended", s.t)
    s.ask("delete-records", s.t, 0, 2)
    s.goes_on(value="b")
    s.look()


def the_same_id_again_and_again(s):
    s.topic(1)
    for n in range(5):
        s.ready(f"p{n}")
        s.do("begin", f"p{n}")
        s.send(f"p{n}", value=f"v{n}")
        s.do("commit" if n % 2 else "flush", f"p{n}")
        s.describe()
    s.look_now()
    s.do("abort", "p4")
    s.look()


def closed_within(s):
    s.topic(1)
    s.ready("a")
    s.do("begin", "a")
    s.send("a", value="left behind")
    s.made.remove("a")
    s.producers.ask("close", "a")
    s.look_now()
    s.ready("b")
    s.goes_on("b")
    s.look()


def the_broker_stops_within(s):
    s.topic()
    s.ready_for_a_restart()
    s.do("begin")
    s.send(value="a")
    s.restart("stopped and started")
    s.send(value="b")
    s.send(value="c", partition=1)
    s.do("commit")
    s.look()
    s.goes_on()
    s.look()


def the_broker_is_killed_within(s):
    s.topic()
    s.ready_for_a_restart()
    s.goes_on(value="before")
    s.do("begin")
    s.send(value="a")
    s.restart("killed and started")
    s.do("abort")
    s.look()
    s.goes_on()
    s.look()


ALL = (commit, abort, nothing_to_end, many_in_one, one_open_beside_others, wrong_order, timeout_above_the_maximum, fenced_sends,
       fenced_sends_to_a_new_partition, fenced_commits, fenced_aborts, fenced_sends_offsets, fenced_between_transactions,
       fenced_while_both_are_in_a_transaction, fenced_by_the_administrator, timed_out_sends, timed_out_sends_to_a_new_partition,
       timed_out_commits, timed_out_aborts, timed_out_sends_offsets, terminated, terminated_between_transactions, offsets_of_a_classic_group,
       offsets_of_a_consumer_group, a_fenced_generation_of_a_classic_group, a_fenced_epoch_of_a_consumer_group,
       offsets_of_a_topic_that_is_not_there, too_large_for_the_topic, a_time_that_the_topic_refuses, more_replicas_wanted_than_there_are, a_topic_that_is_not_there,
       a_topic_is_deleted_within, a_topic_is_made_anew_within, its_records_are_deleted, the_same_id_again_and_again, closed_within)
# After everything else.
RESTARTS = (the_broker_stops_within, the_broker_is_killed_within)
