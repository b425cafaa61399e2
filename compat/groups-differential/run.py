"""The group APIs of Klamm against those of Apache Kafka: the same requests to both in lock step, the answers compared.

First the scripts of scenarios.py and shares.py, one for each rule, then random ones (sequences.py), whose differences are made short before
they are printed. What may differ is in differences.allow. The settings of both brokers are SETTINGS; some scripts have others.
"""

import argparse
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import scenarios  # noqa: E402
import sequences  # noqa: E402
import shares  # noqa: E402,F401
from compat.common import allowed, brokers, checks, jars, lockstep, schema, scripts, sides  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.path.join(HERE, "work", str(os.getpid()))
TOPICS = {"a": 1, "b": 3, "c": 6}
SETTINGS = {
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 5,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 200,
    "group.max.size": 5,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.max.size": 5,
    "group.consumer.assignment.interval.ms": 0,
    # The assignment in the heartbeat that asks for it, not soon after: what an answer holds must not depend on the hour.
    "group.consumer.assignor.offload.enable": "false",
}


def start(settings, schemas):
    """Both brokers with their coordinators loaded and TOPICS made."""
    work = os.path.join(WORK, str(len(os.listdir(WORK))))
    pair = [brokers.Kafka(work, settings), brokers.subject(work, settings)]
    for broker in pair:
        broker.spawn()
    both = []
    for name, broker in zip(("Kafka", "Klamm"), pair):
        broker.wait_ready()
        side = sides.Side(name, broker, schemas)
        keys = [f"k{n}" for n in range(50)]
        deadline = time.monotonic() + 60
        while any(c["ErrorCode"] for c in side.call("FindCoordinator", 6, {"KeyType": 0, "CoordinatorKeys": keys})["Coordinators"]):
            if time.monotonic() > deadline:
                raise SystemExit(f"{name} has no coordinators\n{broker.log_tail()}")
            time.sleep(0.1)
        while any(g["ErrorCode"] for g in side.call("DescribeGroups", 5, {"Groups": keys})["Groups"]):
            time.sleep(0.1)
        both.append(side)
    runner = lockstep.Runner(*both, allowed.load(os.path.join(HERE, "differences.allow")))
    for side in both:
        side.forget()
        # The one topic that is there already; an expression may find it.
        side.topic_ids["__consumer_offsets"] = side.call("Metadata", 12, {"Topics": [{"Name": "__consumer_offsets"}]})["Topics"][0]["TopicId"]
    for topic, partitions in TOPICS.items():
        runner.open = {}
        runner.topics({"create": topic, "partitions": partitions})
    if "share.coordinator.state.topic.num.partitions" in settings:
        for side in both:
            warm_up(side)
    return runner


def warm_up(side):
    """A share group that comes and goes: from then on there is a share coordinator."""
    epoch, deadline = 0, time.monotonic() + 60
    while True:
        body = {"GroupId": "warm", "MemberId": "m", "MemberEpoch": epoch, "RackId": None, "SubscribedTopicNames": ["a"]}
        answer = side.call("ShareGroupHeartbeat", 1, body)
        epoch = answer["MemberEpoch"]
        if answer["Assignment"] and answer["Assignment"]["TopicPartitions"]:
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"{side.name} has no share coordinator\n{side.broker.log_tail()}")
        time.sleep(0.3)
    side.call("ShareGroupHeartbeat", 1, {**body, "MemberEpoch": -1})
    side.call("DeleteGroups", 2, {"GroupsNames": ["warm"]})


def stop(runner):
    for side in runner.sides:
        side.broker.kill9()


def run_scenarios(c, options, schemas):
    wanted = [s for s in scenarios.all_of_them() if options.only in s.name]
    for extra in sorted({tuple(sorted(s.settings.items())) for s in wanted}):
        runner = start({**SETTINGS, **dict(extra)}, schemas)
        for scenario in wanted:
            if tuple(sorted(scenario.settings.items())) == extra:
                scripts.check(runner, scenario.name, scenario.steps, c, options.verbose)
        print(scripts.summary(runner))
        stop(runner)


def run_sequences(c, options, schemas):
    runner = start(SETTINGS, schemas)
    seeds = range(options.seed, options.seed + options.sequences)
    scripts.check_random(runner, seeds, sequences.random_script, c, options.verbose, sequences.order_is_free)
    print(scripts.summary(runner))
    stop(runner)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="scenarios with this in their name, and no random sequences")
    parser.add_argument("--sequences", type=int, default=250, help="how many random sequences (default 250)")
    parser.add_argument("--seed", type=int, default=1, help="the first sequence's seed")
    parser.add_argument("--no-scenarios", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="print every step of the scenarios with both answers")
    options = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    c, schemas = checks.Checks(), schema.Schemas(jars.fetch())
    if not options.no_scenarios:
        run_scenarios(c, options, schemas)
    if not options.only:
        run_sequences(c, options, schemas)
    c.finish()


if __name__ == "__main__":
    main()
