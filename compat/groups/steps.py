"""The session: what Kafka's tools are asked about groups, step by step, and the members that live meanwhile.

The steps of compat/java (a tool, its arguments, how its output is made comparable), and these: members that start, stop and
are waited for, brokers that are stopped and started, and looks into `__consumer_offsets`.
"""

import json
import re

from compat.common.calls import Step
from compat.java.session import T0

# The settings of both brokers: short waits, so that a session takes minutes.
SETTINGS = {
    "num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "300",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "200",
    "group.consumer.heartbeat.interval.ms": "500",
    "share.coordinator.state.topic.num.partitions": "5",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.share.min.session.timeout.ms": "1000",
    "group.share.min.heartbeat.interval.ms": "200",
    "group.share.heartbeat.interval.ms": "300",
}

STICKY = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
STRATEGIES = {
    "range": "org.apache.kafka.clients.consumer.RangeAssignor",
    "round robin": "org.apache.kafka.clients.consumer.RoundRobinAssignor",
    "sticky": "org.apache.kafka.clients.consumer.StickyAssignor",
    "cooperative": STICKY,
}
CONSUMER = {"group_protocol": "consumer"}
CLASSIC = {"group_protocol": "classic", "heartbeat_interval_ms": "500", "session_timeout_ms": "6000"}

# What of the output differs from run to run: member ids, and the widths of columns that depend on them.
IDS = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"(?<![A-Za-z0-9_.$-])[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])", "ID"),
    (r"(?<=\S)[ \t]+", " "),
    (r"(?m) $", ""),
    (r"Valid (states|types) are: .*", r"Valid \1 are: ..."),
]
# Log lines without their times; the console consumer ends its own last line only sometimes.
EXPIRED = [(r"(?m)^\[.*\] (ERROR|WARN|INFO) ", r"\1 "), (r"(?<=[^\n])(Processed a total of|ERROR \[Consumer)", r"\n\1")]


class Start:
    """A member of the session's crew."""

    def __init__(self, member, group, topics, **settings):
        self.member, self.group, self.topics, self.settings = member, group, topics, settings


class Stop:
    """Members leave."""

    def __init__(self, *members):
        self.members = members


class Settled:
    """Waits until the crew owns that many partitions, each once."""

    def __init__(self, partitions, members):
        self.partitions, self.members = partitions, members


class Pause:
    def __init__(self, seconds):
        self.seconds = seconds


class SessionsOver:
    """Waits until the sessions of static members that have gone away are over: 45 s, in both protocols."""

    seconds = 47


class Restart:
    pass


def partition_of(group):
    """Where Kafka keeps a group: Java's hash of its id, modulo the partitions of __consumer_offsets."""
    h = 0
    for c in group:
        h = (31 * h + ord(c)) & 0xFFFFFFFF
    h = h - (1 << 32) if h >> 31 else h
    return abs(h) % 50


def groups(name, *args, **more):
    more.setdefault("masks", IDS)
    return Step("consumer-groups " + name, "kafka-consumer-groups", ["--bootstrap-server", "{bootstrap}", *args], sort=True, **more)


def shares(name, *args, **more):
    more.setdefault("masks", IDS)
    return Step("share-groups " + name, "kafka-share-groups", ["--bootstrap-server", "{bootstrap}", *args], sort=True, **more)


def share_consume(name, group, topic, count, *args, timeout=8000):
    full = ["--bootstrap-server", "{bootstrap}", "--group", group, "--topic", topic, "--timeout-ms", timeout, "--max-messages", count]
    for show in ("partition", "offset", "key", "delivery"):
        full += ["--formatter-property", f"print.{show}=true"]
    return Step("share-consume " + name, "kafka-console-share-consumer", full + list(args), sort=True, masks=IDS + EXPIRED)


def list_groups(name, *args):
    return Step("groups " + name, "kafka-groups", ["--bootstrap-server", "{bootstrap}", "--list", *args], sort=True, masks=IDS)


def configs(name, *args):
    return Step("configs " + name, "kafka-configs", ["--bootstrap-server", "{bootstrap}", "--entity-type", "groups", *args], sort=True)


def consume(name, group, topic, count, *args, timeout=6000, **more):
    full = ["--bootstrap-server", "{bootstrap}", "--group", group, "--timeout-ms", timeout]
    full += ["--topic", topic] if topic else []
    full += ["--max-messages", count] if count is not None else []
    for show in ("partition", "offset", "key"):
        full += ["--formatter-property", f"print.{show}=true"]
    more.setdefault("masks", IDS + EXPIRED)
    return Step("consume " + name, "kafka-console-consumer", full + list(args), sort=True, **more)


def produce(name, topic, first, count):
    return Step("produce " + name, "kafka-console-producer",
                ["--bootstrap-server", "{bootstrap}", "--topic", topic, "--reader-property", "parse.key=true", "--reader-property", "key.separator=:"],
                stdin="".join(f"k{n % 17}:value {n}\n" for n in range(first, first + count)))


def properties(**pairs):
    out = []
    for key, value in pairs.items():
        out += ["--command-property", f"{key.replace('_', '.')}={value}"]
    return out


def last_words(text):
    """What a formatter printed, the last of each key: earlier ones are history, of which there may be more or less."""
    last, rest, decoder = {}, [], json.JSONDecoder()
    for line in text.splitlines():
        # The formatters end no line.
        while line.startswith("{"):
            record, end = decoder.raw_decode(line)
            line = line[end:]
            last[json.dumps(record["key"], sort_keys=True)] = json.dumps(clean(record), sort_keys=True)
        rest.append(line)
    return "\n".join(sorted(last.values()) + rest) + "\n"


def clean(tree):
    if isinstance(tree, dict):
        return {k: "T" if k.lower().endswith("timestamp") and v != -1 else clean(v) for k, v in tree.items()}
    return [clean(x) for x in tree] if isinstance(tree, list) else tree


def last_payloads(text):
    """The last payload of each key that kafka-dump-log --offsets-decoder printed."""
    last = {}
    for line in text.splitlines():
        m = re.search(r"key: (\{.*?\}) payload: ?(.*)$", line)
        if m:
            try:
                payload = json.dumps(clean(json.loads(m[2])), sort_keys=True)
            except ValueError:
                payload = m[2]
            last[m[1]] = f"{m[1]} {payload}"
        elif "key:" in line:
            last[line] = line
    return "\n".join(sorted(last.values())) + "\n"


def internal(name, formatter, group, *args, timeout=3000):
    """The partition of __consumer_offsets with the group in it."""
    return Step(f"formatter {name}", "kafka-console-consumer",
                ["--bootstrap-server", "{bootstrap}", "--topic", "__consumer_offsets", "--partition", partition_of(group), "--offset", "earliest",
                 "--timeout-ms", timeout, "--formatter", "org.apache.kafka.tools.consumer." + formatter, *args],
                shape=last_words, sort=True, masks=IDS + EXPIRED + [(r"Processed a total of \d+ messages", "Processed a total of N messages")])


def dump(name, group):
    return Step("dump-log " + name, "kafka-dump-log",
                ["--offsets-decoder", "--files", "{data}/__consumer_offsets-%d/00000000000000000000.log" % partition_of(group)],
                shape=last_payloads, sort=True, masks=IDS)


def verified(text):
    """The events of kafka-verifiable-consumer: how records fall into polls is not compared, what was consumed is."""
    out, seen, offsets = [], {}, {}
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            out.append(line)
            continue
        event.pop("timestamp", None)
        if event["name"] == "records_consumed":
            for p in event["partitions"]:
                key = f"{p['topic']}-{p['partition']}"
                low, high = seen.get(key, (p["minOffset"], p["maxOffset"]))
                seen[key] = (min(low, p["minOffset"]), max(high, p["maxOffset"]))
        elif event["name"] == "offsets_committed":
            for o in event["offsets"]:
                offsets[f"{o['topic']}-{o['partition']}"] = o["offset"]
            out += [] if event["success"] else [f"commit failed: {event}"]
        else:
            out.append(json.dumps(event, sort_keys=True))
    out += [f"consumed {key} {low} to {high}" for key, (low, high) in seen.items()]
    return "\n".join(out + [f"committed {key} {o}" for key, o in offsets.items()]) + "\n"


def verifiable(name, group, *args):
    return Step("verifiable-consumer " + name, "kafka-verifiable-consumer",
                ["--bootstrap-server", "{bootstrap}", "--topic", "work", "--group-id", group, "--reset-policy", "earliest", "--max-messages", 60, *args],
                sort=True, alone=True, shape=verified, masks=IDS)


def _topics():
    create = ["--bootstrap-server", "{bootstrap}", "--create", "--topic"]
    for topic, partitions in (("work", 4), ("other", 2), ("timed", 1)):
        yield Step("topics create " + topic, "kafka-topics", [*create, topic, "--partitions", partitions])
    yield groups("list nothing", "--list")
    yield list_groups("nothing")
    yield groups("describe before there is any", "--describe", "--group", "missing")
    yield produce("work", "work", 0, 60)
    yield produce("other", "other", 0, 20)
    yield Step("fixed timed", "fixed-producer", ["{bootstrap}", "timed", 0, "none", 10, 10, 20, T0])


def _console():
    yield consume("classic", "console", "work", 60, "--from-beginning")
    yield groups("describe console", "--describe", "--group", "console")
    yield produce("more", "work", 60, 8)
    yield groups("describe the lag", "--describe", "--group", "console")
    yield consume("only what is new", "console", "work", 8)
    yield consume("nothing left", "console", "work", None, timeout=3000)
    for label, strategy in STRATEGIES.items():
        yield consume(label, "console " + label, "work", 68, "--from-beginning", *properties(partition_assignment_strategy=strategy))
    yield consume("static member", "console static", "work", 68, "--from-beginning", *properties(group_instance_id="one", session_timeout_ms="1500", heartbeat_interval_ms="500"))
    yield consume("pattern", "console pattern", None, 88, "--from-beginning", "--include", "work|oth.*")
    yield consume("consumer protocol", "new", "work", 68, "--from-beginning", *properties(group_protocol="consumer"))
    for assignor in ("uniform", "range"):
        yield consume("consumer protocol " + assignor, "new " + assignor, "work", 68, "--from-beginning",
                      *properties(group_protocol="consumer", group_remote_assignor=assignor))
    yield consume("consumer protocol pattern", "new pattern", None, 88, "--from-beginning", "--include", "work|oth.*", *properties(group_protocol="consumer"))
    yield consume("consumer protocol static member", "new static", "work", 68, "--from-beginning",
                  *properties(group_protocol="consumer", group_instance_id="one"))
    yield consume("consumer protocol unknown assignor", "new wrong", "work", 1, *properties(group_protocol="consumer", group_remote_assignor="nope"))
    yield consume("session timeout too short", "short", "work", 1, *properties(session_timeout_ms="999", heartbeat_interval_ms="300"))
    yield consume("session timeout too long", "long", "work", 1, *properties(session_timeout_ms="1800001"))
    yield consume("consumer protocol again", "new", "work", None, *properties(group_protocol="consumer"), timeout=3000)
    yield consume("classic in a group of the consumer protocol", "new", "other", 20, "--from-beginning")
    yield consume("consumer protocol in a classic group", "console", "other", 20, "--from-beginning", *properties(group_protocol="consumer"))
    # Static members do not leave: until their sessions end.
    yield Pause(7)


def _lists():
    yield groups("list", "--list")
    yield groups("list with state", "--list", "--state")
    yield groups("list with type", "--list", "--type")
    yield groups("list with both", "--list", "--state", "--type")
    for state in ("Empty", "stable", "Empty,Dead", "Nope"):
        yield groups("list in state " + state, "--list", "--state", state)
    for kind in ("classic", "Consumer", "classic,consumer", "share", "nope"):
        yield groups("list of type " + kind, "--list", "--type", kind)
    yield list_groups("all")
    for kind in ("classic", "consumer", "share", "streams", "nope"):
        yield list_groups("of type " + kind, "--group-type", kind)
    for protocol in ("consumer", "connect", ""):
        yield list_groups("of protocol " + protocol, "--protocol", protocol)
    for flag in ("consumer", "share", "streams"):
        yield list_groups("flag " + flag, "--" + flag)
    yield groups("describe all", "--describe", "--all-groups")
    yield groups("describe all states", "--describe", "--all-groups", "--state")
    yield groups("describe all members", "--describe", "--all-groups", "--members")


def _described(label, *names):
    for name in names:
        at = f"{label} {name}" if len(names) > 1 else label
        yield groups(f"describe {at}", "--describe", "--group", name)
        yield groups(f"describe {at} offsets verbose", "--describe", "--group", name, "--offsets", "--verbose")
        yield groups(f"describe {at} members", "--describe", "--group", name, "--members")
        yield groups(f"describe {at} members verbose", "--describe", "--group", name, "--members", "--verbose")
        yield groups(f"describe {at} state", "--describe", "--group", name, "--state")
        yield groups(f"describe {at} state verbose", "--describe", "--group", name, "--state", "--verbose")


def _live():
    # The uniform assignor takes topics in the order of their ids, which are random: one topic there.
    for label, group, settings, topics, partitions in (
        ("classic", "live-classic", CLASSIC, "work,other", 6),
        ("cooperative", "live-cooperative", {**CLASSIC, "partition_assignment_strategy": STICKY}, "work,other", 6),
        ("consumer", "live-consumer", CONSUMER, "work", 4),
        ("consumer range", "live-range", {**CONSUMER, "group_remote_assignor": "range"}, "work,other", 6),
    ):
        yield Start("app", group, topics, **settings)
        yield Settled(partitions, 1)
        yield Start("app-2", group, topics, **{**settings, "group_instance_id": "second"})
        yield Settled(partitions, 2)
        yield from _described(label + " with two", group)
        yield groups(f"list {label} with two", "--list", "--state", "stable", "--type", "consumer" if "consumer" in label else "classic")
        yield groups(f"delete {label} with two", "--delete", "--group", group)
        yield groups(f"reset {label} with two", "--reset-offsets", "--group", group, "--topic", "work", "--to-earliest", "--execute")
        yield groups(f"delete offsets of {label} with two", "--delete-offsets", "--group", group, "--topic", "work")
        yield groups(f"delete offsets of {label} that nobody reads", "--delete-offsets", "--group", group, "--topic", "timed")
        yield Stop("app")
        yield Settled(partitions, 1)
        yield from _described(label + " with one left", group)
        yield Stop("app-2")
        yield Pause(0.5)
        yield groups(f"describe {label} whose static member is away", "--describe", "--group", group, "--members", "--verbose")
        yield groups(f"describe {label} whose static member is away, offsets", "--describe", "--group", group)


def _shares():
    """Groups whose members take records in turns."""
    work = ("--topic", "work")
    yield shares("list nothing", "--list")
    yield shares("describe before there is any", "--describe", "--group", "missing")
    yield shares("delete before there is any", "--delete", "--group", "missing")
    yield configs("share from the start", "--alter", "--entity-name", "taken", "--add-config", "share.auto.offset.reset=earliest,share.heartbeat.interval.ms=300")
    yield configs("describe share", "--describe", "--entity-name", "taken")
    yield configs("describe all of share", "--describe", "--all", "--entity-name", "taken")
    for setting in ("share.session.timeout.ms=1", "share.session.timeout.ms=99000", "share.heartbeat.interval.ms=99000", "share.record.lock.duration.ms=1000", "share.record.lock.duration.ms=99000",
                    "share.delivery.count.limit=1", "share.delivery.count.limit=99", "share.partition.max.record.locks=1", "share.partition.max.record.locks=99999", "share.auto.offset.reset=none",
                    "share.auto.offset.reset=by_duration:PT1H", "share.auto.offset.reset=by_duration:-PT1H", "share.isolation.level=serializable", "share.renew.acknowledge.enable=maybe",
                    "share.assignment.interval.ms=-1", "share.assignment.interval.ms=99000"):
        yield configs("share " + setting, "--alter", "--entity-name", "tried", "--add-config", setting)
    yield configs("describe share tried", "--describe", "--entity-name", "tried")
    yield share_consume("from the start", "taken", "other", 20)
    yield share_consume("nothing left", "taken", "other", 1, timeout=3000)
    yield Pause(1)
    yield shares("list", "--list")
    for state in ((), ("Empty",), ("stable,empty",), ("Nope",)):
        yield shares("list with state " + " ".join(state), "--list", "--state", *state)
    yield list_groups("share groups", "--share")
    yield list_groups("all with share groups")
    for what in ((), ("--offsets",), ("--members",), ("--state",)):
        for verbose in ((), ("--verbose",)):
            yield shares("describe taken " + " ".join(what + verbose), "--describe", "--group", "taken", *what, *verbose)
    yield shares("describe all", "--describe", "--all-groups")
    yield shares("describe two", "--describe", "--group", "taken", "--group", "missing", "--state")
    yield shares("describe a consumer group", "--describe", "--group", "console")
    yield groups("describe a share group", "--describe", "--group", "taken")
    yield shares("describe what is being consumed, offsets", "--describe", "--group", "taken", "--offsets")
    reset = ("--reset-offsets", "--group", "taken")
    for mode in ("--dry-run", "--execute"):
        yield shares(f"reset to earliest {mode}", *reset, "--topic", "other", "--to-earliest", mode)
        yield shares(f"describe after earliest {mode}", "--describe", "--group", "taken")
        yield shares(f"reset to latest {mode}", *reset, "--topic", "other", "--to-latest", mode)
        yield shares(f"reset to a time {mode}", *reset, "--topic", "other", "--to-datetime", "2023-11-14T22:13:24.500Z", mode)
        yield shares(f"describe after a time {mode}", "--describe", "--group", "taken")
        yield shares(f"reset to a time to come {mode}", *reset, "--topic", "other", "--to-datetime", "2123-11-14T22:13:24.500Z", mode)
        yield shares(f"reset another topic {mode}", *reset, *work, "--to-earliest", mode)
        yield shares(f"reset all topics {mode}", *reset, "--all-topics", "--to-latest", mode)
    yield shares("reset without a mode", *reset, *work, "--to-earliest")
    yield shares("reset a missing topic", *reset, "--topic", "missing", "--to-earliest", "--execute", timeout=120)
    yield shares("reset a group that is not there", "--reset-offsets", "--group", "put", *work, "--to-earliest", "--execute")
    yield shares("describe what a reset made", "--describe", "--group", "put")
    yield share_consume("from where it was put", "put", "work", 68)
    yield Pause(1)
    yield shares("describe what was put and consumed", "--describe", "--group", "put", "--verbose")
    yield shares("delete offsets", "--delete-offsets", "--group", "taken", "--topic", "other")
    yield shares("delete offsets again", "--delete-offsets", "--group", "taken", "--topic", "other")
    yield shares("delete offsets of a missing topic", "--delete-offsets", "--group", "taken", "--topic", "missing", timeout=120)
    yield shares("delete offsets of a missing group", "--delete-offsets", "--group", "missing", "--topic", "work")
    yield shares("describe after delete offsets", "--describe", "--group", "taken")
    yield shares("delete", "--delete", "--group", "put", "--group", "missing")
    yield shares("delete a consumer group", "--delete", "--group", "console")
    yield shares("list after delete", "--list")
    yield shares("delete all", "--delete", "--all-groups")
    yield configs("share delete", "--alter", "--entity-name", "taken", "--delete-config", "share.auto.offset.reset,share.heartbeat.interval.ms")
    yield configs("share tried delete", "--alter", "--entity-name", "tried", "--delete-config", "share.auto.offset.reset")


def _resets():
    reset = ("--reset-offsets", "--group", "moved")
    work = ("--topic", "work")
    yield groups("reset a group that is not there", *reset, *work, "--to-offset", "3", "--execute")
    yield groups("describe what a reset made", "--describe", "--group", "moved")
    yield groups("describe what a reset made, state", "--describe", "--group", "moved", "--state")
    yield groups("list what a reset made", "--list", "--state", "--type")
    for mode in ("--dry-run", "--execute"):
        yield groups(f"reset to earliest {mode}", *reset, *work, "--to-earliest", mode)
        yield groups(f"reset to latest {mode}", *reset, *work, "--to-latest", mode)
        yield groups(f"reset to offset {mode}", *reset, *work, "--to-offset", "5", mode)
        yield groups(f"describe after offset {mode}", "--describe", "--group", "moved")
        yield groups(f"reset shift by 2 {mode}", *reset, *work, "--shift-by", "2", mode)
        yield groups(f"reset shift by -1 {mode}", *reset, *work, "--shift-by", "-1", mode)
        yield groups(f"reset shift below the start {mode}", *reset, *work, "--shift-by", "-1000", mode)
        yield groups(f"reset beyond the end {mode}", *reset, *work, "--to-offset", "100000", mode)
        yield groups(f"reset to current {mode}", *reset, *work, "--to-current", mode)
        yield groups(f"reset by no duration {mode}", *reset, *work, "--by-duration", "PT0S", mode)
        yield groups(f"reset by ten years {mode}", *reset, *work, "--by-duration", "P3650D", mode)
        yield groups(f"reset to a time {mode}", *reset, "--topic", "timed", "--to-datetime", "2023-11-14T22:13:24.500Z", mode)
        yield groups(f"reset to a time in a zone {mode}", *reset, "--topic", "timed", "--to-datetime", "2023-11-15T00:13:24.500+02:00", mode)
        yield groups(f"reset to a time to come {mode}", *reset, "--topic", "timed", "--to-datetime", "2123-11-14T22:13:24.500Z", mode)
    yield groups("reset without a mode", *reset, *work, "--to-earliest")
    yield groups("reset some partitions", *reset, "--topic", "work:1,3", "--to-offset", "2", "--execute")
    yield groups("reset all topics", *reset, "--all-topics", "--to-earliest", "--execute")
    yield groups("reset without topics", *reset, "--to-earliest", "--execute")
    yield groups("reset a missing topic", *reset, "--topic", "missing", "--to-earliest", "--execute", timeout=120)
    yield groups("reset a missing partition", *reset, "--topic", "work:9", "--to-earliest", "--execute", timeout=120)
    yield groups("reset to a wrong time", *reset, *work, "--to-datetime", "yesterday", "--execute")
    yield groups("reset and export", *reset, *work, "--to-offset", "4", "--export", "--dry-run")
    yield groups("reset and export two groups", "--reset-offsets", "--group", "moved", "--group", "console", *work, "--to-offset", "4", "--export", "--dry-run")
    yield groups("reset from a file", *reset, "--from-file", "{work}/plan.csv", "--execute", prepare={"plan.csv": "work,0,1\nwork,1,2\nother,1,3\n"})
    yield groups("reset two groups from a file", "--reset-offsets", "--group", "moved", "--group", "console", "--from-file", "{work}/plan2.csv", "--execute",
                 prepare={"plan2.csv": "moved,work,0,3\nconsole,work,1,2\n"})
    yield groups("reset from a bad file", *reset, "--from-file", "{work}/bad.csv", "--execute", prepare={"bad.csv": "work,0\n"})
    yield groups("describe after the file", "--describe", "--group", "moved")
    yield groups("reset a group of the consumer protocol", "--reset-offsets", "--group", "new", *work, "--to-offset", "2", "--execute")
    yield SessionsOver()
    yield groups("reset every group", "--reset-offsets", "--all-groups", *work, "--to-earliest", "--dry-run")
    yield consume("from where it was put", "moved", "timed", 10)
    yield consume("from where it was put, consumer protocol", "new", "work", 60, *properties(group_protocol="consumer"))


def _deletes():
    offsets = ("--delete-offsets", "--group", "console")
    yield groups("delete offsets", *offsets, "--topic", "other")
    yield groups("delete offsets of a partition", *offsets, "--topic", "work:2")
    yield groups("delete offsets that are not there", *offsets, "--topic", "timed")
    yield groups("delete offsets of a missing topic", *offsets, "--topic", "missing", timeout=120)
    yield groups("delete offsets of a missing group", "--delete-offsets", "--group", "missing", "--topic", "work")
    yield groups("delete offsets of the consumer protocol", "--delete-offsets", "--group", "new", "--topic", "work:0")
    yield groups("describe after delete offsets", "--describe", "--group", "console")
    yield groups("describe new after delete offsets", "--describe", "--group", "new")
    yield groups("delete one", "--delete", "--group", "console sticky")
    yield groups("delete it again", "--delete", "--group", "console sticky")
    yield groups("delete several", "--delete", "--group", "console range", "--group", "missing", "--group", "new range")
    yield groups("describe a deleted one", "--describe", "--group", "console sticky")
    yield groups("describe a deleted one's state", "--describe", "--group", "console sticky", "--state")
    yield groups("list after deletes", "--list", "--type")
    to = ["--bootstrap-server", "{bootstrap}"]
    yield Step("topics delete other", "kafka-topics", [*to, "--delete", "--topic", "other"])
    yield Pause(1.5)
    yield groups("describe after a topic was deleted", "--describe", "--group", "live-classic")
    yield groups("describe after a topic was deleted, consumer protocol", "--describe", "--group", "live-consumer")


def _configs():
    at = ("--entity-name", "console")
    yield configs("describe none", "--describe", *at)
    yield configs("describe all of one", "--describe", "--all", *at)
    yield configs("add", "--alter", *at, "--add-config", "consumer.session.timeout.ms=7000,consumer.heartbeat.interval.ms=700")
    yield configs("describe one", "--describe", *at)
    yield configs("describe every", "--describe")
    for setting in ("consumer.session.timeout.ms=999", "consumer.session.timeout.ms=600000", "consumer.heartbeat.interval.ms=100", "consumer.heartbeat.interval.ms=8000",
                    "consumer.session.timeout.ms=abc", "nope=1", "retention.ms=1", "consumer.session.timeout.ms=-1"):
        yield configs("add " + setting, "--alter", *at, "--add-config", setting)
    yield configs("delete", "--alter", *at, "--delete-config", "consumer.session.timeout.ms")
    yield configs("delete unset", "--alter", *at, "--delete-config", "consumer.session.timeout.ms")
    yield configs("delete unknown", "--alter", *at, "--delete-config", "nope")
    yield configs("describe after delete", "--describe", *at)
    yield configs("of a group that is not there", "--alter", "--entity-name", "nobody", "--add-config", "consumer.session.timeout.ms=7000")
    yield configs("describe every at the end", "--describe")


def _files():
    yield Step("topics describe __consumer_offsets", "kafka-topics", ["--bootstrap-server", "{bootstrap}", "--describe", "--topic", "__consumer_offsets"])
    yield Step("get-offsets", "kafka-get-offsets", ["--bootstrap-server", "{bootstrap}", "--topic", "work|timed"], sort=True)
    for label, group in (("classic", "console"), ("cooperative", "live-cooperative"), ("consumer", "new"), ("consumer live", "live-consumer"), ("simple", "moved")):
        yield internal(f"offsets {label}", "OffsetsMessageFormatter", group)
        yield internal(f"groups {label}", "GroupMetadataMessageFormatter", group)
        yield dump(label, group)


def _verifiable():
    yield verifiable("classic", "verifiable", "--verbose", "--group-protocol", "classic", "--session-timeout", 6000)
    yield verifiable("range", "verifiable range", "--assignment-strategy", STRATEGIES["range"])
    yield verifiable("cooperative", "verifiable cooperative", "--assignment-strategy", STICKY)
    yield verifiable("static", "verifiable static", "--group-instance-id", "v1")
    yield verifiable("automatic commits", "verifiable automatic", "--enable-autocommit")
    yield verifiable("consumer protocol", "verifiable consumer", "--group-protocol", "consumer")
    yield verifiable("consumer protocol range", "verifiable consumer range", "--group-protocol", "consumer", "--group-remote-assignor", "range")
    yield groups("describe verifiable", "--describe", "--group", "verifiable", "--group", "verifiable consumer")


def _after_restart():
    yield Restart()
    # A broker that answers has not loaded all groups yet.
    yield Pause(5)
    yield groups("list after restart", "--list", "--state", "--type")
    yield groups("describe all after restart", "--describe", "--all-groups")
    yield groups("describe all states after restart", "--describe", "--all-groups", "--state")
    yield configs("describe every after restart", "--describe")
    yield produce("after restart", "work", 100, 12)
    yield consume("after restart", "verifiable", "work", 12)
    yield consume("consumer protocol after restart", "verifiable consumer", "work", 12, *properties(group_protocol="consumer"))
    yield groups("describe at the end", "--describe", "--all-groups")


def steps():
    for part in (_topics, _console, _lists, _shares, _live, _resets, _files, _deletes, _configs, _verifiable, _after_restart):
        yield from part()
