//! Records into bytes.

use super::{
    ClassicGroupValue, CurrentValue, MemberValue, OffsetValue, Record, RegexValue, TargetValue, WithEpochs, kind,
};
use crate::coordinator::Written;
use crate::group::request::Assignment;
use crate::model::{TimestampMs, TopicName};

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
        let mut inner = Fields { out: Vec::new(), flexible: true };
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
    fields.assignment(value);
    fields.tagged(None);
    fields.out
}

fn current(value: &CurrentValue) -> Vec<u8> {
    let mut fields = Fields::flexible(0);
    fields.i32(value.epoch.0);
    fields.i32(value.previous_epoch.0);
    fields.out.push(value.state as i8 as u8);
    fields.with_epochs(&value.assigned);
    fields.with_epochs(&value.pending_revocation);
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

/// Bytes that grow field by field, in the encoding before or since flexible versions.
pub(super) struct Fields {
    pub(super) out: Vec<u8>,
    flexible: bool,
}

impl Fields {
    fn key(kind: i16, names: &[&str]) -> Fields {
        let mut key = Fields::plain(kind);
        for name in names {
            key.string(name);
        }
        key
    }

    fn plain(version: i16) -> Fields {
        Fields { out: version.to_be_bytes().to_vec(), flexible: false }
    }

    pub(super) fn flexible(version: i16) -> Fields {
        Fields { out: version.to_be_bytes().to_vec(), flexible: true }
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    pub(super) fn string(&mut self, text: &str) {
        // Whatever comes here came in a request, whose strings are no longer than this. Were one, a record that is cut
        // is better than one that nobody can read.
        let cut = (0..=text.len().min(i16::MAX as usize)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let text = text.get(..cut).unwrap_or_default().as_bytes();
        if self.flexible {
            self.uvarint(text.len() as u32 + 1);
        } else {
            self.out.extend_from_slice(&(text.len() as i16).to_be_bytes());
        }
        self.out.extend_from_slice(text);
    }

    pub(super) fn nullable(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None if self.flexible => self.out.push(0),
            None => self.out.extend_from_slice(&(-1i16).to_be_bytes()),
        }
    }

    /// The number of elements of an array, or of bytes: both are written alike.
    pub(super) fn count(&mut self, n: usize) {
        if self.flexible {
            self.uvarint(n as u32 + 1);
        } else {
            self.i32(n as i32);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn ints(&mut self, values: impl ExactSizeIterator<Item = i32>) {
        self.count(values.len());
        values.for_each(|value| self.i32(value));
    }

    pub(super) fn topics(&mut self, topics: &[TopicName]) {
        self.count(topics.len());
        topics.iter().for_each(|topic| self.string(topic.as_str()));
    }

    pub(super) fn assignment(&mut self, assignment: &Assignment) {
        self.count(assignment.len());
        for (topic, partitions) in assignment {
            self.out.extend_from_slice(topic.0.as_bytes());
            self.ints(partitions.iter().map(|partition| partition.0));
            self.tagged(None);
        }
    }

    fn with_epochs(&mut self, assignment: &WithEpochs) {
        self.count(assignment.len());
        for (topic, partitions) in assignment {
            self.out.extend_from_slice(topic.0.as_bytes());
            self.ints(partitions.keys().map(|partition| partition.0));
            let mut epochs = Fields { out: Vec::new(), flexible: true };
            epochs.ints(partitions.values().map(|epoch| epoch.0));
            self.tagged(Some(epochs.out));
        }
    }

    /// The section of tagged fields, which has the field with tag 0 or none.
    pub(super) fn tagged(&mut self, zero: Option<Vec<u8>>) {
        match zero {
            None => self.out.push(0),
            Some(field) => {
                self.out.extend_from_slice(&[1, 0]);
                self.uvarint(field.len() as u32);
                self.out.extend_from_slice(&field);
            }
        }
    }
}
