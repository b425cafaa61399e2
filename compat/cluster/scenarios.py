"""Clients of a cluster whose nodes are restarted one after the other, and killed one after the other.

Four producers, Java's and librdkafka's, each once idempotent and once transactional; and two groups, one of each protocol, each shared
by a Java and a librdkafka member that read committed records. All have their clients' own defaults, but for what makes them
exactly-once. Checked each time: the clients show no error; everybody goes on while a node is away; in the end every record that was
acknowledged lies where it was acknowledged, no record lies twice, and every group has got all of them, none of them again behind a
commit.
"""

import re
import threading
import time

from compat.common import librdkafka, tools
from compat.groups import members
from compat.transactions import clients

TOPIC, PARTITIONS = "load", 6
RECORDS = 3  # of a transaction
WAIT = 60
OUTCOME = re.compile(r"load-(\d+)@(\d+)")


class Producer(threading.Thread):
    """Sends numbered records one by one, or in transactions; remembers where they were acknowledged, and what went wrong."""

    def __init__(self, make, broker, name, transactional):
        super().__init__(daemon=True)
        self.name, self.transactional = name, transactional
        self.client = make(broker.work, broker)
        # (partition, offset) by value; of transactions only once they are committed.
        self.acknowledged, self.errors, self.ended = {}, [], threading.Event()
        settings = {"bootstrap.servers": broker.bootstrap, "enable.idempotence": "true", "linger.ms": 0}
        if transactional:
            settings["transactional.id"] = name
        self._expect("ok", "patience", 90_000)
        self._expect("ok", "producer", "p", *(f"{k}={v}" for k, v in settings.items()))
        if transactional:
            self._expect("ok", "init", "p")
        self.start()

    def _expect(self, wanted, *words):
        answer = self.client.ask(*words)
        if answer != [wanted]:
            self.errors.append(f"{' '.join(map(str, words[:2]))}: {answer}")
        return answer == [wanted]

    def run(self):
        number = 0
        while not self.ended.is_set() and len(self.errors) < 10:
            number = self._round(number)
            time.sleep(0.02)

    def _round(self, number):
        if self.transactional and not self._expect("ok", "begin", "p"):
            return number
        sent = {}
        for _ in range(RECORDS if self.transactional else 1):
            value = f"{self.name}-{number}"
            answer = self.client.ask("send", "p", TOPIC, number % PARTITIONS, "k", value)[0]
            number += 1
            outcome = OUTCOME.fullmatch(answer)
            if outcome:
                sent[value] = (int(outcome[1]), int(outcome[2]))
            else:
                self.errors.append(f"{value}: {answer}")
        if not self.transactional or self._expect("ok", "commit", "p"):
            self.acknowledged.update(sent)
        return number

    def end(self):
        self.ended.set()
        self.join()
        self.client.kill()


class Scene:
    def __init__(self, run, cluster):
        self.run, self.cluster = run, cluster
        self.tools = tools.Tools(cluster.work)
        self._topics("--create", "--topic", TOPIC, "--partitions", PARTITIONS, "--replication-factor", 3, "--config", "min.insync.replicas=2")
        self.groups = {}
        for protocol in ("classic", "consumer"):
            common = {"group_protocol": protocol, "isolation_level": "read_committed"}
            java = members.Java(cluster.work).start(f"java-{protocol}", cluster, protocol, TOPIC, **common)
            rdkafka = members.Rdkafka(cluster.work, f"rdkafka-{protocol}", cluster, protocol, TOPIC, **common)
            self.groups[protocol] = [java, rdkafka]
        kinds = (("java", clients.java), ("rdkafka", clients.rdkafka))
        self.producers = [Producer(make, cluster, f"{kind}-{what}", what == "transactional")
                          for kind, make in kinds for what in ("idempotent", "transactional")]

    def _topics(self, *args):
        return self.tools.run("kafka-topics", ["--bootstrap-server", self.cluster.bootstrap, *args]).out

    def settle(self):
        for protocol, crew in self.groups.items():
            self.run.check(f"the {protocol} group shares the partitions", members.settled(crew, PARTITIONS, 2, WAIT), repr([p.owned() for p in crew]))

    def is_whole(self):
        told = self._topics("--describe", "--under-replicated-partitions")
        return "Partition:" not in told

    def goes_on(self, when):
        """Every producer is acknowledged, and every group gets, something that was sent after this."""
        acknowledged = {p: len(p.acknowledged) for p in self.producers}
        slow = lambda: [p.name for p in self.producers if len(p.acknowledged) < acknowledged[p] + 2 * RECORDS]  # noqa: E731
        self.run.check(f"every producer goes on {when}", members.wait(lambda: not slow(), WAIT), f"{slow()} do not: {[p.errors for p in self.producers]}")
        fresh = {p.name: len(p.acknowledged) for p in self.producers}
        newest = {list(p.acknowledged)[-1] for p in self.producers if p.acknowledged}
        behind = lambda: [g for g, crew in self.groups.items() if not newest <= self._values(crew)]  # noqa: E731
        self.run.check(f"every group goes on {when}", members.wait(lambda: not behind(), WAIT), f"{behind()} do not get {newest}; {fresh}")

    @staticmethod
    def _values(crew):
        return {e.value() for p in crew for e in p.all("record")}

    def no_errors(self, when):
        shown = [f"{p.name}: {e}" for p in self.producers for e in p.errors]
        shown += [f"{e.member}: {e.about}" for crew in self.groups.values() for p in crew for e in p.all("error")]
        self.run.check(f"no client shows an error {when}", not shown, "; ".join(shown[:5]))

    def rolling_restart(self):
        for number, node in enumerate(self.cluster.nodes, 1):
            node.stop()
            self.goes_on(f"while node {number} is stopped")
            node.start()
            self.run.check(f"node {number} is in sync again", members.wait(self.is_whole, WAIT), self._topics("--describe", "--under-replicated-partitions"))
        self.no_errors("through the rolling restart")

    def deaths(self):
        for number, node in enumerate(self.cluster.nodes, 1):
            node.kill9()
            self.goes_on(f"while node {number} is dead")
            node.start()
            self.run.check(f"node {number} is in sync again after its death", members.wait(self.is_whole, WAIT),
                           self._topics("--describe", "--under-replicated-partitions"))
        self.no_errors("through kill -9 of each node")

    def finish(self):
        for producer in self.producers:
            producer.end()
        acknowledged = {value: at for p in self.producers for value, at in p.acknowledged.items()}
        for protocol, crew in self.groups.items():
            members.wait(lambda crew=crew: acknowledged.keys() <= self._values(crew), WAIT)
            missed = acknowledged.keys() - self._values(crew)
            self.run.check(f"the {protocol} group misses nothing of {len(acknowledged)} records", not missed, f"{len(missed)}: {sorted(missed)[:10]}")
            for process in crew:
                process.close()
            again = members.delivered_again(crew)
            self.run.check(f"the {protocol} group gets nothing again behind a commit", not again, f"{len(again)}: {again[:5]}")
            # What a reader of committed records saw says where each lies.
            lies = {}
            for process in crew:
                for e in process.all("record"):
                    lies.setdefault(e.value(), set()).add((int(e.partition().split(":")[1]), e.offset()))
            twice = {value: at for value, at in lies.items() if len(at) > 1}
            self.run.check(f"no record lies twice, as the {protocol} group sees it", not twice, repr(list(twice.items())[:5]))
            elsewhere = [(value, at, lies[value]) for value, at in acknowledged.items() if value in lies and lies[value] != {at}]
            self.run.check(f"every record lies where it was acknowledged, as the {protocol} group sees it", not elsewhere, repr(elsewhere[:5]))
        self.tools.close()


def run(checks, cluster):
    librdkafka.library()
    began = time.monotonic()
    try:
        cluster.start()
        scene = Scene(checks, cluster)
        scene.settle()
        scene.rolling_restart()
        scene.deaths()
        scene.finish()
    finally:
        cluster.kill9()
        print(f"# clients through failures: {time.monotonic() - began:.0f} s", flush=True)
