//! What the `ssl.*` and `sasl.*` keys say for one listener: its own (`listener.name.<name>.`) before those for all.
//!
//! Nothing is opened here. Whether a key store can be read is found out by `tls/`, whether a JAAS string is one by
//! `access/`, both before the broker accepts anybody.

use super::ConfigError;
use super::broker::{Values, value_of};
use super::settings::{Listener, ListenerName, SecurityProtocol};
use super::value::Value;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A password or a key. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// How clients show who they are on a listener, and how bytes travel.
#[derive(Clone, Debug, PartialEq)]
pub struct Security {
    pub listener: ListenerName,
    pub protocol: SecurityProtocol,
    /// For SSL and SASL_SSL.
    pub tls: Option<Tls>,
    /// For SASL_PLAINTEXT and SASL_SSL.
    pub sasl: Option<Sasl>,
}

/// How this node shows who it is where others listen, and what it asks of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Towards {
    /// The listener whose settings hold: the brokers' own, or the first of `controller.listener.names`.
    pub listener: ListenerName,
    pub protocol: SecurityProtocol,
    /// For SSL and SASL_SSL.
    pub tls: Option<Tls>,
    /// For SASL_PLAINTEXT and SASL_SSL.
    pub login: Option<OwnLogin>,
}

/// How this node logs in.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnLogin {
    /// As `Towards::key` names it.
    pub mechanism: String,
    /// The setting that named the mechanism.
    pub set_by: &'static str,
    /// `listener.name.<name>.<mechanism>.sasl.jaas.config`: that of the server's side has this node's own name and password
    /// too.
    pub jaas: Option<Secret>,
}

/// Whom this node connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    Brokers,
    Controllers,
}

impl Whom {
    /// The setting that names the mechanism.
    fn mechanism_key(self) -> &'static str {
        match self {
            Whom::Brokers => "sasl.mechanism.inter.broker.protocol",
            Whom::Controllers => "sasl.mechanism.controller.protocol",
        }
    }
}

/// `ssl.client.auth`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    None,
    Requested,
    Required,
}

/// `ssl.*`
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    pub key_store: KeyStore,
    pub trust_store: TrustStore,
    pub client_auth: ClientAuth,
    /// `ssl.enabled.protocols`; what Java calls them.
    pub protocols: Vec<String>,
    /// `ssl.cipher.suites`; empty: all.
    pub cipher_suites: Vec<String>,
    /// `ssl.endpoint.identification.algorithm` is not empty: as a client, compare the server's name.
    pub checks_host: bool,
    /// `ssl.principal.mapping.rules`
    pub principal_rules: String,
    /// `ssl.allow.dn.changes`
    pub allow_dn_changes: bool,
    /// `ssl.allow.san.changes`
    pub allow_san_changes: bool,
}

/// `ssl.keystore.*`
#[derive(Clone, Debug, PartialEq)]
pub struct KeyStore {
    /// In upper case: `JKS`, `PKCS12`, `PEM`.
    pub kind: String,
    pub location: Option<PathBuf>,
    pub password: Option<Secret>,
    /// `ssl.key.password`
    pub key_password: Option<Secret>,
    /// `ssl.keystore.key`
    pub key: Option<Secret>,
    /// `ssl.keystore.certificate.chain`
    pub chain: Option<Secret>,
}

/// `ssl.truststore.*`
#[derive(Clone, Debug, PartialEq)]
pub struct TrustStore {
    pub kind: String,
    pub location: Option<PathBuf>,
    pub password: Option<Secret>,
    /// `ssl.truststore.certificates`
    pub certificates: Option<Secret>,
}

/// `sasl.*`
#[derive(Clone, Debug, PartialEq)]
pub struct Sasl {
    /// `sasl.enabled.mechanisms`, each with what is set for it.
    pub mechanisms: Vec<Mechanism>,
    /// `sasl.server.max.receive.size`, in bytes.
    pub receive_max: usize,
}

/// What is set for one mechanism of a listener, with the prefix `listener.name.<name>.<mechanism>.` or without.
#[derive(Clone, Debug, PartialEq)]
pub struct Mechanism {
    pub name: String,
    /// `sasl.jaas.config`, which only counts with both prefixes.
    pub jaas: Option<Secret>,
    /// `sasl.server.callback.handler.class`
    pub handler: Option<String>,
    /// `connections.max.reauth.ms`; 0: for ever.
    pub lasting_ms: i64,
    pub oauth: Oauth,
}

/// `sasl.oauthbearer.*`, as far as it is about checking tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Oauth {
    pub jwks_url: Option<String>,
    pub jwks_refresh: Duration,
    pub jwks_backoff: Duration,
    pub jwks_backoff_max: Duration,
    pub audiences: Vec<String>,
    pub issuer: Option<String>,
    pub skew_seconds: u32,
    pub scope_claim: String,
    pub subject_claim: String,
    /// `sasl.oauthbearer.jwt.validator.class`
    pub validator: String,
}

/// The values that hold for one listener, or for a client.
pub(super) struct Of<'a> {
    values: Values,
    /// `<mechanism>.`, in lower case, or nothing.
    mechanism: &'a str,
}

/// `values`, with those of `listener.name.<name>.` under the names of all.
fn of_listener(values: &Values, name: &ListenerName) -> Values {
    let prefix = format!("listener.name.{}.", name.as_str().to_lowercase());
    let own = values.iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value.clone())));
    let mut all = values.clone();
    all.extend(own);
    all
}

impl Of<'_> {
    /// A client's own.
    pub(super) fn client(values: Values) -> Of<'static> {
        Of { values, mechanism: "" }
    }

    fn value(&self, name: &str) -> Option<Value> {
        let own = self.values.get(&format!("{}{name}", self.mechanism)).filter(|_| !self.mechanism.is_empty());
        match own {
            Some(own) => {
                let only = Values::from([(name.to_owned(), own.clone())]);
                value_of(&only, name)
            }
            None => value_of(&self.values, name),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| value.to_string()).filter(|text| !text.is_empty())
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret)
    }

    fn number(&self, name: &str) -> i64 {
        self.value(name).map_or(0, |value| value.number())
    }

    fn ms(&self, name: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.number(name)).unwrap_or_default())
    }

    fn list(&self, name: &str) -> Vec<String> {
        self.value(name).map(|value| value.list().to_vec()).unwrap_or_default()
    }

    fn is_true(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.is_true())
    }

    pub(super) fn tls(&self, client_auth: ClientAuth) -> Tls {
        let kind = |name: &str| self.text(name).unwrap_or_default().to_uppercase();
        Tls {
            key_store: KeyStore {
                kind: kind("ssl.keystore.type"),
                location: self.text("ssl.keystore.location").map(PathBuf::from),
                password: self.secret("ssl.keystore.password"),
                key_password: self.secret("ssl.key.password"),
                key: self.secret("ssl.keystore.key"),
                chain: self.secret("ssl.keystore.certificate.chain"),
            },
            trust_store: TrustStore {
                kind: kind("ssl.truststore.type"),
                location: self.text("ssl.truststore.location").map(PathBuf::from),
                password: self.secret("ssl.truststore.password"),
                certificates: self.secret("ssl.truststore.certificates"),
            },
            client_auth,
            protocols: self.list("ssl.enabled.protocols"),
            cipher_suites: self.list("ssl.cipher.suites"),
            checks_host: self.text("ssl.endpoint.identification.algorithm").is_some(),
            principal_rules: self.text("ssl.principal.mapping.rules").unwrap_or_default(),
            allow_dn_changes: self.is_true("ssl.allow.dn.changes"),
            allow_san_changes: self.is_true("ssl.allow.san.changes"),
        }
    }

    fn oauth(&self) -> Oauth {
        let name = "sasl.oauthbearer";
        Oauth {
            jwks_url: self.text(&format!("{name}.jwks.endpoint.url")),
            jwks_refresh: self.ms(&format!("{name}.jwks.endpoint.refresh.ms")),
            jwks_backoff: self.ms(&format!("{name}.jwks.endpoint.retry.backoff.ms")),
            jwks_backoff_max: self.ms(&format!("{name}.jwks.endpoint.retry.backoff.max.ms")),
            audiences: self.list(&format!("{name}.expected.audience")),
            issuer: self.text(&format!("{name}.expected.issuer")),
            skew_seconds: u32::try_from(self.number(&format!("{name}.clock.skew.seconds"))).unwrap_or_default(),
            scope_claim: self.text(&format!("{name}.scope.claim.name")).unwrap_or_default(),
            subject_claim: self.text(&format!("{name}.sub.claim.name")).unwrap_or_default(),
            validator: self.text(&format!("{name}.jwt.validator.class")).unwrap_or_default(),
        }
    }
}

/// What holds for `listener`.
pub(super) fn of(values: &Values, listener: &Listener) -> Security {
    let protocol = listener.protocol;
    let own = format!("listener.name.{}.ssl.client.auth", listener.name.as_str().to_lowercase());
    let of = Of { values: of_listener(values, &listener.name), mechanism: "" };
    // As Kafka: beside SASL clients need no certificate, unless this very listener asks for one.
    let asks = protocol == SecurityProtocol::Ssl || values.contains_key(&own);
    let client_auth = match of.text("ssl.client.auth").as_deref() {
        Some("required") if asks => ClientAuth::Required,
        Some("requested") if asks => ClientAuth::Requested,
        _ => ClientAuth::None,
    };
    let tls = matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl).then(|| of.tls(client_auth));
    let is_sasl = matches!(protocol, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl);
    let sasl = is_sasl.then(|| {
        let mechanisms = of.list("sasl.enabled.mechanisms").into_iter().map(|name| {
            let prefix = format!("{}.", name.to_lowercase());
            let of = Of { values: of.values.clone(), mechanism: &prefix };
            Mechanism {
                jaas: of.values.get(&format!("{prefix}sasl.jaas.config")).map(|text| Secret(text.clone())),
                handler: of.text("sasl.server.callback.handler.class"),
                lasting_ms: of.number("connections.max.reauth.ms"),
                oauth: of.oauth(),
                name,
            }
        });
        let receive_max = usize::try_from(of.number("sasl.server.max.receive.size")).unwrap_or_default();
        Sasl { mechanisms: mechanisms.collect(), receive_max }
    });
    Security { listener: listener.name.clone(), protocol, tls, sasl }
}

/// What holds where this node connects to others.
pub(super) fn towards(values: &Values, whom: Whom, listener: &ListenerName, protocol: SecurityProtocol) -> Towards {
    let of = Of { values: of_listener(values, listener), mechanism: "" };
    let tls = matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl).then(|| of.tls(ClientAuth::None));
    let is_sasl = matches!(protocol, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl);
    let login = is_sasl.then(|| {
        let set_by = whom.mechanism_key();
        // These are for the node, so a listener's prefix says nothing here.
        let mechanism = value_of(values, set_by).map(|value| value.to_string()).unwrap_or_default();
        let jaas = of.values.get(&format!("{}.sasl.jaas.config", mechanism.to_lowercase()));
        OwnLogin { jaas: jaas.map(|text| Secret(text.clone())), mechanism, set_by }
    });
    Towards { listener: listener.clone(), protocol, tls, login }
}

/// What brokers need among themselves: the mechanism they log in by is one that their listener has. `alone`: there are no
/// others, so only who names a mechanism means it.
pub(super) fn between_brokers(
    values: &Values,
    security: &[Security],
    inter_broker: &ListenerName,
    alone: bool,
) -> Result<(), ConfigError> {
    let Some(Security { sasl: Some(sasl), protocol, .. }) = security.iter().find(|one| one.listener == *inter_broker)
    else {
        return Ok(());
    };
    if alone && !values.contains_key(Whom::Brokers.mechanism_key()) {
        return Ok(());
    }
    let own = towards(values, Whom::Brokers, inter_broker, *protocol).login;
    let mechanism = own.map(|own| own.mechanism).unwrap_or_default();
    if sasl.mechanisms.iter().any(|enabled| enabled.name == mechanism) {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "sasl.mechanism.inter.broker.protocol is {mechanism}, which is not in sasl.enabled.mechanisms of {inter_broker}, \
         the listener between brokers: make it one of those, or name another listener in inter.broker.listener.name."
    ))
    .with_kafkas_words(
        "sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms when SASL is used for \
         inter-broker communication",
    ))
}

/// Controllers would have to know the credentials before they have agreed on a log that has them.
pub(super) fn between_controllers(towards: &Towards, voters: usize) -> Result<(), ConfigError> {
    match &towards.login {
        Some(login) if login.mechanism.starts_with("SCRAM-") && voters > 1 => Err(ConfigError::new(format!(
            "sasl.mechanism.controller.protocol is {}, whose credentials are in the metadata, which several controllers \
             have only once they have talked to each other: use PLAIN on {}, or SSL with ssl.client.auth=required.",
            login.mechanism, towards.listener
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::BrokerConfig;
    use super::*;

    fn security(pairs: &[(&str, &str)]) -> Vec<Security> {
        let base = [
            ("listeners", "IN://localhost:1,OUT://localhost:2"),
            ("listener.security.protocol.map", "IN:SASL_SSL,OUT:SSL"),
            ("inter.broker.listener.name", "OUT"),
        ];
        let values = base.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        BrokerConfig::new(values.collect()).unwrap().settings().network.security.clone()
    }

    #[test]
    fn a_listeners_own_value_is_stronger_than_that_for_all() {
        let all = security(&[
            ("ssl.keystore.type", "PEM"),
            ("ssl.keystore.location", "/all"),
            ("listener.name.out.ssl.keystore.location", "/out"),
            ("listener.name.in.sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-512"),
            ("listener.name.in.scram-sha-512.connections.max.reauth.ms", "7"),
            ("connections.max.reauth.ms", "9"),
        ]);
        let at = |n: usize| all[n].tls.as_ref().unwrap().key_store.location.clone().unwrap();
        assert_eq!((at(0), at(1)), ("/all".into(), "/out".into()));
        let mechanisms = &all[0].sasl.as_ref().unwrap().mechanisms;
        let lasting: Vec<_> = mechanisms.iter().map(|one| (one.name.as_str(), one.lasting_ms)).collect();
        assert_eq!(lasting, [("PLAIN", 9), ("SCRAM-SHA-512", 7)]);
        assert!(all[1].sasl.is_none());
    }

    #[test]
    fn beside_sasl_a_certificate_is_asked_for_only_by_the_listener_itself() {
        let auth = |pairs: &[(&str, &str)]| {
            security(pairs).iter().map(|one| one.tls.as_ref().unwrap().client_auth).collect::<Vec<_>>()
        };
        assert_eq!(auth(&[("ssl.client.auth", "required")]), [ClientAuth::None, ClientAuth::Required]);
        assert_eq!(
            auth(&[("listener.name.in.ssl.client.auth", "requested")]),
            [ClientAuth::Requested, ClientAuth::None]
        );
    }

    #[test]
    fn a_jaas_string_counts_only_with_listener_and_mechanism() {
        let jaas = |name: &str| {
            let all = security(&[("sasl.enabled.mechanisms", "PLAIN"), (name, "x y;")]);
            all[0].sasl.as_ref().unwrap().mechanisms[0].jaas.is_some()
        };
        assert!(jaas("listener.name.in.plain.sasl.jaas.config"));
        for name in
            ["sasl.jaas.config", "listener.name.in.sasl.jaas.config", "listener.name.out.plain.sasl.jaas.config"]
        {
            assert!(!jaas(name), "{name}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let all = security(&[("ssl.keystore.password", "hunter2"), ("ssl.keystore.key", "hunter2")]);
        assert!(!format!("{all:?}").contains("hunter2"));
    }
}
