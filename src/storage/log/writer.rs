//! The end of the active segment: what an append needs to know and to change, and rolling.
//!
//! [`Counters`] are plain numbers: an append works on a copy of them and puts it in place when the
//! batches are written, so that a failed write changes nothing.

use super::{Kind, Log, Offset, StorageError, TimestampMs, Unsynced};
use crate::config::topic::TopicConfig;
use crate::record::BatchHeader;
use crate::rt::fs::{File, Open};
use crate::storage::index::{Entry, OffsetEntry, Tail, TimeEntry, View, txn};
use crate::storage::producers::snapshot;
use crate::storage::segment::{Largest, SIZE_MAX, Segment, Stopped, Walk, relative};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// How many of the last batches readers find without looking anywhere.
const RECENT: usize = 64;

/// Where a segment that is being written stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct Counters {
    pub base: Offset,
    pub size: u32,
    /// Bytes since the batch of the last index entry began.
    since_index: u32,
    offset_entries: u32,
    time_entries: u32,
    /// Timestamp of the last time index entry.
    last_time: TimestampMs,
    pub largest: Largest,
    /// Of the first batch, if it has one: the segment's age counts from it.
    first_timestamp: Option<TimestampMs>,
    created: TimestampMs,
    jitter_ms: i64,
}

/// Index entries that a batch gives rise to.
pub(in crate::storage) type NewEntries = (Option<OffsetEntry>, Option<TimeEntry>);

impl Counters {
    pub(in crate::storage) fn new(base: Offset, created: TimestampMs, config: &TopicConfig) -> Counters {
        let largest_jitter = config.segment_jitter_ms.min(config.segment_ms);
        let jitter_ms = match u32::try_from(largest_jitter.min(i64::from(u32::MAX))) {
            Ok(bound) if bound > 0 => i64::from(crate::rt::rand::below(bound)),
            _ => 0,
        };
        Counters {
            base,
            size: 0,
            since_index: 0,
            offset_entries: 0,
            time_entries: 0,
            last_time: TimestampMs::NONE,
            largest: Largest::none(base),
            first_timestamp: None,
            created,
            jitter_ms,
        }
    }

    /// `LogSegment.shouldRoll`: whether the segment cannot or should not take this batch.
    pub(super) fn should_roll(&self, batch: &BatchHeader, config: &TopicConfig, now: TimestampMs) -> bool {
        let max_ms = if config.cleanup_compact && config.max_compaction_lag_ms > 0 {
            config.max_compaction_lag_ms.min(config.segment_ms)
        } else {
            config.segment_ms
        };
        let waited = match self.first_timestamp {
            Some(first) if first.0 >= 0 => batch.max_timestamp.0.saturating_sub(first.0),
            _ => now.0.saturating_sub(self.created.0),
        };
        let size_max = u64::try_from(config.segment_bytes).unwrap_or(0).min(SIZE_MAX);
        let entries_max = |len: usize| u32::try_from(config.segment_index_bytes).unwrap_or(0) / len as u32;
        u64::from(self.size) + batch.size() as u64 > size_max
            || (self.size > 0 && waited > max_ms.saturating_sub(self.jitter_ms))
            || self.offset_entries >= entries_max(OffsetEntry::LEN)
            // The last slot is for the entry that closes the segment.
            || self.time_entries.saturating_add(1) >= entries_max(TimeEntry::LEN)
            || !self.can_hold(batch.last_offset())
    }

    pub(in crate::storage) fn can_hold(&self, offset: Offset) -> bool {
        relative(self.base, offset).is_some()
    }

    /// Counts a batch in. The caller has checked that the segment can hold it.
    pub(in crate::storage) fn add(&mut self, batch: &BatchHeader, index_interval: i32) -> NewEntries {
        let last = batch.last_offset();
        if batch.max_timestamp > self.largest.timestamp {
            self.largest = Largest { timestamp: batch.max_timestamp, offset: last };
        }
        if self.size == 0 {
            self.first_timestamp = Some(batch.max_timestamp);
        }
        let mut entries = (None, None);
        if i64::from(self.since_index) > i64::from(index_interval) {
            entries.0 = relative(self.base, last).map(|offset| OffsetEntry { offset, pos: self.size });
            self.offset_entries += u32::from(entries.0.is_some());
            entries.1 = self.time_entry();
            self.since_index = 0;
        }
        let size = batch.size() as u32;
        self.size += size;
        self.since_index = self.since_index.saturating_add(size);
        entries
    }

    /// The entry for the largest timestamp, unless the time index has it.
    pub(in crate::storage) fn time_entry(&mut self) -> Option<TimeEntry> {
        if self.largest.timestamp <= self.last_time {
            return None;
        }
        let offset = relative(self.base, self.largest.offset)?;
        self.last_time = self.largest.timestamp;
        self.time_entries += 1;
        Some(TimeEntry { timestamp: self.largest.timestamp.0, offset })
    }
}

/// The segment that is appended to.
#[derive(Debug)]
pub(super) struct Writer {
    pub file: Arc<dyn File>,
    pub at: Counters,
    pub offsets: Tail<OffsetEntry>,
    pub times: Tail<TimeEntry>,
    /// Bytes of the transaction index that count.
    pub txn_len: u64,
    /// A failed write may have left bytes behind the end, in the log or the transaction index.
    pub dirty: bool,
    /// Relative base offset and position of the last batches, without gaps between them.
    pub recent: VecDeque<(u32, u32)>,
}

impl Writer {
    pub(super) fn new(file: Arc<dyn File>, at: Counters) -> Writer {
        let (offsets, times) = (Tail::after(at.offset_entries), Tail::after(at.time_entries));
        Writer { file, at, offsets, times, txn_len: 0, dirty: false, recent: VecDeque::new() }
    }

    pub(super) fn push(&mut self, entries: NewEntries) {
        if let Some(entry) = entries.0 {
            self.offsets.push(entry);
        }
        if let Some(entry) = entries.1 {
            self.times.push(entry);
        }
    }

    pub(super) fn remember(&mut self, relative_base: u32, pos: u32) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((relative_base, pos));
    }

    /// Cuts off what a failed write left, durably: a crash must not put it behind what is written next.
    pub(super) fn clean(&mut self, log: &Log) -> Result<(), StorageError> {
        if self.dirty {
            let base = self.at.base;
            let cut = self.file.set_len(u64::from(self.at.size)).and_then(|()| self.file.sync_data());
            cut.map_err(log.files.failed(base, Kind::Log))?;
            if self.txn_len > 0 || log.files.fs.exists(&log.files.path(base, Kind::TxnIndex)) {
                let file = log.files.open(base, Kind::TxnIndex, Open::Create)?;
                file.set_len(self.txn_len).map_err(log.files.failed(base, Kind::TxnIndex))?;
            }
            self.dirty = false;
        }
        Ok(())
    }

    /// Writes the index entries that wait. Returns the two files.
    pub(super) fn write_indexes(&mut self, log: &Log) -> Result<[Arc<dyn File>; 2], StorageError> {
        let base = self.at.base;
        // Times first: what the offset index covers, the time index covers too.
        let times = log.files.open(base, Kind::TimeIndex, Open::Create)?;
        self.times.write_to(&*times).map_err(log.files.failed(base, Kind::TimeIndex))?;
        let offsets = log.files.open(base, Kind::Index, Open::Create)?;
        self.offsets.write_to(&*offsets).map_err(log.files.failed(base, Kind::Index))?;
        Ok([offsets, times])
    }

    /// Brings the files to what a segment that is not written any more has: every index entry, one for
    /// the largest timestamp included, and nothing behind the end. Returns them. May be called again.
    pub(super) fn finish(&mut self, log: &Log) -> Result<Vec<Arc<dyn File>>, StorageError> {
        self.clean(log)?;
        if let Some(entry) = self.at.time_entry() {
            self.times.push(entry);
        }
        let mut files = vec![self.file.clone()];
        files.extend(self.write_indexes(log)?);
        if self.txn_len > 0 {
            files.push(log.files.open(self.at.base, Kind::TxnIndex, Open::ReadWrite)?);
        }
        Ok(files)
    }
}

impl Log {
    /// Takes the writer out, so that it can change while the log is read; [`Log::writer`] loads it.
    pub(super) fn take_writer(&mut self) -> Result<Box<Writer>, StorageError> {
        match self.writer.take() {
            Some(writer) => Ok(writer),
            None => Ok(Box::new(self.load_writer(Some(self.log_end))?.0)),
        }
    }

    /// Reads what an append has to know from the end of the active segment's files, and where it ends.
    /// That may be `expected`, known from the clean stop. Indexes that contradict the log are built anew.
    pub(super) fn load_writer(&self, expected: Option<Offset>) -> Result<(Writer, Offset), StorageError> {
        let segment = self.active();
        let base = segment.base;
        let log_failed = self.files.failed(base, Kind::Log);
        let file = self.files.open(base, Kind::Log, Open::ReadWrite)?;
        let size = segment.size(&self.files)?;
        let mut at = Counters::new(base, segment.since, &self.config);
        let mut offsets = self.open_index::<OffsetEntry>(base, Kind::Index)?;
        let mut times = self.open_index::<TimeEntry>(base, Kind::TimeIndex)?;
        let last_offset = offsets.last().map_err(self.files.failed(base, Kind::Index))?;
        let last_time = times.last().map_err(self.files.failed(base, Kind::TimeIndex))?;
        let believed = self.entries_agree(&*file, size, last_offset, last_time)?;
        let mut from = 0;
        if believed {
            (at.offset_entries, at.time_entries) = (offsets.len(), times.len());
            from = last_offset.map_or(0, |entry| entry.pos);
            if let Some(entry) = last_time {
                at.last_time = TimestampMs(entry.timestamp);
                at.largest = Largest { timestamp: at.last_time, offset: segment.absolute(entry.offset) };
            }
        } else {
            tracing::warn!(partition = %self.partition, "the indexes of segment {base} contradict it: built anew");
            for kind in [Kind::Index, Kind::TimeIndex] {
                self.files.open(base, kind, Open::Truncate)?;
            }
            self.files.forget(base);
        }
        let mut writer = Writer::new(file.clone(), at);
        let mut walk = Walk::new(&*file, u64::from(from), u64::from(size));
        let mut end = base;
        let mut recent: SmallVec<[(u32, u32); 8]> = SmallVec::new();
        while let Some((pos, batch)) = walk.next().map_err(|stopped| self.files.stopped(base, stopped))? {
            if batch.base_offset < end {
                return Err(self.files.corrupt(base, Kind::Log, format!("at {pos}: offsets go back")));
            }
            if batch.base_offset != end {
                recent.clear();
            }
            if let Some(relative) = segment.relative(batch.base_offset) {
                recent.push((relative, pos as u32));
            }
            if !believed {
                let entries = writer.at.add(&batch, self.config.index_interval_bytes);
                writer.push(entries);
                if writer.offsets.wants_writing() || writer.times.wants_writing() {
                    writer.write_indexes(self)?;
                }
            } else if batch.max_timestamp > writer.at.largest.timestamp {
                writer.at.largest = Largest { timestamp: batch.max_timestamp, offset: batch.last_offset() };
            }
            end = batch.next_offset();
        }
        if let Some(expected) = expected.filter(|expected| *expected != end) {
            let what = format!("the log ends at {end}, but the clean stop left a producer snapshot at {expected}");
            return Err(self.files.corrupt(base, Kind::Log, what));
        }
        if believed {
            writer.at.size = size;
            writer.at.since_index = size - from;
            if size > 0 {
                let first = Walk::new(&*file, 0, u64::from(size)).next();
                let first = first.map_err(|stopped| self.files.stopped(base, stopped))?;
                writer.at.first_timestamp = first.map(|(_, batch)| batch.max_timestamp);
            }
        }
        // Kafka preallocates; what we write must end where it ends.
        if file.len().map_err(&log_failed)? > u64::from(size) {
            file.set_len(u64::from(size)).map_err(&log_failed)?;
        }
        writer.recent = recent.into_iter().rev().take(RECENT).rev().collect();
        writer.txn_len = self.txn_index_len(base)?;
        Ok((writer, end))
    }

    /// Whether the last entries of the active segment's indexes are what its batches say.
    fn entries_agree(
        &self,
        file: &dyn File,
        size: u32,
        offset: Option<OffsetEntry>,
        time: Option<TimeEntry>,
    ) -> Result<bool, StorageError> {
        let segment = self.active();
        let mut seen = None;
        if let Some(entry) = offset {
            if entry.pos >= size {
                return Ok(false);
            }
            match Walk::new(file, u64::from(entry.pos), u64::from(size)).next() {
                Ok(Some((_, batch))) if batch.last_offset() == segment.absolute(entry.offset) => seen = Some(batch),
                Ok(_) | Err(Stopped::Bad { .. }) => return Ok(false),
                Err(stopped) => return Err(self.files.stopped(segment.base, stopped)),
            }
        }
        let Some(entry) = time else { return Ok(true) };
        // Nearly always the same batch.
        let target = segment.absolute(entry.offset);
        let holds = |batch: &BatchHeader| batch.base_offset <= target && target <= batch.last_offset();
        let batch = match seen.filter(holds) {
            Some(batch) => Some(batch),
            None => self.locate(self.segments.len() - 1, target)?.map(|(_, batch)| batch).filter(holds),
        };
        Ok(batch.is_some_and(|batch| batch.max_timestamp.0 == entry.timestamp))
    }

    fn open_index<E: Entry>(&self, base: Offset, kind: Kind) -> Result<View<'static, E>, StorageError> {
        let failed = self.files.failed(base, kind);
        let file = self.files.open(base, kind, Open::Create)?;
        let view = View::<E>::of_file(Some(file.clone())).map_err(&failed)?;
        let len = u64::from(view.len()) * E::LEN as u64;
        if file.len().map_err(&failed)? > len {
            file.set_len(len).map_err(&failed)?;
        }
        Ok(view)
    }

    pub(super) fn txn_index_len(&self, base: Offset) -> Result<u64, StorageError> {
        match self.files.fs.file_len(&self.files.path(base, Kind::TxnIndex)) {
            Ok(len) => Ok(len / txn::LEN as u64 * txn::LEN as u64),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(self.files.failed(base, Kind::TxnIndex)(error)),
        }
    }

    /// Creates the files of an empty segment. After an error none of them stays.
    pub(super) fn create_segment(&mut self, base: Offset, now: TimestampMs) -> Result<Writer, StorageError> {
        let create = || {
            let file = self.files.open(base, Kind::Log, Open::Truncate)?;
            self.files.open(base, Kind::Index, Open::Truncate)?;
            self.files.open(base, Kind::TimeIndex, Open::Truncate)?;
            self.files.remove(&self.files.path(base, Kind::TxnIndex))?;
            Ok(file)
        };
        match create() {
            Ok(file) => {
                self.names += 1;
                Ok(Writer::new(file, Counters::new(base, now, &self.config)))
            }
            Err(error) => {
                for kind in Kind::OF_SEGMENT {
                    let path = self.files.path(base, kind);
                    if self.files.remove(&path).is_err() {
                        self.doomed.push(super::Doomed { path, due: now });
                    }
                }
                Err(error)
            }
        }
    }

    /// Seals the active segment and goes on in a new one at `base`. After an error the log is as it was.
    pub(super) fn roll(&mut self, base: Offset, now: TimestampMs) -> Result<(), StorageError> {
        let mut writer = self.take_writer()?;
        let rolled = self.roll_from(&mut writer, base, now);
        match rolled {
            Ok(next) => {
                let last = self.segments.len() - 1;
                self.segments[last].seal(writer.at.size, writer.at.largest);
                let segment = Segment::new(base, now);
                segment.set_size(0);
                self.segments.push(segment);
                // Only a follower's gap puts the base beyond the end.
                self.log_end = self.log_end.max(base);
                self.writer = Some(Box::new(next));
                self.assert_invariants();
                Ok(())
            }
            Err(error) => {
                self.writer = Some(writer);
                Err(error)
            }
        }
    }

    fn roll_from(&mut self, writer: &mut Writer, base: Offset, now: TimestampMs) -> Result<Writer, StorageError> {
        let mut files = writer.finish(self)?;
        self.stage_epochs()?;
        files.extend(self.write_snapshot(base)?);
        if self.recovery_point == self.log_end {
            // The checkpoint may say that recovery begins behind this segment, so its indexes have to be
            // on disk before there is a segment behind it.
            for file in files.iter().chain(&self.unsynced_epochs()) {
                file.sync_data().map_err(self.files.failed(writer.at.base, Kind::Index))?;
            }
            self.files.sync_dir()?;
            return self.create_segment(base, now);
        }
        let next = self.create_segment(base, now)?;
        self.seals += 1;
        self.unsynced.push(Unsynced { base: writer.at.base, seal: self.seals, files });
        Ok(next)
    }

    /// Writes the producers' state at `offset`, where the log ends now. `None`: there is such a file.
    pub(super) fn write_snapshot(&mut self, offset: Offset) -> Result<Option<Arc<dyn File>>, StorageError> {
        if self.snapshots.get_mut().last().is_some_and(|newest| *newest >= offset) {
            return Ok(None);
        }
        let bytes = snapshot::encode(self.load_producers()?);
        let failed = self.files.failed(offset, Kind::Snapshot);
        let file = self.files.open(offset, Kind::Snapshot, Open::Truncate)?;
        file.write_all_at(&mut [IoSlice::new(&bytes)], 0).map_err(failed)?;
        self.names += 1;
        self.snapshots.get_mut().push(offset);
        Ok(Some(file))
    }
}
