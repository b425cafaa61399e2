//! Reading, for consumers and for followers: where the bytes lie, and what must be told with them.

use super::leadership::eligible;
use super::machine::FollowerFetch;
use super::state::{Partition, Positions, Slot};
use super::waiting::{Awaited, FetchWaiter};
use crate::metadata::Image;
use crate::model::{ErrorCode, LeaderEpoch, NodeId, Offset};
#[cfg(any(test, feature = "planted"))]
use crate::rt::planted;
use crate::storage::{EpochEnd, FileSlice, ReadError};
use std::sync::Arc;

/// What a consumer may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Up to the high watermark.
    Uncommitted,
    /// Up to the last stable offset.
    Committed,
}

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    Consumer {
        isolation: Isolation,
        /// It may also read from a follower (KIP-392).
        any_replica: bool,
    },
    /// Another replica, up to the log end.
    Replica {
        node: NodeId,
        /// Of its incarnation; -1 if it does not say.
        broker_epoch: i64,
        log_start: Offset,
    },
}

impl Reader {
    /// The same, of a partition whose log starts there if it is a follower's.
    #[must_use]
    pub fn starting_at(self, start: Offset) -> Reader {
        match self {
            Reader::Replica { node, broker_epoch, .. } => Reader::Replica { node, broker_epoch, log_start: start },
            consumer @ Reader::Consumer { .. } => consumer,
        }
    }
}

/// One partition of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    pub from: Offset,
    pub max_bytes: usize,
    /// Return one whole batch even if it is larger than `max_bytes` (KIP-74).
    pub min_one_batch: bool,
    pub reader: Reader,
    pub current_epoch: LeaderEpoch,
    /// Epoch of the last record the client has; `-1` if it does not say (KIP-595).
    pub last_fetched_epoch: LeaderEpoch,
}

/// What a partition answers to a fetch.
#[derive(Debug)]
pub struct Read {
    pub positions: Positions,
    pub records: Option<FileSlice>,
    /// Set if the client's log diverges: the largest common epoch and its end.
    pub diverging: Option<(LeaderEpoch, Offset)>,
}

impl Partition {
    /// Finds the records that `request` is to get. Reads no record bytes.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE`, the leader errors, `KAFKA_STORAGE_ERROR`.
    pub fn read(self: &Arc<Self>, request: &ReadRequest, image: &Image) -> Result<Read, ErrorCode> {
        let mut state = self.state.lock();
        state.check_leader_epoch(request.current_epoch)?;
        self.opened(&mut state)?;
        match (request.reader, state.leader()) {
            (Reader::Replica { node, .. }, Ok(leader)) if !leader.knows(node) => {
                // The metadata has not told this broker of the replica yet, or not the asker that it is none any more.
                return Err(match request.current_epoch {
                    LeaderEpoch::NONE => ErrorCode::NOT_LEADER_OR_FOLLOWER,
                    _ => ErrorCode::UNKNOWN_LEADER_EPOCH,
                });
            }
            (Reader::Consumer { any_replica: true, .. }, _) | (_, Ok(_)) => {}
            (_, Err(error)) => return Err(error),
        }
        let positions = state.positions()?;
        let Slot::Open(log) = &mut state.log else { return Err(ErrorCode::KAFKA_STORAGE_ERROR) };
        let checked = request.last_fetched_epoch != LeaderEpoch::NONE;
        #[cfg(any(test, feature = "planted"))]
        let checked = checked && !planted::is_planted(planted::Bug::SkipsTruncation);
        if checked {
            match log.end_offset_for_epoch(request.last_fetched_epoch) {
                Ok(None) => return Err(ErrorCode::OFFSET_OUT_OF_RANGE),
                Ok(Some(EpochEnd { epoch, end })) if epoch < request.last_fetched_epoch || end < request.from => {
                    return Ok(Read { positions, records: None, diverging: Some((epoch, end)) });
                }
                Ok(Some(_)) => {}
                Err(error) => return Err(self.storage_failed(&mut state, &error)),
            }
        }
        let end = match request.reader {
            Reader::Consumer { isolation: Isolation::Uncommitted, .. } => positions.high_watermark,
            Reader::Consumer { isolation: Isolation::Committed, .. } => positions.last_stable,
            Reader::Replica { .. } => positions.log_end,
        };
        match log.read(request.from, request.max_bytes, end, request.min_one_batch) {
            Ok(records) => {
                if let Reader::Replica { node, broker_epoch, log_start } = request.reader {
                    let eligible = eligible(image, node);
                    let fetch = FollowerFetch { from: node, at: request.from, log_start, broker_epoch, eligible };
                    self.note_fetch(&mut state, &fetch, positions.log_end)?;
                }
                let positions = Positions { high_watermark: state.visibility.high_watermark(), ..positions };
                Ok(Read { positions, records, diverging: None })
            }
            Err(ReadError::OutOfRange { .. }) => Err(ErrorCode::OFFSET_OUT_OF_RANGE),
            Err(ReadError::Storage(error)) => Err(self.storage_failed(&mut state, &error)),
        }
    }

    /// The in-sync replica from which a consumer in `rack` should read `from` on (`RackAwareReplicaSelector`). `None`: from
    /// this one, or it is not this broker that knows.
    #[must_use]
    pub fn nearest(&self, rack: &str, from: Offset, image: &Image) -> Option<NodeId> {
        let state = self.state.lock();
        let leader = state.leader().ok()?;
        let is_near = |node: NodeId| {
            image.brokers.get(&node).is_some_and(|broker| !broker.fenced && broker.rack.as_deref() == Some(rack))
        };
        if leader.is_alone() || is_near(self.common.node) {
            return None;
        }
        leader.nearest(from, is_near)
    }

    /// Batches from `from`, or from the log start if that is later, up to the log end, committed or not; at least one.
    /// `None`: there is none. For a coordinator that loads what it wrote.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` beyond the log end, else as [`Partition::positions`].
    pub fn read_own(&self, from: Offset, max_bytes: usize) -> Result<Option<FileSlice>, ErrorCode> {
        let mut state = self.state.lock();
        let log = self.opened(&mut state)?;
        match log.read(from.max(log.log_start()), max_bytes, log.log_end(), true) {
            Ok(records) => Ok(records),
            Err(ReadError::OutOfRange { .. }) => Err(ErrorCode::OFFSET_OUT_OF_RANGE),
            Err(ReadError::Storage(error)) => Err(self.storage_failed(&mut state, &error)),
        }
    }

    /// Has `waiter` woken by the next change, unless something changed since what it awaits was seen. Answers whether it
    /// waits.
    #[must_use]
    pub fn wait_for_bytes(&self, waiter: &Arc<FetchWaiter>, awaited: Awaited) -> bool {
        let mut state = self.state.lock();
        let Slot::Open(log) = &state.log else { return false };
        match awaited {
            Awaited::Committed(seen) if seen == state.visibility.high_watermark() => state.waiting.add_fetch(waiter),
            Awaited::Appended(seen) if seen == log.log_end() => state.waiting.add_follower(waiter),
            _ => return false,
        }
        true
    }

    /// Takes back [`Partition::wait_for_bytes`].
    pub fn stop_waiting(&self, waiter: &Arc<FetchWaiter>) {
        self.state.lock().waiting.remove_fetch(waiter);
    }
}
