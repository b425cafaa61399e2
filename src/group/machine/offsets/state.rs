//! The offsets of all groups of a shard: those that count, and those of open transactions.
//!
//! One flat map for the shard, so that a group with a single offset pays for no map of its own. With names by number an
//! offset takes 130 to 430 bytes, its share of the names included: the most where each has a group and a topic of its own (a
//! test measures it).

use super::names::Names;
use crate::group::record::{OffsetValue, Record};
use crate::model::{GroupId, LeaderEpoch, Offset, PartitionId, ProducerId, TimestampMs, TopicId, TopicName};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

/// Where an offset belongs. Ordered by group, topic, partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) group: u32,
    pub(super) topic: u32,
    pub(super) partition: PartitionId,
}

const FIRST: PartitionId = PartitionId(i32::MIN);
const LAST: PartitionId = PartitionId(i32::MAX);
/// Before and after every producer.
const PRODUCERS: (ProducerId, ProducerId) = (ProducerId(i64::MIN), ProducerId(i64::MAX));

impl Key {
    fn of_group(group: u32) -> RangeInclusive<Key> {
        Key { group, topic: 0, partition: FIRST }..=Key { group, topic: u32::MAX, partition: LAST }
    }

    fn of_topic(group: u32, topic: u32) -> RangeInclusive<Key> {
        Key { group, topic, partition: FIRST }..=Key { group, topic, partition: LAST }
    }
}

/// With every producer.
fn open(range: RangeInclusive<Key>) -> RangeInclusive<(Key, ProducerId)> {
    (*range.start(), PRODUCERS.0)..=(*range.end(), PRODUCERS.1)
}

/// A committed offset, or one that is to be (`OffsetAndMetadata`).
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub(super) offset: Offset,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) metadata: Box<str>,
    pub(super) committed_at: TimestampMs,
    /// -1: the broker's setting decides.
    pub(super) expires_at: TimestampMs,
    pub(super) topic_id: TopicId,
    /// Its place among the records of the shard. A transaction that ends late does not undo what was committed since.
    order: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    pub(super) groups: Names<GroupId>,
    pub(super) topics: Names<TopicName>,
    pub(super) committed: BTreeMap<Key, Committed>,
    /// What producers have committed in transactions that are open.
    pub(super) pending: BTreeMap<(ProducerId, Key), Committed>,
    /// The keys of `pending`, the other way round.
    pub(super) open: BTreeSet<(Key, ProducerId)>,
    /// Which groups have offsets of a topic, open transactions' included: topic, group.
    pub(super) users: BTreeSet<(u32, u32)>,
    /// Records so far.
    order: u64,
    /// Topics that were deleted and whose offsets are still here.
    pub(super) doomed: VecDeque<(TopicName, TopicId)>,
    /// Where the search for expired offsets goes on; `None`: it is not under way.
    pub(super) expiry_from: Option<(GroupId, Option<Key>)>,
}

impl Offsets {
    /// How many count now.
    pub fn count(&self) -> usize {
        self.committed.len()
    }

    /// The offset is committed.
    pub(in crate::group::machine) fn put(
        &mut self,
        group: &GroupId,
        topic: &TopicName,
        partition: PartitionId,
        value: OffsetValue,
    ) {
        let key = self.take(group, topic, partition);
        let committed = self.committed_of(value);
        self.committed.insert(key, committed);
    }

    /// The offset is committed once the producer's transaction is.
    pub(in crate::group::machine) fn put_pending(
        &mut self,
        producer: ProducerId,
        group: &GroupId,
        topic: &TopicName,
        partition: PartitionId,
        value: OffsetValue,
    ) {
        let key = self.take(group, topic, partition);
        let committed = self.committed_of(value);
        self.pending.insert((producer, key), committed);
        self.open.insert((key, producer));
    }

    /// The offset is gone, and so is what transactions that are open have committed for its partition.
    pub(in crate::group::machine) fn remove(&mut self, group: &GroupId, topic: &TopicName, partition: PartitionId) {
        let Some(key) = self.key(group, topic, partition) else { return };
        self.committed.remove(&key);
        let producers: Vec<ProducerId> = self.open.range(open(key..=key)).map(|(_, producer)| *producer).collect();
        for producer in producers {
            self.open.remove(&(key, producer));
            self.pending.remove(&(producer, key));
        }
        self.release(key);
    }

    /// The producer's transaction has ended.
    pub(in crate::group::machine) fn end(&mut self, producer: ProducerId, committed: bool) {
        let first = Key { group: 0, topic: 0, partition: FIRST };
        while let Some((&(_, key), _)) =
            self.pending.range((producer, first)..).next().filter(|((owner, _), _)| *owner == producer)
        {
            self.open.remove(&(key, producer));
            let Some(pending) = self.pending.remove(&(producer, key)) else { return };
            let newer = self.committed.get(&key).is_none_or(|now| now.order < pending.order);
            if committed && newer {
                self.committed.insert(key, pending);
            }
            self.release(key);
        }
    }

    /// Has the group offsets, those of open transactions included?
    pub(super) fn any_of(&self, group: &GroupId) -> bool {
        let Some(group) = self.groups.number(group) else { return false };
        self.in_use(Key::of_group(group))
    }

    pub(super) fn has_pending(&self, key: Key) -> bool {
        self.open.range(open(key..=key)).next().is_some()
    }

    /// Is there an offset, be it in an open transaction?
    pub(super) fn holds(&self, key: Key) -> bool {
        self.in_use(key..=key)
    }

    /// The committed offsets of a group, from a key on if it is one of the group's.
    pub(super) fn of_group(&self, group: &GroupId, from: Option<Key>) -> impl Iterator<Item = (Key, &Committed)> {
        let range = self.groups.number(group).map(|number| {
            let whole = Key::of_group(number);
            let from = from.filter(|from| from.group == number).unwrap_or(*whole.start());
            from..=*whole.end()
        });
        range.into_iter().flat_map(|range| self.committed.range(range)).map(|(key, committed)| (*key, committed))
    }

    /// The partitions of a topic for which a group has offsets, and the ids that the topic had, zero if none is known.
    pub(super) fn of_topic(&self, group: u32, topic: u32) -> impl Iterator<Item = (Key, TopicId)> {
        let committed = self.committed.range(Key::of_topic(group, topic)).map(|(key, is)| (*key, is.topic_id));
        let open = self.open.range(open(Key::of_topic(group, topic)));
        let pending = open.filter_map(|(key, producer)| Some((*key, self.pending.get(&(*producer, *key))?.topic_id)));
        committed.chain(pending)
    }

    /// What removes all offsets of a group.
    pub(in crate::group::machine) fn tombstones(&self, group: &GroupId) -> Vec<Record> {
        let Some(number) = self.groups.number(group) else { return Vec::new() };
        let committed = self.committed.range(Key::of_group(number)).map(|(key, _)| *key);
        let open = self.open.range(open(Key::of_group(number))).map(|(key, _)| *key);
        let keys: BTreeSet<Key> = committed.chain(open).collect();
        keys.into_iter().filter_map(|key| self.tombstone(group, key)).collect()
    }

    pub(super) fn tombstone(&self, group: &GroupId, key: Key) -> Option<Record> {
        let topic = self.topics.name(key.topic)?.clone();
        Some(Record::Offset { group: group.clone(), topic, partition: key.partition, value: None })
    }

    pub(super) fn key(&self, group: &GroupId, topic: &TopicName, partition: PartitionId) -> Option<Key> {
        Some(Key { group: self.groups.number(group)?, topic: self.topics.number(topic)?, partition })
    }

    fn take(&mut self, group: &GroupId, topic: &TopicName, partition: PartitionId) -> Key {
        let key = Key { group: self.groups.take(group), topic: self.topics.take(topic), partition };
        self.users.insert((key.topic, key.group));
        key
    }

    /// Forgets the names in a key that was removed, where nothing else has them.
    fn release(&mut self, key: Key) {
        if self.in_use(Key::of_topic(key.group, key.topic)) {
            return;
        }
        self.users.remove(&(key.topic, key.group));
        if self.users.range((key.topic, 0)..=(key.topic, u32::MAX)).next().is_none() {
            self.topics.release(key.topic);
        }
        if !self.in_use(Key::of_group(key.group)) {
            self.groups.release(key.group);
        }
    }

    fn in_use(&self, range: RangeInclusive<Key>) -> bool {
        self.committed.range(range.clone()).next().is_some() || self.open.range(open(range)).next().is_some()
    }

    fn committed_of(&mut self, value: OffsetValue) -> Committed {
        self.order += 1;
        Committed {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.into_boxed_str(),
            committed_at: value.committed_at,
            expires_at: value.expires_at,
            topic_id: value.topic_id,
            order: self.order,
        }
    }
}
