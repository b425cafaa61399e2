"""The session: what Kafka's own tools are asked to do, step by step, against Apache Kafka and against Klamm.

A step is a tool, its arguments, what goes to its standard input, and how its output is made comparable. `{bootstrap}`,
`{data}` and `{work}` in arguments stand for the broker's address, its data folder and a folder for files. The steps are
in groups that build on each other from top to bottom; every step has a name of its own, by which
`differences.allow` names it.
"""

import json

from compat.common.calls import Step

# The broker settings of both brokers, beside the addresses and the data folder.
SETTINGS = {
    "num.partitions": "2",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
}

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
T0 = 1_700_000_000_000  # the first timestamp of records whose every byte is fixed


class Restart:
    """Both brokers are stopped cleanly and started again on the same data."""

    def __init__(self, name):
        self.name = name


class SameFiles:
    """Files of a partition's folder must be equal byte for byte."""

    def __init__(self, name, partition, suffixes):
        self.name, self.partition, self.suffixes = name, partition, suffixes


def topics(name, *args, **more):
    return Step("topics " + name, "kafka-topics", ["--bootstrap-server", "{bootstrap}", *args], **more)


def configs(name, *args, **more):
    return Step("configs " + name, "kafka-configs", ["--bootstrap-server", "{bootstrap}", *args], **more)


def produce(name, topic, lines, *args, **more):
    return Step("produce " + name, "kafka-console-producer",
                ["--bootstrap-server", "{bootstrap}", "--topic", topic, *args], stdin=lines, **more)


def consume(name, topic, partition, offset, count, *args, **more):
    full = ["--bootstrap-server", "{bootstrap}", "--topic", topic, "--partition", partition, "--offset", offset,
            "--timeout-ms", "3000"]
    full += ["--max-messages", count] if count is not None else []
    for show in ("timestamp", "partition", "offset", "key", "headers"):
        full += ["--formatter-property", f"print.{show}=true"]
    return Step("consume " + name, "kafka-console-consumer", full + list(args), **more)


def offsets(name, *args, **more):
    return Step("offsets " + name, "kafka-get-offsets", ["--bootstrap-server", "{bootstrap}", *args], **more)


def fixed(name, topic, codec, batches=4, per_batch=20, value=100, first=T0):
    return Step("fixed " + name, "fixed-producer",
                ["{bootstrap}", topic, 0, codec, batches, per_batch, value, first])


def delete_records(name, *parts):
    content = {"version": 1, "partitions": [{"topic": t, "partition": p, "offset": o} for t, p, o in parts]}
    file = name.replace(" ", "-") + ".json"
    return Step("delete-records " + name, "kafka-delete-records",
                ["--bootstrap-server", "{bootstrap}", "--offset-json-file", "{work}/" + file, "--command-config", "{work}/impatient"],
                prepare={file: json.dumps(content), "impatient": IMPATIENT}, sort=True, masks=TIMED_OUT)


def dump(name, file, *args, **more):
    return Step("dump-log " + name, "kafka-dump-log", ["--files", "{data}/" + file, *args], **more)


def log_dirs_shape(text):
    """The JSON of kafka-log-dirs with its lists in order."""
    out = []
    for line in text.splitlines():
        if line.startswith("{"):
            tree = json.loads(line)
            for broker in tree["brokers"]:
                broker["logDirs"].sort(key=lambda d: d["logDir"])
                for d in broker["logDirs"]:
                    d["partitions"].sort(key=lambda p: p["partition"])
            line = json.dumps(tree, indent=1, sort_keys=True)
        out.append(line)
    return "\n".join(out) + "\n"


# An admin client that does not retry for a minute what will not come.
IMPATIENT = "default.api.timeout.ms=6000\nrequest.timeout.ms=3000\n"
TIMED_OUT = [(r"TimeoutException: .*", "TimeoutException: ..."), (r"(Call\(callName=|Timed out waiting for a node assignment).*", "timed out")]
SIZES = [(r'"size":\d+', '"size":0')]
PRODUCER_IDS = [(r"producerId: \d+", "producerId: P")]
CRCS = [(r"crc: \d+", "crc: C"), (r"size: \d+", "size: S"), (r"position: \d+", "position: P")]
VERIFIED = [(r'"timestamp":\d+', '"timestamp":T'), (r'"avg_throughput":[\d.E]+', '"avg_throughput":X')]
PERF = [(r"\d+ records sent, .* ms avg latency.*", "N records sent")]


def _topics():
    yield topics("list nothing", "--list")
    yield topics("create three partitions", "--create", "--topic", "alpha", "--partitions", "3", "--replication-factor", "1")
    yield topics("create with defaults", "--create", "--topic", "beta")
    yield topics("create with configs", "--create", "--topic", "gamma", "--partitions", "1",
                 "--config", "retention.ms=86400000", "--config", "cleanup.policy=compact,delete", "--config", "segment.bytes=1048576")
    yield topics("create again", "--create", "--topic", "alpha", "--partitions", "3")
    yield topics("create again if not there", "--create", "--topic", "alpha", "--partitions", "3", "--if-not-exists")
    yield topics("create with a period and an underscore", "--create", "--topic", "with.period_and_underscore")
    yield topics("create colliding", "--create", "--topic", "with_period_and_underscore")
    for label, bad in (("slash", "bad/name"), ("dots", ".."), ("one dot", "."), ("space", "a b"), ("long", "x" * 250), ("letters", "naïve")):
        yield topics("create bad name: " + label, "--create", "--topic", bad, "--partitions", "1")
    yield topics("create longest name", "--create", "--topic", "x" * 249, "--partitions", "1")
    yield topics("delete longest name", "--delete", "--topic", "x" * 249)
    for count in ("0", "-1", "-5"):
        yield topics(f"create with {count} partitions", "--create", "--topic", "none", "--partitions", count)
    for factor in ("0", "2", "40"):
        yield topics(f"create with replication {factor}", "--create", "--topic", "none", "--partitions", "1", "--replication-factor", factor)
    yield topics("create assigned", "--create", "--topic", "assigned", "--replica-assignment", "1,1")
    yield topics("create assigned to one broker twice", "--create", "--topic", "none", "--replica-assignment", "1:1")
    yield topics("create assigned to a missing broker", "--create", "--topic", "none", "--replica-assignment", "7")
    yield topics("create assigned unevenly", "--create", "--topic", "none", "--replica-assignment", "1:7,1")
    for setting in ("nope=1", "retention.ms=abc", "cleanup.policy=shred", "min.insync.replicas=0", "segment.bytes=1", "compression.type=brotli",
                    "message.timestamp.type=Never", "retention.ms=-2", "compression.gzip.level=11", "unclean.leader.election.enable=maybe",
                    "remote.storage.enable=true", "preallocate=yes", "max.message.bytes=-1",
                    "min.cleanable.dirty.ratio=1.5", "message.downconversion.enable=true"):
        yield topics("create with " + setting, "--create", "--topic", "none", "--partitions", "1", "--config", setting)
    yield topics("create with local retention", "--create", "--topic", "local", "--partitions", "1", "--config", "local.retention.ms=5000")
    yield topics("create with too many partitions", "--create", "--topic", "none", "--partitions", "20000")
    yield topics("list", "--list")
    yield topics("list without internal", "--list", "--exclude-internal")
    yield topics("list by pattern", "--list", "--topic", "al.*|be.*")
    yield topics("describe all", "--describe", sort=True)
    yield topics("describe one", "--describe", "--topic", "alpha")
    yield topics("describe assigned", "--describe", "--topic", "assigned")
    yield topics("describe with configs", "--describe", "--topic", "gamma")
    yield topics("describe missing", "--describe", "--topic", "missing")
    yield topics("describe missing if there", "--describe", "--topic", "missing", "--if-exists")
    yield topics("describe missing id", "--describe", "--topic-id", "AAAAAAAAAAAAAAAAAAAAZQ")
    yield topics("describe with overrides", "--describe", "--topics-with-overrides", sort=True)
    yield topics("describe under-replicated", "--describe", "--under-replicated-partitions", sort=True)
    yield topics("describe unavailable", "--describe", "--unavailable-partitions", sort=True)
    yield topics("describe under min isr", "--describe", "--under-min-isr-partitions", sort=True)
    yield topics("describe at min isr", "--describe", "--at-min-isr-partitions", sort=True)
    yield topics("describe in small pages", "--describe", "--partition-size-limit-per-response", "1", sort=True)
    yield topics("alter to five", "--alter", "--topic", "alpha", "--partitions", "5")
    yield topics("alter to fewer", "--alter", "--topic", "alpha", "--partitions", "2")
    yield topics("alter to the same", "--alter", "--topic", "alpha", "--partitions", "5")
    yield topics("alter to zero", "--alter", "--topic", "alpha", "--partitions", "0")
    yield topics("alter missing", "--alter", "--topic", "missing", "--partitions", "5")
    yield topics("alter missing if there", "--alter", "--topic", "missing", "--partitions", "5", "--if-exists")
    yield topics("alter assigned", "--alter", "--topic", "assigned", "--partitions", "3", "--replica-assignment", "1,1,1")
    yield topics("alter assigned to a missing broker", "--alter", "--topic", "assigned", "--partitions", "4", "--replica-assignment", "1,1,1,9")
    yield topics("describe after alter", "--describe", "--topic", "alpha")
    yield topics("delete", "--delete", "--topic", "with.period_and_underscore")
    yield topics("delete missing", "--delete", "--topic", "missing")
    yield topics("delete missing if there", "--delete", "--topic", "missing", "--if-exists")
    yield topics("list after delete", "--list")


def _configs():
    topic = ("--entity-type", "topics", "--entity-name", "gamma")
    yield configs("topic describe", "--describe", *topic, sort=True)
    yield configs("topic describe all", "--describe", "--all", *topic, sort=True)
    yield configs("topics describe every", "--describe", "--entity-type", "topics", sort=True)
    yield configs("topic add", "--alter", *topic, "--add-config", "retention.bytes=1000000,segment.ms=60000,max.message.bytes=2000000")
    yield configs("topic add list", "--alter", *topic, "--add-config", "cleanup.policy=[compact],leader.replication.throttled.replicas=[0:1]")
    yield configs("topic add levels", "--alter", *topic, "--add-config", "compression.type=gzip,compression.gzip.level=9,compression.zstd.level=-7")
    yield configs("topic describe after add", "--describe", *topic, sort=True)
    yield configs("topic delete", "--alter", *topic, "--delete-config", "segment.ms,retention.bytes")
    yield configs("topic delete unset", "--alter", *topic, "--delete-config", "segment.ms")
    yield configs("topic delete unknown", "--alter", *topic, "--delete-config", "nope")
    yield configs("topic add and delete", "--alter", *topic, "--add-config", "flush.messages=5", "--delete-config", "max.message.bytes")
    for setting in ("nope=1", "retention.ms=abc", "cleanup.policy=shred", "segment.bytes=1", "min.insync.replicas=0", "flush.ms=-1",
                    "compression.lz4.level=20", "message.timestamp.before.max.ms=-1", "leader.replication.throttled.replicas=[x]",
                    "remote.storage.enable=true", "index.interval.bytes=-1", "internal.segment.bytes=200"):
        yield configs("topic add " + setting, "--alter", *topic, "--add-config", setting)
    yield configs("topic missing describe", "--describe", "--entity-type", "topics", "--entity-name", "missing")
    yield configs("topic missing alter", "--alter", "--entity-type", "topics", "--entity-name", "missing", "--add-config", "retention.ms=1")
    yield configs("topic bad name describe", "--describe", "--entity-type", "topics", "--entity-name", "bad/name")
    yield configs("topic describe at the end", "--describe", "--all", *topic, sort=True)

    broker = ("--entity-type", "brokers", "--entity-name", "1")
    default = ("--entity-type", "brokers", "--entity-default")
    yield configs("broker describe", "--describe", *broker, sort=True)
    yield configs("broker describe all", "--describe", "--all", *broker, sort=True)
    yield configs("broker default describe", "--describe", *default, sort=True)
    yield configs("broker add", "--alter", *broker, "--add-config", "log.retention.ms=7200000,message.max.bytes=2000000")
    yield configs("broker default add", "--alter", *default, "--add-config", "log.segment.bytes=500000000,log.retention.ms=3600000")
    yield configs("broker describe after add", "--describe", *broker, sort=True)
    yield configs("broker default describe after add", "--describe", *default, sort=True)
    yield configs("brokers describe every", "--describe", "--entity-type", "brokers", sort=True)
    yield configs("topic describe all under broker configs", "--describe", "--all", *topic, sort=True)
    for setting in ("node.id=2", "log.dirs=/elsewhere", "nope=1", "message.max.bytes=abc", "num.io.threads=0", "listeners=PLAINTEXT://:1",
                    "log.cleaner.threads=-1", "background.threads=1000", "max.connections=-1", "process.roles=broker",
                    "auto.create.topics.enable=false", "log.segment.bytes=1", "num.network.threads=100"):
        yield configs("broker add " + setting, "--alter", *broker, "--add-config", setting)
    yield configs("broker default add max.connections.per.ip.overrides", "--alter", *default, "--add-config", "max.connections.per.ip=100")
    yield configs("broker default add listener", "--alter", *default, "--add-config", "advertised.listeners=PLAINTEXT://other:1")
    yield configs("broker missing describe", "--describe", "--entity-type", "brokers", "--entity-name", "99")
    yield configs("broker named by a word", "--describe", "--entity-type", "brokers", "--entity-name", "one")
    yield configs("broker delete", "--alter", *broker, "--delete-config", "log.retention.ms,message.max.bytes")
    yield configs("broker default delete", "--alter", *default, "--delete-config", "log.segment.bytes,log.retention.ms,max.connections.per.ip")
    yield configs("broker describe after delete", "--describe", *broker, sort=True)
    yield configs("broker default describe after delete", "--describe", *default, sort=True)
    yield configs("broker loggers describe", "--describe", "--entity-type", "broker-loggers", "--entity-name", "1", sort=True)
    yield Step("client-metrics list", "kafka-client-metrics", ["--bootstrap-server", "{bootstrap}", "--list"])
    yield configs("client metrics add", "--alter", "--entity-type", "client-metrics", "--entity-name", "cm", "--add-config", "interval.ms=60000")
    yield configs("client metrics describe", "--describe", "--entity-type", "client-metrics", "--entity-name", "cm", sort=True)
    yield Step("client-metrics list one", "kafka-client-metrics", ["--bootstrap-server", "{bootstrap}", "--list"])
    yield configs("client metrics delete", "--alter", "--entity-type", "client-metrics", "--entity-name", "cm", "--delete-config", "interval.ms")


def _records():
    lines = "".join(f"line {n}\n" for n in range(40))
    yield topics("create one partition", "--create", "--topic", "one", "--partitions", "1")
    yield produce("plain", "one", lines)
    yield consume("plain", "one", 0, "earliest", 40)
    yield consume("from the middle", "one", 0, 17, 5)
    yield consume("from the end", "one", 0, "latest", 1)
    yield consume("beyond the end", "one", 0, 4000, 1)
    yield consume("beyond the end from the beginning", "one", 0, 4000, 3, "--command-property", "auto.offset.reset=earliest")
    yield consume("a missing partition", "one", 7, "earliest", 1, timeout=90)
    yield produce("with keys", "one", "".join(f"k{n % 3}:value {n}\n" for n in range(12)),
                  "--reader-property", "parse.key=true", "--reader-property", "key.separator=:")
    yield produce("with headers and null", "one", "h1:a,h2:b\tk1\tv1\nNULL\tk2\tv2\nh3:NULL\tNULL\tNULL\n",
                  "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true", "--reader-property", "null.marker=NULL")
    yield produce("synchronously", "one", "s1\ns2\ns3\n", "--sync")
    for acks in ("0", "1", "all"):
        yield produce("with acks " + acks, "one", f"acks {acks}\n", "--request-required-acks", acks, "--command-property", "enable.idempotence=false")
    yield produce("without idempotence", "one", lines, "--command-property", "enable.idempotence=false")
    for codec in CODECS:
        yield produce("compressed by " + codec, "one", lines, "--compression-codec", codec)
    yield produce("a line too long", "one", "z" * 1_100_000 + "\n", "--command-property", "max.request.size=5000000")
    yield produce("a line too long for the client", "one", "z" * 1_100_000 + "\n")
    yield consume("everything", "one", 0, "earliest", 301)
    yield consume("everything read committed", "one", 0, "earliest", 301, "--isolation-level", "read_committed")
    yield consume("in small fetches", "one", 0, "earliest", 301, "--command-property", "max.partition.fetch.bytes=200")
    yield produce("by automatic creation", "automatic", "a:first\nb:second\n", "--reader-property", "parse.key=true", "--reader-property", "key.separator=:")
    yield topics("describe automatic", "--describe", "--topic", "automatic")
    yield produce("to a bad name", "bad/name", "x\n", "--max-block-ms", "3000", "--command-property", "max.block.ms=3000")
    yield produce("keyless to a compacted topic", "gamma", "no key\n")
    yield produce("with keys to a compacted topic", "gamma", "a:1\nb:2\n", "--reader-property", "parse.key=true", "--reader-property", "key.separator=:")
    yield topics("create recompressing", "--create", "--topic", "recompressed", "--partitions", "1", "--config", "compression.type=lz4")
    yield topics("create stamping", "--create", "--topic", "stamped", "--partitions", "1", "--config", "message.timestamp.type=LogAppendTime")
    yield topics("create strict", "--create", "--topic", "strict", "--partitions", "1", "--config", "message.timestamp.before.max.ms=1000",
                 "--config", "max.message.bytes=1000")
    yield produce("to be recompressed", "recompressed", lines, "--compression-codec", "gzip")
    yield consume("recompressed", "recompressed", 0, "earliest", 40)
    yield produce("to be stamped", "stamped", lines)
    yield consume("stamped", "stamped", 0, "earliest", 40)
    yield produce("too large for the topic", "strict", "y" * 1500 + "\n")
    yield fixed("too old for the topic", "strict", "none", 1, 1)
    yield topics("create perf", "--create", "--topic", "perf", "--partitions", "1")
    yield Step("perf-test", "kafka-producer-perf-test", ["--bootstrap-server", "{bootstrap}", "--topic", "perf", "--num-records", "3000", "--record-size", "100",
               "--throughput", "-1"], masks=PERF)
    yield Step("perf-test acks 1", "kafka-producer-perf-test", ["--bootstrap-server", "{bootstrap}", "--topic", "perf", "--num-records", "500", "--record-size", "2000",
               "--throughput", "-1", "--command-property", "acks=1", "compression.type=zstd"], masks=PERF)
    yield Step("verifiable-producer", "kafka-verifiable-producer", ["--bootstrap-server", "{bootstrap}", "--topic", "verified", "--max-messages", "50",
               "--message-create-time", str(T0), "--repeating-keys", "5"],
               sort=True, alone=True, masks=VERIFIED)
    yield topics("create verified-1", "--create", "--topic", "verified-1", "--partitions", "1")
    yield Step("verifiable-producer acks 1", "kafka-verifiable-producer", ["--bootstrap-server", "{bootstrap}", "--topic", "verified-1", "--max-messages", "20",
               "--acks", "1", "--value-prefix", "7"],
               sort=True, alone=True, masks=VERIFIED)


def _offsets_and_files():
    for codec in CODECS:
        topic = "fixed-" + codec
        yield topics("create " + topic, "--create", "--topic", topic, "--partitions", "1", "--config", "segment.bytes=1048576", "--config", "index.interval.bytes=1024")
        yield fixed(codec, topic, codec)
        yield SameFiles("same files " + codec, topic + "-0", (".log", ".index", ".timeindex", "leader-epoch-checkpoint"))
        yield consume("fixed " + codec, topic, 0, "earliest", 80)
        yield dump("fixed " + codec, topic + "-0/00000000000000000000.log")
        yield dump("fixed data " + codec, topic + "-0/00000000000000000000.log", "--print-data-log")
        yield dump("fixed deep " + codec, topic + "-0/00000000000000000000.log", "--deep-iteration")
        yield dump("fixed index " + codec, topic + "-0/00000000000000000000.index")
        yield dump("fixed time index " + codec, topic + "-0/00000000000000000000.timeindex")
        yield dump("fixed index sanity " + codec, topic + "-0/00000000000000000000.index", "--index-sanity-check")
    yield topics("create rolling", "--create", "--topic", "rolling", "--partitions", "1", "--config", "segment.bytes=1048576",
                 "--config", "index.interval.bytes=100", "--config", "max.message.bytes=900000")
    yield fixed("rolling", "rolling", "none", 60, 40, 1000)
    yield SameFiles("same files rolling", "rolling-0", (".log", ".index", ".timeindex", "leader-epoch-checkpoint"))
    yield dump("rolling first index", "rolling-0/00000000000000000000.index", "--verify-index-only")
    yield consume("rolling", "rolling", 0, 2390, 10)
    yield topics("create out of order", "--create", "--topic", "unordered", "--partitions", "1")
    yield fixed("late first", "unordered", "gzip", 2, 10, 50, T0 + 10_000_000)
    yield fixed("early second", "unordered", "gzip", 2, 10, 50, T0)
    yield consume("dump of one", "one", 0, "earliest", 5)
    yield dump("one", "one-0/00000000000000000000.log", "--print-data-log", masks=PRODUCER_IDS + CRCS)

    for special in ("-1", "-2", "-3", "-4", "-5", "-6", "earliest", "latest", "max-timestamp", "earliest-local", "latest-tiered", "earliest-pending-upload"):
        yield offsets("of fixed at " + special, "--topic", "fixed-.*", "--time", special)
        if special not in ("-3", "max-timestamp"):  # which record is the youngest is only known where timestamps are fixed
            yield offsets("of all at " + special, "--time", special, "--exclude-internal-topics", sort=True)
    for stamp in (0, T0 - 1, T0, T0 + 1, T0 + 500, T0 + 1000, T0 + 19_500, T0 + 20_000, T0 + 37_001, T0 + 79_000, T0 + 79_001, T0 + 10_005_000, T0 * 2):
        yield offsets(f"of fixed at {stamp}", "--topic", "fixed-.*|rolling|unordered", "--time", stamp)
    yield offsets("of partitions", "--topic", "alpha", "--partitions", "0,3")
    yield offsets("of topic partitions", "--topic-partitions", "alpha:1-3,one:0")
    yield offsets("of a missing topic", "--topic", "missing")
    yield offsets("of a missing partition", "--topic-partitions", "alpha:77")
    yield offsets("at a bad time", "--topic", "alpha", "--time", "-9", sort=True)

    yield delete_records("some", ("fixed-none", 0, 25))
    yield delete_records("inside a batch", ("fixed-gzip", 0, 33))
    yield delete_records("all", ("fixed-lz4", 0, -1))
    yield delete_records("backwards", ("fixed-none", 0, 5))
    yield delete_records("too far", ("fixed-none", 0, 100_000))
    yield delete_records("below minus one", ("fixed-none", 0, -2))
    yield delete_records("of a missing topic", ("missing", 0, 1))
    yield delete_records("of a missing partition", ("fixed-none", 5, 1))
    yield delete_records("of several", ("fixed-zstd", 0, 10), ("fixed-snappy", 0, 1000))
    yield delete_records("of a compacted topic", ("gamma", 0, 1))
    yield offsets("after delete-records, earliest", "--topic", "fixed-.*", "--time", "earliest")
    yield offsets("after delete-records, latest", "--topic", "fixed-.*", "--time", "latest")
    yield offsets("after delete-records, by time", "--topic", "fixed-.*", "--time", T0)
    yield consume("after delete-records", "fixed-gzip", 0, "earliest", 47)
    yield consume("before the start", "fixed-none", 0, 3, 5, "--command-property", "auto.offset.reset=earliest")
    yield consume("an emptied partition", "fixed-lz4", 0, "earliest", 1)

    dirs = ["--bootstrap-server", "{bootstrap}", "--describe"]
    yield Step("log-dirs fixed", "kafka-log-dirs", dirs + ["--topic-list", "fixed-none,fixed-zstd,rolling"], shape=log_dirs_shape)
    yield Step("log-dirs of all", "kafka-log-dirs", dirs, masks=SIZES, shape=log_dirs_shape)
    yield Step("log-dirs of broker 1", "kafka-log-dirs", dirs + ["--broker-list", "1", "--topic-list", "missing"], shape=log_dirs_shape)
    yield Step("log-dirs of a missing broker", "kafka-log-dirs", dirs + ["--broker-list", "9"], shape=log_dirs_shape)


def _cluster(quorum):
    to = ["--bootstrap-server", "{bootstrap}"]
    yield Step("broker-api-versions", "kafka-broker-api-versions", to)
    yield Step("cluster id", "kafka-cluster", ["cluster-id", *to])
    yield Step("cluster endpoints", "kafka-cluster", ["list-endpoints", *to])
    yield Step("cluster endpoints with fenced", "kafka-cluster", ["list-endpoints", *to, "--include-fenced-brokers"])
    yield Step("features describe", "kafka-features", [*to, "describe"], masks=[(r"Epoch: \d+", "Epoch: E")])
    yield Step("features downgrade dry run", "kafka-features", [*to, "downgrade", "--feature", "transaction.version=1", "--dry-run"])
    yield Step("features upgrade unknown", "kafka-features", [*to, "upgrade", "--feature", "nope.version=1"])
    yield Step("features upgrade too far", "kafka-features", [*to, "upgrade", "--feature", "group.version=9"])
    yield Step("features upgrade to the same", "kafka-features", [*to, "upgrade", "--feature", "group.version=1"])
    yield Step("features upgrade as downgrade", "kafka-features", [*to, "upgrade", "--feature", "share.version=0"])
    yield Step("features downgrade", "kafka-features", [*to, "downgrade", "--feature", "streams.version=0"])
    yield Step("features describe after downgrade", "kafka-features", [*to, "describe"], masks=[(r"Epoch: \d+", "Epoch: E")])
    yield Step("features upgrade", "kafka-features", [*to, "upgrade", "--feature", "streams.version=1"])
    yield Step("features upgrade by release", "kafka-features", [*to, "upgrade", "--release-version", "4.3"])
    yield Step("features downgrade the metadata", "kafka-features", [*to, "downgrade", "--metadata", "3.0"])
    masks = [(r"(?m)^\d+(\s+)", r"P\1"), (r"\b1[67]\d{11}\b", "T"), (r"[ \t]+", " ")]
    yield Step("describe-producers", "kafka-transactions", [*to, "describe-producers", "--topic", "one", "--partition", "0"], masks=masks, sort=True)
    yield Step("describe-producers of a missing partition", "kafka-transactions",
               [*to, "--command-config", "{work}/impatient", "describe-producers", "--topic", "one", "--partition", "9"],
               prepare={"impatient": IMPATIENT}, masks=TIMED_OUT)
    if quorum:
        ids = [(r"[A-Za-z0-9_-]{22}", "ID"), (r"\d+", "N"), (r"[ \t]+", " ")]
        yield Step("metadata-quorum status", "kafka-metadata-quorum", [*to, "describe", "--status"], masks=ids)
        yield Step("metadata-quorum replication", "kafka-metadata-quorum", [*to, "describe", "--replication"], masks=ids)


def _after_restart():
    yield Restart("restart")
    yield topics("list after restart", "--list")
    yield topics("describe all after restart", "--describe", sort=True)
    yield configs("topic describe after restart", "--describe", "--entity-type", "topics", "--entity-name", "gamma", sort=True)
    yield configs("brokers describe after restart", "--describe", "--entity-type", "brokers", sort=True)
    yield offsets("after restart, earliest", "--time", "earliest", "--exclude-internal-topics", sort=True)
    yield offsets("after restart, latest", "--time", "latest", "--exclude-internal-topics", sort=True)
    yield offsets("after restart, max-timestamp", "--topic", "fixed-.*|rolling|unordered", "--time", "max-timestamp")
    yield offsets("after restart, by time", "--topic", "fixed-.*|rolling|unordered", "--time", T0 + 37_001)
    yield consume("after restart", "one", 0, "earliest", 300)
    yield consume("rolling after restart", "rolling", 0, 1000, 5)
    yield SameFiles("same files rolling after restart", "rolling-0", (".log", ".index", ".timeindex", "leader-epoch-checkpoint"))
    yield produce("after restart", "one", "after restart\n")
    yield consume("the last after restart", "one", 0, "earliest", 320)
    yield fixed("after restart", "rolling", "snappy", 3, 10)
    yield dump("snapshot", "one-0/*.snapshot", masks=[(r"producerId: \d+", "producerId: P"), (r"(lastTimestamp|timestamp): \d+", r"\1: T"), (r"\d{20}\.snapshot", "N.snapshot")], sort=True)
    yield topics("delete with a pattern", "--delete", "--topic", "fixed-.*")
    yield topics("delete one", "--delete", "--topic", "one")
    yield topics("create one again", "--create", "--topic", "one", "--partitions", "1")
    yield consume("one again", "one", 0, "earliest", 1)
    yield topics("list at the end", "--list")


def steps(quorum=False):
    """Every step. `quorum` adds those of kafka-metadata-quorum, for a broker that advertises DescribeQuorum."""
    yield from _topics()
    yield from _configs()
    yield from _records()
    yield from _offsets_and_files()
    yield from _cluster(quorum)
    yield from _after_restart()
