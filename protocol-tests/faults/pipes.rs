//! Copiers: what an idempotent producer wrote goes, in transactions with the offsets, from one topic into two others.

use super::super::support::chance::Chance;
use super::history::{History, Outcome, Txn};
use super::load::{self, Membership, Names, PARTITIONS, client, member};
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) const INPUT: &str = "input";
type Pipe = (&'static str, &'static str, [&'static str; 2]);
/// A group of copiers, its protocol, and where it copies to.
pub(crate) const PIPES: [(&str, &str, [&str; 2]); 2] =
    [("copiers-classic", "classic", ["copy-a", "copy-b"]), ("copiers-consumer", "consumer", ["copy-c", "copy-d"])];
const COPIERS: usize = 2;
const SOON: Duration = Duration::from_secs(10);
/// Longer than all that a transaction may take together. librdkafka's `send_offsets_to_transaction` may wait for ever where the
/// group's coordinator went away, whatever time it was given (its issues 5456 and 5511).
const HANGS: Duration = Duration::from_secs(60);

type Member = BaseConsumer<Membership>;
type Transactor = ThreadedProducer<DefaultProducerContext>;

fn producer(bootstrap: &str, id: &str) -> Result<Transactor, KafkaError> {
    let mut config = client(bootstrap);
    config.set("transactional.id", id).set("transaction.timeout.ms", "8000").set("message.timeout.ms", "8000");
    let producer: Transactor = config.create()?;
    producer.init_transactions(SOON)?;
    Ok(producer)
}

fn positions(taken: &[OwnedMessage]) -> TopicPartitionList {
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    for record in taken {
        next.insert(record.partition(), record.offset() + 1);
    }
    let mut list = TopicPartitionList::new();
    for (partition, offset) in next {
        list.add_partition_offset(INPUT, partition, Offset::Offset(offset)).unwrap();
    }
    list
}

/// What came in a while and is still this member's.
fn take(consumer: &Member) -> Vec<OwnedMessage> {
    let mut taken: Vec<OwnedMessage> = Vec::new();
    let until = Instant::now() + Duration::from_millis(40);
    while taken.len() < 30 && Instant::now() < until {
        let polled = consumer.poll(Duration::from_millis(10));
        let gone: BTreeSet<(String, i32)> = consumer.context().take_revoked();
        taken.retain(|record| !gone.contains(&(record.topic().to_owned(), record.partition())));
        if let Some(Ok(record)) = polled {
            taken.push(record.detach());
        }
    }
    taken
}

struct Copier {
    group: &'static str,
    copies: [&'static str; 2],
    name: String,
    number: u64,
    history: Arc<History>,
    chance: Chance,
    /// When it last began something.
    alive: Arc<Mutex<Instant>>,
}

impl Copier {
    /// One transaction. What it came to, or why there was none.
    fn transact(
        &mut self,
        producer: &Transactor,
        consumer: &Member,
        taken: &[OwnedMessage],
    ) -> Result<Outcome<()>, KafkaError> {
        self.number += 1;
        let id = format!("{}-{}", self.name, self.number);
        let inputs = taken.iter().map(|record| (record.partition(), record.offset())).collect();
        let at = {
            let mut txns = self.history.txns.lock();
            txns.push(Txn { id: id.clone(), inputs, outcome: Outcome::Unknown });
            txns.len() - 1
        };
        let known = |outcome| {
            self.history.txns.lock()[at].outcome = outcome;
            outcome
        };
        producer.begin_transaction()?;
        let fill = || -> Result<bool, KafkaError> {
            for record in taken {
                for topic in self.copies {
                    let value = format!("{}|{id}", String::from_utf8_lossy(record.payload().unwrap_or_default()));
                    let copied = BaseRecord::<(), str>::to(topic).partition(record.partition()).payload(&value);
                    producer.send(copied).map_err(|(error, _)| error)?;
                }
            }
            let group = consumer.group_metadata().ok_or(KafkaError::Canceled)?;
            // Whoever lost its partitions without knowing it is nobody to the group, and may not commit as such.
            if consumer.assignment_lost() {
                return Ok(false);
            }
            producer.send_offsets_to_transaction(&positions(taken), &group, SOON)?;
            Ok(true)
        };
        let filled = fill();
        let aborts = self.chance.below(40) == 0;
        if !matches!(filled, Ok(true)) || aborts {
            producer.abort_transaction(SOON)?;
            known(Outcome::Failed);
            return Ok(Outcome::Failed);
        }
        let deadline = Instant::now() + 2 * SOON;
        loop {
            match producer.commit_transaction(SOON) {
                Ok(()) => return Ok(known(Outcome::Done(()))),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {}
                Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                    producer.abort_transaction(SOON)?;
                    return Ok(known(Outcome::Failed));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Copies until something fails: whoever comes next goes on from what is committed.
    fn live(&mut self, bootstrap: &str, protocol: &str, id: &str, stop: &AtomicBool) -> Result<(), KafkaError> {
        let producer = producer(bootstrap, id)?;
        let consumer = member(bootstrap, self.group, protocol, &[INPUT]);
        while !stop.load(Ordering::Relaxed) {
            *self.alive.lock() = Instant::now();
            let taken = take(&consumer);
            if taken.is_empty() {
                continue;
            }
            // Where an aborted transaction began is for its successor to find out.
            if self.transact(&producer, &consumer, &taken)? != Outcome::Done(()) || self.chance.below(200) == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Copiers with one transactional id, one after the other, each on a thread of its own: librdkafka's
/// `send_offsets_to_transaction` sometimes waits for ever, whatever time it was given, and then the next one takes over.
fn copy(bootstrap: &str, pipe: Pipe, number: usize, names: &Names, history: &Arc<History>, stop: &Arc<AtomicBool>) {
    let (group, protocol, copies) = pipe;
    let id = format!("{group}-{number}");
    while !stop.load(Ordering::Relaxed) {
        let alive = Arc::new(Mutex::new(Instant::now()));
        let name = format!("{id}-{}", names.next());
        let chance = Chance(u64::from(names.next()));
        let mut copier = Copier {
            group,
            copies,
            name: name.clone(),
            number: 0,
            history: Arc::clone(history),
            chance,
            alive: Arc::clone(&alive),
        };
        let (bootstrap, id, stop) = (bootstrap.to_owned(), id.clone(), Arc::clone(stop));
        let life = std::thread::spawn(move || {
            if let Err(error) = copier.live(&bootstrap, protocol, &id, &stop) {
                copier.history.say(&format!("    {}: {error}", copier.name));
            }
        });
        while !life.is_finished() && alive.lock().elapsed() < HANGS {
            std::thread::sleep(Duration::from_millis(50));
        }
        if !life.is_finished() {
            history.say(&format!("    {name} hangs in its client, and is left to itself"));
        } else if life.join().is_err() {
            history.find(format!("{name} panicked"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The thread of the feeder, and those of all copiers. They end when they are told to.
pub(crate) fn begin(
    bootstrap: &str,
    names: &Arc<Names>,
    history: &Arc<History>,
    [writing, reading]: [&Arc<AtomicBool>; 2],
) -> (Option<JoinHandle<()>>, Vec<JoinHandle<()>>) {
    let feeder = {
        let (bootstrap, names, history) = (bootstrap.to_owned(), Arc::clone(names), Arc::clone(history));
        let stop = Arc::clone(writing);
        std::thread::spawn(move || {
            let rhythm = (Duration::from_secs(900), Duration::from_millis(60));
            load::produce(&bootstrap, &[INPUT], rhythm, &names, &history, &stop);
        })
    };
    let slots = PIPES.iter().flat_map(|pipe| (0..COPIERS).map(move |number| (*pipe, number)));
    let copiers = slots.map(|(pipe, number)| {
        let (bootstrap, names, history) = (bootstrap.to_owned(), Arc::clone(names), Arc::clone(history));
        let stop = Arc::clone(reading);
        std::thread::spawn(move || copy(&bootstrap, pipe, number, &names, &history, &stop))
    });
    (Some(feeder), copiers.collect())
}

/// The topics that hold copies.
pub(crate) fn copies() -> impl Iterator<Item = &'static str> {
    PIPES.iter().flat_map(|(_, _, copies)| *copies)
}

pub(crate) fn places_of(topics: impl IntoIterator<Item = &'static str>) -> Vec<super::history::Place> {
    topics.into_iter().flat_map(|topic| (0..PARTITIONS).map(move |partition| (topic, partition))).collect()
}
