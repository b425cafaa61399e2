"""Runs the steps of steps.py against Apache Kafka, then against Klamm, and compares what the tools print line by line; then
formats directories with kafka-storage and with klamm storage and compares that, and the records that they begin with.

One broker runs at a time. Lines that differ must be on the list `differences.allow`, each with its reason. What the tools printed
stays under work/out, one file a step. `COMPAT_SUBJECT=kafka` compares Apache Kafka with itself.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(HERE)))

from compat.common import brokers, calls, checks, differences, jars, paths, tools  # noqa: E402

sys.path.insert(0, HERE)
import steps  # noqa: E402

WORK = os.path.join(HERE, "work")
ALLOW = os.path.join(HERE, "differences.allow")


def session(broker, only):
    began = time.monotonic()
    out = os.path.join(WORK, "out", broker.name)
    files = os.path.join(WORK, "files", broker.name)
    for folder in (out, files):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    broker.start()
    box = tools.Tools(broker.work)
    outputs = {}
    try:
        for number, step in enumerate(steps.steps()):
            if only and not re.search(only, step.name):
                continue
            outputs[step.name] = lines = calls.perform(step, broker, box, files)
            calls.save(out, step.name, lines, number)
        box.close()
    finally:
        box.close(kill=True)
        broker.stop()
        print(f"# {broker.name}: {time.monotonic() - began:.0f} s", flush=True)
    return outputs


class Storage:
    """kafka-storage or klamm storage, on directories of its own."""

    def __init__(self, name, argv):
        self.name, self.argv = name, argv
        self.folder = os.path.join(WORK, "storage", name)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.properties = os.path.join(self.folder, "server.properties")
        with open(self.properties, "w") as f:
            f.write("process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n"
                    "listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\ncontroller.listener.names=CONTROLLER\n"
                    f"log.dirs={self.folder}/a,{self.folder}/b\n")

    def run(self, args):
        r = subprocess.run(self.argv(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = r.stdout.decode(errors="replace").replace(self.folder, "FOLDER") + f"--- exit code {r.returncode}\n"
        for pattern, replacement in steps.STORAGE_MASKS:
            text = re.sub(pattern, replacement, text)
        lines = [line for line in text.splitlines() if not line.startswith("\tat ")]
        # Kafka goes through the directories in the order of a hash of their paths.
        formatting = [at for at, line in enumerate(lines) if line.startswith("Formatting ")]
        for at, line in zip(formatting, sorted(lines[at] for at in formatting)):
            lines[at] = line
        return lines

    def clean(self):
        for name in ("a", "b"):
            shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)


def storage(run, rules):
    ours = Storage("klamm", lambda args: [paths.klamm_bin(), "storage", *args])
    if os.environ.get("COMPAT_SUBJECT") == "kafka":
        ours = Storage("kafka-again", lambda args: jars.java("kafka.tools.StorageTool", args))
    theirs = Storage("kafka", lambda args: jars.java("kafka.tools.StorageTool", args))
    for name, fresh, args in steps.storage():
        lines = []
        for tool in (theirs, ours):
            if fresh:
                tool.clean()
            lines.append(tool.run([tool.properties if a == "{properties}" else a for a in args]))
        differences.check_same(run, f"storage {name}", *lines, rules)
    dumps = []
    for tool in (theirs, ours):
        tool.clean()
        tool.run(["format", "-t", "cluster", "-c", tool.properties, "-S", steps.FIXED_SCRAM])
        argv = jars.java("org.apache.kafka.tools.DumpLogSegments",
                         ["--cluster-metadata-decoder", "--files", os.path.join(tool.folder, "a", "bootstrap.checkpoint")])
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        dumps.append(re.findall(r"payload: (.*)", r.stdout.decode(errors="replace")))
    run.check("kafka-dump-log finds records in what klamm storage format wrote", len(dumps[1]) > 6, repr(dumps[1])[:500])
    run.equal("the records are those of kafka-storage, keys of SCRAM included", dumps[0], dumps[1])


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--only", help="only the steps whose name matches this regular expression (they may need others)")
    ap.add_argument("--part", choices=("session", "storage"), help="only this")
    a = ap.parse_args()
    os.makedirs(WORK, exist_ok=True)
    jars.fetch()
    rules = differences.load_rules(ALLOW)
    run = checks.Checks()
    if a.part != "storage":
        reference = session(brokers.Kafka(WORK, steps.SETTINGS), a.only)
        subject = session(brokers.subject(WORK, steps.SETTINGS), a.only)
        for name, lines in reference.items():
            differences.check_same(run, name, lines, subject.get(name, ["no such step"]), rules)
    if a.part != "session":
        storage(run, rules)
    run.finish()


if __name__ == "__main__":
    main()
