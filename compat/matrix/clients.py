"""The clients: where each comes from, how it is put in place, and the command line of its adapter."""

import hashlib
import os
import re
import shutil
import subprocess
import sys

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
        path, pattern = pinned
        with open(os.path.join(HERE, path)) as f:
            self.version = re.search(pattern, f.read())[1]

    def command(self):
        """The adapter's command line, after what it needs is in place; the broker's address comes last."""
        return self.argv(self.install())


def _python(folder):
    must(sys.executable, "-m", "venv", folder)
    must(os.path.join(folder, "bin", "pip"), "install", "-q", "-r", os.path.join(HERE, "python", "requirements.txt"))


def _javascript(folder):
    for name in os.listdir(os.path.join(HERE, "javascript")):
        shutil.copy(os.path.join(HERE, "javascript", name), folder)
    must("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=folder)


def _go(folder):
    must("go", "build", "-o", folder + "/", "./...", cwd=os.path.join(HERE, "go"))


def _files(folder, *endings):
    out = []
    for root, _, names in os.walk(os.path.join(HERE, folder)):
        out += [os.path.relpath(os.path.join(root, n), HERE) for n in names if n.endswith(endings)]
    return sorted(out)


PYTHON = Install("python", ["python/requirements.txt"], _python)
JAVASCRIPT = Install("javascript", _files("javascript", ".json", ".mjs"), _javascript)
GO = Install("go", _files("go", ".go", ".mod", ".sum"), _go)


def python(name):
    program = name.replace("-", "_") + "_adapter.py"
    return Client("Python", name, ("python/requirements.txt", rf"(?m)^{name}==(\S+)"), PYTHON,
                  lambda folder: [os.path.join(folder, "bin", "python"), os.path.join(HERE, "python", program)])


def javascript(package, program):
    return Client("JavaScript", package, ("javascript/package.json", rf'"{package}": "([^"]+)"'), JAVASCRIPT,
                  lambda folder: ["node", os.path.join(folder, program)])


def go(name, module):
    return Client("Go", name, ("go/go.mod", rf"{module} v(\S+)"), GO, lambda folder: [os.path.join(folder, name)])


CLIENTS = {c.name: c for c in (
    python("confluent-kafka"),
    python("kafka-python"),
    python("aiokafka"),
    javascript("kafkajs", "kafkajs.mjs"),
    go("franz-go", "github.com/twmb/franz-go"),
    go("sarama", "github.com/IBM/sarama"),
    go("kafka-go", "github.com/segmentio/kafka-go"),
    go("confluent-kafka-go", "github.com/confluentinc/confluent-kafka-go/v2"),
)}
