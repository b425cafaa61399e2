"""librdkafka's own test suite: where its source comes from, how it is built, which of its tests talk to a broker, and one run of one
of them. Nothing of it is committed; everything lies in `work/`.

The source is in the npm package named below, which carries librdkafka with its tests. Full mode is the suite's default: nothing here
says -Q, and the variable CI, which makes tests shorter, is kept from it.
"""

import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time

from common import jars, paths

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.path.join(HERE, "work")
PACKAGE = "@confluentinc/kafka-javascript"
VERSION = "1.10.1"
ARCHIVE_SHA256 = "ada7d703bb1d3237e2292bfabf438d663b6160c9f1ac2a2406b5dc4257c81b66"
LIBRARY = os.path.join(WORK, "package", "deps", "librdkafka")
TESTS = os.path.join(LIBRARY, "tests")
RUNNER = os.path.join(TESTS, "test-runner")
TOOLS = os.path.join(WORK, "kafka")

# No test of the suite takes longer on an idle machine; its own limits, which are shorter, come first but for a hang.
LIMIT = 900


def _must(argv, cwd, **more):
    r = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if r.returncode:
        raise SystemExit(f"{' '.join(argv)} failed:\n{r.stdout.decode(errors='replace')[-3000:]}")
    return r.stdout.decode(errors="replace")


def _unpack():
    shutil.rmtree(os.path.join(WORK, "package"), ignore_errors=True)
    archive = os.path.join(WORK, "source.tgz")
    if not _is_archive(archive):
        for old in glob.glob(os.path.join(WORK, "*.tgz")):
            os.remove(old)
        _must(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], WORK)
        os.replace(glob.glob(os.path.join(WORK, "*.tgz"))[0], archive)
    if not _is_archive(archive):
        raise SystemExit(f"{PACKAGE} {VERSION} is not the archive it was: its SHA-256 differs")
    with tarfile.open(archive) as tar:
        tar.extractall(WORK)
    _must(["chmod", "-R", "u+rwX", os.path.join(WORK, "package")], WORK)


def _is_archive(path):
    if not os.path.exists(path):
        return False
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest() == ARCHIVE_SHA256


# The one change to the suite. Some of its tests ask for three replicas without need, and both brokers here are clusters of one: where
# its helper for topics creates them, three become the default (`-1`). Without it, no transactional test would run at all.
ONE_BROKER = ("rd_kafka_NewTopic_new(topicname, partition_cnt, replication_factor,",
              "rd_kafka_NewTopic_new(topicname, partition_cnt, replication_factor == 3 ? -1 : replication_factor,")


def _for_one_broker():
    path = os.path.join(TESTS, "test.c")
    with open(path) as f:
        text = f.read()
    if text.count(ONE_BROKER[0]) != 1:
        raise SystemExit("the suite creates topics in another way now: look at ONE_BROKER")
    with open(path, "w") as f:
        f.write(text.replace(*ONE_BROKER))


def build():
    """Fetches and builds what is not there yet. librdkafka gets all that its tests look for: TLS, zlib, zstd, curl, RapidJSON."""
    os.makedirs(WORK, exist_ok=True)
    stamp = os.path.join(WORK, "built")
    if os.path.exists(RUNNER) and os.path.exists(stamp) and open(stamp).read() == VERSION:
        return
    _unpack()
    _for_one_broker()
    for name in ("configure", "lds-gen.py"):
        os.chmod(os.path.join(LIBRARY, name), 0o755)
    _must(["./configure", "--disable-gssapi"], LIBRARY)
    config = open(os.path.join(LIBRARY, "config.h")).read()
    for have in ("WITH_SSL", "WITH_ZLIB", "WITH_ZSTD", "WITH_CURL", "WITH_RAPIDJSON"):
        if not re.search(rf"#define {have} 1", config):
            raise SystemExit(f"librdkafka was configured without {have}: install zlib1g-dev, libssl-dev, libzstd-dev, "
                             "libcurl4-openssl-dev, rapidjson-dev and pkg-config")
    _must(["make", "-j2", "libs"], LIBRARY)
    _must(["make", "-j2", "-C", "tests", "build"], LIBRARY)
    with open(stamp, "w") as f:
        f.write(VERSION)


def tools():
    """A folder as of an Apache Kafka release, for the tests that call Kafka's own scripts and Java clients."""
    libs, scripts = jars.fetch(), os.path.join(TOOLS, "bin")
    os.makedirs(scripts, exist_ok=True)
    link = os.path.join(TOOLS, "libs")
    if not os.path.islink(link):
        os.symlink(libs, link)
    classes = {"kafka-run-class.sh": "", "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
               "kafka-acls.sh": "org.apache.kafka.tools.AclCommand"}
    for name, main in classes.items():
        path = os.path.join(scripts, name)
        java = jars.java("MAIN", [])
        java = " ".join(java[:java.index("-cp")])
        with open(path, "w") as f:
            f.write(f'#!/bin/sh\nexec {java} -cp "${{CLASSPATH:+$CLASSPATH:}}{libs}/*" {main} "$@"\n')
        os.chmod(path, 0o755)
    _must(["make", "-s", "java"], TESTS, env={**os.environ, "KAFKA_PATH": TOOLS})
    return TOOLS


# Tests that look, all or in part, only at a broker that wants a login. Where one goes through share groups on its way, its other parts
# are asked for alone as well.
WITH_LOGIN = {
    "0081_admin": (),
    "0135_sasl_credentials": ("do_test:",),
    "0142_reauthentication": ("do_test_consumer", "do_test_producer", "do_test_txn_producer", "do_test_reauth_failure"),
}


class Test:
    """A row of the suite's table. `scenario` is the suite's word for how the broker is set; `login`: over the listener that wants one;
    `part`: only its parts with this in their names."""

    def __init__(self, test, flags, scenario, login=False, part=""):
        self.test, self.number, self.flags = test, test.split("_")[0], flags
        self.scenario, self.login, self.part = scenario, login, part
        self.name = test + ("/sasl" if login else "") + (f"/{part.rstrip(':')}" if part else "")

    def leaves_out(self):
        """Why this run leaves the test out, or None."""
        if "TEST_F_LOCAL" in self.flags:
            return "local"
        if self.name.endswith("_mock"):
            return "mock cluster"
        if "TEST_F_MANUAL" in self.flags:
            return "manual"
        if "TEST_F_KNOWN_ISSUE" in self.flags:
            return "known issue of librdkafka"
        return None


def table():
    """Every test of the suite, in its order."""
    with open(os.path.join(TESTS, "test.c")) as f:
        entries = re.split(r"^    _TEST\(", f.read(), flags=re.MULTILINE)[1:]
    tests = []
    for entry in entries:
        name, flags = re.match(r"(\w+),\s*([^,)]+)", entry).groups()
        scenario = re.search(r'\.scenario = "(\w+)"', entry)
        tests.append(Test(name, re.split(r"[\s|]+", flags), scenario.group(1) if scenario else "default"))
    return tests + [Test(t.test, t.flags, t.scenario, True, part)
                    for t in tests if t.test in WITH_LOGIN for part in ("", *WITH_LOGIN[t.test])]


class Outcome:
    """state: pass, fail or skip."""

    def __init__(self, state, seconds, reason=""):
        self.state, self.seconds, self.reason = state, seconds, reason

    def row(self):
        return {"state": self.state, "seconds": round(self.seconds, 1), "reason": self.reason}


def run(tests, broker, protocol, folder, limit=LIMIT):
    """Runs the tests of one number, one after the other, in a process of their own. Returns the Outcome of each name."""
    os.makedirs(folder, exist_ok=True)
    number, login, scenario = tests[0].number, tests[0].login, tests[0].scenario
    base = os.path.join(folder, tests[0].name.replace("/", "-") if login else number)
    conf, report, log = (f"{base}.{kind}" for kind in ("conf", "json", "log"))
    bootstrap = broker.login_bootstrap if login else broker.bootstrap
    # What the suite's own cluster set-up (LibrdkafkaTestApp.py) writes.
    settings = {"test.timeout.multiplier": "2", "bootstrap.servers": bootstrap, "security.protocol": "PLAINTEXT"}
    if login:
        settings |= {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "PLAIN", "sasl.username": broker.user,
                     "sasl.password": broker.password}
    with open(conf, "w") as f:
        f.writelines(f"{key}={value}\n" for key, value in settings.items())
    if os.path.exists(report):
        os.remove(report)
    env = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith(("TEST", "SUBTESTS"))}
    env.update(TESTS=number, TEST_KAFKA_VERSION="4.3.0", RDKAFKA_TEST_CONF=conf, TEST_REPORT=report, KAFKA_PATH=TOOLS, TEST_SCENARIO=scenario,
               BROKERS=broker.bootstrap, TEST_CONSUMER_GROUP_PROTOCOL=protocol,
               **({"SUBTESTS": tests[0].part} if tests[0].part else {}),
               LD_LIBRARY_PATH=os.path.join(LIBRARY, "src") + ":" + os.path.join(LIBRARY, "src-cpp"))
    began = time.monotonic()
    with open(log, "wb") as out:
        process = subprocess.Popen([RUNNER, "-L", "-p1"], cwd=TESTS, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   start_new_session=True)
        try:
            process.wait(limit)
            ended = f"ended with {process.returncode}"
        except subprocess.TimeoutExpired:
            ended = f"killed after {limit} s"
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
    seconds = time.monotonic() - began
    try:
        with open(report) as f:
            told = json.loads(re.sub(r"[\x00-\x1f]", " ", f.read()))["tests"]
    except (OSError, ValueError, KeyError):
        told = {}
    with open(log, errors="replace") as f:
        text = re.sub(r"\x1b\[[0-9;]*m", "", f.read())
    return {t.name: _outcome(t, told.get(t.test), ended, seconds, text) for t in tests}


def _outcome(test, told, ended, seconds, text):
    if told is None:
        return Outcome("fail", seconds, f"{ended}: {_failure(test, text)}")
    if told["state"] == "PASSED" and test.part and not re.search(rf"\[ {re.escape(test.part)}[^\n]*: PASS \(", text):
        return Outcome("fail", told["duration"], "no part of it has this name")
    if told["state"] == "PASSED":
        return Outcome("pass", told["duration"])
    if told["state"] == "SKIPPED":
        why = re.search(rf"^\[{re.escape(test.test[:27])}\s*/[^\n]*SKIPPING TEST: ([^\n[]*)", text, re.MULTILINE)
        return Outcome("skip", told["duration"], why.group(1).strip() if why else "skips itself")
    return Outcome("fail", told["duration"], _failure(test, text) or told["state"])


def _failure(test, text):
    """The first sentence in which the suite says what is wrong."""
    for pattern in (rf"### Test \"{test.test}\b[^\n]* failed at [^\n]*\n([^\n]*)", r"(Assertion[^\n]*failed[^\n]*)"):
        found = re.search(pattern, text)
        if found:
            return found.group(1).strip()[:300]
    return ""
