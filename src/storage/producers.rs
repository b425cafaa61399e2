//! What a log remembers of its idempotent and transactional producers: Kafka's `ProducerStateManager`
//! and `ProducerAppendInfo` as pure decisions.
//!
//! A batch is checked against the producer's entry ([`Producers::check`]) and gives a changed copy of
//! that entry; the copy is stored ([`Producers::commit`]) only when the batch has been written, so a
//! failed write leaves no trace. Left out: transaction verification (KIP-890 part 1), whose guard
//! belongs to the coordinator.

pub(super) mod snapshot;

use super::cleaner::LastWritten;
use super::error::AppendError;
use super::log::{Origin, ProducerView};
use crate::model::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use crate::record::BatchHeader;
use std::collections::{BTreeMap, HashMap};

/// `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`: a retry of any of these is recognised.
pub(super) const BATCHES_KEPT: usize = 5;

/// Who appends, as far as the checks differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    As(Origin),
    /// The leader has checked already; also what lies on disk.
    Replicated,
}

/// A batch that was appended, for recognising its retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub last_sequence: Sequence,
    pub last_offset: Offset,
    pub offset_delta: i32,
    pub timestamp: TimestampMs,
}

impl Seen {
    pub(super) fn first_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }

    /// The sequence of the first record (`DefaultRecordBatch.decrementSequence`).
    fn first_sequence(&self) -> Sequence {
        let first = i64::from(self.last_sequence.0) - i64::from(self.offset_delta);
        let wrapped = if first < 0 && self.last_sequence != Sequence::NONE { first + (1 << 31) } else { first };
        Sequence(i32::try_from(wrapped).unwrap_or(Sequence::NONE.0))
    }
}

/// One producer's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub epoch: ProducerEpoch,
    pub coordinator_epoch: i32,
    pub last_timestamp: TimestampMs,
    /// First offset of the open transaction.
    pub txn_start: Option<Offset>,
    seen: [Seen; BATCHES_KEPT],
    seen_len: u8,
}

impl Entry {
    pub(super) fn empty() -> Entry {
        Entry::new(ProducerEpoch::NONE, -1, TimestampMs::NONE, None)
    }

    pub(super) fn new(
        epoch: ProducerEpoch,
        coordinator_epoch: i32,
        last_timestamp: TimestampMs,
        txn_start: Option<Offset>,
    ) -> Entry {
        let none = Seen {
            last_sequence: Sequence::NONE,
            last_offset: Offset::NONE,
            offset_delta: 0,
            timestamp: TimestampMs::NONE,
        };
        Entry { epoch, coordinator_epoch, last_timestamp, txn_start, seen: [none; BATCHES_KEPT], seen_len: 0 }
    }

    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen[..usize::from(self.seen_len).min(BATCHES_KEPT)]
    }

    pub(super) fn last_seen(&self) -> Option<&Seen> {
        self.seen().last()
    }

    fn last_sequence(&self) -> Sequence {
        self.last_seen().map_or(Sequence::NONE, |seen| seen.last_sequence)
    }

    fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.seen_len = 0;
            self.epoch = epoch;
        }
    }

    pub(super) fn add(&mut self, epoch: ProducerEpoch, seen: Seen) {
        self.set_epoch(epoch);
        if usize::from(self.seen_len) == BATCHES_KEPT {
            self.seen.rotate_left(1);
            self.seen[BATCHES_KEPT - 1] = seen;
        } else {
            self.seen[usize::from(self.seen_len)] = seen;
            self.seen_len += 1;
        }
        self.last_timestamp = seen.timestamp;
    }

    /// The batch of which `batch` is a retry.
    fn duplicate(&self, batch: &BatchHeader) -> Option<Seen> {
        if batch.producer_epoch != self.epoch {
            return None;
        }
        let last = batch.last_sequence();
        self.seen()
            .iter()
            .find(|seen| seen.last_sequence == last && seen.first_sequence() == batch.base_sequence)
            .copied()
    }
}

/// The end of a transaction that had data here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Completed {
    pub producer: ProducerId,
    pub first: Offset,
    pub last: Offset,
    pub aborted: bool,
}

/// What the control record of an end-of-transaction marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndMarker {
    pub aborted: bool,
    pub coordinator_epoch: i32,
    pub timestamp: TimestampMs,
}

impl EndMarker {
    /// Reads key (version, type) and value (version, coordinator epoch); `None` if they are not a marker's.
    pub(super) fn parse(key: Option<&[u8]>, value: Option<&[u8]>, timestamp: TimestampMs) -> Option<EndMarker> {
        let (_, kind) = key?.split_first_chunk::<2>()?;
        let aborted = match i16::from_be_bytes(*kind.first_chunk()?) {
            0 => true,
            1 => false,
            _ => return None,
        };
        let (version, rest) = value?.split_first_chunk::<2>()?;
        if i16::from_be_bytes(*version) < 0 {
            return None;
        }
        Some(EndMarker { aborted, coordinator_epoch: i32::from_be_bytes(*rest.first_chunk()?), timestamp })
    }
}

/// What a batch does to its producer's entry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// A retry of this batch: nothing to append.
    Duplicate(Seen),
    Append(Change),
}

/// A changed entry, to be stored when the batch is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub producer: ProducerId,
    pub entry: Entry,
    /// The batch opened a transaction here.
    pub started: Option<Offset>,
    pub completed: Option<Completed>,
}

/// The producers of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Producers {
    entries: HashMap<i64, Entry>,
    /// Open transactions: first offset to producer.
    ongoing: BTreeMap<Offset, ProducerId>,
    /// Decided ones whose marker may be above the high watermark: first offset to the marker's.
    unreplicated: BTreeMap<Offset, Offset>,
}

impl Producers {
    pub(super) fn get(&self, producer: ProducerId) -> Option<&Entry> {
        self.entries.get(&producer.0)
    }

    /// Decides about a batch with a producer id at its assigned offset. `current` is the producer's entry,
    /// changes of batches staged before this one included; `marker` is given for control batches.
    pub(super) fn check(
        current: Option<&Entry>,
        batch: &BatchHeader,
        marker: Option<EndMarker>,
        check: Check,
    ) -> Result<Verdict, AppendError> {
        if check == Check::As(Origin::Client)
            && let Some(seen) = current.and_then(|entry| entry.duplicate(batch))
        {
            return Ok(Verdict::Duplicate(seen));
        }
        let mut entry = current.copied().unwrap_or_else(Entry::empty);
        let producer = batch.producer_id;
        let mut change = Change { producer, entry, started: None, completed: None };
        if batch.attributes.is_control() {
            // A control batch without records: compaction removed the transaction it ended.
            let Some(marker) = marker else { return Ok(Verdict::Append(change)) };
            check_marker(&entry, batch, marker, check)?;
            change.completed = entry.txn_start.map(|first| Completed {
                producer,
                first,
                last: batch.base_offset,
                aborted: marker.aborted,
            });
            entry.set_epoch(batch.producer_epoch);
            entry.coordinator_epoch = marker.coordinator_epoch;
            entry.txn_start = None;
            entry.last_timestamp = marker.timestamp;
        } else {
            check_data(&entry, batch, check)?;
            let transactional = batch.attributes.is_transactional();
            if entry.txn_start.is_some() && !transactional && check != Check::Replicated {
                return Err(AppendError::InvalidTxnState { producer });
            }
            entry.add(
                batch.producer_epoch,
                Seen {
                    last_sequence: batch.last_sequence(),
                    last_offset: batch.last_offset(),
                    offset_delta: batch.last_offset_delta,
                    timestamp: batch.max_timestamp,
                },
            );
            if entry.txn_start.is_none() && transactional {
                entry.txn_start = Some(batch.base_offset);
                change.started = Some(batch.base_offset);
            }
        }
        change.entry = entry;
        Ok(Verdict::Append(change))
    }

    /// Stores what [`Producers::check`] decided, the batch being written.
    pub(super) fn commit(&mut self, change: &Change) {
        self.entries.insert(change.producer.0, change.entry);
        if let Some(first) = change.started {
            self.ongoing.insert(first, change.producer);
        }
        if let Some(done) = change.completed {
            self.ongoing.remove(&done.first);
            self.unreplicated.insert(done.first, done.last);
        }
    }

    /// Takes a batch that lies on disk.
    pub(super) fn replay(&mut self, batch: &BatchHeader, marker: Option<EndMarker>) -> Option<Completed> {
        match Producers::check(self.get(batch.producer_id), batch, marker, Check::Replicated) {
            Ok(Verdict::Append(change)) => {
                self.commit(&change);
                change.completed
            }
            // Neither can be: what is replicated is not judged.
            Ok(Verdict::Duplicate(_)) | Err(_) => None,
        }
    }

    /// The last stable offset once `done` is decided: where the oldest other open transaction starts.
    pub(super) fn last_stable_after(&self, done: &Completed) -> Offset {
        self.ongoing
            .iter()
            .find(|(_, producer)| **producer != done.producer)
            .map_or_else(|| done.last.next(), |(first, _)| *first)
    }

    pub(super) fn first_unstable(&self) -> Option<Offset> {
        let open = self.ongoing.keys().next();
        let decided = self.unreplicated.keys().next();
        open.into_iter().chain(decided).min().copied()
    }

    /// Transactions decided below `offset` (high watermark or log start) are stable.
    pub(super) fn stable_below(&mut self, offset: Offset) {
        self.unreplicated.retain(|_, last| *last >= offset);
    }

    pub(super) fn expire(&mut self, now: TimestampMs, after_ms: i64) {
        self.entries.retain(|_, entry| !entry.is_expired(now, after_ms));
    }

    /// Takes an entry from a snapshot.
    pub(super) fn load(&mut self, producer: ProducerId, entry: Entry) {
        if let Some(first) = entry.txn_start {
            self.ongoing.insert(first, producer);
        }
        self.entries.insert(producer.0, entry);
    }

    /// By producer id, so that snapshots and answers do not depend on the map's order.
    pub(super) fn sorted(&self) -> Vec<(ProducerId, &Entry)> {
        let mut all: Vec<_> = self.entries.iter().map(|(id, entry)| (ProducerId(*id), entry)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// What each producer wrote last, for compaction (`UnifiedLog.lastRecordsOfActiveProducers`).
    pub(super) fn last_written(&self) -> BTreeMap<ProducerId, LastWritten> {
        let last = |(id, entry): (&i64, &Entry)| {
            let data = entry.last_seen().map(|seen| seen.last_offset).filter(|offset| offset.0 >= 0);
            (ProducerId(*id), LastWritten { data, epoch: entry.epoch })
        };
        self.entries.iter().map(last).collect()
    }

    pub(super) fn views(&self) -> Vec<ProducerView> {
        self.sorted().into_iter().map(|(id, entry)| entry.view(id)).collect()
    }

    pub(super) fn view(&self, id: ProducerId) -> Option<ProducerView> {
        self.get(id).map(|entry| entry.view(id))
    }
}

impl Entry {
    fn view(&self, producer_id: ProducerId) -> ProducerView {
        ProducerView {
            producer_id,
            epoch: self.epoch,
            last_sequence: self.last_sequence(),
            last_timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            txn_start: self.txn_start,
        }
    }

    pub(super) fn is_expired(&self, now: TimestampMs, after_ms: i64) -> bool {
        self.txn_start.is_none() && now.0.saturating_sub(self.last_timestamp.0) >= after_ms
    }
}

fn check_data(entry: &Entry, batch: &BatchHeader, check: Check) -> Result<(), AppendError> {
    let Check::As(origin) = check else { return Ok(()) };
    let (producer, epoch) = (batch.producer_id, batch.producer_epoch);
    if epoch.0 < entry.epoch.0 {
        return Err(AppendError::InvalidProducerEpoch { producer, epoch, current: entry.epoch });
    }
    if origin != Origin::Client {
        return Ok(());
    }
    let sequence = batch.base_sequence;
    let last = entry.last_sequence();
    let out_of_order = Err(AppendError::OutOfOrderSequence { producer, sequence, last });
    if epoch != entry.epoch {
        // A new epoch starts at 0; a producer that is not known may start anywhere.
        return if sequence.0 != 0 && entry.epoch != ProducerEpoch::NONE { out_of_order } else { Ok(()) };
    }
    let follows = i64::from(sequence.0) == i64::from(last.0) + 1 || (sequence.0 == 0 && last.0 == i32::MAX);
    if entry.epoch == ProducerEpoch::NONE || follows { Ok(()) } else { out_of_order }
}

fn check_marker(entry: &Entry, batch: &BatchHeader, marker: EndMarker, check: Check) -> Result<(), AppendError> {
    let Check::As(origin) = check else { return Ok(()) };
    let version = if let Origin::Marker { transaction_version } = origin { transaction_version } else { 0 };
    let (producer, epoch, current) = (batch.producer_id, batch.producer_epoch, entry.epoch);
    // From transaction.version 2 on each transaction ends in an epoch of its own.
    let stale = if version >= 2 { epoch.0 <= current.0 } else { epoch.0 < current.0 };
    let retry = version >= 2 && epoch == current && (entry.txn_start.is_none() || epoch.0 == i16::MAX);
    if stale && !retry {
        return Err(AppendError::InvalidProducerEpoch { producer, epoch, current });
    }
    if entry.coordinator_epoch > marker.coordinator_epoch {
        let (epoch, current) = (marker.coordinator_epoch, entry.coordinator_epoch);
        return Err(AppendError::CoordinatorFenced { producer, epoch, current });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
