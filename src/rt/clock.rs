//! Time: the wall clock (for record timestamps) and a steady one (for deadlines).

use crate::model::TimestampMs;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The wall clock, in milliseconds since the Unix epoch. May jump.
#[must_use]
pub fn now_ms() -> TimestampMs {
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
    Instant::now()
}
