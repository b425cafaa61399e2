"""Kafka's own tools against both brokers: kafka-acls with its shortcuts, then tools of a client that may do little.

The tools come from sides.HERE. `allow` before a step is what that host may do from then on, beside what the broker needs.
"""

from compat.common import calls
from sides import CLUSTER

BROKERS_OWN = [f"ALL CLUSTER {CLUSTER}"]
BROKERS_LEAST = [f"CLUSTER_ACTION CLUSTER {CLUSTER}"]


class Step(calls.Step):
    def __init__(self, name, tool, *args, allow=None, masks=(), timeout=40, **more):
        super().__init__(name, tool, list(args), masks=(*MASKS, *masks), timeout=timeout, **more)
        self.allow = allow


MASKS = (
    (r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\]", "[T]"),
    (r"correlation id \d+", "correlation id N"),
    (r"Request .* needs (\w+) permission\.", r"needs \1"),
)
# A record that is sent before the producer's id is refused fails by its callback, and the tool ends well; one that is sent after it
# is not taken, and the tool dies of it.
NO_ID = [(r"(?s)^.*(Cluster authorization failed\.).*$", r"\1")]


# What some step must print, lest two tools that fail alike pass for two that agree.
SAID = ("Adding ACLs for resource `ResourcePattern(resourceType=TOPIC, name=t, patternType=LITERAL)`",
        "(principal=User:a, host=*, operation=WRITE, permissionType=ALLOW)", "name=team., patternType=PREFIXED",
        "permissionType=DENY", "Not authorized to access topics: [seen]",
        "GroupAuthorizationException", "ClusterAuthorizationException", "Processed a total of 1 messages")


def acls(name, *args, **more):
    return Step("acls " + name, "kafka-acls", "--bootstrap-server", "{bootstrap}", *args, sort=True, **more)


def tool(name, which, *args, **more):
    return Step(name, which, "--bootstrap-server", "{bootstrap}", *args, **more)


def steps():
    yield acls("none", "--list", "--principal", "User:a", allow=BROKERS_OWN)
    yield acls("producer", "--add", "--allow-principal", "User:a", "--producer", "--topic", "t")
    yield acls("idempotent producer of transactions", "--add", "--allow-principal", "User:a", "--producer", "--topic", "t",
               "--idempotent", "--transactional-id", "x")
    yield acls("consumer", "--add", "--allow-principal", "User:b", "--consumer", "--topic", "t", "--group", "g")
    yield acls("prefixed", "--add", "--allow-principal", "User:c", "--operation", "Read", "--operation", "Describe",
               "--topic", "team.", "--resource-pattern-type", "prefixed")
    yield acls("deny and host", "--add", "--deny-principal", "User:d", "--deny-host", "10.0.0.1", "--operation", "All",
               "--topic", "*", "--group", "*")
    yield acls("cluster, user, token", "--add", "--allow-principal", "User:e", "--operation", "Describe", "--delegation-token", "tok")
    yield acls("tokens of a user", "--add", "--allow-principal", "User:e", "--operation", "CreateTokens", "--user-principal", "User:f")
    yield acls("on the cluster", "--add", "--allow-principal", "User:e", "--operation", "AlterConfigs", "--cluster")
    yield acls("twice", "--add", "--allow-principal", "User:a", "--producer", "--topic", "t")
    yield acls("an operation that does not fit", "--add", "--allow-principal", "User:a", "--operation", "Create", "--group", "g")
    yield acls("no resource", "--add", "--allow-principal", "User:a", "--operation", "Read")
    yield acls("a bad principal", "--add", "--allow-principal", "a", "--operation", "Read", "--topic", "t")
    for principal in "abcdef":
        yield acls(f"list {principal}", "--list", "--principal", f"User:{principal}")
    yield acls("list of a topic", "--list", "--topic", "t", "--principal", "User:a")
    yield acls("list of what matches", "--list", "--topic", "team.orders", "--resource-pattern-type", "match", "--principal", "User:c")
    yield acls("list of what is prefixed", "--list", "--topic", "team.", "--resource-pattern-type", "prefixed", "--principal", "User:c")
    yield acls("remove one", "--remove", "--force", "--allow-principal", "User:b", "--operation", "Read", "--topic", "t")
    yield acls("list what is left", "--list", "--principal", "User:b")
    yield acls("remove the consumer's", "--remove", "--force", "--allow-principal", "User:b", "--consumer", "--topic", "t", "--group", "g")
    yield acls("remove what is prefixed", "--remove", "--force", "--topic", "team.", "--resource-pattern-type", "prefixed")
    yield acls("remove what is not there", "--remove", "--force", "--topic", "nothing")
    for principal in "abc":
        yield acls(f"list {principal} again", "--list", "--principal", f"User:{principal}")

    yield acls("list without permission", "--list", allow=BROKERS_LEAST)
    yield acls("add without permission", "--add", "--allow-principal", "User:a", "--operation", "Read", "--topic", "t")
    yield acls("remove without permission", "--remove", "--force", "--topic", "t")
    yield tool("topics list", "kafka-topics", "--list")
    yield tool("topics describe", "kafka-topics", "--describe", "--topic", "seen")
    yield tool("topics create", "kafka-topics", "--create", "--topic", "made", "--partitions", "1")
    yield tool("topics delete", "kafka-topics", "--delete", "--topic", "seen")
    yield tool("topics alter", "kafka-topics", "--alter", "--topic", "seen", "--partitions", "2")
    yield tool("configs describe", "kafka-configs", "--describe", "--entity-type", "topics", "--entity-name", "seen")
    yield tool("configs alter", "kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", "seen", "--add-config", "retention.ms=1000")
    yield tool("produce", "kafka-console-producer", "--topic", "seen", stdin="a\n")
    yield tool("consume", "kafka-console-consumer", "--topic", "seen", "--group", "g", "--timeout-ms", "5000")
    yield tool("groups list", "kafka-consumer-groups", "--list")
    yield tool("groups describe", "kafka-consumer-groups", "--describe", "--group", "listed")
    yield tool("groups delete", "kafka-consumer-groups", "--delete", "--group", "listed")
    yield tool("transactions list", "kafka-transactions", "list")
    yield tool("log dirs", "kafka-log-dirs", "--describe")
    yield tool("offsets", "kafka-get-offsets", "--topic", "seen")

    some = BROKERS_LEAST + ["DESCRIBE TOPIC seen", "DESCRIBE GROUP listed"]
    yield tool("topics list, some", "kafka-topics", "--list", allow=some)
    yield tool("topics delete, some", "kafka-topics", "--delete", "--topic", "seen")
    yield tool("produce, some", "kafka-console-producer", "--topic", "seen", stdin="a\n", masks=NO_ID)
    yield tool("groups list, some", "kafka-consumer-groups", "--list")
    yield tool("groups describe, some", "kafka-consumer-groups", "--describe", "--group", "listed")
    enough = BROKERS_LEAST + ["READ TOPIC seen", "WRITE TOPIC seen", "READ GROUP g", "DESCRIBE_CONFIGS TOPIC seen"]
    yield tool("produce, enough", "kafka-console-producer", "--topic", "seen", stdin="a\n", allow=enough)
    yield tool("consume, enough", "kafka-console-consumer", "--topic", "seen", "--group", "g", "--from-beginning", "--max-messages", "1",
               "--timeout-ms", "15000")
    yield tool("configs describe, enough", "kafka-configs", "--describe", "--entity-type", "topics", "--entity-name", "seen")
