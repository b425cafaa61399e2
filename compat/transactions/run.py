"""Transactions against Apache Kafka and against Klamm: the same scenarios of Java's and of librdkafka's producers (scenarios.py), then
`kafka-transactions` (tool_steps.py), one broker at a time, their outputs compared line by line; then the raw requests of transactions to
both in lock step (raw.py).

Lines that differ must be on the list `differences.allow`, each with its reason. What was printed stays under work/out.
`COMPAT_SUBJECT=kafka` compares Apache Kafka with itself.
"""

import argparse
import os
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from compat.common import brokers, calls, checks, differences, jars, tools  # noqa: E402

import clients  # noqa: E402
import raw  # noqa: E402
import scenarios  # noqa: E402
import tool_steps  # noqa: E402

WORK = os.path.join(clients.HERE, "work", "session")
ALLOW = os.path.join(clients.HERE, "differences.allow")
SETTINGS = {
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "5",
    "auto.create.topics.enable": "false",
    # Timestamps are of the year 2023.
    "log.retention.ms": "-1",
    "group.initial.rebalance.delay.ms": "0",
    # Transactions of a second are aborted soon after it.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
}
CLIENTS = ("java", "rdkafka")
# Ids of members, which may stand in messages; how long something took.
IDS = [(r"\(after \d+ms\)", "(after Nms)"), (r"\b-?\d+ms ago", "Nms ago"), (r"should be within \[-?\d+, \d+\]", "should be within [T, T]"),
       (r"\b(consumer-\S+?-|rdkafka-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "MEMBER"),
       (r"(?<=[' :=])[A-Za-z0-9_-]{22}(?=[' ,.;:]|$)", "ID")]


# Whether the answer to one record comes before the next is sent decides who fails that one, the broker or the client itself.
TOO_LATE = [(r"(?m)(too late: failed: InvalidProducerEpochException: Producer ).*(attempted to produce with an old epoch)\.?$", r"\1\2")]
# A commit or a record right behind a record that is refused either waits for the refusal or finds it there: Java's client says which.
ERROR_STATE = [(r"(?m)^(commit \w+: )KafkaException: Cannot execute transactional method because we are in an error state <- ", r"\1"),
               (r"(?m)^(send \w+ .*: )KafkaException: Cannot execute transactional method because we are in an error state <- ", r"\1failed: ")]
# By how much a leader's epoch rises when the broker comes back is its own affair.
COORDINATOR = [(r"coordinator \d+ ", "coordinator N ")]


class Masks:
    """A scenario's lines are made comparable as a tool's are."""

    shape, sort = None, False

    def __init__(self, name, masks=()):
        self.name, self.masks = name, IDS + TOO_LATE + ERROR_STATE + list(masks)


class Session:
    """Everything at one broker. `outputs` is {name: lines}."""

    def __init__(self, broker, options):
        self.broker, self.options = broker, options
        self.outputs, self.took = {}, {}
        self.java = clients.java(broker.work, broker)
        self.producers = {"java": self.java, "rdkafka": clients.rdkafka(broker.work, broker)}
        self.tools = tools.Tools(broker.work)
        self.out = os.path.join(WORK, "out", broker.name)
        shutil.rmtree(self.out, ignore_errors=True)
        os.makedirs(self.out)

    def wanted(self, name):
        return not self.options.only or re.search(self.options.only, name)

    def run(self):
        self.scenarios(scenarios.ALL)
        if self.wanted("kafka-transactions"):
            self.transactions_tool()
        self.scenarios(scenarios.RESTARTS, COORDINATOR)
        return self.outputs, self.took

    def scenarios(self, which, masks=()):
        for kind in CLIENTS:
            for scenario in which:
                name = f"{scenario.__name__}-{kind}"
                if self.wanted(name):
                    self.keep(name, lambda s=scenario, n=scenario.__name__, k=kind: self.scenario(s, n, k, masks))

    def scenario(self, scenario, name, kind, masks):
        stage = scenarios.Stage(name, kind, self.broker, self.java, self.producers[kind], self.restart)
        scenario(stage)
        for who in stage.made:
            self.producers[kind].ask("close", who)
        return calls.comparable(Masks(name, masks), "\n".join(stage.lines), self.broker)

    def restart(self, how):
        (self.broker.kill9 if how.startswith("killed") else self.broker.stop)()
        self.broker.start()

    def transactions_tool(self):
        stage = scenarios.Stage("open", "java", self.broker, self.java, self.java, self.restart)
        stage.topic()
        stage.ready(transaction_timeout_ms=600_000)
        stage.do("begin")
        stage.send()
        self.java.ask("create", "raw", 1)
        for number, step in enumerate(tool_steps.steps()):
            if isinstance(step, tool_steps.HangingTransaction):
                self.keep(f"hanging transaction {number}", lambda s=step: s.perform(self.broker))
            else:
                step = step.step() if isinstance(step, tool_steps.Verification) else step
                self.keep(step.name, lambda s=step: calls.perform(s, self.broker, self.tools, self.out))

    def keep(self, name, lines):
        began = time.monotonic()
        self.outputs[name] = lines = lines()
        if not self.broker.alive():
            raise SystemExit(f"{self.broker.name} died in {name!r}:\n{self.broker.log_tail()}")
        self.took[name] = time.monotonic() - began
        calls.save(self.out, name, lines)


def session(broker, options):
    began = time.monotonic()
    broker.start()
    s = Session(broker, options)
    try:
        return s.run()
    finally:
        for client in s.producers.values():
            client.kill()
        s.tools.close(kill=True)
        broker.stop()
        print(f"# {broker.name}: {time.monotonic() - began:.0f} s", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--only", help="only the scenarios whose name matches this regular expression, and no raw requests; 'kafka-transactions' is the tool")
    ap.add_argument("--part", choices=("session", "requests"), help="only this")
    ap.add_argument("--raw", default="", help="only the raw scripts with this in their name, and no random ones")
    ap.add_argument("--sequences", type=int, default=100, help="how many random sequences of raw requests (default 100)")
    ap.add_argument("--seed", type=int, default=1, help="the first one's seed")
    ap.add_argument("--verbose", action="store_true", help="print every step of the raw scripts with both answers")
    ap.add_argument("--reference", choices=("run", "keep"), default="run", help="keep: what Apache Kafka printed the last time")
    options = ap.parse_args()
    rules = differences.load_rules(ALLOW)
    os.makedirs(WORK, exist_ok=True)
    jars.fetch()
    run = checks.Checks()
    if options.part != "requests":
        reference = differences.reference(WORK, options.reference == "keep", lambda: session(brokers.Kafka(WORK, SETTINGS), options)[0])
        if options.only:
            reference = {name: lines for name, lines in reference.items() if re.search(options.only, name)}
        subject, took = session(brokers.subject(WORK, SETTINGS), options)
        differences.check_all_same(run, reference, subject, took, rules)
    if options.part != "session" and not options.only:
        raw.run(run, SETTINGS, options.raw, options.sequences, options.seed, options.verbose)
    run.finish()


if __name__ == "__main__":
    main()
