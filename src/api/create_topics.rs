//! CreateTopics (19), v2-7: creates topics, or says what would become of them.
//!
//! Versions: v4 lets -1 stand for the broker's number of partitions and replicas without a manual assignment; v5
//! answers with partitions, replicas and the effective configs; v7 with the topic's id. v6 differs only in how
//! Apache Kafka reports a quota.
//!
//! A topic named twice is refused with INVALID_REQUEST, and so is `__cluster_metadata`; those answers come last.
//! Everything else is the controller's to decide.
//!
//! The cluster needs CREATE, or else the topic. What its configs come to is told to who may DESCRIBE_CONFIGS of it; others
//! are told so in the topic's `topic_config_error_code`.

use super::mutations::Mutations;
use super::{Api, ApiError, Call, Context, Versions, deadline, distinct, text};
use crate::config::{BrokerConfig, describe};
use crate::controller::{self, CreatedTopic, NewTopic, Service};
use crate::model::{ErrorCode, NodeId, Operation, PartitionId, ResourceKind, TopicName};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{self, CreateTopicsRequest, CreateTopicsResponse};
use std::sync::Arc;

pub struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;
    const NAME: &'static str = "CreateTopics";
    const VERSIONS: Versions = Versions { min: 2, max: 7 };

    async fn handle(ctx: Arc<Context>, call: Call, mut request: CreateTopicsRequest) -> CreateTopicsResponse {
        let config = ctx.config.load();
        let configs = |topic: &CreatedTopic| effective_configs(&config, topic);
        let mut mutations = Mutations::new(&ctx, &call, STRICT_FROM);
        let refused;
        (request.topics, refused) = mutations.admit(request.topics, |topic| partitions(&ctx, &call, topic));
        let mut response = respond(Arc::clone(&ctx.controller), &call, &request, &configs).await;
        response.topics.extend(refused.into_iter().map(|topic| failure(topic.name, Mutations::refusal())));
        response.with_throttle_time_ms(mutations.settle())
    }
}

/// The first version whose clients know THROTTLING_QUOTA_EXCEEDED.
const STRICT_FROM: i16 = 6;

/// How many partitions would be created.
fn partitions(ctx: &Context, call: &Call, topic: &CreatableTopic) -> usize {
    let may = call.may();
    if !may.cluster(Operation::Create) && !may.topic(Operation::Create, &topic.name) {
        return 0;
    }
    if ctx.metadata.load().topic(topic.name.as_str()).is_some() {
        return 0;
    }
    let count = match topic.num_partitions {
        _ if !topic.assignments.is_empty() => return topic.assignments.len(),
        -1 => ctx.settings().topics.num_partitions,
        given => given,
    };
    usize::try_from(count).unwrap_or(0)
}

/// What a new topic's configs come down to.
type Configs<'a> = &'a (dyn Fn(&CreatedTopic) -> Vec<CreatableTopicConfigs> + Sync);

async fn respond(
    controller: Arc<Service>,
    call: &Call,
    request: &CreateTopicsRequest,
    configs: Configs<'_>,
) -> CreateTopicsResponse {
    let (version, may) = (call.version, call.may());
    let all = may.cluster_quietly(Operation::Create);
    let repeated = distinct::repeated(request.topics.iter().map(|topic| &topic.name));
    let (refused, wanted): (Vec<_>, Vec<_>) =
        request.topics.iter().partition(|topic| repeated.contains(&topic.name) || is_metadata_log(&topic.name));

    let (wanted, denied): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|topic| all || may.topic(Operation::Create, &topic.name));
    let mut results = Vec::with_capacity(request.topics.len());
    if !wanted.is_empty() {
        let topics = wanted.iter().map(|topic| new_topic(topic)).collect();
        let validate_only = request.validate_only;
        let work = async move { controller.create_topics(controller::CreateTopics { topics, validate_only }).await };
        let answers = deadline::answers(request.timeout_ms, wanted.len(), work).await;
        results.extend(wanted.iter().zip(answers).map(|(topic, answer)| match answer {
            Ok(created) => {
                let shown = may.allow_quietly(Operation::DescribeConfigs, ResourceKind::Topic, &topic.name);
                success(version, topic.name.clone(), &created, shown.then_some(configs))
            }
            Err(error) => failure(topic.name.clone(), error),
        }));
    }
    results.extend(distinct::each_once(refused.iter().map(|topic| &topic.name)).into_iter().map(|name| {
        let message = if repeated.contains(name) {
            "Duplicate topic name."
        } else {
            "Creation of internal topic __cluster_metadata is prohibited."
        };
        failure(name.clone(), ApiError::new(ErrorCode::INVALID_REQUEST, message))
    }));
    results.extend(denied.iter().map(|topic| {
        let error = ApiError::new(ErrorCode::TOPIC_AUTHORIZATION_FAILED, "Authorization failed.");
        failure(topic.name.clone(), error)
    }));
    CreateTopicsResponse::default().with_topics(results)
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

fn success(
    version: i16,
    name: messages::TopicName,
    topic: &CreatedTopic,
    configs: Option<Configs<'_>>,
) -> CreatableTopicResult {
    let result = CreatableTopicResult::default().with_name(name).with_topic_id(topic.id.0).with_error_message(None);
    if version < 5 {
        return result;
    }
    let Some(configs) = configs else {
        return result.with_topic_config_error_code(ErrorCode::TOPIC_AUTHORIZATION_FAILED.0);
    };
    result
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(Some(configs(topic)))
}

/// All configs of a topic, sorted by name, with where their values come from.
fn effective_configs(config: &BrokerConfig, topic: &CreatedTopic) -> Vec<CreatableTopicConfigs> {
    let mut entries = describe::topic(config, &topic.configs);
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let entry = |entry: describe::Entry| {
        CreatableTopicConfigs::default()
            .with_name(entry.name.into())
            .with_value(entry.value.map(Into::into))
            .with_read_only(entry.read_only)
            .with_config_source(entry.source.id())
            .with_is_sensitive(entry.sensitive)
    };
    entries.into_iter().map(entry).collect()
}

fn failure(name: messages::TopicName, error: ApiError) -> CreatableTopicResult {
    let (code, message) = text::error_fields(Err(error));
    CreatableTopicResult::default().with_name(name).with_error_code(code).with_error_message(message)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopicConfig};

    fn topic(name: &'static str) -> CreatableTopic {
        CreatableTopic::default().with_name(text::text(name).into()).with_num_partitions(3).with_replication_factor(1)
    }

    fn configs(topic: &CreatedTopic) -> Vec<CreatableTopicConfigs> {
        effective_configs(&testing::config().load(), topic)
    }

    async fn ask(controller: &Arc<Service>, version: i16, request: &CreateTopicsRequest) -> CreateTopicsResponse {
        let response = respond(Arc::clone(controller), &testing::call(version), request, &configs).await;
        encoded(version, &response);
        response
    }

    fn request(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
        CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(30_000)
    }

    fn shown(response: &CreateTopicsResponse) -> Vec<(&str, ErrorCode, &str)> {
        let mut shown = Vec::new();
        for topic in &response.topics {
            let message = topic.error_message.as_deref().unwrap_or("");
            shown.push((topic.name.as_str(), ErrorCode(topic.error_code), message));
        }
        shown
    }

    const REFUSED: ErrorCode = ErrorCode::INVALID_REQUEST;

    #[tokio::test]
    async fn a_topic_is_created_and_described_as_far_as_the_version_can() {
        for version in 2..=7 {
            let controller = testing::controller();
            let response = ask(&controller, version, &request(vec![topic("a")])).await;
            assert_eq!(shown(&response), [("a", ErrorCode::NONE, "")], "v{version}");
            let result = &response.topics[0];
            let described = (result.num_partitions, result.replication_factor, result.configs.as_ref().map(Vec::len));
            assert_eq!(described, if version < 5 { (-1, -1, Some(0)) } else { (3, 1, Some(33)) });
            let image = controller.store().image();
            assert_eq!(image.topic("a").map(|topic| topic.id.0), Some(result.topic_id));
        }
    }

    #[tokio::test]
    async fn minus_one_stands_for_the_brokers_defaults() {
        let controller = testing::controller();
        let asked = topic("a").with_num_partitions(-1).with_replication_factor(-1);
        let response = ask(&controller, 5, &request(vec![asked])).await;
        assert_eq!((response.topics[0].num_partitions, response.topics[0].replication_factor), (2, 1));
    }

    #[tokio::test]
    async fn configs_and_manual_assignments_reach_the_controller() {
        let controller = testing::controller();
        let assignment = |partition| {
            CreatableReplicaAssignment::default().with_partition_index(partition).with_broker_ids(vec![1.into()])
        };
        let config = CreatableTopicConfig::default().with_name("retention.ms".into()).with_value(Some("77".into()));
        let asked = topic("a")
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(vec![assignment(0), assignment(1)])
            .with_configs(vec![config.clone()]);
        let response = ask(&controller, 7, &request(vec![asked])).await;
        assert_eq!(shown(&response), [("a", ErrorCode::NONE, "")]);
        let configs = response.topics[0].configs.as_deref().unwrap_or_default();
        assert!(configs.is_sorted_by_key(|config| &config.name));
        let retention =
            configs.iter().find(|c| &*c.name == "retention.ms").map(|c| (c.value.as_deref(), c.config_source));
        assert_eq!(retention, Some((Some("77"), 1)));
        let image = controller.store().image();
        assert_eq!(image.topic("a").map(|topic| topic.partitions.len()), Some(2));
        let resource = crate::metadata::ConfigResource::topic(&TopicName::new("a"));
        assert_eq!(image.config(&resource).get("retention.ms").map(String::as_str), Some("77"));

        let unknown = topic("b").with_configs(vec![config.with_name("no.such".into())]);
        let response = ask(&controller, 7, &request(vec![unknown])).await;
        assert_eq!(shown(&response), [("b", ErrorCode::INVALID_CONFIG, "Unknown topic config name: no.such")]);
    }

    #[tokio::test]
    async fn a_topic_named_twice_is_refused_once_and_the_others_are_created() {
        let controller = testing::controller();
        let response = ask(&controller, 7, &request(vec![topic("a"), topic("b"), topic("a"), topic("a")])).await;
        assert_eq!(shown(&response), [("b", ErrorCode::NONE, ""), ("a", REFUSED, "Duplicate topic name.")]);
        assert!(controller.store().load().topic("a").is_none());
    }

    #[tokio::test]
    async fn the_metadata_log_cannot_be_created() {
        let controller = testing::controller();
        let response = ask(&controller, 7, &request(vec![topic("__cluster_metadata")])).await;
        let why = "Creation of internal topic __cluster_metadata is prohibited.";
        assert_eq!(shown(&response), [("__cluster_metadata", REFUSED, why)]);
    }

    #[tokio::test]
    async fn validate_only_says_what_would_be_and_creates_nothing() {
        let controller = testing::controller();
        let response = ask(&controller, 7, &request(vec![topic("a")]).with_validate_only(true)).await;
        assert_eq!(shown(&response), [("a", ErrorCode::NONE, "")]);
        assert_eq!(response.topics[0].num_partitions, 3);
        assert!(controller.store().load().topic("a").is_none());
    }

    #[tokio::test]
    async fn a_topic_that_exists_and_a_name_that_cannot_are_refused() {
        let controller = testing::controller();
        ask(&controller, 7, &request(vec![topic("a")])).await;
        for version in 2..=7 {
            let long: &'static str = Box::leak("x".repeat(30_000).into_boxed_str());
            let response = ask(&controller, version, &request(vec![topic("a"), topic("../a"), topic(long)])).await;
            let codes: Vec<_> = response.topics.iter().map(|t| ErrorCode(t.error_code)).collect();
            let invalid = ErrorCode::INVALID_TOPIC_EXCEPTION;
            assert_eq!(codes, [ErrorCode::TOPIC_ALREADY_EXISTS, invalid, invalid]);
            assert_eq!(response.topics[0].error_message.as_deref(), Some("Topic 'a' already exists."));
        }
    }
}
