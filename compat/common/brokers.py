"""Brokers as child processes: Apache Kafka (one node, KRaft combined mode) and Klamm, with matching settings.

Every broker listens on loopback only, keeps its data in a folder that the run owns, and is signalled by its own pid.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import time

from . import jars, paths, wire

_live = []


@atexit.register
def _stop_all():
    for broker in list(_live):
        broker.kill9()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def api_versions(port, timeout=2.0):
    """The (key -> (min, max)) map of an ApiVersions answer; raises OSError when there is none."""
    with wire.Connection(port, timeout) as connection:
        return connection.api_versions()


class Broker:
    """A broker that can be started, stopped, killed and started again on the same data."""

    name = "broker"
    start_timeout = 60

    def __init__(self, work, settings=None):
        self.work = os.path.join(work, self.name)
        self.data = os.path.join(self.work, "data")
        self.settings = dict(settings or {})
        self.port, self.controller_port = free_port(), free_port()
        self.process = None
        self.log_path = os.path.join(self.work, "broker.log")
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.data)

    def kraft_properties(self):
        """A server.properties for one node that is broker and controller; both brokers get the same one."""
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": self.data,
            **self.settings,
        }

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        raise NotImplementedError

    def write_properties(self, settings):
        path = os.path.join(self.work, "server.properties")
        with open(path, "w") as f:
            for key, value in settings.items():
                f.write(f"{key}={value}\n")
        return path

    def start(self):
        self.spawn()
        self.wait_ready()
        return self

    def spawn(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.work, start_new_session=True)
        _live.append(self)

    def wait_ready(self):
        deadline = time.monotonic() + self.start_timeout
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} exited with {self.process.returncode} at start:\n{self.log_tail()}")
            try:
                return api_versions(self.port)
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{self.name} gave no ApiVersions answer within {self.start_timeout} s:\n"
                                     f"{self.log_tail()}")
                time.sleep(0.02)

    def log_tail(self, size=3000):
        with open(self.log_path, "rb") as f:
            return f.read()[-size:].decode(errors="replace")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout=60):
        """SIGTERM, then waits: a clean stop. Returns the exit code."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill9()
                raise SystemExit(f"{self.name} did not stop within {timeout} s of SIGTERM:\n{self.log_tail()}")
        return self._gone()

    def kill9(self):
        if self.alive():
            self.process.kill()
            self.process.wait()
        return self._gone()

    def _gone(self):
        if self in _live:
            _live.remove(self)
        return self.process.returncode if self.process else None


class Kafka(Broker):
    """Apache Kafka: broker and controller in one JVM, formatted by its own StorageTool."""

    name = "kafka"
    heap = "768m"
    jvm = ()
    # A JVM that shares its machine with much else.
    start_timeout = 180

    def __init__(self, work, settings=None, name=None):
        if name:
            self.name = name
        super().__init__(work, settings)
        self.properties = self.write_properties(self.kraft_properties())
        self._format()

    def _format(self):
        argv = jars.java("kafka.tools.StorageTool",
                         ["format", "--cluster-id", "5L6g3nShT-eMCtK--X86sw", "-c", self.properties])
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode != 0:
            raise SystemExit("kafka-storage format failed:\n" + r.stdout.decode(errors="replace"))

    def command(self):
        return ["java", f"-Xmx{self.heap}", f"-Xms{self.heap}", "-server", "-XX:+UseG1GC",
                "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
                "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true", *self.jvm,
                f"-Dlog4j2.configurationFile={os.path.join(paths.JAVA, 'log4j2-broker.yaml')}",
                "-cp", jars.classpath(), "kafka.Kafka", self.properties]


class Klamm(Broker):
    """The binary under test, with the same server.properties (and a free port for its metrics)."""

    name = "klamm"
    start_timeout = 30

    def __init__(self, work, settings=None, binary=None, name=None):
        if name:
            self.name = name
        super().__init__(work, settings)
        self.binary = binary or paths.klamm_bin()
        self.properties = self.write_properties({**self.kraft_properties(), "admin.listener": "127.0.0.1:0"})

    def command(self):
        return [self.binary, "--config", self.properties]


def subject(work, settings=None):
    """The broker under test. COMPAT_SUBJECT=kafka puts a second Apache Kafka in its place: a run must then find no
    difference at all, which shows that the run itself can be trusted."""
    if os.environ.get("COMPAT_SUBJECT") == "kafka":
        return Kafka(work, settings, name="kafka-again")
    return Klamm(work, settings)
