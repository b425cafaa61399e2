//! One connection: requests go out as they come, answers come back in that order.
//!
//! Two tasks, so that a peer that does not read cannot keep us from reading. Whatever goes wrong ends the connection and
//! with it every request that has no answer yet.

use crate::wire::FrameCodec;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

/// What a connection runs over once it is established.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Turns a connected socket into what requests are sent over: TLS and SASL have their place here. It is given the host
/// name that was connected to, and runs within `socket.connection.setup.timeout.ms`.
pub type Secure = Arc<dyn Fn(TcpStream, String) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> + Send + Sync>;

/// A connection without encryption or authentication.
#[must_use]
pub(super) fn plaintext() -> Secure {
    Arc::new(|socket, _| Box::pin(async move { Ok(Box::new(socket) as Box<dyn Stream>) }))
}

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
    closed: CancellationToken,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

/// Requests whose answers are due, oldest first.
type Due = Arc<Mutex<VecDeque<(i32, Reply)>>>;

impl Connection {
    pub(super) fn over(stream: Box<dyn Stream>, response_bytes_max: usize) -> Connection {
        let (outgoing, queue) = mpsc::channel(IN_FLIGHT_MAX);
        let (input, output) = tokio::io::split(stream);
        let (due, closed): (Due, _) = (Due::default(), CancellationToken::new());
        tokio::spawn(until_closed(closed.clone(), write(output, queue, Arc::clone(&due))));
        let reader = until_closed(closed.clone(), read(input, response_bytes_max, Arc::clone(&due)));
        tokio::spawn(async move {
            reader.await;
            // Whoever still waits sees its sender dropped.
            due.lock().clear();
        });
        Connection { outgoing, closed }
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
        let (reply, answer) = oneshot::channel();
        self.outgoing.send(Outgoing { correlation_id, frame, reply }).await.ok()?;
        // When the connection ends, whoever holds the reply drops it.
        answer.await.ok()
    }
}

/// Runs `work` until it ends or the connection is closed, and closes it then.
async fn until_closed(closed: CancellationToken, work: impl Future<Output = io::Result<()>>) {
    tokio::select! {
        ended = work => if let Err(error) = ended {
            tracing::debug!(%error, "a connection to another broker ended");
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
