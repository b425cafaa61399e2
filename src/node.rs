//! The composition root: builds everything in order, serves until it is told to stop, and stops
//! everything in reverse.
//!
//! Sockets are bound first, since a taken port is the commonest fault and should cost nothing; then
//! log directories, metadata, partitions (with recovery after an unclean stop); only then is
//! anything accepted.

use crate::admin::{Admin, Health, Stage};
use crate::api::{self, Side};
use crate::config::{BrokerConfig, Listener, Live, Settings, Startup, TopicToCreate};
use crate::controller::{self, Assignment, Client, Duties, Lifecycle, NewTopic, RegisteredListener};
use crate::group::GroupCoordinator;
use crate::metadata::{ConfigResource, Delta, Endpoint, Image, Publisher, ResourceType, Store};
use crate::metrics::{Metrics, PartitionSample, Sample};
use crate::model::{ErrorCode, NodeId};
use crate::partition::fetch_sessions::FetchSessions;
use crate::partition::{Manager, ManagerSettings, Standing};
use crate::peer::{self, LinkSettings, Pool};
use crate::quorum;
use crate::replica::{self, FetcherSettings, Fetchers};
use crate::rt::fs::disk::disk;
use crate::rt::{clock, process, rand};
use crate::server::{Bound, Limits, Listeners};
use crate::storage::dirs::{LogDir, LogDirs, Owner};
use crate::storage::flusher::Flusher;
use crate::txn::{ProducerIds, TransactionCoordinator};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

/// How often indexes are brought up to their logs and the directories of deleted partitions are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Most directories of partitions told to the controller at once.
const ASSIGNMENTS_MAX: usize = 1000;

/// How long a broker waits until others lead what it led, at most (Kafka's five minutes).
const HAND_OVER_MAX: Duration = Duration::from_secs(300);

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
    let settings = Arc::clone(startup.config.settings());
    let node = Node::start(startup.config).await?;
    node.create_topics(startup.create_topics.into_iter().map(new_topic).collect()).await?;
    node.serving();
    println!("{}", banner(&settings, &node, startup.ephemeral.is_some()));
    if startup.kafka_ready_lines {
        println!("{}", ready_lines(settings.node_id));
    }
    let outcome = tokio::select! {
        () = stop => Ok(()),
        error = node.failed() => Err(error),
    };
    info!("stopping: answering what was asked, then closing the logs");
    node.stop().await;
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

/// What a person sees at the start: where it listens, what it tells clients, where the data is, what to try.
fn banner(settings: &Settings, node: &Node, ephemeral: bool) -> String {
    let bound = node.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let image = node.ctx.metadata.load();
    let endpoints = image.brokers.get(&settings.node_id).map_or(&[][..], |broker| &broker.endpoints[..]);
    let by_connection = |name: &str| settings.network.advertised_by_connection.iter().any(|at| at.as_str() == name);
    let shown = |at: &Endpoint| match by_connection(&at.name) {
        true => format!("{}: to each client the address that it reached", at.name),
        false => format!("{}://{}:{}", at.name, at.host, at.port),
    };
    let advertised = endpoints.iter().map(shown).collect::<Vec<_>>();
    let dirs = settings.log.dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ");
    let kept = if ephemeral { " (removed when it stops)" } else { "" };
    let admin = node
        .admin
        .as_ref()
        .map_or(String::new(), |admin| format!("\n  metrics      http://{}/metrics", admin.address()));
    let first = endpoints.first().map_or(String::new(), |at| match by_connection(&at.name) {
        true => format!("localhost:{}", at.port),
        false => format!("{}:{}", at.host, at.port),
    });
    format!(
        "klamm {} speaks Kafka 4.3 (node {}, cluster {})\n  listening    {bound}\n  advertised   {}\n  data         \
         {dirs}{kept}{admin}\n  try          echo hello | kcat -b {first} -P -t greetings",
        env!("CARGO_PKG_VERSION"),
        settings.node_id.0,
        node.ctx.cluster_id,
        advertised.join(", "),
    )
}

/// What Testcontainers' modules and people's scripts wait for in Kafka's log.
fn ready_lines(node: NodeId) -> String {
    let id = node.0;
    format!(
        "[BrokerLifecycleManager id={id}] The broker has been unfenced. Transitioning from RECOVERY to RUNNING.\n\
         [KafkaServer id={id}] started\n[KafkaRaftServer nodeId={id}] Kafka Server started"
    )
}

/// A node that serves.
pub struct Node {
    ctx: Arc<api::Context>,
    lifecycle: Lifecycle,
    addresses: Vec<SocketAddr>,
    listeners: Listeners,
    admin: Option<Admin>,
    health: Arc<Health>,
    manager: Arc<Manager>,
    fetchers: Arc<Fetchers>,
    flushers: Vec<Arc<Flusher>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    /// Starts a node; when this returns, every listener answers.
    ///
    /// # Errors
    /// One sentence that says what to do.
    pub async fn start(config: BrokerConfig) -> Result<Node, Error> {
        let settings = Arc::clone(config.settings());
        let network = &settings.network;
        if !settings.is_solo() || !settings.roles.broker {
            return Err(Error(
                "This configuration is of a cluster, whose nodes cannot be started yet: set \
                 process.roles=broker,controller and name this node only in controller.quorum.voters."
                    .into(),
            ));
        }
        let bind = |listeners: &[Listener], side| -> Result<Vec<Bound>, Error> {
            listeners
                .iter()
                .map(|listener| Bound::bind(listener, side, network))
                .collect::<Result<_, _>>()
                .map_err(Error)
        };
        let mut bound = bind(&network.listeners, Side::Broker)?;
        let addresses: Vec<SocketAddr> = bound.iter().map(|bound| bound.address).collect();
        bound.extend(bind(&network.controller_listeners, Side::Controller)?);
        let served = api::served().iter().map(|api| (api.key, api.name));
        let metrics = Metrics::new(served, clock::now_ms());
        let health = Arc::new(Health::default());
        let admin = match &network.admin {
            Some((host, port)) => {
                let admin = Admin::start(host, *port, Arc::clone(&metrics), Arc::clone(&health)).await;
                Some(admin.map_err(sentence)?)
            }
            None => None,
        };
        let live = Arc::new(Live::new(config));
        let listeners = listeners(&settings, &addresses);
        let opened = {
            let (live, metrics) = (Arc::clone(&live), Arc::clone(&metrics));
            tokio::task::spawn_blocking(move || open(&live, &metrics, listeners)).await.map_err(sentence)??
        };
        let Opened { store, controller, registration, manager, flushers, dirs } = opened;
        let client = Arc::new(client(&settings, &controller));
        let peers = Arc::new(peers(&settings, &store));
        let groups = GroupCoordinator::new(Arc::clone(&live), Arc::clone(&store), Arc::clone(&manager));
        // After the partitions, which follow the metadata since they were opened.
        groups.start();
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
        transactions.start();
        let fetchers = fetchers(&settings, &client, &manager, peers);
        // After the partitions, and after those who have to know first that they lead.
        store.subscribe(Arc::clone(&fetchers) as Arc<dyn Publisher>);
        let ctx = Arc::new(api::Context {
            metadata: store,
            producer_ids,
            controller,
            client: Arc::clone(&client),
            config: Arc::clone(&live),
            cluster_id: dirs.cluster_id().to_owned(),
            auto_topics: Arc::default(),
            partitions: Arc::clone(&manager),
            metrics: Arc::clone(&metrics),
            fetch_sessions: Arc::new(FetchSessions::new(settings.fetch.sessions_max)),
            groups,
            transactions,
        });
        register_collectors(&metrics, &manager, &fetchers, &ctx.controller);
        let limits = Limits::new(Arc::clone(&live), Arc::clone(&metrics));
        let listeners = Listeners::start(bound, &ctx, &limits);
        let lifecycle = lifecycle(&client, registration, &settings, &dirs);
        let node = Node {
            ctx,
            lifecycle,
            addresses,
            listeners,
            admin,
            health,
            manager,
            fetchers,
            flushers,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        node.start_maintenance(&settings);
        node.start_duties(&settings);
        Ok(node)
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
            if !self.manager.offline_failed_dirs() {
                return Error(
                    "every log directory has failed; see the errors above, mend the disk and start again".into(),
                );
            }
        }
    }

    /// Drains and closes: answers what was placed, then flushes and closes every log.
    pub async fn stop(self) {
        self.health.set(Stage::Draining);
        self.hand_over().await;
        self.stopping.cancel();
        // First, since members that wait for a rebalance would keep their connections for as long as it takes.
        self.ctx.groups.stop().await;
        self.ctx.transactions.stop().await;
        self.listeners.stop().await;
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
        let others = self.ctx.metadata.load().brokers.values().any(|b| b.id != settings.node_id && !b.fenced);
        if settings.membership.controlled_shutdown
            && others
            && tokio::time::timeout(HAND_OVER_MAX, self.lifecycle.leave()).await.is_err()
        {
            warn!("the controller did not let this broker go in time; what it leads moves when its session ends");
        }
    }

    /// What is owed between this broker and the controller, and by the controller if that is this node.
    fn start_duties(&self, settings: &Settings) {
        let duties = Duties {
            balance: settings.membership.balance_interval,
            unclean: settings.membership.unclean_election_interval,
            formatted: None,
        };
        let service = controller::Service::clone(&self.ctx.controller);
        self.tasks.spawn(controller::attend(service, duties, self.stopping.clone()));
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
                        () = tell_directories(&client, placed) => {}
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

/// Tells the controller in which directories partitions lie. What it does not take is told again at the next
/// start, when it is seen that they lie elsewhere than the metadata says.
async fn tell_directories(client: &Client, placed: Vec<Assignment>) {
    for some in placed.chunks(ASSIGNMENTS_MAX) {
        let answers = loop {
            match client.assign_directories(some).await {
                Err(error) if error.code == ErrorCode::NOT_CONTROLLER => client.before_next_try().await,
                answers => break answers,
            }
        };
        match answers {
            Err(error) => warn!(%error, "the controller does not note in which log directories partitions lie"),
            Ok(answers) => {
                // Of a topic that is gone again, nothing is to be noted.
                let refused =
                    answers.iter().filter(|(_, code)| !matches!(*code, ErrorCode::NONE | ErrorCode::UNKNOWN_TOPIC_ID));
                for (Assignment { topic, partition, .. }, code) in refused {
                    warn!(%topic, partition = partition.0, %code, "the controller does not note a partition's log directory");
                }
            }
        }
    }
}

/// The links to other brokers, where they listen for brokers.
fn peers(settings: &Settings, store: &Arc<Store>) -> Pool {
    let (store, listener) = (Arc::clone(store), settings.network.inter_broker_listener.clone());
    let locate = move |node: NodeId| {
        let image = store.load();
        let endpoint = image.brokers.get(&node)?.endpoint(listener.as_str())?;
        Some(peer::Endpoint { host: endpoint.host.clone(), port: endpoint.port })
    };
    let link = LinkSettings::plaintext(settings.peers.clone(), format!("broker-{}", settings.node_id.0));
    Pool::new(link, Arc::new(locate))
}

/// Those who fetch what this broker follows.
fn fetchers(settings: &Settings, client: &Arc<Client>, manager: &Arc<Manager>, peers: Arc<Pool>) -> Arc<Fetchers> {
    let (client, node) = (Arc::clone(client), settings.node_id);
    let broker_epoch = move || client.broker_epoch();
    let own = FetcherSettings { node, replication: settings.replication.clone(), broker_epoch: Box::new(broker_epoch) };
    Fetchers::new(own, Arc::clone(manager), peers)
}

struct Opened {
    store: Arc<Store>,
    controller: Arc<controller::Service>,
    registration: controller::Registration,
    manager: Arc<Manager>,
    flushers: Vec<Arc<Flusher>>,
    dirs: Arc<LogDirs>,
}

/// How this node's broker asks the controller, wherever that is.
fn client(settings: &Settings, controller: &controller::Service) -> Client {
    let voters = settings.quorum.voters.clone();
    let locate: peer::Locate = Arc::new(move |node| {
        let (_, host, port) = voters.iter().find(|(id, ..)| *id == node)?;
        Some(peer::Endpoint { host: host.clone(), port: *port })
    });
    let link = LinkSettings::plaintext(settings.peers.clone(), format!("broker-{}", settings.node_id.0));
    // A controller that does not answer is given up before a session ends for it.
    let timeout = settings.network.request_timeout.min(settings.membership.session_timeout / 2);
    Client::new(controller.clone(), || Pool::new(link.clone(), Arc::clone(&locate)), timeout)
}

/// This node's broker towards the controller. The only broker of a cluster is registered by the start itself.
fn lifecycle(
    client: &Arc<Client>,
    registration: controller::Registration,
    settings: &Settings,
    dirs: &Arc<LogDirs>,
) -> Lifecycle {
    let (client, dirs) = (Arc::clone(client), Arc::clone(dirs));
    let offline: controller::Offline = Box::new(move || {
        dirs.all().iter().filter(|dir| !dir.is_live()).map(LogDir::id).filter(|id| !id.is_nil()).collect()
    });
    let interval = settings.membership.heartbeat_interval;
    let known = client.service().store().load().brokers.get(&settings.node_id).cloned();
    match known.filter(|known| known.incarnation == registration.incarnation) {
        Some(known) => Lifecycle::running(client, registration, known.epoch, interval, offline),
        None => Lifecycle::new(client, registration, interval, offline),
    }
}

/// Everything that reads the disk before anything is accepted.
fn open(live: &Arc<Live>, metrics: &Arc<Metrics>, listeners: Vec<RegisteredListener>) -> Result<Opened, Error> {
    let settings = Arc::clone(live.load().settings());
    let fs = disk();
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
        previous_broker_epoch: -1,
    };
    let store = Arc::new(Store::default());
    let to_settle = Arc::clone(&dirs);
    let controller = controller::start(
        controller::Start {
            fs: Arc::clone(&fs),
            dir: settings.quorum.metadata_dir.clone().unwrap_or_else(|| settings.log.dirs[0].clone()),
            settings: quorum::Settings {
                snapshot_bytes: settings.quorum.snapshot_after_bytes,
                ..quorum::Settings::default()
            },
            registration: registration.clone(),
            session_timeout: settings.membership.session_timeout,
            defaults: controller::Defaults {
                node: settings.node_id,
                partitions: settings.topics.num_partitions,
                replication_factor: settings.topics.default_replication_factor,
                min_insync_replicas: live.load().topic_defaults().min_insync_replicas,
                unclean_leader_election: live.load().topic_defaults().unclean_leader_election,
            },
            rules: Arc::new(api::ConfigRules::new(Arc::clone(live))),
            clean,
            founding: quorum::Founding::Early { settle: Box::new(move || to_settle.settle()) },
        },
        Arc::clone(&store),
    )
    .map_err(sentence)?;
    let flushers: Vec<Arc<Flusher>> = dirs
        .all()
        .iter()
        .map(|dir| Flusher::start(&*fs, dir.path(), Arc::clone(&metrics.flush)).map(Arc::new))
        .collect::<Result<_, _>>()
        .map_err(sentence)?;
    // Before the partitions: they resolve their settings from the live configuration.
    store.subscribe(Arc::new(DynamicConfig { live: Arc::clone(live), node: settings.node_id.0 }));
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
        },
        fs,
        Arc::clone(&dirs),
        flushers.clone(),
        Arc::clone(metrics),
    );
    store.subscribe(Arc::clone(&manager) as Arc<dyn Publisher>);
    manager.set_strays_aside();
    manager.recover();
    manager.resume_moves();
    Ok(Opened { store, controller: Arc::new(controller), registration, manager, flushers, dirs })
}

/// The addresses to register: what is advertised, with the port that the system chose where it was left to it.
fn listeners(settings: &Settings, bound: &[SocketAddr]) -> Vec<RegisteredListener> {
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

/// Keeps the live configuration in step with the dynamic configs of the metadata.
struct DynamicConfig {
    live: Arc<Live>,
    node: i32,
}

impl Publisher for DynamicConfig {
    fn publish(&self, image: &Arc<Image>, delta: &Delta) {
        if !delta.configs.keys().any(|resource| resource.kind == ResourceType::Broker) {
            return;
        }
        let of = |resource: &ConfigResource| image.config(resource).clone();
        let cluster = of(&ConfigResource::cluster_default());
        let broker = of(&ConfigResource::new(ResourceType::Broker, self.node.to_string()));
        for left_out in self.live.set_dynamic(cluster, broker) {
            warn!(setting = left_out, "a dynamic setting is not used");
        }
    }
}

/// What metrics ask for at a scrape.
fn register_collectors(
    metrics: &Arc<Metrics>,
    manager: &Arc<Manager>,
    fetchers: &Arc<Fetchers>,
    controller: &Arc<controller::Service>,
) {
    let controller = Arc::clone(controller);
    metrics.register(Box::new(move |sample: &mut Sample| controller.sample(sample)));
    let (manager, fetchers) = (Arc::clone(manager), Arc::clone(fetchers));
    metrics.register(Box::new(move |sample: &mut Sample| {
        for partition in manager.all() {
            // A log that nobody has asked for is not opened to be counted.
            let Some((positions, size)) = partition.positions_if_open() else { continue };
            sample.partitions.push(PartitionSample {
                partition: partition.name().clone(),
                size_bytes: size,
                log_start: positions.log_start,
                log_end: positions.log_end,
                leader: partition.standing().leads,
            });
        }
        let standings: Vec<Standing> = manager.all().iter().map(|partition| partition.standing()).collect();
        let count = |holds: fn(&Standing) -> bool| {
            i64::try_from(standings.iter().filter(|standing| holds(standing)).count()).unwrap_or(i64::MAX)
        };
        let lag = fetchers.lags().into_iter().map(|(_, lag)| lag).max().unwrap_or(0);
        sample.gauges.extend([
            (
                "under_replicated_partitions",
                "Led here, with replicas that are not in sync.",
                count(|s| s.under_replicated),
            ),
            (
                "under_min_isr_partitions",
                "Led here, with fewer in sync than min.insync.replicas.",
                count(|s| s.under_min_isr),
            ),
            (
                "at_min_isr_partitions",
                "Led here, with as many in sync as min.insync.replicas.",
                count(|s| s.at_min_isr),
            ),
            ("offline_replicas", "Partitions of this broker whose log cannot be used.", count(|s| s.offline)),
            ("replica_fetcher_max_lag", "Records that a partition followed here is behind its leader, at most.", lag),
        ]);
        let counts = manager.isr_counts();
        sample.counters.extend([
            ("isr_shrinks", "Replicas taken out of the in-sync replicas by leaders here.", counts.shrinks.get()),
            ("isr_expands", "Replicas taken into the in-sync replicas by leaders here.", counts.expands.get()),
            (
                "isr_failed_updates",
                "Changes of in-sync replicas that the controller did not make.",
                counts.failed.get(),
            ),
        ]);
    }));
}

#[cfg(test)]
mod tests;
