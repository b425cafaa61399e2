"""A broker under test, as the configuration file describes it."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time

from compat.common import wire

from . import process


class Unavailable(Exception):
    """The broker cannot be had on this machine (the reason is the text)."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Broker:
    """`name`, `command` and what else scripts/bench/README.md lists. Placeholders in braces are filled in everywhere."""

    def __init__(self, entry, places):
        self.name = entry["name"]
        self.entry, self.places = entry, dict(places)
        self.work = os.path.join(places["work"], "brokers", self.name)
        self.data = os.path.join(self.work, "data")
        self.cannot = set(entry.get("cannot", []))
        self.process = None
        self.apis = {}
        self.extra = {}
        self._built = False

    # -- making it ready

    def build(self):
        """Builds or finds the program; raises Unavailable with the reason."""
        if self._built:
            return
        source = self.entry.get("cargo_project")
        if source:
            source = self._fill(source)
            if not os.path.isfile(os.path.join(source, "Cargo.toml")):
                raise Unavailable(f"no Cargo project at {self.entry['cargo_project']}")
            copy = os.path.join(self.places["work"], "build", self.name)
            shutil.copytree(source, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target"))
            subprocess.run(["chmod", "-R", "u+w", copy], check=True)
            subprocess.run(["cargo", "build", "--release", "-q"], cwd=copy, check=True, stdin=subprocess.DEVNULL)
            self.places["built"] = os.path.join(copy, "target", "release")
        program = self._command()[0]
        if not (os.access(program, os.X_OK) or shutil.which(program)):
            raise Unavailable(f"{program} is not there")
        self._built = True

    def _fill(self, text):
        places = dict(self.places, data=self.data, port=getattr(self, "port", 0), controller_port=getattr(self, "controller_port", 0),
                      properties=os.path.join(self.work, "server.properties"))
        for name, value in places.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    def _command(self, key="command"):
        command = self.entry[key]
        return [self._fill(x) for x in (shlex.split(command) if isinstance(command, str) else command)]

    def wipe(self, extra=None, prepare="prepare"):
        """An empty data folder, new ports, and settings in `properties` with `extra` on top; `prepare` names the command for it."""
        self.extra = dict(extra or {})
        self.port, self.controller_port = free_port(), free_port()
        self.make_ready(prepare)

    def make_ready(self, prepare="prepare"):
        """An empty data folder and the settings, for the ports that are chosen."""
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.data)
        with open(os.path.join(self.work, "server.properties"), "w") as f:
            for key, value in {**self.entry.get("properties", {}), **self.extra}.items():
                f.write(f"{key}={self._fill(str(value))}\n")
        if prepare in self.entry:
            r = subprocess.run(self._command(prepare), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if r.returncode:
                raise SystemExit(f"{self.name}: prepare failed:\n{r.stdout.decode(errors='replace')[-2000:]}")

    # -- running it

    def start(self, timeout=300):
        """Returns milliseconds from exec to the first ApiVersions answer."""
        return self.answers(self.spawn(), timeout)

    def spawn(self):
        """Starts the process; returns when that was."""
        env = dict(os.environ, **{k: self._fill(v) for k, v in self.entry.get("env", {}).items()})
        argv = self._command()
        log = open(os.path.join(self.work, "broker.log"), "ab")
        began = time.monotonic()
        self.process = subprocess.Popen(argv, env=env, cwd=self.work, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False)
        log.close()
        return began

    def answers(self, began, timeout=300):
        while True:
            try:
                with wire.Connection(self.port, timeout=timeout) as c:
                    self.apis = c.api_versions()
                return (time.monotonic() - began) * 1e3
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"{self.name} exited with {self.process.returncode} at start:\n{self.log_tail()}")
                if time.monotonic() - began > timeout:
                    raise SystemExit(f"{self.name}: no ApiVersions answer in {timeout} s:\n{self.log_tail()}")
            time.sleep(0.0003)

    @property
    def pid(self):
        return self.process.pid

    @property
    def pids(self):
        return [self.pid]

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def stop(self, timeout=180):
        """SIGTERM; returns seconds until the process had ended."""
        if self.process is None:
            return 0.0
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        return time.monotonic() - began

    def remove(self):
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def log_tail(self):
        with open(os.path.join(self.work, "broker.log"), "rb") as f:
            return f.read()[-2000:].decode(errors="replace")

    # -- talking to it

    def create(self, topics, partitions=1, timeout=300, configs=()):
        """Creates topics and waits until every partition has a leader; returns seconds."""
        began = time.monotonic()
        with wire.Connection(self.port, timeout=timeout) as c:
            for name, error in c.create_topics(topics, partitions, configs).items():
                if error not in (0, 36):
                    raise SystemExit(f"{self.name}: CreateTopics {name}: error {error}")
        self.wait_leaders(dict.fromkeys(topics, partitions), timeout)
        return time.monotonic() - began

    def wait_leaders(self, want, timeout=300):
        """Until Metadata shows a leader for each of {topic: partitions}."""
        began = time.monotonic()
        with wire.Connection(self.port, timeout=timeout) as c:
            while True:
                led = c.leaders(list(want))
                if all(led.get(t, 0) >= n for t, n in want.items()):
                    return
                if time.monotonic() - began > timeout:
                    raise SystemExit(f"{self.name}: no leader for some of {sum(want.values())} partitions after {timeout} s")
                time.sleep(0.01)

    def memory(self, key="VmRSS"):
        return process.memory_mb(self.pid, key)

    def cpu(self):
        return process.cpu_seconds(self.pid)


def load(path, places, only=None):
    """The brokers of a configuration file that can be had here; the first is the one that ratios are for."""
    with open(path) as f:
        entries = json.load(f)
    brokers = []
    for entry in entries:
        if only and entry["name"] not in only:
            continue
        broker = Broker(entry, places)
        try:
            broker.build()
        except Unavailable as e:
            print(f"# {broker.name} is left out: {e}", flush=True)
            continue
        brokers.append(broker)
    if not brokers:
        raise SystemExit("no broker to measure")
    return brokers
