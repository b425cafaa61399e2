"""Every login that is tried: where, with what, and whether it is to succeed. In words that all programs share."""

import base64
import json
import time

from compat.common import certificates, secured

SECRET = "alice-secret"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
SIGNED = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"
LISTENERS = {"SASL": "SASL_PLAINTEXT", "SASLTLS": "SASL_SSL", "MTLS": "SSL", "SIGNED": "SASL_PLAINTEXT", "SIGNEDTLS": "SASL_SSL",
             "SHORT": "SASL_PLAINTEXT"}
# Kafka lets nobody log in again within a second.
SESSION_MS = 1500
SESSIONS_S = 6

RECORDS = 20


def settings(folder, signer):
    """The part of server.properties that is the same for both brokers."""
    here = {
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # Whoever comes over the plain listener: this run and the broker itself.
        "super.users": "User:ANONYMOUS",
        "delegation.token.secret.key": "compat-token-secret",
        **secured.tls(folder),
        "listener.name.short.plain.connections.max.reauth.ms": str(SESSION_MS),
    }
    jaas = {"plain": f'{secured.PLAIN} required user_alice="{SECRET}" user_bob="{SECRET}";', "scram-sha-256": f"{secured.SCRAM} required;",
            "scram-sha-512": f"{secured.SCRAM} required;", "oauthbearer": f"{secured.OAUTH} required;"}
    for listener in (name.lower() for name, protocol in LISTENERS.items() if protocol.startswith("SASL")):
        for mechanism, text in jaas.items():
            here[f"listener.name.{listener}.{mechanism}.sasl.jaas.config"] = text
    for listener, url in (("signed", f"file://{signer.path}"), ("signedtls", signer.serve())):
        prefix = f"listener.name.{listener}.oauthbearer.sasl"
        here |= {f"{prefix}.server.callback.handler.class": SIGNED, f"{prefix}.oauthbearer.jwks.endpoint.url": url,
                 f"{prefix}.oauthbearer.expected.audience": signer.audience, f"{prefix}.oauthbearer.expected.issuer": signer.issuer}
    return here


class Login:
    """Words may be one set for each broker. `by`: only these clients can. `also` finds fault with a program's whole answer."""

    def __init__(self, name, listener, good=True, by=None, also=None, each=None, **words):
        self.name, self.listener, self.good, self.by, self.also = name, listener, good, by, also
        self.each = each or [words, words]

    def tried_by(self, client):
        return self.by is None or client in self.by

    def ask(self, which, port, folder, topic):
        protocol = LISTENERS[self.listener]
        out = {"address": f"localhost:{port}", "protocol": protocol, "topic": topic, "records": RECORDS, **self.each[which]}
        if protocol.endswith("SSL"):
            out["ca"] = f"{folder}/ca.pem"
        return out


def password(mechanism, secret=SECRET, user="alice"):
    return {"mechanism": mechanism, "username": user, "password": secret}


def bearer(token):
    return {"mechanism": "OAUTHBEARER", "token": token}


def certificate(folder, who):
    """As two files, and (for Java) as one with an encrypted key."""
    return {"certificate": f"{folder}/{who}.pem", "key": f"{folder}/{who}.key", "keystore": f"{folder}/{who}.all.pem",
            "keypassword": certificates.PASSWORD}


def unsecured(**claims):
    """A token that nobody signed, for the listeners that take such."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": "alice", "iat": now - 10, "exp": now + 3600, **claims})
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


def logins(folder, signer):
    now = int(time.time())
    for over, listener in (("", "SASL"), (" over TLS", "SASLTLS")):
        for mechanism in MECHANISMS[:3]:
            yield Login(f"{mechanism}{over}", listener, **password(mechanism))
            yield Login(f"{mechanism}{over}, a wrong password", listener, False, **password(mechanism, "wrong"))
        yield Login(f"OAUTHBEARER{over}", listener, **bearer(unsecured()))
        yield Login(f"OAUTHBEARER{over}, expired", listener, False, **bearer(unsecured(exp=now - 120)))
    for over, listener in ((", keys from a file", "SIGNED"), (" over TLS, keys from an address", "SIGNEDTLS")):
        for algorithm in ("RS256", "ES256"):
            yield Login(f"a token of {algorithm}{over}", listener, **bearer(signer.token(algorithm)))
    for what, token in (
        ("that somebody else signed", signer.token(key="other.key")),
        ("of an unknown key", signer.token(kid="no-such-key")),
        ("that nobody signed", signer.token("none")),
        ("that has expired", signer.token(exp=now - 120)),
        ("that is not valid yet", signer.token(nbf=now + 600)),
        ("for somebody else", signer.token(aud="another")),
        ("of another issuer", signer.token(iss="https://elsewhere.example")),
    ):
        yield Login(f"a token {what}", "SIGNED", False, **bearer(token))
    yield Login("somebody who may do nothing", "SASL", False, **password("PLAIN", user="bob"))
    yield Login("somebody unknown", "SASL", False, **password("SCRAM-SHA-256", user="nobody"))
    yield Login("a certificate", "MTLS", **certificate(folder, "alice"))
    yield Login("no certificate", "MTLS", False)
    yield Login("a stranger's certificate", "MTLS", False, **certificate(folder, "mallory"))


# Clients that can log in with a delegation token, and that tell how they went on after a session's end.
WITH_TOKENS = ("java", "franz-go")


def by_token(tokens, mechanism, **more):
    return [{"mechanism": mechanism, "username": t["id"], "password": t["hmac"], "tokenauth": True, **more} for t in tokens]


def token_logins(good, expired):
    """With tokens of alice's, one for each broker."""
    yield Login("a delegation token by SCRAM-SHA-256", "SASL", by=WITH_TOKENS, each=by_token(good, "SCRAM-SHA-256"))
    yield Login("a delegation token by SCRAM-SHA-512 over TLS", "SASLTLS", by=WITH_TOKENS, each=by_token(good, "SCRAM-SHA-512"))
    yield Login("a delegation token with a wrong HMAC", "SASL", False, WITH_TOKENS, each=by_token(good, "SCRAM-SHA-256", password="AAAA"))
    yield Login("a delegation token as a password", "SASL", False, WITH_TOKENS, each=by_token(good, "SCRAM-SHA-256", tokenauth=False))
    yield Login("a delegation token that has expired", "SASL", False, WITH_TOKENS, each=by_token(expired, "SCRAM-SHA-256"))


def goes_on(answer):
    """Over several sessions: Java counts how often it logged in again, franz-go how often it had to connect."""
    again = [answer[key] for key in ("reauthentications", "reauthentications of the consumer") if key in answer]
    if again and min(again) < 2:
        return f"it logged in again {again} times"
    # One each to send, to fetch, to learn, and one in reserve; had sessions ended connections, each would have come back thrice.
    return "" if answer.get("connections", 0) <= 4 else f"{answer['connections']} connections"


def sessions():
    yield Login(f"sessions of {SESSION_MS} ms", "SHORT", by=WITH_TOKENS, also=goes_on, seconds=SESSIONS_S, **password("PLAIN"))
