//! DescribeAcls (29), v1-3: the access control entries that a filter matches, by the resource they are about.
//!
//! Versions differ in their encoding only. Without an authorizer there are none to tell of: SECURITY_DISABLED.

use super::{Api, Call, Context, Versions, acls, text};
use crate::metadata::Image;
use crate::model::{Acl, AclFilter, Coded as _, ErrorCode, Operation};
use crate::wire;
use bytes::Bytes;
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

const KEY: i16 = 29;

pub struct DescribeAcls;

impl Api for DescribeAcls {
    type Request = DescribeAclsRequest;
    const NAME: &'static str = "DescribeAcls";
    const VERSIONS: Versions = Versions { min: 1, max: 3 };

    fn decode(version: i16, body: Bytes) -> Result<DescribeAclsRequest, wire::DecodeError> {
        let request = wire::decode(version, body)?;
        acls::refuse_zeros(KEY, version, [codes(&request)])?;
        Ok(request)
    }

    async fn handle(ctx: Arc<Context>, call: Call, request: DescribeAclsRequest) -> DescribeAclsResponse {
        respond(&ctx.metadata.image(), &call, &request)
    }
}

fn codes(request: &DescribeAclsRequest) -> acls::Codes {
    [request.resource_type_filter, request.pattern_type_filter, request.operation, request.permission_type]
}

fn respond(image: &Image, call: &Call, request: &DescribeAclsRequest) -> DescribeAclsResponse {
    if let Err(error) = call.on_cluster(Operation::Describe) {
        let (code, message) = text::error_fields(Err(error));
        return DescribeAclsResponse::default().with_error_code(code).with_error_message(message);
    }
    if call.authorizer.is_none() {
        return DescribeAclsResponse::default()
            .with_error_code(ErrorCode::SECURITY_DISABLED.0)
            .with_error_message(Some(text::text("No Authorizer is configured on the broker")));
    }
    let texts = [&request.resource_name_filter, &request.principal_filter, &request.host_filter];
    let filter = acls::filter(codes(request), texts.map(Option::as_ref));
    DescribeAclsResponse::default()
        .with_error_message(Some(StrBytes::default()))
        .with_resources(resources(image, &filter))
}

fn resources(image: &Image, filter: &AclFilter) -> Vec<DescribeAclsResource> {
    let mut resources: Vec<DescribeAclsResource> = Vec::new();
    let mut last: Option<&Acl> = None;
    // In the order of their resources.
    for (_, acl) in image.acls.iter().filter(|(_, acl)| filter.matches(acl)) {
        let same = |last: &Acl| (last.resource, &last.name, last.pattern) == (acl.resource, &acl.name, acl.pattern);
        if !last.is_some_and(same) {
            resources.push(
                DescribeAclsResource::default()
                    .with_resource_type(acl.resource.code())
                    .with_resource_name(text::text(&acl.name))
                    .with_pattern_type(acl.pattern.code()),
            );
        }
        last = Some(acl);
        if let Some(resource) = resources.last_mut() {
            resource.acls.push(
                AclDescription::default()
                    .with_principal(text::text(&acl.principal))
                    .with_host(text::text(&acl.host))
                    .with_operation(acl.operation.code())
                    .with_permission_type(acl.permission.code()),
            );
        }
    }
    resources
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{self, call, call_of, encoded};
    use super::*;
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable as _;

    /// Everything.
    fn any() -> DescribeAclsRequest {
        DescribeAclsRequest::default()
            .with_resource_type_filter(1)
            .with_resource_name_filter(None)
            .with_pattern_type_filter(1)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(1)
            .with_permission_type(1)
    }

    fn ask(call: &Call, request: &DescribeAclsRequest) -> DescribeAclsResponse {
        let image = testing::with_acls(&["+topic:a:User:x:READ", "+topic:a:User:y:READ", "+group:a:User:x:READ"]);
        let response = respond(&image, call, request);
        encoded(call.version, &response);
        response
    }

    #[test]
    fn entries_are_told_by_their_resource() {
        for version in 1..=3 {
            let response = ask(&call_of("root", version), &any());
            let shown: Vec<_> =
                response.resources.iter().map(|r| (r.resource_type, r.resource_name.as_str(), r.acls.len())).collect();
            assert_eq!(shown, [(2, "a", 2), (3, "a", 1)]);
            let first = &response.resources[0].acls[0];
            assert_eq!((first.principal.as_str(), first.host.as_str()), ("User:x", "*"));
            assert_eq!((first.operation, first.permission_type, response.resources[0].pattern_type), (3, 3, 3));
        }
    }

    #[test]
    fn a_filter_takes_out_what_it_does_not_match() {
        let request = any().with_principal_filter(Some(text::text("User:y")));
        let response = ask(&call_of("root", 3), &request);
        assert_eq!(response.resources.iter().map(|r| r.acls.len()).collect::<Vec<_>>(), [1]);
        assert!(ask(&call_of("root", 3), &any().with_operation(99)).resources.is_empty());
    }

    #[test]
    fn without_an_authorizer_security_is_disabled() {
        let response = ask(&call(3), &any());
        assert_eq!(ErrorCode(response.error_code), ErrorCode::SECURITY_DISABLED);
        assert_eq!(response.error_message.as_deref(), Some("No Authorizer is configured on the broker"));
    }

    #[test]
    fn who_may_not_describe_the_cluster_is_told_nothing() {
        let response = ask(&call_of("nobody", 3), &any());
        assert_eq!(ErrorCode(response.error_code), ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
        assert!(response.resources.is_empty());
    }

    #[test]
    fn a_field_that_is_unknown_makes_the_request_malformed() {
        let decoded = |request: DescribeAclsRequest| {
            let mut body = BytesMut::new();
            request.encode(&mut body, 3).unwrap();
            DescribeAcls::decode(3, body.freeze())
        };
        assert!(decoded(any()).is_ok());
        for bad in [any().with_operation(0), any().with_resource_type_filter(0), any().with_permission_type(0)] {
            assert!(matches!(decoded(bad), Err(wire::DecodeError::Malformed { .. })));
        }
    }
}
