"""Runs the session of session.py against Apache Kafka and against Klamm, and compares what the tools print.

Lines that differ must be on the list `differences.allow`, each with its reason. What each broker printed stays under
work/session/out, one file a step, for a look by hand.
"""

import argparse
import difflib
import fnmatch
import glob
import hashlib
import os
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import session  # noqa: E402
from compat.common import brokers, jars, paths, tools  # noqa: E402

WORK = os.path.join(paths.JAVA_WORK, "session")
ALLOW = os.path.join(paths.JAVA, "differences.allow")
DESCRIBE_QUORUM = 55


class Rule:
    """One difference that is allowed: in which step, on whose side, what the line looks like, and why."""

    def __init__(self, where, side, pattern, reason):
        self.where, self.side, self.pattern, self.reason = where, side, re.compile(pattern), reason
        self.used = 0

    def matches(self, step, side, line):
        return side == self.side and fnmatch.fnmatchcase(step, self.where) and self.pattern.fullmatch(line)


def load_rules(path):
    """Paragraphs of `step:`, then `kafka:` and `klamm:` lines (regular expressions for whole lines), then `why:`."""
    rules = []
    where, pending = None, []
    with open(path) as f:
        for number, raw in enumerate(f, 1):
            line = raw.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            key, _, value = line.partition(": ")
            if key == "step":
                where, pending = value, []
            elif key in ("kafka", "klamm") and where:
                pending.append((key, value))
            elif key == "why" and where and pending and value.strip():
                rules += [Rule(where, side, pattern, value) for side, pattern in pending]
                where, pending = None, []
            else:
                raise SystemExit(f"{path}:{number}: expected step, kafka or klamm, why in this order: {line!r}")
    if where:
        raise SystemExit(f"{path}: the last entry has no reason")
    return rules


def general_masks(broker):
    for port in (broker.port, broker.controller_port):
        yield rf"(127\.0\.0\.1|localhost)(:|\s+){port}\b", "HOST:PORT"
    yield re.escape(broker.data), "DATA"
    yield re.escape(broker.work), "WORK"
    yield r"(TopicId: |Cluster ID: |topic id |topicId=|directoryId=)[A-Za-z0-9_-]{22}", r"\1ID"
    yield r"(CreateTime|LogAppendTime):\s?\d{13}", r"\1:T"
    # dump-log's timestamps of the years after 2024; those of fixed records (2023) are compared as they are.
    yield r"\b(CreateTime|LogAppendTime|timestamp): 1(7[1-9]|[89])\d{11}\b", r"\1: T"
    yield r"\b(adminclient|producer|consumer)-\d+\b", r"\1-N"
    yield r"should be within \[\d+, \d+\]", "should be within [T, T]"


def sorted_configs(match):
    """`Configs: a=1,b=2,3` of kafka-topics, in order: the tool prints them as its hash map has them."""
    return "Configs: " + ",".join(sorted(re.split(r",(?=[a-z.]+=)", match[1])))


def comparable(step, text, broker):
    for pattern, replacement in list(general_masks(broker)) + list(step.masks):
        text = re.sub(pattern, replacement, text)
    text = re.sub(r"Configs: (\S+)", sorted_configs, text)
    if step.shape:
        text = step.shape(text)
    # Stack traces name the JVM's own frames, which change from call to call.
    lines = [line for line in text.splitlines() if not line.startswith("\tat ")]
    return sorted(lines) if step.sort else lines


def fill(argument, broker, files):
    text = str(argument)
    for name, value in (("{bootstrap}", broker.bootstrap), ("{data}", broker.data), ("{work}", files)):
        text = text.replace(name, value)
    if "*" in text and text.startswith(broker.data):
        return ",".join(sorted(glob.glob(text))) or text
    return text


def run_step(step, broker, tool_box):
    files = os.path.join(WORK, "files", broker.name)
    os.makedirs(files, exist_ok=True)
    for name, content in (step.prepare or {}).items():
        with open(os.path.join(files, name), "w") as f:
            f.write(content)
    args = [fill(a, broker, files) for a in step.args]
    run = tool_box.run_alone if step.alone else tool_box.run
    result = run(step.tool, args, step.stdin, step.timeout)
    if not broker.alive():
        raise SystemExit(f"{broker.name} died in step {step.name!r}:\n{broker.log_tail()}")
    let_settle(args, broker)
    return comparable(step, result.text(), broker)


CHANGES = {"--alter", "--create", "--delete", "--add", "--remove", "--renew", "--expire"}
ASKS = {"--describe", "--list"}


def let_settle(args, broker):
    """Apache Kafka answers a change when its controller has it; its broker answers the next question from what it has
    read of the log by then, and with a busy machine that is the state before. Klamm gets no such pause: it has the change."""
    if broker.name.startswith("kafka") and CHANGES.intersection(args):
        time.sleep(0.2)


def settled_step(step, reference, subject, tool_box, rules, patience=5.0):
    """What both print. A question that Kafka answers differently is asked it again (`let_settle` says why); Klamm has one try."""
    ours = run_step(step, subject, tool_box)
    deadline = time.monotonic() + patience
    while True:
        theirs = run_step(step, reference, tool_box)
        if not ASKS.intersection(step.args) or time.monotonic() > deadline or not compare(step.name, theirs, ours, rules)[0]:
            return [theirs, ours]
        time.sleep(0.2)


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


def save(number, step, broker, lines):
    folder = os.path.join(WORK, "out", broker.name)
    os.makedirs(folder, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", step.name)[:80]
    with open(os.path.join(folder, f"{number:03}-{name}.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")


def compare(name, reference, subject, rules):
    """The lines that differ and that no rule allows, in the form of a diff; and how many a rule allowed."""
    bad, allowed = [], 0
    for line in difflib.unified_diff(reference, subject, n=0, lineterm=""):
        side = {"-": "kafka", "+": "klamm"}.get(line[:1])
        if side is None or line in ("--- ", "+++ "):
            continue
        rule = next((r for r in rules if r.matches(name, side, line[1:])), None)
        if rule:
            rule.used += 1
            allowed += 1
        else:
            bad.append(f"{side}: {line[1:]}")
    return bad, allowed


def check_same(run, name, reference, subject, rules, took=None):
    """A check that a step printed the same, but for what a rule allows; answers how many lines that were."""
    bad, fine = compare(name, reference, subject, rules)
    detail = "\n     ".join(line[:600] for line in bad[:40]) + (f"\n     ... and {len(bad) - 40} more" if len(bad) > 40 else "")
    time_taken = "" if took is None else f" ({took:.1f} s)"
    run.check(f"same {name}" + (f", {fine} lines differ as allowed" if fine else "") + time_taken, not bad, detail)
    return fine


def check_all_same(run, reference, subject, took, rules):
    """Every step of `reference`, in its order. `rules` name steps; what differs and is not among them fails."""
    allowed = sum(check_same(run, name, lines, subject.get(name, ["no such step"]), rules, took.get(name, 0)) for name, lines in reference.items())
    print(f"# {allowed} lines differ as differences.allow says")


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--only", help="only the steps whose name matches this regular expression (they may need others)")
    a = ap.parse_args()
    rules = load_rules(ALLOW)
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    jars.fetch()
    tool_box = tools.Tools(WORK)
    reference, subject = brokers.Kafka(WORK, session.SETTINGS), brokers.subject(WORK, session.SETTINGS)
    reference.spawn()
    subject.start()
    reference.wait_ready()
    quorum = DESCRIBE_QUORUM in brokers.api_versions(subject.port)
    failed, passed, allowed, began = [], 0, 0, time.monotonic()
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
            save(number, step, broker, lines)
        bad, fine = compare(step.name, both[0], both[1], rules)
        allowed += fine
        took = time.monotonic() - t
        if bad:
            failed.append(step.name)
            print(f"DIFF {step.name} ({took:.1f} s)")
            for line in bad[:25]:
                print("     " + line[:400])
            if len(bad) > 25:
                print(f"     ... and {len(bad) - 25} more lines")
        else:
            passed += 1
            print(f"same {step.name}" + (f", {fine} lines differ as allowed" if fine else "") + f" ({took:.1f} s)")
        sys.stdout.flush()
    tool_box.close()
    subject.stop()
    reference.stop()
    for rule in rules:
        if not rule.used and not a.only and subject.name == "klamm":
            print(f"note: no line needed the rule for step {rule.where!r}: {rule.side}: {rule.pattern.pattern}")
    print(f"{time.monotonic() - began:.0f} s, {allowed} lines differ as differences.allow says")
    for name in failed:
        print("differs: " + name)
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
