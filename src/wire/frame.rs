//! Frames: a four-byte big-endian length and that many bytes (`NetworkReceive`).
//!
//! A negative length and one above the limit end the connection. A short frame, even an empty one, is a frame here as in
//! Kafka (a SASL token may be empty); [`crate::wire::header::parse`] refuses what is too short for a header.

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// How far beyond what has arrived the buffer may always be grown.
const AHEAD: usize = 256 * 1024;

/// How many times what has arrived the buffer may be grown ahead: with 3, a frame of 1 MiB moves twice at most.
const AHEAD_FACTOR: usize = 3;

/// While this much room is left, the buffer is not grown.
const ROOM: usize = 16 * 1024;

const PREFIX: usize = 4;

/// Cuts frames out of a read-ahead buffer.
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    max: usize,
    growing: bool,
}

/// Why a frame, and with it the connection, was refused.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the frame's length {0} is negative")]
    Negative(i32),
    #[error("the frame's length {length} is larger than {max}")]
    TooLarge { length: usize, max: usize },
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl FrameCodec {
    /// A codec that refuses frames longer than `max` bytes (`socket.request.max.bytes`).
    #[must_use]
    pub fn new(max: usize) -> FrameCodec {
        FrameCodec { max, growing: false }
    }

    /// Changes the limit, as after authentication.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// The length of the frame at the start of `src` once its four length bytes are there, so that the memory for it can be
    /// reserved before its body is read.
    pub fn peek(&self, src: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = src.first_chunk::<PREFIX>() else { return Ok(None) };
        let length = i32::from_be_bytes(*prefix);
        match usize::try_from(length) {
            Err(_) => Err(FrameError::Negative(length)),
            Ok(length) if length > self.max => Err(FrameError::TooLarge { length, max: self.max }),
            Ok(length) => Ok(Some(length)),
        }
    }

    /// Makes room for more of a frame of which `missing` bytes have not arrived.
    fn grow(&mut self, src: &mut BytesMut, missing: usize) {
        let room = src.capacity() - src.len();
        if room >= missing || (self.growing && room >= ROOM) {
            return;
        }
        self.growing = true;
        src.reserve(missing.min(AHEAD.max(src.len().saturating_mul(AHEAD_FACTOR))));
    }
}

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.peek(src)? else { return Ok(None) };
        let whole = PREFIX + length;
        if src.len() < whole {
            self.grow(src, whole - src.len());
            return Ok(None);
        }
        self.growing = false;
        src.advance(PREFIX);
        Ok(Some(src.split_to(length).freeze()))
    }
}
