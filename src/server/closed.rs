//! Why a connection ended, for the log and the metrics.

use crate::metrics::Rejection;
use crate::wire::FrameError;
use std::io;
use std::time::Duration;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    #[error("the client closed it")]
    ByClient,
    #[error("idle for {0:?}")]
    Idle(Duration),
    #[error("there was no answer to give")]
    NoAnswer,
    #[error("the broker stops")]
    Stopping,
    /// And whether the answer to it is held back.
    #[error("the login failed: {why}")]
    Login { why: String, delayed: bool },
    #[error("it did not log in within {0:?}")]
    NoLogin(Duration),
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
    #[error("too many have not logged in")]
    TurnedOut,
    #[error("its session is over")]
    SessionOver,
    #[error("{0}")]
    BadFrame(#[from] FrameError),
    #[error("{0}")]
    BadRequest(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Closed {
    /// What it counts as, if it was us who did not want it.
    pub(super) fn rejection(&self) -> Option<Rejection> {
        Some(match self {
            Closed::Idle(_) => Rejection::Idle,
            Closed::Login { .. } => Rejection::Login,
            Closed::NoLogin(_) => Rejection::LoginTimeout,
            Closed::Handshake(_) => Rejection::Tls,
            Closed::TurnedOut => Rejection::LoginBytes,
            Closed::BadFrame(_) => Rejection::BadFrame,
            Closed::BadRequest(_) => Rejection::BadRequest,
            Closed::ByClient | Closed::NoAnswer | Closed::Stopping | Closed::SessionOver | Closed::Io(_) => {
                return None;
            }
        })
    }
}
