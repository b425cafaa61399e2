//! Frames: a four-byte big-endian length and that many bytes (`NetworkReceive`).
//!
//! A negative length and one above the limit end the connection. A short frame, even an empty one, is a frame here as in
//! Kafka (a SASL token may be empty); [`crate::wire::header::parse`] refuses what is too short for a header.

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// How far beyond what has arrived the buffer may always be grown.
const AHEAD: usize = 256 * 1024;

/// How many times what has arrived the buffer may be grown ahead: with 4, a frame of 1 MiB moves twice at most,
/// in however small steps it comes and whatever the allocator does.
const AHEAD_FACTOR: usize = 4;

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MAX: usize = 100 * 1024 * 1024;

    fn framed(body: &[u8]) -> Vec<u8> {
        [&(body.len() as i32).to_be_bytes()[..], body].concat()
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let stream = [framed(b"one"), framed(b""), framed(b"three")].concat();
        for step in 1..=stream.len() {
            let mut codec = FrameCodec::new(MAX);
            let mut src = BytesMut::new();
            let mut frames = Vec::new();
            for piece in stream.chunks(step) {
                src.extend_from_slice(piece);
                while let Some(frame) = codec.decode(&mut src).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, [&b"one"[..], b"", b"three"], "in steps of {step}");
            assert!(src.is_empty());
        }
    }

    #[test]
    fn a_length_below_zero_or_above_the_limit_is_refused_before_anything_is_reserved() {
        for (length, limit) in [(-1, MAX), (i32::MIN, MAX), (i32::MAX, MAX), (101, 100), (100 * 1024 * 1024 + 1, MAX)] {
            let mut src = BytesMut::from(&length.to_be_bytes()[..]);
            let before = src.capacity();
            let error = FrameCodec::new(limit).decode(&mut src).unwrap_err();
            match error {
                FrameError::Negative(n) => assert_eq!(n, length),
                FrameError::TooLarge { length: n, max } => assert_eq!((n as i32, max), (length, limit)),
                FrameError::Io(error) => panic!("{error}"),
            }
            assert_eq!(src.capacity(), before);
        }
        let mut codec = FrameCodec::new(100);
        assert_eq!(codec.peek(&100i32.to_be_bytes()).unwrap(), Some(100));
        codec.set_max(99);
        assert!(codec.peek(&100i32.to_be_bytes()).is_err());
        assert_eq!(codec.peek(&[0, 0, 0]).unwrap(), None);
    }

    #[test]
    fn a_length_alone_reserves_no_more_than_the_read_ahead() {
        let mut codec = FrameCodec::new(MAX);
        let mut src = BytesMut::from(&(100 * 1024 * 1024i32).to_be_bytes()[..]);
        for _ in 0..10 {
            assert!(codec.decode(&mut src).unwrap().is_none());
            assert!(src.capacity() <= AHEAD + 1024, "{} bytes reserved", src.capacity());
        }
    }

    #[test]
    fn what_is_reserved_stays_in_proportion_to_what_has_arrived() {
        let mut codec = FrameCodec::new(MAX);
        let mut src = BytesMut::from(&(100 * 1024 * 1024i32).to_be_bytes()[..]);
        for _ in 0..4000 {
            assert!(codec.decode(&mut src).unwrap().is_none());
            src.extend_from_slice(&[0; 1000]);
            let limit = src.len() * (1 + AHEAD_FACTOR) + AHEAD + 1024;
            assert!(src.capacity() <= limit, "{} reserved, {} arrived", src.capacity(), src.len());
        }
    }

    #[test]
    fn a_frame_of_a_mebibyte_moves_twice_at_most() {
        let stream = framed(&vec![7; 1 << 20]);
        for step in [1448, 16 * 1024, 64 * 1024, 128 * 1024, 256 * 1024] {
            let mut codec = FrameCodec::new(MAX);
            let mut src = BytesMut::with_capacity(128 * 1024);
            let (mut moves, mut place, mut frame) = (0, src.as_ptr(), None);
            let mut rest = &stream[..];
            while frame.is_none() {
                if src.as_ptr() != place {
                    (moves, place) = (moves + 1, src.as_ptr());
                }
                // As a socket does: at most what there is room for.
                let (now, later) = rest.split_at(step.min(rest.len()).min(src.capacity() - src.len()));
                src.extend_from_slice(now);
                rest = later;
                frame = codec.decode(&mut src).unwrap();
            }
            assert_eq!(frame.unwrap(), &stream[4..]);
            assert!(moves <= 2, "{moves} moves in steps of {step}");
        }
    }
}
