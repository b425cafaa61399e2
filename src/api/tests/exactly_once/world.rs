//! A broker without its sockets, on a disk in memory, in one thread whose time passes where nothing is left to do.
//!
//! What has threads of its own in a node is served from here: flushes by [`Broker::serve`], the metadata log by
//! [`at_once`]. So a seed repeats everything that happens.

use crate::api::{self, ConfigRules, Context};
use crate::config;
use crate::controller::{self, Registration};
use crate::group::GroupCoordinator;
use crate::metadata::{ConfigResource, Publisher, Store};
use crate::metrics::Metrics;
use crate::model::TopicName;
use crate::partition::fetch_sessions::FetchSessions;
use crate::partition::{Manager, ManagerSettings};
use crate::quorum;
use crate::rt::fs::Fs;
use crate::rt::fs::sim::SimFs;
use crate::rt::{clock, rand};
use crate::share::{Persister, ShareCoordinator, Shares};
use crate::storage::dirs::{LogDir, LogDirs, Owner};
use crate::storage::flusher::Flusher;
use crate::txn::{ProducerIds, TransactionCoordinator};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

const SETTINGS: &[(&str, &str)] = &[
    ("offsets.topic.num.partitions", "2"),
    ("transaction.state.log.num.partitions", "2"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "100"),
    ("num.recovery.threads.per.data.dir", "1"),
    ("log.cleaner.enable", "false"),
];

/// What outlives a broker: its disk.
pub(super) struct World {
    pub(super) fs: SimFs,
    /// Nothing counts before it is on the disk, and the power may fail.
    pub(super) durable: bool,
}

/// A life of the broker.
pub(super) struct Broker {
    pub(super) ctx: Arc<Context>,
    flusher: Arc<Flusher>,
}

impl World {
    /// Starts the broker, as `node` does. To be called within the runtime of its life.
    pub(super) fn start(&self) -> Broker {
        let mut values: config::Values = SETTINGS.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        if self.durable {
            values.insert("log.flush.interval.messages".into(), "1".into());
        }
        let live = Arc::new(config::Live::new(config::BrokerConfig::new(values).unwrap()));
        let settings = Arc::clone(live.load().settings());
        let metrics = Metrics::new(api::served().iter().map(|api| (api.key, api.name)), clock::now_ms());
        let fs = self.fs.shared();
        let owner = Owner { node_id: settings.node_id, cluster_id: None };
        let dirs = Arc::new(LogDirs::open(Arc::clone(&fs), &["/data".into()], &owner).unwrap());
        let clean = dirs.all().iter().all(LogDir::was_closed_cleanly);
        let store = Arc::new(Store::default());
        let listener = controller::RegisteredListener {
            name: super::LISTENER.into(),
            host: "localhost".into(),
            port: 9092,
            security_protocol: 0,
        };
        let start = controller::Start {
            fs: Arc::clone(&fs),
            dir: "/data".into(),
            settings: quorum::Settings::default(),
            registration: Registration {
                broker: settings.node_id,
                cluster_id: dirs.cluster_id().to_owned(),
                incarnation: rand::uuid(),
                listeners: vec![listener],
                features: controller::supported_features(),
                rack: None,
                log_dirs: dirs.live().map(LogDir::id).collect(),
                previous_broker_epoch: -1,
            },
            session_timeout: settings.membership.session_timeout,
            defaults: controller::Defaults {
                node: settings.node_id,
                partitions: 1,
                replication_factor: 1,
                min_insync_replicas: 1,
                unclean_leader_election: false,
            },
            rules: Arc::new(ConfigRules::new(Arc::clone(&live))),
            clean,
            founding: quorum::Founding::Durable,
        };
        let controller = Arc::new(controller::start(start, Arc::clone(&store)).unwrap());
        let client = api::testing::client(&controller);
        let flusher = Arc::new(Flusher::by_hand(&*fs, dirs.all()[0].path()).unwrap());
        let manager = Self::partitions(&live, fs, &dirs, &flusher, &metrics);
        store.subscribe(Arc::clone(&manager) as Arc<dyn Publisher>);
        manager.set_strays_aside();
        manager.recover();
        let share_states = ShareCoordinator::new(Arc::clone(&live), Arc::clone(&store), Arc::clone(&manager));
        let persister = Arc::new(Persister::new(Arc::clone(&share_states), Arc::new(api::testing::pool()), || {}));
        let shares = Shares::new(Arc::clone(&live), Arc::clone(&store), Arc::clone(&persister));
        share_states.start();
        let groups = GroupCoordinator::new(
            Arc::clone(&live),
            Arc::clone(&store),
            Arc::clone(&manager),
            Arc::clone(&persister),
            Arc::new(api::testing::pool()),
        );
        groups.start();
        let producer_ids = Arc::new(ProducerIds::default());
        // The first of a block: later ones come without the controller.
        let _ = at_once(producer_ids.next(&client));
        let transactions = TransactionCoordinator::new(
            Arc::clone(&live),
            Arc::clone(&store),
            Arc::clone(&client),
            Arc::clone(&producer_ids),
            Arc::clone(&manager),
            Arc::clone(&groups),
            Arc::new(api::testing::pool()),
        );
        transactions.start();
        let quotas = Arc::new(crate::access::quotas::Quotas::new(&settings.quotas, Arc::clone(&metrics)));
        let ctx = Context {
            credentials: Arc::new(crate::access::Known::new(Arc::clone(&store), Arc::clone(&live))),
            metadata: store,
            controller,
            client,
            config: live,
            cluster_id: dirs.cluster_id().to_owned(),
            auto_topics: Arc::default(),
            producer_ids,
            partitions: manager,
            metrics,
            quotas,
            fetch_sessions: Arc::new(FetchSessions::new(settings.fetch.sessions_max)),
            groups,
            transactions,
            share_states,
            persister,
            shares,
            authorizer: None,
        };
        Broker { ctx: Arc::new(ctx), flusher }
    }

    fn partitions(
        live: &Arc<config::Live>,
        fs: Arc<dyn Fs>,
        dirs: &Arc<LogDirs>,
        flusher: &Arc<Flusher>,
        metrics: &Arc<Metrics>,
    ) -> Arc<Manager> {
        let settings = Arc::clone(live.load().settings());
        let (resolve, cleaner) = (Arc::clone(live), Arc::clone(live));
        let settings = ManagerSettings {
            node: settings.node_id,
            lag_max: settings.replication.lag_max,
            producer_expiry_ms: i64::MAX,
            recovery_threads_per_dir: settings.log.recovery_threads_per_dir,
            move_threads: 1,
            resolve_config: Box::new(move |image, topic| {
                resolve.load().topic(image.config(&ConfigResource::topic(topic)))
            }),
            cleaner: Box::new(move || cleaner.load().settings().log.cleaner.clone()),
            throttles: crate::partition::Throttles::default(),
        };
        Manager::new(settings, fs, Arc::clone(dirs), vec![Arc::clone(flusher)], Arc::clone(metrics))
    }
}

impl Broker {
    /// Flushes for those who wait.
    pub(super) fn serve(&self) {
        self.flusher.serve();
    }

    pub(super) fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let topic = controller::NewTopic {
            name: TopicName::new(name),
            partitions,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: configs.iter().map(|(key, value)| ((*key).into(), Some((*value).into()))).collect(),
        };
        let request = controller::CreateTopics { topics: vec![topic], validate_only: false };
        // The power may fail.
        let _ = at_once(self.ctx.controller.create_topics(request));
    }

    pub(super) fn delete_topic(&self, name: &str) {
        let topic = controller::TopicSelector::Name(TopicName::new(name));
        let _ = at_once(self.ctx.controller.delete_topics(vec![topic]));
    }

    /// All changes of the metadata so far have been acted on.
    pub(super) fn catch_up(&self) {
        let _ = at_once(self.ctx.controller.delete_topics(Vec::new()));
    }

    /// Nothing of it runs any more. The disk must be off.
    pub(super) fn end(self) {
        self.ctx.controller.close();
    }
}

/// Waits without letting anything else of this thread go on: for what the thread of the metadata log does.
pub(super) fn at_once<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    loop {
        match work.as_mut().poll(&mut task::Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::sleep(Duration::from_micros(20)),
        }
    }
}
