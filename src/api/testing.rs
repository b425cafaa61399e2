//! A small cluster for the tests of the handlers.

#![allow(clippy::unwrap_used)]

use super::{Call, ConfigRules, Peer, Side};
use crate::access;
use crate::config;
use crate::controller::{self, Client, Service};
use crate::metadata::{BrokerImage, DirectoryId, Endpoint, Image, PartitionImage, TopicImage};
use crate::model::{AclRequest, Asked, AskedPattern, LeaderEpoch, NodeId, Offset, Principal, TopicId, TopicName};
use crate::peer::{LinkSettings, Pool};
use crate::quorum;
use crate::rt::fs::sim::SimFs;
use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

pub(super) const LISTENER: &str = "PLAINTEXT";

pub(super) fn peer() -> Peer {
    Peer {
        reached: None,
        listener: LISTENER.into(),
        side: Side::Broker,
        protocol: config::SecurityProtocol::Plaintext,
        address: ([127, 0, 0, 1], 50_001).into(),
        principal: Principal::anonymous(),
        by_token: false,
        forwarded: false,
        share_sessions: Arc::default(),
        muted: Arc::default(),
    }
}

pub(super) fn call(version: i16) -> Call {
    Call { api: "Test", version, client_id: Some("test".into()), peer: Arc::new(peer()), authorizer: None }
}

/// A call by `User:<name>` of a cluster with an authorizer whose super user is `root`. There are no entries.
pub(super) fn call_of(name: &str, version: i16) -> Call {
    call_with(name, version, &[])
}

/// As [`call_of`], with these entries (`access::testing::acl`).
pub(super) fn call_with(name: &str, version: i16, acls: &[&str]) -> Call {
    let authorizer = access::testing::authorizer(acls.iter().map(|text| access::testing::acl(text)), false);
    let peer = Peer { principal: Principal::user(name), ..peer() };
    Call { peer: Arc::new(peer), authorizer: Some(Arc::new(authorizer)), ..call(version) }
}

/// The image of [`image`], with these entries.
pub(super) fn with_acls(acls: &[&str]) -> Image {
    Image { acls: access::testing::image(acls.iter().map(|text| access::testing::acl(text))).acls.clone(), ..image() }
}

/// Has the controller create these entries.
pub(super) async fn create_acls(controller: &Service, acls: &[&str]) {
    let wanted = |text: &&str| {
        let acl = access::testing::acl(text);
        AclRequest {
            resource: Asked::Is(acl.resource),
            name: acl.name.to_string(),
            pattern: AskedPattern::Is(acl.pattern),
            principal: acl.principal.to_string(),
            host: acl.host.to_string(),
            operation: Asked::Is(acl.operation),
            permission: Asked::Is(acl.permission),
        }
    };
    let created = controller.create_acls(acls.iter().map(wanted).collect()).await;
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

/// A broker without any configuration.
pub(super) fn config() -> Arc<config::Live> {
    Arc::new(config::Live::new(config::BrokerConfig::new(config::Values::new()).unwrap()))
}

/// The controller of a cluster of one broker, number 1, on a disk of its own.
pub(super) fn controller() -> Arc<Service> {
    let broker = broker(1, &[LISTENER]);
    let start = controller::Start {
        fs: SimFs::new().shared(),
        dir: "/data".into(),
        settings: quorum::Settings::default(),
        registration: controller::Registration {
            broker: broker.id,
            cluster_id: "cluster".into(),
            incarnation: broker.incarnation,
            listeners: broker.endpoints.into_iter().map(listener).collect(),
            features: controller::supported_features(),
            rack: broker.rack,
            log_dirs: broker.directories.iter().map(|directory| directory.0).collect(),
            previous_broker_epoch: -1,
        },
        session_timeout: Duration::from_secs(9),
        defaults: controller::Defaults {
            node: broker.id,
            partitions: 2,
            replication_factor: 1,
            min_insync_replicas: 1,
            unclean_leader_election: false,
        },
        rules: Arc::new(ConfigRules::new(config())),
        clean: true,
        founding: quorum::Founding::Durable,
    };
    Arc::new(controller::start(start, Arc::default()).unwrap())
}

fn listener(endpoint: Endpoint) -> controller::RegisteredListener {
    let Endpoint { name, host, port, security_protocol } = endpoint;
    controller::RegisteredListener { name, host, port, security_protocol }
}

/// What broker 1 asks this controller with.
pub(super) fn client(controller: &Arc<Service>) -> Arc<Client> {
    let client = unregistered(controller);
    let epoch = controller.store().load().brokers[&NodeId(1)].epoch;
    client.set_broker_epoch(Some(epoch));
    client
}

/// What a broker asks with that the controller does not know.
pub(super) fn unregistered_client() -> Arc<Client> {
    unregistered(&controller())
}

fn unregistered(controller: &Arc<Service>) -> Arc<Client> {
    Arc::new(Client::new(Service::clone(controller), pool, Duration::from_secs(1)))
}

/// Links to brokers that nobody finds.
pub(super) fn pool() -> Pool {
    let peers = config().load().settings().peers.clone();
    Pool::new(LinkSettings::plaintext(peers, "test".into()), Arc::new(|_| None))
}

/// As [`controller`], with topics of two partitions.
pub(super) async fn controller_with_topics(names: &[&str]) -> Arc<Service> {
    let controller = controller();
    let topic = |name: &&str| controller::NewTopic {
        name: TopicName::new(name),
        partitions: -1,
        replication_factor: -1,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    let request = controller::CreateTopics { topics: names.iter().map(topic).collect(), validate_only: false };
    assert!(controller.create_topics(request).await.iter().all(Result::is_ok));
    controller
}

/// The response as bytes; fails the test if the version has no form for it, or if it does not read back.
pub(super) fn encoded<R: Encodable + Decodable>(version: i16, response: &R) -> Bytes {
    let mut bytes = BytesMut::new();
    response.encode(&mut bytes, version).unwrap_or_else(|error| panic!("v{version} cannot be encoded: {error}"));
    let bytes = bytes.freeze();
    let mut rest = bytes.clone();
    R::decode(&mut rest, version).unwrap_or_else(|error| panic!("v{version} cannot be read back: {error}"));
    assert!(rest.is_empty(), "v{version} leaves {} bytes", rest.len());
    bytes
}

pub(super) fn nodes(ids: &[i32]) -> crate::metadata::Replicas {
    ids.iter().copied().map(NodeId).collect()
}

pub(super) fn broker(id: i32, listeners: &[&str]) -> BrokerImage {
    let endpoint = |name: &&str| Endpoint {
        name: (*name).into(),
        host: format!("{}.{id}.example", name.to_lowercase()),
        port: 9092,
        security_protocol: 0,
    };
    BrokerImage {
        id: NodeId(id),
        epoch: 10,
        incarnation: Uuid::from_u128(1),
        endpoints: listeners.iter().map(endpoint).collect(),
        features: BTreeMap::from([("kraft.version".into(), (0, 1)), ("metadata.version".into(), (7, 30))]),
        rack: Some(format!("rack-{id}")),
        fenced: false,
        in_controlled_shutdown: false,
        directories: vec![directory(id)],
        cordoned: None,
    }
}

fn directory(broker: i32) -> DirectoryId {
    DirectoryId(Uuid::from_u128(1000 + u128::try_from(broker).unwrap()))
}

pub(super) fn partition(replicas: &[i32], leader: i32) -> PartitionImage {
    PartitionImage {
        replicas: nodes(replicas),
        isr: nodes(replicas),
        leader: Some(NodeId(leader)),
        leader_epoch: LeaderEpoch(4),
        partition_epoch: 5,
        directories: replicas.iter().map(|id| directory(*id)).collect(),
        adding: nodes(&[]),
        removing: nodes(&[]),
        elr: nodes(&[]),
        last_known_elr: nodes(&[]),
        recovering: false,
    }
}

pub(super) fn topic_id(name: &str) -> TopicId {
    TopicId(Uuid::from_u128(name.bytes().fold(1, |id, byte| id.rotate_left(8) ^ u128::from(byte))))
}

pub(super) fn add_topic(image: &mut Image, name: &str, partitions: Vec<PartitionImage>) {
    let topic = Arc::new(TopicImage {
        id: topic_id(name),
        name: TopicName::new(name),
        partitions: partitions.into_iter().map(Arc::new).collect(),
    });
    image.topics_by_name.insert(topic.name.clone(), Arc::clone(&topic));
    image.topics_by_id.insert(topic.id, topic);
}

/// Brokers 1 (which also has the listener INTERNAL), 2 and 3 (fenced); topics `a` with one partition and `b` with three.
pub(super) fn image() -> Image {
    let mut image = Image { offset: Offset(42), ..Image::default() };
    let mut fenced = broker(3, &[LISTENER]);
    fenced.fenced = true;
    for broker in [broker(1, &[LISTENER, "INTERNAL"]), broker(2, &[LISTENER]), fenced] {
        image.brokers.insert(broker.id, Arc::new(broker));
    }
    image.features = BTreeMap::from([("metadata.version".into(), 30), ("group.version".into(), 1)]);
    add_topic(&mut image, "a", vec![partition(&[1], 1)]);
    add_topic(&mut image, "b", vec![partition(&[1, 2], 1), partition(&[2, 1], 2), partition(&[1, 3], 1)]);
    image
}
