"""As much of Kafka's protocol as the runs and the benchmark speak by themselves, at versions that every broker
understands: ApiVersions 0, Metadata 4, CreateTopics 2, DeleteTopics 1, Produce 3."""

import socket
import struct

PRODUCE, METADATA, API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, JOIN_GROUP, INIT_PRODUCER_ID = 0, 3, 18, 19, 20, 11, 22
FIND_COORDINATOR, HEARTBEAT = 10, 12


def request(key, version, correlation, body, client=b"bench"):
    head = struct.pack(">hhih", key, version, correlation, len(client)) + client
    return struct.pack(">i", len(head) + len(body)) + head + body


def string(s):
    raw = s.encode()
    return struct.pack(">h", len(raw)) + raw


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        out = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return out[0] if len(out) == 1 else out

    def text(self):
        n = self.take("h")
        out = self.data[self.at:self.at + max(n, 0)].decode(errors="replace") if n >= 0 else None
        self.at += max(n, 0)
        return out

    def i32s(self):
        n = self.take("i")
        self.at += 4 * n
        return struct.unpack_from(f">{n}i", self.data, self.at - 4 * n)


class Connection:
    def __init__(self, port, timeout=120):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def call(self, key, version, body):
        self.correlation += 1
        self.socket.sendall(request(key, version, self.correlation, body))
        answer = self._exactly(struct.unpack(">i", self._exactly(4))[0])
        if struct.unpack_from(">i", answer)[0] != self.correlation:
            raise OSError("an answer to another request")
        return Reader(answer[4:])

    def _exactly(self, n):
        out = bytearray()
        while len(out) < n:
            piece = self.socket.recv(min(n - len(out), 1 << 20))
            if not piece:
                raise OSError("the broker closed the connection")
            out += piece
        return bytes(out)

    def api_versions(self):
        r = self.call(API_VERSIONS, 0, b"")
        if r.take("h"):
            raise OSError("ApiVersions answered an error")
        return {k: (a, b) for k, a, b in (r.take("hhh") for _ in range(r.take("i")))}

    def create_topics(self, names, partitions, configs=(), replicas=1):
        """{name: error}; 36 is "exists already"."""
        pairs = struct.pack(">i", len(configs)) + b"".join(string(k) + string(v) for k, v in configs)
        body = struct.pack(">i", len(names))
        for name in names:
            body += string(name) + struct.pack(">ihi", partitions, replicas, 0) + pairs
        r = self.call(CREATE_TOPICS, 2, body + struct.pack(">ib", 100_000, 0))
        r.take("i")
        out = {}
        for _ in range(r.take("i")):
            name = r.text()
            out[name] = r.take("h")
            r.text()
        return out

    def delete_topics(self, names):
        """{name: error}"""
        r = self.call(DELETE_TOPICS, 1, struct.pack(">i", len(names)) + b"".join(string(n) for n in names) + struct.pack(">i", 100_000))
        r.take("i")
        return {r.text(): r.take("h") for _ in range(r.take("i"))}

    def topics(self, names=None):
        """{topic: [(error, partition, leader, replicas, in-sync replicas)]}, without creating anything; an unknown one is left out."""
        body = struct.pack(">i", -1) if names is None else struct.pack(">i", len(names)) + b"".join(string(n) for n in names)
        r = self.call(METADATA, 4, body + b"\0")
        r.take("i")
        for _ in range(r.take("i")):
            r.take("i")
            r.text()
            r.take("i")
            r.text()
        r.text()
        r.take("i")
        out = {}
        for _ in range(r.take("i")):
            error = r.take("h")
            name = r.text()
            r.take("b")
            partitions = [(*r.take("hii"), r.i32s(), r.i32s()) for _ in range(r.take("i"))]
            if not error:
                out[name] = partitions
        return out

    def leaders(self, names=None):
        """{topic: number of partitions with a leader}"""
        return {name: sum(not error and leader >= 0 for error, _, leader, *_ in partitions) for name, partitions in self.topics(names).items()}


def _crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def zigzag(n):
    n = (n << 1) ^ (n >> 63)
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def record_of(value):
    """A record without a key, the first of its batch."""
    record = b"\0" + zigzag(0) + zigzag(0) + zigzag(-1) + zigzag(len(value)) + value + zigzag(0)
    return zigzag(len(record)) + record


def batch(records, count, timestamp, attributes=0, crc=None, length=None, producer=(-1, -1, -1)):
    """A record batch (magic 2) around record bytes; `crc` and `length` may be given wrong on purpose. `producer` is its id, its epoch
    and the first record's sequence number."""
    after_crc = struct.pack(">hiqqqhii", attributes, max(count - 1, 0), timestamp, timestamp, *producer, count) + records
    crc = crc32c(after_crc) if crc is None else crc
    length = 9 + len(after_crc) if length is None else length
    return struct.pack(">qiibI", 0, length, -1, 2, crc) + after_crc


def batch_of_one(value, timestamp):
    """A record batch with one record without a key."""
    return batch(record_of(value), 1, timestamp)


TRANSACTIONAL = 0x10


def transactional_batch(value, timestamp, producer):
    return batch(record_of(value), 1, timestamp, TRANSACTIONAL, producer=producer)


def produce_body(topic, partition, batch, acks=-1):
    return (struct.pack(">hhii", -1, acks, 30_000, 1) + string(topic)
            + struct.pack(">iii", 1, partition, len(batch)) + batch)


def produce_many(topic, batches, acks=-1):
    """The body of a Produce 3 request for several partitions of one topic; `batches` is {partition: batch}."""
    pieces = b"".join(struct.pack(">ii", p, len(b)) + b for p, b in batches.items())
    return struct.pack(">hhii", -1, acks, 30_000, 1) + string(topic) + struct.pack(">i", len(batches)) + pieces


def produce_errors(r):
    """{partition: error code} of a Produce 3 answer for one topic."""
    r.take("i")
    r.text()
    out = {}
    for _ in range(r.take("i")):
        partition, error, _, _ = r.take("ihqq")
        out[partition] = error
    return out


def produce_error(answer):
    """The error code of a Produce 3 answer for one partition (`answer` without the correlation id)."""
    r = Reader(answer)
    r.take("i")
    r.text()
    r.take("ii")
    return r.take("h")
