//! What a listener's connections are accepted by, now: TLS and logins, made of the settings, and made again when those
//! change or the files that they name.
//!
//! A change that cannot be used leaves what there was, and is told in the log. Connections that are there keep what they
//! began with.

use super::jwks;
use crate::access::Access;
use crate::config::security::Security;
use crate::config::{ListenerName, Live, Settings};
use crate::rt::fs::Fs;
use crate::tls;
use arc_swap::ArcSwap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// See the module.
pub struct Guarded {
    listener: ListenerName,
    live: Arc<Live>,
    fs: Arc<dyn Fs>,
    pepper: Arc<[u8]>,
    state: ArcSwap<State>,
}

/// One state of it.
pub(super) struct State {
    /// What it was made of.
    settings: Arc<Settings>,
    security: Option<Security>,
    /// Of the store files, when they were read.
    files: Vec<Option<Vec<u8>>>,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) access: Access,
}

fn of<'a>(settings: &'a Settings, listener: &ListenerName) -> Option<&'a Security> {
    settings.network.security.iter().find(|security| security.listener == *listener)
}

fn content(security: Option<&Security>, fs: &dyn Fs) -> Vec<Option<Vec<u8>>> {
    let tls = security.and_then(|security| security.tls.as_ref());
    tls.map_or_else(Vec::new, |tls| tls::files(tls, fs))
}

impl State {
    fn new(settings: Arc<Settings>, listener: &ListenerName, fs: &dyn Fs, pepper: &[u8]) -> Result<State, String> {
        let security = of(&settings, listener).cloned();
        let files = content(security.as_ref(), fs);
        let named = |fault: String| format!("the listener {listener} cannot open: {fault}.");
        let (acceptor, access) = match &security {
            None => (None, Access::open()),
            Some(security) => {
                let access = Access::new(security, pepper).map_err(named)?;
                let config = security.tls.as_ref().map(|tls| tls::server(tls, fs)).transpose();
                let config = config.map_err(|fault| named(fault.to_string()))?;
                (config.map(|(config, _)| TlsAcceptor::from(Arc::new(config))), access)
            }
        };
        Ok(State { settings, security, files, acceptor, access })
    }
}

impl Guarded {
    /// # Errors
    /// One sentence that says what to do.
    pub fn new(
        listener: &ListenerName,
        live: &Arc<Live>,
        fs: Arc<dyn Fs>,
        pepper: Arc<[u8]>,
    ) -> Result<Guarded, String> {
        let settings = Arc::clone(live.load().settings());
        let state = State::new(settings, listener, &*fs, &pepper)?;
        Ok(Guarded {
            listener: listener.clone(),
            live: Arc::clone(live),
            fs,
            pepper,
            state: ArcSwap::from_pointee(state),
        })
    }

    pub(super) fn pepper(&self) -> &[u8] {
        &self.pepper
    }

    /// The state for a connection that begins now.
    pub(super) fn now(&self) -> Arc<State> {
        let state = self.state.load_full();
        let settings = Arc::clone(self.live.load().settings());
        if Arc::ptr_eq(&state.settings, &settings) {
            return state;
        }
        if of(&settings, &self.listener) == state.security.as_ref() {
            // Something else has changed.
            return state;
        }
        self.renew(settings);
        self.state.load_full()
    }

    fn renew(&self, settings: Arc<Settings>) {
        match State::new(settings, &self.listener, &*self.fs, &self.pepper) {
            Ok(next) => {
                tracing::info!(listener = %self.listener, "TLS and logins follow their settings again");
                self.state.store(Arc::new(next));
            }
            Err(fault) => tracing::error!(listener = %self.listener, %fault, "the new settings are not used"),
        }
    }

    /// Looks whether the files that the settings name have changed. Reads them, so it may block.
    fn look(&self) {
        let state = self.now();
        if content(state.security.as_ref(), &*self.fs) != state.files {
            self.renew(Arc::clone(&state.settings));
        }
    }

    /// Looks at its files, and fetches keys for tokens, until it is told to stop.
    pub(super) fn keep_fresh(self: &Arc<Self>, tasks: &TaskTracker, stopping: &CancellationToken) {
        let (guarded, stopping) = (Arc::clone(self), stopping.clone());
        let own = tasks.clone();
        tasks.spawn(async move {
            let mut of: Option<(Weak<State>, CancellationToken)> = None;
            loop {
                let state = guarded.state.load_full();
                // Keys are fetched for as long as the state is that needs them.
                if of.as_ref().is_none_or(|(before, _)| !Weak::ptr_eq(before, &Arc::downgrade(&state))) {
                    if let Some((_, fetching)) = of.take() {
                        fetching.cancel();
                    }
                    let fetching = stopping.child_token();
                    for source in &state.access.keys {
                        let (source, fetching) = (source.clone(), fetching.clone());
                        let fs = Arc::clone(&guarded.fs);
                        own.spawn(async move {
                            tokio::select! {
                                () = fetching.cancelled() => {}
                                () = jwks::keep(source, fs) => {}
                            }
                        });
                    }
                    of = Some((Arc::downgrade(&state), fetching));
                }
                drop(state);
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(LOOK) => {}
                }
                let looking = Arc::clone(&guarded);
                // A panic there is a fault of ours, and the next look is another try.
                let _ = tokio::task::spawn_blocking(move || looking.look()).await;
            }
        });
    }
}
