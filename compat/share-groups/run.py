"""Kafka's own share consumers (kafka-verifiable-share-consumer) on Klamm: three members of one share group, each with another way to
acknowledge, while a producer (kafka-verifiable-producer) writes. On one broker that is killed and started again, then on three nodes of
which each is killed in turn; each time a member is killed as well.

Checked: every record that the producer was told of is delivered; in the end nothing is left to be delivered, by `kafka-share-groups`; what
is delivered twice was with somebody who died, or was told to a broker that did. `COMPAT_SUBJECT=kafka` does the same to Apache Kafka.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(HERE)))

from compat.cluster import nodes  # noqa: E402
from compat.common import brokers, checks, jars, tools  # noqa: E402
from compat.streams.processes import wait  # noqa: E402

WORK = os.path.join(HERE, "work")
TOPIC, GROUP, PARTITIONS = "shared", "workers", 4
RECORDS, RATE = 4000, 150
WAIT = 120
ONE = {
    "offsets.topic.num.partitions": "4", "share.coordinator.state.topic.num.partitions": "4",
    "group.share.min.record.lock.duration.ms": "1000", "group.share.record.lock.duration.ms": "5000", "group.share.partition.max.record.locks": "500",
    "group.share.min.session.timeout.ms": "6000", "group.share.session.timeout.ms": "6000", "group.share.heartbeat.interval.ms": "1000",
    "group.share.min.heartbeat.interval.ms": "1000",
}
ALONE = {name: "1" for name in ("offsets.topic.replication.factor", "transaction.state.log.replication.factor", "transaction.state.log.min.isr",
                                "share.coordinator.state.topic.replication.factor", "share.coordinator.state.topic.min.isr")}
SEVERAL = {"default.replication.factor": "3", "min.insync.replicas": "2", "broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}


class Program:
    """One of Kafka's verifiable programs; `events` is what it printed, line by line."""

    def __init__(self, work, name, main, args):
        self.name, self.events = name, []
        argv = jars.java(main, [str(a) for a in args])
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(os.path.join(work, name + ".err"), "wb"),
                                        start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            if line.startswith(b"{"):
                self.events.append(json.loads(line))

    def all(self, name):
        return [e for e in list(self.events) if e["name"] == name]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()


class Scene:
    def __init__(self, run, name, broker, work):
        self.run, self.name, self.broker, self.work = run, name, broker, work
        self.tools = tools.Tools(work)
        self.tool("kafka-topics", "--create", "--topic", TOPIC, "--partitions", PARTITIONS)
        self.members = {}
        for mode in ("auto", "sync", "async"):
            self.join(mode)
        self.check("every member joins", wait(lambda: len(re.findall(r"^" + GROUP, self.share_groups("--describe", "--members"), re.M)) == 3, WAIT),
                   self.share_groups("--describe", "--members"))
        # The group begins at the end of the log unless it is told to begin elsewhere, which the first member does.
        self.producer = Program(work, "producer", "org.apache.kafka.tools.VerifiableProducer",
                                ["--bootstrap-server", broker.bootstrap, "--topic", TOPIC, "--max-messages", RECORDS, "--throughput", RATE, "--acks", -1])

    def tool(self, name, *args):
        return self.tools.run(name, ["--bootstrap-server", self.broker.bootstrap, *args], timeout=60).out

    def share_groups(self, *args):
        return self.tool("kafka-share-groups", "--group", GROUP, *args)

    def check(self, what, good, detail=""):
        return self.run.check(f"{self.name}: {what}", good, detail)

    def join(self, mode):
        args = ["--bootstrap-server", self.broker.bootstrap, "--topic", TOPIC, "--group-id", GROUP, "--acknowledgement-mode", mode, "--verbose"]
        if not self.members:
            args += ["--offset-reset-strategy", "earliest"]
        self.members[f"{mode}-{len(self.members)}"] = Program(self.work, f"member-{mode}-{len(self.members)}", "org.apache.kafka.tools.VerifiableShareConsumer", args)

    def delivered(self):
        """How often each record was, by its value."""
        times = {}
        for member in self.members.values():
            for event in member.all("record_data"):
                times.setdefault(event["value"], []).append(member.name)
        return times

    def sent(self):
        return {event["value"] for event in self.producer.all("producer_send_success")}

    def goes_on(self, when):
        began = len(self.delivered())
        self.check(f"the group goes on {when}", wait(lambda: len(self.delivered()) > began + 100, WAIT), f"{len(self.delivered())} after {began}")

    def a_member_dies(self):
        name = next(iter(self.members))
        self.members[name].kill()
        self.join("auto")
        self.goes_on("after a member's death")

    def finish(self):
        self.check("the producer is told of every record", wait(lambda: len(self.sent()) + len(self.producer.all("producer_send_error")) >= RECORDS, WAIT), len(self.sent()))
        sent = self.sent()
        self.check("nothing that was sent is missed", wait(lambda: sent <= self.delivered().keys(), WAIT), f"{len(sent - self.delivered().keys())} of {len(sent)}")
        over = lambda: self.lags() == [0] * PARTITIONS  # noqa: E731
        self.check("in the end nothing is left", wait(over, WAIT), self.share_groups("--describe", "--offsets"))
        twice = sum(len(who) - 1 for who in self.delivered().values())
        print(f"     {len(sent)} records, {twice} deliveries beyond the first")
        # A broker that dies has as many locks at most as it may give out.
        self.check("what comes again is what somebody held who died", twice <= 6 * 500 * PARTITIONS and twice < len(sent), twice)
        for member in self.members.values():
            self.check(f"{member.name} shows no error", not [e for e in member.all("offsets_acknowledged") if not e["success"] and "fatal" in str(e.get("error"))], member.events[-3:])

    def lags(self):
        rows = [line.split() for line in self.share_groups("--describe", "--offsets").splitlines() if line.startswith(GROUP)]
        return sorted(int(row[-1]) if row[-1].isdigit() else -1 for row in rows)

    def close(self):
        for program in [self.producer, *self.members.values()]:
            program.kill()
        self.tools.close(kill=True)


def one_broker(run, work):
    broker = brokers.subject(work, {**ONE, **ALONE}).start()
    scene = None
    try:
        scene = Scene(run, "one broker", broker, work)
        scene.goes_on("at first")
        for how in (broker.kill9, broker.stop):
            how()
            broker.start()
            scene.goes_on("after the broker was " + ("killed" if how == broker.kill9 else "stopped"))
        scene.a_member_dies()
        scene.finish()
    finally:
        if scene:
            scene.close()
        broker.kill9()


def three_nodes(run, work):
    cluster = nodes.subject(work, {**ONE, **SEVERAL})
    scene = None
    try:
        cluster.start()
        scene = Scene(run, "three nodes", cluster, work)
        scene.goes_on("at first")
        for number, node in enumerate(cluster.nodes, 1):
            node.kill9()
            scene.goes_on(f"while node {number} is dead")
            node.start()
        scene.a_member_dies()
        scene.finish()
    finally:
        if scene:
            scene.close()
        cluster.kill9()


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--part", choices=("one", "three"), help="only this")
    a = ap.parse_args()
    jars.fetch()
    run = checks.Checks()
    for part, scenario in (("one", one_broker), ("three", three_nodes)):
        if a.part in (None, part):
            work = os.path.join(WORK, part)
            subprocess.run(["rm", "-rf", work], check=True)
            os.makedirs(work)
            began = time.monotonic()
            scenario(run, work)
            print(f"# {part}: {time.monotonic() - began:.0f} s", flush=True)
    run.finish()


if __name__ == "__main__":
    main()
