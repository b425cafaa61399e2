//! RenewDelegationToken (39), v1-2: sets until when a token is valid.
//!
//! Versions differ in their encoding only.

use super::{Api, ApiError, Call, Context, Versions, tokens};
use crate::model::{ErrorCode, TimestampMs};
use kafka_protocol::messages::{RenewDelegationTokenRequest, RenewDelegationTokenResponse};
use std::sync::Arc;

pub struct RenewDelegationToken;

impl Api for RenewDelegationToken {
    type Request = RenewDelegationTokenRequest;
    const NAME: &'static str = "RenewDelegationToken";
    const VERSIONS: Versions = Versions { min: 1, max: 2 };

    /// The controller cannot see how the client came.
    fn stays(call: &Call) -> bool {
        !tokens::may_ask(&call.peer)
    }

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: RenewDelegationTokenRequest,
    ) -> RenewDelegationTokenResponse {
        if !tokens::may_ask(&call.peer) {
            return answer(Err(ApiError::bare(ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED)));
        }
        let RenewDelegationTokenRequest { hmac, renew_period_ms: period, .. } = request;
        let settings = &ctx.settings().tokens;
        answer(ctx.controller.renew_token(&hmac, period, &call.peer.principal, settings).await)
    }
}

fn answer(outcome: Result<TimestampMs, ApiError>) -> RenewDelegationTokenResponse {
    let response = RenewDelegationTokenResponse::default();
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
