"""What two brokers' tools printed, line by line. Lines that differ must be on a list `differences.allow`, each with its reason."""

import difflib
import fnmatch
import json
import os
import re


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


def reference(work, keep, run):
    """What Apache Kafka printed: `run` has it say, and `work` keeps that for a run that is content with the last time's."""
    kept = os.path.join(work, "reference.json")
    if keep and os.path.exists(kept):
        with open(kept) as f:
            return json.load(f)
    outputs = run()
    with open(kept, "w") as f:
        json.dump(outputs, f)
    return outputs
