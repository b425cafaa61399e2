//! A connection's login: bytes of frames to the requests of [`machine::Login`], its answers to bytes, and when its session
//! ends.

use super::guarded::Guarded;
use crate::access::Surroundings;
use crate::access::machine::{self, Framing, Outcome, Request, Rules, Session};
use crate::api::out_of_turn::out_of_turn;
use crate::api::{self, Context, Peer, api_versions, sasl_authenticate, sasl_handshake};
use crate::config::Settings;
use crate::rt::{clock, rand};
use crate::wire::{RequestHeader, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client may log in again no more often than this.
const AGAIN: Duration = Duration::from_secs(1);

/// The one request that may come before a login besides those of the login.
const API_VERSIONS: i16 = 18;

/// The login of one connection.
pub(super) struct Login {
    guarded: Arc<Guarded>,
    stage: Stage,
    /// When the client logged in again last.
    again: Option<Instant>,
}

enum Stage {
    Under(machine::Login),
    /// Until when, if its end was told.
    In(Session, Option<Instant>),
}

/// Whose a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// An ordinary request.
    Pass,
    Login,
    /// The session is over.
    Expired,
}

/// What is to be done about a frame of a login.
pub(super) enum Next {
    Answer(i16, Bytes),
    /// To be answered like any ApiVersions request.
    ApiVersions(RequestHeader, Bytes),
    /// The client is that principal from now on.
    Done {
        key: i16,
        answer: Bytes,
        peer: Option<Peer>,
    },
    /// After the delay, if it is delayed.
    Failed {
        key: i16,
        answer: Bytes,
        closing: machine::Closing,
    },
}

impl Login {
    pub(super) fn new(guarded: Arc<Guarded>, rules: Arc<Rules>) -> Login {
        Login { guarded, stage: Stage::Under(machine::Login::new(rules)), again: None }
    }

    /// The client has logged in, maybe for a session that is over.
    pub(super) fn is_in(&self) -> bool {
        matches!(self.stage, Stage::In(..)) || self.again.is_some()
    }

    pub(super) fn turn(&mut self, frame: &[u8], now: Instant) -> Turn {
        let Stage::In(session, Some(until)) = &self.stage else {
            return if matches!(self.stage, Stage::In(..)) { Turn::Pass } else { Turn::Login };
        };
        let handshake = frame.starts_with(&sasl_handshake::KEY.to_be_bytes());
        let often = self.again.is_some_and(|last| now.saturating_duration_since(last) < AGAIN);
        if handshake && !often {
            let Some(rules) = self.guarded.now().access.rules.clone() else { return Turn::Expired };
            self.stage = Stage::Under(machine::Login::again(rules, session.clone()));
            self.again = Some(now);
            return Turn::Login;
        }
        if now > *until { Turn::Expired } else { Turn::Pass }
    }

    /// # Errors
    /// The frame is not what it says: the connection is to be closed.
    pub(super) fn step(&mut self, ctx: &Context, peer: &Peer, frame: Bytes) -> Result<Next, String> {
        let Stage::Under(login) = &mut self.stage else { return Err("there is no login under way".into()) };
        let nonce = nonce();
        let around = Surroundings {
            credentials: &*ctx.credentials,
            now: clock::now_ms(),
            nonce: &nonce,
            pepper: self.guarded.pepper(),
        };
        let (header, body) = match login.framing() {
            Framing::Bare => {
                let outcome = login.step(Request::Bare(&frame), &around);
                return self.next(peer, None, outcome);
            }
            Framing::Kafka => header::parse(&frame).map_err(|error| error.to_string())?,
        };
        api::cost(peer.side, &header, &body)?;
        let outcome = match header.key {
            sasl_handshake::KEY => {
                let mechanism = sasl_handshake::mechanism(header.version, body.clone())?;
                login.step(Request::Handshake { version: header.version, mechanism: &mechanism }, &around)
            }
            sasl_authenticate::KEY => {
                let bytes = sasl_authenticate::bytes(header.version, body.clone())?;
                login.step(Request::Authenticate { version: header.version, bytes: &bytes }, &around)
            }
            API_VERSIONS => {
                let acceptable = api_versions::acceptable(header.version, body.clone())?;
                match login.step(Request::ApiVersions { acceptable }, &around) {
                    Outcome::Go(machine::Answer::ApiVersions) => return Ok(Next::ApiVersions(header, body)),
                    outcome => outcome,
                }
            }
            key => {
                let name = api::served().iter().find(|api| api.key == key).map_or("unknown", |api| api.name);
                login.step(Request::Other(name), &around)
            }
        };
        self.next(peer, Some((&header, body)), outcome)
    }

    /// `asked`: unless the frame had no header.
    fn next(&mut self, peer: &Peer, asked: Option<(&RequestHeader, Bytes)>, outcome: Outcome) -> Result<Next, String> {
        let key = asked.as_ref().map_or(sasl_authenticate::KEY, |(header, _)| header.key);
        match outcome {
            Outcome::Go(answer) => Ok(Next::Answer(key, self.encode(asked, answer)?)),
            Outcome::Failed { answer, closing } => {
                Ok(Next::Failed { key, answer: self.encode(asked, answer)?, closing })
            }
            Outcome::Done { answer, session } => {
                let answer = self.encode(asked, answer)?;
                let lifetime = session.lifetime_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
                let until = lifetime.and_then(|lifetime| clock::now().checked_add(lifetime));
                let identity = &session.identity;
                let known = peer.principal == identity.principal && peer.by_token == identity.by_token;
                let peer = (!known).then(|| Peer {
                    principal: identity.principal.clone(),
                    by_token: identity.by_token,
                    ..peer.clone()
                });
                self.stage = Stage::In(session, until);
                Ok(Next::Done { key, answer, peer })
            }
        }
    }

    fn encode(&self, asked: Option<(&RequestHeader, Bytes)>, answer: machine::Answer) -> Result<Bytes, String> {
        let (version, id) = asked.as_ref().map_or((0, 0), |(header, _)| (header.version, header.correlation_id));
        match answer {
            machine::Answer::Handshake(error) => {
                let names = match &self.stage {
                    Stage::Under(login) => login.rules().names(),
                    Stage::In(..) => Vec::new(),
                };
                sasl_handshake::answer(version, id, error, &names)
            }
            machine::Answer::Authenticate { error, message, bytes, lifetime_ms } => {
                let answer = sasl_authenticate::Answer { error, message, bytes, lifetime_ms };
                sasl_authenticate::answer(version, id, answer)
            }
            machine::Answer::Bare(bytes) => {
                let length = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
                Ok([&length.to_be_bytes()[..], &bytes].concat().into())
            }
            machine::Answer::OutOfTurn => asked.map_or(Ok(Bytes::new()), |(header, body)| out_of_turn(header, body)),
            machine::Answer::ApiVersions | machine::Answer::Nothing => Ok(Bytes::new()),
        }
    }
}

/// What is to be read of a frame before the login, at most.
pub(super) fn receive_max(settings: &Settings, peer: &Peer) -> usize {
    let security = settings.network.security.iter().find(|security| security.listener.as_str() == peer.listener);
    let sasl = security.and_then(|security| security.sasl.as_ref());
    sasl.map_or(settings.network.request_bytes_max, |sasl| sasl.receive_max)
}

/// Random text for one login, printable and without commas.
fn nonce() -> String {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes);
    BASE64.encode(bytes)
}
