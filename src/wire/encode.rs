//! Encoding of responses over the `kafka-protocol` crate: length, header and body in one buffer.

use crate::wire::guard;
use crate::wire::header::response_header_version;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;

/// Why a response could not be written. Always a fault of ours: a field set that the version does not have, or an answer
/// that does not fit in a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{api} response version {version}: {message}")]
    Body { api: &'static str, version: i16, message: String },
    #[error("{api} response version {version}: {length} bytes do not fit in a frame")]
    TooLarge { api: &'static str, version: i16, length: usize },
}

/// The whole frame of a response.
pub fn response<T: Encodable>(key: i16, version: i16, correlation_id: i32, response: &T) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::with_capacity(256);
    response_into(&mut out, key, version, correlation_id, response)?;
    Ok(out.freeze())
}

/// Appends the whole frame of a response to `out`. On an error `out` is as it was.
pub fn response_into<T: Encodable>(
    out: &mut BytesMut,
    key: i16,
    version: i16,
    correlation_id: i32,
    response: &T,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.put_i32(0);
    out.put_i32(correlation_id);
    if response_header_version(key, version) >= 1 {
        out.put_u8(0);
    }
    let body = response.encode(out, version).map_err(|error| EncodeError::Body {
        api: api_name(key),
        version,
        message: error.to_string(),
    });
    let framed = body.and_then(|()| close_frame(out, start, 0, key, version));
    if framed.is_err() {
        out.truncate(start);
    }
    framed.map(|_| ())
}

/// Writes the length of the frame that began at `start` and of which `elsewhere` bytes lie outside the buffer. Returns the
/// size of the whole frame, length included.
pub(crate) fn close_frame(
    out: &mut BytesMut,
    start: usize,
    elsewhere: usize,
    key: i16,
    version: i16,
) -> Result<usize, EncodeError> {
    let length = (out.len() - start - 4).saturating_add(elsewhere);
    let Ok(prefix) = i32::try_from(length) else {
        return Err(EncodeError::TooLarge { api: api_name(key), version, length });
    };
    out[start..start + 4].copy_from_slice(&prefix.to_be_bytes());
    Ok(4 + length)
}

/// Kafka's name of an API, for messages.
#[must_use]
pub fn api_name(key: i16) -> &'static str {
    guard::name(key).unwrap_or("unknown")
}
