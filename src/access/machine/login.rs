//! One connection's login by SASL (`SaslServerAuthenticator`): which request may come now, the exchange with its mechanism,
//! how long the session lasts, and logging in again (KIP-368).
//!
//! A client sends at most one ApiVersions request and then a handshake. After a handshake of version 0 the exchange is
//! bare bytes in frames; after one of version 1 it is SaslAuthenticate requests. What comes out of turn ends the connection.

use crate::access::mechanism::{Checks, Exchange, Identity, Mechanism, Refused, Step, Surroundings};
use crate::model::{ErrorCode, TimestampMs};
use std::sync::Arc;

/// How the next frame is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A request with its header.
    Kafka,
    /// Bytes of the mechanism.
    Bare,
}

/// What the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Acceptable, or of a version or with content that is answered with an error and may be sent again.
    ApiVersions {
        acceptable: bool,
    },
    Handshake {
        version: i16,
        mechanism: &'a str,
    },
    Authenticate {
        version: i16,
        bytes: &'a [u8],
    },
    /// A frame without a header.
    Bare(&'a [u8]),
    /// Anything else, by its name.
    Other(&'a str),
}

/// What the client is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As ever.
    ApiVersions,
    /// With the mechanisms that there are.
    Handshake(ErrorCode),
    Authenticate {
        error: ErrorCode,
        message: Option<String>,
        bytes: Vec<u8>,
        lifetime_ms: i64,
    },
    Bare(Vec<u8>),
    /// The request's own answer, with `ILLEGAL_SASL_STATE`.
    OutOfTurn,
    Nothing,
}

/// What follows from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// More is to come.
    Go(Answer),
    /// The client has logged in.
    Done {
        answer: Answer,
        session: Session,
    },
    Failed {
        answer: Answer,
        closing: Closing,
    },
}

/// A login that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub identity: Identity,
    pub mechanism: Mechanism,
    /// How long from now on; `None`: as long as the connection.
    pub lifetime_ms: Option<i64>,
}

/// How and why a connection whose login failed is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// After `connection.failed.authentication.delay.ms`.
    pub delayed: bool,
    pub why: String,
}

/// What a listener lets clients log in by.
#[derive(Debug)]
pub struct Rules {
    /// With how long a session lasts at most, in milliseconds; 0: as long as the connection.
    pub mechanisms: Vec<(Checks, i64)>,
}

impl Rules {
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.mechanisms.iter().map(|(checks, _)| checks.mechanism().name()).collect()
    }
}

/// The login of one connection.
#[derive(Debug)]
pub struct Login {
    rules: Arc<Rules>,
    state: State,
    /// The session that is to go on.
    before: Option<Session>,
}

#[derive(Debug)]
enum State {
    /// Nothing came yet: the client may not even speak Kafka's protocol.
    Silent,
    HandshakeOrVersions,
    Handshake,
    Exchange {
        exchange: Exchange,
        mechanism: Mechanism,
        lasting_ms: i64,
        framing: Framing,
    },
    /// The client wants to go on by another mechanism; it is told so when it tries.
    OtherMechanism(String),
    Over,
}

impl Login {
    #[must_use]
    pub fn new(rules: Arc<Rules>) -> Login {
        Login { rules, state: State::Silent, before: None }
    }

    /// To prolong `session`, which must stay the same principal's by the same mechanism.
    #[must_use]
    pub fn again(rules: Arc<Rules>, session: Session) -> Login {
        Login { rules, state: State::Handshake, before: Some(session) }
    }

    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How the next frame is to be read.
    #[must_use]
    pub fn framing(&self) -> Framing {
        match self.state {
            State::Exchange { framing, .. } => framing,
            State::OtherMechanism(_) => Framing::Bare,
            _ => Framing::Kafka,
        }
    }

    fn what(&self) -> &'static str {
        if self.before.is_some() { "re-authentication" } else { "authentication" }
    }

    pub fn step(&mut self, request: Request<'_>, around: &Surroundings<'_>) -> Outcome {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Silent => self.greeting(State::HandshakeOrVersions, request),
            state @ (State::HandshakeOrVersions | State::Handshake) => self.greeting(state, request),
            State::Exchange { exchange, mechanism, lasting_ms, framing } => {
                self.exchange(exchange, (mechanism, lasting_ms, framing), request, around)
            }
            State::OtherMechanism(why) => failed(Answer::Nothing, true, why),
            State::Over => failed(Answer::Nothing, false, "it goes on after its end".into()),
        }
    }

    fn greeting(&mut self, state: State, request: Request<'_>) -> Outcome {
        match request {
            Request::ApiVersions { acceptable } if matches!(state, State::HandshakeOrVersions) => {
                self.state = if acceptable { State::Handshake } else { state };
                Outcome::Go(Answer::ApiVersions)
            }
            Request::ApiVersions { .. } => failed(Answer::Nothing, false, "a second ApiVersions request".into()),
            Request::Handshake { version, mechanism } => self.handshake(version, mechanism),
            Request::Authenticate { .. } => out_of_turn("SaslAuthenticate"),
            Request::Other(name) => out_of_turn(name),
            Request::Bare(_) => out_of_turn("no header"),
        }
    }

    fn handshake(&mut self, version: i16, name: &str) -> Outcome {
        let mut mechanisms = self.rules.mechanisms.iter();
        let Some((checks, lasting_ms)) = mechanisms.find(|(checks, _)| checks.mechanism().name() == name) else {
            // What the client sent is not repeated in the log: it may be a password in the wrong place.
            let why = "the mechanism is not enabled".to_owned();
            return failed(Answer::Handshake(ErrorCode::UNSUPPORTED_SASL_MECHANISM), true, why);
        };
        let mechanism = checks.mechanism();
        self.state = match &self.before {
            Some(before) if before.mechanism != mechanism => State::OtherMechanism(format!(
                "SASL mechanism '{}' requested by client is not supported for re-authentication of mechanism '{}'",
                mechanism.name(),
                before.mechanism.name()
            )),
            _ => {
                let framing = if version == 0 { Framing::Bare } else { Framing::Kafka };
                State::Exchange { exchange: checks.begin(), mechanism, lasting_ms: *lasting_ms, framing }
            }
        };
        Outcome::Go(Answer::Handshake(ErrorCode::NONE))
    }

    fn exchange(
        &mut self,
        mut exchange: Exchange,
        (mechanism, lasting_ms, framing): (Mechanism, i64, Framing),
        request: Request<'_>,
        around: &Surroundings<'_>,
    ) -> Outcome {
        let unexpected = |name: &str| format!("Unexpected Kafka request of type {name} during SASL authentication.");
        let bytes = match (request, framing) {
            (Request::Authenticate { bytes, .. }, Framing::Kafka) | (Request::Bare(bytes), Framing::Bare) => bytes,
            (Request::Handshake { .. }, _) => {
                return failed(Answer::Handshake(ErrorCode::ILLEGAL_SASL_STATE), true, unexpected("SASL_HANDSHAKE"));
            }
            (Request::ApiVersions { .. }, _) => return failed(Answer::OutOfTurn, true, unexpected("API_VERSIONS")),
            (Request::Other(name), _) => return failed(Answer::OutOfTurn, true, unexpected(name)),
            (Request::Authenticate { .. } | Request::Bare(_), _) => {
                return failed(Answer::Nothing, true, unexpected(""));
            }
        };
        match exchange.step(bytes, around) {
            Step::Challenge(bytes) => {
                self.state = State::Exchange { exchange, mechanism, lasting_ms, framing };
                Outcome::Go(answer(framing, bytes, 0))
            }
            Step::Refused(refused) => {
                let (message, why) = match refused {
                    Refused::Saying(text) => (text.clone(), text),
                    Refused::Credentials(why) => (
                        format!(
                            "Authentication failed during {} due to invalid credentials with SASL mechanism {}",
                            self.what(),
                            mechanism.name()
                        ),
                        why.to_owned(),
                    ),
                };
                self.refuse(framing, message, why)
            }
            Step::Done(bytes, identity) => {
                if let Some(before) = self.before.as_ref().map(|before| &before.identity.principal)
                    && *before != identity.principal
                {
                    let dotted = |one: &crate::model::Principal| format!("{}.{}", one.kind(), one.name());
                    let (old, new) = (dotted(before), dotted(&identity.principal));
                    let why = format!("Cannot change principals during re-authentication from {old}: {new}");
                    return self.refuse(framing, why.clone(), why);
                }
                let lifetime_ms = lifetime(identity.expires, lasting_ms, around.now);
                let session = Session { identity, mechanism, lifetime_ms };
                Outcome::Done { answer: answer(framing, bytes, lifetime_ms.unwrap_or(0)), session }
            }
        }
    }

    fn refuse(&self, framing: Framing, message: String, why: String) -> Outcome {
        let answer = match framing {
            Framing::Bare => Answer::Nothing,
            Framing::Kafka => Answer::Authenticate {
                error: ErrorCode::SASL_AUTHENTICATION_FAILED,
                message: Some(message),
                bytes: Vec::new(),
                lifetime_ms: 0,
            },
        };
        failed(answer, true, why)
    }
}

fn answer(framing: Framing, bytes: Vec<u8>, lifetime_ms: i64) -> Answer {
    match framing {
        Framing::Bare => Answer::Bare(bytes),
        Framing::Kafka => Answer::Authenticate { error: ErrorCode::NONE, message: None, bytes, lifetime_ms },
    }
}

fn failed(answer: Answer, delayed: bool, why: String) -> Outcome {
    Outcome::Failed { answer, closing: Closing { delayed, why } }
}

fn out_of_turn(name: &str) -> Outcome {
    failed(Answer::Nothing, false, format!("Unexpected Kafka request of type {name} during SASL handshake."))
}

/// How long a session lasts: as long as what it was shown with, and no longer than the listener lets it.
fn lifetime(expires: Option<TimestampMs>, lasting_ms: i64, now: TimestampMs) -> Option<i64> {
    let left = expires.map(|at| at.0.saturating_sub(now.0).max(0));
    let most = (lasting_ms > 0).then_some(lasting_ms);
    match (left, most) {
        (Some(left), Some(most)) => Some(left.min(most)),
        (left, most) => left.or(most),
    }
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
