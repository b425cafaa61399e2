//! SaslAuthenticate (36), v0-2: a message of the mechanism that the handshake named.
//!
//! While a client logs in, the connection asks [`bytes()`] and answers with [`answer`]. Everywhere else the request is out of
//! turn. Versions: from v1 on the answer says how long the session lasts.

use super::{Api, Call, Context, Versions, text, wire};
use crate::model::ErrorCode;
use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use kafka_protocol::protocol::Request;
use std::sync::Arc;

pub const KEY: i16 = SaslAuthenticateRequest::KEY;

pub struct SaslAuthenticate;

impl Api for SaslAuthenticate {
    type Request = SaslAuthenticateRequest;
    const NAME: &'static str = "SaslAuthenticate";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(_: Arc<Context>, _: Call, _: SaslAuthenticateRequest) -> SaslAuthenticateResponse {
        SaslAuthenticateResponse::default()
            .with_error_code(ErrorCode::ILLEGAL_SASL_STATE.0)
            .with_error_message(Some(text::text("SaslAuthenticate request received after successful authentication")))
    }
}

/// The mechanism's message in a request.
///
/// # Errors
/// The version is not served, or the body is not what it says.
pub fn bytes(version: i16, body: Bytes) -> Result<Bytes, String> {
    if !SaslAuthenticate::VERSIONS.contains(version) {
        return Err(format!("version {version} of SaslAuthenticate is not served"));
    }
    let request: SaslAuthenticateRequest = wire::decode(version, body).map_err(|error| error.to_string())?;
    Ok(request.auth_bytes)
}

/// What a client that logs in is answered.
#[derive(Debug)]
pub struct Answer {
    pub error: ErrorCode,
    pub message: Option<String>,
    pub bytes: Vec<u8>,
    /// 0: as long as the connection.
    pub lifetime_ms: i64,
}

/// # Errors
/// It cannot be encoded.
pub fn answer(version: i16, correlation_id: i32, answer: Answer) -> Result<Bytes, String> {
    let response = SaslAuthenticateResponse::default()
        .with_error_code(answer.error.0)
        .with_error_message(answer.message.map(|message| text::text(&message)))
        .with_auth_bytes(answer.bytes.into())
        .with_session_lifetime_ms(if version == 0 { 0 } else { answer.lifetime_ms });
    wire::response(KEY, version, correlation_id, &response).map_err(|error| error.to_string())
}
