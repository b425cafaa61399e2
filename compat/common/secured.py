"""Brokers with listeners beside the plain one, each on a port of its own (`ports`): the same server.properties for both."""

import os

from . import brokers, certificates

PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
OAUTH = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"


def tls(folder):
    """Settings for every TLS listener with the certificates that `certificates.make` put into the folder."""
    return {
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": f"{folder}/server.p12",
        "ssl.keystore.password": certificates.PASSWORD,
        "ssl.truststore.type": "JKS",
        "ssl.truststore.location": f"{folder}/trust.jks",
        "ssl.truststore.password": certificates.PASSWORD,
        "ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^CN=(.*?),.*$/$1/,DEFAULT",
    }


class _Secured:
    """`listeners` maps a name to a security protocol."""

    def __init__(self, work, listeners, settings, **more):
        self.listeners = listeners
        self.ports = {name: brokers.free_port() for name in listeners}
        super().__init__(work, settings, **more)

    def kraft_properties(self):
        own = super().kraft_properties()
        every = [f"{name}://localhost:{port}" for name, port in self.ports.items()]
        return {
            **own,
            "listeners": ",".join([own["listeners"], *every]),
            "advertised.listeners": ",".join([own["advertised.listeners"], *every]),
            "listener.security.protocol.map":
                ",".join([own["listener.security.protocol.map"], *(f"{n}:{p}" for n, p in self.listeners.items())]),
            "inter.broker.listener.name": "PLAINTEXT",
        }


class Kafka(_Secured, brokers.Kafka):
    # Kafka fetches keys for tokens only from where this lets it.
    def __init__(self, work, listeners, settings, **more):
        urls = sorted(v for k, v in settings.items() if k.endswith("sasl.oauthbearer.jwks.endpoint.url"))
        self.jvm = ["-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=" + ",".join(urls)] if urls else []
        super().__init__(work, listeners, settings, **more)


class Klamm(_Secured, brokers.Klamm):
    pass


def subject(work, listeners, settings):
    """The broker under test, as `brokers.subject` has it."""
    if os.environ.get("COMPAT_SUBJECT") == "kafka":
        return Kafka(work, listeners, settings, name="kafka-again")
    return Klamm(work, listeners, settings)
