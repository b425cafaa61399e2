"""Three nodes, each broker and controller, from three ordinary server.properties: of Apache Kafka, or of Klamm."""

import os
import shutil
import subprocess

from compat.common import brokers

CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"
COUNT = 3


class KafkaNode(brokers.Kafka):
    # Three of them share the machine with the tools.
    heap = "384m"
    start_timeout = 180


class KlammNode(brokers.Klamm):
    """The binary, on directories that `klamm storage format` made, as kafka-storage makes Kafka's."""

    start_timeout = 60

    def __init__(self, work, settings, name):
        super().__init__(work, settings, name=name)
        argv = [self.binary, "storage", "format", "--cluster-id", CLUSTER_ID, "-c", self.properties]
        r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode != 0:
            raise SystemExit("klamm storage format failed:\n" + r.stdout.decode(errors="replace"))


class Cluster:
    """Nodes 1 to 3. `nodes[i]` is node i + 1; what runs against "the broker" takes the cluster for one."""

    def __init__(self, kind, name, work, settings):
        self.name, self.work = name, os.path.join(work, name)
        ports = [(brokers.free_port(), brokers.free_port()) for _ in range(COUNT)]
        voters = ",".join(f"{n}@127.0.0.1:{controller}" for n, (_, controller) in enumerate(ports, 1))
        self.kind, self.settings, self.voters, self.nodes = kind, settings, voters, []
        for number, (port, controller) in enumerate(ports, 1):
            own = {
                "node.id": number,
                "broker.rack": f"rack-{number}",
                "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
                **settings,
            }
            node = kind(self.work, own, name=f"{name}-{number}")
            node.port, node.controller_port = port, controller
            self.nodes.append(node)

    def grow(self):
        """One more node, a broker only, with two log directories."""
        number, port = len(self.nodes) + 1, brokers.free_port()
        disks = [os.path.join(self.work, f"disk-{n}") for n in (1, 2)]
        for disk in disks:
            shutil.rmtree(disk, ignore_errors=True)
            shutil.rmtree(disk + "-gone", ignore_errors=True)
        own = {
            **self.settings,
            "process.roles": "broker",
            "node.id": number,
            "controller.quorum.voters": self.voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "log.dirs": ",".join(disks),
        }
        node = self.kind(self.work, own, name=f"{self.name}-{number}")
        node.port, node.disks = port, disks
        self.nodes.append(node)
        return node.start()

    def node(self, number):
        return self.nodes[number - 1]

    @property
    def bootstrap(self):
        return ",".join(node.bootstrap for node in self.nodes)

    @property
    def controllers(self):
        return ",".join(f"127.0.0.1:{node.controller_port}" for node in self.nodes)

    def start(self):
        for node in self.nodes:
            node.spawn()
        for node in self.nodes:
            node.wait_ready()
        return self

    def stop(self):
        """One after the other, so that each can hand over what it leads; the last two have nobody to hand it to."""
        for node in self.nodes:
            try:
                node.stop()
            except SystemExit:
                # A node that asks a quorum which is gone may wait for long; a run that is over does not.
                pass

    def kill9(self):
        for node in self.nodes:
            node.kill9()


def kafka(work, settings, name="kafka"):
    return Cluster(KafkaNode, name, work, settings)


def subject(work, settings):
    """The cluster under test; see brokers.subject."""
    if os.environ.get("COMPAT_SUBJECT") == "kafka":
        return kafka(work, settings, "kafka-again")
    return Cluster(KlammNode, "klamm", work, settings)
