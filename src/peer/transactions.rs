//! What brokers ask of each other for transactions: WriteTxnMarkers (27) v1, by a coordinator, of the leaders of the
//! transaction's partitions; AddPartitionsToTxn (24) v5, by a leader, of the coordinator (KIP-890).

use super::offsets::topic_name;
use super::{Link, PeerError};
use crate::model::{ErrorCode, PartitionId, ProducerEpoch, ProducerId, TopicName, TopicPartition};
use kafka_protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{self, AddPartitionsToTxnRequest, TransactionalId, WriteTxnMarkersRequest};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// How a transaction has ended, for the partitions that one broker leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub commit: bool,
    pub coordinator_epoch: i32,
    pub partitions: Vec<TopicPartition>,
}

/// Has markers written. Answers what became of each partition of each producer.
///
/// # Errors
/// [`PeerError`]
pub async fn write_markers(
    link: &Link,
    markers: &[Marker],
    deadline: Duration,
) -> Result<Vec<(ProducerId, TopicPartition, ErrorCode)>, PeerError> {
    let markers = markers.iter().map(|marker| {
        let topics = by_topic(&marker.partitions).into_iter().map(|(topic, partitions)| {
            WritableTxnMarkerTopic::default().with_name(topic_name(topic)).with_partition_indexes(partitions)
        });
        WritableTxnMarker::default()
            .with_producer_id(messages::ProducerId(marker.producer_id.0))
            .with_producer_epoch(marker.producer_epoch.0)
            .with_transaction_result(marker.commit)
            .with_coordinator_epoch(marker.coordinator_epoch)
            .with_topics(topics.collect())
    });
    let request = WriteTxnMarkersRequest::default().with_markers(markers.collect());
    let response = link.call(1, &request, deadline).await?;
    let mut answers = Vec::new();
    for marker in response.markers {
        for topic in marker.topics {
            let name = TopicName::new(&topic.name);
            answers.extend(topic.partitions.into_iter().map(|partition| {
                let at = TopicPartition::new(name.clone(), PartitionId(partition.partition_index));
                (ProducerId(*marker.producer_id), at, ErrorCode(partition.error_code))
            }));
        }
    }
    Ok(answers)
}

/// Are these partitions part of the producer's transaction?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipQuestion {
    pub transactional_id: String,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// Only ask; false adds them if they are not.
    pub verify_only: bool,
    pub partitions: Vec<TopicPartition>,
}

/// Asks the transaction's coordinator. Answers the error of the whole request, or one per partition.
///
/// # Errors
/// [`PeerError`]
pub async fn verify(
    link: &Link,
    question: &MembershipQuestion,
    deadline: Duration,
) -> Result<Result<Vec<(TopicPartition, ErrorCode)>, ErrorCode>, PeerError> {
    let topics = by_topic(&question.partitions).into_iter().map(|(topic, partitions)| {
        AddPartitionsToTxnTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
    });
    let transaction = AddPartitionsToTxnTransaction::default()
        .with_transactional_id(TransactionalId(StrBytes::from_string(question.transactional_id.clone())))
        .with_producer_id(messages::ProducerId(question.producer_id.0))
        .with_producer_epoch(question.producer_epoch.0)
        .with_verify_only(question.verify_only)
        .with_topics(topics.collect());
    let request = AddPartitionsToTxnRequest::default().with_transactions(vec![transaction]);
    let response = link.call(5, &request, deadline).await?;
    if response.error_code != 0 {
        return Ok(Err(ErrorCode(response.error_code)));
    }
    let mut answers = Vec::new();
    for topic in response.results_by_transaction.into_iter().flat_map(|result| result.topic_results) {
        let name = TopicName::new(&topic.name);
        answers.extend(topic.results_by_partition.into_iter().map(|partition| {
            let at = TopicPartition::new(name.clone(), PartitionId(partition.partition_index));
            (at, ErrorCode(partition.partition_error_code))
        }));
    }
    Ok(Ok(answers))
}

fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<&TopicName, Vec<i32>> {
    let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for at in partitions {
        topics.entry(&at.topic).or_default().push(at.partition.0);
    }
    topics
}
