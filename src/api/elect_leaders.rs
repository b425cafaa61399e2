//! ElectLeaders (43), v0-2: makes the first replicas leaders, or, of partitions without a leader, any replica that is there.
//!
//! Versions: v0 knows only preferred elections; v1 has the type of the election and an error of the whole request. No list
//! of topics means every partition, of which those that need no election are left out of the answer. The cluster needs ALTER.

use super::{Api, ApiError, Call, Context, Versions, deadline, text};
use crate::controller::{self, Elected, ElectionType};
use crate::model::{ErrorCode, Operation, PartitionId};
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};
use std::sync::Arc;

pub struct ElectLeaders;

impl Api for ElectLeaders {
    type Request = ElectLeadersRequest;
    const NAME: &'static str = "ElectLeaders";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: ElectLeadersRequest) -> ElectLeadersResponse {
        if let Err(error) = call.on_cluster(Operation::Alter) {
            return failed(call.version, &request, &error);
        }
        let code = if call.version == 0 { ElectionType::Preferred as i8 } else { request.election_type };
        let Some(election) = ElectionType::from_code(code) else {
            let error = ApiError::new(ErrorCode::INVALID_REQUEST, format!("Unknown election type {code}"));
            return failed(call.version, &request, &error);
        };
        if request.topic_partitions.as_ref().is_some_and(Vec::is_empty) {
            return ElectLeadersResponse::default();
        }
        let partitions = request.topic_partitions.as_ref().map(|topics| {
            let numbers = |partitions: &[i32]| partitions.iter().copied().map(PartitionId).collect();
            topics.iter().map(|topic| (topic.topic.to_string(), numbers(&topic.partitions))).collect()
        });
        let service = Arc::clone(&ctx.controller);
        let work = async move { service.elect_leaders(controller::ElectLeaders { election, partitions }).await };
        match deadline::answer(request.timeout_ms, work).await {
            Ok(results) => ElectLeadersResponse::default()
                .with_replica_election_results(results.into_iter().map(topic_result).collect()),
            Err(error) => failed(call.version, &request, &error),
        }
    }
}

fn topic_result((topic, elected): (String, Vec<Elected>)) -> ReplicaElectionResult {
    let partitions = elected.into_iter().map(|(number, outcome)| partition_result(number.0, outcome));
    ReplicaElectionResult::default().with_topic(text::text(&topic).into()).with_partition_result(partitions.collect())
}

fn partition_result(number: i32, outcome: Result<(), ApiError>) -> PartitionResult {
    let (code, message) = text::error_fields(outcome.map_err(text::explained));
    PartitionResult::default().with_partition_id(number).with_error_code(code).with_error_message(message)
}

/// The error stands at the top, and with every partition that was asked for: v0 has only these.
fn failed(version: i16, request: &ElectLeadersRequest, error: &ApiError) -> ElectLeadersResponse {
    let results = request.topic_partitions.iter().flatten().map(|topic| {
        let partitions = topic.partitions.iter().map(|number| partition_result(*number, Err(error.clone())));
        ReplicaElectionResult::default().with_topic(topic.topic.clone()).with_partition_result(partitions.collect())
    });
    let top = if version == 0 { ErrorCode::NONE } else { error.code };
    ElectLeadersResponse::default().with_error_code(top.0).with_replica_election_results(results.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use kafka_protocol::messages::elect_leaders_request::TopicPartitions;

    #[test]
    fn before_version_1_an_error_of_the_whole_request_stands_with_its_partitions_only() {
        let topic = TopicPartitions::default().with_topic(text::text("a").into()).with_partitions(vec![3]);
        let request = ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic]));
        let refused = ApiError::bare(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
        for (version, top) in [(0, 0), (1, 31), (2, 31)] {
            let answer = failed(version, &request, &refused);
            assert_eq!(answer.error_code, top);
            assert!(
                answer.replica_election_results.iter().flat_map(|t| &t.partition_result).all(|p| p.error_code == 31)
            );
            encoded(version, &answer);
        }
    }
}
