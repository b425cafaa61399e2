//! Creating and opening a log.
//!
//! After a clean stop nothing is read but the names in the directory: the stop left a producer snapshot
//! at the log end, so the newest snapshot's name says where the log ends. Whatever loads the end of
//! the log later checks that.

use super::{Files, FlushMark, Kind, Log, Mutex, OnceLock, OpenLog, State, StorageError};
use crate::model::{Offset, TimestampMs};
use crate::storage::files::{name, parse};
use crate::storage::producers::Producers;
use crate::storage::segment::{Segment, Walk};
use std::io;

/// How far the recovery of a log after an unclean stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryProgress {
    pub done_bytes: u64,
    pub total_bytes: u64,
}

/// What is in the directory.
#[derive(Default)]
struct Found {
    segments: Vec<Offset>,
    snapshots: Vec<Offset>,
    /// Index files, which need a log.
    indexes: Vec<(Offset, Kind)>,
    /// Left by a compaction.
    swaps: Vec<(Offset, Kind)>,
    cleaned: Vec<(Offset, Kind)>,
    deleted: Vec<String>,
}

impl Log {
    /// A new, empty log. Its directory must not hold a log yet.
    pub fn create(open: OpenLog) -> Result<Log, StorageError> {
        open.fs.create_dir_all(&open.dir).map_err(|error| StorageError::io(&open.dir, error))?;
        if !list(&open)?.segments.is_empty() {
            return Err(StorageError::Refused(format!("{} holds a log already", open.dir.display())));
        }
        Log::fresh(open)
    }

    /// Opens what [`Log::create`] or Apache Kafka left; a directory without segments becomes an empty log.
    pub fn open(open: OpenLog) -> Result<Log, StorageError> {
        Log::open_reporting(open, &mut |_| {})
    }

    /// As [`Log::open`]; tells how far recovery is.
    pub fn open_reporting(open: OpenLog, progress: &mut dyn FnMut(RecoveryProgress)) -> Result<Log, StorageError> {
        let mut found = match list(&open) {
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Log::create(open);
            }
            other => other?,
        };
        let files = Files::new(open.fs.clone(), open.dir.clone());
        for gone in &found.deleted {
            files.remove(&open.dir.join(gone))?;
        }
        if !found.swaps.is_empty() || !found.cleaned.is_empty() {
            finish_swap(&files, &found)?;
            found = list(&open)?;
        }
        for (base, kind) in &found.indexes {
            if found.segments.binary_search(base).is_err() {
                files.remove(&files.path(*base, *kind))?;
            }
        }
        if found.segments.is_empty() {
            for offset in found.snapshots {
                files.remove(&files.path(offset, Kind::Snapshot))?;
            }
            return Log::fresh(open);
        }
        let (clean, now) = (open.clean, open.now);
        let mut log = Log::bare(open, &found.segments, found.snapshots);
        if !clean || !log.settle()? {
            log.recover(progress)?;
        }
        if log.log_end < log.log_start {
            tracing::warn!(
                partition = %log.partition,
                "the log ends at {}, before its start {}: it goes on empty at its start", log.log_end, log.log_start
            );
            log.truncate_and_restart_at(log.log_start, now)?;
        }
        log.log_start = log.log_start.max(log.segments[0].base);
        log.set_cleaned_to(log.cleaned_to);
        log.drop_stray_snapshots()?;
        log.assert_invariants();
        Ok(log)
    }

    fn fresh(open: OpenLog) -> Result<Log, StorageError> {
        let (start, now) = (open.log_start.max(Offset::ZERO), open.now);
        let mut log = Log::bare(open, &[start], Vec::new());
        (log.log_start, log.log_end, log.recovery_point) = (start, start, start);
        log.cleaned_to = None;
        log.segments[0].set_size(0);
        log.producers = Producers::default().into();
        log.parent_unsynced = true;
        let writer = log.create_segment(start, now)?;
        log.writer = Some(Box::new(writer));
        log.assert_invariants();
        Ok(log)
    }

    fn bare(open: OpenLog, bases: &[Offset], snapshots: Vec<Offset>) -> Log {
        Log {
            files: Files::new(open.fs, open.dir),
            partition: open.partition,
            config: open.config,
            producer_expiry_ms: open.producer_expiry_ms,
            segments: bases.iter().map(|base| Segment::new(*base, open.now)).collect(),
            no_producers_below: Offset::ZERO,
            snapshots: Mutex::new(snapshots),
            log_start: open.log_start,
            log_end: open.log_start,
            recovery_point: open.recovery_point.max(Offset::ZERO),
            cleaned_to: open.cleaned_to,
            high_watermark: Offset::ZERO,
            producers: OnceLock::new(),
            epochs: OnceLock::new(),
            writer: None,
            unsynced: Vec::new(),
            seals: 0,
            names: 0,
            names_synced: 0,
            staged_epochs: None,
            parent_unsynced: false,
            cuts: 0,
            doomed: Vec::new(),
            opened: open.now,
            last_flush: open.now,
        }
    }

    /// Finds the log end after a clean stop. False if the end cannot be what a clean stop left.
    fn settle(&mut self) -> Result<bool, StorageError> {
        let n = self.segments.len() - 1;
        let base = self.segments[n].base;
        match self.snapshots.get_mut().last() {
            Some(newest) if *newest > base => self.log_end = *newest,
            _ => {
                let size = u64::from(self.segments[n].size(&self.files)?);
                let entry = self.index_floor(n, Offset(i64::MAX))?;
                let file = self.log_file(n)?;
                let mut walk = Walk::new(&*file, entry.map_or(0, |entry| u64::from(entry.pos)), size);
                self.log_end = base;
                loop {
                    match walk.next() {
                        Ok(Some((_, header))) => self.log_end = header.next_offset(),
                        Ok(None) => break,
                        Err(crate::storage::segment::Stopped::Bad { .. }) => {
                            self.recovery_point = self.recovery_point.min(base);
                            return Ok(false);
                        }
                        Err(stopped) => return Err(self.files.stopped(base, stopped)),
                    }
                }
            }
        }
        self.recovery_point = self.log_end;
        if self.snapshots.get_mut().is_empty() {
            self.no_producers_below = self.log_end;
        }
        Ok(true)
    }

    /// Kafka's `removeStraySnapshots`: those of no segment, but for the one at the log end.
    fn drop_stray_snapshots(&mut self) -> Result<(), StorageError> {
        let bases: Vec<Offset> = self.segments.iter().map(|segment| segment.base).collect();
        let newest = self.snapshots.get_mut().last().copied();
        let end = self.log_end;
        self.drop_snapshots(|offset| offset > end || (bases.binary_search(&offset).is_err() && Some(offset) != newest))
    }
}

impl FlushMark {
    /// How far the log is durable once the job is done.
    #[must_use]
    pub fn up_to(&self) -> Offset {
        self.up_to
    }
}

fn list(open: &OpenLog) -> Result<Found, StorageError> {
    let mut found = Found::default();
    for entry in open.fs.read_dir(&open.dir).map_err(|error| StorageError::io(&open.dir, error))? {
        let Some((base, kind, state)) = parse(&entry.name).filter(|_| !entry.is_dir) else { continue };
        match (state, kind) {
            (State::Deleted, _) => found.deleted.push(entry.name),
            (State::Swap, _) => found.swaps.push((base, kind)),
            (State::Cleaned, _) => found.cleaned.push((base, kind)),
            (State::Live, Kind::Log) => found.segments.push(base),
            (State::Live, Kind::Snapshot) => found.snapshots.push(base),
            (State::Live, _) => found.indexes.push((base, kind)),
        }
    }
    found.segments.sort_unstable();
    found.snapshots.sort_unstable();
    Ok(found)
}

/// Finishes what a compaction had begun, or takes it back (`removeTempFilesAndCollectSwapFiles` and the
/// three passes of `LogLoader.load`): a complete set of `.swap` files replaces the segments it covers,
/// `.cleaned` ones are not complete.
fn finish_swap(files: &Files, found: &Found) -> Result<(), StorageError> {
    let path = |base, kind, state| files.dir.join(name(base, kind, state));
    let incomplete_from = found.cleaned.iter().map(|(base, _)| *base).min().unwrap_or(Offset(i64::MAX));
    let (swaps, invalid): (Vec<_>, Vec<_>) = found.swaps.iter().partition(|(base, _)| *base < incomplete_from);
    for (base, kind) in invalid {
        files.remove(&path(base, kind, State::Swap))?;
    }
    for (base, kind) in &found.cleaned {
        files.remove(&path(*base, *kind, State::Cleaned))?;
    }
    let mut covered: Option<(Offset, Offset)> = None;
    for (base, _) in swaps.iter().filter(|(_, kind)| *kind == Kind::Log) {
        let log = path(*base, Kind::Log, State::Swap);
        let failed = |error| StorageError::io(&log, error);
        let file = files.fs.open(&log, crate::rt::fs::Open::Read).map_err(failed)?;
        let mut walk = Walk::new(&*file, 0, file.len().map_err(failed)?);
        let mut end = *base;
        while let Some((_, header)) = walk.next().map_err(|stopped| files.stopped(*base, stopped))? {
            end = header.next_offset();
        }
        covered = Some(covered.map_or((*base, end), |(from, to)| (from.min(*base), to.max(end))));
    }
    if let Some((from, to)) = covered {
        let replaced = found.segments.iter().map(|base| (*base, Kind::Log)).chain(found.indexes.iter().copied());
        for (base, kind) in replaced.filter(|(base, _)| *base >= from && (*base < to || *base == from)) {
            files.remove(&files.path(base, kind))?;
        }
    }
    for (base, kind) in swaps {
        let from = path(base, kind, State::Swap);
        files.fs.rename(&from, &files.path(base, kind)).map_err(|error| StorageError::io(from, error))?;
    }
    files.sync_dir()
}

/// Now and the delay after which renamed files go.
pub(super) fn due(now: TimestampMs, delay_ms: i64) -> TimestampMs {
    now.plus(delay_ms.max(0))
}
