"""The program in flood/client: built on first use, and one run of it."""

import os
import subprocess

from . import paths

PROJECT = os.path.join(paths.COMPAT, "flood", "client")
TARGET = os.path.join(paths.COMPAT, "flood", "work", "target")


def program():
    subprocess.run(["cargo", "build", "--release", "--locked", "-q"], cwd=PROJECT, check=True, stdin=subprocess.DEVNULL,
                   env=dict(os.environ, CARGO_TARGET_DIR=TARGET))
    return os.path.join(TARGET, "release", "flood-client")


def figures(line):
    """{name: number} of a line of `name=value`."""
    return {k: float(v) for k, v in (word.split("=", 1) for word in line.split() if "=" in word)}


class Client:
    """A command that goes on until its standard input ends. `figures` ends a phase."""

    def __init__(self, *words):
        self.process = subprocess.Popen([program(), *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        if not self.process.stdout.readline():
            raise SystemExit(f"flood-client {words[0]} did not begin")

    def figures(self):
        """Those of the phase that ends now; None when the client has given up, with its reason on the standard error."""
        try:
            self.process.stdin.write("\n")
        except OSError:
            return None
        line = self.process.stdout.readline()
        return figures(line) if line else None

    def finish(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        return self.process.wait(60)


def once(*words, timeout=120):
    """(figures, what it said on the standard error) of a command that ends by itself."""
    r = subprocess.run([program(), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    return figures(r.stdout), r.stderr.strip()
