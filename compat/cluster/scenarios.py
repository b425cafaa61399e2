"""Clients of a cluster whose nodes are restarted one after the other, and killed one after the other; that gets one node more, which takes
over their partitions, and loses one of its disks.

Four producers, Java's and librdkafka's, each once idempotent and once transactional; and two groups, one of each protocol, each shared
by a Java and a librdkafka member that read committed records. All have their clients' own defaults, but for what makes them
exactly-once. Checked each time: the clients show no error; everybody goes on while a node is away; in the end every record that was
acknowledged lies where it was acknowledged, no record lies twice, and every group has got all of them, none of them again behind a
commit.
"""

import json
import os
import re
import threading
import time

from compat.common import librdkafka, tools
from compat.groups import members
from compat.transactions import clients

TOPIC, PARTITIONS = "load", 6
BULK = "bulk"
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
        return self._tool("kafka-topics", *args)

    def _tool(self, name, *args):
        return self.tools.run(name, ["--bootstrap-server", self.cluster.bootstrap, *args], timeout=WAIT).out

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

    def growth(self):
        """Every partition is moved to a new node, which is to lead it; those with odd numbers to its second disk."""
        node = self.cluster.grow()
        number = len(self.cluster.nodes)
        self._topics("--create", "--topic", BULK, "--partitions", 2, "--replication-factor", 3, "--config", "segment.bytes=1048576")
        at = [{"topic": topic, "partition": p, "replicas": [number, 1 + p % 3, 1 + (p + 1) % 3], "log_dirs": [node.disks[p % 2], "any", "any"]}
              for topic, count in ((TOPIC, PARTITIONS), (BULK, 2)) for p in range(count)]
        plan = os.path.join(self.cluster.work, "growth.json")
        with open(plan, "w") as f:
            json.dump({"version": 1, "partitions": at}, f)
        reassign = lambda *more: self._tool("kafka-reassign-partitions", "--reassignment-json-file", plan, *more)  # noqa: E731
        told = reassign("--execute")
        self.run.check("the move to the new node begins", "Successfully started partition reassignments" in told, told)
        self.goes_on("while partitions move")
        unfinished = re.compile(r"still in progress|not completed|failed")
        self.run.check("every partition is on the new node", members.wait(lambda: not unfinished.search(reassign("--verify")), WAIT), reassign("--verify"))
        self._tool("kafka-leader-election", "--election-type", "preferred", "--all-topic-partitions")
        self.run.equal("the new node leads every partition", PARTITIONS, self.led_by(number))
        self.goes_on("with the new node")
        self.no_errors("while a node is added")

    def lost_disk(self):
        """A disk of the newest node goes away: nothing new can be made on it, which the next segment finds out."""
        number, node = len(self.cluster.nodes), self.cluster.nodes[-1]
        gone = node.disks[1] + "-gone"
        os.rename(node.disks[1], gone)
        self._tool("kafka-producer-perf-test", "--topic", BULK, "--num-records", 4000, "--record-size", 1000, "--throughput", -1)
        self.run.check("what it led there is led elsewhere", members.wait(lambda: self.led_by(number) == PARTITIONS // 2, WAIT), self._topics("--describe"))
        self.goes_on("without a disk of the new node")
        self.run.check("the node goes on with its other disk", node.alive() and self.led_by(number) == PARTITIONS // 2, node.log_tail())
        self.no_errors("while a disk goes away")
        node.stop()
        os.rename(gone, node.disks[1])
        node.start()
        self.run.check("with its disk back it is in sync again", members.wait(self.is_whole, WAIT), self._topics("--describe", "--under-replicated-partitions"))
        self.no_errors("while the disk comes back")

    def led_by(self, number):
        return len(re.findall(rf"Leader: {number}\b", self._topics("--describe", "--topic", TOPIC)))

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
        scene.growth()
        scene.lost_disk()
        scene.finish()
    finally:
        cluster.kill9()
        print(f"# clients through failures: {time.monotonic() - began:.0f} s", flush=True)
