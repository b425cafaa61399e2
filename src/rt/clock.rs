//! Time: the wall clock (for record timestamps) and a steady one (for deadlines).

use crate::model::TimestampMs;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The wall clock, in milliseconds since the Unix epoch. May jump.
#[must_use]
pub fn now_ms() -> TimestampMs {
    #[cfg(test)]
    if let Some(now) = simulated::now_ms() {
        return now;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The steady clock in milliseconds since it was first asked for. Never goes back.
#[must_use]
pub fn steady_ms() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(now);
    i64::try_from(now().saturating_duration_since(start).as_millis()).unwrap_or(i64::MAX)
}

/// The steady clock. Never goes back.
#[must_use]
pub fn now() -> Instant {
    #[cfg(test)]
    if simulated::is_on() {
        return tokio::time::Instant::now().into_std();
    }
    Instant::now()
}

/// The clocks of a thread that runs a paused runtime: time passes only where tokio lets it pass.
#[cfg(test)]
pub(crate) mod simulated {
    use super::TimestampMs;
    use std::cell::Cell;
    use tokio::time::Instant;

    thread_local! {
        static SINCE: Cell<Option<(TimestampMs, Instant)>> = const { Cell::new(None) };
    }

    /// From now on it is `at` on this thread. To be called within the paused runtime.
    pub(crate) fn begin(at: TimestampMs) {
        SINCE.set(Some((at, Instant::now())));
    }

    pub(crate) fn end() {
        SINCE.set(None);
    }

    pub(crate) fn is_on() -> bool {
        SINCE.get().is_some()
    }

    pub(crate) fn now_ms() -> Option<TimestampMs> {
        let (at, since) = SINCE.get()?;
        Some(at.plus(i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)))
    }
}
