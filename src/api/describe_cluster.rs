//! DescribeCluster (60), v0-2: the cluster's id, its brokers with their addresses on this listener, and a controller.
//!
//! Versions: v1 asks for an endpoint type (brokers, or the controllers, which only a controller's listener can
//! tell); v2 asks for fenced brokers too.
//!
//! Everybody may ask a broker; which operations are authorized is told to those who may DESCRIBE the cluster. A controller
//! tells those who may ALTER the cluster.

use super::{Api, ApiError, Call, Context, Side, Versions, authorized, text, view};
use crate::metadata::Image;
use crate::model::{ErrorCode, NodeId, Operation};
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use std::sync::Arc;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub struct DescribeCluster;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;
    const NAME: &'static str = "DescribeCluster";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: DescribeClusterRequest) -> DescribeClusterResponse {
        match call.peer.side {
            Side::Broker => respond(&ctx.metadata.load(), &ctx.cluster_id, &call, &request),
            Side::Controller => {
                let voters = &ctx.settings().quorum.voters;
                describe_controllers(voters, ctx.client.active_controller(), &ctx.cluster_id, &call, &request)
            }
        }
    }
}

/// The controllers, as one of them tells: a tool that is pointed at controllers asks for them (KIP-919).
fn describe_controllers(
    voters: &[(NodeId, String, u16)],
    active: Option<NodeId>,
    cluster_id: &str,
    call: &Call,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    if let Err(ApiError { code, message }) = call.on_cluster(Operation::Alter) {
        return refused(code, message.unwrap_or_default());
    }
    match request.endpoint_type {
        CONTROLLERS => {}
        BROKERS => {
            let message =
                "The request was sent to an endpoint of type CONTROLLER, but we wanted an endpoint of type BROKER";
            return refused(ErrorCode::MISMATCHED_ENDPOINT_TYPE, message.into());
        }
        other => {
            return refused(ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, format!("Unsupported endpoint type {other}"));
        }
    }
    let controllers = voters.iter().map(|(id, host, port)| {
        DescribeClusterBroker::default()
            .with_broker_id(text::broker(*id))
            .with_host(text::text(host))
            .with_port((*port).into())
    });
    let operations = operations(call, request);
    DescribeClusterResponse::default()
        .with_error_message(None)
        .with_endpoint_type(CONTROLLERS)
        .with_cluster_id(text::text(cluster_id))
        .with_controller_id(text::broker(active.unwrap_or(NodeId(-1))))
        .with_cluster_authorized_operations(operations)
        .with_brokers(controllers.collect())
}

fn respond(image: &Image, cluster_id: &str, call: &Call, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message =
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
            return refused(ErrorCode::MISMATCHED_ENDPOINT_TYPE, message.into());
        }
        other => {
            return refused(ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, format!("Unsupported endpoint type {other}"));
        }
    }
    let nodes = view::nodes(image, &call.peer, request.include_fenced_brokers);
    let controller = view::controller(image, &call.peer).filter(|id| nodes.iter().any(|n| n.broker.id == *id));
    let brokers = nodes.iter().map(|node| {
        DescribeClusterBroker::default()
            .with_broker_id(text::broker(node.broker.id))
            .with_host(text::text(node.host))
            .with_port(node.port.into())
            .with_rack(node.broker.rack.as_deref().map(text::text))
            .with_is_fenced(node.broker.fenced)
    });
    let operations = operations(call, request);
    DescribeClusterResponse::default()
        .with_error_message(None)
        .with_cluster_id(text::text(cluster_id))
        .with_controller_id(text::broker(controller.unwrap_or(NodeId(-1))))
        .with_cluster_authorized_operations(operations)
        .with_brokers(brokers.collect())
}

/// What the client may do to the cluster, if it asks.
fn operations(call: &Call, request: &DescribeClusterRequest) -> i32 {
    match request.include_cluster_authorized_operations {
        true => authorized::on_cluster(&call.may()),
        false => authorized::NOT_ASKED,
    }
}

fn refused(code: ErrorCode, message: String) -> DescribeClusterResponse {
    DescribeClusterResponse::default().with_error_code(code.0).with_error_message(text::message(Some(message)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, call, call_of, encoded};
    use super::*;

    fn ask(version: i16, request: &DescribeClusterRequest) -> DescribeClusterResponse {
        let response = respond(&testing::image(), "cluster", &call(version), request);
        encoded(version, &response);
        response
    }

    #[test]
    fn brokers_that_are_alive_are_listed_with_the_address_of_the_listener() {
        for version in 0..=2 {
            let response = ask(version, &DescribeClusterRequest::default());
            let brokers: Vec<_> = response.brokers.iter().map(|b| (b.broker_id.0, b.host.as_str())).collect();
            assert_eq!(brokers, [(1, "plaintext.1.example"), (2, "plaintext.2.example")]);
            assert!([1, 2].contains(&response.controller_id.0));
            assert_eq!(response.cluster_id.as_str(), "cluster");
            assert_eq!(response.cluster_authorized_operations, authorized::NOT_ASKED);
        }
    }

    #[test]
    fn fenced_brokers_are_listed_and_marked_when_asked_for() {
        let response = ask(2, &DescribeClusterRequest::default().with_include_fenced_brokers(true));
        let brokers: Vec<_> = response.brokers.iter().map(|b| (b.broker_id.0, b.is_fenced)).collect();
        assert_eq!(brokers, [(1, false), (2, false), (3, true)]);
    }

    #[test]
    fn the_controllers_are_told_only_on_a_controllers_listener() {
        for version in 1..=2 {
            let response = ask(version, &DescribeClusterRequest::default().with_endpoint_type(2));
            assert_eq!(ErrorCode(response.error_code), ErrorCode::MISMATCHED_ENDPOINT_TYPE);
            let response = ask(version, &DescribeClusterRequest::default().with_endpoint_type(9));
            assert_eq!(ErrorCode(response.error_code), ErrorCode::UNSUPPORTED_ENDPOINT_TYPE);
            assert_eq!(response.error_message.as_deref(), Some("Unsupported endpoint type 9"));
        }
    }

    #[test]
    fn a_controllers_listener_tells_the_controllers_and_which_of_them_decides() {
        let voters = [(NodeId(7), "a.example".to_owned(), 9093), (NodeId(8), "b.example".to_owned(), 9094)];
        let ask = |endpoint_type| {
            let request = DescribeClusterRequest::default().with_endpoint_type(endpoint_type);
            describe_controllers(&voters, Some(NodeId(8)), "cluster", &call(2), &request)
        };
        for version in 1..=2 {
            encoded(version, &ask(2));
        }
        let response = ask(2);
        let controllers: Vec<_> = response.brokers.iter().map(|b| (b.broker_id.0, b.host.as_str(), b.port)).collect();
        assert_eq!(controllers, [(7, "a.example", 9093), (8, "b.example", 9094)]);
        assert_eq!((response.controller_id.0, response.endpoint_type), (8, 2));
        assert_eq!(ErrorCode(ask(1).error_code), ErrorCode::MISMATCHED_ENDPOINT_TYPE);
        assert_eq!(ErrorCode(ask(9).error_code), ErrorCode::UNSUPPORTED_ENDPOINT_TYPE);
        let request = DescribeClusterRequest::default().with_endpoint_type(2);
        let denied = describe_controllers(&voters, None, "cluster", &call_of("alice", 2), &request);
        assert_eq!(ErrorCode(denied.error_code), ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
        assert!(denied.brokers.is_empty());
    }

    #[test]
    fn authorized_operations_are_told_when_asked_for() {
        let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        for version in 0..=2 {
            assert_eq!(ask(version, &request).cluster_authorized_operations, 8096);
        }
    }
}
