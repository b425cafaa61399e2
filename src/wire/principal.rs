//! A principal between nodes, as `DefaultKafkaPrincipalBuilder` serializes it: a version, then `DefaultPrincipalData`.

use crate::model::Principal;
use crate::wire::Refused;
use crate::wire::reader::{Reader, Width};
use bytes::{BufMut, Bytes, BytesMut};

/// Writes a principal, and whether a delegation token has shown it.
#[must_use]
pub fn encode(principal: &Principal, by_token: bool) -> Bytes {
    let (kind, name) = (principal.kind(), principal.name());
    let mut out = BytesMut::with_capacity(kind.len() + name.len() + 10);
    out.put_i16(0);
    for text in [kind, name] {
        uvarint(&mut out, text.len() + 1);
        out.put_slice(text.as_bytes());
    }
    out.put_u8(u8::from(by_token));
    // No tagged fields.
    out.put_u8(0);
    out.freeze()
}

fn uvarint(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Reads a principal, and whether a delegation token has shown it.
///
/// # Errors
/// The bytes are something else.
pub fn decode(bytes: &[u8]) -> Result<(Principal, bool), Refused> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    if version != 0 {
        return Err(Refused::Length { at: 0, length: i64::from(version) });
    }
    let mut text = || {
        let at = reader.at();
        let length = reader.length(Width::CompactString)?.ok_or(Refused::Length { at, length: -1 })?;
        let start = reader.at();
        reader.skip(length)?;
        let raw = bytes.get(start..start + length).ok_or(Refused::Truncated { at })?;
        std::str::from_utf8(raw).map_err(|_| Refused::Utf8 { at })
    };
    let (kind, name) = (text()?, text()?);
    let by_token = reader.i8()? != 0;
    reader.skip_tags()?;
    Ok((Principal::new(kind, name), by_token))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_principal_comes_back_as_it_was() {
        for text in ["User:ANONYMOUS", "User:CN=a:b", "Service:", &format!("User:{}", "x".repeat(300))] {
            let principal = Principal::parse(text).unwrap();
            for by_token in [false, true] {
                assert_eq!(decode(&encode(&principal, by_token)).unwrap(), (principal.clone(), by_token));
            }
        }
    }

    #[test]
    fn a_principal_is_what_kafka_writes() {
        assert_eq!(&encode(&Principal::user("bob"), false)[..], b"\x00\x00\x05User\x04bob\x00\x00");
    }

    #[test]
    fn bytes_cut_anywhere_are_refused() {
        let whole = encode(&Principal::user("bob"), false);
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
