"""The measurements. Each takes a broker and returns a dict of figures; an `error` among them says what went wrong."""

import os
import subprocess
import tempfile
import time

from compat.common import wire

from . import clients, process, swarm

KIB = 1024


def throughput(broker, run):
    """CPU per gigabyte and per million records, rates by the client's clock, memory, noise, around a client's run."""
    with process.Usage(broker.pid) as used:
        done = run()
    row = {"error": done.error} if done.error else {}
    if done.bytes:
        seconds = max(done.ms, 1.0) / 1e3
        row.update(records_s=done.records / seconds, mb_s=done.bytes / 1e6 / seconds, cpu_gb=used.cpu / (done.bytes / 1e9),
                   cpu_million=used.cpu / (done.records / 1e6), client_cpu_gb=done.cpu / (done.bytes / 1e9))
    row.update(peak_mb=used.peak_mb, other=used.other_cores(done.cpu))
    return row


def cold_start(broker, settle, idle):
    """exec to the first ApiVersions answer with an empty data folder; memory and CPU when nothing happens."""
    broker.wipe()
    row = {"start_ms": broker.start()}
    row["start_cpu_ms"] = broker.cpu() * 1e3
    time.sleep(settle)
    row["rss_mb"], row["anon_mb"], row["threads"] = broker.memory(), broker.memory("RssAnon"), process.threads(broker.pid)
    before = broker.cpu()
    time.sleep(idle)
    row["idle_cpu_ms_s"] = (broker.cpu() - before) * 1e3 / idle
    broker.remove()
    return row


def many_partitions(broker, partitions, settle, restarts):
    """Creation, clean stop and restart with many partitions, and what the broker then holds in memory."""
    topics = {f"many-{n}": 1000 if partitions >= 1000 else partitions for n in range(max(1, partitions // 1000))}
    broker.wipe()
    broker.start()
    row = {"create_s": sum(broker.create([t], n) for t, n in topics.items())}
    time.sleep(settle)
    row["rss_created_mb"] = broker.memory()
    if "restart" in broker.cannot:
        broker.remove()
        return row
    starts, leaders = [], []
    for _ in range(restarts):
        row["stop_s"] = broker.stop()
        began = time.monotonic()
        starts.append(broker.start())
        broker.wait_leaders(topics)
        leaders.append((time.monotonic() - began) * 1e3)
    row["restart_ms"], row["all_leaders_ms"] = sorted(starts)[len(starts) // 2], sorted(leaders)[len(leaders) // 2]
    time.sleep(settle)
    row["rss_mb"], row["anon_mb"] = broker.memory(), broker.memory("RssAnon")
    before = broker.cpu()
    time.sleep(settle)
    row["idle_cpu_ms_s"] = (broker.cpu() - before) * 1e3 / settle
    broker.remove()
    return row


def percentile(values, q):
    return values[min(len(values) - 1, int(q * len(values)))] if values else float("nan")


def latency(broker, librdkafka, topic, rate, seconds):
    """Acknowledgement and end-to-end latency at a fixed rate of 100-byte records, linger.ms=0, in microseconds."""
    count = int(rate * seconds)
    with tempfile.TemporaryDirectory() as folder:
        acks, ends = os.path.join(folder, "acks"), os.path.join(folder, "ends")
        with process.Usage(broker.pid) as used:
            consumer = subprocess.Popen(
                librdkafka.command("-C", "-t", topic, "-p", 0, "-b", broker.bootstrap, "-o", "beginning", "-c", count, "-l", "-A", ends, "-q"),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=librdkafka.env)
            time.sleep(1.0)
            out, cpu, code = clients.execute(
                librdkafka.command("-P", "-t", topic, "-p", 0, "-b", broker.bootstrap, "-s", 100, "-c", count, "-a", -1, "-r", rate,
                                   "-l", "-A", acks, "-q", "-X", "linger.ms=0"), seconds * 4 + 60, librdkafka.env)
            try:
                consumer.wait(15)
            except subprocess.TimeoutExpired:
                pass
            cpu += process.cpu_seconds(consumer.pid)
            if consumer.poll() is None:
                consumer.kill()
                consumer.wait()
        ack, end = (_numbers(f) for f in (acks, ends))
    # The first records pay for connections and caches of the clients.
    row = {"rate": count / seconds, "cpu_us_record": used.cpu / max(len(end), 1) * 1e6, "other": used.other_cores(cpu)}
    if len(ack) < count or len(end) < count:
        row["error"] = f"{len(ack)} of {count} acknowledged, {len(end)} consumed (exit {code}): {out[-300:]}"
    for who, values in (("ack", sorted(ack[len(ack) // 20:])), ("end", sorted(end[len(end) // 20:]))):
        for label, q in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
            row[f"{who}_{label}"] = percentile(values, q)
    found = list(clients.PRODUCED.finditer(out))
    if found:
        row["rate"] = int(found[-1][3]) / max(float(found[-1][5]), 1) * 1e3
    return row


def _numbers(path):
    try:
        with open(path) as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []


def flush(broker, librdkafka, java, partitions, seconds):
    """Every record on disk before its acknowledgement (log.flush.interval.messages=1), `partitions` written at once: by one
    Java producer in turn, by one librdkafka producer at random, by one connection for each partition."""
    broker.wipe({"log.flush.interval.messages": "1"})
    broker.start()
    broker.create(["flush"], partitions)
    ways = {
        "java": lambda n: java.produce(broker, "flush", KIB, n, ["partitioner.class=org.apache.kafka.clients.producer.RoundRobinPartitioner"]),
        "librdkafka": lambda n: librdkafka.produce(broker, "flush", KIB, n, None, ["partitioner=random", "sticky.partitioning.linger.ms=0", "batch.size=16384"]),
    }
    rows = {}
    for way, run in ways.items():
        first = run(partitions * 50)  # also warms what is to be measured
        rate = first.records / max(first.ms, 1) * 1e3
        rows[way] = throughput(broker, lambda r=run, n=int(max(rate * seconds, partitions * 50)): r(n))
    with process.Usage(broker.pid) as used:
        done = swarm.run(broker.port, "flush", partitions, partitions, partitions, KIB, seconds)
    rows["connections"] = _swarm_row(done, used)
    broker.remove()
    return rows


def connections(broker, open_connections, busy, seconds):
    """Many open connections, some of them producing 100-byte records one at a time."""
    broker.wipe()
    broker.start()
    broker.create(["busy"], 10)
    with process.Usage(broker.pid) as used:
        done = swarm.run(broker.port, "busy", 10, open_connections, busy, 100, seconds)
    row = _swarm_row(done, used)
    broker.remove()
    return row


def _swarm_row(done, used):
    row = {"records_s": done.requests / max(done.seconds, 1e-9), "mb_s": done.bytes / 1e6 / max(done.seconds, 1e-9), "errors": done.errors,
           "cpu_us_request": used.cpu / max(done.requests, 1) * 1e6, "peak_mb": used.peak_mb,
           "p50_us": percentile(done.latencies, 0.5) * 1e6, "p99_us": percentile(done.latencies, 0.99) * 1e6}
    if done.errors:
        row["error"] = done.first_error
    return row


def binary_mb(broker):
    """Size of the program file, where the command is one."""
    program = broker._command()[0]
    return os.path.getsize(program) / 1e6 if os.path.sep in program and not program.endswith("java") else None


def supports_groups(broker):
    return wire.JOIN_GROUP in broker.apis
