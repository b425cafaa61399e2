"""Builds the program of each client with its own tool; what was built lies under work/."""

import filecmp
import os
import shutil
import subprocess
import sys

from compat.common import jars, talk

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.path.join(HERE, "work")


def _must(argv, cwd, **more):
    r = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env={**os.environ, **more})
    if r.returncode:
        raise SystemExit(f"{' '.join(argv)} in {cwd} failed:\n{r.stdout.decode(errors='replace')[-3000:]}")


def java():
    return jars.java("SecureClients", [], classes=[jars.compiled("security-clients", jars.sources(os.path.join(HERE, "src")))])


def rdkafka():
    out = os.path.join(WORK, "rust")
    _must(["cargo", "build", "-q", "--locked", "--target-dir", out], os.path.join(HERE, "rust"))
    return [os.path.join(out, "debug", "security-clients")]


def _installed(folder, wanted, install):
    """Has the folder hold what the file `wanted` lists, of which it keeps a copy."""
    kept = os.path.join(folder, "installed")
    if not os.path.exists(kept) or not filecmp.cmp(kept, wanted, shallow=False):
        shutil.rmtree(folder, ignore_errors=True)
        install()
        shutil.copy(wanted, kept)


def confluent_kafka():
    venv, wanted = os.path.join(WORK, "python"), os.path.join(HERE, "python", "requirements.txt")

    def install():
        _must([sys.executable, "-m", "venv", venv], HERE)
        _must([os.path.join(venv, "bin", "pip"), "install", "-q", "--disable-pip-version-check", "-r", wanted], HERE)

    _installed(venv, wanted, install)
    return [os.path.join(venv, "bin", "python"), os.path.join(HERE, "python", "main.py")]


def kafkajs():
    source, out = os.path.join(HERE, "node"), os.path.join(WORK, "node")

    def install():
        shutil.copytree(source, out)
        _must(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], out)

    _installed(out, os.path.join(source, "package-lock.json"), install)
    # The module is looked for beside the program.
    return ["node", shutil.copy(os.path.join(source, "main.js"), out)]


def franz_go():
    out = os.path.join(WORK, "franz-go")
    _must(["go", "build", "-o", out, "."], os.path.join(HERE, "go"), GOFLAGS="-mod=readonly")
    return [out]


ALL = {"java": java, "rdkafka": rdkafka, "confluent-kafka": confluent_kafka, "kafkajs": kafkajs, "franz-go": franz_go}


def start(name, command, work):
    return talk.Client(command, os.path.join(work, f"{name}.err"))
