//! ListConfigResources (74), v0-1: the names of what has, or can have, configs of its own.
//!
//! Versions: v0 is the older ListClientMetricsResources and lists client-metrics subscriptions only; v1 takes a
//! list of resource types, empty for all of them.
//!
//! The cluster needs DESCRIBE_CONFIGS. Every topic and every broker is listed; of groups and client-metrics subscriptions those with configs. Groups
//! come first and topics last, as in Apache Kafka.

use super::{Api, Call, Context, Peer, Versions, view};
use crate::metadata::{Image, ResourceType};
use crate::model::{ErrorCode, Operation};
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use std::sync::Arc;

const IN_ORDER: [ResourceType; 5] = [
    ResourceType::Group,
    ResourceType::ClientMetrics,
    ResourceType::BrokerLogger,
    ResourceType::Broker,
    ResourceType::Topic,
];

pub struct ListConfigResources;

impl Api for ListConfigResources {
    type Request = ListConfigResourcesRequest;
    const NAME: &'static str = "ListConfigResources";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(ctx: Arc<Context>, call: Call, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse {
        if let Err(error) = call.on_cluster(Operation::DescribeConfigs) {
            return ListConfigResourcesResponse::default().with_error_code(error.code.0);
        }
        respond(&ctx.metadata.load(), &call, &request)
    }
}

fn respond(image: &Image, call: &Call, request: &ListConfigResourcesRequest) -> ListConfigResourcesResponse {
    let supported: &[ResourceType] = if call.version == 0 { &[ResourceType::ClientMetrics] } else { &IN_ORDER };
    let is_supported = |code: i8| supported.iter().any(|kind| kind.code() == code);
    if !request.resource_types.iter().all(|&code| is_supported(code)) {
        return ListConfigResourcesResponse::default().with_error_code(ErrorCode::UNSUPPORTED_VERSION.0);
    }
    let wanted = |kind: &ResourceType| {
        supported.contains(kind) && (request.resource_types.is_empty() || request.resource_types.contains(&kind.code()))
    };
    let resources = IN_ORDER.into_iter().filter(wanted).flat_map(|kind| {
        let names = names(image, kind, &call.peer);
        names
            .into_iter()
            .map(move |name| ConfigResource::default().with_resource_name(name.into()).with_resource_type(kind.code()))
    });
    ListConfigResourcesResponse::default().with_config_resources(resources.collect())
}

fn names(image: &Image, kind: ResourceType, peer: &Peer) -> Vec<String> {
    match kind {
        ResourceType::Topic => image.topics_by_name.keys().map(|name| name.as_str().to_owned()).collect(),
        ResourceType::Broker | ResourceType::BrokerLogger => {
            view::nodes(image, peer, true).iter().map(|node| node.broker.id.0.to_string()).collect()
        }
        ResourceType::Group | ResourceType::ClientMetrics => {
            image.configs.keys().filter(|resource| resource.kind == kind).map(|r| r.name.clone()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, call, encoded};
    use super::*;
    use crate::metadata;
    use std::collections::BTreeMap;

    fn ask(version: i16, types: &[i8]) -> ListConfigResourcesResponse {
        let mut image = testing::image();
        for (kind, name) in [(ResourceType::Group, "g"), (ResourceType::ClientMetrics, "m"), (ResourceType::Topic, "a")]
        {
            let configs = Arc::new(BTreeMap::from([("key".to_owned(), "value".to_owned())]));
            image.configs.insert(metadata::ConfigResource::new(kind, name), configs);
        }
        let request = ListConfigResourcesRequest::default().with_resource_types(types.to_vec());
        let response = respond(&image, &call(version), &request);
        encoded(version, &response);
        response
    }

    fn shown(response: &ListConfigResourcesResponse) -> Vec<(i8, &str)> {
        response.config_resources.iter().map(|r| (r.resource_type, r.resource_name.as_str())).collect()
    }

    #[test]
    fn v0_lists_client_metrics_subscriptions() {
        assert_eq!(shown(&ask(0, &[])), [(16, "m")]);
    }

    #[test]
    fn without_types_everything_is_listed() {
        let response = ask(1, &[]);
        let expected =
            [(32, "g"), (16, "m"), (8, "1"), (8, "2"), (8, "3"), (4, "1"), (4, "2"), (4, "3"), (2, "a"), (2, "b")];
        assert_eq!(shown(&response), expected);
    }

    #[test]
    fn only_the_types_that_are_asked_for_are_listed() {
        assert_eq!(shown(&ask(1, &[2])), [(2, "a"), (2, "b")]);
        assert_eq!(shown(&ask(1, &[32, 16])), [(32, "g"), (16, "m")]);
    }

    #[test]
    fn a_type_that_is_not_known_refuses_the_request() {
        let response = ask(1, &[2, 7]);
        assert_eq!(ErrorCode(response.error_code), ErrorCode::UNSUPPORTED_VERSION);
        assert_eq!(shown(&response), []);
    }
}
