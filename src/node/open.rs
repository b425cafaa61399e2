//! The disk and the quorum: what has to be there before anything follows the metadata.

use super::links::{QuorumLinks, Ways};
use super::{Error, sentence};
use crate::api;
use crate::config::{Live, Settings};
use crate::controller::{self, Parts, RegisteredListener};
use crate::metadata::{ConfigResource, Store};
use crate::metrics::Metrics;
use crate::model::NodeId;
use crate::partition::{Manager, ManagerSettings, Throttles};
use crate::quorum::{self, Follow, Join, Quorum, Timing, Voter};
use crate::rt::fs::Fs;
use crate::rt::fs::disk::disk;
use crate::rt::{clock, rand};
use crate::storage::dirs::{LogDir, LogDirs, Owner};
use crate::storage::flusher::Flusher;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;
use uuid::Uuid;

pub(super) struct Opened {
    pub(super) store: Arc<Store>,
    pub(super) controller: Arc<controller::Service>,
    pub(super) registration: controller::Registration,
    pub(super) manager: Arc<Manager>,
    pub(super) flushers: Vec<Arc<Flusher>>,
    pub(super) dirs: Arc<LogDirs>,
}

/// Where the metadata log lies.
pub(super) fn metadata_dir(settings: &Settings) -> PathBuf {
    let first = || settings.log.dirs.first().cloned().unwrap_or_default();
    settings.quorum.metadata_dir.clone().unwrap_or_else(first)
}

/// What the controller of a node starts with.
struct Start<'a> {
    live: &'a Arc<Live>,
    ways: &'a Ways,
    settings: &'a Settings,
    fs: &'a Arc<dyn Fs>,
    dirs: &'a Arc<LogDirs>,
    registration: &'a controller::Registration,
    store: &'a Arc<Store>,
}

impl Start<'_> {
    fn quorum_settings(&self) -> quorum::Settings {
        quorum::Settings { snapshot_bytes: self.settings.quorum.snapshot_after_bytes, ..quorum::Settings::default() }
    }

    fn defaults(&self) -> controller::Defaults {
        let topics = self.live.load().topic_defaults().clone();
        controller::Defaults {
            node: self.settings.node_id,
            partitions: self.settings.topics.num_partitions,
            replication_factor: self.settings.topics.default_replication_factor,
            min_insync_replicas: topics.min_insync_replicas,
            unclean_leader_election: topics.unclean_leader_election,
        }
    }

    /// A quorum of one: the cluster is there, with this broker in it, when this returns.
    fn alone(&self, clean: bool) -> Result<controller::Service, Error> {
        let to_settle = Arc::clone(self.dirs);
        let start = controller::Start {
            fs: Arc::clone(self.fs),
            dir: metadata_dir(self.settings),
            settings: self.quorum_settings(),
            registration: self.registration.clone(),
            session_timeout: self.settings.membership.session_timeout,
            defaults: self.defaults(),
            rules: Arc::new(api::ConfigRules::new(Arc::clone(self.live))),
            clean,
            founding: quorum::Founding::Early { settle: Box::new(move || to_settle.settle()) },
        };
        controller::start(start, Arc::clone(self.store)).map_err(sentence)
    }

    /// One of several: it takes part, or follows, from when this returns, and knows nothing yet.
    async fn with_others(&self) -> Result<controller::Service, Error> {
        // Who this node is must be on disk before it votes.
        self.dirs.settle().map_err(sentence)?;
        let transport = Arc::new(QuorumLinks::new(self.settings, self.ways));
        let cluster_id = self.dirs.cluster_id().to_owned();
        let wanted = &self.settings.quorum;
        let quorum = if self.settings.roles.controller {
            let voter = |(id, host, port): &(NodeId, String, u16)| {
                (*id, Voter { host: host.clone(), port: *port, directory: Uuid::nil() })
            };
            let open = quorum::Open {
                fs: Arc::clone(self.fs),
                dir: metadata_dir(self.settings),
                node: self.settings.node_id,
                settings: self.quorum_settings(),
                store: Arc::clone(self.store),
                now: clock::now_ms(),
                founding: quorum::Founding::Durable,
            };
            let join = Join {
                cluster_id: cluster_id.clone(),
                voters: wanted.voters.iter().map(voter).collect(),
                timing: Timing { fetch: wanted.fetch_timeout, request: wanted.request_timeout },
                transport,
                bytes_max: wanted.fetch_bytes_max,
                snapshot_bytes_max: wanted.fetch_snapshot_bytes_max,
            };
            Quorum::join(open, join).await.map_err(sentence)?
        } else {
            let unnamed = wanted.bootstrap.iter().zip(1..).map(|((host, port), n)| (NodeId(-n), host.clone(), *port));
            let controllers = if wanted.voters.is_empty() { unnamed.collect() } else { wanted.voters.clone() };
            Quorum::follow(Follow {
                node: self.settings.node_id,
                cluster_id: cluster_id.clone(),
                controllers,
                directory: self.dirs.all().first().map_or(Uuid::nil(), LogDir::id),
                transport,
                request_timeout: wanted.request_timeout,
                backoff: wanted.retry_backoff,
                bytes_max: wanted.fetch_bytes_max,
                store: Arc::clone(self.store),
            })
        };
        Ok(controller::Service::new(Parts {
            quorum,
            store: Arc::clone(self.store),
            cluster_id,
            defaults: self.defaults(),
            rules: Arc::new(api::ConfigRules::new(Arc::clone(self.live))),
            session_timeout: self.settings.membership.session_timeout,
        }))
    }
}

/// A node of several must have been told to which cluster it belongs: were each to draw an id, there would be as many.
fn must_be_formatted(settings: &Settings, fs: &dyn Fs) -> Result<(), Error> {
    let formatted = settings.log.dirs.iter().any(|dir| fs.exists(&dir.join("meta.properties")));
    if settings.is_solo() || settings.cluster_id.is_some() || formatted {
        return Ok(());
    }
    Err(Error(
        "This is a node of a cluster, and nothing says of which: set the environment variable CLUSTER_ID to one id on all \
         nodes, or format log.dirs with kafka-storage."
            .into(),
    ))
}

/// Everything that reads the disk before anything is accepted.
pub(super) fn disk_side(
    live: &Arc<Live>,
    ways: &Ways,
    metrics: &Arc<Metrics>,
    listeners: Vec<RegisteredListener>,
    runtime: &Handle,
) -> Result<Opened, Error> {
    let settings = Arc::clone(live.load().settings());
    let fs = disk();
    must_be_formatted(&settings, fs.as_ref())?;
    let owner = Owner { node_id: settings.node_id, cluster_id: settings.cluster_id.clone() };
    // Clients see them, and name them in AlterReplicaLogDirs, as absolute paths.
    let paths: Vec<PathBuf> =
        settings.log.dirs.iter().map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.clone())).collect();
    let dirs = Arc::new(LogDirs::open_unsettled(Arc::clone(&fs), &paths, &owner).map_err(sentence)?);
    let clean = dirs.all().iter().all(LogDir::was_closed_cleanly);
    let registration = controller::Registration {
        broker: settings.node_id,
        cluster_id: dirs.cluster_id().to_owned(),
        incarnation: rand::uuid(),
        listeners,
        features: controller::supported_features(),
        rack: settings.rack.clone(),
        log_dirs: dirs.live().map(LogDir::id).collect(),
        previous_broker_epoch: dirs.epoch_of_clean_close().unwrap_or(-1),
    };
    let store = Arc::new(Store::default());
    let start =
        Start { live, ways, settings: &settings, fs: &fs, dirs: &dirs, registration: &registration, store: &store };
    let controller = if settings.is_solo() { start.alone(clean)? } else { runtime.block_on(start.with_others())? };
    let flushers: Vec<Arc<Flusher>> = dirs
        .all()
        .iter()
        .map(|dir| Flusher::start(&*fs, dir.path(), Arc::clone(&metrics.flush)).map(Arc::new))
        .collect::<Result<_, _>>()
        .map_err(sentence)?;
    let resolve = Arc::clone(live);
    let manager = Manager::new(
        ManagerSettings {
            node: settings.node_id,
            lag_max: settings.replication.lag_max,
            producer_expiry_ms: i64::try_from(settings.transactions.producer_id_expiration.as_millis())
                .unwrap_or(i64::MAX),
            recovery_threads_per_dir: settings.log.recovery_threads_per_dir,
            move_threads: settings.log.move_threads,
            resolve_config: Box::new(move |image, topic| {
                resolve.load().topic(image.config(&ConfigResource::topic(topic)))
            }),
            cleaner: {
                let live = Arc::clone(live);
                Box::new(move || live.load().settings().log.cleaner.clone())
            },
            throttles: {
                let live = Arc::clone(live);
                Throttles::new(move || live.load().settings().copies)
            },
        },
        fs,
        Arc::clone(&dirs),
        flushers.clone(),
        Arc::clone(metrics),
    );
    Ok(Opened { store, controller: Arc::new(controller), registration, manager, flushers, dirs })
}

/// The addresses to register: what is advertised, with the port that the system chose where it was left to it.
pub(super) fn listeners(settings: &Settings, bound: &[SocketAddr]) -> Vec<RegisteredListener> {
    settings
        .network
        .advertised
        .iter()
        .enumerate()
        .map(|(index, listener)| RegisteredListener {
            name: listener.name.as_str().to_owned(),
            host: listener.host.clone(),
            port: match listener.port {
                0 => bound.get(index).map_or(0, SocketAddr::port),
                port => port,
            },
            security_protocol: listener.protocol.id(),
        })
        .collect()
}
