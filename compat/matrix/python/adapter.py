"""The driver's protocol for the Python clients: one command a line on standard input, one answer a line on standard output."""

import json
import sys


class NotApplicable(Exception):
    """This client has no such thing."""


def answer(result):
    """What a command returned or raised, as an answer."""
    if isinstance(result, NotApplicable):
        return {"na": str(result)}
    if isinstance(result, BaseException):
        return {"error": f"{type(result).__name__}: {result}", "code": code(result)}
    return {"ok": {} if result is None else result}


def code(error):
    """Kafka's number in an exception of any of these clients, if there is one."""
    if error.args and hasattr(error.args[0], "code"):
        return error.args[0].code()
    return getattr(error, "errno", None)


def ask(line):
    """(command, arguments) of a line."""
    arguments = json.loads(line)
    return arguments.pop("do"), arguments


def tell(result):
    sys.stdout.write(json.dumps(answer(result)) + "\n")
    sys.stdout.flush()


def serve(client):
    for line in sys.stdin:
        do, arguments = ask(line)
        try:
            tell(getattr(client, do)(**arguments))
        except Exception as e:  # noqa: BLE001 - the driver judges it
            tell(e)


def encoded(text):
    return None if text is None else text.encode()


def decoded(data):
    return None if data is None else data.decode()
