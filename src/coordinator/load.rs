//! Loading a shard: its partition is read from the beginning and every record given to a fresh machine.
//!
//! Reads at most `Limits::load_bytes` at once (more only for a single batch that is larger) and opens a compressed batch
//! into at most `Limits::opened_bytes_max`. A batch or a record that cannot be read is logged and left out: one damaged
//! record must not take every group of the partition away. Blocks; call it where blocking is allowed.

use super::runtime::Limits;
use super::{Machine, Replayed};
use crate::model::{ErrorCode, Offset, ProducerEpoch, ProducerId};
use crate::partition::Partition;
use crate::record::build::{EndTxn, Marker};
use crate::record::records::{self, Records};
use crate::record::{BadBatch, BatchHeader, Batches, verify};
use crate::rt::clock;
use std::time::Duration;

/// Loading that takes longer than this says how long it took.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// So many of the records that cannot be read are logged one by one; of the others only the number.
const COMPLAINTS_MAX: usize = 20;

/// Why a shard was not loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("its log cannot be read: {0}")]
    Log(ErrorCode),
    #[error("its log cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("what stands at offset {at} is no batch: {bad}")]
    NoBatch { at: Offset, bad: BadBatch },
    /// Nobody wants it any more.
    #[error("it is not led any more")]
    GivenUp,
}

/// Gives everything up to the log end to `machine`. `given_up` is asked between two pieces.
///
/// # Errors
/// The log cannot be read on from some offset.
pub(super) fn replay<M: Machine>(
    partition: &Partition,
    mut machine: M,
    limits: &Limits,
    given_up: impl Fn() -> bool,
) -> Result<M, LoadError> {
    let started = clock::now();
    let (mut at, mut read, mut left_out) = (Offset::ZERO, 0_usize, 0_usize);
    let mut buffer = Vec::new();
    loop {
        if given_up() {
            return Err(LoadError::GivenUp);
        }
        let Some(slice) = partition.read_own(at, limits.load_bytes).map_err(LoadError::Log)? else { break };
        buffer.resize(slice.len, 0);
        slice.file.read_exact_at(&mut buffer, slice.pos)?;
        read += slice.len;
        let before = at;
        for batch in Batches::new(&buffer) {
            let (header, bytes) = batch.map_err(|bad| LoadError::NoBatch { at, bad })?;
            replay_batch(partition, &mut machine, (&header, bytes), limits, &mut left_out);
            at = at.max(header.next_offset());
        }
        if at <= before {
            return Err(LoadError::NoBatch { at, bad: BadBatch::Truncated });
        }
    }
    let took = clock::now().saturating_duration_since(started);
    if left_out > 0 {
        tracing::error!(partition = %partition.name(), records = left_out, "records were left out while loading");
    }
    if took >= WORTH_TELLING {
        tracing::info!(partition = %partition.name(), bytes = read, ?took, "loaded");
    }
    Ok(machine)
}

/// Adds to `left_out` the records that could not be read; of a batch that cannot be opened all of them.
fn replay_batch<M: Machine>(
    partition: &Partition,
    machine: &mut M,
    (header, bytes): (&BatchHeader, &[u8]),
    limits: &Limits,
    left_out: &mut usize,
) {
    let mut leave_out = |at: Offset, records: i32, why: &dyn std::fmt::Display| {
        if *left_out < COMPLAINTS_MAX {
            tracing::warn!(partition = %partition.name(), offset = %at, %why, "a record cannot be read");
        }
        *left_out += usize::try_from(records).unwrap_or_default().max(1);
    };
    let opened = verify(bytes).and_then(|_| records::open(header, bytes, limits.opened_bytes_max));
    let payload = match opened {
        Ok(payload) => payload,
        Err(bad) => return leave_out(header.base_offset, header.record_count, &bad),
    };
    let records = match Records::new(header, &payload) {
        Ok(records) => records,
        Err(bad) => return leave_out(header.base_offset, header.record_count, &bad),
    };
    let id: (ProducerId, ProducerEpoch) = (header.producer_id, header.producer_epoch);
    let mut next = header.base_offset;
    for record in records {
        let record = match record {
            Ok(record) => record,
            // Where the next one begins is not known.
            Err(bad) => return leave_out(next, 1, &bad),
        };
        next = record.offset.next();
        let replayed = if header.attributes.is_control() {
            match EndTxn::parse(record.key, record.value) {
                Ok(Some(end)) => {
                    machine.replay(Replayed::Ended { producer: id, committed: end.marker == Marker::Commit })
                }
                Ok(None) => continue,
                Err(bad) => {
                    leave_out(record.offset, 1, &bad);
                    continue;
                }
            }
        } else {
            let producer = header.attributes.is_transactional().then_some(id);
            let replayed = Replayed::Record { key: record.key.unwrap_or_default(), value: record.value, producer };
            machine.replay(replayed).inspect(|()| machine.placed(record.offset))
        };
        if let Err(bad) = replayed {
            leave_out(record.offset, 1, &bad);
        }
    }
}
