//! The Kafka APIs: one file each, which translates and decides nothing.
//!
//! [`apis!`] below is the one list: dispatch, ApiVersions and the README's table all come from it.
//! What a handler registers is what ApiVersions says. The ranges are Kafka 4.3's, as far as the
//! `kafka-protocol` crate can encode them; never simply what the crate can decode.
//!
//! Produce and Fetch are in the list for their versions, but the connection calls them through
//! [`produce`] and [`fetch`]: they are the hot path and have stages of their own.

use crate::controller;
use crate::metadata;
use crate::model::ErrorCode;
use bytes::Bytes;
use kafka_protocol::protocol::Request;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// What handlers act on. Handles only: no handler holds a lock, a file or a socket.
pub struct Context {
    pub metadata: Arc<metadata::Store>,
    pub controller: Arc<controller::Service>,
}

/// The client's side of a connection, as handlers see it.
#[derive(Debug)]
pub struct Peer {
    /// The name of the listener that the connection came in on: answers carry its addresses.
    pub listener: String,
    pub address: SocketAddr,
    /// The authenticated principal, in Kafka's form.
    pub principal: String,
}

/// One request, less its body.
#[derive(Clone, Debug)]
pub struct Call {
    pub version: i16,
    pub client_id: Option<String>,
    pub peer: Arc<Peer>,
}

/// Inclusive range of versions that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub min: i16,
    pub max: i16,
}

/// One Kafka API.
pub trait Api {
    type Request: Request + Send;
    const NAME: &'static str;
    const VERSIONS: Versions;

    fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: Self::Request,
    ) -> impl Future<Output = <Self::Request as Request>::Response> + Send;
}

/// An error as a response carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub code: ErrorCode,
    /// `None`: the client shows its own text for the code.
    pub message: Option<String>,
}

pub(crate) type Answer = Pin<Box<dyn Future<Output = Bytes> + Send>>;
