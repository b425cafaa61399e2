"""The application, the feeder and the readers as child processes."""

import atexit
import os
import subprocess
import threading
import time

from compat.common import jars, paths

HERE = os.path.join(paths.COMPAT, "streams")
_live = []


@atexit.register
def _kill_all():
    for process in list(_live):
        process.kill()
        process.wait()


def _argv(main, args, log=None):
    classes = jars.compiled("streams", jars.sources(os.path.join(HERE, "src")), folder=HERE)
    argv = jars.java(main, args, classes=[classes], folder=HERE, logging=os.path.join(HERE, "log4j2.yaml"))
    if log:
        argv.insert(1, f"-Dstreams.log={log}")
    return argv


def wait(condition, timeout):
    """True as soon as the condition holds, False when the time is up."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class App:
    """One life of the application. `events` are the lines it printed, split."""

    def __init__(self, work, broker, window, number, guarantee):
        self.state = os.path.join(work, "state")
        settings = {
            "application.id": "wordcount", "bootstrap.servers": broker.bootstrap, "state.dir": self.state,
            "processing.guarantee": guarantee, "num.stream.threads": "2", "commit.interval.ms": "100",
            "statestore.cache.max.bytes": "0", "auto.offset.reset": "earliest",
            # A killed application is missed after its session, and its transactions end after their timeout: both short.
            "session.timeout.ms": "6000", "heartbeat.interval.ms": "1000", "producer.transaction.timeout.ms": "10000",
            # Streams' own is 100 ms, as long as the time between two commits here: what is not committed would mostly be in the
            # memory of the client that is killed, and no open transaction with records in it would ever be at the broker.
            "producer.linger.ms": "0",
            # So that changelogs have more than one segment within the minutes of this run (only closed ones are compacted):
            # five seconds of event time each.
            "topic.segment.ms": "5000", "topic.min.cleanable.dirty.ratio": "0.01",
        }
        log = os.path.join(work, f"app-{number}.log")
        argv = _argv("StreamsApp", [str(window)] + [f"{k}={v}" for k, v in settings.items()], log)
        self.events, self.lock = [], threading.Lock()
        with open(os.path.join(work, f"app-{number}.err"), "wb") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, start_new_session=True)
        _live.append(self.process)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            # A process that is killed leaves half a line.
            if line.endswith(b"\n"):
                with self.lock:
                    self.events.append((time.monotonic(), line.decode(errors="replace").rstrip("\n").split("\t")))

    def all(self, kind, after=0.0):
        with self.lock:
            return [e for at, e in self.events if e[0] == kind and at > after]

    def running(self):
        states = self.all("state")
        return bool(states) and states[-1][1] == "RUNNING"

    def restored(self):
        """{partition of a changelog: records its store was restored from}, the last time."""
        return {e[1]: int(e[2]) for e in self.all("restored")}

    def store(self, timeout=20):
        """What the store of counts holds, or None while it cannot be read."""
        asked = time.monotonic()
        self.process.stdin.write(b"store\n")
        self.process.stdin.flush()
        wait(lambda: self.all("store", asked) or self.all("no-store", asked) or self.process.poll() is not None, timeout)
        answer = self.all("store", asked)
        if not answer:
            return None
        text = answer[-1][1] if len(answer[-1]) > 1 else ""
        return {word: int(count) for word, count in (entry.split("=") for entry in text.split(",") if entry)}

    def kill9(self):
        self.process.kill()
        self._gone()

    def close(self):
        """A clean stop; True when every thread ended in time."""
        self.process.stdin.close()
        try:
            self.process.wait(90)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._gone()
        return self.all("closed")[-1:] == [["closed", "true"]]

    def _gone(self):
        self.process.wait()
        self.reader.join(10)
        if self.process in _live:
            _live.remove(self.process)


class Feeder(threading.Thread):
    """Feeds records at a rate, up to where `upto` allows."""

    def __init__(self, work, broker, records, rate):
        super().__init__(daemon=True)
        self.records, self.rate, self.upto, self.fed = records, rate, 0, 0
        argv = _argv("Feeder", [broker.bootstrap], os.path.join(work, "feeder.log"))
        with open(os.path.join(work, "feeder.err"), "ab") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, start_new_session=True)
        _live.append(self.process)
        self.start()

    def run(self):
        step = max(1, self.rate // 20)
        try:
            while self.fed < len(self.records):
                some = self.records[self.fed:min(self.fed + step, self.upto)]
                for record in some:
                    self.process.stdin.write("\t".join(map(str, record)).encode() + b"\n")
                self.process.stdin.flush()
                self.fed += len(some)
                time.sleep(0.05)
        except OSError:
            # The feeder is gone: `end` tells how many records were acknowledged.
            pass

    def end(self):
        """How many records were acknowledged; None if one was not."""
        self.upto = len(self.records)
        self.join()
        out, _ = self.process.communicate()
        _live.remove(self.process)
        return int(out) if self.process.returncode == 0 and out else None


def dump(broker, values, topics, timeout=180):
    """What a read_committed Java consumer sees: [(topic, partition, offset, timestamp, key, value)]"""
    r = subprocess.run(_argv("TopicDump", [broker.bootstrap, values, *topics]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       timeout=timeout, check=True)
    rows = (line.split("\t") for line in r.stdout.decode().splitlines())
    return [(t, int(p), int(o), int(at), key, value) for t, p, o, at, key, value in rows]


def kcat(broker, topic, isolation="read_committed", timeout=180):
    """The same through librdkafka, without timestamps: [(partition, offset, key, value)]"""
    r = subprocess.run(["kcat", "-b", broker.bootstrap, "-C", "-q", "-e", "-t", topic, "-o", "beginning", "-X", f"isolation.level={isolation}",
                        "-f", "%p\t%o\t%k\t%s\n"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=timeout, check=True)
    rows = (line.split("\t") for line in r.stdout.decode().splitlines())
    return [(int(p), int(o), key, value) for p, o, key, value in rows]
