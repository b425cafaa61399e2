//! Snapshots of the image: `<end offset>-<epoch>.checkpoint`, in Kafka's format: a control batch with
//! the header, batches of metadata records, a control batch with the footer. Written beside, synced,
//! renamed: a checkpoint that is there is whole.

use super::QuorumError;
use super::log::{WriteError, at, decode, scan};
use crate::metadata::{Image, Record};
use crate::model::{LeaderEpoch, Offset, TimestampMs};
use crate::record::build::{BatchBuilder, ControlType};
use crate::record::records;
use crate::rt::fs::{File, Fs, Open};
use std::io::{self, IoSlice};
use std::path::Path;

/// Bytes of records after which a batch of a snapshot is closed.
const BATCH_BYTES: usize = 512 * 1024;

/// Which snapshot: the offset after its last record, and that record's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) end: Offset,
    pub(super) epoch: LeaderEpoch,
}

impl Id {
    pub(super) fn name(self) -> String {
        format!("{:020}-{:010}.checkpoint", self.end.0, self.epoch.0)
    }

    pub(super) fn parse(name: &str) -> Option<Id> {
        let (end, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
        if end.len() != 20 || epoch.len() != 10 {
            return None;
        }
        Some(Id { end: Offset(end.parse().ok()?), epoch: LeaderEpoch(epoch.parse().ok()?) })
    }
}

/// Reads a snapshot, record by record; the offset counts within the snapshot.
pub(super) fn read(
    fs: &dyn Fs,
    path: &Path,
    each: &mut dyn FnMut(Record, Offset) -> Result<(), QuorumError>,
) -> Result<(), QuorumError> {
    let path = path.to_owned();
    let file = fs.open(&path, Open::Read).map_err(|error| at(&path, error))?;
    let mut footer = false;
    let damaged = |pos, error| QuorumError::Damaged { path: path.clone(), at: pos, error };
    let scanned = scan(&path, file.as_ref(), &mut |header, batch, pos| {
        if header.attributes.is_control() {
            let payload = records::open(header, batch, BATCH_BYTES).map_err(|bad| damaged(pos, bad.to_string()))?;
            for record in records::Records::new(header, &payload).map_err(|bad| damaged(pos, bad.to_string()))? {
                let record = record.map_err(|bad| damaged(pos, bad.to_string()))?;
                let kind = ControlType::parse(record.key).map_err(|bad| damaged(pos, bad.to_string()))?;
                footer |= kind == ControlType::SnapshotFooter;
            }
            return Ok(());
        }
        for record in decode(header, batch).map_err(|error| damaged(pos, error))? {
            each(record, header.last_offset())?;
        }
        Ok(())
    })?;
    match scanned.fault {
        Some(fault) => Err(damaged(scanned.sound, fault)),
        None if !footer => Err(damaged(scanned.len, "the snapshot has no footer".into())),
        None => Ok(()),
    }
}

/// Writes the records with which a cluster is to begin, as `kafka-storage format` does.
pub(super) fn write_bootstrap(fs: &dyn Fs, path: &Path, level: i16, records: &[Record]) -> io::Result<()> {
    let file = fs.open(path, Open::Truncate)?;
    let id = Id { end: Offset::ZERO, epoch: LeaderEpoch(0) };
    write_records(file.as_ref(), id, level, records.iter().cloned())?;
    file.sync_data()
}

/// Writes a snapshot of `image`. If it cannot be written nothing of it stays.
pub(super) fn write(fs: &dyn Fs, dir: &Path, id: Id, image: &Image) -> Result<(), WriteError> {
    let path = dir.join(id.name());
    let staged = dir.join(format!("{}.part", id.name()));
    let undo = |error| {
        // If it stays, the next one of this name truncates it.
        let _ = fs.remove_file(&staged);
        WriteError::Undone(error)
    };
    let file = fs.open(&staged, Open::Truncate).map_err(undo)?;
    write_records(file.as_ref(), id, image.feature("metadata.version"), image.records()).map_err(undo)?;
    file.sync_data().map_err(|error| WriteError::sync(&staged, error))?;
    fs.rename(&staged, &path).map_err(undo)?;
    fs.sync_dir(dir).map_err(|error| WriteError::sync(dir, error))
}

fn write_records(file: &dyn File, id: Id, level: i16, records: impl Iterator<Item = Record>) -> io::Result<()> {
    let (mut pos, mut next) = (0u64, Offset::ZERO);
    let mut append = |batch: BatchBuilder, next: &mut Offset| -> io::Result<()> {
        let count = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        let bytes = batch.build().map_err(io::Error::other)?;
        file.write_all_at(&mut [IoSlice::new(&bytes)], pos)?;
        pos += bytes.len() as u64;
        *next = next.plus(count);
        Ok(())
    };

    // SnapshotHeaderRecord 0: its version, the append time of the last record, no tagged fields.
    append(control(next, id.epoch, 3, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), &mut next)?;
    let mut batch = BatchBuilder::new(next).leader_epoch(id.epoch);
    let mut value = Vec::new();
    for record in records {
        value.clear();
        record.encode(level, &mut value);
        batch.push(TimestampMs(0), None, Some(&value), &[]);
        if batch.size() >= BATCH_BYTES {
            append(batch, &mut next)?;
            batch = BatchBuilder::new(next).leader_epoch(id.epoch);
        }
    }
    if !batch.is_empty() {
        append(batch, &mut next)?;
    }
    // SnapshotFooterRecord 0: its version, no tagged fields.
    append(control(next, id.epoch, 4, &[0, 0, 0]), &mut next)
}

fn control(base: Offset, epoch: LeaderEpoch, kind: u8, value: &[u8]) -> BatchBuilder {
    let mut batch = BatchBuilder::new(base).leader_epoch(epoch).control();
    batch.push(TimestampMs(0), Some(&[0, 0, 0, kind]), Some(value), &[]);
    batch
}
