//! Reading as the leader: where the bytes lie, and what the client must be told with them.

use super::state::{Partition, Positions, Slot};
use super::waiting::FetchWaiter;
use crate::model::{ErrorCode, LeaderEpoch, Offset};
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

/// One partition of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    pub from: Offset,
    pub max_bytes: usize,
    /// Return one whole batch even if it is larger than `max_bytes` (KIP-74).
    pub min_one_batch: bool,
    pub isolation: Isolation,
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
    /// `OFFSET_OUT_OF_RANGE`, the two leader-epoch errors, `KAFKA_STORAGE_ERROR`.
    pub fn read(&self, request: &ReadRequest) -> Result<Read, ErrorCode> {
        let mut state = self.state.lock();
        state.check_leader_epoch(request.current_epoch)?;
        self.opened(&mut state)?;
        let positions = state.positions()?;
        let Slot::Open(log) = &mut state.log else { return Err(ErrorCode::KAFKA_STORAGE_ERROR) };
        if request.last_fetched_epoch != LeaderEpoch::NONE {
            match log.end_offset_for_epoch(request.last_fetched_epoch) {
                Ok(None) => return Err(ErrorCode::OFFSET_OUT_OF_RANGE),
                Ok(Some(EpochEnd { epoch, end })) if epoch < request.last_fetched_epoch || end < request.from => {
                    return Ok(Read { positions, records: None, diverging: Some((epoch, end)) });
                }
                Ok(Some(_)) => {}
                Err(error) => return Err(self.storage_failed(&mut state, &error)),
            }
        }
        let end = match request.isolation {
            Isolation::Uncommitted => positions.high_watermark,
            Isolation::Committed => positions.last_stable,
        };
        match log.read(request.from, request.max_bytes, end, request.min_one_batch) {
            Ok(records) => Ok(Read { positions, records, diverging: None }),
            Err(ReadError::OutOfRange { .. }) => Err(ErrorCode::OFFSET_OUT_OF_RANGE),
            Err(ReadError::Storage(error)) => Err(self.storage_failed(&mut state, &error)),
        }
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

    /// Has `waiter` woken by the next change, unless something changed since the high watermark was
    /// `seen`. Answers whether it waits.
    #[must_use]
    pub fn wait_for_bytes(&self, waiter: &Arc<FetchWaiter>, seen: Offset) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.log, Slot::Open(_)) || state.visibility.high_watermark() != seen {
            return false;
        }
        state.waiting.add_fetch(waiter);
        true
    }

    /// Takes back [`Partition::wait_for_bytes`].
    pub fn stop_waiting(&self, waiter: &Arc<FetchWaiter>) {
        self.state.lock().waiting.remove_fetch(waiter);
    }
}
