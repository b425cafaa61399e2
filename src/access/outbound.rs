//! How this node's connections to other nodes are secured: made of the settings of their listener, and made again when
//! those change, or the files that they name.
//!
//! A change that cannot be used leaves what there was, and is told in the log. Connections that are there keep what they
//! began with, but for a login that is done again.

use super::client::Own;
use crate::config::security::{Towards, Whom};
use crate::config::{Live, Settings};
use crate::peer::{Mechanism, Secure, Terms};
use crate::rt::clock;
use crate::rt::fs::Fs;
use crate::tls;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::TlsConnector;

/// How often files are looked at, at most: only who connects looks.
const LOOK: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    whom: Whom,
    live: Arc<Live>,
    fs: Arc<dyn Fs>,
    state: Mutex<State>,
}

struct State {
    /// What it was made of.
    towards: Towards,
    files: Vec<Option<Vec<u8>>>,
    looked: Instant,
    terms: Result<Terms, String>,
}

fn of(settings: &Settings, whom: Whom) -> Option<&Towards> {
    match whom {
        Whom::Brokers => settings.network.towards_brokers.as_ref(),
        Whom::Controllers => settings.network.towards_controllers.as_ref(),
    }
}

fn made(towards: &Towards, fs: &dyn Fs) -> Result<Terms, String> {
    let tls = towards.tls.as_ref().map(|tls| tls::client(tls, fs)).transpose();
    let login = towards.login.as_ref().map(|login| Own::new(towards, login)).transpose();
    let named = |fault: String| format!("this node cannot connect to others on {}: {fault}", towards.listener);
    Ok(Terms {
        tls: tls.map_err(|fault| named(fault.to_string()))?.map(|config| TlsConnector::from(Arc::new(config))),
        login: login.map_err(named)?.map(|own| Arc::new(own) as Arc<dyn Mechanism>),
    })
}

impl State {
    fn new(towards: Towards, fs: &dyn Fs) -> State {
        let files = towards.tls.as_ref().map_or_else(Vec::new, |tls| tls::files(tls, fs));
        State { terms: made(&towards, fs), towards, files, looked: clock::now() }
    }
}

impl Outbound {
    /// `None`: the way there is neither encrypted nor authenticated, or there is none. `needed`: settings that cannot be used
    /// are a reason not to start; else one to refuse connections.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub fn new(whom: Whom, needed: bool, live: &Arc<Live>, fs: Arc<dyn Fs>) -> Result<Option<Outbound>, String> {
        let settings = Arc::clone(live.load().settings());
        let Some(towards) = of(&settings, whom).filter(|to| to.tls.is_some() || to.login.is_some()) else {
            return Ok(None);
        };
        let state = State::new(towards.clone(), &*fs);
        match &state.terms {
            Err(fault) if needed => Err(format!("{fault}.")),
            _ => Ok(Some(Outbound(Arc::new(Inner { whom, live: Arc::clone(live), fs, state: Mutex::new(state) })))),
        }
    }
}

impl Inner {
    /// Whether the files are due to be looked at.
    fn is_due(&self) -> bool {
        let state = self.state.lock();
        state.towards.tls.is_some() && clock::now().saturating_duration_since(state.looked) >= LOOK
    }

    /// Follows the settings and, if `files`, the files, which may block.
    fn follow(&self, files: bool) -> Result<Terms, String> {
        let settings = Arc::clone(self.live.load().settings());
        let mut state = self.state.lock();
        let now = of(&settings, self.whom);
        let changed = now.is_some_and(|now| *now != state.towards);
        let other_files = files && {
            state.looked = clock::now();
            state.towards.tls.as_ref().is_some_and(|tls| tls::files(tls, &*self.fs) != state.files)
        };
        if let Some(now) = now.filter(|_| changed || other_files) {
            let next = State::new(now.clone(), &*self.fs);
            match &next.terms {
                Err(fault) if state.terms.is_ok() => {
                    tracing::error!(%fault, "the new settings are not used");
                    // Not until they change again.
                    (state.towards, state.files) = (next.towards, next.files);
                }
                _ => *state = next,
            }
        }
        state.terms.clone()
    }
}

impl Secure for Outbound {
    fn terms(&self) -> BoxFuture<'_, Result<Terms, String>> {
        if !self.0.is_due() {
            return std::future::ready(self.0.follow(false)).boxed();
        }
        let inner = Arc::clone(&self.0);
        let looked = tokio::task::spawn_blocking(move || inner.follow(true));
        // A panic there is a fault of ours, and the next connection is another try.
        async { looked.await.unwrap_or_else(|error| Err(error.to_string())) }.boxed()
    }
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;
