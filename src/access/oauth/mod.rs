//! OAUTHBEARER (RFC 7628): a login with a token that somebody else has signed.
//!
//! [`Bearer`] is the exchange, [`Validator`] what a token must satisfy: a signature by a key of a JWKS and Kafka's checks of
//! the claims (`BrokerJwtValidator`), or, where no validator class is set, Kafka's unsecured tokens, which anybody can make.

mod claims;
mod jwks;

pub use claims::{Signed, Unsecured};
pub use jwks::{BadKeys, KeySet};

use super::mechanism::{Identity, Refused, Step, saslname};
use crate::model::{Principal, TimestampMs};
use std::sync::Arc;

/// What a token must satisfy.
#[derive(Debug)]
pub enum Validator {
    /// `OAuthBearerUnsecuredValidatorCallbackHandler`
    Unsecured(Unsecured),
    /// `OAuthBearerValidatorCallbackHandler`
    Signed(Signed),
}

/// A token that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub subject: String,
    pub expires: TimestampMs,
}

/// Why a token was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// For the log.
    Token(&'static str),
    /// It is valid and lacks a scope of these.
    Scope(String),
}

impl Fault {
    /// What the client is told (RFC 7628, 3.2.2).
    fn json(&self) -> String {
        match self {
            Fault::Token(_) => r#"{"status":"invalid_token"}"#.to_owned(),
            Fault::Scope(scope) => {
                // From the configuration, so never hostile, but not to break the form.
                let scope = scope.replace(['"', '\\'], "");
                format!(r#"{{"status":"insufficient_scope", "scope":"{scope}"}}"#)
            }
        }
    }
}

impl Validator {
    fn check(&self, token: &str, now: TimestampMs) -> Result<Accepted, Fault> {
        match self {
            Validator::Unsecured(rules) => rules.check(token, now),
            Validator::Signed(rules) => rules.check(token, now),
        }
    }
}

/// One login.
#[derive(Debug)]
pub struct Bearer {
    validator: Arc<Validator>,
    /// The client was told this and has still to acknowledge it.
    told: Option<String>,
}

/// The client's first message.
#[derive(Debug, PartialEq)]
struct Initial {
    authorization: Option<String>,
    token: String,
}

const SEPARATOR: char = '\u{1}';

impl Initial {
    fn parse(bytes: &[u8]) -> Result<Initial, &'static str> {
        const FORM: &str = "the first message has no valid form";
        let text = std::str::from_utf8(bytes).map_err(|_| FORM)?;
        let (authorization, rest) = text.strip_prefix("n,").and_then(|rest| rest.split_once(',')).ok_or(FORM)?;
        let authorization = match authorization {
            "" => None,
            text => Some(text.strip_prefix("a=").and_then(saslname).ok_or(FORM)?),
        };
        let pairs = rest.strip_prefix(SEPARATOR).and_then(|rest| rest.strip_suffix(SEPARATOR)).ok_or(FORM)?;
        let mut auth = None;
        for pair in pairs.split_terminator(SEPARATOR) {
            let (key, value) = pair.split_once('=').ok_or(FORM)?;
            let named = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic());
            let valued = !value.is_empty()
                && value.bytes().all(|byte| (0x21..=0x7e).contains(&byte) || b" \t\r\n".contains(&byte));
            if !named || !valued {
                return Err(FORM);
            }
            if key == "auth" {
                auth = Some(value);
            }
        }
        if !pairs.is_empty() && !pairs.ends_with(SEPARATOR) {
            return Err(FORM);
        }
        let (scheme, token) = auth.and_then(|auth| auth.split_once(' ')).ok_or("there is no token")?;
        let token = token.trim_start_matches(' ');
        let charset = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~+/.".contains(&byte);
        let bare = token.trim_end_matches('=');
        if !scheme.eq_ignore_ascii_case("bearer") || bare.is_empty() || !bare.bytes().all(charset) {
            return Err("the token has no valid form");
        }
        Ok(Initial { authorization, token: token.to_owned() })
    }
}

impl Bearer {
    pub(super) fn new(validator: Arc<Validator>) -> Bearer {
        Bearer { validator, told: None }
    }

    pub(super) fn step(&mut self, bytes: &[u8], now: TimestampMs) -> Step {
        if let Some(told) = self.told.take()
            && bytes == [1]
        {
            return Step::Refused(Refused::Saying(told));
        }
        let initial = match Initial::parse(bytes) {
            Ok(initial) => initial,
            Err(why) => return Step::Refused(Refused::Credentials(why)),
        };
        let accepted = match self.validator.check(&initial.token, now) {
            Ok(accepted) => accepted,
            Err(fault) => {
                tracing::debug!(?fault, "a token was not accepted");
                let json = fault.json();
                self.told = Some(json.clone());
                return Step::Challenge(json.into_bytes());
            }
        };
        if let Some(other) = initial.authorization.filter(|name| *name != accepted.subject) {
            return Step::Refused(Refused::Saying(format!(
                "Authentication failed: Client requested an authorization id ({other}) that is different from the token's \
                 principal name ({})",
                accepted.subject
            )));
        }
        let principal = Principal::user(&accepted.subject);
        Step::Done(Vec::new(), Identity { principal, by_token: false, expires: Some(accepted.expires) })
    }
}

#[cfg(test)]
mod tests;
