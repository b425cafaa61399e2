"""Builds each program beside this file with its own tool, and runs it against the image: each `ok` line is one container
that started, took a record and gave it back."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "docker"))
from common.checks import Checks  # noqa: E402
from common.paths import klamm_bin  # noqa: E402

from engine import Engine, sh  # noqa: E402

# Modules go by the tag where they ask what an image can do (KRaft came with 7.4 of confluentinc's).
IMAGE = "klamm-under-test:8.0.0"
WORK = HERE / "work"


def java():
    jar = HERE / "java"
    sh("mvn", "-q", "-B", "-f", jar / "pom.xml", "compile", f"-Dklamm.build={WORK / 'java'}",
       "dependency:build-classpath", f"-Dmdep.outputFile={WORK / 'classpath'}", timeout=600)
    path = f"{WORK / 'java' / 'classes'}:{(WORK / 'classpath').read_text().strip()}"
    return ["java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", path, "OneRecord"], 3


def rust():
    sh("cargo", "build", "-q", "--locked", "--manifest-path", HERE / "rust/Cargo.toml", "--target-dir", WORK / "rust", timeout=900)
    return [WORK / "rust/debug/testcontainers-compat"], 2


def go():
    shutil.copytree(HERE / "go", WORK / "go", dirs_exist_ok=True)
    sh("go", "build", "-mod=readonly", "-o", "main", ".", cwd=WORK / "go", timeout=600)
    return [WORK / "go/main"], 1


def node():
    shutil.copytree(HERE / "node", WORK / "node", dirs_exist_ok=True)
    sh("npm", "install", "--no-audit", "--no-fund", "--loglevel=error", cwd=WORK / "node", timeout=600)
    return ["node", WORK / "node/main.js"], 1


def python():
    venv = WORK / "python"
    sh(sys.executable, "-m", "venv", venv)
    sh(venv / "bin/pip", "install", "-q", "-r", HERE / "python/requirements.txt", timeout=600)
    return [venv / "bin/python", HERE / "python/main.py"], 1


MODULES = {"java": java, "rust": rust, "go": go, "node": node, "python": python}


def main():
    wanted = sys.argv[1:] or list(MODULES)
    checks = Checks()
    WORK.mkdir(exist_ok=True)
    engine = Engine(WORK / "engine")
    # The reaper is an image of a registry; here every program stops its own container.
    # And where this machine itself looks like a container, modules would ask another image where the host is.
    env = dict(os.environ, TESTCONTAINERS_RYUK_DISABLED="true", TESTCONTAINERS_HOST_OVERRIDE="localhost")
    try:
        engine.build(IMAGE, klamm_bin())
        for name in wanted:
            command, containers = MODULES[name]()
            try:
                done = subprocess.run([*map(str, command), IMAGE], capture_output=True, text=True, timeout=300, env=env)
            except subprocess.TimeoutExpired as late:
                checks.check(f"{name}: ends in time", False, late)
                continue
            lines = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
            for line in lines:
                print(f"     {name}: {line}")
            good = done.returncode == 0 and len(lines) == containers
            checks.check(f"{name}: {containers} containers carry a record", good, done.stdout[-1500:] + done.stderr[-3000:])
    finally:
        engine.close()
    checks.finish()


main()
