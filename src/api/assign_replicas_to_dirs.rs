//! AssignReplicasToDirs (73), v0: a broker says in which of its directories replicas lie (KIP-858).
//! The cluster needs CLUSTER_ACTION.

use super::{Api, Call, Context, Versions};
use crate::controller::Assignment;
use crate::model::{ErrorCode, NodeId, Operation, PartitionId, TopicId};
use kafka_protocol::messages::assign_replicas_to_dirs_response::{DirectoryData, PartitionData, TopicData};
use kafka_protocol::messages::{AssignReplicasToDirsRequest, AssignReplicasToDirsResponse};
use std::sync::Arc;

pub struct AssignReplicasToDirs;

impl Api for AssignReplicasToDirs {
    type Request = AssignReplicasToDirsRequest;
    const NAME: &'static str = "AssignReplicasToDirs";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: AssignReplicasToDirsRequest,
    ) -> AssignReplicasToDirsResponse {
        if let Err(error) = call.on_cluster(Operation::ClusterAction) {
            return AssignReplicasToDirsResponse::default().with_error_code(error.code.0);
        }
        let broker = NodeId(request.broker_id.0);
        match ctx.controller.assign_directories(broker, request.broker_epoch, &assignments(&request)).await {
            Ok(answers) => respond(&request, answers),
            Err(error) => AssignReplicasToDirsResponse::default().with_error_code(error.code.0),
        }
    }
}

fn assignments(request: &AssignReplicasToDirsRequest) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for directory in &request.directories {
        for topic in &directory.topics {
            assignments.extend(topic.partitions.iter().map(|partition| Assignment {
                directory: directory.id,
                topic: TopicId(topic.topic_id),
                partition: PartitionId(partition.partition_index),
            }));
        }
    }
    assignments
}

/// The answers, which are in the order of the request, in its shape.
fn respond(request: &AssignReplicasToDirsRequest, answers: Vec<Result<(), ErrorCode>>) -> AssignReplicasToDirsResponse {
    let mut answers = answers.into_iter();
    let mut next =
        || answers.next().map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |answer| answer.err().unwrap_or(ErrorCode::NONE));
    let mut directories = Vec::with_capacity(request.directories.len());
    for directory in &request.directories {
        let mut topics = Vec::with_capacity(directory.topics.len());
        for topic in &directory.topics {
            let partitions = topic.partitions.iter().map(|partition| {
                PartitionData::default().with_partition_index(partition.partition_index).with_error_code(next().0)
            });
            topics.push(TopicData::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect()));
        }
        directories.push(DirectoryData::default().with_id(directory.id).with_topics(topics));
    }
    AssignReplicasToDirsResponse::default().with_directories(directories)
}
