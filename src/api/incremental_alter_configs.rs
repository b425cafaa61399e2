//! IncrementalAlterConfigs (44), v0-1: sets, deletes, extends or cuts single keys of a resource's dynamic configs.
//!
//! A broker's configs are checked here, as a whole, before the controller keeps them; a topic's are the
//! controller's to check. Broker loggers are answered without the controller (`loggers`). A resource that
//! comes twice is refused. v0 and v1 differ in their encoding only.
//!
//! An unknown operation is refused with INVALID_REQUEST for every kind of resource; Apache Kafka does so for
//! brokers and fails with UNKNOWN_SERVER_ERROR for the others. ALTER_CONFIGS is needed of the topic or
//! group, or, for the rest, of the cluster.

use super::alter::{self, BrokerCheck, Checker, Step, invalid};
use super::{Api, ApiError, Call, Context, Side, Versions, forward, loggers, text};
use crate::config::value::Type;
use crate::config::{BrokerConfig, broker_keys};
use crate::controller::{AlterOp, ConfigChange};
use crate::metadata::{ConfigResource, Image, ResourceType};
use crate::model::{ErrorCode, Operation};
use crate::rt::logging;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const NAME: &'static str = "IncrementalAlterConfigs";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let (side, validate_only) = (call.peer.side, request.validate_only);
        let ask = async |changes: Changes| match side {
            Side::Controller => ctx.controller.incremental_alter_configs(changes, validate_only).await,
            Side::Broker => {
                let (count, request) = (changes.len(), to_request(changes, validate_only));
                let response = forward::ask::<IncrementalAlterConfigs>(&ctx, &call, &request).await;
                alter::outcomes(count, response.map(|response| response.responses), |r| (r.error_code, r.error_message))
            }
        };
        respond(&call, &ctx.config.load(), &ctx.metadata.image(), request, ask).await
    }
}

type Changes = Vec<(ConfigResource, Vec<ConfigChange>)>;

/// What is left of a request for the controller.
fn to_request(changes: Changes, validate_only: bool) -> IncrementalAlterConfigsRequest {
    let config = |ConfigChange { op, key, value }: ConfigChange| {
        AlterableConfig::default()
            .with_name(StrBytes::from_string(key))
            .with_config_operation(op as i8)
            .with_value(value.map(StrBytes::from_string))
    };
    let resources = changes.into_iter().map(|(resource, changes)| {
        AlterConfigsResource::default()
            .with_resource_type(resource.kind.code())
            .with_resource_name(StrBytes::from_string(resource.name))
            .with_configs(changes.into_iter().map(config).collect())
    });
    IncrementalAlterConfigsRequest::default().with_resources(resources.collect()).with_validate_only(validate_only)
}

async fn respond(
    call: &Call,
    config: &BrokerConfig,
    image: &Image,
    request: IncrementalAlterConfigsRequest,
    ask: impl AsyncFnOnce(Changes) -> Vec<Result<(), ApiError>>,
) -> IncrementalAlterConfigsResponse {
    let steps = {
        let side = call.peer.side;
        let check = |resource: &ConfigResource, whole: &_| match side {
            Side::Broker => alter::check_broker(config, resource, whole),
            // Each broker has checked its own, and the controller checks what it can for all.
            Side::Controller => Ok(()),
        };
        plan(&request, call, Checker { node: config.settings().node_id, side }, image, &check)
    };
    let outcomes = alter::carry_out(steps, ask).await;
    let responses = request.resources.into_iter().zip(outcomes).map(|(resource, outcome)| {
        let (code, message) = text::error_fields(outcome);
        AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(code)
            .with_error_message(message)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn plan(
    request: &IncrementalAlterConfigsRequest,
    call: &Call,
    by: Checker,
    image: &Image,
    check: BrokerCheck<'_>,
) -> Vec<Step<Vec<ConfigChange>>> {
    let repeated = alter::repeated(request.resources.iter().map(|r| (r.resource_type, &*r.resource_name)));
    let step = |resource: &AlterConfigsResource| {
        if repeated.contains(&(resource.resource_type, &*resource.resource_name)) {
            return Step::Done(Err(alter::more_than_once()));
        }
        preprocess(resource, call, by, image, check, request.validate_only)
            .unwrap_or_else(|error| Step::Done(Err(error)))
    };
    request.resources.iter().map(step).collect()
}

fn preprocess(
    asked: &AlterConfigsResource,
    call: &Call,
    by: Checker,
    image: &Image,
    check: BrokerCheck<'_>,
    validate_only: bool,
) -> Result<Step<Vec<ConfigChange>>, ApiError> {
    let deletes = |config: &AlterableConfig| config.config_operation == AlterOp::Delete as i8;
    alter::check_keys(asked.configs.iter().map(|c| (&*c.name, c.value.is_none() && !deletes(c))))?;
    let leave = || alter::check_leave(call, Operation::AlterConfigs, asked.resource_type, &asked.resource_name);
    if asked.resource_type == ResourceType::BrokerLogger.code() {
        leave().map_err(|error| ApiError::bare(error.code))?;
        let (name, configs) = (&asked.resource_name, &asked.configs);
        return Ok(Step::Done(loggers::alter(logging::loggers(), by.node, name, configs, validate_only)));
    }
    let resource = alter::check_resource(asked.resource_type, &asked.resource_name, by)?;
    let changes = asked.configs.iter().map(change).collect::<Result<Vec<_>, _>>()?;
    if resource.kind == ResourceType::Broker {
        check(&resource, &changed(image.config(&resource), &changes)?)?;
    }
    leave()?;
    Ok(Step::Ask(resource, changes))
}

fn change(config: &AlterableConfig) -> Result<ConfigChange, ApiError> {
    let op = AlterOp::from_code(config.config_operation)
        .ok_or_else(|| invalid(format!("Unknown operations type {}", config.config_operation)))?;
    Ok(ConfigChange { op, key: config.name.to_string(), value: config.value.as_ref().map(|value| value.to_string()) })
}

/// A broker's configs after the changes (`ConfigAdminManager.prepareIncrementalConfigs`).
fn changed(now: &BTreeMap<String, String>, changes: &[ConfigChange]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut configs = now.clone();
    for ConfigChange { op, key, value } in changes {
        let value = value.as_deref().unwrap_or_default();
        match op {
            AlterOp::Set => {
                configs.insert(key.clone(), value.to_owned());
            }
            AlterOp::Delete => {
                configs.remove(key);
            }
            AlterOp::Append => {
                let mut items = list(&configs, key, "append")?;
                let old: HashSet<String> = items.iter().cloned().collect();
                items.extend(value.split(',').filter(|item| !old.contains(*item)).map(str::to_owned));
                configs.insert(key.clone(), items.join(","));
            }
            AlterOp::Subtract => {
                let mut items = list(&configs, key, "subtract")?;
                let gone: HashSet<&str> = value.split(',').collect();
                items.retain(|item| !gone.contains(item.as_str()));
                configs.insert(key.clone(), items.join(","));
            }
        }
    }
    Ok(configs)
}

/// The items of a list key as they are, or as they are by default.
fn list(configs: &BTreeMap<String, String>, name: &str, what: &str) -> Result<Vec<String>, ApiError> {
    let refused = |message: String| ApiError::new(ErrorCode::INVALID_CONFIG, message);
    let key = broker_keys::find(name).ok_or_else(|| refused(format!("Unknown config name: {name}")))?;
    if key.of != Type::List {
        return Err(refused(format!("Config value {what} is not allowed for config key: {name}")));
    }
    let items = configs.get(name).map(String::as_str).or(key.default).unwrap_or_default();
    Ok(items.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::controller::Service;
    use crate::model::NodeId;

    const BY: Checker = Checker { node: NodeId(1), side: Side::Broker };

    fn config(key: &'static str, op: AlterOp, value: Option<&'static str>) -> AlterableConfig {
        AlterableConfig::default()
            .with_name(key.into())
            .with_config_operation(op as i8)
            .with_value(value.map(Into::into))
    }

    fn resource(kind: i8, name: &'static str, configs: Vec<AlterableConfig>) -> AlterConfigsResource {
        AlterConfigsResource::default().with_resource_type(kind).with_resource_name(name.into()).with_configs(configs)
    }

    fn all_is_well(_: &ConfigResource, _: &BTreeMap<String, String>) -> Result<(), ApiError> {
        Ok(())
    }

    fn steps(resources: Vec<AlterConfigsResource>) -> Vec<Step<Vec<ConfigChange>>> {
        let request = IncrementalAlterConfigsRequest::default().with_resources(resources);
        plan(&request, &testing::call(1), BY, &testing::image(), &all_is_well)
    }

    fn why(step: &Step<Vec<ConfigChange>>) -> (ErrorCode, &str) {
        match step {
            Step::Done(Err(error)) => (error.code, error.message.as_deref().unwrap_or("")),
            _ => (ErrorCode::NONE, ""),
        }
    }

    #[test]
    fn a_topics_changes_are_handed_to_the_controller_as_they_are() {
        let configs = vec![config("retention.ms", AlterOp::Set, Some("1")), config("x", AlterOp::Delete, None)];
        let steps = steps(vec![resource(2, "a", configs)]);
        let [Step::Ask(resource, changes)] = &steps[..] else { panic!("it was not handed on") };
        assert_eq!(resource, &ConfigResource::new(ResourceType::Topic, "a"));
        let set = ConfigChange { op: AlterOp::Set, key: "retention.ms".into(), value: Some("1".into()) };
        let delete = ConfigChange { op: AlterOp::Delete, key: "x".into(), value: None };
        assert_eq!(changes, &[set, delete]);
    }

    #[test]
    fn each_of_the_resources_that_come_twice_is_refused() {
        let steps = steps(vec![resource(2, "a", vec![]), resource(2, "b", vec![]), resource(2, "a", vec![])]);
        let refused = (ErrorCode::INVALID_REQUEST, "Each resource must appear at most once.");
        assert_eq!(steps.iter().map(why).collect::<Vec<_>>(), [refused, (ErrorCode::NONE, ""), refused]);
    }

    #[test]
    fn only_a_deletion_goes_without_a_value() {
        let steps = steps(vec![resource(2, "a", vec![config("k", AlterOp::Append, None)])]);
        assert_eq!(why(&steps[0]), (ErrorCode::INVALID_REQUEST, "Null value not supported for : k"));
    }

    #[test]
    fn an_operation_that_is_not_known_is_refused() {
        let unknown = config("k", AlterOp::Set, Some("v")).with_config_operation(7);
        let steps = steps(vec![resource(2, "a", vec![unknown])]);
        assert_eq!(why(&steps[0]), (ErrorCode::INVALID_REQUEST, "Unknown operations type 7"));
    }

    #[test]
    fn a_brokers_configs_are_checked_as_they_will_be() {
        let mut image = testing::image();
        let now = BTreeMap::from([("log.retention.ms".to_owned(), "5".to_owned())]);
        image.configs.insert(ConfigResource::broker(BY.node), Arc::new(now));
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![
            resource(4, "1", vec![config("message.max.bytes", AlterOp::Set, Some("9"))]),
            resource(4, "", vec![config("message.max.bytes", AlterOp::Set, Some("9"))]),
        ]);
        let check = |resource: &ConfigResource, whole: &BTreeMap<String, String>| {
            if resource.name.is_empty() {
                return Err(invalid("not for all"));
            }
            assert_eq!(
                whole.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
                ["log.retention.ms=5", "message.max.bytes=9"]
            );
            Ok(())
        };
        let steps = plan(&request, &testing::call(1), BY, &image, &check);
        assert_eq!(why(&steps[0]), (ErrorCode::NONE, ""));
        assert_eq!(why(&steps[1]), (ErrorCode::INVALID_REQUEST, "not for all"));
    }

    #[test]
    fn a_list_is_extended_and_cut_from_its_default_when_it_was_not_set() {
        let now = BTreeMap::new();
        let apply = |op, value: &str| {
            let change = ConfigChange { op, key: "log.cleanup.policy".into(), value: Some(value.into()) };
            changed(&now, &[change]).map(|configs| configs["log.cleanup.policy"].clone())
        };
        assert_eq!(apply(AlterOp::Append, "compact,delete").as_deref(), Ok("delete,compact"));
        assert_eq!(apply(AlterOp::Subtract, "delete").as_deref(), Ok(""));
        let change = ConfigChange { op: AlterOp::Append, key: "message.max.bytes".into(), value: Some("1".into()) };
        let error = changed(&now, &[change]).err().map(|error| (error.code, error.message.unwrap_or_default()));
        let why = "Config value append is not allowed for config key: message.max.bytes".to_owned();
        assert_eq!(error, Some((ErrorCode::INVALID_CONFIG, why)));
        let change = ConfigChange { op: AlterOp::Subtract, key: "no.such".into(), value: Some("1".into()) };
        let error = changed(&now, &[change]).err().and_then(|error| error.message);
        assert_eq!(error.as_deref(), Some("Unknown config name: no.such"));
    }

    #[test]
    fn broker_loggers_are_answered_without_the_controller() {
        let steps = steps(vec![resource(8, "1", vec![config("root", AlterOp::Set, Some("DEBUG"))])]);
        assert_eq!(why(&steps[0]), (ErrorCode::INVALID_CONFIG, "Logger root does not exist!"));
    }

    async fn ask(
        controller: &Service,
        validate_only: bool,
        resources: Vec<AlterConfigsResource>,
    ) -> Vec<(ErrorCode, String)> {
        let request =
            IncrementalAlterConfigsRequest::default().with_resources(resources).with_validate_only(validate_only);
        let image = controller.store().image();
        let ask = async |changes| controller.incremental_alter_configs(changes, validate_only).await;
        let response = respond(&testing::call(1), &testing::config().load(), &image, request, ask).await;
        for version in 0..=1 {
            testing::encoded(version, &response);
        }
        let shown = response
            .responses
            .iter()
            .map(|r| (ErrorCode(r.error_code), r.error_message.as_deref().unwrap_or_default().to_owned()));
        shown.collect()
    }

    #[tokio::test]
    async fn what_is_set_is_kept_and_what_is_deleted_is_gone() {
        let controller = testing::controller_with_topics(&["a"]).await;
        let done = [(ErrorCode::NONE, String::new())];
        let set = |key, value| vec![resource(2, "a", vec![config(key, AlterOp::Set, Some(value))])];
        let topic = ConfigResource::new(ResourceType::Topic, "a");
        let value = || controller.store().load().config(&topic).get("retention.ms").cloned();
        assert_eq!(ask(&controller, true, set("retention.ms", "5")).await, done);
        assert_eq!(value(), None);
        assert_eq!(ask(&controller, false, set("retention.ms", "5")).await, done);
        assert_eq!(value().as_deref(), Some("5"));
        let delete = vec![resource(2, "a", vec![config("retention.ms", AlterOp::Delete, None)])];
        assert_eq!(ask(&controller, false, delete).await, done);
        assert_eq!(value(), None);
    }

    #[tokio::test]
    async fn each_resource_fails_for_itself() {
        let controller = testing::controller_with_topics(&["a", "b"]).await;
        let set = |kind, name, key, value| resource(kind, name, vec![config(key, AlterOp::Set, Some(value))]);
        let resources = vec![
            set(2, "a", "no.such", "1"),
            set(2, "b", "retention.ms", "5"),
            set(2, "gone", "retention.ms", "5"),
            set(4, "1", "node.id", "7"),
            set(4, "", "log.retention.ms", "9"),
            set(8, "1", "root", "INFO"),
        ];
        let answers = ask(&controller, false, resources).await;
        assert_eq!(answers[0], (ErrorCode::INVALID_CONFIG, "Unknown topic config name: no.such".into()));
        assert_eq!(answers[1].0, ErrorCode::NONE);
        let gone = "The topic 'gone' does not exist.";
        assert_eq!(answers[2], (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, gone.into()));
        let dynamic = "Cannot update these configs dynamically: [node.id]";
        assert_eq!(answers[3], (ErrorCode::INVALID_REQUEST, dynamic.into()));
        assert_eq!(answers[4].0, ErrorCode::NONE);
        assert_eq!(answers[5].0, ErrorCode::INVALID_CONFIG);
        let image = controller.store().image();
        let all = image.config(&ConfigResource::cluster_default());
        assert_eq!(all.get("log.retention.ms").map(String::as_str), Some("9"));
    }

    #[test]
    fn every_version_can_be_encoded() {
        let response = AlterConfigsResourceResponse::default().with_resource_type(2).with_resource_name("a".into());
        for version in 0..=1 {
            let responses = vec![response.clone().with_error_message(None), response.clone()];
            testing::encoded(version, &IncrementalAlterConfigsResponse::default().with_responses(responses));
        }
    }
}
