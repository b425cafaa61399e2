//! ExpireDelegationToken (40), v1-2: moves or ends the validity of a token.
//!
//! Versions differ in their encoding only.

use super::{Api, ApiError, Call, Context, Versions, tokens};
use crate::model::{ErrorCode, TimestampMs};
use kafka_protocol::messages::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse};
use std::sync::Arc;

pub struct ExpireDelegationToken;

impl Api for ExpireDelegationToken {
    type Request = ExpireDelegationTokenRequest;
    const NAME: &'static str = "ExpireDelegationToken";
    const VERSIONS: Versions = Versions { min: 1, max: 2 };

    /// The controller cannot see how the client came.
    fn stays(call: &Call) -> bool {
        !tokens::may_ask(&call.peer)
    }

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: ExpireDelegationTokenRequest,
    ) -> ExpireDelegationTokenResponse {
        if !tokens::may_ask(&call.peer) {
            return answer(Err(ApiError::bare(ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED)));
        }
        let ExpireDelegationTokenRequest { hmac, expiry_time_period_ms: period, .. } = request;
        let settings = &ctx.settings().tokens;
        answer(ctx.controller.expire_token(&hmac, period, &call.peer.principal, settings).await)
    }
}

fn answer(outcome: Result<TimestampMs, ApiError>) -> ExpireDelegationTokenResponse {
    let response = ExpireDelegationTokenResponse::default();
    match outcome {
        Ok(until) => response.with_expiry_timestamp_ms(until.0),
        Err(error) => response.with_error_code(error.code.0).with_expiry_timestamp_ms(tokens::NO_TIME),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;

    #[test]
    fn every_version_can_be_encoded_with_a_time_and_with_an_error() {
        for version in 1..=2 {
            encoded(version, &answer(Ok(TimestampMs(5))));
            encoded(version, &answer(Err(ApiError::bare(ErrorCode::DELEGATION_TOKEN_NOT_FOUND))));
        }
    }
}
