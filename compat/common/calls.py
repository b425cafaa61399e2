"""One call of one of Kafka's tools, and what it prints in a form that does not depend on which broker answered, nor when."""

import glob
import os
import re
import time


class Step:
    def __init__(self, name, tool, args, stdin="", sort=False, masks=(), shape=None, timeout=60, prepare=None,
                 alone=False):
        self.name, self.tool, self.args, self.stdin = name, tool, args, stdin
        self.sort = sort          # the tool prints in the order of a hash map
        self.masks = masks        # extra (pattern, replacement) pairs
        self.shape = shape        # a function from text to text, after the masks
        self.timeout = timeout
        self.alone = alone        # in a JVM of its own: its last words come from a shutdown hook
        self.prepare = prepare    # {file name: content} written to {work} before the step


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


def perform(step, broker, tool_box, files):
    """Calls the tool of a step, with the broker's addresses and `files` as {work} in its arguments; what it printed, made comparable."""
    for name, content in (step.prepare or {}).items():
        with open(os.path.join(files, name), "w") as f:
            f.write(content)
    args = [fill(a, broker, files) for a in step.args]
    run = tool_box.run_alone if step.alone else tool_box.run
    text = run(step.tool, args, step.stdin, step.timeout).text()
    if not broker.alive():
        raise SystemExit(f"{broker.name} died in step {step.name!r}:\n{broker.log_tail()}")
    let_settle(args, broker)
    return comparable(step, text, broker)


CHANGES = {"--alter", "--create", "--delete", "--add", "--remove", "--renew", "--expire", "--election-type", "--execute", "--cancel"}


def let_settle(args, broker):
    """Apache Kafka answers a change when its controller has it; its broker answers the next question from what it has
    read of the log by then, and with a busy machine that is the state before. Klamm gets no such pause: it has the change."""
    if broker.name.startswith("kafka") and CHANGES.intersection(args):
        time.sleep(1 if os.getloadavg()[0] > 3 else 0.2)


def save(out, name, lines, number=None):
    """One file a step, for a look by hand."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:90]
    with open(os.path.join(out, name + ".txt" if number is None else f"{number:03}-{name}.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")
