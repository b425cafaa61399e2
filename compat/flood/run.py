#!/usr/bin/env python3
"""A flood of connections that never log in, over SASL_PLAINTEXT and SASL_SSL: a third sends garbage, a third nothing, a third
one byte a second. What the broker closes comes back at once. Meanwhile a client that is logged in sends 1,000 records a second.

Checked: the broker's memory stays within its bound, the client goes on without an error, others can still log in, and the log
does not grow with the flood. Printed: the client's p99 quiet and under the flood, and their ratio.

FLOOD_CONNECTIONS (default 10000), FLOOD_RATE (connections opened a second, 1000), FLOOD_SECONDS (each phase, 20).
"""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from compat.common import brokers, checks, flood_client, jars, paths, wire  # noqa: E402
from compat.common import certificates  # noqa: E402

WORK = os.path.join(paths.COMPAT, "flood", "work", "run")
CONNECTIONS = int(os.environ.get("FLOOD_CONNECTIONS", "10000"))
RATE = int(os.environ.get("FLOOD_RATE", "1000"))
SECONDS = int(os.environ.get("FLOOD_SECONDS", "20"))
TOPIC = "steady"
USER, PASSWORD = "alice", "alice-secret"
# What connections that have not logged in may hold together, by the default of connections.login.max.bytes, and what the
# allocator and the work on them may take besides.
BOUND_MB, BESIDES_MB = 134, 32
LOGIN_TIMEOUT_S = 30
LOG_LINES = 200


class Doors:
    """What both brokers get beside their own settings."""

    def kraft_properties(self):
        own = super().kraft_properties()
        self.ports = {name: brokers.free_port() for name in ("SASL", "SASLTLS")}
        plain = f"PLAINTEXT://127.0.0.1:{self.port}"
        doors = [f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()]
        return {
            **own,
            "listeners": ",".join([plain, *doors, f"CONTROLLER://127.0.0.1:{self.controller_port}"]),
            "advertised.listeners": ",".join([plain, *doors]),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,SASLTLS:SASL_SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256",
            "listener.name.sasl.scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "listener.name.sasltls.scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": f"{self.folder}/server.p12",
            "ssl.keystore.password": certificates.PASSWORD,
        }


ADD = ["--cluster-id", "5L6g3nShT-eMCtK--X86sw", "--add-scram", f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"]


class Klamm(Doors, brokers.Klamm):
    def __init__(self, work, folder):
        self.folder = folder
        super().__init__(work)
        subprocess.run([self.binary, "storage", "format", "--config", self.properties, *ADD], check=True, stdin=subprocess.DEVNULL)


class Kafka(Doors, brokers.Kafka):
    def __init__(self, work, folder):
        self.folder = folder
        super().__init__(work, name="kafka-again")

    def _format(self):
        subprocess.run(jars.java("kafka.tools.StorageTool", ["format", "-c", self.properties, *ADD]), check=True, stdin=subprocess.DEVNULL)


def memory_mb(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize() / 1e6


def cpu_s(pid):
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e9


def lines(path):
    with open(path, "rb") as f:
        return sum(1 for _ in f)


class Run:
    def __init__(self, c, broker, folder):
        self.c, self.broker, self.folder = c, broker, folder
        self.bounded = isinstance(broker, Klamm)
        self.peak = 0.0

    def who(self, name):
        ca = ["--ca", f"{self.folder}/ca.pem"] if name == "SASLTLS" else []
        return ["--to", f"127.0.0.1:{self.broker.ports[name]}", "--user", USER, "--password", PASSWORD, *ca]

    def watch(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.peak = max(self.peak, memory_mb(self.broker.pid))
            time.sleep(0.1)

    def run(self):
        c = self.c
        steady = {name: flood_client.Client("steady", *self.who(name), "--topic", TOPIC, "--rate", 500) for name in self.broker.ports}

        def phase(what):
            rows = {name: s.figures() for name, s in steady.items()}
            for name, row in rows.items():
                c.check(f"{what}: the client over {name} goes on", row is not None and row["records"] > 0, self.broker.log_tail())
                if row:
                    print(f"     {what}, {name}: {int(row['records'])} records, us: p50 {row['p50_us']:.0f}, p99 {row['p99_us']:.0f}, "
                          f"p99.9 {row['p999_us']:.0f}, max {row['max_us']:.0f}", flush=True)
            return rows

        self.watch(3)
        for s in steady.values():
            s.figures()
        self.watch(SECONDS)
        quiet = phase("quiet")
        before, log_before = memory_mb(self.broker.pid), lines(self.broker.log_path)
        flood = flood_client.Client("flood", "--plain", f"127.0.0.1:{self.broker.ports['SASL']}", "--tls", f"127.0.0.1:{self.broker.ports['SASLTLS']}",
                                    "--connections", CONNECTIONS, "--rate", RATE)
        # Until all are there, or as many as the broker lets be.
        self.watch(CONNECTIONS / RATE + 3)
        phase("the flood rises")
        began = flood.figures()
        cpu, at = cpu_s(self.broker.pid), time.monotonic()
        self.watch(SECONDS)
        cpu = (cpu_s(self.broker.pid) - cpu) / (time.monotonic() - at)
        flooded = phase("under the flood")
        ended = flood.figures()
        c.check("the flood keeps coming", ended and began and ended["opened"] > began["opened"], f"{began} {ended}")
        print(f"     {int(ended['open'])} connections open; {(ended['opened'] - began['opened']) / SECONDS:.0f} opened a second; "
              f"the broker uses {cpu:.2f} cores", flush=True)
        for name in self.broker.ports:
            row, why = flood_client.once("logins", *self.who(name), "--threads", 2, "--seconds", 5)
            c.check(f"others log in over {name} under the flood ({row.get('per_s', 0):.0f}/s, p99 {row.get('p99_us', 0) / 1e3:.0f} ms)",
                    row.get("logins", 0) > 0 and row.get("errors") == 0, why)
        # Those that do nothing are closed when their time is over, and others come.
        self.watch(LOGIN_TIMEOUT_S)
        late = flood.figures()
        grown = self.peak - before
        print(f"     memory: {before:.0f} MB quiet, {self.peak:.0f} MB at most; {int(late['opened'])} connections were opened", flush=True)
        if self.bounded:
            c.check(f"memory grew by less than {BOUND_MB} + {BESIDES_MB} MB ({grown:.0f} MB)", grown < BOUND_MB + BESIDES_MB)
            logged = lines(self.broker.log_path) - log_before
            c.check(f"the log grew by less than {LOG_LINES} lines ({logged})", logged < LOG_LINES)
        for name in self.broker.ports:
            if quiet[name] and flooded[name]:
                print(f"     p99 over {name}: {quiet[name]['p99_us']:.0f} us quiet, {flooded[name]['p99_us']:.0f} us under the flood, "
                      f"{flooded[name]['p99_us'] / quiet[name]['p99_us']:.2f} times", flush=True)
        flood.finish()
        time.sleep(1)
        phase("afterwards")
        for s in steady.values():
            s.finish()


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CONNECTIONS + 1000:
        with contextlib.suppress(ValueError, OSError):
            hard = CONNECTIONS + 1000
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # root may
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < CONNECTIONS + 1000:
        raise SystemExit(f"{CONNECTIONS} connections need a limit of {CONNECTIONS + 1000} open files; it is {hard} (ulimit -Hn)")
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    folder = os.path.join(WORK, "certificates")
    certificates.make(folder)
    c = checks.Checks()
    broker = (Kafka if os.environ.get("COMPAT_SUBJECT") == "kafka" else Klamm)(WORK, folder).start()
    with wire.Connection(broker.port) as connection:
        connection.create_topics([TOPIC], 1)
        while connection.leaders([TOPIC]) != {TOPIC: 1}:
            time.sleep(0.02)
    Run(c, broker, folder).run()
    broker.stop()
    c.finish()


if __name__ == "__main__":
    main()
