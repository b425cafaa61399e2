//! A changelog that is compacted while nobody looks: what is left is the last record of each key, where it was; and a
//! consumer that restores a table from it has the table.
//!
//! `KEYS=10000000 RECORDS=14000000 cargo test --release --test compaction -- --nocapture` for a large one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant};
use support::chance::{Chance, number_from};
use support::{Broker, PATIENCE, client, reader};

const TOPIC: &str = "changelog";

/// No record with this key.
const NEVER: u32 = u32::MAX;

fn settings(keys: u64) -> Vec<String> {
    // Several segments, however few records there are.
    let segment = (keys * 20).clamp(1 << 20, 128 << 20);
    vec![
        "log.cleanup.policy=compact".into(),
        "log.cleaner.backoff.ms=100".into(),
        "log.cleaner.min.cleanable.ratio=0.01".into(),
        format!("log.segment.bytes={segment}"),
    ]
}

/// The key of each record; its value is its number, and so is its offset.
fn keys_of(keys: u64, records: u64) -> impl Iterator<Item = u32> {
    let mut chance = Chance(keys);
    (0..records).map(move |_| u32::try_from(chance.below(keys)).unwrap())
}

fn produce(broker: &Broker, keys: u64, records: u64) {
    let mut config = client(broker);
    config.set("enable.idempotence", "true").set("linger.ms", "20").set("queue.buffering.max.messages", "1000000");
    let producer: BaseProducer = config.create().unwrap();
    for (n, key) in keys_of(keys, records).enumerate() {
        let (key, value) = (format!("key-{key:08}"), format!("{n:010}"));
        let mut record = BaseRecord::to(TOPIC).partition(0).key(&key).payload(&value);
        while let Err((error, again)) = producer.send(record) {
            assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            producer.poll(Duration::from_millis(10));
            record = again;
        }
        if n % 10_000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(PATIENCE).unwrap();
}

/// Up to where the log is clean, as the broker notes it for its next start.
fn cleaned_to(broker: &Broker) -> Option<i64> {
    let text = std::fs::read_to_string(broker.data_dir().join("data/cleaner-offset-checkpoint")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{TOPIC} 0 ")))?;
    line.trim().parse().ok()
}

/// Where the log has been cleaned to, once that does not change any more.
fn wait_until_clean(broker: &Broker, keys: u64) -> i64 {
    let deadline = Instant::now() + 10 * PATIENCE;
    // One cleaning may follow another.
    let quiet = Duration::from_secs(3 + keys / 300_000);
    let (mut reached, mut since) = (None, Instant::now());
    loop {
        assert!(Instant::now() < deadline, "not compacted: {reached:?}");
        let now = cleaned_to(broker);
        if now != reached {
            (reached, since) = (now, Instant::now());
        }
        match reached {
            Some(at) if at > 0 && since.elapsed() > quiet => return at,
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Every record from the beginning to the end: its offset, key, and value.
fn read(broker: &Broker, mut see: impl FnMut(i64, u32, u32)) {
    let consumer: BaseConsumer = reader(broker, TOPIC, 0, rdkafka::Offset::Beginning);
    let (_, end) = consumer.fetch_watermarks(TOPIC, 0, PATIENCE).unwrap();
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap().parse().unwrap();
    loop {
        let record = consumer.poll(PATIENCE).expect("no record").unwrap();
        see(record.offset(), number(&record.key().unwrap()[4..]), number(record.payload().unwrap()));
        if record.offset() == end - 1 {
            return;
        }
    }
}

#[test]
fn a_table_is_restored_from_what_compaction_leaves() {
    let (keys, records) = (number_from("KEYS", 20_000), number_from("RECORDS", 120_000));
    let settings = settings(keys);
    let mut broker = Broker::with(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    produce(&broker, keys, records);
    let clean = wait_until_clean(&broker, keys);
    let (mut table, mut last_clean) = (vec![NEVER; keys as usize], vec![NEVER; keys as usize]);
    for (n, key) in keys_of(keys, records).enumerate() {
        table[key as usize] = n as u32;
        if (n as i64) < clean {
            last_clean[key as usize] = n as u32;
        }
    }
    let kept = last_clean.iter().filter(|n| **n != NEVER).count();
    println!("clean up to {clean} of {records}: {kept} keys");
    assert!((kept as i64) < clean, "there was nothing to compact");
    for life in ["as it ran", "after kill -9"] {
        let mut restored = vec![NEVER; keys as usize];
        let (mut before, mut found) = (-1, 0);
        read(&broker, |offset, key, value| {
            assert!(offset > before, "{life}: {offset} after {before}");
            before = offset;
            assert_eq!(offset, i64::from(value), "{life}: a record is not where it was");
            if offset < clean {
                found += 1;
                assert_eq!(last_clean[key as usize], value, "{life}: key {key} was superseded");
            }
            restored[key as usize] = value;
        });
        assert_eq!(found, kept, "{life}: of some keys nothing is left");
        assert!(restored == table, "{life}: the table is another one");
        broker.kill();
        broker.start_again();
    }
}
