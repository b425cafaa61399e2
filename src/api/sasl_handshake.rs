//! SaslHandshake (17), v0-1: the client names the mechanism that it logs in by.
//!
//! While a client logs in, the connection asks [`mechanism`] and answers with [`answer`]. Everywhere else, on listeners
//! without SASL and after a login whose session does not end, the request is out of turn.

use super::{Api, Call, Context, Versions, text, wire};
use crate::model::ErrorCode;
use bytes::Bytes;
use kafka_protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};
use kafka_protocol::protocol::Request;
use std::sync::Arc;

pub const KEY: i16 = SaslHandshakeRequest::KEY;

pub struct SaslHandshake;

impl Api for SaslHandshake {
    type Request = SaslHandshakeRequest;
    const NAME: &'static str = "SaslHandshake";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(_: Arc<Context>, _: Call, _: SaslHandshakeRequest) -> SaslHandshakeResponse {
        SaslHandshakeResponse::default().with_error_code(ErrorCode::ILLEGAL_SASL_STATE.0)
    }
}

/// The mechanism that a request names.
///
/// # Errors
/// The version is not served, or the body is not what it says.
pub fn mechanism(version: i16, body: Bytes) -> Result<String, String> {
    if !SaslHandshake::VERSIONS.contains(version) {
        return Err(format!("version {version} of SaslHandshake is not served"));
    }
    let request: SaslHandshakeRequest = wire::decode(version, body).map_err(|error| error.to_string())?;
    Ok(request.mechanism.to_string())
}

/// An answer with the mechanisms that there are.
///
/// # Errors
/// It cannot be encoded.
pub fn answer(version: i16, correlation_id: i32, error: ErrorCode, mechanisms: &[&str]) -> Result<Bytes, String> {
    let mechanisms = mechanisms.iter().map(|name| text::text(name)).collect();
    let response = SaslHandshakeResponse::default().with_error_code(error.0).with_mechanisms(mechanisms);
    wire::response(KEY, version, correlation_id, &response).map_err(|error| error.to_string())
}
