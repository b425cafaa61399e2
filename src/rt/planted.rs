//! Bugs that are there on request, so that a test can show that it would find them. Compiled into tests only.

use std::cell::Cell;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Whoever reads what is committed may read what is undecided.
    EarlyLastStable,
    /// The end of a transaction does not come to one of its partitions, and counts as written there.
    MarkerLost,
    /// Whoever asks for stable offsets is not told of those that are in open transactions.
    PendingOffsetsIgnored,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// On this thread; `None`: none any more.
pub(crate) fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

pub(crate) fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
