//! IncrementalAlterConfigs (44), v0-1: sets, deletes, extends or cuts single keys of a resource's dynamic configs.
//!
//! A broker's configs are checked here, as a whole, before the controller keeps them; a topic's are the
//! controller's to check. Broker loggers are answered without the controller ([`super::loggers`]). A resource that
//! comes twice is refused. v0 and v1 differ in their encoding only.
//!
//! An unknown operation is refused with INVALID_REQUEST for every kind of resource; Apache Kafka does so for
//! brokers and fails with UNKNOWN_SERVER_ERROR for the others. Left out: authorization.

use super::alter::{self, BrokerCheck, Step, invalid};
use super::{Api, ApiError, Call, Context, Versions, loggers, text};
use crate::config::broker_keys;
use crate::config::value::Type;
use crate::controller::{AlterOp, ConfigChange};
use crate::metadata::{Image, ResourceType};
use crate::model::{ErrorCode, NodeId};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const NAME: &'static str = "IncrementalAlterConfigs";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(
        ctx: Arc<Context>,
        _call: Call,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let steps = {
            let check = ctx.broker_check();
            plan(&request, ctx.settings().node_id, &ctx.metadata.image(), &check)
        };
        let ask = |changes| ctx.controller.incremental_alter_configs(changes, request.validate_only);
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
}

fn plan(
    request: &IncrementalAlterConfigsRequest,
    node: NodeId,
    image: &Image,
    check: BrokerCheck<'_>,
) -> Vec<Step<Vec<ConfigChange>>> {
    let repeated = alter::repeated(request.resources.iter().map(|r| (r.resource_type, &*r.resource_name)));
    let step = |resource: &AlterConfigsResource| {
        if repeated.contains(&(resource.resource_type, &*resource.resource_name)) {
            return Step::Done(Err(alter::more_than_once()));
        }
        preprocess(resource, node, image, check).unwrap_or_else(|error| Step::Done(Err(error)))
    };
    request.resources.iter().map(step).collect()
}

fn preprocess(
    asked: &AlterConfigsResource,
    node: NodeId,
    image: &Image,
    check: BrokerCheck<'_>,
) -> Result<Step<Vec<ConfigChange>>, ApiError> {
    let deletes = |config: &AlterableConfig| config.config_operation == AlterOp::Delete as i8;
    alter::check_keys(asked.configs.iter().map(|c| (&*c.name, c.value.is_none() && !deletes(c))))?;
    if asked.resource_type == ResourceType::BrokerLogger.code() {
        return Ok(Step::Done(loggers::alter(node, &asked.resource_name, &asked.configs)));
    }
    let resource = alter::check_resource(asked.resource_type, &asked.resource_name, node)?;
    let changes = asked.configs.iter().map(change).collect::<Result<Vec<_>, _>>()?;
    if resource.kind == ResourceType::Broker {
        check(&resource, &changed(image.config(&resource), &changes)?)?;
    }
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
                items.extend(value.split(',').filter(|item| !items.iter().any(|old| old == item)).map(str::to_owned).collect::<Vec<_>>());
                configs.insert(key.clone(), items.join(","));
            }
            AlterOp::Subtract => {
                let mut items = list(&configs, key, "subtract")?;
                items.retain(|item| !value.split(',').any(|gone| gone == item));
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
