//! A connection to a broker of which nothing is known: not its release, not its make, not whether it is a broker.
//!
//! Names are resolved, connections made and requests sent one at a time, so that whoever diagnoses ([`crate::doctor`]) learns
//! at which step it ended and with which bytes. Versions are agreed on by ApiVersions; [`ask`] has the requests.

mod ask;

pub use ask::{BrokerSeen, ClusterSeen, Created, Fetched, PartitionSeen, Produced, Range, TopicSeen, Versions};

use super::connection::Stream;
use super::link::{body, encode, frame};
use crate::wire::{FrameCodec, decode_response};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::protocol::Request;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_util::codec::Decoder;

/// No answer to what is asked here is larger, but the metadata of a cluster of many thousand partitions.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// How much of bytes that are no answer is kept.
const SHOWN_MAX: usize = 64;

const READ_AHEAD: usize = 16 * 1024;

/// Why there is no answer that can be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Odd {
    #[error("it closed the connection")]
    Closed,
    #[error("it did not answer in time")]
    TimedOut,
    #[error("{0}")]
    Io(String),
    /// TLS ended the connection.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// What came is no frame, or not the frame that was due. The first bytes.
    #[error("what it answered is not Kafka's protocol")]
    NotKafka(Vec<u8>),
    #[error("its answer cannot be read: {0}")]
    Malformed(String),
    /// It has no version of this API in common with us.
    #[error("it has no version of {api} that is known here ({})", .theirs.map_or("it does not offer it".to_owned(), |range| format!("it offers {range}")))]
    Unsupported { api: &'static str, theirs: Option<Range> },
}

/// The addresses of a host, in the system's order.
///
/// # Errors
/// There are none, or nobody could be asked.
pub async fn resolve(host: &str, port: u16, within: Duration) -> io::Result<Vec<SocketAddr>> {
    let found = timeout(within, lookup_host((host, port))).await;
    let mut addresses: Vec<SocketAddr> = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?.collect();
    let mut seen = Vec::new();
    addresses.retain(|address| {
        !seen.contains(address) && {
            seen.push(*address);
            true
        }
    });
    if addresses.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(addresses) }
}

/// A connection by TCP alone.
///
/// # Errors
/// As the system says; `TimedOut` after `within`.
pub async fn connect(address: SocketAddr, within: Duration) -> io::Result<TcpStream> {
    let stream = timeout(within, TcpStream::connect(address)).await;
    let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends `bytes` as they are, and answers the first bytes that come back: none if the other side says nothing in time, or
/// closes.
pub async fn first_bytes(stream: &mut (impl Stream + ?Sized), bytes: &[u8], within: Duration) -> Vec<u8> {
    let mut said = vec![0; SHOWN_MAX];
    let talk = async {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        stream.read(&mut said).await
    };
    let length = match timeout(within, talk).await {
        Ok(Ok(length)) => length,
        Ok(Err(_)) | Err(_) => 0,
    };
    said.truncate(length);
    said
}

/// An established connection: one request, then its answer.
pub struct Foreign {
    stream: Box<dyn Stream>,
    codec: FrameCodec,
    read: BytesMut,
    correlation: i32,
    client_id: String,
    within: Duration,
    versions: Versions,
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Foreign").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Foreign {
    /// `within` is the time that each answer may take.
    #[must_use]
    pub fn over(stream: Box<dyn Stream>, client_id: &str, within: Duration) -> Foreign {
        Foreign {
            stream,
            codec: FrameCodec::new(ANSWER_MAX),
            read: BytesMut::new(),
            correlation: 0,
            client_id: client_id.to_owned(),
            within,
            versions: Versions::default(),
        }
    }

    /// What [`Foreign::greet`] was told.
    #[must_use]
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Asks in the newest version that both sides have.
    async fn call<R: Request>(
        &mut self,
        ours: (i16, i16),
        make: impl FnOnce(i16) -> R,
    ) -> Result<(i16, R::Response), Odd> {
        let version = self.versions.pick(R::KEY, ours)?;
        let body = self.exchange(version, &make(version)).await?;
        Ok((version, read::<R>(version, body)?))
    }

    /// Sends a request and answers the body that came back.
    async fn exchange<R: Request>(&mut self, version: i16, request: &R) -> Result<Bytes, Odd> {
        self.correlation = self.correlation.wrapping_add(1) & i32::MAX;
        let correlation = self.correlation;
        let malformed = |error: &dyn std::fmt::Display| Odd::Malformed(error.to_string());
        let write = |out: &mut BytesMut| encode(R::KEY, version, request, out);
        let request = frame(R::KEY, version, correlation, &self.client_id, write).map_err(|error| malformed(&error))?;
        let within = self.within;
        let answer = timeout(within, self.send(&request)).await.map_err(|_| Odd::TimedOut)??;
        if answer.len() < 4 || answer.clone().get_i32() != correlation {
            return Err(Odd::NotKafka(shown(&answer)));
        }
        body(R::KEY, version, answer).map_err(|refused| malformed(&refused))
    }

    async fn send(&mut self, request: &[u8]) -> Result<Bytes, Odd> {
        // Who refuses what it read so far may have said why before it closed.
        let sent = match self.stream.write_all(request).await {
            Ok(()) => self.stream.flush().await,
            Err(error) => Err(error),
        };
        loop {
            match self.codec.decode(&mut self.read) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(_) => return Err(Odd::NotKafka(shown(&self.read))),
            }
            self.read.reserve(READ_AHEAD);
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) if self.read.is_empty() => return Err(Odd::Closed),
                Ok(0) => return Err(Odd::NotKafka(shown(&self.read))),
                Ok(_) => {}
                Err(error) => return Err(sent.as_ref().err().map_or_else(|| failed(&error), failed)),
            }
        }
    }
}

fn read<R: Request>(version: i16, body: Bytes) -> Result<R::Response, Odd> {
    decode_response::<R>(version, body).map_err(|error| Odd::Malformed(error.to_string()))
}

fn failed(error: &io::Error) -> Odd {
    if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Odd::Tls(fault.clone());
    }
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Odd::Closed,
        _ => Odd::Io(error.to_string()),
    }
}

fn shown(bytes: &[u8]) -> Vec<u8> {
    bytes.get(..SHOWN_MAX).unwrap_or(bytes).to_vec()
}

#[cfg(test)]
mod tests;
