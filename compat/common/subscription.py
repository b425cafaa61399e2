"""The bytes that classic consumers put into JoinGroup and SyncGroup (ConsumerProtocolSubscription, ConsumerProtocolAssignment)."""

import struct


def _string(s):
    return struct.pack(">h", len(s)) + s.encode()


def _partitions(pairs):
    topics = {}
    for topic, partition in pairs:
        topics.setdefault(topic, []).append(partition)
    out = struct.pack(">i", len(topics))
    for topic, numbers in topics.items():
        out += _string(topic) + struct.pack(f">i{len(numbers)}i", len(numbers), *numbers)
    return out


def subscribe(topics, owned, version):
    out = struct.pack(">hi", version, len(topics)) + b"".join(map(_string, topics)) + struct.pack(">i", -1)
    if version >= 1:
        out += _partitions(owned)
    if version >= 2:
        out += struct.pack(">i", -1)
    if version >= 3:
        out += struct.pack(">h", -1)
    return out


def assign(pairs):
    return struct.pack(">h", 1) + _partitions(pairs) + struct.pack(">i", -1)


def assigned(data):
    """The (topic, partition) pairs of an assignment; none when these are no bytes of a consumer's."""
    try:
        at, out = 6, []
        for _ in range(struct.unpack_from(">i", data, 2)[0]):
            n = struct.unpack_from(">h", data, at)[0]
            topic = data[at + 2:at + 2 + n].decode()
            at += 2 + n
            count = struct.unpack_from(">i", data, at)[0]
            out += [(topic, p) for p in struct.unpack_from(f">{count}i", data, at + 4)]
            at += 4 + 4 * count
        return out
    except (struct.error, UnicodeDecodeError):
        return []
