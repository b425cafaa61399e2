//! The controller's decisions, pure: `(request, &Image, drawn ids) → (records, answer)`.
//!
//! Nothing here knows a clock, a file, a task or chance: random ids come in through [`Draw`]. The
//! rules are those of Kafka 4.3's `ReplicationControlManager`, `ConfigurationControlManager`,
//! `FeatureControlManager`, `ProducerIdControlManager`, `ClusterControlManager` and `AclControlManager`, messages
//! included, because clients show them.

pub(super) mod acls;
pub(super) mod brokers;
mod change;
pub(super) mod configs;
pub(super) mod directories;
pub(super) mod features;
pub(super) mod heartbeats;
pub(super) mod isr;
pub(super) mod leadership;
pub(super) mod lifecycle;
pub(super) mod partitions;
pub(super) mod placement;
pub(super) mod producer_ids;
pub(super) mod quotas;
pub(super) mod reassignment;
pub(super) mod scram;
pub(super) mod tokens;
pub(super) mod topics;
pub(super) mod view;

#[cfg(test)]
mod tests;

use super::request::ApiError;
use crate::metadata::{BrokerImage, DirectoryId, Image, PartitionImage, Record, Replicas};
use crate::model::{ErrorCode, LeaderEpoch, NodeId, TopicId};

/// Chance, handed in.
pub(super) trait Draw {
    /// A topic id never drawn before.
    fn topic_id(&mut self) -> TopicId;
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize;
}

/// What a decision comes to: records to commit, all or none, and the answer for when they are.
#[derive(Debug, PartialEq)]
pub(super) struct Decision<T> {
    pub(super) records: Vec<Record>,
    pub(super) answer: T,
}

/// The most records one request may cause (`MAX_RECORDS_PER_USER_OP`).
pub(super) const RECORDS_MAX: usize = 10_000;

impl<T> Decision<Vec<Result<T, ApiError>>> {
    /// Refuses what would be too many records, as Kafka does; drops the records of a dry run.
    pub(super) fn bounded(self, validate_only: bool) -> Self {
        if self.records.len() > RECORDS_MAX {
            let error =
                || ApiError::new(ErrorCode::POLICY_VIOLATION, "Unable to perform excessively large batch operation.");
            return Decision { records: Vec::new(), answer: self.answer.iter().map(|_| Err(error())).collect() };
        }
        if validate_only { Decision { records: Vec::new(), ..self } } else { self }
    }
}

/// Not fenced and not shutting down: may be in an ISR.
fn is_active(image: &Image, id: NodeId) -> bool {
    image.brokers.get(&id).is_some_and(|broker| !broker.fenced && !broker.in_controlled_shutdown)
}

fn has_uncordoned_directories(broker: &BrokerImage) -> bool {
    match &broker.cordoned {
        Some(cordoned) if !broker.directories.is_empty() => broker.directories.iter().any(|d| !cordoned.contains(d)),
        _ => true,
    }
}

/// The directory of a new replica: known if the broker has only one, else the broker's choice.
fn default_directory(image: &Image, id: NodeId) -> DirectoryId {
    match image.brokers.get(&id).map(|broker| &broker.directories[..]) {
        Some([]) => DirectoryId::MIGRATING,
        Some([only]) => *only,
        Some(_) | None => DirectoryId::UNASSIGNED,
    }
}

/// A partition as it begins, or `None` if none of its replicas is active.
fn new_partition(image: &Image, replicas: &[NodeId]) -> Option<PartitionImage> {
    let isr: Replicas = replicas.iter().copied().filter(|id| is_active(image, *id)).collect();
    let leader = *isr.first()?;
    Some(PartitionImage {
        replicas: replicas.into(),
        isr,
        leader: Some(leader),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        directories: replicas.iter().map(|id| default_directory(image, *id)).collect(),
        adding: Replicas::new(),
        removing: Replicas::new(),
        elr: Replicas::new(),
        last_known_elr: Replicas::new(),
        recovering: false,
    })
}

/// Checks the replicas that a client chose for a partition.
fn check_assignment(image: &Image, replicas: &[NodeId], replication_factor: Option<usize>) -> Result<(), ApiError> {
    let fault = |text: String| Err(ApiError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    if replicas.is_empty() {
        return fault("The manual partition assignment includes an empty replica list.".into());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for id in sorted {
        let Some(broker) = image.brokers.get(&id) else {
            return fault(format!(
                "The manual partition assignment includes broker {}, but no such broker is registered.",
                id.0
            ));
        };
        if !has_uncordoned_directories(broker) {
            return fault(format!(
                "The manual partition assignment includes broker {}, but all its log directories are cordoned.",
                id.0
            ));
        }
        if previous == Some(id) {
            return fault(format!("The manual partition assignment includes the broker {} more than once.", id.0));
        }
        previous = Some(id);
    }
    match replication_factor {
        Some(expected) if expected != replicas.len() => fault(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with \
             previous partitions, which have {expected} replica(s).",
            replicas.len()
        )),
        _ => Ok(()),
    }
}
