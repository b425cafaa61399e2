"""One broker as the lock-step test of transactions sees it: producers beside what common/sides.py knows.

A step with `bind: "p"` whose answer has a producer id and an epoch tells what `$p.id` and `$p.epoch` are from then on. The records of a
Produce are a text, `rec:p:-1:+0:~t:0:v`: a transactional batch of p's with its epoch less one, the sequence number that is due, for partition 0 of
~t, with the value v. What is due follows from the answers: it starts at 0 in each epoch.
"""

import re
import struct

from compat.common import sides, wire

T0 = 1_700_000_000_000
TIMES = {"TransactionStartTimeMs", "LastTimestamp", "Timestamp", "MaxTimestamp"}
_RECORDS = re.compile(r"rec:(\w+):([+-]\d+):([+-]\d+):(\S+):(\d+):(\w+)")


class Side(sides.Side):
    def forget(self, prefix=""):
        super().forget(prefix)
        self.producer_names, self.due = {}, {}

    def resolve(self, value):
        m = isinstance(value, str) and _RECORDS.fullmatch(value)
        if not m:
            return super().resolve(value)
        who, epoch, sequence, topic, partition, text = m.groups()
        producer, now = self.numbers.get(who + ".id", 7), self.numbers.get(who + ".epoch", 7) + int(epoch)
        due = max(0, self.due.get((producer, now, topic, int(partition)), 0) + int(sequence))
        return wire.transactional_batch(text.encode(), T0, (producer, now, due))

    def unanswered(self, pending):
        self.pending.remove(pending)
        pending.link.socket.close()
        return {"no answer": True}

    def _learn(self, pending):
        super()._learn(pending)
        step, answer = pending.step, pending.answer
        if answer.get("ProducerId", -1) >= 0:
            producer = answer["ProducerId"]
            self.producer_names.setdefault(producer, f"<producer {len(self.producer_names) + 1}>")
            if step.get("bind") and not answer["ErrorCode"]:
                self.numbers[step["bind"] + ".id"], self.numbers[step["bind"] + ".epoch"] = producer, answer["ProducerEpoch"]
        if step["api"] == "Produce" and not answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]:
            who, epoch, sequence, topic, partition, _ = _RECORDS.fullmatch(step["body"]["TopicData"][0]["PartitionData"][0]["Records"]).groups()
            key = self.numbers.get(who + ".id", 7), self.numbers.get(who + ".epoch", 7) + int(epoch), topic, int(partition)
            self.due[key] = max(0, self.due.get(key, 0) + int(sequence)) + 1

    def plain(self, value, key=None):
        if key in ("ProducerId", "producer") and isinstance(value, int):
            return self.producer_names.get(value, value)
        if key in TIMES and value > T0 + 1000:
            return "<time>"
        if key == "Records" and isinstance(value, bytes):
            return [self.plain(b) for b in batches(value)]
        return super().plain(value, key)


def batches(data):
    """What a reader can tell of the batches in an answer to Fetch."""
    out, at = [], 0
    while at + 61 <= len(data):
        offset, length = struct.unpack_from(">qi", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        attributes, _, _, _, producer, epoch, sequence, count = struct.unpack_from(">hiqqqhii", data, at + 21)
        batch = {"offset": offset, "attributes": attributes, "producer": producer, "epoch": epoch, "sequence": sequence, "count": count}
        if attributes & 0x20:
            # One short record: lengths of a byte each. Key: version, type; value: version, coordinator's epoch.
            key, value = data[at + 61 + 5:at + 61 + 9], data[at + 61 + 10:end - 1]
            batch["marker"], batch["value"] = struct.unpack(">hh", key), value
        else:
            batch["bytes"] = data[at + 61:end]
        out.append(batch)
        at = end
    return out
