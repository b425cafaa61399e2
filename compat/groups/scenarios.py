"""Applications that share groups, under load: one on librdkafka and one on the Java consumer, in each protocol; members that
are killed; a broker that restarts and is killed; a group that moves from one protocol to the other and back.

What is checked each time: every record that was acknowledged to the producer reaches a member, and none reaches one again after a
commit behind it was acknowledged.
"""

import os
import re
import struct
import threading
import time

from compat.common import tools, wire

import members
import steps

PARTITIONS = 6
SESSION = 6.0  # seconds, as steps.SETTINGS and CLASSIC have it
# From the moment a session has ended: heartbeats that tell the others, revocations, an assignment.
SLACK = 4.0
PROTOCOLS = {
    "classic": (steps.CLASSIC, {"heartbeat_interval_ms": "500", "session_timeout_ms": "6000"}),
    "cooperative": ({**steps.CLASSIC, "partition_assignment_strategy": steps.STICKY},
                    {"heartbeat_interval_ms": "500", "session_timeout_ms": "6000", "partition_assignment_strategy": "cooperative-sticky"}),
    "consumer": (steps.CONSUMER, {"group_protocol": "consumer"}),
}


class Load(threading.Thread):
    """Produces numbered records, one at a time, partition by partition, and keeps what was acknowledged."""

    def __init__(self, broker, topic, rate=150):
        super().__init__(daemon=True)
        self.broker, self.topic, self.rate = broker, topic, rate
        self.acknowledged, self.ended = [], threading.Event()
        with wire.Connection(broker.port) as c:
            error = c.create_topics([topic], PARTITIONS)[topic]
            if error:
                raise SystemExit(f"CreateTopics {topic}: error {error}")
        self.start()

    def run(self):
        number, connection = 0, None
        while not self.ended.is_set():
            try:
                connection = connection or wire.Connection(self.broker.port, timeout=5)
                batch = wire.batch_of_one(b"%d" % number, int(time.time() * 1000))
                error = connection.call(wire.PRODUCE, 3, wire.produce_body(self.topic, number % PARTITIONS, batch))
                error = wire.produce_error(error.data)
                if error == 0:
                    self.acknowledged.append(number)
                    number += 1
            except (OSError, struct.error):
                if connection:
                    connection.socket.close()
                connection = None
                time.sleep(0.1)
            time.sleep(1 / self.rate)

    def end(self):
        self.ended.set()
        self.join()


class Scene:
    """A group, its load, and everyone who was ever in it."""

    def __init__(self, run, broker, name):
        self.run, self.broker, self.name = run, broker, name
        self.topic = self.group = re.sub(r"[^a-z]+", "-", name)
        self.everyone, self.alive = [], []
        self.load = Load(broker, self.topic)

    def java(self):
        return self._joined(members.Java(self.broker.work))

    def rdkafka(self, name, settings):
        return self._joined(members.Rdkafka(self.broker.work, name, self.broker, self.group, self.topic, **settings))

    def _joined(self, process):
        self.everyone.append(process)
        self.alive.append(process)
        return process

    def gone(self, process):
        self.alive.remove(process)

    def check(self, what, good, detail=""):
        return self.run.check(f"{self.name}: {what}", good, detail)

    def settles(self, count, what, timeout=40):
        fine = members.settled(self.alive, PARTITIONS, count, timeout)
        return self.check(what, fine, repr([p.owned() for p in self.alive]))

    def goes_on(self, what, count=30, timeout=30):
        """Records arrive after this."""
        before = len(self.records())
        self.check(what, members.wait(lambda: len(self.records()) > before + count, timeout), f"{len(self.records()) - before} records")

    def records(self):
        return [e for p in self.everyone for e in p.all("record")]

    def finish(self):
        self.load.end()
        want = set(map(str, self.load.acknowledged))
        members.wait(lambda: want <= {e.value() for e in self.records()}, 30)
        time.sleep(0.5)
        for process in self.alive:
            process.close()
        missed = want - {e.value() for e in self.records()}
        self.check(f"nothing of {len(want)} records is missed", not missed, f"{len(missed)} are: {sorted(map(int, missed))[:20]}")
        again = members.delivered_again(self.everyone)
        self.check("nothing behind a commit is delivered again", not again, f"{len(again)}: {again[:10]}")
        errors = [e.about for p in self.everyone for e in p.all("error")]
        print(f"#    {len(self.records())} deliveries of {len(want)} records, {sum(len(p.all('uncommitted')) for p in self.everyone)} commits refused, errors: {errors[:3]}")


def shared(run, broker, protocol):
    """Two applications share the work; a third is killed; the broker restarts, and is killed."""
    for_java, for_rdkafka = PROTOCOLS[protocol]
    scene = Scene(run, broker, f"shared {protocol}")
    java = scene.java().start("java", broker, scene.group, scene.topic, **for_java)
    scene.settles(1, "one application has everything")
    rdkafka = scene.rdkafka("rdkafka", for_rdkafka)
    scene.settles(2, "two applications share")
    scene.check("evenly", sorted(len(has) for p in scene.alive for has in p.owned().values()) == [3, 3], repr([p.owned() for p in scene.alive]))
    time.sleep(1)
    scene.check("both do work", java.all("record") and rdkafka.all("record"))
    victim = scene.java().start("victim", broker, scene.group, scene.topic, **for_java)
    scene.settles(3, "a third one joins")
    time.sleep(1)
    scene.gone(victim)
    killed = time.monotonic()
    victim.kill()
    members.settled(scene.alive, PARTITIONS, 2, SESSION + SLACK, quiet=0)
    took = time.monotonic() - killed
    scene.check(f"the partitions of a killed member move within the session timeout ({took:.1f} s)", took < SESSION + SLACK)
    victim = scene.rdkafka("victim-2", for_rdkafka)
    scene.settles(3, "another one joins")
    time.sleep(1)
    scene.gone(victim)
    killed = time.monotonic()
    victim.kill()
    members.settled(scene.alive, PARTITIONS, 2, SESSION + SLACK, quiet=0)
    took = time.monotonic() - killed
    scene.check(f"the partitions of a killed member on librdkafka, too ({took:.1f} s)", took < SESSION + SLACK)
    for how in ("restart", "kill -9"):
        broker.stop() if how == "restart" else broker.kill9()
        broker.start()
        scene.goes_on(f"work goes on after a {how} of the broker")
        scene.settles(2, f"both are there after a {how} of the broker")
    rdkafka.close()
    scene.gone(rdkafka)
    scene.settles(1, "one leaves, the other has everything")
    scene.finish()


def migrates(run, broker, protocol):
    """classic to consumer to classic, under load."""
    classic, classic_rdkafka = PROTOCOLS[protocol]
    consumer, consumer_rdkafka = PROTOCOLS["consumer"]
    scene = Scene(run, broker, f"migration of {protocol}")
    tool_box = tools.Tools(broker.work)

    def kind(expected, what):
        result = tool_box.run("kafka-groups", ["--bootstrap-server", broker.bootstrap, "--list"])
        row = next((line.split() for line in result.out.splitlines() if line.split()[:1] == [scene.group]), None)
        scene.check(f"{what}: it is a group of type {expected}", row and row[1] == expected, result.text())

    # First the one on Java, to lead: assignments that librdkafka's sticky assignor makes carry data of its own, with which Kafka does not
    # let a group move.
    crew = scene.java().start("old-1", broker, scene.group, scene.topic, **classic)
    scene.settles(1, "a classic member")
    old_2 = scene.rdkafka("old-2", classic_rdkafka)
    scene.settles(2, "two classic members")
    kind("Classic", "at first")
    crew.start("new-1", broker, scene.group, scene.topic, **consumer)
    scene.settles(3, "one of the new protocol joins")
    kind("Consumer", "with one of each")
    scene.goes_on("work goes on in the mixed group")
    old_2.close()
    scene.gone(old_2)
    new_2 = scene.rdkafka("new-2", consumer_rdkafka)
    scene.settles(3, "librdkafka's moves over")
    crew.stop("old-1")
    scene.settles(2, "the last classic member leaves")
    kind("Consumer", "with the new protocol only")
    scene.goes_on("work goes on in the consumer group")
    crew.start("old-3", broker, scene.group, scene.topic, **classic)
    scene.settles(3, "a classic member joins again")
    new_2.close()
    scene.gone(new_2)
    crew.stop("new-1")
    scene.settles(1, "the last member of the new protocol leaves")
    kind("Classic", "back again")
    scene.rdkafka("old-4", classic_rdkafka)
    scene.settles(2, "and another classic member joins")
    scene.goes_on("work goes on in the classic group")
    broker.stop()
    broker.start()
    scene.goes_on("work goes on after a restart of the broker")
    kind("Classic", "after a restart")
    tool_box.close()
    scene.finish()


def own_timeout(run, broker, _):
    """A group's own session timeout is what counts for its members."""
    scene = Scene(run, broker, "own timeout")
    tool_box = tools.Tools(broker.work)
    r = tool_box.run("kafka-configs", ["--bootstrap-server", broker.bootstrap, "--entity-type", "groups", "--entity-name", scene.group, "--alter",
                                       "--add-config", "consumer.session.timeout.ms=1500,consumer.heartbeat.interval.ms=300"])
    scene.check("set", r.code == 0, r.text())
    tool_box.close()
    scene.java().start("java", broker, scene.group, scene.topic, **steps.CONSUMER)
    victim = scene.rdkafka("victim", PROTOCOLS["consumer"][1])
    scene.settles(2, "two members")
    scene.gone(victim)
    killed = time.monotonic()
    victim.kill()
    members.settled(scene.alive, PARTITIONS, 1, 10, quiet=0)
    took = time.monotonic() - killed
    scene.check(f"the partitions of a killed member move within it ({took:.1f} s)", took < 1.5 + 2)
    scene.finish()


SCENARIOS = [(f"shared {p}", shared, p) for p in PROTOCOLS] + [(f"migration of {p}", migrates, p) for p in ("classic", "cooperative")] + [
    ("own timeout", own_timeout, None)]


def run(checks, broker, only=None):
    os.makedirs(broker.work, exist_ok=True)
    for name, scenario, argument in SCENARIOS:
        if not only or re.search(only, name):
            began = time.monotonic()
            scenario(checks, broker, argument)
            print(f"#    {name}: {time.monotonic() - began:.0f} s", flush=True)
