//! What the tests of the wire share: raw frames, random messages from the table of shapes, and the crate's decoders by key.
#![allow(dead_code, reason = "every test program uses its own part of this")]

pub(crate) mod apis;
pub(crate) mod client;
pub(crate) mod hostile;
pub(crate) mod random;
pub(crate) mod rng;

pub(crate) use rng::Rng;

/// A frame: the length, and then `bytes`.
pub(crate) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = (bytes.len() as i32).to_be_bytes().to_vec();
    frame.extend_from_slice(bytes);
    frame
}

/// The bytes of a request without its length: a header that fits the version, and then `body`.
pub(crate) fn request(key: i16, version: i16, header_version: i16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&key.to_be_bytes());
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&7i32.to_be_bytes());
    bytes.extend_from_slice(&7i16.to_be_bytes());
    bytes.extend_from_slice(b"hostile");
    if header_version >= 2 {
        bytes.push(0);
    }
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) fn uvarint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
