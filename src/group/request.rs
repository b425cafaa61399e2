//! What can be asked of a group's coordinator, and what it answers. Translated from and to the wire by `api/`.
//!
//! Topics that the client named by id come with their name, and the other way round, where the metadata knows them.

use crate::model::{
    ErrorCode, Generation, GroupEpoch, GroupId, InstanceId, LeaderEpoch, MemberId, Offset, PartitionId, ProducerEpoch,
    ProducerId, TopicId, TopicName,
};
use bytes::Bytes;
use std::collections::BTreeMap;

mod share;

pub use share::*;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Client {
    /// `client.id`
    pub id: String,
    /// As Kafka shows it: `/127.0.0.1`.
    pub host: String,
}

#[derive(Clone, Debug)]
pub enum Request {
    Join(Join),
    Sync(Sync),
    Heartbeat(Heartbeat),
    Leave(Leave),
    ConsumerHeartbeat(ConsumerHeartbeat),
    Commit(Commit),
    /// TxnOffsetCommit; answered as OffsetCommit.
    TxnCommit(ProducerId, ProducerEpoch, Commit),
    FetchOffsets(FetchOffsets),
    DeleteOffsets(DeleteOffsets),
    DeleteGroup {
        group: GroupId,
        /// What share coordinators keep of a share group is deleted already.
        state_is_deleted: bool,
    },
    Describe(GroupId),
    DescribeConsumer(GroupId),
    List(List),
    Share(ShareRequest),
}

#[derive(Clone, Debug)]
pub enum Reply {
    Join(Joined),
    Sync(Synced),
    Heartbeat(ErrorCode),
    Leave(Left),
    ConsumerHeartbeat(Result<ConsumerHeartbeaten, Refusal>),
    Commit(Committed),
    FetchOffsets(FetchedOffsets),
    DeleteOffsets(DeletedOffsets),
    DeleteGroup(ErrorCode),
    Describe(Result<DescribedClassic, Refusal>),
    DescribeConsumer(Result<DescribedConsumer, Refusal>),
    List(Vec<Listed>),
    Share(ShareReply),
}

/// An error with Kafka's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: Option<String>,
}

impl Refusal {
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal { code, message: None }
    }
}

/// A protocol that a classic member supports, with its metadata, which passes through untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: String,
    pub metadata: Bytes,
}

/// JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    pub version: i16,
    pub client: Client,
    pub group: GroupId,
    pub session_timeout_ms: i32,
    /// The session timeout below version 1.
    pub rebalance_timeout_ms: i32,
    /// Empty: the member has none yet.
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub protocol_type: String,
    /// In order of preference.
    pub protocols: Vec<Protocol>,
    pub reason: Option<String>,
}

/// The answer to JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub error: ErrorCode,
    pub generation: Generation,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    /// Empty: there is none.
    pub leader: String,
    pub skip_assignment: bool,
    pub member: MemberId,
    /// For the leader only.
    pub members: Vec<JoinedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub metadata: Bytes,
}

impl Joined {
    /// `JoinGroupRequest.UNKNOWN_*`: what an error carries besides its code.
    #[must_use]
    pub fn refused(member: MemberId, error: ErrorCode) -> Joined {
        Joined {
            error,
            generation: Generation::NONE,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            member,
            members: Vec::new(),
        }
    }
}

/// SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    pub version: i16,
    pub group: GroupId,
    pub generation: Generation,
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// The answer to SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    pub error: ErrorCode,
    pub protocol_type: Option<String>,
    pub protocol_name: Option<String>,
    pub assignment: Bytes,
}

impl From<ErrorCode> for Synced {
    fn from(error: ErrorCode) -> Synced {
        Synced { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() }
    }
}

/// Heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    pub group: GroupId,
    pub generation: Generation,
    pub member: MemberId,
    pub instance: Option<InstanceId>,
}

/// LeaveGroup; below version 3 with one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    pub version: i16,
    pub group: GroupId,
    pub members: Vec<Leaver>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaver {
    /// Empty: whoever has the instance id.
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub reason: Option<String>,
}

/// The answer to LeaveGroup. Below version 3 the API gives the only member's error as the response's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub error: ErrorCode,
    pub members: Vec<(MemberId, Option<InstanceId>, ErrorCode)>,
}

/// Partitions by topic.
pub type Assignment = BTreeMap<TopicId, Vec<PartitionId>>;

/// ConsumerGroupHeartbeat. `None` where the field is null: "as before".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    pub version: i16,
    pub client: Client,
    pub group: GroupId,
    pub member: MemberId,
    pub epoch: GroupEpoch,
    pub instance: Option<InstanceId>,
    pub rack: Option<String>,
    /// -1: as before.
    pub rebalance_timeout_ms: i32,
    pub topics: Option<Vec<TopicName>>,
    pub regex: Option<String>,
    pub assignor: Option<String>,
    pub owned: Option<Assignment>,
}

/// The answer to ConsumerGroupHeartbeat and ShareGroupHeartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeaten {
    pub member: MemberId,
    pub epoch: GroupEpoch,
    pub heartbeat_interval_ms: i32,
    /// `None`: as before.
    pub assignment: Option<Assignment>,
}

/// OffsetCommit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub version: i16,
    pub group: GroupId,
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    /// A generation, or the epoch of a member of a consumer group.
    pub generation_or_epoch: i32,
    /// Versions 2 to 4; -1: the broker's setting.
    pub retention_ms: i64,
    pub offsets: Vec<CommitOffset>,
}

impl Commit {
    /// Neither a generation, nor a member, nor an instance.
    #[must_use]
    pub fn says_nothing_of_a_member(&self) -> bool {
        self.generation_or_epoch == Generation::NONE.0 && self.member.is_empty() && self.instance.is_none()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitOffset {
    pub topic: TopicName,
    /// Zero if the client did not say.
    pub topic_id: TopicId,
    pub partition: PartitionId,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Option<String>,
}

/// The answer to OffsetCommit: an error for each offset, in the request's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed(pub Vec<ErrorCode>);

/// OffsetFetch, of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOffsets {
    pub version: i16,
    pub group: GroupId,
    /// `None` below version 9, or null.
    pub member: Option<MemberId>,
    /// -1: not a member.
    pub epoch: i32,
    /// `None`: all that there are.
    pub topics: Option<Vec<FetchOffsetsTopic>>,
    pub require_stable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOffsetsTopic {
    pub topic: TopicName,
    /// Zero if the client did not say.
    pub topic_id: TopicId,
    pub partitions: Vec<PartitionId>,
}

/// The answer to OffsetFetch, for one group. With an error there are no topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffsets {
    pub error: ErrorCode,
    pub topics: Vec<FetchedTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    pub topic: TopicName,
    pub topic_id: TopicId,
    pub partitions: Vec<FetchedOffset>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    pub partition: PartitionId,
    pub error: ErrorCode,
    /// -1: none is committed.
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: String,
}

/// OffsetDelete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsets {
    pub group: GroupId,
    pub partitions: Vec<(TopicName, PartitionId)>,
}

/// The answer to OffsetDelete: an error for the group, or one for each partition in the request's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedOffsets {
    pub error: ErrorCode,
    pub partitions: Vec<ErrorCode>,
}

/// ListGroups. Empty filters let everything through; they are compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct List {
    pub states: Vec<String>,
    pub types: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub group: GroupId,
    pub protocol_type: String,
    pub state: &'static str,
    /// `classic`, `consumer` or `share`
    pub kind: &'static str,
}

/// DescribeGroups, one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedClassic {
    pub state: &'static str,
    pub protocol_type: String,
    /// Empty unless the group is stable.
    pub protocol: String,
    pub members: Vec<DescribedClassicMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedClassicMember {
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub client: Client,
    pub metadata: Bytes,
    pub assignment: Bytes,
}

/// ConsumerGroupDescribe, one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumer {
    pub state: &'static str,
    pub group_epoch: GroupEpoch,
    pub assignment_epoch: GroupEpoch,
    pub assignor: String,
    pub members: Vec<DescribedConsumerMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumerMember {
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub rack: Option<String>,
    pub epoch: GroupEpoch,
    pub client: Client,
    pub topics: Vec<TopicName>,
    pub regex: Option<String>,
    /// Topics that are gone are left out; the API adds the names.
    pub assignment: Assignment,
    pub target: Assignment,
    /// It speaks the classic protocol.
    pub classic: bool,
}
