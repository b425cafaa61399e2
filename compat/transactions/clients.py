"""The processes that scenarios talk to, a line each way: Java's clients and its administration in one, librdkafka's producers in another."""

import atexit
import os
import select
import subprocess

from compat.common import jars, librdkafka, paths

HERE = os.path.join(paths.COMPAT, "transactions")
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

    def kill(self):
        """kill -9: no client says goodbye."""
        self.process.kill()
        self.process.wait()
        if self in _live:
            _live.remove(self)


def java(work, broker):
    classes = jars.compiled("transactions", jars.sources(os.path.join(HERE, "src")))
    return Client(jars.java("TransactionClients", [broker.bootstrap], classes=[classes]), os.path.join(work, "java.err"))


def rdkafka(work, _broker):
    return Client([librdkafka.program(os.path.join(HERE, "src", "transaction_client.c"))], os.path.join(work, "rdkafka.err"))
