"""The scripts of the differential test: one for each rule of the group APIs, named after it."""

import steps
from steps import (beat, commit, consume, delete, describe, describe_consumer, enter, fetch, go_on, join, leave, listing, look,
                   offset_delete, sync)

_ALL = []


class Scenario:
    def __init__(self, name, steps, settings):
        self.name, self.steps, self.settings = name, steps, settings


def rule(name, *parts, **settings):
    script = []
    for part in parts:
        script += part if isinstance(part, list) else [part]
    _ALL.append(Scenario(name, script, {k.replace("_", "."): v for k, v in settings.items()}))


def all_of_them():
    names = [s.name for s in _ALL]
    assert len(set(names)) == len(names), "two scenarios of one name"
    return _ALL


def stable(*who, v=5, group="~g", **more):
    """Classic members with an assignment each, the first one their leader."""
    out = []
    for n, w in enumerate(who):
        out += enter(w, group, v, **more)
        if n:
            out += [join(x, group, v, **more) for x in who[:n]]
    out += [sync(w, group, v=min(v, 4), assign={x: f"asg:b/{i}" for i, x in enumerate(who)} if w == who[0] else {}) for w in who]
    return out


# ---------------------------------------------------------------------------------------------------- classic: one member

for version in range(10):
    rule(f"join {version}, sync, heartbeat, leave of one member",
         enter("A", v=version) if version >= 4 else join("A", v=version, member=""),
         sync("A", v=min(version, 5), assign={"A": b"mine"}, kind="consumer", name="range"), look(),
         beat("A", v=min(version, 4)), commit({"a": [0]}, who="A", v=min(version + 2, 9)),
         leave("A", v=min(version, 5)), look(), beat("A", v=min(version, 4)))

for version in range(6):
    rule(f"sync {version} with other types and names", enter("A"),
         sync("A", v=version, kind="other", name="range"), sync("A", v=version, kind="consumer", name="other"),
         sync("A", v=version, gen=9), sync("A", v=version, member="nobody"), sync("A", v=version, assign={"A": b"x"}),
         sync("A", v=version), look())
    rule(f"leave {version} of unknown members", leave("nobody", v=version), stable("A"), leave("nobody", v=version), look(),
         leave("A", v=version), leave("A", v=version), look())

for bad, text in {"an empty id": "", "an id of blanks": "  ", "a long id": "x" * 300, "an id with a slash": "a/b"}.items():
    rule(f"every classic request with {text and bad or bad} for the group",
         [join("A", bad_id, v=v, member="") for bad_id in [text] for v in (0, 3, 4, 5, 9)],
         sync("A", text), beat("A", text), leave("A", group=text), leave("A", group=text, v=1),
         commit({"a": [0]}, group=text), commit({"a": [0]}, group=text, who="A"), commit({"a": [0]}, group=text, v=10),
         fetch({"a": [0]}, group=text), fetch(None, group=text, v=5), fetch({"a": [0]}, group=text, v=1),
         offset_delete({"a": [0]}, text), describe(text), describe(text, v=5), describe_consumer(text), delete(text),
         consume("A", text), consume("A", text, v=0, member=""))

rule("absurd session timeouts", [join("A", member="", v=v, session=s) for v in (0, 4, 5) for s in (-1, 0, 199, 200, 1800000, 1800001, 2147483647)])
rule("absurd rebalance timeouts", [join("A", f"~r{i}", member="", v=3, rebalance=r) for i, r in enumerate((-1, 0, 1, 2147483647))])
rule("no protocols at all", [join("A", member="", v=v, protocols=[]) for v in (0, 4, 5)])
rule("no protocol type", [join("A", member="", v=v, kind="") for v in (0, 4, 5)])
rule("the same protocol twice", join("A", member="", v=3, protocols=[["range", b"1"], ["range", b"2"]]), describe())
rule("a member id that was never given", join("A", member="made-up"), look(), enter("B"), join("A", member="made-up"), look())
rule("an id asked for and never used", join("A", member=""), look(), beat("A", gen=-1), beat("A", gen=0), sync("A", gen=0), look(),
     leave("A"), look(), join("A"), look())
rule("an id asked for is another member's beside", stable("A"), join("B", member=""), look(), leave("B"), look(), join("B"))
rule("a heartbeat of every generation", stable("A"), [beat("A", gen=g) for g in (-1, 0, 1, 2, 2147483647, -2147483648)])
rule("a heartbeat before the sync", enter("A"), beat("A"), sync("A", assign={"A": b"x"}), beat("A"))
rule("a heartbeat of nobody", beat("A", member=""), stable("A"), beat("A", member=""), beat("A", member="x", static="s"))
rule("other protocols than the group's", stable("A"), join("B", member="", protocols=[["other", b""]]),
     join("B", member="", kind="connect"), join("B", v=3, member="", protocols=[["other", b""]]), look(),
     join("A", protocols=[["other", b""]]), look())
rule("another protocol type once the group is empty", stable("A"), leave("A"), look(), enter("B", kind="connect", protocols=[["x", b"y"]]),
     look(), fetch(None))
rule("a group of connectors", enter("A", kind="connect", protocols=[["default", b"\x00\x01"]]), sync("A", assign={"A": b"job"}), look(),
     commit({"a": [0]}, who="A"), consume("B"), look(), offset_delete({"a": [0]}))
rule("metadata that is no subscription", enter("A", protocols=[["range", b"\xff\xff"]]), sync("A", assign={"A": b"?"}), look(),
     commit({"a": [0]}, who="A"), offset_delete({"a": [0]}), consume("B"), leave("A"), consume("B"), look())
rule("big metadata", enter("A", protocols=[["range", bytes(300_000)]]), sync("A", assign={"A": bytes(300_000)}), describe())
rule("metadata past the largest record", enter("A", protocols=[["range", bytes(1_100_000)]]), sync("A", assign={"A": b"x"}), look())
rule("an assignment past the largest record", enter("A"), sync("A", assign={"A": bytes(1_100_000)}), look(), beat("A"), join("A"), look())
rule("assignments for members that are none", enter("A"), sync("A", assign={"A": b"x", "nobody": b"y", "": b"z"}), look())
rule("a leader that assigns nothing to itself", stable("A", "B"), join("B"), join("A"), sync("A", assign={"B": b"x"}), sync("B"), look())
rule("a long instance id", enter("A", static="i" * 300), look())
rule("an empty instance id", [join("A", v=v, member="", static="") for v in (5, 9)], look())
rule("names that are long", enter("A", protocols=[["p" * 300, b""]]), sync("A", assign={"A": b""}), look())

# ------------------------------------------------------------------------------------------------ classic: several members

rule("a second member waits for the first", stable("A"), enter("B"), look(), beat("A"), sync("A"), join("A"), look(), beat("A"), beat("B"),
     sync("B"), look(), beat("A"), sync("A", assign={"A": b"1", "B": b"2"}), look(), sync("B"), sync("A"))
rule("a follower that joins unchanged in a stable group", stable("A", "B"), join("B"), look(), beat("A"))
rule("a follower that joins with other metadata", stable("A", "B"), join("B", protocols=[["range", b"new"]]), look(), beat("A"), join("A"), look())
rule("a leader that joins unchanged in a stable group", stable("A", "B"), join("A"), look(), beat("B"), join("B"))
rule("a member that joins again while syncs are awaited", stable("A", "B"), join("A"), join("B"), join("B"), look(), join("A"), look(),
     sync("B"), join("B", protocols=[["range", b"new"]]), look(), join("A"))
rule("a leader that joins again while syncs are awaited", stable("A", "B"), join("A"), join("B"), sync("B"), join("A"), look(), join("B"))
rule("a join of the same member twice", stable("A"), enter("B"), join("B"), look(), join("A"), look())
rule("a sync of the same follower twice", stable("A", "B"), join("A"), join("B"), sync("B"), sync("B"), look(), sync("A", assign={"B": b"x"}))
rule("a follower leaves while its sync waits", stable("A", "B"), join("A"), join("B"), sync("B"), leave("B"), look(), join("A"), look())
rule("a follower leaves while its join waits", stable("A", "B"), join("B", protocols=[["range", b"n"]]), leave("B"), look(), join("A"), look())
rule("a leader leaves a stable group of two", stable("A", "B"), leave("A"), look(), beat("B"), join("B"), look())
rule("a follower leaves a stable group of two", stable("A", "B"), leave("B"), look(), beat("A"), sync("A"), join("A"), look())
rule("the last joiner missing leaves", stable("A", "B"), join("A"), leave("B"), look())
rule("everyone leaves at once", stable("A", "B", "C"), leave("A", "nobody", "B", "A", "C"), look())
rule("nobody leaves", stable("A"), leave(), look())
rule("leaving with another's instance id", enter("A", static="s"), sync("A", assign={"A": b""}), leave(("A", "t")), leave(("", "s")), look())
rule("leaving by instance id", enter("A", static="s"), sync("A", assign={"A": b""}), leave(("wrong", "s")), look(), leave(("", "s")), look())
rule("leaving by member id although static", enter("A", static="s"), sync("A", assign={"A": b""}), leave("A"), look())
rule("more members than the group may have", stable("A", "B", "C", "D"), enter("E"), enter("F"), look(), join("F", v=3, member=""))
rule("ids asked for count for the size", [join(w, member="") for w in "ABCDEFG"], [join(w) for w in "ABCDEFG"], look())
rule("three members and the protocol most of them want", enter("A", v=5, protocols=[["range", b"1"], ["roundrobin", b"2"]]),
     enter("B", protocols=[["roundrobin", b"3"], ["range", b"4"]]), enter("C", protocols=[["roundrobin", b"5"], ["range", b"6"]]),
     join("A", protocols=[["range", b"1"], ["roundrobin", b"2"]]), look(), sync("A"), sync("B"), sync("C"), look())
rule("only protocols that all have", enter("A", protocols=[["x", b"1"], ["y", b"2"], ["z", b"3"]]),
     enter("B", protocols=[["z", b"4"], ["w", b"5"], ["x", b"7"], ["y", b"6"]]), join("A", protocols=[["x", b"1"], ["y", b"2"]]), look())
rule("a member that takes away the group's last protocol", enter("A", protocols=[["x", b""], ["y", b""]]),
     sync("A"), enter("B", protocols=[["y", b""]]), join("A", protocols=[["x", b""]]), look(), join("A", protocols=[["y", b""]]), look())
rule("a member changes its protocols' order", stable("A", "B", protocols=[["x", b"1"], ["y", b"2"]]),
     join("B", protocols=[["y", b"2"], ["x", b"1"]]), look(), beat("A"))
rule("generations go on when all left", stable("A"), leave("A"), stable("B"), look(), leave("B"), enter("C"), look())
rule("the first join of two at once", {**join("A", v=3, member=""), "later": True}, {"sleep": 50}, join("B", v=3, member=""), look())
rule("old members without an id", join("A", v=0, member=""), join("B", v=1, member=""), join("A", v=0), look(), join("C", v=2, member=""))
rule("a sync in a group that rebalances", stable("A", "B"), join("A"), sync("A"), sync("B"), sync("B", gen=1), look())
rule("a sync of no group", sync("A"), sync("A", member=""), beat("A"), leave("A"), look())
rule("requests of an older generation", stable("A", "B"), join("A"), join("B"), beat("A", gen=1), sync("A", gen=1), commit({"a": [0]}, who="A", gen=1),
     beat("A"), commit({"a": [0]}, who="A"))

# ------------------------------------------------------------------------------------------------------ classic: in time

rule("a session that ends", stable("A", session=300), look(), {"sleep": 900}, look(), beat("A"))
rule("a heartbeat keeps the session", stable("A", session=1500), {"sleep": 900}, beat("A"), {"sleep": 900}, beat("A"), look())
rule("one of two sessions ends", stable("A"), enter("B", session=300), join("A"), sync("A", assign={"B": b"x"}), sync("B"), {"sleep": 900},
     beat("B"), beat("A"), look(), join("A"), look())
rule("a member that does not join in time", stable("A", rebalance=400), enter("B", rebalance=400), {"sleep": 1000}, look(), beat("A"))
rule("a follower that does not sync in time", stable("A", "B", rebalance=500), join("A", rebalance=500), join("B", rebalance=500),
     sync("A", assign={"A": b"x"}), {"sleep": 1200}, look(), beat("A"), beat("B"))
rule("a leader that does not sync in time", stable("A", "B", rebalance=500), join("A", rebalance=500), join("B", rebalance=500),
     sync("B"), {"sleep": 1300}, look(), beat("A"), beat("B"))
rule("an id asked for is forgotten with its session", join("A", member="", session=300), {"sleep": 900}, look(), join("A"))
rule("a static member's session ends", enter("A", static="s", session=300), sync("A", assign={"A": b"x"}), {"sleep": 900}, look(), beat("A", static="s"))
rule("a waiting join outlives its session", stable("A", session=60000), enter("B", session=300), {"sleep": 900}, look(), join("A"))
rule("a waiting sync outlives no session", stable("A", "B"), join("A"), join("B", session=400), sync("B"), {"sleep": 1000}, look())
rule("the first members are waited for", {**join("A", v=3, member=""), "later": True}, {"sleep": 200}, look(),
     {**join("B", v=3, member=""), "later": True}, {"sleep": 1500}, look(), group_initial_rebalance_delay_ms=500)
rule("the wait for first members has an end", {**join("A", v=3, member="", rebalance=700), "later": True}, {"sleep": 300},
     {**join("B", v=3, member="", rebalance=700), "later": True}, {"sleep": 300}, look(),
     {**join("C", v=3, member="", rebalance=700), "later": True}, {"sleep": 900}, look(), group_initial_rebalance_delay_ms=500)
rule("an only first member that leaves", {**join("A", member=""), "later": True}, {"sleep": 40}, {**join("A"), "later": True}, {"sleep": 100},
     leave("A"), {"sleep": 700}, look(), group_initial_rebalance_delay_ms=500)
rule("a second rebalance waits for nobody new", {**join("A", v=3, member=""), "later": True}, {"sleep": 900}, sync("A", assign={"A": b"x"}),
     enter("B"), join("A"), look(), group_initial_rebalance_delay_ms=500)

# ----------------------------------------------------------------------------------------------------- classic: static members

for version in (5, 7, 9):
    rule(f"a static member that comes back unchanged {version}", stable("A"), join("S", member="", static="s", v=version), join("A", v=version),
         sync("A", assign={"S": b"x"}, v=4), sync("S", v=4, static="s"), join("S", member="", static="s", v=version), look(),
         sync("S", v=4, static="s"), beat("S", static="s"), beat("A"))
    rule(f"a static member that comes back with other metadata {version}", stable("A"), join("S", member="", static="s", v=version), join("A", v=version),
         sync("A", assign={"S": b"x"}, v=4), sync("S", v=4, static="s"), join("S", member="", static="s", v=version, protocols=[["range", b"new"]]), look(),
         join("A", v=version))
    rule(f"a static leader that comes back unchanged {version}", join("S", member="", static="s", v=version), sync("S", static="s", assign={"S": b"x"}, v=4),
         join("S", member="", static="s", v=version), look(), sync("S", static="s", assign={"S": b"y"}, v=4), beat("S", static="s"))
    rule(f"a static leader of two that comes back unchanged {version}", join("S", member="", static="s", v=version), enter("B", v=version),
         join("S", static="s", v=version), sync("S", static="s", assign={"S": b"x", "B": b"y"}, v=4), sync("B", v=4),
         join("S", member="", static="s", v=version), look(), sync("S", static="s", assign={"S": b"y"}, v=4), beat("B"), beat("S", static="s"))
    rule(f"a static leader that comes back with other metadata {version}", join("S", member="", static="s", v=version), enter("B", v=version),
         join("S", static="s", v=version), sync("S", static="s", assign={"S": b"x", "B": b"y"}, v=4), sync("B", v=4),
         join("S", member="", static="s", v=version, protocols=[["range", "sub:a,b::1"]]), look(), beat("B"), join("B", v=version), look())

rule("a static member's old id is fenced", join("S", member="", static="s"), sync("S", static="s", assign={"S": b"x"}),
     join("T", member="", static="s"), sync("T", static="s"), beat("S", static="s"), beat("S"), sync("S", static="s"), join("S", static="s"), leave(("S", "s")),
     commit({"a": [0]}, who="S", static="s"), commit({"a": [0]}, who="T", static="s"), look())
rule("a static member comes back while its join waits", stable("A"), join("S", member="", static="s"), join("T", member="", static="s"), look(), join("A"))
rule("a static member comes back while its sync waits", stable("A"), join("S", member="", static="s"), join("A"), sync("S", static="s"),
     join("T", member="", static="s"), look(), join("A"))
rule("a static member with a known id", join("S", member="", static="s"), sync("S", static="s"), join("S", static="s"), look(), join("S", static="s", member="x"))
rule("an instance id that nobody has", stable("A"), beat("A", static="s"), sync("A", static="s"), join("A", static="s"), commit({"a": [0]}, who="A", static="s"), look())
rule("an unknown id with an instance id", join("S", static="s", member="x"), enter("A"), join("S", static="s", member="x"), look())
rule("a static member leaves and comes back", join("S", member="", static="s"), sync("S", static="s"), leave(("", "s")), look(), join("S", member="", static="s"), look())
rule("a dynamic member that turns static", stable("A"), join("A", static="s"), look(), beat("A", static="s"))
rule("two static members", join("S", member="", static="s"), join("T", member="", static="t"), join("S", static="s"), look(),
     sync("S", static="s", assign={"S": b"1", "T": b"2"}), sync("T", static="t"), join("T", member="", static="t", protocols=[["range", b"z"], ["x", b"y"]]), look())

# ------------------------------------------------------------------------------------------------------------------ offsets

for version in range(2, 11):
    rule(f"commit {version} of a group without members", commit({"a": [0], "b": [0, 2]}, v=version), look(), fetch(None), fetch({"a": [0, 1], "b": [1, 2]}),
         commit({"a": [0]}, v=version, offset=9, metadata=None), fetch(None), commit({"a": [7]}, v=version), commit({"nothing": [0]}, v=version),
         commit({}, v=version), commit({"a": []}, v=version), commit({"a": [0, 0]}, v=version), fetch(None),
         commit({"a": [0]}, v=version, gen=0), commit({"a": [0]}, v=version, gen=-2), commit({"a": [0]}, v=version, member="x"),
         commit({"a": [0]}, v=version, metadata="m" * 4096), commit({"a": [0], "b": [1]}, v=version, metadata="m" * 4097),
         commit({"a": [0]}, v=version, offset=-1), commit({"a": [0]}, v=version, offset=-5), fetch(None), look())
    rule(f"commit {version} of members", stable("A", "B"), commit({"a": [0]}, who="A", v=version), commit({"a": [0]}, who="A", gen=9, v=version),
         commit({"a": [0]}, who="A", gen=-1, v=version), commit({"a": [0]}, member="nobody", gen=1, v=version), commit({"a": [0]}, v=version),
         join("A"), commit({"a": [0]}, who="B", v=version), join("B"), commit({"a": [0]}, who="B", v=version), sync("A"), commit({"a": [0]}, who="B", v=version),
         fetch(None), leave("A", "B"), commit({"a": [0]}, v=version, offset=1), commit({"a": [0]}, who="A", v=version), fetch(None))
for version in range(1, 11):
    rule(f"fetch {version}", fetch({"a": [0]}, v=version), fetch(None, v=version) if version >= 2 else [], commit({"a": [0], "b": [0, 1]}),
         fetch({"a": [0], "b": [1, 2]}, v=version), fetch({"nothing": [0]}, v=version), fetch({}, v=version), fetch({"a": []}, v=version),
         fetch({"a": [-1, 99]}, v=version), fetch(None, v=version, stable=True) if version >= 2 else [], fetch({"a": [0]}, v=version, stable=True))
    rule(f"what is asked for twice of offsets {version}", commit({"a": [0]}), fetch({"a": [0, 0], "b": [0]}, v=version))
rule("fetch of members of a classic group", stable("A"), commit({"a": [0]}, who="A"), fetch(None, who="A", epoch=1), fetch(None, who="A", epoch=9),
     fetch(None, member="nobody", epoch=1), fetch(None, member="nobody"), fetch(None, member="", epoch=0))
rule("what is asked for twice of the offsets of several groups", commit({"a": [0]}), {"api": "OffsetFetch", "v": 9, "body": {"Groups": [
     {"GroupId": g, "Topics": t} for g in ("~g", "", "~none", "~g") for t in (None, [{"Name": "a", "PartitionIndexes": [0]}], [])]}})
rule("fetch of several groups", commit({"a": [0]}), {"api": "OffsetFetch", "v": 9, "body": {"Groups": [
     {"GroupId": g, "Topics": t} for g, t in (("~g", None), ("", [{"Name": "a", "PartitionIndexes": [0]}]), ("~none", None), ("~h", []))]}},
     {"api": "OffsetFetch", "v": 8, "body": {"Groups": []}})
rule("offsets of a topic that is deleted", {"create": "~t", "partitions": 2}, commit({"~t": [0, 1], "a": [0]}), commit({"~t": [0]}, v=10), fetch(None),
     {"delete": "~t"}, fetch(None), fetch({"~t": [0]}), fetch({"~t": [0]}, v=10), commit({"~t": [0]}, v=10), commit({"~t": [0]}), look())
rule("the only offsets of a group go with their topic", {"create": "~t", "partitions": 1}, commit({"~t": [0]}), {"delete": "~t"}, fetch(None), look(), delete())
rule("offsets of a topic that is made again", {"create": "~t", "partitions": 1}, commit({"~t": [0]}, v=10), {"delete": "~t"}, {"create": "~t", "partitions": 1},
     fetch(None), fetch({"~t": [0]}, v=10), commit({"~t": [0]}, v=10), fetch({"~t": [0]}, v=10), fetch(None, v=10))
rule("offset delete of no group", offset_delete({"a": [0]}), offset_delete({}))
rule("offset delete of a group without members", commit({"a": [0], "b": [0, 1]}), offset_delete({"a": [0], "b": [1, 2, 9], "nothing": [0]}), fetch(None),
     offset_delete({"b": [0]}), fetch(None), look(), offset_delete({"b": [0]}), offset_delete({}), offset_delete({"a": []}))
rule("offset delete beside members", stable("A", protocols=[["range", "sub:a::1"]]), commit({"a": [0], "b": [0]}, who="A"), offset_delete({"a": [0], "b": [0], "nothing": [0]}), fetch(None),
     join("B", member=""), join("B"), offset_delete({"a": [0], "b": [0]}), leave("A"), offset_delete({"a": [0]}))
rule("offset delete beside members of two subscriptions", stable("A", "B", protocols=[["range", "sub:a::1"], ["x", "sub:c::2"]]),
     commit({"a": [0], "b": [0], "c": [0]}, who="A"), offset_delete({"a": [0], "b": [0], "c": [0]}), fetch(None))
for version in range(3):
    rule(f"delete groups {version}", delete(v=version), commit({"a": [0]}), commit({"a": [0]}, group="~h"), stable("A", group="~full"),
         delete("~g", "~none", "~full", "", v=version), delete("~g", "~h", v=version), look(), look("~h"), fetch(None), fetch(None, group="~h"),
         leave("A", group="~full"), delete("~full", v=version), look("~full"), beat("A", "~full"))
rule("the same group twice to delete", commit({"a": [0]}), delete("~g", "~g"))
rule("an empty group after its member left", stable("A"), leave("A"), look(), delete(), look(), delete())
rule("a group with ids asked for is deleted", join("A", member=""), look(), delete(), look(), join("A"))
rule("a dead group's member returns", stable("A"), leave("A"), delete(), join("A"), sync("A"), commit({"a": [0]}, who="A"), look())
rule("commit twice the same partition", commit({"b": [1, 1, 0]}), fetch(None))
rule("too long a metadata among others", commit({"a": [0]}, metadata="x" * 5000), look(), fetch(None))
for version in range(4):
    rule(f"find coordinator {version}", [{"api": "FindCoordinator", "v": version, "body": {"Key": k, **({"KeyType": t} if version else {})}}
                                         for k in ("~g", "", "x" * 300) for t in ((0, 2, 3, -1) if version else (0,))])
for version in range(4, 7):
    rule(f"find coordinators {version}", [{"api": "FindCoordinator", "v": version, "body": {"CoordinatorKeys": k, "KeyType": t}}
                                          for k in (["~g", "~h", "", "~g"], [], ["x" * 300]) for t in (0, 3, -1)])

# ----------------------------------------------------------------------------------------------------- list and describe

for version in range(6):
    rule(f"list {version}", commit({"a": [0]}), stable("A", group="~s"), join("B", "~w", member=""), enter("C", "~c"), consume("D", "~k", topics=["b"]),
         consume("E", "~l", topics=[]), listing(v=version),
         [listing(s, v=version) for s in (["Stable"], ["stable", "EMPTY"], ["CompletingRebalance"], ["Empty", "PreparingRebalance"], ["Dead"], ["Nonsense"],
                                          ["Assigning"], ["Reconciling"], [""])] if version >= 4 else [],
         [listing([], t, v=version) for t in (["classic"], ["Consumer"], ["CLASSIC", "consumer"], ["share"], ["streams"], ["nonsense"], [""])] if version >= 5 else [],
         listing(["stable"], ["consumer"]) if version >= 5 else [])
for version in range(7):
    rule(f"describe {version}", describe(v=version), describe("~g", "~h", "", v=version), commit({"a": [0]}), describe(v=version), stable("A"), describe(v=version),
         join("B", member=""), describe(v=version), join("B"), describe(v=version), join("A"), describe(v=version, ops=True), consume("D", "~k"), describe("~k", v=version),
         {"api": "DescribeGroups", "v": version, "body": {"Groups": []}})
rule("what is asked for twice of groups", commit({"a": [0]}), describe("~g", "~h", "~g"), describe_consumer("~g", "~h", "~g"))
for version in range(2):
    rule(f"describe consumers {version}", describe_consumer(v=version), describe_consumer("~g", "", "~h", v=version), consume("A", topics=["a", "b"], rack="r"), describe_consumer(v=version, ops=True),
         go_on("A"), describe_consumer(v=version), consume("B", topics=["b"], static="i", assignor="range"), describe_consumer(v=version), commit({"a": [0]}, group="~o"), describe_consumer("~o", "~g", v=version),
         stable("C", group="~classic"), describe_consumer("~classic", v=version), {"api": "ConsumerGroupDescribe", "v": version, "body": {}})

# ------------------------------------------------------------------------------------------------------- consumer protocol

for version in range(2):
    rule(f"consumer heartbeats of one member {version}", consume("A", v=version), go_on("A", v=version), consume("A", v=version, epoch=None), look(),
         consume("A", v=version, epoch=None, topics=["b", "a"]), go_on("A", v=version), look(), consume("A", v=version, epoch=-1), look(), go_on("A", v=version))
    rule(f"a consumer without a member id {version}", consume("A", v=version, member=""), consume("A", v=version, epoch=None, member=""), look())
    rule(f"refused consumer heartbeats {version}", consume("A", v=version, topics=[]), consume("B", v=version, member=""),
         [consume("C", v=version, **bad) for bad in (
             {"rebalance": -1}, {"rebalance": 0}, {"rebalance": -2}, {"owned": [{"TopicId": "#a", "Partitions": [0]}]}, {"assignor": "nonsense"}, {"assignor": ""},
             {"static": ""}, {"rack": ""}, {"epoch": -3}, {"epoch": -2}, {"epoch": -1}, {"epoch": 5}, {"epoch": 5, "owned": []}, {"topics": ["b", "b"]},
             {"topics": ["no/topic"]}, {"topics": [""]}, {"topics": ["nothing"]}, {"epoch": -1, "static": "i"}, {"epoch": -2, "static": "i"}, {"epoch": -4})], look())
rule("a consumer without topics given", {**consume("A"), "body": {**consume("A")["body"], "SubscribedTopicNames": None}}, look(),
     {**consume("A"), "body": {**consume("A")["body"], "TopicPartitions": None}}, look())
rule("absurd member ids of consumers", consume("A", member="x" * 36), consume("B", member="x" * 37), consume("C", member=" "), look())
rule("two consumers and the partitions between them", consume("A", topics=["c"]), go_on("A"), consume("B", topics=["c"]), look(), go_on("B"), go_on("A"), look(),
     go_on("A"), go_on("B"), go_on("B"), look(), go_on("A"))
rule("a third consumer", consume("A", topics=["c"]), go_on("A"), consume("B", topics=["c"]), go_on("A"), go_on("A"), go_on("B"), consume("C", topics=["c"]), look(), go_on("A"), go_on("B"),
     go_on("A"), go_on("B"), go_on("C"), look(), consume("A", epoch=-1), look(), go_on("B"), go_on("C"), look())
rule("a consumer that keeps what it must give up", consume("A", topics=["c"]), go_on("A"), consume("B", topics=["c"]), consume("A", epoch=None), consume("A", epoch=None),
     look(), consume("A", epoch=None, owned=[]), look(), go_on("B"))
rule("epochs of consumers", consume("A"), [consume("A", epoch=e) for e in (0, 1, 2, 3)], consume("A", epoch="$A.epoch-1"), consume("A", epoch="$A.epoch-1", owned="@A"),
     consume("A", epoch="$A.epoch+1"), go_on("A"), look())
rule("the epoch before with the same partitions", consume("A", topics=["c"]), go_on("A"), consume("B", topics=["c"]), go_on("A"), consume("A", epoch="$A.epoch-1", owned="@A"),
     go_on("A"), consume("A", epoch="$A.epoch-1", owned="@A"), consume("A", epoch="$A.epoch-1", owned=[]), look())
rule("a consumer that joins again", consume("A", topics=["c"]), go_on("A"), consume("B", topics=["c"]), go_on("A"), consume("A", topics=["c"]), look(), go_on("B"), go_on("A"), look())
rule("a consumer joins again with another subscription", consume("A", topics=["c"]), consume("A", topics=["b"]), look())
rule("assignors of consumers", consume("A", topics=["c"], assignor="range"), look(), consume("B", topics=["c"], assignor="uniform"), look(),
     consume("C", topics=["c"], assignor="uniform"), look(), consume("A", epoch=None, assignor="uniform"), look())
rule("a vote between assignors", consume("A", topics=["c"], assignor="range"), consume("B", topics=["c"], assignor="range"), consume("C", topics=["c"], assignor="uniform"), look())
rule("unchanged heartbeats of every field", consume("A", topics=["a"], rack="r", static="i"), consume("A", epoch=None, topics=["a"], rack="r", static="i", rebalance=60000, owned="@A"), look(),
     consume("A", epoch=None, rack="q"), look(), consume("A", epoch=None, rebalance=5000), consume("A", epoch=None, static="j"), look())
rule("topics come and go under consumers", consume("A", topics=["~t", "a"]), look(), {"create": "~t", "partitions": 2}, {"sleep": 300}, go_on("A"), go_on("A"), look(), commit({"~t": [0]}, who="A", consumer=True, v=9),
     {"delete": "~t"}, {"sleep": 300}, go_on("A"), go_on("A"), look(), fetch(None))
rule("regular expressions", consume("A", regex="[ab]"), {"sleep": 300}, go_on("A"), go_on("A"), look(), consume("A", epoch=None, regex="b"), {"sleep": 300}, go_on("A"), look(),
     consume("A", epoch=None, regex="", topics=["c"]), go_on("A"), look())
rule("a regular expression and names", consume("A", regex="b|~t", topics=["a"]), {"sleep": 300}, go_on("A"), go_on("A"), look(), consume("B", regex="b"), {"sleep": 300}, go_on("A"), go_on("B"), look())
rule("bad regular expressions", [consume(w, regex=r) for w, r in zip("ABCDEFG", ("[", "*", "(", "a{2,1}", "(?=a)", "\\p{Nonsense}", "a**"))], look())
for expression in (
        "a", "A", "(?i)A", ".", ".*", "[a-b]", "[^a]", "[^ab]", "a|b", "(a|b)", "(?:a|c)", "(?P<n>a)", "(?<n>a)", "^a$", "\\Aa\\z", "\\Aa\\Z", "\\Qa\\E", "\\Q", "\\C", "a{1}", "a{1000}", "a{1001}",
        "a{0,1000}", "a{1,0}", "a{,2}", "a{", "a{x}", "{", "}", "]", "a]", "[]a]", "[^]a]", "[[:alpha:]]", "[[:word:]]", "[[:nonsense:]]", "[a[b]]", "[a&&b]", "[a-c&&b]", "[a--b]", "[a~~b]", "[b-a]", "[\\w]",
        "[a-\\d]", "\\w", "\\d", "\\s", "\\pL", "\\p{L}", "\\p{Latin}", "\\p{Greek}", "\\p{IsLatin}", "\\p{Script=Latin}", "\\p{Lu}", "\\p{Ll}", "\\PL", "\\P{Greek}", "\\p{^Greek}", "\\p{Any}", "\\p{Alphabetic}", "\\p{Lower}",
        "\\p{lower}", "\\x61", "\\x{61}", "\\x{110000}", "\\u0061", "\\u{61}", "\\141", "\\0141", "\\1", "\\8", "(a)\\1", "\\a", "\\e", "\\b", "\\bb", "a\\b", "\\B", "\\y", "\\_", "\\-", "\\", "\\h", "\\K", "\\R", "\\N",
        "a*?", "a+?", "a??", "a*+", "a++", "a**", "a+*", "a?*", "a{1}{1}", "a{1}*", "(a*)*", "(?i:A)", "(?s).", "(?m)^a$", "(?U)a+", "(?u)a", "(?x) a", "(?R)a", "(?-i)a", "(?i-s)A", "(?is)A", "(?z)a", "(?)a", "(?:)a", "()a", "(?#c)a", "(?=a)a",
        "(?!a)b", "(?<=a)b", "(?<!a)b", "(?>a)", "|a", "a|", "|", "()", "a\x00", "\u00e9", "(?P<n>a)|(?P<n>b)", "(?P<1>a)", "(?P<>a)", "(?P=n)", "*a", "+", "?", "^*", "$*a", "\\b+a", "(|a)*", "(?i)\u212a", "(?i)k", "((((a))))", "(a", "a)", "(?i", "[a", "[",
        "\\<a\\>", "\\b{start}a", "a{1,1}?", "a{2}?|a", "(?:a?){500}", "((a{100}){100}){100}"):
    rule(f"the regular expression {expression!r}", consume("A", regex=expression), {"sleep": 150}, go_on("A"), go_on("A"), describe_consumer())
rule("an empty regular expression", consume("A", regex=""), consume("B", regex="", topics=[]), look())
rule("a regular expression that finds nothing", consume("A", regex="zzz.*"), {"sleep": 300}, go_on("A"), look())
rule("more consumers than the group may have", [consume(w) for w in "ABCDEF"], look(), consume("F", static="i"))
rule("a consumer's session ends", consume("A"), {"sleep": 1600}, look(), go_on("A"), group_consumer_session_timeout_ms=1000, group_consumer_heartbeat_interval_ms=500,
     group_consumer_min_heartbeat_interval_ms=500)
rule("a consumer that does not give up in time", consume("A", topics=["c"], rebalance=600), go_on("A"), consume("B", topics=["c"]), consume("A", epoch=None), {"sleep": 1200}, look(), go_on("A"), go_on("B"), look())
rule("static consumers", consume("A", static="s", topics=["c"]), go_on("A"), consume("B", static="s", topics=["c"]), look(), consume("A", epoch=-2, static="s"), look(),
     consume("B", static="s", topics=["c"]), look(), go_on("A"), go_on("B"), consume("B", epoch=-1, static="s"), look())
rule("a static consumer that leaves for a while comes back changed", consume("A", static="s", topics=["c"]), consume("C", topics=["c"]), go_on("A"), go_on("C"), consume("A", epoch=-2, static="s"), look(), go_on("C"),
     consume("B", static="s", topics=["b", "c"]), look(), go_on("B"), go_on("C"), look())
rule("static consumers with wrong ids", consume("A", static="s"), consume("B", epoch=-2, static="s"), consume("B", epoch=-1, static="s"), consume("B", epoch=1, static="s"), consume("A", epoch=-2, static="t"), consume("A", epoch=None, static="t"), look(),
     consume("A", epoch=-2), look())
rule("a static consumer that never left is not replaced", consume("A", static="s"), consume("A", static="s"), consume("B", static="s"), look())
for version in range(2, 11):
    rule(f"commit {version} of consumers", consume("A", topics=["c"]), go_on("A"), commit({"a": [0]}, who="A", consumer=True, v=version), commit({"a": [0]}, who="A", gen=0, v=version), commit({"a": [0]}, who="A", gen=9, v=version),
         commit({"a": [0]}, member="nobody", gen=1, v=version), commit({"a": [0]}, v=version), consume("B", topics=["c"]), commit({"a": [0]}, who="A", consumer=True, v=version), go_on("A"), go_on("A"),
         commit({"a": [0]}, who="A", consumer=True, v=version), commit({"a": [0]}, who="A", gen="$A.epoch-1", v=version), commit({"c": [0, 5]}, who="A", gen="$A.epoch-1", v=version), commit({"a": [0]}, who="A", gen=-1, v=version), fetch(None), consume("A", epoch=-1), consume("B", epoch=-1),
         commit({"a": [0]}, v=version, offset=1), fetch(None), look())
for version in range(8, 11):
    rule(f"fetch {version} of consumers", consume("A"), commit({"a": [0]}, who="A", consumer=True, v=9), fetch(None, who="A", v=version), fetch(None, who="A", epoch=9, v=version), fetch(None, who="A", epoch=0, v=version), fetch(None, member="nobody", epoch=1, v=version), fetch(None, v=version),
         fetch(None, member="", epoch=1, v=version), fetch(None, member="", v=version), fetch({"a": [0]}, who="A", epoch=-1, v=version))
rule("fetch 7 of consumers", consume("A"), commit({"a": [0]}, who="A", consumer=True, v=9), fetch(None, v=7), fetch(None, v=2))
rule("offset delete beside consumers", consume("A", topics=["a"]), commit({"a": [0], "b": [0]}, who="A", consumer=True, v=9), offset_delete({"a": [0], "b": [0], "nothing": [0]}), fetch(None), delete(), consume("A", epoch=-1), offset_delete({"a": [0]}), delete(), look())
rule("classic requests to a group of consumers", consume("A"), beat("A"), beat("A", gen="$A.epoch"), sync("A", gen="$A.epoch"), leave("A"), look())
rule("a leave for static consumers", consume("A", static="s"), leave(("", "s")), look())
rule("an empty group of consumers is joined by consumers", consume("A"), consume("A", epoch=-1), look(), consume("B", topics=["b"]), look())
rule("a rejoin after the group is gone", consume("A"), consume("A", epoch=-1), delete(), look(), go_on("A"), consume("A"), look())
rule("classic members join an empty group of consumers", consume("A"), consume("A", epoch=-1), enter("B"), look(), sync("B", assign={"B": b"x"}), look())
rule("consumers join an empty classic group", commit({"a": [0]}), consume("A"), look(), fetch(None), fetch(None, who="A"))
rule("consumers join a classic group that has only ids asked for", join("B", member=""), consume("A"), look(), join("B"), look())

# -------------------------------------------------------------------------------------------------------------- migration

SUB = [["range", "sub:c:A:1"]]


def consume(who, group="~g", **more):
    """With the assignor that goes by member ids: the other goes by their hashes, and brokers make up those of classic members."""
    return steps.consume(who, group, **{"assignor": "range" if more.get("epoch", 0) == 0 else None, **more})


rule("a classic group becomes a consumer group", stable("A", protocols=SUB), consume("B", topics=["c"]), look(), beat("A"), go_on("B"), join("A", protocols=SUB), sync("A"), beat("A"), go_on("B"), look(), go_on("B"),
     join("A", protocols=SUB), sync("A"), look(), leave("A"), look(), go_on("B"), look())
rule("the last classic member leaves a consumer group", stable("A", protocols=SUB), consume("B", topics=["c"]), leave("A"), look(), go_on("B"))
rule("a consumer group becomes a classic group", stable("A", protocols=SUB), consume("B", topics=["c"]), go_on("B"), join("A", protocols=SUB), sync("A"), go_on("B"), consume("B", epoch=-1), look(),
     beat("A"), join("A", protocols=SUB), look(), sync("A", assign={"A": "asg:c/0"}), look())
rule("a classic group in the midst of a rebalance becomes one", stable("A", protocols=SUB), enter("C", protocols=[["range", "sub:c:C:1"]]), consume("B", topics=["c"]), look(), join("A", protocols=SUB), look())
rule("a classic group that awaits syncs becomes one", enter("A", protocols=SUB), consume("B", topics=["c"]), look(), sync("A"), beat("A"), look())
rule("classic members join a group of consumers", consume("B", topics=["c"]), go_on("B"), enter("A", protocols=SUB), look(), sync("A"), beat("A"), go_on("B"), go_on("B"), beat("A"), join("A", protocols=SUB), sync("A"), look())
for version in (0, 3, 4, 9):
    rule(f"a classic member joins consumers with version {version}", consume("B", topics=["c"]), go_on("B"), join("A", v=version, member="", protocols=SUB), join("A", v=version, protocols=SUB), sync("A", v=min(version, 5), kind="consumer", name="range"), look(), beat("A", v=min(version, 4)))
rule("classic joins that a group of consumers refuses", consume("B", topics=["c"]), join("A", member="", protocols=[]), join("A", member="", protocols=[["range", b"\xff"]]), join("A", member="", kind="connect"),
     join("A", member="", protocols=[["range", "sub:::1"]]), join("A", member="nobody", protocols=SUB), join("A", member="", session=1), enter("A", protocols=[["range", b"\xff"]]), look(), enter("A", protocols=[["x", "sub:::1"]]), look())
for data in (b"", b"\x00", b"\xff", b"\x00\x00", b"\x00\x01", b"\xff\xff", b"\x00\x01\x00\x00\x00\x01\x00\x05a", b"\x00\x01\x7f\xff\xff\xff",
             b"\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff more", b"\x00\x63\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff and more"):
    rule(f"a subscription of {data!r} among consumers", consume("B", topics=["c"]), enter("A", protocols=[["range", data]]), sync("A"), look())
    rule(f"a subscription of {data!r} in a classic group", enter("A", protocols=[["range", data]]), sync("A"), commit({"a": [0]}, who="A"), offset_delete({"a": [0]}), consume("B", topics=["c"]), look())
    rule(f"an assignment of {data!r}", enter("A", protocols=SUB), sync("A", assign={"A": data}), consume("B", topics=["c"]), look())
rule("sync refusals in a group of consumers", consume("B", topics=["c"]), enter("A", protocols=SUB), sync("A", gen=99), sync("A", kind="other", name="range"), sync("A", kind="consumer", name="other"), sync("A", member="nobody"), sync("B", gen="$B.epoch"), sync("A", assign={"A": b"mine"}), look())
rule("heartbeats of classic members among consumers", consume("B", topics=["c"]), enter("A", protocols=SUB), beat("A"), beat("A", gen=9), sync("A"), beat("A"), consume("C", topics=["c"]), beat("A"), sync("A"), look())
rule("static classic members among consumers", consume("B", topics=["c"]), join("S", member="", static="s", protocols=SUB), sync("S", static="s"), join("T", member="", static="s", protocols=SUB), look(), sync("T", static="s"), beat("S", static="s"), beat("T", static="s"),
     leave(("", "s")), look())
rule("a static consumer takes a static classic member's place", consume("B", topics=["c"]), join("S", member="", static="s", protocols=SUB), sync("S", static="s"), consume("T", static="s", topics=["c"]), look(), beat("S", static="s"), go_on("T"), look())
rule("a static classic member takes a static consumer's place", consume("B", topics=["c"]), consume("T", static="s", topics=["c"]), go_on("B"), go_on("T"), consume("T", epoch=-2, static="s"), join("S", member="", static="s", protocols=SUB), look(), sync("S", static="s"), look())
rule("a static member takes the place of the last classic member", stable("A"), leave("A"), join("S", member="", static="s", protocols=SUB), sync("S", static="s", assign={"S": "asg:c/0,c/1"}), consume("T", static="s", topics=["c"]), look(), go_on("T"), look())
rule("the last consumer is replaced by a static classic member", consume("T", static="s", topics=["c"]), consume("T", epoch=-2, static="s"), join("S", member="", static="s", protocols=SUB), look(), sync("S", static="s", assign={"S": b"x"}), look())
rule("migration keeps offsets", stable("A", protocols=SUB), commit({"c": [0]}, who="A"), consume("B", topics=["c"]), fetch(None), commit({"c": [1]}, who="A"), commit({"c": [2]}, who="B", consumer=True, v=9), beat("A"), commit({"c": [2]}, who="A", gen=9), fetch(None), consume("B", epoch=-1), fetch(None), look())
rule("migration with assignments that are none", enter("A", protocols=SUB), sync("A", assign={"A": b"\xff\x00"}), consume("B", topics=["c"]), look())
rule("migration of a group with members of other metadata", enter("A", protocols=[["range", b"\x00"]]), sync("A"), consume("B", topics=["c"]), look())
rule("migration of two members", stable("A", "C", protocols=[["range", "sub:b::1"]]), consume("B", topics=["b"]), look(), beat("A"), beat("C"), join("A", protocols=[["range", "sub:b:A:1"]]), sync("A"), look(), join("C", protocols=[["range", "sub:b:C:1"]]), sync("C"), go_on("B"), look(), go_on("B"), beat("A"), beat("C"), look())
for policy in ("disabled", "upgrade", "downgrade"):
    rule(f"migration policy {policy}", stable("A", protocols=SUB), consume("B", topics=["c"]), look(), consume("C", "~h", topics=["c"]), enter("D", "~h", protocols=SUB), look("~h"), consume("C", "~h", epoch=-1), look("~h"), leave("A"), consume("B", topics=["c"]), look(),
         enter("F", "~h", protocols=SUB), look("~h"), group_consumer_migration_policy=policy)
rule("cooperative members among consumers", consume("B", topics=["c"]), go_on("B"), enter("A", protocols=[["cooperative-sticky", "sub:c::3"]]), sync("A"), go_on("B"), go_on("B"), beat("A"), join("A", protocols=[["cooperative-sticky", "sub:c:A:3"]]), sync("A"), look())
