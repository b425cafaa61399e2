//! What a broker says to the controller from its start to its stop (`BrokerLifecycleManager`): register, heartbeats, and
//! before it stops, that it wants to.
//!
//! Pure: the shell asks [`Lifecycle::next`] what to say, says it, and tells what came back; each answer says
//! how many milliseconds to wait.

use crate::controller::request::Standing;
use crate::model::ErrorCode;

/// Waits after answers that are no success: the first, and how often it doubles before the heartbeat's interval holds.
const RETRY_MS: u64 = 50;
/// Between the answers that a starting broker waits for.
const SOON_MS: u64 = 10;

/// Between two questions whether others lead now.
const MOVING_MS: u64 = 50;

/// Failures in a row after which a broker that wants to stop asks no more: some ten seconds with the default interval.
const GIVE_UP: u32 = 9;

/// How far a broker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It has not all metadata yet that was committed before it registered.
    Starting,
    /// It has, and waits to be unfenced.
    CaughtUp,
    /// Clients are sent to it.
    Running,
    /// It waits until the controller lets it stop.
    Leaving,
    /// The controller needs it no more.
    Left,
}

/// What to say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Register,
    Heartbeat { epoch: i64, want_fence: bool, want_shut_down: bool },
    Nothing,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Lifecycle {
    interval_ms: u64,
    phase: Phase,
    /// `None`: not registered, or no more.
    epoch: Option<i64>,
    ready: bool,
    /// Answers in a row that were no success.
    failures: u32,
}

impl Lifecycle {
    /// A broker that is not registered yet; `interval_ms` is `broker.heartbeat.interval.ms`.
    pub(crate) fn new(interval_ms: u64) -> Lifecycle {
        Lifecycle { interval_ms, phase: Phase::Starting, epoch: None, ready: false, failures: 0 }
    }

    /// A broker that is registered and unfenced already.
    pub(crate) fn running(interval_ms: u64, epoch: i64) -> Lifecycle {
        Lifecycle { phase: Phase::Running, epoch: Some(epoch), ready: true, ..Lifecycle::new(interval_ms) }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn epoch(&self) -> Option<i64> {
        self.epoch
    }

    /// Its partitions are open and its listeners answer: it may be unfenced.
    pub(crate) fn set_ready(&mut self) {
        self.ready = true;
    }

    /// It is told to stop.
    pub(crate) fn leave(&mut self) {
        self.phase = match self.phase {
            // Nobody was sent to it.
            Phase::Starting | Phase::CaughtUp => Phase::Left,
            // Forgotten by the controller: nothing is led by it.
            Phase::Running if self.epoch.is_none() => Phase::Left,
            Phase::Running => Phase::Leaving,
            leaving => leaving,
        };
    }

    pub(crate) fn next(&self) -> Say {
        match (self.phase, self.epoch) {
            (Phase::Left, _) => Say::Nothing,
            (_, None) => Say::Register,
            (phase, Some(epoch)) => {
                Say::Heartbeat { epoch, want_fence: !self.ready, want_shut_down: phase == Phase::Leaving }
            }
        }
    }

    /// It was registered. Answers when to go on.
    pub(crate) fn registered(&mut self, epoch: i64) -> u64 {
        self.epoch = Some(epoch);
        self.failures = 0;
        0
    }

    /// A heartbeat was answered.
    pub(crate) fn heard(&mut self, standing: Standing) -> u64 {
        self.failures = 0;
        match self.phase {
            Phase::Starting => {
                if standing.caught_up {
                    self.phase = Phase::CaughtUp;
                }
                SOON_MS
            }
            Phase::CaughtUp => {
                if standing.fenced {
                    return if self.ready { SOON_MS } else { self.interval_ms };
                }
                self.phase = Phase::Running;
                self.interval_ms
            }
            Phase::Leaving => {
                if standing.should_shut_down {
                    self.phase = Phase::Left;
                }
                MOVING_MS
            }
            Phase::Running | Phase::Left => self.interval_ms,
        }
    }

    /// The controller refused, or was not reached (`NOT_CONTROLLER`).
    pub(crate) fn refused(&mut self, error: ErrorCode) -> u64 {
        match error {
            // The controller has forgotten this broker, or knows another incarnation of it.
            ErrorCode::STALE_BROKER_EPOCH if self.epoch.is_some() => {
                self.epoch = None;
                if self.phase == Phase::Leaving {
                    self.phase = Phase::Left;
                }
                0
            }
            // Nobody is left who could take over. The session ends without a word, too.
            _ if self.phase == Phase::Leaving && self.failures >= GIVE_UP => {
                self.phase = Phase::Left;
                0
            }
            _ => {
                let wait = RETRY_MS.saturating_mul(1 << self.failures.min(10)).min(self.interval_ms);
                self.failures = self.failures.saturating_add(1);
                wait
            }
        }
    }
}
