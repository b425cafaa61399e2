//! A connection that is not listened to for a while (KIP-219): its client was told to wait, and what it sends all the same
//! stays in its socket.

use crate::rt::clock;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Until when a connection is muted. Whoever answers a request sets it; the connection looks before it places the next.
#[derive(Debug, Default)]
pub struct Mute {
    /// So that a connection that never was muted pays one load for looking.
    is_set: AtomicBool,
    until: Mutex<Option<Instant>>,
}

impl Mute {
    /// Mutes for so many milliseconds from now on, unless it is muted for longer already.
    pub fn extend(&self, ms: u64) {
        if ms == 0 {
            return;
        }
        let until = clock::now() + Duration::from_millis(ms);
        let mut current = self.until.lock();
        *current = Some(current.map_or(until, |old| old.max(until)));
        self.is_set.store(true, Relaxed);
    }

    /// When it will be listened to again; `None`: now.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        if !self.is_set.load(Relaxed) {
            return None;
        }
        let mut until = self.until.lock();
        if until.is_some_and(|until| until <= clock::now()) {
            *until = None;
            self.is_set.store(false, Relaxed);
        }
        *until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_counts_and_passes() {
        let mute = Mute::default();
        assert_eq!(mute.until(), None);
        mute.extend(60_000);
        let until = mute.until();
        mute.extend(5);
        assert_eq!(mute.until(), until);
        assert!(until.is_some());
        let mute = Mute::default();
        mute.extend(0);
        assert_eq!(mute.until(), None);
    }
}
