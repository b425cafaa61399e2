//! Starting: replay of the metadata log, the first records of a new cluster, this node's registration.
//!
//! All of it is one proposal, so a start costs one sync of the disk (which a new cluster need not wait for), and a
//! cluster is there whole or not at all.

use super::machine::{self, Decision, RECORDS_MAX};
use super::request::{ApiError, ConfigRules, Defaults, Registration};
use super::service::{Parts, Service};
use crate::metadata::Store;
use crate::quorum::{self, ProposeError, Quorum, QuorumError};
use crate::rt::clock;
use crate::rt::fs::Fs;
use machine::features::METADATA_VERSION;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why the controller did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    #[error("cannot register this broker: {0}")]
    Register(ApiError),
    #[error("cannot register this broker: {0}")]
    Commit(ProposeError),
    #[error(
        "the metadata log was written at metadata.version {0}; this program reads levels {min} to {max}",
        min = machine::features::FEATURES[3].min, max = machine::features::FEATURES[3].max
    )]
    Level(i16),
}

/// What [`start`] needs.
pub struct Start {
    pub fs: Arc<dyn Fs>,
    /// `metadata.log.dir`, or the first of `log.dirs`: `__cluster_metadata-0` lies in it.
    pub dir: PathBuf,
    pub settings: quorum::Settings,
    pub registration: Registration,
    /// `broker.session.timeout.ms`
    pub session_timeout: Duration,
    pub defaults: Defaults,
    pub rules: Arc<dyn ConfigRules>,
    /// Whether the last stop closed all logs (`.kafka_cleanshutdown`): if not, the epochs of all
    /// partitions led here rise, because the end of a log may be gone.
    pub clean: bool,
    /// Whether a new cluster is there when it is written, or only when it is on disk.
    pub founding: quorum::Founding,
}

/// Replays the log into `store`, founds the cluster if there is none, registers this node if it is the only broker. Publishers
/// subscribed before are told of the replayed image first and of this node's changes next; to be told
/// once, subscribe after. Blocks for the disk.
///
/// # Errors
/// The log cannot be opened, or the first records cannot be committed.
pub fn start(start: Start, store: Arc<Store>) -> Result<Service, StartError> {
    let Start { fs, dir, settings, registration, session_timeout, defaults, rules, clean, founding } = start;
    let node = registration.broker;
    let now = clock::now_ms();
    let formatted = quorum::bootstrap_records(fs.as_ref(), &dir)?;
    let quorum = Quorum::open(quorum::Open { fs, dir, node, settings, store: Arc::clone(&store), now, founding })?;
    let level = store.load().feature(METADATA_VERSION);
    let supported = machine::features::FEATURES[3];
    if level != 0 && !(supported.min..=supported.max).contains(&level) {
        return Err(StartError::Level(level));
    }
    let replayed = quorum.replayed();
    tracing::debug!(records = replayed.records, "replayed the metadata log");
    let next = quorum.next_offset();
    let cluster_id = registration.cluster_id.clone();
    let service = Service::new(Parts { quorum, store, cluster_id, defaults, rules, session_timeout });

    let mut tickets = Vec::new();
    let (mut resumed, ticket) = service
        .decide(|now| {
            let image = now.view.image;
            let mut records = Vec::new();
            if replayed.in_transaction {
                records.push(super::service::abandoned());
            }
            if image.feature(METADATA_VERSION) == 0 {
                records.extend(machine::features::bootstrap(formatted, defaults.min_insync_replicas));
            }
            if image.brokers.keys().any(|id| *id != node) {
                // What it led others may lead by now: it registers as they do.
                return Decision { records, answer: Vec::new() };
            }
            let at = next.plus(i64::try_from(records.len()).unwrap_or(i64::MAX));
            records.push(machine::brokers::register_alone(&registration, at, image));
            let mut resumed = machine::brokers::resume(node, clean, image);
            // What fits goes into the same batch.
            let room = RECORDS_MAX.saturating_sub(records.len()).min(resumed.len());
            records.extend(resumed.drain(..room));
            Decision { records, answer: resumed }
        })
        .map_err(StartError::Register)?;
    tickets.push(ticket);
    while !resumed.is_empty() {
        let records = resumed.drain(..resumed.len().min(RECORDS_MAX)).collect();
        let ((), ticket) = service.decide(|_| Decision { records, answer: () }).map_err(StartError::Register)?;
        tickets.push(ticket);
    }
    for ticket in tickets {
        ticket.wait().map_err(StartError::Commit)?;
    }
    Ok(service)
}
