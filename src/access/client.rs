//! The client's side of the mechanisms of SASL: how this node logs in where other nodes listen. Bytes of the server in,
//! what to send next out; a nonce comes in, so nothing here is random.
//!
//! PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677). A server that asks SCRAM for more iterations than any credential has
//! would only cost time, and one that asks for fewer would learn too much: both are refused, and so is one that cannot
//! show that it knows the password's keys.

use super::jaas::{self, Module};
use super::mechanism::constant_time_eq;
use crate::config::security::{OwnLogin, Secret, Towards};
use crate::model::{ScramCredential, ScramMechanism};
use crate::peer::{Exchange, Mechanism};
use crate::rt::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

/// A name, a password, and how they are shown.
#[derive(Clone)]
pub(super) struct Own {
    kind: Kind,
    user: String,
    password: Arc<str>,
    /// The password is the HMAC of the delegation token `user`.
    by_token: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Scram(ScramMechanism),
}

impl Kind {
    fn parse(mechanism: &str) -> Option<Kind> {
        match ScramMechanism::parse(mechanism) {
            Some(scram) => Some(Kind::Scram(scram)),
            None => (mechanism == "PLAIN").then_some(Kind::Plain),
        }
    }
}

/// The login of a client by its own settings: `sasl.mechanism` and `sasl.jaas.config`.
///
/// # Errors
/// One sentence without a full stop that says what to do, and contains no secret.
pub fn login(mechanism: &str, jaas: &Secret) -> Result<Box<dyn Mechanism>, String> {
    let Some(kind) = Kind::parse(mechanism) else {
        return Err(format!(
            "sasl.mechanism is {mechanism}, which is not supported here: make it PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
        ));
    };
    let needed = format!("{mechanism} needs both a name and a password");
    Ok(Box::new(Own::read(kind, jaas, "sasl.jaas.config", &needed)?))
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("kind", &self.kind).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Own {
    /// From the settings of a node.
    ///
    /// # Errors
    /// One sentence without a full stop that says what to do, and contains no secret.
    pub(super) fn new(towards: &Towards, login: &OwnLogin) -> Result<Own, String> {
        let OwnLogin { mechanism, set_by, jaas } = login;
        let Some(kind) = Kind::parse(mechanism) else {
            return Err(format!(
                "{set_by} is {mechanism}, by which nodes of Klamm cannot log in to each other: set it to PLAIN, \
                 SCRAM-SHA-256 or SCRAM-SHA-512"
            ));
        };
        let (listener, name) = (towards.listener.as_str().to_lowercase(), mechanism.to_lowercase());
        let key = format!("listener.name.{listener}.{name}.sasl.jaas.config");
        let Some(text) = jaas else {
            return Err(format!("{set_by} is {mechanism}, which needs a name and a password: set {key} with both"));
        };
        Own::read(kind, text, &key, &format!("with {set_by}={mechanism} this node needs one of its own"))
    }

    /// From a JAAS string. `key` is the setting that has it, `needed` says why it has to have what is missing.
    fn read(kind: Kind, text: &Secret, key: &str, needed: &str) -> Result<Own, String> {
        let modules = jaas::parse(text.reveal()).map_err(|fault| format!("{key} cannot be read: {fault}"))?;
        let [module] = &modules[..] else {
            return Err(format!("{key} has {} login modules: it needs exactly one", modules.len()));
        };
        let option = |name: &str| {
            let given = |module: &Module| module.options.get(name).filter(|value| !value.is_empty()).cloned();
            given(module).ok_or_else(|| {
                format!("{key} has no {name}, and {needed}: write username=\"...\" password=\"...\" into it")
            })
        };
        let by_token =
            kind != Kind::Plain && module.option("tokenauth").is_some_and(|on| on.eq_ignore_ascii_case("true"));
        Ok(Own { kind, user: option("username")?, password: option("password")?.into(), by_token })
    }

    /// Begins a login, with random text that no other login has; of PLAIN it is not used.
    fn with_nonce(&self, nonce: String) -> Box<dyn Exchange> {
        match self.kind {
            Kind::Plain => Box::new(Plain { message: Some(format!("\0{}\0{}", self.user, self.password)) }),
            Kind::Scram(mechanism) => {
                let by_token = if self.by_token { ",tokenauth=true" } else { "" };
                Box::new(Scram {
                    mechanism,
                    password: Arc::clone(&self.password),
                    bare: format!("n={},r={nonce}{by_token}", saslname(&self.user)),
                    nonce,
                    state: State::First,
                })
            }
        }
    }
}

impl Mechanism for Own {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Plain => "PLAIN",
            Kind::Scram(mechanism) => mechanism.name(),
        }
    }

    fn begin(&self) -> Box<dyn Exchange> {
        let mut bytes = [0; 24];
        rand::fill(&mut bytes);
        self.with_nonce(BASE64.encode(bytes))
    }
}

/// A name as `SASLNAME`: the two characters that mean something there are written otherwise.
fn saslname(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

struct Plain {
    message: Option<String>,
}

impl Exchange for Plain {
    fn step(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match self.message.take() {
            Some(message) => Ok(Some(message.into_bytes())),
            None if bytes.is_empty() => Ok(None),
            None => Err("PLAIN has no challenges, and the server sent one".into()),
        }
    }
}

struct Scram {
    mechanism: ScramMechanism,
    password: Arc<str>,
    nonce: String,
    /// The first message without its header.
    bare: String,
    state: State,
}

enum State {
    First,
    /// The first message was sent.
    Challenge,
    /// The last one too: what the server must show now.
    Signature(Arc<[u8]>),
    Over,
}

/// A challenge: the nonce, the salt, and how often to go on.
fn challenge(message: &str) -> Option<(&str, Vec<u8>, u32)> {
    // Extensions may follow, but none before that would have to be understood.
    let mut parts = message.split(',');
    let mut part = |name: &str| parts.next()?.strip_prefix(name);
    let nonce = part("r=")?;
    let salt = BASE64.decode(part("s=")?).ok()?;
    Some((nonce, salt, part("i=")?.parse().ok()?))
}

impl Exchange for Scram {
    fn step(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "the server's message is not text".to_owned())?;
        match std::mem::replace(&mut self.state, State::Over) {
            State::First => {
                self.state = State::Challenge;
                Ok(Some(format!("n,,{}", self.bare).into_bytes()))
            }
            State::Challenge => self.last(text).map(Some),
            State::Signature(expected) => {
                if let Some(error) = text.strip_prefix("e=") {
                    return Err(format!("Sasl authentication using {} failed with error: {error}", self.mechanism));
                }
                let shown = text.split(',').next().and_then(|first| BASE64.decode(first.strip_prefix("v=")?).ok());
                if shown.is_some_and(|shown| constant_time_eq(&shown, &expected)) {
                    Ok(None)
                } else {
                    Err("Invalid server signature in server final message".into())
                }
            }
            State::Over => Err("the server goes on after the end of the login".into()),
        }
    }
}

impl Scram {
    fn last(&mut self, text: &str) -> Result<Vec<u8>, String> {
        let form = || "Invalid SCRAM server first message format".to_owned();
        let (nonce, salt, count) = challenge(text).ok_or_else(form)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("Invalid server nonce: does not start with client nonce".into());
        }
        let mechanism = self.mechanism;
        if count < mechanism.iterations_min() {
            let min = mechanism.iterations_min();
            return Err(format!("Requested iterations {count} is less than the minimum {min} for {mechanism}"));
        }
        if count > mechanism.iterations_max() {
            let max = mechanism.iterations_max();
            return Err(format!("Requested iterations {count} is more than the maximum {max} for {mechanism}"));
        }
        let iterations = NonZeroU32::new(count).ok_or_else(form)?;
        let salted = mechanism.salted_password(&self.password, &salt, iterations);
        let keys = ScramCredential::of_salted(mechanism, &salted, &salt, count);
        // "biws": the header `n,,` of the first message, in base64.
        let without_proof = format!("c=biws,r={nonce}");
        let all = format!("{},{text},{without_proof}", self.bare);
        let signature = mechanism.hmac(&keys.stored_key, all.as_bytes());
        let client_key = mechanism.hmac(&salted, b"Client Key");
        let proof: Vec<u8> = client_key.iter().zip(signature.iter()).map(|(a, b)| a ^ b).collect();
        self.state = State::Signature(mechanism.hmac(&keys.server_key, all.as_bytes()));
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)).into_bytes())
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
