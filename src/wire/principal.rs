//! A principal between nodes, as `DefaultKafkaPrincipalBuilder` serializes it: a version, then `DefaultPrincipalData`.

use crate::wire::Refused;
use crate::wire::reader::{Reader, Width};
use bytes::{BufMut, Bytes, BytesMut};

/// Writes a principal of the form `Type:name`; without a colon it is a user's name.
#[must_use]
pub fn encode(principal: &str) -> Bytes {
    let (kind, name) = principal.split_once(':').unwrap_or(("User", principal));
    let mut out = BytesMut::with_capacity(principal.len() + 10);
    out.put_i16(0);
    for text in [kind, name] {
        uvarint(&mut out, text.len() + 1);
        out.put_slice(text.as_bytes());
    }
    // Not authenticated by a delegation token, and no tagged fields.
    out.put_slice(&[0, 0]);
    out.freeze()
}

fn uvarint(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Reads a principal: `Type:name`.
///
/// # Errors
/// The bytes are something else.
pub fn decode(bytes: &[u8]) -> Result<String, Refused> {
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
    let principal = format!("{kind}:{name}");
    reader.skip(1)?;
    reader.skip_tags()?;
    Ok(principal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_principal_comes_back_as_it_was() {
        for principal in ["User:ANONYMOUS", "User:CN=a:b", "Service:", &format!("User:{}", "x".repeat(300))] {
            assert_eq!(decode(&encode(principal)).unwrap(), principal);
        }
    }

    #[test]
    fn a_principal_is_what_kafka_writes() {
        assert_eq!(&encode("User:bob")[..], b"\x00\x00\x05User\x04bob\x00\x00");
    }

    #[test]
    fn bytes_cut_anywhere_are_refused() {
        let whole = encode("User:bob");
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
