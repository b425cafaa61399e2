"""What `kafka-transactions` is asked, on top of what the scenarios left behind and of a transaction that nobody will end."""

import time

from compat.common import jars, schema, sides, wire
from compat.common.calls import Step

# Widths of columns; how long a transaction has been going on, which comes after its begin; times.
COLUMNS = [(r"(?<=\S)[ \t]+", " "), (r"(?m) $", "")]
DURATION = [(r"\b1[789]\d{11} \d+\b", "BEGAN DURATION")]
TIMES = [(r"\b1[789]\d{11}\b", "T")]


def transactions(name, *args, **more):
    masks = COLUMNS + (DURATION if args[0] == "describe" else []) + TIMES
    return Step("kafka-transactions " + name, "kafka-transactions", ["--bootstrap-server", "{bootstrap}", *args], sort=True, masks=masks, **more)


class HangingTransaction:
    """Writes a batch of a transaction that its coordinator knows nothing of, an hour ago, into partition 0 of the topic: what brokers
    before KAFKA-14402 let through, and those without `transaction.partition.verification.enable` do."""

    def __init__(self, topic, producer_id):
        self.topic, self.producer_id = topic, producer_id

    def perform(self, broker):
        side = sides.Side(broker.name, broker, schema.Schemas(jars.fetch()))
        batch = wire.transactional_batch(b"hanging", int(time.time() * 1000) - 3_600_000, (self.producer_id, 3, 0))
        answer = side.call("Produce", 3, {"TransactionalId": "hanging", "Acks": -1, "TimeoutMs": 5000, "TopicData": [
            {"Name": self.topic, "PartitionData": [{"Index": 0, "Records": batch}]}]})
        return [str(answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"])]


class Verification:
    """Switches the verification of first writes by the broker's dynamic configuration."""

    def __init__(self, on):
        self.on = on

    def step(self):
        return Step(f"configs verification {self.on}", "kafka-configs", ["--bootstrap-server", "{bootstrap}", "--alter", "--entity-type", "brokers",
                    "--entity-default", "--add-config", f"transaction.partition.verification.enable={self.on}"])


def _list():
    yield transactions("list", "list")
    for pattern in (".*commit.*", "commit-java|abort-java", "nothing like that", "", "(", "[a-c].*", "[a-c].*-rdkafka"):
        yield transactions(f"list pattern {pattern!r}", "list", "--transactional-id-pattern", pattern)
    for duration in ("0", "-1", "-5", "100000000", "x"):
        yield transactions(f"list duration {duration}", "list", f"--duration-filter={duration}")
    yield transactions("list both", "list", "--duration-filter", "0", "--transactional-id-pattern", "open.*")
    yield transactions("list what there is not", "list", "--state", "Ongoing")


def _describe():
    for id in ("commit-java", "commit-rdkafka", "abort-java", "open-java", "missing", ""):
        yield transactions(f"describe {id!r}", "describe", "--transactional-id", id)
    yield transactions("describe without an id", "describe")


def _producers():
    for topic, partition in (("commit-java", 0), ("commit-java", 1), ("many_in_one-rdkafka", 4), ("open-java", 0), ("raw", 0)):
        yield transactions(f"describe-producers {topic} {partition}", "describe-producers", "--topic", topic, "--partition", partition)
    yield transactions("describe-producers of a broker", "describe-producers", "--topic", "open-java", "--partition", "0", "--broker-id", "1")
    yield transactions("describe-producers without a partition", "describe-producers", "--topic", "raw")


def _hanging():
    yield transactions("find-hanging, none", "find-hanging", "--broker-id", "1")
    yield Verification("false")
    yield HangingTransaction("raw", 123456)
    yield HangingTransaction("raw", 123457)
    yield Verification("true")
    yield HangingTransaction("raw", 123458)
    yield transactions("describe-producers hanging", "describe-producers", "--topic", "raw", "--partition", "0")
    yield transactions("find-hanging of the broker", "find-hanging", "--broker-id", "1")
    yield transactions("find-hanging of the topic", "find-hanging", "--topic", "raw")
    yield transactions("find-hanging of the partition", "find-hanging", "--topic", "raw", "--partition", "0")
    yield transactions("find-hanging of another", "find-hanging", "--topic", "commit-java")
    yield transactions("find-hanging of a missing topic", "find-hanging", "--topic", "missing")
    yield transactions("find-hanging for long", "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "120")
    yield transactions("find-hanging at once", "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "0")
    yield transactions("find-hanging without anything", "find-hanging")
    yield transactions("find-hanging of a missing broker", "find-hanging", "--broker-id", "9")


def _abort():
    at = ("abort", "--topic", "raw", "--partition", "0")
    yield transactions("abort at a wrong offset", *at, "--start-offset", "77")
    yield transactions("abort without an offset", *at)
    yield transactions("abort half of what older brokers need", *at, "--producer-id", "123457")
    yield transactions("abort by offset", *at, "--start-offset", "0")
    yield transactions("abort by offset again", *at, "--start-offset", "0")
    yield transactions("describe-producers after the abort", "describe-producers", "--topic", "raw", "--partition", "0")
    yield transactions("abort by a wrong epoch", *at, "--producer-id", "123457", "--producer-epoch", "2", "--coordinator-epoch", "0")
    yield transactions("abort as for older brokers", *at, "--producer-id", "123457", "--producer-epoch", "3", "--coordinator-epoch", "0")
    yield transactions("describe-producers after both", "describe-producers", "--topic", "raw", "--partition", "0")
    yield transactions("find-hanging after both", "find-hanging", "--broker-id", "1")
    yield Step("read raw", "kafka-console-consumer", ["--bootstrap-server", "{bootstrap}", "--topic", "raw", "--from-beginning", "--timeout-ms", "3000",
               "--isolation-level", "read_committed"], masks=[(r"(?m)^\[.*\] (ERROR|WARN|INFO) ", r"\1 ")])


def _terminate():
    force = "forceTerminateTransaction"
    yield transactions("terminate", force, "--transactionalId", "open-java")
    yield transactions("describe what was terminated", "describe", "--transactional-id", "open-java")
    yield transactions("terminate again", force, "--transactionalId", "open-java")
    yield transactions("terminate a missing one", force, "--transactionalId", "missing")
    yield transactions("terminate without an id", force)


def steps():
    for part in (_list, _describe, _producers, _hanging, _abort, _terminate):
        yield from part()

