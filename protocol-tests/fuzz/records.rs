//! Fuzzes what is in a Produce request: batch headers, validation under different topics, decompression, records.
//!
//! Run as `wire` is run. The first byte of the input chooses the topic; then follows a batch, whose length, magic and CRC
//! are put right so that what lies behind them is reached. It is also read as it is.
#![no_main]

#[path = "../common/rng.rs"]
mod rng;

use bytes::Bytes;
use klamm::config::topic::{TimestampType, TopicCompression, TopicConfig};
use klamm::model::{LeaderEpoch, Offset, TimestampMs};
use klamm::record::build::BatchBuilder;
use klamm::record::compression::decompress;
use klamm::record::records::{Records, open};
use klamm::record::{BatchHeader, Batches, Compression, HEADER_LEN, LOG_OVERHEAD, Rules, crc32c, validate, verify};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use rng::Rng;

/// What one batch may decompress to here.
const LIMIT: usize = 1 << 20;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const CODECS: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fuzz_target!(|data: &[u8]| {
    let Some((choice, batch)) = data.split_first() else { return };
    as_it_is(batch);
    for codec in CODECS {
        if let Ok(plain) = decompress(codec, batch, LIMIT) {
            assert!(plain.len() <= LIMIT);
        }
    }
    if let Some(repaired) = repaired(batch) {
        as_it_is(&repaired);
        judged(*choice, repaired);
    }
});

fn as_it_is(bytes: &[u8]) {
    let _ = verify(bytes);
    for (header, batch) in Batches::new(bytes).flatten() {
        assert_eq!(header.size(), batch.len());
        walk(&header, batch);
    }
}

fn walk(header: &BatchHeader, batch: &[u8]) {
    let Ok(payload) = open(header, batch, LIMIT) else { return };
    let Ok(records) = Records::new(header, &payload) else { return };
    let mut count = 0;
    for record in records.flatten() {
        count += 1;
        let headers = record.headers.len();
        assert_eq!(record.headers.count(), headers);
    }
    assert!(count <= header.record_count.max(0));
}

/// The batch with its length, magic and CRC put right.
fn repaired(batch: &[u8]) -> Option<Vec<u8>> {
    if batch.len() < HEADER_LEN {
        return None;
    }
    let mut bytes = batch.to_vec();
    let length = i32::try_from(bytes.len() - LOG_OVERHEAD).ok()?;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[MAGIC_AT] = 2;
    let crc = crc32c(&bytes[ATTRIBUTES_AT..]);
    bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    Some(bytes)
}

/// What is accepted can be read back whole.
fn judged(choice: u8, bytes: Vec<u8>) {
    let compression = [
        TopicCompression::Producer,
        TopicCompression::Uncompressed,
        TopicCompression::Gzip,
        TopicCompression::Snappy,
        TopicCompression::Lz4,
        TopicCompression::Zstd,
    ][usize::from(choice) % 6];
    let config = TopicConfig {
        compression,
        cleanup_compact: choice & 0x80 != 0,
        timestamp_type: if choice & 0x40 != 0 { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
        timestamp_before_max_ms: if choice & 0x20 != 0 { 1000 } else { i64::MAX },
        ..TopicConfig::default()
    };
    let at = klamm::model::TopicPartition::new("t".into(), klamm::model::PartitionId(0));
    let rules = Rules { partition: &at, config: &config, now: TimestampMs(1_700_000_000_000), decompressed_bytes_max: LIMIT };
    let Ok(mut batch) = validate(Bytes::from(bytes), &rules) else { return };
    batch.assign(Offset(1000), LeaderEpoch(3));
    let stored = batch.as_slices().concat();
    let header = verify(&stored).expect("a stored batch is a batch");
    assert_eq!((header.base_offset, header.size()), (Offset(1000), stored.len()));
    if header.attributes.codec() == Ok(None) {
        let records = Records::new(&header, &stored[HEADER_LEN..]).expect("the records were counted");
        assert!(records.map(|record| record.expect("the records were walked")).count() > 0);
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 32 != 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let fresh = batch(&mut Rng(u64::from(seed)));
    let fresh = &fresh[..fresh.len().min(max_size)];
    data[..fresh.len()].copy_from_slice(fresh);
    fresh.len()
});

/// A choice of a topic, and a batch that is right.
fn batch(rng: &mut Rng) -> Vec<u8> {
    let mut batch = BatchBuilder::new(Offset::ZERO);
    for _ in 0..1 + rng.below(5) {
        let (key, value) = (noise(rng), noise(rng));
        let headers = [("h", value.as_deref()), ("", None)];
        let headers = &headers[..rng.below(3)];
        let timestamp = TimestampMs(1_700_000_000_000 + rng.below(100) as i64);
        batch.push(timestamp, key.as_deref(), value.as_deref(), headers);
    }
    if let Some(codec) = CODECS.get(rng.below(5)) {
        batch = batch.compressed(*codec);
    }
    let mut bytes = vec![rng.next() as u8];
    bytes.extend_from_slice(&batch.build().unwrap_or_default());
    bytes
}

fn noise(rng: &mut Rng) -> Option<Vec<u8>> {
    let length = rng.below(40);
    (!rng.percent(20)).then(|| (0..length).map(|_| rng.next() as u8 & 0x1f).collect())
}
