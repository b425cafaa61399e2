//! What a producer may write: one test for each rule.

use super::super::records::{self, Records};
use super::super::testing::*;
use super::super::*;
use crate::config::topic::{TimestampType, TopicCompression, TopicConfig};
use crate::model::{ErrorCode, LeaderEpoch, Offset, ProducerId, Sequence, TimestampMs};
use bytes::Bytes;

const NOW: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;
const LIMIT: usize = 1 << 20;

fn checked(bytes: &[u8], config: &TopicConfig) -> Result<Batch, Rejected> {
    let at = crate::model::TopicPartition::new("t".into(), crate::model::PartitionId(0));
    let rules = Rules { partition: &at, config, now: TimestampMs(NOW), decompressed_bytes_max: LIMIT };
    validate(Bytes::copy_from_slice(bytes), &rules)
}

fn by_default(bytes: &[u8]) -> Result<Batch, Rejected> {
    checked(bytes, &TopicConfig::default())
}

fn refusal(bytes: &[u8], config: &TopicConfig) -> ErrorCode {
    let rejected = checked(bytes, config).unwrap_err();
    assert!(rejected.message.is_some());
    rejected.error
}

fn refused_by_default(bytes: &[u8]) -> ErrorCode {
    refusal(bytes, &TopicConfig::default())
}

fn compacted() -> TopicConfig {
    TopicConfig { cleanup_compact: true, ..TopicConfig::default() }
}

fn append_time() -> TopicConfig {
    TopicConfig { timestamp_type: TimestampType::LogAppendTime, ..TopicConfig::default() }
}

fn stores(compression: TopicCompression) -> TopicConfig {
    TopicConfig { compression, ..TopicConfig::default() }
}

/// Two records of now.
fn good() -> Vec<u8> {
    plain(&[(NOW, Some("a")), (NOW + 1, None)])
}

/// What is stored, and its CRC checked.
fn stored(batch: &Batch) -> (BatchHeader, Vec<u8>) {
    let bytes = batch.to_bytes();
    let header = verify(&bytes).unwrap();
    (header, records::open(&header, &bytes, LIMIT).unwrap().into_owned())
}

#[test]
fn a_good_batch_is_stored_as_it_came_and_not_copied() {
    for bytes in [good(), compressed(&[(NOW, None)], Compression::Zstd)] {
        let bytes = Bytes::from(bytes);
        let config = TopicConfig::default();
        let at = crate::model::TopicPartition::new("t".into(), crate::model::PartitionId(0));
        let rules = Rules { partition: &at, config: &config, now: TimestampMs(NOW), decompressed_bytes_max: LIMIT };
        let mut batch = validate(bytes.clone(), &rules).unwrap();
        assert_eq!(batch.to_bytes(), bytes);
        assert_eq!(batch.rest().as_ptr(), bytes[HEADER_LEN..].as_ptr());
        batch.assign(Offset(1_000), LeaderEpoch(3));
        assert_eq!(stored(&batch).0.last_offset(), Offset(999 + i64::from(batch.header().record_count)));
    }
}

#[test]
fn no_batch_at_all_is_an_invalid_record() {
    assert_eq!(refused_by_default(b""), ErrorCode::INVALID_RECORD);
    let good = good();
    for cut in [5, 11, 16, 60, good.len() - 1] {
        assert_eq!(refused_by_default(&good[..cut]), ErrorCode::INVALID_RECORD, "{cut} bytes");
    }
}

#[test]
fn two_batches_are_an_invalid_record_but_part_of_a_second_is_cut_off() {
    let good = good();
    let two = [&good[..], &good].concat();
    assert_eq!(refused_by_default(&two), ErrorCode::INVALID_RECORD);
    let cut = by_default(&two[..two.len() - 1]).unwrap();
    assert_eq!(cut.to_bytes(), good);
    assert_eq!(by_default(&[&good[..], b"tail"].concat()).unwrap().to_bytes(), good);
}

#[test]
fn bytes_behind_the_batch_that_cannot_begin_another_are_corrupt() {
    assert_eq!(refused_by_default(&[good(), vec![0; 12]].concat()), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn only_magic_2_is_accepted() {
    let magic = |magic: u8| {
        let mut bytes = good();
        bytes[16] = magic;
        refused_by_default(&bytes)
    };
    assert_eq!(magic(0), ErrorCode::INVALID_RECORD);
    assert_eq!(magic(1), ErrorCode::INVALID_RECORD);
    assert_eq!(magic(3), ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(magic(0xff), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn a_length_that_no_batch_has_is_corrupt() {
    let length = |length: i32| {
        let mut bytes = good();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        refused_by_default(&bytes)
    };
    for short in [i32::MIN, -1, 0, 13, 14, 48] {
        assert_eq!(length(short), ErrorCode::CORRUPT_MESSAGE, "{short}");
    }
    // Longer than what is there: no batch is complete.
    assert_eq!(length(i32::MAX), ErrorCode::INVALID_RECORD);
}

#[test]
fn a_wrong_crc_is_corrupt() {
    for at in [17, 21, 30, 61, 70] {
        let mut bytes = good();
        bytes[at] ^= 0x80;
        assert_eq!(refused_by_default(&bytes), ErrorCode::CORRUPT_MESSAGE, "byte {at}");
    }
}

#[test]
fn offset_and_epoch_are_not_under_the_crc() {
    let mut bytes = good();
    bytes[12..16].copy_from_slice(&[9; 4]);
    assert!(by_default(&bytes).is_ok());
}

#[test]
fn a_base_offset_other_than_0_is_an_invalid_record() {
    let bytes = lying(&good(), |header, _| header.base_offset = Offset(1));
    assert_eq!(refused_by_default(&bytes), ErrorCode::INVALID_RECORD);
}

#[test]
fn a_batch_larger_than_the_topics_maximum_is_too_large_even_if_it_is_also_corrupt() {
    let mut bytes = good();
    let at = |max_message_bytes| TopicConfig { max_message_bytes, ..TopicConfig::default() };
    assert!(checked(&bytes, &at(bytes.len() as i32)).is_ok());
    assert_eq!(refusal(&bytes, &at(bytes.len() as i32 - 1)), ErrorCode::MESSAGE_TOO_LARGE);
    bytes[17] ^= 1;
    assert_eq!(refusal(&bytes, &at(1)), ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
fn a_batch_larger_than_a_segment_is_refused_as_such() {
    let config = TopicConfig { segment_bytes: 80, ..TopicConfig::default() };
    assert_eq!(refusal(&good(), &config), ErrorCode::RECORD_LIST_TOO_LARGE);
}

#[test]
fn the_record_count_is_what_the_last_offset_says() {
    for (count, delta) in [(3, 1), (1, 1), (2, 2), (2, 0), (0, -1), (-1, -2), (2, -1), (0, 0), (i32::MIN, i32::MAX)] {
        for bytes in [good(), compressed(&[(NOW, None), (NOW, None)], Compression::Lz4)] {
            let bytes = lying(&bytes, |header, _| {
                header.record_count = count;
                header.last_offset_delta = delta;
            });
            assert_eq!(refused_by_default(&bytes), ErrorCode::INVALID_RECORD, "{count} records, delta {delta}");
        }
    }
}

#[test]
fn a_count_that_the_records_do_not_have_is_an_invalid_record() {
    for count in [1, 3, 1000, i32::MAX] {
        let bytes = lying(&good(), |header, _| {
            header.record_count = count;
            header.last_offset_delta = count - 1;
        });
        assert_eq!(refused_by_default(&bytes), ErrorCode::INVALID_RECORD, "{count}");
    }
}

#[test]
fn a_control_batch_is_not_a_clients_to_write() {
    let bytes = lying(&good(), |header, _| header.attributes.0 |= 0x20);
    assert_eq!(refused_by_default(&bytes), ErrorCode::INVALID_RECORD);
    assert_eq!(refused_by_default(&unhex(JAVA_COMMIT)), ErrorCode::INVALID_RECORD);
}

#[test]
fn a_producer_id_needs_a_sequence() {
    let with = |id: i64, sequence: i32| {
        by_default(&lying(&good(), |header, _| {
            header.producer_id = ProducerId(id);
            header.base_sequence = Sequence(sequence);
        }))
        .map_err(|rejected| rejected.error)
        .map(|_| ())
    };
    assert_eq!(with(5, 0), Ok(()));
    assert_eq!(with(0, i32::MAX), Ok(()));
    assert_eq!(with(5, -1), Err(ErrorCode::INVALID_RECORD));
    assert_eq!(with(0, -2), Err(ErrorCode::INVALID_RECORD));
    assert_eq!(with(-1, -1), Ok(()));
}

#[test]
fn an_unknown_codec_is_an_unsupported_compression_type() {
    let bytes = lying(&good(), |header, _| header.attributes.0 = 5);
    assert_eq!(refused_by_default(&bytes), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
}

#[test]
fn a_delete_horizon_from_a_client_is_kept_as_kafka_keeps_it() {
    let bytes = lying(&good(), |header, _| header.attributes.0 |= 0x40);
    let batch = by_default(&bytes).unwrap();
    assert_eq!(batch.to_bytes(), bytes);
    assert_eq!(batch.header().delete_horizon(), Some(TimestampMs(NOW)));
}

#[test]
fn timestamps_too_far_ahead_or_behind_are_invalid_and_named_record_by_record() {
    let config = TopicConfig { timestamp_before_max_ms: HOUR, ..TopicConfig::default() };
    let times = [NOW, NOW + HOUR, NOW + HOUR + 1, NOW - HOUR, NOW - HOUR - 1, -1];
    let records: Vec<_> = times.iter().map(|at| (*at, None)).collect();
    let mut batches = vec![plain(&records)];
    batches.extend(CODECS.map(|codec| compressed(&records, codec)));
    for bytes in batches {
        let rejected = checked(&bytes, &config).unwrap_err();
        assert_eq!(rejected.error, ErrorCode::INVALID_TIMESTAMP);
        let message = "One or more records have been rejected due to invalid timestamp";
        assert_eq!(rejected.message.as_deref(), Some(message));
        assert_eq!(rejected.records.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [2, 4]);
        let text = rejected.records[0].1.clone().unwrap();
        let expected = format!(
            "Timestamp {} of message with offset 2 is out of range. The timestamp should be within [{}, {}]",
            NOW + HOUR + 1,
            NOW - HOUR,
            NOW + HOUR
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn a_time_before_1970_is_a_time() {
    let config = TopicConfig { timestamp_before_max_ms: NOW + 2, ..TopicConfig::default() };
    assert!(checked(&plain(&[(-2, None)]), &config).is_ok());
    assert_eq!(refusal(&plain(&[(-3, None)]), &config), ErrorCode::INVALID_TIMESTAMP);
    assert_eq!(refusal(&compressed(&[(-3, None)], Compression::Lz4), &config), ErrorCode::INVALID_TIMESTAMP);
}

#[test]
fn by_default_the_past_is_unlimited_and_the_future_an_hour() {
    assert!(by_default(&plain(&[(0, None), (-1, None), (NOW + HOUR, None)])).is_ok());
    assert_eq!(refused_by_default(&plain(&[(NOW + HOUR + 1, None)])), ErrorCode::INVALID_TIMESTAMP);
    assert_eq!(refused_by_default(&plain(&[(i64::MAX, None)])), ErrorCode::INVALID_TIMESTAMP);
}

#[test]
fn a_compressed_batch_is_judged_by_its_headers_times_and_not_opened() {
    let ahead = compressed(&[(NOW, None), (NOW + 2 * HOUR, None)], Compression::Gzip);
    assert_eq!(refused_by_default(&ahead), ErrorCode::INVALID_TIMESTAMP);
    // A header that denies it is believed; the records need not even decompress.
    let denied = lying(&ahead, |header, payload| {
        header.max_timestamp = TimestampMs(NOW);
        payload[4] ^= 0xff;
    });
    assert!(by_default(&denied).is_ok());
}

#[test]
fn the_maximal_timestamp_of_an_uncompressed_batch_is_corrected() {
    let bytes = lying(&good(), |header, _| header.max_timestamp = TimestampMs(5));
    let batch = by_default(&bytes).unwrap();
    assert_eq!(stored(&batch).0.max_timestamp, TimestampMs(NOW + 1));
    assert_eq!(batch.to_bytes(), good());
}

#[test]
fn log_append_time_is_written_into_the_batch_with_a_new_crc() {
    let mut batches = vec![good()];
    batches.extend(CODECS.map(|codec| compressed(&[(5, None), (NOW * 2, None)], codec)));
    for bytes in batches {
        let batch = checked(&bytes, &append_time()).unwrap();
        let (header, payload) = stored(&batch);
        assert!(header.attributes.is_log_append_time());
        assert_eq!(header.max_timestamp, TimestampMs(NOW));
        assert_eq!(batch.rest()[..], bytes[HEADER_LEN..], "the records changed");
        for record in Records::new(&header, &payload).unwrap() {
            assert_eq!(record.unwrap().timestamp, TimestampMs(NOW));
        }
    }
}

#[test]
fn a_producer_must_not_claim_log_append_time() {
    for bytes in [good(), compressed(&[(NOW, None), (NOW, None)], Compression::Snappy)] {
        let claimed = lying(&bytes, |header, _| header.attributes.0 |= 0x08);
        let rejected = checked(&claimed, &append_time()).unwrap_err();
        assert_eq!(rejected.error, ErrorCode::INVALID_TIMESTAMP);
        assert_eq!(rejected.records.len(), 2);
        let untimed = lying(&claimed, |header, _| header.max_timestamp = TimestampMs::NONE);
        assert_eq!(refused_by_default(&untimed), ErrorCode::INVALID_TIMESTAMP);
    }
}

#[test]
fn under_create_time_a_claimed_log_append_time_is_taken_back_as_kafka_does() {
    for bytes in [good(), compressed(&[(NOW, None), (NOW + 1, None)], Compression::Snappy)] {
        let claimed = lying(&bytes, |header, _| header.attributes.0 |= 0x08);
        assert_eq!(by_default(&claimed).unwrap().to_bytes(), bytes);
    }
}

#[test]
fn bits_without_a_meaning_go_when_the_header_is_rewritten() {
    let bytes = lying(&good(), |header, _| header.attributes.0 |= 0x7f80);
    assert_eq!(by_default(&bytes).unwrap().header().attributes.0, 0x7f80);
    assert_eq!(checked(&bytes, &append_time()).unwrap().header().attributes.0, 0x08);
}

#[test]
fn a_compacted_topic_wants_a_key_in_every_record() {
    let records = [(NOW, Some("a")), (NOW, None), (NOW, Some("")), (NOW, None)];
    let mut batches = vec![plain(&records)];
    batches.extend(CODECS.map(|codec| compressed(&records, codec)));
    for bytes in batches {
        assert!(by_default(&bytes).is_ok());
        let rejected = checked(&bytes, &compacted()).unwrap_err();
        assert_eq!(rejected.error, ErrorCode::INVALID_RECORD);
        assert_eq!(rejected.records.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 3]);
        assert!(rejected.message.unwrap().contains("due to 2 record errors in total"));
    }
    for codec in CODECS {
        let bytes = compressed(&[(NOW, Some("a"))], codec);
        assert_eq!(checked(&bytes, &compacted()).unwrap().to_bytes(), bytes, "{codec:?}");
    }
}

#[test]
fn one_bad_timestamp_makes_the_whole_refusal_about_timestamps() {
    let rejected = checked(&plain(&[(NOW, None), (NOW + 2 * HOUR, Some("k"))]), &compacted()).unwrap_err();
    assert_eq!(rejected.error, ErrorCode::INVALID_TIMESTAMP);
    assert_eq!(rejected.records.len(), 2);
}

#[test]
fn a_refusal_names_a_bounded_number_of_records() {
    let records = vec![(NOW, None); 5 * RECORD_ERRORS_MAX];
    let rejected = checked(&plain(&records), &compacted()).unwrap_err();
    assert_eq!(rejected.records.len(), RECORD_ERRORS_MAX);
    assert!(rejected.message.unwrap().contains("due to 5000 record errors"));
}

#[test]
fn another_compression_type_is_stored_with_the_same_records_and_producer() {
    let targets = [
        (TopicCompression::Uncompressed, None),
        (TopicCompression::Gzip, Some(Compression::Gzip)),
        (TopicCompression::Snappy, Some(Compression::Snappy)),
        (TopicCompression::Lz4, Some(Compression::Lz4)),
        (TopicCompression::Zstd, Some(Compression::Zstd)),
    ];
    let mut sources = vec![JAVA_NONE];
    sources.extend(JAVA_COMPRESSED.iter().map(|(_, text)| *text));
    let java = unhex(JAVA_NONE);
    for source in sources {
        let bytes = lying(&unhex(source), |header, _| header.attributes.0 |= 0x10);
        for (target, codec) in targets {
            let batch = checked(&bytes, &stores(target)).unwrap();
            let (header, payload) = stored(&batch);
            assert_eq!(header.attributes.compression(), codec);
            assert_eq!(payload, java[HEADER_LEN..]);
            let same = BatchHeader { crc: header.crc, batch_length: header.batch_length, ..verify(&bytes).unwrap() };
            assert_eq!(header, BatchHeader { attributes: header.attributes, ..same });
            assert!(header.attributes.is_transactional());
            if codec == verify(&bytes).unwrap().attributes.compression() {
                assert_eq!(batch.to_bytes(), bytes, "recompressed for nothing");
            }
        }
    }
}

#[test]
fn recompression_sets_log_append_time_too_and_drops_a_delete_horizon() {
    let config = TopicConfig { compression: TopicCompression::Zstd, ..append_time() };
    let bytes = lying(&good(), |header, _| header.attributes.0 |= 0x40);
    let (header, _) = stored(&checked(&bytes, &config).unwrap());
    assert!(header.attributes.is_log_append_time() && !header.attributes.has_delete_horizon());
    assert_eq!(header.max_timestamp, TimestampMs(NOW));
}

#[test]
fn the_size_is_checked_again_after_recompression() {
    let records = vec![(NOW, Some("the same key every time")); 200];
    let bytes = compressed(&records, Compression::Zstd);
    let config = TopicConfig { max_message_bytes: 2_000, ..stores(TopicCompression::Uncompressed) };
    assert!(bytes.len() < 2_000);
    assert_eq!(refusal(&bytes, &config), ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
fn records_that_do_not_decompress_are_invalid_where_they_have_to_be_opened() {
    let bytes = lying(&compressed(&[(NOW, Some("k"))], Compression::Lz4), |_, payload| payload[6] ^= 1);
    assert!(by_default(&bytes).is_ok());
    assert_eq!(refusal(&bytes, &compacted()), ErrorCode::INVALID_RECORD);
    assert_eq!(refusal(&bytes, &stores(TopicCompression::Gzip)), ErrorCode::INVALID_RECORD);
}

#[test]
fn records_that_decompress_to_too_much_are_too_large() {
    let config = compacted();
    let at = crate::model::TopicPartition::new("t".into(), crate::model::PartitionId(0));
    let rules = Rules { partition: &at, config: &config, now: TimestampMs(NOW), decompressed_bytes_max: 1_000 };
    let bytes = compressed(&vec![(NOW, Some("k")); 500], Compression::Zstd);
    let rejected = validate(Bytes::from(bytes), &rules).unwrap_err();
    assert_eq!(rejected.error, ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
fn offsets_that_are_not_consecutive_are_repaired_where_the_batch_is_opened() {
    // The second record's offset delta, 1, becomes 5.
    let wrong = |batch: BatchBuilder| {
        lying(&batch.build().unwrap(), |_, payload| {
            let second = payload.len() / 2;
            assert_eq!(payload[second + 3], 2);
            payload[second + 3] = 10;
        })
    };
    let uncompressed = wrong(batch_of(&[(NOW, Some("a")), (NOW, Some("b"))]));
    let header = verify(&uncompressed).unwrap();
    let packed = lying(&uncompressed, |header, payload| {
        header.attributes.0 |= 3;
        *payload = compression::compress(Compression::Lz4, 9, payload).unwrap();
    });
    let recompressing = TopicConfig { compression: TopicCompression::Lz4, ..compacted() };
    for (bytes, config) in [(&uncompressed, recompressing), (&packed, compacted())] {
        let (stored_header, payload) = stored(&checked(bytes, &config).unwrap());
        let records: Vec<_> = Records::new(&stored_header, &payload).unwrap().map(Result::unwrap).collect();
        assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [Offset(0), Offset(1)]);
        let before = Records::new(&header, &uncompressed[HEADER_LEN..]).unwrap().map(Result::unwrap);
        for (before, after) in before.zip(records) {
            assert_eq!((before.key, before.value, before.timestamp), (after.key, after.value, after.timestamp));
        }
    }
    // An uncompressed batch that stays as it is is not repaired: Kafka does not either.
    assert_eq!(by_default(&uncompressed).unwrap().to_bytes(), uncompressed);
}
