#!/usr/bin/env python3
"""A cluster of three nodes that trust only each other, and Kafka's own tools as its clients.

Brokers and clients log in by SCRAM-SHA-512 over TLS, to controllers a certificate is shown. Three nodes of Apache Kafka and
three of Klamm get the same server.properties, but for ports and directories; what the tools say must be the same.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..")]

from common import brokers, certificates, checks, jars, tools  # noqa: E402

SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
CLUSTER = "5L6g3nShT-eMCtK--X86sw"
PASSWORDS = {"node": "node-secret", "admin": "admin-secret", "alice": "alice-secret"}
IDS = (1, 2, 3)
PATIENCE = 90


def login(user, password=None):
    return f'{SCRAM} required username="{user}" password="{password or PASSWORDS[user]}";'


class Node:
    """What a node of either kind gets: the plan has the ports of all."""

    def __init__(self, work, plan, folder, id, trusted="ca"):
        self.plan, self.folder, self.id, self.trusted = plan, folder, id, trusted
        self.name = f"{self.kind}-{id}"
        super().__init__(work)

    def kraft_properties(self):
        folder = self.folder
        everywhere = {
            "process.roles": "broker,controller" if self.id in IDS else "broker",
            "node.id": str(self.id),
            "controller.quorum.voters": ",".join(f"{id}@localhost:{self.plan[id][1]}" for id in IDS),
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "SECURE:SASL_SSL,CONTROLLER:SSL",
            "inter.broker.listener.name": "SECURE",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "listener.name.secure.scram-sha-512.sasl.jaas.config": login("node"),
            # Nodes log in again while this runs.
            "connections.max.reauth.ms": "5000",
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": f"{folder}/node.p12",
            "ssl.keystore.password": certificates.PASSWORD,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": f"{folder}/ca.pem",
            "listener.name.controller.ssl.truststore.location": f"{folder}/{self.trusted}.pem",
            "listener.name.controller.ssl.client.auth": "required",
            "listener.name.controller.ssl.principal.mapping.rules": "RULE:^CN=(.*?),.*$/$1/",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:node;User:admin",
            "offsets.topic.num.partitions": "3",
            "group.initial.rebalance.delay.ms": "0",
            "broker.session.timeout.ms": "6000",
            "broker.heartbeat.interval.ms": "1000",
            "log.dirs": self.data,
        }
        self.port, self.controller_port = self.plan[self.id]
        listeners = [f"SECURE://localhost:{self.port}"]
        if self.id in IDS:
            listeners.append(f"CONTROLLER://localhost:{self.controller_port}")
        return {**everywhere, "listeners": ",".join(listeners), "advertised.listeners": listeners[0]}

    def format(self, argv):
        scram = [part for user, password in PASSWORDS.items()
                 for part in ("--add-scram", f"SCRAM-SHA-512=[name={user},iterations=4096,password={password}]")]
        r = subprocess.run([*argv, "format", "--cluster-id", CLUSTER, "-c", self.properties, *scram],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode != 0:
            raise SystemExit(f"{self.name} was not formatted:\n" + r.stdout.decode(errors="replace"))

    def said(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()


class Kafka(Node, brokers.Kafka):
    kind, heap = "kafka", "320m"

    def _format(self):
        self.format(jars.java("kafka.tools.StorageTool", []))


class Klamm(Node, brokers.Klamm):
    kind = "klamm"

    def __init__(self, *args):
        super().__init__(*args)
        self.format([self.binary, "storage"])


class Session:
    """One cluster, and the tools with the login of somebody."""

    def __init__(self, node, work, folder, java):
        self.node, self.work, self.folder, self.java = node, work, folder, java
        ports = iter([brokers.free_port() for _ in range(8)])
        self.plan = {id: (next(ports), next(ports)) for id in (*IDS, 4)}
        self.nodes = {id: node(work, self.plan, folder, id) for id in IDS}

    @property
    def bootstrap(self):
        return ",".join(f"localhost:{self.plan[id][0]}" for id in IDS)

    def tool(self, name, *args, user="admin", password=None, stdin=""):
        path = os.path.join(self.work, "client.properties")
        with open(path, "w") as f:
            f.write("security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n"
                    f"sasl.jaas.config={login(user, password)}\n"
                    f"ssl.truststore.type=PEM\nssl.truststore.location={self.folder}/ca.pem\n"
                    "default.api.timeout.ms=20000\nrequest.timeout.ms=10000\n")
        return self.java.run(name, ["--bootstrap-server", self.bootstrap, "--command-config", path, *args], stdin=stdin)

    def start(self):
        for node in self.nodes.values():
            node.spawn()
        self.wait("the cluster is there", lambda: len(self.members()) == len(IDS))

    def wait(self, what, until):
        deadline = time.monotonic() + PATIENCE
        while not until():
            for node in self.nodes.values():
                if node.process.poll() is not None and not node.killed:
                    raise SystemExit(f"{node.name} ended:\n{node.log_tail()}")
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {node.name}\n{node.log_tail(1500)}" for node in self.nodes.values())
                raise SystemExit(f"{self.node.kind}: not within {PATIENCE} s: {what}\n{tails}")
            time.sleep(0.2)

    def members(self):
        """The ids of the brokers that clients are told of. No tool is asked before somebody listens."""
        if not any(listens(port) for port, _ in self.plan.values()):
            return []
        said = self.tool("kafka-broker-api-versions").out
        return sorted(int(id) for id in re.findall(r"\(id: (\d+) rack:", said))

    def in_sync(self, topic):
        said = self.tool("kafka-topics", "--describe", "--topic", topic).out
        return [len(isr.split(",")) for isr in re.findall(r"Isr: ([\d,]+)", said)]

    def produce(self, topic, values):
        made = self.tool("kafka-console-producer", "--topic", topic, "--producer-property", "acks=all",
                         stdin="".join(f"{value}\n" for value in values))
        return made.code

    def consume(self, topic, count):
        read = self.tool("kafka-console-consumer", "--topic", topic, "--from-beginning", "--max-messages", str(count),
                         "--timeout-ms", "20000")
        return sorted(int(line) for line in read.out.split() if line.isdigit())

    def stranger(self):
        """A fourth broker, which trusts another authority: the first reason that it gives."""
        node = self.node(self.work, self.plan, self.folder, 4, "stranger")
        node.spawn()
        deadline = time.monotonic() + PATIENCE
        try:
            while "SSL handshake failed" not in node.said():
                if time.monotonic() > deadline:
                    return node.log_tail()
                time.sleep(0.1)
            return "SSL handshake failed"
        finally:
            node.kill9()

    def run(self):
        """What the tools say, by what was asked."""
        said = {}

        def ask(what, result):
            said[what] = (result.code, plain(result.out), errors(result.text()))

        self.start()
        topic = ["--topic", "guarded"]
        ask("create a topic", self.tool("kafka-topics", "--create", *topic, "--partitions", "3", "--replication-factor", "3",
                                        "--config", "min.insync.replicas=2"))
        self.wait("all replicas are in sync", lambda: self.in_sync("guarded") == [3, 3, 3])
        said["produce"] = self.produce("guarded", range(100))
        said["consume"] = self.consume("guarded", 100) == list(range(100))
        ask("credentials", self.tool("kafka-configs", "--describe", "--entity-type", "users", "--entity-name", "node"))
        ask("the quorum", voters(self.tool("kafka-metadata-quorum", "describe", "--status")))
        ask("a wrong password", self.tool("kafka-topics", "--list", user="admin", password="wrong"))
        ask("alice may nothing", self.tool("kafka-topics", "--describe", *topic, user="alice"))
        ask("alice creates a topic", self.tool("kafka-topics", "--create", "--topic", "hers", user="alice"))
        ask("allow alice", self.tool("kafka-acls", "--add", "--allow-principal", "User:alice", "--operation", "All",
                                     "--topic", "her", "--resource-pattern-type", "prefixed"))
        # Sent on to the controller with her name.
        self.wait("alice creates a topic", lambda: self.tool("kafka-topics", "--create", "--if-not-exists", "--topic", "hers",
                                                             user="alice").code == 0)
        ask("alice's topics", self.tool("kafka-topics", "--list", user="alice"))
        said["a stranger"] = self.stranger()
        said["members"] = self.members()

        self.nodes[2].killed = True
        self.nodes[2].kill9()
        said["produce without one"] = self.produce("guarded", range(100, 200))
        said["consume without one"] = self.consume("guarded", 200) == list(range(200))
        self.nodes[2].spawn()
        self.nodes[2].killed = False
        self.wait("all replicas are in sync again", lambda: self.in_sync("guarded") == [3, 3, 3])
        said["members again"] = self.members()
        return said

    def stop(self):
        """All at once: the last ones would have nobody to hand over to."""
        for node in self.nodes.values():
            node.kill9()


def listens(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def plain(text):
    return sorted(line.rstrip() for line in text.splitlines() if line.strip())


def voters(result):
    """Of the status of a quorum, who votes: the rest depends on what happened when."""
    found = re.findall(r"^CurrentVoters:.*$", result.out, re.MULTILINE)
    ids = [",".join(re.findall(r'"id": ?(\d+)', line)) for line in found]
    return tools.Result(result.code, "\n".join(ids), "")


def errors(text):
    """The exceptions that a tool tells of, without the numbers and addresses of a run."""
    return sorted({re.sub(r"\d+", "N", line.split("Exception: ", 1)[1]).strip()
                   for line in text.splitlines() if "Exception: " in line})


def certify(folder):
    os.makedirs(folder)
    certificates.authority(folder, "ca")
    certificates.authority(folder, "stranger")
    certificates.leaf(folder, "node", "/O=Test/CN=node", "DNS:localhost,IP:127.0.0.1")


def main():
    check = checks.Checks()
    work = tempfile.mkdtemp(prefix="compat-security-cluster-")
    java = tools.Tools(os.path.join(work, "tools"))
    try:
        folder = os.path.join(work, "certificates")
        certify(folder)
        outcomes, logs = [], ""
        subject = Kafka if os.environ.get("COMPAT_SUBJECT") == "kafka" else Klamm
        for turn, node in enumerate((Kafka, subject)):
            within = os.path.join(work, str(turn))
            os.makedirs(within)
            session = Session(node, within, folder, java)
            for one in session.nodes.values():
                one.killed = False
            began = time.monotonic()
            outcomes.append(session.run())
            print(f"{node.kind}: {time.monotonic() - began:.0f} s", flush=True)
            logs = "".join(one.said() for one in session.nodes.values())
            session.stop()
        kafka, other = outcomes
        for what, expected in kafka.items():
            check.equal(f"{what}: as on Apache Kafka", expected, other[what])
        for what in ("consume", "consume without one"):
            check.check(f"{what}: everything came", other[what])
        check.equal("all three are members", list(IDS), other["members again"])
        secrets = [*PASSWORDS.values(), certificates.PASSWORD]
        check.check("no secret is in the logs", not any(secret in logs for secret in secrets))
    finally:
        java.close()
        if os.environ.get("KEEP") is None:
            shutil.rmtree(work, ignore_errors=True)
        else:
            print("kept", work)
    check.finish()


if __name__ == "__main__":
    main()
