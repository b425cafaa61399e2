//! CreateAcls (30), v1-3: adds access control entries, each with an outcome of its own.
//!
//! Versions differ in their encoding only. An entry that is there already is a success. Without an authorizer nothing would
//! follow from entries: SECURITY_DISABLED.

use super::{Api, ApiError, Call, Context, Versions, acls, text};
use crate::controller::Service;
use crate::model::{AclRequest, Asked, AskedPattern, ErrorCode, Operation};
use crate::wire;
use bytes::Bytes;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::{CreateAclsRequest, CreateAclsResponse};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

const KEY: i16 = 30;

pub struct CreateAcls;

impl Api for CreateAcls {
    type Request = CreateAclsRequest;
    const NAME: &'static str = "CreateAcls";
    const VERSIONS: Versions = Versions { min: 1, max: 3 };

    fn decode(version: i16, body: Bytes) -> Result<CreateAclsRequest, wire::DecodeError> {
        let request: CreateAclsRequest = wire::decode(version, body)?;
        let codes =
            |acl: &AclCreation| [acl.resource_type, acl.resource_pattern_type, acl.operation, acl.permission_type];
        acls::refuse_zeros(KEY, version, request.creations.iter().map(codes))?;
        Ok(request)
    }

    async fn handle(ctx: Arc<Context>, call: Call, request: CreateAclsRequest) -> CreateAclsResponse {
        respond(&ctx.controller, &call, &request).await
    }
}

async fn respond(controller: &Service, call: &Call, request: &CreateAclsRequest) -> CreateAclsResponse {
    let wanted: Vec<AclRequest> = request.creations.iter().map(entry).collect();
    let refused = match call.on_cluster(Operation::Alter) {
        Err(error) => Some(error),
        Ok(()) if call.authorizer.is_none() => Some(acls::disabled()),
        // Kafka falls over what could be any, and fails the whole request.
        Ok(()) => wanted.iter().any(could_be_any).then(|| ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR)),
    };
    let outcomes = match refused {
        Some(error) => wanted.iter().map(|_| Err(error.clone())).collect(),
        None => controller.create_acls(wanted).await,
    };
    CreateAclsResponse::default().with_results(outcomes.into_iter().map(result).collect())
}

fn could_be_any(acl: &AclRequest) -> bool {
    acl.resource == Asked::Any
        || matches!(acl.pattern, AskedPattern::Any | AskedPattern::Match)
        || acl.operation == Asked::Any
        || acl.permission == Asked::Any
}

fn entry(acl: &AclCreation) -> AclRequest {
    AclRequest {
        resource: Asked::from_code(acl.resource_type),
        name: acl.resource_name.to_string(),
        pattern: AskedPattern::from_code(acl.resource_pattern_type),
        principal: acl.principal.to_string(),
        host: acl.host.to_string(),
        operation: Asked::from_code(acl.operation),
        permission: Asked::from_code(acl.permission_type),
    }
}

fn result(outcome: Result<(), ApiError>) -> AclCreationResult {
    let succeeded = outcome.is_ok();
    let (code, message) = text::error_fields(outcome);
    // Where Kafka sets no message the field keeps its default, the empty text.
    let message = if succeeded { Some(StrBytes::default()) } else { message };
    AclCreationResult::default().with_error_code(code).with_error_message(message)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{call, call_of, controller, encoded};
    use super::*;

    fn creation(name: &str) -> AclCreation {
        AclCreation::default()
            .with_resource_type(2)
            .with_resource_name(text::text(name))
            .with_resource_pattern_type(3)
            .with_principal(text::text("User:x"))
            .with_host(text::text("*"))
            .with_operation(3)
            .with_permission_type(3)
    }

    async fn ask(controller: &Service, call: &Call, creations: Vec<AclCreation>) -> Vec<ErrorCode> {
        let response = respond(controller, call, &CreateAclsRequest::default().with_creations(creations)).await;
        encoded(call.version, &response);
        response.results.iter().map(|result| ErrorCode(result.error_code)).collect()
    }

    #[tokio::test]
    async fn an_entry_is_in_the_metadata_before_the_answer() {
        let controller = controller();
        for (n, version) in (1..=3).enumerate() {
            let asked = vec![creation(&format!("t{version}")), creation(""), creation("t1")];
            let answers = ask(&controller, &call_of("root", version), asked).await;
            assert_eq!(answers, [ErrorCode::NONE, ErrorCode::INVALID_REQUEST, ErrorCode::NONE]);
            assert_eq!(controller.store().load().acls.len(), n + 1);
        }
    }

    #[tokio::test]
    async fn without_an_authorizer_security_is_disabled() {
        let controller = controller();
        assert_eq!(ask(&controller, &call(3), vec![creation("a")]).await, [ErrorCode::SECURITY_DISABLED]);
        assert!(controller.store().load().acls.is_empty());
    }

    #[tokio::test]
    async fn who_may_not_alter_the_cluster_creates_nothing() {
        let controller = controller();
        let answers = ask(&controller, &call_of("nobody", 3), vec![creation("a")]).await;
        assert_eq!(answers, [ErrorCode::CLUSTER_AUTHORIZATION_FAILED]);
        assert!(controller.store().load().acls.is_empty());
    }
}
