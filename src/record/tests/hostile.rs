//! Random and damaged bytes: nothing panics, and nothing is larger than the limit.

use super::super::compression::{compress, decompress};
use super::super::records::{self, Records};
use super::super::testing::*;
use super::super::*;
use crate::config::topic::{TimestampType, TopicCompression, TopicConfig};
use crate::model::TimestampMs;
use bytes::Bytes;

const LIMIT: usize = 1 << 16;

fn configs() -> Vec<TopicConfig> {
    let base = TopicConfig::default();
    vec![
        base.clone(),
        TopicConfig { cleanup_compact: true, ..base.clone() },
        TopicConfig { timestamp_type: TimestampType::LogAppendTime, ..base.clone() },
        TopicConfig { compression: TopicCompression::Lz4, ..base.clone() },
        TopicConfig { compression: TopicCompression::Uncompressed, timestamp_before_max_ms: 0, ..base },
    ]
}

fn use_all(bytes: &[u8], configs: &[TopicConfig]) {
    for batch in Batches::new(bytes) {
        let Ok((header, batch)) = batch else { continue };
        let Ok(payload) = records::open(&header, batch, LIMIT) else { continue };
        assert!(header.attributes.is_compressed() == matches!(payload, std::borrow::Cow::Owned(_)));
        let Ok(records) = Records::new(&header, &payload) else { continue };
        let whole = records.clone().all(|record| record.is_ok());
        assert_eq!(whole, records::walk(&header, &payload).is_ok(), "the two walks disagree");
        let mut outlined = Vec::new();
        let in_outline = records::outline(&header, &payload, |record| {
            outlined.push((record.offset, record.timestamp, record.key, record.has_value, record.end));
        });
        assert_eq!(whole, in_outline.is_ok(), "the outline disagrees");
        if whole {
            let mut end = 0;
            let read = records.clone().map(|record| {
                let record = record.unwrap();
                end += record.bytes.len();
                (record.offset, record.timestamp, record.key, record.value.is_some(), end)
            });
            assert_eq!(read.collect::<Vec<_>>(), outlined);
        }
        for record in records.flatten() {
            let _ = record.headers.count();
        }
    }
    for config in configs {
        let at = crate::model::TopicPartition::new("t".into(), crate::model::PartitionId(0));
        let rules = Rules { partition: &at, config, now: TimestampMs(1_000), decompressed_bytes_max: LIMIT };
        if let Ok(batch) = validate(Bytes::copy_from_slice(bytes), &rules) {
            // What was accepted can be stored and read.
            let stored = batch.to_bytes();
            let header = verify(&stored).unwrap();
            assert_eq!(header, *batch.header());
            assert_eq!(header.record_count, header.last_offset_delta + 1);
            if !header.attributes.is_compressed() {
                let records = Records::new(&header, &stored[HEADER_LEN..]).unwrap();
                assert_eq!(records.map(Result::unwrap).count(), usize::try_from(header.record_count).unwrap());
            }
        }
    }
}

#[test]
fn random_bytes_do_no_harm() {
    let configs = configs();
    for seed in 0..2_000 {
        let mut chance = Chance::new(seed);
        let len = chance.below(200);
        use_all(&chance.bytes(len), &configs);
    }
}

#[test]
fn damaged_batches_with_a_good_crc_do_no_harm() {
    let configs = configs();
    let mut good: Vec<Vec<u8>> = JAVA_COMPRESSED.iter().map(|(_, text)| unhex(text)).collect();
    good.push(unhex(JAVA_NONE));
    good.push(unhex(JAVA_COMMIT));
    for seed in 0..6_000 {
        let mut chance = Chance::new(seed);
        let batch = &good[chance.below(good.len())];
        let mut payload = batch[HEADER_LEN..].to_vec();
        let mut head = batch[..HEADER_LEN].to_vec();
        if chance.below(2) == 0 {
            let at = 21 + chance.below(HEADER_LEN - 21);
            head[at] = chance.next() as u8;
        }
        if chance.below(4) > 0 {
            chance.damage(&mut payload);
        }
        let mut bytes = [head, payload].concat();
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        seal(&mut bytes);
        use_all(&bytes, &configs);
    }
}

#[test]
fn damaged_compressed_bytes_do_no_harm_and_stay_below_the_limit() {
    for seed in 0..600 {
        let mut chance = Chance::new(seed);
        let codec = CODECS[chance.below(4)];
        let len = chance.below(2 * LIMIT);
        let text: Vec<u8> = (0..len).map(|i| (i / 50) as u8).collect();
        let mut packed = compress(codec, codec.default_level(), &text).unwrap();
        chance.damage(&mut packed);
        match decompress(codec, &packed, LIMIT) {
            Ok(plain) => assert!(plain.len() <= LIMIT && plain.capacity() <= 4 * LIMIT, "{codec:?}"),
            Err(bad) => assert!(matches!(bad, BadBatch::Compressed | BadBatch::TooLarge(LIMIT)), "{bad:?}"),
        }
        let _ = decompress(codec, &chance.bytes(60), LIMIT);
    }
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_refused_at_once() {
    let bytes = lying(&plain(&[(1, None)]), |header, _| {
        header.record_count = i32::MAX;
        header.last_offset_delta = i32::MAX - 1;
    });
    let header = verify(&bytes).unwrap();
    assert!(Records::new(&header, &bytes[HEADER_LEN..]).is_err());
}

#[test]
fn lengths_that_exceed_their_record_are_refused() {
    // Length, attributes, timestamp, offset, key length, value length, header count: all one byte.
    let record = |bytes: &[u8]| {
        let batch = lying(&plain(&[(1, None)]), |_, payload| *payload = bytes.to_vec());
        let header = verify(&batch).unwrap();
        let walked = records::walk(&header, &batch[HEADER_LEN..]).is_ok();
        let read = Records::new(&header, &batch[HEADER_LEN..]).is_ok_and(|mut records| records.all(|r| r.is_ok()));
        assert_eq!(walked, read);
        read
    };
    assert!(record(&[12, 0, 0, 0, 1, 1, 0]));
    assert!(record(&[12, 0xff, 0, 0, 3, 5, 0]), "unused attributes and other negative lengths are fine");
    assert!(!record(&[14, 0, 0, 0, 1, 1, 0]), "the record is longer than the batch");
    assert!(!record(&[10, 0, 0, 0, 1, 1, 0]), "bytes are left behind the record");
    assert!(!record(&[12, 0, 0, 0, 1, 1, 0, 0]), "bytes are left behind the last record");
    assert!(!record(&[12, 0, 0, 0, 8, 1, 0]), "the key is longer than the record");
    assert!(!record(&[12, 0, 0, 0, 1, 8, 0]), "the value is longer than the record");
    assert!(!record(&[12, 0, 0, 0, 1, 1, 2]), "more headers than bytes");
    assert!(!record(&[12, 0, 0, 0, 1, 1, 1]), "a negative number of headers");
    assert!(!record(&[1, 0, 0, 0, 1, 1, 0]), "a negative length");
    assert!(!record(&[16, 0, 0, 0, 1, 1, 2, 1, 0]), "a header without a key");
    assert!(record(&[16, 0, 0, 0, 1, 1, 2, 0, 1]), "an empty header key and no value");
    assert!(record(&[0x8c, 0x80, 0x80, 0x80, 0x00, 0, 0, 0, 1, 1, 0]), "varints may be longer than they need be");
    assert!(!record(&[0x8c, 0x80, 0x80, 0x80, 0x80, 0x00, 0, 0, 0, 1, 1, 0]), "but not longer than five bytes");
    let mut time = vec![30, 0];
    time.extend_from_slice(&[0xff; 9]);
    time.extend_from_slice(&[1, 0, 1, 1, 0]);
    assert!(record(&time), "a timestamp delta of ten bytes");
    time.splice(0..2, [32, 0, 0xff]);
    assert!(!record(&time), "a timestamp delta of eleven bytes");
}
