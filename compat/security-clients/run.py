"""Five clients with every mechanism, alone and over TLS, and with certificates, against Apache Kafka and against Klamm.

Both brokers have the same settings but for their ports, and each client does the same to both: it logs in, sends records, and
reads them. What a client is told must be the same, word for word but for addresses and times.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(HERE)))

from compat.common import certificates, checks, secured  # noqa: E402

import keystores  # noqa: E402
import logins  # noqa: E402
import programs  # noqa: E402
import tokens  # noqa: E402

# A second try tells a race of the client's threads from a difference of the brokers.
TRIES = 3
PRINTING = threading.Lock()
MASKS = [(r"\S*(localhost|127\.0\.0\.1|\[::1\]):\d+\S*", "ADDRESS"), (r"after \d+ms", "after N ms"), (r" \(\d+ identical error.*?\)", ""),
         # Java's TLS has "bad certificate" for most that is wrong with one; others say what it is (RFC 8446, 6.2).
         (r"(\S*error:)?[0-9A-F]{8}:SSL routines:[a-z_0-9]*:[^:]* alert [^:]*:(.*\.c:\d+:)?\s*SSL alert number \d+", "TLS ALERT"),
         (r"remote error: tls: [a-z ]+|(?<=Received fatal alert: )\w+", "TLS ALERT")]


def masked(answer):
    if "error" not in answer:
        return answer.get("records")
    text = answer["error"]
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return text


class Client:
    """A client's program, once for each broker."""

    def __init__(self, name, command, work, pair, folder):
        self.name, self.pair, self.folder = name, pair, folder
        self.programs = [programs.start(f"{name}-{b.name}", command, work) for b in pair]

    def topic(self, number):
        return f"{self.name}-{number}"

    def perform(self, number, login):
        """What the brokers' clients tell of a login."""
        topic = self.topic(number)
        answers = []
        for which, program in enumerate(self.programs):
            port = self.pair[which].ports[login.listener]
            answers.append(program.ask_json(login.ask(which, port, self.folder, topic)))
        return answers

    def close(self):
        for program in self.programs:
            program.kill()


def run_client(check, client, wanted):
    """All logins of a client, one after the other."""
    for number, login in wanted:
        for _ in range(TRIES):
            began = time.monotonic()
            answers = client.perform(number, login)
            if masked(answers[0]) == masked(answers[1]) and login.good == ("records" in answers[0]):
                break
        with PRINTING:
            judge(check, f"{client.name}: {login.name}", login, client.topic(number), answers, time.monotonic() - began)


def judge(check, title, login, topic, answers, took):
    sent = [f"{topic}-{n}" for n in range(logins.RECORDS)]
    kafka, subject = map(masked, answers)
    if login.good and kafka != sent:
        # A client that cannot do it with Apache Kafka either.
        print(f"note {title}: not with Apache Kafka either: {kafka}", flush=True)
        check.check(f"{title}: the same as Apache Kafka", isinstance(subject, str), repr(subject))
    elif login.good:
        check.check(f"{title}: {len(sent)} records come back ({took:.1f} s)", subject == sent, repr(subject))
        if login.also:
            check.equal(f"{title}: and goes on", ["", ""], [login.also(answer) for answer in answers])
    else:
        refused = isinstance(kafka, str) and isinstance(subject, str)
        check.check(f"{title}: refused ({took:.1f} s)", refused, f"kafka {kafka!r}\n     klamm {subject!r}")
        check.equal(f"{title}: told the same", kafka, subject)


def attempt(java, broker, do, listener=None, **words):
    """What an administrator does, over the plain listener or as alice."""
    login = {"address": broker.bootstrap, "protocol": "PLAINTEXT"}
    if listener:
        login = {"address": f"localhost:{broker.ports[listener]}", "protocol": logins.LISTENERS[listener], **logins.password("SCRAM-SHA-256")}
    return java.ask_json({**login, **words, "do": do})


def admin(java, broker, do, listener=None, **words):
    answer = attempt(java, broker, do, listener, **words)
    if "error" in answer:
        raise SystemExit(f"{broker.name} {do}: {answer['error']}")
    return answer


def token(java, broker):
    return admin(java, broker, "token", "SASL")


def expired_token(java, broker):
    out = token(java, broker)
    admin(java, broker, "expire", "SASL", hmac=out["hmac"])
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="logins with this regular expression in 'client: login'")
    parser.add_argument("--clients", default=",".join(programs.ALL), help="which, with commas between")
    options = parser.parse_args()
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        names = dict.fromkeys(["java", *options.clients.split(",")])
        commands = dict(zip(names, pool.map(lambda name: programs.ALL[name](), names)))
    print(f"# the programs are built: {time.monotonic() - began:.0f} s", flush=True)
    check = checks.Checks()
    work = tempfile.mkdtemp(prefix="compat-security-clients-")
    clients = []
    try:
        folder = os.path.join(work, "certificates")
        certificates.make(folder)
        signer = tokens.Signer(os.path.join(work, "tokens"))
        settings = logins.settings(folder, signer)
        pair = [broker(work, logins.LISTENERS, settings) for broker in (secured.Kafka, secured.subject)]
        for broker in pair:
            broker.spawn()
        for broker in pair:
            broker.wait_ready()
        clients = [Client(name, command, work, pair, folder) for name, command in commands.items()]
        both = list(zip(clients[0].programs, pair))
        for java, broker in both:
            admin(java, broker, "user", user="alice", secret=logins.SECRET)
            admin(java, broker, "permissions", user="alice")
        tokened = logins.token_logins([token(*one) for one in both], [expired_token(*one) for one in both])
        every = list(enumerate([*logins.logins(folder, signer), *tokened, *logins.sessions()]))
        wanted = {c: [(n, w) for n, w in every if w.tried_by(c.name) and re.search(options.only, f"{c.name}: {w.name}")]
                  for c in clients if c.name in options.clients.split(",")}
        for java, broker in both:
            admin(java, broker, "topics", topics=[c.topic(n) for c, asked in wanted.items() for n, _ in asked])
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            list(pool.map(lambda c: run_client(check, c, wanted[c]), wanted))
        if re.search(options.only, "keystore"):
            keystores.run(check, pair, folder, lambda which, name, value: attempt(*both[which], "set", name=name, value=value).get("error"))
        log = open(pair[1].log_path).read()
        check.check("no secret is in the log", logins.SECRET not in log and certificates.PASSWORD not in log)
        for broker in pair:
            broker.stop()
        print(f"# in all: {time.monotonic() - began:.0f} s", flush=True)
    finally:
        for client in clients:
            client.close()
        if os.environ.get("KEEP") is None:
            shutil.rmtree(work, ignore_errors=True)
        else:
            print("kept", work)
    check.finish()


if __name__ == "__main__":
    main()
