"""The session: what Kafka's tools are asked of three nodes, and the nodes that stop, die and come back in between.

The steps of compat/java (a tool, its arguments, how its output is made comparable; `{controllers}`, `{bootstrap2}`, `{data3}` and the
like stand for what is this cluster's own), and two more: a node is stopped, killed or started, and a tool is asked until it says
what is due.
"""

import json
import re

from compat.common.calls import Step
from compat.java.session import log_dirs_shape

# Internal topics as small as they go, leaders that change only when they are told to, and broker sessions of seconds.
SETTINGS = {
    "num.partitions": "1",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "3",
    "auto.create.topics.enable": "false",
    "auto.leader.rebalance.enable": "false",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "replica.lag.time.max.ms": "3000",
    # A batch a fetch, so that a throttle has something to throttle.
    "replica.fetch.max.bytes": "2048",
}

# Offsets of the metadata log, epochs of its leaders and which node it is: each cluster's own affair.
IDS = [(r"(?<![A-Za-z0-9_.$-])[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])", "ID")]
COLUMNS = [(r"(?<=\S)[ \t]+", " "), (r"(?m) $", "")]
EPOCH = [(r"Epoch: \d+", "Epoch: E")]
STATUS = [(r"(LeaderId|LeaderEpoch|HighWatermark|MaxFollowerLag|MaxFollowerLagTimeMs):( +)-?\d+", r"\1:\2N"), (r'"directoryId": "ID"', "DIRECTORY")]
REPLICATION = [(r"(?m)^[123] ID -?\d+ \d+ (-1|\d{13}) (-1|\d{13}) ", "N ID OFFSET LAG FETCHED CAUGHT-UP "),
               (r"(?m)^[123] ID \d+ \d+ (-1|\d+ ms ago) (-1|\d+ ms ago) ", "N ID OFFSET LAG AGO AGO ")]
# An admin client that does not retry for a minute what will not come.
IMPATIENT = {"impatient": "default.api.timeout.ms=6000\nrequest.timeout.ms=3000\n"}


class Node:
    """`act` is start, stop (cleanly) or kill (-9)."""

    def __init__(self, act, number):
        self.name, self.act, self.number = f"{act} node {number}", act, number


class Until:
    """A step is repeated until what it prints has the pattern (a regular expression)."""

    def __init__(self, name, step, pattern, timeout=40):
        self.name, self.step, self.pattern, self.timeout = "until " + name, step, pattern, timeout


def step(tool, name, *args, **more):
    return Step(f"{tool} {name}", "kafka-" + tool, ["--bootstrap-server", "{bootstrap}", *args], **more)


def topics(name, *args, **more):
    return step("topics", name, *args, **more)


def isr_in_order(text):
    """The order of in-sync replicas says nothing: Kafka's is that of a hash set."""
    return re.sub(r"(Isr: )([\d,]+)", lambda m: m[1] + ",".join(sorted(m[2].split(","))), text)


def describe(name, *args, **more):
    more.setdefault("shape", isr_in_order)
    return topics("describe " + name, "--describe", *args, **more)


def configs(name, *args, **more):
    return step("configs", name, *args, **more)


def quorum(name, *args, **more):
    return step("metadata-quorum", name, *args, **more)


def cluster(name, command, *args, **more):
    return Step("cluster " + name, "kafka-cluster", [command, "--bootstrap-server", "{bootstrap}", *args], **more)


def elect(name, *args, **more):
    return step("leader-election", name, *args, masks=IDS, sort=True, **more)


def produce(name, topic, first=1_700_000_000_000, partition=0):
    return Step("produce " + name, "fixed-producer", ["{bootstrap}", topic, partition, "none", 4, 20, 100, first])


def offsets(name, *args):
    return step("get-offsets", name, *args)


def reassignment(*partitions):
    """`partitions`: (topic, partition, replicas) or with log directories as a fourth."""
    keys = ("topic", "partition", "replicas", "log_dirs")
    return json.dumps({"version": 1, "partitions": [dict(zip(keys, p)) for p in partitions]})


def by_line(text):
    """Lists in braces and brackets in order: the tools print them as their hash maps have them."""
    return re.sub(r"\{([^{}]*)\}", lambda m: "{" + ",".join(sorted(re.split(r", ?(?=[\w.]+=|\")", m[1]))) + "}", text)


def reassign(name, action, plan=None, *args, **more):
    file = name.replace(" ", "-").replace("'", "") + ".json"
    plan_args = ["--reassignment-json-file", "{work}/" + file] if plan is not None else []
    return step("reassign-partitions", name, action, *plan_args, *args, prepare={file: plan} if plan is not None else None, **more)


def any_placement(text):
    """Replicas in order: where a topic's replicas go, each cluster draws by lot."""
    text = re.sub(r"(Replicas|Isr): ([\d,]+)", lambda m: f"{m[1]}: {','.join(sorted(m[2].split(',')))}", text)
    return re.sub(r"Leader: \d", "Leader: N", text)


def _fresh():
    to = ["--bootstrap-server", "{bootstrap}"]
    of = ["--bootstrap-controller", "{controllers}"]
    yield Until("all are there", cluster("endpoints", "list-endpoints"), r"(?s)1 .*2 .*3 ")
    yield Step("broker-api-versions", "kafka-broker-api-versions", to, sort=True)
    yield Step("cluster id", "kafka-cluster", ["cluster-id", *to])
    yield Step("cluster id of controllers", "kafka-cluster", ["cluster-id", *of])
    yield cluster("endpoints", "list-endpoints", sort=True)
    yield Step("cluster endpoints of controllers", "kafka-cluster", ["list-endpoints", *of], sort=True)
    yield Step("cluster endpoints of controllers with fenced", "kafka-cluster", ["list-endpoints", *of, "--include-fenced-brokers"])
    yield Until("all voters are caught up", quorum("status", "describe", "--status", masks=IDS), r"MaxFollowerLag: +[01]\n")
    yield quorum("status", "describe", "--status", masks=IDS + STATUS)
    yield quorum("replication", "describe", "--replication", masks=IDS + COLUMNS + REPLICATION, sort=True)
    yield quorum("replication for people", "describe", "--replication", "--human-readable", masks=IDS + COLUMNS + REPLICATION, sort=True)
    yield Step("metadata-quorum status of controllers", "kafka-metadata-quorum", [*of, "describe", "--status"], masks=IDS + STATUS)
    yield Step("metadata-quorum replication of controllers", "kafka-metadata-quorum", [*of, "describe", "--replication"],
               masks=IDS + COLUMNS + REPLICATION, sort=True)
    yield step("features", "describe", "describe", masks=EPOCH)
    yield Step("features describe controllers", "kafka-features", [*of, "describe"], masks=EPOCH)
    yield step("features", "describe a node", "describe", "--node-id", "2", masks=EPOCH)
    yield step("features", "downgrade metadata dry run", "downgrade", "--metadata", "3.9", "--dry-run")
    yield step("features", "downgrade metadata by far", "downgrade", "--metadata", "3.3", "--dry-run")
    yield step("features", "upgrade to what nobody knows", "upgrade", "--feature", "metadata.version=99", masks=[(r"Local controller \d", "Local controller N")])
    yield step("features", "upgrade where it is", "upgrade", "--release-version", "4.3", "--dry-run")
    yield step("features", "disable", "disable", "--feature", "group.version", "--dry-run")
    yield step("features", "version mapping", "version-mapping", "--release-version", "4.0")


def _topics():
    yield topics("create", "--create", "--topic", "t", "--replica-assignment", "1:2:3,2:3:1,3:1:2", "--config", "min.insync.replicas=2")
    yield topics("create on one", "--create", "--topic", "one", "--replica-assignment", "1,2,3")
    yield topics("create on two", "--create", "--topic", "two", "--replica-assignment", "1:2")
    yield topics("create placed", "--create", "--topic", "placed", "--partitions", "6", "--replication-factor", "3")
    yield topics("create placed on two", "--create", "--topic", "placed-2", "--partitions", "3", "--replication-factor", "2")
    yield topics("create too many", "--create", "--topic", "none", "--partitions", "1", "--replication-factor", "4")
    yield topics("create where nobody is", "--create", "--topic", "none", "--replica-assignment", "1:4")
    yield topics("create twice on one", "--create", "--topic", "none", "--replica-assignment", "1:2:1")
    yield topics("create unevenly", "--create", "--topic", "none", "--replica-assignment", "1:2,1")
    yield Until("all are led", describe("t", "--topic", "t"), r"(?s)Leader: 1\b.*Leader: 2\b.*Leader: 3\b")
    yield in_sync("placed", "placed")
    yield describe("t", "--topic", "t")
    yield describe("placed", "--topic", "placed", shape=any_placement)
    yield topics("add partitions placed by hand", "--alter", "--topic", "two", "--partitions", "2", "--replica-assignment", "1:2,2:1")
    yield topics("add partitions on a missing broker", "--alter", "--topic", "two", "--partitions", "3", "--replica-assignment", "1:2,2:1,3:9")
    yield topics("add partitions with too few replicas", "--alter", "--topic", "two", "--partitions", "3", "--replica-assignment", "1:2,2:1,3")
    for filter in FILTERS:
        yield describe(f"{filter} in health", f"--{filter}")
    for partition in range(3):
        yield produce(f"to t-{partition}", "t", partition=partition)
    yield produce("to two", "two")
    yield offsets("t", "--topic", "t")
    yield Until("followers have all", step("log-dirs", "t", "--describe", "--topic-list", "t,two", masks=LAGS, shape=log_dirs_shape), r"(?s)^(?!.*LAGS)")
    yield step("log-dirs", "of two", "--describe", "--topic-list", "t,two", "--broker-list", "1,2", shape=log_dirs_shape)
    yield step("log-dirs", "of one that is not", "--describe", "--topic-list", "t", "--broker-list", "1,9", shape=log_dirs_shape)
    yield verification("t in health", "t")


FILTERS = ("under-replicated-partitions", "unavailable-partitions", "at-min-isr-partitions", "under-min-isr-partitions")
LAGS = [(r'"offsetLag": ?[1-9]\d*', "LAGS")]


def verification(name, topic):
    """The tool goes on for ever, so it is ended; what it says within seconds counts."""
    masks = [(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+", "TIME"), (r"kafka-replica-verification: no end within.*", ""), (r"(?m)^\[.*\] (WARN|INFO|ERROR) ", r"\1 "),
             (r"max lag is \d+ for partition \S+ at offset \d+ among \d+ partitions", "max lag is L for partition P"), (r"(?s)(TIME: max lag.*?\n)(TIME: max.*?\n)*", r"\1")]
    return Step("replica-verification " + name, "kafka-replica-verification",
                ["--broker-list", "{bootstrap}", "--topics-include", topic, "--time", "-2", "--report-interval-ms", "500", "--max-wait-ms", "100"],
                masks=masks, timeout=6, alone=True)


def _configs():
    yield configs("of a broker", "--alter", "--entity-type", "brokers", "--entity-name", "2", "--add-config", "log.cleaner.backoff.ms=12345")
    yield configs("of all brokers", "--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "message.max.bytes=2000000")
    for who in ("1", "2", "3"):
        yield configs(f"describe broker {who}", "--describe", "--entity-type", "brokers", "--entity-name", who)
    yield configs("describe all brokers", "--describe", "--entity-type", "brokers", "--entity-default")
    yield configs("describe brokers", "--describe", "--entity-type", "brokers")
    yield configs("of a broker that is not", "--alter", "--entity-type", "brokers", "--entity-name", "9", "--add-config", "log.cleaner.backoff.ms=1")
    yield configs("of all what is one's own", "--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "advertised.listeners=PLAINTEXT://h:1")
    yield configs("of a broker what is read only", "--alter", "--entity-type", "brokers", "--entity-name", "2", "--add-config", "broker.rack=x")
    yield configs("of a broker what is wrong", "--alter", "--entity-type", "brokers", "--entity-name", "2", "--add-config", "message.max.bytes=x")
    yield configs("of a broker with others' address", "--alter", "--entity-type", "brokers", "--entity-name", "3", "--add-config", "num.io.threads=9")
    yield configs("of a broker taken back", "--alter", "--entity-type", "brokers", "--entity-name", "2", "--delete-config", "log.cleaner.backoff.ms")
    yield configs("of all brokers taken back", "--alter", "--entity-type", "brokers", "--entity-default", "--delete-config", "message.max.bytes")


def _elections():
    """After a clean stop of node 1, whose partitions the others lead now."""
    one = ["--election-type", "preferred", "--topic", "t", "--partition", "0"]
    yield elect("preferred is led already", *one)
    yield Node("stop", 1)
    yield describe("t without node 1", "--topic", "t")
    yield elect("preferred is gone", *one)
    yield cluster("endpoints without node 1", "list-endpoints", sort=True)
    yield cluster("endpoints with fenced without node 1", "list-endpoints", "--include-fenced-brokers", sort=True)
    yield Node("start", 1)
    yield in_sync("t after a stop", "t")
    yield describe("t after a stop", "--topic", "t")
    yield elect("preferred", *one)
    yield describe("t elected", "--topic", "t")
    yield elect("unclean where nobody needs it", "--election-type", "unclean", "--topic", "t", "--partition", "0")
    yield elect("of a topic that is not", "--election-type", "preferred", "--topic", "nix", "--partition", "0")
    yield elect("of a partition that is not", "--election-type", "preferred", "--topic", "t", "--partition", "7")
    yield elect("by file", "--election-type", "preferred", "--path-to-json-file", "{work}/elect.json",
                prepare={"elect.json": json.dumps({"partitions": [{"topic": "t", "partition": 1}, {"topic": "nix", "partition": 0}]})})
    yield elect("of all", "--election-type", "preferred", "--all-topic-partitions", shape=without_placed)
    yield elect("of all unclean", "--election-type", "unclean", "--all-topic-partitions")
    yield describe("all elected", "--topic", "t|one|two")


def in_sync(name, *names, replicas=3):
    isr = r"Isr: (\d,){" + str(replicas - 1) + r"}\d\b"
    return Until(f"in sync: {name}", describe(name, "--topic", "|".join(names)), rf"(?s)^(?!.*Partition: (?![^\n]*{isr})).*Partition: ")


def _death():
    """Node 3 is killed: what it led is led by others, what lay on it alone is not there."""
    yield Node("kill", 3)
    yield Until("node 3 is out", describe("u", "--under-replicated-partitions", "--topic", "t"), r"(?s)Partition: 0.*Partition: 1.*Partition: 2")
    yield describe("t without node 3", "--topic", "t")
    yield describe("one without node 3", "--topic", "one")
    for filter in FILTERS:
        yield describe(f"{filter} without node 3", f"--{filter}", "--topic", "t|one|two")
    yield cluster("endpoints without node 3", "list-endpoints", sort=True)
    yield cluster("endpoints with fenced without node 3", "list-endpoints", "--include-fenced-brokers", sort=True)
    yield quorum("status without node 3", "describe", "--status", masks=IDS + STATUS)
    yield quorum("replication without node 3", "describe", "--replication", masks=IDS + COLUMNS + REPLICATION, sort=True)
    for partition in range(3):
        yield produce(f"to t-{partition} without node 3", "t", partition=partition)
    yield offsets("t without node 3", "--topic", "t")
    yield step("get-offsets", "one without node 3", "--topic", "one", "--command-config", "{work}/impatient", masks=GIVEN_UP)
    yield elect("unclean of the lost", "--election-type", "unclean", "--topic", "one", "--partition", "2")
    yield elect("preferred of all without node 3", "--election-type", "preferred", "--all-topic-partitions", shape=without_placed)
    yield topics("create on the dead", "--create", "--topic", "dead", "--replica-assignment", "3:1")
    yield topics("create on all without node 3", "--create", "--topic", "dead-3", "--partitions", "1", "--replication-factor", "3")
    yield step("log-dirs", "of the dead", "--describe", "--topic-list", "two", "--broker-list", "3", shape=log_dirs_shape)
    yield configs("describe the dead", "--describe", "--entity-type", "brokers", "--entity-name", "3", "--command-config", "{work}/impatient", masks=GIVEN_UP)
    yield cluster("unregister what lives", "unregister", "--id", "9")
    yield reassign("execute to the dead", "--execute", reassignment(("two", 0, [1, 3])))
    yield Node("start", 3)
    yield in_sync("t is whole again", "t")
    # Who leads meanwhile is a matter of time: a busy machine has sessions of others end too.
    yield describe("t whole again", "--topic", "t", masks=[(r"Leader: \d", "Leader: N")])
    yield describe("one whole again", "--topic", "one")
    yield offsets("t whole again", "--topic", "t")
    yield elect("of all after a death", "--election-type", "preferred", "--all-topic-partitions", shape=lambda text: re.sub(r"(?m)( for partitions ).*", r"\1...", text))
    yield describe("t elected after a death", "--topic", "t")


GIVEN_UP = [(r"Timed out waiting for a node assignment\. Call: .*", "timed out"), (r"Call\(callName=.*", "timed out"), (r"(?m)^\[.*\] (WARN|INFO|ERROR) ", r"\1 ")]


def without_placed(text):
    """The partitions that were placed by lot are left out of lists of partitions."""
    text = re.sub(r"(for partitions )(.*)", lambda m: m[1] + ", ".join(sorted(p for p in m[2].split(", ") if not p.startswith("placed"))), text)
    text = re.sub(r"(?m)^Error completing leader election .* for partition: placed.*\n|^\tSuppressed: .*\n", "", text)
    return re.sub(r"\d+ replica\(s\) could not be elected", "N replica(s) could not be elected", text)


def _slow_moves():
    """A reassignment that is throttled so much that it can be looked at, changed and cancelled before it ends."""
    yield topics("create slow", "--create", "--topic", "slow", "--replica-assignment", "1:2,2:1")
    for partition in range(2):
        yield produce(f"to slow-{partition}", "slow", partition=partition)
    plan, other = reassignment(("slow", 0, [1, 3])), reassignment(("slow", 1, [2, 3]))
    yield reassign("execute slowly", "--execute", plan, "--throttle", "1")
    yield reassign("list in progress", "--list")
    yield reassign("verify in progress", "--verify", plan)
    yield describe("slow in progress", "--topic", "slow", masks=THROTTLES)
    yield describe("slow in progress with reassignments out", "--topic", "slow", "--under-replicated-partitions")
    yield reassign("execute another in progress", "--execute", other)
    yield reassign("execute additional", "--execute", other, "--additional", "--throttle", "1")
    yield reassign("list two in progress", "--list")
    yield topics("add partitions in progress", "--alter", "--topic", "slow", "--partitions", "3")
    yield reassign("cancel with throttles kept", "--cancel", plan, "--preserve-throttles")
    yield configs("throttles in progress", "--describe", "--entity-type", "brokers", "--entity-name", "3")
    yield reassign("cancel the other", "--cancel", other)
    yield reassign("cancel what is not", "--cancel", plan)
    yield reassign("list cancelled", "--list")
    # The third was placed by lot.
    yield describe("slow cancelled", "--topic", "slow", masks=[(r"(Partition: 2\s+)Leader: .*?(\sIsr)", r"\1placed\2")])
    yield reassign("verify cancelled", "--verify", plan)
    yield configs("throttles cancelled", "--describe", "--entity-type", "brokers", "--entity-name", "3")
    yield topics("delete slow", "--delete", "--topic", "slow")


THROTTLES = [*IDS, (r"(throttled\.replicas=)([\d:,]+)", lambda m: m[1] + ",".join(sorted(m[2].split(","))))]


def _moves():
    topics_to_move = {"move.json": json.dumps({"version": 1, "topics": [{"topic": "two"}]})}
    generate = ["--topics-to-move-json-file", "{work}/move.json"]
    proposed = [(r"(?s)(Proposed partition reassignment configuration\n).*?(---|$)", r"\1...\n\2")]
    yield step("reassign-partitions", "generate", "--generate", *generate, "--broker-list", "1,2,3", prepare=topics_to_move, masks=proposed)
    yield step("reassign-partitions", "generate without racks", "--generate", *generate, "--broker-list", "2,3", "--disable-rack-aware", masks=proposed)
    yield step("reassign-partitions", "generate for one", "--generate", *generate, "--broker-list", "1")
    yield step("reassign-partitions", "generate for one that is not", "--generate", *generate, "--broker-list", "1,9", masks=IDS)
    yield step("reassign-partitions", "generate of a topic that is not", "--generate", "--topics-to-move-json-file", "{work}/nix.json", "--broker-list", "1,2",
               prepare={"nix.json": json.dumps({"version": 1, "topics": [{"topic": "nix"}]})}, masks=IDS)
    plan = reassignment(("two", 0, [2, 3]), ("two", 1, [3, 1]))
    yield reassign("execute", "--execute", plan)
    yield Until("moved", describe("two", "--topic", "two"), r"(?s)Replicas: 2,3.Isr: (2,3|3,2).*Replicas: 3,1.Isr: (1,3|3,1)")
    yield reassign("verify", "--verify", plan)
    yield describe("two moved", "--topic", "two", masks=[(r"Isr: 3,2", "Isr: 2,3"), (r"Isr: 1,3", "Isr: 3,1")])
    yield offsets("two moved", "--topic", "two")
    yield reassign("execute what is so", "--execute", plan)
    yield reassign("cancel what has ended", "--cancel", plan)
    throttled = reassignment(("two", 0, [1, 2]), ("two", 1, [2, 3]))
    yield reassign("execute throttled", "--execute", throttled, "--throttle", "1000000", "--replica-alter-log-dirs-throttle", "2000000")
    yield Until("moved throttled", describe("two", "--topic", "two"), r"(?s)Replicas: 1,2.Isr: (2,1|1,2).*Replicas: 2,3.Isr: (2,3|3,2)")
    yield configs("throttles of the topic", "--describe", "--entity-type", "topics", "--entity-name", "two", masks=THROTTLES)
    yield configs("throttles of the brokers", "--describe", "--entity-type", "brokers", "--entity-name", "1")
    yield reassign("verify with throttles kept", "--verify", throttled, "--preserve-throttles")
    yield configs("throttles kept", "--describe", "--entity-type", "brokers", "--entity-name", "2")
    yield reassign("verify throttled", "--verify", throttled)
    yield configs("throttles gone from the topic", "--describe", "--entity-type", "topics", "--entity-name", "two")
    yield configs("throttles gone from the brokers", "--describe", "--entity-type", "brokers", "--entity-name", "1")
    for name, plan in (("a broker that is not", reassignment(("two", 0, [1, 9]))), ("one broker twice", reassignment(("two", 0, [1, 1]))),
                       ("nobody", reassignment(("two", 0, []))), ("a topic that is not", reassignment(("nix", 0, [1]))),
                       ("a partition that is not", reassignment(("two", 9, [1]))), ("a partition twice", reassignment(("two", 0, [1]), ("two", 0, [2]))),
                       ("no json", "x"), ("nothing", reassignment())):
        yield reassign(f"execute to {name}", "--execute", plan, masks=IDS)
    more = reassignment(("two", 0, [1, 2, 3]))
    yield reassign("execute more replicas which is denied", "--execute", more, "--disallow-replication-factor-change")
    yield reassign("execute more replicas", "--execute", more)
    yield in_sync("more replicas", "two", replicas=2)
    yield Until("more replicas are there", describe("two", "--topic", "two"), r"Replicas: 1,2,3.Isr: (\d,\d,\d)")
    yield reassign("verify more replicas", "--verify", more)
    fewer = reassignment(("two", 0, [3]))
    yield reassign("execute fewer replicas", "--execute", fewer)
    yield Until("fewer replicas are there", describe("two", "--topic", "two"), r"Leader: 3.Replicas: 3.Isr: 3\b")
    yield describe("two fewer replicas", "--topic", "two", masks=[(r"Isr: 3,2", "Isr: 2,3")])
    yield Until("what has moved is gone", step("log-dirs", "w", "--describe", "--topic-list", "two", "--broker-list", "1"), r'"partitions":\[\]')
    yield step("log-dirs", "of what has moved", "--describe", "--topic-list", "two", shape=log_dirs_shape)
    yield offsets("two fewer replicas", "--topic", "two")
    by_controller = ["--bootstrap-controller", "{controllers}"]
    yield Step("reassign-partitions list by controllers", "kafka-reassign-partitions", [*by_controller, "--list"])


def _unclean():
    """The last replica in sync goes, and the one that is left is made leader although it lacks what was acknowledged."""
    yield topics("create u", "--create", "--topic", "u", "--replica-assignment", "3:1")
    yield in_sync("u", "u", replicas=2)
    yield produce("to u", "u")
    yield Node("stop", 1)
    yield Until("u on one", describe("u", "--topic", "u"), r"Isr: 3\b")
    yield produce("to u on one", "u", 1_700_000_000_500)
    yield offsets("u on one", "--topic", "u")
    yield Node("kill", 3)
    yield Node("start", 1)
    yield Until("u is lost", describe("u", "--topic", "u"), r"Leader: none")
    yield describe("u lost", "--topic", "u")
    yield describe("unavailable-partitions when u is lost", "--unavailable-partitions", "--topic", "u")
    yield elect("preferred of what is lost", "--election-type", "preferred", "--topic", "u", "--partition", "0")
    yield elect("unclean", "--election-type", "unclean", "--topic", "u", "--partition", "0")
    yield describe("u elected", "--topic", "u")
    yield offsets("u elected", "--topic", "u")
    yield produce("to u elected", "u", 1_700_000_001_000)
    yield Node("start", 3)
    yield in_sync("u cut", "u", replicas=2)
    yield describe("u cut", "--topic", "u")
    yield offsets("u cut", "--topic", "u")
    yield elect("preferred of u", "--election-type", "preferred", "--topic", "u", "--partition", "0")
    yield offsets("u by its first leader", "--topic", "u")
    yield verification("u cut", "u")


def _quorum():
    of = ["--bootstrap-controller", "{controllers}"]
    yield step("metadata-quorum", "add a controller, dry run", "--command-config", "{properties2}", "add-controller", "--dry-run", masks=IDS)
    yield step("metadata-quorum", "add a controller", "--command-config", "{properties2}", "add-controller", masks=IDS)
    yield Step("metadata-quorum add a controller by controllers", "kafka-metadata-quorum", [*of, "--command-config", "{properties2}", "add-controller"], masks=IDS)
    gone = ["remove-controller", "--controller-id", "2", "--controller-directory-id", "AAAAAAAAQACAAAAAAAAAAg"]
    yield step("metadata-quorum", "remove a controller", *gone, masks=IDS)
    yield step("metadata-quorum", "remove a controller, dry run", *gone, "--dry-run", masks=IDS)
    yield step("metadata-quorum", "describe nothing", "describe")
    yield step("metadata-quorum", "describe both", "describe", "--status", "--replication")


def _goodbye():
    """A broker that is dead is unregistered, comes back and is registered again; topics go while it is away."""
    yield Node("stop", 2)
    yield topics("delete while node 2 is away", "--delete", "--topic", "placed")
    yield cluster("unregister node 2", "unregister", "--id", "2")
    yield cluster("unregister node 2 again", "unregister", "--id", "2", masks=IDS)
    yield cluster("endpoints with fenced after unregistration", "list-endpoints", "--include-fenced-brokers", sort=True)
    yield describe("t after unregistration", "--topic", "t")
    yield Node("start", 2)
    yield in_sync("t after registration", "t")
    yield cluster("endpoints after registration", "list-endpoints", sort=True)
    yield topics("delete all", "--delete", "--topic", "t|u|one|two|placed-2|dead|dead-3")
    yield Until("nothing is left", topics("list", "--list"), r"^---|^__")
    yield Until("logs are gone", step("log-dirs", "none", "--describe"), r'(?s)^(?!.*"partition":"(t|u|one|two|placed|slow|dead))', 90)


def steps():
    yield Step("an impatient client", "kafka-cluster", ["cluster-id", "--bootstrap-server", "{bootstrap}", "--command-config", "{work}/impatient"], prepare=IMPATIENT)
    yield from _fresh()
    yield from _topics()
    yield from _configs()
    yield from _elections()
    yield from _death()
    yield from _moves()
    yield from _slow_moves()
    yield from _unclean()
    yield from _quorum()
    yield from _goodbye()
