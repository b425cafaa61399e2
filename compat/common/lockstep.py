"""A script run in lock step against both brokers: each step is sent to both, and the next one only when both have done with it.

A step is done with when it was answered, or when a heartbeat of nobody, sent after it to the same group, was: a group's requests
are handled in order, so a request without an answer by then waits for another one. Which of the waiting requests a step
sets free is compared like the answers themselves.
"""

import select
import time

PATIENCE = 0.03   # for an answer, before the heartbeat of nobody asks whether there will be one
GRACE = 0.012     # for answers that are already on their way
LATE = 2.0        # for the answer that the other broker has given


class Difference:
    def __init__(self, step, path, kafka, klamm):
        self.step, self.path, self.kafka, self.klamm = step, path, kafka, klamm

    def key(self):
        return self.path, _shape(self.kafka), _shape(self.klamm)

    def __str__(self):
        return f"step {self.step} {self.path}: Kafka {self.kafka!r}, Klamm {self.klamm!r}"


def _shape(value):
    return value if isinstance(value, (int, type(None))) else repr(value)[:60]


class Stop(Exception):
    """The brokers chose differently where they may: what follows cannot be compared."""


class Runner:
    def __init__(self, kafka, klamm, allowed):
        self.kafka, self.klamm, self.allowed = kafka, klamm, allowed
        self.runs, self.steps, self.stops, self.used = 0, 0, 0, {}

    @property
    def sides(self):
        return self.kafka, self.klamm

    def run(self, name, script, trace=None, free=False):
        """The differences of one script that no rule allows; it ends at the first step that has one. `free`: which member has
        which partitions is the broker's choice."""
        self.name, self.free = name, free
        self.runs += 1
        for side in self.sides:
            side.forget(f"d{self.runs}-")
        self.open, self.leaders = {}, {}
        try:
            for number, step in enumerate(script):
                self.steps += 1
                forgotten = self.forgets_group(step)
                out = self.step(number, step, trace)
                if out:
                    return out
                if forgotten:
                    raise Stop
        except Stop:
            self.stops += 1
        return []

    def step(self, number, step, trace):
        if "sleep" in step:
            self.pass_time(step["sleep"] / 1000)
            return self.compare(number, trace)
        if "create" in step or "delete" in step:
            self.topics(step)
            return self.compare(number, trace)
        self.open[number] = {side: side.send({**step, "number": number}) for side in self.sides}
        if step.get("later"):
            return []
        return self.compare(number, trace, step)

    def forgets_group(self, step):
        """Whether Kafka loses its memory over this: a classic member of another time that joins an empty consumer group is
        refused, but the group is gone until the log is read again. Klamm keeps it."""
        if step.get("api") != "JoinGroup" or not step["body"]["MemberId"]:
            return False
        group = self.klamm.resolve(step["body"]["GroupId"])
        groups = self.klamm.call("ListGroups", 5, {"StatesFilter": ["Empty"], "TypesFilter": ["consumer"]})["Groups"]
        return any(g["GroupId"] == group for g in groups)

    # Waiting.

    def receive(self, timeout):
        sockets = {p.link.socket: side for side in self.sides for p in side.pending}
        if sockets:
            ready, _, _ = select.select(list(sockets), [], [], timeout)
            for side in {sockets[s] for s in ready}:
                side.receive(0)
            return bool(ready)
        return False

    def wait(self, done, timeout):
        deadline = time.monotonic() + timeout
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.receive(left)
        return True

    def pass_time(self, seconds):
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not self.receive(left):
                time.sleep(max(0, min(left, deadline - time.monotonic())))

    def uneven(self):
        return [n for n, pair in self.open.items() if len({p.answer is None for p in pair.values()}) == 2]

    def settle(self, step):
        groups = {p.step["body"].get("GroupId") for pair in self.open.values() for p in pair.values()} - {None}
        if step:
            pair = list(self.open.values())[-1]
            answered = self.wait(lambda: all(p.answer for p in pair.values()), PATIENCE if groups else 10)
            if answered and len(self.open) == 1:
                return
        marks = [side.send({"api": "Heartbeat", "v": 3, "body": {"GroupId": g, "MemberId": "nobody"}, "mark": True})
                 for side in self.sides for g in groups]
        self.wait(lambda: all(m.answer for m in marks), 30)
        self.pass_time(GRACE)
        self.wait(lambda: not [n for n in self.uneven() if not self.expected(n)], LATE)

    def expected(self, number):
        """Whether an answer on one side only is one of the allowed ones, so that nobody need wait for the other."""
        return all(self.rule(d) for d in self.one_sided(number))

    # Comparing.

    def one_sided(self, number):
        kafka, klamm = (self.open[number][side] for side in self.sides)
        api = kafka.step["api"]
        if kafka.answer is None:
            return [Difference(number, f"{api}", "no answer", self.klamm.plain(klamm.answer))]
        return [Difference(number, f"{api}", self.kafka.plain(kafka.answer), "no answer")]

    def compare(self, number, trace, step=None):
        self.settle(step)
        found = []
        for n in self.uneven():
            found += self.one_sided(n)
            for side, p in self.open.pop(n).items():
                if p.answer is None:
                    side.pending.remove(p)
                    p.link.socket.close()
        for n in [n for n, pair in self.open.items() if all(p.answer for p in pair.values())]:
            pair = self.open.pop(n)
            kafka, klamm = (self.shown(side, pair[side]) for side in self.sides)
            if trace:
                trace(n, pair[self.kafka].step, kafka, klamm)
            self.leader(pair[self.kafka].step, kafka, klamm)
            found += list(differ(n, pair[self.kafka].step["api"], kafka, klamm))
        return self.judged(found)

    def judged(self, found):
        """Those of the differences that no rule allows."""
        out = []
        # First those after which nothing can be compared: they explain what else is in the answer.
        for d in sorted(found, key=lambda d: not getattr(self.rule(d), "stop", False)):
            rule = self.rule(d)
            if rule is None and self.free and ("TopicPartitions" in d.path or d.path == "SyncGroup.Assignment"):
                raise Stop
            if rule is None:
                out.append(d)
                continue
            self.used[rule.name] = self.used.get(rule.name, 0) + 1
            if rule.stop:
                raise Stop
        return out

    def shown(self, side, pending):
        answer = dict(pending.answer)
        if pending.step["api"] == "ListGroups" and "Groups" in answer:
            answer["Groups"] = [g for g in answer["Groups"] if g["GroupId"].startswith(side.prefix)]
        return side.plain(answer)

    def leader(self, step, kafka, klamm):
        """Which member leads when the leader is gone is the broker's choice, and no one's when it stayed."""
        if step["api"] != "JoinGroup" or kafka.get("ErrorCode") or klamm.get("ErrorCode"):
            return
        group, a, b = step["body"]["GroupId"], kafka.get("Leader"), klamm.get("Leader")
        if a != b and a and b and self.leaders.get(group) not in (a, b):
            raise Stop
        self.leaders[group] = a

    def rule(self, difference):
        return next((r for r in self.allowed if r.fits(difference, self.name)), None)

    # Topics.

    def topics(self, step):
        for side in self.sides:
            if "create" in step:
                name = side.resolve(step["create"])
                side.call("CreateTopics", 7, {"Topics": [{"Name": name, "NumPartitions": step["partitions"],
                                                          "ReplicationFactor": 1}], "timeoutMs": 30000})
            else:
                name = side.resolve(step["delete"])
                side.call("DeleteTopics", 5, {"TopicNames": [name], "TimeoutMs": 30000})
            deadline = time.monotonic() + 10
            while not self.there(side, name, "create" in step) and time.monotonic() < deadline:
                time.sleep(0.02)
        self.pass_time(0.3)

    def there(self, side, name, wanted):
        answer = side.call("Metadata", 12, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})
        topic = answer["Topics"][0]
        if not wanted:
            return topic["ErrorCode"] != 0
        if topic["ErrorCode"] or any(p["ErrorCode"] for p in topic["Partitions"]) or not topic["Partitions"]:
            return False
        side.topic_ids[name] = topic["TopicId"]
        return True


def differ(number, path, kafka, klamm):
    """Where two answers differ, as deep as they have the same form."""
    if isinstance(kafka, dict) and isinstance(klamm, dict) and kafka.keys() == klamm.keys():
        for key in kafka:
            if key != "ThrottleTimeMs":
                yield from differ(number, f"{path}.{key}", kafka[key], klamm[key])
    elif isinstance(kafka, list) and isinstance(klamm, list) and len(kafka) == len(klamm):
        for a, b in zip(kafka, klamm):
            yield from differ(number, path, a, b)
    elif kafka != klamm or type(kafka) is not type(klamm):
        yield Difference(number, path, kafka, klamm)
