//! Decoding of everything that has no codec of its own, over the `kafka-protocol` crate.
//!
//! The crate trusts every count it reads, so [`decode`] never calls it before the guard has walked the body. Bytes after
//! the message are ignored, as Kafka ignores them.

use crate::wire::{Cost, Refused, guard};
use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Request};

/// The most that the decoded form of one request may occupy. An honest request is far below it: a commit of a hundred
/// thousand offsets takes a sixth.
pub const DECODED_MAX: Cost = Cost(64 * 1024 * 1024);

/// Why a body did not become a request. Kafka closes the connection on any of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("API {key} version {version}: {refused}")]
    Refused { key: i16, version: i16, refused: Refused },
    #[error("API {key} version {version}: the request would take {cost} bytes of memory")]
    TooLarge { key: i16, version: i16, cost: usize },
    #[error("API {key} version {version}: {message}")]
    Malformed { key: i16, version: i16, message: String },
}

/// Decodes a request's body. Strings and bytes of the value are slices of `body`.
///
/// The guard runs here too, though the server may have run it already to charge the connection: it costs a fraction of the
/// decoding, and in this way there is no path around it.
pub fn decode<T: Request>(version: i16, mut body: Bytes) -> Result<T, DecodeError> {
    let key = T::KEY;
    admit(key, version, &body)?;
    T::decode(&mut body, version).map_err(|error| DecodeError::Malformed { key, version, message: error.to_string() })
}

/// Decodes the response of another broker to a request of type `T`, guarded like a request.
pub fn decode_response<T: Request>(version: i16, mut body: Bytes) -> Result<T::Response, DecodeError> {
    let key = T::KEY;
    let cost =
        guard::check_response(key, version, &body).map_err(|refused| DecodeError::Refused { key, version, refused })?;
    if cost > DECODED_MAX {
        return Err(DecodeError::TooLarge { key, version, cost: cost.0 });
    }
    T::Response::decode(&mut body, version).map_err(|error| DecodeError::Malformed {
        key,
        version,
        message: error.to_string(),
    })
}

/// Whether a body may be decoded.
pub(crate) fn admit(key: i16, version: i16, body: &[u8]) -> Result<(), DecodeError> {
    let cost = guard::check(key, version, body).map_err(|refused| DecodeError::Refused { key, version, refused })?;
    if cost > DECODED_MAX {
        return Err(DecodeError::TooLarge { key, version, cost: cost.0 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kafka_protocol::messages::{HeartbeatRequest, MetadataRequest};

    #[test]
    fn bytes_after_the_message_are_ignored_as_kafka_ignores_them() {
        let body = Bytes::from_static(b"\x00\x01g\x00\x00\x00\x05\x00\x01mtrailing");
        let request: HeartbeatRequest = decode(0, body).unwrap();
        assert_eq!((&**request.group_id, request.generation_id, &*request.member_id), ("g", 5, "m"));
    }

    #[test]
    fn a_string_that_is_not_utf8_is_malformed() {
        let error = decode::<HeartbeatRequest>(0, Bytes::from_static(b"\x00\x02\xc3\x28\x00\x00\x00\x05\x00\x00"));
        assert!(matches!(error, Err(DecodeError::Malformed { key: 12, version: 0, .. })), "{error:?}");
    }

    #[test]
    fn a_count_that_the_body_does_not_hold_never_reaches_the_crate() {
        let refused = Refused::Count { at: 0, count: 0x7fff_ffff };
        let error = decode::<MetadataRequest>(1, Bytes::from_static(b"\x7f\xff\xff\xff"));
        assert_eq!(error, Err(DecodeError::Refused { key: 3, version: 1, refused }));
    }

    #[test]
    fn a_request_that_would_fill_the_memory_is_refused() {
        // A million topics without a name: two bytes each on the wire, seventy-two in memory.
        let body = [&1_000_000i32.to_be_bytes()[..], &[0; 2_000_000]].concat();
        let error = decode::<MetadataRequest>(1, Bytes::from(body));
        assert!(matches!(error, Err(DecodeError::TooLarge { key: 3, version: 1, cost: 72_000_000.. })), "{error:?}");
    }
}
