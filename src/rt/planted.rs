//! Bugs that are there on request, so that a test can show that it would find them. Compiled into tests only, and, for whole
//! nodes, into builds with the feature `planted`, where `KLAMM_PLANTED` names the bug.

#[cfg(test)]
use std::cell::Cell;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// acks=all is answered before the followers have the records.
    AnswersBeforeCommit,
    /// A leader lets a follower go on whose log parts from its own.
    SkipsTruncation,
    /// Whoever reads what is committed may read what is undecided.
    EarlyLastStable,
    /// The end of a transaction does not come to one of its partitions, and counts as written there.
    MarkerLost,
    /// Whoever asks for stable offsets is not told of those that are in open transactions.
    PendingOffsetsIgnored,
}

#[cfg(test)]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// On this thread; `None`: none any more.
#[cfg(test)]
pub(crate) fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

#[cfg(test)]
pub(crate) fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// In the whole process, from its start to its end.
#[cfg(not(test))]
pub(crate) fn is_planted(bug: Bug) -> bool {
    static PLANTED: std::sync::LazyLock<Option<Bug>> = std::sync::LazyLock::new(|| {
        let named = std::env::var("KLAMM_PLANTED").ok()?;
        tracing::warn!("this node has the bug {named}");
        match named.as_str() {
            "answers-before-commit" => Some(Bug::AnswersBeforeCommit),
            "skips-truncation" => Some(Bug::SkipsTruncation),
            "early-last-stable" => Some(Bug::EarlyLastStable),
            "marker-lost" => Some(Bug::MarkerLost),
            "pending-offsets-ignored" => Some(Bug::PendingOffsetsIgnored),
            other => panic!("there is no bug {other}"),
        }
    });
    *PLANTED == Some(bug)
}
