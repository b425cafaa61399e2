"""Hostile input against the binary: each frame of cases.py gets Kafka's error or a closed connection, and crowds of greedy or
silent connections get no more than their share. After every case the broker answers, has not grown, and a well-behaved
client that produces and asks all the while has neither had an error nor waited long.

HOSTILE_CONNECTIONS (default 10000) is how many half-open connections there are at once. With COMPAT_SUBJECT=kafka the answers
are Apache Kafka's, and its memory is not held against it.
"""

import os
import resource
import shutil
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cases  # noqa: E402
from compat.common import brokers, checks, paths, wire  # noqa: E402

WORK = os.path.join(paths.COMPAT, "hostile", "work")
GROWTH_MB = 64       # what may stay allocated after any case
CONNECTION_KB = 8    # and for each open connection
WAIT_MAX = 2.0


class GoodClient(threading.Thread):
    """Produces a record and asks for metadata, over and over, on one connection."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.stopping = port, threading.Event()
        self.error, self.slowest, self.rounds = None, 0.0, 0

    def run(self):
        body = wire.produce_body(cases.TOPIC, 0, cases.good_batch())
        try:
            with wire.Connection(self.port, timeout=30) as c:
                while not self.stopping.is_set():
                    began = time.monotonic()
                    answer = c.call(wire.PRODUCE, 3, body)
                    code = wire.produce_error(answer.data)
                    if code:
                        raise OSError(f"produce answered error {code}")
                    if c.leaders([cases.TOPIC]) != {cases.TOPIC: 1}:
                        raise OSError("metadata lost the topic")
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    self.rounds += 1
                    time.sleep(0.01)
        except OSError as e:
            self.error = str(e)

    def finish(self):
        self.stopping.set()
        self.join(30)


def memory_mb(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize() / 1e6


def outcome(port, data, patience=3.0):
    """What came of it: ("closed", None), ("silent", None) or ("answer", bytes without the correlation id)."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.settimeout(patience)
        try:
            s.sendall(data)
            got = b""
            while len(got) < 4 or len(got) < 4 + struct.unpack(">i", got[:4])[0]:
                piece = s.recv(1 << 16)
                if not piece:
                    return "closed", None
                got += piece
            return "answer", got[8:]
        except TimeoutError:
            return "silent", None
        except OSError:
            return "closed", None


def error_code(name, answer):
    """The error of the answers that cases.py expects one of: ApiVersions' first field, else Produce's."""
    if "ApiVersions" in name:
        return struct.unpack(">h", answer[:2])[0]
    return wire.produce_error(answer)


def fits(name, want, kind, answer):
    if want == "any":
        return kind in ("closed", "answer")
    if isinstance(want, str):
        return kind == want
    return kind == "answer" and error_code(name, answer) == want


class Watch:
    """Holds the broker's life and memory against what it was before."""

    def __init__(self, c, broker, client):
        self.c, self.broker, self.client = c, broker, client
        self.bounded = isinstance(broker, brokers.Klamm)
        self.before = memory_mb(broker.pid)
        self.limit = GROWTH_MB

    def after(self, name):
        try:
            brokers.api_versions(self.broker.port, timeout=10)
            answers = True
        except OSError as e:
            answers = str(e)
        self.c.check(f"{name}: the broker answers", answers is True, f"{answers}\n{self.broker.log_tail()}")
        if answers is not True:
            raise SystemExit(1)
        grown = memory_mb(self.broker.pid) - self.before
        if self.bounded:
            self.c.check(f"{name}: memory grew by less than {self.limit:.0f} MB", grown < self.limit, f"{grown:.0f} MB")
        self.c.check(f"{name}: the other client goes on", self.client.error is None, self.client.error)


def single_frames(c, broker, watch):
    for name, data, want in cases.all_cases():
        kind, answer = outcome(broker.port, data)
        c.check(f"{name}: {want}", fits(name, want, kind, answer), f"{kind} {answer[:60] if answer else ''}")
        watch.after(name)
    created = [n for n in os.listdir(broker.data) if "pwn" in n or "x-0" == n]
    c.check("no topic with a path in its name", not created and not os.path.exists("/tmp/pwn-0"), created)


def crowds(c, broker, watch):
    count = int(os.environ.get("HOSTILE_CONNECTIONS", "10000"))
    half = []
    try:
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", broker.port), timeout=10)
            s.sendall(b"\0")
            half.append(s)
    except OSError as e:
        c.check(f"{count} half-open connections", False, f"stopped at {len(half)}: {e}")
    watch.limit += len(half) * CONNECTION_KB / 1000
    watch.after(f"{len(half)} connections with one byte each")
    for s in half:
        s.close()
    greedy = []
    for _ in range(100):
        s = socket.create_connection(("127.0.0.1", broker.port), timeout=10)
        s.sendall(struct.pack(">i", 100 * 1024 * 1024) + cases.header(0, 3))
        greedy.append(s)
    time.sleep(1)
    watch.after("100 connections that announce 100 MB and send nothing")
    for s in greedy:
        s.close()
    slow = []
    body = cases.produce(cases.good_batch())
    for _ in range(200):
        s = socket.create_connection(("127.0.0.1", broker.port), timeout=10)
        slow.append(s)
    for n in range(len(body)):
        for s in slow:
            s.sendall(body[n:n + 1])
    answered = 0
    for s in slow:
        s.settimeout(10)
        try:
            answered += bool(s.recv(4))
        except OSError:
            pass
        s.close()
    c.equal("200 senders of one byte at a time all get their answer", 200, answered)
    watch.after("200 slow senders")


def greedy_readers(c, broker, watch):
    """Clients that ask for everything and read nothing."""
    producer = wire.Connection(broker.port)
    for _ in range(60):
        body = wire.produce_body(cases.TOPIC, 0, BIG_BATCH)
        producer.call(wire.PRODUCE, 3, body)
    fetch = cases.frame(cases.header(1, 4) + struct.pack(">iiiib", -1, 100, 1, cases.MAX, 0) + struct.pack(">i", 1) + wire.string(cases.TOPIC)
                        + struct.pack(">i", 1) + struct.pack(">iqi", 0, 0, cases.MAX))
    readers = []
    for _ in range(50):
        s = socket.create_connection(("127.0.0.1", broker.port), timeout=10)
        s.sendall(fetch * 20)
        readers.append(s)
    time.sleep(2)
    watch.after("50 clients that ask for 20 times 50 MB and read nothing")
    for s in readers:
        s.close()


BIG_BATCH = wire.batch_of_one(bytes(900_000), cases.NOW)


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    c = checks.Checks()
    broker = brokers.subject(WORK).start()
    with wire.Connection(broker.port) as connection:
        connection.create_topics([cases.TOPIC], 1)
        while connection.leaders([cases.TOPIC]) != {cases.TOPIC: 1}:
            time.sleep(0.02)
    client = GoodClient(broker.port)
    client.start()
    time.sleep(1)
    watch = Watch(c, broker, client)
    for part in (single_frames, crowds, greedy_readers):
        part(c, broker, watch)
    client.finish()
    c.check(f"the other client never waited {WAIT_MAX} s (at most {client.slowest:.2f} s in {client.rounds} rounds)",
            client.error is None and client.slowest < WAIT_MAX, client.error or f"{client.slowest:.2f} s")
    broker.stop()
    c.finish()


if __name__ == "__main__":
    main()
