//! ListOffsets, DeleteRecords, OffsetForLeaderEpoch.

use super::common::client::{Client, batch, batch_of, now_ms, topic_name};
use super::{code, with_topic};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_records_response::DeleteRecordsPartitionResult;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{DeleteRecordsRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest};
use klamm::record::Compression;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// Deletes what is before `offset` in partition 0.
pub(crate) fn delete_records(client: &mut Client, topic: &str, offset: i64) -> DeleteRecordsPartitionResult {
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    client.call(2, &request).topics.remove(0).partitions.remove(0)
}

#[test]
fn earliest_and_latest_are_the_log_start_and_the_offset_after_the_last_record() {
    let (_broker, mut client) = with_topic(&[]);
    let at = |client: &mut Client, what| {
        let answer = client.offset_at("t", what);
        (answer.error_code, answer.offset, answer.timestamp)
    };
    assert_eq!(at(&mut client, EARLIEST), (code::NONE, 0, -1));
    assert_eq!(at(&mut client, LATEST), (code::NONE, 0, -1));
    client.produce("t", 0, &batch(&["a", "b", "c"]));
    assert_eq!(at(&mut client, LATEST), (code::NONE, 3, -1));
    assert_eq!(delete_records(&mut client, "t", 2).low_watermark, 2);
    assert_eq!(at(&mut client, EARLIEST), (code::NONE, 2, -1));
    assert_eq!(at(&mut client, EARLIEST_LOCAL), (code::NONE, 2, -1));
    assert_eq!(at(&mut client, LATEST_TIERED), (code::NONE, -1, -1));
}

#[test]
fn a_timestamp_finds_the_first_record_at_or_after_it_inside_batches_of_every_codec() {
    let now = now_ms();
    for codec in
        [None, Some(Compression::Gzip), Some(Compression::Snappy), Some(Compression::Lz4), Some(Compression::Zstd)]
    {
        let (_broker, mut client) = with_topic(&[]);
        for (base, value) in [(0, "first"), (30, "second")] {
            let mut records =
                batch_of(&[(now + base, None, value), (now + base + 10, None, value), (now + base + 20, None, value)]);
            if let Some(codec) = codec {
                records = records.compressed(codec);
            }
            assert_eq!(client.produce("t", 0, &records.build().unwrap()).error_code, code::NONE);
        }
        for (asked, offset, timestamp) in
            [(0, 0, 0), (1, 1, 10), (10, 1, 10), (11, 2, 20), (20, 2, 20), (21, 3, 30), (45, 5, 50), (50, 5, 50)]
        {
            let answer = client.offset_at("t", now + asked);
            assert_eq!((answer.offset, answer.timestamp), (offset, now + timestamp), "{codec:?} at {asked}");
            assert_eq!((answer.error_code, answer.leader_epoch), (code::NONE, 0));
        }
        let answer = client.offset_at("t", now + 51);
        assert_eq!((answer.error_code, answer.offset, answer.timestamp), (code::NONE, -1, -1), "after the last record");
    }
}

#[test]
fn max_timestamp_is_the_record_with_the_largest_and_not_the_last() {
    let (_broker, mut client) = with_topic(&[]);
    let now = now_ms();
    let answer = client.offset_at("t", MAX_TIMESTAMP);
    assert_eq!((answer.error_code, answer.offset, answer.timestamp), (code::NONE, -1, -1), "an empty partition");
    let records = [(now, None, "a"), (now + 50, None, "b"), (now + 20, None, "c")];
    client.produce("t", 0, &batch_of(&records).build().unwrap());
    client.produce("t", 0, &batch_of(&[(now + 30, None, "d")]).build().unwrap());
    let answer = client.offset_at("t", MAX_TIMESTAMP);
    assert_eq!((answer.error_code, answer.offset, answer.timestamp), (code::NONE, 1, now + 50));
}

#[test]
fn a_special_timestamp_that_the_version_does_not_have_is_35() {
    let (_broker, mut client) = with_topic(&[]);
    for (special, since) in [(MAX_TIMESTAMP, 7), (EARLIEST_LOCAL, 8), (LATEST_TIERED, 9), (-6, 11), (-7, 99)] {
        for version in 1..=10 {
            let error = client.call(version, &list_offsets(special)).topics[0].partitions[0].error_code;
            let expected = if version >= since { code::NONE } else { code::UNSUPPORTED_VERSION };
            assert_eq!(error, expected, "{special} in v{version}");
        }
        // v11, which looks like v10 and which the crate does not know.
        let (id, mut frame) = client.frame(10, &list_offsets(special));
        frame[6..8].copy_from_slice(&11i16.to_be_bytes());
        client.send_bytes(&frame);
        let (answered, answer) = client.receive::<ListOffsetsRequest>(10);
        let expected = if since <= 11 { code::NONE } else { code::UNSUPPORTED_VERSION };
        assert_eq!((answered, answer.topics[0].partitions[0].error_code), (id, expected), "{special} in v11");
    }
}

fn list_offsets(timestamp: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
}

#[test]
fn a_partition_asked_for_twice_is_refused_and_an_unknown_one_is_unknown() {
    let (_broker, mut client) = with_topic(&[]);
    let partition = || ListOffsetsPartition::default().with_timestamp(LATEST);
    let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition(), partition()]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let answer = client.call(10, &request);
    assert!(answer.topics[0].partitions.iter().all(|partition| partition.error_code == code::INVALID_REQUEST));
    assert_eq!(client.offset_at("none", LATEST).error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn records_are_deleted_up_to_an_offset_or_the_high_watermark_and_never_beyond() {
    let (_broker, mut client) = with_topic(&[]);
    client.produce("t", 0, &batch(&["a", "b", "c", "d"]));
    let mut delete = |offset| {
        let result = delete_records(&mut client, "t", offset);
        (result.error_code, result.low_watermark)
    };
    assert_eq!(delete(1), (code::NONE, 1));
    assert_eq!(delete(0), (code::NONE, 1), "what is gone stays gone");
    assert_eq!(delete(5), (code::OFFSET_OUT_OF_RANGE, -1));
    assert_eq!(delete(-2), (code::OFFSET_OUT_OF_RANGE, -1));
    assert_eq!(delete(3), (code::NONE, 3));
    assert_eq!(delete(-1), (code::NONE, 4), "-1 is the high watermark");
    assert_eq!(delete_records(&mut client, "none", 0).error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(client.fetch("t", 0, 3).error_code, code::OFFSET_OUT_OF_RANGE);
    assert_eq!(client.produce("t", 0, &batch(&["e"])).log_start_offset, 4, "Produce says it, too");
}

#[test]
fn records_of_a_compacted_topic_are_not_deleted() {
    let (_broker, mut client) = with_topic(&[("cleanup.policy", "compact")]);
    client.produce("t", 0, &batch(&["a"]));
    assert_eq!(delete_records(&mut client, "t", 1).error_code, 44, "POLICY_VIOLATION");
}

#[test]
fn the_end_of_an_epoch_is_the_start_of_the_next_or_the_log_end() {
    let (_broker, mut client) = with_topic(&[]);
    client.produce("t", 0, &batch(&["a", "b", "c"]));
    let mut ask = |current, epoch| {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(0)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default().with_topic(topic_name("t")).with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default().with_replica_id((-2).into()).with_topics(vec![topic]);
        let mut answers = Vec::new();
        for version in 2..=4 {
            let answer = client.call(version, &request).topics.remove(0).partitions.remove(0);
            answers.push((answer.error_code, answer.leader_epoch, answer.end_offset));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "all versions say the same");
        answers.remove(0)
    };
    assert_eq!(ask(-1, 0), (code::NONE, 0, 3));
    assert_eq!(ask(0, 0), (code::NONE, 0, 3));
    assert_eq!(ask(-1, 5), (code::NONE, -1, -1), "an epoch that nobody has had");
    assert_eq!(ask(1, 0), (code::UNKNOWN_LEADER_EPOCH, -1, -1));
}

#[test]
fn read_committed_latest_is_the_last_stable_offset() {
    let (_broker, mut client) = with_topic(&[]);
    client.produce("t", 0, &batch(&["a", "b"]));
    let request = list_offsets(LATEST).with_isolation_level(1);
    assert_eq!(client.call(10, &request).topics[0].partitions[0].offset, 2);
}
