//! The few requests that are needed, as bytes.

use std::io::{Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

pub trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

const PRODUCE: i16 = 0;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn request(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(7i32.to_be_bytes());
    text(&mut frame, "flood");
    frame.extend(body);
    [&(frame.len() as u32).to_be_bytes()[..], &frame].concat()
}

pub fn handshake(mechanism: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, mechanism);
    request(SASL_HANDSHAKE, 1, &body)
}

pub fn authenticate(bytes: &[u8]) -> Vec<u8> {
    request(SASL_AUTHENTICATE, 0, &[&(bytes.len() as u32).to_be_bytes()[..], bytes].concat())
}

/// The body of one answer, after its correlation id.
pub fn answer(stream: &mut dyn Stream) -> Result<Vec<u8>, String> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).map_err(|error| format!("no answer: {error}"))?;
    let mut body = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut body).map_err(|error| format!("half an answer: {error}"))?;
    body.drain(..4.min(body.len()));
    Ok(body)
}

pub fn call(stream: &mut dyn Stream, frame: &[u8]) -> Result<Vec<u8>, String> {
    stream.write_all(frame).map_err(|error| format!("cannot send: {error}"))?;
    stream.flush().map_err(|error| format!("cannot send: {error}"))?;
    answer(stream)
}

pub fn i16_at(body: &[u8], at: usize) -> Result<i16, String> {
    let bytes = body.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).ok_or("the answer is too short")?;
    Ok(i16::from_be_bytes(bytes))
}

/// The bytes of a SaslAuthenticate answer.
pub fn authenticated(body: &[u8]) -> Result<Vec<u8>, String> {
    let error = i16_at(body, 0)?;
    let message = i16_at(body, 2)?.max(0) as usize;
    if error != 0 {
        let text = String::from_utf8_lossy(body.get(4..4 + message).unwrap_or_default()).into_owned();
        return Err(format!("error {error}: {text}"));
    }
    Ok(body.get(8 + message..).unwrap_or_default().to_vec())
}

/// A Produce request with one record of `size` bytes, for partition 0, acks=all.
pub fn produce(topic: &str, size: usize) -> Vec<u8> {
    let batch = batch(size);
    let mut body = Vec::new();
    body.extend((-1i16).to_be_bytes());
    body.extend((-1i16).to_be_bytes());
    body.extend(30_000i32.to_be_bytes());
    body.extend(1i32.to_be_bytes());
    text(&mut body, topic);
    body.extend(1i32.to_be_bytes());
    body.extend(0i32.to_be_bytes());
    body.extend((batch.len() as u32).to_be_bytes());
    body.extend(batch);
    request(PRODUCE, 3, &body)
}

/// The error of a Produce answer about one partition.
pub fn produce_error(body: &[u8]) -> Result<i16, String> {
    let topic = i16_at(body, 4)?.max(0) as usize;
    i16_at(body, 4 + 2 + topic + 4 + 4)
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn batch(size: usize) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let mut record = vec![0];
    for number in [0, 0, -1] {
        varint(&mut record, number);
    }
    varint(&mut record, size as i64);
    record.extend((0..size).map(|n| b'a' + (n % 26) as u8));
    varint(&mut record, 0);
    let mut rest = Vec::new();
    rest.extend([0; 2]);
    rest.extend([0; 4]);
    rest.extend(now.to_be_bytes());
    rest.extend(now.to_be_bytes());
    rest.extend([0xff; 8 + 2 + 4]);
    rest.extend(1i32.to_be_bytes());
    varint(&mut rest, record.len() as i64);
    rest.extend(record);
    let mut batch = Vec::new();
    batch.extend([0; 8]);
    batch.extend((4 + 1 + 4 + rest.len() as u32).to_be_bytes());
    batch.extend([0xff; 4]);
    batch.push(2);
    batch.extend(crc32c(&rest).to_be_bytes());
    batch.extend(rest);
    batch
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}
