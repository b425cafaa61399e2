"""The walk once more with Java's clients: what somebody who may do little is told, as classes and messages of exceptions.

Each action of src/ is done with nothing allowed, with all it needs but one permission, and with all of it. The program logs in
as `walker` with SASL: tokens are only for who did.
"""

import concurrent.futures
import os
import re
import time

from compat.common import jars, talk
from walk import cluster, on

USER = "walker"
JAAS = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{USER}" user_other="other";'
LISTENERS = {"SASL": "SASL_PLAINTEXT"}
SETTINGS = {"sasl.enabled.mechanisms": "PLAIN", "listener.name.sasl.plain.sasl.jaas.config": JAAS, "delegation.token.secret.key": "walk"}
TOPICS = ("also", "written", "seen")
# One to do it with, one for a permission that takes effect later in a controller than in its broker, one more for good measure.
TRIES = 5
MASKS = [(r"Request .*? needs (\w+) permission\.", r"needs \1"), (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
         (r"producerId=\d+", "producerId=N"), (r"broker localhost:\d+", "broker ADDRESS"), (r"\(id: 1 rack: null[^)]*\)", "(broker)"),
         # A record that comes before the refusal of the producer's id waits for it, one that comes after it is told of that.
         (r"KafkaException: Cannot execute transactional method because we are in an error state <- ", ""),
         (r"Call\(.*?\) timed out at .*", "timed out"), (r"(localhost|127\.0\.0\.1):\d+", "ADDRESS")]
# Exceptions that somebody must have met: that both say the same could also mean that neither came far enough to be refused.
WORDS = ("TopicAuthorizationException", "GroupAuthorizationException", "ClusterAuthorizationException",
         "TransactionalIdAuthorizationException", "DelegationTokenAuthorizationException", "Not authorized to access topics: [seen]")


def topics(operation, *names):
    return on(operation, "TOPIC", *names)


def actions():
    """What is done, the permissions it needs, and other sets of permissions to try."""
    seen, group = topics("DESCRIBE", "seen"), on("READ", "GROUP", "g")
    txn = on("WRITE", "TRANSACTIONAL_ID", "java-txn")
    yield "create topics", topics("CREATE", "seen", "fresh") + topics("DESCRIBE_CONFIGS", "fresh"), [cluster("CREATE")]
    yield "delete topics", topics("DELETE", "doomed", "gone"), [topics("DESCRIBE", "doomed", "gone"), topics("DESCRIBE", "doomed") + topics("DELETE", "gone")]
    yield "delete topics by id", topics("DELETE", "*"), []
    yield "list topics", seen, [topics("ALL", "*"), topics("READ", "see+")]
    yield "describe topics", topics("DESCRIBE", "seen", "gone"), [topics("ALL", "seen"), topics("ALTER", "seen")]
    yield "describe topics by id", topics("DESCRIBE", "*"), []
    yield "create partitions", topics("ALTER", "seen", "gone"), [topics("DESCRIBE", "seen", "gone")]
    yield "delete records", topics("DELETE", "seen"), [topics("READ", "seen"), topics("DESCRIBE", "seen")]
    yield "list offsets of a topic", seen, [topics("CREATE", "seen")]
    yield "describe configs of topics", topics("DESCRIBE_CONFIGS", "seen", "gone"), [topics("ALTER_CONFIGS", "seen"), topics("DESCRIBE", "seen")]
    yield "alter configs of a topic", topics("ALTER_CONFIGS", "seen"), [topics("DESCRIBE_CONFIGS", "seen"), cluster("ALTER_CONFIGS")]
    yield "describe producers", topics("READ", "seen"), [seen]
    yield "abort a transaction", seen + cluster("CLUSTER_ACTION"), [seen + cluster("ALTER")]
    for action in ("describe folders", "describe folders of a replica", "list reassignments", "describe the quorum", "describe ACLs",
                   "describe credentials", "describe a credential"):
        yield action, cluster("DESCRIBE"), [cluster("ALTER"), cluster("CREATE")]
    for action in ("move a replica", "elect leaders", "reassign partitions", "unregister a broker", "add a voter", "remove a voter",
                   "update features", "create ACLs", "delete ACLs", "delete a credential"):
        yield action, cluster("ALTER"), [cluster("DESCRIBE")]
    yield "describe the cluster", cluster("DESCRIBE"), [cluster("ALL"), cluster("ALTER_CONFIGS")]
    yield "describe features", [], []
    for action in ("list config resources", "describe quotas", "describe configs of a broker", "describe configs of a client metrics"):
        yield action, cluster("DESCRIBE_CONFIGS"), [cluster("DESCRIBE")]
    for action in ("alter quotas", "alter configs of a broker", "alter configs of a client metrics"):
        yield action, cluster("ALTER_CONFIGS"), [cluster("DESCRIBE_CONFIGS")]
    yield "describe configs of a group", on("DESCRIBE_CONFIGS", "GROUP", "g"), [on("ALTER_CONFIGS", "GROUP", "g"), cluster("DESCRIBE_CONFIGS")]
    yield "alter configs of a group", on("ALTER_CONFIGS", "GROUP", "g"), [on("DESCRIBE_CONFIGS", "GROUP", "g"), cluster("ALTER_CONFIGS")]
    yield "a token of one's own", [], []
    yield "a token for somebody else", on("CREATE_TOKENS", "USER", "User:other") + on("DESCRIBE_TOKENS", "USER", "User:other"), []
    yield "tokens of somebody else", on("DESCRIBE_TOKENS", "USER", "User:other"), []
    yield "a token that nobody made", [], []
    transactions = on("DESCRIBE", "TRANSACTIONAL_ID", "txn", "none")
    yield "describe transactions", transactions, []
    yield "list transactions", transactions[:1], []
    yield "fence producers", on("WRITE", "TRANSACTIONAL_ID", "txn", "none"), [transactions]
    yield "terminate a transaction", on("WRITE", "TRANSACTIONAL_ID", "txn"), [transactions]

    yield "list groups", on("DESCRIBE", "GROUP", "listed"), [cluster("DESCRIBE"), on("READ", "GROUP", "*")]
    yield "describe consumer groups", on("DESCRIBE", "GROUP", "kip", "listed", "none") + seen, [on("ALL", "GROUP", "*")]
    yield "describe classic groups", on("DESCRIBE", "GROUP", "listed", "none"), [on("DELETE", "GROUP", "listed")]
    yield "list offsets of a group", on("DESCRIBE", "GROUP", "listed") + seen, []
    yield "delete groups", on("DELETE", "GROUP", "nobody", "none"), [on("DELETE", "GROUP", "nobody") + on("DESCRIBE", "GROUP", "none")]
    yield "delete offsets of a group", on("DELETE", "GROUP", "listed") + topics("READ", "gone"), [on("ALL", "GROUP", "listed") + topics("DESCRIBE", "gone")]
    yield "alter offsets of a group", on("READ", "GROUP", "altered") + topics("READ", "seen"), [on("READ", "GROUP", "altered") + seen]
    read = topics("READ", "seen")
    yield "consume what is assigned", read, [seen]
    for protocol in ("classic", "consumer"):
        mine = on("READ", "GROUP", f"{protocol}-g")
        yield f"consume in a group of protocol {protocol}", read + mine, [seen + mine, read + on("DESCRIBE", "GROUP", f"{protocol}-g")]
        yield f"consume two topics in a group of protocol {protocol}", read + topics("READ", "also") + mine, [read + topics("DESCRIBE", "also") + mine]
        yield f"consume by a pattern in a group of protocol {protocol}", read + mine, []
    yield "commit", group + read, [group + seen, on("DESCRIBE", "GROUP", "g") + read]
    yield "look up what is committed", on("DESCRIBE", "GROUP", "g") + topics("DESCRIBE", "seen", "gone"), [on("DESCRIBE", "GROUP", "g") + seen]
    for action in ("look up ends", "look up times", "look up partitions", "look up topics"):
        yield action, seen, [topics("ALTER_CONFIGS", "seen")]
    write = topics("WRITE", "written")
    yield "produce", write, [topics("DESCRIBE", "written"), cluster("IDEMPOTENT_WRITE")]
    yield "produce, idempotent", write, [topics("DESCRIBE", "written") + cluster("IDEMPOTENT_WRITE"), topics("DESCRIBE", "written"), topics("WRITE", "other")]
    yield "look up partitions to write to", topics("DESCRIBE", "written"), [topics("CREATE", "written")]
    yield "a transaction", txn + write, [on("DESCRIBE", "TRANSACTIONAL_ID", "java-txn") + write, txn + topics("DESCRIBE", "written")]
    yield "a transaction with offsets", txn + read + on("READ", "GROUP", "txn-g"), [txn + seen + on("READ", "GROUP", "txn-g"),
                                                                                    txn + read + on("DESCRIBE", "GROUP", "txn-g")]


# Actions that need an API which the subject may not serve, as Java's client says then.
UNSERVED = {"describe the quorum": "DescribeQuorum", "elect leaders": "ElectLeaders", "reassign partitions": "AlterPartitionReassignments",
            "unregister a broker": "UnregisterBroker", "add a voter": "AddRaftVoter", "remove a voter": "RemoveRaftVoter"}


def sets(needs, also):
    yield "nothing", []
    if len(needs) > 1:
        for out in needs:
            yield f"all but {out}", [n for n in needs if n != out]
    for extra in also:
        yield "only " + ", ".join(extra), extra
    if needs:
        yield "all it needs", needs


def comparable(text):
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return text


class Walkers:
    """A program for each broker."""

    def __init__(self, pair, work):
        classes = jars.compiled("security-acls", jars.sources(os.path.join(os.path.dirname(os.path.abspath(__file__)), "src")))
        self.pair, self.pool = pair, concurrent.futures.ThreadPoolExecutor(len(pair))
        self.programs = [talk.Client(jars.java("AclClients", [f"localhost:{side.broker.ports['SASL']}", USER], classes=[classes]),
                                     os.path.join(work, f"walker-{side.name}.err")) for side in pair]
        for side in pair:
            for topic in TOPICS:
                side.topic(topic)
            side.record("seen")
            side.record("also")

    def actions(self):
        return self.programs[0].ask_json({"list": True}).get("actions")

    def ask(self, which, action, permissions):
        side = self.pair[which]
        if action == "delete topics":
            side.topic("doomed")
        side.allow(permissions, "*", f"User:{USER}")
        answer = self.programs[which].ask_json({"do": action})
        return comparable(answer.get("told") or answer.get("error", "no answer"))

    def both(self, action, permissions):
        return list(self.pool.map(lambda which: self.ask(which, action, permissions), range(len(self.pair))))

    def close(self):
        for program in self.programs:
            program.kill()


def run(check, pair, work, only):
    walkers = Walkers(pair, work)
    table = list(actions())
    check.equal("java: every action is in the table", walkers.actions(), sorted(name for name, _, _ in table))
    said = []
    for action, needs, also in table:
        if action in UNSERVED and pair[1].schemas.request(UNSERVED[action]).key not in pair[1].versions:
            print(f"note java: {action}: {UNSERVED[action]} is not served", flush=True)
            continue
        for what, permissions in sets(needs, also):
            name = f"java: {action}, {what}"
            if only and not re.search(only, name):
                continue
            began = time.monotonic()
            # Java's clients tell one refusal in one of several texts, by which of their threads met it first: what one side's told in
            # any try, the other's must tell in one.
            told = [set(), set()]
            for _ in range(TRIES):
                for texts, text in zip(told, walkers.both(action, permissions)):
                    texts.add(text)
                if told[0] & told[1]:
                    break
                time.sleep(0.3)
            said += told[1]
            check.check(name, bool(told[0] & told[1]), f"kafka {sorted(told[0])}\n     klamm {sorted(told[1])}\n     after {time.monotonic() - began:.1f} s")
    walkers.close()
    if not only:
        for word in WORDS:
            check.check(f"java: somebody is told {word}", any(word in text for text in said), "nobody is")
