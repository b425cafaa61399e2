"""What the application gets, made from a seed, and what a one-shot recount of it makes of it."""

import collections
import random

WINDOW = 5_000      # milliseconds of event time between the two sides of a pair, at most
STEP = 50           # milliseconds of event time between two records of a side
KEYS = 150          # keys of the join
LEAD = 600          # how many records the left side is ahead: both sides of a pair are rarely in one transaction


def _vocabulary(rng, size):
    words = set()
    while len(words) < size:
        words.add("".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 9))))
    return sorted(words)


def records(seed, lines, joined, base):
    """The records in the order in which they are fed: (topic, key, timestamp, value). Some words come very often, many rarely."""
    rng = random.Random(seed)
    vocabulary = _vocabulary(rng, 2500)
    weights = list(_cumulated(1 / rank for rank in range(1, len(vocabulary) + 1)))
    text = [("lines", str(n), base + n, " ".join(rng.choices(vocabulary, cum_weights=weights, k=rng.randint(3, 9)))) for n in range(lines)]
    sides = []
    for n in range(joined + LEAD):
        if n < joined:
            sides.append(("left", f"k{rng.randrange(KEYS)}", base + n * STEP, f"L{n}"))
        if n >= LEAD:
            sides.append(("right", f"k{rng.randrange(KEYS)}", base + (n - LEAD) * STEP, f"R{n - LEAD}"))
    # The two sides are spread evenly among the lines.
    out, taken = [], 0
    for n, line in enumerate(text):
        out.append(line)
        upto = (n + 1) * len(sides) // lines
        out.extend(sides[taken:upto])
        taken = upto
    return out


def _cumulated(values):
    total = 0.0
    for v in values:
        total += v
        yield total


def words(fed):
    """{word: how often it comes}"""
    counts = collections.Counter()
    for topic, _, _, value in fed:
        if topic == "lines":
            counts.update(value.split(" "))
    return dict(counts)


def pairs(fed):
    """The pairs that the windowed join must make, sorted."""
    right = collections.defaultdict(list)
    for topic, key, at, value in fed:
        if topic == "right":
            right[key].append((at, value))
    return sorted(f"{value}:{other}" for topic, key, at, value in fed if topic == "left"
                  for when, other in right[key] if abs(when - at) <= WINDOW)
