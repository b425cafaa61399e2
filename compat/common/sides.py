"""One broker as the differential test sees it: a pool of connections, requests that may wait for their answer, and the names
that this broker's own ids have in the comparison.

A request is sent on a connection that waits for nothing, as a broker reads no further request from one that does. In a request's
body a text stands for what only the broker knows:

  "~1"           a name of this script's own: no other run of a script meets it
  "$A"           the member id that the step bound to A got
  "$A.gen+1"     its generation, plus one ("gen" of classic members, "epoch" of consumer members and of producers, "id" of producers)
  "#a"           the id of the topic a
  "@A"           the partitions that A was last told to own
  "sub:a,b:A:1"  a classic consumer's subscription to a and b, owning what A was last told to own, in version 1 of its bytes
  "asg:a/0,b/1"  a classic consumer's assignment

An A that nobody bound is "nobody-A", its numbers are 7 and it owns nothing: a script with steps left out still runs.
"""

import base64

import re
import select
import socket
import struct
import time
import uuid

from . import subscription

_REFERENCE = re.compile(r"\$(\w+)(?:\.(gen|epoch|id)([+-]\d+)?)?")

# A member id that the broker made up and no answer gave yet: the client's id (or the instance id) and a UUID.
_UNNAMED = re.compile(r"(\w+)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Pending:
    """A request that was sent: `answer` is None until it came, `error` when it is no answer at all."""

    def __init__(self, step, link):
        self.step, self.link, self.answer, self.began = step, link, None, time.monotonic()


class Link:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def frame(self):
        """Reads once; the next whole frame, None when there is none yet, b"" when the broker closed the connection."""
        try:
            piece = self.socket.recv(1 << 20)
        except ConnectionError:
            piece = b""
        if not piece:
            return b""
        self.buffer += piece
        if len(self.buffer) < 4:
            return None
        size = struct.unpack_from(">i", self.buffer)[0]
        if len(self.buffer) < 4 + size:
            return None
        out, self.buffer = self.buffer[4:4 + size], self.buffer[4 + size:]
        return out


class Side:
    def __init__(self, name, broker, schemas):
        self.name, self.broker, self.schemas = name, broker, schemas
        self.idle, self.correlation = [], 0
        self.topic_ids = {}
        self.forget()

    def forget(self, prefix=""):
        """A new script begins: no names, nothing awaited."""
        for pending in getattr(self, "pending", []):
            pending.link.socket.close()
        self.pending, self.members, self.numbers, self.owned, self.names = [], {}, {}, {}, {}
        self.prefix = prefix

    def resolve(self, value):
        """A body with what its texts stand for on this side."""
        if isinstance(value, dict):
            return {k: self.resolve(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.resolve(v) for v in value]
        if not isinstance(value, str):
            return value
        if value.startswith("~"):
            return self.prefix + value[1:]
        if value.startswith("#"):
            return self.topic_ids.get(self.resolve(value[1:]), uuid.UUID(int=sum(map(ord, value))))
        if value.startswith("@"):
            return [o for o in self.owned.get(value[1:], []) if isinstance(o, dict)]
        if value.startswith("sub:"):
            _, topics, owner, version = value.split(":")
            owned = [o for o in self.owned.get(owner, []) if isinstance(o, tuple)]
            return subscription.subscribe([self.resolve(t) for t in topics.split(",") if t], owned, int(version))
        if value.startswith("asg:"):
            return subscription.assign([(self.resolve(t), int(p)) for t, p in (x.split("/") for x in value[4:].split(",") if x)])
        m = _REFERENCE.fullmatch(value)
        if not m:
            return value
        name, number, more = m.groups()
        if number is None:
            return self.members.get(name, f"nobody-{name}")
        return self.numbers.get(f"{name}.{number}", 7) + int(more or 0)

    def send(self, step):
        link = self.idle.pop() if self.idle else Link(self.broker.port)
        self.correlation += 1
        frame = self.schemas.frame(step["api"], step["v"], self.correlation, step.get("client", "client"), self.resolve(step["body"]))
        pending = Pending(step, link)
        self.pending.append(pending)
        try:
            link.socket.sendall(frame)
        except ConnectionError:
            pass
        return pending

    def receive(self, timeout):
        """The requests that got their answers within `timeout` seconds (returns at the first)."""
        waiting = {p.link.socket: p for p in self.pending}
        if not waiting:
            return []
        ready, _, _ = select.select(list(waiting), [], [], timeout)
        out = []
        for s in ready:
            pending = waiting[s]
            frame = pending.link.frame()
            if frame is None:
                continue
            self.pending.remove(pending)
            out.append(pending)
            if frame == b"":
                pending.answer = {"closed": True}
                s.close()
                continue
            self.idle.append(pending.link)
            try:
                pending.answer = self.schemas.answer(pending.step["api"], pending.step["v"], frame)
            except (ValueError, struct.error) as e:
                pending.answer = {"unreadable": str(e), "bytes": frame[4:]}
                continue
            self._learn(pending)
        return out

    def call(self, api, version, body, timeout=30):
        """One request and its answer, when nothing else is waited for."""
        return self.ask({"api": api, "v": version, "body": body}, timeout)

    def ask(self, step, timeout=30):
        """The answer to a step, when nothing else is waited for."""
        pending = self.send(step)
        deadline = time.monotonic() + timeout
        while pending.answer is None:
            if time.monotonic() > deadline:
                return self.unanswered(pending)
            self.receive(1)
        return pending.answer

    def unanswered(self, pending):
        raise SystemExit(f"{self.name} gave no answer to {pending.step}\n{self.broker.log_tail()}")

    def _learn(self, pending):
        """What later steps refer to: member ids, generations, epochs, owned partitions."""
        step, answer = pending.step, pending.answer
        member, name = answer.get("MemberId"), step.get("bind")
        if member and step["api"] in ("JoinGroup", "ConsumerGroupHeartbeat"):
            self._name(member, name)
            if name:
                self.members[name] = member
        if not name:
            return
        if step["api"] == "JoinGroup" and not answer["ErrorCode"]:
            self.numbers[name + ".gen"] = answer["GenerationId"]
        if step["api"] in ("ConsumerGroupHeartbeat", "ShareGroupHeartbeat") and not answer["ErrorCode"]:
            self.numbers[name + ".epoch"] = answer["MemberEpoch"]
            if answer["Assignment"] is not None:
                self.owned[name] = answer["Assignment"]["TopicPartitions"]
        if step["api"] == "SyncGroup" and not answer["ErrorCode"]:
            self.owned[name] = subscription.assigned(answer["Assignment"])

    def _name(self, member, bound):
        """An id that the broker made up is named after what the step bound it to, and which of them it is."""
        if re.search(r"[\w-]{22}$", member) and member not in self.names:
            same = sum(n.startswith(f"<{bound} ") for n in self.names.values())
            self.names[member] = f"<{bound} {same + 1}>"

    # What the comparison sees.

    def plain(self, value, key=None):
        """An answer in the words that both sides share, in an order where the protocol has none."""
        if isinstance(value, dict):
            return {k: self.plain(v, k) for k, v in value.items()}
        if isinstance(value, list):
            out = [self.plain(v) for v in value]
            return sorted(out, key=repr) if key in _SETS else out
        if isinstance(value, uuid.UUID):
            return next((f"#{self.plain(n)}" for n, i in self.topic_ids.items() if i == value), str(value))
        if isinstance(value, str):
            for member, name in self.names.items():
                value = value.replace(member, name)
            value = _UNNAMED.sub(r"<\1 ?>", value)
            for topic, made in self.topic_ids.items():
                value = value.replace(_base64(made), "#" + topic).replace(str(made), "#" + topic)
            value = value.replace(self.prefix, "~") if self.prefix else value
            if key == "Host":
                return "<host>"
            return value
        if isinstance(value, bytes) and key in ("Assignment", "MemberAssignment"):
            pairs = subscription.assigned(value)
            # The topics of an assignment that the coordinator made have no order.
            return (value[:2], sorted(pairs), len(value)) if pairs else value
        if key == "Port" and value > 0:
            return "<port>"
        return value


# Lists that have no order.
_SETS = {"Members", "Groups", "TopicPartitions", "Topics", "Partitions", "SubscribedTopicNames", "Results", "Coordinators",
         "TransactionStates", "ActiveProducers", "ResultsByTransaction", "ResultsByTopicV3AndBelow", "TopicResults", "ResultsByPartition"}


def _base64(made):
    return base64.urlsafe_b64encode(made.bytes).decode().rstrip("=")
