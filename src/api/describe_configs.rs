//! DescribeConfigs (32), v1-4: the configs of topics, brokers, groups and client-metrics subscriptions, with where
//! each comes from.
//!
//! Versions: v1 has sources and synonyms, v3 types and documentation. Synonyms and documentation are sent only when
//! asked for; secrets never. A broker is asked about itself, or, with the empty name, about what is set for all
//! brokers; another broker's number is refused. A topic must exist, a group or a subscription need not.
//!
//! A resource that comes twice is answered once, so that an answer is never many times as long as its request;
//! Apache Kafka answers it twice, which clients cannot tell apart. DESCRIBE_CONFIGS is needed of the topic or group, or, for the rest, of the cluster.

use super::alter::{self, invalid};
use super::{Api, ApiError, Call, Context, Versions, text};
use crate::config::BrokerConfig;
use crate::config::describe::{self, Entry};
use crate::metadata::{ConfigResource, Image, ResourceType};
use crate::model::{ErrorCode, NodeId, Operation, TopicName};
use crate::rt::logging::{self, Loggers};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use std::collections::HashSet;
use std::sync::Arc;

pub struct DescribeConfigs;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    const NAME: &'static str = "DescribeConfigs";
    const VERSIONS: Versions = Versions { min: 1, max: 4 };

    async fn handle(ctx: Arc<Context>, call: Call, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        respond(&ctx.metadata.image(), &ctx.config.load(), &call, &request)
    }
}

fn respond(
    image: &Image,
    config: &BrokerConfig,
    call: &Call,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    // One resource of an unknown type spoils the request.
    let spoilt = request.resources.iter().any(|asked| ResourceType::from_code(asked.resource_type).is_none());
    let mut seen = HashSet::new();
    let once = request.resources.iter().filter(|asked| seen.insert((asked.resource_type, &asked.resource_name)));
    let results = once.map(|asked| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        let entries = if spoilt {
            Err(text::explained(ApiError::bare(ErrorCode::INVALID_REQUEST)))
        } else {
            alter::check_leave(call, Operation::DescribeConfigs, asked.resource_type, &asked.resource_name)
                .and_then(|()| entries(image, config, asked))
        };
        match entries {
            Ok(entries) => result.with_configs(shown(entries, asked, request)),
            Err(error) => {
                // Where Kafka sets no message the field keeps its default, the empty text.
                let message = error.message.unwrap_or_default();
                result.with_error_code(error.code.0).with_error_message(text::message(Some(message)))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn entries(image: &Image, config: &BrokerConfig, asked: &DescribeConfigsResource) -> Result<Vec<Entry>, ApiError> {
    let name = asked.resource_name.as_str();
    let node = config.settings().node_id;
    match ResourceType::from_code(asked.resource_type) {
        Some(ResourceType::Topic) => {
            if let Some(fault) = TopicName::fault(name) {
                return Err(ApiError::new(ErrorCode::INVALID_TOPIC_EXCEPTION, fault));
            }
            let topic = image.topic(name).ok_or_else(|| ApiError::bare(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
            Ok(describe::topic(config, image.config(&ConfigResource::topic(&topic.name))))
        }
        Some(ResourceType::Broker) if name.is_empty() => Ok(describe::broker_defaults(config)),
        Some(ResourceType::Broker) if broker_id(name)? == node => Ok(describe::broker(config)),
        Some(ResourceType::Broker) => {
            Err(invalid(format!("Unexpected broker id, expected {} or empty string, but received {name}", node.0)))
        }
        Some(ResourceType::BrokerLogger) if name.is_empty() => Err(invalid("Broker id must not be empty")),
        Some(ResourceType::BrokerLogger) if broker_id(name)? == node => {
            let levels = logging::loggers().map(Loggers::levels).unwrap_or_default();
            Ok(describe::broker_loggers(levels.iter().map(|(name, level)| (name.as_str(), *level))))
        }
        Some(ResourceType::BrokerLogger) => {
            Err(invalid(format!("Unexpected broker id, expected {} but received {name}", node.0)))
        }
        Some(ResourceType::ClientMetrics) if name.is_empty() => {
            Err(invalid("Client metrics subscription name must not be empty"))
        }
        Some(kind @ ResourceType::ClientMetrics) => {
            Ok(describe::client_metrics(image.config(&ConfigResource::new(kind, name))))
        }
        Some(ResourceType::Group) if name.is_empty() => Err(invalid("Group name must not be empty")),
        Some(kind @ ResourceType::Group) => Ok(describe::group(config, image.config(&ConfigResource::new(kind, name)))),
        None => Err(text::explained(ApiError::bare(ErrorCode::INVALID_REQUEST))),
    }
}

fn broker_id(name: &str) -> Result<NodeId, ApiError> {
    name.parse().map(NodeId).map_err(|_| invalid(format!("Broker id must be an integer, but it is: {name}")))
}

/// The entries that were asked for, as far as the request wants them.
fn shown(
    entries: Vec<Entry>,
    asked: &DescribeConfigsResource,
    request: &DescribeConfigsRequest,
) -> Vec<DescribeConfigsResourceResult> {
    let keys: HashSet<&str> = asked.configuration_keys.iter().flatten().map(|key| &**key).collect();
    let wanted = entries.into_iter().filter(|entry| keys.is_empty() || keys.contains(entry.name.as_str()));
    let entry = |entry: Entry| {
        let documentation = entry.documentation.filter(|_| request.include_documentation);
        let synonyms = if request.include_synonyms { entry.synonyms } else { Vec::new() };
        let synonyms = synonyms.into_iter().map(|synonym| {
            DescribeConfigsSynonym::default()
                .with_name(synonym.name.into())
                .with_value(synonym.value.map(Into::into))
                .with_source(synonym.source.id())
        });
        DescribeConfigsResourceResult::default()
            .with_name(entry.name.into())
            .with_value(entry.value.map(Into::into))
            .with_read_only(entry.read_only)
            .with_config_source(entry.source.id())
            .with_is_sensitive(entry.sensitive)
            .with_config_type(entry.type_id)
            .with_documentation(documentation.map(Into::into))
            .with_synonyms(synonyms.collect())
    };
    wanted.map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use std::collections::BTreeMap;

    fn resource(kind: ResourceType, name: &'static str) -> DescribeConfigsResource {
        DescribeConfigsResource::default()
            .with_resource_type(kind.code())
            .with_resource_name(name.into())
            .with_configuration_keys(None)
    }

    fn ask_with(version: i16, request: &DescribeConfigsRequest) -> Vec<DescribeConfigsResult> {
        let mut image = testing::image();
        let own = BTreeMap::from([("retention.ms".to_owned(), "77".to_owned())]);
        image.configs.insert(ConfigResource::new(ResourceType::Topic, "a"), Arc::new(own));
        let response = respond(&image, &testing::config().load(), &testing::call(4), request);
        encoded(version, &response);
        response.results
    }

    fn ask(asked: DescribeConfigsResource) -> DescribeConfigsResult {
        let mut results = ask_with(4, &DescribeConfigsRequest::default().with_resources(vec![asked]));
        assert_eq!(results.len(), 1);
        results.remove(0)
    }

    fn refusal(asked: DescribeConfigsResource) -> (ErrorCode, String) {
        let result = ask(asked);
        assert!(result.configs.is_empty());
        (ErrorCode(result.error_code), result.error_message.as_deref().unwrap_or_default().to_owned())
    }

    fn refused(message: &str) -> (ErrorCode, String) {
        (ErrorCode::INVALID_REQUEST, message.to_owned())
    }

    use ResourceType::{Broker, BrokerLogger, ClientMetrics, Group, Topic};

    #[test]
    fn every_version_can_be_encoded_for_every_kind_of_resource() {
        let resources = [
            resource(Topic, "a"),
            resource(Topic, "gone"),
            resource(Broker, "1"),
            resource(Broker, ""),
            resource(BrokerLogger, "1"),
            resource(ClientMetrics, "m"),
            resource(Group, "g"),
        ];
        for version in 1..=4 {
            for asked in [true, false] {
                let request = DescribeConfigsRequest::default()
                    .with_resources(resources.to_vec())
                    .with_include_synonyms(asked)
                    .with_include_documentation(asked);
                let counts: Vec<_> = ask_with(version, &request).iter().map(|r| r.configs.len()).collect();
                assert_eq!(counts, [33, 0, 340, 0, 0, 3, 17]);
            }
        }
    }

    #[test]
    fn a_topics_own_value_has_the_topic_as_its_source() {
        let result = ask(resource(Topic, "a"));
        let source = |name: &str| result.configs.iter().find(|c| &*c.name == name).map(|c| c.config_source);
        assert_eq!((source("retention.ms"), source("segment.bytes")), (Some(1), Some(5)));
        assert_eq!((result.error_code, result.error_message.as_deref()), (0, Some("")));
    }

    #[test]
    fn synonyms_and_documentation_are_sent_when_asked_for() {
        let asked = resource(Topic, "a").with_configuration_keys(Some(vec!["segment.bytes".into()]));
        let request = DescribeConfigsRequest::default().with_resources(vec![asked]);
        let plain = &ask_with(4, &request)[0].configs[0];
        assert_eq!((plain.synonyms.len(), plain.documentation.as_ref()), (0, None));
        let request = request.with_include_synonyms(true).with_include_documentation(true);
        let full = &ask_with(4, &request)[0].configs[0];
        assert_eq!(full.synonyms[0].name.as_str(), "log.segment.bytes");
        assert!(full.documentation.is_some());
    }

    #[test]
    fn only_the_keys_asked_for_are_sent_and_unknown_ones_passed_over() {
        let keys = vec!["no.such".into(), "retention.ms".into()];
        let result = ask(resource(Topic, "a").with_configuration_keys(Some(keys)));
        let names: Vec<_> = result.configs.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["retention.ms"]);
        assert_eq!(ask(resource(Topic, "a").with_configuration_keys(Some(vec![]))).configs.len(), 33);
    }

    #[test]
    fn a_topic_that_is_not_there_is_unknown_and_one_that_cannot_be_is_invalid() {
        assert_eq!(refusal(resource(Topic, "gone")), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, String::new()));
        assert_eq!(refusal(resource(Topic, "a/b")).0, ErrorCode::INVALID_TOPIC_EXCEPTION);
    }

    #[test]
    fn a_broker_is_asked_about_itself_or_about_all() {
        assert_eq!(ask(resource(Broker, "1")).configs.len(), 340);
        assert_eq!(ask(resource(Broker, "")).error_code, 0);
        let other = "Unexpected broker id, expected 1 or empty string, but received 2";
        assert_eq!(refusal(resource(Broker, "2")), refused(other));
        assert_eq!(refusal(resource(Broker, "x")), refused("Broker id must be an integer, but it is: x"));
        assert_eq!(refusal(resource(BrokerLogger, "")), refused("Broker id must not be empty"));
        let other = "Unexpected broker id, expected 1 but received 2";
        assert_eq!(refusal(resource(BrokerLogger, "2")), refused(other));
    }

    #[test]
    fn a_group_or_subscription_needs_a_name_but_need_not_exist() {
        assert_eq!(refusal(resource(Group, "")), refused("Group name must not be empty"));
        let unnamed = "Client metrics subscription name must not be empty";
        assert_eq!(refusal(resource(ClientMetrics, "")), refused(unnamed));
        assert_eq!(ask(resource(Group, "nobody")).configs.len(), 17);
    }

    #[test]
    fn a_resource_of_an_unknown_type_spoils_the_request() {
        let resources = vec![resource(Topic, "a"), resource(Topic, "x").with_resource_type(3)];
        let results = ask_with(4, &DescribeConfigsRequest::default().with_resources(resources));
        assert!(results.iter().all(|r| ErrorCode(r.error_code) == ErrorCode::INVALID_REQUEST));
        assert!(results.iter().all(|r| r.error_message.as_deref().is_some_and(|m| m.starts_with("This most likely"))));
    }

    #[test]
    fn a_resource_that_comes_twice_is_answered_once() {
        let resources = vec![resource(Topic, "a"), resource(Broker, ""), resource(Topic, "a")];
        assert_eq!(ask_with(4, &DescribeConfigsRequest::default().with_resources(resources)).len(), 2);
    }
}
