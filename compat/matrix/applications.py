"""What stands between a client and a user: Kafka Connect, MirrorMaker 2 and Spring. They have scenarios of their own, and no adapter."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request

from compat.common import brokers, jars, paths
from compat.matrix.session import equal, need

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "connect")
SPRING = os.path.join(os.path.dirname(HERE), "spring")
PATIENCE = 180  # a JVM on a busy machine

SCENARIOS = {}


def scenario(name):
    def add(function):
        SCENARIOS[name] = function
        return function
    return add


class Process:
    """A JVM with a main class and its properties files; killed when the block ends."""

    def __init__(self, s, name, main, *files, arguments=()):
        self.work = os.path.join(s.broker.work, name)
        os.makedirs(self.work, exist_ok=True)
        written = []
        for number, settings in enumerate(files):
            written.append(os.path.join(self.work, f"{number}.properties"))
            with open(written[-1], "w") as f:
                f.writelines(f"{k}={v}\n" for k, v in settings.items())
        logging = os.path.join(paths.JAVA, "log4j2-broker.yaml")
        self.argv = jars.java(main, [*written, *arguments], heap="384m", logging=logging, folder=HERE)

    def __enter__(self):
        self.log = open(os.path.join(self.work, "log"), "ab")
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def eventually(what, question, process):
    deadline = time.monotonic() + PATIENCE
    while True:
        got = question()
        if got:
            return got
        need(process.process.poll() is None, f"{what}: the process ended with {process.process.poll()}, see {process.work}/log")
        need(time.monotonic() < deadline, f"{what}: not within {PATIENCE} s, see {process.work}/log")
        time.sleep(0.2)


def lines(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return f.read().splitlines()


def append(path, start, count):
    with open(path, "a") as f:
        f.writelines(f"line {i}\n" for i in range(start, start + count))


def worker(s):
    return {"bootstrap.servers": s.broker.bootstrap, "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter", "offset.flush.interval.ms": "500",
            "plugin.discovery": "only_scan", "listeners": f"http://127.0.0.1:{brokers.free_port()}", "consumer.auto.offset.reset": "earliest"}


def source(topic, path):
    return {"name": f"{topic}-source", "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": "1",
            "file": path, "topic": topic}


def sink(topic, path):
    return {"name": f"{topic}-sink", "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max": "1",
            "file": path, "topics": topic}


@scenario("standalone, file connectors")
def standalone(s):
    s.topic("standalone")
    work = os.path.join(s.broker.work, "standalone")
    os.makedirs(work)
    first, last = os.path.join(work, "in.txt"), os.path.join(work, "out.txt")
    append(first, 0, 100)
    settings = {**worker(s), "offset.storage.file.filename": os.path.join(work, "offsets")}

    def run():
        return Process(s, "standalone", "org.apache.kafka.connect.cli.ConnectStandalone", settings, source("standalone", first),
                       sink("standalone", last))
    with run() as process:
        eventually("100 lines came through", lambda: len(lines(last)) >= 100, process)
        append(first, 100, 100)
        eventually("100 more", lambda: len(lines(last)) >= 200, process)
    append(first, 200, 100)
    with run() as process:
        eventually("100 more after a restart", lambda: len(lines(last)) >= 300, process)
        time.sleep(1)
    equal("lines", [f"line {i}" for i in range(300)], lines(last))


def rest(url, method="GET", body=None):
    """The decoded answer; None when there is none yet."""
    data = None if body is None else json.dumps(body).encode()
    ask = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(ask, timeout=10) as answer:
            text = answer.read()
            return json.loads(text) if text else True
    except (urllib.error.URLError, OSError):
        return None


@scenario("distributed, file connectors")
def distributed(s):
    s.topic("distributed", 2)
    work = os.path.join(s.broker.work, "distributed")
    os.makedirs(work)
    first, last = os.path.join(work, "in.txt"), os.path.join(work, "out.txt")
    append(first, 0, 100)
    settings = {**worker(s), "group.id": "connect"}
    for topic in ("config", "offset", "status"):
        settings[f"{topic}.storage.topic"] = f"connect-{topic}"
        settings[f"{topic}.storage.replication.factor"] = "1"
    url = settings["listeners"]

    def run():
        return Process(s, "distributed", "org.apache.kafka.connect.cli.ConnectDistributed", settings)

    def running(name):
        status = rest(f"{url}/connectors/{name}/status") or {}
        return status.get("connector", {}).get("state") == "RUNNING" and [t["state"] for t in status.get("tasks", [])] == ["RUNNING"]
    with run() as process:
        eventually("the worker serves", lambda: rest(f"{url}/connectors") == [], process)
        for config in (source("distributed", first), sink("distributed", last)):
            name = config.pop("name")
            eventually(f"{name} is there", lambda: rest(f"{url}/connectors/{name}/config", "PUT", config), process)
            eventually(f"{name} runs", lambda: running(name), process)
        eventually("100 lines came through", lambda: len(lines(last)) >= 100, process)
        time.sleep(1.5)
    append(first, 100, 100)
    # All that the new worker knows is in the three topics.
    with run() as process:
        eventually("both run again", lambda: running("distributed-source") and running("distributed-sink"), process)
        eventually("100 more after a restart", lambda: len(lines(last)) >= 200, process)
        time.sleep(1)
    equal("lines", sorted(f"line {i}" for i in range(200)), sorted(lines(last)))
    kept = {t: s.raw("DescribeConfigs", 1, Resources=[{"ResourceType": 2, "ResourceName": f"connect-{t}", "ConfigurationKeys": ["cleanup.policy"]}])
            ["Results"][0]["Configs"][0]["Value"] for t in ("config", "offset", "status")}
    equal("cleanup policies", {"config": "compact", "offset": "compact", "status": "compact"}, kept)


@scenario("MirrorMaker 2, both ways")
def mirror(s):
    other = brokers.Kafka(os.path.join(s.broker.work, "other"), s.broker.settings, name="other")
    other.start()
    try:
        mirrored(s, type(s)(None, other, s.schemas))
    finally:
        other.kill9()


def mirrored(s, t):
    """`s` is at the broker under test, called here; `t` at an Apache Kafka, called there."""
    for session, topic in ((s, "orders"), (t, "bills")):
        session.topic(topic, 2)
        session.put(topic, [f"{topic} {i}" for i in range(50)])
        # A group that read 20 of them.
        session.commit_offset(f"{topic}-group", topic, 0, 20)
    settings = {"clusters": "here,there", "here.bootstrap.servers": s.broker.bootstrap, "there.bootstrap.servers": t.broker.bootstrap,
                "here->there.enabled": "true", "there->here.enabled": "true", "here->there.topics": "orders", "there->here.topics": "bills",
                "replication.factor": "1", "checkpoints.topic.replication.factor": "1", "heartbeats.topic.replication.factor": "1",
                "offset-syncs.topic.replication.factor": "1", "offset.storage.replication.factor": "1",
                "status.storage.replication.factor": "1", "config.storage.replication.factor": "1", "refresh.topics.interval.seconds": "2",
                "refresh.groups.interval.seconds": "2", "emit.checkpoints.interval.seconds": "1", "sync.group.offsets.enabled": "true",
                "sync.group.offsets.interval.seconds": "1", "offset.lag.max": "0", "dedicated.mode.enable.internal.rest": "false"}
    with Process(s, "mirror", "org.apache.kafka.connect.mirror.MirrorMaker", settings) as process:
        for session, topic, group in ((t, "here.orders", "orders-group"), (s, "there.bills", "bills-group")):
            want = [f"{topic.partition('.')[2]} {i}" for i in range(50)]
            eventually(f"{topic} is whole", lambda: session.texts(topic) == want, process)
            # It remembers fewer of the pairs of offsets the older they are, and rounds down to one that it has.
            eventually(f"the offset of {group} is translated", lambda: 0 < session.offset_of(group, topic, 0) <= 20, process)
        # And what comes later.
        for session, other, topic, mirror_topic in ((s, t, "orders", "here.orders"), (t, s, "bills", "there.bills")):
            session.put(topic, [f"{topic} {i}" for i in range(50, 80)])
            eventually(f"{mirror_topic} goes on", lambda: len(other.texts(mirror_topic)) == 80, process)


def spring(part):
    def run(s):
        libs = jars.compiled("spring", [os.path.join(SPRING, "SpringApplication.java")], SPRING)
        argv = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp",
                jars.classpath(libs, folder=SPRING), "SpringApplication", part, s.broker.bootstrap]
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        need(r.returncode == 0, f"ended with {r.returncode}: {r.stdout.decode(errors='replace')[-600:]}")
    return run


for _name, _part in (("Spring, listener container", "listener"), ("Spring, transactions", "transaction"), ("Spring, dead letters", "dead letters")):
    scenario(_name)(spring(_part))


class Application:
    """Looks like a client to the driver; there is no process to talk to."""

    def __init__(self, name, version, folder, scenarios):
        self.ecosystem, self.name, self.scenarios = "Applications", name, scenarios
        self.version, self.folder = version, folder

    def command(self):
        jars.fetch(self.folder)


APPLICATIONS = {a.name: a for a in (
    Application("kafka-connect", "4.3.1", HERE, ["standalone, file connectors", "distributed, file connectors"]),
    Application("mirrormaker-2", "4.3.1", HERE, ["MirrorMaker 2, both ways"]),
    Application("spring-kafka", "3.3.10", SPRING, [n for n in SCENARIOS if n.startswith("Spring")]),
)}
