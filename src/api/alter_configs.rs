//! AlterConfigs (33), v0-2: replaces the whole set of a resource's dynamic configs.
//!
//! Old clients use it; tools have moved to IncrementalAlterConfigs. A key that is not in the request goes back to
//! its default. Topics, brokers, groups and client-metrics subscriptions have configs; broker loggers are only
//! known to the newer API. v0-2 differ in their encoding only.
//! ALTER_CONFIGS is needed of the topic or group, or, for the rest, of the cluster.

use super::alter::{self, BrokerCheck, Checker, Step};
use super::{Api, ApiError, Call, Context, Side, Versions, forward, text};
use crate::config::BrokerConfig;
use crate::metadata::{ConfigResource, ResourceType};
use crate::model::Operation;
use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

pub struct AlterConfigs;

impl Api for AlterConfigs {
    type Request = AlterConfigsRequest;
    const NAME: &'static str = "AlterConfigs";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
        let (side, validate_only) = (call.peer.side, request.validate_only);
        let ask = async |sets: Sets| match side {
            Side::Controller => ctx.controller.alter_configs(sets, validate_only).await,
            Side::Broker => {
                let count = sets.len();
                let response = forward::ask::<AlterConfigs>(&ctx, &call, &to_request(sets, validate_only)).await;
                alter::outcomes(count, response.map(|response| response.responses), |r| (r.error_code, r.error_message))
            }
        };
        respond(&call, &ctx.config.load(), request, ask).await
    }
}

type Sets = Vec<(ConfigResource, Set)>;

/// What is left of a request for the controller.
fn to_request(sets: Sets, validate_only: bool) -> AlterConfigsRequest {
    let config = |(key, value): (String, Option<String>)| {
        AlterableConfig::default().with_name(StrBytes::from_string(key)).with_value(value.map(StrBytes::from_string))
    };
    let resources = sets.into_iter().map(|(resource, set)| {
        AlterConfigsResource::default()
            .with_resource_type(resource.kind.code())
            .with_resource_name(StrBytes::from_string(resource.name))
            .with_configs(set.into_iter().map(config).collect())
    });
    AlterConfigsRequest::default().with_resources(resources.collect()).with_validate_only(validate_only)
}

async fn respond(
    call: &Call,
    config: &BrokerConfig,
    request: AlterConfigsRequest,
    ask: impl AsyncFnOnce(Sets) -> Vec<Result<(), ApiError>>,
) -> AlterConfigsResponse {
    let steps = {
        let side = call.peer.side;
        let check = |resource: &ConfigResource, whole: &_| match side {
            Side::Broker => alter::check_broker(config, resource, whole),
            // Each broker has checked its own, and the controller checks what it can for all.
            Side::Controller => Ok(()),
        };
        plan(&request, call, Checker { node: config.settings().node_id, side }, &check)
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
    AlterConfigsResponse::default().with_responses(responses.collect())
}

type Set = Vec<(String, Option<String>)>;

fn plan(request: &AlterConfigsRequest, call: &Call, by: Checker, check: BrokerCheck<'_>) -> Vec<Step<Set>> {
    let repeated = alter::repeated(request.resources.iter().map(|r| (r.resource_type, &*r.resource_name)));
    let step = |resource: &AlterConfigsResource| {
        if repeated.contains(&(resource.resource_type, &*resource.resource_name)) {
            return Step::Done(Err(alter::more_than_once()));
        }
        preprocess(resource, call, by, check).unwrap_or_else(|error| Step::Done(Err(error)))
    };
    request.resources.iter().map(step).collect()
}

fn preprocess(
    asked: &AlterConfigsResource,
    call: &Call,
    by: Checker,
    check: BrokerCheck<'_>,
) -> Result<Step<Set>, ApiError> {
    alter::check_keys(asked.configs.iter().map(|config| (&*config.name, config.value.is_none())))?;
    let resource = alter::check_resource(asked.resource_type, &asked.resource_name, by)?;
    let text = |config: &AlterableConfig| (config.name.to_string(), config.value.as_ref().map(|v| v.to_string()));
    let set: Set = asked.configs.iter().map(text).collect();
    if resource.kind == ResourceType::Broker {
        let whole = set.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
        check(&resource, &whole)?;
    }
    alter::check_leave(call, Operation::AlterConfigs, asked.resource_type, &asked.resource_name)?;
    Ok(Step::Ask(resource, set))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use crate::controller::Service;
    use crate::model::ErrorCode;
    use std::collections::BTreeMap;

    fn resource(
        kind: i8,
        name: &'static str,
        configs: &[(&'static str, Option<&'static str>)],
    ) -> AlterConfigsResource {
        let config = |&(key, value): &(&'static str, Option<&'static str>)| {
            AlterableConfig::default().with_name(key.into()).with_value(value.map(Into::into))
        };
        AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(name.into())
            .with_configs(configs.iter().map(config).collect())
    }

    async fn ask(
        controller: &Service,
        validate_only: bool,
        resources: Vec<AlterConfigsResource>,
    ) -> Vec<(ErrorCode, String)> {
        let request = AlterConfigsRequest::default().with_resources(resources).with_validate_only(validate_only);
        let ask = async |sets| controller.alter_configs(sets, validate_only).await;
        let response = respond(&testing::call(2), &testing::config().load(), request, ask).await;
        for version in 0..=2 {
            encoded(version, &response);
        }
        let shown = response
            .responses
            .iter()
            .map(|r| (ErrorCode(r.error_code), r.error_message.as_deref().unwrap_or_default().to_owned()));
        shown.collect()
    }

    fn configs(controller: &Service) -> BTreeMap<String, String> {
        controller.store().load().config(&ConfigResource::new(ResourceType::Topic, "a")).clone()
    }

    #[tokio::test]
    async fn the_whole_set_is_replaced() {
        let controller = testing::controller_with_topics(&["a"]).await;
        let done = [(ErrorCode::NONE, String::new())];
        let first = vec![resource(2, "a", &[("retention.ms", Some("5")), ("flush.ms", Some("6"))])];
        assert_eq!(ask(&controller, false, first).await, done);
        let second = || vec![resource(2, "a", &[("flush.ms", Some("7"))])];
        assert_eq!(ask(&controller, true, second()).await, done);
        assert_eq!(configs(&controller).len(), 2);
        assert_eq!(ask(&controller, false, second()).await, done);
        assert_eq!(configs(&controller), BTreeMap::from([("flush.ms".into(), "7".into())]));
        assert_eq!(ask(&controller, false, vec![resource(2, "a", &[])]).await, done);
        assert_eq!(configs(&controller), BTreeMap::new());
    }

    #[tokio::test]
    async fn what_is_malformed_is_refused_without_the_controller() {
        let controller = testing::controller_with_topics(&["a"]).await;
        let resources = vec![
            resource(2, "a", &[("retention.ms", None)]),
            resource(2, "b", &[("k", Some("1")), ("k", Some("2"))]),
            resource(8, "1", &[("root", Some("INFO"))]),
            resource(4, "1", &[("node.id", Some("7"))]),
            resource(4, "2", &[]),
        ];
        let answers = ask(&controller, false, resources).await;
        assert!(answers.iter().all(|(code, _)| *code == ErrorCode::INVALID_REQUEST), "{answers:?}");
        let messages: Vec<_> = answers.iter().map(|(_, message)| message.as_str()).collect();
        let expected = [
            "Null value not supported for : retention.ms",
            "Error due to duplicate config keys",
            "Unknown resource type 8",
            "Cannot update these configs dynamically: [node.id]",
            "Unexpected broker id, expected 1, but received 2",
        ];
        assert_eq!(messages, expected);
    }

    #[tokio::test]
    async fn each_of_the_resources_that_come_twice_is_refused() {
        let controller = testing::controller_with_topics(&["a"]).await;
        let one = || resource(2, "a", &[("retention.ms", Some("5"))]);
        let answers = ask(&controller, false, vec![one(), resource(4, "1", &[]), one()]).await;
        let twice = (ErrorCode::INVALID_REQUEST, "Each resource must appear at most once.".to_owned());
        assert_eq!(answers, [twice.clone(), (ErrorCode::NONE, String::new()), twice]);
        assert_eq!(configs(&controller), BTreeMap::new());
    }
}
