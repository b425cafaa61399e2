//! Positions in a log and in time.

use std::fmt;

/// A position in a partition's log: the number of the record, from 0.
///
/// `-1` is Kafka's "no offset"; [`Offset::NONE`] names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub i64);

impl Offset {
    pub const ZERO: Offset = Offset(0);
    /// Kafka's "no offset" on the wire.
    pub const NONE: Offset = Offset(-1);

    /// The offset `n` records further on. Saturates: an offset never wraps.
    #[must_use]
    pub fn plus(self, n: i64) -> Offset {
        Offset(self.0.saturating_add(n))
    }

    #[must_use]
    pub fn next(self) -> Offset {
        self.plus(1)
    }
}

/// The epoch of a partition's leader (KIP-101). Rises by one with each election.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LeaderEpoch(pub i32);

impl LeaderEpoch {
    /// Kafka's "unknown epoch" on the wire.
    pub const NONE: LeaderEpoch = LeaderEpoch(-1);
}

/// Milliseconds since the Unix epoch, as records carry them. `-1` is "no timestamp".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimestampMs(pub i64);

impl TimestampMs {
    pub const NONE: TimestampMs = TimestampMs(-1);

    #[must_use]
    pub fn minus(self, ms: i64) -> TimestampMs {
        TimestampMs(self.0.saturating_sub(ms))
    }

    #[must_use]
    pub fn plus(self, ms: i64) -> TimestampMs {
        TimestampMs(self.0.saturating_add(ms))
    }
}

macro_rules! shown_as_number {
    ($($t:ty),*) => {$(
        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
shown_as_number!(Offset, LeaderEpoch, TimestampMs);
