//! What the log is told of connections. Anybody can cause these lines, so each kind is told a few times within a window, and
//! then how many were left out.

use super::closed::Closed;
use super::machine::Seldom;
use crate::rt::clock;
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use tracing::{debug, info, warn};

/// See the module.
#[derive(Default)]
pub(super) struct Journal {
    nonsense: Mutex<Seldom>,
    not_let_in: Mutex<Seldom>,
    full: Mutex<Seldom>,
    accept: Mutex<Seldom>,
}

fn note(kind: &Mutex<Seldom>) -> Option<u64> {
    kind.lock().note(clock::now_ms())
}

impl Journal {
    /// A connection ended.
    pub(super) fn ended(&self, address: SocketAddr, closed: &Closed) {
        match closed {
            Closed::BadFrame(_) | Closed::BadRequest(_) => {
                if let Some(left_out) = note(&self.nonsense) {
                    warn!(%address, reason = %closed, left_out, "closed a connection over a request it cannot mean");
                }
            }
            Closed::Handshake(_) | Closed::Login { .. } | Closed::NoLogin(_) | Closed::TurnedOut => {
                if let Some(left_out) = note(&self.not_let_in) {
                    info!(%address, reason = %closed, left_out, "a client was not let in");
                }
            }
            closed => debug!(%address, reason = %closed, "connection closed"),
        }
    }

    /// A listener waits for a place.
    pub(super) fn full(&self, listener: &dyn std::fmt::Display) {
        if let Some(left_out) = note(&self.full) {
            warn!(%listener, left_out, "as many connections as may be: the next one waits for a place");
        }
    }

    /// The system had no connection to give.
    pub(super) fn accept_failed(&self, listener: &dyn std::fmt::Display, error: &io::Error) {
        if let Some(left_out) = note(&self.accept) {
            warn!(%error, %listener, left_out, "accept failed");
        }
    }
}
