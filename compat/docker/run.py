"""`docker run` and what has to hold after it, with kcat on the host and in a sibling container; then compose files as Kafka's.

Arguments: the examples to run, as `single-node/ssl`, and nothing else."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common.checks import Checks  # noqa: E402

from common.paths import klamm_bin  # noqa: E402

import examples  # noqa: E402
from engine import Engine, sh, until  # noqa: E402

IMAGE, CLIENT = "klamm-under-test", "klamm-test-kcat"
# apache/kafka's single-node example says this.
EXAMPLE = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
    "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT_HOST://localhost:9092,PLAINTEXT://broker:19092",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@broker:29093",
    "KAFKA_LISTENERS": "CONTROLLER://:29093,PLAINTEXT_HOST://:9092,PLAINTEXT://:19092",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "CLUSTER_ID": "4L6g3nShT-eMCtK--X86sw",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_LOG_DIRS": "/tmp/kraft-combined-logs",
}


def env(variables):
    return [item for name, value in variables.items() for item in ("-e", f"{name}={value}")]


def kcat(*args, stdin=None):
    return sh("kcat", *args, check=False, input=stdin, timeout=60)


def serves(port):
    return until("an answer", lambda: kcat("-b", f"localhost:{port}", "-L", "-m", "1").returncode == 0)


def brokers(listing):
    return [line.split()[3] for line in listing.splitlines() if line.startswith("  broker ")]


def answered(port, began, seconds=30):
    """Milliseconds from `began` to the first answer to ApiVersions."""
    request = bytes.fromhex("0000000a" "0012" "0000" "00000001" "ffff")
    while time.monotonic() - began < seconds:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
                client.sendall(request)
                # Docker's proxy takes connections before the broker does.
                if len(client.recv(8)) == 8:
                    return (time.monotonic() - began) * 1000
        except OSError:
            pass
        time.sleep(0.001)
    raise RuntimeError(f"nobody answered on port {port} within {seconds} s")


def median(of, times=5):
    return sorted(of() for _ in range(times))[times // 2]


class Run:
    def __init__(self, engine, checks):
        self.engine, self.checks = engine, checks

    def sibling(self, *args, network=()):
        """kcat in a container of its own. The image's binary is kcat, under the name under which the script put it."""
        return sh("docker", "run", "--rm", *network, CLIENT, "klamm", *args, check=False)

    def shape(self, size):
        about = self.engine.inspect(IMAGE)["Config"]
        check = self.checks
        print(f"     the image takes {size / 1e6:.1f} MB")
        # The aim is 20 MB. Consensus, the nodes' own clients, the doctor and share groups took the program from 14 to 20 MB.
        check.check("the image takes less than 27 MB", size < 27_000_000, size)
        check.check("its user is not root", about["User"] not in ("", "root", "0"), about["User"])
        check.check("no entrypoint swallows a command", not about.get("Entrypoint"), about.get("Entrypoint"))
        check.equal("the broker's own binary says whether it is healthy", ["CMD", "klamm", "health"], about["Healthcheck"]["Test"])
        volumes = ["/etc/kafka/secrets", "/mnt/shared/config", "/var/lib/kafka/data"]
        check.equal("the volumes are apache/kafka's", volumes, sorted(about["Volumes"]))
        tools = "for t in sh bash env sleep chmod hostname sed awk grep cat nc kafka-storage; do command -v $t >/dev/null || echo $t; done"
        check.equal("what start scripts call is there", "", sh("docker", "run", "--rm", IMAGE, "sh", "-c", tools).stdout)
        writable = "touch /opt/kafka/t /tmp/t /mnt/shared/config/t /var/lib/kafka/data/t && echo fine"
        check.equal("where they write is the user's", "fine\n", sh("docker", "run", "--rm", IMAGE, "sh", "-c", writable).stdout)

    def start(self, work):
        """How long a start takes, in a container and without one. Printed, not checked: other programs run here too."""
        def contained():
            began = time.monotonic()
            broker = self.engine.run(IMAGE, args=["-p", "9092:9092"])
            took = answered(9092, began)
            self.engine.remove(broker)
            return took

        def listed():
            began = time.monotonic()
            broker = self.engine.run(IMAGE, args=["-p", "9092:9092"])
            while kcat("-b", "localhost:9092", "-L").returncode != 0:
                pass
            took = (time.monotonic() - began) * 1000
            self.engine.remove(broker)
            return took

        def alone():
            data = tempfile.mkdtemp(dir=work)
            command = [klamm_bin(), "--data-dir", f"{data}/data", "--listen", "127.0.0.1:19095", "--set", "admin.listener="]
            began = time.monotonic()
            broker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                return answered(19095, began)
            finally:
                broker.terminate()
                broker.wait(timeout=30)

        def nothing():
            began = time.monotonic()
            sh("docker", "run", "--rm", "-p", "9092:9092", IMAGE, "true")
            return (time.monotonic() - began) * 1000

        print(f"     to the first ApiVersions answer, median of 5: docker run {median(contained):.0f} ms, the broker alone "
              f"{median(alone):.1f} ms; docker run to what kcat -L prints {median(listed):.0f} ms; docker run of nothing, to its end, "
              f"{median(nothing):.0f} ms; {os.getloadavg()[0]:.1f} programs were running on {os.cpu_count()} cores")

    def nothing_set(self):
        check, engine = self.checks, self.engine
        volume = engine.volume("klamm-test-data")
        began = time.monotonic()
        broker = engine.run(IMAGE, args=["-p", "9092:9092", "-v", f"{volume}:/var/lib/kafka/data", "-e", "KLAMM_CREATE_TOPICS=ready:3 kept"])
        serves(9092)
        print(f"     docker run to the first answer: {(time.monotonic() - began) * 1000:.0f} ms")
        listing = kcat("-b", "localhost:9092", "-L").stdout
        check.equal("a client on the host is told localhost", ["localhost:9092"], brokers(listing))
        check.check("topics of KLAMM_CREATE_TOPICS are there", 'topic "ready" with 3 partitions' in listing, listing)
        kcat("-b", "localhost:9092", "-P", "-t", "kept", stdin="from the host\n")
        at = engine.address(broker)
        listing = self.sibling("-b", f"{at}:9092", "-L").stdout
        check.equal("a sibling is told the address it used", [f"{at}:9092"], brokers(listing))
        read = self.sibling("-b", f"{at}:9092", "-C", "-t", "kept", "-e", "-q", "-o", "beginning").stdout
        check.equal("and reads what the host wrote", "from the host\n", read)
        network = engine.network("klamm-test-net")
        sh("docker", "network", "connect", "--alias", "broker", network, broker)
        read = self.sibling("-b", "broker:9092", "-C", "-t", "kept", "-e", "-q", "-o", "beginning", network=["--network", network]).stdout
        check.equal("so does a sibling by name on another network", "from the host\n", read)
        out, _ = engine.logs(broker)
        for line in ("Transitioning from RECOVERY to RUNNING", "Kafka Server started", "[KafkaServer id=1] started"):
            check.equal(f"stdout says once: {line}", 1, out.count(line))
        healthy = until("healthy", lambda: engine.inspect(broker)["State"]["Health"]["Status"] == "healthy")
        check.check("the container becomes healthy", healthy, engine.inspect(broker)["State"]["Health"])
        began = time.monotonic()
        sh("docker", "stop", "-t", "5", broker)
        print(f"     docker stop: {(time.monotonic() - began) * 1000:.0f} ms")
        check.equal("docker stop ends it cleanly", 0, engine.inspect(broker)["State"]["ExitCode"])
        engine.remove(broker)
        again = engine.run(IMAGE, args=["-p", "9092:9092", "-v", f"{volume}:/var/lib/kafka/data", "-e", "KLAMM_CREATE_TOPICS=ready:3 kept"])
        serves(9092)
        read = kcat("-b", "localhost:9092", "-C", "-t", "kept", "-e", "-q", "-o", "beginning").stdout
        check.equal("the volume keeps what was written, and topics that exist are no fault", "from the host\n", read)
        engine.remove(again)

    def other_ports(self):
        check, engine = self.checks, self.engine
        broker = engine.run(IMAGE, args=["-p", "19092:9092", "-e", "KAFKA_ADVERTISED_PORT=19092"])
        serves(19092)
        check.equal("the published port is told if it is another", ["localhost:19092"], brokers(kcat("-b", "localhost:19092", "-L").stdout))
        at = engine.address(broker)
        check.equal("but not to siblings", [f"{at}:9092"], brokers(self.sibling("-b", f"{at}:9092", "-L").stdout))
        engine.remove(broker)
        broker = engine.run(IMAGE, args=["-p", "9092:7", "-e", "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://elsewhere:7"])
        until("an answer", lambda: brokers(kcat("-b", "localhost:9092", "-L", "-m", "1").stdout))
        check.equal("advertised.listeners switches all that off", ["elsewhere:7"], brokers(kcat("-b", "localhost:9092", "-L", "-m", "2").stdout))
        engine.remove(broker)

    def as_apache_kafka(self, work):
        check, engine = self.checks, self.engine
        broker = engine.run(IMAGE, args=["-p", "9092:9092", "--hostname", "broker", *env(EXAMPLE)])
        serves(9092)
        listing = kcat("-b", "localhost:9092", "-L").stdout
        check.equal("apache/kafka's single-node example answers as it says", ["localhost:9092"], brokers(listing))
        kept = sh("docker", "exec", broker, "cat", "/tmp/kraft-combined-logs/meta.properties").stdout
        check.check("with its cluster id, in its directory", "cluster.id=4L6g3nShT-eMCtK--X86sw" in kept, kept)
        engine.remove(broker)
        (work / "server.properties").write_text("listeners=PLAINTEXT://:9092\nlog.dirs=/tmp/mounted\nnum.partitions=7\n")
        mounted = ["-v", f"{work}:/mnt/shared/config:ro", "-e", "KAFKA_NUM_PARTITIONS=5"]
        broker = engine.run(IMAGE, args=["-p", "9092:9092", *mounted])
        serves(9092)
        kcat("-b", "localhost:9092", "-P", "-t", "made", stdin="x\n")
        listing = kcat("-b", "localhost:9092", "-L", "-t", "made").stdout
        check.check("a mounted server.properties is used, the environment over it", "with 5 partitions" in listing, listing)
        kept = sh("docker", "exec", broker, "ls", "/tmp/mounted").stdout
        check.check("its directories too", "made-4" in kept, kept)
        engine.remove(broker)

    def refused(self, name, says, *args):
        container = self.engine.run(IMAGE, args=list(args))
        until("the end", lambda: not self.engine.inspect(container)["State"]["Running"])
        state = self.engine.inspect(container)["State"]
        _, err = self.engine.logs(container)
        lines = [line for line in err.splitlines() if line.startswith("klamm: ")]
        good = state["ExitCode"] == 1 and len(lines) == 1 and all(word in lines[0] for word in says)
        self.checks.check(f"{name}: one sentence and exit code 1", good, (state["ExitCode"], err[-1500:]))
        self.engine.remove(container)

    def bad_input(self, work):
        locked = work / "locked"
        locked.mkdir(mode=0o555)
        self.refused("a volume that is not writable", ["/var/lib/kafka/data"], "-v", f"{locked}:/var/lib/kafka/data")
        volume = self.engine.volume("klamm-test-other")
        first = self.engine.run(IMAGE, args=["-v", f"{volume}:/var/lib/kafka/data", "-e", "CLUSTER_ID=4L6g3nShT-eMCtK--X86sw"])
        until("its lines", lambda: "Kafka Server started" in self.engine.logs(first)[0])
        sh("docker", "stop", "-t", "5", first)
        other = ["-v", f"{volume}:/var/lib/kafka/data", "-e", "CLUSTER_ID=5L6g3nShT-eMCtK--X86sw"]
        self.refused("the cluster id of another volume", ["4L6g3nShT-eMCtK--X86sw", "5L6g3nShT-eMCtK--X86sw"], *other)
        self.refused("listeners that contradict each other", ["INSIDE"], "-e", "KAFKA_LISTENERS=INSIDE://:9092")
        self.refused("a value that is none", ["KAFKA_NUM_PARTITIONS"], "-e", "KAFKA_NUM_PARTITIONS=many")
        # On the host's network, where others may have the admin port.
        alone = ["--network", "host", "-e", "KAFKA_LISTENERS=PLAINTEXT://:19093", "-e", "KAFKA_ADMIN_LISTENER="]
        taken = self.engine.run(IMAGE, args=alone)
        until("its lines", lambda: "Kafka Server started" in self.engine.logs(taken)[0])
        self.refused("a port in use", ["19093"], *alone)
        self.engine.remove(taken)
        odd = self.engine.run(IMAGE, args=["-e", "KAFKA_NUM_PARTITIONZ=3"])
        until("its lines", lambda: "Kafka Server started" in self.engine.logs(odd)[0])
        out, err = self.engine.logs(odd)
        self.checks.check("a variable that nobody knows is named in a warning", "num.partitionz" in out + err, err[-800:])
        self.engine.remove(odd)


def main():
    checks = Checks()
    work = Path(tempfile.mkdtemp(prefix="klamm-docker-"))
    work.chmod(0o755)
    engine = Engine(work / "engine")
    try:
        size = engine.build(IMAGE, klamm_bin())
        wanted = sys.argv[1:]
        if not wanted:
            engine.build(CLIENT, shutil.which("kcat"))
            run = Run(engine, checks)
            run.shape(size)
            run.start(work)
            run.nothing_set()
            run.other_ports()
            run.as_apache_kafka(work)
            run.bad_input(work)
        examples.run(checks, IMAGE, work, wanted)
    finally:
        engine.close()
        shutil.rmtree(work, ignore_errors=True)
    checks.finish()


main()
