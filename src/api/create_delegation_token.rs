//! CreateDelegationToken (38), v1-3: a token that lets a client be its owner without the owner's password (KIP-48).
//!
//! Versions: from v3 on the request may name an owner who is not the requester, which needs
//! CREATE_TOKENS of that user, and the answer tells who asked.

use super::{Api, ApiError, Call, Context, Versions, text, tokens};
use crate::controller::{CreateToken, CreatedToken};
use crate::model::{ErrorCode, Operation, Principal, ResourceKind};
use kafka_protocol::messages::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};
use std::sync::Arc;

pub struct CreateDelegationToken;

impl Api for CreateDelegationToken {
    type Request = CreateDelegationTokenRequest;
    const NAME: &'static str = "CreateDelegationToken";
    const VERSIONS: Versions = Versions { min: 1, max: 3 };

    /// The controller cannot see how the client came.
    fn stays(call: &Call) -> bool {
        !tokens::may_ask(&call.peer)
    }

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: CreateDelegationTokenRequest,
    ) -> CreateDelegationTokenResponse {
        let asked = question(&call, &request);
        let outcome = if !tokens::may_ask(&call.peer) {
            Err(ApiError::bare(ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED))
        } else if asked.owner != asked.requester && !may_create_for(&call, &asked.owner) {
            Err(ApiError::bare(ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED))
        } else if asked.renewers.iter().any(|renewer| renewer.kind() != Principal::USER) {
            Err(ApiError::bare(ErrorCode::INVALID_PRINCIPAL_TYPE))
        } else {
            ctx.controller.create_token(asked.clone(), &ctx.settings().tokens).await
        };
        answer(call.version, &asked, outcome)
    }
}

fn may_create_for(call: &Call, owner: &Principal) -> bool {
    call.may().allow(Operation::CreateTokens, ResourceKind::User, &owner.to_string())
}

fn question(call: &Call, request: &CreateDelegationTokenRequest) -> CreateToken {
    let requester = call.peer.principal.clone();
    let owner = match (&request.owner_principal_type, &request.owner_principal_name) {
        (kind, Some(name)) if !name.is_empty() => tokens::principal(&kind.clone().unwrap_or_default(), name),
        _ => requester.clone(),
    };
    let renewers = request.renewers.iter().map(|one| tokens::principal(&one.principal_type, &one.principal_name));
    CreateToken { owner, requester, renewers: renewers.collect(), lifetime_ms: request.max_lifetime_ms }
}

fn answer(version: i16, asked: &CreateToken, outcome: Result<CreatedToken, ApiError>) -> CreateDelegationTokenResponse {
    let (kind, name) = tokens::fields(&asked.owner);
    let mut response = CreateDelegationTokenResponse::default().with_principal_type(kind).with_principal_name(name);
    if version >= 3 {
        let (kind, name) = tokens::fields(&asked.requester);
        response = response.with_token_requester_principal_type(kind).with_token_requester_principal_name(name);
    }
    match outcome {
        Ok(CreatedToken { id, hmac, issued, expires, max }) => response
            .with_token_id(text::text(&id))
            .with_hmac(hmac)
            .with_issue_timestamp_ms(issued.0)
            .with_expiry_timestamp_ms(expires.0)
            .with_max_timestamp_ms(max.0),
        Err(error) => response
            .with_error_code(error.code.0)
            .with_issue_timestamp_ms(tokens::NO_TIME)
            .with_expiry_timestamp_ms(tokens::NO_TIME)
            .with_max_timestamp_ms(tokens::NO_TIME),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{call, encoded};
    use super::*;
    use crate::model::TimestampMs;

    #[test]
    fn the_owner_is_who_asks_unless_another_is_named() {
        let request = CreateDelegationTokenRequest::default();
        assert_eq!(question(&call(3), &request).owner, Principal::anonymous());
        let named = request
            .clone()
            .with_owner_principal_type(Some("User".into()))
            .with_owner_principal_name(Some("alice".into()));
        let asked = question(&call(3), &named);
        assert_eq!((asked.owner, asked.requester), (Principal::user("alice"), Principal::anonymous()));
        let empty = request.with_owner_principal_name(Some("".into()));
        assert_eq!(question(&call(3), &empty).owner, Principal::anonymous());
    }

    #[test]
    fn every_version_can_be_encoded_with_a_token_and_with_an_error() {
        let asked = question(&call(3), &CreateDelegationTokenRequest::default());
        for version in 1..=3 {
            let token = CreatedToken {
                id: "t".into(),
                hmac: b"hmac"[..].into(),
                issued: TimestampMs(1),
                expires: TimestampMs(2),
                max: TimestampMs(3),
            };
            encoded(version, &answer(version, &asked, Ok(token)));
            let refused = answer(version, &asked, Err(ApiError::bare(ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED)));
            encoded(version, &refused);
            assert_eq!((refused.issue_timestamp_ms, refused.error_code), (-1, 61));
            assert_eq!(refused.token_requester_principal_name.is_empty(), version < 3);
        }
    }
}
