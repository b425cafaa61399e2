"""Hostile frames: a name, the bytes, and what is right: an error code of the answer, `closed`, `silent`, or `any` of
Kafka's ways to refuse (an answer with whatever error, or a closed connection)."""

import gzip
import struct
import zlib

from compat.common import wire

MAX = 0x7FFFFFFF
TOPIC = "hostile"
NOW = 1_795_000_000_000


def header(key, version, flexible=False):
    return struct.pack(">hhi", key, version, 7) + wire.string("hostile") + (b"\0" if flexible else b"")


def frame(body):
    return struct.pack(">i", len(body)) + body


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def produce(batch, topic=TOPIC, acks=-1, partition=0):
    return frame(header(0, 3) + wire.produce_body(topic, partition, batch, acks))


def good_batch():
    return wire.batch_of_one(b"a good record", NOW)


def zeros(compress, megabytes):
    return compress(b"\0" * (megabytes << 20))


def deep_gzip(megabytes):
    return gzip.compress(b"\0" * (megabytes << 20), 9)


def framing():
    yield "a length of INT_MAX", struct.pack(">i", MAX) + b"x" * 64, "closed"
    yield "a negative length", struct.pack(">i", -1) + b"x" * 64, "closed"
    yield "a length of nothing", struct.pack(">i", 0), "closed"
    yield "a frame of one byte", frame(b"\0"), "closed"
    yield "one byte above the limit, no body", struct.pack(">i", 100 * 1024 * 1024 + 1), "closed"
    yield "the limit, no body", struct.pack(">i", 100 * 1024 * 1024), "silent"
    yield "TLS on a plaintext port", bytes.fromhex("16030100c8010000c40303") + b"\0" * 190, "closed"
    yield "HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "closed"
    yield "an API that nobody has", frame(header(9999, 0)), "closed"
    yield "a negative API", frame(header(-1, -1)), "closed"
    yield "a version that nobody has", frame(header(3, 32767)), "closed"
    yield "ApiVersions of the far future", frame(header(18, 127, True)), 35
    yield "a client id of length -2", frame(struct.pack(">hhih", 3, 1, 7, -2)), "closed"
    yield "a client id longer than the frame", frame(struct.pack(">hhih", 3, 1, 7, 32767) + b"a"), "closed"


def shapes():
    replica = struct.pack(">i", -1)
    for key, version, before in ((3, 1, b""), (19, 2, b""), (20, 1, b""), (32, 1, b""), (2, 1, replica), (37, 0, b""), (44, 0, b""), (33, 0, b""),
                                 (21, 0, b""), (23, 3, replica)):
        yield f"API {key}: an array of INT_MAX", frame(header(key, version) + before + struct.pack(">i", MAX) + b"\0" * 20), "closed"
        yield f"API {key}: an array of -2", frame(header(key, version) + before + struct.pack(">i", -2) + b"\0" * 20), "any"
    yield "a compact array of 2^31", frame(header(3, 9, True) + varint(1 << 31) + b"\0\0\0"), "closed"
    yield "2^31 tagged fields in the header", frame(struct.pack(">hhi", 3, 9, 7) + wire.string("h") + varint(MAX)), "closed"
    yield "a million empty tagged fields", frame(struct.pack(">hhi", 3, 9, 7) + wire.string("h") + varint(1_000_000)
                                                 + b"".join(varint(n) + b"\0" for n in range(1000, 1_001_000))), "any"
    yield "a varint without an end", frame(header(3, 9, True) + b"\xff" * 11), "closed"
    yield "Metadata for a million topics", frame(header(3, 1) + struct.pack(">i", 1_000_000) + b"\0\1/" * 1_000_000), "any"
    yield "garbage after a Produce header", frame(header(0, 3) + bytes(range(256)) * 40), "any"
    yield "CreateTopics with INT_MAX partitions", frame(header(19, 2) + struct.pack(">i", 1) + wire.string("big")
                                                        + struct.pack(">ihii", MAX, 1, 0, 0) + struct.pack(">ib", 5000, 0)), "any"
    yield "CreateTopics named ../../x", frame(header(19, 2) + struct.pack(">i", 1) + wire.string("../../x")
                                              + struct.pack(">ihii", 1, 1, 0, 0) + struct.pack(">ib", 5000, 0)), "any"
    one = struct.pack(">i", 1) + wire.string(TOPIC) + struct.pack(">i", 1)
    yield "Fetch of INT_MAX bytes", frame(header(1, 4) + struct.pack(">iiiib", -1, 1, 0, MAX, 0) + one + struct.pack(">iqi", 0, 0, MAX)), "any"
    yield "Fetch from offset -5", frame(header(1, 4) + struct.pack(">iiiib", -1, 1, 0, MAX, 0) + one + struct.pack(">iqi", 0, -5, MAX)), "any"
    yield "SaslAuthenticate without a handshake", frame(header(36, 0) + struct.pack(">i", 5) + b"\0a\0bc"), "any"


def records():
    yield "a good record", produce(good_batch()), 0
    yield "a wrong CRC", produce(wire.batch(wire.record_of(b"x"), 1, NOW, crc=1)), 2
    yield "acks=7", produce(good_batch(), acks=7), 21
    yield "a partition that is not there", produce(good_batch(), partition=99), 3
    yield "a negative partition", produce(good_batch(), partition=-1), 3
    for label, name in (("dots and slashes", "../../../tmp/pwn"), ("NUL", "a\0b"), ("300 characters", "a" * 300), ("nothing", "")):
        yield "a topic named with " + label, produce(good_batch(), topic=name), "any"
    yield "a negative batch length", produce(wire.batch(b"", 1, NOW, length=-5)), "any"
    yield "a batch length of INT_MAX", produce(wire.batch(b"", 1, NOW, length=MAX)), "any"
    yield "a record count of INT_MAX", produce(wire.batch(b"", MAX, NOW)), "any"
    yield "a record count of -1", produce(wire.batch(b"", -1, NOW)), "any"
    yield "two records counted, one there", produce(wire.batch(wire.record_of(b"x"), 2, NOW)), "any"
    yield "a record longer than the batch", produce(wire.batch(varint(MAX << 1) + b"\0" * 8, 1, NOW)), "any"
    yield "2^31 headers", produce(wire.batch(bytes([0x16, 0, 0, 0, 1, 2]) + b"a" + varint(0xFFFFFFFE), 1, NOW)), "any"
    yield "a gzip bomb", produce(wire.batch(zeros(gzip.compress, 256), 1, NOW, attributes=1)), "any"
    yield "a gzip stream that is zlib", produce(wire.batch(zlib.compress(b"x" * 1000), 1, NOW, attributes=1)), "any"
    yield "snappy that claims 4 GiB", produce(wire.batch(b"\xff\xff\xff\xff\x0f" + b"\0" * 16, 1, NOW, attributes=2)), "any"
    yield "a snappy block of INT_MAX", produce(wire.batch(b"\x82SNAPPY\0" + struct.pack(">iii", 1, 1, MAX) + b"x", 1, NOW, attributes=2)), "any"
    yield "zstd that claims an exabyte", produce(wire.batch(bytes.fromhex("28b52ffde0") + struct.pack("<Q", 1 << 60) + b"\1\0\0", 1, NOW, attributes=4)), "any"
    yield "compression 7", produce(wire.batch(b"x", 1, NOW, attributes=7)), "any"
    yield "a control batch from a client", produce(wire.batch(b"\x14\0\0\0\x08\0\0\0\1\0", 1, NOW, attributes=0x30)), "any"
    yield "bytes after the batch", produce(good_batch() + b"tail"), "any"
    yield "half a batch header", produce(good_batch()[:30]), "any"


def all_cases():
    yield from framing()
    yield from shapes()
    yield from records()
