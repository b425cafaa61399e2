//! What happens on a connection before requests go over it: TLS, and a login by SASL (SaslHandshake (17) v1,
//! SaslAuthenticate (36) v2), which is done again before its session is over (KIP-368).
//!
//! Which certificates are trusted and what a mechanism says is not known here: [`Secure`] is asked for it before each
//! connection, so that what is changed while the node runs holds for the next one.

use super::Endpoint;
use super::connection::{Alone, Stream};
use super::link::{body, encode, frame};
use crate::model::{ErrorCode, NodeId};
use crate::rt::{clock, rand};
use crate::wire::decode_response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::{Request, StrBytes};
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How often it is said why a node cannot be reached.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Most messages of a mechanism that has not come to an end.
const MESSAGES_MAX: usize = 8;

/// The client's side of a SASL mechanism, with the credentials that it uses.
pub trait Mechanism: Send + Sync {
    /// As SaslHandshake names it.
    fn name(&self) -> &str;

    /// Begins a login.
    fn begin(&self) -> Box<dyn Exchange>;
}

/// A login under way.
pub trait Exchange: Send {
    /// What to send after the server's `bytes`, which are empty at the beginning; `None`: this was the last message, and
    /// the server has shown what it has to.
    ///
    /// # Errors
    /// The server is not to be trusted, for this reason, which contains no secret.
    fn step(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, String>;
}

/// How the next connection is made.
#[derive(Clone, Default)]
pub struct Terms {
    /// With TLS.
    pub tls: Option<TlsConnector>,
    /// With a login.
    pub login: Option<Arc<dyn Mechanism>>,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = self.login.as_ref().map(|login| login.name());
        f.debug_struct("Terms").field("tls", &self.tls.is_some()).field("login", &login).finish()
    }
}

/// Knows the terms of connections.
pub trait Secure: Send + Sync {
    /// Those of a connection that begins now, or of a login that is done again.
    ///
    /// # Errors
    /// The settings cannot be used, for this reason.
    fn terms(&self) -> BoxFuture<'_, Result<Terms, String>>;
}

/// Why a connection was not made.
#[derive(Debug)]
pub(super) enum Fault {
    /// As it happens to connections.
    Io(io::Error),
    /// Certificates or credentials: somebody has to mend it.
    Security(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match tls_fault(&error) {
            Some(fault) => Fault::Security(fault),
            None => Fault::Io(error),
        }
    }
}

/// What TLS has to say about an error, if it is one of TLS.
fn tls_fault(error: &io::Error) -> Option<String> {
    let fault = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(format!("SSL handshake failed: {fault}"))
}

/// Says at [`TELL_EVERY`] at most why a node cannot be reached, whoever tries.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<BTreeMap<NodeId, Instant>>);

impl Complaints {
    pub(super) fn tell(&self, node: NodeId, at: &Endpoint, why: &str) {
        if self.is_due(node, clock::now()) {
            tracing::warn!(
                node = node.0,
                "the connection to {}:{} failed authentication: {why}; this is tried again and again",
                at.host,
                at.port
            );
        }
    }

    fn is_due(&self, node: NodeId, now: Instant) -> bool {
        let mut told = self.0.lock();
        if told.get(&node).is_some_and(|last| now.saturating_duration_since(*last) < TELL_EVERY) {
            return false;
        }
        told.insert(node, now);
        true
    }

    /// What ended a connection: with TLS 1.3 that is where one learns that the own certificate is not wanted.
    pub(super) fn hear(&self, node: NodeId, at: &Endpoint, error: &io::Error) {
        match tls_fault(error) {
            Some(why) => self.tell(node, at, &why),
            None => tracing::debug!(node = node.0, %error, "a connection to another node ended"),
        }
    }
}

/// A connected socket as `terms` want it, before a login.
pub(super) async fn wrapped(terms: &Terms, socket: TcpStream, host: &str) -> Result<Box<dyn Stream>, Fault> {
    let Some(tls) = &terms.tls else { return Ok(Box::new(socket)) };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Fault::Security(format!("{host} is no name that a certificate can have")))?;
    Ok(Box::new(tls.connect(name, socket).await?))
}

/// Logs in on a connection that nobody else uses now. Answers when that is to be done again, if ever.
pub(super) async fn log_in(
    connection: &Alone<'_>,
    mechanism: &dyn Mechanism,
    client_id: &str,
    correlation: &AtomicI32,
) -> Result<Option<Instant>, Fault> {
    let wire = Wire { connection, client_id, correlation };
    let begun = clock::now();
    let name = StrBytes::from_string(mechanism.name().to_owned());
    let answer = wire.call(1, &SaslHandshakeRequest::default().with_mechanism(name)).await?;
    if answer.error_code != 0 {
        let enabled: Vec<&str> = answer.mechanisms.iter().map(|one| one.as_str()).collect();
        return Err(Fault::Security(match ErrorCode(answer.error_code) {
            ErrorCode::UNSUPPORTED_SASL_MECHANISM => format!(
                "Client SASL mechanism '{}' not enabled in the server, enabled mechanisms are {enabled:?}",
                mechanism.name()
            ),
            other => format!("the handshake of {} was answered with {other}", mechanism.name()),
        }));
    }
    let mut exchange = mechanism.begin();
    let mut message = exchange.step(&[]).map_err(Fault::Security)?;
    let mut lifetime_ms = 0;
    for _ in 0..MESSAGES_MAX {
        let Some(bytes) = message else { return Ok(again(begun, lifetime_ms)) };
        let answer = wire.call(2, &SaslAuthenticateRequest::default().with_auth_bytes(bytes.into())).await?;
        if answer.error_code != 0 {
            let why = answer.error_message.map(|message| message.to_string());
            return Err(Fault::Security(why.unwrap_or_else(|| ErrorCode(answer.error_code).to_string())));
        }
        lifetime_ms = answer.session_lifetime_ms;
        message = exchange.step(&answer.auth_bytes).map_err(Fault::Security)?;
    }
    Err(Fault::Security(format!("the login by {} comes to no end", mechanism.name())))
}

/// When to log in again: after 85 to 95 of 100 parts of the session, so that not all do it at once
/// (`SaslClientAuthenticator.ReauthInfo`).
fn again(begun: Instant, lifetime_ms: i64) -> Option<Instant> {
    let lifetime = u64::try_from(lifetime_ms).ok().filter(|ms| *ms > 0)?;
    let part = 85 + u64::from(rand::below(11));
    begun.checked_add(Duration::from_millis(lifetime.saturating_mul(part) / 100))
}

struct Wire<'a> {
    connection: &'a Alone<'a>,
    client_id: &'a str,
    correlation: &'a AtomicI32,
}

impl Wire<'_> {
    async fn call<R: Request>(&self, version: i16, request: &R) -> Result<R::Response, Fault> {
        let id = self.correlation.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let frame = frame(R::KEY, version, id, self.client_id, |out| encode(R::KEY, version, request, out))
            .map_err(io::Error::other)?;
        let answer: Option<Bytes> = self.connection.exchange(id, frame).await;
        // A server that is not spoken to in its way closes, and so does one that has had enough of wrong passwords.
        let answer = answer.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "closed during the login"))?;
        let answer = body(R::KEY, version, answer).map_err(|refused| io::Error::other(refused.to_string()))?;
        Ok(decode_response::<R>(version, answer).map_err(io::Error::other)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_session_without_an_end_is_not_prolonged_and_others_before_their_end() {
        let now = clock::now();
        assert_eq!((again(now, 0), again(now, -1)), (None, None));
        for _ in 0..50 {
            let after = again(now, 10_000).unwrap() - now;
            assert!((8_500..=9_500).contains(&after.as_millis()), "{after:?}");
        }
        assert!(again(now, i64::MAX).is_none_or(|at| at > now));
    }

    #[test]
    fn a_complaint_about_a_node_is_made_once_per_interval() {
        let (complaints, now) = (Complaints::default(), clock::now());
        assert!(complaints.is_due(NodeId(1), now));
        assert!(complaints.is_due(NodeId(2), now));
        assert!(!complaints.is_due(NodeId(1), now + TELL_EVERY / 2));
        assert!(complaints.is_due(NodeId(1), now + TELL_EVERY));
    }
}
