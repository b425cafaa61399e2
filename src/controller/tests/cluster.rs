//! A second broker beside the node that decides: the shell, its duties, and the second broker's lifecycle.

use super::*;
use crate::model::PartitionId;
use crate::peer::{LinkSettings, Pool};
use crate::rt::clock;
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
