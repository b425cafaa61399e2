//! Snapshots of the image: `<end offset>-<epoch>.checkpoint`, in Kafka's format: a control batch with
//! the header, batches of metadata records, a control batch with the footer. Written beside, synced,
//! renamed: a checkpoint that is there is whole.

use super::QuorumError;
use super::log::{WriteError, at, decode};
use crate::metadata::{Image, Record};
use crate::model::{LeaderEpoch, Offset, TimestampMs};
use crate::record::build::{BatchBuilder, ControlType};
use crate::record::{BadBatch, records, verify};
use crate::rt::fs::{Fs, Open};
use bytes::Bytes;
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

/// Reads a snapshot, record by record; the offset counts within the snapshot. Answers the value of its header record.
pub(super) fn read(
    fs: &dyn Fs,
    path: &Path,
    each: &mut dyn FnMut(Record, Offset) -> Result<(), QuorumError>,
) -> Result<Bytes, QuorumError> {
    let bytes = fs.read(path).map_err(|error| at(path, error))?;
    parse(path, &bytes, each)
}

/// As [`read`], of bytes; `path` is for errors.
pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    each: &mut dyn FnMut(Record, Offset) -> Result<(), QuorumError>,
) -> Result<Bytes, QuorumError> {
    let damaged = |pos: usize, error: String| QuorumError::Damaged { path: path.to_owned(), at: pos as u64, error };
    let (mut pos, mut head, mut footer) = (0, Bytes::new(), false);
    while let Some(rest) = bytes.get(pos..).filter(|rest| !rest.is_empty()) {
        let header = verify(rest).map_err(|bad| damaged(pos, bad.to_string()))?;
        let batch = rest.get(..header.size()).unwrap_or_default();
        if header.attributes.is_control() {
            let payload = records::open(&header, batch, BATCH_BYTES).map_err(|bad| damaged(pos, bad.to_string()))?;
            for record in records::Records::new(&header, &payload).map_err(|bad| damaged(pos, bad.to_string()))? {
                let record = record.map_err(|bad| damaged(pos, bad.to_string()))?;
                match ControlType::parse(record.key).map_err(|bad| damaged(pos, bad.to_string()))? {
                    ControlType::SnapshotHeader => head = Bytes::copy_from_slice(record.value.unwrap_or_default()),
                    ControlType::SnapshotFooter => footer = true,
                    _ => {}
                }
            }
        } else {
            for record in decode(&header, batch).map_err(|error| damaged(pos, error))? {
                each(record, header.last_offset())?;
            }
        }
        pos += header.size();
    }
    if footer { Ok(head) } else { Err(damaged(pos, "the snapshot has no footer".into())) }
}

/// Writes the records with which a cluster is to begin, as `kafka-storage format` does.
pub(super) fn write_bootstrap(fs: &dyn Fs, path: &Path, level: i16, records: &[Record]) -> io::Result<()> {
    let file = fs.open(path, Open::Truncate)?;
    let id = Id { end: Offset::ZERO, epoch: LeaderEpoch(0) };
    let bytes = encode_records(id, level, records.iter().cloned(), NO_TAGS).map_err(io::Error::other)?;
    file.write_all_at(&mut [IoSlice::new(&bytes)], 0)?;
    file.sync_data()
}

/// Writes a snapshot of `image`. If it cannot be written nothing of it stays.
pub(super) fn write(fs: &dyn Fs, dir: &Path, id: Id, image: &Image) -> Result<(), WriteError> {
    let bytes = encode(id, image, NO_TAGS).map_err(|bad| WriteError::Undone(io::Error::other(bad)))?;
    store(fs, dir, id, &bytes)
}

/// Makes the bytes of a snapshot the snapshot `id`. If they cannot be written nothing of them stays.
pub(super) fn store(fs: &dyn Fs, dir: &Path, id: Id, bytes: &[u8]) -> Result<(), WriteError> {
    let path = dir.join(id.name());
    let staged = dir.join(format!("{}.part", id.name()));
    let undo = |error| {
        // If it stays, the next one of this name truncates it.
        let _ = fs.remove_file(&staged);
        WriteError::Undone(error)
    };
    let file = fs.open(&staged, Open::Truncate).map_err(undo)?;
    file.write_all_at(&mut [IoSlice::new(bytes)], 0).map_err(undo)?;
    file.sync_data().map_err(|error| WriteError::sync(&staged, error))?;
    fs.rename(&staged, &path).map_err(undo)?;
    fs.sync_dir(dir).map_err(|error| WriteError::sync(dir, error))
}

/// The tagged fields of a header record that has none.
pub(super) const NO_TAGS: &[u8] = &[0];

/// The bytes of a snapshot of `image`. `tags` are the tagged fields of its header record.
///
/// # Errors
/// A record is too large for a batch.
pub(super) fn encode(id: Id, image: &Image, tags: &[u8]) -> Result<Vec<u8>, BadBatch> {
    encode_records(id, image.feature("metadata.version"), image.records(), tags)
}

fn encode_records(id: Id, level: i16, records: impl Iterator<Item = Record>, tags: &[u8]) -> Result<Vec<u8>, BadBatch> {
    let (mut out, mut next) = (Vec::new(), Offset::ZERO);
    let mut append = |batch: BatchBuilder, next: &mut Offset| -> Result<(), BadBatch> {
        let count = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        out.extend_from_slice(&batch.build()?);
        *next = next.plus(count);
        Ok(())
    };

    // SnapshotHeaderRecord 0: its version, the append time of the last record, tagged fields.
    let header = [&[0; 10][..], tags].concat();
    append(control(next, id.epoch, ControlType::SnapshotHeader, &header), &mut next)?;
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
    append(control(next, id.epoch, ControlType::SnapshotFooter, &[0, 0, 0]), &mut next)?;
    Ok(out)
}

fn control(base: Offset, epoch: LeaderEpoch, kind: ControlType, value: &[u8]) -> BatchBuilder {
    let mut batch = BatchBuilder::new(base).leader_epoch(epoch).control();
    batch.push(TimestampMs(0), Some(&kind.key()), Some(value), &[]);
    batch
}
