//! Requests that only the active controller can answer (KIP-590): carried out here if this node is the one, else sent on to it
//! in an Envelope with the client's principal and address, and its answer handed back as it is. Handlers do not know.
//!
//! While the controller is not found, or turns out not to be it, another try is made, until `request.timeout.ms`; then the
//! client hears REQUEST_TIMED_OUT, in the form that its request has for errors.

use super::{Answer, Api, Call, Chunk, Context, Later, Peer, Placement, Run, Side, place};
use crate::controller::refusal;
use crate::model::ErrorCode;
use crate::rt::clock;
use crate::wire::{self, RequestHeader, header};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable as _, Request};
use smallvec::smallvec;
use std::sync::Arc;
use std::time::Instant;

/// The length that stands before every frame.
const LENGTH: usize = 4;

/// A request of a client, for the active controller.
pub(super) struct Forwarded {
    pub(super) ctx: Arc<Context>,
    pub(super) call: Call,
    pub(super) correlation_id: i32,
    pub(super) body: Bytes,
    pub(super) run: Run,
    pub(super) waits: fn(i16, &Bytes) -> i32,
}

impl Forwarded {
    /// # Errors
    /// The body is not what it says.
    pub(super) fn place(self, header: &RequestHeader) -> Result<Later, String> {
        let deadline = clock::now() + self.ctx.settings().network.request_timeout;
        let whole = with_header(header, &self.body);
        // Here if it can be, without a detour; and what cannot be read is refused before the connection goes on.
        let first = if self.ctx.controller.is_active() { Some(self.here()?) } else { None };
        Ok(Box::pin(async move {
            if let Some(work) = first {
                let (answer, refused) = refusal::watch(ErrorCode::NOT_CONTROLLER, work).await;
                if !refused {
                    return answer;
                }
            }
            self.persist(&whole, deadline).await
        }))
    }

    fn here(&self) -> Result<Later, String> {
        (self.run)(&self.ctx, self.call.clone(), self.correlation_id, self.body.clone())
    }

    async fn persist(&self, whole: &Bytes, deadline: Instant) -> Answer {
        let mut error = ErrorCode::REQUEST_TIMED_OUT;
        while clock::now() < deadline {
            match exchange(&self.ctx, &self.call, whole, deadline).await {
                Ok(Some(response)) => {
                    // The controller knows the quota, and only we the connection (KIP-599).
                    let ms = (self.waits)(self.call.version, &response);
                    self.call.peer.muted.extend(u64::try_from(ms).unwrap_or_default());
                    return framed(&response);
                }
                Ok(None) => match self.here() {
                    Ok(work) => {
                        let (answer, refused) = refusal::watch(ErrorCode::NOT_CONTROLLER, work).await;
                        if !refused {
                            return answer;
                        }
                    }
                    Err(reason) => return unreadable(&reason),
                },
                Err(ErrorCode::NOT_CONTROLLER) => {}
                Err(code) => {
                    tracing::warn!(%code, "the controller did not take a request that was sent on to it");
                    error = ErrorCode::UNKNOWN_SERVER_ERROR;
                    break;
                }
            }
            self.ctx.client.before_next_try().await;
        }
        // The handler gives the error the form that this request has for it. If this node has become the controller after
        // all, so much the better.
        match self.here() {
            Ok(work) => refusal::watch(error, work).await.0,
            Err(reason) => unreadable(&reason),
        }
    }
}

/// No answer: the connection is closed, as it is over every request that cannot be read.
fn unreadable(reason: &str) -> Answer {
    tracing::debug!(reason, "a request that was to be sent on cannot be read");
    Answer::new()
}

/// Has the active controller answer a request that a handler made of a client's: what is left for the controller once this
/// broker has done its part. Tried again as [`Forwarded`] is.
///
/// # Errors
/// REQUEST_TIMED_OUT, or that the controller did not take it.
pub(super) async fn ask<A: Api>(
    ctx: &Arc<Context>,
    call: &Call,
    request: &A::Request,
) -> Result<<A::Request as Request>::Response, ErrorCode> {
    let deadline = clock::now() + ctx.settings().network.request_timeout;
    let (key, version) = (<A::Request as Request>::KEY, A::VERSIONS.max);
    let mut body = BytesMut::new();
    request.encode(&mut body, version).map_err(|error| unexpected(&error))?;
    let header = RequestHeader { key, version, correlation_id: 0, client_id: None };
    let (whole, body) = (with_header(&header, &body), body.freeze());
    // As it would come in on the controller's listener.
    let peer = Arc::new(Peer { side: Side::Controller, ..Peer::clone(&call.peer) });
    loop {
        let response = if ctx.controller.is_active() {
            carry_out(ctx, &peer, &header, body.clone()).await.map_err(|error| unexpected(&error))?
        } else {
            match exchange(ctx, call, &whole, deadline).await {
                Ok(response) => response,
                Err(ErrorCode::NOT_CONTROLLER) => None,
                Err(code) => {
                    tracing::warn!(%code, "the controller did not take what a request left for it");
                    return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
                }
            }
        };
        if let Some(mut response) = response {
            let length = header::response_header_length(key, version, &response).map_err(|error| unexpected(&error))?;
            let body = response.split_off(length);
            return wire::decode_response::<A::Request>(version, body).map_err(|error| unexpected(&error));
        }
        if clock::now() >= deadline {
            return Err(ErrorCode::REQUEST_TIMED_OUT);
        }
        ctx.client.before_next_try().await;
    }
}

/// Carries a request out on this node, as the active controller, for `peer`. Answers the response, header and body; `None`:
/// this node is not the active controller, or ceased to be it meanwhile.
///
/// # Errors
/// The request cannot be read, or its answer not be put into one piece.
pub(super) async fn carry_out(
    ctx: &Arc<Context>,
    peer: &Arc<Peer>,
    header: &RequestHeader,
    body: Bytes,
) -> Result<Option<Bytes>, String> {
    let work: Later = match place(ctx, peer, header, body)? {
        Placement::Exclusive(later) | Placement::Waiting(later) => later,
        Placement::Done(answer) => Box::pin(std::future::ready(answer)),
    };
    let (answer, refused) = refusal::watch(ErrorCode::NOT_CONTROLLER, work).await;
    if refused {
        return Ok(None);
    }
    let mut frame = BytesMut::new();
    for chunk in &answer {
        match chunk {
            Chunk::Bytes(bytes) => frame.extend_from_slice(bytes),
            Chunk::File(_) => return Err("the answer to a request that was sent on lies in a file".into()),
        }
    }
    if frame.len() < LENGTH {
        return Err("a request that was sent on has no answer".into());
    }
    Ok(Some(frame.split_off(LENGTH).freeze()))
}

fn unexpected(error: &dyn std::fmt::Display) -> ErrorCode {
    tracing::error!(%error, "what goes to the controller and back cannot be encoded or read");
    ErrorCode::UNKNOWN_SERVER_ERROR
}

/// One try. `Ok(None)`: this node is the active controller now.
pub(super) async fn exchange(
    ctx: &Context,
    call: &Call,
    request: &Bytes,
    deadline: Instant,
) -> Result<Option<Bytes>, ErrorCode> {
    let peer = &call.peer;
    let principal = (&peer.principal, peer.by_token);
    let forwarded = ctx.client.forward(request, principal, peer.address.ip(), deadline).await;
    forwarded.map_err(|error| error.code)
}

/// The request as it came, less its length.
pub(super) fn with_header(header: &RequestHeader, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len() + 64);
    out.put_i16(header.key);
    out.put_i16(header.version);
    out.put_i32(header.correlation_id);
    match header.client_id.as_ref().map(|id| (i16::try_from(id.len()), id)) {
        Some((Ok(length), id)) => {
            out.put_i16(length);
            out.put_slice(id.as_bytes());
        }
        _ => out.put_i16(-1),
    }
    if header::request_header_version(header.key, header.version).is_some_and(|version| version >= 2) {
        out.put_u8(0);
    }
    out.put_slice(body);
    out.freeze()
}

fn framed(response: &Bytes) -> Answer {
    let Ok(length) = i32::try_from(response.len()) else { return Answer::new() };
    smallvec![Chunk::Bytes(Bytes::copy_from_slice(&length.to_be_bytes())), Chunk::Bytes(response.clone())]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_is_put_together_again_as_it_was() {
        for frame in [
            // CreateTopics v7, flexible, and AlterConfigs v0, which is not; with and without a client id.
            Bytes::from_static(b"\x00\x13\x00\x07\x00\x00\x00\x05\x00\x02ab\x00\x01\x02\x03"),
            Bytes::from_static(b"\x00\x21\x00\x00\x00\x00\x00\x05\xff\xff\x01\x02\x03"),
        ] {
            let (header, body) = header::parse(&frame).unwrap();
            assert_eq!(with_header(&header, &body), frame);
        }
    }
}
