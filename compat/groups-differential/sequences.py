"""Random scripts, each from its seed, and the shortest part of one that still shows a difference."""

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
    joins = [s["body"] for s in script if s.get("api") == "JoinGroup"]
    beats = [s["body"] for s in script if s.get("api") == "ConsumerGroupHeartbeat"]
    topics = {t for b in beats for t in b["SubscribedTopicNames"] or []}
    uniform = any(b["MemberEpoch"] == 0 and b["ServerAssignor"] != "range" for b in beats)
    dynamic = [j for j in joins if not j["MemberId"] and not j.get("GroupInstanceId")]
    by_expression = any(b.get("SubscribedTopicRegex") for b in beats)
    return by_expression or uniform and len(topics) > 1 or bool(beats) and len(dynamic) > 1


def shortest(runner, script, found):
    """The script with as many steps left out as can be while the same fields still differ."""
    wanted = found[0].path
    script = script[:found[0].step + 1] if len(found) == 1 else script
    at, size = 0, max(1, len(script) // 2)
    budget = 60
    while budget:
        budget -= 1
        less = script[:at] + script[at + size:]
        again = runner.run("sequence", less, free=order_is_free(script))
        if again and again[0].path == wanted:
            script, found = less, again
        else:
            at += size
        if at >= len(script):
            if size == 1:
                break
            at, size = 0, max(1, size // 2)
    return script, found
