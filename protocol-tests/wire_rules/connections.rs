//! Requests as such, connections, listeners.

use super::common::client::{Client, batch, eventually, fetch, produce, text, topic_name};
use super::common::{framed, request};
use super::{Broker, code, with_topic};
use crate::support::free_port;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, FetchRequest, IncrementalAlterConfigsRequest, MetadataRequest, ProduceRequest,
};
use klamm::api::{Side, served_on};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn an_api_versions_request_of_a_later_kafka_is_answered_in_version_0_with_35_and_what_is_served() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker.bootstrap());
    client.send_bytes(&framed(&request(18, 127, 2, &[])));
    let (id, answer) = client.receive::<ApiVersionsRequest>(0);
    assert_eq!((id, answer.error_code), (7, code::UNSUPPORTED_VERSION));
    let ranges: Vec<_> = answer.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
    assert_eq!(ranges, [(18, 0, 4)]);
    // And the connection goes on.
    assert_eq!(
        client
            .call(
                4,
                &ApiVersionsRequest::default()
                    .with_client_software_name(text("raw"))
                    .with_client_software_version(text("1"))
            )
            .error_code,
        code::NONE
    );
}

#[test]
fn api_versions_lists_what_is_served_with_produce_from_0_and_without_telemetry() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker.bootstrap());
    let named =
        ApiVersionsRequest::default().with_client_software_name(text("raw")).with_client_software_version(text("1"));
    for version in 0..=4 {
        let answer = if version < 3 {
            client.call(version, &ApiVersionsRequest::default())
        } else {
            client.call(version, &named)
        };
        assert_eq!(answer.error_code, code::NONE);
        let mut served: Vec<_> =
            served_on(Side::Broker).map(|api| (api.key, api.advertised_min, api.versions.max)).collect();
        served.sort_unstable();
        let mut said: Vec<_> =
            answer.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        said.sort_unstable();
        assert_eq!(said, served, "v{version}");
        assert_eq!(said[0], (0, 0, 13), "Produce");
        assert!(said.iter().all(|(key, ..)| ![71, 72].contains(key)));
        // Older clients cannot read a feature whose least version is 0 (KAFKA-17492).
        let from_zero = answer.supported_features.iter().filter(|feature| feature.min_version == 0).count();
        assert_eq!(from_zero > 0, version >= 4, "v{version}");
        assert_eq!(answer.finalized_features.is_empty(), version < 3, "v{version}");
    }
}

#[test]
fn a_client_that_gives_itself_an_impossible_name_gets_42() {
    let broker = Broker::start();
    let mut client = Client::connect(&broker.bootstrap());
    for (name, version) in [("", "1"), ("raw", ""), ("-raw", "1"), ("r aw", "1")] {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text(name))
            .with_client_software_version(text(version));
        assert_eq!(client.call(3, &request).error_code, code::INVALID_REQUEST, "{name:?} {version:?}");
    }
}

#[test]
fn a_key_or_version_that_is_not_served_closes_the_connection_after_what_came_before_is_answered() {
    let broker = Broker::start();
    let served: Vec<i16> = served_on(Side::Broker).map(|api| api.key).collect();
    let unserved = ApiKey::iter().map(|key| key as i16).filter(|key| !served.contains(key));
    for (key, version) in
        unserved.map(|key| (key, 0)).chain([(4, 0), (9999, 0), (-1, 0), (3, 99), (3, -1), (0, 2), (0, 14), (1, 3)])
    {
        let mut client = Client::connect(&broker.bootstrap());
        client.send(0, &ApiVersionsRequest::default());
        client.send_bytes(&framed(&request(key, version, 1, &[0; 64])));
        client.send(0, &ApiVersionsRequest::default());
        assert_eq!(client.receive::<ApiVersionsRequest>(0).0, 1);
        client.assert_closed(&format!("key {key} version {version}"));
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order_also_when_a_fetch_waits_between_produces() {
    let (_broker, mut client) = with_topic(&[]);
    assert_eq!(client.create_topic("other", 1, &[]), code::NONE);
    let mut stream = Vec::new();
    let mut ids = Vec::new();
    let mut push = |(id, frame): (i32, Vec<u8>)| {
        ids.push(id);
        stream.extend(frame);
    };
    push(client.frame(12, &produce("t", 0, -1, &batch(&["a"]))));
    // Waits for a record that never comes.
    push(client.frame(12, &fetch("other", 0, 0, 4000)));
    push(client.frame(12, &produce("t", 0, -1, &batch(&["b"]))));
    push(client.frame(12, &MetadataRequest::default()));
    push(client.frame(12, &produce("t", 0, 1, &batch(&["c"]))));
    let begun = Instant::now();
    client.send_bytes(&stream);
    let mut seen = Vec::new();
    let produced = |(id, answer): (i32, kafka_protocol::messages::ProduceResponse)| {
        (id, answer.responses[0].partition_responses[0].base_offset)
    };
    let (id, offset) = produced(client.receive::<ProduceRequest>(12));
    assert_eq!(offset, 0);
    assert!(begun.elapsed() < Duration::from_millis(3900), "an answer that is ready waited for a later request");
    seen.push(id);
    // Meanwhile the second batch is there: requests behind the fetch were placed, and only their answers wait.
    let mut reader = Client::connect(&_broker.bootstrap());
    eventually("the second batch", || reader.fetch("t", 0, 0).high_watermark >= 2);
    assert!(begun.elapsed() < Duration::from_millis(3900), "what came after a waiting fetch was not placed");
    let (id, answer) = client.receive::<FetchRequest>(12);
    assert!(begun.elapsed() >= Duration::from_millis(3990), "the fetch did not wait");
    assert!(answer.responses[0].partitions[0].records.as_ref().is_none_or(|records| records.is_empty()));
    seen.push(id);
    let (id, offset) = produced(client.receive::<ProduceRequest>(12));
    assert_eq!(offset, 1);
    seen.push(id);
    seen.push(client.receive::<MetadataRequest>(12).0);
    let (id, offset) = produced(client.receive::<ProduceRequest>(12));
    assert_eq!(offset, 2);
    seen.push(id);
    assert_eq!(seen, ids);
}

#[test]
fn metadata_names_the_address_of_the_listener_on_which_it_was_asked() {
    let (inside, outside) = (free_port(), free_port());
    let _broker = Broker::on(
        inside,
        &[
            &format!("listeners=INSIDE://127.0.0.1:{inside},OUTSIDE://127.0.0.1:{outside}"),
            &format!("advertised.listeners=INSIDE://inside.example:{inside},OUTSIDE://outside.example:1234"),
            "listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT",
            "inter.broker.listener.name=INSIDE",
        ],
    );
    for (port, host, advertised) in [(inside, "inside.example", i32::from(inside)), (outside, "outside.example", 1234)]
    {
        let mut client = Client::connect(&format!("127.0.0.1:{port}"));
        for version in [0, 1, 9, 12] {
            let answer = client.call(version, &MetadataRequest::default());
            let brokers: Vec<_> = answer.brokers.iter().map(|broker| (broker.host.as_str(), broker.port)).collect();
            assert_eq!(brokers, [(host, advertised)], "v{version}");
        }
    }
}

#[test]
fn metadata_creates_a_topic_only_if_client_and_broker_wish_it() {
    let ask = |broker: &Broker, allow| {
        let mut client = Client::connect(&broker.bootstrap());
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name("wanted")));
        let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(allow);
        client.call(12, &request).topics[0].error_code
    };
    let broker = Broker::start();
    assert_eq!(ask(&broker, false), code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(ask(&broker, false), code::UNKNOWN_TOPIC_OR_PARTITION);
    ask(&broker, true);
    eventually("the topic", || ask(&broker, true) == code::NONE);
    let broker = Broker::with(&["auto.create.topics.enable=false"]);
    assert_eq!(ask(&broker, true), code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(ask(&broker, true), code::UNKNOWN_TOPIC_OR_PARTITION);
}

/// The connection is served.
fn is_served(address: &str) -> Option<Client> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket.write_all(&framed(&request(18, 0, 1, &[]))).ok()?;
    socket.read_exact(&mut [0; 10]).ok()?;
    drop(socket);
    let mut client = Client::connect(address);
    client.socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    client.send_bytes(&framed(&request(18, 0, 1, &[])));
    client.next_frame().map(|_| client)
}

#[test]
fn an_address_has_max_connections_per_ip_and_a_change_of_it_acts_at_once() {
    let broker = Broker::with(&["max.connections.per.ip=3"]);
    // The probes of the start may still be counted.
    let mut held = Vec::new();
    eventually("three connections", || {
        held.extend((held.len()..3).map_while(|_| is_served(&broker.bootstrap())));
        held.len() == 3
    });
    Client::connect(&broker.bootstrap()).assert_closed("a fourth connection");
    set_broker_config(&mut held[0], "max.connections.per.ip", "4");
    held.push(Client::connect(&broker.bootstrap()));
    held[3].call(0, &ApiVersionsRequest::default());
    Client::connect(&broker.bootstrap()).assert_closed("a fifth connection");
    held.pop();
    eventually("the place that was left", || is_served(&broker.bootstrap()).is_some());
}

#[test]
fn beyond_max_connections_the_next_waits_for_a_place() {
    let broker = Broker::with(&["max.connections=2"]);
    let mut held = Vec::new();
    eventually("two connections", || {
        held.extend((held.len()..2).map_while(|_| is_served(&broker.bootstrap())));
        held.len() == 2
    });
    let mut third = Client::connect(&broker.bootstrap());
    third.send(0, &ApiVersionsRequest::default());
    third.assert_silent(Duration::from_millis(300));
    held.pop();
    third.receive::<ApiVersionsRequest>(0);
    let mut fourth = Client::connect(&broker.bootstrap());
    fourth.send(0, &ApiVersionsRequest::default());
    fourth.assert_silent(Duration::from_millis(300));
    set_broker_config(&mut third, "max.connections", "10");
    fourth.receive::<ApiVersionsRequest>(0);
}

fn set_broker_config(client: &mut Client, name: &str, value: &str) {
    let config = AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)));
    let resource =
        AlterConfigsResource::default().with_resource_type(4).with_resource_name(text("1")).with_configs(vec![config]);
    let answer = client.call(1, &IncrementalAlterConfigsRequest::default().with_resources(vec![resource]));
    assert_eq!(answer.responses[0].error_code, code::NONE, "{:?}", answer.responses[0].error_message);
}

#[test]
fn a_connection_without_traffic_is_closed_after_connections_max_idle_ms() {
    let broker = Broker::with(&["connections.max.idle.ms=700"]);
    let begun = Instant::now();
    Client::connect(&broker.bootstrap()).assert_closed("a connection that never said anything");
    assert!(begun.elapsed() >= Duration::from_millis(690));
    let mut client = Client::connect(&broker.bootstrap());
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(300));
        client.call(0, &ApiVersionsRequest::default());
    }
    // One that gets no answers is not idle while it sends.
    assert_eq!(client.create_topic("silent", 1, &[]), code::NONE);
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(300));
        client.send(12, &produce("silent", 0, 0, &batch(&["x"])));
    }
    assert_eq!(client.fetch("silent", 0, 0).high_watermark, 8);
    // Nor is one that waits for us.
    assert_eq!(client.create_topic("t", 1, &[]), code::NONE);
    client.call(12, &fetch("t", 0, 0, 2000));
    client.assert_closed("a connection that fell silent");
}

#[test]
fn a_frame_above_socket_request_max_bytes_closes_the_connection_before_it_is_read() {
    let broker = Broker::with(&["socket.request.max.bytes=100000"]);
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.create_topic("t", 1, &[]), code::NONE);
    assert_eq!(client.produce("t", 0, &batch(&["x".repeat(99_000).as_str()])).error_code, code::NONE);
    client.send_bytes(&100_001i32.to_be_bytes());
    client.assert_closed("a frame of a byte too many");
    for length in [-1, i32::MIN, i32::MAX] {
        let mut client = Client::connect(&broker.bootstrap());
        client.send_bytes(&length.to_be_bytes());
        client.assert_closed(&format!("a frame of length {length}"));
    }
}

#[test]
fn requests_larger_than_the_memory_for_requests_are_served_one_after_the_other() {
    let broker = Broker::with(&["socket.request.max.bytes=1000000", "queued.max.request.bytes=1000000"]);
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.create_topic("t", 1, &[]), code::NONE);
    let senders: Vec<_> = (0..16)
        .map(|_| {
            let address = broker.bootstrap();
            std::thread::spawn(move || {
                let mut client = Client::connect(&address);
                for _ in 0..20 {
                    let answer = client.produce("t", 0, &batch(&["x".repeat(900_000).as_str()]));
                    assert_eq!(answer.error_code, code::NONE);
                    let topics = (0..2000)
                        .map(|i| MetadataRequestTopic::default().with_name(Some(topic_name(&format!("none{i}")))));
                    let request = MetadataRequest::default().with_topics(Some(topics.collect()));
                    assert_eq!(client.call(12, &request).topics.len(), 2000);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap_or_else(|_| panic!("a client was not served"));
    }
    assert_eq!(client.fetch("t", 0, 0).high_watermark, 320);
    // What no memory could ever hold is refused.
    let topics = (0..20_000).map(|i| MetadataRequestTopic::default().with_name(Some(topic_name(&i.to_string()))));
    let (_, frame) = client.frame(12, &MetadataRequest::default().with_topics(Some(topics.collect())));
    client.send_bytes(&frame);
    client.assert_closed("a request that takes more than there is");
}
