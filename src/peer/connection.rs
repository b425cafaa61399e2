//! One connection: requests go out as they come, answers come back in that order.
//!
//! Two tasks, so that a peer that does not read cannot keep us from reading. Whatever goes wrong ends the connection and
//! with it every request that has no answer yet.

use crate::wire::FrameCodec;
use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{RwLock, RwLockWriteGuard, mpsc, oneshot};
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

/// What a connection runs over once it is established.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Requests that may be on their way on one connection. Reached only by a peer that does not answer.
const IN_FLIGHT_MAX: usize = 256;

/// How much room is made for what comes next.
const READ_AHEAD: usize = 64 * 1024;

type Reply = oneshot::Sender<Bytes>;

/// A request as it goes to the socket.
struct Outgoing {
    correlation_id: i32,
    frame: Bytes,
    reply: Reply,
}

/// An established connection. Dropping the last handle closes it.
#[derive(Debug)]
pub(super) struct Connection {
    outgoing: mpsc::Sender<Outgoing>,
    /// Held together by those who send, and alone by a login that is done again.
    turn: RwLock<()>,
    closed: CancellationToken,
}

/// A connection on which nobody else sends meanwhile.
pub(super) struct Alone<'a> {
    connection: &'a Connection,
    _turn: RwLockWriteGuard<'a, ()>,
}

impl Alone<'_> {
    /// As [`Connection::exchange`].
    pub(super) async fn exchange(&self, correlation_id: i32, frame: Bytes) -> Option<Bytes> {
        self.connection.send(correlation_id, frame).await?.await.ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

/// Requests whose answers are due, oldest first.
type Due = Arc<Mutex<VecDeque<(i32, Reply)>>>;

impl Connection {
    /// `hear` is told what ended the connection, unless that was its owner.
    pub(super) fn over(
        stream: Box<dyn Stream>,
        response_bytes_max: usize,
        hear: impl Fn(&io::Error) + Clone + Send + 'static,
    ) -> Connection {
        let (outgoing, queue) = mpsc::channel(IN_FLIGHT_MAX);
        let (input, output) = tokio::io::split(stream);
        let (due, closed): (Due, _) = (Due::default(), CancellationToken::new());
        tokio::spawn(until_closed(closed.clone(), write(output, queue, Arc::clone(&due)), hear.clone()));
        let reader = until_closed(closed.clone(), read(input, response_bytes_max, Arc::clone(&due)), hear);
        tokio::spawn(async move {
            reader.await;
            // Whoever still waits sees its sender dropped.
            due.lock().clear();
        });
        Connection { outgoing, turn: RwLock::default(), closed }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Sends a frame, its length included. Answers the frame that came back, without its length but with its header;
    /// `None` if the connection ended first.
    pub(super) async fn exchange(&self, correlation_id: i32, frame: Bytes) -> Option<Bytes> {
        let answer = {
            let _turn = self.turn.read().await;
            self.send(correlation_id, frame).await?
        };
        // When the connection ends, whoever holds the reply drops it.
        answer.await.ok()
    }

    /// Waits until all who send now have sent, and keeps others from it.
    pub(super) async fn alone(&self) -> Alone<'_> {
        Alone { connection: self, _turn: self.turn.write().await }
    }

    async fn send(&self, correlation_id: i32, frame: Bytes) -> Option<oneshot::Receiver<Bytes>> {
        let (reply, answer) = oneshot::channel();
        self.outgoing.send(Outgoing { correlation_id, frame, reply }).await.ok()?;
        Some(answer)
    }
}

/// Runs `work` until it ends or the connection is closed, and closes it then.
async fn until_closed(
    closed: CancellationToken,
    work: impl Future<Output = io::Result<()>>,
    hear: impl Fn(&io::Error),
) {
    tokio::select! {
        ended = work => if let Err(error) = ended {
            hear(&error);
        },
        () = closed.cancelled() => {}
    }
    closed.cancel();
}

async fn write(
    mut output: WriteHalf<Box<dyn Stream>>,
    mut queue: mpsc::Receiver<Outgoing>,
    due: Due,
) -> io::Result<()> {
    while let Some(Outgoing { correlation_id, frame, reply }) = queue.recv().await {
        due.lock().push_back((correlation_id, reply));
        output.write_all(&frame).await?;
        if queue.is_empty() {
            output.flush().await?;
        }
    }
    Ok(())
}

async fn read(mut input: ReadHalf<Box<dyn Stream>>, response_bytes_max: usize, due: Due) -> io::Result<()> {
    let mut codec = FrameCodec::new(response_bytes_max);
    let mut buffer = BytesMut::new();
    loop {
        while let Some(frame) = codec.decode(&mut buffer).map_err(io::Error::other)? {
            let Some((expected, reply)) = due.lock().pop_front() else {
                return Err(io::Error::other("an answer without a request"));
            };
            if frame.len() < 4 || frame.clone().get_i32() != expected {
                return Err(io::Error::other("an answer to another request than the oldest"));
            }
            // Nobody may be waiting any more.
            let _ = reply.send(frame);
        }
        buffer.reserve(READ_AHEAD);
        if input.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
