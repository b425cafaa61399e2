//! Decoding of everything that has no codec of its own, over the `kafka-protocol` crate.
//!
//! The crate trusts every count it reads, so [`decode`] never calls it before the guard has walked the body. Bytes after
//! the message are ignored, as Kafka ignores them.

use crate::wire::{Refused, guard};
use bytes::Bytes;
use kafka_protocol::protocol::Request;

/// Why a body did not become a request. Kafka closes the connection on either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("API {key} version {version}: {refused}")]
    Refused { key: i16, version: i16, refused: Refused },
    #[error("API {key} version {version}: {message}")]
    Malformed { key: i16, version: i16, message: String },
}

/// Decodes a request's body. Strings and bytes of the value are slices of `body`.
///
/// The guard runs here too, though the server has already run it to charge the connection: it costs a fraction of the
/// decoding, and in this way there is no path around it.
pub fn decode<T: Request>(version: i16, mut body: Bytes) -> Result<T, DecodeError> {
    let key = T::KEY;
    guard::check(key, version, &body).map_err(|refused| DecodeError::Refused { key, version, refused })?;
    T::decode(&mut body, version).map_err(|error| DecodeError::Malformed { key, version, message: error.to_string() })
}
