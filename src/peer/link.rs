//! A connection to one node, made when it is needed and again when it broke (`NetworkClient`, for one peer).

use super::PeerError;
use super::connection::Connection;
use super::secure::{Complaints, Fault, Secure, Terms, log_in, wrapped};
use crate::config::settings::Peers;
use crate::model::NodeId;
use crate::rt::clock;
use crate::wire::header::{request_header_version, response_header_length};
use crate::wire::{DecodeError, EncodeError, Refused, decode_response};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::Request;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{timeout, timeout_at};

/// `reconnect.backoff.ms`, which brokers do not have as a setting: Kafka's own links between brokers use this.
const RECONNECT_BACKOFF: Duration = Duration::from_millis(50);

/// Longest pause before a node is tried again that does not trust this one, or is not trusted by it: doubled from
/// [`RECONNECT_BACKOFF`], as each try costs both sides much.
const DISTRUST_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Where a node listens for other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// Says where the node is now; asked before each connection. `None`: it is not known.
pub type Resolve = Arc<dyn Fn() -> Option<Endpoint> + Send + Sync>;

/// How connections are made.
#[derive(Clone)]
pub struct LinkSettings {
    pub peers: Peers,
    /// Sent as the client id: the node that asks.
    pub client_id: String,
    secure: Option<Arc<dyn Secure>>,
    complaints: Arc<Complaints>,
}

impl LinkSettings {
    /// Connections without encryption or authentication.
    #[must_use]
    pub fn plaintext(peers: Peers, client_id: String) -> LinkSettings {
        LinkSettings { peers, client_id, secure: None, complaints: Arc::default() }
    }

    /// Connections with TLS and logins, as `secure` says for each.
    #[must_use]
    pub fn secured(peers: Peers, client_id: String, secure: Arc<dyn Secure>) -> LinkSettings {
        LinkSettings { peers, client_id, secure: Some(secure), complaints: Arc::default() }
    }
}

impl fmt::Debug for LinkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkSettings").field("peers", &self.peers).field("client_id", &self.client_id).finish()
    }
}

/// A connection to one node. Requests of several tasks share it and are answered in the order in which they were sent:
/// what waits at the peer (a fetch) wants a link of its own.
pub struct Link {
    node: NodeId,
    settings: LinkSettings,
    resolve: Resolve,
    correlation: AtomicI32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// When to log in again on it.
    login_due: Option<Instant>,
    /// Not before this is it tried again.
    not_before: Option<Instant>,
    /// Failures to connect without a success between them.
    failures: u32,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Link {
    #[must_use]
    pub fn new(node: NodeId, settings: LinkSettings, resolve: Resolve) -> Link {
        Link { node, settings, resolve, correlation: AtomicI32::new(0), state: Mutex::default() }
    }

    /// The node at the other end.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Sends a request and waits for its answer, `deadline` from now at most. A request that times out ends the
    /// connection, as in Kafka: its answer would stand before all others.
    ///
    /// # Errors
    /// [`PeerError`]
    pub async fn call<R: Request>(
        &self,
        version: i16,
        request: &R,
        deadline: Duration,
    ) -> Result<R::Response, PeerError> {
        let answer = self.call_bytes(version, request, deadline).await?;
        decode_response::<R>(version, answer).map_err(|error| self.malformed(error))
    }

    /// As [`Link::call`]; answers the body, which the caller reads itself.
    pub(super) async fn call_bytes<R: Request>(
        &self,
        version: i16,
        request: &R,
        deadline: Duration,
    ) -> Result<Bytes, PeerError> {
        self.exchange(R::KEY, version, |out| encode(R::KEY, version, request, out), deadline).await
    }

    /// As [`Link::call`] with a body that is bytes already; answers the body that came back, which nobody has checked.
    ///
    /// # Errors
    /// [`PeerError`]
    pub async fn call_raw(&self, key: i16, version: i16, body: Bytes, deadline: Duration) -> Result<Bytes, PeerError> {
        let write = |out: &mut BytesMut| {
            out.put_slice(&body);
            Ok(())
        };
        self.exchange(key, version, write, deadline).await
    }

    /// Ends the connection, if there is one. The next call makes another.
    pub async fn disconnect(&self) {
        if let Some(connection) = self.state.lock().await.connection.take() {
            connection.close();
        }
    }

    pub(super) fn malformed(&self, error: DecodeError) -> PeerError {
        PeerError::Malformed { node: self.node, error }
    }

    async fn exchange(
        &self,
        key: i16,
        version: i16,
        write: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
        deadline: Duration,
    ) -> Result<Bytes, PeerError> {
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let frame = frame(key, version, correlation, &self.settings.client_id, write)?;
        let until = tokio::time::Instant::from_std(clock::now() + deadline);
        let timed_out = |_| PeerError::TimedOut(self.node);
        let connection = timeout_at(until, self.connection()).await.map_err(timed_out)??;
        let Ok(answer) = timeout_at(until, connection.exchange(correlation, frame)).await else {
            connection.close();
            return Err(PeerError::TimedOut(self.node));
        };
        let answer = answer.ok_or(PeerError::Closed(self.node))?;
        body(key, version, answer).map_err(|refused| {
            connection.close();
            self.malformed(DecodeError::Refused { key, version, refused })
        })
    }

    /// The connection, made if there is none, with a login that lasts.
    async fn connection(&self) -> Result<Arc<Connection>, PeerError> {
        let mut state = self.state.lock().await;
        if let Some(connection) = state.connection.take()
            && !connection.is_closed()
        {
            if state.login_due.is_some_and(|at| clock::now() >= at) {
                match self.log_in_again(&connection).await {
                    Ok(due) => state.login_due = due,
                    Err((endpoint, fault)) => return Err(self.failed(&mut state, &endpoint, fault)),
                }
            }
            state.connection = Some(Arc::clone(&connection));
            return Ok(connection);
        }
        if state.not_before.is_some_and(|at| clock::now() < at) {
            return Err(PeerError::BackingOff(self.node));
        }
        let endpoint = (self.resolve)().ok_or(PeerError::Unknown(self.node))?;
        match self.within_setup(state.failures, self.connect(&endpoint)).await {
            Ok((connection, login_due)) => {
                let connection = Arc::new(connection);
                *state = State { connection: Some(Arc::clone(&connection)), login_due, ..State::default() };
                Ok(connection)
            }
            Err(fault) => Err(self.failed(&mut state, &endpoint, fault)),
        }
    }

    /// Notes that the node was not reached, and says so where somebody has to do something about it.
    fn failed(&self, state: &mut State, endpoint: &Endpoint, fault: Fault) -> PeerError {
        let (pause, error) = match fault {
            Fault::Io(error) => (RECONNECT_BACKOFF, error),
            Fault::Security(why) => {
                self.settings.complaints.tell(self.node, endpoint, &why);
                let pause = RECONNECT_BACKOFF.saturating_mul(1 << state.failures.min(10));
                (pause.min(DISTRUST_BACKOFF_MAX), io::Error::new(io::ErrorKind::PermissionDenied, why))
            }
        };
        state.not_before = Some(clock::now() + pause);
        state.failures = state.failures.saturating_add(1);
        PeerError::Connect { node: self.node, error }
    }

    async fn within_setup<T>(&self, failures: u32, setup: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        timeout(self.settings.peers.setup_timeout_after(failures), setup)
            .await
            .unwrap_or_else(|_| Err(Fault::Io(io::ErrorKind::TimedOut.into())))
    }

    async fn terms(&self) -> Result<Terms, Fault> {
        match &self.settings.secure {
            None => Ok(Terms::default()),
            Some(secure) => secure.terms().await.map_err(Fault::Security),
        }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<(Connection, Option<Instant>), Fault> {
        let terms = self.terms().await?;
        let socket = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
        socket.set_nodelay(true)?;
        let stream = wrapped(&terms, socket, &endpoint.host).await?;
        let (complaints, node, at) = (Arc::clone(&self.settings.complaints), self.node, endpoint.clone());
        let hear = move |error: &io::Error| complaints.hear(node, &at, error);
        let connection = Connection::over(stream, self.settings.peers.response_bytes_max, hear);
        let due = self.log_in(&connection, &terms).await?;
        Ok((connection, due))
    }

    async fn log_in(&self, connection: &Connection, terms: &Terms) -> Result<Option<Instant>, Fault> {
        let Some(mechanism) = &terms.login else { return Ok(None) };
        let alone = connection.alone().await;
        log_in(&alone, &**mechanism, &self.settings.client_id, &self.correlation).await
    }

    /// Prolongs the session. Where that does not come to an end, the connection does: others must not go on in the midst
    /// of a login.
    async fn log_in_again(&self, connection: &Connection) -> Result<Option<Instant>, (Endpoint, Fault)> {
        let unfinished = Unfinished(connection);
        let again = async { self.log_in(connection, &self.terms().await?).await };
        let outcome = self.within_setup(0, again).await;
        let unknown = || Endpoint { host: format!("node {}", self.node.0), port: 0 };
        let due = outcome.map_err(|fault| ((self.resolve)().unwrap_or_else(unknown), fault))?;
        std::mem::forget(unfinished);
        Ok(due)
    }
}

/// Closes a connection unless it is forgotten.
struct Unfinished<'a>(&'a Connection);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

pub(super) fn encode<R: Request>(key: i16, version: i16, request: &R, out: &mut BytesMut) -> Result<(), EncodeError> {
    let api = crate::wire::encode::api_name(key);
    request.encode(out, version).map_err(|error| EncodeError::Body { api, version, message: error.to_string() })
}

/// A request's whole frame.
pub(super) fn frame(
    key: i16,
    version: i16,
    correlation_id: i32,
    client_id: &str,
    write: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::with_capacity(256);
    out.put_i32(0);
    out.put_i16(key);
    out.put_i16(version);
    out.put_i32(correlation_id);
    // A longer one than the field can say is none.
    match i16::try_from(client_id.len()) {
        Ok(length) => {
            out.put_i16(length);
            out.put_slice(client_id.as_bytes());
        }
        Err(_) => out.put_i16(-1),
    }
    if request_header_version(key, version).is_some_and(|header| header >= 2) {
        out.put_u8(0);
    }
    write(&mut out)?;
    crate::wire::encode::close_frame(&mut out, 0, 0, key, version)?;
    Ok(out.freeze())
}

/// What follows the header of a response.
pub(super) fn body(key: i16, version: i16, mut frame: Bytes) -> Result<Bytes, Refused> {
    let header = response_header_length(key, version, &frame)?;
    frame.advance(header);
    Ok(frame)
}
