"""Programs that are talked to, a line each way. All of them are killed when the run ends."""

import atexit
import json
import select
import subprocess

ANSWER_WITHIN = 120
_live = []


@atexit.register
def _kill_all():
    for client in list(_live):
        client.kill()


class Client:
    def __init__(self, argv, stderr):
        with open(stderr, "ab") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, start_new_session=True)
        _live.append(self)

    def ask(self, *words):
        """What came of a command, line by line."""
        try:
            self.process.stdin.write("\t".join(map(str, words)).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            return ["the client is gone"]
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_WITHIN)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.kill()
            return [f"the client gave no answer within {ANSWER_WITHIN} s"]
        return line.decode(errors="replace").rstrip("\n").split("\t")

    def ask_json(self, question):
        """The same with an object each way; `error` in the answer says that there was none."""
        line = self.ask(json.dumps(question))[0]
        return json.loads(line) if line.startswith("{") else {"error": line}

    def kill(self):
        """kill -9: no client says goodbye."""
        self.process.kill()
        self.process.wait()
        if self in _live:
            _live.remove(self)
