//! The protocol, a test for each of its sentences: raw frames against the real binary, answers read by the
//! `kafka-protocol` crate.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "wire_rules/connections.rs"]
mod connections;
#[path = "wire_rules/fetching.rs"]
mod fetching;
#[path = "wire_rules/offsets.rs"]
mod offsets;
#[path = "wire_rules/producing.rs"]
mod producing;
#[path = "wire_rules/sharing.rs"]
mod sharing;
#[path = "support/broker.rs"]
mod support;

use common::client::Client;
use support::Broker;

/// Kafka's codes, as far as these tests meet them.
mod code {
    pub(crate) const NONE: i16 = 0;
    pub(crate) const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub(crate) const CORRUPT_MESSAGE: i16 = 2;
    pub(crate) const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub(crate) const MESSAGE_TOO_LARGE: i16 = 10;
    pub(crate) const INVALID_TOPIC_EXCEPTION: i16 = 17;
    pub(crate) const INVALID_REQUIRED_ACKS: i16 = 21;
    pub(crate) const INVALID_TIMESTAMP: i16 = 32;
    pub(crate) const UNSUPPORTED_VERSION: i16 = 35;
    pub(crate) const INVALID_REQUEST: i16 = 42;
    pub(crate) const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    pub(crate) const INVALID_PRODUCER_EPOCH: i16 = 47;
    pub(crate) const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;
    pub(crate) const INVALID_FETCH_SESSION_EPOCH: i16 = 71;
    pub(crate) const FENCED_LEADER_EPOCH: i16 = 74;
    pub(crate) const UNKNOWN_LEADER_EPOCH: i16 = 75;
    pub(crate) const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
    pub(crate) const INVALID_RECORD: i16 = 87;
    pub(crate) const UNKNOWN_TOPIC_ID: i16 = 100;
}

/// A broker with a topic `t` of one partition, and a connection to it.
fn with_topic(configs: &[(&str, &str)]) -> (Broker, Client) {
    let broker = Broker::start();
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.create_topic("t", 1, configs), code::NONE);
    (broker, client)
}
