//! AlterPartition: a leader asks that its partition's ISR changes.

use super::change::without;
use super::view::View;
use super::{Decision, brokers, leadership};
use crate::controller::request::{ApiError, IsrProposal, IsrVerdict};
use crate::metadata::{PartitionImage, Record, Replicas};
use crate::model::{ErrorCode, LeaderEpoch, NodeId};

/// Decides AlterPartition; one verdict per partition, in order. The error is the whole request's.
pub(crate) fn alter(
    broker: NodeId,
    broker_epoch: i64,
    proposals: &[IsrProposal],
    view: &View<'_>,
) -> Decision<Result<Vec<IsrVerdict>, ApiError>> {
    if let Err(error) = brokers::check_epoch(broker, broker_epoch, view.image) {
        return Decision { records: Vec::new(), answer: Err(error) };
    }
    let mut records = Vec::new();
    let verdicts = proposals
        .iter()
        .map(|asked| alter_one(asked, broker, view, &mut records).unwrap_or_else(|error| refused(asked, error)));
    let answer = Ok(verdicts.collect());
    Decision { records, answer }
}

fn alter_one(
    asked: &IsrProposal,
    broker: NodeId,
    view: &View<'_>,
    records: &mut Vec<Record>,
) -> Result<IsrVerdict, ErrorCode> {
    let topic = view.image.topic_by_id(asked.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
    let partition = topic.partition(asked.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    check(asked, broker, partition, view)?;
    let change = leadership::change(view, topic, asked.partition, partition)
        .election(leadership::unclean_if_allowed(view, topic))
        .isr(members(asked))
        .recovering(!asked.recovered)
        .build();
    let Some(change) = change else { return Ok(verdict(asked, partition)) };
    let after = change.merge(partition).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
    let led_by_another = change.leader.is_some_and(|leader| leader != Some(broker));
    records.push(Record::PartitionChange(change));
    // It completed a reassignment that takes the leader's replica away. That happens, and the leader is told to look again.
    if led_by_another { Err(ErrorCode::NEW_LEADER_ELECTED) } else { Ok(verdict(asked, &after)) }
}

fn members(asked: &IsrProposal) -> Replicas {
    asked.isr.iter().map(|(id, _)| *id).collect()
}

fn verdict(asked: &IsrProposal, partition: &PartitionImage) -> IsrVerdict {
    IsrVerdict {
        topic: asked.topic,
        partition: asked.partition,
        error: ErrorCode::NONE,
        leader: partition.leader.unwrap_or(NodeId(-1)),
        leader_epoch: partition.leader_epoch,
        isr: partition.isr.to_vec(),
        recovered: !partition.recovering,
        partition_epoch: partition.partition_epoch,
    }
}

fn refused(asked: &IsrProposal, error: ErrorCode) -> IsrVerdict {
    IsrVerdict {
        topic: asked.topic,
        partition: asked.partition,
        error,
        leader: NodeId(0),
        leader_epoch: LeaderEpoch(0),
        isr: Vec::new(),
        recovered: true,
        partition_epoch: 0,
    }
}

fn check(asked: &IsrProposal, broker: NodeId, partition: &PartitionImage, view: &View<'_>) -> Result<(), ErrorCode> {
    // It knows of what this controller does not: this one is most likely active no more.
    if asked.leader_epoch > partition.leader_epoch || asked.partition_epoch > partition.partition_epoch {
        return Err(ErrorCode::NOT_CONTROLLER);
    }
    if asked.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FENCED_LEADER_EPOCH);
    }
    if partition.leader != Some(broker) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    if asked.partition_epoch < partition.partition_epoch {
        return Err(ErrorCode::INVALID_UPDATE_VERSION);
    }
    let isr = members(asked);
    if !is_valid(&isr, &partition.replicas) || !isr.contains(&broker) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    // A leader that has not recovered from an unclean election yet is alone, and recovers once.
    if !asked.recovered && (isr.len() > 1 || !partition.recovering) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    if asked.isr.iter().any(|(id, epoch)| !is_eligible(*id, *epoch, view)) {
        return Err(ErrorCode::INELIGIBLE_REPLICA);
    }
    Ok(())
}

/// Not empty, nobody twice, replicas only.
fn is_valid(isr: &[NodeId], replicas: &[NodeId]) -> bool {
    let mut sorted = Replicas::from_slice(isr);
    sorted.sort_unstable();
    sorted.dedup();
    !isr.is_empty() && sorted.len() == isr.len() && without(isr, replicas).is_empty()
}

/// Whether a broker may be in an ISR, and is the one that the leader saw catch up (KIP-903); -1: the leader does not know.
fn is_eligible(id: NodeId, epoch: i64, view: &View<'_>) -> bool {
    let registered = || view.image.brokers.get(&id).map(|broker| broker.epoch);
    view.is_active(id) && (epoch == -1 || registered() == Some(epoch))
}
