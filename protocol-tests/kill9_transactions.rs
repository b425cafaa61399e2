//! Exactly once, over `kill -9` of the broker and clients that come and go: records are copied from one topic into two
//! others, in transactions with their offsets, while both ends die at random. In the end each record is in both copies
//! once, and every partition can be read to its end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::chance::Chance;
use support::{Broker, PATIENCE};

const INPUT: &str = "input";
const COPIES: [&str; 2] = ["copy-a", "copy-b"];
const PARTITIONS: i32 = 3;
const RECORDS: usize = 900;
const KILLS: usize = 6;

/// How long a request of a copier may take before it gives up and begins anew.
const SOON: Duration = Duration::from_secs(10);

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "100")
        .set("log_level", "0");
    config
}

/// A consumer of all partitions of a topic, without a group that would have to be formed.
fn consumer(bootstrap: &str, group: &str, topic: &str, from: Offset) -> Result<BaseConsumer, KafkaError> {
    let mut config = config(bootstrap);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create()?;
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&all)?;
    Ok(consumer)
}

fn producer(bootstrap: &str, id: &str) -> Result<BaseProducer, KafkaError> {
    let mut config = config(bootstrap);
    config.set("transactional.id", id).set("transaction.timeout.ms", "5000").set("message.timeout.ms", "5000");
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(SOON)?;
    Ok(producer)
}

/// Copies until told to stop or something fails: then whoever comes next goes on from what is committed.
fn copy(bootstrap: &str, chance: &mut Chance, stop: &AtomicBool) -> Result<(), KafkaError> {
    let producer = producer(bootstrap, "copier")?;
    let consumer = consumer(bootstrap, "copiers", INPUT, Offset::Stored)?;
    while !stop.load(Ordering::Relaxed) {
        let mut next = TopicPartitionList::new();
        let mut taken = Vec::new();
        let until = Instant::now() + Duration::from_millis(20);
        while taken.len() < 20 && Instant::now() < until {
            if let Some(record) = consumer.poll(Duration::from_millis(5)) {
                taken.push(record?.detach());
            }
        }
        if taken.is_empty() {
            continue;
        }
        producer.begin_transaction()?;
        for record in &taken {
            for topic in COPIES {
                let copied = BaseRecord::<(), [u8]>::to(topic).partition(record.partition());
                producer.send(copied.payload(record.payload().unwrap())).map_err(|(error, _)| error)?;
            }
        }
        for record in &taken {
            let offset = Offset::Offset(record.offset() + 1);
            match next.find_partition(INPUT, record.partition()) {
                Some(_) => next.set_partition_offset(INPUT, record.partition(), offset)?,
                None => next.add_partition_offset(INPUT, record.partition(), offset)?,
            }
        }
        producer.send_offsets_to_transaction(&next, &consumer.group_metadata().unwrap(), SOON)?;
        match chance.below(12) {
            // It dies between two requests: the next one keeps it out.
            0 => return Ok(()),
            1 => {
                producer.abort_transaction(SOON)?;
                return Ok(());
            }
            _ => producer.commit_transaction(SOON)?,
        }
    }
    Ok(())
}

/// All that is committed in a topic, partition by partition in order; waits until there are so many.
fn read(bootstrap: &str, topic: &str, count: usize) -> Vec<Vec<String>> {
    let consumer = consumer(bootstrap, "nobody", topic, Offset::Beginning).unwrap();
    let mut found = vec![Vec::new(); PARTITIONS as usize];
    let deadline = Instant::now() + PATIENCE;
    let mut quiet = Instant::now();
    while found.iter().map(Vec::len).sum::<usize>() < count || quiet.elapsed() < Duration::from_secs(1) {
        assert!(Instant::now() < deadline, "{} of {count} in {topic}", found.iter().map(Vec::len).sum::<usize>());
        // Errors come while the broker is away.
        if let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) {
            let text = String::from_utf8(record.payload().unwrap().to_vec()).unwrap();
            found[record.partition() as usize].push(text);
            quiet = Instant::now();
        }
    }
    found
}

#[test]
fn every_record_is_copied_exactly_once_whoever_dies() {
    let mut broker = Broker::with(&[
        "num.partitions=3",
        "offsets.topic.num.partitions=2",
        "transaction.state.log.num.partitions=2",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms=200",
    ]);
    let bootstrap = broker.bootstrap();
    let feeder = producer(&bootstrap, "feeder").unwrap();
    feeder.begin_transaction().unwrap();
    for n in 0..RECORDS {
        let record = BaseRecord::<(), str>::to(INPUT).partition(n as i32 % PARTITIONS);
        feeder.send(record.payload(&n.to_string())).map_err(|(error, _)| error).unwrap();
        feeder.poll(Duration::ZERO);
    }
    feeder.commit_transaction(PATIENCE).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let copier = {
        let (stop, bootstrap) = (Arc::clone(&stop), bootstrap.clone());
        std::thread::spawn(move || {
            let mut chance = Chance(7);
            let mut lives = 0;
            while !stop.load(Ordering::Relaxed) {
                lives += 1;
                // Whatever fails: the next one goes on.
                let _ = copy(&bootstrap, &mut chance, &stop);
            }
            lives
        })
    };
    let mut chance = Chance(1);
    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_millis(200 + chance.below(900)));
        broker.kill();
        broker.start_again();
    }
    let expected: Vec<Vec<String>> = (0..PARTITIONS)
        .map(|partition| (0..RECORDS).filter(|n| *n as i32 % PARTITIONS == partition).map(|n| n.to_string()).collect())
        .collect();
    for topic in COPIES {
        assert_eq!(read(&bootstrap, topic, RECORDS), expected, "{topic}");
    }
    stop.store(true, Ordering::Relaxed);
    let lives = copier.join().unwrap();
    // Nothing is left open, by whomever: the last stable offset is the end.
    for topic in COPIES {
        assert_eq!(read(&bootstrap, topic, RECORDS), expected, "{topic}, after {lives} copiers");
    }
}
