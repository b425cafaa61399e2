//! Batches from which compaction has taken records.
//!
//! What remains keeps its offsets, order and timestamps, and the batch its base and last offset, epochs, sequence and
//! codec, so that a producer's last sequence can still be read from it. The delete horizon (KIP-534) takes the place of
//! the base timestamp, and the records' timestamp deltas are counted from it.

use super::build::{self, Body};
use super::header::{Attributes, BadBatch, BatchHeader};
use super::records::Records;
use super::{Compression, compression};
use crate::model::TimestampMs;
use bytes::Bytes;
use std::ops::Range;

/// As [`with_records`], without a horizon, for who has looked at the records: `kept` says where in the payload those lie
/// that stay, `count` how many they are, `max` what the largest of their timestamps is.
///
/// # Errors
/// As [`with_records`].
pub fn with_pieces(
    header: &BatchHeader,
    payload: &[u8],
    kept: &[Range<usize>],
    count: i32,
    max: TimestampMs,
) -> Result<Bytes, BadBatch> {
    let mut rewritten = *header;
    rewritten.record_count = count;
    rewritten.attributes.0 &= Attributes::KNOWN;
    if !header.attributes.is_log_append_time() {
        rewritten.max_timestamp = max;
    }
    let len = kept.iter().map(ExactSizeIterator::len).sum();
    if kept.iter().any(|piece| piece.start > piece.end || piece.end > payload.len()) {
        return Err(BadBatch::Truncated);
    }
    let pieces = kept.iter().map(|piece| &payload[piece.clone()]);
    match header.attributes.is_compressed() {
        false => build::finish_pieces(rewritten, len, pieces),
        true => sealed(rewritten, &pieces.collect::<Vec<_>>().concat()),
    }
}

/// Compressed as the header says, and sealed.
fn sealed(header: BatchHeader, plain: &[u8]) -> Result<Bytes, BadBatch> {
    match header.attributes.codec()? {
        None => build::finish(header, plain),
        Some(codec) => build::finish(header, &compression::compress(codec, codec.default_level(), plain)?),
    }
}

/// The batch with those of its records that `kept` names by their place. `horizon`: the delete horizon that is to be
/// set; one that is set already stays.
///
/// # Errors
/// `payload` is not what the header says, or cannot be compressed.
pub fn with_records(
    header: &BatchHeader,
    payload: &[u8],
    kept: &[bool],
    horizon: Option<TimestampMs>,
) -> Result<Bytes, BadBatch> {
    let horizon = horizon.filter(|_| !header.attributes.has_delete_horizon());
    let log_append_time = header.attributes.is_log_append_time();
    let mut rewritten = *header;
    rewritten.record_count = 0;
    rewritten.attributes.0 &= Attributes::KNOWN;
    if !log_append_time {
        rewritten.max_timestamp = TimestampMs::NONE;
    }
    if let Some(horizon) = horizon {
        rewritten.attributes.0 |= Attributes::DELETE_HORIZON;
        rewritten.base_timestamp = horizon;
    }
    let mut plain = Vec::with_capacity(payload.len());
    for (record, keep) in Records::new(header, payload)?.zip(kept) {
        let record = record?;
        if !keep {
            continue;
        }
        rewritten.record_count += 1;
        if !log_append_time {
            rewritten.max_timestamp = rewritten.max_timestamp.max(record.timestamp);
        }
        let Some(horizon) = horizon else {
            plain.extend_from_slice(record.bytes);
            continue;
        };
        let mut body = Body::new(record.timestamp.0.wrapping_sub(horizon.0), record.offset_delta);
        body.slice(record.key);
        body.slice(record.value);
        let (count, headers) = record.headers.encoded();
        body.count(count);
        body.encoded(headers);
        body.finish(&mut plain);
    }
    sealed(rewritten, &plain)
}

/// The batch without any record: what remains of it says who wrote it and where the producer's sequence was
/// (`DefaultRecordBatch.writeEmptyHeader`).
///
/// # Errors
/// Never in practice: the batch is a header.
pub fn without_records(header: &BatchHeader) -> Result<Bytes, BadBatch> {
    let mut emptied = header.with_codec(None::<Compression>).without_delete_horizon();
    emptied.attributes.0 &= Attributes::KNOWN;
    emptied.base_timestamp = TimestampMs::NONE;
    emptied.record_count = 0;
    build::finish(emptied, &[])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::{Offset, ProducerEpoch, ProducerId, Sequence};
    use crate::record::records::{open, outline};
    use crate::record::{BatchBuilder, verify};

    type Seen = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

    fn batch(codec: Option<Compression>) -> Bytes {
        let mut builder = BatchBuilder::new(Offset(100)).producer(ProducerId(7), ProducerEpoch(2), Sequence(40));
        if let Some(codec) = codec {
            builder = builder.compressed(codec);
        }
        for n in 0..5u8 {
            let value: Option<&[u8]> = if n == 3 { None } else { Some(b"value") };
            builder.push(TimestampMs(1000 + i64::from(n) * 10), Some(&[n]), value, &[("h", Some(b"x"))]);
        }
        builder.build().unwrap()
    }

    fn read(bytes: &[u8]) -> (BatchHeader, Vec<Seen>) {
        let header = verify(bytes).unwrap();
        let payload = open(&header, bytes, 1 << 20).unwrap();
        let records = Records::new(&header, &payload).unwrap().map(|record| {
            let record = record.unwrap();
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            (record.offset.0, record.timestamp.0, owned(record.key), owned(record.value), record.headers.len())
        });
        let records = records.collect();
        (header, records)
    }

    fn rewrite(bytes: &[u8], kept: &[bool], horizon: Option<TimestampMs>) -> Bytes {
        let header = verify(bytes).unwrap();
        with_records(&header, &open(&header, bytes, 1 << 20).unwrap(), kept, horizon).unwrap()
    }

    const KEPT: [bool; 5] = [false, true, false, true, false];

    #[test]
    fn what_is_kept_keeps_its_offset_time_and_headers_in_every_codec() {
        let all =
            [None, Some(Compression::Gzip), Some(Compression::Snappy), Some(Compression::Lz4), Some(Compression::Zstd)];
        for codec in all {
            let original = batch(codec);
            let (before, records) = read(&original);
            for horizon in [None, Some(TimestampMs(5_000_000))] {
                let (after, kept) = read(&rewrite(&original, &KEPT, horizon));
                assert_eq!(kept, [records[1].clone(), records[3].clone()], "{codec:?} {horizon:?}");
                assert_eq!(after.delete_horizon(), horizon);
                assert_eq!((after.base_offset, after.last_offset()), (before.base_offset, before.last_offset()));
                assert_eq!(
                    (after.last_sequence(), after.producer_epoch),
                    (before.last_sequence(), before.producer_epoch)
                );
                assert_eq!((after.max_timestamp, after.attributes.compression()), (TimestampMs(1030), codec));
            }
        }
    }

    #[test]
    fn pieces_make_the_batch_that_their_records_make() {
        for codec in [None, Some(Compression::Lz4)] {
            let original = batch(codec);
            let header = verify(&original).unwrap();
            let payload = open(&header, &original, 1 << 20).unwrap();
            let (mut ends, mut times) = (vec![0], Vec::new());
            outline(&header, &payload, |record| {
                ends.push(record.end);
                times.push(record.timestamp);
            })
            .unwrap();
            let pieces = [ends[1]..ends[2], ends[3]..ends[4]];
            let pieced = with_pieces(&header, &payload, &pieces, 2, times[1].max(times[3])).unwrap();
            assert_eq!(pieced, rewrite(&original, &KEPT, None), "{codec:?}");
        }
    }

    #[test]
    fn a_horizon_that_is_set_stays() {
        let first = rewrite(&batch(None), &[true; 5], Some(TimestampMs(5000)));
        let (after, kept) = read(&rewrite(&first, &KEPT, Some(TimestampMs(9000))));
        assert_eq!(after.delete_horizon(), Some(TimestampMs(5000)));
        assert_eq!(kept.iter().map(|record| record.1).collect::<Vec<_>>(), [1010, 1030]);
    }

    #[test]
    fn an_emptied_batch_is_a_header_that_knows_its_producer() {
        let original = batch(Some(Compression::Zstd));
        let before = verify(&original).unwrap();
        let bytes = without_records(&before).unwrap();
        let (after, records) = read(&bytes);
        assert_eq!((bytes.len(), records.len(), after.record_count), (61, 0, 0));
        assert_eq!((after.base_offset, after.last_offset()), (Offset(100), Offset(104)));
        assert_eq!((after.last_sequence(), after.max_timestamp), (Sequence(44), before.max_timestamp));
        assert_eq!(after.base_timestamp, TimestampMs::NONE);
        assert!(!after.attributes.is_compressed());
    }
}
