//! What a connection has received and not placed, and the buffers that all connections receive into.
//!
//! A connection holds a buffer only while it has part of a frame: before every read it takes one, and when there is
//! nothing to read it gives it back. So the buffer that was filled last, which is still in the CPU's cache, is the next
//! to be filled, whoever fills it, and a thousand quiet connections hold none. A frame is received where it stays: a
//! large one gets a buffer that holds all of it before its rest is read, with exactly that rest, so nothing is moved.
//! (Memory for what a client announces and does not send is reserved, not touched.)
//!
//! What connections hold here together is bounded (a part of `queued.max.request.bytes`): past that, a connection gets
//! no more room than the frame it was granted memory for needs, or a little.

use crate::wire::{FrameCodec, FrameError};
use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncRead;
use tokio_util::codec::Decoder;
use tokio_util::io::poll_read_buf;

/// The usual buffer, and the most that is read without knowing what it is.
const READ_AHEAD: usize = 256 * 1024;
/// With less room than this what is left is moved to the front, or to another buffer, before more is read.
const ROOM_MIN: usize = READ_AHEAD / 4;
/// Buffers for large frames come in multiples of this, so that they serve again.
const STEP: usize = 64 * 1024;
/// What a connection reads at a time when all that may be read ahead is lent.
const LITTLE: usize = 4 * 1024;
/// What it reads before its first frame, which may never come.
const FIRST: usize = 1024;
/// The largest buffer that is kept for others: a few times Kafka's largest batch.
const KEPT_MAX: usize = 4 * 1024 * 1024;
/// Bytes of buffers that are kept while nobody uses them.
const KEPT_BYTES: usize = 16 * 1024 * 1024;
const PREFIX: usize = 4;

/// The buffers that no connection uses.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Mutex<Free>,
    lent_max: usize,
}

#[derive(Debug, Default)]
struct Free {
    buffers: Vec<BytesMut>,
    bytes: usize,
    /// Bytes of the buffers that connections hold.
    lent: usize,
}

impl Buffers {
    /// Buffers of which connections together hold no more than `lent_max` bytes beyond what they need.
    pub(super) fn new(lent_max: usize) -> Buffers {
        Buffers { free: Mutex::default(), lent_max }
    }

    #[cfg(test)]
    pub(super) fn lent_max(&self) -> usize {
        self.lent_max
    }

    /// An empty buffer for `needed` bytes at least, and for `wanted` if so much may still be lent.
    fn take(&self, needed: usize, wanted: usize) -> BytesMut {
        let mut free = self.free.lock();
        let wanted = if free.lent + wanted <= self.lent_max { wanted } else { needed };
        let buffer = Buffers::find(&mut free, wanted);
        free.lent += buffer.capacity();
        buffer
    }

    fn is_exhausted(&self) -> bool {
        self.free.lock().lent >= self.lent_max
    }

    /// The buffer that was given back last, if it is large enough.
    fn find(free: &mut Free, wanted: usize) -> BytesMut {
        if wanted < READ_AHEAD {
            return BytesMut::with_capacity(wanted);
        }
        if let Some(at) = free.buffers.iter().rposition(|buffer| buffer.capacity() >= wanted) {
            let buffer = free.buffers.remove(at);
            free.bytes -= buffer.capacity();
            return buffer;
        }
        BytesMut::with_capacity(wanted.next_multiple_of(STEP))
    }

    /// `capacity` is what the buffer had when it was taken. If slices of it are still about, it is theirs.
    fn give_back(&self, mut buffer: BytesMut, capacity: usize) {
        let mut free = self.free.lock();
        free.lent = free.lent.saturating_sub(capacity);
        buffer.clear();
        if !(READ_AHEAD..=KEPT_MAX).contains(&capacity) || !buffer.try_reclaim(capacity) {
            return;
        }
        if free.bytes + buffer.capacity() <= KEPT_BYTES {
            free.bytes += buffer.capacity();
            free.buffers.push(buffer);
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    bytes: BytesMut,
    /// Of the buffer under `bytes`; 0 if there is none.
    capacity: usize,
    /// Length of the last frame: the next one is probably like it.
    last: usize,
    /// Nobody knows who sends: it has no part in the buffers, and gets room as its bytes arrive.
    of_stranger: bool,
}

impl Incoming {
    pub(super) fn new(of_stranger: bool) -> Incoming {
        Incoming { of_stranger, ..Incoming::default() }
    }

    /// It is known who sends.
    pub(super) fn trust(&mut self) {
        self.of_stranger = false;
    }

    /// The length of the frame that has begun, once it is known.
    pub(super) fn begun(&self, codec: &FrameCodec) -> Result<Option<usize>, FrameError> {
        codec.peek(&self.bytes)
    }

    /// Whether the next frame is here as a whole.
    pub(super) fn has_frame(&self, codec: &FrameCodec) -> bool {
        matches!(self.begun(codec), Ok(Some(length)) if self.bytes.len() - PREFIX >= length)
    }

    /// The next frame, if it is here as a whole.
    pub(super) fn next_frame(&mut self, codec: &mut FrameCodec) -> Result<Option<Bytes>, FrameError> {
        // Not the codec's business to make room for the rest of a frame: that is done before the next read.
        match self.begun(codec)? {
            Some(length) if self.bytes.len() - PREFIX >= length => {
                self.last = length;
                codec.decode(&mut self.bytes)
            }
            _ => Ok(None),
        }
    }

    /// Reads once. `begun` is the length of the frame that has begun, if it is known.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        begun: Option<usize>,
        buffers: &Buffers,
    ) -> Poll<io::Result<usize>> {
        let missing = begun.map_or(0, |length| PREFIX + length - self.bytes.len());
        self.make_room(missing, buffers);
        let room = self.bytes.capacity() - self.bytes.len();
        // Of a large frame exactly the rest: what followed it would have to be moved when its turn comes.
        let wanted = if missing > ROOM_MIN { missing } else { room.min(READ_AHEAD) };
        let read = poll_read_buf(Pin::new(stream), cx, &mut (&mut self.bytes).limit(wanted));
        if self.bytes.is_empty() {
            self.give_back(buffers);
        }
        read
    }

    fn make_room(&mut self, missing: usize, buffers: &Buffers) {
        let room = self.bytes.capacity() - self.bytes.len();
        if self.of_stranger {
            if room == 0 {
                self.bytes.reserve(self.bytes.len().max(FIRST));
            }
            return;
        }
        let (little, usual) = if self.last == 0 { (FIRST / 4, FIRST) } else { (ROOM_MIN, READ_AHEAD) };
        let needed = missing.max(little);
        if room >= needed {
            return;
        }
        let whole = self.bytes.len() + needed;
        // Moves what is here to the front of its own buffer, if that is large enough and nobody has slices of it.
        if whole <= self.capacity && self.bytes.try_reclaim(self.capacity - self.bytes.len()) {
            return;
        }
        let likely = if self.last < KEPT_MAX { self.last + PREFIX } else { 0 };
        let least = self.bytes.len() + missing.max(LITTLE.min(usual));
        if self.capacity > 0 && self.bytes.len() + room >= least && buffers.is_exhausted() {
            return;
        }
        let next = buffers.take(least, whole.max(likely).max(usual));
        self.replace(next, buffers);
    }

    fn replace(&mut self, mut next: BytesMut, buffers: &Buffers) {
        let capacity = next.capacity();
        next.extend_from_slice(&self.bytes);
        buffers.give_back(std::mem::replace(&mut self.bytes, next), self.capacity);
        self.capacity = capacity;
    }

    /// Lets go of the buffer and of what is in it.
    pub(super) fn give_back(&mut self, buffers: &Buffers) {
        buffers.give_back(std::mem::take(&mut self.bytes), self.capacity);
        self.capacity = 0;
    }

    /// Keeps what is here of a slow sender's frame in memory of its size, so that many of them hold little.
    pub(super) fn shrink(&mut self, buffers: &Buffers) {
        let fitting = self.bytes.len().next_power_of_two().max(1024);
        if self.capacity > fitting * 2 {
            let next = buffers.take(fitting, fitting);
            self.replace(next, buffers);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncWriteExt;

    const MAX: usize = 100 << 20;

    fn frame(length: usize, seed: u8) -> Vec<u8> {
        let body = (0..length).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed));
        u32::try_from(length).unwrap().to_be_bytes().into_iter().chain(body).collect()
    }

    /// Receives all frames of `stream`, which arrives in pieces of at most `piece` bytes; `place` gets each.
    async fn receive(stream: Vec<u8>, piece: usize, buffers: &Buffers, mut place: impl FnMut(Bytes)) -> Incoming {
        let (mut ours, mut theirs) = tokio::io::duplex(piece);
        let sender = tokio::spawn(async move { theirs.write_all(&stream).await.unwrap() });
        let (mut incoming, mut codec) = (Incoming::default(), FrameCodec::new(MAX));
        loop {
            while let Some(frame) = incoming.next_frame(&mut codec).unwrap() {
                place(frame);
            }
            let begun = incoming.begun(&codec).unwrap();
            let read = poll_fn(|cx| incoming.poll_read(&mut ours, cx, begun, buffers)).await.unwrap();
            if read == 0 {
                break;
            }
        }
        sender.await.unwrap();
        incoming
    }

    fn kept(buffers: &Buffers) -> Vec<usize> {
        buffers.free.lock().buffers.iter().map(BytesMut::capacity).collect()
    }

    #[tokio::test]
    async fn frames_of_all_sizes_come_out_as_they_were_sent_however_they_arrive() {
        let lengths = [0, 1, 20, 16_400, 70_000, 300_000, 5, 1_000_000, 1_000_000, 262_140, 262_144, 40, 5_000_000, 8];
        let frames: Vec<Vec<u8>> = (0u8..).zip(lengths).map(|(seed, length)| frame(length, seed)).collect();
        for piece in [700, 65_536, 131_072, 2 << 20] {
            let buffers = Buffers::new(1 << 30);
            let mut received = Vec::new();
            receive(frames.concat(), piece, &buffers, |frame| received.push(frame)).await;
            let sent: Vec<&[u8]> = frames.iter().map(|frame| &frame[PREFIX..]).collect();
            assert!(received == sent, "frames differ in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_has_nothing_of_a_frame_holds_no_buffer() {
        let buffers = Buffers::new(1 << 30);
        let (mut ours, mut theirs) = tokio::io::duplex(1000);
        let (mut incoming, mut codec) = (Incoming::default(), FrameCodec::new(MAX));
        for _ in 0..3 {
            let pending = poll_fn(|cx| Poll::Ready(incoming.poll_read(&mut ours, cx, None, &buffers).is_pending()));
            assert!(pending.await);
            assert_eq!((incoming.capacity, incoming.bytes.capacity()), (0, 0));
            theirs.write_all(&frame(100, 1)).await.unwrap();
            poll_fn(|cx| incoming.poll_read(&mut ours, cx, None, &buffers)).await.unwrap();
            assert_eq!(incoming.next_frame(&mut codec).unwrap().unwrap().len(), 100);
        }
        assert_eq!(kept(&buffers).len(), 0, "the one buffer is in use until the next read finds nothing");
        let pending = poll_fn(|cx| Poll::Ready(incoming.poll_read(&mut ours, cx, None, &buffers).is_pending()));
        assert!(pending.await);
        assert_eq!(kept(&buffers), [READ_AHEAD]);
    }

    #[tokio::test]
    async fn a_stream_of_large_frames_is_received_into_one_buffer_that_is_not_moved() {
        let buffers = Buffers::new(1 << 30);
        let stream = (0..20).flat_map(|seed| frame(1_000_000, seed)).collect();
        let mut places = Vec::new();
        receive(stream, 4 << 20, &buffers, |frame| places.push(frame.as_ptr())).await;
        // The first frame is a surprise; all others lie where the second lay.
        assert!(places[1..].iter().all(|place| *place == places[1]), "{places:?}");
        assert!(kept(&buffers).len() <= 2, "{:?}", kept(&buffers));
    }

    #[tokio::test]
    async fn a_frame_that_is_still_in_use_is_not_overwritten() {
        let buffers = Buffers::new(1 << 30);
        let stream: Vec<u8> = (0..100).flat_map(|seed| frame(50_000, seed)).collect();
        let mut held = Vec::new();
        receive(stream, 131_072, &buffers, |frame| held.push(frame)).await;
        for (seed, held) in (0u8..).zip(held) {
            assert!(held == frame(50_000, seed)[PREFIX..], "frame {seed}");
        }
    }

    #[tokio::test]
    async fn half_a_frame_of_a_slow_sender_is_kept_in_little_memory_and_goes_on() {
        let buffers = Buffers::new(1 << 30);
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 20);
        let (mut incoming, mut codec) = (Incoming::default(), FrameCodec::new(MAX));
        let sent = frame(50_000, 9);
        theirs.write_all(&[&frame(1, 1)[..], &sent[..3000]].concat()).await.unwrap();
        poll_fn(|cx| incoming.poll_read(&mut ours, cx, None, &buffers)).await.unwrap();
        assert_eq!(incoming.next_frame(&mut codec).unwrap().unwrap().len(), 1);
        assert!(incoming.next_frame(&mut codec).unwrap().is_none());
        let begun = incoming.begun(&codec).unwrap();
        // Until nothing more comes.
        while poll_fn(|cx| Poll::Ready(incoming.poll_read(&mut ours, cx, begun, &buffers).is_ready())).await {}
        incoming.shrink(&buffers);
        assert_eq!(incoming.capacity, 4096);
        assert_eq!(kept(&buffers), [READ_AHEAD]);
        theirs.write_all(&sent[3000..]).await.unwrap();
        let begun = incoming.begun(&codec).unwrap();
        assert_eq!(begun, Some(50_000));
        poll_fn(|cx| incoming.poll_read(&mut ours, cx, begun, &buffers)).await.unwrap();
        assert!(incoming.next_frame(&mut codec).unwrap().unwrap() == sent[PREFIX..]);
    }

    #[tokio::test]
    async fn when_all_is_lent_a_connection_reads_little_at_a_time_and_still_gets_its_frames() {
        let buffers = Buffers::new(READ_AHEAD);
        let _held = buffers.take(1, READ_AHEAD);
        let frames: Vec<Vec<u8>> = (0u8..).zip([10, 5000, 300_000, 7, 70_000]).map(|(s, n)| frame(n, s)).collect();
        let mut received = Vec::new();
        receive(frames.concat(), 1 << 20, &buffers, |frame| received.push(frame)).await;
        assert!(received == frames.iter().map(|frame| &frame[PREFIX..]).collect::<Vec<_>>());
        assert!(kept(&buffers).iter().all(|capacity| *capacity > READ_AHEAD), "{:?}", kept(&buffers));
    }

    #[test]
    fn what_is_kept_for_others_is_bounded() {
        let buffers = Buffers::new(1 << 30);
        let taken: Vec<BytesMut> = (0..200).map(|_| buffers.take(1 << 20, 1 << 20)).collect();
        for buffer in taken {
            let capacity = buffer.capacity();
            buffers.give_back(buffer, capacity);
        }
        assert_eq!(kept(&buffers).iter().sum::<usize>(), KEPT_BYTES);
        let huge = buffers.take(50 << 20, 50 << 20);
        let capacity = huge.capacity();
        buffers.give_back(huge, capacity);
        assert_eq!(kept(&buffers).iter().sum::<usize>(), KEPT_BYTES);
    }
}
