//! What the mechanisms of SASL have in common: bytes of the client in, the next step out.
//!
//! Nothing here knows sockets, clocks or where credentials are kept; an exchange is a value that lives as long as a login.

use super::Credentials;
use super::oauth::{self, Bearer};
use super::plain::{self, Plain};
use super::scram::{self, Scram};
use crate::model::{Principal, ScramMechanism, TimestampMs};
use std::sync::Arc;

/// A mechanism that is built. (GSSAPI is not, and is refused when the broker starts.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    Plain,
    Scram(ScramMechanism),
    OauthBearer,
}

impl Mechanism {
    pub const ALL: [Mechanism; 4] = [
        Mechanism::Plain,
        Mechanism::Scram(ScramMechanism::Sha256),
        Mechanism::Scram(ScramMechanism::Sha512),
        Mechanism::OauthBearer,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(scram) => scram.name(),
            Mechanism::OauthBearer => "OAUTHBEARER",
        }
    }

    /// The mechanism of exactly this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// What a login gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub principal: Principal,
    /// By a delegation token.
    pub by_token: bool,
    /// When what it was shown with ends.
    pub expires: Option<TimestampMs>,
}

/// Why a login failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The client is told this.
    Saying(String),
    /// The client is told only that its credentials are invalid; this is for the log, and contains no secret.
    Credentials(&'static str),
}

/// What follows from bytes of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To be answered with this; more is to come.
    Challenge(Vec<u8>),
    /// To be answered with this, and done.
    Done(Vec<u8>, Identity),
    Refused(Refused),
}

/// What an exchange is given besides the client's bytes.
pub struct Surroundings<'a> {
    pub credentials: &'a dyn Credentials,
    pub now: TimestampMs,
    /// Fresh random text, printable and without commas, for one login.
    pub nonce: &'a str,
    /// Random, kept while the broker runs: what makes up a salt for users that do not exist.
    pub pepper: &'a [u8],
}

/// How a mechanism of a listener checks logins.
#[derive(Clone, Debug)]
pub enum Checks {
    Plain(Arc<plain::Users>),
    Scram(ScramMechanism),
    Oauth(Arc<oauth::Validator>),
}

impl Checks {
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Checks::Plain(_) => Mechanism::Plain,
            Checks::Scram(scram) => Mechanism::Scram(*scram),
            Checks::Oauth(_) => Mechanism::OauthBearer,
        }
    }

    /// Begins a login.
    #[must_use]
    pub fn begin(&self) -> Exchange {
        match self {
            Checks::Plain(users) => Exchange::Plain(Plain::new(Arc::clone(users))),
            Checks::Scram(scram) => Exchange::Scram(Box::new(Scram::new(*scram))),
            Checks::Oauth(validator) => Exchange::Oauth(Bearer::new(Arc::clone(validator))),
        }
    }
}

/// A login under way.
#[derive(Debug)]
pub enum Exchange {
    Plain(Plain),
    Scram(Box<Scram>),
    Oauth(Bearer),
}

impl Exchange {
    pub fn step(&mut self, bytes: &[u8], around: &Surroundings<'_>) -> Step {
        match self {
            Exchange::Plain(plain) => plain.step(bytes),
            Exchange::Scram(scram) => scram.step(bytes, around),
            Exchange::Oauth(bearer) => bearer.step(bytes, around.now),
        }
    }
}

/// `SASLNAME` of RFC 5801 as text: `=2C` is a comma and `=3D` an equals sign. `None` for what is not one.
#[must_use]
pub(super) fn saslname(text: &str) -> Option<String> {
    if text.is_empty() || text.contains([',', '\0']) || !text.is_ascii() {
        return None;
    }
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        name.push_str(before);
        let (escaped, left) = match (after.strip_prefix("2C"), after.strip_prefix("3D")) {
            (Some(left), _) => (',', left),
            (_, Some(left)) => ('=', left),
            _ => return None,
        };
        name.push(escaped);
        rest = left;
    }
    name.push_str(rest);
    Some(name)
}

pub(super) use scram::constant_time_eq;
