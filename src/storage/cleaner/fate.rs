//! What becomes of a batch and of a record: pure decisions (`Cleaner.cleanInto`, `Cleaner.shouldRetainRecord`).

use crate::model::{Offset, ProducerEpoch, TimestampMs};
use crate::record::BatchHeader;

/// What a producer that is still known wrote last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct LastWritten {
    /// Last offset of its last batch of data; `None` if it wrote none in its epoch.
    pub data: Option<Offset>,
    pub epoch: ProducerEpoch,
}

/// What is the same for a whole cleaning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub now: TimestampMs,
    /// The last offset that the keys were mapped to.
    pub mapped: Option<Offset>,
    pub delete_retention_ms: i64,
}

/// What is decided about a batch before its records are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchFate {
    /// None of its records stays.
    pub discard_records: bool,
    /// It stays even without records: it is the last that says what its producer, or the log, has reached.
    pub keep_empty: bool,
    /// A marker without a transaction: it waits for its delete horizon.
    pub wants_horizon: bool,
}

impl Round {
    /// `discard`: what [`super::transactions::Transactions`] says. `last`: of the batch's producer, if it is known.
    /// `end`: where the segment ends that is being made. A batch that reaches it stays, so that there is no gap which
    /// recovery would have to take for a loss (Kafka keeps only the last one of a cleaning).
    pub(super) fn batch(
        &self,
        batch: &BatchHeader,
        discard: bool,
        last: Option<&LastWritten>,
        end: Offset,
    ) -> BatchFate {
        let is_control = batch.attributes.is_control();
        let past_horizon = batch.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        let is_last_of_producer = last.is_some_and(|last| match last.data {
            Some(offset) => batch.last_offset() == offset,
            None => is_control && batch.producer_epoch == last.epoch,
        });
        BatchFate {
            discard_records: discard && (!is_control || past_horizon),
            keep_empty: (batch.has_producer_id() && is_last_of_producer) || batch.next_offset() == end,
            wants_horizon: discard && is_control,
        }
    }

    /// Whether a record of data stays. `last`: where the last record with its key was found to be.
    pub(super) fn keeps(&self, batch: &BatchHeader, record: Seen, last: impl FnOnce() -> Option<Offset>) -> bool {
        if self.mapped.is_none_or(|mapped| record.offset > mapped) {
            return true;
        }
        if !record.has_key {
            return false;
        }
        let expired = !record.has_value && batch.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        !expired && last().is_none_or(|last| record.offset >= last)
    }

    /// The delete horizon that a batch is to be given, if it gets one now.
    pub(super) fn horizon(&self, batch: &BatchHeader, wanted: bool) -> Option<TimestampMs> {
        (wanted && batch.delete_horizon().is_none()).then(|| self.now.plus(self.delete_retention_ms.max(0)))
    }
}

/// What matters of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub offset: Offset,
    pub has_key: bool,
    pub has_value: bool,
}
