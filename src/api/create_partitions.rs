//! CreatePartitions (37), v0-3: adds partitions to topics.
//!
//! A topic named twice is refused, once, with INVALID_REQUEST; the rest is the controller's to decide. The answer
//! lists the refused first. v0-3 differ in nothing but their encoding and, in Apache Kafka, in how a quota is
//! reported.
//!
//! A topic needs ALTER.

use super::mutations::Mutations;
use super::{Api, ApiError, Call, Context, Versions, deadline, distinct, text};
use crate::controller::{NewPartitions, Service};
use crate::model::{ErrorCode, NodeId, Operation, TopicName};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{self, CreatePartitionsRequest, CreatePartitionsResponse};
use std::sync::Arc;

pub struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;
    const NAME: &'static str = "CreatePartitions";
    const VERSIONS: Versions = Versions { min: 0, max: 3 };

    async fn handle(ctx: Arc<Context>, call: Call, mut request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        let mut mutations = Mutations::new(&ctx, &call, STRICT_FROM);
        let refused;
        (request.topics, refused) = mutations.admit(request.topics, |topic| partitions(&ctx, &call, topic));
        let mut response = respond(Arc::clone(&ctx.controller), &call, &request).await;
        response.results.extend(refused.into_iter().map(|topic| result(topic.name, Err(Mutations::refusal()))));
        response.with_throttle_time_ms(mutations.settle())
    }
}

/// The first version whose clients know THROTTLING_QUOTA_EXCEEDED.
const STRICT_FROM: i16 = 3;

/// How many partitions would be added.
fn partitions(ctx: &Context, call: &Call, topic: &CreatePartitionsTopic) -> usize {
    if !call.may().topic(Operation::Alter, &topic.name) {
        return 0;
    }
    let there = ctx.metadata.load().topic(topic.name.as_str()).map(|topic| topic.partitions.len());
    there.map_or(0, |there| usize::try_from(topic.count).unwrap_or(0).saturating_sub(there))
}

async fn respond(controller: Arc<Service>, call: &Call, request: &CreatePartitionsRequest) -> CreatePartitionsResponse {
    let repeated = distinct::repeated(request.topics.iter().map(|topic| &topic.name));
    let (wanted, denied): (Vec<_>, Vec<_>) = request
        .topics
        .iter()
        .filter(|topic| !repeated.contains(&topic.name))
        .partition(|topic| call.may().topic(Operation::Alter, &topic.name));
    let mut results: Vec<_> = distinct::each_once(request.topics.iter().map(|topic| &topic.name))
        .into_iter()
        .filter(|name| repeated.contains(name))
        .map(|name| {
            let error = ApiError::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name.");
            result(name.clone(), Err(error))
        })
        .collect();
    let refused = || Err(ApiError::bare(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    results.extend(denied.iter().map(|topic| result(topic.name.clone(), refused())));
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

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use kafka_protocol::messages::create_partitions_request::CreatePartitionsAssignment;

    fn topic(name: &'static str, count: i32) -> CreatePartitionsTopic {
        CreatePartitionsTopic::default().with_name(text::text(name).into()).with_count(count).with_assignments(None)
    }

    async fn ask(
        controller: &Arc<Service>,
        version: i16,
        request: CreatePartitionsRequest,
    ) -> Vec<(String, ErrorCode, String)> {
        let response = respond(Arc::clone(controller), &testing::call(version), &request.with_timeout_ms(30_000)).await;
        encoded(version, &response);
        let shown = response.results.iter().map(|r| {
            (r.name.to_string(), ErrorCode(r.error_code), r.error_message.as_deref().unwrap_or("").to_owned())
        });
        shown.collect()
    }

    fn request(topics: Vec<CreatePartitionsTopic>) -> CreatePartitionsRequest {
        CreatePartitionsRequest::default().with_topics(topics)
    }

    fn result(name: &str, code: ErrorCode, message: &str) -> (String, ErrorCode, String) {
        (name.to_owned(), code, message.to_owned())
    }

    fn partitions(controller: &Service, topic: &str) -> Option<usize> {
        controller.store().load().topic(topic).map(|topic| topic.partitions.len())
    }

    #[tokio::test]
    async fn partitions_are_added_up_to_the_count() {
        for version in 0..=3 {
            let controller = testing::controller_with_topics(&["a"]).await;
            let results = ask(&controller, version, request(vec![topic("a", 5)])).await;
            assert_eq!(results, [result("a", ErrorCode::NONE, "")]);
            assert_eq!(partitions(&controller, "a"), Some(5));
        }
    }

    #[tokio::test]
    async fn what_is_no_increase_is_refused_in_kafkas_words() {
        let controller = testing::controller_with_topics(&["a", "b"]).await;
        let results = ask(&controller, 3, request(vec![topic("a", 2), topic("b", 1), topic("gone", 9)])).await;
        let invalid = ErrorCode::INVALID_PARTITIONS;
        assert_eq!(results[0], result("a", invalid, "Topic already has 2 partition(s)."));
        let why = "The topic b currently has 2 partition(s); 1 would not be an increase.";
        assert_eq!(results[1], result("b", invalid, why));
        assert_eq!(results[2].1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }

    #[tokio::test]
    async fn a_topic_named_twice_is_refused_once_and_first() {
        let controller = testing::controller_with_topics(&["a", "b"]).await;
        let results = ask(&controller, 3, request(vec![topic("b", 4), topic("a", 3), topic("a", 4)])).await;
        let twice = result("a", ErrorCode::INVALID_REQUEST, "Duplicate topic name.");
        assert_eq!(results, [twice, result("b", ErrorCode::NONE, "")]);
        assert_eq!((partitions(&controller, "a"), partitions(&controller, "b")), (Some(2), Some(4)));
    }

    #[tokio::test]
    async fn assignments_are_for_the_new_partitions_only() {
        let controller = testing::controller_with_topics(&["a"]).await;
        let assigned = |count: usize| {
            let one = CreatePartitionsAssignment::default().with_broker_ids(vec![1.into()]);
            topic("a", 3).with_assignments(Some(vec![one; count]))
        };
        let results = ask(&controller, 3, request(vec![assigned(2)])).await;
        assert_eq!(results[0].1, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        let results = ask(&controller, 3, request(vec![assigned(1)])).await;
        assert_eq!(results[0].1, ErrorCode::NONE);
    }

    #[tokio::test]
    async fn validate_only_adds_nothing() {
        let controller = testing::controller_with_topics(&["a"]).await;
        let results = ask(&controller, 3, request(vec![topic("a", 5)]).with_validate_only(true)).await;
        assert_eq!(results, [result("a", ErrorCode::NONE, "")]);
        assert_eq!(partitions(&controller, "a"), Some(2));
    }
}
