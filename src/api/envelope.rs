//! Envelope (58), v0: a client's request that another broker sent on (KIP-590). It is carried out with the client's principal
//! and address, and its response goes back as bytes.
//!
//! Whatever the response says, the envelope's own error is NOT_CONTROLLER when this node is not the active controller, or
//! ceased to be it while the request was carried out: the broker that sent it tries again elsewhere.
//!
//! Kafka's checks: the principal must be there and readable, the address one of 4 or 16 bytes (INVALID_REQUEST), the request
//! one that may be sent on. The cluster needs CLUSTER_ACTION; what the request itself needs is asked of the client, as if it had
//! come here.

use super::{Api, Call, Context, Peer, Scope, Versions, forward, served_on};
use crate::model::{ErrorCode, Operation};
use crate::wire::{header, principal};
use bytes::Bytes;
use kafka_protocol::messages::{EnvelopeRequest, EnvelopeResponse};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub struct Envelope;

impl Api for Envelope {
    type Request = EnvelopeRequest;
    const NAME: &'static str = "Envelope";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(ctx: Arc<Context>, call: Call, request: EnvelopeRequest) -> EnvelopeResponse {
        if let Err(error) = call.on_cluster(Operation::ClusterAction) {
            return refused(error.code);
        }
        if !ctx.controller.is_active() {
            return refused(ErrorCode::NOT_CONTROLLER);
        }
        let peer = match sender(&call, &request) {
            Ok(peer) => Arc::new(peer),
            Err(code) => return refused(code),
        };
        let (header, body) = match header::parse(&request.request_data) {
            Ok(parsed) => parsed,
            Err(error) => {
                tracing::debug!(%error, "a request in an envelope cannot be read");
                return refused(ErrorCode::INVALID_REQUEST);
            }
        };
        let may_be_sent_on = |scope: Scope| matches!(scope, Scope::Forwarded | Scope::Shared);
        if !served_on(peer.side).any(|api| api.key == header.key && may_be_sent_on(api.scope)) {
            return refused(ErrorCode::INVALID_REQUEST);
        }
        match forward::carry_out(&ctx, &peer, &header, body).await {
            Ok(Some(response)) => EnvelopeResponse::default().with_response_data(Some(response)),
            Ok(None) => refused(ErrorCode::NOT_CONTROLLER),
            Err(reason) => {
                tracing::debug!(reason, "a request in an envelope cannot be carried out");
                refused(ErrorCode::INVALID_REQUEST)
            }
        }
    }
}

fn refused(code: ErrorCode) -> EnvelopeResponse {
    EnvelopeResponse::default().with_response_data(None).with_error_code(code.0)
}

/// The client that made the request, as the broker that sent it on knows it.
fn sender(call: &Call, request: &EnvelopeRequest) -> Result<Peer, ErrorCode> {
    let principal = request.request_principal.as_ref().ok_or(ErrorCode::PRINCIPAL_DESERIALIZATION_FAILURE)?;
    let (principal, by_token) =
        principal::decode(principal).map_err(|_| ErrorCode::PRINCIPAL_DESERIALIZATION_FAILURE)?;
    let ip = address(&request.client_host_address).ok_or(ErrorCode::INVALID_REQUEST)?;
    Ok(Peer {
        principal,
        by_token,
        // The port is the client's secret; the broker that sent it on did not tell.
        address: SocketAddr::new(ip, 0),
        forwarded: true,
        // Whoever sent it on makes its client wait, not us all of its clients.
        muted: Arc::default(),
        ..Peer::clone(&call.peer)
    })
}

fn address(bytes: &Bytes) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(&bytes[..]) {
        return Some(octets.into());
    }
    <[u8; 16]>::try_from(&bytes[..]).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_four_bytes_or_sixteen() {
        assert_eq!(address(&Bytes::from_static(&[127, 0, 0, 1])), Some(IpAddr::from([127, 0, 0, 1])));
        assert!(address(&Bytes::from_static(&[0; 16])).is_some_and(|ip| ip.is_ipv6()));
        assert_eq!(address(&Bytes::from_static(&[1, 2, 3])), None);
        assert_eq!(address(&Bytes::new()), None);
    }
}
