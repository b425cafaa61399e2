"""ShareFetch and ShareAcknowledge to Apache Kafka and to Klamm in lock step: the rules of sessions, deliveries, acknowledgements and
locks, then random ones from a seed.

Compared are codes, messages, which records a member has and for how many times, and which batches of the log it is sent. Acquired
records next to each other with the same delivery count may be cut differently: they are joined before they are compared."""

import argparse
import os
import random
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(HERE)))

from compat.common import brokers, checks, jars, schema, sides, wire  # noqa: E402

WORK = os.path.join(HERE, "work")
SETTINGS = {"share.coordinator.state.topic.num.partitions": "1", "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1", "offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1", "transaction.state.log.num.partitions": "1",
            "group.share.min.record.lock.duration.ms": "1000", "group.share.partition.max.record.locks": "100", "group.share.max.share.sessions": "300"}
GAP, ACCEPT, RELEASE, REJECT, RENEW = range(5)
BATCHES, RECORDS = 0, 1
PARTITIONS = 40


class Asked:
    """A broker, asked by its own topic ids, over a connection of each member."""

    def __init__(self, broker, schemas):
        self.broker, self.schemas, self.correlation = broker, schemas, 0
        self.links = {}
        with wire.Connection(broker.port) as connection:
            connection.create_topics(["t", "compacted"], PARTITIONS)
        body = self.call("", "Metadata", 12, {"Topics": [{"Name": "t"}], "AllowAutoTopicCreation": False})
        self.id = body["Topics"][0]["TopicId"]

    def call(self, member, api, version, body):
        link = self.links.get(member)
        if link is None:
            link = self.links[member] = sides.Link(self.broker.port)
        self.correlation += 1
        link.socket.sendall(self.schemas.frame(api, version, self.correlation, "compat", body))
        frame = None
        while frame is None:
            frame = link.frame()
        return self.schemas.answer(api, version, frame) if frame else {"error": "closed"}

    def close(self, member):
        self.links.pop(member).socket.close()

    def begin(self, group, partition, epoch=1, start=0):
        """Room for the group's deliveries of a partition, as its coordinator makes it."""
        body = {"GroupId": group, "Topics": [{"TopicId": self.id, "Partitions": [{"Partition": partition, "StateEpoch": epoch, "StartOffset": start}]}]}
        for _ in range(200):
            answer = self.call("", "InitializeShareGroupState", 0, body)
            code = answer["Results"][0]["Partitions"][0]["ErrorCode"]
            if code not in (14, 15, 16):
                return code
            self.call("", "FindCoordinator", 6, {"KeyType": 2, "CoordinatorKeys": [f"{group}:{short(self.id)}:{partition}"]})
            time.sleep(0.1)
        return code

    def configure(self, group, **settings):
        configs = [{"Name": name.replace("_", "."), "ConfigOperation": 0, "Value": value} for name, value in settings.items()]
        body = {"Resources": [{"ResourceType": 32, "ResourceName": group, "Configs": configs}], "ValidateOnly": False}
        answer = self.call("", "IncrementalAlterConfigs", 1, body)
        return [(r["ErrorCode"], r["ErrorMessage"]) for r in answer["Responses"]]

    def produce(self, partition, *counts, producer=(-1, -1, -1), attributes=0):
        for count in counts:
            records = b"".join(record(n) for n in range(count))
            data = wire.batch(records, count, int(time.time() * 1000), attributes, producer=producer)
            with wire.Connection(self.broker.port) as connection:
                error = wire.produce_errors(connection.call(0, 3, wire.produce_body("t", partition, data)))[partition]
            if error:
                return error
        return 0

    def delete_to(self, partition, offset):
        body = {"Topics": [{"Name": "t", "Partitions": [{"PartitionIndex": partition, "Offset": offset}]}], "TimeoutMs": 10_000}
        answer = self.call("", "DeleteRecords", 2, body)
        return [(p["ErrorCode"], p["LowWatermark"]) for p in answer["Topics"][0]["Partitions"]]

    def fetch(self, member, epoch, partitions=(), forget=(), group="g", version=2, wait=500, least=1, most=1 << 20, records=500, size=500,
              mode=BATCHES, renews=False, topic=None):
        """`partitions`: {partition: [(first, last, [kind])]}, or the numbers alone."""
        listed = dict.fromkeys(partitions, ()) if not isinstance(partitions, dict) else partitions
        topic = topic or self.id
        body = {"GroupId": group, "MemberId": member, "ShareSessionEpoch": epoch, "MaxWaitMs": wait, "MinBytes": least, "MaxBytes": most,
                "MaxRecords": records, "BatchSize": size, "Topics": [{"TopicId": topic, "Partitions": [said(p, b) for p, b in listed.items()]}] if listed else [],
                "ForgottenTopicsData": [{"TopicId": self.id, "Partitions": list(forget)}] if forget else []}
        if version >= 2:
            body |= {"ShareAcquireMode": mode, "IsRenewAck": renews}
        return self.plain(self.call(member, "ShareFetch", version, body))

    def fetch_some(self, member, epoch):
        """The first of ten fetches that has records: when the log begins later than is read, Apache Kafka answers that there is nothing,
        and finds the records with the next request; Klamm finds them at once."""
        answers = [self.fetch(member, epoch + n, wait=100) for n in range(10)]
        return next((a for a in answers if a["partitions"]), answers[0])

    def acknowledge(self, member, epoch, partitions, group="g", version=2, renews=False, topic=None):
        body = {"GroupId": group, "MemberId": member, "ShareSessionEpoch": epoch,
                "Topics": [{"TopicId": topic or self.id, "Partitions": [said(p, b) for p, b in partitions.items()]}] if partitions else []}
        if version >= 2:
            body["IsRenewAck"] = renews
        return self.plain(self.call(member, "ShareAcknowledge", version, body))

    def plain(self, answer):
        if "Responses" not in answer:
            return answer
        partitions = {}
        for topic in answer["Responses"]:
            for partition in topic["Partitions"]:
                it = {k: v for k, v in partition.items() if k != "PartitionIndex"}
                if "AcquiredRecords" in it:
                    it["AcquiredRecords"] = joined(it["AcquiredRecords"])
                    it["Records"] = batches(it["Records"])
                    # Whether a partition without any news is named is the broker's choice.
                    if it == NOTHING:
                        continue
                partitions[(topic["TopicId"] == self.id, partition["PartitionIndex"])] = it
        return {k: v for k, v in answer.items() if k != "Responses"} | {"partitions": dict(sorted(partitions.items()))}


NOTHING = {"ErrorCode": 0, "ErrorMessage": None, "AcknowledgeErrorCode": 0, "AcknowledgeErrorMessage": None,
           "CurrentLeader": {"LeaderId": 0, "LeaderEpoch": 0}, "Records": [], "AcquiredRecords": []}


def said(partition, batches):
    of = [{"FirstOffset": first, "LastOffset": last, "AcknowledgeTypes": kinds} for first, last, kinds in batches]
    return {"PartitionIndex": partition, "AcknowledgementBatches": of}


def record(n):
    value = b"value of a record"
    body = b"\0" + wire.zigzag(0) + wire.zigzag(n) + wire.zigzag(-1) + wire.zigzag(len(value)) + value + wire.zigzag(0)
    return wire.zigzag(len(body)) + body


def joined(acquired):
    out = []
    for a in acquired:
        a = [a["FirstOffset"], a["LastOffset"], a["DeliveryCount"]]
        if out and out[-1][1] + 1 == a[0] and out[-1][2] == a[2]:
            out[-1][1] = a[1]
        else:
            out.append(a)
    return out


def batches(data):
    """[(first offset, last offset)] of record batches."""
    out, at = [], 0
    while data and at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        delta = struct.unpack_from(">i", data, at + 23)[0]
        out.append((base, base + delta))
        at += 12 + length
    return out


def short(made):
    import base64
    return base64.urlsafe_b64encode(made.bytes).decode().rstrip("=")


class Both:
    """Does everything to both brokers, and remembers the first difference."""

    def __init__(self, kafka, klamm, verbose):
        self.kafka, self.klamm, self.verbose = kafka, klamm, verbose

    def start(self):
        self.number, self.difference = 0, None
        return self

    def __getattr__(self, name):
        def act(*args, **kwargs):
            self.number += 1
            theirs, ours = (getattr(side, name)(*args, **kwargs) for side in (self.kafka, self.klamm))
            if self.verbose:
                print(f"  {self.number}: {name} {args} {kwargs}\n      {theirs}")
            if theirs != ours and not self.difference:
                self.difference = f"step {self.number}: {name} {args} {kwargs}\n     kafka {theirs}\n     klamm {ours}"
            return theirs
        return act


def fetched(answer, partition):
    return answer.get("partitions", {}).get((True, partition), NOTHING)["AcquiredRecords"]


def a_life(b, p):
    b.begin("g", p)
    b.produce(p, 10, 10)
    b.fetch("life", 0, [p])
    b.fetch("life", 1, [p])
    b.fetch("life", 2, {p: [(0, 4, [ACCEPT]), (5, 7, [RELEASE, REJECT, GAP]), (8, 19, [ACCEPT])]})
    b.fetch("life", 3)
    b.acknowledge("life", 4, {p: [(5, 5, [ACCEPT])]})
    b.produce(p, 3)
    b.fetch("life", 5, wait=2000)
    b.fetch("life", -1, {p: [(20, 21, [ACCEPT])]})
    b.fetch("life", -1)
    b.fetch("heir", 0, [p], wait=2000)


def sessions(b, p):
    b.begin("g", p)
    b.fetch("s", 1, [p])
    b.fetch("s", -1)
    b.acknowledge("s", 1, {p: [(0, 0, [ACCEPT])]})
    b.acknowledge("s", -1, {})
    b.acknowledge("s", 0, {p: [(0, 0, [ACCEPT])]})
    b.fetch("s", 0, {p: [(0, 0, [ACCEPT])]})
    b.fetch("s", 0, [p], wait=0)
    b.fetch("s", 0, [p], wait=0)
    b.fetch("s", 2, wait=0)
    b.fetch("s", 1, wait=0)
    b.fetch("s", 1, wait=0)
    b.acknowledge("s", 1, {})
    b.acknowledge("s", 2, {})
    b.fetch("s", 3, forget=[p], wait=0)
    b.acknowledge("s", 4, {p: [(0, 0, [ACCEPT])]})
    b.acknowledge("s", -1, {})
    b.acknowledge("s", -1, {})
    for member in ("", "x" * 37):
        b.fetch(member, 0, [p])
        b.acknowledge(member, 0, {})
    b.fetch(None, 0, [p])
    b.fetch("s", 0, [p], group=None)
    b.acknowledge("s", 1, {}, group=None)


def unknown(b, p):
    import uuid
    gone = uuid.UUID(int=9)
    b.fetch("u", 0, [p, 4000], wait=1000)
    b.fetch("u", 1, [4001], wait=1000)
    # A fetch that names a topic nobody knows trips Apache Kafka up (UNKNOWN_SERVER_ERROR); Klamm answers UNKNOWN_TOPIC_ID for it.
    b.acknowledge("u", 2, {0: [(0, 0, [ACCEPT])]}, topic=gone)
    b.acknowledge("u", 3, {4000: [(0, 0, [ACCEPT])]})
    b.acknowledge("u", 4, {p + 1: [(0, 0, [ACCEPT])]})


def malformed(b, p):
    b.begin("g", p)
    b.produce(p, 10)
    b.fetch("m", 0, [p], wait=2000)
    for n, bad in enumerate([[(5, 4, [ACCEPT])], [(0, 4, [])], [(0, 4, [ACCEPT, ACCEPT])], [(0, 4, [5])], [(0, 4, [-1])], [(0, 4, [RENEW])],
                             [(5, 6, [ACCEPT]), (0, 1, [ACCEPT])], [(0, 3, [ACCEPT]), (3, 4, [ACCEPT])], []]):
        b.acknowledge("m", 2 * n + 1, {p: bad})
        b.fetch("m", 2 * n + 2, {p: bad}, wait=0)
    b.acknowledge("m", 19, {p: [(0, 4, [RENEW])]}, version=1)
    b.acknowledge("m", 20, {p: [(0, 9, [ACCEPT])]}, version=1)
    b.fetch("m", 21, version=1, wait=0)
    b.fetch("m", 22, renews=True)
    b.fetch("m", 22, mode=7, wait=0)


def states(b, p):
    b.begin("g", p)
    b.produce(p, 10, 10)
    b.fetch("a", 0, [p], records=10, wait=2000)
    b.fetch("b", 0, [p], records=10)
    b.acknowledge("b", 1, {p: [(0, 9, [ACCEPT])]})
    b.acknowledge("b", 2, {p: [(0, 4, [ACCEPT])]})
    b.acknowledge("a", 1, {p: [(0, 4, [ACCEPT])]})
    b.acknowledge("a", 2, {p: [(0, 4, [ACCEPT])]})
    b.acknowledge("a", 3, {p: [(7, 7, [ACCEPT])]})
    b.acknowledge("a", 4, {p: [(7, 7, [ACCEPT])]})
    b.acknowledge("a", 5, {p: [(5, 9, [ACCEPT])]})
    b.acknowledge("a", 6, {p: [(8, 12, [ACCEPT])]})
    b.acknowledge("a", 7, {p: [(30, 31, [ACCEPT])]})
    b.acknowledge("a", 8, {p: [(15, 31, [ACCEPT])]})
    b.acknowledge("a", 9, {p: [(0, 1, [RELEASE]), (5, 5, [RELEASE])], p + 1: []})
    b.acknowledge("a", 10, {p: []})
    b.fetch("b", 3, wait=1000)
    b.close("b")
    time.sleep(0.5)
    b.fetch("a", 11, wait=1000)


def limits(b, p):
    b.begin("g", p)
    b.produce(p, *[10] * 15)
    b.fetch("l", 0, [p], records=5, wait=2000)
    b.fetch("l", 1, records=15)
    b.fetch("l", 2, records=25, size=10)
    b.fetch("l", 3, records=1, mode=RECORDS)
    b.fetch("l", 4, records=3, mode=RECORDS)
    b.fetch("l", 5, records=20, mode=RECORDS)
    b.fetch("l", 6, records=0, wait=0)
    b.fetch("l", 7, most=0, wait=0)
    b.fetch("l", 8, most=1)
    b.fetch("l", 9, most=1, mode=RECORDS)
    b.fetch("l", 10)
    b.fetch("l", 11, wait=0)
    b.acknowledge("l", 12, {p: [(3, 12, [RELEASE])]})
    b.fetch("l", 13, wait=1000)
    b.acknowledge("l", 14, {p: [(0, 60, [ACCEPT])]})
    b.fetch("l", 15, wait=1000)


def often(b, p, mode=BATCHES):
    b.begin("g", p)
    b.produce(p, 20)
    epoch = 0
    for _ in range(14):
        answer = b.fetch("o", epoch, [p], wait=1000, mode=mode, records=500 if mode == BATCHES else 7)
        epoch += 1
        got = fetched(answer, p)
        if got:
            b.acknowledge("o", epoch, {p: [(first, last, [RELEASE]) for first, last, _ in got]})
            epoch += 1


def often_in_parts(b, p):
    often(b, p, RECORDS)


def locks(b, p):
    b.configure("locks", share_record_lock_duration_ms="1000", share_delivery_count_limit="2")
    b.begin("locks", p)
    b.produce(p, 10)
    b.fetch("k", 0, [p], group="locks", wait=2000)
    b.acknowledge("k", 1, {p: [(0, 3, [ACCEPT])]}, group="locks")
    time.sleep(0.6)
    b.acknowledge("k", 2, {p: [(8, 9, [RENEW])]}, group="locks", renews=True)
    time.sleep(0.6)
    b.acknowledge("k", 3, {p: [(4, 4, [ACCEPT])]}, group="locks")
    b.fetch("k2", 0, [p], group="locks", wait=200)
    time.sleep(1.3)
    b.fetch("k2", 1, group="locks", wait=0)
    b.acknowledge("k2", 2, {p: [(4, 7, [ACCEPT])]}, group="locks")
    b.configure("locks", share_renew_acknowledge_enable="false")
    b.acknowledge("k2", 3, {p: [(8, 9, [RENEW])]}, group="locks", renews=True)


def deleted(b, p):
    b.begin("g", p)
    b.produce(p, 10, 10, 10)
    b.fetch("d", 0, [p], records=10, wait=2000)
    # Not within a batch: Apache Kafka gives out what is before the log's start too.
    b.delete_to(p, 20)
    b.fetch_some("d", 1)
    b.acknowledge("d", 11, {p: [(0, 9, [ACCEPT])]})
    b.acknowledge("d", 12, {p: [(10, 24, [ACCEPT])]})
    b.delete_to(p, 30)
    b.produce(p, 5)
    b.fetch_some("d", 13)
    b.acknowledge("d", 23, {p: [(25, 34, [ACCEPT])]})


def begins(b, p):
    for group, reset in (("earliest", "earliest"), ("latest", "latest"), ("by", "by_duration:PT1H")):
        b.configure(group, share_auto_offset_reset=reset)
        b.begin(group, p, start=-1)
    b.produce(p, 5)
    for group in ("earliest", "latest", "by"):
        b.fetch(group, 0, [p], group=group, wait=1000)
    b.produce(p, 5)
    for group in ("earliest", "latest"):
        b.fetch(group, 1, group=group, wait=1000)


def aborted(b, p):
    b.configure("committed", share_isolation_level="read_committed")
    for group in ("g", "committed"):
        b.begin(group, p)
    b.produce(p, 2)
    b.transaction(p, "x", [3, 2], False)
    b.transaction(p, "x", [4], True)
    b.fetch("t", 0, [p], group="committed", wait=1000)
    b.fetch("t", 0, [p], wait=1000)
    b.acknowledge("t", 1, {p: [(0, 1, [ACCEPT])]}, group="committed")
    b.fetch("t", 2, group="committed", wait=0)


def transaction(self, partition, name, counts, commits):
    """A transaction with batches of so many records."""
    for _ in range(200):
        begun = self.call("", "InitProducerId", 5, {"TransactionalId": name, "TransactionTimeoutMs": 30_000, "ProducerId": -1, "ProducerEpoch": -1})
        if begun["ErrorCode"] == 0:
            break
        self.call("", "FindCoordinator", 6, {"KeyType": 1, "CoordinatorKeys": [name]})
        time.sleep(0.1)
    of = {"ProducerId": begun["ProducerId"], "ProducerEpoch": begun["ProducerEpoch"]}
    topics = [{"Name": "t", "Partitions": [partition]}]
    self.call("", "AddPartitionsToTxn", 3, {"V3AndBelowTransactionalId": name, "V3AndBelowProducerId": of["ProducerId"], "V3AndBelowProducerEpoch": of["ProducerEpoch"], "V3AndBelowTopics": topics})
    sequence, errors = 0, []
    for count in counts:
        records = b"".join(record(n) for n in range(count))
        data = wire.batch(records, count, int(time.time() * 1000), wire.TRANSACTIONAL, producer=(of["ProducerId"], of["ProducerEpoch"], sequence))
        with wire.Connection(self.broker.port) as connection:
            body = struct.pack(">h", len(name)) + name.encode() + wire.produce_body("t", partition, data)[2:]
            errors.append(wire.produce_errors(connection.call(0, 3, body))[partition])
        sequence += count
    ended = self.call("", "EndTxn", 3, {"TransactionalId": name, **of, "Committed": commits})
    time.sleep(0.3)
    return errors, ended["ErrorCode"]


Asked.transaction = transaction


def chance(b, p, seed, steps):
    r = random.Random(seed)
    group = f"chance{seed}"
    b.begin(group, p)
    b.produce(p, *[r.randrange(1, 12) for _ in range(20)])
    epochs, held = {}, {}
    for _ in range(steps):
        member = r.choice("abc") + str(seed)
        kind = r.random()
        if kind < 0.02 and member in epochs:
            b.fetch(member, -1, group=group)
            epochs.pop(member)
            held = {at: who for at, who in held.items() if who != member}
            time.sleep(0.1)
        elif kind < 0.5 or member not in epochs:
            epoch = epochs.get(member, 0)
            answer = b.fetch(member, epoch, [p] if epoch == 0 else (), group=group, wait=2000 if epoch == 0 else 0,
                             records=r.randrange(1, 30), size=r.randrange(1, 20), mode=r.choice((BATCHES, RECORDS)), most=r.choice((1 << 20, 1000, 1)))
            epochs[member] = epoch + 1
            for first, last, _ in fetched(answer, p):
                held |= dict.fromkeys(range(first, last + 1), member)
        else:
            mine = sorted(at for at, who in held.items() if who == member)
            if not mine:
                continue
            first = last = r.choice(mine)
            while last + 1 in mine and r.random() < 0.8:
                last += 1
            kinds = [r.choice((GAP, ACCEPT, ACCEPT, RELEASE, RELEASE, REJECT))] if r.random() < 0.5 else [r.choice((GAP, ACCEPT, RELEASE, REJECT)) for _ in range(first, last + 1)]
            b.acknowledge(member, epochs[member], {p: [(first, last, kinds)]}, group=group)
            epochs[member] += 1
            for at in range(first, last + 1):
                held.pop(at)
        if b.difference:
            return


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sequences", type=int, default=20)
    p.add_argument("--steps", type=int, default=80)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", help="the rule of this name (or: chance), and nothing else")
    p.add_argument("--verbose", action="store_true")
    options = p.parse_args()
    c, schemas = checks.Checks(), schema.Schemas(jars.fetch())
    kafka, klamm = (Asked(b, schemas) for b in (brokers.Kafka(WORK, SETTINGS).start(), brokers.subject(WORK, SETTINGS).start()))
    both = Both(kafka, klamm, options.verbose)
    rules = (a_life, sessions, unknown, malformed, states, limits, often, often_in_parts, locks, deleted, begins, aborted)
    partition = 0
    for rule in rules:
        name = rule.__name__.replace("_", " ")
        if options.only in (None, name):
            rule(both.start(), partition)
            c.check(name, not both.difference, both.difference or "")
        partition += 2
    for n in range(options.sequences if options.only in (None, "chance") else 0):
        seed = options.seed + n
        chance(both.start(), 24 + n % (PARTITIONS - 24), seed, options.steps)
        c.check(f"chance {seed}", not both.difference, both.difference or "")
    klamm.broker.stop()
    c.finish()


main()
