//! Replication between whole nodes over sockets. Each node is a quorum of its own, and the test writes the same records into
//! all of them, or into some; of in-sync replicas the leader's own controller decides.
#![allow(clippy::unwrap_used)]

mod deliveries;

use super::*;
use crate::config::Values;
use crate::metadata::record::{PartitionChange, PartitionRecord, RegisterBroker};
use crate::metadata::{ConfigResource, DirectoryId, PartitionImage, Record, Replicas};
use crate::model::{LeaderEpoch, NodeId, Offset, PartitionId, TimestampMs, TopicId, TopicName};
use crate::partition::{Acks, Outcome, Partition, Positions};
use crate::record::Batch;
use crate::record::build::BatchBuilder;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::path::Path;
use uuid::Uuid;

const TOPIC: &str = "t";
const PATIENCE: Duration = Duration::from_secs(20);

fn values(id: i32, dir: &Path) -> Values {
    let log_dir = dir.join(id.to_string());
    let values = [
        ("node.id", id.to_string()),
        ("listeners", "PLAINTEXT://127.0.0.1:0".to_owned()),
        ("admin.listener", String::new()),
        ("log.dirs", log_dir.to_str().unwrap().to_owned()),
        ("replica.fetch.wait.max.ms", "200".to_owned()),
        ("replica.lag.time.max.ms", "600".to_owned()),
        ("broker.session.timeout.ms", "600000".to_owned()),
        ("share.coordinator.state.topic.num.partitions", "5".to_owned()),
    ];
    values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn config(id: i32, dir: &Path) -> BrokerConfig {
    BrokerConfig::new(values(id, dir)).unwrap()
}

struct Cluster {
    nodes: Vec<Node>,
    topic: TopicId,
    _dir: tempfile::TempDir,
}

impl Cluster {
    /// Three nodes that know each other, and no topic.
    async fn start() -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let mut nodes = Vec::new();
        for id in 1..=3 {
            nodes.push(Node::start(config(id, dir.path())).await.unwrap());
        }
        let cluster = Cluster { nodes, topic: TopicId(Uuid::from_u128(99)), _dir: dir };
        let registered = (1..=3).map(|id| {
            let store = &cluster.node(id).ctx.metadata;
            let mut image = (*store.load().brokers[&NodeId(id)]).clone();
            image.fenced = false;
            Record::RegisterBroker(RegisterBroker { image })
        });
        cluster.write(&[1, 2, 3], registered.collect()).await;
        cluster
    }

    fn node(&self, id: i32) -> &Node {
        &self.nodes[usize::try_from(id - 1).unwrap()]
    }

    /// Has these nodes see these records.
    async fn write(&self, to: &[i32], records: Vec<Record>) {
        for id in to {
            self.node(*id).ctx.controller.write(records.clone()).await.unwrap();
        }
    }

    /// The topic with one partition, led by 1.
    async fn create(&self, on: &[i32], min_isr: i32) {
        self.create_led(on, TOPIC, self.topic, 1, min_isr).await;
    }

    async fn create_led(&self, on: &[i32], name: &str, id: TopicId, leader: i32, min_isr: i32) {
        let all: Replicas = (1..=3).map(NodeId).collect();
        let image = PartitionImage {
            replicas: all.clone(),
            isr: all,
            leader: Some(NodeId(leader)),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            directories: (0..3).map(|_| DirectoryId::UNASSIGNED).collect(),
            adding: Replicas::new(),
            removing: Replicas::new(),
            elr: Replicas::new(),
            last_known_elr: Replicas::new(),
            recovering: false,
        };
        let name = TopicName::new(name);
        let config = Record::Config {
            resource: ConfigResource::topic(&name),
            key: "min.insync.replicas".to_owned(),
            value: Some(min_isr.to_string()),
        };
        let topic = Record::Topic { name, id };
        let partition = Record::Partition(PartitionRecord { topic: id, partition: PartitionId(0), image });
        self.write(on, vec![topic, config, partition]).await;
    }

    async fn elect(&self, seen_by: &[i32], leader: i32, isr: &[i32]) {
        let change = change(self.topic, Some(Some(NodeId(leader))), isr);
        self.write(seen_by, vec![change]).await;
    }

    fn bootstrap(&self) -> String {
        self.nodes.iter().map(|node| node.addresses[0].to_string()).collect::<Vec<_>>().join(",")
    }

    fn partition(&self, id: i32) -> Arc<Partition> {
        self.node(id).manager.partition(TOPIC, PartitionId(0)).unwrap()
    }

    fn positions(&self, id: i32) -> Positions {
        self.partition(id).positions().unwrap()
    }

    fn append(&self, id: i32, value: &str, acks: Acks) -> Outcome {
        let mut builder = BatchBuilder::new(Offset(0));
        builder.push(TimestampMs(5), None, Some(value.as_bytes()), &[]);
        let batch = Batch::verify(builder.build().unwrap()).unwrap();
        self.partition(id).append(&mut [batch], acks, clock::now_ms()).pop().unwrap()
    }

    /// Bytes of the whole log.
    fn log(&self, id: i32) -> Vec<u8> {
        let slice = self.partition(id).read_own(Offset(0), 1 << 20).unwrap();
        slice.map_or_else(Vec::new, |slice| {
            let mut bytes = vec![0; slice.len];
            slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
            bytes
        })
    }

    async fn until(&self, what: &str, holds: impl Fn(&Cluster) -> bool) {
        let deadline = clock::now() + PATIENCE;
        while !holds(self) {
            assert!(clock::now() < deadline, "{what}: {:?}", [1, 2, 3].map(|id| self.positions(id)));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
    }
}

fn change(topic: TopicId, leader: Option<Option<NodeId>>, isr: &[i32]) -> Record {
    Record::PartitionChange(PartitionChange {
        topic,
        partition: PartitionId(0),
        isr: Some(isr.iter().map(|id| NodeId(*id)).collect()),
        leader,
        replicas: None,
        removing: None,
        adding: None,
        recovering: None,
        directories: None,
        elr: None,
        last_known_elr: None,
    })
}

async fn committed(outcome: Outcome) -> ErrorCode {
    match outcome {
        Outcome::Done(_) => ErrorCode::NONE,
        Outcome::Waits(_, wait) => tokio::time::timeout(PATIENCE, wait.outcome()).await.unwrap(),
        Outcome::Failed { error, .. } => error,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_all_waits_for_the_in_sync_replicas_which_then_have_the_same_bytes() {
    let cluster = Cluster::start().await;
    cluster.create(&[1, 2, 3], 2).await;
    for n in 0..20 {
        let outcome = cluster.append(1, &format!("value {n}"), Acks::All);
        assert!(matches!(outcome, Outcome::Waits(..)), "{outcome:?}");
        assert_eq!(committed(outcome).await, ErrorCode::NONE);
        for id in 2..=3 {
            assert_eq!(cluster.positions(id).log_end, Offset(n + 1), "node {id} has it before it is acknowledged");
        }
    }
    assert!(matches!(cluster.append(1, "at once", Acks::Leader), Outcome::Done(_)));
    cluster
        .until("the high watermark comes to all", |c| (1..=3).all(|id| c.positions(id).high_watermark == Offset(21)))
        .await;
    assert_eq!(cluster.log(1), cluster.log(2));
    assert_eq!(cluster.log(1), cluster.log(3));
    let refused = cluster.append(2, "to a follower", Acks::All);
    assert_eq!(committed(refused).await, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_goes_on_and_the_old_one_cuts_what_only_it_had() {
    let cluster = Cluster::start().await;
    cluster.create(&[1, 2, 3], 1).await;
    assert_eq!(committed(cluster.append(1, "kept", Acks::All)).await, ErrorCode::NONE);
    // 2 and 3 see another leader; 1 does not hear of it, and nobody fetches from it any more.
    cluster.elect(&[2, 3], 2, &[2, 3]).await;
    let lost = cluster.append(1, "never committed", Acks::All);
    cluster.append(1, "never committed either", Acks::Leader);
    assert_eq!(cluster.positions(1).high_watermark, Offset(1));
    assert_eq!(committed(cluster.append(2, "in the new epoch", Acks::All)).await, ErrorCode::NONE);
    cluster.elect(&[1], 2, &[2, 3]).await;
    assert_eq!(committed(lost).await, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    cluster.until("the old leader follows", |c| c.positions(1).high_watermark == Offset(2)).await;
    assert_eq!(cluster.log(1), cluster.log(2));
    assert_eq!(cluster.log(3), cluster.log(2));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_lags_leaves_the_in_sync_replicas_and_joins_again() {
    let cluster = Cluster::start().await;
    // 3 does not know of it, and so does not fetch.
    cluster.create(&[1, 2], 2).await;
    let waits = cluster.append(1, "waits for 3", Acks::All);
    assert_eq!(cluster.positions(1).high_watermark, Offset(0));
    assert_eq!(committed(waits).await, ErrorCode::NONE, "once 3 is out");
    let standing = cluster.partition(1).standing();
    assert!(standing.under_replicated && standing.at_min_isr && !standing.under_min_isr, "{standing:?}");
    cluster.create(&[3], 2).await;
    cluster.until("3 is in sync again", |c| !c.partition(1).standing().under_replicated).await;
    assert_eq!(committed(cluster.append(1, "and waited for", Acks::All)).await, ErrorCode::NONE);
    assert_eq!(cluster.positions(3).log_end, Offset(2));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_in_sync_replicas_refuse_acks_all() {
    let cluster = Cluster::start().await;
    // 2 and 3 do not know of it.
    cluster.create(&[1], 2).await;
    let alone = change(cluster.topic, None, &[1]);
    cluster.write(&[1], vec![alone]).await;
    assert_eq!(committed(cluster.append(1, "refused", Acks::All)).await, ErrorCode::NOT_ENOUGH_REPLICAS);
    assert!(matches!(cluster.append(1, "taken", Acks::Leader), Outcome::Done(_)));
    assert_eq!(cluster.positions(1).high_watermark, Offset(0), "and not committed");
    cluster.stop().await;
}

/// A transaction that writes a value and commits an offset of the group.
fn transact(bootstrap: &str, producer: &BaseProducer, number: i64) {
    let group: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", "g").create().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(TOPIC, 0, rdkafka::Offset::Offset(number)).unwrap();
    producer.begin_transaction().unwrap();
    let payload = number.to_string();
    producer.send(BaseRecord::<str, str>::to(TOPIC).payload(&payload)).map_err(|(error, _)| error).unwrap();
    producer.send_offsets_to_transaction(&offsets, &group.group_metadata().unwrap(), PATIENCE).unwrap();
    producer.commit_transaction(PATIENCE).unwrap();
}

/// What a reader of committed records finds, and the group's offset.
fn outcome(bootstrap: &str, count: usize) -> (Vec<String>, rdkafka::Offset) {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "g")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(TOPIC, 0, rdkafka::Offset::Beginning).unwrap();
    reader.assign(&all).unwrap();
    let mut values = Vec::new();
    let deadline = clock::now() + PATIENCE;
    while values.len() < count && clock::now() < deadline {
        if let Some(record) = reader.poll(Duration::from_millis(100)) {
            values.push(String::from_utf8(record.unwrap().payload().unwrap().to_vec()).unwrap());
        }
    }
    let committed = reader.committed_offsets(all, PATIENCE).unwrap();
    (values, committed.elements()[0].offset())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_span_brokers_and_go_on_when_their_coordinators_move() {
    let cluster = Cluster::start().await;
    let [state, offsets] = [101, 102].map(|id| TopicId(Uuid::from_u128(id)));
    let everywhere = [1, 2, 3];
    cluster.create_led(&everywhere, TopicName::TRANSACTION_STATE, state, 1, 2).await;
    cluster.create_led(&everywhere, TopicName::CONSUMER_OFFSETS, offsets, 3, 2).await;
    cluster.create_led(&everywhere, TOPIC, cluster.topic, 2, 2).await;
    let bootstrap = cluster.bootstrap();
    let at = bootstrap.clone();
    let first = tokio::task::spawn_blocking(move || {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &at).set("transactional.id", "x").create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        (1..=3).for_each(|number| transact(&at, &producer, number));
        producer
    });
    let producer = first.await.unwrap();
    for (topic, leader) in [(state, 2), (offsets, 1), (cluster.topic, 3)] {
        let moved = change(topic, Some(Some(NodeId(leader))), &everywhere);
        cluster.write(&everywhere, vec![moved]).await;
    }
    let second = tokio::task::spawn_blocking(move || {
        (4..=6).for_each(|number| transact(&bootstrap, &producer, number));
        outcome(&bootstrap, 6)
    });
    let (values, committed) = second.await.unwrap();
    assert_eq!(values, ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(committed, rdkafka::Offset::Offset(6));
    cluster.stop().await;
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn replicated(name: &str, replicas: i16) -> NewTopic {
    let (assignments, configs) = (Vec::new(), Vec::new());
    NewTopic { name: TopicName::new(name), partitions: 1, replication_factor: replicas, assignments, configs }
}

/// Three nodes of one quorum. They need permissions of each other, and have them.
async fn quorum(dir: &Path) -> Vec<Node> {
    let ports = [free_port(), free_port(), free_port()];
    let voters: Vec<String> = (1..).zip(&ports).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
    let of_node = |(id, port): (i32, &u16)| {
        let mut values = values(id, dir);
        for (name, value) in [
            ("process.roles", "broker,controller".to_owned()),
            ("controller.quorum.voters", voters.join(",")),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("listeners", format!("PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:{port}")),
            ("broker.session.timeout.ms", "3000".to_owned()),
            ("broker.heartbeat.interval.ms", "300".to_owned()),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
            ("super.users", "User:ANONYMOUS".to_owned()),
        ] {
            values.insert(name.to_owned(), value);
        }
        BrokerConfig::new(values).unwrap()
    };
    let mut configs: Vec<BrokerConfig> = (1..).zip(&ports).map(of_node).collect();
    let first = configs.remove(0);
    let configs = several::of_one_cluster(first, configs).unwrap();
    try_join_all(configs.into_iter().map(Node::start)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_are_one_cluster_and_outlive_the_one_that_decided() {
    let dir = tempfile::tempdir().unwrap();
    let mut nodes = quorum(dir.path()).await;
    for (node, name) in nodes.iter().zip(["a", "b", "c"]) {
        // Whoever is asked: it is the active controller that decides.
        node.create_topics(vec![replicated(name, 3)]).await.unwrap();
    }
    let deciding: Vec<bool> = nodes.iter().map(|node| node.ctx.controller.is_active()).collect();
    assert_eq!(deciding.iter().filter(|decides| **decides).count(), 1, "{deciding:?}");

    let bootstrap = nodes[0].addresses()[0].to_string();
    let sent = tokio::task::spawn_blocking(move || {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("acks", "all").set("message.timeout.ms", "20000");
        let producer: BaseProducer = config.create().unwrap();
        producer.send(BaseRecord::<str, str>::to("a").payload("one")).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE)
    });
    sent.await.unwrap().unwrap();

    let gone = deciding.iter().position(|decides| *decides).unwrap();
    nodes.remove(gone).stop().await;
    for (node, name) in nodes.iter().zip(["d", "e"]) {
        node.create_topics(vec![replicated(name, 2)]).await.unwrap();
    }
    assert_eq!(nodes.iter().filter(|node| node.ctx.controller.is_active()).count(), 1);
    // Of what the third one led, others lead by now.
    for node in &nodes {
        let image = node.ctx.metadata.load();
        assert!(image.topics_by_id.values().flat_map(|topic| &topic.partitions).all(|at| at.leader.is_some()));
    }
    join_all(nodes.into_iter().map(|node| node.stop_after(false))).await;
}
