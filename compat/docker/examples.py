"""Compose files as Apache Kafka's repository has them in docker/examples, run with only the image changed.

Ours are written here, by the same variables, ports, volumes and host names; each says which of Kafka's it mirrors. With
KAFKA_EXAMPLES naming a copy of that folder, its own files run instead, as they are.
"""

import json
import os
import shutil
import subprocess

from common.paths import klamm_bin

from engine import sh, until

CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
PASSWORD = "abcdefgh"
ONE_REPLICA = {
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_LOG_DIRS": "/tmp/kraft-combined-logs",
    "CLUSTER_ID": CLUSTER_ID,
}
STORES = {
    "KAFKA_SSL_KEYSTORE_FILENAME": "kafka01.keystore.jks",
    "KAFKA_SSL_KEYSTORE_CREDENTIALS": "kafka_keystore_creds",
    "KAFKA_SSL_KEY_CREDENTIALS": "kafka_ssl_key_creds",
    "KAFKA_SSL_TRUSTSTORE_FILENAME": "kafka.truststore.jks",
    "KAFKA_SSL_TRUSTSTORE_CREDENTIALS": "kafka_truststore_creds",
    "KAFKA_SSL_CLIENT_AUTH": "required",
    "KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM": "",
}
SECRETS, SHARED = "../../../fixtures/secrets:/etc/kafka/secrets", "../../../fixtures/file-input:/mnt/shared/config"
# Kafka's files for several nodes lie one folder deeper.
DEEPER = "../" + SECRETS

FILE_INPUT = f"""advertised.listeners=PLAINTEXT_HOST://localhost:9092,SSL://localhost:9093,PLAINTEXT://broker:19092
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
process.roles=broker
log.dirs=/tmp/kraft-combined-logs
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
ssl.client.auth=required
ssl.keystore.location=/etc/kafka/secrets/kafka01.keystore.jks
ssl.keystore.password={PASSWORD}
ssl.key.password={PASSWORD}
ssl.truststore.location=/etc/kafka/secrets/kafka.truststore.jks
ssl.truststore.password={PASSWORD}
"""


def service(environment, name=None, ports=(), volumes=(), needs=()):
    made = {"image": "${IMAGE}", "environment": environment}
    if name:
        made.update(hostname=name, container_name=name)
    for key, value in (("ports", list(ports)), ("volumes", list(volumes)), ("depends_on", list(needs))):
        if value:
            made[key] = value
    return made


def single_plaintext():
    """single-node/plaintext"""
    return {"broker": service({
        "KAFKA_NODE_ID": 1,
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
        "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT_HOST://localhost:9092,PLAINTEXT://broker:19092",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@broker:29093",
        "KAFKA_LISTENERS": "CONTROLLER://:29093,PLAINTEXT_HOST://:9092,PLAINTEXT://:19092",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        **ONE_REPLICA,
    }, "broker", ["9092:9092"])}


def single_ssl():
    """single-node/ssl"""
    return {"broker": service({
        "KAFKA_NODE_ID": 1,
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "SSL:SSL,CONTROLLER:PLAINTEXT,SSL-INTERNAL:SSL",
        "KAFKA_ADVERTISED_LISTENERS": "SSL://localhost:9093,SSL-INTERNAL://broker:19093",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@broker:29093",
        "KAFKA_LISTENERS": "SSL://:9093,CONTROLLER://:29093,SSL-INTERNAL://:19093",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "SSL-INTERNAL",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        **ONE_REPLICA, **STORES,
    }, "broker", ["9093:9093"], [SECRETS])}


def single_file_input():
    """single-node/file-input"""
    return {"broker": service({
        "CLUSTER_ID": CLUSTER_ID,
        "KAFKA_NODE_ID": 1,
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@broker:29093",
        "KAFKA_LISTENERS": "PLAINTEXT_HOST://:9092,SSL://:9093,CONTROLLER://:29093,PLAINTEXT://:19092",
        "KAFKA_PROCESS_ROLES": "broker,controller",
    }, "broker", ["9092:9092", "9093:9093"], [SECRETS, SHARED])}


def nodes(isolated, tls):
    """Three brokers that are controllers too, or three brokers and three controllers."""
    controller_port = 29092 if tls else 9093
    names = [f"{'controller' if isolated else 'kafka'}-{n}" for n in (1, 2, 3)]
    quorum = {
        "KAFKA_CONTROLLER_QUORUM_VOTERS": ",".join(f"{n}@{name}:{controller_port}" for n, name in enumerate(names, 1)),
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    }
    services = {}
    if isolated:
        for n, name in enumerate(names, 1):
            services[name] = service({
                "KAFKA_NODE_ID": n, "KAFKA_PROCESS_ROLES": "controller", **quorum,
                "KAFKA_LISTENERS": f"CONTROLLER://:{controller_port}", **ONE_REPLICA,
            })
    inside, outside, own = ("SSL-INTERNAL", "SSL", 9093) if tls else ("PLAINTEXT", "PLAINTEXT_HOST", 9092)
    inside_port = 19093 if tls else 19092
    protocols = "SSL:SSL,CONTROLLER:PLAINTEXT,SSL-INTERNAL:SSL" if tls else \
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"
    for n in (1, 2, 3):
        name, published = f"kafka-{n}", 10000 * (n + 1) + own
        listeners = [f"{inside}://:{inside_port}", f"{outside}://:{own}"]
        if not isolated:
            listeners.insert(1, f"CONTROLLER://{name if tls else ''}:{controller_port}")
        services[name] = service({
            "KAFKA_NODE_ID": n + (3 if isolated else 0),
            "KAFKA_PROCESS_ROLES": "broker" if isolated else "broker,controller",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": protocols,
            "KAFKA_LISTENERS": ",".join(listeners),
            "KAFKA_INTER_BROKER_LISTENER_NAME": inside,
            "KAFKA_ADVERTISED_LISTENERS": f"{inside}://{name}:{inside_port},{outside}://localhost:{published}",
            **quorum, **ONE_REPLICA, **({"KAFKA_SECURITY_PROTOCOL": "SSL", **STORES} if tls else {}),
        }, name, [f"{published}:{own}"], [DEEPER] if tls else [], names if isolated else [])
    return services


# The folder, its services, the ports of the host with whether they are TLS, and how many brokers there are.
EXAMPLES = [
    ("single-node/plaintext", single_plaintext, {9092: False}, 1),
    ("single-node/ssl", single_ssl, {9093: True}, 1),
    ("single-node/file-input", single_file_input, {9092: False, 9093: True}, 1),
    ("cluster/combined/plaintext", lambda: nodes(False, False), {29092: False, 39092: False, 49092: False}, 3),
    ("cluster/isolated/plaintext", lambda: nodes(True, False), {29092: False, 39092: False, 49092: False}, 3),
    ("cluster/combined/ssl", lambda: nodes(False, True), {29093: True, 39093: True, 49093: True}, 3),
    ("cluster/isolated/ssl", lambda: nodes(True, True), {29093: True, 39093: True, 49093: True}, 3),
]


def certificates(fixtures):
    """What Kafka has in fixtures/secrets and client-secrets, with an authority of our own."""
    secrets, client = fixtures / "secrets", fixtures / "client-secrets"
    for folder in (secrets, client):
        folder.mkdir(parents=True)

    def openssl(*arguments):
        sh("openssl", *arguments, cwd=client)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem")
    names = ",".join(f"DNS:{name}" for name in ("localhost", "broker", "kafka-1", "kafka-2", "kafka-3"))
    (client / "san").write_text(f"subjectAltName={names}\n")
    for name in ("kafka01", "client"):
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "san", "-out", f"{name}.crt")
    openssl("pkcs12", "-export", "-inkey", "kafka01.key", "-in", "kafka01.crt", "-certfile", "ca.pem", "-name", "kafka01",
            "-passout", f"pass:{PASSWORD}", "-out", secrets / "kafka01.keystore.jks")
    sh("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", client / "ca.pem", "-storepass", PASSWORD,
       "-keystore", secrets / "kafka.truststore.jks")
    for name in ("kafka_keystore_creds", "kafka_ssl_key_creds", "kafka_truststore_creds"):
        (secrets / name).write_text(PASSWORD + "\n")
    (client / "client.pem").write_text((client / "client.key").read_text() + (client / "client.crt").read_text())
    (client / "client.properties").write_text(
        f"security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location={client / 'ca.pem'}\n"
        f"ssl.keystore.type=PEM\nssl.keystore.location={client / 'client.pem'}\n")
    for path in [fixtures, *fixtures.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return client


def theirs(fixtures, client):
    """A client's settings from Kafka's own fixtures: a key store of Java's, whose authority is the brokers' trust store."""
    def store(path, *more):
        sh("keytool", "-importkeystore", "-noprompt", "-srckeystore", path, "-srcstorepass", PASSWORD, "-destkeystore",
           client / f"{path.name}.p12", "-deststoretype", "PKCS12", "-deststorepass", PASSWORD, *more)
        return client / f"{path.name}.p12"

    keys, trust = store(fixtures / "client-secrets" / "client.keystore.jks"), store(fixtures / "secrets" / "kafka.truststore.jks")
    common = ["-passin", f"pass:{PASSWORD}"]
    sh("openssl", "pkcs12", "-in", keys, "-nodes", "-nocerts", *common, "-out", client / "client.key")
    sh("openssl", "pkcs12", "-in", keys, "-nokeys", "-clcerts", *common, "-out", client / "client.crt")
    sh("openssl", "pkcs12", "-in", trust, "-nokeys", *common, "-out", client / "ca.pem")
    (client / "client.pem").write_text((client / "client.key").read_text() + (client / "client.crt").read_text())
    # As the client settings that Kafka has beside them: its certificates have no names.
    (client / "client.properties").write_text(
        f"security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location={client / 'ca.pem'}\n"
        f"ssl.keystore.type=PEM\nssl.keystore.location={client / 'client.pem'}\nssl.endpoint.identification.algorithm=\n")
    return client


def folder(work):
    """Where the compose files are, and where a client finds its certificates."""
    given = os.environ.get("KAFKA_EXAMPLES")
    if given:
        copy = work / "examples"
        shutil.copytree(given, copy)
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        client = work / "client"
        client.mkdir()
        return copy / "docker-compose-files", theirs(copy / "fixtures", client)
    top = work / "examples"
    client = certificates(top / "fixtures")
    (top / "fixtures/file-input").mkdir()
    (top / "fixtures/file-input/server.properties").write_text(FILE_INPUT)
    for name, services, _, _ in EXAMPLES:
        path = top / "docker-compose-files" / name
        path.mkdir(parents=True)
        # JSON is YAML.
        (path / "docker-compose.yml").write_text(json.dumps({"services": services()}, indent=2))
    return top / "docker-compose-files", client


def compose_command():
    """`docker compose`, or the program of its own that Debian has."""
    if sh("docker", "compose", "version", check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise SystemExit("neither `docker compose` nor docker-compose is there: apt-get install docker-compose")


def kcat_options(client, tls):
    if not tls:
        return []
    checked = [] if not os.environ.get("KAFKA_EXAMPLES") else ["-X", "enable.ssl.certificate.verification=false"]
    return ["-X", "security.protocol=ssl", "-X", f"ssl.ca.location={client / 'ca.pem'}", "-X",
            f"ssl.certificate.location={client / 'client.crt'}", "-X", f"ssl.key.location={client / 'client.key'}", *checked]


def run(checks, image, work, wanted=()):
    """Brings each example up, uses it from the host and from a container beside it, and takes it down."""
    files, client = folder(work)
    compose = compose_command()
    env = dict(os.environ, IMAGE=image)
    for name, _, ports, count in EXAMPLES:
        if wanted and name not in wanted:
            continue
        path = files / name / "docker-compose.yml"
        project = "klamm-" + name.replace("/", "-")
        command = [*compose, "-p", project, "-f", str(path)]

        def call(*arguments):
            return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, env=env)

        try:
            up = call("up", "-d")
            # Kafka's ports are among those that connections of others begin from, and one may just be in use.
            for _ in range(5):
                if "address already in use" not in up.stderr:
                    break
                call("down", "-v", "-t", "5")
                up = call("up", "-d")
            checks.check(f"{name}: comes up", up.returncode == 0, up.stderr[-800:])
            use(checks, name, image, project, ports, count, client)
        finally:
            if not checks_good(checks, name):
                print(call("logs", "--no-color", "--tail", "15").stdout[-4000:])
            call("down", "-v", "-t", "5")


def checks_good(checks, name):
    return not any(failed.startswith(f"{name}:") for failed in checks.failed)


def use(checks, name, image, project, ports, count, client):
    for port, tls in ports.items():
        options = ["-b", f"localhost:{port}", *kcat_options(client, tls)]

        def kcat(*arguments, stdin=None):
            return sh("kcat", *options, *arguments, check=False, input=stdin, timeout=60)

        def listed():
            return sum(line.startswith("  broker ") for line in kcat("-L", "-m", "3").stdout.splitlines())

        brokers = until("all brokers", lambda: listed() == count, 60)
        checks.check(f"{name}: {count} brokers at localhost:{port}", brokers, kcat("-L", "-m", "3"))
        if not brokers:
            continue
        topic = f"from-{port}"
        kcat("-P", "-t", topic, stdin="one\ntwo\n")
        read = kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q").stdout
        checks.equal(f"{name}: what is written at localhost:{port} is read", "one\ntwo\n", read)
        settings = ["--command-config", client / "client.properties"] if tls else []
        said = sh(klamm_bin(), "doctor", f"localhost:{port}", *settings, check=False, timeout=120)
        checks.check(f"{name}: klamm doctor finds nothing at localhost:{port}", said.returncode == 0, said.stdout + said.stderr)
    if not any(ports.values()):
        host = "broker" if count == 1 else "kafka-1"
        said = sh("docker", "run", "--rm", "--network", f"{project}_default", image, "klamm", "doctor", f"{host}:19092",
                  check=False, timeout=120)
        checks.check(f"{name}: nor does it in a container beside it", said.returncode == 0, said.stdout + said.stderr)
