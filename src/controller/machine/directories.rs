//! AssignReplicasToDirs: a broker says in which of its directories it put replicas (KIP-858).

use super::view::View;
use super::{Decision, brokers, leadership};
use crate::controller::request::{ApiError, Assignment};
use crate::metadata::{DirectoryId, Record};
use crate::model::{ErrorCode, NodeId};

/// Decides AssignReplicasToDirs; one answer per replica, in order. The outer error is the whole request's.
pub(crate) fn assign(
    broker: NodeId,
    broker_epoch: i64,
    assignments: &[Assignment],
    view: &View<'_>,
) -> Decision<Result<Vec<Result<(), ErrorCode>>, ApiError>> {
    if !view.directories_supported() {
        let error = ApiError::new(ErrorCode::UNSUPPORTED_VERSION, "Directory assignment is not supported yet.");
        return Decision { records: Vec::new(), answer: Err(error) };
    }
    if let Err(error) = brokers::check_epoch(broker, broker_epoch, view.image) {
        return Decision { records: Vec::new(), answer: Err(error) };
    }
    let (mut records, mut lost) = (Vec::new(), Vec::new());
    let answers = assignments.iter().map(|one| assign_one(broker, one, view, &mut records, &mut lost)).collect();
    // After the directories: whoever follows the partition sees it lie there first, and then move.
    records.append(&mut lost);
    Decision { records, answer: Ok(answers) }
}

fn assign_one(
    broker: NodeId,
    assignment: &Assignment,
    view: &View<'_>,
    records: &mut Vec<Record>,
    lost: &mut Vec<Record>,
) -> Result<(), ErrorCode> {
    let topic = view.image.topic_by_id(assignment.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
    let partition = topic.partition(assignment.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if !partition.replicas.contains(&broker) {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let directory = DirectoryId(assignment.directory);
    let change = leadership::change(view, topic, assignment.partition, partition).directory(broker, directory);
    records.extend(change.record());
    if !view.has_online(broker, directory) {
        let change = leadership::lose_replica(view, broker, topic, assignment.partition, partition);
        lost.extend(change.map(|mut change| {
            // It says which directories the other replicas are in as they were before; the broker's own is set above.
            change.directories = None;
            Record::PartitionChange(change)
        }));
    }
    Ok(())
}
