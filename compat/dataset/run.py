"""A data set of real text lines goes in through kcat and through Kafka's Java producer, each with all five compressions,
and comes out byte for byte through librdkafka and through the Java consumer: at once, and after kill -9 and a restart.

Every partition is compared as a whole: number of records, order, keys and values (see corpus.py). Each pair of producer
and compression gets lines of its own.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import corpus  # noqa: E402
from compat.common import brokers, checks, jars, paths  # noqa: E402

HERE = os.path.join(paths.COMPAT, "dataset")
WORK = os.path.join(HERE, "work")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PRODUCERS = ("kcat", "java")
PARTITIONS = 4
SETTINGS = {"num.partitions": str(PARTITIONS), "log.segment.bytes": str(32 << 20)}


def produce_kcat(broker, topic, codec, path):
    subprocess.run(["kcat", "-b", broker.bootstrap, "-P", "-t", topic, "-z", codec, "-K", "\\x01", "-l", path, "-X", "topic.acks=-1",
                    "-X", "queue.buffering.max.messages=200000", "-X", "partitioner=consistent"], check=True, stdin=subprocess.DEVNULL)


def produce_java(broker, topic, codec, path, classes):
    subprocess.run(jars.java("DatasetProducer", [broker.bootstrap, topic, codec, path], heap="512m", classes=[classes]),
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def read_kcat(broker, topic):
    out = {}
    for partition in range(PARTITIONS):
        p = subprocess.Popen(["kcat", "-b", broker.bootstrap, "-C", "-q", "-e", "-t", topic, "-p", str(partition), "-o", "beginning",
                              "-f", "%k\\x01%s\\n"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        digest, count = hashlib.sha256(), 0
        for piece in iter(lambda: p.stdout.read(1 << 20), b""):
            digest.update(piece)
            count += piece.count(b"\n")
        if p.wait() != 0:
            raise SystemExit(f"kcat -C {topic} [{partition}] ended with {p.returncode}")
        out[partition] = (count, digest.hexdigest())
    return out


def read_java(broker, topics, classes):
    r = subprocess.run(jars.java("DatasetReader", [broker.bootstrap, *topics], heap="512m", classes=[classes]),
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    out = {t: {} for t in topics}
    for line in r.stdout.decode().splitlines():
        topic, partition, count, digest = line.split()
        out[topic][int(partition)] = (int(count), digest)
    return out


def main():
    total = float(os.environ.get("DATASET_MB", "1050")) * 1e6
    roots = os.environ["DATASET_ROOTS"].split(":") if os.environ.get("DATASET_ROOTS") else corpus.default_roots()
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    classes = jars.compiled("dataset", jars.sources(HERE))
    c = checks.Checks()
    broker = brokers.subject(WORK, SETTINGS).start()
    text = corpus.Corpus(roots)
    expected = {}
    for producer in PRODUCERS:
        for codec in CODECS:
            topic = f"{producer}-{codec}"
            path = os.path.join(WORK, "slice")
            partition_of = corpus.crc32_partition if producer == "kcat" else corpus.murmur2_partition
            expected[topic] = corpus.write_slice(text, path, total / len(PRODUCERS) / len(CODECS), PARTITIONS, partition_of)
            size, t = os.path.getsize(path), time.monotonic()
            if producer == "kcat":
                produce_kcat(broker, topic, codec, path)
            else:
                produce_java(broker, topic, codec, path, classes)
            records = sum(n for n, _ in expected[topic].values())
            print(f"-- {topic}: {size / 1e6:.0f} MB, {records} records in {time.monotonic() - t:.1f} s", flush=True)
            os.unlink(path)
    c.check(f"{text.total / 1e6:.0f} MB of lines went in, asked for {total / 1e6:.0f}", text.total >= total)
    for when in ("at once", "after kill -9 and a restart"):
        if "kill" in when:
            broker.kill9()
            t = time.monotonic()
            broker.start()
            print(f"-- restart after kill -9: {time.monotonic() - t:.2f} s", flush=True)
        through_java = read_java(broker, list(expected), classes)
        for topic in expected:
            c.equal(f"{topic} through librdkafka {when}", expected[topic], read_kcat(broker, topic))
            c.equal(f"{topic} through Java {when}", expected[topic], through_java[topic])
    broker.stop()
    shutil.rmtree(broker.data)
    c.finish()


if __name__ == "__main__":
    main()
