//! What a connection has still to send: encoded answers, and file ranges that are read only when the
//! socket has room for them.
//!
//! Answers with file ranges are put together in pieces of at most [`PIECE`] bytes, heads and ranges as they follow each
//! other, in a buffer that stays in the CPU's cache and is shared by all connections of a worker thread: so an answer of
//! many small ranges is one write, and a large one never lies in memory as a whole. What is not in the page cache is
//! read on the blocking pool.

use crate::api::Chunk;
use crate::storage::FileSlice;
use bytes::{Buf, Bytes, BytesMut};
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tokio::task::JoinHandle;

/// Bytes put together at a time. Larger pieces fall out of the second-level cache.
const PIECE: usize = 256 * 1024;
/// The same for a client that took nothing for a while: it may hold little until it takes something again.
const PROBE: usize = 4 * 1024;
/// The same while [`LENT_MAX`] whole pieces are on their way: many slow clients together hold little.
const SMALL: usize = 16 * 1024;
const LENT_MAX: usize = 64;
/// Buffers that a worker thread keeps for the next answer.
const POOLED: usize = 8;
/// Chunks given to one vectored write.
const VECTORED: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Pieces larger than [`SMALL`] that connections hold.
static LENT: AtomicUsize = AtomicUsize::new(0);

/// Room for a piece; goes back to the pool of the thread that drops it.
struct Buffer {
    bytes: Vec<u8>,
    lent: bool,
}

impl Buffer {
    /// Room for `wanted` bytes, or for fewer if others hold much already.
    fn take(wanted: usize) -> Buffer {
        let lent = wanted > SMALL;
        if lent && LENT.fetch_add(1, Ordering::Relaxed) >= LENT_MAX {
            LENT.fetch_sub(1, Ordering::Relaxed);
            return Buffer { bytes: vec![0; SMALL], lent: false };
        }
        if !lent {
            return Buffer { bytes: vec![0; wanted], lent };
        }
        let bytes = POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; PIECE]);
        Buffer { bytes, lent }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.lent {
            LENT.fetch_sub(1, Ordering::Relaxed);
            let bytes = std::mem::take(&mut self.bytes);
            POOL.with_borrow_mut(|pool| {
                if pool.len() < POOLED {
                    pool.push(bytes);
                }
            });
        }
    }
}

/// The send queue of one connection.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Small answers are encoded here one after the other; becomes a chunk when something else follows.
    pub(super) tail: BytesMut,
    chunks: VecDeque<Chunk>,
    /// Comes before `chunks`.
    piece: Option<Piece>,
    cold: Option<JoinHandle<(Buffer, io::Result<usize>)>>,
    /// The buffers were given back since the socket last took something.
    stuck: bool,
    /// Bytes that the socket took, in all.
    pub(super) sent: u64,
}

/// Bytes that are in memory as they are to be sent.
struct Piece {
    buffer: Buffer,
    sent: usize,
    filled: usize,
    /// What it was made of.
    parts: SmallVec<[Chunk; 4]>,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.chunks.is_empty() && self.piece.is_none()
    }

    /// Bytes of answers in memory that wait for the socket; what was read of files is not counted.
    pub(super) fn buffered(&self) -> usize {
        let chunks = self.chunks.iter().map(|chunk| match chunk {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::File(_) => 0,
        });
        self.tail.len() + chunks.sum::<usize>()
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.seal();
        if !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(Chunk::Bytes(self.tail.split().freeze()));
        }
    }

    /// Sends until nothing is left (`Ready`) or the socket is full.
    pub(super) fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(piece) = &mut self.piece {
                let sent =
                    ready!(Pin::new(&mut *stream).poll_write(cx, &piece.buffer.bytes[piece.sent..piece.filled]))?;
                piece.sent += sent;
                if piece.sent == piece.filled {
                    self.piece = None;
                }
                self.took(sent)?;
            } else if self.chunks.is_empty() {
                // The usual case: small answers and nothing else, sent from where they were encoded.
                if self.tail.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let sent = ready!(Pin::new(&mut *stream).poll_write(cx, &self.tail))?;
                self.tail.advance(sent);
                self.took(sent)?;
            } else {
                self.seal();
                if self.chunks.iter().take(VECTORED).any(|chunk| matches!(chunk, Chunk::File(_))) {
                    ready!(self.poll_fill(cx))?;
                } else {
                    let sent = ready!(self.poll_vectored(stream, cx))?;
                    self.took(sent)?;
                }
            }
        }
    }

    fn took(&mut self, sent: usize) -> io::Result<()> {
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.sent += sent as u64;
        self.stuck = false;
        Ok(())
    }

    /// Sends what needs no putting together.
    fn poll_vectored<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut slices: [IoSlice<'_>; VECTORED] = [IoSlice::new(&[]); VECTORED];
        let mut used = 0;
        for chunk in self.chunks.iter().take(VECTORED) {
            let Chunk::Bytes(bytes) = chunk else { break };
            slices[used] = IoSlice::new(bytes);
            used += 1;
        }
        let sent = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..used]))?;
        let mut left = sent;
        while let Some(Chunk::Bytes(bytes)) = self.chunks.front_mut()
            && left > 0
        {
            let step = left.min(bytes.len());
            bytes.advance(step);
            left -= step;
            if bytes.is_empty() {
                self.chunks.pop_front();
            }
        }
        Poll::Ready(Ok(sent))
    }

    /// Puts the next piece together.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(cold) = &mut self.cold {
            let (buffer, read) = ready!(Pin::new(cold).poll(cx)).map_err(io::Error::other)?;
            self.cold = None;
            let filled = promised(read)?;
            let Some(Chunk::File(range)) = self.chunks.front_mut() else {
                return Poll::Ready(Err(io::Error::other("what was read is no longer next")));
            };
            let parts = SmallVec::from_iter([Chunk::File(split_to(range, filled))]);
            self.chunks.pop_front_if(|chunk| chunk.is_empty());
            self.piece = Some(Piece { buffer, sent: 0, filled, parts });
            return Poll::Ready(Ok(()));
        }
        let most = if self.stuck { PROBE } else { PIECE };
        let mut wanted = 0;
        let mut lengths = self.chunks.iter().map(Chunk::len);
        while wanted < most
            && let Some(length) = lengths.next()
        {
            wanted = most.min(wanted + length);
        }
        let mut buffer = Buffer::take(wanted);
        let wanted = wanted.min(buffer.bytes.len());
        let (mut filled, mut parts) = (0, SmallVec::new());
        while filled < wanted {
            let room = &mut buffer.bytes[filled..wanted];
            match self.chunks.front_mut() {
                Some(Chunk::Bytes(bytes)) => {
                    let part = bytes.split_to(bytes.len().min(room.len()));
                    room[..part.len()].copy_from_slice(&part);
                    filled += part.len();
                    parts.push(Chunk::Bytes(part));
                }
                Some(Chunk::File(range)) => {
                    let most = range.len.min(room.len());
                    match range.file.read_at_nowait(&mut room[..most], range.pos) {
                        // What there is may be sent before the rest is read, or found missing.
                        Ok(0) | Err(_) if filled > 0 => break,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            let (file, pos) = (range.file.clone(), range.pos);
                            self.cold = Some(tokio::task::spawn_blocking(move || {
                                let read = file.read_at(&mut buffer.bytes[..most], pos);
                                (buffer, read)
                            }));
                            return self.poll_fill(cx);
                        }
                        read => {
                            let read = promised(read)?;
                            filled += read;
                            parts.push(Chunk::File(split_to(range, read)));
                        }
                    }
                }
                None => break,
            }
            self.chunks.pop_front_if(|chunk| chunk.is_empty());
        }
        self.piece = Some(Piece { buffer, sent: 0, filled, parts });
        Poll::Ready(Ok(()))
    }

    /// Holds no more than what must be sent: what was read of files is read again when the socket has room.
    pub(super) fn give_buffers_back(&mut self) {
        if let Some(piece) = &mut self.piece {
            let mut sent = piece.sent;
            for mut part in piece.parts.drain(..).rev().collect::<SmallVec<[Chunk; 4]>>() {
                let before = piece.filled - part.len();
                // Its beginning was sent, or all of it.
                let gone = sent.saturating_sub(before).min(part.len());
                match &mut part {
                    Chunk::Bytes(bytes) => bytes.advance(gone),
                    Chunk::File(range) => drop(split_to(range, gone)),
                }
                piece.filled = before;
                sent = sent.min(before);
                if !part.is_empty() {
                    self.chunks.push_front(part);
                }
            }
            self.piece = None;
            self.stuck = true;
        }
        self.tail = BytesMut::from(&self.tail[..]);
        self.chunks.shrink_to_fit();
    }
}

/// The first `length` bytes of a range, which loses them.
fn split_to(range: &mut FileSlice, length: usize) -> FileSlice {
    let first = FileSlice { len: length, ..range.clone() };
    range.pos += length as u64;
    range.len -= length;
    first
}

/// A range was promised in its answer's head: if the file is shorter, there is no way to take it back but to hang up.
fn promised(read: io::Result<usize>) -> io::Result<usize> {
    match read? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a segment is shorter than its index says")),
        read => Ok(read),
    }
}

/// Bytes as a chunk, for callers that have nothing else.
impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Chunk {
        Chunk::Bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::Offset;
    use crate::rt::fs::{Open, disk::disk};
    use std::future::poll_fn;
    use tokio::io::AsyncReadExt;

    async fn sent(outgoing: &mut Outgoing, room: usize) -> Vec<u8> {
        let (mut ours, mut theirs) = tokio::io::duplex(room);
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.unwrap();
            all
        });
        poll_fn(|cx| outgoing.poll_send(&mut ours, cx)).await.unwrap();
        drop(ours);
        reader.await.unwrap()
    }

    #[tokio::test]
    async fn heads_and_file_ranges_leave_in_order_whatever_the_socket_takes() {
        let dir = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..3 * PIECE + 77).map(|i| (i % 251) as u8).collect();
        let file = disk().open(&dir.path().join("segment"), Open::Create).unwrap();
        file.write_all_at(&mut [IoSlice::new(&content)], 0).unwrap();
        for room in [1000, 64 * 1024, 8 << 20] {
            let mut outgoing = Outgoing::default();
            outgoing.tail.extend_from_slice(b"small");
            outgoing.push(Chunk::Bytes(Bytes::from_static(b"head")));
            outgoing.push(Chunk::File(FileSlice {
                file: std::sync::Arc::clone(&file),
                pos: 10,
                len: content.len() - 10,
                upper_bound: Offset(1),
            }));
            outgoing.push(Chunk::Bytes(Bytes::from_static(b"next")));
            outgoing.tail.extend_from_slice(b"last");
            let expected = [b"smallhead", &content[10..], b"nextlast"].concat();
            assert!(sent(&mut outgoing, room).await == expected, "bytes differ with {room} bytes of room");
            assert!(outgoing.is_empty());
        }
    }

    /// A socket that takes `room` bytes at a time, and notes what it was given.
    struct Counting {
        writes: Vec<usize>,
        taken: Vec<u8>,
        room: usize,
    }

    impl AsyncWrite for Counting {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            if taken == 0 {
                return Poll::Pending;
            }
            self.writes.push(taken);
            self.taken.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn range(file: &std::sync::Arc<dyn crate::rt::fs::File>, pos: u64, len: usize) -> Chunk {
        Chunk::File(FileSlice { file: std::sync::Arc::clone(file), pos, len, upper_bound: Offset(1) })
    }

    #[tokio::test]
    async fn an_answer_of_many_small_ranges_is_one_write() {
        let dir = tempfile::tempdir().unwrap();
        let file = disk().open(&dir.path().join("segment"), Open::Create).unwrap();
        file.write_all_at(&mut [IoSlice::new(&[7; 1000])], 0).unwrap();
        let mut outgoing = Outgoing::default();
        for _ in 0..200 {
            outgoing.push(Chunk::Bytes(Bytes::from_static(b"head")));
            outgoing.push(range(&file, 0, 1000));
        }
        outgoing.push(Chunk::Bytes(Bytes::from_static(b"end")));
        let mut socket = Counting { writes: Vec::new(), taken: Vec::new(), room: usize::MAX };
        poll_fn(|cx| outgoing.poll_send(&mut socket, cx)).await.unwrap();
        assert_eq!(socket.writes, [200 * 1004 + 3]);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_pins_little_and_gets_every_byte_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..PIECE).map(|i| (i % 241) as u8).collect();
        let file = disk().open(&dir.path().join("segment"), Open::Create).unwrap();
        file.write_all_at(&mut [IoSlice::new(&content)], 0).unwrap();
        let mut outgoing = Outgoing::default();
        outgoing.push(Chunk::Bytes(Bytes::from_static(b"first head")));
        outgoing.push(range(&file, 0, 5000));
        outgoing.push(Chunk::Bytes(Bytes::from_static(b"second head")));
        outgoing.push(range(&file, 100, content.len() - 100));
        outgoing.tail.extend_from_slice(b"tail");
        let expected = [b"first head", &content[..5000], b"second head", &content[100..], b"tail"].concat();
        let mut socket = Counting { writes: Vec::new(), taken: Vec::new(), room: 0 };
        for room in [0, 3, 0, 7, 4000, 1, 1005, 5, 10, 1, 70_000, 0, usize::MAX / 2] {
            socket.room = room;
            let mut sent = poll_fn(|cx| Poll::Ready(outgoing.poll_send(&mut socket, cx))).await;
            // A read that had to go to the blocking pool.
            while sent.is_pending() && socket.room > 0 {
                tokio::task::yield_now().await;
                sent = poll_fn(|cx| Poll::Ready(outgoing.poll_send(&mut socket, cx))).await;
            }
            outgoing.give_buffers_back();
            assert!(outgoing.piece.is_none());
            // The next attempt, before the socket has taken anything, is small.
            socket.room = 0;
            let _ = poll_fn(|cx| Poll::Ready(outgoing.poll_send(&mut socket, cx))).await;
            assert!(outgoing.piece.as_ref().is_none_or(|piece| piece.filled <= PROBE));
        }
        assert!(socket.taken == expected, "{} of {} bytes", socket.taken.len(), expected.len());
        assert!(outgoing.is_empty());
        assert_eq!(outgoing.sent, expected.len() as u64);
    }

    #[test]
    fn many_slow_clients_together_hold_little() {
        let buffers: Vec<Buffer> = (0..1000).map(|_| Buffer::take(PIECE)).collect();
        let held: usize = buffers.iter().map(|buffer| buffer.bytes.len()).sum();
        assert!(held <= LENT_MAX * PIECE + 1000 * SMALL, "{held}");
        drop(buffers);
        // Other tests run at the same time, but none of them holds many.
        assert_eq!(Buffer::take(PIECE).bytes.len(), PIECE);
    }

    #[tokio::test]
    async fn a_segment_shorter_than_promised_ends_the_connection() {
        let dir = tempfile::tempdir().unwrap();
        let file = disk().open(&dir.path().join("segment"), Open::Create).unwrap();
        file.write_all_at(&mut [IoSlice::new(b"abc")], 0).unwrap();
        let mut outgoing = Outgoing::default();
        outgoing.push(Chunk::File(FileSlice { file, pos: 0, len: 10, upper_bound: Offset(1) }));
        let (mut ours, _theirs) = tokio::io::duplex(100);
        let error = poll_fn(|cx| outgoing.poll_send(&mut ours, cx)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
