//! Appending as the leader: order is fixed here, durability may be waited for elsewhere.

use super::leadership::Role;
use super::state::{Partition, Slot, State};
use super::waiting::CommitWait;
use crate::model::{ErrorCode, Offset, ProducerEpoch, ProducerId, TimestampMs};
use crate::record::Batch;
use crate::record::build::{Marker, end_txn_marker};
use crate::rt::clock;
#[cfg(any(test, feature = "planted"))]
use crate::rt::planted;
use crate::storage::flusher::FlushRequest;
use crate::storage::{AppendError, Appended, FlushJob, FlushMark, Origin};
use parking_lot::MutexGuard;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a producer asked to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    None,
    Leader,
    /// All in-sync replicas, of which there must be `min.insync.replicas`.
    All,
}

/// What became of one batch.
#[derive(Debug)]
pub enum Outcome {
    /// Appended and committed.
    Done(Appended),
    /// Appended; not to be acknowledged before the wait is over.
    Waits(Appended, CommitWait),
    /// Not appended.
    Failed { error: ErrorCode, log_start: Offset },
}

impl Outcome {
    fn first(&self) -> Option<Offset> {
        match self {
            Outcome::Done(appended) | Outcome::Waits(appended, _) => Some(appended.first),
            Outcome::Failed { .. } => None,
        }
    }
}

/// The end of a producer's transaction, as the transaction's coordinator has it written into a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionEnd {
    pub producer: (ProducerId, ProducerEpoch),
    pub commit: bool,
    /// An older coordinator's end is refused.
    pub coordinator_epoch: i32,
    /// The `transaction.version` of the transaction: from 2 on the epoch must have risen.
    pub version: i16,
}

impl Partition {
    /// Appends `batches` in order with one write, and wakes the fetches that wait for them.
    ///
    /// Each batch has its own outcome: a duplicate or an out-of-order sequence among them does not
    /// touch the others. Must not be called for batches of different `acks`.
    pub fn append(self: &Arc<Self>, batches: &mut [Batch], acks: Acks, now: TimestampMs) -> SmallVec<[Outcome; 4]> {
        self.append_from(Origin::Client, batches, acks, now)
    }

    /// Appends a coordinator's own records with one write, to be acknowledged by all in-sync replicas. The topic's
    /// rules for clients do not hold, but a batch must fit into a segment. Answers where the first record lies, and what to
    /// wait for; `None`: they are committed.
    ///
    /// # Errors
    /// The first batch's error that has one. Batches before it are appended.
    pub fn append_own(
        self: &Arc<Self>,
        batches: &mut [Batch],
        now: TimestampMs,
    ) -> Result<(Offset, Option<CommitWait>), ErrorCode> {
        let outcomes = self.append_from(Origin::Coordinator, batches, Acks::All, now);
        let first = outcomes.first().and_then(Outcome::first).unwrap_or(Offset::NONE);
        all_of(outcomes).map(|wait| (first, wait))
    }

    /// Appends the marker that ends a transaction, to be acknowledged by all in-sync replicas: the last stable offset
    /// moves over what the transaction wrote. `None`: it is committed.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` or `TRANSACTION_COORDINATOR_FENCED` if it comes from the past, else as an append.
    pub fn append_end(
        self: &Arc<Self>,
        end: &TransactionEnd,
        now: TimestampMs,
    ) -> Result<Option<CommitWait>, ErrorCode> {
        let marker = if end.commit { Marker::Commit } else { Marker::Abort };
        let (id, epoch) = end.producer;
        let built = end_txn_marker(marker, id, epoch, end.coordinator_epoch, now).and_then(Batch::verify);
        let batch = built.map_err(|bad| {
            tracing::error!(partition = %self.name, %bad, "a transaction marker cannot be built");
            ErrorCode::UNKNOWN_SERVER_ERROR
        })?;
        let origin = Origin::Marker { transaction_version: end.version };
        let mut state = self.state.lock();
        // Whatever becomes of the marker: the transaction is over.
        state.verifying.ended(end.producer);
        all_of(self.append_locked(&mut state, origin, &mut [batch], Acks::All, now))
    }

    /// A wait for everything that has been appended so far; `None`: it is committed.
    ///
    /// # Errors
    /// As [`Partition::positions`].
    pub fn wait_for_commit(&self) -> Result<Option<CommitWait>, ErrorCode> {
        let mut state = self.state.lock();
        let log_end = self.opened(&mut state)?.log_end();
        state.leader()?;
        let all = state.visibility.high_watermark() >= log_end;
        Ok((!all).then(|| state.waiting.add_commit(log_end)))
    }

    fn append_from(
        self: &Arc<Self>,
        origin: Origin,
        batches: &mut [Batch],
        acks: Acks,
        now: TimestampMs,
    ) -> SmallVec<[Outcome; 4]> {
        self.append_locked(&mut self.state.lock(), origin, batches, acks, now)
    }

    pub(super) fn append_locked(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        origin: Origin,
        batches: &mut [Batch],
        acks: Acks,
        now: TimestampMs,
    ) -> SmallVec<[Outcome; 4]> {
        let config = self.config.load();
        let refuse =
            |error: ErrorCode| (0..batches.len()).map(|_| Outcome::Failed { error, log_start: Offset::NONE }).collect();
        if let Err(error) = self.opened(state) {
            return refuse(error);
        }
        let alone = match state.leader() {
            Err(error) => return refuse(error),
            Ok(leader) if acks == Acks::All && leader.is_under_min_isr(state.min_isr) => {
                return refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
            }
            Ok(leader) => leader.is_alone(),
        };
        let epoch = state.leader_epoch;
        let Slot::Open(log) = &mut state.log else { return refuse(ErrorCode::KAFKA_STORAGE_ERROR) };
        let appended = log.append_from(origin, batches, epoch, now);
        self.appended.store(true, Ordering::Relaxed);
        let log_end = log.log_end();
        let log_start = log.log_start();
        let unflushed = log.unflushed_records();
        let flush_first = unflushed > 0 && unflushed >= config.flush_messages;
        if state.visibility.appended(log_end, flush_first) {
            state.high_watermark_moved();
        }
        if !alone {
            state.waiting.appended();
        }
        let visible = state.visibility.high_watermark();
        // Without followers the two are one, and so are those who wait for them.
        let kept = if acks == Acks::Leader && !alone { state.visibility.own() } else { visible };
        #[cfg(any(test, feature = "planted"))]
        let kept = if planted::is_planted(planted::Bug::AnswersBeforeCommit) { log_end } else { kept };
        let mut broken = None;
        let outcomes = appended
            .into_iter()
            .map(|result| match result {
                Ok(done) if acks == Acks::None || done.last < kept => Outcome::Done(done),
                Ok(done) => {
                    let wait = match acks {
                        Acks::Leader if !alone => state.waiting.add_flush(done.last.next()),
                        _ => state.waiting.add_commit(done.last.next()),
                    };
                    Outcome::Waits(done, wait)
                }
                Err(error) => {
                    if let AppendError::Storage(failure) = &error {
                        broken = Some(Arc::clone(failure));
                    }
                    tracing::debug!(partition = %self.name, %error, "a batch was not appended");
                    Outcome::Failed { error: error.code(), log_start }
                }
            })
            .collect();
        if let Some(failure) = broken {
            self.log_failed(state, &failure);
        } else if state.visibility.awaits_flush() {
            self.flush(state);
        }
        outcomes
    }

    /// Queues a flush of what is not on disk yet, unless one runs: that one's end starts the next.
    pub(super) fn flush(self: &Arc<Self>, state: &mut MutexGuard<'_, State>) {
        let Slot::Open(log) = &state.log else { return };
        if let Some(job) = log.flush_job() {
            self.submit(state, job);
        }
    }

    pub(super) fn submit(self: &Arc<Self>, state: &mut MutexGuard<'_, State>, job: FlushJob) {
        if state.flushing {
            return;
        }
        state.flushing = true;
        let this = Arc::clone(self);
        let (mark, dir, moves) = (job.mark, state.dir, state.moves);
        let done = Box::new(move |result| this.flushed(mark, (dir, moves), result));
        state.flusher.submit(FlushRequest { files: job.files, done });
    }

    fn flushed(self: &Arc<Self>, mark: FlushMark, (dir, moves): (usize, u32), result: std::io::Result<()>) {
        let mut state = self.state.lock();
        if moves != state.moves {
            // The log has moved, and everything was synced with the move.
            if let Err(error) = result {
                self.fail_dir(dir, &format!("flush of {}: {error}", self.name));
            }
            return;
        }
        state.flushing = false;
        if let Err(error) = result {
            // Never retried: the kernel may have dropped the pages and called the next sync a success.
            self.fail_dir(state.dir, &format!("flush of {}: {error}", self.name));
            self.go_offline(&mut state);
            return;
        }
        let Slot::Open(log) = &mut state.log else { return };
        log.flushed(mark, clock::now_ms());
        if state.visibility.flushed(mark.up_to()) {
            state.high_watermark_moved();
        }
        let own = state.visibility.own();
        state.waiting.flushed(own);
        if state.visibility.awaits_flush() {
            self.flush(&mut state);
        }
    }
}

/// What to wait for until all of them are committed, or the first error.
fn all_of(outcomes: impl IntoIterator<Item = Outcome>) -> Result<Option<CommitWait>, ErrorCode> {
    let mut wait = None;
    for outcome in outcomes {
        match outcome {
            Outcome::Done(_) => {}
            // The last one's is over when all are.
            Outcome::Waits(_, last) => wait = Some(last),
            Outcome::Failed { error, .. } => return Err(error),
        }
    }
    Ok(wait)
}

impl State {
    pub(super) fn high_watermark_moved(&mut self) {
        let to = self.visibility.high_watermark();
        if let Slot::Open(log) = &mut self.log {
            log.high_watermark_advanced(to);
        }
        let outcome = match &self.role {
            Role::Leader(leader) if leader.is_maximally_under_min_isr(self.min_isr) => {
                ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
            }
            _ => ErrorCode::NONE,
        };
        self.waiting.high_watermark_moved(to, outcome);
    }
}
