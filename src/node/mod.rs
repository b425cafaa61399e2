//! The composition root: builds everything in order, serves until it is told to stop, and stops
//! everything in reverse.
//!
//! Sockets are bound first, since a taken port is the commonest fault and should cost nothing; then
//! log directories, metadata, partitions (with recovery after an unclean stop); only then is
//! anything accepted.

mod banner;
mod follow;
pub mod format;
mod links;
mod open;
mod several;

use crate::access::quotas::Quotas;
use crate::access::{Authorizer, Known};
use crate::admin::{Admin, Health, Stage};
use crate::api::{self, AutoTopics, Side};
use crate::config::{BrokerConfig, Listener, Live, Settings, Startup, TopicToCreate};
use crate::controller::{self, Duties, Lifecycle, NewTopic, Phase};
use crate::group::GroupCoordinator;
use crate::metadata::Publisher;
use crate::metrics::Metrics;
use crate::model::ErrorCode;
use crate::partition::Manager;
use crate::partition::fetch_sessions::FetchSessions;
use crate::quorum;
use crate::replica::{self, Fetchers};
use crate::rt::fs::disk::disk;
use crate::rt::{clock, process, rand};
use crate::server::{Bound, Guarded, Limits, Listeners};
use crate::share::{ShareCoordinator, Shares};
use crate::storage::flusher::Flusher;
use crate::txn::{ProducerIds, TransactionCoordinator};
use follow::DynamicConfig;
use futures_util::future::{join_all, select_all, try_join_all};
use open::Opened;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

/// How often indexes are brought up to their logs and the directories of deleted partitions are looked at.
const TICK: Duration = Duration::from_secs(1);

/// After which a start says that it waits for the controller to let the broker in.
const UNFENCED_MAX: Duration = Duration::from_secs(10);

/// How long a broker waits until others lead what it led, at most (Kafka's five minutes).
const HAND_OVER_MAX: Duration = Duration::from_secs(300);

/// How long a broker that stops looks for a controller: twice what an election takes with the default
/// `controller.quorum.fetch.timeout.ms`.
const LEADERLESS_MAX: Duration = Duration::from_secs(4);

/// Why the node did not start or had to stop: one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

fn sentence(error: impl std::fmt::Display) -> Error {
    Error(error.to_string())
}

/// Runs a broker until it is told to stop (SIGTERM, ctrl-C) or cannot go on.
///
/// # Errors
/// One sentence that says what to do.
pub async fn run(startup: Startup) -> Result<(), Error> {
    let stop = stop_signals().map_err(sentence)?;
    if !process::raise_open_files() {
        warn!("the limit of open files could not be raised; many partitions or connections may hit it");
    }
    let mut stop = std::pin::pin!(stop);
    let configs = several::of_one_cluster(startup.config, startup.others)?;
    let nodes = tokio::select! {
        started = try_join_all(configs.into_iter().map(Node::start)) => started?,
        () = &mut stop => return Ok(()),
    };
    if let Some(first) = nodes.first() {
        first.create_topics(startup.create_topics.into_iter().map(new_topic).collect()).await?;
    }
    for node in &nodes {
        node.serving();
        let settings = node.ctx.settings();
        println!("{}", banner::banner(&settings, node, startup.ephemeral.is_some()));
        if startup.kafka_ready_lines {
            println!("{}", banner::ready_lines(settings.node_id));
        }
    }
    let outcome = tokio::select! {
        () = &mut stop => Ok(()),
        (error, ..) = select_all(nodes.iter().map(|node| Box::pin(node.failed()))) => Err(error),
    };
    info!("stopping: answering what was asked, then closing the logs");
    // Where all go at once there is nobody to hand over to.
    let hand_over = nodes.len() == 1;
    join_all(nodes.into_iter().map(|node| node.stop_after(hand_over))).await;
    outcome
}

/// Resolves at the first SIGTERM or SIGINT. A second one ends the process at once, as people expect of a second ctrl-C.
fn stop_signals() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            warn!("told to stop again: stopping without closing the logs, the next start recovers them");
            std::process::exit(130);
        });
    })
}

fn new_topic(topic: TopicToCreate) -> NewTopic {
    NewTopic {
        name: topic.name,
        partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication.unwrap_or(-1),
        assignments: Vec::new(),
        configs: topic.configs.into_iter().map(|(name, value)| (name, Some(value))).collect(),
    }
}

/// A node that serves.
pub struct Node {
    ctx: Arc<api::Context>,
    lifecycle: Lifecycle,
    /// When a broker that no controller took in gives up (`initial.broker.registration.timeout.ms`).
    register_by: Instant,
    addresses: Vec<SocketAddr>,
    /// Where the listeners for controllers and brokers are bound.
    controller_addresses: Vec<SocketAddr>,
    listeners: Vec<Listeners>,
    admin: Option<Admin>,
    health: Arc<Health>,
    manager: Arc<Manager>,
    fetchers: Arc<Fetchers>,
    flushers: Vec<Arc<Flusher>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    /// Starts a node; when this returns, the controller has let its broker in, and every listener answers.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub async fn start(config: BrokerConfig) -> Result<Node, Error> {
        let settings = Arc::clone(config.settings());
        let network = &settings.network;
        let bind = |listeners: &[Listener], side| -> Result<Vec<Bound>, Error> {
            listeners
                .iter()
                .map(|listener| Bound::bind(listener, side, network))
                .collect::<Result<_, _>>()
                .map_err(Error)
        };
        let bound = bind(&network.listeners, Side::Broker)?;
        let addresses: Vec<SocketAddr> = bound.iter().map(|bound| bound.address).collect();
        let for_controllers = bind(&network.controller_listeners, Side::Controller)?;
        let controller_addresses = for_controllers.iter().map(|bound| bound.address).collect();
        let served = api::served().iter().map(|api| (api.key, api.name));
        let metrics = Metrics::new(served, clock::now_ms());
        let health = Arc::new(Health::default());
        let admin = match &network.admin {
            Some((host, port)) => {
                let start = |port| Admin::start(host, port, Arc::clone(&metrics), Arc::clone(&health));
                let admin = match start(*port).await {
                    // A second node on a machine, of which nobody said where its metrics are to be.
                    Err(fault) if network.admin_by_default && fault.is_taken() => start(0).await,
                    started => started,
                };
                Some(admin.map_err(sentence)?)
            }
            None => None,
        };
        let live = Arc::new(Live::new(config));
        let mut pepper = [0; 32];
        rand::fill(&mut pepper);
        let guard = |bound: Vec<Bound>| -> Result<Vec<(Bound, Arc<Guarded>)>, Error> {
            let guarded = |bound: Bound| {
                let guarded = Guarded::new(&bound.listener.name, &live, disk(), Arc::from(pepper))?;
                Ok((bound, Arc::new(guarded)))
            };
            bound.into_iter().map(guarded).collect::<Result<_, _>>().map_err(Error)
        };
        let (bound, for_controllers) = (guard(bound)?, guard(for_controllers)?);
        let ways = Arc::new(links::Ways::new(&live)?);
        let listeners = open::listeners(&settings, &addresses);
        let opened = {
            let (live, metrics, ways) = (Arc::clone(&live), Arc::clone(&metrics), Arc::clone(&ways));
            let runtime = Handle::current();
            let open = move || open::disk_side(&live, &ways, &metrics, listeners, &runtime);
            tokio::task::spawn_blocking(open).await.map_err(sentence)??
        };
        let Opened { store, controller, registration, manager, flushers, dirs } = opened;
        let client = Arc::new(links::client(&settings, &ways, &controller));
        let peers = Arc::new(links::peers(&settings, &ways, &store));
        let share_states = ShareCoordinator::new(Arc::clone(&live), Arc::clone(&store), Arc::clone(&manager));
        let auto_topics = Arc::<AutoTopics>::default();
        let persister = links::persister(&live, &share_states, &peers, &client, &auto_topics);
        let shares = Shares::new(Arc::clone(&live), Arc::clone(&store), Arc::clone(&persister));
        let groups = GroupCoordinator::new(
            Arc::clone(&live),
            Arc::clone(&store),
            Arc::clone(&manager),
            Arc::clone(&persister),
            Arc::clone(&peers),
        );
        let producer_ids = Arc::new(ProducerIds::default());
        let transactions = TransactionCoordinator::new(
            Arc::clone(&live),
            Arc::clone(&store),
            Arc::clone(&client),
            Arc::clone(&producer_ids),
            Arc::clone(&manager),
            Arc::clone(&groups),
            Arc::clone(&peers),
        );
        let fetchers = links::fetchers(&settings, &client, &manager, peers);
        let quotas = Arc::new(Quotas::new(&settings.quotas, Arc::clone(&metrics)));
        let authorizer = settings
            .authorization
            .as_ref()
            .map(|rules| Arc::new(Authorizer::new(rules.super_users.iter().cloned(), rules.allow_if_no_acl)));
        // These follow the metadata from the beginning, empty as it may be: nobody is let in by what is not known yet.
        store.subscribe(Arc::clone(&quotas) as Arc<dyn Publisher>);
        if let Some(authorizer) = &authorizer {
            store.subscribe(Arc::clone(authorizer) as Arc<dyn Publisher>);
        }
        let ctx = Arc::new(api::Context {
            credentials: Arc::new(Known::new(Arc::clone(&store), Arc::clone(&live))),
            metadata: store,
            producer_ids,
            controller,
            client: Arc::clone(&client),
            config: Arc::clone(&live),
            cluster_id: dirs.cluster_id().to_owned(),
            auto_topics,
            partitions: Arc::clone(&manager),
            metrics: Arc::clone(&metrics),
            quotas: Arc::clone(&quotas),
            fetch_sessions: Arc::new(FetchSessions::new(settings.fetch.sessions_max)),
            groups,
            transactions,
            shares,
            share_states,
            persister,
            authorizer,
        });
        follow::register_collectors(&metrics, &manager, &fetchers, &ctx.controller);
        ctx.groups.measured(&metrics);
        ctx.transactions.measured(&metrics);
        ctx.share_states.measured(&metrics);
        let limits = Limits::new(Arc::clone(&live), Arc::clone(&metrics), Arc::clone(&quotas));
        let lifecycle = links::lifecycle(&client, registration, &settings, &dirs);
        let mut node = Node {
            ctx,
            lifecycle,
            register_by: clock::now() + settings.membership.registration_timeout,
            addresses,
            controller_addresses,
            // Controllers talk to each other before anybody knows what the cluster is.
            listeners: Vec::new(),
            admin,
            health,
            manager,
            fetchers,
            flushers,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        node.listeners.push(Listeners::start(for_controllers, &node.ctx, &limits).map_err(Error)?);
        node.start_controlling(&settings);
        node.ctx.controller.quorum().caught_up().await.map_err(sentence)?;
        if let Some(authorizer) = &node.ctx.authorizer {
            authorizer.complete();
        }
        node.follow(&live).await?;
        if settings.roles.broker {
            node.start_maintenance(&settings);
            node.start_broker(&settings);
            // Whom it answers finds it in the metadata: librdkafka's admin clients wait for ever where no broker is in there.
            node.let_in().await?;
            node.listeners.push(Listeners::start(bound, &node.ctx, &limits).map_err(Error)?);
        }
        Ok(node)
    }

    /// Waits until the controller lets this broker in.
    async fn let_in(&self) -> Result<(), Error> {
        let running = async {
            if tokio::time::timeout(UNFENCED_MAX, self.lifecycle.reached(Phase::Running)).await.is_err() {
                warn!("the controller has not let this broker in yet; it listens when it is");
                self.lifecycle.reached(Phase::Running).await;
            }
        };
        tokio::select! {
            () = running => Ok(()),
            error = self.failed() => Err(error),
        }
    }

    /// Has everything follow the metadata, which is there now, each after those it builds on.
    async fn follow(&self, live: &Arc<Live>) -> Result<(), Error> {
        let settings = self.ctx.settings();
        let (store, manager, live) = (Arc::clone(&self.ctx.metadata), Arc::clone(&self.manager), Arc::clone(live));
        let broker = settings.roles.broker;
        let follow = move || {
            // Before the partitions: they resolve their settings from the live configuration.
            store.subscribe(Arc::new(DynamicConfig { live, node: settings.node_id.0 }));
            if broker {
                store.subscribe(Arc::clone(&manager) as Arc<dyn Publisher>);
                manager.set_strays_aside();
                manager.recover();
                manager.resume_moves();
            }
        };
        tokio::task::spawn_blocking(follow).await.map_err(sentence)?;
        if broker {
            self.ctx.share_states.start();
            self.ctx.shares.start();
            self.ctx.groups.start();
            self.ctx.transactions.start();
            // After those who have to know first that they lead.
            self.ctx.metadata.subscribe(Arc::clone(&self.fetchers) as Arc<dyn Publisher>);
        }
        Ok(())
    }

    /// Where each listener is bound, in the order of `listeners`.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    #[must_use]
    pub fn context(&self) -> &Arc<api::Context> {
        &self.ctx
    }

    /// Creates topics that must exist; one that does already is left as it is.
    ///
    /// # Errors
    /// One sentence for the first topic that could not be created.
    pub async fn create_topics(&self, topics: Vec<NewTopic>) -> Result<(), Error> {
        let names: Vec<String> = topics.iter().map(|topic| topic.name.to_string()).collect();
        let deadline = clock::now() + self.ctx.settings().network.request_timeout;
        let answers = self.ctx.client.create_topics(topics, deadline).await;
        for (name, answer) in names.iter().zip(answers) {
            match answer {
                Err(error) if error.code != ErrorCode::TOPIC_ALREADY_EXISTS => {
                    return Err(Error(format!("cannot create the topic {name}: {error}; correct --create-topic")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Everything that has to exist exists: `/readyz` says so.
    pub fn serving(&self) {
        self.health.set(Stage::Serving);
    }

    /// Resolves when the node cannot go on: the metadata log or every log directory has failed.
    pub async fn failed(&self) -> Error {
        loop {
            tokio::select! {
                error = self.ctx.controller.failed() => return sentence(error),
                () = tokio::time::sleep(TICK) => {}
            }
            let settings = self.ctx.settings();
            if settings.roles.broker && clock::now() > self.register_by && !self.lifecycle.is_registered() {
                return Error(format!(
                    "no controller took this broker in within {:?} (initial.broker.registration.timeout.ms); see that a \
                     majority of the controllers runs and can be reached, and start again",
                    settings.membership.registration_timeout
                ));
            }
            if !self.manager.offline_failed_dirs() {
                return Error(
                    "every log directory has failed; see the errors above, mend the disk and start again".into(),
                );
            }
        }
    }

    /// Drains and closes: answers what was placed, then flushes and closes every log.
    pub async fn stop(self) {
        self.stop_after(true).await;
    }

    /// As [`Node::stop`]; `hand_over`: others lead before what this one led.
    async fn stop_after(self, hand_over: bool) {
        self.health.set(Stage::Draining);
        if hand_over {
            self.hand_over().await;
        }
        self.stopping.cancel();
        self.ctx.persister.stop();
        // First, since members that wait for a rebalance would keep their connections for as long as it takes.
        self.ctx.groups.stop().await;
        self.ctx.transactions.stop().await;
        self.ctx.shares.stop().await;
        for listeners in self.listeners {
            listeners.stop().await;
        }
        // Last, since what members said while the listeners stopped is kept there.
        self.ctx.share_states.stop().await;
        self.fetchers.stop().await;
        self.tasks.close();
        self.tasks.wait().await;
        let manager = Arc::clone(&self.manager);
        let epoch = {
            let image = self.ctx.metadata.load();
            let node = self.ctx.settings().node_id;
            image.brokers.get(&node).map_or(-1, |broker| broker.epoch)
        };
        let flushers = self.flushers;
        let controller = Arc::clone(&self.ctx.controller);
        let closed = tokio::task::spawn_blocking(move || {
            manager.close(epoch);
            for flusher in &flushers {
                flusher.stop();
            }
            controller.close();
        })
        .await;
        if let Err(error) = closed {
            error!(%error, "the clean stop did not finish; the next start recovers");
        }
        if let Some(admin) = self.admin {
            admin.stop().await;
        }
    }

    /// Has the controller give to others what this broker leads, while it still serves.
    async fn hand_over(&self) {
        let settings = self.ctx.settings();
        if !settings.roles.broker {
            return;
        }
        let others = self.ctx.metadata.load().brokers.values().any(|b| b.id != settings.node_id && !b.fenced);
        if !settings.membership.controlled_shutdown || !others {
            return;
        }
        let left = tokio::select! {
            () = self.lifecycle.leave() => true,
            () = tokio::time::sleep(HAND_OVER_MAX) => false,
            () = self.nobody_decides() => false,
        };
        if !left {
            warn!("the controller did not let this broker go in time; what it leads moves when its session ends");
        }
    }

    /// Resolves when the quorum has been without a leader for longer than an election takes: where every node is told to stop
    /// at once, the last ones have nobody to ask.
    async fn nobody_decides(&self) {
        let mut leadership = self.ctx.controller.quorum().leadership();
        loop {
            // The sender lives as long as the quorum, and that as long as this node.
            let _ = leadership.wait_for(|now| now.leader.is_none()).await;
            let found = leadership.wait_for(|now| now.leader.is_some());
            if tokio::time::timeout(LEADERLESS_MAX, found).await.is_err() {
                return;
            }
        }
    }

    /// What the controller owes, when that is this node.
    fn start_controlling(&self, settings: &Settings) {
        let fs = disk();
        let formatted = quorum::bootstrap_records(fs.as_ref(), &open::metadata_dir(settings));
        let duties = Duties {
            balance: settings.membership.balance_interval,
            unclean: settings.membership.unclean_election_interval,
            tokens: settings.tokens.secret.is_some().then_some(settings.tokens.check_interval),
            formatted: formatted.unwrap_or_else(|error| {
                warn!(%error, "what kafka-storage left is not used");
                None
            }),
        };
        let service = controller::Service::clone(&self.ctx.controller);
        self.tasks.spawn(controller::attend(service, duties, self.stopping.clone()));
    }

    /// What is owed between this broker and the controller.
    fn start_broker(&self, settings: &Settings) {
        let stopping = self.stopping.clone();
        let controller: Arc<dyn replica::Controller> = Arc::clone(&self.ctx.client) as _;
        self.tasks.spawn(replica::propose_isrs(Arc::clone(&self.manager), controller, settings.node_id, async move {
            stopping.cancelled().await;
        }));
        self.lifecycle.set_ready();
        self.tasks.spawn(self.lifecycle.clone().run(self.stopping.clone()));
    }

    fn start_maintenance(&self, settings: &Settings) {
        let log = &settings.log;
        self.every(log.initial_task_delay, log.retention_check_interval, Manager::retain);
        self.every(log.initial_task_delay, log.recovery_point_checkpoint_interval, Manager::checkpoint);
        self.every(log.initial_task_delay, log.log_start_checkpoint_interval, Manager::checkpoint_log_starts);
        self.every(TICK, TICK, Manager::tick);
        let replication = &settings.replication;
        let half_lag = replication.lag_max / 2;
        self.every(half_lag, half_lag, Manager::shrink_isrs);
        let often = replication.high_watermark_checkpoint_interval;
        self.every(often, often, Manager::checkpoint_high_watermarks);
        if let Some(interval) = log.flush_check_interval {
            self.every(interval, interval, Manager::flush_due);
        }
        let (manager, stopping) = (Arc::clone(&self.manager), self.stopping.clone());
        self.tasks.spawn(async move {
            loop {
                manager.keep_cleaning();
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(TICK) => {}
                }
            }
        });
        let (manager, client) = (Arc::clone(&self.manager), Arc::clone(&self.ctx.client));
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    placed = manager.assignments() => tokio::select! {
                        () = stopping.cancelled() => return,
                        () = links::tell_directories(&client, placed) => {}
                    },
                }
            }
        });
    }

    /// Does `work` on a thread that may block, first after `delay`, then at every `interval`.
    fn every(&self, delay: Duration, interval: Duration, work: fn(&Manager)) {
        let manager = Arc::clone(&self.manager);
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            let mut wait = delay;
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                wait = interval;
                let manager = Arc::clone(&manager);
                if let Err(error) = tokio::task::spawn_blocking(move || work(&manager)).await {
                    error!(%error, "maintenance of the logs failed");
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
