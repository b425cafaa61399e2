//! A client's request, sent on to the active controller: Envelope (58) v0 (KIP-590).

use super::{Link, PeerError};
use crate::model::{ErrorCode, Principal};
use crate::wire::principal;
use bytes::Bytes;
use kafka_protocol::messages::EnvelopeRequest;
use std::net::IpAddr;
use std::time::Duration;

/// Sends a request on, header and body, with the principal and the address of the client that made it. Answers the
/// response, header and body; the error is the envelope's own, such as `NOT_CONTROLLER`.
///
/// # Errors
/// [`PeerError`]
pub async fn envelope(
    link: &Link,
    request: &Bytes,
    (principal, by_token): (&Principal, bool),
    address: IpAddr,
    deadline: Duration,
) -> Result<Result<Bytes, ErrorCode>, PeerError> {
    let address = match address {
        IpAddr::V4(address) => Bytes::copy_from_slice(&address.octets()),
        IpAddr::V6(address) => Bytes::copy_from_slice(&address.octets()),
    };
    let envelope = EnvelopeRequest::default()
        .with_request_data(request.clone())
        .with_request_principal(Some(principal::encode(principal, by_token)))
        .with_client_host_address(address);
    let response = link.call(0, &envelope, deadline).await?;
    Ok(match (response.error_code, response.response_data) {
        (0, Some(data)) => Ok(data),
        // No error and no answer: not what a controller says.
        (0, None) => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
        (code, _) => Err(ErrorCode(code)),
    })
}
