//! What the APIs of transactions have in common: names between the wire's words and ours.

use super::text;
use crate::metadata::Image;
use crate::model::{ErrorCode, PartitionId, ProducerEpoch, ProducerId, TopicName, TransactionalId};
use crate::txn::request::Producer;
use kafka_protocol::messages;

/// From this version of the requests of producers on, but for InitProducerId, PRODUCER_FENCED is known.
pub(super) const KNOWS_FENCED: i16 = 2;

/// A transactional id, out of the frame that it came in.
pub(super) fn id(id: &messages::TransactionalId) -> TransactionalId {
    TransactionalId::new(id.as_str())
}

pub(super) fn wire_id(id: &TransactionalId) -> messages::TransactionalId {
    messages::TransactionalId(text::text(id.as_str()))
}

pub(super) fn producer(id: messages::ProducerId, epoch: i16) -> Producer {
    (ProducerId(id.0), ProducerEpoch(epoch))
}

/// The error as the version of the request knows it: before there was PRODUCER_FENCED, its name was
/// INVALID_PRODUCER_EPOCH.
pub(super) fn as_known(error: ErrorCode, version: i16, knows_fenced: i16) -> ErrorCode {
    if error == ErrorCode::PRODUCER_FENCED && version < knows_fenced {
        ErrorCode::INVALID_PRODUCER_EPOCH
    } else {
        error
    }
}

/// Does the cluster have the partition?
pub(super) fn exists(image: &Image, topic: &str, partition: i32) -> Option<(TopicName, PartitionId)> {
    let topic = image.topic(topic)?;
    let partition = PartitionId(partition);
    topic.partition(partition).map(|_| (topic.name.clone(), partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_know_of_fencing_is_told_of_its_epoch() {
        let known = |error, version| as_known(error, version, KNOWS_FENCED);
        assert_eq!(known(ErrorCode::PRODUCER_FENCED, 1), ErrorCode::INVALID_PRODUCER_EPOCH);
        assert_eq!(known(ErrorCode::PRODUCER_FENCED, 2), ErrorCode::PRODUCER_FENCED);
        assert_eq!(known(ErrorCode::CONCURRENT_TRANSACTIONS, 1), ErrorCode::CONCURRENT_TRANSACTIONS);
    }
}
