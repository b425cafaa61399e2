"""Several nodes of one broker as a cluster, every partition on all of them, and what is measured of it."""

import json
import signal
import threading
import time

from compat.common import wire

from . import broker as brokers
from . import measure, process

NODES = 3


class Cluster:
    """As a `broker.Broker`: `cluster` of its entry has the properties of a node, with `{id}` and `{voters}`."""

    def __init__(self, entry, places):
        self.name, self.cannot = entry["name"], set()
        own = {key: value for key, value in entry.items() if key not in ("cluster", "properties")}
        self.nodes = [brokers.Broker({**own, **entry["cluster"], "name": f"{self.name}-{n}"}, {**places, "id": n})
                      for n in range(1, NODES + 1)]

    def wipe(self):
        for node in self.nodes:
            node.build()
            node.port, node.controller_port = brokers.free_port(), brokers.free_port()
        voters = ",".join(f"{node.places['id']}@127.0.0.1:{node.controller_port}" for node in self.nodes)
        for node in self.nodes:
            node.places["voters"] = voters
            node.make_ready()

    def start(self):
        """Until every node is there for clients; returns seconds."""
        began = time.monotonic()
        at = [node.spawn() for node in self.nodes]
        for node, spawned in zip(self.nodes, at):
            node.answers(spawned)
        self.in_sync({}, nodes=NODES)
        return time.monotonic() - began

    @property
    def port(self):
        return self.nodes[0].port

    @property
    def pids(self):
        return [node.pid for node in self.nodes]

    @property
    def apis(self):
        return self.nodes[0].apis

    @property
    def bootstrap(self):
        return ",".join(node.bootstrap for node in self.nodes)

    def stop(self):
        threads = [threading.Thread(target=node.stop) for node in self.nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def remove(self):
        self.stop()
        for node in self.nodes:
            node.remove()

    def create(self, topics, partitions=1):
        """Creates topics on all nodes and waits until every replica is in sync; returns seconds."""
        began = time.monotonic()
        with wire.Connection(self.port) as c:
            for name, error in c.create_topics(topics, partitions, replicas=NODES).items():
                if error:
                    raise SystemExit(f"{self.name}: CreateTopics {name}: error {error}")
        self.in_sync(dict.fromkeys(topics, partitions))
        return time.monotonic() - began

    def in_sync(self, want, nodes=None, timeout=300):
        """Until every node shows a leader and all replicas in sync for each of {topic: partitions}; `nodes`: and a new topic can be on so
        many of them."""
        deadline = time.monotonic() + timeout
        for node in self.nodes:
            while True:
                with wire.Connection(node.port) as c:
                    if nodes:
                        # A topic on every node can be made once every node is let in.
                        done = set(c.create_topics(["everywhere"], 1, replicas=nodes).values()) <= {0, 36}
                    else:
                        known = c.topics(list(want))
                        done = all(len(known.get(t, ())) == n and all(p[2] >= 0 and len(p[4]) == NODES for p in known[t]) for t, n in want.items())
                if done:
                    break
                if time.monotonic() > deadline:
                    raise SystemExit(f"{self.name}: {want or 'the nodes'} not in sync after {timeout} s")
                time.sleep(0.01)

    def delete(self, topics):
        """Until no node knows the topics; returns seconds."""
        began = time.monotonic()
        with wire.Connection(self.port) as c:
            for name, error in c.delete_topics(topics).items():
                if error:
                    raise SystemExit(f"{self.name}: DeleteTopics {name}: error {error}")
        for node in self.nodes:
            with wire.Connection(node.port) as c:
                while c.topics(topics):
                    time.sleep(0.01)
        return time.monotonic() - began

    def memory(self):
        """The largest node's."""
        return max(process.memory_mb(pid) for pid in self.pids)


def load(path, places, only):
    """The clusters of a configuration file that can be had here."""
    with open(path) as f:
        entries = [entry for entry in json.load(f) if "cluster" in entry and (not only or entry["name"] in only)]
    return [Cluster(entry, places) for entry in entries]


class Writers:
    """One record at a time to every partition of a topic, from one thread for each node that leads, and the times at which each
    was acknowledged. What fails is sent again where Metadata says."""

    def __init__(self, cluster, topic, partitions):
        self.cluster, self.topic, self.partitions = cluster, topic, partitions
        self.acknowledged = {p: [] for p in range(partitions)}  # (sent, answered)
        self.leaders, self.stopping, self.dead = {}, False, set()
        self.batch = wire.batch_of_one(b"x" * 100, int(time.time() * 1000))
        self._look(cluster.nodes[0])
        self.threads = [threading.Thread(target=self._look_on, daemon=True)]
        self.threads += [threading.Thread(target=self._write, args=(n + 1, node), daemon=True) for n, node in enumerate(cluster.nodes)]
        for thread in self.threads:
            thread.start()

    def _look(self, node, connection=None):
        c = connection or wire.Connection(node.port, timeout=5)
        for error, partition, leader, *_ in c.topics([self.topic]).get(self.topic, ()):
            self.leaders[partition] = leader
        return c

    def _look_on(self):
        open_ = {}
        while not self.stopping:
            for n, node in enumerate(self.cluster.nodes):
                if n + 1 in self.dead:
                    continue
                try:
                    open_[n] = self._look(node, open_.get(n))
                    break
                except OSError:
                    open_.pop(n, None)
            time.sleep(0.02)

    def _write(self, node_id, node):
        connection = None
        while not self.stopping:
            mine = [p for p, leader in list(self.leaders.items()) if leader == node_id]
            if not mine or node_id in self.dead:
                time.sleep(0.01)
                continue
            sent = time.monotonic()
            try:
                connection = connection or wire.Connection(node.port, timeout=40)
                errors = wire.produce_errors(connection.call(wire.PRODUCE, 3, wire.produce_many(self.topic, dict.fromkeys(mine, self.batch))))
            except OSError:
                connection = None
                time.sleep(0.01)
                continue
            now = time.monotonic()
            for partition, error in errors.items():
                if not error:
                    self.acknowledged[partition].append((sent, now))
            time.sleep(0.01)

    def first_after(self, moment):
        """For each partition, when a record that was sent after `moment` was acknowledged first; None for one that has not been."""
        return [next((answered for sent, answered in acks if sent >= moment), None) for acks in self.acknowledged.values()]

    def longest_gap(self, since):
        """The longest time in which some partition acknowledged nothing, from the last acknowledgement before `since`."""
        longest = 0.0
        for acks in self.acknowledged.values():
            before = [answered for _, answered in acks if answered < since]
            times = ([max(before)] if before else [since]) + sorted(answered for _, answered in acks if answered >= since)
            longest = max([longest] + [b - a for a, b in zip(times, times[1:])])
        return longest

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(45)


def failover(cluster, victim, how, partitions, timeout=120):
    """kill -9 of a node: seconds to the first acknowledged write on every partition. SIGTERM: the longest time in which a partition
    acknowledged nothing, and how long the node took to end."""
    node, node_id = cluster.nodes[victim], victim + 1
    writers = Writers(cluster, "failover", partitions)
    time.sleep(2)
    row, moment = {}, time.monotonic()
    if how == "killed":
        writers.dead.add(node_id)
        node.process.send_signal(signal.SIGKILL)
        node.process.wait()
        while None in writers.first_after(moment):
            if time.monotonic() - moment > timeout:
                row["error"] = f"{writers.first_after(moment).count(None)} partitions take no record after {timeout} s"
                break
            time.sleep(0.02)
        else:
            row["failover_ms"] = (max(writers.first_after(moment)) - moment) * 1e3
    else:
        row["stop_ms"] = node.stop() * 1e3
        writers.dead.add(node_id)
        time.sleep(3)
        row["gap_ms"] = writers.longest_gap(moment) * 1e3
    writers.stop()
    node.answers(node.spawn())
    cluster.in_sync({"failover": partitions})
    return row


def topics(cluster, partitions):
    """Creating and deleting a topic of so many partitions, and what a node holds in memory before and meanwhile."""
    row = {"empty_mb": cluster.memory()}
    row["create_s"] = cluster.create(["many"], partitions)
    row["many_mb"] = cluster.memory()
    row["delete_s"] = cluster.delete(["many"])
    return row


def replicas(cluster, count):
    """What a node holds with so many replicas."""
    names = [f"crowd-{n}" for n in range(count // 1000)]
    began = time.monotonic()
    for name in names:
        cluster.create([name], 1000)
    time.sleep(5)
    row = {"create_s": time.monotonic() - began - 5, "many_mb": cluster.memory()}
    before, moment = sum(process.cpu_seconds(pid) for pid in cluster.pids), time.monotonic()
    time.sleep(5)
    row["idle_cpu_ms_s"] = (sum(process.cpu_seconds(pid) for pid in cluster.pids) - before) * 1e3 / (time.monotonic() - moment)
    return row


def throughput(cluster, librdkafka, topic, megabytes):
    count = int(megabytes * 1e6 / measure.KIB)
    cluster.create([topic])
    return measure.throughput(cluster, lambda: librdkafka.produce(cluster, topic, measure.KIB, count, properties=["linger.ms=5"]))
