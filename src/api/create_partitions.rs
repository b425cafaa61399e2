//! CreatePartitions (37), v0-3: adds partitions to topics.
//!
//! A topic named twice is refused, once, with INVALID_REQUEST; the rest is the controller's to decide. The answer
//! lists the refused first. v0-3 differ in nothing but their encoding and, in Apache Kafka, in how a quota is
//! reported.
//!
//! Left out: authorization and the controller's mutation quota (later issues).

use super::{Api, ApiError, Call, Context, Versions, deadline, distinct, text};
use crate::controller::{NewPartitions, Service};
use crate::model::{ErrorCode, NodeId, TopicName};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{self, CreatePartitionsRequest, CreatePartitionsResponse};
use std::sync::Arc;

pub struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;
    const NAME: &'static str = "CreatePartitions";
    const VERSIONS: Versions = Versions { min: 0, max: 3 };

    async fn handle(ctx: Arc<Context>, _call: Call, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        respond(Arc::clone(&ctx.controller), &request).await
    }
}

async fn respond(controller: Arc<Service>, request: &CreatePartitionsRequest) -> CreatePartitionsResponse {
    let repeated = distinct::repeated(request.topics.iter().map(|topic| &topic.name));
    let wanted: Vec<_> = request.topics.iter().filter(|topic| !repeated.contains(&topic.name)).collect();
    let mut results: Vec<_> = distinct::each_once(request.topics.iter().map(|topic| &topic.name))
        .into_iter()
        .filter(|name| repeated.contains(name))
        .map(|name| {
            let error = ApiError::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name.");
            result(name.clone(), Err(error))
        })
        .collect();
    if !wanted.is_empty() {
        let changes = wanted.iter().map(|topic| change(topic)).collect();
        let validate_only = request.validate_only;
        let work = async move { controller.create_partitions(changes, validate_only).await };
        let answers = deadline::answers(request.timeout_ms, wanted.len(), work).await;
        results.extend(wanted.iter().zip(answers).map(|(topic, answer)| result(topic.name.clone(), answer)));
    }
    CreatePartitionsResponse::default().with_results(results)
}

fn change(topic: &CreatePartitionsTopic) -> NewPartitions {
    let assignments = topic.assignments.as_ref().map(|assignments| {
        assignments.iter().map(|assignment| assignment.broker_ids.iter().map(|id| NodeId(id.0)).collect()).collect()
    });
    NewPartitions { topic: TopicName::new(topic.name.as_str()), count: topic.count, assignments }
}

fn result(name: messages::TopicName, outcome: Result<(), ApiError>) -> CreatePartitionsTopicResult {
    let (code, message) = text::error_fields(outcome);
    CreatePartitionsTopicResult::default().with_name(name).with_error_code(code).with_error_message(message)
}
