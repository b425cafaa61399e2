//! Broker keys: TLS, SASL and delegation tokens.

use super::broker_keys::reasons::{JAVA, JAVATLS, KERBEROS, LOGIN, TICKETS, TLSKIND};
use super::key::{Check, Key};
use super::value::Type::{Boolean, Class, Double, Int, List, Long, Password, Short, String};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "connections.max.reauth.ms",
        Long,
        Some("0"),
        "How long an authenticated connection may live before the client must authenticate again.",
    ),
    Key::new("sasl.server.max.receive.size", Int, Some("524288"), "Largest message of a SASL login."),
    Key::new("security.providers", String, None, "Java classes that provide cryptography.").refused(JAVA),
    Key::new(
        "principal.builder.class",
        Class,
        Some("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"),
        "The class that turns a connection into a principal.",
    )
    .per_broker()
    .refused(JAVA),
    Key::new("ssl.client.auth", String, Some("none"), "Whether clients must show a certificate.")
        .check(Check::OneOf(&["required", "requested", "none"]))
        .per_broker(),
    Key::new("ssl.principal.mapping.rules", String, Some("DEFAULT"), "How a certificate's name becomes a principal."),
    Key::new("ssl.allow.dn.changes", Boolean, Some("false"), "Whether a new certificate may have another name."),
    Key::new(
        "ssl.allow.san.changes",
        Boolean,
        Some("false"),
        "Whether a new certificate may have other alternative names.",
    ),
    Key::new("ssl.protocol", String, Some("TLSv1.3"), "The version of TLS.").per_broker().no_effect(TLSKIND),
    Key::new("ssl.provider", String, None, "The Java provider of TLS.").per_broker().refused(JAVA),
    Key::new("ssl.enabled.protocols", List, Some("TLSv1.2,TLSv1.3"), "The versions of TLS that are accepted.")
        .check(Check::Distinct { may_be_empty: true })
        .per_broker(),
    Key::new("ssl.keystore.type", String, Some("JKS"), "Format of the key store.").per_broker(),
    Key::new("ssl.keystore.location", String, None, "File with the broker's key and certificate.").per_broker(),
    Key::new("ssl.keystore.password", Password, None, "Password of the key store.").per_broker(),
    Key::new("ssl.key.password", Password, None, "Password of the broker's key.").per_broker(),
    Key::new("ssl.keystore.key", Password, None, "The broker's key itself, as PEM.").per_broker(),
    Key::new("ssl.keystore.certificate.chain", Password, None, "The broker's certificates themselves, as PEM.")
        .per_broker(),
    Key::new("ssl.truststore.type", String, Some("JKS"), "Format of the trust store.").per_broker(),
    Key::new("ssl.truststore.location", String, None, "File with the certificates that are trusted.").per_broker(),
    Key::new("ssl.truststore.password", Password, None, "Password of the trust store.").per_broker(),
    Key::new("ssl.truststore.certificates", Password, None, "The trusted certificates themselves, as PEM.")
        .per_broker(),
    Key::new("ssl.keymanager.algorithm", String, Some("SunX509"), "Java's name for how keys are chosen.")
        .per_broker()
        .no_effect(JAVATLS),
    Key::new("ssl.trustmanager.algorithm", String, Some("PKIX"), "Java's name for how certificates are checked.")
        .per_broker()
        .no_effect(JAVATLS),
    Key::new(
        "ssl.endpoint.identification.algorithm",
        String,
        Some("https"),
        "How a server's name is compared with its certificate.",
    )
    .per_broker(),
    Key::new("ssl.secure.random.implementation", String, None, "Java's source of random numbers for TLS.")
        .per_broker()
        .no_effect(JAVATLS),
    Key::new("ssl.cipher.suites", List, Some(""), "The cipher suites that are accepted.")
        .check(Check::Distinct { may_be_empty: true })
        .per_broker(),
    Key::new("ssl.engine.factory.class", Class, None, "The Java class that makes TLS engines.")
        .per_broker()
        .refused(JAVA),
    Key::new("sasl.mechanism.inter.broker.protocol", String, Some("GSSAPI"), "The SASL mechanism between brokers.")
        .per_broker(),
    Key::new("sasl.enabled.mechanisms", List, Some("GSSAPI"), "The SASL mechanisms that clients may use.")
        .check(Check::Distinct { may_be_empty: true })
        .per_broker(),
    Key::new("sasl.server.callback.handler.class", Class, None, "The Java class that checks logins."),
    Key::new(
        "sasl.kerberos.principal.to.local.rules",
        List,
        Some("DEFAULT"),
        "How a Kerberos principal becomes a user name.",
    )
    .check(Check::Distinct { may_be_empty: true })
    .per_broker()
    .refused(KERBEROS),
    Key::new("sasl.jaas.config", Password, None, "Logins and users of a mechanism, in Java's format.").per_broker(),
    Key::new(
        "sasl.client.callback.handler.class",
        Class,
        None,
        "The Java class that answers a server's questions at login.",
    )
    .refused(JAVA),
    Key::new("sasl.login.class", Class, None, "The Java class that logs the broker in.").refused(JAVA),
    Key::new(
        "sasl.login.callback.handler.class",
        Class,
        None,
        "The Java class that supplies the broker's credentials.",
    )
    .refused(LOGIN),
    Key::new("sasl.kerberos.service.name", String, None, "The Kerberos name of the service.")
        .per_broker()
        .refused(KERBEROS),
    Key::new("sasl.kerberos.kinit.cmd", String, Some("/usr/bin/kinit"), "The program that obtains Kerberos tickets.")
        .per_broker()
        .no_effect(TICKETS),
    Key::new(
        "sasl.kerberos.ticket.renew.window.factor",
        Double,
        Some("0.8"),
        "Part of a ticket's life after which it is renewed.",
    )
    .per_broker()
    .no_effect(TICKETS),
    Key::new("sasl.kerberos.ticket.renew.jitter", Double, Some("0.05"), "How much the time of renewal varies.")
        .per_broker()
        .no_effect(TICKETS),
    Key::new("sasl.kerberos.min.time.before.relogin", Long, Some("60000"), "Least time between two Kerberos logins.")
        .per_broker()
        .no_effect(TICKETS),
    Key::new(
        "sasl.login.refresh.window.factor",
        Double,
        Some("0.8"),
        "Part of a token's life after which it is renewed.",
    )
    .per_broker()
    .refused(LOGIN),
    Key::new(
        "sasl.login.refresh.window.jitter",
        Double,
        Some("0.05"),
        "How much the time of a token's renewal varies.",
    )
    .per_broker()
    .refused(LOGIN),
    Key::new("sasl.login.refresh.min.period.seconds", Short, Some("60"), "Least time between two renewals of a token.")
        .per_broker()
        .refused(LOGIN),
    Key::new(
        "sasl.login.refresh.buffer.seconds",
        Short,
        Some("300"),
        "Time before its expiry at which a token is renewed at the latest.",
    )
    .per_broker()
    .refused(LOGIN),
    Key::new("sasl.login.connect.timeout.ms", Int, None, "How long a connection to a token server may take.")
        .refused(LOGIN),
    Key::new("sasl.login.read.timeout.ms", Int, None, "How long an answer of a token server may take.").refused(LOGIN),
    Key::new(
        "sasl.login.retry.backoff.max.ms",
        Long,
        Some("10000"),
        "Longest pause before a token is asked for again.",
    )
    .refused(LOGIN),
    Key::new("sasl.login.retry.backoff.ms", Long, Some("100"), "Pause before a token is asked for again.")
        .refused(LOGIN),
    Key::new(
        "sasl.oauthbearer.jwt.retriever.class",
        Class,
        Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"),
        "The Java class that obtains tokens.",
    )
    .refused(JAVA),
    Key::new(
        "sasl.oauthbearer.jwt.validator.class",
        Class,
        Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"),
        "The Java class that checks tokens.",
    ),
    Key::new("sasl.oauthbearer.scope", String, None, "The scope that a token is asked for.").refused(LOGIN),
    Key::new(
        "sasl.oauthbearer.client.credentials.client.id",
        String,
        None,
        "The client id that tokens are asked for with.",
    )
    .refused(LOGIN),
    Key::new(
        "sasl.oauthbearer.client.credentials.client.secret",
        Password,
        None,
        "The secret that belongs to the client id.",
    )
    .refused(LOGIN),
    Key::new("sasl.oauthbearer.assertion.algorithm", String, Some("RS256"), "How an assertion is signed.")
        .check(Check::OneOfIgnoringCase(&["ES256", "RS256"]))
        .refused(LOGIN),
    Key::new("sasl.oauthbearer.assertion.claim.aud", String, None, "The audience that an assertion names.")
        .refused(LOGIN),
    Key::new("sasl.oauthbearer.assertion.claim.exp.seconds", Int, Some("300"), "How long an assertion is valid.")
        .check(Check::Between(0, 86_400))
        .refused(LOGIN),
    Key::new("sasl.oauthbearer.assertion.claim.iss", String, None, "The issuer that an assertion names.")
        .refused(LOGIN),
    Key::new(
        "sasl.oauthbearer.assertion.claim.jti.include",
        Boolean,
        Some("false"),
        "Whether an assertion carries an id of its own.",
    )
    .refused(LOGIN),
    Key::new(
        "sasl.oauthbearer.assertion.claim.nbf.seconds",
        Int,
        Some("60"),
        "How long before its making an assertion is already valid.",
    )
    .check(Check::Between(0, 3600))
    .refused(LOGIN),
    Key::new("sasl.oauthbearer.assertion.claim.sub", String, None, "The subject that an assertion names.")
        .refused(LOGIN),
    Key::new("sasl.oauthbearer.assertion.file", String, None, "A file with a finished assertion.").refused(LOGIN),
    Key::new("sasl.oauthbearer.assertion.private.key.file", String, None, "The key that signs assertions.")
        .refused(LOGIN),
    Key::new(
        "sasl.oauthbearer.assertion.private.key.passphrase",
        Password,
        None,
        "The passphrase of the key that signs assertions.",
    )
    .refused(LOGIN),
    Key::new("sasl.oauthbearer.assertion.template.file", String, None, "A file with an assertion's fixed parts.")
        .refused(LOGIN),
    Key::new("sasl.oauthbearer.scope.claim.name", String, Some("scope"), "The claim of a token that holds its scope."),
    Key::new("sasl.oauthbearer.sub.claim.name", String, Some("sub"), "The claim of a token that holds its user."),
    Key::new("sasl.oauthbearer.token.endpoint.url", String, None, "Where tokens are obtained.").refused(LOGIN),
    Key::new("sasl.oauthbearer.jwks.endpoint.url", String, None, "Where the keys that check tokens are."),
    Key::new("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Some("3600000"), "How often those keys are fetched."),
    Key::new(
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
        Long,
        Some("100"),
        "Pause before those keys are fetched again after a failure.",
    ),
    Key::new(
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
        Long,
        Some("10000"),
        "Longest pause before those keys are fetched again.",
    ),
    Key::new(
        "sasl.oauthbearer.clock.skew.seconds",
        Int,
        Some("30"),
        "How far clocks may differ when a token is checked.",
    ),
    Key::new("sasl.oauthbearer.expected.audience", List, Some(""), "The audience that a token must name.")
        .check(Check::Distinct { may_be_empty: true }),
    Key::new("sasl.oauthbearer.expected.issuer", String, None, "The issuer that a token must name."),
    Key::new("delegation.token.secret.key", Password, None, "The secret that delegation tokens are made with."),
    Key::new("delegation.token.max.lifetime.ms", Long, Some("604800000"), "Longest life of a delegation token.")
        .check(Check::AtLeast(1)),
    Key::new(
        "delegation.token.expiry.time.ms",
        Long,
        Some("86400000"),
        "How long a delegation token is valid without renewal.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "delegation.token.expiry.check.interval.ms",
        Long,
        Some("3600000"),
        "How often expired delegation tokens are removed.",
    )
    .check(Check::AtLeast(1)),
];
