//! kill -9 of the real binary under load, over and over, with an oracle.
//!
//! Idempotent producers (acks=all, five requests in flight) write numbered values to a few partitions while a consumer
//! reads along. The broker is killed at a random moment, now and then once more during its recovery, and started on the same
//! directory; the producers live on and retry. Then every partition is read from the beginning. What the oracle holds
//! the broker to:
//!
//! - every acknowledged value is there, at exactly the offset that was acknowledged (nothing lost);
//! - no value is at two offsets (nothing duplicated, retries across the kill included);
//! - in a partition the values of a producer are in the order in which they were sent (nothing reordered), and so are
//!   the offsets acknowledged to it;
//! - nothing is there that was not sent, or whose sending failed for certain; a value whose fate is unknown may be there;
//! - the offsets of a partition have no gaps, and an offset once read gives the same value for ever.
//!
//! `KILL9_ROUNDS` sets the number of rounds, `KILL9_SEED` the seed (printed; it decides when the kills come).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use support::chance::{Chance, number_from};
use support::{Broker, PATIENCE, client};

const TOPIC: &str = "kill9";
const PARTITIONS: i32 = 4;
const PRODUCERS: usize = 3;

/// A value: which producer sent it, and its place in what that producer sent to the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Value {
    producer: usize,
    partition: i32,
    number: u64,
}

impl Value {
    /// Its bytes, padded to sizes from a few bytes to some kilobytes.
    fn payload(self) -> String {
        let padding = usize::try_from(self.number * 7919 % 97).unwrap();
        let padding = if self.number.is_multiple_of(50) { padding * 60 } else { padding };
        format!("{} {} {} {}", self.producer, self.partition, self.number, "x".repeat(padding))
    }

    fn parse(payload: &[u8]) -> Option<Value> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut words = text.split(' ');
        let value = Value {
            producer: words.next()?.parse().ok()?,
            partition: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
        };
        (value.payload() == text).then_some(value)
    }
}

/// What is known about a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Sent; nothing heard, or an error that leaves it open.
    Unknown,
    Acknowledged(i64),
    /// Refused for certain: it must not be there.
    Failed,
}

#[derive(Default)]
struct History {
    fates: HashMap<Value, Fate>,
    /// By producer and partition, the offsets acknowledged, in the order of the acknowledgements' values.
    acknowledged: u64,
    /// What each offset gave when it was read, ever.
    seen: HashMap<(i32, i64), Value>,
    violations: Vec<String>,
}

impl History {
    fn violation(&mut self, text: String) {
        if self.violations.len() < 20 {
            self.violations.push(text);
        }
    }

    fn read(&mut self, partition: i32, offset: i64, payload: Option<&[u8]>) {
        let Some(value) = payload.and_then(Value::parse) else {
            self.violation(format!("{partition}@{offset}: bytes that nobody sent: {payload:?}"));
            return;
        };
        if value.partition != partition || !self.fates.contains_key(&value) {
            self.violation(format!("{partition}@{offset}: {value:?} was not sent there"));
        }
        let before = self.seen.insert((partition, offset), value);
        if before.is_some_and(|before| before != value) {
            self.violation(format!("{partition}@{offset}: was {before:?}, is {value:?}"));
        }
    }
}

struct Ledger(Arc<Mutex<History>>);

impl ClientContext for Ledger {
    // The connection is cut by every kill; what comes of it is in the delivery reports.
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Ledger {
    type DeliveryOpaque = Box<Value>;

    fn delivery(&self, result: &DeliveryResult<'_>, value: Box<Value>) {
        let fate = match result {
            Ok(message) => Fate::Acknowledged(message.offset()),
            Err((error, _)) => match error.rdkafka_error_code() {
                // The broker said no, and kept nothing of it.
                Some(
                    RDKafkaErrorCode::MessageSizeTooLarge
                    | RDKafkaErrorCode::InvalidRecord
                    | RDKafkaErrorCode::InvalidMessage
                    | RDKafkaErrorCode::InvalidTimestamp,
                ) => Fate::Failed,
                _ => Fate::Unknown,
            },
        };
        let mut history = self.0.lock().unwrap();
        if let (Fate::Unknown, Err((error, _))) = (fate, result) {
            // With five minutes for a message and a broker that comes back, every send ends well.
            history.violation(format!("{value:?} was given up: {error}"));
        }
        history.acknowledged += u64::from(matches!(fate, Fate::Acknowledged(_)));
        history.fates.insert(*value, fate);
    }
}

/// What the producers are told.
#[derive(Default)]
struct Orders {
    /// Send nothing new for now: everything is being read.
    pause: AtomicBool,
    stop: AtomicBool,
}

/// One producer: sends until told to stop, then waits until everything it sent has a fate.
fn produce(producer: usize, bootstrap: &str, history: &Arc<Mutex<History>>, orders: &Orders) {
    let mut config = rdkafka::ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("max.in.flight.requests.per.connection", "5")
        .set("message.timeout.ms", "300000")
        .set("batch.num.messages", "50")
        .set("linger.ms", "1")
        .set("compression.type", ["none", "lz4", "zstd"][producer % 3])
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200");
    let client: ThreadedProducer<Ledger> = config.create_with_context(Ledger(history.clone())).unwrap();
    let mut sent = 0_u64;
    while !orders.stop.load(Ordering::Relaxed) {
        if orders.pause.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(2));
            continue;
        }
        let partition = i32::try_from(sent % 4).unwrap();
        let value = Value { producer, partition, number: sent / 4 };
        let payload = value.payload();
        history.lock().unwrap().fates.insert(value, Fate::Unknown);
        let mut record =
            BaseRecord::<str, str, _>::with_opaque_to(TOPIC, Box::new(value)).partition(partition).payload(&payload);
        while let Err((error, back)) = client.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{error}");
            record = back;
            thread::sleep(Duration::from_millis(5));
        }
        sent += 1;
        if sent.is_multiple_of(10) {
            thread::sleep(Duration::from_millis(2));
        }
    }
    client.flush(PATIENCE).unwrap();
}

/// Reads along while brokers come and go, as a consumer with an assignment: never back, never past a record.
fn read_along(bootstrap: &str, history: &Mutex<History>, stop: &AtomicBool) {
    let mut config = rdkafka::ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("log_level", "0");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let mut next = vec![0_i64; usize::try_from(PARTITIONS).unwrap()];
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(50)) {
            None => {}
            Some(Ok(record)) => {
                let mut history = history.lock().unwrap();
                let expected = &mut next[usize::try_from(record.partition()).unwrap()];
                if record.offset() != *expected {
                    history.violation(format!(
                        "{}: a poll gave offset {} after {}",
                        record.partition(),
                        record.offset(),
                        *expected - 1
                    ));
                }
                *expected = record.offset() + 1;
                history.read(record.partition(), record.offset(), record.payload());
            }
            Some(Err(error)) => {
                let code = error.rdkafka_error_code();
                if matches!(code, Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset)) {
                    history.lock().unwrap().violation(format!("a consumer fell out of the log: {error}"));
                }
            }
        }
    }
}

/// Reads every partition from the beginning and holds the history against it.
fn verify(broker: &Broker, history: &Mutex<History>, when: &str) -> usize {
    // Retries go on meanwhile: what was acknowledged before the reading began must be there.
    let acknowledged: BTreeMap<Value, i64> = {
        let history = history.lock().unwrap();
        let offsets = history.fates.iter().filter_map(|(value, fate)| match fate {
            Fate::Acknowledged(offset) => Some((*value, *offset)),
            Fate::Unknown | Fate::Failed => None,
        });
        offsets.collect()
    };
    let mut total = 0;
    for partition in 0..PARTITIONS {
        let consumer: BaseConsumer = client(broker)
            .set("group.id", "unused")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .create()
            .unwrap();
        let (low, high) = consumer.fetch_watermarks(TOPIC, partition, PATIENCE).unwrap();
        assert_eq!(low, 0, "{when}: nothing was deleted from {partition}");
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(TOPIC, partition, Offset::Beginning).unwrap();
        consumer.assign(&assignment).unwrap();
        let mut places: HashMap<Value, i64> = HashMap::new();
        let mut last: HashMap<usize, u64> = HashMap::new();
        let mut next = low;
        let deadline = Instant::now() + PATIENCE;
        while next < high {
            assert!(Instant::now() < deadline, "{when}: no record at {partition}@{next}, the end is {high}");
            let Some(polled) = consumer.poll(Duration::from_millis(100)) else { continue };
            let Ok(record) = polled else { continue };
            let mut history = history.lock().unwrap();
            if record.offset() != next {
                history.violation(format!("{when}: {partition}@{} follows {}", record.offset(), next - 1));
            }
            next = record.offset() + 1;
            history.read(partition, record.offset(), record.payload());
            let Some(value) = record.payload().and_then(Value::parse) else { continue };
            if let Some(first) = places.insert(value, record.offset()) {
                history.violation(format!("{when}: {value:?} is at {partition}@{first} and @{}", record.offset()));
            }
            let before = last.insert(value.producer, value.number);
            if before.is_some_and(|before| before >= value.number) {
                history.violation(format!("{when}: {value:?} comes after number {before:?}"));
            }
            if history.fates.get(&value) == Some(&Fate::Failed) {
                history.violation(format!("{when}: {value:?} is there though it was refused"));
            }
        }
        let mut history = history.lock().unwrap();
        for (value, offset) in acknowledged.iter().filter(|(value, _)| value.partition == partition) {
            if places.get(value) != Some(offset) {
                let found = places.get(value);
                history.violation(format!("{when}: {value:?} was acknowledged at {offset} and is at {found:?}"));
            }
        }
        total += places.len();
    }
    let history = history.lock().unwrap();
    assert!(history.violations.is_empty(), "{when}:\n{}", history.violations.join("\n"));
    total
}

#[test]
fn no_acknowledged_record_is_lost_duplicated_or_reordered_by_kill_9() {
    let rounds = number_from("KILL9_ROUNDS", 10);
    let seed = number_from("KILL9_SEED", u64::from(std::process::id()));
    eprintln!("KILL9_SEED={seed}");
    let mut chance = Chance(seed);
    // Small segments, so that kills come at rolls too, and few partitions by default for the topic.
    let mut broker = Broker::with(&["log.segment.bytes=1048576", "num.partitions=4", "log.index.interval.bytes=2048"]);
    let history = Arc::new(Mutex::new(History::default()));
    let orders = Arc::new(Orders::default());
    let bootstrap = broker.bootstrap();
    let maker: rdkafka::producer::BaseProducer = client(&broker).create().unwrap();
    maker.client().fetch_metadata(Some(TOPIC), PATIENCE).unwrap();

    let mut threads = Vec::new();
    for producer in 0..PRODUCERS {
        let (bootstrap, history, orders) = (bootstrap.clone(), history.clone(), orders.clone());
        threads.push(thread::spawn(move || produce(producer, &bootstrap, &history, &orders)));
    }
    let reader_stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (bootstrap, history, stop) = (bootstrap.clone(), history.clone(), reader_stop.clone());
        thread::spawn(move || read_along(&bootstrap, &history, &stop))
    };

    for round in 0..rounds {
        thread::sleep(Duration::from_millis(200 + chance.below(1000)));
        let before = history.lock().unwrap().acknowledged;
        broker.kill();
        if chance.below(3) == 0 {
            broker.begin_again();
            thread::sleep(Duration::from_millis(1 + chance.below(40)));
            broker.kill();
        }
        broker.start_again();
        orders.pause.store(true, Ordering::Relaxed);
        let read = verify(&broker, &history, &format!("round {round}"));
        orders.pause.store(false, Ordering::Relaxed);
        eprintln!("round {round}: {before} acknowledged before the kill, {read} read after it");
    }
    // Work went on between the kills, or the rounds showed nothing.
    let deadline = Instant::now() + PATIENCE;
    let resumed = history.lock().unwrap().acknowledged;
    while history.lock().unwrap().acknowledged <= resumed {
        assert!(Instant::now() < deadline, "no send was acknowledged after the last kill");
        thread::sleep(Duration::from_millis(20));
    }
    orders.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    let read = verify(&broker, &history, "when all has been sent");
    reader_stop.store(true, Ordering::Relaxed);
    reader.join().unwrap();
    let history = history.lock().unwrap();
    let unknown = history.fates.values().filter(|fate| **fate == Fate::Unknown).count();
    assert_eq!(unknown, 0, "after the flush every send has a fate");
    assert_eq!(read, history.fates.len(), "after the flush everything that was sent is there, once");
    assert!(history.acknowledged > rounds * 100, "too little load to show anything: {}", history.acknowledged);
}
