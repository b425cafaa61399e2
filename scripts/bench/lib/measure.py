"""The measurements. Each takes a broker and returns a dict of figures; an `error` among them says what went wrong."""

import os
import struct
import subprocess
import tempfile
import time

from compat.common import wire

from . import clients, groups, process, swarm

KIB = 1024


def throughput(broker, run):
    """CPU per gigabyte and per million records, rates by the client's clock, memory, noise, around a client's run."""
    with process.Usage(*broker.pids) as used:
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
        with process.Usage(*broker.pids) as used:
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


def settled(loop, members, partitions, timeout=120, after=0):
    """None, or why the members did not come to have everything."""
    done = loop.until(lambda: loop.failures or groups.all_assigned(members, partitions, after), timeout)
    return loop.failures[0] if loop.failures else None if done else f"{len(members)} members are not assigned after {timeout} s"


def commits(broker, count, rate, seconds):
    """`rate` commits a second from `count` groups of one member each, each sent when its time has come, however long others take; the
    latency is from then to the answer."""
    loop, latencies, errors, sent = groups.Loop(), [], [], 0
    members = [m for n in range(count) for m in groups.crowd(loop, broker.port, "classic", f"commits-{n}", "commits", 10, 1, 0)]
    for m in members:
        m.start()
    why = None if loop.until(lambda: loop.failures or all(m.stable for m in members), 120) else "not everyone joined"

    def commit(n, due):
        def answered(r):
            latencies.append(time.monotonic() - due)
            r.take("i")
            r.take("i")
            r.text()
            if r.take("iih")[2]:
                errors.append("a commit failed")
        members[n % count].commit("commits", n % 10, n, answered)

    warm, total = rate, rate * (seconds + 1)
    with process.Usage(broker.pid) as used:
        began = time.monotonic()
        while sent < total and not loop.failures and not why:
            due = began + sent / rate
            loop.until(lambda: time.monotonic() >= due, max(due - time.monotonic(), 0))
            commit(sent, due)
            sent += 1
        loop.until(lambda: len(latencies) >= total, 30)
    for m in members:
        m.leave()
    loop.until(lambda: not any(m.peer.waiting for m in members), 30)
    loop.close()
    ordered = sorted(latencies[warm:])
    row = {"rate": sent / max(used.wall, 1e-9), "p50_us": percentile(ordered, 0.5) * 1e6, "p99_us": percentile(ordered, 0.99) * 1e6,
           "p999_us": percentile(ordered, 0.999) * 1e6, "cpu_us_request": used.cpu / max(len(latencies), 1) * 1e6, "peak_mb": used.peak_mb}
    wrong = why or next(iter(loop.failures + errors), None) or (None if len(latencies) >= total else f"{len(latencies)} of {total} answered")
    return {**row, "error": wrong} if wrong else row


def rebalance(broker, protocol, count, leaves, interval):
    """From the moment a member of a settled group leaves to the answer with which the last of the others has its assignment; the broker's CPU time for it,
    its requests and heartbeats included."""
    loop, topic, partitions = groups.Loop(), f"rebalance-{count}", count
    broker.create([topic], partitions)
    members = groups.crowd(loop, broker.port, protocol, f"rebalance-{protocol}-{count}", topic, partitions, count, interval)
    for m in members:
        m.start()
    why, times, cpu = settled(loop, members, partitions), [], []
    while not why and len(times) < leaves:
        loop.rest(1.5)
        before = groups.version(members[0])
        with process.Usage(broker.pid) as used:
            began = time.monotonic()
            members.pop().leave()
            why = settled(loop, members, partitions, after=before)
        times.append(max(m.assigned_at for m in members) - began if protocol == "classic" else time.monotonic() - began)
        cpu.append(used.cpu)
    loop.close()
    row = {"rebalance_ms": percentile(sorted(times), 0.5) * 1e3, "rebalance_cpu_ms": percentile(sorted(cpu), 0.5) * 1e3}
    return {**row, "error": why} if why else row


def first_join(broker, protocol):
    """What the one member of a new group waits for its first assignment: from the join with an id to the answer."""
    loop = groups.Loop()
    broker.create(["first"], 1)
    members = groups.crowd(loop, broker.port, protocol, f"first-{protocol}-{time.monotonic_ns()}", "first", 1, 1, 0.1)
    members[0].start()
    why = settled(loop, members, 1, 30)
    loop.close()
    return {"error": why} if why else {"first_wait_ms": members[0].wait * 1e3}


def group_memory(broker, members, offsets):
    """Anonymous memory that members and committed offsets take, each from a fresh start. The members' connections are open, and used, before
    the first figure; so is what the first commits need."""
    row = {}
    for protocol in groups.PROTOCOLS:
        _with_coordinator(broker)
        loop, topic = groups.Loop(), "memory"
        broker.create([topic], members)
        crowd = [m for n in range(10) for m in groups.crowd(loop, broker.port, protocol, f"memory-{protocol}-{n}", topic, members, members // 10, 1.0)]
        for m in crowd:
            m.peer.ask(wire.API_VERSIONS, 0, b"", lambda r: None)
        loop.rest(1.0)
        before = broker.memory("RssAnon")
        for m in crowd:
            m.start()
        parts = [crowd[n:n + members // 10] for n in range(0, len(crowd), members // 10)]
        done = loop.until(lambda: loop.failures or all(groups.all_assigned(part, members) for part in parts), 120)
        if loop.failures or not done:
            row["error"] = loop.failures[0] if loop.failures else f"{protocol}: not everyone was assigned"
        loop.rest(2.0)
        row[f"{protocol}_kb_member"] = (broker.memory("RssAnon") - before) * 1e3 / members
        loop.close()
        broker.remove()
    _with_coordinator(broker)
    before = 0.0
    broker.create(["offsets"], 1000)
    with wire.Connection(broker.port) as c:
        for n in range(offsets // 1000):
            body = wire.string(f"offsets-{n}") + struct.pack(">i", -1) + wire.string("") + struct.pack(">hi", -1, 1) + wire.string("offsets")
            body += struct.pack(">i", 1000) + b"".join(struct.pack(">iqi", p, n, -1) + wire.string("") for p in range(1000))
            r = c.call(groups.COMMIT, 7, body)
            r.take("ii")
            r.text()
            if r.take("iih")[2]:
                row["error"] = "a commit failed"
            if n == 0:
                before = broker.memory("RssAnon")
    time.sleep(1.0)
    row["bytes_offset"] = (broker.memory("RssAnon") - before) * 1e6 / max(offsets - 1000, 1)
    broker.remove()
    return row


def _with_coordinator(broker):
    broker.wipe()
    broker.start()
    groups.coordinator_is_there(broker.port)


def binary_mb(broker):
    """Size of the program file, where the command is one."""
    program = broker._command()[0]
    return os.path.getsize(program) / 1e6 if os.path.sep in program and not program.endswith("java") else None


def supports_groups(broker):
    return wire.JOIN_GROUP in broker.apis
