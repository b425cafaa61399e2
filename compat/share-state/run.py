"""The share coordinator's requests (Initialize-, Read-, Write-, DeleteShareGroupState, ReadShareGroupStateSummary) to Apache Kafka and
to Klamm in lock step: the rules, then random ones from a seed; then what both keep in `__share_group_state`, as Kafka's own
`kafka-dump-log --share-group-state-decoder` reads it, and what a broker answers that was killed and started again.

Compared are codes, messages, fields and records. Batches of neighbouring records with the same fate may be cut differently: they
are joined before they are compared. Topic ids and times are each broker's own."""

import argparse
import glob
import json
import os
import random
import re
import subprocess
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(HERE)))

from compat.common import brokers, checks, jars, schema, sides, wire  # noqa: E402

WORK = os.path.join(HERE, "work")
INITIALIZE, READ, WRITE, DELETE, SUMMARY = ("InitializeShareGroupState", "ReadShareGroupState", "WriteShareGroupState", "DeleteShareGroupState", "ReadShareGroupStateSummary")
SETTINGS = {"share.coordinator.state.topic.num.partitions": "1", "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1", "share.coordinator.snapshot.update.records.per.snapshot": "3",
            "offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1"}
AVAILABLE, ACKNOWLEDGED, ARCHIVED = 0, 2, 4
GONE = uuid.UUID(int=77)


class Asked:
    """A broker that is asked by its own topic ids."""

    def __init__(self, broker, schemas):
        self.broker, self.schemas, self.correlation = broker, schemas, 0
        self.link = sides.Link(broker.port)
        with wire.Connection(broker.port) as connection:
            connection.create_topics(["t", "u"], 3)
        self.learn()

    def learn(self):
        body = self.call("Metadata", 12, {"Topics": [{"Name": "t"}, {"Name": "u"}], "AllowAutoTopicCreation": False})
        self.ids = {topic["Name"]: topic["TopicId"] for topic in body["Topics"]}
        self.names = {made: name for name, made in self.ids.items()} | {GONE: "gone"}

    def again(self):
        self.link = sides.Link(self.broker.port)

    def call(self, api, version, body):
        self.correlation += 1
        self.link.socket.sendall(self.schemas.frame(api, version, self.correlation, "compat", body))
        frame = None
        while frame is None:
            frame = self.link.frame()
        return self.schemas.answer(api, version, frame) if frame else {"error": "closed"}

    def ask(self, api, version, group, topics):
        """`topics`: [(name, [partition])]. The answer with names for ids, in order, without what is each broker's own."""
        listed = [{"TopicId": self.ids.get(name, GONE), "Partitions": partitions} for name, partitions in topics]
        answer = self.call(api, version, {"GroupId": group, "Topics": listed})
        if "Results" not in answer:
            return answer
        results = []
        for topic in answer["Results"]:
            for partition in topic["Partitions"]:
                partition = {k: v for k, v in partition.items() if k != "Partition"} | {"at": (self.names.get(topic["TopicId"], "?"), partition["Partition"])}
                if "StateBatches" in partition:
                    partition["StateBatches"] = joined(partition["StateBatches"])
                results.append(partition)
        return sorted(results, key=lambda r: r["at"])


def joined(batches):
    out = []
    for b in batches:
        b = [b["FirstOffset"], b["LastOffset"], b["DeliveryState"], b["DeliveryCount"]] if isinstance(b, dict) else list(b)
        if out and out[-1][1] + 1 == b[0] and out[-1][2:] == b[2:]:
            out[-1][1] = b[1]
        else:
            out.append(b)
    return out


def initialize(topic, partition, epoch=1, start=0, group="g", v=0):
    return INITIALIZE, v, group, [(topic, [{"Partition": partition, "StateEpoch": epoch, "StartOffset": start}])]


def read(topic, partition, leader=0, group="g", v=0):
    return READ, v, group, [(topic, [{"Partition": partition, "LeaderEpoch": leader}])]


def write(topic, partition, batches=(), epoch=1, leader=0, start=-1, done=0, group="g", v=1):
    it = {"Partition": partition, "StateEpoch": epoch, "LeaderEpoch": leader, "StartOffset": start,
          "StateBatches": [dict(zip(("FirstOffset", "LastOffset", "DeliveryState", "DeliveryCount"), b)) for b in batches]}
    return WRITE, v, group, [(topic, [it | ({"DeliveryCompleteCount": done} if v else {})])]


def delete(topic, partition, group="g", v=0):
    return DELETE, v, group, [(topic, [{"Partition": partition}])]


def summary(topic, partition, group="g", v=1):
    return SUMMARY, v, group, [(topic, [{"Partition": partition, "LeaderEpoch": 0}])]


def rules():
    yield "nothing is there", [summary("t", 0), summary("t", 0, v=0), read("t", 0), write("t", 0), delete("t", 0)]
    yield "what there is not", [f("gone", 0) for f in (initialize, read, write, delete, summary)] + [f("t", 3) for f in (initialize, read, write, delete, summary)]
    yield "negative partitions", [f("t", -1) for f in (initialize, read, write, delete, summary)]
    yield "no group", [f("t", 0, group="") for f in (initialize, read, write, delete, summary)]
    yield "no topics", [(api, 0, "g", []) for api in (INITIALIZE, READ, WRITE, DELETE, SUMMARY)]
    yield "no partitions", [(api, 0, "g", [("t", [])]) for api in (READ, WRITE, DELETE, SUMMARY)]
    yield "a life", [initialize("t", 0), read("t", 0), write("t", 0, [(0, 4, ACKNOWLEDGED, 1), (5, 9, AVAILABLE, 1)], done=5), summary("t", 0),
                     write("t", 0, [(5, 7, ACKNOWLEDGED, 2)], start=5, done=3), read("t", 0), summary("t", 0), write("t", 0, [(8, 8, ARCHIVED, 2)], v=0),
                     summary("t", 0), summary("t", 0, v=0), write("t", 0, [(8, 12, AVAILABLE, 3)], start=8, done=0), read("t", 0), write("t", 0, done=7),
                     summary("t", 0), delete("t", 0), summary("t", 0), read("t", 0), delete("t", 0)]
    yield "leader epochs", [initialize("t", 1), read("t", 1, 5), read("t", 1, 5), read("t", 1, 4), read("t", 1, -1), write("t", 1, leader=4), write("t", 1, leader=-1),
                            write("t", 1, [(0, 0, ACKNOWLEDGED, 1)], leader=7), summary("t", 1), read("t", 1, 6), summary("t", 1), initialize("t", 1, 2), summary("t", 1), read("t", 1, 5)]
    yield "state epochs", [initialize("t", 2, 3, -1), summary("t", 2), read("t", 2), initialize("t", 2, 2), write("t", 2, epoch=2), write("t", 2, epoch=-1), write("t", 2, epoch=9),
                           initialize("t", 2, 3, 100), summary("t", 2), initialize("t", 2, -1, 50), summary("t", 2), write("t", 2, epoch=2), delete("t", 2), initialize("t", 2, 0), summary("t", 2)]
    both = [{"Partition": p, "StateEpoch": 1, "StartOffset": 0} for p in (0, 1)]
    yield "many at once", [(INITIALIZE, 0, "h", [("t", both), ("u", both), ("gone", both)]), (SUMMARY, 1, "h", [("u", [{"Partition": 1}, {"Partition": 0}, {"Partition": 9}]), ("t", [{"Partition": 0}])])]


def chance(seed, steps):
    r = random.Random(seed)
    for _ in range(steps):
        topic, partition, group = r.choice("tu"), r.randrange(2), r.choice(("g", "a:b"))
        kind = r.random()
        if kind < 0.15:
            yield initialize(topic, partition, r.randrange(-1, 4), r.choice((-1, 0, 10)), group)
        elif kind < 0.35:
            yield read(topic, partition, r.randrange(-1, 4), group)
        elif kind < 0.85:
            batches = []
            for _ in range(r.randrange(4)):
                first = r.randrange(40)
                batches.append((first, first + r.randrange(10), r.choice((AVAILABLE, ACKNOWLEDGED, ARCHIVED)), r.randrange(1, 5)))
            yield write(topic, partition, batches, r.randrange(-1, 4), r.randrange(-1, 4), r.choice((-1, -1, r.randrange(40))), r.randrange(10), group, r.choice((0, 1)))
        elif kind < 0.88:
            yield delete(topic, partition, group)
        else:
            yield summary(topic, partition, group, r.choice((0, 1)))


def compare(c, name, kafka, klamm, steps, verbose):
    for number, step in enumerate(steps):
        theirs, ours = kafka.ask(*step), klamm.ask(*step)
        if verbose:
            print(f"{name} {number}: {step}\n    {theirs}")
        if theirs != ours:
            return c.check(name, False, f"step {number}: {step}\n     kafka {theirs}\n     klamm {ours}")
    return c.check(name, True)


def found(asked):
    """FindCoordinator creates the topic, and finds it."""
    key = f"g:{short(asked.ids['t'])}:0"
    for _ in range(200):
        answer = asked.call("FindCoordinator", 6, {"KeyType": 2, "CoordinatorKeys": [key]})["Coordinators"][0]
        if answer["ErrorCode"] == 0:
            loaded = asked.ask(*summary("t", 0))
            if loaded[0]["ErrorCode"] == 0:
                return answer["NodeId"]
        time.sleep(0.1)
    return answer


def bad_keys(asked):
    keys = ["", "g", "g:0", "g:nothing:0", f"g:{short(asked.ids['t'])}:x", f"g:{short(asked.ids['t'])}:", f":{short(asked.ids['t'])}:0", f"a:b:{short(asked.ids['t'])}:0"]
    answers = asked.call("FindCoordinator", 6, {"KeyType": 2, "CoordinatorKeys": keys})["Coordinators"]
    return [(a["ErrorCode"], a["ErrorMessage"]) for a in answers]


def short(made):
    import base64
    return base64.urlsafe_b64encode(made.bytes).decode().rstrip("=")


def kept(asked):
    """The records, in Kafka's own words: [(key, value)]."""
    segments = sorted(glob.glob(os.path.join(asked.broker.data, "__share_group_state-0", "*.log")))
    argv = jars.java("org.apache.kafka.tools.DumpLogSegments", ["--share-group-state-decoder", "--files", ",".join(segments)])
    text = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    out = []
    for line in text.splitlines():
        m = re.search(r" key: (\{.*?\}) payload: (.*)$", line)
        if m:
            key = json.loads(m[1])
            value = None if not m[2].startswith("{") else json.loads(m[2])
            plain(key, asked.names)
            if value:
                plain(value, asked.names)
            out.append((key, value))
    return out


def plain(value, names):
    """In place: names for ids, nothing for times, batches joined."""
    for k, v in list(value.items()):
        if k in ("createTimestamp", "writeTimestamp"):
            value[k] = "then"
        elif k == "topicId":
            value[k] = names.get(uuid.UUID(bytes=__import__("base64").urlsafe_b64decode(v + "==")), v)
        elif k == "stateBatches":
            value[k] = joined([[b["firstOffset"], b["lastOffset"], b["deliveryState"], b["deliveryCount"]] for b in v])
        elif isinstance(v, dict):
            plain(v, names)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sequences", type=int, default=20)
    p.add_argument("--steps", type=int, default=60)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--verbose", action="store_true")
    options = p.parse_args()
    c, schemas = checks.Checks(), schema.Schemas(jars.fetch())
    kafka, klamm = (Asked(b, schemas) for b in (brokers.Kafka(WORK, SETTINGS).start(), brokers.subject(WORK, SETTINGS).start()))
    c.equal("keys that are none", bad_keys(kafka), bad_keys(klamm))
    c.equal("the coordinator is found", found(kafka), found(klamm))
    c.equal("keys that are none, when there is a coordinator", bad_keys(kafka), bad_keys(klamm))
    for name, steps in rules():
        compare(c, name, kafka, klamm, steps, options.verbose)
    for seed in range(options.seed, options.seed + options.sequences):
        compare(c, f"chance {seed}", kafka, klamm, chance(seed, options.steps), options.verbose)
    everything = [f(t, n, group=g) for t in "tu" for n in range(3) for g in ("g", "a:b", "h") for f in (summary, lambda *a, **k: read(*a, leader=-1, **k))]
    before = [klamm.ask(*step) for step in everything]
    c.equal("everything at the end", [kafka.ask(*step) for step in everything], before)
    for asked in (kafka, klamm):
        asked.broker.kill9()
    theirs, ours = kept(kafka), kept(klamm)
    c.check("records are kept", len(theirs) > 100, len(theirs))
    for number, (a, b) in enumerate(zip(theirs, ours)):
        if a != b:
            c.check("the same records are kept", False, f"record {number}\n     kafka {a}\n     klamm {b}")
            break
    else:
        c.equal("as many records are kept", len(theirs), len(ours))
    klamm.broker.start()
    klamm.again()
    found(klamm)
    c.equal("after a kill everything is as it was", before, [klamm.ask(*step) for step in everything])
    klamm.broker.stop()
    pruned(c, schemas)
    c.finish()


def pruned(c, schemas):
    """What the log need not keep goes, and nothing is lost with it."""
    settings = SETTINGS | {"share.coordinator.state.topic.prune.interval.ms": "700", "share.coordinator.cold.partition.snapshot.interval.ms": "1000"}
    ends = {}
    for name, make in (("kafka", brokers.Kafka), ("klamm", brokers.subject)):
        asked = Asked(make(os.path.join(WORK, "pruned"), settings).start(), schemas)
        found(asked)
        for n in range(3):
            asked.ask(*initialize("t", n, start=100))
            asked.ask(*initialize("u", n, start=100, group="h"))
            for k in range(8):
                asked.ask(*write("t", n, [(100 + k, 100 + k, ACKNOWLEDGED, 1)], done=k))
        asked.ask(*delete("u", 1, "h"))
        everything = [f(t, n, group=g) for t, g in (("t", "g"), ("u", "h")) for n in range(3) for f in (summary, lambda *a, **k: read(*a, leader=-1, **k))]
        before = [asked.ask(*step) for step in everything]
        deadline = time.monotonic() + 30
        # Until every partition was written again and the log before is gone.
        while earliest(asked) <= 30 and time.monotonic() < deadline:
            time.sleep(0.1)
        c.check(f"{name}: the log is cut", 30 < earliest(asked), earliest(asked))
        c.equal(f"{name}: nothing is lost", before, [asked.ask(*step) for step in everything])
        asked.broker.kill9()
        asked.broker.start()
        asked.again()
        found(asked)
        ends[name] = [asked.ask(*step) for step in everything]
        c.equal(f"{name}: nothing is lost after a kill", before, ends[name])
        asked.broker.stop()
    c.equal("both kept the same", ends["kafka"], ends["klamm"])


def earliest(asked):
    body = {"ReplicaId": -1, "Topics": [{"Name": "__share_group_state", "Partitions": [{"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": -2}]}]}
    return asked.call("ListOffsets", 6, body)["Topics"][0]["Partitions"][0]["Offset"]


main()
