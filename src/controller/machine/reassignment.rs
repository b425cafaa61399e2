//! AlterPartitionReassignments: moving replicas to other brokers.
//!
//! A partition that is reassigned has the replicas it is to have and those it had; it is done when the
//! new ones are in sync ([`super::change`]).

use super::change::without;
use super::view::View;
use super::{Decision, RECORDS_MAX, check_assignment, leadership};
use crate::controller::request::{ApiError, Reassign, Reassignment};
use crate::metadata::{PartitionImage, Record, Replicas, TopicImage};
use crate::model::{ErrorCode, NodeId, PartitionId};

/// Decides AlterPartitionReassignments; one answer per partition, in order.
pub(crate) fn alter(request: &Reassign, view: &View<'_>) -> Decision<Vec<Result<(), ApiError>>> {
    let mut records = Vec::new();
    let answer = request
        .partitions
        .iter()
        .map(|asked| alter_one(asked, request.may_change_factor, view, &mut records))
        .collect();
    Decision { records, answer }
}

fn alter_one(
    asked: &Reassignment,
    may_change_factor: bool,
    view: &View<'_>,
    records: &mut Vec<Record>,
) -> Result<(), ApiError> {
    let Reassignment { topic: name, partition: number, replicas } = asked;
    let missing = |text: String| ApiError::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text);
    let topic = view.image.topic(name).ok_or_else(|| missing(format!("Unable to find a topic named {name}.")))?;
    let partition =
        topic.partition(*number).ok_or_else(|| missing(format!("Unable to find partition {name}:{}.", number.0)))?;
    let record = match replicas {
        None => cancel(topic, *number, partition, view)?,
        Some(replicas) => begin(topic, *number, partition, replicas, may_change_factor, view)?,
    };
    if records.len() >= RECORDS_MAX {
        let text = "Unable to perform excessively large batch operation.";
        return Err(ApiError::new(ErrorCode::POLICY_VIOLATION, text));
    }
    records.extend(record);
    Ok(())
}

/// Whether a partition is being moved.
fn in_progress(partition: &PartitionImage) -> bool {
    !partition.adding.is_empty() || !partition.removing.is_empty()
}

fn begin(
    topic: &TopicImage,
    number: PartitionId,
    partition: &PartitionImage,
    target: &[NodeId],
    may_change_factor: bool,
    view: &View<'_>,
) -> Result<Option<Record>, ApiError> {
    check_assignment(view.image, target, None)?;
    if !may_change_factor {
        let current = without(&partition.replicas, &partition.removing).len();
        if current != target.len() {
            let text = format!("The replication factor is changed from {current} to {}", target.len());
            return Err(ApiError::new(ErrorCode::INVALID_REPLICATION_FACTOR, text));
        }
    }
    let mut removing = without(&partition.replicas, target);
    removing.sort_unstable();
    let mut adding = without(target, &partition.replicas);
    adding.sort_unstable();
    let replicas: Replicas = target.iter().chain(&removing).copied().collect();
    let mut change = leadership::change(view, topic, number, partition).replicas(replicas);
    if !removing.is_empty() {
        change = change.removing(removing);
    }
    if !adding.is_empty() {
        change = change.adding(adding);
    }
    Ok(change.record())
}

fn cancel(
    topic: &TopicImage,
    number: PartitionId,
    partition: &PartitionImage,
    view: &View<'_>,
) -> Result<Option<Record>, ApiError> {
    if !in_progress(partition) {
        return Err(ApiError::new(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, "No partition reassignment is in progress."));
    }
    let replicas = without(&partition.replicas, &partition.adding);
    let mut isr = without(&partition.isr, &partition.adding);
    if isr.is_empty() {
        // Only replicas that were being added are in sync: going back would lose what they have.
        let Some(first) = replicas.first() else {
            let text = "Invalid replica assignment: addingReplicas contains all replicas.";
            return Err(ApiError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
        };
        if !view.unclean_election(&topic.name) {
            let text = format!(
                "Unable to revert partition assignment for {}:{} because it would require an unclean leader election.",
                topic.name, number.0
            );
            return Err(ApiError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
        }
        isr.push(*first);
    }
    Ok(leadership::change(view, topic, number, partition)
        .election(leadership::unclean_if_allowed(view, topic))
        .isr(isr)
        .replicas(replicas)
        .adding(Replicas::new())
        .removing(Replicas::new())
        .record())
}
