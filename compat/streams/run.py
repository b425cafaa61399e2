"""A Kafka Streams application with exactly_once_v2 (a word count whose store has a changelog, and a windowed join) works on seeded
input while the broker and the application are killed with kill -9 and started again. What it made must equal a one-shot recount.

Then the application starts with its state directory deleted, and must go on from what its changelogs hold; and once more when they are
compacted.
`COMPAT_SUBJECT=kafka` runs it against Apache Kafka.
"""

import argparse
import collections
import os
import random
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from compat.common import brokers, checks, jars, wire  # noqa: E402

import inputs  # noqa: E402
import processes  # noqa: E402

WORK = os.path.join(processes.HERE, "work", "run")
SETTINGS = {"group.initial.rebalance.delay.ms": "0", "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1"}
PARTITIONS = 4
CHANGELOG = "wordcount-counts-changelog"
STUCK = 120  # seconds after which an application that does nothing does nothing any more


class Session:
    def __init__(self, run, broker, options):
        self.run, self.broker, self.seed = run, broker, options.seed
        self.rng = random.Random(options.seed)
        self.work = broker.work
        self.apps = []
        base = int(time.time() * 1000) - 3_600_000
        everything = inputs.records(options.seed, options.lines, options.lines // 8, base)
        # The last twentieth is for the application without a state directory.
        cut = len(everything) * 19 // 20
        self.first, self.rest = everything[:cut], everything[cut:]
        self.kills, self.rate, self.guarantee = options.kills, options.rate, options.guarantee

    @property
    def app(self):
        return self.apps[-1]

    def start_app(self):
        self.apps.append(processes.App(self.work, self.broker, inputs.WINDOW, len(self.apps), self.guarantee))

    def check(self, what, good, detail=""):
        return self.run.check(what, good, detail)

    def same(self, what, want, got):
        """Equality of two large dictionaries or sequences; tells where they differ."""
        if want == got:
            return self.check(what, True)
        a, b = (x.items() if isinstance(x, dict) else x for x in (want, got))
        missing, extra = (collections.Counter(x) - collections.Counter(y) for x, y in ((a, b), (b, a)))
        return self.check(what, False, f"{missing.total()} missing: {sorted(missing)[:8]}\n     {extra.total()} too many: {sorted(extra)[:8]}")

    def run_all(self):
        with wire.Connection(self.broker.port) as c:
            for topic, error in c.create_topics(["lines", "left", "right", "counts", "pairs"], PARTITIONS).items():
                if error:
                    raise SystemExit(f"CreateTopics {topic}: error {error}")
        self.start_app()
        feeder = processes.Feeder(self.work, self.broker, self.first, self.rate)
        self.harass(feeder)
        self.check("every record of the input is acknowledged", feeder.end() == len(self.first))
        self.done(self.first, "after the kills")
        self.changelog(self.first, "after the kills")
        self.aborted()
        self.check("the application closes", self.app.close())

        shutil.rmtree(self.app.state)
        self.start_app()
        self.check("the application runs without its state directory", processes.wait(self.app.running, STUCK), repr(self.app.events[-5:]))
        restored = self.app.restored()
        print(f"# restored: {restored}")
        self.check("its stores are restored from the changelogs", sum(1 for p, n in restored.items() if n > 0) == 3 * PARTITIONS, repr(restored))
        self.same("the restored store equals the recount", inputs.words(self.first), self.app.store() or {})
        self.check("it makes nothing anew", len(self.outputs()["counts"]) == sum(inputs.words(self.first).values()))
        feeder = processes.Feeder(self.work, self.broker, self.rest, self.rate)
        self.check("the rest of the input is acknowledged", feeder.end() == len(self.rest))
        self.done(self.first + self.rest, "after the restore")
        left = self.compacts(self.first + self.rest)
        self.check("the application closes again", self.app.close())
        self.restores_compacted(self.first + self.rest, left)
        died = [e[1:] for app in self.apps for e in app.all("exception")]
        self.check("no thread of the application died", not died, "\n     ".join(map(repr, died[:10])))

    def harass(self, feeder):
        """Kills the broker and the application, in a random order, each time after some more of the input."""
        kinds = ["broker", "application"] * self.kills
        self.rng.shuffle(kinds)
        since = 0.0
        for number, kind in enumerate(kinds, 1):
            feeder.upto = len(self.first) * number // (len(kinds) + 1)
            # Mostly in the middle of the work, sometimes in the middle of what the last kill left behind.
            settled = number == 1 or self.rng.random() < 0.75
            if settled and not processes.wait(lambda: self.app.all("progress", since), STUCK):
                self.check(f"the application goes on before kill {number}", False, repr(self.app.events[-5:]))
            if not settled:
                # A new application tells its first state; one whose broker came back tells nothing.
                processes.wait(lambda: self.app.all("state", since), 3)
            time.sleep(self.rng.uniform(0.2, 5))
            if settled and kind == "application":
                # In the middle of a transaction, which takes that there is something left to do.
                feeder.upto = max(feeder.upto, min(len(self.first), feeder.fed + 2 * self.rate))
                asked = time.monotonic()
                processes.wait(lambda: self.app.all("progress", asked), 5)
            since = time.monotonic()
            print(f"# kill -9 of the {kind}, {'at work' if settled else 'not yet at work again'}, {feeder.fed} records fed", flush=True)
            if kind == "broker":
                self.broker.kill9()
                self.broker.start()
            else:
                self.app.kill9()
                self.start_app()
        # What was allowed so far may all be done: without the last part there would be nothing to go on with.
        feeder.upto = len(self.first)
        self.check(f"the application goes on after {len(kinds)} kills", processes.wait(lambda: self.app.all("progress", since), STUCK),
                   repr(self.app.events[-5:]))

    def outputs(self):
        out = {"counts": [], "pairs": []}
        for row in processes.dump(self.broker, "text", ["counts", "pairs"]):
            out[row[0]].append(row[1:])
        return out

    def done(self, fed, when):
        """Waits for everything to be counted and checks it."""
        words, pairs = inputs.words(fed), inputs.pairs(fed)
        began = moved = time.monotonic()
        seen = -1
        while True:
            out = self.outputs()
            now = len(out["counts"]) + len(out["pairs"])
            if len(out["counts"]) >= sum(words.values()) and len(out["pairs"]) >= len(pairs):
                break
            if now != seen:
                seen, moved = now, time.monotonic()
            elif time.monotonic() - moved > STUCK:
                self.check(f"the output moves, {when}", False, f"{len(out['counts'])} counts of {sum(words.values())}, {len(out['pairs'])} pairs of {len(pairs)}")
                break
            time.sleep(1)
        # What comes too often would come now.
        time.sleep(1.5)
        out = self.outputs()
        print(f"# {when}: {sum(words.values())} words, {len(words)} different, {len(pairs)} pairs; waited {time.monotonic() - began:.0f} s", flush=True)
        for topic in ("lines", "left", "right"):
            self.same(f"{topic} holds what was fed, once, {when}", sorted((k, v) for t, k, _, v in fed if t == topic),
                      sorted((k, v) for _, _, k, v in processes.kcat(self.broker, topic)))
        counts = collections.defaultdict(list)
        for _, _, _, word, count in out["counts"]:
            counts[word].append(int(count))
        wrong = {w: c for w, c in counts.items() if c != list(range(1, len(c) + 1))}
        self.check(f"each word's counts are 1, 2, 3, ..., once each, {when}", not wrong, "\n     ".join(f"{w}: {_steps(c)}" for w, c in sorted(wrong.items())[:8]))
        self.same(f"the latest counts equal the recount, {when}", words, {w: c[-1] for w, c in counts.items()})
        self.same(f"the pairs of the join equal the recount, {when}", pairs, sorted(v for *_, v in out["pairs"]))
        for topic in ("counts", "pairs"):
            self.same(f"librdkafka reads the same {topic}, {when}", sorted((p, o, k, v) for p, o, _, k, v in out[topic]),
                      sorted(processes.kcat(self.broker, topic)))
        self.same(f"the store equals the recount, {when}", words, self.app.store() or {})

    def aborted(self):
        """Without records of transactions that did not end, at the broker, the kills would show nothing: the run would be worth little."""
        out = self.outputs()
        hidden = {t: len(processes.kcat(self.broker, t, isolation="read_uncommitted")) - len(out[t]) for t in ("counts", "pairs")}
        print(f"# records of aborted transactions: {hidden}")
        self.check("the kills left records of aborted transactions in the output", hidden["counts"] > 0, repr(hidden))

    def changelog(self, fed, when):
        rows = processes.dump(self.broker, "long", [CHANGELOG])
        latest = {key: int(value) for _, _, _, _, key, value in rows}
        self.same(f"the last record of each word in the changelog is its count, {when}", inputs.words(fed), latest)
        return len(rows)

    def compacts(self, fed):
        """The cleaner's turn comes within some seconds."""
        updates, left, deadline = sum(inputs.words(fed).values()), None, time.monotonic() + 60
        while left is None or left > updates * 3 // 4:
            if time.monotonic() > deadline:
                break
            if left is not None:
                time.sleep(3)
            left = len(processes.dump(self.broker, "long", [CHANGELOG]))
        self.check("the changelog is compacted", left <= updates * 3 // 4, f"{left} records of {updates}")
        print(f"# the changelog has {left} records of {updates}")
        self.changelog(fed, "compacted")
        return left

    def restores_compacted(self, fed, left):
        """All that the application has is the changelog that the cleaner left."""
        shutil.rmtree(self.app.state)
        self.start_app()
        self.check("the application runs on the compacted changelog", processes.wait(self.app.running, STUCK), repr(self.app.events[-5:]))
        words = inputs.words(fed)
        restored = sum(n for partition, n in self.app.restored().items() if partition.startswith(CHANGELOG))
        print(f"# restored from the compacted changelog: {restored} records of {len(words)} words")
        self.check("it reads no more than what compaction left", len(words) <= restored <= left, f"{restored} records, {left} were left")
        self.same("the store that was restored from the compacted changelog equals the recount", words, self.app.store() or {})
        self.check("it counts nothing anew", len(self.outputs()["counts"]) == sum(words.values()))
        self.check("the application closes for good", self.app.close())


def _steps(counts):
    """Where a word's counts do not go on by one."""
    return [(i, counts[max(0, i - 2):i + 3]) for i, c in enumerate(counts) if c != i + 1][:3]


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--seed", type=int, default=int(time.time()), help="of the input and of the kills (default: the time)")
    ap.add_argument("--lines", type=int, default=30_000)
    ap.add_argument("--kills", type=int, default=3, help="of the broker, and of the application")
    ap.add_argument("--rate", type=int, default=600, help="records fed a second")
    ap.add_argument("--guarantee", default="exactly_once_v2", help="at_least_once must fail: that is how the checks are tested")
    options = ap.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    jars.fetch(processes.HERE)
    run = checks.Checks()
    print(f"# seed {options.seed}", flush=True)
    broker = brokers.subject(WORK, SETTINGS)
    broker.start()
    session = Session(run, broker, options)
    try:
        session.run_all()
    finally:
        if session.apps and session.app.process.poll() is None:
            session.app.kill9()
        broker.stop()
    run.finish()


if __name__ == "__main__":
    main()
