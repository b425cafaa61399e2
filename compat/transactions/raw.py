"""The raw requests of transactions to Apache Kafka and to Klamm in lock step: the scripts of raw_scenarios.py, then random ones
(raw_random.py). What may differ is in raw.allow."""

import os
import time

from compat.common import allowed, brokers, lockstep, schema, scripts, jars

import clients
import raw_random
import raw_scenarios
import raw_sides

WORK = os.path.join(clients.HERE, "work", "raw")
# A transaction in the way, and what a Produce is told then; coordinators that load.
BUSY = {51, 14, 15, 16}
BUSY_PRODUCE = BUSY | {19}
PATIENCE = 8
ANSWER_WITHIN = 20


class Runner(lockstep.Runner):
    def run(self, name, script, trace=None, free=False):
        self.ids = set()
        return super().run(name, script, trace, free)

    def forgets_group(self, step):
        return False

    def step(self, number, step, trace):
        if "api" not in step:
            return super().step(number, step, trace)
        body = step["body"]
        self.ids |= {body.get("TransactionalId"), body.get("V3AndBelowTransactionalId")} - {None, ""}
        answers = []
        for side in self.sides:
            answers.append(self.answer(side, {**step, "number": number}))
            if step["api"] == "EndTxn":
                self.end_what_is_decided(side)
        kafka, klamm = (self.listed(side, step, answer) for side, answer in zip(self.sides, answers))
        if trace:
            trace(number, step, kafka, klamm)
        return self.judged(list(lockstep.differ(number, step["api"], kafka, klamm)))

    def answer(self, side, step):
        busy = BUSY_PRODUCE if step["api"] == "Produce" else BUSY
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = side.ask(step, ANSWER_WITHIN)
            if step.get("once") or not busy & set(codes(answer)) or time.monotonic() > deadline:
                return answer
            time.sleep(0.01)

    def end_what_is_decided(self, side):
        """Markers are on their way when EndTxn is answered, and what comes to a partition before its marker is Kafka's luck."""
        deadline = time.monotonic() + PATIENCE
        while self.ids and time.monotonic() < deadline:
            described = side.call("DescribeTransactions", 0, {"TransactionalIds": sorted(self.ids)})["TransactionStates"]
            if not any(d["TransactionState"].startswith("Prepare") for d in described):
                return
            time.sleep(0.01)

    def listed(self, side, step, answer):
        if step["api"] == "ListTransactions" and "TransactionStates" in answer:
            answer = {**answer, "TransactionStates": [t for t in answer["TransactionStates"] if t["TransactionalId"].startswith(side.prefix)]}
        return side.plain(answer)


def codes(value, key=""):
    """Every error code in an answer."""
    if isinstance(value, dict):
        for k, v in value.items():
            yield from codes(v, k)
    elif isinstance(value, list):
        for v in value:
            yield from codes(v)
    elif key in ("ErrorCode", "PartitionErrorCode"):
        yield value


def start(settings):
    pair = [brokers.Kafka(WORK, settings), brokers.subject(WORK, settings)]
    for broker in pair:
        broker.spawn()
    schemas, both = schema.Schemas(jars.fetch()), []
    for name, broker in zip(("Kafka", "Klamm"), pair):
        broker.wait_ready()
        both.append(raw_sides.Side(name, broker, schemas))
    runner = Runner(*both, allowed.load(os.path.join(clients.HERE, "raw.allow")))
    # Both coordinators are there, and on every partition of their topics.
    for side in both:
        side.forget()
        keys = [f"k{n}" for n in range(30)]
        for kind in (0, 1):
            runner.answer(side, {"api": "FindCoordinator", "v": 6, "body": {"KeyType": kind, "CoordinatorKeys": keys}, "number": 0})
        runner.answer(side, {"api": "DescribeTransactions", "v": 0, "body": {"TransactionalIds": keys}, "number": 0})
        runner.answer(side, {"api": "DescribeGroups", "v": 5, "body": {"Groups": keys}, "number": 0})
    return runner


def run(checks, settings, only, sequences, seed, verbose):
    runner = start(settings)
    try:
        for name, script in raw_scenarios.ALL.items():
            if not only or only in name:
                scripts.check(runner, "raw: " + name, script, checks, verbose)
        if not only:
            scripts.check_random(runner, range(seed, seed + sequences), raw_random.script, checks, verbose)
        print(scripts.summary(runner))
    finally:
        for side in runner.sides:
            side.broker.kill9()
