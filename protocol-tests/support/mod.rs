//! What every black-box test needs: the binary as a child process, and parts of rdkafka.
#![allow(dead_code, reason = "every test program uses its own part of this")]

pub(crate) mod broker;
pub(crate) mod chance;

pub(crate) use broker::{Broker, PATIENCE};

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedMessage;
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// A client configuration for the broker.
pub(crate) fn client(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap());
    config
}

/// A consumer of one partition from an offset, without a group.
pub(crate) fn reader(broker: &Broker, topic: &str, partition: i32, from: Offset) -> BaseConsumer {
    let consumer: BaseConsumer =
        client(broker).set("group.id", "unused").set("enable.auto.commit", "false").create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, from).unwrap();
    consumer.assign(&assignment).unwrap();
    consumer
}

/// The next `count` records, or as many as come while the patience lasts.
pub(crate) fn take(consumer: &BaseConsumer, count: usize) -> Vec<OwnedMessage> {
    let deadline = Instant::now() + PATIENCE;
    let mut records = Vec::with_capacity(count);
    while records.len() < count && Instant::now() < deadline {
        if let Some(record) = consumer.poll(Duration::from_millis(100)) {
            records.push(record.unwrap().detach());
        }
    }
    records
}

/// Everything that a partition holds now.
pub(crate) fn read_all(broker: &Broker, topic: &str, partition: i32) -> Vec<OwnedMessage> {
    let consumer = reader(broker, topic, partition, Offset::Beginning);
    let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap();
    let records = take(&consumer, usize::try_from(high - low).unwrap());
    assert_eq!(
        records.iter().map(Message::offset).collect::<Vec<_>>(),
        (low..high).collect::<Vec<_>>(),
        "the offsets of {topic}-{partition} have no gaps"
    );
    records
}

/// The payload as text; records of these tests have one.
pub(crate) fn text(record: &OwnedMessage) -> String {
    String::from_utf8(record.payload().unwrap().to_vec()).unwrap()
}

/// Waits until a client is told of these brokers, in order of their ids. Before, it may not know whom to ask to create topics.
pub(crate) fn wait_for_brokers(bootstrap: &str, wanted: &[i32]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(5));
        let mut known: Vec<i32> = metadata.iter().flat_map(|all| all.brokers()).map(|broker| broker.id()).collect();
        known.sort_unstable();
        if known == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "after {PATIENCE:?} the brokers are {known:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
