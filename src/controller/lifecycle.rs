//! This node's broker, towards the controller: from registration to controlled shutdown. The decisions are
//! `machine::lifecycle`'s; here they meet the clock and the [`Client`].

use super::client::Client;
use super::machine::lifecycle::{self as machine, Say};
use super::request::{ApiError, Heartbeat, Registration};
use crate::model::ErrorCode;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use super::machine::lifecycle::Phase;

/// What the broker tells about itself, asked before each heartbeat: directories that have failed.
pub type Offline = Box<dyn Fn() -> Vec<Uuid> + Send + Sync>;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Lifecycle {
    shared: Arc<Shared>,
}

struct Shared {
    client: Arc<Client>,
    registration: Registration,
    offline: Offline,
    machine: Mutex<machine::Lifecycle>,
    phase: watch::Sender<Phase>,
    /// Something is to be said at once.
    hurry: Notify,
}

impl std::fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lifecycle").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

impl Lifecycle {
    /// A broker that is to register. `interval` is `broker.heartbeat.interval.ms`.
    pub fn new(client: Arc<Client>, registration: Registration, interval: Duration, offline: Offline) -> Lifecycle {
        Lifecycle::with(client, registration, machine::Lifecycle::new(ms(interval)), offline)
    }

    /// A broker that is registered and unfenced since its start: the only node of a cluster.
    pub fn running(
        client: Arc<Client>,
        registration: Registration,
        epoch: i64,
        interval: Duration,
        offline: Offline,
    ) -> Lifecycle {
        client.set_broker_epoch(Some(epoch));
        Lifecycle::with(client, registration, machine::Lifecycle::running(ms(interval), epoch), offline)
    }

    fn with(
        client: Arc<Client>,
        registration: Registration,
        machine: machine::Lifecycle,
        offline: Offline,
    ) -> Lifecycle {
        let phase = watch::Sender::new(machine.phase());
        let machine = Mutex::new(machine);
        let shared = Shared { client, registration, offline, machine, phase, hurry: Notify::new() };
        Lifecycle { shared: Arc::new(shared) }
    }

    /// How far the broker has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.shared.phase.borrow()
    }

    /// Waits until the broker has come this far, or further.
    pub async fn reached(&self, phase: Phase) {
        // The sender lives as long as this.
        let _ = self.shared.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Whether the controller has taken the broker in since it started.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        let machine = self.shared.machine.lock();
        machine.epoch().is_some() || machine.phase() > Phase::Starting
    }

    /// The broker's partitions are open and its listeners answer: it may be unfenced.
    pub fn set_ready(&self) {
        self.shared.machine.lock().set_ready();
        self.shared.hurry.notify_one();
    }

    /// Says the next heartbeat at once: something is to be told.
    pub fn hurry(&self) {
        self.shared.hurry.notify_one();
    }

    /// Has the controller move what this broker leads, and waits until it may stop.
    pub async fn leave(&self) {
        self.shared.machine.lock().leave();
        self.shared.tell();
        self.shared.hurry.notify_one();
        self.reached(Phase::Left).await;
    }

    /// Speaks with the controller until the broker has left, or `stop`.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let say = self.shared.machine.lock().next();
            if say == Say::Nothing {
                return;
            }
            let wait = tokio::select! {
                () = stop.cancelled() => return,
                wait = self.shared.say(say) => wait,
            };
            self.shared.tell();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.shared.hurry.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            }
        }
    }
}

fn ms(interval: Duration) -> u64 {
    u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)
}

impl Shared {
    /// Says it, and answers how many milliseconds to wait.
    async fn say(&self, say: Say) -> u64 {
        let outcome = match say {
            Say::Nothing => return 0,
            Say::Register => {
                // What was applied is read after the registration: the epoch is a record's offset.
                self.client.register(&self.registration).await.map(|epoch| self.machine.lock().registered(epoch))
            }
            Say::Heartbeat { epoch, want_fence, want_shut_down } => {
                let beat = Heartbeat {
                    broker: self.registration.broker,
                    broker_epoch: epoch,
                    metadata_offset: self.client.service().store().load().offset.0,
                    want_fence,
                    want_shut_down,
                    offline_log_dirs: (self.offline)(),
                };
                self.client.heartbeat(&beat).await.map(|standing| self.machine.lock().heard(standing))
            }
        };
        outcome.unwrap_or_else(|error| self.refused(&error))
    }

    fn refused(&self, error: &ApiError) -> u64 {
        match error.code {
            ErrorCode::NOT_CONTROLLER => tracing::debug!(%error, "the controller is not to be reached"),
            ErrorCode::DUPLICATE_BROKER_REGISTRATION => {
                tracing::info!(%error, "waiting until this broker's session from before its start is over");
            }
            _ => tracing::warn!(%error, "the controller refuses this broker"),
        }
        self.machine.lock().refused(error.code)
    }

    /// Tells everybody how far the broker has come.
    fn tell(&self) {
        let (phase, epoch) = {
            let machine = self.machine.lock();
            (machine.phase(), machine.epoch())
        };
        self.client.set_broker_epoch(epoch);
        self.phase.send_if_modified(|now| std::mem::replace(now, phase) != phase);
    }
}
