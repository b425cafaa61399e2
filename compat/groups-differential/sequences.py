"""Random scripts, each from its seed, and the shortest part of one that still shows a difference."""

import random

import steps

TOPICS = [["a"], ["b"], ["c"], ["a", "b"], ["b", "c"]]


def random_script(seed):
    r = random.Random(seed)
    groups = ["~g"] if r.random() < 0.7 else ["~g", "~h"]
    mood = r.choice(["classic", "consumer", "mixed", "mixed"])
    out = []
    while len(out) < r.randint(10, 40):
        out += _some(r, mood, r.choice(groups))
    return out


def _some(r, mood, group):
    who = r.choice("ABCD")
    member = who + group[1:]
    if r.random() < 0.2:
        return [_about_the_group(r, group, member, mood)]
    if mood == "classic" or mood == "mixed" and who in "AB":
        return _classic(r, group, member)
    return [_consumer(r, group, member)]


def _classic(r, group, who):
    static = f"i{who[0]}" if who[0] == "B" and r.random() < 0.7 else None
    topics = ",".join(r.choice(TOPICS))
    protocols = [[n, f"sub:{topics}:{who}:1"] for n in r.choice([["range"], ["range"], ["range", "roundrobin"], ["roundrobin", "range"], ["sticky", "range"]])]
    kind = r.choices(["consumer", "connect"], [30, 1])[0]
    action = r.choices(["enter", "join", "sync", "beat", "leave", "commit", "wrong"], [5, 8, 10, 4, 2, 2, 2])[0]
    v = r.choice([5, 5, 5, 7, 9, 3])
    static = static if v >= 5 else None
    if action == "enter":
        if static or v < 4:
            return [steps.join(who, group, v, member="", protocols=protocols, kind=kind, static=static)]
        return steps.enter(who, group, v, protocols=protocols, kind=kind)
    if action == "join":
        return [steps.join(who, group, v, protocols=protocols, kind=kind, static=static)]
    if action == "sync":
        members = [m + group[1:] for m in "ABCD"]
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


def _consumer(r, group, who):
    static = f"i{who[0]}" if who[0] in "BD" and r.random() < 0.7 else None
    action = r.choices(["join", "on", "silent", "topics", "leave", "pause", "commit", "fetch", "wrong"], [6, 16, 3, 3, 2, 2, 2, 1, 2])[0]
    if action == "join":
        return steps.consume(who, group, topics=r.choice(TOPICS), static=static, assignor=r.choices([None, "range", "uniform"], [4, 1, 1])[0])
    if action == "on":
        return steps.go_on(who, group=group)
    if action == "silent":
        return steps.consume(who, group, epoch=None)
    if action == "topics":
        return steps.consume(who, group, epoch=None, topics=r.choice(TOPICS), owned=f"@{who}")
    if action == "leave":
        return steps.consume(who, group, epoch=-1, static=static)
    if action == "pause":
        return steps.consume(who, group, epoch=-2, static=f"i{who[0]}")
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


def shortest(runner, script, found):
    """The script with as many steps left out as can be while the same fields still differ."""
    wanted = found[0].path
    script = script[:found[0].step + 1] if len(found) == 1 else script
    at, size = 0, max(1, len(script) // 2)
    budget = 60
    while budget:
        budget -= 1
        less = script[:at] + script[at + size:]
        again = runner.run(less)
        if again and again[0].path == wanted:
            script, found = less, again
        else:
            at += size
        if at >= len(script):
            if size == 1:
                break
            at, size = 0, max(1, size // 2)
    return script, found
