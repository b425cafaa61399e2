"""Authorization of Klamm beside that of Apache Kafka, both with StandardAuthorizer.

First the walk (walk.py): every API with nothing allowed, with all it needs, and with all but one permission, as raw requests.
Then the same with Java's clients (java_walk.py). Then Kafka's own tools (tooling.py), line by line: kafka-acls, and others as a
client that may do little. Last, that a refusal is a line of the audit in Kafka's words. What may differ is in differences.allow.
"""

import argparse
import json
import os
import re
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, HERE)

from compat.common import calls, checks, differences, jars, schema, secured, tools  # noqa: E402
import java_walk  # noqa: E402
import sides  # noqa: E402
import tooling  # noqa: E402
import walk  # noqa: E402

WORK = os.path.join(HERE, "work", str(os.getpid()))


def ask(side, case, version):
    try:
        answer = side.walker.call(case.api, version, case.body(side, version))
    except sides.Closed:
        return "the connection is closed"
    return walk.visible(side, answer)


def both(pair, case, version, permissions):
    for side in pair:
        for topic in case.before:
            side.topic(topic)
        side.allow(permissions)
    return [ask(side, case, version) for side in pair]


def run_walk(c, pair, only):
    asked = set()
    for case, version, what, permissions in walk.all_runs(pair):
        name = f"{case.name} v{version}, {what}"
        asked.add(case.api)
        if only and not re.search(only, name):
            continue
        # A permission may take effect a moment later in Kafka's controller than in its broker.
        for _ in range(4):
            kafka, klamm = both(pair, case, version, permissions)
            if kafka == klamm:
                break
            time.sleep(0.3)
        c.check(name, kafka == klamm, f"kafka {json.dumps(kafka, default=str)}\n     klamm {json.dumps(klamm, default=str)}")
    served = {pair[1].schemas.api(key) for key in pair[1].versions}
    c.equal("every API that is served is walked", sorted(served - walk.OPEN), sorted(asked & served))


def run_tools(c, pair, only):
    rules = differences.load_rules(os.path.join(HERE, "differences.allow"))
    box, said = tools.Tools(WORK), []
    for step in tooling.steps():
        if step.allow is not None:
            for side in pair:
                side.allow(step.allow, sides.HERE)
            time.sleep(0.3)
        if only and not re.search(only, step.name):
            continue
        printed = [calls.perform(step, side.broker, box, WORK) for side in pair]
        said += printed[1]
        differences.check_same(c, "tool: " + step.name, *printed, rules)
    box.close()
    if not only:
        # That both printed the same could also mean that neither did anything.
        for word in tooling.SAID:
            c.check(f"a tool says: {word}", any(word in line for line in said), "no line has it")


AUDIT = ("Principal = User:ANONYMOUS is Denied operation = WRITE from host = 127.0.0.3 on resource = Topic:LITERAL:gone for request = "
         "Produce with resourceRefCount = 1 based on rule DefaultDeny")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="checks with this regular expression in their names")
    parser.add_argument("--no-tools", action="store_true")
    parser.add_argument("--no-walk", action="store_true")
    parser.add_argument("--no-java", action="store_true", help="without the walk of Java's clients")
    options = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    c, schemas = checks.Checks(), schema.Schemas(jars.fetch())
    settings = {**sides.SETTINGS, **java_walk.SETTINGS}
    reference, subject = secured.Kafka(WORK, java_walk.LISTENERS, settings), secured.subject(WORK, java_walk.LISTENERS, settings)
    reference.spawn()
    subject.start()
    reference.wait_ready()
    pair = [sides.Side("kafka", reference, schemas), sides.Side("klamm", subject, schemas)]
    for side in pair:
        side.prepare()
        side.topic(walk.SEEN)
        side.settle()
    if not options.no_walk:
        run_walk(c, pair, options.only)
        for side in pair:
            c.check(f"{side.name} logs what it refuses", options.only or AUDIT in open(side.broker.log_path).read(), AUDIT)
    if not options.no_java:
        java_walk.run(c, pair, WORK, options.only)
    if not options.no_tools:
        run_tools(c, pair, options.only)
    for side in pair:
        side.broker.stop()
    shutil.rmtree(WORK, ignore_errors=not c.failed) if not c.failed else None
    c.finish()


if __name__ == "__main__":
    main()
