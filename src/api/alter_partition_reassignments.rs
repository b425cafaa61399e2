//! AlterPartitionReassignments (45), v0-1: moves replicas to other brokers, or takes a move back (KIP-455).
//!
//! Versions: v1 says whether the number of replicas may change; in v0 it may. The cluster needs ALTER.

use super::{Api, ApiError, Call, Context, Versions, deadline, text};
use crate::controller::{Reassign, Reassignment};
use crate::model::{NodeId, Operation, PartitionId};
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use std::sync::Arc;

pub struct AlterPartitionReassignments;

impl Api for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;
    const NAME: &'static str = "AlterPartitionReassignments";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: AlterPartitionReassignmentsRequest,
    ) -> AlterPartitionReassignmentsResponse {
        if let Err(error) = call.on_cluster(Operation::Alter) {
            return refused(&request, &error);
        }
        let reassign = Reassign {
            partitions: reassignments(&request),
            may_change_factor: request.allow_replication_factor_change,
        };
        let (count, service) = (reassign.partitions.len(), Arc::clone(&ctx.controller));
        let work = async move { service.alter_reassignments(reassign).await };
        respond(&request, deadline::answers(request.timeout_ms, count, work).await)
    }
}

fn reassignments(request: &AlterPartitionReassignmentsRequest) -> Vec<Reassignment> {
    let mut reassignments = Vec::new();
    for topic in &request.topics {
        reassignments.extend(topic.partitions.iter().map(|partition| Reassignment {
            topic: topic.name.to_string(),
            partition: PartitionId(partition.partition_index),
            replicas: partition.replicas.as_ref().map(|ids| ids.iter().map(|id| NodeId(id.0)).collect()),
        }));
    }
    reassignments
}

/// The error stands at the top, and with every partition (`AlterPartitionReassignmentsRequest.getErrorResponse`).
fn refused(request: &AlterPartitionReassignmentsRequest, error: &ApiError) -> AlterPartitionReassignmentsResponse {
    let count = request.topics.iter().map(|topic| topic.partitions.len()).sum();
    let (code, message) = text::error_fields(Err(error.clone()));
    respond(request, vec![Err(error.clone()); count]).with_error_code(code).with_error_message(message)
}

/// The answers, which are in the order of the request, under their topics.
fn respond(
    request: &AlterPartitionReassignmentsRequest,
    answers: Vec<Result<(), ApiError>>,
) -> AlterPartitionReassignmentsResponse {
    let mut answers = answers.into_iter();
    let responses = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(answers.by_ref()).map(|(partition, outcome)| {
            let (code, message) = text::error_fields(outcome);
            ReassignablePartitionResponse::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
                .with_error_message(message)
        });
        ReassignableTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    AlterPartitionReassignmentsResponse::default()
        .with_allow_replication_factor_change(request.allow_replication_factor_change)
        .with_error_message(None)
        .with_responses(responses.collect())
}
