//! A second broker beside the node that decides: the shell, its duties, and the second broker's lifecycle.

use super::*;
use crate::metadata::Record;
use crate::model::{PartitionId, TimestampMs};
use crate::peer::{LinkSettings, Pool};
use crate::quorum::{Join, Open, Quorum, Timing, Transport, Voter};
use crate::rt::clock;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::io;
use tokio_util::sync::CancellationToken;

const SESSION: Duration = Duration::from_millis(400);
/// For what takes no time, on a machine that has little.
const SOON: Duration = Duration::from_secs(20);

async fn until(mut done: impl FnMut() -> bool) {
    let deadline = clock::now() + SOON;
    while !done() {
        assert!(clock::now() < deadline, "it does not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn client(service: &Service) -> Arc<Client> {
    let peers = crate::config::BrokerConfig::new(crate::config::Values::new()).unwrap().settings().peers.clone();
    let pool = || Pool::new(LinkSettings::plaintext(peers.clone(), "test".into()), Arc::new(|_| None));
    Arc::new(Client::new(service.clone(), pool, Duration::from_secs(1)))
}

/// Broker 2, running, with a topic that it leads and broker 1 follows.
async fn second_broker(service: &Service, stop: &CancellationToken) -> Lifecycle {
    let broker = Lifecycle::new(client(service), registration(2), SESSION / 10, Box::new(Vec::new));
    broker.set_ready();
    tokio::spawn(broker.clone().run(stop.clone()));
    broker.reached(Phase::Running).await;
    let topic = NewTopic {
        name: TopicName::new("a"),
        partitions: -1,
        replication_factor: -1,
        assignments: vec![(PartitionId(0), vec![NodeId(2), NodeId(1)])],
        configs: Vec::new(),
    };
    let created = service.create_topics(CreateTopics { topics: vec![topic], validate_only: false }).await;
    assert!(created[0].is_ok(), "{created:?}");
    broker
}

fn duties() -> Duties {
    Duties { balance: None, unclean: Duration::from_secs(300), tokens: None, formatted: None }
}

fn leader(service: &Service) -> Option<NodeId> {
    service.store().load().topic("a").unwrap().partitions[0].leader
}

fn is_fenced(service: &Service) -> bool {
    service.store().load().brokers[&NodeId(2)].fenced
}

#[test]
fn a_broker_that_falls_silent_is_fenced_and_others_lead() {
    run(async {
        let service = start_with(&SimFs::new(), true, SESSION).unwrap();
        let (stop, silent) = (CancellationToken::new(), CancellationToken::new());
        second_broker(&service, &silent).await;
        tokio::spawn(attend(service.clone(), duties(), stop.clone()));
        // Heartbeats keep it for longer than a session lasts.
        tokio::time::sleep(SESSION * 2).await;
        assert_eq!((leader(&service), is_fenced(&service)), (Some(NodeId(2)), false));
        silent.cancel();
        until(|| is_fenced(&service)).await;
        assert_eq!(leader(&service), Some(NodeId(1)));
        stop.cancel();
        service.close();
    });
}

#[test]
fn a_broker_that_leaves_gives_up_what_it_leads_first() {
    run(async {
        let service = start_with(&SimFs::new(), true, SESSION).unwrap();
        let stop = CancellationToken::new();
        let broker = second_broker(&service, &stop).await;
        broker.leave().await;
        assert_eq!((leader(&service), is_fenced(&service)), (Some(NodeId(1)), true));
        // The next incarnation need not wait until the session is over.
        let again = Registration { incarnation: Uuid::from_u128(2), ..registration(2) };
        assert!(service.register_broker(&again).await.is_ok());
        service.close();
    });
}

#[test]
fn a_broker_that_was_removed_while_it_runs_registers_again() {
    run(async {
        let service = start_with(&SimFs::new(), true, SESSION).unwrap();
        let stop = CancellationToken::new();
        let broker = second_broker(&service, &stop).await;
        let before = service.store().load().brokers[&NodeId(2)].epoch;
        service.unregister_broker(NodeId(2)).await.unwrap();
        let epoch = || service.store().load().brokers.get(&NodeId(2)).map(|broker| (broker.epoch, broker.fenced));
        until(|| epoch().is_some_and(|(epoch, fenced)| epoch > before && !fenced)).await;
        assert_eq!(broker.phase(), Phase::Running);
        service.close();
    });
}

/// The other end of nothing.
struct Nowhere;

impl Transport for Nowhere {
    fn call(&self, _: NodeId, _: &str, _: u16, _: Bytes, _: Duration) -> BoxFuture<'static, io::Result<Bytes>> {
        Box::pin(async { Err(io::ErrorKind::NotConnected.into()) })
    }
}

/// The controller of a quorum that agrees by votes, though it has one.
async fn voting(disk: &SimFs) -> Service {
    disk.shared().create_dir_all(std::path::Path::new("/data")).unwrap();
    let store = Arc::new(Store::default());
    let open = Open {
        fs: disk.shared(),
        dir: "/data".into(),
        node: NodeId(1),
        settings: Settings::default(),
        store: Arc::clone(&store),
        now: TimestampMs(0),
        founding: Founding::Durable,
    };
    let join = Join {
        cluster_id: "cluster".into(),
        voters: vec![(NodeId(1), Voter { host: "h".into(), port: 1, ..Voter::default() })],
        timing: Timing { fetch: Duration::from_millis(400), request: Duration::from_millis(100) },
        transport: Arc::new(Nowhere),
        bytes_max: 1 << 20,
        snapshot_bytes_max: 1 << 20,
    };
    let quorum = Quorum::join(open, join).await.unwrap();
    let service = Service::new(Parts {
        quorum,
        store,
        cluster_id: "cluster".into(),
        defaults: DEFAULTS,
        rules: Arc::new(AnythingGoes),
        session_timeout: SESSION,
    });
    until(|| service.is_active()).await;
    service
}

#[test]
fn a_metadata_transaction_that_a_controller_left_open_is_aborted_by_the_next() {
    run(async {
        let disk = SimFs::new();
        let producer_ids = |next| Record::ProducerIds { broker: NodeId(1), broker_epoch: 1, next: ProducerId(next) };
        let service = voting(&disk).await;
        service.write(vec![producer_ids(1000)]).await.unwrap();
        service.write(vec![Record::BeginTransaction { name: None }, producer_ids(2000)]).await.unwrap();
        assert!(service.quorum().in_transaction());
        tokio::task::spawn_blocking(move || service.close()).await.unwrap();

        let service = voting(&disk).await;
        assert!(service.quorum().in_transaction());
        assert_eq!(service.store().load().next_producer_id, ProducerId(1000));
        // The first that is decided comes after the end of that transaction.
        service.write(Vec::new()).await.unwrap();
        assert!(!service.quorum().in_transaction());
        service.write(vec![producer_ids(3000)]).await.unwrap();
        assert_eq!(service.store().load().next_producer_id, ProducerId(3000));
        tokio::task::spawn_blocking(move || service.close()).await.unwrap();
    });
}
