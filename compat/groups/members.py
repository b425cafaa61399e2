"""Members of groups as child processes: Java consumers (several in one JVM) and librdkafka's (one a process).

Both print the same lines; what they did is in `events`, and what they own now is worked out from them.
"""

import atexit
import os
import subprocess
import threading
import time

from compat.common import jars, librdkafka, paths

HERE = os.path.join(paths.COMPAT, "groups")
_live = []


@atexit.register
def _kill_all():
    for crew in list(_live):
        crew.kill()


class Event:
    def __init__(self, line):
        at, self.member, self.kind, self.about = line.split("\t", 3)
        self.at = int(at)

    def partition(self):
        return self.about.split("\t")[0]

    def offset(self):
        return int(self.about.split("\t")[1])

    def value(self):
        return self.about.split("\t")[2]


class Process:
    """A process whose members print what they do."""

    def __init__(self, argv, stderr):
        self.events, self.lock = [], threading.Lock()
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(stderr, "ab"), start_new_session=True)
        _live.append(self)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            line = line.decode(errors="replace").rstrip("\n")
            # A process that is killed leaves half a line.
            if line.count("\t") >= 3:
                with self.lock:
                    self.events.append(Event(line))

    def all(self, kind=None):
        with self.lock:
            return [e for e in self.events if kind is None or e.kind == kind]

    def owned(self):
        """{member: set of topic:partition}"""
        out = {}
        for e in self.all():
            has = out.setdefault(e.member, set())
            named = set(e.about.split(",")) - {""}
            if e.kind == "assigned":
                has |= named
            elif e.kind in ("revoked", "lost"):
                has -= named
            elif e.kind == "closed":
                has.clear()
        return out

    def kill(self):
        """kill -9: no member says goodbye."""
        self.process.kill()
        self._gone()

    def close(self, timeout=60):
        """Every member leaves its group."""
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._gone()

    def _gone(self):
        self.process.wait()
        self.reader.join(10)
        if self in _live:
            _live.remove(self)


class Java(Process):
    def __init__(self, work):
        classes = jars.compiled("groups", jars.sources(os.path.join(HERE, "src")))
        super().__init__(jars.java("GroupMembers", [], classes=[classes]), os.path.join(work, "members.err"))

    def start(self, name, broker, group, topics, **settings):
        """`_` in the names of settings stands for a period."""
        pairs = {"bootstrap.servers": broker.bootstrap, "group.id": group, "topics": topics, "commit": "sync",
                 **{k.replace("_", "."): v for k, v in settings.items()}}
        self._say("\t".join(["start", name] + [f"{k}={v}" for k, v in pairs.items() if v is not None]))
        return self

    def stop(self, *names):
        for name in names:
            self._say("stop\t" + name)
        wait(lambda: all(any(e.member == n and e.kind == "closed" for e in self.all()) for n in names), 60)

    def _say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()


class Rdkafka(Process):
    def __init__(self, work, name, broker, group, topic, **settings):
        pairs = {"bootstrap.servers": broker.bootstrap, "group.id": group, **{k.replace("_", "."): v for k, v in settings.items()}}
        super().__init__([librdkafka.program(os.path.join(HERE, "src", "group_member.c")), name, topic] + [f"{k}={v}" for k, v in pairs.items()],
                         os.path.join(work, "members.err"))


def wait(condition, timeout):
    """True as soon as the condition holds, False when the time is up."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def settled(processes, partitions, members=None, timeout=60, quiet=1.5):
    """Waits until `partitions` partitions are owned, each once, by `members` members, and stay so for a while."""
    since = [None]

    def now():
        owned = [has for p in processes for has in p.owned().values()]
        fine = sum(map(len, owned)) == partitions == len(set().union(*owned)) and (members is None or sum(1 for has in owned if has) == members)
        since[0] = (since[0] or time.monotonic()) if fine else None
        return fine and time.monotonic() - since[0] >= quiet

    return wait(now, timeout)


def delivered_again(processes):
    """Deliveries of records before an offset whose commit had been acknowledged."""
    events = sorted((e for p in processes for e in p.all() if e.kind in ("record", "committed")), key=lambda e: (e.at, e.kind))
    committed, out = {}, []
    for e in events:
        at, offset = committed.get(e.partition(), (0, 0))
        if e.kind == "committed" and e.offset() > offset:
            committed[e.partition()] = (e.at, e.offset())
        elif e.kind == "record" and e.offset() < offset and e.at > at:
            out.append(f"{e.member} got {e.partition()} {e.offset()} after {offset} was committed")
    return out
