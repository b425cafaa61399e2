//! The records of share groups (types 10 to 15).

use super::decode::{Read, array, owned, target_member, topics};
use super::encode::{assignment, target, target_member as put_target_member};
use super::{GroupValue, MemberState, TargetValue};
use crate::coordinator::Fields;
use crate::group::request::Assignment;
use crate::model::{GroupEpoch, MemberId, PartitionId, TopicId, TopicName};
use crate::wire::reader::{Reader, Width};
use std::collections::{BTreeMap, BTreeSet};

/// What a record of a share group says. A value of `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShareRecord {
    /// Type 10: a member, as it described itself.
    Member { member: MemberId, value: Option<ShareMemberValue> },
    /// Type 11: the group and its epoch.
    Group(Option<GroupValue>),
    /// Type 12: the epoch of the target assignment.
    Target(Option<TargetValue>),
    /// Type 13: what a member is to have.
    TargetMember { member: MemberId, value: Option<Assignment> },
    /// Type 14: what a member has.
    Current { member: MemberId, value: Option<ShareCurrentValue> },
    /// Type 15: how far the state of the group's partitions is.
    States(Option<ShareStatesValue>),
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ShareMemberValue {
    pub rack: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub topics: Vec<TopicName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareCurrentValue {
    pub epoch: GroupEpoch,
    pub previous_epoch: GroupEpoch,
    pub state: MemberState,
    pub assigned: Assignment,
}

/// Partitions whose state a share coordinator keeps, or is to keep, or is to forget
/// (`ShareGroupStatePartitionMetadataValue`).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ShareStatesValue {
    pub initializing: BTreeMap<TopicId, SharedTopic>,
    pub initialized: BTreeMap<TopicId, SharedTopic>,
    pub deleting: BTreeMap<TopicId, TopicName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedTopic {
    pub name: TopicName,
    pub partitions: BTreeSet<PartitionId>,
}

/// Types, by Kafka's numbers (`CoordinatorRecordType`).
mod kind {
    pub(super) const MEMBER: i16 = 10;
    pub(super) const GROUP: i16 = 11;
    pub(super) const TARGET: i16 = 12;
    pub(super) const TARGET_MEMBER: i16 = 13;
    pub(super) const CURRENT: i16 = 14;
    pub(super) const STATES: i16 = 15;
}

pub(super) const KINDS: std::ops::RangeInclusive<i16> = kind::MEMBER..=kind::STATES;

impl ShareRecord {
    /// The type, and the member if the key has one.
    pub(super) fn key(&self) -> (i16, Option<&MemberId>) {
        match self {
            ShareRecord::Member { member, .. } => (kind::MEMBER, Some(member)),
            ShareRecord::Group(_) => (kind::GROUP, None),
            ShareRecord::Target(_) => (kind::TARGET, None),
            ShareRecord::TargetMember { member, .. } => (kind::TARGET_MEMBER, Some(member)),
            ShareRecord::Current { member, .. } => (kind::CURRENT, Some(member)),
            ShareRecord::States(_) => (kind::STATES, None),
        }
    }

    /// It removes nothing.
    #[must_use]
    pub fn is_present(&self) -> bool {
        match self {
            ShareRecord::Member { value, .. } => value.is_some(),
            ShareRecord::Group(value) => value.is_some(),
            ShareRecord::Target(value) => value.is_some(),
            ShareRecord::TargetMember { value, .. } => value.is_some(),
            ShareRecord::Current { value, .. } => value.is_some(),
            ShareRecord::States(value) => value.is_some(),
        }
    }

    pub(super) fn value(&self) -> Option<Vec<u8>> {
        match self {
            ShareRecord::Member { value, .. } => value.as_ref().map(|value| {
                let mut fields = Fields::flexible(0);
                fields.nullable(value.rack.as_deref());
                fields.string(&value.client_id);
                fields.string(&value.client_host);
                fields.topics(&value.topics);
                fields.tagged(None);
                fields.out
            }),
            ShareRecord::Group(value) => value.as_ref().map(|value| {
                let mut fields = Fields::flexible(0);
                fields.i32(value.epoch.0);
                fields.i64(value.metadata_hash);
                fields.tagged(None);
                fields.out
            }),
            ShareRecord::Target(value) => value.as_ref().map(target),
            ShareRecord::TargetMember { value, .. } => value.as_ref().map(put_target_member),
            ShareRecord::Current { value, .. } => value.as_ref().map(|value| {
                let mut fields = Fields::flexible(0);
                fields.i32(value.epoch.0);
                fields.i32(value.previous_epoch.0);
                fields.i8(value.state as i8);
                assignment(&mut fields, &value.assigned);
                fields.tagged(None);
                fields.out
            }),
            ShareRecord::States(value) => value.as_ref().map(|value| {
                let mut fields = Fields::flexible(0);
                for topics in [&value.initializing, &value.initialized] {
                    fields.count(topics.len());
                    for (id, topic) in topics {
                        fields.raw(id.0.as_bytes());
                        fields.string(topic.name.as_str());
                        fields.ints(topic.partitions.iter().map(|partition| partition.0));
                        fields.tagged(None);
                    }
                }
                fields.count(value.deleting.len());
                for (id, name) in &value.deleting {
                    fields.raw(id.0.as_bytes());
                    fields.string(name.as_str());
                    fields.tagged(None);
                }
                fields.tagged(None);
                fields.out
            }),
        }
    }

    /// `key`: what follows the group's id.
    pub(super) fn decode(kind: i16, key: &mut Reader<'_>, value: Option<&mut Reader<'_>>) -> Read<ShareRecord> {
        Ok(match kind {
            kind::GROUP => ShareRecord::Group(value.map(group).transpose()?),
            kind::TARGET => ShareRecord::Target(value.map(super::decode::target).transpose()?),
            kind::STATES => ShareRecord::States(value.map(states).transpose()?),
            _ => {
                let id = MemberId::new(key.str(Width::Short)?);
                match kind {
                    kind::MEMBER => ShareRecord::Member { member: id, value: value.map(member).transpose()? },
                    kind::TARGET_MEMBER => {
                        ShareRecord::TargetMember { member: id, value: value.map(target_member).transpose()? }
                    }
                    _ => ShareRecord::Current { member: id, value: value.map(current).transpose()? },
                }
            }
        })
    }
}

fn group(r: &mut Reader<'_>) -> Read<GroupValue> {
    let value = GroupValue { epoch: GroupEpoch(r.i32()?), metadata_hash: r.i64()? };
    r.skip_tags()?;
    Ok(value)
}

fn member(r: &mut Reader<'_>) -> Read<ShareMemberValue> {
    const STRING: Width = Width::CompactString;
    let value = ShareMemberValue {
        rack: owned(r.nullable_str(STRING)?),
        client_id: r.str(STRING)?.to_owned(),
        client_host: r.str(STRING)?.to_owned(),
        topics: topics(r)?,
    };
    r.skip_tags()?;
    Ok(value)
}

fn current(r: &mut Reader<'_>) -> Read<ShareCurrentValue> {
    let epoch = GroupEpoch(r.i32()?);
    let previous_epoch = GroupEpoch(r.i32()?);
    let state = MemberState::read(r.i8()?);
    Ok(ShareCurrentValue { epoch, previous_epoch, state, assigned: target_member(r)? })
}

fn states(r: &mut Reader<'_>) -> Read<ShareStatesValue> {
    let shared = |r: &mut Reader<'_>| {
        let topics = array(r, true, 19, |r| {
            let id = TopicId(r.uuid()?);
            let name = TopicName::new(r.str(Width::CompactString)?);
            let partitions = array(r, true, 4, |r| r.i32().map(PartitionId))?.into_iter().collect();
            r.skip_tags()?;
            Ok((id, SharedTopic { name, partitions }))
        })?;
        Ok(topics.into_iter().collect())
    };
    let initializing = shared(r)?;
    let initialized = shared(r)?;
    let deleting = array(r, true, 18, |r| {
        let topic = (TopicId(r.uuid()?), TopicName::new(r.str(Width::CompactString)?));
        r.skip_tags()?;
        Ok(topic)
    })?;
    r.skip_tags()?;
    Ok(ShareStatesValue { initializing, initialized, deleting: deleting.into_iter().collect() })
}

#[cfg(test)]
mod tests;
