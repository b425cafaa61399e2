//! DeleteAcls (31), v1-3: removes the access control entries that filters match, and names them.
//!
//! Versions differ in their encoding only. A filter that matches nothing is a success. Without an authorizer nothing would
//! follow from entries: SECURITY_DISABLED.

use super::{Api, ApiError, Call, Context, Versions, acls, text};
use crate::controller::Service;
use crate::model::{Acl, AclFilter, Coded as _, Operation};
use crate::wire;
use bytes::Bytes;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};
use std::sync::Arc;

const KEY: i16 = 31;

pub struct DeleteAcls;

impl Api for DeleteAcls {
    type Request = DeleteAclsRequest;
    const NAME: &'static str = "DeleteAcls";
    const VERSIONS: Versions = Versions { min: 1, max: 3 };

    fn decode(version: i16, body: Bytes) -> Result<DeleteAclsRequest, wire::DecodeError> {
        let request: DeleteAclsRequest = wire::decode(version, body)?;
        acls::refuse_zeros(KEY, version, request.filters.iter().map(codes))?;
        Ok(request)
    }

    async fn handle(ctx: Arc<Context>, call: Call, request: DeleteAclsRequest) -> DeleteAclsResponse {
        respond(&ctx.controller, &call, &request).await
    }
}

async fn respond(controller: &Service, call: &Call, request: &DeleteAclsRequest) -> DeleteAclsResponse {
    let filters: Vec<AclFilter> = request.filters.iter().map(filter).collect();
    let refused = match call.on_cluster(Operation::Alter) {
        Err(error) => Some(error),
        Ok(()) => call.authorizer.is_none().then(acls::disabled),
    };
    let outcomes = match refused {
        Some(error) => filters.iter().map(|_| Err(error.clone())).collect(),
        None => controller.delete_acls(filters).await,
    };
    DeleteAclsResponse::default().with_filter_results(outcomes.into_iter().map(result).collect())
}

fn codes(filter: &DeleteAclsFilter) -> acls::Codes {
    [filter.resource_type_filter, filter.pattern_type_filter, filter.operation, filter.permission_type]
}

fn filter(filter: &DeleteAclsFilter) -> AclFilter {
    let texts = [&filter.resource_name_filter, &filter.principal_filter, &filter.host_filter];
    acls::filter(codes(filter), texts.map(Option::as_ref))
}

fn result(outcome: Result<Vec<Arc<Acl>>, ApiError>) -> DeleteAclsFilterResult {
    let (outcome, deleted) = match outcome {
        Ok(deleted) => (Ok(()), deleted),
        Err(error) => (Err(error), Vec::new()),
    };
    let (code, message) = text::error_fields(outcome);
    DeleteAclsFilterResult::default()
        .with_error_code(code)
        .with_error_message(message)
        .with_matching_acls(deleted.iter().map(|acl| matching(acl)).collect())
}

fn matching(acl: &Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_error_message(None)
        .with_resource_type(acl.resource.code())
        .with_resource_name(text::text(&acl.name))
        .with_pattern_type(acl.pattern.code())
        .with_principal(text::text(&acl.principal))
        .with_host(text::text(&acl.host))
        .with_operation(acl.operation.code())
        .with_permission_type(acl.permission.code())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, call, call_of, controller, encoded};
    use super::*;
    use crate::model::ErrorCode;

    fn named(name: Option<&str>) -> DeleteAclsFilter {
        DeleteAclsFilter::default()
            .with_resource_type_filter(1)
            .with_resource_name_filter(name.map(text::text))
            .with_pattern_type_filter(1)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(1)
            .with_permission_type(1)
    }

    async fn ask(controller: &Service, call: &Call, filters: Vec<DeleteAclsFilter>) -> Vec<(ErrorCode, usize)> {
        let response = respond(controller, call, &DeleteAclsRequest::default().with_filters(filters)).await;
        encoded(call.version, &response);
        response.filter_results.iter().map(|r| (ErrorCode(r.error_code), r.matching_acls.len())).collect()
    }

    #[tokio::test]
    async fn what_a_filter_matches_is_gone_before_the_answer() {
        for version in 1..=3 {
            let controller = controller();
            testing::create_acls(&controller, &["+topic:a:User:x:READ", "+topic:b:User:x:READ"]).await;
            let asked = vec![named(Some("a")), named(Some("none")), named(None).with_operation(99)];
            let answers = ask(&controller, &call_of("root", version), asked).await;
            assert_eq!(answers, [(ErrorCode::NONE, 1), (ErrorCode::NONE, 0), (ErrorCode::INVALID_REQUEST, 0)]);
            assert_eq!(controller.store().load().acls.len(), 1);
        }
    }

    #[tokio::test]
    async fn nothing_is_removed_without_an_authorizer_or_leave_to_alter_the_cluster() {
        let controller = controller();
        testing::create_acls(&controller, &["+topic:a:User:x:READ"]).await;
        let answers = ask(&controller, &call(3), vec![named(None)]).await;
        assert_eq!(answers, [(ErrorCode::SECURITY_DISABLED, 0)]);
        let answers = ask(&controller, &call_of("nobody", 3), vec![named(None)]).await;
        assert_eq!(answers, [(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, 0)]);
        assert_eq!(controller.store().load().acls.len(), 1);
    }
}
