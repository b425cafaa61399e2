//! Copies that are throttled: of replicas that an operator has named, between brokers (KIP-73, Kafka's
//! `ReplicationQuotaManager`), and between log directories (KIP-113).
//!
//! Everything that is copied of a throttled replica counts, but only those that are not in sync are held back: else an operator
//! would throw replicas out of the in-sync ones. Without a limit all of this is one load.

use super::machine::Throttle;
use super::state::Partition;
use crate::config::settings::{CopyLimit, CopyLimits};
use crate::model::NodeId;
use crate::rt::clock;
use parking_lot::Mutex;

/// Who copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copying {
    /// This broker sends, as leader.
    Leader,
    /// It fetches, as follower.
    Follower,
    /// It copies from one of its log directories to another.
    Move,
}

/// See the module.
pub struct Throttles {
    limits: Box<dyn Fn() -> CopyLimits + Send + Sync>,
    leader: Mutex<Throttle>,
    follower: Mutex<Throttle>,
    moves: Mutex<Throttle>,
}

impl Default for Throttles {
    /// Without limits.
    fn default() -> Throttles {
        Throttles::new(CopyLimits::default)
    }
}

impl Throttles {
    /// `limits`: as they are now.
    #[must_use]
    pub fn new(limits: impl Fn() -> CopyLimits + Send + Sync + 'static) -> Throttles {
        Throttles {
            limits: Box::new(limits),
            leader: Mutex::default(),
            follower: Mutex::default(),
            moves: Mutex::default(),
        }
    }

    /// Whether more was copied than is allowed, so that what is throttled has to wait.
    #[must_use]
    pub fn is_exceeded(&self, what: Copying) -> bool {
        self.limited(what).is_some_and(|(limit, throttle)| throttle.lock().is_exceeded(clock::steady_ms(), &limit))
    }

    /// So many bytes of throttled replicas were copied.
    pub fn record(&self, what: Copying, bytes: usize) {
        if bytes == 0 {
            return;
        }
        if let Some((limit, throttle)) = self.limited(what) {
            throttle.lock().record(bytes as u64, clock::steady_ms(), &limit);
        }
    }

    fn limited(&self, what: Copying) -> Option<(CopyLimit, &Mutex<Throttle>)> {
        let limits = (self.limits)();
        let (limit, throttle) = match what {
            Copying::Leader => (limits.leader, &self.leader),
            Copying::Follower => (limits.follower, &self.follower),
            Copying::Move => (limits.moves, &self.moves),
        };
        (limit.bytes_per_second < i64::MAX).then_some((limit, throttle))
    }
}

impl Partition {
    /// Whether this broker's replica is among those that are throttled.
    #[must_use]
    pub fn is_throttled(&self, what: Copying) -> bool {
        let config = self.config.load();
        match what {
            Copying::Leader => config.leader_throttled.contains(self.name.partition, self.common.node),
            Copying::Follower => config.follower_throttled.contains(self.name.partition, self.common.node),
            Copying::Move => true,
        }
    }

    /// Whether this broker leads, and `node` is in sync with it.
    #[must_use]
    pub fn has_in_sync(&self, node: NodeId) -> bool {
        self.state.lock().leader().is_ok_and(|leader| leader.isr().contains(&node))
    }
}
