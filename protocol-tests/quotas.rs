//! Quotas request by request: the throttle time comes in the answer at once, then the connection is not listened to for that
//! long; and connections that come too fast.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "support/broker.rs"]
mod support;

use common::client::{Client, batch, fetch, produce, text, topic_name};
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, ApiVersionsRequest, CreateTopicsRequest, ListGroupsRequest, MetadataRequest,
};
use std::time::{Duration, Instant};
use support::Broker;

const TOPIC: &str = "t";
const THROTTLING_QUOTA_EXCEEDED: i16 = 89;

/// The client id of every raw client here is `raw`, its user ANONYMOUS.
fn limit(client: &mut Client, entity: &[(&str, Option<&str>)], key: &str, value: Option<f64>) {
    let parts = entity
        .iter()
        .map(|(kind, name)| EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text)));
    let op = OpData::default().with_key(text(key)).with_value(value.unwrap_or(0.0)).with_remove(value.is_none());
    let entry = EntryData::default().with_entity(parts.collect()).with_ops(vec![op]);
    let answer = client.call(1, &AlterClientQuotasRequest::default().with_entries(vec![entry]));
    assert_eq!(answer.entries[0].error_code, 0, "{:?}", answer.entries[0].error_message);
}

fn scene() -> (Broker, Client, Client) {
    let broker = Broker::with(&[]);
    let mut admin = Client::connect(&broker.bootstrap());
    assert_eq!(admin.create_topic(TOPIC, 1, &[]), 0);
    let client = Client::connect(&broker.bootstrap());
    (broker, admin, client)
}

/// The connection answers its next request only after `ms`, more or less.
fn assert_muted(client: &mut Client, since: Instant, ms: i32) {
    client.call(3, &ApiVersionsRequest::default());
    let took = since.elapsed();
    let wait = Duration::from_millis(u64::try_from(ms).unwrap());
    assert!(took + Duration::from_millis(20) >= wait, "answered after {took:?}, not {wait:?}");
    assert!(took < wait + Duration::from_secs(5), "answered after {took:?}, not {wait:?}");
}

fn values(bytes: usize) -> bytes::Bytes {
    batch(&[&"x".repeat(bytes)])
}

#[test]
fn a_producer_beyond_its_rate_is_told_at_once_and_then_not_listened_to() {
    let (_broker, mut admin, mut client) = scene();
    limit(&mut admin, &[("client-id", Some("raw"))], "producer_byte_rate", Some(2000.0));
    let answer = client.call(9, &produce(TOPIC, 0, -1, &values(15_000)));
    assert_eq!(answer.throttle_time_ms, 0);
    let began = Instant::now();
    let answer = client.call(9, &produce(TOPIC, 0, -1, &values(11_000)));
    assert!(began.elapsed() < Duration::from_millis(2500), "the answer was held back");
    // 26 000 bytes and a few in ten seconds, where 20 000 may be: three seconds more.
    let wait = answer.throttle_time_ms;
    assert!((2900..=3500).contains(&wait), "{wait}");
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    assert_muted(&mut client, began, wait);
}

#[test]
fn with_acks_0_the_connection_is_muted_without_a_word() {
    let (_broker, mut admin, mut client) = scene();
    limit(&mut admin, &[("user", None)], "producer_byte_rate", Some(2000.0));
    client.send(9, &produce(TOPIC, 0, 0, &values(22_000)));
    let began = Instant::now();
    client.call(3, &ApiVersionsRequest::default());
    assert!(began.elapsed() > Duration::from_millis(700), "answered after {:?}", began.elapsed());
}

#[test]
fn a_consumer_beyond_its_rate_gets_nothing_until_it_has_waited() {
    let (_broker, mut admin, mut client) = scene();
    for _ in 0..3 {
        assert_eq!(client.produce(TOPIC, 0, &values(9_000)).error_code, 0);
    }
    limit(&mut admin, &[("user", Some("ANONYMOUS")), ("client-id", None)], "consumer_byte_rate", Some(1000.0));
    let mut small = fetch(TOPIC, 0, 0, 0);
    small.topics[0].partitions[0].partition_max_bytes = 9_500;
    let first = client.call(12, &small);
    assert_eq!(first.throttle_time_ms, 0);
    let records = first.responses[0].partitions[0].records.as_ref().map_or(0, bytes::Bytes::len);
    assert!((9_000..=9_500).contains(&records), "{records}");
    let began = Instant::now();
    let second = client.call(12, &fetch(TOPIC, 0, 1, 0));
    let wait = second.throttle_time_ms;
    assert!(wait > 1000 && second.responses.is_empty(), "{second:?}");
    // Lifted while it waits; the wait itself stays.
    limit(&mut admin, &[("user", Some("ANONYMOUS")), ("client-id", None)], "consumer_byte_rate", None);
    assert_muted(&mut client, began, wait.min(9_000));
}

#[test]
fn the_time_that_requests_take_is_held_to_its_share() {
    let (_broker, mut admin, mut client) = scene();
    limit(&mut admin, &[("client-id", Some("raw"))], "request_percentage", Some(0.001));
    let throttled = (0..200).any(|_| client.call(4, &ListGroupsRequest::default()).throttle_time_ms > 0);
    assert!(throttled, "two hundred requests took less than 0.1 ms");
}

fn creation(names: &[&str], partitions: i32) -> CreateTopicsRequest {
    let topics = names.iter().map(|name| {
        CreatableTopic::default().with_name(topic_name(name)).with_num_partitions(partitions).with_replication_factor(1)
    });
    CreateTopicsRequest::default().with_topics(topics.collect()).with_timeout_ms(10_000)
}

#[test]
fn topics_beyond_the_rate_are_refused_where_clients_know_that_and_else_made_and_waited_for() {
    let (_broker, mut admin, mut client) = scene();
    limit(&mut admin, &[("user", Some("ANONYMOUS"))], "controller_mutation_rate", Some(1.0));
    // Eleven may be at once, and once more than that.
    let answer = client.call(6, &creation(&["a", "b"], 12));
    let codes: Vec<(String, i16)> = answer.topics.iter().map(|t| (t.name.to_string(), t.error_code)).collect();
    assert_eq!(codes, [("a".to_owned(), 0), ("b".to_owned(), THROTTLING_QUOTA_EXCEEDED)]);
    let message = answer.topics[1].error_message.as_deref();
    assert_eq!(message, Some("The throttling quota has been exceeded."));
    assert!((1..=1100).contains(&answer.throttle_time_ms), "{}", answer.throttle_time_ms);

    let mut old = Client::connect(&_broker.bootstrap());
    let answer = old.call(5, &creation(&["c"], 2));
    assert_eq!(answer.topics[0].error_code, 0);
    assert!((1_000..=4_000).contains(&answer.throttle_time_ms), "{}", answer.throttle_time_ms);
    let known = admin.call(12, &MetadataRequest::default().with_topics(None));
    assert!(known.topics.iter().all(|topic| topic.name.as_ref().is_none_or(|name| name.as_str() != "b")));
}

#[test]
fn an_address_that_connects_too_fast_is_turned_away_after_a_pause_and_others_are_not() {
    let (broker, mut admin, _client) = scene();
    limit(&mut admin, &[("ip", Some("127.0.0.1"))], "connection_creation_rate", Some(1.0));
    let mut refused = 0;
    for _ in 0..20 {
        let mut client = Client::connect(&broker.bootstrap());
        let id = client.send(3, &ApiVersionsRequest::default());
        match client.next_frame() {
            Some(_) => assert_eq!(id, 1),
            None => refused += 1,
        }
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0, "twenty connections at once were taken");
    limit(&mut admin, &[("ip", Some("127.0.0.1"))], "connection_creation_rate", None);
    Client::connect(&broker.bootstrap()).call(3, &ApiVersionsRequest::default());
}
