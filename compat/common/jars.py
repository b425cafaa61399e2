"""Fetches Apache Kafka's jars through Maven, compiles the few Java programs of ours against them.

The jars go into the folder `work` beside the pom. A stamp holds the hash of the pom, so that a second run costs nothing.
"""

import glob
import hashlib
import os
import shutil
import subprocess

from . import paths

LIBS = os.path.join(paths.JAVA_WORK, "libs")


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


def fetch():
    """The folder with the jars; fetches them when the pom changed or the folder is missing."""
    pom = os.path.join(paths.JAVA, "pom.xml")
    stamp, digest = os.path.join(LIBS, ".stamp"), _digest([pom])
    if not _stamped(stamp, digest):
        shutil.rmtree(LIBS, ignore_errors=True)
        os.makedirs(LIBS)
        argv = ["mvn", "-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime",
                f"-DoutputDirectory={LIBS}"]
        for attempt in (1, 2, 3):
            r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if r.returncode == 0:
                break
            if attempt == 3:
                raise SystemExit("mvn could not fetch Kafka's jars:\n" + r.stdout.decode(errors="replace")[-3000:])
        with open(stamp, "w") as f:
            f.write(digest)
    return LIBS


def compiled(name, sources):
    """A class folder with `sources` compiled against the jars."""
    libs = fetch()
    out = os.path.join(paths.JAVA_WORK, "classes", name)
    stamp, digest = os.path.join(out, ".stamp"), _digest(sources)
    if not _stamped(stamp, digest):
        shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out)
        subprocess.run(["javac", "--release", "17", "-nowarn", "-cp", os.path.join(libs, "*"), "-d", out] + list(sources),
                       check=True, stdin=subprocess.DEVNULL)
        with open(stamp, "w") as f:
            f.write(digest)
    return out


def classpath(*extra):
    return ":".join(list(extra) + [os.path.join(fetch(), "*")])


def java(main, args, heap="256m", classes=(), logging=None):
    """The command line that runs a main class with the jars on its path."""
    logging = logging or os.path.join(paths.JAVA, "log4j2-tools.yaml")
    return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={logging}", "-cp", classpath(*classes), main] + list(args)


def sources(folder):
    return sorted(glob.glob(os.path.join(folder, "*.java")))
