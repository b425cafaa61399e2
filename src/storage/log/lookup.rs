//! Questions about times, epochs, producers and transactions.
//!
//! What they need is loaded with the first of them: the producers from the newest snapshot and the
//! batches behind it, the epochs from their checkpoint.

use super::append::marker_in;
use super::{AbortedTransaction, EpochEnd, Log, ProducerView, StorageError, TimestampedOffset};
use crate::model::{LeaderEpoch, Offset, ProducerId, TimestampMs};
use crate::record::{BatchHeader, records};
use crate::rt::fs::{File, Open};
use crate::storage::epochs::{self, Epochs};
use crate::storage::files::Kind;
use crate::storage::index::txn;
use crate::storage::producers::{EndMarker, Producers, snapshot};
use crate::storage::segment::{Largest, Walk};
use std::io::{self, IoSlice};
use std::sync::OnceLock;

/// The most that the records of a batch may decompress to when a time is looked for inside.
const OPENED_BYTES_MAX: usize = 128 << 20;

impl Log {
    /// The first record with a timestamp of at least `target` (ListOffsets by time).
    pub fn offset_for_timestamp(&self, target: TimestampMs) -> Result<Option<TimestampedOffset>, StorageError> {
        for n in 0..self.segments.len() {
            // A time index that promises too much is found out here.
            if self.largest(n)?.timestamp >= target
                && let Some(found) = self.first_at_or_after(n, target)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn first_at_or_after(&self, n: usize, target: TimestampMs) -> Result<Option<TimestampedOffset>, StorageError> {
        let segment = &self.segments[n];
        let entry = self.time_index(n)?.last_where(|entry| entry.timestamp <= target.0);
        let entry = entry.map_err(self.files.failed(segment.base, Kind::TimeIndex))?;
        let from = entry.map_or(segment.base, |entry| segment.absolute(entry.offset)).max(self.log_start);
        let Some((start, _)) = self.locate(n, from)? else { return Ok(None) };
        let file = self.log_file(n)?;
        let mut walk = Walk::new(&*file, start, u64::from(segment.size(&self.files)?));
        while let Some((pos, header)) = walk.next().map_err(|stopped| self.files.stopped(segment.base, stopped))? {
            if header.max_timestamp < target {
                continue;
            }
            let wanted = |timestamp: TimestampMs, offset| timestamp >= target && offset >= self.log_start;
            if let Some(found) = self.find_record(n, &*file, pos, &header, wanted)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp (ListOffsets `-3`), the first of them in the first segment that has it.
    pub fn max_timestamp(&self) -> Result<Option<TimestampedOffset>, StorageError> {
        let mut best: Option<(usize, Largest)> = None;
        for n in 0..self.segments.len() {
            let largest = self.largest(n)?;
            if best.is_none_or(|(_, best)| largest.timestamp > best.timestamp) {
                best = Some((n, largest));
            }
        }
        let Some((n, largest)) = best.filter(|(_, largest)| largest.timestamp.0 >= 0) else { return Ok(None) };
        let Some((start, _)) = self.locate(n, largest.offset)? else { return Ok(None) };
        let segment = &self.segments[n];
        let file = self.log_file(n)?;
        let mut walk = Walk::new(&*file, start, u64::from(segment.size(&self.files)?));
        while let Some((pos, header)) = walk.next().map_err(|stopped| self.files.stopped(segment.base, stopped))? {
            if header.max_timestamp == largest.timestamp {
                return self.find_record(n, &*file, pos, &header, |timestamp, _| timestamp == largest.timestamp);
            }
        }
        Ok(None)
    }

    /// The first record of a batch that is wanted. A batch that cannot be opened counts as one record, so
    /// that a client starts at it rather than behind it.
    fn find_record(
        &self,
        n: usize,
        file: &dyn File,
        pos: u64,
        header: &BatchHeader,
        wanted: impl Fn(TimestampMs, Offset) -> bool,
    ) -> Result<Option<TimestampedOffset>, StorageError> {
        let found = |timestamp, offset| TimestampedOffset {
            offset,
            timestamp,
            leader_epoch: (header.leader_epoch.0 >= 0).then_some(header.leader_epoch),
        };
        // The file has these bytes: the walk has seen that the batch ends before the file does.
        let mut bytes = vec![0; header.size()];
        file.read_exact_at(&mut bytes, pos).map_err(self.files.failed(self.segments[n].base, Kind::Log))?;
        let whole = || found(header.max_timestamp, header.base_offset.max(self.log_start));
        let Ok(payload) = records::open(header, &bytes, OPENED_BYTES_MAX) else { return Ok(Some(whole())) };
        let Ok(all) = records::Records::new(header, &payload) else { return Ok(Some(whole())) };
        for record in all {
            match record {
                Ok(record) if wanted(record.timestamp, record.offset) => {
                    return Ok(Some(found(record.timestamp, record.offset)));
                }
                Ok(_) => {}
                Err(_) => return Ok(Some(whole())),
            }
        }
        Ok(None)
    }

    /// The largest timestamp of segment `n`: the last entry of its time index.
    pub(super) fn largest(&self, n: usize) -> Result<Largest, StorageError> {
        let segment = &self.segments[n];
        if let Some(writer) = &self.writer
            && n + 1 == self.segments.len()
        {
            return Ok(writer.at.largest);
        }
        if let Some(known) = segment.largest.get() {
            return Ok(*known);
        }
        let last = self.time_index(n)?.last().map_err(self.files.failed(segment.base, Kind::TimeIndex))?;
        let largest = last.map_or(Largest::none(segment.base), |entry| Largest {
            timestamp: TimestampMs(entry.timestamp),
            offset: segment.absolute(entry.offset),
        });
        Ok(*segment.largest.get_or_init(|| largest))
    }

    /// As [`Log::largest`], but the time index is believed only if the batch that it names says the same; otherwise
    /// all batches are asked.
    pub(super) fn largest_of_batches(&self, n: usize) -> Result<TimestampMs, StorageError> {
        let largest = self.largest(n)?;
        let named = self.locate(n, largest.offset)?.map(|(_, batch)| batch);
        if named.is_some_and(|batch| batch.base_offset <= largest.offset && batch.max_timestamp == largest.timestamp) {
            return Ok(largest.timestamp);
        }
        let file = self.log_file(n)?;
        let mut walk = Walk::new(&*file, 0, u64::from(self.segments[n].size(&self.files)?));
        let mut found = TimestampMs::NONE;
        while let Some((_, batch)) =
            walk.next().map_err(|stopped| self.files.stopped(self.segments[n].base, stopped))?
        {
            found = found.max(batch.max_timestamp);
        }
        Ok(found)
    }

    /// The leader epoch under which the record at `offset` was (or will be) written.
    pub fn epoch_at(&self, offset: Offset) -> Result<Option<LeaderEpoch>, StorageError> {
        Ok(self.load_epochs()?.at(offset))
    }

    pub fn latest_epoch(&self) -> Result<Option<LeaderEpoch>, StorageError> {
        Ok(self.load_epochs()?.latest())
    }

    /// OffsetForLeaderEpoch: the largest known epoch not above the asked one, and where it ends.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Result<Option<EpochEnd>, StorageError> {
        Ok(self.load_epochs()?.end_offset(epoch, self.log_end))
    }

    /// The broker became leader in `epoch`: its records start at the log end.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch) -> Result<(), StorageError> {
        self.load_epochs()?;
        let end = self.log_end;
        if let Some(epochs) = self.epochs.get_mut() {
            epochs.assign(epoch, end);
        }
        Ok(())
    }

    /// DescribeProducers, by producer id.
    pub fn producers(&self) -> Result<Vec<ProducerView>, StorageError> {
        Ok(self.load_producers()?.views())
    }

    /// What is remembered of one producer.
    pub fn producer(&self, id: ProducerId) -> Result<Option<ProducerView>, StorageError> {
        Ok(self.load_producers()?.view(id))
    }

    /// Forgets producers idle for `producer.id.expiration.ms`, unless a transaction is open.
    pub fn expire_producers(&mut self, now: TimestampMs) {
        // Those that are not loaded are left out when they are.
        self.opened = self.opened.max(now);
        if let Some(producers) = self.producers.get_mut() {
            producers.expire(now, self.producer_expiry_ms);
        }
    }

    /// First offset of the oldest transaction that is open, or decided above the high watermark.
    pub fn first_unstable_offset(&self) -> Result<Option<Offset>, StorageError> {
        Ok(self.load_producers()?.first_unstable().map(|offset| offset.max(self.log_start)))
    }

    /// Transactions whose markers lie below it are decided for readers too. Call after opening, and whenever
    /// it advances.
    pub fn high_watermark_advanced(&mut self, high_watermark: Offset) {
        self.high_watermark = self.high_watermark.max(high_watermark);
        if let Some(producers) = self.producers.get_mut() {
            producers.stable_below(high_watermark);
        }
    }

    /// Aborted transactions that touch `from..to`.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTransaction>, StorageError> {
        let mut found = Vec::new();
        for n in self.segment_of(from)..self.segments.len() {
            let base = self.segments[n].base;
            let len = match &self.writer {
                Some(writer) if n + 1 == self.segments.len() => writer.txn_len,
                _ => self.txn_index_len(base)?,
            };
            if len == 0 {
                continue;
            }
            let file = self.files.reader(base, Kind::TxnIndex)?;
            for aborted in txn::read(&*file, len).map_err(self.files.failed(base, Kind::TxnIndex))? {
                if aborted.last >= from && aborted.first < to {
                    found.push(aborted);
                }
                // Whatever is decided later began behind the range.
                if aborted.last_stable >= to {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    pub(super) fn load_epochs(&self) -> Result<&Epochs, StorageError> {
        load(&self.epochs, || {
            let mut epochs = self.read_epochs(self.log_end)?;
            let was_dirty = epochs.dirty;
            epochs.truncate_from_end(self.log_end);
            epochs.truncate_from_start(self.log_start);
            // Cutting again after the next start gives the same.
            epochs.dirty = was_dirty;
            Ok(epochs)
        })
    }

    /// The epochs up to `end`: what the checkpoint says or, where it is missing or torn, what the batches say.
    pub(super) fn read_epochs(&self, end: Offset) -> Result<Epochs, StorageError> {
        let path = self.files.dir.join(epochs::FILE);
        let content = match self.files.fs.read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(StorageError::io(path, error)),
        };
        if let Some(epochs) = Epochs::parse(&content) {
            return Ok(epochs);
        }
        let mut epochs = Epochs::default();
        for segment in self.segments.iter().take_while(|segment| segment.base < end) {
            let size = segment.size(&self.files)?;
            if size == 0 {
                continue;
            }
            tracing::warn!(partition = %self.partition, "{} cannot be read, the batches are", path.display());
            let file = self.files.reader(segment.base, Kind::Log)?;
            let mut walk = Walk::new(&*file, 0, u64::from(size));
            while let Some((_, header)) = walk.next().map_err(|stopped| self.files.stopped(segment.base, stopped))? {
                epochs.assign(header.leader_epoch, header.base_offset);
            }
        }
        Ok(epochs)
    }

    /// Writes the checkpoint, durably, if the cache has changed.
    pub(super) fn write_epochs_if_dirty(&mut self) -> Result<(), StorageError> {
        let path = self.files.dir.join(epochs::FILE);
        if let Some(epochs) = self.epochs.get_mut()
            && epochs.dirty
        {
            let written = self.files.fs.write_atomic(&path, &epochs.encode());
            written.map_err(|error| StorageError::io(path, error))?;
            epochs.dirty = false;
        }
        Ok(())
    }

    /// As [`Log::write_epochs_if_dirty`], but leaves the sync to a flush job: until then a crash may tear the
    /// checkpoint, and the batches say what it said.
    pub(super) fn stage_epochs(&mut self) -> Result<(), StorageError> {
        let path = self.files.dir.join(epochs::FILE);
        let staged = self.files.dir.join(epochs::STAGED);
        let fs = self.files.fs.clone();
        let Some(epochs) = self.epochs.get_mut().filter(|epochs| epochs.dirty) else { return Ok(()) };
        let content = epochs.encode();
        let write = || {
            let file = fs.open(&staged, Open::Truncate)?;
            file.write_all_at(&mut [IoSlice::new(&content)], 0)?;
            fs.rename(&staged, &path)
        };
        write().map_err(|error| StorageError::io(&path, error))?;
        epochs.dirty = false;
        self.names += 1;
        self.staged_epochs = Some(self.names);
        Ok(())
    }

    pub(super) fn load_producers(&self) -> Result<&Producers, StorageError> {
        load(&self.producers, || {
            let mut producers = self.rebuild_producers(self.log_end)?;
            producers.stable_below(self.high_watermark);
            Ok(producers)
        })
    }

    /// The producers as they were when the log ended at `end`: the newest snapshot up to there that can be
    /// read, and the batches behind it.
    pub(super) fn rebuild_producers(&self, end: Offset) -> Result<Producers, StorageError> {
        let (mut producers, from) = self.newest_snapshot(end)?;
        let mut from = from.unwrap_or(self.no_producers_below).max(self.log_start);
        for n in self.segment_of(from)..self.segments.len() {
            if self.segments[n].base >= end {
                break;
            }
            let Some((start, _)) = self.locate(n, from)? else { continue };
            let file = self.log_file(n)?;
            let base = self.segments[n].base;
            let mut walk = Walk::new(&*file, start, u64::from(self.segments[n].size(&self.files)?));
            while let Some((pos, header)) = walk.next().map_err(|stopped| self.files.stopped(base, stopped))? {
                if header.base_offset >= end {
                    return Ok(producers);
                }
                if header.has_producer_id() {
                    let marker = read_marker(&*file, pos, &header).map_err(self.files.failed(base, Kind::Log))?;
                    producers.replay(&header, marker);
                }
                from = from.max(header.next_offset());
            }
        }
        Ok(producers)
    }

    /// The newest snapshot up to `end` that can be read, and its offset. Those that cannot are removed.
    fn newest_snapshot(&self, end: Offset) -> Result<(Producers, Option<Offset>), StorageError> {
        loop {
            let newest =
                self.snapshots.lock().iter().copied().rfind(|offset| *offset <= end && *offset >= self.log_start);
            let Some(offset) = newest else { return Ok((Producers::default(), None)) };
            let path = self.files.path(offset, Kind::Snapshot);
            let bytes = match self.files.fs.read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(StorageError::io(path, error)),
            };
            if let Some(producers) = snapshot::decode(&bytes, self.opened, self.producer_expiry_ms) {
                return Ok((producers, Some(offset)));
            }
            tracing::warn!(partition = %self.partition, "{} is not a producer snapshot and is removed", path.display());
            self.files.remove(&path)?;
            self.snapshots.lock().retain(|kept| *kept != offset);
        }
    }
}

/// What ends a transaction, if the batch does.
pub(super) fn read_marker(file: &dyn File, pos: u64, header: &BatchHeader) -> io::Result<Option<EndMarker>> {
    if !header.attributes.is_control() {
        return Ok(None);
    }
    let mut bytes = vec![0; header.size()];
    file.read_exact_at(&mut bytes, pos)?;
    Ok(marker_of(header, &bytes))
}

/// As [`read_marker`], of the bytes of a whole batch.
pub(super) fn marker_of(header: &BatchHeader, batch: &[u8]) -> Option<EndMarker> {
    if !header.attributes.is_control() {
        return None;
    }
    marker_in(header, &records::open(header, batch, 1 << 20).ok()?)
}

/// `OnceLock::get_or_try_init`, which is not stable yet.
fn load<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, StorageError>) -> Result<&T, StorageError> {
    match cell.get() {
        Some(value) => Ok(value),
        None => make().map(|value| cell.get_or_init(|| value)),
    }
}
