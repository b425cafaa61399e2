//! CreateTopics (19), v2-7: creates topics, or says what would become of them.
//!
//! Versions: v4 lets -1 stand for the broker's number of partitions and replicas without a manual assignment; v5
//! answers with partitions, replicas and the effective configs; v7 with the topic's id. v6 differs only in how
//! Apache Kafka reports a quota.
//!
//! A topic named twice is refused with INVALID_REQUEST, and so is `__cluster_metadata`; those answers come last.
//! Everything else is the controller's to decide.
//!
//! Left out: authorization and the controller's mutation quota (later issues).

use super::{Api, ApiError, Call, Context, Versions, deadline, distinct, text};
use crate::config::describe;
use crate::controller::{self, CreatedTopic, NewTopic};
use crate::model::{ErrorCode, NodeId, PartitionId, TopicName};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{self, CreateTopicsRequest, CreateTopicsResponse};
use std::sync::Arc;

pub struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;
    const NAME: &'static str = "CreateTopics";
    const VERSIONS: Versions = Versions { min: 2, max: 7 };

    async fn handle(ctx: Arc<Context>, call: Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let repeated = distinct::repeated(request.topics.iter().map(|topic| &topic.name));
        let (refused, wanted): (Vec<_>, Vec<_>) =
            request.topics.iter().partition(|topic| repeated.contains(&topic.name) || is_metadata_log(&topic.name));

        let mut results = Vec::with_capacity(request.topics.len());
        if !wanted.is_empty() {
            let topics = wanted.iter().map(|topic| new_topic(topic)).collect();
            let work = {
                let (ctx, validate_only) = (Arc::clone(&ctx), request.validate_only);
                async move { ctx.controller.create_topics(controller::CreateTopics { topics, validate_only }).await }
            };
            let answers = deadline::within(request.timeout_ms, work).await;
            for (index, topic) in wanted.iter().enumerate() {
                let answer = match &answers {
                    None => Err(ApiError::bare(ErrorCode::REQUEST_TIMED_OUT)),
                    Some(answers) => answers
                        .get(index)
                        .cloned()
                        .unwrap_or_else(|| Err(ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR))),
                };
                results.push(match answer {
                    Ok(created) => success(&ctx, call.version, topic.name.clone(), &created),
                    Err(error) => failure(topic.name.clone(), error),
                });
            }
        }
        for name in distinct::each_once(refused.iter().map(|topic| &topic.name)) {
            let message = if repeated.contains(name) {
                "Duplicate topic name."
            } else {
                "Creation of internal topic __cluster_metadata is prohibited."
            };
            results.push(failure(name.clone(), ApiError::new(ErrorCode::INVALID_REQUEST, message)));
        }
        CreateTopicsResponse::default().with_topics(results)
    }
}

fn is_metadata_log(name: &messages::TopicName) -> bool {
    name.as_str() == TopicName::CLUSTER_METADATA
}

fn new_topic(topic: &CreatableTopic) -> NewTopic {
    let assignments = topic.assignments.iter().map(|assignment| {
        let replicas = assignment.broker_ids.iter().map(|id| NodeId(id.0)).collect();
        (PartitionId(assignment.partition_index), replicas)
    });
    let configs = topic.configs.iter().map(|c| (c.name.to_string(), c.value.as_ref().map(|v| v.to_string())));
    NewTopic {
        name: TopicName::new(topic.name.as_str()),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs.collect(),
    }
}

fn success(ctx: &Context, version: i16, name: messages::TopicName, topic: &CreatedTopic) -> CreatableTopicResult {
    let result =
        CreatableTopicResult::default().with_name(name).with_topic_id(topic.id.0).with_error_message(None);
    if version < 5 {
        return result;
    }
    result
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(Some(effective_configs(ctx, topic)))
}

fn failure(name: messages::TopicName, error: ApiError) -> CreatableTopicResult {
    let (code, message) = text::error_fields(Err(error));
    CreatableTopicResult::default().with_name(name).with_error_code(code).with_error_message(message)
}
