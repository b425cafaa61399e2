//! The Kafka APIs: one file each, which translates and decides nothing.
//!
//! [`apis!`] below is the one list: dispatch, ApiVersions and the README's table all come from it.
//! What a handler registers is what ApiVersions says. The ranges are Kafka 4.3's, as far as the
//! `kafka-protocol` crate can encode them; never simply what the crate can decode.
//!
//! Produce and Fetch are in the list for their versions, but the connection calls them through
//! [`produce`] and [`fetch`]: they are the hot path and have stages of their own.

mod alter;
mod authorized;
mod auto_topics;
mod config_rules;
mod deadline;
mod distinct;
mod loggers;
mod producer_ids;
#[cfg(test)]
mod testing;
mod text;
mod view;

pub mod alter_configs;
pub mod api_versions;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_topic_partitions;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod list_config_resources;
pub mod list_partition_reassignments;
pub mod metadata;
pub mod update_features;

pub use auto_topics::AutoTopics;
pub use config_rules::ConfigRules;
pub use producer_ids::ProducerIds;

/// An error as a response carries it.
pub use crate::controller::ApiError;

use crate::config::{self, Settings};
use crate::controller;
use bytes::Bytes;
use kafka_protocol::protocol::Request;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// What handlers act on. Handles only: no handler holds a lock, a file or a socket.
pub struct Context {
    pub metadata: Arc<crate::metadata::Store>,
    pub controller: Arc<controller::Service>,
    /// The configuration of this broker, as it is now: dynamic changes come in here.
    pub config: Arc<config::Live>,
    pub cluster_id: String,
    pub auto_topics: Arc<AutoTopics>,
    pub producer_ids: ProducerIds,
}

impl Context {
    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(self.config.load().settings())
    }
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

/// One API of the list.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    pub key: i16,
    pub name: &'static str,
    pub versions: Versions,
    /// Below `versions.min` for Produce only.
    pub advertised_min: i16,
}

/// The list.
pub fn served() -> &'static [Served] {
    &[]
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

pub(crate) type Answer = Pin<Box<dyn Future<Output = Bytes> + Send>>;
