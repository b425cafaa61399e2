//! Idempotent producers, and groups of both protocols that read what they write.

use super::history::{Commit, History, Outcome, Place, Value};
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) const PARTITIONS: i32 = 3;
/// Written by idempotent producers.
pub(crate) const PLAIN: [&str; 2] = ["plain-a", "plain-b"];
/// Groups that read `PLAIN`, with their protocols.
pub(crate) const READERS: [(&str, &str); 2] = [("readers-classic", "classic"), ("readers-consumer", "consumer")];
const MEMBERS: usize = 2;

/// What every client is told. A node that has become silent is given up after seconds.
pub(crate) fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("socket.timeout.ms", "5000")
        .set("socket.connection.setup.timeout.ms", "3000")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set("topic.metadata.refresh.interval.ms", "5000")
        .set("log_level", "0");
    config
}

/// Names of producers: none is used twice in a run.
#[derive(Default)]
pub(crate) struct Names(AtomicU32);

impl Names {
    pub(crate) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[derive(Clone)]
struct Ledger(Arc<History>);

impl ClientContext for Ledger {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Ledger {
    type DeliveryOpaque = Box<(Place, Value)>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<(Place, Value)>) {
        // What failed may have been appended all the same, whatever the error.
        if let Ok(message) = result {
            self.0.sent.lock().insert(*sent, Outcome::Done(message.offset()));
        }
    }
}

/// Writes to every partition of some topics, one record each in turn, every `pause`, until it is told to stop; then
/// waits for what is under way. A producer whose records live long must get all of them written, whatever happens.
pub(crate) fn produce(
    bootstrap: &str,
    topics: &[&'static str],
    (lives, pause): (Duration, Duration),
    names: &Names,
    history: &Arc<History>,
    stop: &AtomicBool,
) {
    let patient = lives > Duration::from_secs(60);
    while !stop.load(Ordering::Relaxed) {
        let name = names.next();
        if !patient {
            history.impatient.lock().insert(name);
        }
        let producer: ThreadedProducer<Ledger> = client(bootstrap)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", lives.as_millis().to_string())
            .set("linger.ms", "2")
            .create_with_context(Ledger(Arc::clone(history)))
            .unwrap();
        let mut number = 0;
        let fatal = loop {
            if let Some((code, text)) = producer.client().fatal_error() {
                break Some(format!("{code:?}: {text}"));
            }
            if stop.load(Ordering::Relaxed) {
                break None;
            }
            for topic in topics {
                for partition in 0..PARTITIONS {
                    let (place, value) = ((*topic, partition), Value { producer: name, number });
                    let text = value.text();
                    let record = BaseRecord::with_opaque_to(topic, Box::new((place, value)))
                        .partition(partition)
                        .key("")
                        .payload(&text);
                    // Known before the answer can come.
                    history.sent.lock().insert((place, value), Outcome::Unknown);
                    if let Err((error, _)) = producer.send(record) {
                        // It has not left the client.
                        history.sent.lock().insert((place, value), Outcome::Failed);
                        assert_ne!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::UnknownTopic));
                        std::thread::sleep(Duration::from_millis(50));
                    }
                }
            }
            number += 1;
            std::thread::sleep(pause);
        };
        if let (Some(fatal), true) = (&fatal, patient) {
            let text = format!("the idempotent producer {name} can go on no more: {fatal}");
            // Refused for want of replicas before the log is looked at, a batch that is there already comes again behind later
            // ones; of those that a snapshot knew only the last is remembered, so it is out of order (Kafka's
            // `UnifiedLog.append` and `ProducerStateManager` do the same), and librdkafka ends.
            if fatal.contains("last partition error NOT_ENOUGH_REPLICAS") {
                history.say(&format!("    {text}"));
            } else {
                history.find(text);
            }
        }
        if fatal.is_none() && producer.flush(Duration::from_secs(60)).is_err() && patient {
            history.find(format!("{} records of producer {name} wait for ever", producer.in_flight_count()));
        }
    }
}

/// What a member of a group learns while it polls: partitions that it has no longer.
#[derive(Default)]
pub(crate) struct Membership {
    revoked: Mutex<BTreeSet<(String, i32)>>,
}

impl ClientContext for Membership {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            let gone = partitions.elements().into_iter().map(|p| (p.topic().to_owned(), p.partition()));
            self.revoked.lock().extend(gone);
        }
    }
}

impl Membership {
    pub(crate) fn take_revoked(&self) -> BTreeSet<(String, i32)> {
        std::mem::take(&mut *self.revoked.lock())
    }
}

pub(crate) fn member(bootstrap: &str, group: &str, protocol: &str, topics: &[&str]) -> BaseConsumer<Membership> {
    let mut config = client(bootstrap);
    config
        .set("group.id", group)
        .set("group.protocol", protocol)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "200")
        .set("fetch.error.backoff.ms", "100");
    if protocol == "classic" {
        config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "1000");
    }
    // Whoever hangs is a member no more.
    config.set("max.poll.interval.ms", "25000");
    let consumer: BaseConsumer<Membership> = config.create_with_context(Membership::default()).unwrap();
    consumer.subscribe(topics).unwrap();
    consumer
}

/// A member of a group that notes what it gets and what it commits, for a while or until it is told to stop.
fn read(bootstrap: &str, (group, protocol): (&'static str, &str), history: &History, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let consumer = member(bootstrap, group, protocol, &PLAIN);
        read_as(&consumer, group, history, stop);
        // librdkafka 2.12 sends a heartbeat of a new member without what belongs into it when it comes back from a long silence,
        // and gives up on the answer, INVALID_REQUEST (its issue 5541). Nothing else may end a member for good.
        if let Some((code, text)) = consumer.client().fatal_error() {
            history.say(&format!("    a member of {group} can go on no more: {code:?}: {text}"));
            if code != RDKafkaErrorCode::InvalidRequest {
                history.find(format!("a member of {group} can go on no more: {code:?}: {text}"));
            }
        }
    }
}

/// Until it is told to stop, or the client can go on no more.
fn read_as(consumer: &BaseConsumer<Membership>, group: &'static str, history: &History, stop: &AtomicBool) {
    let mut next: BTreeMap<Place, i64> = BTreeMap::new();
    let mut last = history.now();
    while !stop.load(Ordering::Relaxed) && consumer.client().fatal_error().is_none() {
        let polled = consumer.poll(Duration::from_millis(50));
        for (topic, partition) in consumer.context().take_revoked() {
            next.retain(|place, _| *place != (topic.as_str(), partition));
        }
        if let Some(Ok(record)) = polled {
            let topic = PLAIN.iter().find(|topic| **topic == record.topic()).unwrap();
            let place = (*topic, record.partition());
            history.delivered.lock().entry((group, place)).or_default().insert(record.offset());
            next.insert(place, record.offset() + 1);
        }
        if next.is_empty() || history.now() - last < Duration::from_millis(200) {
            continue;
        }
        last = history.now();
        for (place, offset) in std::mem::take(&mut next) {
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset(place.0, place.1, Offset::Offset(offset)).unwrap();
            let outcome = match consumer.commit(&offsets, CommitMode::Sync) {
                Ok(()) => Outcome::Done(()),
                Err(_) => Outcome::Unknown,
            };
            let (commit, ended) = (offset, history.now());
            history.commits.lock().push(Commit { group, place, offset: commit, ended, outcome });
        }
    }
}

/// The threads of producers, and of members of groups. They end when they are told to.
pub(crate) fn begin(
    bootstrap: &str,
    names: &Arc<Names>,
    history: &Arc<History>,
    [writing, reading]: [&Arc<AtomicBool>; 2],
) -> (Vec<JoinHandle<()>>, Vec<JoinHandle<()>>) {
    // One whose records live for ever, and one that gives up and begins anew.
    let producers = [Duration::from_secs(900), Duration::from_secs(6)].map(|lives| {
        let (bootstrap, names, history) = (bootstrap.to_owned(), Arc::clone(names), Arc::clone(history));
        let stop = Arc::clone(writing);
        std::thread::spawn(move || {
            produce(&bootstrap, &PLAIN, (lives, Duration::from_millis(20)), &names, &history, &stop);
        })
    });
    let members = READERS.iter().flat_map(|reader| (0..MEMBERS).map(move |_| *reader)).map(|reader| {
        let (bootstrap, history, stop) = (bootstrap.to_owned(), Arc::clone(history), Arc::clone(reading));
        std::thread::spawn(move || read(&bootstrap, reader, &history, &stop))
    });
    (producers.into(), members.collect())
}
