//! Fetch.

use super::common::client::{Client, batch, eventually, fetch, now_ms, topic_name};
use super::{Broker, code, with_topic};
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse, MetadataRequest};
use klamm::model::{ProducerEpoch, ProducerId, Sequence};
use klamm::record::{BatchHeader, Batches};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The batches of an answer.
fn headers(records: Option<Bytes>) -> Vec<BatchHeader> {
    let records = records.unwrap_or_default();
    Batches::new(&records).map(|batch| batch.unwrap().0).collect()
}

#[test]
fn an_offset_inside_a_batch_gets_the_whole_batch_from_its_base() {
    let (_broker, mut client) = with_topic(&[]);
    client.produce("t", 0, &batch(&["a", "b", "c"]));
    client.produce("t", 0, &batch(&["d", "e"]));
    for (from, bases) in [(0, &[0, 3][..]), (1, &[0, 3]), (2, &[0, 3]), (3, &[3]), (4, &[3]), (5, &[])] {
        let answer = client.fetch("t", 0, from);
        assert_eq!((answer.error_code, answer.high_watermark), (code::NONE, 5));
        let found: Vec<i64> = headers(answer.records).iter().map(|header| header.base_offset.0).collect();
        assert_eq!(found, bases, "from {from}");
    }
}

#[test]
fn an_offset_before_the_start_or_beyond_the_end_is_out_of_range() {
    let (_broker, mut client) = with_topic(&[]);
    client.produce("t", 0, &batch(&["a", "b"]));
    for from in [3, 1000, i64::MAX, -1, -2, i64::MIN] {
        let answer = client.fetch("t", 0, from);
        assert_eq!(answer.error_code, code::OFFSET_OUT_OF_RANGE, "from {from}");
        assert_eq!(answer.high_watermark, -1);
    }
    assert_eq!(client.fetch("t", 0, 2).error_code, code::NONE, "the end itself is in range");
}

#[test]
fn the_first_batch_comes_whole_however_small_the_limits_are() {
    let (_broker, mut client) = with_topic(&[]);
    client.produce("t", 0, &batch(&["x".repeat(10_000).as_str()]));
    client.produce("t", 0, &batch(&["y"]));
    let mut request = fetch("t", 0, 0, 0).with_max_bytes(1);
    request.topics[0].partitions[0].partition_max_bytes = 1;
    let answer = client.call(12, &request).responses.remove(0).partitions.remove(0);
    let found = headers(answer.records);
    assert_eq!(found.iter().map(|header| header.base_offset.0).collect::<Vec<_>>(), [0]);
}

#[test]
fn partitions_that_are_not_there_are_answered_behind_those_that_are() {
    let (_broker, mut client) = with_topic(&[]);
    let mut request = fetch("none", 0, 0, 0);
    request.topics.push(fetch("t", 0, 0, 0).topics.remove(0));
    let answer = client.call(12, &request);
    let told: Vec<_> =
        answer.responses.iter().map(|topic| (topic.topic.as_str(), topic.partitions[0].error_code)).collect();
    assert_eq!(told, [("t", code::NONE), ("none", code::UNKNOWN_TOPIC_OR_PARTITION)]);
}

#[test]
fn an_unknown_topic_partition_or_topic_id_has_its_own_error() {
    let (_broker, mut client) = with_topic(&[]);
    assert_eq!(client.fetch("none", 0, 0).error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(client.fetch("t", 7, 0).error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(client.fetch("t", -1, 0).error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
    let by_id = |id: Uuid| {
        let mut request = fetch("", 0, 0, 0);
        request.topics[0].topic_id = id;
        request
    };
    for id in [Uuid::from_u128(77), Uuid::nil()] {
        let answer = client.call(13, &by_id(id)).responses.remove(0).partitions.remove(0);
        assert_eq!(answer.error_code, code::UNKNOWN_TOPIC_ID);
    }
    let id = client.call(12, &MetadataRequest::default().with_topics(None)).topics[0].topic_id;
    let answer = client.call(18, &by_id(id)).responses.remove(0);
    assert_eq!((answer.topic_id, answer.partitions[0].error_code), (id, code::NONE));
}

#[test]
fn a_waiting_fetch_is_answered_by_the_append_and_not_by_a_timer() {
    let (broker, mut client) = with_topic(&[]);
    let mut producer = Client::connect(&broker.bootstrap());
    for round in 0..5 {
        client.send(12, &fetch("t", 0, round, 20_000));
        client.assert_silent(Duration::from_millis(100));
        let begun = Instant::now();
        producer.produce("t", 0, &batch(&["news"]));
        let (_, answer) = client.receive::<FetchRequest>(12);
        assert!(begun.elapsed() < Duration::from_secs(10), "half of the longest wait");
        let partition = &answer.responses[0].partitions[0];
        assert_eq!((partition.error_code, partition.high_watermark), (code::NONE, round + 1));
        assert_eq!(headers(partition.records.clone()).len(), 1);
    }
}

#[test]
fn a_fetch_waits_for_min_bytes_and_not_longer_than_max_wait() {
    let (broker, mut client) = with_topic(&[]);
    let one = batch(&["x"]);
    let mut producer = Client::connect(&broker.bootstrap());
    producer.produce("t", 0, &one);
    let wanted = i32::try_from(2 * one.len()).unwrap();
    let begun = Instant::now();
    let answer = client.call(12, &fetch("t", 0, 0, 300).with_min_bytes(wanted));
    assert!(begun.elapsed() >= Duration::from_millis(290), "answered too early");
    assert_eq!(headers(answer.responses[0].partitions[0].records.clone()).len(), 1, "with what there is");
    client.send(12, &fetch("t", 0, 0, 20_000).with_min_bytes(wanted));
    client.assert_silent(Duration::from_millis(100));
    producer.produce("t", 0, &one);
    let (_, answer) = client.receive::<FetchRequest>(12);
    assert_eq!(headers(answer.responses[0].partitions[0].records.clone()).len(), 2);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_error_is_not_waited_with() {
    let (_broker, mut client) = with_topic(&[]);
    let begun = Instant::now();
    let mut request = fetch("t", 0, 0, 20_000);
    request.topics.extend(fetch("none", 0, 0, 0).topics);
    let answer = client.call(12, &request);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(answer.responses[1].partitions[0].error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn a_leader_epoch_that_is_not_the_present_one_is_refused() {
    let (_broker, mut client) = with_topic(&[]);
    for (epoch, error) in [(-1, code::NONE), (0, code::NONE), (1, code::UNKNOWN_LEADER_EPOCH)] {
        let mut request = fetch("t", 0, 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        assert_eq!(client.call(12, &request).responses[0].partitions[0].error_code, error, "epoch {epoch}");
    }
    assert_ne!(code::FENCED_LEADER_EPOCH, code::UNKNOWN_LEADER_EPOCH);
}

#[test]
fn a_client_whose_log_goes_beyond_the_end_of_its_last_epoch_is_told_where_it_diverges() {
    let (_broker, mut client) = with_topic(&[]);
    client.produce("t", 0, &batch(&["a", "b"]));
    let mut ask = |last_epoch, from| {
        let mut request = fetch("t", 0, from, 20_000);
        request.topics[0].partitions[0].last_fetched_epoch = last_epoch;
        client.call(12, &request).responses.remove(0).partitions.remove(0)
    };
    let answer = ask(0, 3);
    assert_eq!(answer.error_code, code::NONE);
    assert_eq!((answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset), (0, 2));
    assert!(answer.records.is_none_or(|records| records.is_empty()));
    assert_eq!(ask(0, 1).diverging_epoch.end_offset, -1, "what agrees does not diverge");
    assert_eq!(ask(5, 2).error_code, code::OFFSET_OUT_OF_RANGE, "an epoch that nobody has had");
}

/// A request in a session.
fn in_session(id: i32, epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
    let partitions = partitions.iter().map(|(partition, from)| {
        FetchPartition::default().with_partition(*partition).with_fetch_offset(*from).with_partition_max_bytes(1 << 20)
    });
    let topic = FetchTopic::default().with_topic(topic_name("t")).with_partitions(partitions.collect());
    let topics = if topic.partitions.is_empty() { vec![] } else { vec![topic] };
    fetch("t", 0, 0, 0).with_session_id(id).with_session_epoch(epoch).with_topics(topics)
}

fn partitions(answer: &FetchResponse) -> Vec<i32> {
    let all = answer.responses.iter().flat_map(|topic| &topic.partitions);
    all.map(|partition| partition.partition_index).collect()
}

#[test]
fn a_session_remembers_its_partitions_and_answers_with_what_is_new() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker.bootstrap());
    client.create_topic("t", 3, &[]);
    let answer = client.call(12, &in_session(0, 0, &[(0, 0), (1, 0), (2, 0)]));
    let id = answer.session_id;
    assert_ne!(id, 0, "a session was made");
    assert_eq!(partitions(&answer), [0, 1, 2], "the first answer is full");
    assert_eq!(partitions(&client.call(12, &in_session(id, 1, &[]))), [0; 0], "nothing is new");
    client.produce("t", 1, &batch(&["a"]));
    let answer = client.call(12, &in_session(id, 2, &[]));
    assert_eq!((answer.session_id, partitions(&answer)), (id, vec![1]));
    // Not asked further: the same records again, since they were not taken.
    assert_eq!(partitions(&client.call(12, &in_session(id, 3, &[]))), [1]);
    assert_eq!(partitions(&client.call(12, &in_session(id, 4, &[(1, 1)]))), [0; 0]);
    client.produce("t", 0, &batch(&["b"]));
    client.produce("t", 2, &batch(&["c"]));
    let forgotten = ForgottenTopic::default().with_topic(topic_name("t")).with_partitions(vec![0]);
    let answer = client.call(12, &in_session(id, 5, &[]).with_forgotten_topics_data(vec![forgotten]));
    assert_eq!(partitions(&answer), [2], "what was forgotten is not answered");
    // Closing it.
    let answer = client.call(12, &in_session(id, -1, &[(0, 0)]));
    assert_eq!((answer.session_id, partitions(&answer)), (0, vec![0]));
    assert_eq!(client.call(12, &in_session(id, 6, &[])).error_code, code::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn a_wrong_session_epoch_or_an_unknown_session_is_refused_as_a_whole() {
    let (_broker, mut client) = with_topic(&[]);
    let id = client.call(12, &in_session(0, 0, &[(0, 0)])).session_id;
    for epoch in [2, 7, i32::MAX] {
        let answer = client.call(12, &in_session(id, epoch, &[]));
        assert_eq!(answer.error_code, code::INVALID_FETCH_SESSION_EPOCH, "epoch {epoch}");
        assert!(answer.responses.is_empty());
    }
    assert_eq!(client.call(12, &in_session(id, 1, &[])).error_code, code::NONE, "the session goes on");
    assert_eq!(client.call(12, &in_session(id + 1, 1, &[])).error_code, code::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn read_committed_says_the_last_stable_offset_and_who_aborted() {
    let (_broker, mut client) = with_topic(&[]);
    client.produce("t", 0, &batch(&["a", "b"]));
    for (isolation, lists_aborted) in [(0, false), (1, true)] {
        let request = fetch("t", 0, 0, 0).with_isolation_level(isolation);
        for version in [4, 11, 12] {
            let answer = client.call(version, &request).responses.remove(0).partitions.remove(0);
            assert_eq!((answer.high_watermark, answer.last_stable_offset), (2, 2), "v{version}");
            let aborted = answer.aborted_transactions.map(|aborted| aborted.len());
            assert_eq!(aborted, lists_aborted.then_some(0), "v{version} isolation {isolation}");
            assert_eq!(headers(answer.records).len(), 1);
        }
    }
}

#[test]
fn what_is_fetched_is_what_was_produced_but_for_offset_and_epoch() {
    let (_broker, mut client) = with_topic(&[]);
    let sent = super::common::client::batch_of(&[(now_ms(), Some("k"), "v"), (now_ms(), None, "w")])
        .producer(ProducerId(4000), ProducerEpoch(0), Sequence(0))
        .build()
        .unwrap();
    client.produce("t", 0, &batch(&["first"]));
    assert_eq!(client.produce("t", 0, &sent).base_offset, 1);
    let got = client.fetch("t", 0, 1).records.unwrap();
    assert_eq!(got.len(), sent.len());
    assert_eq!(&got[..8], &1i64.to_be_bytes(), "the base offset");
    assert_eq!(&got[8..12], &sent[8..12]);
    assert_eq!(&got[12..16], &0i32.to_be_bytes(), "the leader epoch");
    assert_eq!(&got[16..], &sent[16..]);
}

#[test]
fn the_log_start_is_in_every_answer_and_rises_with_deleted_records() {
    let (_broker, mut client) = with_topic(&[]);
    client.produce("t", 0, &batch(&["a", "b", "c"]));
    assert_eq!(client.fetch("t", 0, 0).log_start_offset, 0);
    super::offsets::delete_records(&mut client, "t", 2);
    eventually("the log start", || client.fetch("t", 0, 2).log_start_offset == 2);
    assert_eq!(client.fetch("t", 0, 1).error_code, code::OFFSET_OUT_OF_RANGE);
}
