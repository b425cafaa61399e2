"""One client under test: a process that takes one command a line as JSON on its standard input and answers each with one line.

An answer is `{"ok": {...}}`, `{"error": text, "code": Kafka's code or null}`, or `{"na": why this client has no such thing}`.
"""

import json
import os
import queue
import subprocess
import threading


class Refused(Exception):
    """The client answered with an error; `code` is Kafka's, if the client tells it."""

    def __init__(self, text, code=None):
        super().__init__(text)
        self.code = code

    def __str__(self):
        return f"{super().__str__()} (code {self.code})"


class NotApplicable(Exception):
    """The client has no such feature."""


class Broken(Exception):
    """The client's process ended, or hangs."""


class Client:
    def __init__(self, argv, bootstrap, log):
        self.argv, self.bootstrap, self.log = argv, bootstrap, log
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.argv, self.bootstrap], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            start_new_session=True)
        self.answers = queue.Queue()
        threading.Thread(target=self._read, args=(self.process.stdout, self.answers), daemon=True).start()

    def _read(self, out, answers):
        for line in out:
            # What a library prints by itself is no answer.
            if line.startswith((b'{"ok"', b'{"error"', b'{"na"')):
                answers.put(line)
            else:
                with open(self.log, "ab") as log:
                    log.write(line)
        answers.put(None)

    def call(self, do, timeout=45, **arguments):
        if self.process is None or self.process.poll() is not None:
            self.start()
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self.process.stdin.flush()
            line = self.answers.get(timeout=timeout)
        except (BrokenPipeError, queue.Empty):
            line = None
        if line is None:
            dead = self.process.poll()
            self.kill()
            raise Broken(f"no answer to {do} within {timeout} s" if dead is None else f"the client ended with {dead} in {do}")
        answer = json.loads(line)
        if "na" in answer:
            raise NotApplicable(answer["na"])
        if "error" in answer:
            raise Refused(answer["error"], answer.get("code"))
        return answer["ok"]

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self):
        """Its standard input ends, and so should it."""
        if self.process is None:
            return
        try:
            self.process.stdin.close()
            self.process.wait(3)
        except (OSError, subprocess.TimeoutExpired):
            pass
        self.kill()


def tail(path, size=1500):
    if not os.path.exists(path):
        return ""
    with open(path, "rb") as f:
        return f.read()[-size:].decode(errors="replace")
