"""librdkafka's own test suite in full mode against Apache Kafka and against Klamm: every test that talks to a broker, one at a time,
once each, with the classic group protocol and with the new one.

A run fails if a test fails that the file `allowed` lists, and, when it asked both brokers, if one passes against Apache Kafka and
fails against Klamm without a heading in FINDINGS.md. What was measured goes to `work/results`; `--record` writes RESULTS.md from it
and adds to `allowed` what passed against Klamm, and takes nothing away.
"""

import argparse
import functools
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from common import brokers, checks  # noqa: E402

import suite  # noqa: E402

ALLOWED, RESULTS, FINDINGS = (os.path.join(HERE, name) for name in ("allowed", "RESULTS.md", "FINDINGS.md"))
PROTOCOLS = ("classic", "consumer")
CI_SECONDS = 6

# What each of the suite's scenarios adds.
SCENARIOS = {"default": {}, "noautocreate": {"auto.create.topics.enable": "false"}}

# What the suite's own set-up of a cluster says (trivup's KafkaBrokerApp, cluster_testing.py, scenarios/default.json,
# interactive_broker_version.py), for a cluster of one broker, where there is no replica to select. Both brokers get the same.
SETTINGS = {
    "auto.create.topics.enable": "true",
    "num.partitions": "4",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.share.min.record.lock.duration.ms": "1000",
    "broker.rack": "RACK1",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:admin",
    "allow.everyone.if.no.acl.found": "true",
    "connections.max.reauth.ms": "10000",
    "log.retention.bytes": "1000000000",
}


PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


class WithLogin:
    """A second listener that wants a login, as the suite's own set-up has it."""

    user, password = "testuser", "testpass"

    def kraft_properties(self):
        own = super().kraft_properties()
        login = f"SASL_PLAINTEXT://{self.login_bootstrap}"
        return own | {
            "listeners": f"{own['listeners']},{login}",
            "advertised.listeners": f"{own['advertised.listeners']},{login}",
            "listener.security.protocol.map": f"{own['listener.security.protocol.map']},SASL_PLAINTEXT:SASL_PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{PLAIN} required user_{self.user}="{self.password}";',
        }

    @functools.cached_property
    def login_bootstrap(self):
        return f"127.0.0.1:{brokers.free_port()}"


class Kafka(WithLogin, brokers.Kafka):
    """Its broker logs in to its controller, as in the suite's set-up: else what a test forbids everybody it forbids the broker. Klamm's
    asks its own controller without a connection."""

    def kraft_properties(self):
        own = super().kraft_properties()
        protocols = own["listener.security.protocol.map"].replace("CONTROLLER:PLAINTEXT", "CONTROLLER:SASL_PLAINTEXT")
        login = f'{PLAIN} required username="admin" password="admin" user_admin="admin";'
        return own | {
            "listener.security.protocol.map": protocols,
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": login,
        }


class Klamm(WithLogin, brokers.Klamm):
    pass


def started(which, protocol, scenario):
    work = os.path.join(suite.WORK, "brokers", f"{protocol}-{scenario}")
    return (Kafka if which == "kafka" else Klamm)(work, SETTINGS | SCENARIOS[scenario]).start()


def results_path(which, protocol):
    return os.path.join(suite.WORK, "results", f"{which}-{protocol}.json")


def results(which, protocol):
    try:
        with open(results_path(which, protocol)) as f:
            return json.load(f)
    except OSError:
        return {}


def keep(which, protocol, rows):
    path = results_path(which, protocol)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as f:
        json.dump({**results(which, protocol), **rows}, f, indent=1, sort_keys=True)
    os.replace(path + ".new", path)


def read_allowed():
    """(protocol, test) -> seconds it took."""
    if not os.path.exists(ALLOWED):
        return {}
    with open(ALLOWED) as f:
        rows = [line.split() for line in f if line.strip() and not line.startswith("#")]
    return {(protocol, name): float(seconds) for protocol, name, seconds in rows}


def ask(which, protocol, scenario, runs, check):
    """Runs the lists of tests in `runs`, each in one process, against one broker that starts with nothing."""
    folder = os.path.join(suite.WORK, "logs", f"{which}-{protocol}")
    broker = started(which, protocol, scenario)
    try:
        for tests in runs:
            outcomes = suite.run(tests, broker, protocol, folder)
            keep(which, protocol, {name: o.row() for name, o in outcomes.items()})
            for name, o in outcomes.items():
                check(which, protocol, name, o)
            if not broker.alive():
                raise SystemExit(f"{which} died in {tests[0].number}:\n{broker.log_tail()}")
    finally:
        broker.stop()


def record(tests, findings):
    allowed = read_allowed()
    for protocol in PROTOCOLS:
        for name, row in results("klamm", protocol).items():
            if row["state"] == "pass" and f"`{name}`" not in findings:
                allowed[protocol, name] = row["seconds"]
    with open(ALLOWED, "w") as f:
        f.write("# Protocol, test, seconds: what passes against Klamm. It only grows; a run in which one of them fails, fails.\n")
        order = {t.name: n for n, t in enumerate(tests)}
        for protocol, name in sorted(allowed, key=lambda k: (PROTOCOLS.index(k[0]), order.get(k[1], -1))):
            f.write(f"{protocol} {name} {allowed[protocol, name]}\n")
    with open(RESULTS, "w") as f:
        f.write(report(tests))


def _cell(row):
    if row is None:
        return "not run"
    return {"pass": f"pass {row['seconds']:.0f}", "fail": f"**fail** {row['seconds']:.0f}", "skip": "skip"}[row["state"]]


def report(tests):
    columns = [(which, protocol) for protocol in PROTOCOLS for which in ("kafka", "klamm")]
    found = {c: results(*c) for c in columns}
    asked = [t for t in tests if not t.leaves_out()]
    lines = ["# librdkafka's test suite, full mode", "",
             f"librdkafka 2.15.1 from `{suite.PACKAGE}` {suite.VERSION}; Apache Kafka 4.3.1 and Klamm, one node each, with the settings "
             "in `run.py`; every test alone, once, no retries. Written by `run.sh --record`. A cell says what came out and in how many "
             "seconds, on a machine with two cores that did much else at the time. `/sasl`: over a listener with a login; what follows that: "
             "only this part of the test. What the run changes in the suite is at the end of FINDINGS.md.", "",
             "| | " + " | ".join(f"{_title(w)}, {p}" for w, p in columns) + " |", "|---|" + "---|" * len(columns)]
    for state in ("pass", "fail", "skip"):
        counts = [str(sum(found[c].get(t.name, {}).get("state") == state for t in asked)) for c in columns]
        lines.append(f"| {state} | " + " | ".join(counts) + " |")
    lines += ["", "| test | " + " | ".join(f"{_title(w)}, {p}" for w, p in columns) + " | why |", "|---|" + "---|" * (len(columns) + 1)]
    for t in asked:
        rows = {c: found[c].get(t.name) for c in columns}
        why = _reasons(rows)
        lines.append(f"| {t.name} | " + " | ".join(_cell(rows[c]) for c in columns) + f" | {why} |")
    lines += ["", "## Not run", "", "Tests that the suite's table or their name marks as needing no broker, or that it leaves out itself.", ""]
    reasons = {}
    for t in tests:
        if t.leaves_out():
            reasons.setdefault(t.leaves_out(), []).append(t.name)
    lines += [f"* {why}: {', '.join(names)}" for why, names in reasons.items()]
    return "\n".join(lines) + "\n"


def _title(which):
    return {"kafka": "Kafka", "klamm": "Klamm"}[which]


def _reasons(rows):
    by_text = {}
    for (which, protocol), row in rows.items():
        if row and row["reason"]:
            text = re.sub(r"0x[0-9a-f]+|rdkafkatest_\w+|127\.0\.0\.1:\d+|\d{4,}", "…", row["reason"])
            by_text.setdefault(text.replace("|", "\\|")[:160], []).append(f"{_title(which)} {protocol}")
    return "; ".join(f"{', '.join(who)}: {text}" for text, who in by_text.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", choices=("kafka", "klamm"), help="only this one")
    parser.add_argument("--protocol", choices=PROTOCOLS, help="only this group protocol")
    parser.add_argument("--tests", help="comma-separated numbers: only these")
    parser.add_argument("--missing", action="store_true", help="only tests of which work/results has no outcome")
    parser.add_argument("--ci", action="store_true", help=f"only Klamm, and only what `allowed` says passes within {CI_SECONDS} s")
    parser.add_argument("--record", action="store_true", help="write RESULTS.md and allowed from work/results")
    parser.add_argument("--no-run", action="store_true", help="run nothing (with --record)")
    args = parser.parse_args()

    suite.build()
    suite.tools()
    tests, allowed, report_to = suite.table(), read_allowed(), checks.Checks()
    findings = open(FINDINGS).read() if os.path.exists(FINDINGS) else ""

    def check(which, protocol, name, o):
        listed = which == "klamm" and (protocol, name) in allowed
        known = o.state == "fail" and not listed and (which == "kafka" or f"`{name}`" in findings)
        note = {"pass": "", "skip": f" skipped: {o.reason}", "fail": f" fails: {o.reason}"}[o.state]
        line = f"{which} {protocol} {name} ({o.seconds:.1f} s){note}"
        report_to.check(line, o.state == "pass" or known or (o.state == "skip" and not listed), "it is in `allowed`" if listed else "")

    for protocol in PROTOCOLS if not args.no_run else ():
        for which in ("kafka", "klamm"):
            if (args.broker or which) != which or (args.protocol or protocol) != protocol or (args.ci and which == "kafka"):
                continue
            done = results(which, protocol)
            runs = {scenario: {} for scenario in SCENARIOS}
            for t in tests:
                wanted = not t.leaves_out() and (not args.tests or t.number in args.tests.split(","))
                if args.ci:
                    wanted = wanted and allowed.get((protocol, t.name), CI_SECONDS + 1) <= CI_SECONDS
                if args.missing:
                    wanted = wanted and t.name not in done
                if wanted:
                    runs[t.scenario].setdefault((t.number, t.login, t.part), []).append(t)
            for scenario, lists in runs.items():
                if lists:
                    ask(which, protocol, scenario, lists.values(), check)
    if args.record:
        record(tests, findings)
    report_to.finish()


if __name__ == "__main__":
    main()
