//! What the controller is asked and what it answers, in our own words: `api/` translates.

use crate::metadata::{ConfigResource, ResourceType};
use crate::model::{ErrorCode, NodeId, PartitionId, ProducerId, TopicId, TopicName};
use std::collections::BTreeMap;
use std::fmt;

/// What brokers ask of the controller is the same whether it is in another process or in this.
pub use crate::peer::controller::{
    Assignment, Heartbeat, IsrProposal, IsrVerdict, RegisteredListener, Registration, Standing,
};

/// An error as it travels in an answer: Kafka's code and, often, Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub code: ErrorCode,
    /// `None`: the code says it all.
    pub message: Option<String>,
}

impl ApiError {
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        ApiError { code, message: Some(message.into()) }
    }

    /// An error without a message of its own; Kafka then sends the code's standard text or none.
    #[must_use]
    pub fn bare(code: ErrorCode) -> ApiError {
        ApiError { code, message: None }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{}: {message}", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}

impl std::error::Error for ApiError {}

/// A CreateTopics request. Authorization has been decided; names may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopics {
    pub topics: Vec<NewTopic>,
    pub validate_only: bool,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub name: TopicName,
    /// `-1`: `num.partitions`.
    pub partitions: i32,
    /// `-1`: `default.replication.factor`.
    pub replication_factor: i16,
    /// Manual assignment: a partition and its replicas, in order of preference. Empty: automatic.
    pub assignments: Vec<(PartitionId, Vec<NodeId>)>,
    pub configs: Vec<(String, Option<String>)>,
}

/// A topic that was created, or would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    pub name: TopicName,
    pub id: TopicId,
    pub partitions: i32,
    pub replication_factor: i16,
    /// The topic's own configs; what is effective follows from these and the broker's.
    pub configs: BTreeMap<String, String>,
}

/// A topic by name or by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicSelector {
    Name(TopicName),
    Id(TopicId),
}

/// A topic that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    pub name: TopicName,
    pub id: TopicId,
}

/// A topic that is to have more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    pub topic: TopicName,
    /// How many there are to be in all.
    pub count: i32,
    /// Replicas of each partition that is added; `None`: automatic.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

/// What IncrementalAlterConfigs does to a key. The numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum AlterOp {
    Set = 0,
    Delete = 1,
    Append = 2,
    Subtract = 3,
}

impl AlterOp {
    #[must_use]
    pub fn from_code(code: i8) -> Option<AlterOp> {
        match code {
            0 => Some(AlterOp::Set),
            1 => Some(AlterOp::Delete),
            2 => Some(AlterOp::Append),
            3 => Some(AlterOp::Subtract),
            _ => None,
        }
    }
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    pub op: AlterOp,
    pub key: String,
    /// Not used by `Delete`.
    pub value: Option<String>,
}

/// A resource's whole set of configs, as AlterConfigs gives it. `None` is refused.
pub type ConfigSet = Vec<(String, Option<String>)>;

/// What `config/` knows about keys, handed in so that decisions stay pure.
pub trait ConfigRules: Send + Sync {
    /// Checks the whole set that a resource would have; `existing` is what it has now. The error is
    /// sent as it is (`INVALID_CONFIG` with Kafka's words, mostly).
    fn validate(
        &self,
        resource: &ConfigResource,
        configs: &BTreeMap<String, String>,
        existing: &BTreeMap<String, String>,
    ) -> Result<(), ApiError>;

    /// Whether the key holds a list, so that APPEND and SUBTRACT make sense.
    fn is_list(&self, kind: ResourceType, key: &str) -> bool;

    /// The value a topic's list key has while the topic does not set it: where APPEND starts from.
    fn default_value(&self, kind: ResourceType, key: &str) -> Option<String>;
}

/// How UpdateFeatures may change a level. The numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum UpgradeType {
    Unknown = 0,
    Upgrade = 1,
    SafeDowngrade = 2,
    UnsafeDowngrade = 3,
}

impl UpgradeType {
    /// A code Kafka does not know is [`UpgradeType::Unknown`].
    #[must_use]
    pub fn from_code(code: i8) -> UpgradeType {
        match code {
            1 => UpgradeType::Upgrade,
            2 => UpgradeType::SafeDowngrade,
            3 => UpgradeType::UnsafeDowngrade,
            _ => UpgradeType::Unknown,
        }
    }
}

/// A feature to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    pub name: String,
    /// 0 turns it off.
    pub level: i16,
    pub upgrade: UpgradeType,
}

/// Producer ids `first .. first + count`, never handed out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: ProducerId,
    pub count: i32,
}

/// What decisions take from the broker's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The node that decides.
    pub node: NodeId,
    /// `num.partitions`.
    pub partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
    /// `min.insync.replicas`, as the configuration file has it.
    pub min_insync_replicas: i32,
    /// `unclean.leader.election.enable`, as the configuration file has it.
    pub unclean_leader_election: bool,
}

/// How ElectLeaders chooses. The numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ElectionType {
    Preferred = 0,
    /// Of a partition without a leader: any replica, whether or not it has all that was committed.
    Unclean = 1,
}

impl ElectionType {
    #[must_use]
    pub fn from_code(code: i8) -> Option<ElectionType> {
        match code {
            0 => Some(ElectionType::Preferred),
            1 => Some(ElectionType::Unclean),
            _ => None,
        }
    }
}

/// Leaders to elect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectLeaders {
    pub election: ElectionType,
    /// By topic; `None`: all partitions of all topics.
    pub partitions: Option<Vec<(String, Vec<PartitionId>)>>,
}

/// What became of the election of one partition.
pub type Elected = (PartitionId, Result<(), ApiError>);

/// Replicas to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassign {
    pub partitions: Vec<Reassignment>,
    /// Whether there may be more or fewer replicas afterwards.
    pub may_change_factor: bool,
}

/// A partition whose replicas are to be others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    pub topic: String,
    pub partition: PartitionId,
    /// In order of preference. `None`: the move that is under way is taken back.
    pub replicas: Option<Vec<NodeId>>,
}
