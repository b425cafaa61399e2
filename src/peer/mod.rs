//! The client side of connections to other brokers and controllers.
//!
//! [`Link`] is one connection that is made when it is needed and made again when it broke; [`Pool`] has one per node.
//! The other files speak: each function is one request in this project's own words, and the only place where that
//! request is built and its answer read. We speak fixed versions (all nodes of a cluster run the same range), so
//! nothing asks for ApiVersions; except [`foreign`], which is for brokers of which nothing is known.
//!
//! What comes back is not trusted more than what a client sends: frames have a limit, and every body is walked by the
//! guard before it is decoded.

mod connection;
pub mod controller;
mod fetch;
pub mod foreign;
pub mod forward;
mod link;
mod offsets;
mod pool;
mod secure;
pub mod share_state;
pub mod topics;
pub mod transactions;

pub use connection::Stream;
pub use fetch::{FetchAnswer, FetchQuestion, LogBound, PartitionAnswer, PartitionQuestion, fetch, log_bound};
pub use link::{Endpoint, Link, LinkSettings, Resolve};
pub use offsets::{EpochEndAnswer, EpochQuestion, ends, offsets_for_leader_epoch};
pub use pool::{Locate, Pool};
pub use secure::{Exchange, Mechanism, Secure, Terms};

use crate::model::NodeId;
use crate::wire::{DecodeError, EncodeError};

/// Why there is no answer. All but [`PeerError::Encode`] are worth another try; whether the peer has acted on the request
/// is not known.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("the address of node {} is not known", .0.0)]
    Unknown(NodeId),
    #[error("node {} could not be reached just now; the next try is due soon", .0.0)]
    BackingOff(NodeId),
    #[error("node {}: {error}", node.0)]
    Connect { node: NodeId, error: std::io::Error },
    #[error("node {} closed the connection", .0.0)]
    Closed(NodeId),
    #[error("node {} did not answer in time", .0.0)]
    TimedOut(NodeId),
    #[error("node {} answered what cannot be read: {error}", node.0)]
    Malformed { node: NodeId, error: DecodeError },
    #[error("the request cannot be written: {0}")]
    Encode(#[from] EncodeError),
}

#[cfg(test)]
mod tests;
