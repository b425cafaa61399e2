//! The records of `__consumer_offsets`, in the formats of Kafka's group-coordinator module: what its
//! `OffsetsMessageFormatter`, `GroupMetadataMessageFormatter` and `kafka-dump-log --offsets-decoder` read.
//!
//! A key is its type as a short and the fields; a value its version as a short and the fields. Every version of 4.3 is read,
//! and what 4.3 writes is written: version 3 of a classic group, 4 of an offset (1 with a time at which it expires, which the
//! newer ones have no field for), 0 of the rest. What follows the fields is not looked at, as in Kafka. Streams groups'
//! records (types 17 to 23), and type 9, which only 4.0 wrote, are known and passed over.

mod decode;
mod encode;
mod share;

pub use share::{ShareCurrentValue, ShareMemberValue, ShareRecord, ShareStatesValue, SharedTopic};

use crate::model::{
    Generation, GroupEpoch, GroupId, InstanceId, LeaderEpoch, MemberId, Offset, PartitionId, TimestampMs, TopicId,
    TopicName,
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A record. A value of `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Types 0 and 1.
    Offset { group: GroupId, topic: TopicName, partition: PartitionId, value: Option<OffsetValue> },
    /// Type 2: a classic group.
    ClassicGroup { group: GroupId, value: Option<ClassicGroupValue> },
    /// Type 3: a consumer group and its epoch.
    Group { group: GroupId, value: Option<GroupValue> },
    /// Type 4, deprecated: only ever removed. Replay takes it as a sign that it has to be.
    PartitionMetadata { group: GroupId, present: bool },
    /// Type 5: a member, as it described itself.
    Member { group: GroupId, member: MemberId, value: Option<MemberValue> },
    /// Type 6: the epoch of the target assignment.
    Target { group: GroupId, value: Option<TargetValue> },
    /// Type 7: what a member is to have.
    TargetMember { group: GroupId, member: MemberId, value: Option<BTreeMap<TopicId, Vec<PartitionId>>> },
    /// Type 8: what a member has.
    Current { group: GroupId, member: MemberId, value: Option<CurrentValue> },
    /// Type 16: the topics that a regular expression matched.
    Regex { group: GroupId, regex: String, value: Option<RegexValue> },
    /// Types 10 to 15: a share group.
    Share { group: GroupId, of: ShareRecord },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetValue {
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: String,
    pub committed_at: TimestampMs,
    /// -1: the broker's setting decides.
    pub expires_at: TimestampMs,
    pub topic_id: TopicId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGroupValue {
    pub protocol_type: String,
    pub generation: Generation,
    pub protocol: Option<String>,
    pub leader: Option<MemberId>,
    pub state_since: TimestampMs,
    pub members: Vec<ClassicMemberValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMemberValue {
    pub member: MemberId,
    pub instance: Option<InstanceId>,
    pub client_id: String,
    pub client_host: String,
    /// -1: the session timeout.
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupValue {
    pub epoch: GroupEpoch,
    pub metadata_hash: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberValue {
    pub instance: Option<InstanceId>,
    pub rack: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub topics: Vec<TopicName>,
    pub regex: Option<String>,
    pub rebalance_timeout_ms: i32,
    pub assignor: Option<String>,
    /// The member speaks the classic protocol.
    pub classic: Option<ClassicValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicValue {
    pub session_timeout_ms: i32,
    pub protocols: Vec<(String, Bytes)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetValue {
    pub epoch: GroupEpoch,
    pub assigned_at: TimestampMs,
}

/// Where a member is on its way to its target (`MemberState`). The numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum MemberState {
    Stable = 0,
    UnrevokedPartitions = 1,
    UnreleasedPartitions = 2,
    Unknown = 127,
}

impl MemberState {
    fn read(number: i8) -> MemberState {
        match number {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}

/// Partitions of a topic, each with the epoch at which it was assigned.
pub type WithEpochs = BTreeMap<TopicId, BTreeMap<PartitionId, GroupEpoch>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentValue {
    pub epoch: GroupEpoch,
    pub previous_epoch: GroupEpoch,
    pub state: MemberState,
    /// Where no epoch is recorded, the member's.
    pub assigned: WithEpochs,
    pub pending_revocation: WithEpochs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexValue {
    pub topics: Vec<TopicName>,
    /// Offset of the metadata image that it was matched against.
    pub version: i64,
    pub at: TimestampMs,
}

/// Types of records, by Kafka's numbers (`CoordinatorRecordType`).
mod kind {
    pub(super) const LEGACY_OFFSET: i16 = 0;
    pub(super) const OFFSET: i16 = 1;
    pub(super) const CLASSIC_GROUP: i16 = 2;
    pub(super) const GROUP: i16 = 3;
    pub(super) const PARTITION_METADATA: i16 = 4;
    pub(super) const MEMBER: i16 = 5;
    pub(super) const TARGET: i16 = 6;
    pub(super) const TARGET_MEMBER: i16 = 7;
    pub(super) const CURRENT: i16 = 8;
    pub(super) const REGEX: i16 = 16;
}

#[cfg(test)]
mod tests;
