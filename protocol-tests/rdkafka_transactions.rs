//! Transactions through the `rdkafka` crate, whose producer speaks the older protocol (`transaction.version` 1): commit and
//! abort, fencing, offsets in transactions, timeouts, and what `kill -9` of the broker leaves.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};
use support::{Broker, PATIENCE, client, text};

const TOPIC: &str = "ledger";
const INPUT: &str = "input";

fn broker() -> Broker {
    Broker::with(&[
        "num.partitions=3",
        "offsets.topic.num.partitions=3",
        "offsets.topic.replication.factor=1",
        "transaction.state.log.num.partitions=3",
        "transaction.state.log.replication.factor=1",
        "transaction.state.log.min.isr=1",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms=200",
        "group.initial.rebalance.delay.ms=0",
    ])
}

fn producer(broker: &Broker, id: &str) -> BaseProducer {
    producer_with(broker, id, 60_000)
}

fn producer_with(broker: &Broker, id: &str, timeout_ms: u64) -> BaseProducer {
    let mut config = client(broker);
    config
        .set("transactional.id", id)
        .set("transaction.timeout.ms", timeout_ms.to_string())
        .set("message.timeout.ms", timeout_ms.min(30_000).to_string())
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("log_level", "0");
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, payload: &str) {
    producer.send(BaseRecord::<(), str>::to(topic).partition(partition).payload(payload)).map_err(|(e, _)| e).unwrap();
}

/// A consumer of all partitions of a topic from the beginning, without a group.
fn reader(broker: &Broker, topic: &str, isolation: &str) -> BaseConsumer {
    let mut config = client(broker);
    config.set("group.id", "unused").set("enable.auto.commit", "false").set("isolation.level", isolation);
    let consumer: BaseConsumer = config.create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..3 {
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    consumer
}

/// What there is to read, in order of text; ends when nothing came for a while.
fn read(broker: &Broker, topic: &str, isolation: &str, at_least: usize) -> Vec<String> {
    let consumer = reader(broker, topic, isolation);
    let deadline = Instant::now() + PATIENCE;
    let mut quiet_until = Instant::now() + Duration::from_secs(2);
    let mut seen = Vec::new();
    while Instant::now() < deadline && (seen.len() < at_least || Instant::now() < quiet_until) {
        if let Some(record) = consumer.poll(Duration::from_millis(100)) {
            seen.push(text(&record.unwrap().detach()));
            quiet_until = Instant::now() + Duration::from_secs(1);
        }
    }
    seen.sort();
    seen
}

fn code(error: &KafkaError) -> (RDKafkaErrorCode, bool, bool) {
    let KafkaError::Transaction(error) = error else { panic!("{error:?}") };
    (error.code(), error.is_fatal(), error.txn_requires_abort())
}

#[test]
fn what_is_committed_is_read_and_what_is_aborted_is_not() {
    let broker = broker();
    let producer = producer(&broker, "app");
    for (round, commit) in [(0, true), (1, false), (2, true), (3, false), (4, true)] {
        producer.begin_transaction().unwrap();
        for partition in 0..3 {
            send(&producer, TOPIC, partition, &format!("{round}-{partition}"));
        }
        producer.flush(PATIENCE).unwrap();
        if commit {
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.abort_transaction(PATIENCE).unwrap();
        }
    }
    let committed = ["0-0", "0-1", "0-2", "2-0", "2-1", "2-2", "4-0", "4-1", "4-2"];
    assert_eq!(read(&broker, TOPIC, "read_committed", 9), committed);
    assert_eq!(read(&broker, TOPIC, "read_uncommitted", 15).len(), 15);
}

#[test]
fn what_is_not_decided_is_not_read_and_neither_is_what_comes_after() {
    let broker = broker();
    let (first, second) = (producer(&broker, "first"), producer(&broker, "second"));
    first.begin_transaction().unwrap();
    send(&first, TOPIC, 0, "open");
    first.flush(PATIENCE).unwrap();
    second.begin_transaction().unwrap();
    send(&second, TOPIC, 0, "behind");
    send(&second, TOPIC, 1, "elsewhere");
    second.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&broker, TOPIC, "read_committed", 1), ["elsewhere"]);
    first.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&broker, TOPIC, "read_committed", 3), ["behind", "elsewhere", "open"]);
}

#[test]
fn a_second_producer_of_the_same_id_keeps_the_first_out() {
    let broker = broker();
    let first = producer(&broker, "app");
    first.begin_transaction().unwrap();
    send(&first, TOPIC, 0, "of the first");
    first.flush(PATIENCE).unwrap();
    let second = producer(&broker, "app");
    // Whatever the first does now fails, and for good.
    let error = first.commit_transaction(PATIENCE).unwrap_err();
    let (code, fatal, _) = code(&error);
    assert!(fatal && matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::InvalidProducerEpoch), "{error:?}");
    second.begin_transaction().unwrap();
    send(&second, TOPIC, 0, "of the second");
    second.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&broker, TOPIC, "read_committed", 1), ["of the second"]);
}

#[test]
fn offsets_are_committed_with_the_transaction_or_not_at_all() {
    let broker = broker();
    let input = producer(&broker, "input");
    input.begin_transaction().unwrap();
    for n in 0..10 {
        send(&input, INPUT, 0, &format!("{n}"));
    }
    input.commit_transaction(PATIENCE).unwrap();
    let mut config = client(&broker);
    config
        .set("group.id", "copiers")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[INPUT]).unwrap();
    let producer = producer(&broker, "copier");
    let committed = || {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(INPUT, 0);
        let offsets = consumer.committed_offsets(asked, PATIENCE).unwrap();
        offsets.find_partition(INPUT, 0).unwrap().offset()
    };
    let mut copied = 0;
    let deadline = Instant::now() + PATIENCE;
    while copied < 10 {
        assert!(Instant::now() < deadline, "{copied} copied");
        let Some(record) = consumer.poll(Duration::from_millis(100)) else { continue };
        let record = record.unwrap();
        let mut next = TopicPartitionList::new();
        next.add_partition_offset(INPUT, 0, Offset::Offset(record.offset() + 1)).unwrap();
        // Each is copied twice, and the first time given up.
        for commit in [false, true] {
            let before = committed();
            producer.begin_transaction().unwrap();
            send(&producer, TOPIC, 0, &text(&record.detach()));
            producer.send_offsets_to_transaction(&next, &consumer.group_metadata().unwrap(), PATIENCE).unwrap();
            producer.flush(PATIENCE).unwrap();
            if commit {
                producer.commit_transaction(PATIENCE).unwrap();
                assert_eq!(committed(), Offset::Offset(record.offset() + 1));
            } else {
                producer.abort_transaction(PATIENCE).unwrap();
                assert_eq!(committed(), before);
            }
        }
        copied += 1;
    }
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(read(&broker, TOPIC, "read_committed", 10), expected);
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted() {
    let broker = broker();
    let slow = producer_with(&broker, "slow", 1000);
    slow.begin_transaction().unwrap();
    send(&slow, TOPIC, 0, "too late");
    slow.flush(PATIENCE).unwrap();
    let other = producer(&broker, "other");
    other.begin_transaction().unwrap();
    send(&other, TOPIC, 0, "behind");
    other.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&broker, TOPIC, "read_committed", 1), ["behind"]);
    assert!(slow.commit_transaction(PATIENCE).is_err());
}

#[test]
fn a_topic_that_is_deleted_does_not_keep_a_transaction_from_its_end() {
    let broker = broker();
    let producer = producer(&broker, "app");
    for (goes, commit) in [("goes", true), ("goes-too", false)] {
        producer.begin_transaction().unwrap();
        send(&producer, TOPIC, 0, "stays");
        send(&producer, goes, 0, "goes");
        producer.flush(PATIENCE).unwrap();
        let admin: AdminClient<DefaultClientContext> = client(&broker).create().unwrap();
        let answers = tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(admin.delete_topics(&[goes], &AdminOptions::new()))
            .unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        if commit {
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.abort_transaction(PATIENCE).unwrap();
        }
    }
    assert_eq!(read(&broker, TOPIC, "read_committed", 1), ["stays"]);
}

#[test]
fn a_transaction_outlives_the_broker() {
    let mut broker = broker();
    let producer = producer(&broker, "app");
    for n in 0..20 {
        producer.begin_transaction().unwrap();
        for partition in 0..3 {
            send(&producer, TOPIC, partition, &format!("{n:02}"));
        }
        producer.flush(PATIENCE).unwrap();
        if n % 5 == 2 {
            broker.kill();
            broker.start_again();
        }
        producer.commit_transaction(PATIENCE).unwrap();
        if n % 5 == 4 {
            broker.kill();
            broker.start_again();
        }
    }
    let expected: Vec<String> = (0..20).flat_map(|n| vec![format!("{n:02}"); 3]).collect();
    assert_eq!(read(&broker, TOPIC, "read_committed", 60), expected);
}
