"""Compaction of one large log, while a producer goes on at its rate."""

import os
import struct
import threading
import time

from compat.common import wire
from compat.common.wire import string

from . import measure, process

TOPIC, ALTER = "changelog", 44
NEVER, NOW = "1.0", "0.01"


def settings(megabytes):
    """The cleaner looks often; the segment that is written, which is not compacted, is a small part of the log."""
    return {"log.cleaner.backoff.ms": "100", "log.segment.bytes": str(min(megabytes * 1_000_000 // 16, 128 << 20))}


def let_clean(broker):
    """IncrementalAlterConfigs: from now on the topic is dirty enough. None, or why not."""
    body = struct.pack(">ib", 1, 2) + string(TOPIC) + struct.pack(">i", 1) + string("min.cleanable.dirty.ratio") + b"\0" + string(NOW) + b"\0"
    with wire.Connection(broker.port) as c:
        r = c.call(ALTER, 0, body)
        r.take("ii")
        error = r.take("h")
    return f"IncrementalAlterConfigs: error {error}" if error else None


def copied_once(folder):
    """Bytes and seconds of reading every segment and writing it to another file, durably."""
    began, size = time.monotonic(), 0
    for name in sorted(n for n in os.listdir(folder) if n.endswith(".log")):
        path = os.path.join(folder, name)
        with open(path, "rb", buffering=0) as source, open(path + ".copy", "wb", buffering=0) as target:
            while piece := source.read(256 * 1024):
                target.write(piece)
                size += len(piece)
            os.fdatasync(target.fileno())
        os.unlink(path + ".copy")
    return size, time.monotonic() - began


def reached(broker):
    """Up to where the log is clean, by the file that brokers keep."""
    try:
        with open(os.path.join(broker.data, "cleaner-offset-checkpoint")) as f:
            rows = [line.split() for line in f]
        return next((int(row[2]) for row in rows if row[:2] == [TOPIC, "0"] and len(row) == 3), 0)
    except OSError:
        return 0


def active(folder):
    """The first offset of the segment that is written."""
    return max(int(name[:20]) for name in os.listdir(folder) if name.endswith(".log"))


def compaction(broker, client, java, megabytes, keys, quiet_seconds, rate=10_000, timeout=1800):
    """How long it takes against reading and writing the log once, what memory, and what a producer beside it notices."""
    value = 120
    broker.wipe(settings(megabytes))
    broker.start()
    broker.create([TOPIC], configs=[("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", NEVER)])
    records = int(megabytes * 1e6 / (value + 30))
    filled = java.changelog(broker, TOPIC, records, keys, value)
    if filled:
        return {"error": filled}
    folder = os.path.join(broker.data, f"{TOPIC}-0")
    size, once = copied_once(folder)
    quiet = beside(broker, client, "quiet", rate, quiet_seconds, lambda: False)
    before, until = process.memory_mb(broker.pid), active(folder)
    with process.Usage(broker.pid) as used:
        began, refused = time.monotonic(), let_clean(broker)
        if refused:
            return {"error": refused}
        took = []

        def clean():
            while reached(broker) < until and time.monotonic() - began < timeout:
                time.sleep(0.01)
            took.append(time.monotonic() - began)

        cleaning = threading.Thread(target=clean)
        cleaning.start()
        busy = beside(broker, client, "busy", rate, quiet_seconds, cleaning.is_alive)
        cleaning.join()
    row = {"error": f"clean up to {reached(broker)} of {until} after {timeout} s"} if took[0] >= timeout else {}
    row.update(size_mb=size / 1e6, once_s=once, seconds=took[0], times_once=took[0] / once, mb_s=size / 1e6 / took[0],
               rss_growth_mb=used.peak_mb - before, cpu_s=used.cpu, quiet_p99=quiet, busy_p99=busy,
               times_quiet=busy / quiet if quiet else float("nan"))
    broker.remove()
    return row


def beside(broker, client, name, rate, seconds, goes_on):
    """The p99 of acknowledgements at the rate: of `seconds`, again for as long as something goes on; the worst of them counts."""
    worst, n = 0.0, 0
    while n == 0 or goes_on():
        topic = f"{name}-{n}"
        broker.create([topic])
        worst = max(worst, measure.latency(broker, client, topic, rate, seconds).get("ack_p99", 0.0))
        n += 1
    return worst
