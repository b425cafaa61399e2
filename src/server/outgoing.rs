//! What a connection has still to send: encoded answers, and file ranges that are read only when the
//! socket has room for them.
//!
//! A file range is read in pieces of at most [`PIECE`] bytes into a buffer that stays in the CPU's
//! cache and is shared by all connections of a worker thread; a large answer therefore never lies in
//! memory as a whole. A piece that is not in the page cache is read on the blocking pool.

use crate::api::Chunk;
use crate::storage::FileSlice;
use bytes::{Buf, Bytes, BytesMut};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tokio::task::JoinHandle;

/// Bytes read from a file at a time. Larger pieces fall out of the second-level cache.
const PIECE: usize = 256 * 1024;
/// Buffers that a worker thread keeps for the next answer.
const POOLED: usize = 8;
/// Chunks given to one vectored write.
const VECTORED: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// The send queue of one connection.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Small answers are encoded here one after the other; becomes a chunk when something else follows.
    pub(super) tail: BytesMut,
    chunks: VecDeque<Chunk>,
    piece: Option<Piece>,
    cold: Option<JoinHandle<(Vec<u8>, io::Result<usize>)>>,
    /// Bytes that the socket took, in all.
    pub(super) sent: u64,
}

/// The piece of the front chunk's file range that is in memory.
struct Piece {
    buffer: Vec<u8>,
    sent: usize,
    filled: usize,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.chunks.is_empty()
    }

    /// Bytes in memory that wait for the socket.
    pub(super) fn buffered(&self) -> usize {
        let chunks = self.chunks.iter().map(|chunk| match chunk {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::File(_) => 0,
        });
        self.tail.len() + chunks.sum::<usize>()
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.seal();
        self.chunks.push_back(chunk);
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
        // The usual case: small answers and nothing else, sent from where they were encoded.
        while self.chunks.is_empty() && !self.tail.is_empty() {
            let sent = ready!(Pin::new(&mut *stream).poll_write(cx, &self.tail))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.tail.advance(sent);
            self.sent += sent as u64;
        }
        if self.tail.is_empty() && self.chunks.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.seal();
        while !self.chunks.is_empty() {
            ready!(self.poll_fill(cx))?;
            let mut slices: [IoSlice<'_>; VECTORED] = [IoSlice::new(&[]); VECTORED];
            let mut used = 0;
            for chunk in self.chunks.iter().take(VECTORED) {
                match chunk {
                    Chunk::Bytes(bytes) => slices[used] = IoSlice::new(bytes),
                    Chunk::File(_) => {
                        if let Some(piece) = &self.piece {
                            slices[used] = IoSlice::new(&piece.buffer[piece.sent..piece.filled]);
                            used += 1;
                        }
                        break;
                    }
                }
                used += 1;
            }
            let sent = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..used]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(sent);
            self.sent += sent as u64;
        }
        Poll::Ready(Ok(()))
    }

    /// Has the next piece of the first file range in memory, if that range is within reach of the next write.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.piece.is_some() {
            return Poll::Ready(Ok(()));
        }
        if let Some(cold) = &mut self.cold {
            let (buffer, read) = ready!(Pin::new(cold).poll(cx)).map_err(io::Error::other)?;
            self.cold = None;
            return Poll::Ready(self.filled(buffer, read));
        }
        let range = self.chunks.iter().take(VECTORED).find_map(|chunk| match chunk {
            Chunk::File(range) => Some(range.clone()),
            Chunk::Bytes(_) => None,
        });
        let Some(FileSlice { file, pos, len, .. }) = range else { return Poll::Ready(Ok(())) };
        let want = len.min(PIECE);
        let mut buffer = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
        if buffer.len() < want {
            buffer.resize(if want > PIECE / 8 { PIECE } else { want.next_power_of_two().max(4096) }, 0);
        }
        match file.read_at_nowait(&mut buffer[..want], pos) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let task = tokio::task::spawn_blocking(move || {
                    let read = file.read_at(&mut buffer[..want], pos);
                    (buffer, read)
                });
                self.cold = Some(task);
                self.poll_fill(cx)
            }
            read => Poll::Ready(self.filled(buffer, read)),
        }
    }

    fn filled(&mut self, buffer: Vec<u8>, read: io::Result<usize>) -> io::Result<()> {
        let filled = read?;
        if filled == 0 {
            // The range was promised in the answer's head; there is no way to take it back but to hang up.
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a segment is shorter than its index says"));
        }
        self.piece = Some(Piece { buffer, sent: 0, filled });
        Ok(())
    }

    fn advance(&mut self, mut sent: usize) {
        while sent > 0 {
            match self.chunks.front_mut() {
                Some(Chunk::Bytes(bytes)) => {
                    let step = sent.min(bytes.len());
                    bytes.advance(step);
                    sent -= step;
                    if bytes.is_empty() {
                        self.chunks.pop_front();
                    }
                }
                Some(Chunk::File(range)) => {
                    let Some(piece) = &mut self.piece else { return };
                    let step = sent.min(piece.filled - piece.sent);
                    piece.sent += step;
                    sent -= step;
                    range.pos += step as u64;
                    range.len -= step;
                    let done = range.len == 0;
                    if piece.sent == piece.filled {
                        self.recycle();
                    }
                    if done {
                        self.chunks.pop_front();
                    }
                }
                None => return,
            }
        }
        // A write may end with what held no bytes at all.
        while matches!(self.chunks.front(), Some(Chunk::Bytes(bytes)) if bytes.is_empty()) {
            self.chunks.pop_front();
        }
    }

    /// Holds no more than what must be sent. A piece is read again when the socket has room.
    pub(super) fn give_buffers_back(&mut self) {
        self.recycle();
        self.tail = BytesMut::from(&self.tail[..]);
        self.chunks.shrink_to_fit();
    }

    fn recycle(&mut self) {
        if let Some(piece) = self.piece.take() {
            POOL.with_borrow_mut(|pool| {
                if pool.len() < POOLED {
                    pool.push(piece.buffer);
                }
            });
        }
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
