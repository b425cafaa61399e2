//! Request headers v1 and v2, and which header each message has (`RequestHeader.json`, `ResponseHeader.json`).
//!
//! v1: key, version, correlation id, client id · v2 (flexible messages): tagged fields, skipped and not kept.
//! Left out: v0, which only ControlledShutdown v0 used; Kafka 4.0 removed both.

use crate::wire::reader::{Reader, Width};
use crate::wire::{Refused, Text, guard};
use bytes::Bytes;

const API_VERSIONS: i16 = 18;

/// The private request that carries the quorum's messages, on controllers' listeners only. No key of Kafka's comes near.
pub const QUORUM_KEY: i16 = 29_000;

/// What stands before every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    pub key: i16,
    pub version: i16,
    pub correlation_id: i32,
    /// A slice of the frame: copy what must outlive the request.
    pub client_id: Option<Text>,
}

/// Why the header, and with it the connection, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Which header to read depends on the key, so nothing more is known. Kafka closes the connection.
    #[error("API key {key} (version {version}) is not known")]
    UnknownApi { key: i16, version: i16 },
    #[error("request header: {0}")]
    Refused(#[from] Refused),
}

/// Splits a frame into its header and its body.
///
/// A version that is not served is not refused here: ApiVersions is answered in that case too.
pub fn parse(frame: &Bytes) -> Result<(RequestHeader, Bytes), HeaderError> {
    let mut reader = Reader::new(frame);
    let key = reader.i16()?;
    let version = reader.i16()?;
    let Some(header_version) = request_header_version(key, version) else {
        return Err(HeaderError::UnknownApi { key, version });
    };
    let correlation_id = reader.i32()?;
    let at = reader.at();
    let client_id = match reader.length(Width::Short)? {
        None => None,
        Some(length) => {
            let start = reader.at();
            reader.skip(length)?;
            let text = Text::from_utf8(frame.slice(start..start + length));
            Some(text.map_err(|_| Refused::Utf8 { at })?)
        }
    };
    if header_version >= 2 {
        reader.skip_tags()?;
    }
    Ok((RequestHeader { key, version, correlation_id, client_id }, frame.slice(reader.at()..)))
}

/// The header version of a request, or `None` for a key that is not known. Any version of a known key has one.
#[must_use]
pub fn request_header_version(key: i16, version: i16) -> Option<i16> {
    if key == QUORUM_KEY {
        return Some(1);
    }
    Some(if version >= guard::first_flexible(key)? { 2 } else { 1 })
}

/// The header version of a response. ApiVersions is always 0 (KIP-511), so that a client that asked in a version we do
/// not have can read the answer.
#[must_use]
pub fn response_header_version(key: i16, version: i16) -> i16 {
    let flexible = guard::first_flexible(key).is_some_and(|first| version >= first);
    i16::from(flexible && key != API_VERSIONS)
}

/// How many bytes of a response, without its length, are its header.
pub(crate) fn response_header_length(key: i16, version: i16, frame: &[u8]) -> Result<usize, Refused> {
    let mut reader = Reader::new(frame);
    reader.i32()?;
    if response_header_version(key, version) >= 1 {
        reader.skip_tags()?;
    }
    Ok(reader.at())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_header_cut_anywhere_is_refused() {
        let whole = Bytes::from_static(b"\x00\x03\x00\x09\x00\x00\x00\x07\x00\x02ab\x01\x05\x02xy");
        assert!(parse(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(matches!(parse(&whole.slice(..length)), Err(HeaderError::Refused(_))), "{length} bytes");
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_named_in_the_refusal() {
        let frame = Bytes::from_static(b"\x27\x0f\x00\x05\x00\x00\x00\x07\xff\xff");
        assert_eq!(parse(&frame), Err(HeaderError::UnknownApi { key: 9999, version: 5 }));
    }

    #[test]
    fn api_versions_of_a_later_kafka_has_a_header_that_can_be_read() {
        let frame = Bytes::from_static(b"\x00\x12\x00\x7f\x00\x00\x00\x07\x00\x01c\x00\xde\xad");
        let (header, body) = parse(&frame).unwrap();
        assert_eq!((header.key, header.version, header.correlation_id), (18, 127, 7));
        assert_eq!((header.client_id.as_deref(), &body[..]), (Some("c"), &b"\xde\xad"[..]));
    }

    #[test]
    fn a_client_id_is_a_slice_of_its_frame() {
        let frame = Bytes::from(b"\x00\x12\x00\x00\x00\x00\x00\x07\x00\x06client".to_vec());
        let (header, _) = parse(&frame).unwrap();
        assert_eq!(header.client_id.unwrap().as_ptr(), frame[10..].as_ptr());
    }

    #[test]
    fn a_client_id_that_is_not_utf8_is_refused() {
        let frame = Bytes::from_static(b"\x00\x12\x00\x00\x00\x00\x00\x07\x00\x02\xc3\x28");
        assert_eq!(parse(&frame), Err(HeaderError::Refused(Refused::Utf8 { at: 8 })));
    }
}
