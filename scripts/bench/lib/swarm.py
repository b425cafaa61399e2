"""Many connections from one thread: each busy one sends the next Produce request when the answer to the last has come."""

import selectors
import socket
import struct
import time

from compat.common import wire


class Peer:
    def __init__(self, port, frames):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.frames = frames
        self.turn = 0
        self.inbox = b""
        self.sent_at = 0.0

    def send(self):
        self.sent_at = time.monotonic()
        self.socket.sendall(self.frames[self.turn % len(self.frames)])
        self.turn += 1


class Outcome:
    def __init__(self):
        self.requests = self.errors = self.bytes = 0
        self.latencies = []
        self.seconds = 0.0
        self.first_error = None

    def fail(self, why):
        self.errors += 1
        self.first_error = self.first_error or why


def probe(peer):
    """One ApiVersions exchange: the connection is open and served."""
    peer.socket.sendall(wire.request(wire.API_VERSIONS, 0, 7, b""))
    head = b""
    while len(head) < 4:
        piece = peer.socket.recv(4 - len(head))
        if not piece:
            raise OSError("closed")
        head += piece
    left = struct.unpack(">i", head)[0]
    while left:
        piece = peer.socket.recv(left)
        if not piece:
            raise OSError("closed")
        left -= len(piece)


def produce_frames(topic, partition, size, now_ms):
    batch = wire.batch_of_one(bytes(97 + n % 26 for n in range(size)), now_ms)
    return [wire.request(wire.PRODUCE, 3, 1, wire.produce_body(topic, partition, batch))]


def run(port, topic, partitions, open_connections, busy, size, seconds):
    """Opens the connections, keeps `busy` of them producing for `seconds`, then asks every one whether it is still served."""
    out = Outcome()
    now_ms = int(time.time() * 1000)
    frames = [produce_frames(topic, p, size, now_ms) for p in range(partitions)]
    peers = []
    for n in range(open_connections):
        try:
            peer = Peer(port, frames[n % partitions])
            probe(peer)
            peers.append(peer)
        except OSError as e:
            out.fail(f"connection {n}: {e}")
    with selectors.DefaultSelector() as selector:
        working = peers[:busy]
        for peer in working:
            peer.socket.setblocking(False)
            selector.register(peer.socket, selectors.EVENT_READ, peer)
        began = time.monotonic()
        for peer in working:
            peer.send()
        waiting, end = len(working), began + seconds
        while waiting and time.monotonic() < end + 30:
            for key, _ in selector.select(1):
                waiting -= _answer(key.data, out, size, time.monotonic() < end, selector)
        out.seconds = time.monotonic() - began
        if waiting:
            out.fail(f"{waiting} requests without an answer")
    for peer in peers:
        try:
            peer.socket.setblocking(True)
            peer.socket.settimeout(60)
            probe(peer)
        except OSError as e:
            out.fail(f"no answer at the end: {e}")
        peer.socket.close()
    out.latencies.sort()
    return out


def _answer(peer, out, size, go_on, selector):
    """Takes what arrived; sends the next request. 1 when the peer is done."""
    try:
        piece = peer.socket.recv(4096)
    except BlockingIOError:
        return 0
    except OSError as e:
        piece = b""
        out.fail(str(e))
    if not piece:
        out.fail("closed while busy")
        selector.unregister(peer.socket)
        return 1
    peer.inbox += piece
    if len(peer.inbox) < 4 or len(peer.inbox) < 4 + struct.unpack_from(">i", peer.inbox)[0]:
        return 0
    error = wire.produce_error(peer.inbox[8:])
    if error:
        out.fail(f"error code {error}")
    out.latencies.append(time.monotonic() - peer.sent_at)
    out.requests += 1
    out.bytes += size
    peer.inbox = b""
    if not go_on:
        selector.unregister(peer.socket)
        return 1
    peer.send()
    return 0
