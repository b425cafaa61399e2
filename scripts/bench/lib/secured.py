"""TLS 1.3 with SCRAM logins and an authorizer: the bytes of records, and new connections."""

import os
import shutil

from compat.common import flood_client
from compat.common import certificates

from . import broker as brokers
from . import measure, process

USER, PASSWORD = "alice", "alice-secret"
AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"


class Door:
    """A broker as librdkafka reaches it over TLS."""

    def __init__(self, broker, port):
        self.bootstrap, self.pids, self.port = f"127.0.0.1:{port}", broker.pids, port


def open_door(b, folder):
    """Starts a broker with a listener for TLS beside its own."""
    port = brokers.free_port()
    own = b.entry["properties"]
    tls = f"SECURED://127.0.0.1:{port}"
    b.wipe({
        "listeners": f"{own['listeners']},{tls}",
        "advertised.listeners": f"{own['advertised.listeners']},{tls}",
        "listener.security.protocol.map": own.get("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT") + ",SECURED:SASL_SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.secured.scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": os.path.join(folder, "server.p12"),
        "ssl.keystore.password": certificates.PASSWORD,
        "ssl.enabled.protocols": "TLSv1.3",
        "authorizer.class.name": AUTHORIZER,
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true",
    }, prepare="prepare_scram")
    b.start()
    return Door(b, port)


def properties(folder):
    """What librdkafka needs."""
    return ["security.protocol=SASL_SSL", "sasl.mechanism=SCRAM-SHA-256", f"sasl.username={USER}", f"sasl.password={PASSWORD}",
            f"ssl.ca.location={os.path.join(folder, 'ca.pem')}"]


def make_certificates(work):
    folder = os.path.join(work, "certificates")
    shutil.rmtree(folder, ignore_errors=True)
    certificates.make(folder)
    return folder


def produce(door, client, folder, topic, count, batch):
    return measure.throughput(door, lambda: client.produce(door, topic, measure.KIB, count, properties=["linger.ms=5", *batch, *properties(folder)]))


def consume(door, client, folder, topic, count):
    wanted = ["queued.min.messages=1000000", "fetch.wait.max.ms=100", *properties(folder)]
    return measure.throughput(door, lambda: client.consume(door, topic, count, wanted))


def logins(door, folder, seconds):
    """Connections with a whole handshake and a SCRAM login, one after the other from four threads."""
    with process.Usage(*door.pids) as used:
        row, why = flood_client.once("logins", "--to", door.bootstrap, "--ca", os.path.join(folder, "ca.pem"), "--user", USER, "--password", PASSWORD,
                                     "--threads", 4, "--seconds", seconds)
    if not row.get("logins"):
        return {"error": why}
    out = {"logins_s": row["per_s"], "cpu_ms_login": used.cpu * 1e3 / row["logins"], "p50_us": row["p50_us"], "p99_us": row["p99_us"], "peak_mb": used.peak_mb}
    return {**out, "error": why} if row["errors"] else out
