"""Runs the session of steps.py against three nodes of Apache Kafka, then against three of Klamm, and compares what the tools print; then
the scenarios of scenarios.py: clients of a Klamm cluster whose nodes stop, die and come back.

Lines that differ must be on the list `differences.allow`, each with its reason. What the tools printed stays under work/out, one file a
step. `COMPAT_SUBJECT=kafka` compares Apache Kafka with itself.
"""

import argparse
import os
import re
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(HERE)))

from compat.common import calls, checks, differences, jars, tools  # noqa: E402

sys.path.insert(0, HERE)
import nodes  # noqa: E402
import scenarios  # noqa: E402
import steps  # noqa: E402

WORK = os.path.join(HERE, "work")
ALLOW = os.path.join(HERE, "differences.allow")


class Session:
    """The steps at one cluster. `outputs` is {step name: lines}."""

    def __init__(self, cluster, only):
        self.cluster, self.only = cluster, only
        self.outputs, self.took, self.down = {}, {}, set()
        self.out = os.path.join(WORK, "out", cluster.name)
        self.files = os.path.join(WORK, "files", cluster.name)
        for folder in (self.out, self.files):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
        self.tools = tools.Tools(cluster.work)

    def run(self):
        for number, step in enumerate(steps.steps()):
            began = time.monotonic()
            lines = self.step(step)
            for node in self.cluster.nodes:
                if node.name not in self.down and not node.alive():
                    raise SystemExit(f"{node.name} died in step {step.name!r}:\n{node.log_tail()}")
            if lines is None:
                continue
            self.outputs[step.name], self.took[step.name] = lines, time.monotonic() - began
            calls.save(self.out, step.name, lines, number)
        self.tools.close()
        return self.outputs

    def step(self, step):
        if isinstance(step, steps.Node):
            node = self.cluster.node(step.number)
            if step.act == "start":
                node.start()
                self.down.discard(node.name)
            else:
                self.down.add(node.name)
                node.kill9() if step.act == "kill" else node.stop()
            return None
        if isinstance(step, steps.Until):
            return self.until(step)
        if self.only and not re.search(self.only, step.name):
            return None
        return self.tool(step)

    def until(self, step):
        """The tool is asked until what it prints is as it should be: what is to be compared comes a moment after its cause."""
        deadline = time.monotonic() + step.timeout
        while True:
            lines = self.tool(step.step)
            if re.search(step.pattern, "\n".join(lines)):
                return ["so it is"]
            if time.monotonic() > deadline:
                return [f"not so within {step.timeout} s:", *lines]
            time.sleep(0.1)

    def tool(self, step):
        for name, content in (step.prepare or {}).items():
            with open(os.path.join(self.files, name), "w") as f:
                f.write(content)
        run = self.tools.run_alone if step.alone else self.tools.run
        args = [self.fill(str(a)) for a in step.args]
        text = run(step.tool, args, step.stdin, step.timeout).text()
        calls.let_settle(args, self.cluster)
        return calls.comparable(step, self.masked(text), self.cluster.node(1))

    def fill(self, text):
        for name, value in (("{bootstrap}", self.cluster.bootstrap), ("{controllers}", self.cluster.controllers), ("{work}", self.files)):
            text = text.replace(name, value)
        for number, node in enumerate(self.cluster.nodes, 1):
            for name, value in (("bootstrap", node.bootstrap), ("data", node.data), ("properties", node.properties)):
                text = text.replace(f"{{{name}{number}}}", value)
        return text

    def masked(self, text):
        for number, node in enumerate(self.cluster.nodes, 1):
            text = text.replace(node.data, f"DATA{number}").replace(node.work, f"WORK{number}")
            for port, name in ((node.port, f"PORT{number}"), (node.controller_port, f"CPORT{number}")):
                text = re.sub(rf"(127\.0\.0\.1|localhost)(:|\s+){port}\b", rf"\1\2{name}", text)
        return text.replace(self.files, "FILES")


def session(cluster, only):
    began = time.monotonic()
    s = None
    try:
        cluster.start()
        s = Session(cluster, only)
        return s.run(), s.took
    finally:
        if s:
            s.tools.close(kill=True)
        cluster.kill9()
        print(f"# {cluster.name}: {time.monotonic() - began:.0f} s", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--only", help="only the tools' steps whose name matches this regular expression (they may need others)")
    ap.add_argument("--part", choices=("session", "scenarios"), help="only this")
    ap.add_argument("--reference", choices=("run", "keep"), default="run", help="keep: what Apache Kafka printed the last time")
    a = ap.parse_args()
    os.makedirs(WORK, exist_ok=True)
    jars.fetch()
    rules = differences.load_rules(ALLOW)
    run = checks.Checks()
    if a.part != "scenarios":
        reference = differences.reference(WORK, a.reference == "keep", lambda: session(nodes.kafka(WORK, steps.SETTINGS), a.only)[0])
        subject, took = session(nodes.subject(WORK, steps.SETTINGS), a.only)
        differences.check_all_same(run, reference, subject, took, rules)
    if a.part != "session":
        scenarios.run(run, nodes.subject(WORK, steps.SETTINGS))
    run.finish()


if __name__ == "__main__":
    main()
