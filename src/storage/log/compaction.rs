//! What the cleaner asks of a log, and the swap of segments that it has cleaned.
//!
//! The swap happens under the log's lock and is a row of renames: `.cleaned` files, which are on disk, become `.swap`,
//! the segments they stand for `.deleted`, and `.swap` loses its suffix. A crash keeps the first few of them, and the
//! next start goes on from there or takes them back (`open::finish_swap`): either way the log is the old or the new
//! one, or the old one behind a part of the new one. Readers keep the files that they hold.

use super::open::due;
use super::{FlushJob, Kind, Log, Offset, Segment, State, StorageError, TimestampMs};
use crate::config::topic::TopicConfig;
use crate::model::ProducerId;
use crate::rt::fs::{File, Fs};
use crate::storage::cleaner::{Dirty, LastWritten, Part, Size, View};
use crate::storage::files::{self, Files};
use crate::storage::segment::{Largest, Walk};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Which segments are to be cleaned, as they were at one moment.
#[derive(Clone, Debug)]
pub(in crate::storage) struct Plan {
    pub fs: Arc<dyn Fs>,
    pub dir: PathBuf,
    pub config: Arc<TopicConfig>,
    /// Where the last cleaning ended.
    pub first: Offset,
    /// The base of the first segment that is not cleaned.
    pub end: Offset,
    /// Every segment before `end`.
    pub segments: Vec<Size>,
    cuts: u32,
}

/// What is on disk, and decided there, once the flush is done that it came with.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct Barrier {
    cuts: u32,
    durable: Offset,
    last_stable: Offset,
}

/// A segment to read, from the batch on that holds the offset that was asked for.
#[derive(Debug)]
pub(in crate::storage) struct Source {
    pub file: Arc<dyn File>,
    pub pos: u64,
    pub size: u64,
}

/// A cleaned segment whose files are on disk with the suffix `.cleaned`.
#[derive(Debug)]
pub(in crate::storage) struct Replacement {
    pub base: Offset,
    pub kinds: Vec<Kind>,
    pub size: u32,
    pub largest: Largest,
}

impl Log {
    /// What the last cleaning reached; for the checkpoint.
    #[must_use]
    pub fn cleaned_to(&self) -> Option<Offset> {
        self.cleaned_to
    }

    /// Up to here the log is clean. `None`, or what the log cannot have: nothing of it is.
    pub fn set_cleaned_to(&mut self, offset: Option<Offset>) {
        self.cleaned_to = offset.filter(|offset| *offset <= self.log_end);
    }

    /// How dirty the log is. The high watermark must have been told.
    ///
    /// # Errors
    /// The disk refused.
    pub fn dirty(&self, now: TimestampMs) -> Result<Dirty, StorageError> {
        self.dirty_below(self.last_stable()?, now)
    }

    fn last_stable(&self) -> Result<Offset, StorageError> {
        Ok(self.first_unstable_offset()?.unwrap_or(self.high_watermark).min(self.high_watermark))
    }

    fn dirty_below(&self, last_stable: Offset, now: TimestampMs) -> Result<Dirty, StorageError> {
        let config = &self.config;
        let active = self.segments.len() - 1;
        let (asks_age, asks_largest) = (config.max_compaction_lag_ms < i64::MAX, config.min_compaction_lag_ms > 0);
        let mut parts = Vec::with_capacity(self.segments.len());
        for (n, segment) in self.segments.iter().enumerate() {
            let size = u64::from(segment.size(&self.files)?);
            let largest = if asks_largest && n < active { self.largest(n)?.timestamp } else { TimestampMs::NONE };
            let first = if asks_age && n < active { self.first_timestamp(n)? } else { TimestampMs::NONE };
            parts.push(Part { base: segment.base, size, largest, first });
        }
        let view = View {
            parts,
            log_start: self.log_start,
            log_end: self.log_end,
            last_stable,
            cleaned_to: self.cleaned_to,
            min_lag_ms: config.min_compaction_lag_ms,
            max_lag_ms: config.max_compaction_lag_ms,
        };
        Ok(view.dirty(now))
    }

    /// The largest timestamp of a sealed segment's first batch.
    fn first_timestamp(&self, n: usize) -> Result<TimestampMs, StorageError> {
        let segment = &self.segments[n];
        if let Some(known) = segment.first.get() {
            return Ok(*known);
        }
        let file = self.log_file(n)?;
        let mut walk = Walk::new(&*file, 0, u64::from(segment.size(&self.files)?));
        let first = walk.next().map_err(|stopped| self.files.stopped(segment.base, stopped))?;
        let timestamp = first.map_or(TimestampMs::NONE, |(_, batch)| batch.max_timestamp);
        Ok(*segment.first.get_or_init(|| timestamp))
    }

    /// What has to be synced before a cleaning, and what may be cleaned then: a record must not go for the sake of one,
    /// or of a marker, that a power cut may take.
    pub(in crate::storage) fn cleaning_barrier(&self) -> Result<(Option<FlushJob>, Barrier), StorageError> {
        let barrier = Barrier { cuts: self.cuts, durable: self.log_end, last_stable: self.last_stable()? };
        Ok((self.flush_job(), barrier))
    }

    /// What is to be cleaned now that the barrier's job is done; `None` if there is nothing.
    pub(in crate::storage) fn plan_cleaning(
        &self,
        barrier: &Barrier,
        now: TimestampMs,
    ) -> Result<Option<Plan>, StorageError> {
        let dirty = self.dirty_below(barrier.last_stable, now)?;
        let end = dirty.end.min(self.segments[self.segment_of(barrier.durable)].base);
        if barrier.cuts != self.cuts || dirty.first >= end {
            return Ok(None);
        }
        let mut segments = Vec::new();
        for segment in self.segments.iter().take_while(|segment| segment.base < end) {
            segments.push(Size {
                base: segment.base,
                log: u64::from(segment.size(&self.files)?),
                index: self.index_bytes(segment.base, Kind::Index)?,
                time_index: self.index_bytes(segment.base, Kind::TimeIndex)?,
            });
        }
        Ok(Some(Plan {
            fs: self.files.fs.clone(),
            dir: self.files.dir.clone(),
            config: Arc::clone(&self.config),
            first: dirty.first,
            end,
            segments,
            cuts: self.cuts,
        }))
    }

    fn index_bytes(&self, base: Offset, kind: Kind) -> Result<u64, StorageError> {
        match self.files.fs.file_len(&self.files.path(base, kind)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            other => other.map_err(self.files.failed(base, kind)),
        }
    }

    /// The segment with this base, from the batch on that holds `from` or follows it. `None`: the log is not what was
    /// planned for.
    pub(in crate::storage) fn cleaning_source(
        &self,
        plan: &Plan,
        base: Offset,
        from: Offset,
    ) -> Result<Option<Source>, StorageError> {
        let found = self.segments.binary_search_by_key(&base, |segment| segment.base);
        let Some(n) = found.ok().filter(|n| plan.cuts == self.cuts && *n + 1 < self.segments.len()) else {
            return Ok(None);
        };
        let size = u64::from(self.segments[n].size(&self.files)?);
        let pos = if from <= base { 0 } else { self.locate(n, from)?.map_or(size, |(pos, _)| pos) };
        Ok(Some(Source { file: self.log_file(n)?, pos, size }))
    }

    /// What each producer that is still known wrote last.
    pub(in crate::storage) fn last_written(&self) -> Result<BTreeMap<ProducerId, LastWritten>, StorageError> {
        Ok(self.load_producers()?.last_written())
    }

    /// Puts a cleaned segment in the place of segments `range` of the plan. False: the log is not any more what was
    /// planned for, and nothing has changed. After an error the log must not be used, unless the error will pass: then
    /// it is as it was.
    pub(in crate::storage) fn replace(
        &mut self,
        plan: &Plan,
        range: Range<usize>,
        new: &Replacement,
        now: TimestampMs,
    ) -> Result<bool, StorageError> {
        let old: Vec<Offset> = plan.segments[range].iter().map(|segment| segment.base).collect();
        let at = self.segments.partition_point(|segment| segment.base < new.base);
        let there = self.segments[at..].iter().map(|segment| segment.base);
        let untouched = plan.cuts == self.cuts && there.take(old.len()).eq(old.iter().copied());
        if !untouched || old.is_empty() || at + old.len() >= self.segments.len() {
            return Ok(false);
        }
        for kind in &new.kinds {
            if let Err(error) = rename(&self.files, new.base, *kind, State::Cleaned, State::Swap) {
                discard(&self.files, new.base, State::Swap)?;
                return Err(error);
            }
        }
        // From here on the next start completes what is not done.
        let due = due(now, self.config.file_delete_delay_ms);
        for base in &old {
            self.doom(*base, &Kind::OF_SEGMENT, due).map_err(half_done)?;
        }
        for kind in &new.kinds {
            rename(&self.files, new.base, *kind, State::Swap, State::Live).map_err(half_done)?;
        }
        self.names += 1;
        let since = self.segments[at + old.len() - 1].since;
        let mut segment = Segment::new(new.base, since);
        segment.seal(new.size, new.largest);
        self.segments.splice(at..at + old.len(), [segment]);
        for base in &old[1..] {
            if self.snapshots.get_mut().contains(base) {
                self.doom(*base, &[Kind::Snapshot], due)?;
                self.snapshots.get_mut().retain(|offset| offset != base);
            }
        }
        self.assert_invariants();
        Ok(true)
    }

    /// Removes what a cleaning that was given up has left. Nothing of it is in use.
    pub(in crate::storage) fn discard_cleaned(fs: &Arc<dyn Fs>, dir: &std::path::Path, base: Offset) {
        let files = Files::new(Arc::clone(fs), dir.to_owned());
        if let Err(error) = discard(&files, base, State::Cleaned) {
            tracing::warn!(dir = %dir.display(), %error, "what a cleaning had begun is removed at the next start");
        }
    }
}

fn rename(files: &Files, base: Offset, kind: Kind, from: State, to: State) -> Result<(), StorageError> {
    let from = files.dir.join(files::name(base, kind, from));
    files.fs.rename(&from, &files.dir.join(files::name(base, kind, to))).map_err(|error| StorageError::io(from, error))
}

fn discard(files: &Files, base: Offset, state: State) -> Result<(), StorageError> {
    // The log last: without it the others mean nothing.
    for kind in Kind::OF_SEGMENT.iter().rev() {
        files.remove(&files.dir.join(files::name(base, *kind, state)))?;
    }
    Ok(())
}

/// A swap that was cut short is completed by the next start, not by waiting for room.
fn half_done(error: StorageError) -> StorageError {
    match error {
        StorageError::Full { path } => StorageError::Io { path, source: io::ErrorKind::StorageFull.into() },
        StorageError::TooManyFiles { path } => StorageError::Io { path, source: io::ErrorKind::Other.into() },
        other => other,
    }
}
