"""Short ways to write the steps of a script; see sides.py for what the texts in a body stand for."""


def join(who, group="~g", v=5, member=None, protocols=None, kind="consumer", session=60000, rebalance=60000, static=None, **more):
    protocols = [["range", "sub:a::1"]] if protocols is None else protocols
    body = {"GroupId": group, "SessionTimeoutMs": session, "MemberId": f"${who}" if member is None else member,
            "ProtocolType": kind, "Protocols": [{"Name": n, "Metadata": _bytes(m)} for n, m in protocols]}
    if v >= 1:
        body["RebalanceTimeoutMs"] = rebalance
    if v >= 5:
        body["GroupInstanceId"] = static
    return {"api": "JoinGroup", "v": v, "client": f"c{who}", "body": body, "bind": who, **more}


def _bytes(text):
    return text if text[:4] in ("sub:", "asg:") or isinstance(text, bytes) else text.encode()


def enter(who, group="~g", v=5, **more):
    """The two joins of a new dynamic member: for an id, and with it."""
    return [join(who, group, v, member="", **more), join(who, group, v, **more)]


def sync(who, group="~g", v=5, assign=None, gen=None, member=None, static=None, kind=None, name=None, **more):
    body = {"GroupId": group, "GenerationId": f"${who}.gen" if gen is None else gen, "MemberId": f"${who}" if member is None else member,
            "Assignments": [{"MemberId": f"${m}" if m.isalnum() else m, "Assignment": _bytes(a)} for m, a in (assign or {}).items()]}
    if v >= 3:
        body["GroupInstanceId"] = static
    if v >= 5:
        body.update(ProtocolType=kind, ProtocolName=name)
    return {"api": "SyncGroup", "v": v, "body": body, "bind": who, **more}


def beat(who, group="~g", v=4, gen=None, member=None, static=None):
    body = {"GroupId": group, "GenerationId": f"${who}.gen" if gen is None else gen, "MemberId": f"${who}" if member is None else member}
    if v >= 3:
        body["GroupInstanceId"] = static
    return {"api": "Heartbeat", "v": v, "body": body}


def leave(*who, group="~g", v=5):
    if v < 3:
        return {"api": "LeaveGroup", "v": v, "body": {"GroupId": group, "MemberId": _member(who[0])}}
    members = [{"MemberId": _member(w), "GroupInstanceId": None} if isinstance(w, str) else
               {"MemberId": _member(w[0]), "GroupInstanceId": w[1]} for w in who]
    return {"api": "LeaveGroup", "v": v, "body": {"GroupId": group, "Members": members}}


def _member(who):
    return f"${who}" if who.isalnum() else who


def topics(wanted, version, by_id, extra=None):
    """[{topic, partitions}] of {"a": [0, 1]} by name or id; `extra(partition)` gives the partition's fields."""
    out = []
    for name, partitions in wanted.items():
        listed = [extra(p) for p in partitions] if extra else partitions
        key = {"TopicId": "#" + name} if version >= by_id else {"Name": name}
        out.append({**key, ("Partitions" if extra else "PartitionIndexes"): listed})
    return out


def commit(wanted, group="~g", v=8, who=None, gen=None, member=None, static=None, metadata="m", offset=5, consumer=False):
    """A commit of `offset` for {"a": [0]}; by `who` as a member, or by no member."""
    number = "epoch" if consumer else "gen"
    def partition(p):
        return {"PartitionIndex": p, "CommittedOffset": offset + p, "CommittedMetadata": metadata,
                **({"CommittedLeaderEpoch": 3} if v >= 6 else {})}
    body = {"GroupId": group, "GenerationIdOrMemberEpoch": gen if gen is not None else f"${who}.{number}" if who else -1,
            "MemberId": member if member is not None else f"${who}" if who else "", "Topics": topics(wanted, v, 10, partition)}
    if v >= 7:
        body["GroupInstanceId"] = static
    return {"api": "OffsetCommit", "v": v, "body": body}


def fetch(wanted, group="~g", v=9, who=None, member=None, epoch=None, stable=False):
    """The committed offsets of {"a": [0]}, or all of them for None."""
    if v < 8:
        body = {"GroupId": group, "Topics": None if wanted is None else topics(wanted, 1, 10)}
        if v >= 7:
            body["RequireStable"] = stable
        return {"api": "OffsetFetch", "v": v, "body": body}
    one = {"GroupId": group, "Topics": None if wanted is None else topics(wanted, v, 10)}
    if v >= 9:
        one["MemberId"] = member if member is not None else f"${who}" if who else None
        one["MemberEpoch"] = epoch if epoch is not None else f"${who}.epoch" if who else -1
    return {"api": "OffsetFetch", "v": v, "body": {"Groups": [one], "RequireStable": stable}}


def offset_delete(wanted, group="~g"):
    return {"api": "OffsetDelete", "v": 0, "body": {"GroupId": group, "Topics": [
        {"Name": n, "Partitions": [{"PartitionIndex": p} for p in ps]} for n, ps in wanted.items()]}}


def delete(*groups, v=2):
    return {"api": "DeleteGroups", "v": v, "body": {"GroupsNames": list(groups or ["~g"])}}


def listing(states=(), types=(), v=5):
    body = {}
    if v >= 4:
        body["StatesFilter"] = list(states)
    if v >= 5:
        body["TypesFilter"] = list(types)
    return {"api": "ListGroups", "v": v, "body": body}


def describe(*groups, v=6, ops=False):
    return {"api": "DescribeGroups", "v": v, "body": {"Groups": list(groups or ["~g"]), **({"IncludeAuthorizedOperations": ops} if v >= 3 else {})}}


def describe_consumer(*groups, v=1, ops=False):
    return {"api": "ConsumerGroupDescribe", "v": v, "body": {"GroupIds": list(groups or ["~g"]), "IncludeAuthorizedOperations": ops}}


def look(group="~g"):
    """The group as every API shows it."""
    return [listing(), describe(group), describe_consumer(group)]


def consume(who, group="~g", v=1, epoch=0, topics=None, owned=None, static=None, rebalance=None, regex=None, assignor=None, rack=None,
            member=None):
    """A consumer's heartbeat: the first one by default, `epoch=None` for a later one with the epoch it was told."""
    first = epoch == 0
    # Ids that brokers make up come after this one.
    member = f"!{who}" if member is None else member
    if first:
        topics = ["a"] if topics is None and regex is None else topics
        owned = [] if owned is None else owned
        rebalance = 60000 if rebalance is None else rebalance
    body = {"GroupId": group, "MemberId": member, "MemberEpoch": f"${who}.epoch" if epoch is None else epoch,
            "InstanceId": static, "RackId": rack, "RebalanceTimeoutMs": -1 if rebalance is None else rebalance,
            "SubscribedTopicNames": topics, "ServerAssignor": assignor, "TopicPartitions": owned}
    if v >= 1:
        body["SubscribedTopicRegex"] = regex
    return {"api": "ConsumerGroupHeartbeat", "v": v, "client": f"c{who}", "body": body, "bind": who}


def go_on(who, **more):
    """A heartbeat with what the member was told, owning what it was told to own."""
    return consume(who, epoch=None, owned=f"@{who}", **more)
