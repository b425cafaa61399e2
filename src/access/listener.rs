//! What one listener checks its clients by: made of its settings before it accepts anybody, and again when they change.

use super::jaas::{self, Module};
use super::machine::Rules;
use super::mechanism::{Checks, Mechanism};
use super::oauth::{KeySet, Signed, Unsecured, Validator};
use super::{Mapping, plain};
use crate::config::security::{self, Sasl, Security};
use crate::model::ScramMechanism;
use crate::rt::fs::Fs;
use crate::tls::{self, name};
use std::sync::Arc;
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub struct Access {
    /// On listeners with SASL.
    pub rules: Option<Arc<Rules>>,
    /// From a certificate's name to a user.
    pub mapping: Mapping,
    /// Where keys for tokens come from, which somebody has to fetch.
    pub keys: Vec<KeySource>,
}

/// A JWKS at an address.
#[derive(Clone, Debug)]
pub struct KeySource {
    pub keys: Arc<KeySet>,
    /// `file:`, `http:` or `https:`.
    pub url: String,
    pub refresh: Duration,
    pub backoff: Duration,
    pub backoff_max: Duration,
}

const UNSECURED_HANDLER: &str =
    "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler";
/// The second is where the class was before Kafka 3.4, and still is for old configurations.
const SIGNED_HANDLERS: [&str; 2] = [
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
    "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerValidatorCallbackHandler",
];
const VALIDATORS: [&str; 2] = [
    "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator",
    "org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator",
];

impl Access {
    /// `pepper` is random, and the same for all listeners and as long as the broker runs.
    ///
    /// # Errors
    /// One sentence without a full stop that says what to do, and contains no secret.
    pub fn new(security: &Security, pepper: &[u8]) -> Result<Access, String> {
        let rules = security.tls.as_ref().map_or("DEFAULT", |tls| &tls.principal_rules);
        let mut access = Access { rules: None, mapping: Mapping::parse(rules)?, keys: Vec::new() };
        if let Some(sasl) = &security.sasl {
            access.rules = Some(Arc::new(access.sasl(security, sasl, pepper)?));
        }
        Ok(access)
    }

    /// Of a listener that asks for nothing.
    #[must_use]
    pub fn open() -> Access {
        Access { rules: None, mapping: Mapping::default(), keys: Vec::new() }
    }

    fn sasl(&mut self, security: &Security, sasl: &Sasl, pepper: &[u8]) -> Result<Rules, String> {
        let listener = security.listener.as_str();
        if sasl.mechanisms.is_empty() {
            return Err(format!("the listener {listener} has no mechanism: name some in sasl.enabled.mechanisms"));
        }
        let mut mechanisms = Vec::new();
        for settings in &sasl.mechanisms {
            let name = &settings.name;
            let Some(mechanism) = Mechanism::parse(name) else {
                let known: Vec<&str> = Mechanism::ALL.iter().map(|one| one.name()).collect();
                let why = if name == "GSSAPI" { " (Kerberos)" } else { "" };
                return Err(format!(
                    "the listener {listener} enables the SASL mechanism {name}{why}, which is not supported: set \
                     sasl.enabled.mechanisms to some of {}",
                    known.join(", ")
                ));
            };
            let key = format!("listener.name.{}.{}.sasl.jaas.config", listener.to_lowercase(), name.to_lowercase());
            let Some(text) = &settings.jaas else {
                return Err(format!(
                    "{name} on the listener {listener} needs a login module: set {key}, for example to {}",
                    example(mechanism)
                ));
            };
            let modules = jaas::parse(text.reveal()).map_err(|fault| format!("{key} cannot be read: {fault}"))?;
            let [module] = &modules[..] else {
                return Err(format!("{key} has {} login modules: it needs exactly one", modules.len()));
            };
            if let (Mechanism::Plain | Mechanism::Scram(_), Some(class)) = (mechanism, &settings.handler) {
                return Err(format!(
                    "{name} on the listener {listener} has the callback handler {class}: remove it, Klamm cannot load \
                     Java classes"
                ));
            }
            let checks = match mechanism {
                Mechanism::Plain => Checks::Plain(Arc::new(plain::Users::new(&modules, pepper))),
                Mechanism::Scram(scram) => Checks::Scram(scram),
                Mechanism::OauthBearer => Checks::Oauth(Arc::new(self.oauth(listener, settings, module)?)),
            };
            mechanisms.push((checks, settings.lasting_ms));
        }
        Ok(Rules { mechanisms })
    }

    fn oauth(&mut self, listener: &str, settings: &security::Mechanism, module: &Module) -> Result<Validator, String> {
        let oauth = &settings.oauth;
        match settings.handler.as_deref() {
            None | Some(UNSECURED_HANDLER) => {
                tracing::warn!(
                    listener,
                    "OAUTHBEARER accepts tokens that nobody signed: set sasl.server.callback.handler.class to {}",
                    SIGNED_HANDLERS[0]
                );
                Unsecured::new(module).map(Validator::Unsecured)
            }
            Some(class) if SIGNED_HANDLERS.contains(&class) => {
                if !VALIDATORS.contains(&oauth.validator.as_str()) {
                    return Err(format!(
                        "sasl.oauthbearer.jwt.validator.class is {}: remove it, Klamm cannot load Java classes",
                        oauth.validator
                    ));
                }
                let Some(url) = &oauth.jwks_url else {
                    return Err(format!(
                        "OAUTHBEARER on the listener {listener} needs keys to check tokens with: set \
                         sasl.oauthbearer.jwks.endpoint.url"
                    ));
                };
                if !["file:", "http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
                    return Err(
                        "sasl.oauthbearer.jwks.endpoint.url must begin with file:, http:// or https://: correct it"
                            .into(),
                    );
                }
                let keys = Arc::new(KeySet::default());
                self.keys.push(KeySource {
                    keys: Arc::clone(&keys),
                    url: url.clone(),
                    refresh: oauth.jwks_refresh,
                    backoff: oauth.jwks_backoff,
                    backoff_max: oauth.jwks_backoff_max,
                });
                Ok(Validator::Signed(Signed {
                    keys,
                    audiences: oauth.audiences.clone(),
                    issuer: oauth.issuer.clone(),
                    skew_seconds: oauth.skew_seconds,
                    scope_claim: oauth.scope_claim.clone(),
                    subject_claim: oauth.subject_claim.clone(),
                }))
            }
            Some(class) => Err(format!(
                "OAUTHBEARER on the listener {listener} has the callback handler {class}, and Klamm cannot load Java \
                 classes: use {}, or none",
                SIGNED_HANDLERS[0]
            )),
        }
    }
}

/// Whether a running listener may go from its settings to others: they can be used, and its certificate stays its own
/// (`SslFactory.CertificateEntries.ensureCompatible`).
///
/// # Errors
/// It may not, for this reason, without a full stop and without a secret.
pub fn check_change(old: &Security, new: &Security, fs: &dyn Fs) -> Result<(), String> {
    // Nothing of it is kept, so any pepper will do.
    Access::new(new, &[])?;
    let Some(tls) = &new.tls else { return Ok(()) };
    let (_, next) = tls::server(tls, fs).map_err(|fault| fault.to_string())?;
    // What is shown now cannot be compared if its file is gone already.
    let Some(Ok((_, now))) = old.tls.as_ref().map(|tls| tls::server(tls, fs)) else { return Ok(()) };
    let (Some(now), Some(next)) = (now.chain.first(), next.chain.first()) else { return Ok(()) };
    let (old_name, new_name) = (name::subject(now), name::subject(next));
    if !tls.allow_dn_changes && old_name != new_name {
        return Err(format!(
            "Keystore DistinguishedName does not match:  existing={{{}}}, new={{{}}}",
            old_name.unwrap_or_default(),
            new_name.unwrap_or_default()
        ));
    }
    let names = name::alternatives(next);
    if !tls.allow_san_changes && !name::alternatives(now).iter().all(|old| names.contains(old)) {
        return Err("Keystore SubjectAltNames do not match: the new certificate lacks names of the old one".into());
    }
    Ok(())
}

fn example(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => {
            "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"alice's password\";"
        }
        Mechanism::Scram(ScramMechanism::Sha256 | ScramMechanism::Sha512) => {
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        }
        Mechanism::OauthBearer => "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::BrokerConfig;

    fn access(pairs: &[(&str, &str)]) -> Result<Access, String> {
        let base = [("listeners", "IN://localhost:1"), ("listener.security.protocol.map", "IN:SASL_PLAINTEXT")];
        let values = base.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = BrokerConfig::new(values.collect()).unwrap();
        Access::new(&config.settings().network.security[0], b"pepper")
    }

    const MECHANISMS: &str = "sasl.enabled.mechanisms";
    const PLAIN: &str = "listener.name.in.plain.sasl.jaas.config";
    const OAUTH: &str = "listener.name.in.oauthbearer.sasl.jaas.config";
    const HANDLER: &str = "listener.name.in.oauthbearer.sasl.server.callback.handler.class";

    #[test]
    fn every_fault_is_a_sentence_that_says_what_to_do_and_shows_no_secret() {
        let cases: [(&[(&str, &str)], &str); 10] = [
            (&[], "GSSAPI (Kerberos), which is not supported"),
            (&[(MECHANISMS, "")], "name some in sasl.enabled.mechanisms"),
            (&[(MECHANISMS, "plain")], "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"),
            (&[(MECHANISMS, "PLAIN")], "set listener.name.in.plain.sasl.jaas.config"),
            (&[(MECHANISMS, "PLAIN"), (PLAIN, "a required p=hunter2")], "not terminated by semi-colon"),
            (&[(MECHANISMS, "PLAIN"), (PLAIN, "a required p=hunter2; b required;")], "has 2 login modules"),
            (
                &[
                    (MECHANISMS, "PLAIN"),
                    (PLAIN, "a required;"),
                    ("listener.name.in.plain.sasl.server.callback.handler.class", "X"),
                ],
                "cannot load Java classes",
            ),
            (&[(MECHANISMS, "OAUTHBEARER"), (OAUTH, "a required;"), (HANDLER, "X")], "cannot load Java classes"),
            (
                &[(MECHANISMS, "OAUTHBEARER"), (OAUTH, "a required;"), (HANDLER, SIGNED_HANDLERS[0])],
                "jwks.endpoint.url",
            ),
            (
                &[(MECHANISMS, "OAUTHBEARER"), (OAUTH, "a required unsecuredValidatorAllowableClockSkewMs=x;")],
                "unsecuredValidatorAllowableClockSkewMs",
            ),
        ];
        for (pairs, expected) in cases {
            let fault = access(pairs).unwrap_err();
            assert!(fault.contains(expected) && !fault.contains("hunter2"), "{fault:?} for {expected:?}");
        }
    }

    #[test]
    fn mechanisms_keep_their_order_and_keys_are_to_be_fetched() {
        let access = access(&[
            (MECHANISMS, "SCRAM-SHA-512,OAUTHBEARER"),
            ("listener.name.in.scram-sha-512.sasl.jaas.config", "x required;"),
            (OAUTH, "x required;"),
            (HANDLER, SIGNED_HANDLERS[1]),
            ("listener.name.in.oauthbearer.sasl.oauthbearer.jwks.endpoint.url", "file:///keys"),
        ])
        .unwrap();
        assert_eq!(access.rules.unwrap().names(), ["SCRAM-SHA-512", "OAUTHBEARER"]);
        assert_eq!(access.keys[0].url, "file:///keys");
    }
}
