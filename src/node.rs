//! The composition root: builds everything in order, serves until it is told to stop, and stops
//! everything in reverse.
//!
//! Order of a start: sockets are bound first, since a taken port is the commonest fault and should
//! cost nothing; then log directories, metadata, partitions (with recovery after an unclean stop);
//! only then is anything accepted.

use crate::admin;
use crate::api;
use crate::config::{Live, Startup};
use crate::controller;
use crate::metadata;
use crate::metrics::{Metrics, PartitionSample};
use crate::model::TopicName;
use crate::partition::fetch_sessions::FetchSessions;
use crate::partition::{Manager, ManagerSettings};
use crate::rt::clock;
use crate::rt::fs::{Fs, disk::Disk};
use crate::server::{Bound, Limits, Listeners};
use crate::storage::dirs::LogDirs;
use crate::storage::flusher::Flusher;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

/// Why the node did not start or had to stop: one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

impl From<String> for Error {
    fn from(sentence: String) -> Error {
        Error(sentence)
    }
}
