#!/usr/bin/env python3
"""TLS and SASL with kcat and Apache Kafka's own tools, each mechanism alone and over TLS, and mutual TLS.

Apache Kafka and Klamm are started from the same settings, and each client does the same to both. What succeeds on one must
succeed on the other, and what fails must fail with the same error where the client tells it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from common import certificates, checks, secured, tools  # noqa: E402
from common.secured import OAUTH, PLAIN, SCRAM  # noqa: E402

SECRET = "alice-secret"
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


LISTENERS = {"SASL": "SASL_PLAINTEXT", "SASLTLS": "SASL_SSL", "MTLS": "SSL", "EXPIRED": "SSL", "ELSEWHERE": "SSL"}
# How much of a failed handshake librdkafka logs before it gives up is a race of its own threads.
TRIES = 2


def settings(folder):
    """The part of server.properties that is the same for both."""
    here = {
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        **secured.tls(folder),
        "listener.name.expired.ssl.keystore.location": f"{folder}/expired.p12",
        "listener.name.expired.ssl.client.auth": "none",
        "listener.name.elsewhere.ssl.keystore.location": f"{folder}/elsewhere.p12",
        "listener.name.elsewhere.ssl.client.auth": "none",
        "listener.name.sasltls.ssl.keystore.type": "JKS",
        "listener.name.sasltls.ssl.keystore.location": f"{folder}/server.jks",
    }
    for listener in ("sasl", "sasltls"):
        prefix = f"listener.name.{listener}"
        here[f"{prefix}.plain.sasl.jaas.config"] = f'{PLAIN} required user_alice="{SECRET}";'
        here[f"{prefix}.scram-sha-256.sasl.jaas.config"] = f"{SCRAM} required;"
        here[f"{prefix}.scram-sha-512.sasl.jaas.config"] = f"{SCRAM} required;"
        here[f"{prefix}.oauthbearer.sasl.jaas.config"] = f"{OAUTH} required;"
    return here


def java_login(mechanism, secret):
    if mechanism == "OAUTHBEARER":
        return f'{OAUTH} required unsecuredLoginStringClaim_sub="alice";'
    module = PLAIN if mechanism == "PLAIN" else SCRAM
    return f'{module} required username="alice" password="{secret}";'


def java_sasl(folder, mechanism, over_tls, secret=SECRET):
    config = {
        "security.protocol": "SASL_SSL" if over_tls else "SASL_PLAINTEXT",
        "sasl.mechanism": mechanism,
        "sasl.jaas.config": java_login(mechanism, secret),
    }
    return {**config, **trust(folder)} if over_tls else config


def trust(folder):
    return {
        "ssl.truststore.type": "PKCS12",
        "ssl.truststore.location": f"{folder}/trust.p12",
        "ssl.truststore.password": certificates.PASSWORD,
    }


def java_tls(folder, client=None):
    config = {"security.protocol": "SSL", **trust(folder)}
    if client:
        config |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": f"{folder}/{client}.all.pem",
            "ssl.key.password": certificates.PASSWORD,
        }
    return config


def kcat_options(folder, config):
    """The same login in librdkafka's words."""
    options = {"security.protocol": config["security.protocol"]}
    mechanism = config.get("sasl.mechanism")
    if mechanism:
        options["sasl.mechanism"] = mechanism
        if mechanism == "OAUTHBEARER":
            options |= {"enable.sasl.oauthbearer.unsecure.jwt": "true", "sasl.oauthbearer.config": "principal=alice"}
        else:
            secret = re.search(r'password="([^"]*)"', config["sasl.jaas.config"]).group(1)
            options |= {"sasl.username": "alice", "sasl.password": secret}
    if "SSL" in config["security.protocol"]:
        options["ssl.ca.location"] = f"{folder}/ca.pem"
    if "ssl.keystore.location" in config:
        client = config["ssl.keystore.location"].removesuffix(".all.pem")
        options |= {"ssl.certificate.location": f"{client}.pem", "ssl.key.location": f"{client}.key"}
    return [argument for name, value in options.items() for argument in ("-X", f"{name}={value}")]


def kcat_version():
    text = subprocess.run(["kcat", "-V"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()
    found = re.search(r"librdkafka (\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else (0, 0)


# Errors that are one error in every run, whatever the client puts around them.
TOLD = [
    "Authentication failed: Invalid username or password",
    "due to invalid credentials with SASL mechanism SCRAM-SHA-256",
    "due to invalid credentials with SASL mechanism SCRAM-SHA-512",
    "Unsupported SASL mechanism",
    "is not enabled in the server",
    "SSL handshake failed",
    "Failed to process post-handshake messages",
    "certificate has expired",
    "certificate verify failed",
    "No subject alternative DNS name matching localhost found",
    "No subject alternative names matching",
    "certificate expired",
    "NotAfter",
    "invalid_token",
]


def told(text):
    return sorted({error for error in TOLD if error in text})


class Java:
    def __init__(self, work):
        self.work = work
        self.tools = tools.Tools(os.path.join(work, "tools"))

    def round_trip(self, broker, port, config, topic):
        path = os.path.join(self.work, "client.properties")
        with open(path, "w") as f:
            for name, value in {**config, "delivery.timeout.ms": "6000", "request.timeout.ms": "3000",
                                "max.block.ms": "6000", "linger.ms": "0"}.items():
                f.write(f"{name}={value}\n")
        address = f"localhost:{port}"
        made = self.tools.run("kafka-console-producer", ["--bootstrap-server", address, "--topic", topic,
                                                         "--command-config", path], stdin="hello\n")
        if "ERROR" in made.text() or "Exception" in made.text() or made.code != 0:
            return "failed", told(made.text())
        read = self.tools.run("kafka-console-consumer", ["--bootstrap-server", address, "--topic", topic, "--max-messages",
                                                         "1", "--timeout-ms", "15000", "--from-beginning",
                                                         "--command-config", path])
        return ("ok", []) if "hello" in read.out else ("failed", told(read.text()))


class Kcat:
    def __init__(self, folder):
        self.folder = folder

    def round_trip(self, broker, port, config, topic):
        base = ["kcat", "-b", f"localhost:{port}", "-t", topic, *kcat_options(self.folder, config)]
        out = ""
        for mode, stdin in ((["-P"], b"hello\n"), (["-C", "-e", "-o", "beginning", "-q"], b"")):
            r = subprocess.run([*base, *mode, "-X", "message.timeout.ms=6000", "-d", "security"], input=stdin,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
            if r.returncode != 0:
                return "failed", told(r.stderr.decode(errors="replace"))
            out = r.stdout.decode()
        return ("ok", []) if "hello" in out else ("failed", ["nothing was read"])


def scenarios(folder):
    """Name, listener, the client's configuration, and whether it is to succeed."""
    for mechanism in MECHANISMS:
        for listener, over_tls in (("SASL", False), ("SASLTLS", True)):
            name = f"{mechanism}{' over TLS' if over_tls else ''}"
            yield name, listener, java_sasl(folder, mechanism, over_tls), True
            if mechanism != "OAUTHBEARER":
                yield f"{name}, wrong password", listener, java_sasl(folder, mechanism, over_tls, "wrong"), False
    yield "mutual TLS", "MTLS", java_tls(folder, "alice"), True
    yield "mutual TLS without a certificate", "MTLS", java_tls(folder), False
    yield "mutual TLS with a stranger's certificate", "MTLS", java_tls(folder, "mallory"), False
    yield "TLS, the server's certificate has expired", "EXPIRED", java_tls(folder), False
    yield "TLS, the server's certificate names another host", "ELSEWHERE", java_tls(folder), False
    yield "plaintext to a TLS listener", "MTLS", {"security.protocol": "PLAINTEXT"}, False


def users(java, broker):
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        made = java.tools.run("kafka-configs", ["--bootstrap-server", broker.bootstrap, "--alter", "--entity-type", "users",
                                                "--entity-name", "alice", "--add-config",
                                                f"{mechanism}=[iterations=4096,password={SECRET}]"])
        if made.code != 0:
            raise SystemExit(f"{broker.name} took no SCRAM credential:\n{made.text()}")


def main():
    check = checks.Checks()
    work = tempfile.mkdtemp(prefix="compat-security-")
    try:
        folder = os.path.join(work, "certificates")
        certificates.make(folder)
        kafka = secured.Kafka(work, LISTENERS, settings(folder)).start()
        subject = secured.subject(work, LISTENERS, settings(folder)).start()
        java = Java(work)
        clients = {"java": java, "kcat": Kcat(folder)}
        for broker in (kafka, subject):
            users(java, broker)
            java.tools.run("kafka-topics", ["--bootstrap-server", broker.bootstrap, "--create", "--topic", "warm"])
        only = sys.argv[1] if len(sys.argv) > 1 else ""
        for client, run in clients.items():
            for name, listener, config, good in scenarios(folder):
                title = f"{client}: {name}"
                if only not in title:
                    continue
                if client == "kcat" and "SCRAM" in name and good and kcat_version() < (2, 6):
                    # Before 2.6.1 librdkafka repeats a nonce, which Kafka refuses since CVE-2024-56128.
                    good = False
                topic = re.sub(r"[^a-z0-9]+", "-", title.lower())
                for _ in range(TRIES):
                    outcomes = [run.round_trip(broker, broker.ports[listener], config, topic) for broker in (kafka, subject)]
                    if outcomes[0] == outcomes[1]:
                        break
                check.equal(f"{title}: as on Apache Kafka", outcomes[0], outcomes[1])
                check.check(f"{title}: {'succeeds' if good else 'fails'}", (outcomes[1][0] == "ok") == good, str(outcomes))
        log = open(subject.log_path).read()
        check.check("no secret is in the log", SECRET not in log and certificates.PASSWORD not in log)
        subject.stop()
        kafka.stop()
    finally:
        if os.environ.get("KEEP") is None:
            shutil.rmtree(work, ignore_errors=True)
        else:
            print("kept", work)
    check.finish()


main()
