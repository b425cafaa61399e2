//! How this node reaches the others.

use super::Error;
use crate::access::Outbound;
use crate::api::AutoTopics;
use crate::config::security::Whom;
use crate::config::{Live, Settings};
use crate::controller::{self, Assignment, Client, Lifecycle};
use crate::metadata::Store;
use crate::model::{ErrorCode, NodeId, TopicName};
use crate::partition::Manager;
use crate::peer::{self, Link, LinkSettings, Pool};
use crate::quorum::Transport;
use crate::replica::{FetcherSettings, Fetchers};
use crate::rt::fs::disk::disk;
use crate::share::{Persister, ShareCoordinator};
use crate::storage::dirs::{LogDir, LogDirs};
use crate::wire::header::QUORUM_KEY;
use bytes::Bytes;
use dashmap::DashMap;
use futures_util::future::BoxFuture;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

/// Most directories of partitions told to the controller at once.
const ASSIGNMENTS_MAX: usize = 1000;

/// How connections to other nodes are secured.
pub(super) struct Ways {
    brokers: Option<Outbound>,
    controllers: Option<Outbound>,
}

impl Ways {
    /// # Errors
    /// One sentence that says what to do.
    pub(super) fn new(live: &Arc<Live>) -> Result<Ways, Error> {
        // A node alone connects to nobody, and its listeners may be of any kind.
        let needed = !live.load().settings().is_solo();
        let way = |whom| Outbound::new(whom, needed, live, disk()).map_err(Error);
        Ok(Ways { brokers: way(Whom::Brokers)?, controllers: way(Whom::Controllers)? })
    }

    fn settings(&self, settings: &Settings, whom: Whom, who: &str) -> LinkSettings {
        let client_id = format!("{who}-{}", settings.node_id.0);
        let way = match whom {
            Whom::Brokers => &self.brokers,
            Whom::Controllers => &self.controllers,
        };
        match way {
            None => LinkSettings::plaintext(settings.peers.clone(), client_id),
            Some(way) => LinkSettings::secured(settings.peers.clone(), client_id, Arc::new(way.clone())),
        }
    }
}

/// The quorum's messages over connections to the controllers' listeners. There is one to each address.
pub(super) struct QuorumLinks {
    settings: LinkSettings,
    links: DashMap<(String, u16), Arc<Link>>,
}

impl QuorumLinks {
    pub(super) fn new(settings: &Settings, ways: &Ways) -> QuorumLinks {
        QuorumLinks { settings: ways.settings(settings, Whom::Controllers, "quorum"), links: DashMap::new() }
    }
}

impl Transport for QuorumLinks {
    fn call(
        &self,
        to: NodeId,
        host: &str,
        port: u16,
        message: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, io::Result<Bytes>> {
        let at = (host.to_owned(), port);
        let endpoint = peer::Endpoint { host: host.to_owned(), port };
        let make = || Arc::new(Link::new(to, self.settings.clone(), Arc::new(move || Some(endpoint.clone()))));
        let link = Arc::clone(&self.links.entry(at).or_insert_with(make));
        Box::pin(async move { link.call_raw(QUORUM_KEY, 0, message, deadline).await.map_err(io::Error::other) })
    }
}

/// Tells the controller in which directories partitions lie. What it does not take is told again at the next
/// start, when it is seen that they lie elsewhere than the metadata says.
pub(super) async fn tell_directories(client: &Client, placed: Vec<Assignment>) {
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
pub(super) fn peers(settings: &Settings, ways: &Ways, store: &Arc<Store>) -> Pool {
    let (store, listener) = (Arc::clone(store), settings.network.inter_broker_listener.clone());
    let locate = move |node: NodeId| {
        let image = store.load();
        let endpoint = image.brokers.get(&node)?.endpoint(listener.as_str())?;
        Some(peer::Endpoint { host: endpoint.host.clone(), port: endpoint.port })
    };
    Pool::new(ways.settings(settings, Whom::Brokers, "broker"), Arc::new(locate))
}

/// The way to those who keep share groups' deliveries.
pub(super) fn persister(
    live: &Arc<Live>,
    states: &Arc<ShareCoordinator>,
    peers: &Arc<Pool>,
    client: &Arc<Client>,
    topics: &Arc<AutoTopics>,
) -> Arc<Persister> {
    let (live, client, topics) = (Arc::clone(live), Arc::clone(client), Arc::clone(topics));
    let create = move || {
        topics.create(vec![TopicName::new(TopicName::SHARE_GROUP_STATE)], live.load().settings(), &client);
    };
    Arc::new(Persister::new(Arc::clone(states), Arc::clone(peers), create))
}

/// Those who fetch what this broker follows.
pub(super) fn fetchers(
    settings: &Settings,
    client: &Arc<Client>,
    manager: &Arc<Manager>,
    peers: Arc<Pool>,
) -> Arc<Fetchers> {
    let (client, node) = (Arc::clone(client), settings.node_id);
    let broker_epoch = move || client.broker_epoch();
    let own = FetcherSettings { node, replication: settings.replication.clone(), broker_epoch: Box::new(broker_epoch) };
    Fetchers::new(own, Arc::clone(manager), peers)
}

/// How this node's broker asks the controller, wherever that is.
pub(super) fn client(settings: &Settings, ways: &Ways, controller: &controller::Service) -> Client {
    let voters = settings.quorum.voters.clone();
    let locate: peer::Locate = Arc::new(move |node| {
        let (_, host, port) = voters.iter().find(|(id, ..)| *id == node)?;
        Some(peer::Endpoint { host: host.clone(), port: *port })
    });
    let link = ways.settings(settings, Whom::Controllers, "broker");
    // A controller that does not answer is given up before a session ends for it.
    let timeout = settings.network.request_timeout.min(settings.membership.session_timeout / 2);
    Client::new(controller.clone(), || Pool::new(link.clone(), Arc::clone(&locate)), timeout)
}

/// This node's broker towards the controller. The only broker of a cluster is registered by the start itself.
pub(super) fn lifecycle(
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
