//! WriteTxnMarkers (27), v1: the ends of transactions, to be written into partitions.
//!
//! From the coordinators of other brokers, and from `kafka-transactions abort`, which ends a transaction that its
//! coordinator does not know of. v2 says by which `transaction.version` the epoch is to be judged; the crate does not
//! have it, so nobody is offered it. The cluster needs ALTER or CLUSTER_ACTION.

use super::{Api, Call, Context, Versions, transactions};
use crate::model::{ErrorCode, Operation, PartitionId, TopicName};
use crate::partition::TransactionEnd;
use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use std::sync::Arc;

pub struct WriteTxnMarkers;

impl Api for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;
    const NAME: &'static str = "WriteTxnMarkers";
    const VERSIONS: Versions = Versions { min: 1, max: 1 };

    async fn handle(ctx: Arc<Context>, call: Call, request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse {
        if !call.may().cluster_quietly(Operation::Alter)
            && let Err(error) = call.on_cluster(Operation::ClusterAction)
        {
            let refused = |marker| refused(marker, error.code);
            return WriteTxnMarkersResponse::default().with_markers(request.markers.iter().map(refused).collect());
        }
        let mut results = Vec::with_capacity(request.markers.len());
        for marker in request.markers {
            let end = TransactionEnd {
                producer: transactions::producer(marker.producer_id, marker.producer_epoch),
                commit: marker.transaction_result,
                coordinator_epoch: marker.coordinator_epoch,
                version: 0,
            };
            let targets: Vec<_> = marker
                .topics
                .iter()
                .flat_map(|topic| {
                    let name = TopicName::new(&topic.name);
                    topic.partition_indexes.iter().map(move |number| (name.clone(), PartitionId(*number)))
                })
                .collect();
            // As in Kafka, nothing is said of nothing.
            if !targets.is_empty() {
                let answers = ctx.transactions.markers().write_here(&end, &targets).await;
                results.push(result(&marker, answers));
            }
        }
        WriteTxnMarkersResponse::default().with_markers(results)
    }
}

fn refused(marker: &WritableTxnMarker, error: ErrorCode) -> WritableTxnMarkerResult {
    let count = marker.topics.iter().map(|topic| topic.partition_indexes.len()).sum();
    result(marker, vec![error; count])
}

fn result(marker: &WritableTxnMarker, answers: Vec<ErrorCode>) -> WritableTxnMarkerResult {
    let mut answers = answers.into_iter();
    let mut partition = |number: &i32| {
        let error = match answers.next().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR) {
            // Of the group's coordinator, of which the transaction's knows nothing.
            ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::NOT_COORDINATOR => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            error => error,
        };
        WritableTxnMarkerPartitionResult::default().with_partition_index(*number).with_error_code(error.0)
    };
    let topics = marker.topics.iter().map(|topic| {
        WritableTxnMarkerTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partition_indexes.iter().map(&mut partition).collect())
    });
    let topics = topics.collect();
    WritableTxnMarkerResult::default().with_producer_id(marker.producer_id).with_topics(topics)
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use kafka_protocol::messages;
    use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarkerTopic;

    #[test]
    fn each_partition_of_a_marker_has_its_error_and_coordinators_are_not_spoken_of() {
        let topic = |name: &'static str, numbers: &[i32]| {
            WritableTxnMarkerTopic::default()
                .with_name(messages::TopicName(name.into()))
                .with_partition_indexes(numbers.to_vec())
        };
        let marker = WritableTxnMarker::default().with_topics(vec![topic("a", &[1, 0]), topic("b", &[2])]);
        let result =
            result(&marker, vec![ErrorCode::NONE, ErrorCode::INVALID_PRODUCER_EPOCH, ErrorCode::NOT_COORDINATOR]);
        let codes: Vec<i16> = result.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code).collect();
        assert_eq!(codes, [0, 47, 6]);
        encoded(1, &WriteTxnMarkersResponse::default().with_markers(vec![result]));
    }
}
