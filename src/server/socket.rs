//! The socket under a connection: counts what a stranger sends, and reads ahead for TLS.
//!
//! rustls asks for 4 KB at a time, so a client that sends records would cost a system call for each 4 KB. Here [`AHEAD`] bytes
//! are read at once, into a buffer of the worker thread, which the connection keeps only while something is left in it. Those
//! that are kept are bounded together; beyond that, and for strangers, rustls gets what it asks for.

use super::strangers::Stranger;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at once below TLS.
const AHEAD: usize = 64 * 1024;
/// Buffers that connections may hold at the same time.
const LENT_MAX: usize = 256;
/// Buffers that a worker thread keeps for the next read.
const POOLED: usize = 2;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

static LENT: AtomicUsize = AtomicUsize::new(0);

/// Bytes that were read and not asked for yet.
struct Ahead {
    bytes: Box<[u8]>,
    at: usize,
    end: usize,
}

impl Ahead {
    /// An empty one, unless too many are in use.
    fn take() -> Option<Ahead> {
        if LENT.fetch_add(1, Ordering::Relaxed) >= LENT_MAX {
            LENT.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let bytes = POOL.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; AHEAD].into_boxed_slice());
        Some(Ahead { bytes, at: 0, end: 0 })
    }

    /// Moves as much as there is room for. Answers whether something is left.
    fn move_to(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let moved = into.remaining().min(self.end - self.at);
        into.put_slice(&self.bytes[self.at..self.at + moved]);
        self.at += moved;
        self.at < self.end
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        LENT.fetch_sub(1, Ordering::Relaxed);
        let bytes = std::mem::take(&mut self.bytes);
        // Not when the thread itself ends.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < POOLED {
                pool.push(bytes);
            }
        });
    }
}

/// See the module.
pub(super) struct Counted<S> {
    socket: S,
    /// Until it is known who sends.
    stranger: Option<Arc<Stranger>>,
    /// TLS is on top.
    reads_ahead: bool,
    ahead: Option<Ahead>,
}

impl<S: AsyncRead + Unpin> Counted<S> {
    pub(super) fn new(socket: S, stranger: Option<Arc<Stranger>>, reads_ahead: bool) -> Counted<S> {
        Counted { socket, stranger, reads_ahead, ahead: None }
    }

    fn poll_read_ahead(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(ahead) = &mut self.ahead {
            if !ahead.move_to(into) {
                self.ahead = None;
            }
            return Poll::Ready(Ok(()));
        }
        let Some(mut ahead) = Ahead::take() else { return Pin::new(&mut self.socket).poll_read(cx, into) };
        let mut room = ReadBuf::new(&mut ahead.bytes);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut room))?;
        ahead.end = room.filled().len();
        if ahead.move_to(into) {
            self.ahead = Some(ahead);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(stranger) = &self.stranger else {
            if self.reads_ahead && into.remaining() < AHEAD {
                return self.poll_read_ahead(cx, into);
            }
            return Pin::new(&mut self.socket).poll_read(cx, into);
        };
        let (stranger, before) = (Arc::clone(stranger), into.filled().len());
        let read = Pin::new(&mut self.socket).poll_read(cx, into);
        let bytes = into.filled().len() - before;
        if bytes > 0 && !stranger.received(bytes) {
            self.stranger = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn small_reads_get_every_byte_in_order_and_cost_one_read_of_the_socket() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let mut counted = Counted::new(ours, None, true);
        let sent: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        theirs.write_all(&sent).await.unwrap();
        let mut room = vec![0; 4096];
        assert_eq!(counted.read(&mut room).await.unwrap(), 4096);
        assert_eq!(counted.ahead.as_ref().map(|ahead| ahead.end - ahead.at), Some(AHEAD - 4096));
        let mut received = room.clone();
        while received.len() < sent.len() {
            let read = counted.read(&mut room).await.unwrap();
            received.extend_from_slice(&room[..read]);
        }
        assert!(received == sent);
        assert!(counted.ahead.is_none(), "nothing is left in it");
        let pending = poll_fn(|cx| {
            let mut into = ReadBuf::new(&mut room);
            Poll::Ready(Pin::new(&mut counted).poll_read(cx, &mut into).is_pending())
        });
        assert!(pending.await);
        assert!(counted.ahead.is_none());
        drop(theirs);
        assert_eq!(counted.read(&mut room).await.unwrap(), 0);
    }
}
