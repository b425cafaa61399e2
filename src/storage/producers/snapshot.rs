//! The `.snapshot` file: Kafka's `ProducerSnapshot` version 1.
//!
//! A version (2 bytes), the CRC-32C of all that follows it (4), the number of entries (4), and 46
//! bytes per producer. Of the last five batches only the last is kept, as in Kafka.

use super::{Entry, Producers, Seen};
use crate::model::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use crate::record::crc32c;

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const ENTRIES_AT: usize = 6;
const ENTRY_LEN: usize = 46;

pub(crate) fn encode(producers: &Producers) -> Vec<u8> {
    let all = producers.sorted();
    let mut out = Vec::with_capacity(ENTRIES_AT + 4 + all.len() * ENTRY_LEN);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&i32::try_from(all.len()).unwrap_or(i32::MAX).to_be_bytes());
    for (producer, entry) in all {
        let last = entry.last_seen();
        out.extend_from_slice(&producer.0.to_be_bytes());
        out.extend_from_slice(&entry.epoch.0.to_be_bytes());
        out.extend_from_slice(&last.map_or(-1, |seen| seen.last_sequence.0).to_be_bytes());
        out.extend_from_slice(&last.map_or(-1, |seen| seen.last_offset.0).to_be_bytes());
        out.extend_from_slice(&last.map_or(0, |seen| seen.offset_delta).to_be_bytes());
        out.extend_from_slice(&entry.last_timestamp.0.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.txn_start.map_or(-1, |offset| offset.0).to_be_bytes());
    }
    let crc = crc32c(&out[ENTRIES_AT..]);
    out[CRC_AT..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
    out
}

/// `None`: the bytes are not a snapshot, and an older one has to serve. Producers idle for
/// `expiry_ms` at `now` are left out.
pub(crate) fn decode(bytes: &[u8], now: TimestampMs, expiry_ms: i64) -> Option<Producers> {
    let (version, rest) = bytes.split_first_chunk::<2>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    if i16::from_be_bytes(*version) != VERSION || u32::from_be_bytes(*crc) != crc32c(rest) {
        return None;
    }
    let (count, entries) = rest.split_first_chunk::<4>()?;
    if usize::try_from(i32::from_be_bytes(*count)).ok()?.checked_mul(ENTRY_LEN)? != entries.len() {
        return None;
    }
    let mut producers = Producers::default();
    for mut at in entries.chunks_exact(ENTRY_LEN) {
        let producer = ProducerId(i64::from_be_bytes(take(&mut at)?));
        let epoch = ProducerEpoch(i16::from_be_bytes(take(&mut at)?));
        let last_sequence = Sequence(i32::from_be_bytes(take(&mut at)?));
        let last_offset = Offset(i64::from_be_bytes(take(&mut at)?));
        let offset_delta = i32::from_be_bytes(take(&mut at)?);
        let timestamp = TimestampMs(i64::from_be_bytes(take(&mut at)?));
        let coordinator_epoch = i32::from_be_bytes(take(&mut at)?);
        let txn_start = Offset(i64::from_be_bytes(take(&mut at)?));
        let mut entry = Entry::new(epoch, coordinator_epoch, timestamp, (txn_start.0 >= 0).then_some(txn_start));
        if last_offset.0 >= 0 {
            entry.add(epoch, Seen { last_sequence, last_offset, offset_delta: offset_delta.max(0), timestamp });
        }
        if !entry.is_expired(now, expiry_ms) {
            producers.load(producer, entry);
        }
    }
    Some(producers)
}

fn take<const N: usize>(at: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = at.split_first_chunk::<N>()?;
    *at = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sample() -> Producers {
        let mut producers = Producers::default();
        let mut entry = Entry::new(ProducerEpoch(3), 7, TimestampMs(1000), Some(Offset(40)));
        entry.add(
            ProducerEpoch(3),
            Seen { last_sequence: Sequence(9), last_offset: Offset(49), offset_delta: 9, timestamp: TimestampMs(1000) },
        );
        producers.load(ProducerId(12), entry);
        producers.load(ProducerId(5), Entry::new(ProducerEpoch(0), -1, TimestampMs(900), None));
        producers
    }

    #[test]
    fn a_snapshot_reads_back_as_it_was() {
        assert_eq!(decode(&encode(&sample()), TimestampMs(1000), 1000).unwrap(), sample());
        assert_eq!(encode(&Producers::default()).len(), 10);
    }

    #[test]
    fn a_snapshot_with_any_byte_changed_or_missing_is_refused() {
        let bytes = encode(&sample());
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            assert!(decode(&bad, TimestampMs(0), i64::MAX).is_none(), "byte {at}");
            assert!(decode(&bytes[..at], TimestampMs(0), i64::MAX).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn idle_producers_are_left_out_unless_a_transaction_is_open() {
        let loaded = decode(&encode(&sample()), TimestampMs(1_000_000), 10_000).unwrap();
        let ids: Vec<_> = loaded.sorted().into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [ProducerId(12)]);
    }
}
