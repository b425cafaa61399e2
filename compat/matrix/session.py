"""What the scenarios are written with: the client's commands in a convenient form, and a look at the broker past the client."""

import struct
import subprocess
import time

from compat.common import wire
from compat.matrix.client import Refused

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PATIENCE = 30  # seconds within which a client must have got everything


class Wrong(AssertionError):
    """What the client did or got is not right."""


def need(good, text):
    if not good:
        raise Wrong(text)


def equal(what, want, got):
    if want != got:
        raise Wrong(f"{what}: want {_short(want)}, got {_short(got)}")


def _short(value):
    text = repr(value)
    return text if len(text) < 300 else text[:200] + f"... ({len(text)} characters)"


def record(value, key=None, partition=0, headers=(), timestamp=None):
    return {"key": key, "value": value, "partition": partition, "headers": [list(h) for h in headers], "timestamp": timestamp}


class Session:
    """One client at one broker. Every scenario has topics, groups and names of its own."""

    def __init__(self, client, broker, schemas):
        self.client, self.broker, self.schemas = client, broker, schemas
        self.opened = []

    def call(self, do, timeout=45, **arguments):
        return self.client.call(do, timeout, **arguments)

    # -- past the client

    def topic(self, name, partitions=1, **configs):
        """A topic made by the driver itself, with a leader for each partition."""
        configs = [(k.replace("_", "."), str(v)) for k, v in configs.items()]
        deadline = time.monotonic() + PATIENCE
        with wire.Connection(self.broker.port) as c:
            # A topic that was just deleted may still be there for a moment.
            while (error := c.create_topics([name], partitions, configs)[name]) == 36 and time.monotonic() < deadline:
                time.sleep(0.1)
            need(not error, f"the driver's CreateTopics {name}: error {error}")
            while c.leaders([name]).get(name) != partitions:
                need(time.monotonic() < deadline, f"{name} has no leaders")
                time.sleep(0.02)
        return name

    def raw(self, api, version, **body):
        """An answer of the broker to the driver's own request, by Kafka's message definitions."""
        with wire.Connection(self.broker.port, 20) as c:
            c.socket.sendall(self.schemas.frame(api, version, 1, "matrix", body))
            size = struct.unpack(">i", c._exactly(4))[0]
            return self.schemas.answer(api, version, c._exactly(size))

    def batches(self, topic, partition=0):
        """The record batches as the broker keeps them: dicts of offset, codec, transactional, control, producer, sequence, count."""
        ask = {"Topic": topic, "Partitions": [{"Partition": partition, "FetchOffset": 0, "PartitionMaxBytes": 1 << 26}]}
        answer = self.raw("Fetch", 4, ReplicaId=-1, MaxWaitMs=100, MinBytes=1, MaxBytes=1 << 26, Topics=[ask])
        data = answer["Responses"][0]["Partitions"][0]["Records"] or b""
        out, at = [], 0
        while at + 61 <= len(data):
            offset, size = struct.unpack_from(">qi", data, at)
            attributes, _, _, _, producer, _, sequence, count = struct.unpack_from(">hiqqqhii", data, at + 21)
            out.append({"offset": offset, "codec": CODECS[attributes & 7], "transactional": bool(attributes & 16),
                        "control": bool(attributes & 32), "producer": producer, "sequence": sequence, "count": count})
            at += 12 + size
        return out

    def kcat(self, *arguments, stdin=b""):
        r = subprocess.run(["kcat", "-b", self.broker.bootstrap, *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=60)
        return r.stdout.decode().splitlines() if r.returncode == 0 else []

    def put(self, topic, texts):
        self.kcat("-P", "-t", topic, "-p", "0", stdin="".join(t + "\n" for t in texts).encode())

    def texts(self, topic):
        """The values in partition 0; none while there is no such topic."""
        return self.kcat("-C", "-q", "-e", "-t", topic, "-p", "0", "-o", "beginning")

    def commit_offset(self, group, topic, partition, offset):
        ask = {"Name": topic, "Partitions": [{"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": ""}]}
        answer = self.eventually("the driver's OffsetCommit", lambda: self.raw("FindCoordinator", 1, Key=group, KeyType=0) and (
            a := self.raw("OffsetCommit", 2, GroupId=group, GenerationIdOrMemberEpoch=-1, MemberId="", RetentionTimeMs=-1, Topics=[ask]))
            and a["Topics"][0]["Partitions"][0]["ErrorCode"] not in (14, 15, 16) and a, PATIENCE)
        equal("the driver's OffsetCommit", 0, answer["Topics"][0]["Partitions"][0]["ErrorCode"])

    def offset_of(self, group, topic, partition):
        """The committed offset; -1 when there is none."""
        answer = self.raw("OffsetFetch", 1, GroupId=group, Topics=[{"Name": topic, "PartitionIndexes": [partition]}])
        return answer["Topics"][0]["Partitions"][0]["CommittedOffset"]

    # -- producers and consumers

    def producer(self, name, **options):
        self.call("open_producer", producer=name, **options)
        self.opened.append(("close_producer", {"producer": name}))
        return name

    def send(self, producer, topic, records):
        """The (partition, offset) of each record, in their order; an offset is None where the client does not tell it."""
        return [tuple(o) for o in self.call("send", producer=producer, topic=topic, records=records)["offsets"]]

    def produce(self, topic, records, **options):
        """A producer for just these records."""
        name = self.producer(f"for-{topic}-{len(self.opened)}", **options)
        offsets = self.send(name, topic, records)
        self.close("close_producer", producer=name)
        return offsets

    def consumer(self, name, **options):
        self.call("open_consumer", consumer=name, **options)
        self.opened.append(("close_consumer", {"consumer": name}))
        return name

    def close(self, do, **which):
        self.call(do, **which)
        if (do, which) in self.opened:
            self.opened.remove((do, which))

    def poll(self, consumer, ms=200):
        """(records, assignment); the assignment as a sorted list of (topic, partition)."""
        got = self.call("poll", consumer=consumer, ms=ms)
        return got["records"], sorted(map(tuple, got.get("assignment") or ()))

    def take(self, consumer, count, extra=0.3):
        """Polls until `count` records came, and a moment longer: one too many is as wrong as one too few."""
        out, deadline = [], time.monotonic() + PATIENCE
        while len(out) < count:
            need(time.monotonic() < deadline, f"{len(out)} of {count} records within {PATIENCE} s")
            out += self.poll(consumer)[0]
        out += self.poll(consumer, int(extra * 1000))[0]
        equal("records", count, len(out))
        return out

    def read(self, topic, count, partitions=(0,), isolation="read_uncommitted"):
        """Everything in these partitions from the beginning, by a consumer without a group, ordered by partition and offset."""
        name = self.consumer(f"of-{topic}-{len(self.opened)}-{isolation}", assign=[[topic, p] for p in partitions], isolation=isolation)
        out = self.take(name, count)
        self.close("close_consumer", consumer=name)
        return sorted(out, key=lambda r: (r["partition"], r["offset"]))

    def settle(self, members, right):
        """Polls the members in turn until `right(assignments by name)`; returns the assignments and the records that came meanwhile."""
        owned, records, deadline = {}, {m: [] for m in members}, time.monotonic() + PATIENCE
        while True:
            for member in members:
                got, owned[member] = self.poll(member)
                records[member] += got
            if right(owned):
                return owned, records
            need(time.monotonic() < deadline, f"no such assignment within {PATIENCE} s: {owned}")

    def fails(self, code, do, **arguments):
        """The command must be refused; with this code, or where `code` is None with any."""
        try:
            got = self.call(do, **arguments)
        except Refused as e:
            need(code is None or e.code == code, f"{do}: want code {code}, got {e}")
            return e
        raise Wrong(f"{do} is not refused: {_short(got)}")

    def eventually(self, what, question, patience=10):
        """A change of metadata reaches a client a moment later: asks until the answer is true."""
        deadline, last = time.monotonic() + patience, None
        while True:
            try:
                last = question()
                if last:
                    return last
            except (Refused, Wrong) as e:
                last = e
            need(time.monotonic() < deadline, f"{what}: not within {patience} s, last {_short(last)}")
            time.sleep(0.1)

    def tidy(self):
        """Closes what a scenario left open, whatever the client says to it."""
        for do, which in reversed(self.opened):
            if self.client.process is not None:
                try:
                    self.call(do, 10, **which)
                except Exception:  # noqa: BLE001 - the scenario has its verdict already
                    pass
        self.opened = []
