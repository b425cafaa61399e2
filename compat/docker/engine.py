"""A Docker engine, the images under test, and containers that are gone afterwards."""

import json
import shutil
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def sh(*command, check=True, timeout=120, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **more)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Engine:
    """Uses the engine that runs, or starts one of its own with its data in `work`."""

    def __init__(self, work):
        self.daemon = None
        self.containers, self.networks, self.volumes = [], [], []
        if sh("docker", "info", check=False).returncode == 0:
            return
        if not shutil.which("dockerd"):
            raise SystemExit("no Docker engine answers and dockerd is not installed: apt-get install docker.io")
        work.mkdir(parents=True, exist_ok=True)
        log = open(work / "dockerd.log", "w")
        self.daemon = subprocess.Popen(["dockerd", "--data-root", str(work / "data")], stdout=log, stderr=log)
        for _ in range(300):
            if sh("docker", "info", check=False).returncode == 0:
                return
            if self.daemon.poll() is not None:
                break
            time.sleep(0.1)
        print((work / "dockerd.log").read_text()[-2000:])
        # What is missing then (rights, kernel modules) cannot be installed.
        print("SKIPPED: dockerd does not start on this machine; its log is above\n0 passed, 0 failed")
        raise SystemExit(0)

    def build(self, tag, binary):
        """The image with `binary` in it; its size in bytes."""
        return int(sh(HERE / "image", tag, binary, timeout=300).stdout.strip())

    def run(self, image, *command, args=()):
        """Starts a container; its id."""
        container = sh("docker", "run", "-d", *args, image, *command).stdout.strip()
        self.containers.append(container)
        return container

    def network(self, name):
        sh("docker", "network", "create", name)
        self.networks.append(name)
        return name

    def volume(self, name):
        sh("docker", "volume", "create", name)
        self.volumes.append(name)
        return name

    def inspect(self, what):
        return json.loads(sh("docker", "inspect", what).stdout)[0]

    def logs(self, container):
        done = sh("docker", "logs", container)
        return done.stdout, done.stderr

    def address(self, container):
        return next(iter(self.inspect(container)["NetworkSettings"]["Networks"].values()))["IPAddress"]

    def remove(self, container):
        sh("docker", "rm", "-f", "-v", container, check=False)
        if container in self.containers:
            self.containers.remove(container)

    def close(self):
        for container in list(self.containers):
            self.remove(container)
        for network in self.networks:
            sh("docker", "network", "rm", network, check=False)
        for volume in self.volumes:
            sh("docker", "volume", "rm", volume, check=False)
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait(timeout=60)


def until(what, good, seconds=20):
    """Waits until `good()` answers something true, and answers it."""
    deadline = time.monotonic() + seconds
    while True:
        found = good()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)
