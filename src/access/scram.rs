//! SCRAM-SHA-256 and -512 on the server's side (RFC 5802, RFC 7677), with Kafka's `tokenauth` extension for delegation
//! tokens.
//!
//! Unlike Kafka, which ends the exchange at once, a user that does not exist is challenged like any other: with a salt that
//! is always the same for that name. It fails with its proof, as a wrong password does, so names cannot be tried out. Only
//! `n` is offered as channel binding, so there is none to check; the client's proof covers what it sent of it.

use super::mechanism::{Identity, Refused, Step, Surroundings, saslname};
use crate::model::{Principal, ScramCredential, ScramMechanism};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt;
use std::sync::Arc;

/// Compares without telling by its time where two secrets of one length differ.
#[must_use]
pub(super) fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    std::hint::black_box(one.iter().zip(other).fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b)))) == 0
}

/// One login.
pub struct Scram {
    mechanism: ScramMechanism,
    state: State,
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scram({})", self.mechanism)
    }
}

enum State {
    First,
    /// The challenge was sent.
    Final(Box<Challenged>),
    Over,
}

struct Challenged {
    credential: ScramCredential,
    /// `None`: there is no such user, and no proof is right.
    identity: Option<Identity>,
    nonce: String,
    /// The client's first message without its header, and the server's first, joined by a comma.
    messages: String,
}

/// The client's first message.
#[derive(Debug, PartialEq)]
struct ClientFirst<'a> {
    authorization: Option<&'a str>,
    name: &'a str,
    nonce: &'a str,
    by_token: bool,
    bare: &'a str,
}

fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b',')
}

/// `name=value`, with what values and names may have.
fn attribute(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    (named && !value.is_empty() && value.is_ascii() && !value.contains('\0')).then_some((name, value))
}

impl<'a> ClientFirst<'a> {
    fn parse(message: &'a str) -> Option<ClientFirst<'a>> {
        let (authorization, bare) = message.strip_prefix("n,")?.split_once(',')?;
        let authorization = match authorization {
            "" => None,
            text => Some(text.strip_prefix("a=")?),
        };
        let mut parts = bare.split(',').peekable();
        // Reserved for extensions that must be understood; Kafka passes over it.
        if parts.peek()?.starts_with("m=") {
            attribute(parts.next()?)?;
        }
        let name = parts.next()?.strip_prefix("n=")?;
        let nonce = parts.next()?.strip_prefix("r=")?;
        let mut by_token = false;
        for part in parts {
            let (name, value) = attribute(part)?;
            by_token |= name == "tokenauth" && value.eq_ignore_ascii_case("true");
        }
        is_printable(nonce).then_some(ClientFirst { authorization, name, nonce, by_token, bare })
    }
}

/// The client's final message: its nonce, its proof, and all of it before the proof.
fn client_final(message: &str) -> Option<(&str, Vec<u8>, &str)> {
    let (rest, proof) = message.rsplit_once(",p=")?;
    let mut parts = rest.split(',');
    BASE64.decode(parts.next()?.strip_prefix("c=")?).ok()?;
    let nonce = parts.next()?.strip_prefix("r=")?;
    for part in parts {
        attribute(part)?;
    }
    Some((nonce, BASE64.decode(proof).ok()?, rest))
}

impl Scram {
    pub(super) fn new(mechanism: ScramMechanism) -> Scram {
        Scram { mechanism, state: State::First }
    }

    pub(super) fn step(&mut self, bytes: &[u8], around: &Surroundings<'_>) -> Step {
        let outcome = match (std::mem::replace(&mut self.state, State::Over), std::str::from_utf8(bytes)) {
            (_, Err(_)) => Err(Refused::Credentials("a message that is not text")),
            (State::First, Ok(message)) => self.first(message, around),
            (State::Final(challenged), Ok(message)) => self.last(&challenged, message),
            (State::Over, _) => Err(Refused::Credentials("a message after the last")),
        };
        outcome.unwrap_or_else(Step::Refused)
    }

    fn first(&mut self, message: &str, around: &Surroundings<'_>) -> Result<Step, Refused> {
        let first = ClientFirst::parse(message).ok_or(Refused::Credentials("the first message has no valid form"))?;
        let user = saslname(first.name).ok_or(Refused::Credentials("the user name has no valid form"))?;
        let different = || {
            Refused::Saying(
                "Authentication failed: Client requested an authorization id that is different from username".into(),
            )
        };
        if first.authorization.is_some_and(|authorization| authorization != user) {
            return Err(different());
        }
        let found = if first.by_token {
            around.credentials.token(self.mechanism, &user).map(|token| {
                let identity = Identity { principal: token.owner, by_token: true, expires: Some(token.expires) };
                (token.credential, identity)
            })
        } else {
            around.credentials.scram(self.mechanism, &user).map(|credential| {
                let identity = Identity { principal: Principal::user(&user), by_token: false, expires: None };
                (credential, identity)
            })
        };
        let found = found.filter(|(credential, _)| credential.iterations >= self.mechanism.iterations_min());
        let (credential, identity) = match found {
            Some((credential, identity)) => (credential, Some(identity)),
            None => (self.nobody(&user, around.pepper), None),
        };
        let nonce = [first.nonce, around.nonce].concat();
        let challenge = format!("r={nonce},s={},i={}", BASE64.encode(&credential.salt), credential.iterations);
        let messages = format!("{},{challenge}", first.bare);
        self.state = State::Final(Box::new(Challenged { credential, identity, nonce, messages }));
        Ok(Step::Challenge(challenge.into_bytes()))
    }

    /// What somebody who does not exist is challenged with: the same every time, and like anybody else's.
    fn nobody(&self, user: &str, pepper: &[u8]) -> ScramCredential {
        let salt = self.mechanism.hmac(pepper, user.as_bytes());
        // As long as what Kafka's tools and clients make.
        let key = self.mechanism.hmac(pepper, &salt);
        ScramCredential {
            salt: salt.iter().copied().take(NOBODYS_SALT).collect(),
            stored_key: Arc::clone(&key),
            server_key: key,
            iterations: self.mechanism.iterations_min(),
        }
    }

    fn last(&self, challenged: &Challenged, message: &str) -> Result<Step, Refused> {
        let Challenged { credential, identity, nonce, messages } = challenged;
        let (shown, proof, without_proof) =
            client_final(message).ok_or(Refused::Credentials("the final message has no valid form"))?;
        if shown != nonce {
            return Err(Refused::Credentials("the nonce is not the one of this login"));
        }
        let exchange = format!("{messages},{without_proof}");
        let signature = self.mechanism.hmac(&credential.stored_key, exchange.as_bytes());
        let key: Vec<u8> = signature.iter().zip(&proof).map(|(a, b)| a ^ b).collect();
        let right =
            proof.len() == signature.len() && constant_time_eq(&self.mechanism.hash(&key), &credential.stored_key);
        match identity {
            Some(identity) if right => {
                let signature = self.mechanism.hmac(&credential.server_key, exchange.as_bytes());
                let answer = format!("v={}", BASE64.encode(&signature));
                Ok(Step::Done(answer.into_bytes(), identity.clone()))
            }
            _ => Err(Refused::Credentials("the proof is wrong, or there is no such user")),
        }
    }
}

/// Bytes of salt of a user that does not exist.
const NOBODYS_SALT: usize = 25;

#[cfg(test)]
#[path = "scram_tests.rs"]
mod tests;
