"""Random scripts, each from its seed."""

import random

import steps

TOPICS = [["a"], ["b"], ["c"], ["a", "b"], ["b", "c"]]


def random_script(seed):
    r = random.Random(seed)
    groups = ["~g"] if r.random() < 0.7 else ["~g", "~h"]
    mood = r.choice(["classic", "consumer", "mixed", "mixed"])
    # One assignor for all: which of two with as many votes wins is the broker's choice. The uniform one goes by the order of
    # the ids' hashes, and brokers make up the ids of classic members.
    static = mood == "mixed" and r.random() < 0.5
    assignor = "range" if mood == "mixed" else r.choice([None, "range", "uniform"])
    # It goes by the order of topic ids, too.
    topics = TOPICS if assignor == "range" else r.choice([[["b"]], [["c"]], TOPICS])
    lively = r.random() < 0.1
    if lively:
        topics = topics + [["~t"], ["~t", "b"]]
    out, length = [], r.randint(10, 40)
    while len(out) < length:
        if lively and r.random() < 0.08:
            out.append(r.choice([{"create": "~t", "partitions": r.randint(1, 4)}, {"delete": "~t"}]))
        out += _some(r, mood, r.choice(groups), assignor, static, topics)
    for number, step in enumerate(out):
        if step.get("api") == "JoinGroup":
            # Ids that brokers make up begin with this: the same order on both sides.
            step["client"] += f"{number:02}"
    return out


def order_is_free(script):
    """Whether which member has which partitions is the brokers' own: by the order of ids that they make up, those of members where
    both protocols may be in one group, and for the uniform assignor those of topics. Where there are expressions, Kafka may also
    take members for equals that are not: it gives the topics of others to one whose expression finds nothing, if it joins alone."""
    joins = [s for s in script if s.get("api") == "JoinGroup" and not s["body"].get("GroupInstanceId")]
    beats = [s["body"] for s in script if s.get("api") == "ConsumerGroupHeartbeat"]
    topics = {t for b in beats for t in b["SubscribedTopicNames"] or []}
    uniform = any(b["MemberEpoch"] == 0 and b["ServerAssignor"] != "range" for b in beats)
    # A static member may join by its id alone, and is static no more.
    several = len({j["bind"] for j in joins}) > 1 or sum(not j["body"]["MemberId"] for j in joins) > 1
    by_expression = any(b.get("SubscribedTopicRegex") for b in beats)
    return by_expression or uniform and len(topics) > 1 or bool(beats) and several


def _some(r, mood, group, assignor, static, topics):
    who = r.choice("ABCD")
    # In the order of Java's hashes as well.
    member = group[1:] + who
    if r.random() < 0.2:
        return [_about_the_group(r, group, member, mood)]
    if mood == "classic" or mood == "mixed" and who in "AB":
        return _classic(r, group, member, static)
    if r.random() < 0.05:
        # Expressions are resolved after the answer.
        expression = r.choice(["a", "b", "a|b", "[a-c]", "zzz", ""])
        names = r.choice([None, None, []] + topics)
        if r.random() < 0.5:
            return [steps.consume(member, group, regex=expression, topics=names, assignor=assignor), {"sleep": 80}]
        return [steps.consume(member, group, epoch=None, regex=expression, topics=names), {"sleep": 80}]
    return [_consumer(r, group, member, assignor, topics)]


def _classic(r, group, who, static):
    static = f"i{who[-1]}" if static or who[-1] == "B" and r.random() < 0.7 else None
    topics = ",".join(r.choice(TOPICS))
    protocols = [[n, f"sub:{topics}:{who}:1"] for n in r.choice([["range"], ["range"], ["range", "roundrobin"], ["roundrobin", "range"], ["sticky", "range"]])]
    kind = r.choices(["consumer", "connect"], [30, 1])[0]
    action = r.choices(["enter", "join", "sync", "beat", "leave", "commit", "wrong"], [5, 8, 10, 4, 2, 2, 2])[0]
    v = r.choice([5, 5, 5, 7, 9, 9 if static else 3])
    if action == "enter":
        if static or v < 4:
            return [steps.join(who, group, v, member="", protocols=protocols, kind=kind, static=static)]
        return steps.enter(who, group, v, protocols=protocols, kind=kind)
    if action == "join":
        return [steps.join(who, group, v, protocols=protocols, kind=kind, static=static)]
    if action == "sync":
        members = [group[1:] + m for m in "ABCD"]
        assign = {m: f"asg:b/{i % 3}" for i, m in enumerate(members)} if r.random() < 0.6 else {}
        return [steps.sync(who, group, v=r.choice([3, 4]), assign=assign, static=static)]
    if action == "beat":
        return [steps.beat(who, group, static=static)]
    if action == "leave":
        return [steps.leave((who, static) if static else who, group=group)]
    if action == "commit":
        return [steps.commit({"b": [r.randrange(3)]}, group, who=who, static=static)]
    return [r.choice([steps.beat(who, group, gen=r.randrange(-1, 4)), steps.sync(who, group, gen=r.randrange(-1, 4), v=4),
                      steps.join(who, group, member="nobody"), steps.leave("nobody", group=group),
                      steps.commit({"b": [0]}, group, who=who, gen=r.randrange(-1, 4))])]


def _consumer(r, group, who, assignor, topics):
    static = f"i{who[-1]}" if who[-1] in "BD" and r.random() < 0.7 else None
    action = r.choices(["join", "on", "silent", "topics", "leave", "pause", "commit", "fetch", "wrong"], [6, 16, 3, 3, 2, 2, 2, 1, 2])[0]
    if action == "join":
        return steps.consume(who, group, topics=r.choice(topics), static=static, assignor=assignor)
    if action == "on":
        return steps.go_on(who, group=group)
    if action == "silent":
        return steps.consume(who, group, epoch=None)
    if action == "topics":
        return steps.consume(who, group, epoch=None, topics=r.choice(topics), owned=f"@{who}")
    if action == "leave":
        return steps.consume(who, group, epoch=-1, static=static)
    if action == "pause":
        return steps.consume(who, group, epoch=-2, static=f"i{who[-1]}")
    if action == "commit":
        return steps.commit({"b": [r.randrange(3)]}, group, who=who, consumer=True, v=9)
    if action == "fetch":
        return steps.fetch(None, group, who=who)
    return r.choice([steps.consume(who, group, epoch=f"$%s.epoch-1" % who, owned=f"@{who}"), steps.consume(who, group, epoch=f"$%s.epoch+1" % who),
                     steps.consume(who, group, epoch=None, owned=[]), steps.consume(who, group, epoch=r.randrange(1, 5))])


def _about_the_group(r, group, who, mood):
    return r.choice([steps.listing(), steps.describe(group), steps.describe(group), steps.describe_consumer(group), steps.describe_consumer(group),
                     steps.fetch(None, group), steps.commit({"a": [0]}, group), steps.offset_delete({"a": [0], "b": [0, 1]}, group),
                     steps.delete(group) if r.random() < 0.3 else steps.describe(group)])
