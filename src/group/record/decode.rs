//! Bytes into records. They come from the disk: every length and count is shown to fit before it is believed.

use super::{
    ClassicGroupValue, ClassicMemberValue, ClassicValue, CurrentValue, GroupValue, MemberState, MemberValue,
    OffsetValue, Record, RegexValue, ShareRecord, TargetValue, WithEpochs, kind, share,
};
use crate::coordinator::BadRecord;
use crate::model::{
    Generation, GroupEpoch, GroupId, InstanceId, LeaderEpoch, MemberId, Offset, PartitionId, TimestampMs, TopicId,
    TopicName,
};
use crate::wire::Refused;
use crate::wire::reader::{Reader, Width};
use bytes::Bytes;
use std::collections::BTreeMap;

pub(super) type Read<T> = Result<T, Refused>;

impl Record {
    /// # Errors
    /// The bytes are not a record. `None`: a record that is known and passed over.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, BadRecord> {
        let mut r = Reader::new(key);
        let kind = r.i16().map_err(|why| BadRecord(format!("the key of a record: {why}")))?;
        let newest = match kind {
            kind::OFFSET | kind::CLASSIC_GROUP => 4,
            kind::LEGACY_OFFSET
            | kind::GROUP
            | kind::PARTITION_METADATA
            | kind::MEMBER
            | kind::TARGET
            | kind::TARGET_MEMBER
            | kind::CURRENT
            | kind::REGEX => 0,
            kind if share::KINDS.contains(&kind) => 0,
            9 | 17..=23 => return Ok(None),
            _ => return Err(BadRecord(format!("unknown record type {kind}"))),
        };
        let bad = |why| BadRecord(format!("a record of type {kind}: {why}"));
        let value = match value {
            None => None,
            Some(bytes) => {
                let mut value = Reader::new(bytes);
                let version = value.i16().map_err(bad)?;
                if !(0..=newest).contains(&version) {
                    return Err(BadRecord(format!(
                        "version {version} of record type {kind} is not known; the newest known is {newest}"
                    )));
                }
                Some((version, value))
            }
        };
        record(kind, &mut r, value).map(Some).map_err(bad)
    }
}

fn record(kind: i16, key: &mut Reader<'_>, value: Option<(i16, Reader<'_>)>) -> Read<Record> {
    let group = GroupId::new(key.str(Width::Short)?);
    let mut value = value;
    let value = value.as_mut().map(|(version, r)| (*version, r));
    Ok(match kind {
        kind::LEGACY_OFFSET | kind::OFFSET => {
            let topic = TopicName::new(key.str(Width::Short)?);
            let partition = PartitionId(key.i32()?);
            Record::Offset { group, topic, partition, value: value.map(|(version, r)| offset(version, r)).transpose()? }
        }
        kind::CLASSIC_GROUP => {
            Record::ClassicGroup { group, value: value.map(|(version, r)| classic_group(version, r)).transpose()? }
        }
        kind::GROUP => Record::Group { group, value: value.map(|(_, r)| consumer_group(r)).transpose()? },
        kind::PARTITION_METADATA => Record::PartitionMetadata { group, present: value.is_some() },
        kind::TARGET => Record::Target { group, value: value.map(|(_, r)| target(r)).transpose()? },
        kind::REGEX => {
            let regex = key.str(Width::Short)?.to_owned();
            Record::Regex { group, regex, value: value.map(|(_, r)| resolved(r)).transpose()? }
        }
        kind if share::KINDS.contains(&kind) => {
            Record::Share { group, of: ShareRecord::decode(kind, key, value.map(|(_, r)| r))? }
        }
        _ => {
            let id = MemberId::new(key.str(Width::Short)?);
            let value = value.map(|(_, r)| r);
            match kind {
                kind::MEMBER => Record::Member { group, member: id, value: value.map(member).transpose()? },
                kind::TARGET_MEMBER => {
                    Record::TargetMember { group, member: id, value: value.map(target_member).transpose()? }
                }
                _ => Record::Current { group, member: id, value: value.map(current).transpose()? },
            }
        }
    })
}

fn offset(version: i16, r: &mut Reader<'_>) -> Read<OffsetValue> {
    let flexible = version >= 4;
    let offset = Offset(r.i64()?);
    let leader_epoch = if version >= 3 { LeaderEpoch(r.i32()?) } else { LeaderEpoch::NONE };
    let metadata = r.str(Width::string(flexible))?.to_owned();
    let committed_at = TimestampMs(r.i64()?);
    let expires_at = if version == 1 { TimestampMs(r.i64()?) } else { TimestampMs::NONE };
    let mut topic_id = TopicId::ZERO;
    if flexible {
        r.tags(|tag, field| {
            if tag != 0 {
                return Ok(false);
            }
            topic_id = TopicId(field.uuid()?);
            Ok(true)
        })?;
    }
    Ok(OffsetValue { offset, leader_epoch, metadata, committed_at, expires_at, topic_id })
}

fn classic_group(version: i16, r: &mut Reader<'_>) -> Read<ClassicGroupValue> {
    let flexible = version >= 4;
    let string = Width::string(flexible);
    let protocol_type = r.str(string)?.to_owned();
    let generation = Generation(r.i32()?);
    let protocol = owned(r.nullable_str(string)?);
    let leader = r.nullable_str(string)?.map(MemberId::new);
    let state_since = if version >= 2 { TimestampMs(r.i64()?) } else { TimestampMs::NONE };
    let members = array(r, flexible, 13, |r| {
        let value = ClassicMemberValue {
            member: MemberId::new(r.str(string)?),
            instance: if version >= 3 { r.nullable_str(string)?.map(InstanceId::new) } else { None },
            client_id: r.str(string)?.to_owned(),
            client_host: r.str(string)?.to_owned(),
            rebalance_timeout_ms: if version >= 1 { r.i32()? } else { -1 },
            session_timeout_ms: r.i32()?,
            subscription: bytes(r, flexible)?,
            assignment: bytes(r, flexible)?,
        };
        if flexible {
            r.skip_tags()?;
        }
        Ok(value)
    })?;
    if flexible {
        r.skip_tags()?;
    }
    Ok(ClassicGroupValue { protocol_type, generation, protocol, leader, state_since, members })
}

fn consumer_group(r: &mut Reader<'_>) -> Read<GroupValue> {
    let epoch = GroupEpoch(r.i32()?);
    let metadata_hash = tagged_i64(r)?;
    Ok(GroupValue { epoch, metadata_hash })
}

fn member(r: &mut Reader<'_>) -> Read<MemberValue> {
    const STRING: Width = Width::CompactString;
    let mut value = MemberValue {
        instance: r.nullable_str(STRING)?.map(InstanceId::new),
        rack: owned(r.nullable_str(STRING)?),
        client_id: r.str(STRING)?.to_owned(),
        client_host: r.str(STRING)?.to_owned(),
        topics: topics(r)?,
        regex: owned(r.nullable_str(STRING)?),
        rebalance_timeout_ms: r.i32()?,
        assignor: owned(r.nullable_str(STRING)?),
        classic: None,
    };
    r.tags(|tag, field| {
        if tag != 0 {
            return Ok(false);
        }
        value.classic = nullable_classic(field)?;
        Ok(true)
    })?;
    Ok(value)
}

fn nullable_classic(r: &mut Reader<'_>) -> Read<Option<ClassicValue>> {
    let at = r.at();
    match r.i8()? {
        -1 => return Ok(None),
        1 => {}
        marker => return Err(Refused::Presence { at, marker }),
    }
    let session_timeout_ms = r.i32()?;
    let protocols = array(r, true, 3, |r| {
        let protocol = (r.str(Width::CompactString)?.to_owned(), bytes(r, true)?);
        r.skip_tags()?;
        Ok(protocol)
    })?;
    r.skip_tags()?;
    Ok(Some(ClassicValue { session_timeout_ms, protocols }))
}

pub(super) fn target(r: &mut Reader<'_>) -> Read<TargetValue> {
    let epoch = GroupEpoch(r.i32()?);
    let assigned_at = TimestampMs(tagged_i64(r)?);
    Ok(TargetValue { epoch, assigned_at })
}

pub(super) fn target_member(r: &mut Reader<'_>) -> Read<BTreeMap<TopicId, Vec<PartitionId>>> {
    let topics = array(r, true, 18, |r| {
        let topic = TopicId(r.uuid()?);
        let partitions = array(r, true, 4, |r| r.i32().map(PartitionId))?;
        r.skip_tags()?;
        Ok((topic, partitions))
    })?;
    r.skip_tags()?;
    Ok(topics.into_iter().collect())
}

fn current(r: &mut Reader<'_>) -> Read<CurrentValue> {
    let epoch = GroupEpoch(r.i32()?);
    let previous_epoch = GroupEpoch(r.i32()?);
    let state = MemberState::read(r.i8()?);
    let assigned = with_epochs(r, epoch)?;
    let pending_revocation = with_epochs(r, epoch)?;
    r.skip_tags()?;
    Ok(CurrentValue { epoch, previous_epoch, state, assigned, pending_revocation })
}

/// Partitions whose epochs are not recorded, or not for each, have the member's (`Utils.assignmentFromTopicPartitions`).
fn with_epochs(r: &mut Reader<'_>, member: GroupEpoch) -> Read<WithEpochs> {
    // A static member that left for a while has a negative one, which no partition was assigned at.
    let default = GroupEpoch(member.0.max(0));
    let topics = array(r, true, 18, |r| {
        let topic = TopicId(r.uuid()?);
        let partitions = array(r, true, 4, |r| r.i32().map(PartitionId))?;
        let mut epochs = None;
        r.tags(|tag, field| {
            if tag != 0 {
                return Ok(false);
            }
            epochs = nullable_array(field, true, 4, |r| r.i32().map(GroupEpoch))?;
            Ok(true)
        })?;
        let epochs = epochs.filter(|epochs| epochs.len() == partitions.len());
        let epoch = |at: usize| epochs.as_ref().and_then(|epochs| epochs.get(at).copied()).unwrap_or(default);
        Ok((topic, partitions.into_iter().enumerate().map(|(at, partition)| (partition, epoch(at))).collect()))
    })?;
    Ok(topics.into_iter().collect())
}

fn resolved(r: &mut Reader<'_>) -> Read<RegexValue> {
    let value = RegexValue { topics: topics(r)?, version: r.i64()?, at: TimestampMs(r.i64()?) };
    r.skip_tags()?;
    Ok(value)
}

/// The only tagged field is a number with tag 0; its default is 0.
pub(super) fn tagged_i64(r: &mut Reader<'_>) -> Read<i64> {
    let mut value = 0;
    r.tags(|tag, field| {
        if tag != 0 {
            return Ok(false);
        }
        value = field.i64()?;
        Ok(true)
    })?;
    Ok(value)
}

pub(super) fn topics(r: &mut Reader<'_>) -> Read<Vec<TopicName>> {
    array(r, true, 1, |r| r.str(Width::CompactString).map(TopicName::new))
}

pub(super) fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

fn bytes(r: &mut Reader<'_>, flexible: bool) -> Read<Bytes> {
    let at = r.at();
    let length = r.length(Width::bytes(flexible))?.ok_or(Refused::Null { at })?;
    r.slice(length).map(Bytes::copy_from_slice)
}

/// Elements take at least `least` bytes each.
pub(super) fn array<'a, T>(
    r: &mut Reader<'a>,
    flexible: bool,
    least: usize,
    element: impl FnMut(&mut Reader<'a>) -> Read<T>,
) -> Read<Vec<T>> {
    let at = r.at();
    nullable_array(r, flexible, least, element)?.ok_or(Refused::Null { at })
}

fn nullable_array<'a, T>(
    r: &mut Reader<'a>,
    flexible: bool,
    least: usize,
    mut element: impl FnMut(&mut Reader<'a>) -> Read<T>,
) -> Read<Option<Vec<T>>> {
    let Some(count) = r.count(flexible, least)? else { return Ok(None) };
    (0..count).map(|_| element(r)).collect::<Read<Vec<T>>>().map(Some)
}
