"""Random scripts of transactional requests, each from its seed: two producers that share a transactional id and one with its own, in both
flows, in an order in which no client would send them; and at the end everything that is open is fenced, and looked at."""

import random

import raw_steps as steps

IDS = {"p": "~i", "q": "~i", "r": "~j"}


def script(seed):
    r = random.Random(seed)
    # Most go by the rules mostly: what is refused leads nowhere.
    wild = r.choice([0.03, 0.1, 0.3])
    new = r.choice([0.0, 0.5, 1.0])
    out = [{"create": "~t", "partitions": 2}, *[steps.init("p")] * 2, *[steps.init("r", id="~j")] * 2, steps.init("q", id="~i")]
    for _ in range(r.randint(10, 40)):
        out += _some(r, wild, new)
    return out + [steps.end_offsets(True)] + [steps.init(who, id=id) for who, id in (("p", "~i"), ("r", "~j"))] + steps.look() + [steps.describe("~i", "~j")]


def _some(r, wild, new):
    who = r.choices("pqr", [5, 2, 3])[0]
    id, tv2, epoch = IDS[who], r.random() < new, "+0"
    if r.random() < wild:
        epoch, id = r.choice([("-1", id), ("+1", id), ("+5", id), ("+0", "~x"), ("+0", "~j" if id == "~i" else "~i")])
    partition = r.randrange(2)
    partitions = {"~t": r.choice([[0], [1], [0, 1]])}
    if r.random() < wild / 3:
        partitions = {"~nope": [0]}
    action = r.choices(["write", "produce", "add", "offsets", "end", "init", "recover", "look", "marker"], [6, 4, 4, 3, 8, 1, 1, 3, 2 * wild])[0]
    if action == "write":
        # What a client would do.
        write = steps.produce(who, partition, 12 if tv2 else 11, id, epoch, topic="~t")
        return [write] if tv2 else [steps.add(who, {"~t": [partition]}, r.choice([0, 2, 3]), id, epoch), write]
    if action == "produce":
        return [steps.produce(who, partition, r.choice([3, 8, 11, 12, 12]), id, epoch, r.choice(["+0"] * 5 + ["+1", "-1", "-2"]))]
    if action == "add":
        v = r.choice([0, 1, 2, 3, 4, 5])
        return [steps.add(who, partitions, v, id, epoch, verify=v >= 4 and r.random() < 0.5)]
    if action == "offsets":
        offsets = {"~t": [(partition, r.randrange(100))]}
        commit = steps.txn_commit(who, offsets, "~g", 5 if tv2 else r.choice([0, 2, 3, 4]), id, epoch)
        return [commit, steps.offsets_of("~g", stable=r.random() < 0.3)] if tv2 or r.random() < wild else [steps.add_offsets(who, "~g", r.choice([0, 2, 3]), id, epoch), commit]
    if action == "end":
        end = steps.end(who, r.random() < 0.6, 5 if tv2 else r.choice([0, 2, 4]), id, epoch)
        return [end] * (2 if r.random() < wild else 1)
    if action == "init":
        return [steps.init(who, r.choice([0, 2, 4, 5]), IDS[who])]
    if action == "recover":
        return [steps.recover(who, r.choice([3, 4, 5]), epoch, id=IDS[who])]
    if action == "marker":
        return [steps.markers((who, epoch, r.random() < 0.5, partitions, 0, 0))]
    return r.choice([[steps.end_offsets(True)], [steps.fetch(partition, True)], [steps.describe("~i", "~j")], [steps.describe_producers()], [steps.listing()]])
