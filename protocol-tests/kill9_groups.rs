//! kill -9 of the real binary while groups commit, over and over, with an oracle.
//!
//! Committers, each with a partition of its own, commit offsets that only rise: some from outside of any group, one as the
//! member of a classic group and one as the member of a consumer group. The broker is killed at a random moment and started
//! on the same directory; the committers live on. What the oracle holds the broker to:
//!
//! - what was acknowledged as committed is committed afterwards, or something later that was at least sent (nothing lost);
//! - nothing is committed that nobody sent;
//! - a member goes on after the restart, with the protocol it had.
//!
//! `KILL9_ROUNDS` sets the number of kills, `KILL9_SEED` repeats one run's choices.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use support::chance::{Chance, number_from};
use support::{Broker, PATIENCE, client};

const TOPIC: &str = "committed";
const PARTITIONS: i32 = 4;

/// How a committer belongs to its group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    /// Not at all: it has assigned itself.
    Outsider,
    Member(&'static str),
}

/// What is known of one committer's commits.
struct Ledger {
    group: String,
    how: As,
    partition: i32,
    sent: AtomicI64,
    acknowledged: AtomicI64,
    /// Why the last commit that failed did.
    refused: Mutex<String>,
}

impl Ledger {
    fn consumer(&self, bootstrap: &str) -> BaseConsumer {
        let mut config = rdkafka::ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            .set("log_level", "0");
        if let As::Member(protocol) = self.how {
            config.set("group.protocol", protocol);
        }
        let consumer: BaseConsumer = config.create().unwrap();
        match self.how {
            As::Outsider => {
                let mut assignment = TopicPartitionList::new();
                assignment.add_partition_offset(TOPIC, self.partition, Offset::End).unwrap();
                consumer.assign(&assignment).unwrap();
            }
            As::Member(_) => consumer.subscribe(&[TOPIC]).unwrap(),
        }
        consumer
    }

    /// Commits one offset after the other until it is told to stop.
    fn commit_on(&self, bootstrap: &str, stop: &AtomicBool) {
        let consumer = self.consumer(bootstrap);
        while !stop.load(Ordering::Relaxed) {
            // A member has to be served to stay one.
            let _ = consumer.poll(Duration::ZERO);
            if consumer.assignment().unwrap().count() == 0 {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            let offset = self.sent.load(Ordering::SeqCst) + 1;
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset(TOPIC, self.partition, Offset::Offset(offset)).unwrap();
            self.sent.store(offset, Ordering::SeqCst);
            match consumer.commit(&offsets, CommitMode::Sync) {
                Ok(()) => self.acknowledged.store(offset, Ordering::SeqCst),
                Err(error) => {
                    *self.refused.lock().unwrap() = error.to_string();
                    thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    /// Reads what is committed and holds it against what is known. Answers what is committed.
    fn verify(&self, broker: &Broker, when: &str) -> i64 {
        // Commits go on meanwhile: what was acknowledged before the reading began must be there.
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        let reader: BaseConsumer = client(broker).set("group.id", &self.group).set("log_level", "0").create().unwrap();
        let mut asked = TopicPartitionList::new();
        asked.add_partition(TOPIC, self.partition);
        let deadline = Instant::now() + PATIENCE;
        let answer = loop {
            match reader.committed_offsets(asked.clone(), Duration::from_secs(5)) {
                Ok(answer) => break answer,
                Err(error) => assert!(Instant::now() < deadline, "{when}: {}: {error}", self.group),
            }
        };
        let sent = self.sent.load(Ordering::SeqCst);
        let committed = match answer.elements()[0].offset() {
            Offset::Offset(offset) => offset,
            _ => -1,
        };
        assert!(
            acknowledged <= committed && committed <= sent,
            "{when}: {} was acknowledged {acknowledged}, has committed {committed}, sent {sent}",
            self.group
        );
        committed
    }
}

#[test]
fn no_acknowledged_commit_is_lost_by_kill_9() {
    let rounds = number_from("KILL9_ROUNDS", 6);
    let seed = number_from("KILL9_SEED", u64::from(std::process::id()));
    eprintln!("KILL9_SEED={seed}");
    let mut chance = Chance(seed);
    let mut broker = Broker::with(&[
        "num.partitions=4",
        "offsets.topic.num.partitions=3",
        "offsets.topic.replication.factor=1",
        // Kills come at rolls too.
        "offsets.topic.segment.bytes=1048576",
        "group.initial.rebalance.delay.ms=0",
        "group.consumer.min.heartbeat.interval.ms=100",
        "group.consumer.heartbeat.interval.ms=300",
    ]);
    let maker: rdkafka::producer::BaseProducer = client(&broker).create().unwrap();
    rdkafka::producer::Producer::client(&maker).fetch_metadata(Some(TOPIC), PATIENCE).unwrap();

    let outsiders = (0..PARTITIONS).map(|partition| (format!("outside-{partition}"), As::Outsider, partition));
    let members = ["classic", "consumer"].map(|protocol| (format!("member-{protocol}"), As::Member(protocol), 0));
    let ledgers: Vec<Arc<Ledger>> = outsiders
        .chain(members)
        .map(|(group, how, partition)| {
            let none = || AtomicI64::new(-1);
            Arc::new(Ledger { group, how, partition, sent: none(), acknowledged: none(), refused: Mutex::default() })
        })
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let ready = Arc::new(Barrier::new(ledgers.len() + 1));
    let threads: Vec<_> = ledgers
        .iter()
        .map(|ledger| {
            let (ledger, stop, ready) = (Arc::clone(ledger), Arc::clone(&stop), Arc::clone(&ready));
            let bootstrap = broker.bootstrap();
            thread::spawn(move || {
                ready.wait();
                ledger.commit_on(&bootstrap, &stop);
            })
        })
        .collect();
    ready.wait();
    go_on(&ledgers, "before the first kill");
    for round in 0..rounds {
        thread::sleep(Duration::from_millis(100 + chance.below(700)));
        broker.kill();
        if chance.below(3) == 0 {
            broker.begin_again();
            thread::sleep(Duration::from_millis(1 + chance.below(60)));
            broker.kill();
        }
        broker.start_again();
        let when = format!("round {round}");
        let committed: Vec<i64> = ledgers.iter().map(|ledger| ledger.verify(&broker, &when)).collect();
        eprintln!("{when}: committed {committed:?}");
        go_on(&ledgers, &when);
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    for ledger in &ledgers {
        ledger.verify(&broker, "when all is quiet");
        let acknowledged = ledger.acknowledged.load(Ordering::SeqCst);
        assert!(acknowledged > i64::try_from(rounds).unwrap(), "{}: too few commits to show anything", ledger.group);
    }
}

/// Every committer has a commit acknowledged that was not yet.
fn go_on(ledgers: &[Arc<Ledger>], when: &str) {
    let deadline = Instant::now() + PATIENCE;
    for ledger in ledgers {
        let before = ledger.acknowledged.load(Ordering::SeqCst);
        while ledger.acknowledged.load(Ordering::SeqCst) <= before {
            let refused = ledger.refused.lock().unwrap().clone();
            assert!(Instant::now() < deadline, "{when}: {} cannot commit any more: {refused}", ledger.group);
            thread::sleep(Duration::from_millis(5));
        }
    }
}
