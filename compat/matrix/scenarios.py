"""The scenarios, written once for all clients: each is a function of a session, and passes when it returns.

The order is the order of the table's rows.
"""

import random
import string
import time

from compat.matrix.client import NotApplicable
from compat.matrix.session import CODECS, PATIENCE, equal, need, record

SCENARIOS = {}

TOPIC_EXISTS, UNKNOWN_TOPIC, TOO_LARGE, INVALID_PARTITIONS, INVALID_CONFIG = 36, 3, 10, 37, 40


def scenario(name):
    def add(function):
        SCENARIOS[name] = function
        return function
    return add


def noise(size, seed=1):
    """Text that does not compress to nothing."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=size))


def values(records):
    return [r["value"] for r in records]


def numbered(n, partition=0, start=0):
    return [record(f"value {i}", f"key {i}", partition) for i in range(start, start + n)]


# -- metadata and admin


@scenario("metadata")
def metadata(s):
    s.topic("seen-in-metadata", 3)
    got = s.eventually("the topic is in the metadata", lambda: (m := s.call("metadata")) and "seen-in-metadata" in m["topics"] and m)
    equal("brokers", [[1, "127.0.0.1", s.broker.port]], got["brokers"])


@scenario("topics")
def topics(s):
    s.call("create_topic", topic="made", partitions=3, configs={"retention.ms": "3600000"})
    got = s.eventually("three partitions with a leader",
                       lambda: (d := s.call("describe_topic", topic="made")["partitions"]) and len(d) == 3 and d)
    equal("partitions", [[p, 1, [1], [1]] for p in range(3)], sorted(got))
    s.fails(TOPIC_EXISTS, "create_topic", topic="made", partitions=3, configs={})
    s.call("delete_topic", topic="made")
    s.eventually("the deleted topic is gone", lambda: s.fails(None, "describe_topic", topic="made"))


@scenario("topic configs")
def topic_configs(s):
    s.topic("configured", 1, retention_ms=7200000)
    equal("as created", "7200000", s.call("describe_config", topic="configured")["configs"].get("retention.ms"))
    s.call("alter_config", topic="configured", configs={"retention.ms": "60000", "cleanup.policy": "compact"})

    def both():
        got = s.call("describe_config", topic="configured")["configs"]
        return (got.get("retention.ms"), got.get("cleanup.policy")) == ("60000", "compact")
    s.eventually("the new values", both)


@scenario("create partitions")
def partitions(s):
    s.topic("grows", 1)
    s.call("create_partitions", topic="grows", count=4)
    s.eventually("four partitions", lambda: len(s.call("describe_topic", topic="grows")["partitions"]) == 4)
    s.fails(INVALID_PARTITIONS, "create_partitions", topic="grows", count=2)


@scenario("group admin")
def group_admin(s):
    s.topic("watched", 2)
    s.consumer("w", group="watched-group", topics=["watched"], protocol="eager")
    s.settle(["w"], lambda owned: len(owned["w"]) == 2)
    need("watched-group" in s.call("list_groups")["groups"], "the group is not in the list")
    equal("state and members", {"state": "Stable", "members": 1}, s.call("describe_group", group="watched-group"))
    s.close("close_consumer", consumer="w")
    s.eventually("the empty group is deleted", lambda: s.call("delete_group", group="watched-group") is not None)
    need("watched-group" not in s.call("list_groups")["groups"], "the deleted group is in the list")


# -- records


@scenario("produce and consume")
def produce_and_consume(s):
    s.topic("plain", 3)
    sent = [record(f"value {i}", f"key {i}", i % 3) for i in range(300)]
    offsets = s.produce("plain", sent)
    equal("offsets", [(i % 3, i // 3) for i in range(300)], [(p, i // 3 if o is None else o) for i, (p, o) in enumerate(offsets)])
    got = s.read("plain", 300, (0, 1, 2))
    equal("records", [(i % 3, i // 3, f"key {i}", f"value {i}") for i in sorted(range(300), key=lambda i: (i % 3, i))],
          [(r["partition"], r["offset"], r["key"], r["value"]) for r in got])


def compressed(codec):
    def run(s):
        topic = s.topic(f"in-{codec}")
        sent = [record(f"value {i} " + "x" * 200, f"key {i}") for i in range(200)]
        s.produce(topic, sent, codec=codec)
        equal("codecs in the log", {codec}, {b["codec"] for b in s.batches(topic)})
        equal("records", [(r["key"], r["value"]) for r in sent], [(r["key"], r["value"]) for r in s.read(topic, 200)])
    return run


for _codec in CODECS[1:]:
    scenario(_codec)(compressed(_codec))


@scenario("headers")
def headers(s):
    s.topic("with-headers")
    want = [["trace", "abc"], ["empty", ""], ["größe", "ß"]]
    s.produce("with-headers", [record("v", "k", headers=want), record("no headers")])
    got = s.read("with-headers", 2)
    # A client that keeps headers in a map cannot keep the order of different names.
    equal("headers", sorted(want), sorted(got[0]["headers"]))
    equal("no headers", [], got[1]["headers"])


@scenario("headers of one name")
def repeated_headers(s):
    s.topic("with-headers-again")
    s.produce("with-headers-again", [record("v", "k", headers=[["trace", "abc"], ["other", "x"], ["trace", "again"]])])
    equal("values of one name", ["abc", "again"], [v for k, v in s.read("with-headers-again", 1)[0]["headers"] if k == "trace"])


@scenario("null keys and values")
def nulls(s):
    s.topic("nulls")
    sent = [record("v", None), record(None, "k"), record("", "")]
    s.produce("nulls", sent)
    equal("records", [(r["key"], r["value"]) for r in sent], [(r["key"], r["value"]) for r in s.read("nulls", 3)])


@scenario("large records and batches")
def large(s):
    s.topic("large")
    one = noise(900_000)
    s.produce("large", [record(one)], max_bytes=1_000_000)
    need(values(s.read("large", 1)) == [one], "the record of 900 kB came back changed")
    s.topic("large-batch")
    many = [record(noise(1000, i), str(i)) for i in range(850)]
    s.produce("large-batch", many, max_bytes=1_000_000)
    need(values(s.read("large-batch", 850)) == values(many), "the batch of 850 kB came back changed")


@scenario("timestamps")
def timestamps(s):
    s.topic("own-times")
    base = int(time.time() * 1000) - 3_600_000
    s.produce("own-times", [record(str(i), timestamp=base + 1000 * i) for i in range(5)])
    equal("timestamps", [base + 1000 * i for i in range(5)], [r["timestamp"] for r in s.read("own-times", 5)])
    s.topic("broker-times", 1, message_timestamp_type="LogAppendTime")
    s.produce("broker-times", [record("x", timestamp=base)])
    took = s.read("broker-times", 1)[0]["timestamp"]
    need(abs(took - time.time() * 1000) < 120_000, f"a log append time of {took}")


@scenario("offsets by time")
def time_lookup(s):
    s.topic("looked-up")
    base = int(time.time() * 1000) - 3_600_000
    s.produce("looked-up", [record(str(i), timestamp=base + 1000 * i) for i in range(10)])
    for at, want in (("earliest", 0), ("latest", 10), (base + 3500, 4), (base, 0)):
        equal(f"the offset at {at if isinstance(at, str) else at - base}", want, s.call("offset", topic="looked-up", partition=0, at=at)["offset"])


@scenario("idempotence")
def idempotence(s):
    s.topic("idempotent")
    name = s.producer("i", idempotent=True)
    for i in range(5):
        s.send(name, "idempotent", numbered(10, start=10 * i))
    batches = s.batches("idempotent")
    need(batches[0]["producer"] >= 0, f"a batch without a producer id: {batches[0]}")
    equal("producer ids", 1, len({b["producer"] for b in batches}))
    equal("sequence numbers", [b["offset"] for b in batches], [b["sequence"] for b in batches])
    equal("records", values(numbered(50)), values(s.read("idempotent", 50)))


# -- groups


def all_of(topic, n):
    return [(topic, p) for p in range(n)]


def shared(s, topic, protocol):
    """Two members share four partitions, read them once, and one takes over what the other leaves."""
    s.topic(topic, 4)
    group = f"{topic}-group"
    s.consumer("a", group=group, topics=[topic], protocol=protocol)
    s.settle(["a"], lambda owned: owned["a"] == all_of(topic, 4))
    s.consumer("b", group=group, topics=[topic], protocol=protocol)
    s.settle(["a", "b"], lambda owned: sorted(owned["a"] + owned["b"]) == all_of(topic, 4) and len(owned["a"]) == 2)
    equal("members that the broker knows", (protocol, 2), described(s, group))
    s.produce(topic, [record(f"{p} {i}", partition=p) for p in range(4) for i in range(10)])
    got, deadline = {"a": [], "b": []}, time.monotonic() + PATIENCE
    while len(got["a"]) + len(got["b"]) < 40:
        need(time.monotonic() < deadline, f"{len(got['a'])} and {len(got['b'])} of 40 records")
        for member in got:
            got[member] += s.poll(member)[0]
    equal("records of each", (20, 20), (len(got["a"]), len(got["b"])))
    equal("records, once each", sorted(f"{p} {i}" for p in range(4) for i in range(10)), sorted(values(got["a"] + got["b"])))
    s.close("close_consumer", consumer="b")
    s.settle(["a"], lambda owned: owned["a"] == all_of(topic, 4))


def described(s, group):
    """(assignor or "consumer", number of members), as the broker has it."""
    new = s.raw("ConsumerGroupDescribe", 0, GroupIds=[group])["Groups"][0]
    if not new["ErrorCode"]:
        return "consumer", len(new["Members"])
    old = s.raw("DescribeGroups", 4, Groups=[group])["Groups"][0]
    name = old["ProtocolData"]
    return "cooperative" if "cooperative" in name.lower() else "eager", len(old["Members"])


@scenario("group, eager")
def group_eager(s):
    shared(s, "eager", "eager")


@scenario("group, cooperative")
def group_cooperative(s):
    shared(s, "cooperative", "cooperative")


@scenario("group, consumer protocol")
def group_consumer(s):
    shared(s, "new-protocol", "consumer")


@scenario("group, static")
def group_static(s):
    s.topic("static", 4)

    def member(name):
        return s.consumer(name, group="static-group", topics=["static"], protocol="eager", instance=f"instance-{name}")

    def described_now():
        return sorted((m["GroupInstanceId"], m["MemberId"]) for m in s.raw("DescribeGroups", 4, Groups=["static-group"])["Groups"][0]["Members"])
    member("a")
    s.settle(["a"], lambda owned: len(owned["a"]) == 4)
    member("b")
    before, _ = s.settle(["a", "b"], lambda owned: len(owned["a"]) == len(owned["b"]) == 2)
    known = described_now()
    equal("instances", ["instance-a", "instance-b"], [i for i, _ in known])
    # One that goes and comes back as the same instance keeps its partitions, and the other notices nothing.
    s.close("close_consumer", consumer="b")
    equal("instances while one is away", ["instance-a", "instance-b"], [i for i, _ in described_now()])
    member("b")
    after, _ = s.settle(["a", "b"], lambda owned: len(owned["b"]) == 2)
    equal("assignments after a restart", before, after)
    equal("the member id of the other", known[0], described_now()[0])


# -- committed offsets


@scenario("commit")
def commit(s):
    s.topic("committed")
    s.produce("committed", numbered(20))
    s.consumer("c", group="commits", topics=["committed"], protocol="eager")
    s.take("c", 20)
    s.call("commit", consumer="c", offsets=[["committed", 0, 12]])
    s.close("close_consumer", consumer="c")
    equal("committed", [[0, 12]], s.call("group_offsets", group="commits", topic="committed")["offsets"])
    s.consumer("again", group="commits", topics=["committed"], protocol="eager")
    equal("the rest", [12, 13, 14, 15, 16, 17, 18, 19], [r["offset"] for r in s.take("again", 8)])


@scenario("reset offsets")
def reset(s):
    s.topic("reset", 2)
    s.produce("reset", numbered(10) + numbered(10, 1))
    s.consumer("c", group="resets", topics=["reset"], protocol="eager")
    s.take("c", 20)
    s.call("commit", consumer="c", offsets=[["reset", 0, 10], ["reset", 1, 10]])
    s.close("close_consumer", consumer="c")
    s.eventually("the empty group's offsets are set",
                 lambda: s.call("alter_group_offsets", group="resets", topic="reset", offsets=[[0, 3], [1, 8]]) is not None)
    s.consumer("again", group="resets", topics=["reset"], protocol="eager")
    equal("offsets from there", [(0, o) for o in range(3, 10)] + [(1, 8), (1, 9)],
          sorted((r["partition"], r["offset"]) for r in s.take("again", 9)))


@scenario("lag")
def lag(s):
    s.topic("lagging")
    s.produce("lagging", numbered(50))
    s.consumer("c", group="lags", topics=["lagging"], protocol="eager")
    s.take("c", 50)
    s.call("commit", consumer="c", offsets=[["lagging", 0, 20]])
    end = s.call("offset", topic="lagging", partition=0, at="latest")["offset"]
    done = s.call("group_offsets", group="lags", topic="lagging")["offsets"]
    equal("lag", 30, end - done[0][1])


# -- transactions


@scenario("transaction, commit")
def transaction_commit(s):
    s.topic("paid", 2)
    name = s.producer("t", transactional="pays")
    for i in range(3):
        s.call("begin", producer=name)
        s.send(name, "paid", numbered(5, 0, 5 * i) + numbered(5, 1, 5 * i))
        s.call("end", producer=name, commit=True)
    equal("read_committed", values(numbered(15)) * 2, values(s.read("paid", 30, (0, 1), "read_committed")))
    kinds = [(b["transactional"], b["control"]) for b in s.batches("paid")]
    equal("markers", 3, kinds.count((True, True)))
    equal("batches outside of transactions", 0, kinds.count((False, False)))


@scenario("transaction, abort")
def transaction_abort(s):
    s.topic("undone")
    name = s.producer("t", transactional="undoes")
    for start, good in ((0, True), (10, False), (20, True)):
        s.call("begin", producer=name)
        s.send(name, "undone", numbered(10, start=start))
        s.call("end", producer=name, commit=good)
    equal("read_committed", values(numbered(10) + numbered(10, start=20)), values(s.read("undone", 20, isolation="read_committed")))
    equal("read_uncommitted", values(numbered(30)), values(s.read("undone", 30)))


@scenario("transaction with offsets")
def transaction_offsets(s):
    s.topic("from")
    s.topic("to")
    s.produce("from", numbered(10))
    s.consumer("c", group="moves", topics=["from"], protocol="eager", isolation="read_committed")
    s.take("c", 10)
    name = s.producer("t", transactional="moves")
    for offset, good in ((4, True), (9, False)):
        s.call("begin", producer=name)
        s.send(name, "to", [record(f"up to {offset}")])
        s.call("send_offsets", producer=name, consumer="c", group="moves", offsets=[["from", 0, offset]])
        s.call("end", producer=name, commit=good)
    equal("records", ["up to 4"], values(s.read("to", 1, isolation="read_committed")))
    equal("committed", [[0, 4]], s.call("group_offsets", group="moves", topic="from")["offsets"])


# -- faults


@scenario("topic made anew")
def recreate(s):
    s.topic("anew")
    name = s.producer("p")
    s.send(name, "anew", numbered(10))
    s.read("anew", 10)
    gone = s.raw("DeleteTopics", 4, TopicNames=["anew"], TimeoutMs=20_000)["Responses"][0]["ErrorCode"]
    equal("the driver's DeleteTopics", 0, gone)
    s.topic("anew")
    # The same producer goes on. It may tell that the topic was not there, but not for long.
    s.eventually("the producer goes on", lambda: s.send(name, "anew", [record("new")]), PATIENCE)
    got = s.read("anew", sum(b["count"] for b in s.batches("anew")))
    equal("records of the new topic", {"new"}, set(values(got)))
    equal("its first offset", 0, got[0]["offset"])


@scenario("broker restart")
def restart(s):
    s.topic("survives")
    name = s.producer("p")
    s.consumer("c", group="survivors", topics=["survives"], protocol="eager")
    s.send(name, "survives", numbered(20))
    before = s.take("c", 20)
    s.call("commit", consumer="c", offsets=[["survives", 0, 20]])
    s.broker.stop()
    s.broker.start()
    s.send(name, "survives", numbered(20, start=20))
    # A member that joins anew begins where it committed, and may see again what came since; but nothing older.
    after, deadline = {}, time.monotonic() + PATIENCE
    while len(after) < 20:
        need(time.monotonic() < deadline, f"{len(after)} of 20 records after the restart")
        after.update((r["offset"], r["value"]) for r in s.poll("c")[0])
    equal("records before", values(numbered(20)), values(before))
    equal("records after", dict(enumerate(values(numbered(20, start=20)), 20)), after)
    s.eventually("the commit after the restart", lambda: s.call("commit", consumer="c", offsets=[["survives", 0, 40]]) is not None)
    # An admin client that was idle meanwhile may tell of its dead connection, once.
    s.eventually("the offset is committed", lambda: s.call("group_offsets", group="survivors", topic="survives")["offsets"] == [[0, 40]])


@scenario("unknown topic")
def unknown_topic(s):
    s.fails(UNKNOWN_TOPIC, "describe_topic", topic="nowhere")
    name = s.producer("p", timeout_ms=3000)
    s.fails(None, "send", producer=name, topic="nowhere", records=[record("x")])


@scenario("record too large")
def too_large(s):
    s.topic("small", 1, max_message_bytes=10_000)
    name = s.producer("p")
    s.fails(TOO_LARGE, "send", producer=name, topic="small", records=[record(noise(100_000))])
    s.send(name, "small", [record("fits")])
    equal("what fits", ["fits"], values(s.read("small", 1)))


@scenario("invalid config")
def invalid_config(s):
    s.fails(INVALID_CONFIG, "create_topic", topic="invalid", partitions=1, configs={"retention.ms": "tomorrow"})
    s.topic("valid")
    s.fails(INVALID_CONFIG, "alter_config", topic="valid", configs={"cleanup.policy": "shred"})


@scenario("not authorised")
def not_authorised(s):
    raise NotApplicable("compat/security-acls")
