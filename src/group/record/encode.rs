//! Records into bytes.

use super::{
    ClassicGroupValue, CurrentValue, MemberValue, OffsetValue, Record, RegexValue, TargetValue, WithEpochs, kind,
};
use crate::coordinator::{Fields, Written};
use crate::group::request::Assignment;
use crate::model::TimestampMs;

impl Record {
    /// The record as 4.3 writes it.
    #[must_use]
    pub fn encode(&self) -> Written {
        Written { key: self.key(), value: self.value() }
    }

    fn key(&self) -> Vec<u8> {
        match self {
            Record::Offset { group, topic, partition, .. } => {
                let mut key = Fields::key(kind::OFFSET, &[group.as_str(), topic.as_str()]);
                key.i32(partition.0);
                key.out
            }
            Record::ClassicGroup { group, .. } => Fields::key(kind::CLASSIC_GROUP, &[group.as_str()]).out,
            Record::Group { group, .. } => Fields::key(kind::GROUP, &[group.as_str()]).out,
            Record::PartitionMetadata { group, .. } => Fields::key(kind::PARTITION_METADATA, &[group.as_str()]).out,
            Record::Member { group, member, .. } => Fields::key(kind::MEMBER, &[group.as_str(), member.as_str()]).out,
            Record::Target { group, .. } => Fields::key(kind::TARGET, &[group.as_str()]).out,
            Record::TargetMember { group, member, .. } => {
                Fields::key(kind::TARGET_MEMBER, &[group.as_str(), member.as_str()]).out
            }
            Record::Current { group, member, .. } => Fields::key(kind::CURRENT, &[group.as_str(), member.as_str()]).out,
            Record::Regex { group, regex, .. } => Fields::key(kind::REGEX, &[group.as_str(), regex]).out,
            Record::Share { group, of } => match of.key() {
                (kind, None) => Fields::key(kind, &[group.as_str()]).out,
                (kind, Some(member)) => Fields::key(kind, &[group.as_str(), member.as_str()]).out,
            },
        }
    }

    fn value(&self) -> Option<Vec<u8>> {
        match self {
            Record::Offset { value, .. } => value.as_ref().map(offset),
            Record::ClassicGroup { value, .. } => value.as_ref().map(classic_group),
            Record::Group { value, .. } => value.as_ref().map(|value| {
                let mut fields = Fields::flexible(0);
                fields.i32(value.epoch.0);
                fields.tagged((value.metadata_hash != 0).then(|| value.metadata_hash.to_be_bytes().to_vec()));
                fields.out
            }),
            // Nobody writes one any more; a group that has one is the same with an empty one.
            Record::PartitionMetadata { present, .. } => present.then(|| {
                let mut fields = Fields::flexible(0);
                fields.count(0);
                fields.tagged(None);
                fields.out
            }),
            Record::Member { value, .. } => value.as_ref().map(member),
            Record::Target { value, .. } => value.as_ref().map(target),
            Record::TargetMember { value, .. } => value.as_ref().map(target_member),
            Record::Current { value, .. } => value.as_ref().map(current),
            Record::Regex { value, .. } => value.as_ref().map(regex),
            Record::Share { of, .. } => of.value(),
        }
    }
}

fn offset(value: &OffsetValue) -> Vec<u8> {
    let OffsetValue { offset, leader_epoch, metadata, committed_at, expires_at, topic_id } = value;
    // Only version 1 knows a time at which an offset expires, and nothing of epochs and ids.
    if *expires_at != TimestampMs::NONE {
        let mut fields = Fields::plain(1);
        fields.i64(offset.0);
        fields.string(metadata);
        fields.i64(committed_at.0);
        fields.i64(expires_at.0);
        return fields.out;
    }
    let mut fields = Fields::flexible(4);
    fields.i64(offset.0);
    fields.i32(leader_epoch.0);
    fields.string(metadata);
    fields.i64(committed_at.0);
    fields.tagged((!topic_id.is_zero()).then(|| topic_id.0.as_bytes().to_vec()));
    fields.out
}

fn classic_group(value: &ClassicGroupValue) -> Vec<u8> {
    let mut fields = Fields::plain(3);
    fields.string(&value.protocol_type);
    fields.i32(value.generation.0);
    fields.nullable(value.protocol.as_deref());
    fields.nullable(value.leader.as_ref().map(|leader| leader.as_str()));
    fields.i64(value.state_since.0);
    fields.count(value.members.len());
    for member in &value.members {
        fields.string(member.member.as_str());
        fields.nullable(member.instance.as_ref().map(|instance| instance.as_str()));
        fields.string(&member.client_id);
        fields.string(&member.client_host);
        fields.i32(member.rebalance_timeout_ms);
        fields.i32(member.session_timeout_ms);
        fields.bytes(&member.subscription);
        fields.bytes(&member.assignment);
    }
    fields.out
}

fn member(value: &MemberValue) -> Vec<u8> {
    let mut fields = Fields::flexible(0);
    fields.nullable(value.instance.as_ref().map(|instance| instance.as_str()));
    fields.nullable(value.rack.as_deref());
    fields.string(&value.client_id);
    fields.string(&value.client_host);
    fields.topics(&value.topics);
    fields.nullable(value.regex.as_deref());
    fields.i32(value.rebalance_timeout_ms);
    fields.nullable(value.assignor.as_deref());
    fields.tagged(value.classic.as_ref().map(|classic| {
        let mut inner = Fields::nested();
        // A struct that may be null says first whether it is.
        inner.out.push(1);
        inner.i32(classic.session_timeout_ms);
        inner.count(classic.protocols.len());
        for (name, metadata) in &classic.protocols {
            inner.string(name);
            inner.bytes(metadata);
            inner.tagged(None);
        }
        inner.tagged(None);
        inner.out
    }));
    fields.out
}

pub(super) fn target(value: &TargetValue) -> Vec<u8> {
    let mut fields = Fields::flexible(0);
    fields.i32(value.epoch.0);
    let at = value.assigned_at;
    fields.tagged((at != TimestampMs(0)).then(|| at.0.to_be_bytes().to_vec()));
    fields.out
}

pub(super) fn target_member(value: &Assignment) -> Vec<u8> {
    let mut fields = Fields::flexible(0);
    assignment(&mut fields, value);
    fields.tagged(None);
    fields.out
}

fn current(value: &CurrentValue) -> Vec<u8> {
    let mut fields = Fields::flexible(0);
    fields.i32(value.epoch.0);
    fields.i32(value.previous_epoch.0);
    fields.out.push(value.state as i8 as u8);
    with_epochs(&mut fields, &value.assigned);
    with_epochs(&mut fields, &value.pending_revocation);
    fields.tagged(None);
    fields.out
}

fn regex(value: &RegexValue) -> Vec<u8> {
    let mut fields = Fields::flexible(0);
    fields.topics(&value.topics);
    fields.i64(value.version);
    fields.i64(value.at.0);
    fields.tagged(None);
    fields.out
}

pub(super) fn assignment(fields: &mut Fields, assignment: &Assignment) {
    fields.count(assignment.len());
    for (topic, partitions) in assignment {
        fields.raw(topic.0.as_bytes());
        fields.ints(partitions.iter().map(|partition| partition.0));
        fields.tagged(None);
    }
}

/// Partitions of topics, each with an epoch, which is a tagged field.
fn with_epochs(fields: &mut Fields, assignment: &WithEpochs) {
    fields.count(assignment.len());
    for (topic, partitions) in assignment {
        fields.raw(topic.0.as_bytes());
        fields.ints(partitions.keys().map(|partition| partition.0));
        let mut epochs = Fields::nested();
        epochs.ints(partitions.values().map(|epoch| epoch.0));
        fields.tagged(Some(epochs.out));
    }
}
