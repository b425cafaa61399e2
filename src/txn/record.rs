//! The records of `__transaction_state`, in the format of Kafka's transaction-coordinator module (`TransactionLogKey`,
//! `TransactionLogValue`): what its `TransactionLogMessageFormatter` and `kafka-dump-log --transaction-log-decoder` read.
//!
//! A key is its type as a short and the transactional id; a value its version as a short and the fields. Version 1, which
//! is written from `transaction.version` 1 on, adds tagged fields. Both are read.

use crate::coordinator::{BadRecord, Written};
use crate::model::{PartitionId, ProducerEpoch, ProducerId, TimestampMs, TopicName, TransactionalId};
use crate::wire::Refused;
use crate::wire::reader::{Reader, Width};
use std::collections::{BTreeMap, BTreeSet};

/// The one type of record there is.
const TRANSACTION: i16 = 0;

/// The version of a value that has tagged fields.
const FLEXIBLE: i16 = 1;

/// Where a transaction stands (`TransactionState`). The numbers are Kafka's; its `Dead` and `PrepareEpochFence` are never
/// written, and nothing here is ever in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum State {
    /// The producer has its id, and no transaction.
    Empty = 0,
    Ongoing = 1,
    /// It is decided; the partitions are being told.
    PrepareCommit = 2,
    PrepareAbort = 3,
    /// All partitions know.
    CompleteCommit = 4,
    CompleteAbort = 5,
}

impl State {
    pub const ALL: [State; 6] = [
        State::Empty,
        State::Ongoing,
        State::PrepareCommit,
        State::PrepareAbort,
        State::CompleteCommit,
        State::CompleteAbort,
    ];

    /// As tools spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::PrepareCommit => "PrepareCommit",
            State::PrepareAbort => "PrepareAbort",
            State::CompleteCommit => "CompleteCommit",
            State::CompleteAbort => "CompleteAbort",
        }
    }

    fn of(number: i8) -> Option<State> {
        State::ALL.into_iter().find(|state| *state as i8 == number)
    }
}

/// The partitions of a transaction.
pub type Partitions = BTreeMap<TopicName, BTreeSet<PartitionId>>;

/// What is remembered of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub producer: ProducerId,
    /// The producer id before the last change of anything: the same one, unless that change was of the id.
    pub previous: ProducerId,
    /// The id that the producer goes on with when the transaction has ended, its epochs being used up.
    pub next: ProducerId,
    pub epoch: ProducerEpoch,
    pub timeout_ms: i32,
    pub state: State,
    pub partitions: Partitions,
    pub updated: TimestampMs,
    /// -1: no transaction was begun.
    pub started: TimestampMs,
    /// The `transaction.version` that the producer's last transaction was made with.
    pub version: i16,
}

/// A record. A value of `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub id: TransactionalId,
    pub value: Option<Value>,
}

impl Record {
    /// The record as 4.3 writes it where `transaction.version` is what is given.
    #[must_use]
    pub fn encode(&self, transaction_version: i16) -> Written {
        let mut key = TRANSACTION.to_be_bytes().to_vec();
        string(&mut key, false, self.id.as_str());
        Written { key, value: self.value.as_ref().map(|value| encode(value, transaction_version >= 1)) }
    }

    /// # Errors
    /// The bytes are not a record.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Record, BadRecord> {
        let bad = |why: Refused| BadRecord(format!("a transaction's record: {why}"));
        let mut r = Reader::new(key);
        let kind = r.i16().map_err(bad)?;
        if kind != TRANSACTION {
            return Err(BadRecord(format!("unknown record type {kind}")));
        }
        let id = TransactionalId::new(r.str(Width::Short).map_err(bad)?);
        let Some(value) = value else { return Ok(Record { id, value: None }) };
        let mut r = Reader::new(value);
        let version = r.i16().map_err(bad)?;
        if !(0..=FLEXIBLE).contains(&version) {
            return Err(BadRecord(format!("version {version} of a transaction's record is not known")));
        }
        let value = decode(&mut r, version >= FLEXIBLE).map_err(bad)?;
        value.map(|value| Record { id, value: Some(value) })
    }
}

fn encode(value: &Value, flexible: bool) -> Vec<u8> {
    let Value { producer, previous, next, epoch, timeout_ms, state, partitions, updated, started, version } = value;
    let mut out = i16::from(flexible).to_be_bytes().to_vec();
    out.extend_from_slice(&producer.0.to_be_bytes());
    out.extend_from_slice(&epoch.0.to_be_bytes());
    out.extend_from_slice(&timeout_ms.to_be_bytes());
    out.push(*state as u8);
    if *state == State::Empty {
        null(&mut out, flexible);
    } else {
        count(&mut out, flexible, partitions.len());
        for (topic, numbers) in partitions {
            string(&mut out, flexible, topic.as_str());
            count(&mut out, flexible, numbers.len());
            numbers.iter().for_each(|number| out.extend_from_slice(&number.0.to_be_bytes()));
            if flexible {
                out.push(0);
            }
        }
    }
    out.extend_from_slice(&updated.0.to_be_bytes());
    out.extend_from_slice(&started.0.to_be_bytes());
    if flexible {
        let id = |id: ProducerId| (id != ProducerId::NONE).then(|| id.0.to_be_bytes().to_vec());
        let version = (*version != 0).then(|| version.to_be_bytes().to_vec());
        let fields: Vec<(u8, Vec<u8>)> =
            [id(*previous), id(*next), version].into_iter().zip(0..).filter_map(|(f, tag)| Some((tag, f?))).collect();
        out.push(fields.len() as u8);
        for (tag, field) in fields {
            out.push(tag);
            out.push(field.len() as u8);
            out.extend_from_slice(&field);
        }
    }
    out
}

type Read<T> = Result<T, Refused>;

fn decode(r: &mut Reader<'_>, flexible: bool) -> Read<Result<Value, BadRecord>> {
    let producer = ProducerId(r.i64()?);
    let epoch = ProducerEpoch(r.i16()?);
    let timeout_ms = r.i32()?;
    let number = r.i8()?;
    let partitions = partitions(r, flexible)?;
    let updated = TimestampMs(r.i64()?);
    let started = TimestampMs(r.i64()?);
    let (mut previous, mut next, mut version) = (ProducerId::NONE, ProducerId::NONE, 0);
    if flexible {
        r.tags(|tag, field| {
            match tag {
                0 => previous = ProducerId(field.i64()?),
                1 => next = ProducerId(field.i64()?),
                2 => version = field.i16()?,
                // The epoch of `next`: reserved for two-phase commit, which nobody writes yet.
                3 => {
                    field.i16()?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
    }
    let Some(state) = State::of(number) else {
        return Ok(Err(BadRecord(format!("unknown transaction state {number}"))));
    };
    let partitions = match partitions {
        _ if state == State::Empty => Partitions::new(),
        Some(partitions) => partitions,
        None => return Ok(Err(BadRecord("a transaction without its partitions".into()))),
    };
    Ok(Ok(Value { producer, previous, next, epoch, timeout_ms, state, partitions, updated, started, version }))
}

fn partitions(r: &mut Reader<'_>, flexible: bool) -> Read<Option<Partitions>> {
    // A name and a count of one byte each at the least.
    let Some(topics) = r.count(flexible, 2)? else { return Ok(None) };
    let mut all = Partitions::new();
    for _ in 0..topics {
        let topic = TopicName::new(r.str(Width::string(flexible))?);
        let at = r.at();
        let numbers = r.count(flexible, 4)?.ok_or(Refused::Null { at })?;
        let of_topic = all.entry(topic).or_default();
        for _ in 0..numbers {
            of_topic.insert(PartitionId(r.i32()?));
        }
        if flexible {
            r.skip_tags()?;
        }
    }
    Ok(Some(all))
}

fn null(out: &mut Vec<u8>, flexible: bool) {
    if flexible {
        out.push(0);
    } else {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
    }
}

fn count(out: &mut Vec<u8>, flexible: bool, n: usize) {
    if flexible {
        uvarint(out, n as u32 + 1);
    } else {
        out.extend_from_slice(&(n as i32).to_be_bytes());
    }
}

/// Ids and topic names came in requests, whose strings are no longer than a short can say.
fn string(out: &mut Vec<u8>, flexible: bool, text: &str) {
    if flexible {
        uvarint(out, text.len() as u32 + 1);
    } else {
        out.extend_from_slice(&(text.len() as i16).to_be_bytes());
    }
    out.extend_from_slice(text.as_bytes());
}

fn uvarint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests;
