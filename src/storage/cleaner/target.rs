//! The segment that a cleaning writes: its files with the suffix `.cleaned`, on disk before anybody hears of them.

use super::{Host, Stop};
use crate::model::{Offset, TimestampMs};
use crate::record::BatchHeader;
use crate::rt::fs::{File, Open};
use crate::storage::StorageError;
use crate::storage::files::{self, Kind, State};
use crate::storage::index::{OffsetEntry, Tail, TimeEntry, txn};
use crate::storage::log::{AbortedTransaction, Counters, Plan, Replacement};
use crate::storage::segment::{SIZE_MAX, relative};
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

/// Synced after so many bytes, so that the last sync is short and not too many are made.
const SYNC_EVERY: u64 = 64 << 20;

/// See the module.
pub(super) struct Target<'a> {
    plan: &'a Plan,
    base: Offset,
    file: Arc<dyn File>,
    index: Arc<dyn File>,
    time_index: Arc<dyn File>,
    at: Counters,
    offsets: Tail<OffsetEntry>,
    times: Tail<TimeEntry>,
    aborted: Vec<u8>,
    /// Batches that are not written yet.
    out: Vec<u8>,
    out_max: usize,
    written: u64,
    synced: u64,
}

impl<'a> Target<'a> {
    /// An empty segment. `out` comes from an earlier one.
    pub(super) fn create(
        plan: &'a Plan,
        base: Offset,
        now: TimestampMs,
        out_max: usize,
        mut out: Vec<u8>,
    ) -> Result<Target<'a>, StorageError> {
        out.clear();
        let open = |kind| {
            let path = path(plan, base, kind);
            plan.fs.open(&path, Open::Truncate).map_err(|error| StorageError::io(path, error))
        };
        Ok(Target {
            plan,
            base,
            file: open(Kind::Log)?,
            index: open(Kind::Index)?,
            time_index: open(Kind::TimeIndex)?,
            at: Counters::new(base, now, &plan.config),
            offsets: Tail::after(0),
            times: Tail::after(0),
            aborted: Vec::new(),
            out,
            out_max,
            written: 0,
            synced: 0,
        })
    }

    /// Appends a batch.
    pub(super) fn push<H: Host>(&mut self, host: &H, header: &BatchHeader, batch: &[u8]) -> Result<(), Stop> {
        let fits = u64::from(self.at.size) + batch.len() as u64 <= SIZE_MAX;
        if !fits || relative(self.base, header.last_offset()).is_none() {
            let what = format!(
                "{}: what is kept does not fit into a segment",
                path(self.plan, self.base, Kind::Log).display()
            );
            return Err(Stop::Storage(StorageError::Refused(what)));
        }
        let (offset, time) = self.at.add(header, self.plan.config.index_interval_bytes);
        if let Some(entry) = offset {
            self.offsets.push(entry);
        }
        if let Some(entry) = time {
            self.times.push(entry);
        }
        if self.out.len() + batch.len() > self.out_max {
            self.write(host)?;
        }
        self.out.extend_from_slice(batch);
        Ok(())
    }

    /// Adds to the transaction index.
    pub(super) fn push_aborted(&mut self, entry: &AbortedTransaction) {
        self.aborted.extend_from_slice(&txn::encode(entry));
    }

    fn write<H: Host>(&mut self, host: &H) -> Result<(), Stop> {
        if self.out.is_empty() {
            return Ok(());
        }
        let bytes = self.out.len();
        let wrote = self.file.write_all_at(&mut [IoSlice::new(&self.out)], self.written);
        wrote.map_err(|error| self.failed(Kind::Log, error))?;
        self.written += bytes as u64;
        self.out.clear();
        if self.offsets.wants_writing() || self.times.wants_writing() {
            self.write_indexes()?;
        }
        if self.written - self.synced >= SYNC_EVERY {
            self.file.sync_data().map_err(|error| self.failed(Kind::Log, error))?;
            self.synced = self.written;
        }
        host.spent(bytes)
    }

    fn write_indexes(&mut self) -> Result<(), StorageError> {
        self.times.write_to(&*self.time_index).map_err(|error| self.failed(Kind::TimeIndex, error))?;
        self.offsets.write_to(&*self.index).map_err(|error| self.failed(Kind::Index, error))
    }

    fn failed(&self, kind: Kind, error: std::io::Error) -> StorageError {
        StorageError::io(path(self.plan, self.base, kind), error)
    }

    /// Everything on disk. Gives back the buffer.
    pub(super) fn finish<H: Host>(mut self, host: &H) -> Result<(Replacement, Vec<u8>), Stop> {
        self.write(host)?;
        if let Some(entry) = self.at.time_entry() {
            self.times.push(entry);
        }
        self.write_indexes()?;
        let mut kinds = vec![Kind::Log, Kind::Index, Kind::TimeIndex];
        let mut dirty = vec![self.file.clone(), self.index.clone(), self.time_index.clone()];
        if !self.aborted.is_empty() {
            let path = path(self.plan, self.base, Kind::TxnIndex);
            let failed = |error| StorageError::io(&path, error);
            let file = self.plan.fs.open(&path, Open::Truncate).map_err(failed)?;
            file.write_all_at(&mut [IoSlice::new(&self.aborted)], 0).map_err(failed)?;
            kinds.push(Kind::TxnIndex);
            dirty.push(file);
        }
        for (file, kind) in dirty.iter().zip(&kinds) {
            file.sync_data().map_err(|error| StorageError::io(path(self.plan, self.base, *kind), error))?;
        }
        let out = if self.out.capacity() > self.out_max { Vec::new() } else { self.out };
        Ok((Replacement { base: self.base, kinds, size: self.at.size, largest: self.at.largest }, out))
    }
}

fn path(plan: &Plan, base: Offset, kind: Kind) -> PathBuf {
    plan.dir.join(files::name(base, kind, State::Cleaned))
}
