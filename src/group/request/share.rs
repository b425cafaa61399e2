//! What only share groups are asked (KIP-932).

use super::{Assignment, Client, ConsumerHeartbeaten, Refusal};
use crate::model::{ErrorCode, GroupEpoch, GroupId, MemberId, Offset, PartitionId, TopicId, TopicName};
use crate::share::persister::{SharedPartition, StateEpoch};

#[derive(Clone, Debug)]
pub enum ShareRequest {
    Heartbeat(ShareHeartbeat),
    Describe(GroupId),
    /// The state of these partitions was initialised, or (`done` false) it was not.
    Settled {
        group: GroupId,
        partitions: Vec<SharedPartition>,
        done: bool,
    },
    /// Which partitions have state?
    Partitions(GroupId),
    AlterOffsets(AlterShareOffsets),
    DeleteOffsets {
        group: GroupId,
        topics: Vec<TopicName>,
    },
    /// The state of these topics is deleted.
    OffsetsDeleted {
        group: GroupId,
        topics: Vec<TopicId>,
    },
}

#[derive(Clone, Debug)]
pub enum ShareReply {
    Heartbeat(Result<ConsumerHeartbeaten, Refusal>),
    Describe(Result<DescribedShare, Refusal>),
    Noted(Result<(), ErrorCode>),
    Partitions(Vec<SharedPartition>),
    AlterOffsets(Result<AlteringShareOffsets, Refusal>),
    DeleteOffsets(Result<DeletingShareOffsets, Refusal>),
    /// To a request to delete the group: the state of these partitions has to be deleted first.
    DeleteState(Vec<SharedPartition>),
}

/// ShareGroupHeartbeat. `None` where the field is null: "as before".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareHeartbeat {
    pub client: Client,
    pub group: GroupId,
    pub member: MemberId,
    pub epoch: GroupEpoch,
    pub rack: Option<String>,
    pub topics: Option<Vec<TopicName>>,
}

/// ShareGroupDescribe, one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedShare {
    pub state: &'static str,
    pub group_epoch: GroupEpoch,
    pub assignment_epoch: GroupEpoch,
    pub assignor: &'static str,
    pub members: Vec<DescribedShareMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedShareMember {
    pub member: MemberId,
    pub rack: Option<String>,
    pub epoch: GroupEpoch,
    pub client: Client,
    pub topics: Vec<TopicName>,
    /// Topics that are gone included; the API adds the names.
    pub assignment: Assignment,
}

/// AlterShareGroupOffsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterShareOffsets {
    pub group: GroupId,
    pub topics: Vec<(TopicName, Vec<(PartitionId, Offset)>)>,
}

/// What AlterShareGroupOffsets comes to, before the share coordinator was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlteringShareOffsets {
    pub topics: Vec<AlteredTopic>,
    /// To be initialised.
    pub to_initialize: Vec<(SharedPartition, StateEpoch, Option<Offset>)>,
}

/// The answer to AlterShareGroupOffsets, one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlteredTopic {
    pub name: TopicName,
    /// Zero: there is none of that name.
    pub id: TopicId,
    /// In the request's order.
    pub partitions: Vec<(PartitionId, Result<(), Refusal>)>,
}

/// What DeleteShareGroupOffsets comes to, before the share coordinator was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletingShareOffsets {
    pub refused: Vec<DeletedTopic>,
    pub topics: Vec<(TopicName, TopicId, Vec<PartitionId>)>,
}

/// The answer to DeleteShareGroupOffsets, one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    pub name: TopicName,
    pub id: TopicId,
    pub outcome: Result<(), Refusal>,
}

/// The answer to DescribeShareGroupOffsets, one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareOffset {
    pub partition: PartitionId,
    /// -1: nothing was delivered yet, or nobody knows.
    pub start: Offset,
    pub leader_epoch: i32,
    /// -1: not known.
    pub lag: i64,
    pub refused: Option<Refusal>,
}

/// The answer to DescribeShareGroupOffsets, one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareOffsets {
    pub name: TopicName,
    /// Zero: there is none of that name.
    pub id: TopicId,
    pub partitions: Vec<ShareOffset>,
}
