//! When which shard is to be called: the earliest deadline of each, watched by one task for all of them.
//!
//! A shard comes here only when its deadline moves forward; one that moved back finds out when it is called too early, and
//! comes again. So a heartbeat, which moves a deadline back, takes no lock that shards share.

use crate::model::{PartitionId, TimestampMs};
use crate::rt::clock;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::Notify;

/// The wall clock may jump: it is looked at again after this time at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    set: Mutex<BTreeSet<(TimestampMs, PartitionId)>>,
    earlier: Notify,
}

impl Alarms {
    /// Sets the alarm of a shard, in place of the one it had.
    pub(super) fn set(&self, shard: PartitionId, old: Option<TimestampMs>, at: TimestampMs) {
        let mut set = self.set.lock();
        if let Some(old) = old {
            set.remove(&(old, shard));
        }
        set.insert((at, shard));
        if set.first() == Some(&(at, shard)) {
            self.earlier.notify_one();
        }
    }

    /// Waits for the first alarm that is due, and takes it.
    pub(super) async fn next(&self) -> (TimestampMs, PartitionId) {
        loop {
            let wait = {
                let mut set = self.set.lock();
                match set.first().copied() {
                    Some((at, shard)) => match u64::try_from(at.0.saturating_sub(clock::now_ms().0)) {
                        Ok(ms) if ms > 0 => Duration::from_millis(ms).min(LOOK_AGAIN),
                        _ => {
                            set.remove(&(at, shard));
                            return (at, shard);
                        }
                    },
                    None => LOOK_AGAIN,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.earlier.notified() => {}
            }
        }
    }
}
