//! Three processes, a topic on all of them, an idempotent producer, and kill -9 of a leader, over and over.
//!
//! What the oracle holds the cluster to: every acknowledged value is at the offset that was acknowledged, no value is
//! twice, and a partition's values are in the order in which they were sent. `FAILOVER_ROUNDS` sets how many leaders die.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::broker::free_port;
use support::chance::number_from;
use support::{Broker, PATIENCE, read_all, text, wait_for_brokers};

const TOPIC: &str = "failover";
const PARTITIONS: i32 = 3;
const CLUSTER_ID: &str = "AAAAAAAAQACAAAAAAAAAAg";

/// Offsets that were acknowledged, by partition and number.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<BTreeMap<(i32, u64), i64>>>);

impl ClientContext for Ledger {
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Ledger {
    type DeliveryOpaque = Box<(i32, u64)>;

    fn delivery(&self, result: &DeliveryResult<'_>, value: Box<(i32, u64)>) {
        if let Ok(message) = result {
            self.0.lock().unwrap().insert(*value, message.offset());
        }
    }
}

struct Cluster {
    brokers: Vec<Broker>,
    bootstrap: String,
}

impl Cluster {
    fn start() -> Cluster {
        let ports: Vec<(u16, u16)> = (0..3).map(|_| (free_port(), free_port())).collect();
        let voters: Vec<String> = (1..).zip(&ports).map(|(id, (_, port))| format!("{id}@127.0.0.1:{port}")).collect();
        let voters = format!("controller.quorum.voters={}", voters.join(","));
        let settings = |id: usize, (port, controller): (u16, u16)| {
            vec![
                format!("node.id={id}"),
                "process.roles=broker,controller".to_owned(),
                voters.clone(),
                "controller.listener.names=CONTROLLER".to_owned(),
                format!("listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"),
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
                "broker.session.timeout.ms=3000".to_owned(),
                "broker.heartbeat.interval.ms=500".to_owned(),
                "replica.lag.time.max.ms=3000".to_owned(),
            ]
        };
        let brokers = Broker::together(
            CLUSTER_ID,
            (1..).zip(&ports).map(|(id, ports)| (ports.0, settings(id, *ports))).collect(),
        );
        let bootstrap = ports.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        wait_for_brokers(&bootstrap, &[1, 2, 3]);
        Cluster { brokers, bootstrap }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Leader and in-sync replicas of each partition.
    fn standing(&self) -> Option<Vec<(i32, usize)>> {
        let consumer: BaseConsumer = self.client().create().unwrap();
        let metadata = consumer.fetch_metadata(Some(TOPIC), Duration::from_secs(5)).ok()?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == TOPIC)?;
        let standing: Vec<(i32, usize)> =
            topic.partitions().iter().map(|partition| (partition.leader(), partition.isr().len())).collect();
        (standing.len() == usize::try_from(PARTITIONS).unwrap()).then_some(standing)
    }

    fn wait_until_in_sync(&self) -> Vec<(i32, usize)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let standing = self.standing();
            match standing {
                Some(standing) if standing.iter().all(|(leader, isr)| *leader > 0 && *isr == 3) => return standing,
                _ => assert!(Instant::now() < deadline, "not in sync within {PATIENCE:?}: {standing:?}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_when_leaders_die() {
    let mut cluster = Cluster::start();
    let admin: AdminClient<DefaultClientContext> = cluster.client().create().unwrap();
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(3)).set("min.insync.replicas", "2");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let created = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    assert_eq!(created, [Ok(TOPIC.to_owned())]);
    cluster.wait_until_in_sync();

    let ledger = Ledger::default();
    let producer: ThreadedProducer<Ledger> = cluster
        .client()
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", "120000")
        .set("linger.ms", "2")
        .create_with_context(ledger.clone())
        .unwrap();
    let mut sent = 0;
    let send_for = |time: Duration, sent: &mut u64| {
        let until = Instant::now() + time;
        while Instant::now() < until {
            for partition in 0..PARTITIONS {
                let payload = sent.to_string();
                let record = BaseRecord::with_opaque_to(TOPIC, Box::new((partition, *sent)))
                    .partition(partition)
                    .key("")
                    .payload(&payload);
                producer.send(record).map_err(|(error, _)| error).unwrap();
            }
            *sent += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    for round in 0..number_from("FAILOVER_ROUNDS", 2) {
        send_for(Duration::from_secs(1), &mut sent);
        let victim = usize::try_from(cluster.wait_until_in_sync()[0].0).unwrap() - 1;
        let before = ledger.0.lock().unwrap().len();
        let died = Instant::now();
        cluster.brokers[victim].kill();
        send_for(Duration::from_secs(6), &mut sent);
        let after = ledger.0.lock().unwrap().len();
        println!("round {round}: broker {} died; {} acknowledged since", victim + 1, after - before);
        cluster.brokers[victim].start_again();
        cluster.wait_until_in_sync();
        println!("round {round}: in sync again after {:?}", died.elapsed());
    }
    producer.flush(PATIENCE).unwrap();

    let acknowledged = ledger.0.lock().unwrap();
    assert_eq!(acknowledged.len() as u64, sent * u64::try_from(PARTITIONS).unwrap(), "all are acknowledged in the end");
    for partition in 0..PARTITIONS {
        let records = read_all(&cluster.brokers[0], TOPIC, partition);
        let values: Vec<u64> = records.iter().map(|record| text(record).parse().unwrap()).collect();
        assert_eq!(values, (0..sent).collect::<Vec<_>>(), "each once and in order in partition {partition}");
        for record in &records {
            let number: u64 = text(record).parse().unwrap();
            assert_eq!(acknowledged[&(partition, number)], record.offset(), "{number} is where it was acknowledged");
        }
    }
}
