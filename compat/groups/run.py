"""Runs the session of steps.py against Apache Kafka, then against Klamm, and compares what the tools print; then the scenarios of
scenarios.py, applications that share groups, against Klamm.

One broker runs at a time. Lines that differ must be on the list `differences.allow`, each with its reason. What the tools printed stays
under work/session/out, one file a step. `COMPAT_SUBJECT=kafka` compares Apache Kafka with itself.
"""

import argparse
import os
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from compat.common import brokers, calls, checks, differences, jars, librdkafka, paths, tools  # noqa: E402

import members  # noqa: E402
import scenarios  # noqa: E402
import steps  # noqa: E402

WORK = os.path.join(paths.COMPAT, "groups", "work", "session")
ALLOW = os.path.join(paths.COMPAT, "groups", "differences.allow")


class Session:
    """The steps at one broker. `outputs` is {step name: lines}."""

    def __init__(self, broker, only):
        self.broker, self.only = broker, only
        self.outputs, self.took = {}, {}
        self.stopped = 0
        self.files = os.path.join(WORK, "files", broker.name)
        self.out = os.path.join(WORK, "out", broker.name)
        for folder in (self.files, self.out):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
        self.tools = tools.Tools(self.broker.work)
        self.crew = members.Java(self.broker.work)

    def run(self):
        for number, step in enumerate(steps.steps()):
            self.step(number, step)
            if not self.broker.alive():
                raise SystemExit(f"{self.broker.name} died at step {number}:\n{self.broker.log_tail()}")
        self.crew.close()
        self.tools.close()
        return self.outputs

    def step(self, number, step):
        began = time.monotonic()
        if isinstance(step, steps.Start):
            self.crew.start(step.member, self.broker, step.group, step.topics, **step.settings)
        elif isinstance(step, steps.Stop):
            self.crew.stop(*step.members)
            self.stopped = time.monotonic()
        elif isinstance(step, steps.Settled):
            fine = members.settled([self.crew], step.partitions, step.members, timeout=30)
            if not fine:
                self.keep(number, f"settled {number}", [f"{step.members} members do not come to own {step.partitions} partitions", repr(self.crew.owned())])
            else:
                self.keep(number, f"settled {number}", ["settled"])
        elif isinstance(step, steps.Pause):
            time.sleep(step.seconds)
        elif isinstance(step, steps.SessionsOver):
            time.sleep(max(0, self.stopped + step.seconds - time.monotonic()))
        elif isinstance(step, steps.Restart):
            self.broker.stop()
            self.broker.start()
        elif not self.only or re.search(self.only, step.name):
            self.keep(number, step.name, calls.perform(step, self.broker, self.tools, self.files))
            self.took[step.name] = time.monotonic() - began

    def keep(self, number, name, lines):
        self.outputs[name] = lines
        calls.save(self.out, name, lines, number)


def session(broker, only):
    began = time.monotonic()
    broker.start()
    s = Session(broker, only)
    try:
        return s.run(), s.took
    finally:
        s.crew.kill()
        s.tools.close(kill=True)
        broker.stop()
        print(f"# {broker.name}: {time.monotonic() - began:.0f} s", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--only", help="only the tools' steps whose name matches this regular expression (they may need others)")
    ap.add_argument("--part", choices=("session", "scenarios"), help="only this")
    ap.add_argument("--scenario", help="only the scenarios whose name matches this regular expression")
    ap.add_argument("--reference", choices=("run", "keep"), default="run", help="keep: what Apache Kafka printed the last time")
    a = ap.parse_args()
    rules = differences.load_rules(ALLOW)
    os.makedirs(WORK, exist_ok=True)
    jars.fetch()
    run = checks.Checks()
    if a.part != "scenarios":
        reference = differences.reference(WORK, a.reference == "keep", lambda: session(brokers.Kafka(WORK, steps.SETTINGS), a.only)[0])
        subject, took = session(brokers.subject(WORK, steps.SETTINGS), a.only)
        differences.check_all_same(run, reference, subject, took, rules)
    if a.part != "session":
        librdkafka.library()
        broker = brokers.subject(WORK, steps.SETTINGS)
        broker.start()
        try:
            scenarios.run(run, broker, a.scenario)
        finally:
            broker.stop()
    run.finish()


if __name__ == "__main__":
    main()
