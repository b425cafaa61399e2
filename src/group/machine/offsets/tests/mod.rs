#![allow(clippy::unwrap_used)]

mod commit;
mod cost;
mod delete;
mod expire;
mod fetch;
mod random;
mod transactions;

use super::Offsets;
use super::state::{Committed, Key};
use crate::group::machine::testing::{Harness, START};
use crate::group::record::{ClassicGroupValue, ClassicMemberValue, OffsetValue, Record};
use crate::group::request::{
    Commit, CommitOffset, DeleteOffsets, DeletedOffsets, FetchOffsets, FetchOffsetsTopic, FetchedOffset,
    FetchedOffsets, Reply, Request,
};
use crate::model::{
    ErrorCode, Generation, GroupId, LeaderEpoch, MemberId, Offset, PartitionId, TimestampMs, TopicId, TopicName,
};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::BTreeMap;

const DAY: i64 = 24 * 3600 * 1000;
/// `offsets.retention.minutes`, and a check interval.
const RETENTION: i64 = 7 * DAY;
const CHECK: i64 = 600_000;

/// A commit from outside of the group, without offsets.
fn commit(group: &str) -> Commit {
    Commit {
        version: 9,
        group: group.into(),
        member: MemberId::new(""),
        instance: None,
        generation_or_epoch: -1,
        retention_ms: -1,
        offsets: Vec::new(),
    }
}

fn at(topic: &str, partition: i32, offset: i64) -> CommitOffset {
    CommitOffset {
        topic: topic.into(),
        topic_id: TopicId::ZERO,
        partition: PartitionId(partition),
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(3),
        metadata: Some("md".into()),
    }
}

/// Commits from outside.
fn outside(h: &mut Harness, group: &str, offsets: Vec<CommitOffset>) -> Vec<ErrorCode> {
    run_commit(h, Commit { offsets, ..commit(group) })
}

fn run_commit(h: &mut Harness, commit: Commit) -> Vec<ErrorCode> {
    match h.run(Request::Commit(commit)) {
        Reply::Commit(committed) => committed.0,
        other => panic!("{other:?}"),
    }
}

fn fetch(group: &str, topics: Option<&[(&str, &[i32])]>) -> FetchOffsets {
    let topic = |(topic, partitions): &(&str, &[i32])| FetchOffsetsTopic {
        topic: TopicName::new(topic),
        topic_id: TopicId::ZERO,
        partitions: partitions.iter().copied().map(PartitionId).collect(),
    };
    FetchOffsets {
        version: 9,
        group: group.into(),
        member: None,
        epoch: -1,
        topics: topics.map(|topics| topics.iter().map(topic).collect()),
        require_stable: false,
    }
}

fn run_fetch(h: &mut Harness, fetch: FetchOffsets) -> FetchedOffsets {
    match h.run(Request::FetchOffsets(fetch)) {
        Reply::FetchOffsets(fetched) => fetched,
        other => panic!("{other:?}"),
    }
}

/// All offsets of a group: topic, partition, offset.
fn all(h: &mut Harness, group: &str) -> Vec<(String, i32, i64)> {
    let fetched = run_fetch(h, fetch(group, None));
    assert_eq!(fetched.error, ErrorCode::NONE);
    let topics = fetched.topics.into_iter();
    topics
        .flat_map(|t| t.partitions.into_iter().map(move |p| (t.topic.to_string(), p.partition.0, p.offset.0)))
        .collect()
}

fn delete(h: &mut Harness, group: &str, partitions: &[(&str, i32)]) -> DeletedOffsets {
    let partitions = partitions.iter().map(|(topic, partition)| (TopicName::new(topic), PartitionId(*partition)));
    match h.run(Request::DeleteOffsets(DeleteOffsets { group: group.into(), partitions: partitions.collect() })) {
        Reply::DeleteOffsets(deleted) => deleted,
        other => panic!("{other:?}"),
    }
}

fn delete_group(h: &mut Harness, group: &str) -> ErrorCode {
    match h.run(Request::DeleteGroup { group: group.into(), state_is_deleted: false }) {
        Reply::DeleteGroup(error) => error,
        other => panic!("{other:?}"),
    }
}

fn offset_record(group: &str, topic: &str, partition: i32, offset: i64) -> Record {
    let value = OffsetValue {
        offset: Offset(offset),
        leader_epoch: LeaderEpoch::NONE,
        metadata: String::new(),
        committed_at: START,
        expires_at: TimestampMs::NONE,
        topic_id: TopicId::ZERO,
    };
    Record::Offset { group: group.into(), topic: topic.into(), partition: PartitionId(partition), value: Some(value) }
}

fn tombstone(group: &str, topic: &str, partition: i32) -> Record {
    Record::Offset { group: group.into(), topic: topic.into(), partition: PartitionId(partition), value: None }
}

fn group_tombstone(group: &str) -> Record {
    Record::ClassicGroup { group: group.into(), value: None }
}

/// A classic group of generation 5 with the members, which are subscribed to `topic`. None: an empty one.
fn classic(group: &str, protocol_type: &str, members: &[&str], topic: &str, state_since: i64) -> Record {
    let mut subscription = BytesMut::new();
    subscription.put_i16(0);
    subscription.put_i32(1);
    subscription.put_i16(topic.len() as i16);
    subscription.put_slice(topic.as_bytes());
    subscription.put_i32(-1);
    let subscription = subscription.freeze();
    let member = |name: &&str| ClassicMemberValue {
        member: MemberId::new(name),
        instance: None,
        client_id: "c".into(),
        client_host: "/h".into(),
        rebalance_timeout_ms: 1000,
        session_timeout_ms: 30_000,
        subscription: subscription.clone(),
        assignment: Bytes::new(),
    };
    Record::ClassicGroup {
        group: group.into(),
        value: Some(ClassicGroupValue {
            protocol_type: protocol_type.into(),
            generation: Generation(5),
            protocol: (!members.is_empty()).then(|| "range".into()),
            leader: members.first().map(|name| MemberId::new(name)),
            state_since: TimestampMs(state_since),
            members: members.iter().map(member).collect(),
        }),
    }
}

/// What can be told apart from outside: names instead of numbers.
type Seen = (i64, i32, String, i64, i64, TopicId);

fn view(offsets: &Offsets) -> BTreeMap<(String, String, i32, Option<i64>), Seen> {
    let name = |key: &Key, producer: Option<i64>| {
        let group = offsets.groups.name(key.group).unwrap().to_string();
        (group, offsets.topics.name(key.topic).unwrap().to_string(), key.partition.0, producer)
    };
    let seen = |of: &Committed| {
        let Committed { offset, leader_epoch, metadata, committed_at, expires_at, topic_id, .. } = of;
        (offset.0, leader_epoch.0, metadata.to_string(), committed_at.0, expires_at.0, *topic_id)
    };
    let committed = offsets.committed.iter().map(|(key, of)| (name(key, None), seen(of)));
    let pending = offsets.pending.iter().map(|((producer, key), of)| (name(key, Some(producer.0)), seen(of)));
    committed.chain(pending).collect()
}

/// The maps of the state agree with each other, and nothing is kept that is not used.
fn check(offsets: &Offsets) {
    let keys: Vec<Key> = offsets.committed.keys().copied().chain(offsets.open.iter().map(|(key, _)| *key)).collect();
    let open: Vec<_> = offsets.pending.keys().map(|(producer, key)| (*key, *producer)).collect();
    assert_eq!(open.len(), offsets.open.len());
    assert!(open.iter().all(|open| offsets.open.contains(open)));
    let users: std::collections::BTreeSet<_> = keys.iter().map(|key| (key.topic, key.group)).collect();
    assert_eq!(users, offsets.users);
    let groups: std::collections::BTreeSet<_> = keys.iter().map(|key| key.group).collect();
    let topics: std::collections::BTreeSet<_> = keys.iter().map(|key| key.topic).collect();
    assert_eq!((offsets.groups.iter().len(), offsets.topics.iter().len()), (groups.len(), topics.len()));
    assert!(groups.iter().all(|group| offsets.groups.name(*group).is_some()));
}

/// What is live is what a replay makes of the log, compacted or not. (A group that has neither offsets nor a record is lost
/// with its last tombstone.)
fn same_as_replayed(h: &Harness) {
    let ids = |h: &Harness| -> Vec<(GroupId, &'static str, &'static str)> {
        h.groups.groups.iter().map(|(id, group)| (id.clone(), group.kind().name(), group.kind().state())).collect()
    };
    let again = h.replayed();
    assert_eq!(ids(h), ids(&again));
    let compacted = h.replayed_compacted();
    assert!(ids(&compacted).iter().all(|group| ids(h).contains(group)));
    for h in [h, &again, &compacted] {
        check(&h.groups.offsets);
        assert!(h.groups.offsets.groups.iter().all(|group| h.groups.groups.contains_key(group)));
    }
    assert_eq!(view(&h.groups.offsets), view(&again.groups.offsets));
    assert_eq!(view(&h.groups.offsets), view(&compacted.groups.offsets));
}
