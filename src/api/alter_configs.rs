//! AlterConfigs (33), v0-2: replaces the whole set of a resource's dynamic configs.
//!
//! Old clients use it; tools have moved to IncrementalAlterConfigs. A key that is not in the request goes back to
//! its default. Topics, brokers, groups and client-metrics subscriptions have configs; broker loggers are only
//! known to the newer API. v0-2 differ in their encoding only.
//!
//! Left out: authorization.

use super::alter::{self, BrokerCheck, Step};
use super::{Api, ApiError, Call, Context, Versions, text};
use crate::metadata::ResourceType;
use crate::model::NodeId;
use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use std::sync::Arc;

pub struct AlterConfigs;

impl Api for AlterConfigs {
    type Request = AlterConfigsRequest;
    const NAME: &'static str = "AlterConfigs";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, _call: Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
        let steps = {
            let check = ctx.broker_check();
            plan(&request, ctx.settings().node_id, &check)
        };
        let outcomes = alter::carry_out(steps, |sets| ctx.controller.alter_configs(sets, request.validate_only)).await;
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
}

type Set = Vec<(String, Option<String>)>;

fn plan(request: &AlterConfigsRequest, node: NodeId, check: BrokerCheck<'_>) -> Vec<Step<Set>> {
    let repeated = alter::repeated(request.resources.iter().map(|r| (r.resource_type, &*r.resource_name)));
    let step = |resource: &AlterConfigsResource| {
        if repeated.contains(&(resource.resource_type, &*resource.resource_name)) {
            return Step::Done(Err(alter::more_than_once()));
        }
        preprocess(resource, node, check).unwrap_or_else(|error| Step::Done(Err(error)))
    };
    request.resources.iter().map(step).collect()
}

fn preprocess(asked: &AlterConfigsResource, node: NodeId, check: BrokerCheck<'_>) -> Result<Step<Set>, ApiError> {
    alter::check_keys(asked.configs.iter().map(|config| (&*config.name, config.value.is_none())))?;
    let resource = alter::check_resource(asked.resource_type, &asked.resource_name, node)?;
    let text = |config: &_| -> (String, Option<String>) {
        let config: &kafka_protocol::messages::alter_configs_request::AlterableConfig = config;
        (config.name.to_string(), config.value.as_ref().map(|value| value.to_string()))
    };
    let set: Set = asked.configs.iter().map(text).collect();
    if resource.kind == ResourceType::Broker {
        let whole = set.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
        check(&resource, &whole)?;
    }
    Ok(Step::Ask(resource, set))
}
