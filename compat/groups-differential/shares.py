"""The scripts for share groups, as scenarios.py has them for the others."""

from scenarios import rule, stable
from steps import beat, commit, consume, delete, describe, describe_consumer, enter, fetch, join, leave, listing, offset_delete, sync

# What brokers have to keep the state of share groups in, and members that come to an end.
SETTINGS = {
    "share.coordinator.state.topic.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.share.assignment.interval.ms": 0,
    "group.share.min.session.timeout.ms": 1000,
    "group.share.max.size": 5,
    "group.share.assignor.offload.enable": "false",
}
# For a broker to have the state of new partitions initialised: it answers before that.
SETTLED = {"sleep": 2500}


def share(who, group="~g", epoch=0, topics=None, rack=None, member=None):
    """A share member's heartbeat: the first one by default, `epoch=None` for a later one with the epoch it was told."""
    topics = ["a"] if epoch == 0 and topics is None else topics
    body = {"GroupId": group, "MemberId": f"!{who}" if member is None else member, "MemberEpoch": f"${who}.epoch" if epoch is None else epoch,
            "RackId": rack, "SubscribedTopicNames": topics}
    return {"api": "ShareGroupHeartbeat", "v": 1, "client": f"c{who}", "body": body, "bind": who}


def stay(who, **more):
    return share(who, epoch=None, **more)


def go(who, **more):
    return share(who, epoch=-1, **more)


def describe_share(*groups, ops=False):
    return {"api": "ShareGroupDescribe", "v": 1, "body": {"GroupIds": list(groups or ["~g"]), "IncludeAuthorizedOperations": ops}}


def offsets(wanted=None, group="~g", v=1):
    """Of {"a": [0]}, or of everything."""
    topics = None if wanted is None else [{"TopicName": t, "Partitions": p} for t, p in wanted.items()]
    return {"api": "DescribeShareGroupOffsets", "v": v, "body": {"Groups": [{"GroupId": group, "Topics": topics}]}}


def alter(wanted, group="~g"):
    """To the offsets of {"a": {0: 5}}."""
    topics = [{"TopicName": t, "Partitions": [{"PartitionIndex": p, "StartOffset": o} for p, o in of.items()]} for t, of in wanted.items()]
    return {"api": "AlterShareGroupOffsets", "v": 0, "body": {"GroupId": group, "Topics": topics}}


def forget(*topics, group="~g"):
    return {"api": "DeleteShareGroupOffsets", "v": 0, "body": {"GroupId": group, "Topics": [{"TopicName": t} for t in topics]}}


def look(group="~g"):
    """The group as every API shows it."""
    return [listing(), describe_share(group), describe(group), describe_consumer(group), offsets(group=group)]


def shares(name, *parts, **settings):
    rule("share: " + name, *parts, **{**{k.replace(".", "_"): v for k, v in SETTINGS.items()}, **settings})


def assigned(who, **more):
    """A member with what there is to have."""
    return [share(who, **more), SETTLED, stay(who)]


shares("a member joins, is assigned, stays and leaves", share("A"), look(), SETTLED, stay("A"), look(), stay("A"), stay("A", topics=["a"]), share("A"),
       go("A"), look(), go("A"), stay("A"))
shares("members of one partition", assigned("A"), share("B"), share("C"), look(), stay("A"), stay("B"), stay("C"), look(), go("B"), stay("A"), stay("C"), look())
shares("one member and all partitions of two topics", assigned("A", topics=["b", "c"]), look(), stay("A", topics=["c"]), look(), stay("A", topics=["a", "c"]), SETTLED, stay("A"), look(), offsets())
shares("a member that subscribes to nothing any more", assigned("A"), stay("A", topics=[]), look(), stay("A"), stay("A", topics=["b"]), SETTLED, stay("A"), look())
shares("a topic that is not there", share("A", topics=["~new"]), look(), stay("A"), {"create": "~new", "partitions": 2}, stay("A"), SETTLED, stay("A"), look(), offsets())
shares("the same topic twice", share("A", topics=["a", "a"]), look())
shares("a topic is deleted", {"create": "~gone", "partitions": 1}, share("A", topics=["~gone", "a"]), SETTLED, stay("A"), {"delete": "~gone"}, SETTLED, stay("A"), look(), go("A"), forget("~gone"), alter({"~gone": {0: 1}}), offsets({"~gone": [0]}))
shares("a topic grows", {"create": "~grows", "partitions": 1}, assigned("A", topics=["~grows"]),
       {"api": "CreatePartitions", "v": 3, "body": {"Topics": [{"Name": "~grows", "Count": 3, "Assignments": None}], "TimeoutMs": 9000, "ValidateOnly": False}},
       SETTLED, stay("A"), SETTLED, stay("A"), look())
shares("epochs", assigned("A"), [share("A", epoch=e) for e in (1, 2, 3, 4, 99, 2147483647, -3, -2, -2147483648)], look(), share("A", epoch="$A.epoch-1"), share("A", epoch="$A.epoch+1"))
shares("who is not there", stay("A"), go("A"), share("A", epoch=5), share("A"), share("B", epoch=1), go("B"))
shares("first heartbeats that say too little", share("A", topics=[]), {**share("A"), "body": {**share("A")["body"], "SubscribedTopicNames": None}}, share("A", rack=""), share("A", rack=" "), look())
shares("ids of members", share("A"), SETTLED, [share("A", member=m) for m in ("", " ", "x" * 36, "x" * 37, "-x", "a/b")], look())
for bad in ("", "  ", "x" * 300, "a/b"):
    shares(f"every request with {bad[:5]!r} for the group", share("A", bad), share("A", bad, epoch=1), share("A", bad, epoch=-1), describe_share(bad), offsets(group=bad), offsets({"a": [0]}, bad), offsets({}, bad),
           alter({"a": {0: 1}}, bad), forget("a", group=bad), delete(bad))
shares("racks", share("A", rack="r"), look(), stay("A"), look(), stay("A", rack="s"), look())
shares("more members than the group may have", share("A"), SETTLED, [share(w) for w in "ABCDEF"], look(), stay("A"), go("A"), share("F"), look())
shares("describing many groups", share("A"), describe_share("~g", "~none", "", ops=True), {"api": "ShareGroupDescribe", "v": 1, "body": {"GroupIds": []}}, commit({"a": [0]}, "~h"), describe_share("~h"))
shares("listings", share("A"), share("B", "~empty"), go("B", group="~empty"), commit({"a": [0]}, "~h"), [listing(s, t) for s in ((), ("Empty",), ("stable",), ("Dead",)) for t in ((), ("share",), ("SHARE",), ("consumer",), ("classic", "share"))],
       [listing(v=v) for v in range(5)])
shares("offsets of a group with members", assigned("A", topics=["b"]), offsets(), [offsets(w, v=v) for v in (0, 1) for w in (None, {}, {"b": [0, 2]}, {"a": [0], "~none": [0, 1], "b": []})], alter({"b": {0: 3}}), forget("b"), delete(), look())
shares("offsets of a group that is not there", offsets(), offsets({"a": [0]}), forget("a"), look(), alter({"a": {0: 7}}), SETTLED, look(), offsets({"a": [0]}), offsets({"a": [0]}, v=0))
shares("offsets are altered and forgotten", assigned("A", topics=["b"]), go("A"), alter({"b": {0: 3, 1: 0, 2: -1}, "c": {5: 9}}), SETTLED, offsets(), look(), alter({"b": {0: 1}}), SETTLED, offsets(), alter({"b": {9: 1}, "~none": {0: 1}, "a": {}}), alter({}), SETTLED, offsets(),
       forget("b"), offsets(), forget("b"), forget("~none", "c"), forget(), offsets(), look(), share("A", topics=["b"]), SETTLED, stay("A"), offsets())
shares("a group is deleted", assigned("A"), delete(), go("A"), delete("~g", "~none"), look(), offsets({"a": [0]}), delete(), assigned("A"), look())
shares("a group that was altered only is deleted", alter({"a": {0: 7}}), SETTLED, delete(), look(), offsets({"a": [0]}))
shares("classic and consumer requests to a share group", assigned("A"), [join("B", v=v, member="") for v in (0, 3, 5, 9)], join("B", member="x"), sync("B", gen=1), beat("B", gen=1), [leave("B", v=v) for v in (0, 3, 5)], consume("B"), consume("B", epoch=1), consume("B", epoch=-1),
       [commit({"a": [0]}, v=v) for v in (2, 8, 9)], commit({"a": [0]}, member="!A", gen=2, v=9), [fetch({"a": [0]}, v=v) for v in (1, 8, 9)], fetch(None), fetch({"a": [0]}, member="!A", epoch=2), offset_delete({"a": [0]}), look())
shares("the same to a share group without members", assigned("A"), go("A"), join("B", member=""), sync("B", gen=1), beat("B", gen=1), leave("B"), consume("B"), consume("B", epoch=1), commit({"a": [0]}), fetch({"a": [0]}), offset_delete({"a": [0]}), look())
shares("share requests to a classic group", stable("B"), share("A"), stay("A"), share("A", epoch=1), go("A"), describe_share(), offsets(), alter({"a": {0: 1}}), forget("a"), look())
shares("share requests to a group that only has offsets", commit({"a": [0]}), share("A"), go("A"), alter({"a": {0: 1}}), forget("a"), look())
shares("share requests to a consumer group", consume("B"), share("A"), share("A", epoch=1), go("A"), describe_share(), offsets(), alter({"a": {0: 1}}), forget("a"), consume("B", epoch=-1), share("A"), alter({"a": {0: 1}}), look())
shares("an id asked for makes no room for a share group", enter("B"), share("A"), look())
shares("a member that is silent", share("A"), {"sleep": 1800}, look(), stay("A"), group_share_session_timeout_ms=1500, group_share_heartbeat_interval_ms=500, group_share_min_heartbeat_interval_ms=500)
rule("what is asked for twice of share groups", share("A"), describe_share("~g", "~h", "~g"),
     {"api": "DescribeShareGroupOffsets", "v": 1, "body": {"Groups": [{"GroupId": g, "Topics": t} for g in ("~g", "~none", "~g") for t in (None, [{"TopicName": "a", "Partitions": [0]}], [])]}},
     **{k.replace(".", "_"): v for k, v in SETTINGS.items()})
