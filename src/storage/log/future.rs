//! A copy of a log that is to take its place in another log directory.
//!
//! The copy follows the log as a follower does its leader: by offsets, batch after batch, CRC and all, so that
//! rolls, retention and deletions on either side do not touch each other. [`Log::piece`] says under the
//! partition's lock what comes next, the bytes are read and [`FutureLog::append`]ed outside of it, and
//! [`FutureLog::finish`] makes the last step under the lock again. Leader epochs and producers are taken over
//! whole, so that they know what the copied batches no longer tell.

use super::{FileSlice, Log, Offset, OpenLog, StorageError, TimestampMs};
use crate::model::TopicPartition;
use crate::record::{Batch, Batches};
use crate::storage::error::{AppendError, ReadError};
use bytes::Bytes;
use std::sync::Arc;

/// The next stretch of a log for its copy.
#[derive(Clone, Debug)]
pub enum Piece {
    Bytes(FileSlice),
    /// The copy cannot go on where it ends and has to begin again: the log was cut, or has moved its start.
    StartAgain,
    /// There is no more.
    End,
}

impl Log {
    /// What follows in a log behind `copied`, at most `max_bytes` of it if that is a batch.
    pub fn piece(&self, copied: &FutureLog, max_bytes: usize) -> Result<Piece, StorageError> {
        if copied.cuts != self.cuts || copied.end() > self.log_end {
            return Ok(Piece::StartAgain);
        }
        // A copy that has nothing begins wherever the log does.
        let from = if copied.is_empty() { self.log_start } else { copied.end() };
        match self.read(from, max_bytes, self.log_end, true) {
            Ok(Some(slice)) => Ok(Piece::Bytes(slice)),
            Ok(None) => Ok(Piece::End),
            Err(ReadError::OutOfRange { .. }) => Ok(Piece::StartAgain),
            Err(ReadError::Storage(error)) => Err(error),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct FutureLog {
    log: Log,
    /// How often the copied log had been cut when the copy began.
    cuts: u32,
}

impl FutureLog {
    /// An empty copy of `source` in the directory `open.dir`, which holds no log yet.
    pub fn create(open: OpenLog, source: &Log) -> Result<FutureLog, StorageError> {
        let open = OpenLog { log_start: source.log_start, recovery_point: Offset::ZERO, clean: true, ..open };
        Ok(FutureLog { log: Log::create(open)?, cuts: source.cuts })
    }

    /// Drops what was copied and begins at the start of `source`.
    pub fn start_again(&mut self, source: &Log, now: TimestampMs) -> Result<(), StorageError> {
        self.log.truncate_and_restart_at(source.log_start, now)?;
        // Nobody reads here: no need to wait with the removal.
        self.log.reap(TimestampMs(i64::MAX))?;
        self.cuts = source.cuts;
        Ok(())
    }

    /// The offset up to which the copy goes.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.log.log_end()
    }

    /// Nothing has been copied.
    fn is_empty(&self) -> bool {
        self.log.segments.len() == 1 && self.log.log_end == self.log.segments[0].base
    }

    /// Bytes on disk.
    pub fn size_bytes(&self) -> Result<u64, StorageError> {
        self.log.size_bytes()
    }

    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.log.partition
    }

    /// Appends what [`Log::piece`] said is next.
    ///
    /// # Errors
    /// [`FutureError::Source`] if the bytes are not what a log holds.
    pub fn append(&mut self, bytes: Bytes, now: TimestampMs) -> Result<(), FutureError> {
        let corrupt = |what: String| FutureError::Source(StorageError::Refused(format!("a batch to copy: {what}")));
        let mut batches = Vec::new();
        let mut at = 0;
        for batch in Batches::new(&bytes) {
            let (header, _) = batch.map_err(|bad| corrupt(bad.to_string()))?;
            let end = at + header.size();
            batches.push(Batch::verify(bytes.slice(at..end)).map_err(|bad| corrupt(bad.to_string()))?);
            at = end;
        }
        let Some(first) = batches.first() else { return Err(corrupt("there is none".into())) };
        let base = first.header().base_offset;
        if self.is_empty() && base != self.log.log_end {
            // The first batch may begin before the log start.
            self.log.truncate_and_restart_at(base, now)?;
            self.log.reap(TimestampMs(i64::MAX))?;
        }
        // The limit may have been lowered since the batch was written.
        let config = Arc::clone(&self.log.config);
        let largest = batches.iter().map(Batch::size).max().and_then(|size| i32::try_from(size).ok());
        if let Some(larger) = largest.filter(|size| *size > config.segment_bytes) {
            let mut config = (*config).clone();
            config.segment_bytes = larger;
            self.log.set_config(Arc::new(config));
        }
        let appended = self.log.append_as_follower(&mut batches, now);
        self.log.set_config(config);
        appended.map(|_| ()).map_err(|error| match error {
            AppendError::Storage(error) => FutureError::Target(error),
            other => corrupt(other.to_string()),
        })
    }

    /// Makes durable what was copied.
    ///
    /// # Errors
    /// Not to be tried again.
    pub fn sync(&mut self, now: TimestampMs) -> Result<(), StorageError> {
        if let Some(job) = self.log.flush_job() {
            for file in &job.files {
                file.sync_data().map_err(|error| StorageError::io(&self.log.files.dir, error))?;
            }
            self.log.flushed(job.mark, now);
        }
        Ok(())
    }

    /// Completes the copy of `source`, all of which has been appended: log start, leader epochs and producers
    /// too; everything is on disk afterwards, and opens as after a clean stop.
    ///
    /// # Errors
    /// [`FutureError::Source`] if the copy does not end where `source` does.
    pub fn finish(mut self, source: &Log, now: TimestampMs) -> Result<(), FutureError> {
        if self.log.log_end != source.log_end {
            let what =
                format!("the copy of {} ends at {}, not {}", self.log.partition, self.log.log_end, source.log_end);
            return Err(FutureError::Source(StorageError::Refused(what)));
        }
        let epochs = source.load_epochs().map_err(FutureError::Source)?.clone();
        let producers = source.load_producers().map_err(FutureError::Source)?.clone();
        Ok(self.complete(source.log_start, epochs, producers, now)?)
    }

    fn complete(
        &mut self,
        log_start: Offset,
        mut epochs: super::Epochs,
        producers: super::Producers,
        now: TimestampMs,
    ) -> Result<(), StorageError> {
        let log = &mut self.log;
        log.advance_start(log_start)?;
        epochs.dirty = true;
        log.epochs = epochs.into();
        log.producers = producers.into();
        let end = log.log_end;
        if end > log.active().base {
            // Recovery begins with the snapshot at the start of a segment: at this one it knows all producers.
            log.roll(end, now)?;
        } else {
            // The copy rolled here itself, and knew less.
            log.drop_snapshots(|offset| offset >= end)?;
            if let Some(file) = log.write_snapshot(end)? {
                file.sync_data().map_err(|error| StorageError::io(&log.files.dir, error))?;
            }
        }
        log.close()
    }
}

/// Whose fault it is that a copy does not go on.
#[derive(Debug)]
pub enum FutureError {
    Source(StorageError),
    Target(Arc<StorageError>),
}

impl From<StorageError> for FutureError {
    /// Of the copy's own directory.
    fn from(error: StorageError) -> FutureError {
        FutureError::Target(Arc::new(error))
    }
}
