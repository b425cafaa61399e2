//! What the cluster is at one offset of its log: topics, configs, brokers, features, producer ids, users with their
//! quotas, and what they may do.
//!
//! Immutable. [`SortedMap`]s and `Arc`s keep a copy cheap: a new image shares with the old one
//! everything that the records between them did not touch.

use super::acls::Acls;
use super::record::Opaque;
use super::security::{DelegationToken, QuotaEntity, Quotas, UserCredentials};
use super::sorted::SortedMap;
use crate::model::{
    LeaderEpoch, NodeId, Offset, PartitionId, ProducerId, ScramCredential, ScramMechanism, TopicId, TopicName,
};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// Broker ids of a partition. Up to four lie inline.
pub type Replicas = SmallVec<[NodeId; 4]>;

/// The id of a broker's log directory (KIP-858).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub Uuid);

impl DirectoryId {
    /// The broker has not chosen a directory yet.
    pub const UNASSIGNED: DirectoryId = DirectoryId(Uuid::from_u128(1));
    /// The directory is offline and which one it was is not known.
    pub const LOST: DirectoryId = DirectoryId(Uuid::from_u128(2));
    /// From before directories had ids.
    pub const MIGRATING: DirectoryId = DirectoryId(Uuid::from_u128(0));
}

impl fmt::Debug for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The same 22 characters as a topic's id.
        fmt::Display::fmt(&TopicId(self.0), f)
    }
}

/// What a set of dynamic configs belongs to. The numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceType {
    Topic = 2,
    /// A broker by its id, or, with the empty name, the default of all brokers.
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

impl ResourceType {
    #[must_use]
    pub fn from_code(code: i8) -> Option<ResourceType> {
        match code {
            2 => Some(ResourceType::Topic),
            4 => Some(ResourceType::Broker),
            8 => Some(ResourceType::BrokerLogger),
            16 => Some(ResourceType::ClientMetrics),
            32 => Some(ResourceType::Group),
            _ => None,
        }
    }

    #[must_use]
    pub fn code(self) -> i8 {
        self as i8
    }

    /// Kafka's name, as its messages show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ResourceType::Topic => "TOPIC",
            ResourceType::Broker => "BROKER",
            ResourceType::BrokerLogger => "BROKER_LOGGER",
            ResourceType::ClientMetrics => "CLIENT_METRICS",
            ResourceType::Group => "GROUP",
        }
    }
}

/// The owner of a set of dynamic configs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub kind: ResourceType,
    pub name: String,
}

impl ConfigResource {
    #[must_use]
    pub fn new(kind: ResourceType, name: impl Into<String>) -> ConfigResource {
        ConfigResource { kind, name: name.into() }
    }

    #[must_use]
    pub fn topic(name: &TopicName) -> ConfigResource {
        ConfigResource::new(ResourceType::Topic, name.as_str())
    }

    #[must_use]
    pub fn broker(id: NodeId) -> ConfigResource {
        ConfigResource::new(ResourceType::Broker, id.0.to_string())
    }

    /// The defaults of all brokers (`--entity-default`).
    #[must_use]
    pub fn cluster_default() -> ConfigResource {
        ConfigResource::new(ResourceType::Broker, "")
    }
}

/// A partition as the cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// In order of preference.
    pub replicas: Replicas,
    pub isr: Replicas,
    /// `None`: no leader now.
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    /// Rises with every change of the partition.
    pub partition_epoch: i32,
    /// One per replica, in the order of `replicas`.
    pub directories: SmallVec<[DirectoryId; 1]>,
    pub adding: Replicas,
    pub removing: Replicas,
    /// Eligible leader replicas (KIP-966).
    pub elr: Replicas,
    pub last_known_elr: Replicas,
    /// The leader came from outside the ISR and has not recovered yet.
    pub recovering: bool,
}

/// A topic and its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    pub id: TopicId,
    pub name: TopicName,
    /// By partition number: there are no gaps.
    pub partitions: Vec<Arc<PartitionImage>>,
}

impl TopicImage {
    #[must_use]
    pub fn partition(&self, id: PartitionId) -> Option<&Arc<PartitionImage>> {
        self.partitions.get(usize::try_from(id.0).ok()?)
    }

    /// Partitions with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (PartitionId, &Arc<PartitionImage>)> {
        (0..).map(PartitionId).zip(&self.partitions)
    }
}

/// An address of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name.
    pub name: String,
    pub host: String,
    pub port: u16,
    /// `SecurityProtocol`: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerImage {
    pub id: NodeId,
    /// The offset of its registration in the metadata log.
    pub epoch: i64,
    /// One per start of its process.
    pub incarnation: Uuid,
    pub endpoints: Vec<Endpoint>,
    /// Supported levels, from and to, by feature.
    pub features: BTreeMap<String, (i16, i16)>,
    pub rack: Option<String>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub directories: Vec<DirectoryId>,
    /// Directories that take no new partitions; `None` until the broker says.
    pub cordoned: Option<Vec<DirectoryId>>,
}

impl BrokerImage {
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.name == listener)
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The last record this image holds; `Offset::NONE` before the first.
    pub offset: Offset,
    /// The epoch of the quorum's leader that wrote it.
    pub epoch: i32,
    pub topics_by_name: SortedMap<TopicName, Arc<TopicImage>>,
    pub topics_by_id: SortedMap<TopicId, Arc<TopicImage>>,
    pub configs: SortedMap<ConfigResource, Arc<BTreeMap<String, String>>>,
    pub brokers: BTreeMap<NodeId, Arc<BrokerImage>>,
    /// Finalized levels, `metadata.version` among them. A feature at level 0 is not listed.
    pub features: BTreeMap<String, i16>,
    /// The first producer id not handed out yet.
    pub next_producer_id: ProducerId,
    pub acls: Acls,
    /// By user name.
    pub scram: SortedMap<String, Arc<UserCredentials>>,
    pub quotas: SortedMap<QuotaEntity, Arc<Quotas>>,
    /// By token id; expired ones too, until the controller removes them.
    pub tokens: SortedMap<String, Arc<DelegationToken>>,
    /// Records of types that nothing acts on yet, in order, so that snapshots keep them.
    pub kept: Arc<Vec<Opaque>>,
}

impl Default for Image {
    fn default() -> Image {
        Image {
            offset: Offset::NONE,
            epoch: 0,
            topics_by_name: SortedMap::default(),
            topics_by_id: SortedMap::default(),
            configs: SortedMap::default(),
            brokers: BTreeMap::new(),
            features: BTreeMap::new(),
            next_producer_id: ProducerId(0),
            acls: Acls::default(),
            scram: SortedMap::default(),
            quotas: SortedMap::default(),
            tokens: SortedMap::default(),
            kept: Arc::default(),
        }
    }
}

impl Image {
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics_by_name.get(name)
    }

    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics_by_id.get(&id)
    }

    /// The dynamic configs set for a resource; empty when none are.
    #[must_use]
    pub fn config(&self, resource: &ConfigResource) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.configs.get(resource).map_or(&NONE, |set| set)
    }

    /// What a login of `user` in `mechanism` is checked against.
    #[must_use]
    pub fn scram_credential(&self, mechanism: ScramMechanism, user: &str) -> Option<&ScramCredential> {
        self.scram.get(user)?.get(&mechanism)
    }

    /// The finalized level of a feature; 0 when it is off.
    #[must_use]
    pub fn feature(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }
}
