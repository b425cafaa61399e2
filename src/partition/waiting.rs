//! What waits at a partition: fetches for bytes, produces for the high watermark.

use crate::model::{ErrorCode, Offset};
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// A fetch that found too little. Woken by the append itself, by an error or by a lost leadership;
/// it then looks again. A wake-up between the look and the wait is kept, not lost.
#[derive(Debug, Default)]
pub struct FetchWaiter {
    wake: Notify,
}

impl FetchWaiter {
    #[must_use]
    pub fn new() -> Arc<FetchWaiter> {
        Arc::new(FetchWaiter::default())
    }

    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Has it look again.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

/// Resolves when the high watermark has passed the appended records, or with the error that keeps
/// it from doing so.
#[derive(Debug)]
pub struct CommitWait(oneshot::Receiver<ErrorCode>);

impl CommitWait {
    /// `NONE` once the records are committed.
    pub async fn outcome(self) -> ErrorCode {
        // The sender is dropped only with the partition, which then was deleted.
        self.0.await.unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }
}

/// What a fetch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The high watermark, to move from here: a consumer.
    Committed(Offset),
    /// The log end, to move from here: a follower.
    Appended(Offset),
}

/// The waiting requests of one partition.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    fetches: Vec<Arc<FetchWaiter>>,
    /// Fetches of followers.
    followers: Vec<Arc<FetchWaiter>>,
    /// Answered when what counts of this broker's own log reaches the offset. In offset order.
    flushes: std::collections::VecDeque<(Offset, oneshot::Sender<ErrorCode>)>,
    /// Answered when the high watermark reaches the offset. In offset order: appends are.
    commits: std::collections::VecDeque<(Offset, oneshot::Sender<ErrorCode>)>,
}

impl Waiting {
    pub(super) fn add_fetch(&mut self, waiter: &Arc<FetchWaiter>) {
        self.fetches.push(Arc::clone(waiter));
    }

    pub(super) fn add_follower(&mut self, waiter: &Arc<FetchWaiter>) {
        self.followers.push(Arc::clone(waiter));
    }

    pub(super) fn remove_fetch(&mut self, waiter: &Arc<FetchWaiter>) {
        for waiting in [&mut self.fetches, &mut self.followers] {
            if let Some(at) = waiting.iter().position(|w| Arc::ptr_eq(w, waiter)) {
                waiting.swap_remove(at);
            }
            if waiting.is_empty() {
                *waiting = Vec::new();
            }
        }
    }

    pub(super) fn add_flush(&mut self, end: Offset) -> CommitWait {
        let (answer, wait) = oneshot::channel();
        self.flushes.push_back((end, answer));
        CommitWait(wait)
    }

    /// The log has grown: wake the followers.
    pub(super) fn appended(&mut self) {
        for waiter in &self.followers {
            waiter.wake();
        }
    }

    /// So much of the own log counts: answer who waits for a flush only.
    pub(super) fn flushed(&mut self, to: Offset) {
        while self.flushes.front().is_some_and(|(end, _)| *end <= to) {
            if let Some((_, answer)) = self.flushes.pop_front() {
                let _ = answer.send(ErrorCode::NONE);
            }
        }
    }

    pub(super) fn add_commit(&mut self, end: Offset) -> CommitWait {
        let (answer, wait) = oneshot::channel();
        self.commits.push_back((end, answer));
        CommitWait(wait)
    }

    /// The high watermark moved: wake the fetches, answer the produces it has passed with `outcome`.
    pub(super) fn high_watermark_moved(&mut self, to: Offset, outcome: ErrorCode) {
        for waiter in &self.fetches {
            waiter.wake();
        }
        while self.commits.front().is_some_and(|(end, _)| *end <= to) {
            if let Some((_, answer)) = self.commits.pop_front() {
                // The client may have gone; then nobody asks.
                let _ = answer.send(outcome);
            }
        }
    }

    /// Nothing that waits here will be served: the partition is gone or its disk has failed.
    pub(super) fn fail(&mut self, error: ErrorCode) {
        for waiter in self.fetches.drain(..).chain(self.followers.drain(..)) {
            waiter.wake();
        }
        for (_, answer) in self.commits.drain(..).chain(self.flushes.drain(..)) {
            let _ = answer.send(error);
        }
    }
}
