//! Produce.

use super::common::client::{Client, batch, batch_of, eventually, now_ms, produce, text};
use super::{Broker, code, with_topic};
use kafka_protocol::messages::{ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, ProduceRequest};
use klamm::model::{ProducerEpoch, ProducerId, Sequence};
use klamm::record::{BatchHeader, Compression, records};
use std::time::Duration;
use uuid::Uuid;

/// The error of a Produce of one partition.
fn error(client: &mut Client, version: i16, request: &ProduceRequest) -> i16 {
    client.call(version, request).responses[0].partition_responses[0].error_code
}

#[test]
fn acks_0_gets_no_byte_and_what_follows_is_answered() {
    let (_broker, mut client) = with_topic(&[]);
    for _ in 0..3 {
        client.send(12, &produce("t", 0, 0, &batch(&["x"])));
    }
    client.assert_silent(Duration::from_millis(200));
    let id = client.send(0, &ApiVersionsRequest::default());
    assert_eq!(client.receive::<ApiVersionsRequest>(0).0, id);
    assert_eq!(client.fetch("t", 0, 0).high_watermark, 3);
}

#[test]
fn an_error_with_acks_0_closes_the_connection() {
    let (broker, mut client) = with_topic(&[]);
    client.send(12, &produce("none", 0, 0, &batch(&["x"])));
    client.assert_closed("acks=0 to an unknown topic");
    assert_eq!(Client::connect(&broker.bootstrap()).fetch("t", 0, 0).error_code, code::NONE);
}

#[test]
fn acks_other_than_0_1_and_all_are_refused() {
    let (_broker, mut client) = with_topic(&[]);
    for acks in [7, 2, -2, i16::MAX, i16::MIN] {
        for version in 3..=12 {
            let request = produce("t", 0, acks, &batch(&["x"]));
            assert_eq!(error(&mut client, version, &request), code::INVALID_REQUIRED_ACKS, "acks={acks} v{version}");
        }
    }
    for acks in [1, -1] {
        for version in 3..=12 {
            assert_eq!(error(&mut client, version, &produce("t", 0, acks, &batch(&["x"]))), code::NONE, "v{version}");
        }
    }
}

#[test]
fn an_unknown_topic_partition_or_topic_id_has_its_own_error() {
    let (_broker, mut client) = with_topic(&[]);
    let one = batch(&["x"]);
    assert_eq!(error(&mut client, 12, &produce("none", 0, 1, &one)), code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(error(&mut client, 12, &produce("t", 1, 1, &one)), code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(error(&mut client, 12, &produce("t", -1, 1, &one)), code::UNKNOWN_TOPIC_OR_PARTITION);
    let mut by_id = produce("", 0, 1, &one);
    by_id.topic_data[0].topic_id = Uuid::from_u128(77);
    assert_eq!(error(&mut client, 13, &by_id), code::UNKNOWN_TOPIC_ID);
    let id = client.call(12, &MetadataRequest::default().with_topics(None)).topics[0].topic_id;
    by_id.topic_data[0].topic_id = id;
    let answer = client.call(13, &by_id);
    assert_eq!((answer.responses[0].topic_id, answer.responses[0].partition_responses[0].error_code), (id, code::NONE));
}

#[test]
fn a_wrong_crc_is_a_corrupt_message() {
    let (_broker, mut client) = with_topic(&[]);
    let mut records = batch(&["x"]).to_vec();
    let last = records.len() - 2;
    records[last] ^= 1;
    assert_eq!(client.produce("t", 0, &records).error_code, code::CORRUPT_MESSAGE);
    assert_eq!(client.fetch("t", 0, 0).high_watermark, 0);
}

#[test]
fn one_batch_a_partition_and_magic_2_only() {
    let (_broker, mut client) = with_topic(&[]);
    let two = [batch(&["a"]), batch(&["b"])].concat();
    assert_eq!(client.produce("t", 0, &two).error_code, code::INVALID_RECORD);
    let mut old = batch(&["a"]).to_vec();
    old[16] = 1;
    assert_eq!(client.produce("t", 0, &old).error_code, code::INVALID_RECORD);
    // What follows the first batch and is none is cut off, as in Kafka.
    let torn = [&batch(&["a"])[..], &batch(&["b"])[..30]].concat();
    assert_eq!(client.produce("t", 0, &torn).error_code, code::NONE);
    assert_eq!(client.fetch("t", 0, 0).records.unwrap().len(), batch(&["a"]).len());
}

#[test]
fn a_batch_above_max_message_bytes_is_too_large() {
    let (_broker, mut client) = with_topic(&[("max.message.bytes", "1000")]);
    let sized = |size: usize| {
        let overhead = batch(&["x".repeat(500).as_str()]).len() - 500;
        let records = batch(&["x".repeat(size - overhead).as_str()]);
        assert_eq!(records.len(), size);
        records
    };
    assert_eq!(client.produce("t", 0, &sized(1000)).error_code, code::NONE);
    assert_eq!(client.produce("t", 0, &sized(1001)).error_code, code::MESSAGE_TOO_LARGE);
}

#[test]
fn a_compacted_topic_takes_no_record_without_a_key_and_says_which() {
    for codec in [None, Some(Compression::Gzip), Some(Compression::Zstd)] {
        let (_broker, mut client) = with_topic(&[("cleanup.policy", "compact")]);
        let mut records = batch_of(&[(now_ms(), Some("k"), "a"), (now_ms(), None, "b"), (now_ms(), None, "c")]);
        if let Some(codec) = codec {
            records = records.compressed(codec);
        }
        let answer = client.produce("t", 0, &records.build().unwrap());
        assert_eq!(answer.error_code, code::INVALID_RECORD);
        let which: Vec<i32> = answer.record_errors.iter().map(|error| error.batch_index).collect();
        assert_eq!(which, [1, 2], "{codec:?}");
        assert!(answer.error_message.is_some());
        assert_eq!(client.produce("t", 0, &batch(&["with a key"])).base_offset, 0);
    }
}

/// A batch of an idempotent producer.
fn from(id: i64, epoch: i16, sequence: i32, values: &[&str]) -> Vec<u8> {
    let records: Vec<_> = values.iter().map(|value| (now_ms(), Some("k"), *value)).collect();
    let records = batch_of(&records).producer(ProducerId(id), ProducerEpoch(epoch), Sequence(sequence));
    records.build().unwrap().to_vec()
}

fn producer_id(client: &mut Client) -> i64 {
    let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
    let answer = client.call(4, &request);
    assert_eq!((answer.error_code, answer.producer_epoch), (code::NONE, 0));
    answer.producer_id.0
}

#[test]
fn a_duplicate_among_the_last_five_batches_returns_the_original_offset_and_appends_nothing() {
    let (_broker, mut client) = with_topic(&[]);
    let id = producer_id(&mut client);
    assert_ne!(producer_id(&mut client), id, "each producer has its own");
    for i in 0..6 {
        let answer = client.produce("t", 0, &from(id, 0, 2 * i, &["a", "b"]));
        assert_eq!((answer.error_code, answer.base_offset), (code::NONE, i64::from(2 * i)));
    }
    for i in 1..6 {
        let answer = client.produce("t", 0, &from(id, 0, 2 * i, &["a", "b"]));
        assert_eq!((answer.error_code, answer.base_offset), (code::NONE, i64::from(2 * i)), "batch {i}");
    }
    // Older than that it is not known any more.
    let answer = client.produce("t", 0, &from(id, 0, 0, &["a", "b"]));
    assert_ne!(answer.error_code, code::NONE);
    assert_eq!(client.fetch("t", 0, 0).high_watermark, 12);
}

#[test]
fn a_sequence_that_does_not_follow_is_out_of_order_and_an_old_epoch_is_fenced() {
    let (_broker, mut client) = with_topic(&[]);
    let id = producer_id(&mut client);
    assert_eq!(client.produce("t", 0, &from(id, 0, 0, &["a"])).error_code, code::NONE);
    for sequence in [2, 5, i32::MAX] {
        let answer = client.produce("t", 0, &from(id, 0, sequence, &["b"]));
        assert_eq!(answer.error_code, code::OUT_OF_ORDER_SEQUENCE_NUMBER, "sequence {sequence}");
    }
    assert_eq!(client.produce("t", 0, &from(id, 0, 1, &["b"])).error_code, code::NONE);
    assert_eq!(client.produce("t", 0, &from(id, 1, 5, &["c"])).error_code, code::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(client.produce("t", 0, &from(id, 1, 0, &["c"])).error_code, code::NONE, "a new epoch begins at 0");
    assert_eq!(client.produce("t", 0, &from(id, 0, 2, &["d"])).error_code, code::INVALID_PRODUCER_EPOCH);
}

#[test]
fn a_producers_duplicates_are_known_after_a_restart() {
    let mut broker = Broker::start();
    let mut client = Client::connect(&broker.bootstrap());
    client.create_topic("t", 1, &[]);
    let id = producer_id(&mut client);
    client.produce("t", 0, &batch(&["before"]));
    client.produce("t", 0, &from(id, 0, 0, &["a"]));
    for clean in [true, false] {
        if clean {
            broker.stop()
        } else {
            broker.kill()
        }
        broker.start_again();
        let mut client = Client::connect(&broker.bootstrap());
        let answer = client.produce("t", 0, &from(id, 0, 0, &["a"]));
        assert_eq!((answer.error_code, answer.base_offset), (code::NONE, 1));
        assert_eq!(client.fetch("t", 0, 0).high_watermark, 2);
    }
}

#[test]
fn zstd_needs_version_7() {
    let (_broker, mut client) = with_topic(&[]);
    let records = batch_of(&[(now_ms(), None, "x")]).compressed(Compression::Zstd).build().unwrap();
    for version in 3..=12 {
        let expected = if version < 7 { code::UNSUPPORTED_COMPRESSION_TYPE } else { code::NONE };
        assert_eq!(error(&mut client, version, &produce("t", 0, 1, &records)), expected, "v{version}");
    }
}

#[test]
fn only_the_brokers_write_to_internal_topics() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker.bootstrap());
    for topic in ["__consumer_offsets", "__transaction_state"] {
        // As a topic that somebody created by hand.
        client.create_topic(topic, 1, &[]);
        assert_eq!(client.produce(topic, 0, &batch(&["x"])).error_code, code::INVALID_TOPIC_EXCEPTION, "{topic}");
    }
}

#[test]
fn more_replicas_in_sync_than_the_topic_has_cannot_be_asked_for() {
    let (_broker, mut client) = with_topic(&[("min.insync.replicas", "2")]);
    assert_eq!(error(&mut client, 12, &produce("t", 0, -1, &batch(&["x"]))), code::NONE);
}

#[test]
fn where_the_log_begins_is_said_of_refused_records_but_not_of_damaged_bytes() {
    let (_broker, mut client) = with_topic(&[("message.timestamp.after.max.ms", "1000")]);
    let log_start = |client: &mut Client, batch: &[u8]| {
        client.call(12, &produce("t", 0, -1, batch)).responses[0].partition_responses[0].log_start_offset
    };
    assert_eq!(log_start(&mut client, &batch_of(&[(now_ms() + 3_600_000, None, "x")]).build().unwrap()), 0);
    let mut damaged = batch(&["x"]).to_vec();
    let last = damaged.len() - 2;
    damaged[last] ^= 1;
    assert_eq!(log_start(&mut client, &damaged), -1);
}

#[test]
fn timestamps_beyond_the_topics_limits_are_refused_with_the_records_that_have_them() {
    let limits = [("message.timestamp.before.max.ms", "60000"), ("message.timestamp.after.max.ms", "60000")];
    let (_broker, mut client) = with_topic(&limits);
    let now = now_ms();
    let all = |timestamps: &[i64]| {
        let records: Vec<_> = timestamps.iter().map(|timestamp| (*timestamp, Some("k"), "v")).collect();
        batch_of(&records).build().unwrap()
    };
    assert_eq!(client.produce("t", 0, &all(&[now - 30_000, now, now + 30_000])).error_code, code::NONE);
    for bad in [now - 120_000, now + 120_000, 0] {
        let answer = client.produce("t", 0, &all(&[now, bad, now]));
        assert_eq!(answer.error_code, code::INVALID_TIMESTAMP);
        let which: Vec<i32> = answer.record_errors.iter().map(|error| error.batch_index).collect();
        assert_eq!(which, [1]);
    }
    // By default an hour ahead is the limit, and any age is allowed.
    client.create_topic("default", 1, &[]);
    assert_eq!(client.produce("default", 0, &all(&[0, 1])).error_code, code::NONE);
    assert_eq!(client.produce("default", 0, &all(&[now + 7_200_000])).error_code, code::INVALID_TIMESTAMP);
}

#[test]
fn with_log_append_time_the_broker_sets_the_time_and_says_it() {
    let (_broker, mut client) = with_topic(&[("message.timestamp.type", "LogAppendTime")]);
    let before = now_ms();
    let sent = batch_of(&[(5, Some("k"), "a"), (9, Some("k"), "b")]).build().unwrap();
    let answer = client.produce("t", 0, &sent);
    assert_eq!(answer.error_code, code::NONE);
    let time = answer.log_append_time_ms;
    assert!((before..=now_ms()).contains(&time), "{time}");
    let stored = client.fetch("t", 0, 0).records.unwrap();
    let header = BatchHeader::parse(&stored).unwrap();
    assert!(header.attributes.is_log_append_time());
    assert_eq!(header.max_timestamp.0, time);
    klamm::record::verify(&stored).unwrap();
    assert_eq!(client.offset_at("t", -3).timestamp, time);
    // A client that claims to have done so is refused where the broker would do it, and put right elsewhere.
    assert_eq!(client.produce("t", 0, &stored).error_code, code::INVALID_TIMESTAMP);
    client.create_topic("create", 1, &[]);
    assert_eq!(client.produce("create", 0, &stored).error_code, code::NONE);
    let stored = client.fetch("create", 0, 0).records.unwrap();
    assert!(!klamm::record::verify(&stored).unwrap().attributes.is_log_append_time());
    assert_eq!(client.produce("create", 0, &sent).log_append_time_ms, -1);
}

#[test]
fn a_topics_compression_type_is_what_lies_in_its_log_whatever_the_producer_used() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker.bootstrap());
    let wanted = [
        ("producer", None),
        ("uncompressed", None),
        ("gzip", Some(Compression::Gzip)),
        ("snappy", Some(Compression::Snappy)),
        ("lz4", Some(Compression::Lz4)),
        ("zstd", Some(Compression::Zstd)),
    ];
    let codecs =
        [None, Some(Compression::Gzip), Some(Compression::Snappy), Some(Compression::Lz4), Some(Compression::Zstd)];
    let value = "to be compressed ".repeat(20);
    for (name, expected) in wanted {
        client.create_topic(name, 1, &[("compression.type", name)]);
        for (offset, codec) in (0..).zip(codecs) {
            let mut sent = batch_of(&[(now_ms(), Some("k"), &value), (now_ms(), None, &value)]);
            if let Some(codec) = codec {
                sent = sent.compressed(codec);
            }
            let answer = client.produce(name, 0, &sent.build().unwrap());
            assert_eq!((answer.error_code, answer.base_offset), (code::NONE, 2 * offset), "{codec:?} to {name}");
            let stored = client.fetch(name, 0, 2 * offset).records.unwrap();
            let header = klamm::record::verify(&stored).unwrap();
            assert_eq!(header.attributes.compression(), if name == "producer" { codec } else { expected });
            let plain = records::open(&header, &stored, 1 << 20).unwrap();
            let read = records::Records::new(&header, &plain).unwrap();
            let values: Vec<_> = read.map(|record| record.unwrap().value.unwrap().to_vec()).collect();
            assert_eq!(values, [value.as_bytes(), value.as_bytes()], "{codec:?} to {name}");
        }
    }
}

#[test]
fn a_dynamic_change_of_a_topic_acts_on_the_next_batch() {
    use kafka_protocol::messages::IncrementalAlterConfigsRequest;
    use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let (_broker, mut client) = with_topic(&[]);
    assert_eq!(client.produce("t", 0, &batch(&["x".repeat(500).as_str()])).error_code, code::NONE);
    let config = AlterableConfig::default().with_name(text("max.message.bytes")).with_value(Some(text("400")));
    let resource =
        AlterConfigsResource::default().with_resource_type(2).with_resource_name(text("t")).with_configs(vec![config]);
    let answer = client.call(1, &IncrementalAlterConfigsRequest::default().with_resources(vec![resource]));
    assert_eq!(answer.responses[0].error_code, code::NONE);
    assert_eq!(client.produce("t", 0, &batch(&["x".repeat(500).as_str()])).error_code, code::MESSAGE_TOO_LARGE);
}

#[test]
fn with_flush_messages_1_an_acknowledged_batch_is_visible_and_counted_as_flushed() {
    let (_broker, mut client) = with_topic(&[("flush.messages", "1")]);
    for i in 0..5 {
        let answer = client.produce("t", 0, &batch(&["x"]));
        assert_eq!((answer.error_code, answer.base_offset), (code::NONE, i));
        eventually("the high watermark", || client.fetch("t", 0, 0).high_watermark == i + 1);
    }
}
