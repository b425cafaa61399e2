//! One test per sentence of the rules: exact records, exact answers.
#![allow(clippy::unwrap_used)]

mod acls;
mod brokers;
mod configs;
mod features;
mod heartbeats;
mod isr;
mod leadership;
mod lifecycle;
mod model;
mod partitions;
mod placement;
mod quotas;
mod reassignment;
mod scram;
mod tokens;
mod topics;

use super::view::View;
use super::*;
use crate::controller::request::*;
use crate::metadata::record::{BrokerChange, PartitionChange, PartitionRecord, RegisterBroker};
use crate::metadata::{Change, ConfigResource, ResourceType};
use crate::model::{Offset, PartitionId, TopicName};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Draws topic ids 1, 2, 3… and always the smallest number.
#[derive(Default)]
pub(super) struct Counting(u128);

impl Draw for Counting {
    fn topic_id(&mut self) -> TopicId {
        self.0 += 1;
        TopicId(Uuid::from_u128(self.0))
    }

    fn below(&mut self, _bound: usize) -> usize {
        0
    }
}

/// Knows one list, `cleanup.policy`, and refuses the key `bad`.
pub(super) struct Rules;

impl ConfigRules for Rules {
    fn validate(
        &self,
        _resource: &ConfigResource,
        configs: &BTreeMap<String, String>,
        _existing: &BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        if configs.contains_key("bad") { Err(ApiError::new(ErrorCode::INVALID_CONFIG, "bad is bad")) } else { Ok(()) }
    }

    fn is_list(&self, kind: ResourceType, key: &str) -> bool {
        kind == ResourceType::Topic && key == "cleanup.policy"
    }

    fn default_value(&self, _kind: ResourceType, key: &str) -> Option<String> {
        (key == "cleanup.policy").then(|| "delete".to_owned())
    }
}

pub(super) const DEFAULTS: Defaults = Defaults {
    node: NodeId(100),
    partitions: 2,
    replication_factor: 1,
    min_insync_replicas: 1,
    unclean_leader_election: false,
};

pub(super) fn view(image: &Image) -> View<'_> {
    View::new(image, DEFAULTS)
}

/// What is left of a partition of topic 1 after these records.
pub(super) fn partition(image: &Image, number: i32) -> PartitionImage {
    let topic = image.topic_by_id(TopicId(Uuid::from_u128(1))).unwrap();
    PartitionImage::clone(topic.partition(PartitionId(number)).unwrap())
}

/// A change of a partition of topic 1, to begin with.
pub(super) fn change(number: i32) -> PartitionChange {
    PartitionChange::new(TopicId(Uuid::from_u128(1)), PartitionId(number))
}

/// Eligible leader replicas off.
pub(super) fn without_elr(image: &Image) -> Image {
    after(image, vec![Record::Feature { name: "eligible.leader.replicas.version".into(), level: 0 }])
}

/// A config of topic `a`.
pub(super) fn with_config(image: &Image, key: &str, value: &str) -> Image {
    let resource = ConfigResource::topic(&TopicName::new("a"));
    after(image, vec![Record::Config { resource, key: key.into(), value: Some(value.into()) }])
}

pub(super) fn directory(broker: i32) -> DirectoryId {
    DirectoryId(Uuid::from_u128(1000 + broker as u128))
}

pub(super) fn broker(id: i32) -> BrokerImage {
    BrokerImage {
        id: NodeId(id),
        epoch: i64::from(id) + 100,
        incarnation: Uuid::from_u128(7),
        endpoints: Vec::new(),
        features: crate::controller::FEATURES.iter().map(|f| (f.name.to_owned(), (f.min, f.max))).collect(),
        rack: None,
        fenced: false,
        in_controlled_shutdown: false,
        directories: vec![directory(id)],
        cordoned: None,
    }
}

/// A new cluster with these brokers.
pub(super) fn cluster(brokers: Vec<BrokerImage>) -> Image {
    let registered = brokers.into_iter().map(|image| Record::RegisterBroker(RegisterBroker { image }));
    after(
        &Image::default(),
        crate::controller::machine::features::bootstrap(None, 1).into_iter().chain(registered).collect(),
    )
}

pub(super) fn after(image: &Image, records: Vec<Record>) -> Image {
    let mut change = Change::new(image);
    for record in records {
        change.apply(&record).unwrap();
    }
    change.finish(Offset(0), 1).unwrap().0
}

pub(super) fn nodes(ids: &[i32]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

pub(super) fn new_topic(name: &str) -> NewTopic {
    NewTopic {
        name: TopicName::new(name),
        partitions: -1,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}

/// The image with one topic of these partitions, each on the given replicas.
pub(super) fn with_topic(image: &Image, name: &str, partitions: &[&[i32]]) -> Image {
    let assignments = (0..).map(PartitionId).zip(partitions.iter().map(|ids| nodes(ids))).collect();
    let request = CreateTopics { topics: vec![NewTopic { assignments, ..new_topic(name) }], validate_only: false };
    let mut draw = Counting(image.topics_by_id.len() as u128);
    let decided = super::topics::create(&request, image, DEFAULTS, &Rules, &mut draw);
    assert!(decided.answer.iter().all(Result::is_ok), "{:?}", decided.answer);
    after(image, decided.records)
}

pub(super) fn partition_record(topic: u128, partition: i32, replicas: &[i32], isr: &[i32]) -> Record {
    Record::Partition(PartitionRecord {
        topic: TopicId(Uuid::from_u128(topic)),
        partition: PartitionId(partition),
        image: PartitionImage {
            replicas: nodes(replicas).into(),
            isr: nodes(isr).into(),
            leader: Some(NodeId(isr[0])),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            directories: replicas.iter().map(|id| directory(*id)).collect(),
            adding: Replicas::new(),
            removing: Replicas::new(),
            elr: Replicas::new(),
            last_known_elr: Replicas::new(),
            recovering: false,
        },
    })
}

pub(super) fn error<T>(code: ErrorCode, message: &str) -> Result<T, ApiError> {
    Err(ApiError::new(code, message))
}
