"""kcat against the broker: metadata, produce, consume, look-ups by time, each with the exact output that is right.

Expectations are written from what kcat and librdkafka document; COMPAT_SUBJECT=kafka checks them against Apache Kafka.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from compat.common import brokers, checks, paths  # noqa: E402

WORK = os.path.join(paths.COMPAT, "kcat", "work")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PARTITIONS = 3
SETTINGS = {"num.partitions": str(PARTITIONS)}


class Kcat:
    def __init__(self, broker, checks_):
        self.broker, self.checks = broker, checks_

    def run(self, *args, stdin=b"", timeout=60):
        argv = ["kcat", "-b", self.broker.bootstrap, *map(str, args)]
        r = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        return r.returncode, r.stdout, r.stderr.decode(errors="replace")

    def ok(self, *args, stdin=b""):
        code, out, err = self.run(*args, stdin=stdin)
        if code != 0:
            self.checks.check("kcat " + " ".join(map(str, args)), False, f"exit code {code}: {err[-500:]}")
        return out

    def produce(self, topic, data, *args):
        return self.ok("-P", "-t", topic, "-X", "topic.acks=-1", *args, stdin=data)

    def consume(self, topic, partition, *args, offset="beginning", form="%s\\n"):
        return self.ok("-C", "-q", "-e", "-t", topic, "-p", partition, "-o", offset, "-f", form, *args)


def lines(n, prefix="line"):
    return b"".join(f"{prefix} {i}\n".encode() for i in range(n))


def metadata(k, c):
    code, out, _ = k.run("-L", "-J")
    tree = json.loads(out)
    c.equal("metadata: one broker, with the address it advertises",
            [{"id": 1, "name": k.broker.bootstrap}], tree["brokers"])
    c.equal("metadata: the controller is that broker", 1, tree["controllerid"])
    c.equal("metadata: no topic yet", [], tree["topics"])
    k.produce("meta", b"x\n", "-p", "0")
    tree = json.loads(k.ok("-L", "-J", "-t", "meta"))
    want = [{"topic": "meta", "partitions": [{"partition": p, "leader": 1, "replicas": [{"id": 1}], "isrs": [{"id": 1}]}
                                             for p in range(PARTITIONS)]}]
    for topic in tree["topics"]:
        topic["partitions"].sort(key=lambda p: p["partition"])
    c.equal("metadata: a topic created by its first record has num.partitions partitions", want, tree["topics"])
    tree = json.loads(k.ok("-L", "-J"))
    c.equal("metadata: all topics", ["meta"], [t["topic"] for t in tree["topics"]])
    text = k.ok("-L", "-t", "meta").decode()
    c.check("metadata: the text form names the leader", "partition 0, leader 1, replicas: 1, isrs: 1" in text, text)


def produce_and_consume(k, c):
    k.produce("basic", lines(50), "-p", "0")
    c.equal("50 lines come back in order", lines(50), k.consume("basic", 0))
    c.equal("offsets are 0 to 49", b"".join(b"%d\n" % n for n in range(50)), k.consume("basic", 0, form="%o\\n"))
    c.equal("from offset 45", lines(50)[-40:], k.consume("basic", 0, offset=45))
    c.equal("the last three", b"line 47\nline 48\nline 49\n", k.consume("basic", 0, offset="-3"))
    c.equal("two from offset 10", b"line 10\nline 11\n", k.consume("basic", 0, "-c", 2, offset=10))
    c.equal("from the end: nothing", b"", k.consume("basic", 0, offset="end"))
    c.equal("beyond the end, reset to the beginning", lines(50),
            k.consume("basic", 0, "-X", "auto.offset.reset=earliest", offset=5000))
    c.equal("beyond the end, reset to the end", b"", k.consume("basic", 0, "-X", "auto.offset.reset=latest", offset=5000))
    code, out, err = k.run("-C", "-q", "-e", "-t", "basic", "-p", 0, "-o", 5000, "-X", "auto.offset.reset=error")
    c.check("beyond the end without a reset is an error", b"" == out and "Offset out of range" in err, f"{code} {out} {err}")
    c.equal("an untouched partition is empty", b"", k.consume("basic", 2))
    code, out, err = k.run("-C", "-q", "-e", "-t", "basic", "-p", PARTITIONS + 4, "-o", "beginning")
    c.check("a partition that is not there is an error", code != 0 and "does not exist" in err, f"{code} {err}")
    code, out, err = k.run("-C", "-q", "-e", "-t", "missing", "-o", "beginning")
    c.check("a topic that is not there is an error for a consumer", code != 0 and "Unknown topic or partition" in err, f"{code} {err}")
    c.equal("and was not created by it", False, "missing" in [t["topic"] for t in json.loads(k.ok("-L", "-J"))["topics"]])


def acks_and_idempotence(k, c):
    for acks in ("0", "1", "-1", "all"):
        topic = "acks" + acks.strip("-") + ("-minus" if acks.startswith("-") else "")
        if acks == "0":
            k.produce(topic, b"created before\n", "-p", "0")  # acks=0 tells nobody that the topic is still coming
        k.ok("-P", "-t", topic, "-p", 0, "-X", f"topic.acks={acks}", stdin=lines(200))
        want = (b"created before\n" if acks == "0" else b"") + lines(200)
        c.equal(f"acks={acks}", want, k.consume(topic, 0))
    k.produce("idempotent", lines(500), "-p", "0", "-X", "enable.idempotence=true", "-X", "batch.num.messages=7")
    c.equal("an idempotent producer with many small batches", lines(500), k.consume("idempotent", 0))
    k.produce("idempotent", lines(30, "second"), "-p", "0", "-X", "enable.idempotence=true")
    c.equal("a second idempotent producer", lines(30, "second"), k.consume("idempotent", 0, offset=500))


def compression(k, c):
    for codec in CODECS:
        topic = "codec-" + codec
        k.produce(topic, lines(2000, "compressible " * 5), "-p", 0, "-z", codec)
        c.equal(f"{codec}: 2000 lines", lines(2000, "compressible " * 5), k.consume(topic, 0))
        c.equal(f"{codec}: an offset inside a batch", b"1234\n1235\n", k.consume(topic, 0, "-c", 2, offset=1234, form="%o\\n"))
    for codec in CODECS:
        k.produce("mixed", lines(100, codec), "-p", 1, "-z", codec)
    c.equal("five compressions in one partition", b"".join(lines(100, x) for x in CODECS), k.consume("mixed", 1))


def keys_headers_nulls(k, c):
    k.produce("keys", b"a:1\nb:2\na:3\n:4\n", "-p", 0, "-K", ":")
    c.equal("keys", b"a=1\nb=2\na=3\n=4\n", k.consume("keys", 0, form="%k=%s\\n"))
    k.produce("nulls", b"a:\nb:2\n", "-p", 0, "-K", ":", "-Z")
    c.equal("a null value has the length -1", b"a -1\nb 1\n", k.consume("nulls", 0, form="%k %S\\n"))
    k.produce("no-keys", b"only a value\n", "-p", 0)
    c.equal("a null key has the length -1", b"-1 12\n", k.consume("no-keys", 0, form="%K %S\\n"))
    k.produce("headers", b"with headers\n", "-p", 0, "-H", "one=1", "-H", "two=zwei", "-H", "one=again", "-H", "empty=", "-H", "none")
    c.equal("headers, in order, repeated, empty and null", b"one=1,two=zwei,one=again,empty=,none=NULL\n", k.consume("headers", 0, form="%h\\n"))
    tree = json.loads(k.consume("headers", 0, "-J", form="%s"))
    c.equal("headers in kcat's JSON", ["one", "1", "two", "zwei", "one", "again", "empty", "", "none", None], tree["headers"])
    c.equal("topic, partition and offset in kcat's JSON", ["headers", 0, 0], [tree["topic"], tree["partition"], tree["offset"]])
    c.equal("the timestamp type in kcat's JSON", "create", tree["tstype"])
    binary = bytes(range(256)) * 4
    k.produce("binary", binary.replace(b"\n", b"") + b"\n", "-p", 0)
    c.equal("every byte value", binary.replace(b"\n", b""), k.consume("binary", 0, form="%s"))
    keyed = b"".join(b"key%d:value %d\n" % (n % 40, n) for n in range(400))
    k.produce("spread", keyed, "-K", ":")
    got = [k.consume("spread", p, form="%k:%s\\n").splitlines() for p in range(PARTITIONS)]
    c.equal("records with keys: all of them, over all partitions", sorted(keyed.splitlines()), sorted(sum(got, [])))
    c.check("records with keys: a key is in one partition, in order",
            all([x for x in keyed.splitlines() if x.split(b":")[0] in {y.split(b":")[0] for y in part}] == part for part in got), got)


def times(k, c):
    k.produce("times", lines(5, "early"), "-p", 0)
    stamps = [int(x) for x in k.consume("times", 0, form="%T\\n").split()]
    c.check("timestamps rise and are of now", stamps == sorted(stamps) and stamps[0] > 1_700_000_000_000, stamps)
    import time
    time.sleep(0.05)
    k.produce("times", lines(5, "late"), "-p", 0)
    stamps = [int(x) for x in k.consume("times", 0, form="%T\\n").split()]

    def query(when):
        return k.ok("-Q", "-t", f"times:0:{when}").decode().strip()

    def first_at(when):
        return next((n for n, s in enumerate(stamps) if s >= when), None)

    for label, when in (("the first timestamp", stamps[0]), ("before everything", stamps[0] - 1000), ("between", stamps[4] + 1), ("the last timestamp", stamps[-1])):
        c.equal(f"offset at {label}", f"times [0] offset {first_at(when)}", query(when))
    c.equal("offset after everything is the end (-1)", "times [0] offset -1", query(stamps[-1] + 1))
    c.equal("offset at -1 is the end", "times [0] offset 10", query(-1))
    c.equal("offset at -2 is the beginning", "times [0] offset 0", query(-2))
    c.equal("consume from a time", lines(5, "late"), k.consume("times", 0, offset=f"s@{stamps[4] + 1}"))
    c.equal("consume up to a time", lines(5, "early"), k.consume("times", 0, "-o", f"e@{stamps[4] + 1}", offset="s@1"))


def sizes(k, c):
    big = b"B" * 900_000
    k.produce("big", big + b"\n", "-p", 0)
    c.equal("a record of 900 000 bytes", hashlib.sha256(big).hexdigest(), hashlib.sha256(k.consume("big", 0, form="%s")).hexdigest())
    c.equal("and in fetches of 1 KB", hashlib.sha256(big).hexdigest(),
            hashlib.sha256(k.consume("big", 0, "-X", "fetch.message.max.bytes=1024", form="%s")).hexdigest())
    code, _, err = k.run("-P", "-t", "big", "-p", 0, "-X", "message.max.bytes=3000000", stdin=b"C" * 1_200_000 + b"\n")
    c.check("a record above max.message.bytes is refused", "Message size too large" in err, f"{code} {err}")
    c.equal("and was not kept", "big [0] offset 1", k.ok("-Q", "-t", "big:0:-1").decode().strip())
    many = lines(200_000, "one of many")
    k.produce("many", many, "-p", 0, "-z", "lz4")
    c.equal("200 000 records", hashlib.sha256(many).hexdigest(), hashlib.sha256(k.consume("many", 0)).hexdigest())


def restart(k, c):
    before = [k.consume("mixed", 1), k.consume("spread", 0, form="%k:%s:%o:%T\\n"), k.consume("headers", 0, form="%h %T\\n")]
    for how in ("stop", "kill9"):
        getattr(k.broker, how)()
        k.broker.start()
        after = [k.consume("mixed", 1), k.consume("spread", 0, form="%k:%s:%o:%T\\n"), k.consume("headers", 0, form="%h %T\\n")]
        c.equal(f"everything is there after {how} and start", before, after)
    k.produce("mixed", b"after the restarts\n", "-p", 1)
    c.equal("and the offsets go on", b"500 after the restarts\n", k.consume("mixed", 1, offset=500, form="%o %s\\n"))


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    c = checks.Checks()
    broker = brokers.subject(WORK, SETTINGS).start()
    k = Kcat(broker, c)
    for part in (metadata, produce_and_consume, acks_and_idempotence, compression, keys_headers_nulls, times, sizes, restart):
        print("== " + part.__name__.replace("_", " "), flush=True)
        part(k, c)
        if not broker.alive():
            c.check("the broker is alive", False, broker.log_tail())
            break
    broker.stop()
    c.finish()


if __name__ == "__main__":
    main()
