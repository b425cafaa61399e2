"""A script for each rule of the transactional APIs, by its name."""

from raw_steps import (add, add_offsets, describe, describe_producers, end, end_offsets, init, listing, look, markers, offsets_of, produce,
                       recover, txn_commit)

ALL = {}
TOPIC = {"create": "~t", "partitions": 2}
NOBODY = 987_654_321


def rule(name, *parts, topic=True):
    script = [TOPIC] if topic else []
    for part in parts:
        script += part if isinstance(part, list) else [part]
    ALL[name] = script


def old(who="p", v=3, produce_v=11, commit=True, end_v=4, **more):
    """A transaction as before KIP-890."""
    return [add(who, {"~t": [0, 1]}, v, **more), produce(who, 0, produce_v, **more), produce(who, 1, produce_v, **more), end(who, commit, end_v, **more)]


def new(who="p", commit=True, **more):
    """A transaction of `transaction.version` 2."""
    return [produce(who, 0, 12, **more), produce(who, 1, 12, **more), end(who, commit, 5, **more)]


for v in range(6):
    rule(f"InitProducerId {v}", init(v=v), describe(), init(v=v), describe(), init("q", v=v), init("n", v=v, id=None), topic=False)
    rule(f"AddPartitionsToTxn {v}", init(), old(v=v), look(), old(v=v, commit=False), look())
    rule(f"EndTxn {v}", init(), old(end_v=v), look(), old(end_v=v, commit=False), look(), old(end_v=v), look())
    flow = [] if v == 5 else [add_offsets(v=min(v, 4))]
    rule(f"TxnOffsetCommit {v}", init(), flow, txn_commit(v=v), offsets_of(), describe(), end(v=5 if v == 5 else 4), offsets_of(), flow, txn_commit(v=v, offsets={"~t": [(0, 9), (1, 8)]}),
         end(commit=False, v=5 if v == 5 else 4), offsets_of(), flow, txn_commit(v=v, offsets={"~nope": [(0, 9)], "~t": [(7, 1), (1, 3)]}), end(v=5 if v == 5 else 4), offsets_of(), look())
for v in (3, 5, 7, 8, 9, 10, 11):
    rule(f"Produce {v} in a transaction", init(), add(), produce(v=v), produce(v=v), end(), look())

rule("InitProducerId that is wrong", init(id=""), init(timeout=0), init(timeout=-1), init(timeout=900_001), init(timeout=900_000), init(timeout=2**31 - 1), init(producer=5), init(epoch=3),
     init(producer=5, epoch=3), init(producer=-2, epoch=-2), describe(), init(v=4, producer=NOBODY, epoch=0, id="~other"), describe("~other"), topic=False)
rule("InitProducerId again and again", init(), recover(), recover(epoch="-1"), recover(epoch="+1"), describe(), init("q"), recover("p"), recover("q"), recover("q", epoch="-1"), recover("q", v=3, epoch="-2"),
     recover("q", epoch="-2"), describe(), topic=False)
rule("InitProducerId in a transaction", init(), add(), produce(), init("q", once=True), init("q"), describe(), look(), new("q"), look(), end("p"), end("p", v=5),
     produce("p"), produce("p", v=12), add("p"), add_offsets("p"), txn_commit("p", v=3), txn_commit("p", v=5), look())
rule("recovery in a transaction", init(), add(), produce(), recover("p"), describe(), look(), old(), look())
rule("recovery in a transaction, new", init(), produce(v=12), recover("p"), describe(), look(), new(), look())
rule("recovery of a fenced producer", init(), init("q"), recover("p"), recover("p", v=3), recover("p", v=4), end("p", v=1), end("p", v=2), describe(), topic=False)
rule("both flows, one after the other", init(), old(), new(), old(), new(commit=False), old(commit=False), new(), look())
rule("EndTxn for nothing", init(), end(v=4), end(commit=False, v=4), end(v=5), end(commit=False, v=5), describe(), end(v=5), end(v=5, epoch="-1"), end(v=5, epoch="-1", commit=False), end(v=0), look())
rule("EndTxn for nothing after a transaction", init(), new(), end(v=5), end(v=5, commit=False), end(v=5), end(v=4), end(v=4, commit=False), new(commit=False), end(v=5), end(v=4), end(v=4, commit=False),
     end(v=5, commit=False), look())
rule("EndTxn of an unknown id", end(id="~nope"), end(id="~nope", v=5), init(), end(id="~nope"), end(producer=NOBODY), end(producer=NOBODY, v=5), end(id=""), end(id="", v=5), topic=False)
rule("EndTxn again, old", init(), old(), end(), end(commit=False), end(v=5), end(v=5, epoch="-1"), describe(), old(commit=False), end(commit=False), end(), look())
rule("EndTxn again, new", init(), new(), end(v=5, epoch="-1"), end(v=5, epoch="-1", commit=False), end(v=4, epoch="-1"), end(v=5, epoch="-2"), describe(), new(commit=False), end(v=5, epoch="-1", commit=False),
     end(v=5, epoch="-1"), end(v=4, epoch="-1", commit=False), look())
for v in (0, 1, 2, 4, 5):
    rule(f"EndTxn {v} of a wrong epoch", init(), init(), add(), produce(), end(v=v, epoch="+1"), end(v=v, epoch="-1"), end(v=v, epoch="+9"), describe(), end(v=v), look())
rule("AddPartitionsToTxn that is wrong", add(), add(v=0), add(v=4), init(), init(), add(partitions={"~nope": [0]}), add(partitions={"~t": [0, 5]}), add(partitions={"~t": [0], "~nope": [0, 1]}), describe(),
     add(partitions={}), add(partitions={"~t": []}), add(id=""), add(id="~nope"), add(producer=NOBODY), *[add(v=v, epoch=e) for v in (0, 1, 2, 3, 4, 5) for e in ("-1", "+1")], describe(),
     add(partitions={"__consumer_offsets": [0]}), add(partitions={"__transaction_state": [0]}), describe(), end(commit=False), look())
rule("AddPartitionsToTxn twice", init(), add(), add(), describe(), add(partitions={"~t": [0, 1]}), add(partitions={"~t": [1, 1]}), describe(), end(), look())
for v in (4, 5):
    rule(f"verification {v}", add(v=v, verify=True), init(), init(), add(v=v, verify=True), add(v=v), add(v=v, verify=True), add(v=v, partitions={"~t": [0, 1]}, verify=True), add(v=v, verify=True, epoch="+1"),
         add(v=v, verify=True, epoch="-1"), add(v=v, verify=True, producer=NOBODY), add(v=v, verify=True, id="~nope"), end(), add(v=v, verify=True), look())
rule("several transactions at once", init("p"), init("q", id="~j"), {"api": "AddPartitionsToTxn", "v": 4, "body": {"Transactions": [
    {"TransactionalId": "~i", "ProducerId": "$p.id", "ProducerEpoch": "$p.epoch", "VerifyOnly": False, "Topics": [{"Name": "~t", "Partitions": [0]}]},
    {"TransactionalId": "~j", "ProducerId": "$q.id", "ProducerEpoch": "$q.epoch+1", "VerifyOnly": False, "Topics": [{"Name": "~t", "Partitions": [0]}]},
    {"TransactionalId": "~x", "ProducerId": "$q.id", "ProducerEpoch": "$q.epoch", "VerifyOnly": True, "Topics": [{"Name": "~t", "Partitions": [1]}]}]}},
    describe("~i", "~j"), end("p"), look())
rule("AddOffsetsToTxn that is wrong", add_offsets(), init(), init(), *[add_offsets(v=v, epoch=e) for v in (0, 1, 2, 3, 4) for e in ("-1", "+1")], add_offsets(id=""), add_offsets(id="~nope"), add_offsets(producer=NOBODY),
     add_offsets(group=""), describe(), end(commit=False), describe())
rule("TxnOffsetCommit that is wrong", txn_commit(v=3), txn_commit(v=5), init(), init(), txn_commit(v=3), txn_commit(v=4), txn_commit(v=5), describe(), *[txn_commit(v=v, epoch=e) for v in range(6) for e in ("-1", "+1")],
     txn_commit(v=5, id=""), txn_commit(v=5, id="~nope"), txn_commit(v=5, producer=NOBODY), txn_commit(v=3, producer=NOBODY), txn_commit(v=5, group=""), txn_commit(v=3, group=""),
     *[txn_commit(v=v, generation=g, member=m, instance=i) for v in (3, 5) for g, m, i in ((3, "nobody", None), (-1, "nobody", None), (3, "", None), (-1, "", "static"), (5, "nobody", "static"))],
     offsets_of(), offsets_of(stable=True), end(v=5), offsets_of(stable=True), look())
rule("pending offsets are not stable", init(), txn_commit(v=5), offsets_of(), offsets_of(stable=True), {"api": "OffsetDelete", "v": 0, "body": {"GroupId": "~g", "Topics": [{"Name": "~t", "Partitions": [{"PartitionIndex": 0}]}]}},
     {"api": "DeleteGroups", "v": 2, "body": {"GroupsNames": ["~g"]}}, {"api": "DescribeGroups", "v": 5, "body": {"Groups": ["~g"]}}, end(v=5), offsets_of(stable=True),
     {"api": "DeleteGroups", "v": 2, "body": {"GroupsNames": ["~g"]}}, offsets_of())
rule("pending offsets and plain ones", init(), txn_commit(v=5, offsets={"~t": [(0, 5), (1, 6)]}), {"api": "OffsetCommit", "v": 8, "body": {"GroupId": "~g", "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
    {"Name": "~t", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 77, "CommittedLeaderEpoch": -1, "CommittedMetadata": "plain"}]}]}}, offsets_of(), end(v=5), offsets_of())
rule("two transactions of offsets", init("p"), init("q", id="~j"), txn_commit("p", v=5, offsets={"~t": [(0, 5)]}), txn_commit("q", v=5, id="~j", offsets={"~t": [(0, 9), (1, 1)]}), offsets_of(stable=True), end("q", v=5, id="~j"),
     offsets_of(), offsets_of(stable=True), end("p", v=5), offsets_of(), offsets_of(stable=True))
rule("offsets of a deleted topic", init(), txn_commit(v=5), {"delete": "~t"}, end(v=5), describe(), offsets_of())
rule("sequence gaps", init(), add(partitions={"~t": [0, 1]}), produce(sequence="+1"), produce(), produce(sequence="+3"), produce(sequence="-1"), produce(), produce(sequence="-2"), produce(sequence="+100"), end_offsets(False), end(), look())
rule("sequence gaps, new", init(), produce(v=12, sequence="+1"), produce(v=12), produce(v=12, sequence="+3"), produce(v=12, sequence="-1"), end(v=5), produce(v=12, sequence="+2"), produce(v=12), end(v=5), look())
for v in (8, 11, 12):
    rule(f"Produce {v} of a wrong epoch", init(), init(), add(), produce(v=v, epoch="+1"), produce(v=v), produce(v=v, epoch="+1"), produce(v=v, epoch="-1"), end(), init("q"), produce("p", v=v), produce("p", v=v, epoch="+9"),
         produce("q", v=v), look())
    rule(f"Produce {v} outside a transaction", produce(v=v), init(), produce(v=v), describe(), add(partitions={"~t": [1]}), produce(v=v), produce(v=v, partition=1), end(), produce(v=v, partition=1), end(v=5), look())
    rule(f"Produce {v} that is wrong", init(), add(), produce(v=v, id="~nope"), produce(v=v, id=None), produce(v=v, id=""), produce(v=v, topic="~nope"), produce(v=v, partition=7), produce(v=v, acks=1), produce(v=v, acks=3),
         produce(v=v, topic="__consumer_offsets"), produce(v=v, topic="__transaction_state"), look())
rule("a transaction that takes too long", init(timeout=700), add(), produce(), {"sleep": 1800}, describe(), look(), produce(), end(), end(v=5), end(commit=False), add(), init(timeout=60_000), old(), look())
rule("a transaction that takes too long, new", init(timeout=700), produce(v=12), txn_commit(v=5), {"sleep": 1800}, describe(), look(), produce(v=12), end(v=5), end(v=5, commit=False), txn_commit(v=5), produce(v=12, epoch="+1"), recover(),
     new(), look())
rule("a transaction that takes too long, offsets", init(timeout=700), add_offsets(), txn_commit(v=3), {"sleep": 1800}, describe(), offsets_of(stable=True), txn_commit(v=3), txn_commit(v=2), add_offsets(), look())
rule("the topic is deleted in a transaction", init(), {"create": "~u", "partitions": 1}, add(partitions={"~t": [0], "~u": [0]}), produce(), produce(topic="~u"), describe(), {"delete": "~u"}, describe(), produce(topic="~u"), end(), describe(),
     look(), old(), look())
rule("the topic is made anew in a transaction", init(), add(), produce(), {"delete": "~t"}, TOPIC, produce(), end_offsets(True), end(), look(), old(), look())
rule("a marker for a partition that is not there", init(), markers(("p", "+0", True, {"~nope": [0], "~t": [0, 9]}, 0, 0)), markers(("p", "+0", True, {}, 0, 0)), markers(), look())
for v in (1,):
    rule(f"WriteTxnMarkers {v}", init(), init(), add(), produce(), markers(("p", "+0", True, {"~t": [0]}, 0, 0), v=v), look(), produce(), markers(("p", "+0", False, {"~t": [0]}, 1, 0), v=v), produce(), markers(("p", "+0", False, {"~t": [0]}, 0, 0), v=v),
         markers(("p", "-1", False, {"~t": [0]}, 1, 0), v=v), markers(("p", "+1", False, {"~t": [0, 1]}, 1, 0), v=v), look(), end(), describe(), look())
rule("WriteTxnMarkers into __consumer_offsets", init(), txn_commit(v=5), markers(("p", "+1", True, {"__consumer_offsets": [0, 1, 2, 3, 4]}, 0, 2)), offsets_of(), offsets_of(stable=True), end(v=5), offsets_of())
rule("WriteTxnMarkers of several", init("p"), init("q", id="~j"), add("p"), add("q", id="~j", partitions={"~t": [0, 1]}), produce("p"), produce("q", id="~j"), produce("q", 1, id="~j"),
     markers(("p", "+0", True, {"~t": [0]}, 0, 0), ("q", "+0", False, {"~t": [0, 1]}, 0, 0)), look(), end("p"), end("q", id="~j"), look())
rule("listing", init("p"), init("q", id="~j"), init("r", id="~k"), listing(), add("q", id="~j"), end("r", id="~k"), *[listing(v=v) for v in (0, 1, 2)], listing(states=["Ongoing"]), listing(states=["Empty", "Ongoing"]),
     listing(states=["Nope"]), listing(states=["Nope", "Empty", "Nope", ""]), listing(states=["ongoing"]), listing(states=["Dead", "PrepareEpochFence", "Unknown"]), listing(producers=["$p.id", "$q.id"]), listing(producers=[NOBODY, -1]),
     listing(producers=["$p.id"], states=["Ongoing"]), {"sleep": 50}, listing(duration=0), listing(duration=10), listing(duration=100_000), listing(duration=-7), listing(pattern=".*j"), listing(pattern=""),
     listing(pattern="j"), listing(pattern="("), listing(pattern="[", states=["Ongoing"]), listing(pattern=".*[ij]"), listing(pattern=".*", states=["Ongoing"]), end("q", id="~j"), listing(), listing(states=["CompleteCommit"]), listing(duration=0))
rule("describing", init(), describe("~i", "~nope", "", "~i"), add(partitions={"~t": [1, 0]}), add_offsets(), describe(), produce(), end(commit=False), describe(), topic=True)
rule("describing producers", describe_producers(), describe_producers({"~nope": [0], "~t": [0, 9]}), init(), add(), describe_producers(), produce(), describe_producers(), produce(), end(), describe_producers(),
     {"api": "DescribeProducers", "v": 0, "body": {"Topics": []}}, describe_producers({"~t": []}), describe_producers({"": [0]}))
rule("a second instance, old", init("p"), add("p"), produce("p"), init("q"), produce("p"), add("p"), end("p"), add("q"), produce("q"), produce("p"), end("q"), end("p"), look())
rule("a second instance, new", init("p"), produce("p", v=12), init("q"), produce("p", v=12), txn_commit("p", v=5), end("p", v=5), produce("q", v=12), produce("p", v=12), end("q", v=5), end("p", v=5), look())
rule("an old client after a new one", init("p"), new("p"), init("q", v=2), old("q", v=0, end_v=0), look(), init("p"), new("p"), look())
rule("nobody's producer", {"api": "InitProducerId", "v": 5, "bind": "p", "body": {"TransactionalId": None, "TransactionTimeoutMs": 60000, "ProducerId": -1, "ProducerEpoch": -1}}, add("p"), produce("p", id=None), produce("p"), end("p"), look())

# A client that dies between every two requests, and its successor.
for flow, steps in (("old", [add(partitions={"~t": [0, 1]}), produce(), produce(partition=1), add_offsets(), txn_commit(v=3), end()]),
                    ("new", [produce(v=12), produce(partition=1, v=12), txn_commit(v=5), end(v=5)])):
    for length in range(len(steps) + 1):
        rule(f"a client dies after {length} requests, {flow}", init("p"), steps[:length], init("q"), look(), old("q") if flow == "old" else new("q"), look(), steps[length:], look())
