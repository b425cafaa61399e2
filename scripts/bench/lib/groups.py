"""Members of groups in both protocols, a hundred or a thousand of them on one thread, speaking the protocol by themselves.

Each member has a connection of its own and heartbeats at an interval that the measurement chooses, the same for every broker.
"""

import collections
import heapq
import itertools
import selectors
import socket
import struct
import time
import uuid

from compat.common import wire
from compat.common.wire import string

COMMIT, COORDINATOR, JOIN, HEARTBEAT, LEAVE, SYNC, CONSUMER = 8, 10, 11, 12, 13, 14, 68
REBALANCE_IN_PROGRESS, MEMBER_ID_REQUIRED = 27, 79


class Loop:
    """Sockets and timers of one thread."""

    def __init__(self):
        self.selector, self.timers, self.order = selectors.DefaultSelector(), [], itertools.count()
        self.failures = []

    def later(self, seconds, call):
        self.at(time.monotonic() + seconds, call)

    def at(self, when, call):
        heapq.heappush(self.timers, (when, next(self.order), call))

    def until(self, condition, timeout):
        """Runs until the condition holds; False when the time is up first."""
        deadline = time.monotonic() + timeout
        while not condition():
            now = time.monotonic()
            if now > deadline:
                return False
            while self.timers and self.timers[0][0] <= now:
                heapq.heappop(self.timers)[2]()
            wait = min(self.timers[0][0] - time.monotonic() if self.timers else 0.1, deadline - now, 0.1)
            for key, _ in self.selector.select(max(wait, 0)):
                key.data.readable()
        return True

    def rest(self, seconds):
        self.until(lambda: False, seconds)

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


class Peer:
    """A connection; answers come in the order of the requests."""

    def __init__(self, loop, port):
        self.loop, self.inbox, self.waiting = loop, bytearray(), collections.deque()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop.selector.register(self.socket, selectors.EVENT_READ, self)

    def ask(self, key, version, body, then, flexible=False):
        head = struct.pack(">hhih", key, version, 1, 5) + b"bench" + (b"\0" if flexible else b"")
        self.waiting.append(then)
        self.socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)

    def readable(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            self.loop.selector.unregister(self.socket)
            self.loop.failures.append("the broker closed a connection")
            return
        self.inbox += piece
        while len(self.inbox) >= 4:
            size = struct.unpack_from(">i", self.inbox)[0]
            if len(self.inbox) < 4 + size:
                return
            answer = bytes(self.inbox[8:4 + size])
            del self.inbox[:4 + size]
            self.waiting.popleft()(Reader(answer))


class Reader(wire.Reader):
    def bytes(self):
        n = self.take("i")
        self.at += max(n, 0)
        return self.data[self.at - max(n, 0):self.at]

    def varint(self):
        out = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            out |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return out

    def compact(self):
        n = self.varint() - 1
        out = self.data[self.at:self.at + max(n, 0)].decode() if n >= 0 else None
        self.at += max(n, 0)
        return out

    def tags(self):
        for _ in range(self.varint()):
            self.varint()
            n = self.varint()
            self.at += n


def compact(text):
    return _varint(len(text) + 1) + text.encode() if text is not None else b"\0"


def _varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def _blob(data):
    return struct.pack(">i", len(data)) + data


class Classic:
    """A member of the classic protocol. The leader gives each member its share of `partitions`."""

    def __init__(self, loop, port, group, topic, partitions, interval, session_ms=60_000):
        self.loop, self.group, self.topic, self.partitions, self.interval, self.session_ms = loop, group, topic, partitions, interval, session_ms
        self.peer = Peer(loop, port)
        self.id, self.generation, self.stable, self.left = "", -1, False, False
        self.joined_at = self.assigned_at = 0.0
        self.wait = None  # of the first join, from the request with an id to the answer

    def start(self):
        self._join()
        return self

    def _join(self):
        self.stable, self.joined_at = False, time.monotonic()
        subscription = struct.pack(">hi", 0, 1) + string(self.topic) + struct.pack(">i", -1)
        body = string(self.group) + struct.pack(">ii", self.session_ms, 60_000) + string(self.id) + struct.pack(">h", -1) + string("consumer")
        self.peer.ask(JOIN, 5, body + struct.pack(">i", 1) + string("range") + _blob(subscription), self._joined)

    def _joined(self, r):
        r.take("i")
        error, self.generation = r.take("hi")
        r.text()
        leader, me = r.text(), r.text()
        if error:
            if error == MEMBER_ID_REQUIRED:
                self.id = me
            elif error != REBALANCE_IN_PROGRESS:
                self.loop.failures.append(f"JoinGroup: error {error}")
                return
            self._join()
            return
        self.id = me
        self.wait = self.wait or time.monotonic() - self.joined_at
        members = []
        for _ in range(r.take("i")):
            members.append(r.text())
            r.text()
            r.bytes()
        shares = b""
        for n, member in enumerate(members):
            mine = range(n * self.partitions // len(members), (n + 1) * self.partitions // len(members))
            share = struct.pack(">hi", 0, 1) + string(self.topic) + struct.pack(f">i{len(mine)}i", len(mine), *mine) + struct.pack(">i", -1)
            shares += string(member) + _blob(share)
        body = string(self.group) + struct.pack(">i", self.generation) + string(self.id) + struct.pack(">h", -1)
        self.peer.ask(SYNC, 3, body + struct.pack(">i", len(members) if leader == me else 0) + (shares if leader == me else b""), self._synced)

    def _synced(self, r):
        r.take("i")
        error = r.take("h")
        if error == REBALANCE_IN_PROGRESS:
            self._join()
        elif error:
            self.loop.failures.append(f"SyncGroup: error {error}")
        else:
            self.stable, self.assigned_at = True, time.monotonic()
            generation = self.generation
            if self.interval:
                self.loop.later(self.interval, lambda: self._beat(generation))

    def _beat(self, generation):
        if self.stable and not self.left and generation == self.generation:
            body = string(self.group) + struct.pack(">i", self.generation) + string(self.id) + struct.pack(">h", -1)
            self.peer.ask(HEARTBEAT, 3, body, lambda r: self._beaten(r, generation))

    def _beaten(self, r, generation):
        r.take("i")
        error = r.take("h")
        if self.left or generation != self.generation:
            return
        if error == REBALANCE_IN_PROGRESS:
            self._join()
        elif error:
            self.loop.failures.append(f"Heartbeat: error {error}")
        else:
            self.loop.later(self.interval, lambda: self._beat(generation))

    def leave(self):
        self.left = True
        self.peer.ask(LEAVE, 2, string(self.group) + string(self.id), lambda r: None)

    def commit(self, topic, partition, offset, then):
        body = string(self.group) + struct.pack(">i", self.generation) + string(self.id) + struct.pack(">h", -1)
        body += struct.pack(">i", 1) + string(topic) + struct.pack(">iiqi", 1, partition, offset, -1) + string("")
        self.peer.ask(COMMIT, 7, body, then)


class Consumer:
    """A member of the protocol of KIP-848."""

    def __init__(self, loop, port, group, topic, partitions, interval):
        self.loop, self.group, self.topic, self.interval = loop, group, topic, interval
        self.peer = Peer(loop, port)
        self.id, self.epoch, self.owned, self.left = uuid.uuid4().hex, 0, b"", False
        self.count, self.wait, self.joined_at, self.assigned_at = 0, None, 0.0, 0.0

    @property
    def stable(self):
        return self.epoch > 0

    def start(self):
        self.joined_at = time.monotonic()
        self._send(60_000, _varint(2) + compact(self.topic), b"\1")
        return self

    def _send(self, rebalance_ms=-1, topics=b"\0", owned=b"\0"):
        body = compact(self.group) + compact(self.id) + struct.pack(">i", self.epoch) + b"\0\0" + struct.pack(">i", rebalance_ms)
        self.peer.ask(CONSUMER, 1, body + topics + b"\0\0" + owned + b"\0", self._answered, flexible=True)

    def _answered(self, r):
        r.tags()
        r.take("i")
        error = r.take("h")
        why = r.compact()
        if self.left:
            return
        if error:
            self.loop.failures.append(f"ConsumerGroupHeartbeat: error {error} {why}")
            return
        r.compact()
        self.epoch, _ = r.take("ii")
        if r.take("b") >= 0:
            begin, self.count = r.at, 0
            for _ in range(r.varint() - 1):
                r.at += 16
                n = r.varint() - 1
                r.at += 4 * n
                self.count += n
                r.tags()
            owned = r.data[begin:r.at]
            self.wait = self.wait or time.monotonic() - self.joined_at
            self.assigned_at = time.monotonic()
            if owned != self.owned:
                self.owned = owned
                self._send(owned=owned)  # what it has, at once, as clients do
                return
        if self.interval:
            self.loop.later(self.interval, lambda: self.left or self._send())

    def leave(self):
        self.left = True
        self.epoch = -1
        self._send()


PROTOCOLS = {"classic": Classic, "consumer": Consumer}


def coordinator_is_there(port, timeout=60):
    """Asks for a coordinator until there is one: that creates __consumer_offsets."""
    deadline = time.monotonic() + timeout
    with wire.Connection(port) as c:
        while True:
            if c.call(COORDINATOR, 0, string("bench")).take("h") == 0:
                return
            if time.monotonic() > deadline:
                raise SystemExit("no group coordinator")
            time.sleep(0.1)


def crowd(loop, port, protocol, group, topic, partitions, count, interval):
    """Members that have a connection each and have not joined yet."""
    return [PROTOCOLS[protocol](loop, port, group, topic, partitions, interval) for _ in range(count)]


def version(member):
    """The generation or epoch that it is in."""
    return member.generation if isinstance(member, Classic) else member.epoch


def all_assigned(members, partitions, after=0):
    """Everyone has its share of the same generation or epoch, one behind `after`, and together they have everything."""
    versions = {version(m) for m in members}
    fine = len(versions) == 1 and min(versions) > after and all(m.stable for m in members)
    return fine and (isinstance(members[0], Classic) or sum(m.count for m in members) == partitions)
