"""What the tools are asked: users with SCRAM credentials, quotas, delegation tokens, and how directories are formatted."""

from compat.common.calls import Step

SETTINGS = {
    "num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "delegation.token.secret.key": "secret",
}

# Ids, and the stack that a tool prints with a fault, which names threads.
MASKS = [
    (r"(?<![A-Za-z0-9_.$-])[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])", "ID"),
    (r"Caused by: .*\n", ""),
]
FIXED_SCRAM = 'SCRAM-SHA-512=[name=bob,salt="N3E=",saltedpassword="YCE=",iterations=5000]'


def configs(name, *args, **more):
    more.setdefault("masks", MASKS)
    return Step(name, "kafka-configs", ["--bootstrap-server", "{bootstrap}", *args], **more)


def users(name, user, *args, **more):
    whom = ["--entity-type", "users"] + (["--entity-default"] if user is None else ["--entity-name", user] if user else [])
    return configs(name, *whom, *args, **more)


def tokens(name, *args):
    return Step(name, "kafka-delegation-tokens", ["--bootstrap-server", "{bootstrap}", *args], masks=MASKS)


def steps():
    yield users("scram nobody yet", "", "--describe")
    yield users("scram two mechanisms", "alice", "--alter", "--add-config",
                "SCRAM-SHA-256=[iterations=8192,password=alice-secret],SCRAM-SHA-512=[password=alice-secret]")
    yield users("scram another user", "bob", "--alter", "--add-config", "SCRAM-SHA-512=[iterations=16384,password=b]")
    yield users("scram describe one", "alice", "--describe")
    yield users("scram describe all", "", "--describe", sort=True)
    yield users("scram too few iterations", "alice", "--alter", "--add-config", "SCRAM-SHA-256=[iterations=4095,password=x]")
    yield users("scram too many iterations", "alice", "--alter", "--add-config", "SCRAM-SHA-256=[iterations=16385,password=x]")
    yield users("scram describe somebody unknown", "carol", "--describe")
    yield users("scram remove one of two", "alice", "--alter", "--delete-config", "SCRAM-SHA-256")
    yield users("scram remove what is not there", "alice", "--alter", "--delete-config", "SCRAM-SHA-256")
    yield users("scram describe what is left", "alice", "--describe")
    yield users("scram with a quota at once", "alice", "--alter", "--add-config",
                "producer_byte_rate=1000,SCRAM-SHA-256=[password=x]")

    rates = "producer_byte_rate=1024,consumer_byte_rate=2048,request_percentage=12.5,controller_mutation_rate=0.5"
    yield users("quota of a user", "alice", "--alter", "--add-config", rates)
    yield users("quota describe a user with credentials", "alice", "--describe")
    yield users("quota of all users", None, "--alter", "--add-config", "request_percentage=200")
    yield users("quota describe all users", None, "--describe")
    yield users("quota describe users", "", "--describe", sort=True)
    yield configs("quota of a client id", "--alter", "--entity-type", "clients", "--entity-name", "app", "--add-config",
                  "consumer_byte_rate=5")
    yield configs("quota of all client ids", "--alter", "--entity-type", "clients", "--entity-default", "--add-config",
                  "producer_byte_rate=7")
    yield configs("quota describe client ids", "--describe", "--entity-type", "clients", sort=True)
    yield users("quota of a user and a client id", "alice", "--entity-type", "clients", "--entity-name", "app", "--alter",
                "--add-config", "producer_byte_rate=77")
    yield users("quota of a user and any client id", "alice", "--entity-type", "clients", "--entity-default", "--alter",
                "--add-config", "producer_byte_rate=78")
    yield users("quota of any user and any client id", None, "--entity-type", "clients", "--entity-default", "--alter",
                "--add-config", "producer_byte_rate=79")
    yield users("quota describe a user and a client id", "alice", "--entity-type", "clients", "--entity-name", "app",
                "--describe")
    yield users("quota describe users and client ids", "", "--entity-type", "clients", "--describe", sort=True)
    yield configs("quota of an address", "--alter", "--entity-type", "ips", "--entity-name", "10.0.0.7", "--add-config",
                  "connection_creation_rate=5")
    yield configs("quota of all addresses", "--alter", "--entity-type", "ips", "--entity-default", "--add-config",
                  "connection_creation_rate=500")
    yield configs("quota describe addresses", "--describe", "--entity-type", "ips", sort=True)
    yield configs("quota describe an address", "--describe", "--entity-type", "ips", "--entity-name", "10.0.0.7")
    for name, value in (("zero", "producer_byte_rate=0"), ("negative", "consumer_byte_rate=-1"),
                        ("fraction", "producer_byte_rate=1.5"), ("unknown", "nonsense=1"),
                        ("of an address", "connection_creation_rate=1")):
        yield users(f"quota that is refused: {name}", "alice", "--alter", "--add-config", value)
    yield users("quota remove one", "alice", "--alter", "--delete-config", "consumer_byte_rate")
    yield users("quota remove what is not there", "alice", "--alter", "--delete-config", "consumer_byte_rate")
    yield users("quota describe what is left", "alice", "--describe")

    # Nobody may ask for a token over plaintext.
    yield tokens("token create over plaintext", "--create", "--max-life-time-period", "-1", "--renewer-principal", "User:bob")
    yield tokens("token renew over plaintext", "--renew", "--renew-time-period", "-1", "--hmac", "YWJj")
    yield tokens("token expire over plaintext", "--expire", "--expiry-time-period", "-1", "--hmac", "YWJj")
    yield tokens("token describe over plaintext", "--describe", "--owner-principal", "User:bob")


# Ids and, in what Apache Kafka shows of credentials, the salt and the keys.
STORAGE_MASKS = [
    (r"directory\.id=[A-Za-z0-9_-]{22}", "directory.id=ID"),
    (r"(salt|storedKey|serverKey)=\[[^\]]*\]", r"\1=[hidden]"),
    (r'Exception in thread "main" java\.lang\.\w+: ', ""),
]


def storage():
    """Name, whether the directories are to be removed before, and arguments."""
    c = ["-c", "{properties}"]
    yield "info of nothing", True, ["info", *c]
    yield "format with users", True, ["format", *c, "-t", "cluster", "--add-scram",
                                      "SCRAM-SHA-256=[name=alice,password=secret,iterations=8192]", "-S", FIXED_SCRAM]
    yield "info", False, ["info", *c]
    yield "format what is formatted, ignoring it", False, ["format", *c, "--cluster-id", "cluster", "--ignore-formatted"]
    yield "format for another cluster", False, ["format", *c, "-t", "other", "-g"]
    yield "format an older release", True, ["format", *c, "-t", "cluster", "--release-version", "3.9"]
    yield "format an old release with users", True, ["format", *c, "-t", "cluster", "-r", "3.4", "-S", FIXED_SCRAM]
    yield "format an unknown release", True, ["format", *c, "-t", "cluster", "-r", "2.0"]
    yield "format with features", True, ["format", *c, "-t", "cluster", "-f", "group.version=0", "-f", "transaction.version=1"]
    yield "format with an unknown feature", True, ["format", *c, "-t", "cluster", "-f", "nix=1"]
    for fault in ("nix", "SCRAM-SHA-1=[name=a,password=b]", "SCRAM-SHA-256=name=a]", "SCRAM-SHA-256=[name=a",
                  "SCRAM-SHA-256=[name=a]", "SCRAM-SHA-256=[name=a,saltedpassword=YCE=]",
                  "SCRAM-SHA-256=[name=a,password=b,iterations=1]", "SCRAM-SHA-256=[name=a,password=b,x=1]"):
        yield f"add-scram {fault}", True, ["format", *c, "-t", "cluster", "-S", fault]
