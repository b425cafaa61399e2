"""Runs the session of session.py against Apache Kafka and against Klamm, and compares what the tools print.

Lines that differ must be on the list `differences.allow`, each with its reason. What each broker printed stays under
work/session/out, one file a step, for a look by hand.
"""

import argparse
import hashlib
import os
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import session  # noqa: E402
from compat.common import brokers, calls, checks, differences, jars, paths, tools  # noqa: E402

WORK = os.path.join(paths.JAVA_WORK, "session")
ALLOW = os.path.join(paths.JAVA, "differences.allow")
DESCRIBE_QUORUM = 55

ASKS = {"--describe", "--list"}


def settled_step(step, reference, subject, tool_box, rules, patience=5.0):
    """What both print. A question that Kafka answers differently is asked it again (`calls.let_settle` says why); Klamm has one try."""
    ours = calls.perform(step, subject, tool_box, files(subject))
    deadline = time.monotonic() + patience
    while True:
        theirs = calls.perform(step, reference, tool_box, files(reference))
        if not ASKS.intersection(step.args) or time.monotonic() > deadline or not differences.compare(step.name, theirs, ours, rules)[0]:
            return [theirs, ours]
        time.sleep(0.2)


def files(broker):
    return folder("files", broker)


def folder(kind, broker):
    path = os.path.join(WORK, kind, broker.name)
    os.makedirs(path, exist_ok=True)
    return path


def files_of(step, broker):
    folder = os.path.join(broker.data, step.partition)
    lines = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(step.suffixes):
            with open(os.path.join(folder, name), "rb") as f:
                content = f.read()
            # The files of the active segment are allocated in full while it is open; zeros behind the end say nothing.
            if name.endswith(("index",)):
                content = content.rstrip(b"\0")
            lines.append(f"{name} {len(content)} bytes {hash_of(content)}")
    return lines or [f"no folder {step.partition}"]


def settled_files(step, reference, subject, patience=5.0):
    """The files of both. A broker may write the index of the segment it appends to a moment after the records."""
    deadline = time.monotonic() + patience
    while True:
        both = [files_of(step, b) for b in (reference, subject)]
        if both[0] == both[1] or time.monotonic() > deadline:
            return both
        time.sleep(0.1)


def hash_of(content):
    return hashlib.sha256(content).hexdigest()[:16]


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--only", help="only the steps whose name matches this regular expression (they may need others)")
    a = ap.parse_args()
    rules = differences.load_rules(ALLOW)
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    jars.fetch()
    tool_box = tools.Tools(WORK)
    reference, subject = brokers.Kafka(WORK, session.SETTINGS), brokers.subject(WORK, session.SETTINGS)
    reference.spawn()
    subject.start()
    reference.wait_ready()
    quorum = DESCRIBE_QUORUM in brokers.api_versions(subject.port)
    run, allowed, began = checks.Checks(), 0, time.monotonic()
    for number, step in enumerate(session.steps(quorum)):
        if a.only and not re.search(a.only, step.name) and not isinstance(step, session.Restart):
            continue
        if isinstance(step, session.Restart):
            for broker in (reference, subject):
                broker.stop()
            reference.spawn()
            subject.start()
            reference.wait_ready()
            continue
        t = time.monotonic()
        if isinstance(step, session.SameFiles):
            both = settled_files(step, reference, subject)
        else:
            both = settled_step(step, reference, subject, tool_box, rules)
        for broker, lines in zip((reference, subject), both):
            calls.save(folder("out", broker), step.name, lines, number)
        allowed += differences.check_same(run, step.name, *both, rules, time.monotonic() - t)
    tool_box.close()
    subject.stop()
    reference.stop()
    for rule in rules:
        if not rule.used and not a.only and subject.name == "klamm":
            print(f"note: no line needed the rule for step {rule.where!r}: {rule.side}: {rule.pattern.pattern}")
    print(f"{time.monotonic() - began:.0f} s, {allowed} lines differ as differences.allow says")
    run.finish()


if __name__ == "__main__":
    main()
