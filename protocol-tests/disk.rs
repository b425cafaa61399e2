//! What the disk does to the binary, and what the binary leaves on the disk.
//!
//! Each test starts a broker in directories of its own. A volume that can be full needs root, to mount a small
//! tmpfs; without root those tests say so and pass.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "disk/damage.rs"]
mod damage;
#[path = "disk/full.rs"]
mod full;
#[path = "disk/life.rs"]
mod life;
#[path = "disk/start.rs"]
mod start;
mod support;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::{Broker, PATIENCE, client, read_all};

fn admin(broker: &Broker) -> AdminClient<DefaultClientContext> {
    client(broker).create().unwrap()
}

async fn create(broker: &Broker, topic: &str, partitions: i32, configs: &[(&str, &str)]) {
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for (name, value) in configs {
        new = new.set(name, value);
    }
    let created = admin(broker).create_topics([&new], &AdminOptions::new()).await.unwrap();
    created.into_iter().for_each(|topic| {
        topic.unwrap();
    });
}

async fn delete(broker: &Broker, topic: &str) {
    let deleted = admin(broker).delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
    deleted.into_iter().for_each(|topic| {
        topic.unwrap();
    });
}

/// A producer that hears of every error instead of trying again, and sends each record in a batch of its own.
fn blunt_producer(broker: &Broker) -> FutureProducer {
    let mut config: ClientConfig = client(broker);
    config.set("message.send.max.retries", "0").set("batch.num.messages", "1").set("linger.ms", "0");
    config.create().unwrap()
}

/// The `n`-th value of a test: told apart by its number, of `size` bytes.
fn value(n: usize, size: usize) -> String {
    format!("{n:0>size$}")
}

/// Sends one record and returns the offset that was acknowledged.
async fn send(producer: &FutureProducer, topic: &str, partition: i32, value: &str) -> Result<i64, RDKafkaErrorCode> {
    let record = FutureRecord::<str, str>::to(topic).partition(partition).payload(value);
    match producer.send(record, PATIENCE).await {
        Ok(delivery) => Ok(delivery.offset),
        Err((error, _)) => Err(match error {
            KafkaError::MessageProduction(code) => code,
            other => panic!("{other}"),
        }),
    }
}

/// What is acknowledged must be read again, at its offset.
#[derive(Default)]
struct Ledger(Vec<(String, i32, i64, String)>);

impl Ledger {
    fn note(&mut self, topic: &str, partition: i32, offset: i64, value: String) {
        self.0.push((topic.to_owned(), partition, offset, value));
    }

    /// Sends values of `size` bytes to a partition; all must be acknowledged.
    async fn fill(&mut self, broker: &Broker, topic: &str, partition: i32, count: usize, size: usize) {
        let producer: FutureProducer = client(broker).create().unwrap();
        let from = self.0.len();
        let values: Vec<String> = (from..from + count).map(|n| value(n, size)).collect();
        let sent = values.iter().map(|value| send(&producer, topic, partition, value));
        for (offset, value) in futures_util::future::join_all(sent).await.into_iter().zip(&values) {
            self.note(topic, partition, offset.unwrap(), value.clone());
        }
    }

    /// Reads all partitions that were written to, from their log starts.
    fn check(&self, broker: &Broker) {
        let mut partitions: Vec<(&str, i32)> = self.0.iter().map(|(topic, n, _, _)| (topic.as_str(), *n)).collect();
        partitions.sort_unstable();
        partitions.dedup();
        for (topic, partition) in partitions {
            let records = read_all(broker, topic, partition);
            let first = records.first().map_or(i64::MAX, Message::offset);
            for (_, _, offset, value) in self.0.iter().filter(|(t, p, _, _)| (t.as_str(), *p) == (topic, partition)) {
                let at =
                    usize::try_from(offset - first).unwrap_or_else(|_| panic!("{topic}-{partition}@{offset} is gone"));
                let there = records.get(at).unwrap_or_else(|| panic!("{topic}-{partition}@{offset} is not there yet"));
                assert_eq!(there.payload(), Some(value.as_bytes()), "{topic}-{partition}@{offset}");
            }
        }
    }
}

/// Looks again and again until it holds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The names in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The log directory, of those given, that holds a partition.
fn home<'a>(dirs: &'a [PathBuf], partition: &str) -> &'a Path {
    let homes: Vec<&PathBuf> = dirs.iter().filter(|dir| dir.join(partition).is_dir()).collect();
    assert_eq!(homes.len(), 1, "{partition} lies in {homes:?}");
    homes[0]
}

/// As `log.dirs` takes them.
fn log_dirs(dirs: &[PathBuf]) -> String {
    let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    format!("log.dirs={}", dirs.join(","))
}
