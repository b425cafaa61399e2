//! What is not on disk yet, and the clean stop.
//!
//! Syncs happen outside of the partition's lock: a job names the files, its mark says what is durable
//! when all of them are synced. The active segment's indexes are not among them: recovery rebuilds the
//! indexes of every segment at or behind the recovery point.

use super::{FlushJob, FlushMark, Log, Offset, StorageError, TimestampMs};
use crate::rt::fs::{File, Fs, Open, too_many_files};
use crate::storage::epochs;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

impl Log {
    /// Everything appended that is not known to be on disk; `None` if there is nothing.
    #[must_use]
    pub fn flush_job(&self) -> Option<FlushJob> {
        let unflushed = self.recovery_point < self.log_end;
        if !unflushed && self.unsynced.is_empty() && self.names == self.names_synced {
            return None;
        }
        let mut job = self.job(self.log_end);
        if let (true, Some(writer)) = (unflushed, &self.writer) {
            job.files.push(writer.file.clone());
        }
        Some(job)
    }

    /// As [`Log::flush_job`], without the active segment: what Kafka flushes in the background after a roll.
    #[must_use]
    pub fn sealed_flush_job(&self) -> Option<FlushJob> {
        (!self.unsynced.is_empty()).then(|| self.job(self.active().base))
    }

    fn job(&self, up_to: Offset) -> FlushJob {
        let mut files: Vec<Arc<dyn File>> =
            self.unsynced.iter().flat_map(|sealed| sealed.files.iter().cloned()).collect();
        files.extend(self.unsynced_epochs());
        if self.names != self.names_synced {
            let dir = |path: PathBuf, is_own| {
                Arc::new(Named { fs: self.files.fs.clone(), path, is_dir: true, is_own }) as Arc<dyn File>
            };
            files.push(dir(self.files.dir.clone(), true));
            if self.parent_unsynced
                && let Some(parent) = self.files.dir.parent()
            {
                files.push(dir(parent.to_path_buf(), false));
            }
        }
        FlushJob { files, mark: FlushMark { up_to, cuts: self.cuts, seals: self.seals, names: self.names } }
    }

    /// The epoch checkpoint, if it was written and not synced.
    pub(super) fn unsynced_epochs(&self) -> Option<Arc<dyn File>> {
        self.staged_epochs?;
        let path = self.files.dir.join(epochs::FILE);
        Some(Arc::new(Named { fs: self.files.fs.clone(), path, is_dir: false, is_own: true }))
    }

    /// The job was done: all its syncs succeeded.
    pub fn flushed(&mut self, mark: FlushMark, now: TimestampMs) {
        if mark.cuts != self.cuts {
            return;
        }
        self.unsynced.retain(|sealed| sealed.seal > mark.seals);
        if self.staged_epochs.is_some_and(|names| names <= mark.names) {
            self.staged_epochs = None;
        }
        if mark.names > self.names_synced {
            self.names_synced = mark.names;
            self.parent_unsynced = false;
        }
        // A segment sealed since the job was made is complete only with the next one.
        let durable = self.unsynced.first().map_or(mark.up_to, |sealed| sealed.base.min(mark.up_to));
        self.recovery_point = self.recovery_point.max(durable);
        self.last_flush = now;
        self.assert_invariants();
    }

    /// Everything below is on disk; for the checkpoint.
    #[must_use]
    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    #[must_use]
    pub fn unflushed_records(&self) -> i64 {
        self.log_end.0 - self.recovery_point.0
    }

    /// When [`Log::flushed`] was last called, at first when the log was opened.
    #[must_use]
    pub fn last_flush_ms(&self) -> TimestampMs {
        self.last_flush
    }

    /// Writes what was kept back for want of urgency (index entries, the epoch checkpoint), so that who looks into the
    /// directory sees what Kafka would show there. Syncs nothing, and a full disk is no fault: it waits on.
    pub fn write_behind(&mut self) -> Result<(), StorageError> {
        let wrote = match self.writer.take() {
            Some(mut writer) => {
                let waits = !(writer.offsets.is_written() && writer.times.is_written());
                let wrote = if waits { writer.write_indexes(self).map(drop) } else { Ok(()) };
                self.writer = Some(writer);
                wrote
            }
            None => Ok(()),
        };
        match wrote.and_then(|()| self.stage_epochs()) {
            Err(StorageError::Full { .. }) => Ok(()),
            done => done,
        }
    }

    /// The first half of a clean stop: everything is written; the job, if any, has to be synced before the
    /// directory counts as cleanly shut down. Many logs can share one sync of the volume.
    /// Nothing may be appended after.
    pub fn prepare_close(&mut self) -> Result<Option<FlushJob>, StorageError> {
        let mut files = Vec::new();
        if self.writer.is_some() {
            let mut writer = self.take_writer()?;
            files = writer.finish(self)?;
            let end = self.log_end;
            if end > self.active().base {
                files.extend(self.write_snapshot(end)?);
            }
            let bases: Vec<Offset> = self.segments.iter().map(|segment| segment.base).collect();
            self.drop_snapshots(|offset| offset < end && bases.binary_search(&offset).is_err())?;
            self.writer = Some(writer);
        }
        self.stage_epochs()?;
        let mut job = self.flush_job();
        if !files.is_empty() {
            job.get_or_insert_with(|| self.job(self.log_end)).files.extend(files);
        }
        Ok(job)
    }

    /// A clean stop: everything on disk, indexes and producer snapshot written. The log is not used after.
    pub fn close(&mut self) -> Result<(), StorageError> {
        if let Some(job) = self.prepare_close()? {
            for file in &job.files {
                file.sync_data().map_err(|error| StorageError::io(&self.files.dir, error))?;
            }
            self.flushed(job.mark, self.last_flush);
        }
        self.writer = None;
        self.files.forget_all();
        Ok(())
    }
}

/// Among the files to be synced: a directory, or a file that is not kept open until then (of 10 000 partitions that are
/// written to, each would hold a descriptor for it).
#[derive(Debug)]
struct Named {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    is_dir: bool,
    /// The log's own or in it, which gets another name when the log is deleted or moves.
    is_own: bool,
}

impl Named {
    fn sync(&self) -> io::Result<()> {
        if self.is_dir { self.fs.sync_dir(&self.path) } else { self.fs.open(&self.path, Open::ReadWrite)?.sync_data() }
    }
}

/// What is known by name has to be opened to be synced. Without a descriptor for it nothing has been tried yet, so that it may
/// be tried again: this often, and then it is a failure.
const OPEN_TRIES: u32 = 500;
const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(20);

impl File for Named {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_at_nowait(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write_all_at(&self, _: &mut [IoSlice<'_>], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut tries = 0;
        loop {
            match self.sync() {
                // Whoever gave it another name has seen to what is in it.
                Err(error) if self.is_own && error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) if too_many_files(&error) && tries < OPEN_TRIES => {
                    tries += 1;
                    std::thread::sleep(OPEN_AGAIN_AFTER);
                }
                done => return done,
            }
        }
    }
}
