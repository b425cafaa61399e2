"""The files on disk are Kafka's: a partition's folder moves from one broker to the other and reads the same.

Both brokers get the same topics. Half of them are filled at one broker, half at the other: five compressions, several
segments each (rolled by record time, one topic by size), keys, headers and nulls, an idempotent producer's state. Both
stop, the filled folders move (each keeps the topic id of its new home in partition.metadata), both start, and every
record, offset and time look-up must be what it was at home. Records are then added, and read. Last, both are killed with
kill -9, the moved folders lose their index files, and everything is read once more.
"""

import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from compat.common import brokers, checks, jars, paths, tools  # noqa: E402

WORK = os.path.join(paths.COMPAT, "exchange", "work")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
T0 = 1_700_000_000_000
BATCHES, PER_BATCH = 100, 25
BY_SIZE = "by-size"
KINDS = CODECS + (BY_SIZE,)


def topic_of(home, kind):
    return f"from-{home.name}-{kind}"


def first_difference(a, b):
    for n, (x, y) in enumerate(zip(a.splitlines(), b.splitlines())):
        if x != y:
            return f"line {n}: {x[:200]!r} at home, {y[:200]!r} here"
    return f"{len(a.splitlines())} lines at home, {len(b.splitlines())} here"


class Bench:
    """The tools, asked for what is compared."""

    def __init__(self):
        self.tools = tools.Tools(WORK)

    def must(self, tool, *args, stdin=""):
        result = self.tools.run(tool, args, stdin=stdin, timeout=120)
        if result.code != 0:
            raise SystemExit(f"{tool} {' '.join(map(str, args))} failed:\n{result.text()}")
        return result.out

    def create(self, broker, topic, kind):
        roll = "segment.bytes=1048576" if kind == BY_SIZE else "segment.ms=600000"
        self.must("kafka-topics", "--bootstrap-server", broker.bootstrap, "--create", "--topic", topic, "--partitions", 1,
                  "--config", roll, "--config", "index.interval.bytes=500")

    def fill(self, broker, topic, kind, batches=BATCHES, first=T0):
        size = 1000 if kind == BY_SIZE else 120
        codec = "none" if kind == BY_SIZE else kind
        self.must("fixed-producer", broker.bootstrap, topic, 0, codec, batches, PER_BATCH, size, first)

    def fill_idempotent(self, broker, topic):
        self.must("kafka-console-producer", "--bootstrap-server", broker.bootstrap, "--topic", topic,
                  stdin="".join(f"idempotent {n}\n" for n in range(10)))

    def read(self, broker, topic, offset, count):
        args = ["--bootstrap-server", broker.bootstrap, "--topic", topic, "--partition", 0, "--offset", offset,
                "--max-messages", count, "--timeout-ms", 20000]
        for what in ("timestamp", "offset", "key", "headers"):
            args += ["--formatter-property", f"print.{what}=true"]
        return self.tools.run("kafka-console-consumer", args, timeout=120).text()

    def look_up(self, broker, topic):
        out = ""
        for time in (-1, -2, -3, T0, T0 + 1, T0 + 612_345, T0 + 2_000_000, T0 * 2):
            out += f"{time}: " + self.must("kafka-get-offsets", "--bootstrap-server", broker.bootstrap, "--topic", topic, "--time", time)
        return out

    def producers(self, broker, topic):
        out = self.must("kafka-transactions", "--bootstrap-server", broker.bootstrap, "describe-producers", "--topic", topic, "--partition", 0)
        # ProducerId, ProducerEpoch, LatestCoordinatorEpoch, LastSequence, LastTimestamp, CurrentTransactionStartOffset
        return [line.split() for line in out.splitlines()[1:]]


def everything(bench, broker, topic):
    total = BATCHES * PER_BATCH + 10
    return {
        "every record": bench.read(broker, topic, "earliest", total),
        "records from the middle": bench.read(broker, topic, 1234, 40),
        "offsets by time": bench.look_up(broker, topic),
        "the producer's state": repr(bench.producers(broker, topic)),
    }


def folder(broker, topic):
    return os.path.join(broker.data, topic + "-0")


def move(topic, home, away):
    source, target = folder(home, topic), folder(away, topic)
    kept = os.path.join(target, "partition.metadata")
    with open(kept) as f:
        metadata = f.read()
    shutil.rmtree(target)
    shutil.copytree(source, target)
    with open(kept, "w") as f:
        f.write(metadata)


def logs(broker, topic):
    return [n for n in os.listdir(folder(broker, topic)) if n.endswith(".log")]


def drop_indexes(broker, topic):
    for name in os.listdir(folder(broker, topic)):
        if name.endswith(("index", ".snapshot")):
            os.unlink(os.path.join(folder(broker, topic), name))


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    jars.fetch()
    run, bench = checks.Checks(), Bench()
    kafka, subject = brokers.Kafka(WORK), brokers.subject(WORK)
    kafka.spawn()
    subject.start()
    kafka.wait_ready()
    pairs = [(kafka, subject), (subject, kafka)]
    at_home = {}
    for home, away in pairs:
        for kind in KINDS:
            topic = topic_of(home, kind)
            bench.create(home, topic, kind)
            bench.create(away, topic, kind)
            bench.fill(home, topic, kind)
            bench.fill_idempotent(home, topic)
            at_home[topic] = everything(bench, home, topic)
            run.check(f"{topic}: several segments at home", len(logs(home, topic)) >= 3, f"{logs(home, topic)}")
    kafka.stop()
    subject.stop()
    for home, away in pairs:
        for kind in KINDS:
            move(topic_of(home, kind), home, away)
    kafka.spawn()
    subject.start()
    kafka.wait_ready()

    def compare(when):
        for home, away in pairs:
            for kind in KINDS:
                topic = topic_of(home, kind)
                for what, here in everything(bench, away, topic).items():
                    if "kill" in when and what == "the producer's state":
                        continue  # appended to since, by a producer without an id
                    there = at_home[topic][what]
                    if "kill" in when and what == "offsets by time":
                        # The end, and the youngest record, moved when records were added.
                        here, there = ("".join(x.splitlines(True)[1:2] + x.splitlines(True)[3:]) for x in (here, there))
                    run.check(f"{topic} at {away.name} {when}: {what}", here == there, first_difference(there, here))

    compare("after the move")
    added = {}
    for home, away in pairs:
        for kind in KINDS:
            topic = topic_of(home, kind)
            end = BATCHES * PER_BATCH + 10
            bench.fill(away, topic, kind, 4, T0 * 1 + 50_000_000)
            added[topic] = bench.read(away, topic, end, 4 * PER_BATCH)
            run.check(f"{topic} at {away.name}: records added continue the offsets",
                      f"Offset:{end}\t" in added[topic] and f"Offset:{end + 4 * PER_BATCH - 1}\t" in added[topic], added[topic][:300])
    kafka.kill9()
    subject.kill9()
    for home, away in pairs:
        for kind in KINDS:
            drop_indexes(away, topic_of(home, kind))
    kafka.spawn()
    subject.start()
    kafka.wait_ready()
    compare("after kill -9 without index files")
    for home, away in pairs:
        for kind in KINDS:
            topic = topic_of(home, kind)
            here = bench.read(away, topic, BATCHES * PER_BATCH + 10, 4 * PER_BATCH)
            run.check(f"{topic} at {away.name} after kill -9: the records added", here == added[topic], first_difference(added[topic], here))
    bench.tools.close()
    subject.stop()
    kafka.stop()
    run.finish()


if __name__ == "__main__":
    main()
