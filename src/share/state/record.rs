//! The records of `__share_group_state`, in the format of Kafka's share-coordinator module (`ShareSnapshotKey` and
//! `-Value`, `ShareUpdateKey` and `-Value`): what `kafka-dump-log --share-group-state-decoder` reads.
//!
//! A key is its type as a short, the group, the topic's id and the partition; a value its version as a short and the
//! fields. A snapshot says everything about a partition, an update what has changed since; a snapshot without a value says
//! that the partition is forgotten.

use super::request::Key;
use crate::coordinator::{BadRecord, Fields, Written};
use crate::model::{GroupId, Offset, PartitionId, SharedPartition, StateBatch, StateEpoch, TimestampMs, TopicId};
use crate::wire::Refused;
use crate::wire::reader::{Reader, Width};

const SNAPSHOT: i16 = 0;
const UPDATE: i16 = 1;

/// `DeliveryCompleteCount` where nobody knows it: the field's default, which is not written.
pub const UNKNOWN_COUNT: i32 = -1;

/// Two offsets, a state, a count, and no tagged fields.
const BATCH_BYTES: usize = 8 + 8 + 1 + 2 + 1;

/// Everything about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Rises with each snapshot; an update has that of the snapshot before it.
    pub snapshot_epoch: i32,
    pub state_epoch: StateEpoch,
    pub leader_epoch: i32,
    pub start_offset: Option<Offset>,
    pub delivery_complete_count: i32,
    pub created: TimestampMs,
    /// Later than `created` only where the same state was written once more.
    pub written: TimestampMs,
    pub batches: Vec<StateBatch>,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub snapshot_epoch: i32,
    /// -1: as it was.
    pub leader_epoch: i32,
    /// `None`: as it was.
    pub start_offset: Option<Offset>,
    pub delivery_complete_count: i32,
    pub batches: Vec<StateBatch>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// `None` is a tombstone.
    Snapshot(Key, Option<Snapshot>),
    Update(Key, Update),
}

impl Record {
    /// The record as 4.3 writes it.
    #[must_use]
    pub fn encode(&self) -> Written {
        match self {
            Record::Snapshot(at, value) => Written { key: key(SNAPSHOT, at), value: value.as_ref().map(snapshot) },
            Record::Update(at, value) => Written { key: key(UPDATE, at), value: Some(update(value)) },
        }
    }

    /// # Errors
    /// The bytes are not a record.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Record, BadRecord> {
        let bad = |why: Refused| BadRecord(format!("a record of share state: {why}"));
        let mut r = Reader::new(key);
        let kind = r.i16().map_err(bad)?;
        if ![SNAPSHOT, UPDATE].contains(&kind) {
            return Err(BadRecord(format!("unknown record type {kind}")));
        }
        let key = read_key(&mut r).map_err(bad)?;
        let Some(value) = value else {
            return match kind {
                SNAPSHOT => Ok(Record::Snapshot(key, None)),
                _ => Err(BadRecord("an update of share state without a value".into())),
            };
        };
        let mut r = Reader::new(value);
        let version = r.i16().map_err(bad)?;
        if version != 0 {
            return Err(BadRecord(format!("version {version} of a record of share state is not known")));
        }
        match kind {
            SNAPSHOT => read_snapshot(&mut r).map_err(bad)?.map(|value| Record::Snapshot(key, Some(value))),
            _ => read_update(&mut r).map_err(bad)?.map(|value| Record::Update(key, value)),
        }
    }
}

fn key(kind: i16, key: &Key) -> Vec<u8> {
    let mut fields = Fields::key(kind, &[key.group.as_str()]);
    fields.raw(key.at.topic.0.as_bytes());
    fields.i32(key.at.partition.0);
    fields.out
}

fn snapshot(value: &Snapshot) -> Vec<u8> {
    let mut fields = Fields::flexible(0);
    fields.i32(value.snapshot_epoch);
    fields.i32(value.state_epoch.0);
    fields.i32(value.leader_epoch);
    fields.i64(value.start_offset.unwrap_or(Offset::NONE).0);
    fields.i64(value.created.0);
    fields.i64(value.written.0);
    rest(fields, &value.batches, value.delivery_complete_count)
}

fn update(value: &Update) -> Vec<u8> {
    let mut fields = Fields::flexible(0);
    fields.i32(value.snapshot_epoch);
    fields.i32(value.leader_epoch);
    fields.i64(value.start_offset.unwrap_or(Offset::NONE).0);
    rest(fields, &value.batches, value.delivery_complete_count)
}

/// What snapshots and updates end with.
fn rest(mut fields: Fields, batches: &[StateBatch], delivery_complete_count: i32) -> Vec<u8> {
    fields.count(batches.len());
    for batch in batches {
        fields.i64(batch.first.0);
        fields.i64(batch.last.0);
        fields.i8(batch.delivery as i8);
        fields.i16(batch.delivery_count);
        fields.tagged(None);
    }
    let known = delivery_complete_count != UNKNOWN_COUNT;
    fields.tagged(known.then(|| delivery_complete_count.to_be_bytes().to_vec()));
    fields.out
}

type Read<T> = Result<T, Refused>;

fn read_key(r: &mut Reader<'_>) -> Read<Key> {
    let group = GroupId::new(r.str(Width::Short)?);
    let topic = TopicId(r.uuid()?);
    Ok(Key { group, at: SharedPartition { topic, partition: PartitionId(r.i32()?) } })
}

fn read_snapshot(r: &mut Reader<'_>) -> Read<Result<Snapshot, BadRecord>> {
    let snapshot_epoch = r.i32()?;
    let state_epoch = StateEpoch(r.i32()?);
    let leader_epoch = r.i32()?;
    let start_offset = known(r.i64()?);
    let created = TimestampMs(r.i64()?);
    let written = TimestampMs(r.i64()?);
    Ok(read_rest(r)?.map(|(batches, delivery_complete_count)| Snapshot {
        snapshot_epoch,
        state_epoch,
        leader_epoch,
        start_offset,
        delivery_complete_count,
        created,
        written,
        batches,
    }))
}

fn read_update(r: &mut Reader<'_>) -> Read<Result<Update, BadRecord>> {
    let snapshot_epoch = r.i32()?;
    let leader_epoch = r.i32()?;
    let start_offset = known(r.i64()?);
    Ok(read_rest(r)?.map(|(batches, delivery_complete_count)| Update {
        snapshot_epoch,
        leader_epoch,
        start_offset,
        delivery_complete_count,
        batches,
    }))
}

fn read_rest(r: &mut Reader<'_>) -> Read<Result<(Vec<StateBatch>, i32), BadRecord>> {
    let at = r.at();
    let count = r.count(true, BATCH_BYTES)?.ok_or(Refused::Null { at })?;
    let mut batches = Vec::with_capacity(count);
    for _ in 0..count {
        let (first, last) = (Offset(r.i64()?), Offset(r.i64()?));
        let (state, delivery_count) = (r.i8()?, r.i16()?);
        r.skip_tags()?;
        match StateBatch::of(first, last, state, delivery_count) {
            Some(batch) => batches.push(batch),
            None => return Ok(Err(BadRecord(format!("a batch {first}-{last} in the state {state}")))),
        }
    }
    let mut delivery_complete_count = UNKNOWN_COUNT;
    r.tags(|tag, field| {
        if tag == 0 {
            delivery_complete_count = field.i32()?;
        }
        Ok(tag == 0)
    })?;
    Ok(Ok((batches, delivery_complete_count)))
}

/// An offset as the wire has it, where a negative one is none.
fn known(offset: i64) -> Option<Offset> {
    (offset >= 0).then_some(Offset(offset))
}

#[cfg(test)]
mod tests;
