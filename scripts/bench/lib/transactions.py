"""Transactions at a fixed rate, and as many as the performance tool makes of them."""

import time

from compat.common import wire

from . import process

COORDINATOR, TRANSACTION = 10, 1


def paced(broker, java, topic, partitions, seconds, rate=100, records=100, size=100, producers=4):
    """`rate` transactions a second of `records` records over all partitions: what a commit takes, and what the broker's CPU."""
    with process.Usage(broker.pid) as used:
        out, cpu, code = java.transactions(broker, topic, partitions, records, size, rate, producers, seconds)
    words = out.split()
    if code or len(words) < 5:
        return {"error": f"exit {code}: {out[-500:]}"}
    done, sent, took, p50, p99 = int(words[-5]), int(words[-4]), float(words[-3]), int(words[-2]), int(words[-1])
    return {"rate": done / took, "p50_us": p50, "p99_us": p99, "cpu_million": used.cpu / (sent / 1e6), "peak_mb": used.peak_mb,
            "other": used.other_cores(cpu)}


def coordinator_is_there(port, timeout=60):
    """Asks for a coordinator until there is one: that creates __transaction_state."""
    deadline = time.monotonic() + timeout
    with wire.Connection(port) as c:
        while True:
            r = c.call(COORDINATOR, 1, wire.string("bench") + bytes([TRANSACTION]))
            r.take("i")
            if r.take("h") == 0:
                return
            if time.monotonic() > deadline:
                raise SystemExit("no transaction coordinator")
            time.sleep(0.1)
