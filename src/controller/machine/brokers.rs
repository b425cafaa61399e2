//! Brokers: registration, and the partitions a broker may lead again when it comes back.
//!
//! Today the only broker is this node, which registers itself when it starts and is unfenced at once.

use super::features::FEATURES;
use crate::controller::request::{ApiError, Registration};
use crate::metadata::record::{PartitionChange, RegisterBroker};
use crate::metadata::{BrokerImage, Image, PartitionImage, Record, Replicas};
use crate::model::{ErrorCode, NodeId, Offset};

/// Refuses a broker that is not the one registered.
pub(super) fn check_epoch(broker: NodeId, epoch: i64, image: &Image) -> Result<(), ApiError> {
    let fault = |text: String| Err(ApiError::new(ErrorCode::STALE_BROKER_EPOCH, text));
    match image.brokers.get(&broker) {
        None => fault(format!("No broker registration found for broker id {}", broker.0)),
        Some(registered) if registered.epoch != epoch => {
            fault(format!("Expected broker epoch {}, but got broker epoch {epoch}", registered.epoch))
        }
        Some(_) => Ok(()),
    }
}

/// The record that registers this node, unfenced. `at` is the offset it will have: the broker's epoch.
pub(crate) fn register(registration: &Registration, at: Offset, image: &Image) -> Record {
    let known = image.brokers.get(&registration.node);
    Record::RegisterBroker(RegisterBroker {
        image: BrokerImage {
            id: registration.node,
            epoch: at.0,
            incarnation: registration.incarnation,
            endpoints: registration.endpoints.clone(),
            features: FEATURES.iter().map(|f| (f.name.to_owned(), (f.min, f.max))).collect(),
            rack: registration.rack.clone(),
            fenced: false,
            in_controlled_shutdown: false,
            directories: registration.directories.clone(),
            cordoned: known.and_then(|known| known.cordoned.clone()),
        },
    })
}

/// Changes that let a broker which has just come back lead what it may lead.
///
/// A partition without a leader gets it if it is in the ISR or, when that is empty, eligible. After
/// an unclean stop the epochs of the partitions it led rise too: the end of a log may be gone, and a
/// reader that has seen it must be able to tell (KIP-320).
pub(crate) fn resume(node: NodeId, clean: bool, image: &Image) -> Vec<Record> {
    let mut records = Vec::new();
    for topic in image.topics_by_id.values() {
        for (number, partition) in topic.numbered() {
            let leads = partition.leader == Some(node);
            if leads && clean || !leads && !may_lead(node, partition) {
                continue;
            }
            let mut change = PartitionChange::new(topic.id, number);
            change.leader = Some(Some(node));
            if !partition.isr.contains(&node) {
                change.isr = Some(Replicas::from_slice(&[node]));
                change.elr = without(&partition.elr, node);
                change.last_known_elr = without(&partition.last_known_elr, node);
            }
            records.push(Record::PartitionChange(change));
        }
    }
    records
}

fn may_lead(node: NodeId, partition: &PartitionImage) -> bool {
    partition.leader.is_none()
        && (partition.isr.contains(&node)
            || partition.isr.is_empty()
                && (partition.elr.contains(&node)
                    || partition.elr.is_empty() && partition.last_known_elr.contains(&node)))
}

fn without(nodes: &Replicas, node: NodeId) -> Option<Replicas> {
    nodes.contains(&node).then(|| nodes.iter().copied().filter(|id| *id != node).collect())
}
