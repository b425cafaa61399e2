"""Fetches Apache Kafka's jars through Maven, compiles the few Java programs of ours against them.

The jars go into the folder `work` beside the pom: compat/java's, but for a run that has a pom of its own. A stamp holds the
hash of the pom, so that a second run costs nothing.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess

from . import paths

def _digest(files):
    h = hashlib.sha256()
    for f in sorted(files):
        with open(f, "rb") as fh:
            h.update(fh.read())
    return h.hexdigest()


def _stamped(stamp, digest):
    try:
        with open(stamp) as f:
            return f.read() == digest
    except OSError:
        return False


@contextlib.contextmanager
def _alone(folder):
    """Runs may go side by side: one at a time fetches and compiles."""
    os.makedirs(os.path.join(folder, "work"), exist_ok=True)
    with open(os.path.join(folder, "work", ".lock"), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def fetch(folder=paths.JAVA):
    """The folder with the jars of the pom in `folder`; fetches them when the pom changed or the jars are missing."""
    with _alone(folder):
        return _fetch(folder)


def _fetch(folder):
    pom, libs = os.path.join(folder, "pom.xml"), os.path.join(folder, "work", "libs")
    stamp, digest = os.path.join(libs, ".stamp"), _digest([pom])
    if not _stamped(stamp, digest):
        shutil.rmtree(libs, ignore_errors=True)
        os.makedirs(libs)
        argv = ["mvn", "-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime",
                f"-DoutputDirectory={libs}"]
        for attempt in (1, 2, 3):
            r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if r.returncode == 0:
                break
            if attempt == 3:
                raise SystemExit("mvn could not fetch Kafka's jars:\n" + r.stdout.decode(errors="replace")[-3000:])
        with open(stamp, "w") as f:
            f.write(digest)
    return libs


def compiled(name, sources, folder=paths.JAVA):
    """A class folder with `sources` compiled against the jars."""
    with _alone(folder):
        return _compiled(name, sources, folder)


def _compiled(name, sources, folder):
    libs = _fetch(folder)
    out = os.path.join(folder, "work", "classes", name)
    stamp, digest = os.path.join(out, ".stamp"), _digest(sources)
    if not _stamped(stamp, digest):
        shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out)
        subprocess.run(["javac", "--release", "17", "-nowarn", "-cp", os.path.join(libs, "*"), "-d", out] + list(sources),
                       check=True, stdin=subprocess.DEVNULL)
        with open(stamp, "w") as f:
            f.write(digest)
    return out


def classpath(*extra, folder=paths.JAVA):
    return ":".join(list(extra) + [os.path.join(fetch(folder), "*")])


def java(main, args, heap="256m", classes=(), logging=None, folder=paths.JAVA):
    """The command line that runs a main class with the jars on its path."""
    logging = logging or os.path.join(paths.JAVA, "log4j2-tools.yaml")
    return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={logging}", "-cp", classpath(*classes, folder=folder), main] + list(args)


def sources(folder):
    return sorted(glob.glob(os.path.join(folder, "*.java")))
