//! The whole controller over a disk that loses power.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::metadata::{ConfigResource, ResourceType, Store};
use crate::model::{ErrorCode, NodeId, ProducerId, TopicId, TopicName};
use crate::quorum::{Founding, Settings};
use crate::rt::fs::sim::SimFs;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

mod cluster;

struct AnythingGoes;

impl ConfigRules for AnythingGoes {
    fn validate(
        &self,
        _resource: &ConfigResource,
        _configs: &BTreeMap<String, String>,
        _existing: &BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        Ok(())
    }

    fn is_list(&self, _kind: ResourceType, _key: &str) -> bool {
        false
    }

    fn default_value(&self, _kind: ResourceType, _key: &str) -> Option<String> {
        None
    }
}

const DEFAULTS: Defaults = Defaults {
    node: NodeId(1),
    partitions: 3,
    replication_factor: 1,
    min_insync_replicas: 1,
    unclean_leader_election: false,
};

fn registration(node: i32) -> Registration {
    Registration {
        broker: NodeId(node),
        cluster_id: "cluster".into(),
        incarnation: Uuid::from_u128(1),
        listeners: Vec::new(),
        features: supported_features(),
        rack: None,
        log_dirs: vec![Uuid::from_u128(500 + node as u128)],
        previous_broker_epoch: -1,
    }
}

fn try_start(disk: &SimFs, clean: bool) -> Result<Service, StartError> {
    start_with(disk, clean, Duration::from_secs(9))
}

fn start_with(disk: &SimFs, clean: bool, session_timeout: Duration) -> Result<Service, StartError> {
    let settings = Settings { segment_bytes: 2000, snapshot_bytes: 5000, ..Settings::default() };
    let registration = registration(1);
    let defaults = DEFAULTS;
    let rules = Arc::new(AnythingGoes);
    let fs = disk.shared();
    let founding = Founding::Durable;
    let dir = "/data".into();
    let begin = Start { fs, dir, settings, registration, session_timeout, defaults, rules, clean, founding };
    start(begin, Arc::new(Store::default()))
}

fn begin(disk: &SimFs) -> Service {
    try_start(disk, true).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn create(service: &Service, name: &str) -> Result<CreatedTopic, ApiError> {
    let topic = NewTopic {
        name: TopicName::new(name),
        partitions: -1,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: vec![("retention.ms".into(), Some("1".into()))],
    };
    run(service.create_topics(CreateTopics { topics: vec![topic], validate_only: false })).remove(0)
}

fn delete(service: &Service, id: TopicId) -> Result<DeletedTopic, ApiError> {
    run(service.delete_topics(vec![TopicSelector::Id(id)])).remove(0)
}

fn epoch(service: &Service) -> i64 {
    service.store().load().brokers[&NodeId(1)].epoch
}

#[test]
fn an_empty_directory_becomes_a_cluster_with_one_write_and_this_node_in_it() {
    let disk = SimFs::new();
    let service = begin(&disk);
    let image = service.store().image();
    assert_eq!((image.feature("metadata.version"), image.feature("transaction.version")), (30, 2));
    assert_eq!(image.config(&ConfigResource::cluster_default())["min.insync.replicas"], "1");
    let broker = &image.brokers[&NodeId(1)];
    // Offset 0 begins the epoch, six features and a config follow.
    assert_eq!((broker.epoch, broker.fenced), (8, false));
    assert_eq!(image.offset, crate::model::Offset(8));
    // The records, the directory's names, the parent's names.
    assert_eq!(disk.syncs(), 3);
}

#[test]
fn a_rebeginregisters_again_with_a_new_epoch_and_keeps_everything_else() {
    let disk = SimFs::new();
    let service = begin(&disk);
    let created = create(&service, "a").unwrap();
    let first = epoch(&service);
    service.close();
    let before = disk.syncs();
    let service = begin(&disk);
    assert_eq!(disk.syncs() - before, 1);
    assert!(epoch(&service) > first);
    let image = service.store().image();
    let topic = image.topic("a").unwrap();
    assert_eq!((topic.id, topic.partitions.len()), (created.id, 3));
    assert_eq!(topic.partitions[0].leader_epoch, crate::model::LeaderEpoch(0));
    assert_eq!(image.config_of(ResourceType::Topic, "a")["retention.ms"], "1");
}

#[test]
fn after_an_unclean_stop_every_partition_led_here_is_in_a_new_epoch() {
    let disk = SimFs::new();
    let service = begin(&disk);
    create(&service, "a").unwrap();
    service.close();
    let service = try_start(&disk, false).unwrap();
    let image = service.store().image();
    assert!(image.topic("a").unwrap().partitions.iter().all(|p| p.leader_epoch.0 == 1 && p.partition_epoch == 1));
}

#[test]
fn an_answer_leaves_after_the_image_shows_it_even_if_it_is_an_error() {
    let disk = SimFs::new();
    let service = begin(&disk);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let service = service.clone();
            runtime.spawn(async move {
                let topic = NewTopic {
                    name: TopicName::new(&format!("t{}", n % 10)),
                    partitions: 1,
                    replication_factor: 1,
                    assignments: Vec::new(),
                    configs: Vec::new(),
                };
                let request = CreateTopics { topics: vec![topic.clone()], validate_only: false };
                let answer = service.create_topics(request).await.remove(0);
                assert!(service.store().load().topic(topic.name.as_str()).is_some(), "answered too early");
                answer.map_err(|error| error.code)
            })
        })
        .collect();
    let answers: Vec<_> = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(ErrorCode::TOPIC_ALREADY_EXISTS)).count(), 40);
}

#[test]
fn what_could_not_be_written_did_not_happen_and_may_be_tried_again() {
    let disk = SimFs::new();
    let service = begin(&disk);
    disk.fail_write(1);
    assert_eq!(create(&service, "a").unwrap_err().code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert!(service.store().load().topic("a").is_none());
    create(&service, "a").unwrap();
}

#[test]
fn after_a_failed_sync_nothing_is_answered_as_done() {
    let disk = SimFs::new();
    let service = begin(&disk);
    disk.fail_sync(1);
    assert_eq!(create(&service, "a").unwrap_err().code, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(create(&service, "b").unwrap_err().code, ErrorCode::UNKNOWN_SERVER_ERROR);
    run(service.failed());
}

#[test]
fn a_log_of_a_later_kafka_is_refused_with_its_level() {
    let disk = SimFs::new();
    let service = begin(&disk);
    let later = crate::metadata::Record::Feature { name: "metadata.version".into(), level: 31 };
    let ((), ticket) = service.decide(|_| machine::Decision { records: vec![later], answer: () }).unwrap();
    ticket.wait().unwrap();
    service.close();
    let refused = try_start(&disk, true).unwrap_err().to_string();
    assert!(refused.contains("metadata.version 31") && refused.contains("7 to 30"), "{refused}");
}

/// What clients were told.
#[derive(Default)]
struct Told {
    created: BTreeMap<String, TopicId>,
    deleted: BTreeSet<TopicId>,
    /// Asked for, answered with an error: there or not.
    unknown: BTreeSet<String>,
    ids_end: i64,
    blocks: BTreeSet<ProducerId>,
}

/// A client that creates, deletes and takes producer ids until something fails.
fn use_it(service: &Service, told: &mut Told) -> Result<(), ApiError> {
    for n in 0..25 {
        let name = format!("t{n}");
        told.unknown.insert(name.clone());
        let created = create(service, &name)?;
        told.unknown.remove(&name);
        told.created.insert(name, created.id);
        take_ids(service, told)?;
        if n % 3 == 2 {
            let name = format!("t{}", n - 1);
            let id = told.created.remove(&name).unwrap();
            told.unknown.insert(name.clone());
            delete(service, id)?;
            told.unknown.remove(&name);
            told.deleted.insert(id);
        }
    }
    Ok(())
}

fn take_ids(service: &Service, told: &mut Told) -> Result<(), ApiError> {
    let block = run(service.allocate_producer_ids(NodeId(1), epoch(service)))?;
    assert!(told.blocks.insert(block.first), "a block of producer ids was given twice");
    assert!(block.first.0 >= told.ids_end, "producer ids went back");
    told.ids_end = block.first.0 + i64::from(block.count);
    Ok(())
}

#[test]
fn a_power_cut_at_any_sync_loses_nothing_that_clients_were_told() {
    for at in 1.. {
        let mut off = false;
        for seed in 0..3 {
            let disk = SimFs::new();
            disk.crash_at_sync(at);
            let mut told = Told::default();
            if let Ok(service) = try_start(&disk, true) {
                let _ = use_it(&service, &mut told);
                service.close();
            }
            off = disk.is_off();
            disk.crash(seed);
            let service = try_start(&disk, false).unwrap();
            let image = service.store().image();
            let context = format!("sync {at}, seed {seed}");
            for (name, id) in &told.created {
                let topic = image.topic(name).unwrap_or_else(|| panic!("{context}: {name} is lost"));
                assert_eq!((topic.id, topic.partitions.len()), (*id, 3), "{context}");
                assert_eq!(image.config_of(ResourceType::Topic, name)["retention.ms"], "1", "{context}");
            }
            for id in &told.deleted {
                assert!(image.topic_by_id(*id).is_none(), "{context}: a deleted topic is back");
            }
            for name in image.topics_by_name.keys() {
                let known = told.created.contains_key(name.as_str()) || told.unknown.contains(name.as_str());
                assert!(known, "{context}: {name} came from nowhere");
            }
            take_ids(&service, &mut told).unwrap();
            service.close();
        }
        if !off {
            return;
        }
    }
}

/// Prints what things cost on a real disk; run it by name, optimised:
/// `cargo test --release --lib controller::tests::costs -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn costs() {
    use crate::rt::clock;
    let dir = tempfile::tempdir().unwrap();
    let begin = |dir: &std::path::Path| {
        let at = clock::now();
        let service = start(
            Start {
                fs: crate::rt::fs::disk::disk(),
                dir: dir.to_owned(),
                settings: Settings::default(),
                registration: registration(1),
                session_timeout: Duration::from_secs(9),
                defaults: Defaults { partitions: 1, ..DEFAULTS },
                rules: Arc::new(AnythingGoes),
                clean: true,
                founding: Founding::Durable,
            },
            Arc::new(Store::default()),
        )
        .unwrap();
        (service, at.elapsed())
    };
    let (service, took) = begin(dir.path());
    println!("start of an empty directory: {took:?}");
    let at = clock::now();
    for n in 0..1000 {
        create(&service, &format!("first{n}")).unwrap();
    }
    println!("1 000 topics one by one, each synced: {:?}", at.elapsed());
    let topics = |range: std::ops::Range<i32>| {
        let one = |n| NewTopic {
            name: TopicName::new(&format!("more{n}")),
            partitions: 1,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: Vec::new(),
        };
        CreateTopics { topics: range.map(one).collect(), validate_only: false }
    };
    let at = clock::now();
    for n in 0..9 {
        let answers = run(service.create_topics(topics(n * 1000..(n + 1) * 1000)));
        assert!(answers.iter().all(Result::is_ok));
    }
    println!("9 000 topics, 1 000 a request: {:?}", at.elapsed());
    let at = clock::now();
    for n in 0..1000 {
        create(&service, &format!("last{n}")).unwrap();
    }
    println!("1 000 topics one by one beside 10 000, each synced: {:?}", at.elapsed());
    service.close();
    let (service, took) = begin(dir.path());
    println!("replay of {:?} and start: {took:?}", service.quorum().replayed());
    service.close();

    let disk = SimFs::new();
    let service = try_start(&disk, true).unwrap();
    let at = clock::now();
    for n in 0..1000 {
        create(&service, &format!("t{n}")).unwrap();
    }
    println!("1 000 topics of 3 partitions one by one, no disk: {:?}", at.elapsed());
}

/// The metadata log of an Apache Kafka 4.3.1 in combined mode after three starts, with its controlled
/// shutdowns, a deleted topic, a SCRAM user, a quota and an ACL.
const APACHE: &[u8] = include_bytes!("../quorum/fixtures/apache-kafka-4.3.1.log");

fn disk_of_apache() -> SimFs {
    let disk = SimFs::new();
    let dir = std::path::Path::new("/data/__cluster_metadata-0");
    disk.shared().create_dir_all(dir).unwrap();
    let path = dir.join("00000000000000000000.log");
    let file = disk.shared().open(&path, crate::rt::fs::Open::Create).unwrap();
    file.write_all_at(&mut [std::io::IoSlice::new(APACHE)], 0).unwrap();
    disk
}

#[test]
fn a_metadata_log_of_apache_kafka_4_3_is_taken_over() {
    let disk = disk_of_apache();
    let service = begin(&disk);
    assert_eq!(service.quorum().replayed().cut, 0);
    assert_eq!(service.quorum().epoch(), crate::model::LeaderEpoch(4));
    let image = service.store().image();
    let names: Vec<&str> = image.topics_by_name.keys().map(TopicName::as_str).collect();
    assert_eq!(names, ["later", "real"]);
    assert_eq!(image.topic("real").unwrap().id.to_string(), "QhlnwnuKQJydaanIGn2LMg");
    assert_eq!(image.config_of(ResourceType::Topic, "real")["retention.ms"], "12345");
    assert_eq!((image.feature("metadata.version"), image.next_producer_id), (30, ProducerId(1000)));
    // Kafka left every partition without a leader when it was shut down; here they are led again.
    for topic in image.topics_by_id.values() {
        for partition in &topic.partitions {
            assert_eq!((partition.leader, &partition.isr[..]), (Some(NodeId(1)), &[NodeId(1)][..]));
            assert!(partition.elr.is_empty() && partition.last_known_elr.is_empty());
        }
    }
    let security = (image.acls.len(), image.scram.len(), image.quotas.len());
    assert_eq!(security, (1, 1, 1));
    // One registration of the controller.
    assert_eq!(image.kept.len(), 1);
    create(&service, "new").unwrap();
}

#[test]
fn what_apache_kafka_wrote_is_written_again_byte_for_byte() {
    use crate::metadata::Record;
    use crate::record::{Batches, records};
    let mut compared = 0;
    for batch in Batches::new(APACHE) {
        let (header, bytes) = batch.unwrap();
        if header.attributes.is_control() {
            continue;
        }
        let payload = records::open(&header, bytes, 1 << 20).unwrap();
        for record in records::Records::new(&header, &payload).unwrap() {
            let theirs = record.unwrap().value.unwrap();
            let decoded = Record::decode(theirs).unwrap();
            let mut ours = Vec::new();
            decoded.encode(30, &mut ours);
            match decoded {
                // Kafka writes features in the order of a hash map, and a change of a registration in the
                // lowest version that can hold it.
                Record::RegisterBroker(_) | Record::BrokerChange(_) => assert_eq!(Record::decode(&ours), Ok(decoded)),
                _ => assert_eq!(ours, theirs, "{decoded:?}"),
            }
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn a_directory_formatted_by_kafka_storage_begins_as_it_was_formatted() {
    // Formatted by Apache Kafka 4.3.1, with its defaults.
    let formatted = include_bytes!("../quorum/fixtures/apache-kafka-4.3.1-bootstrap.checkpoint");
    let disk = SimFs::new();
    let dir = std::path::Path::new("/data");
    disk.shared().create_dir_all(dir).unwrap();
    disk.shared().write_atomic(&dir.join("bootstrap.checkpoint"), formatted).unwrap();
    let service = begin(&disk);
    let plain = begin(&SimFs::new());
    assert_eq!(service.store().image().features, plain.store().image().features);
    assert_eq!(service.store().image().configs, plain.store().image().configs);
    let read = crate::quorum::bootstrap_records(disk.shared().as_ref(), dir).unwrap().unwrap();
    assert_eq!(read.len(), 6);
}
