//! OffsetFetch.
//!
//! Kafka takes "stable" to mean two things: to see the newest state instead of the committed one, and to be told of
//! transactions that are open. Here every answer waits for what it has seen to be committed, so only the second is left.

use super::state::{Committed, Key};
use super::{Env, Groups, Out};
use crate::coordinator::Ticket;
use crate::group::request::{FetchOffsets, FetchOffsetsTopic, FetchedOffset, FetchedOffsets, FetchedTopic, Reply};
use crate::model::{ErrorCode, GroupId, LeaderEpoch, Offset, PartitionId, TopicId, TopicName};
use std::collections::BTreeMap;

impl Groups {
    pub(in crate::group::machine) fn fetch_offsets(
        &mut self,
        _: &Env,
        ticket: Ticket,
        fetch: FetchOffsets,
        out: &mut Out,
    ) {
        let fetched = match self.fetch(fetch) {
            Ok(topics) => FetchedOffsets { error: ErrorCode::NONE, topics },
            Err(error) => FetchedOffsets { error, topics: Vec::new() },
        };
        out.reply(ticket, Reply::FetchOffsets(fetched));
    }

    fn fetch(&self, fetch: FetchOffsets) -> Result<Vec<FetchedTopic>, ErrorCode> {
        // A group that is not known, or is being removed, has committed nothing: no error.
        let known = match self.groups.get(&fetch.group).map(|group| group.kind().check_fetch(&fetch)) {
            None | Some(Err(ErrorCode::GROUP_ID_NOT_FOUND)) => false,
            Some(Err(error)) => return Err(error),
            Some(Ok(())) => true,
        };
        let stable = fetch.require_stable;
        Ok(match fetch.topics {
            Some(topics) => {
                topics.into_iter().map(|topic| self.fetch_topic(&fetch.group, known, stable, topic)).collect()
            }
            None if known => self.fetch_all(&fetch.group, stable),
            None => Vec::new(),
        })
    }

    fn fetch_topic(&self, group: &GroupId, known: bool, stable: bool, asked: FetchOffsetsTopic) -> FetchedTopic {
        let FetchOffsetsTopic { topic, topic_id, partitions } = asked;
        let any = self.offsets.key(group, &topic, PartitionId(0));
        let one = |partition| {
            let key = any.map(|any| Key { partition, ..any });
            if stable && key.is_some_and(|key| self.offsets.has_pending(key)) {
                return unstable(partition);
            }
            let committed = key.filter(|_| known).and_then(|key| self.offsets.committed.get(&key));
            // The topic was deleted and there is another of its name: the offset means nothing there.
            match committed.filter(|committed| same(committed.topic_id, topic_id)) {
                Some(committed) => stable_offset(partition, committed),
                None => none(partition, ErrorCode::NONE),
            }
        };
        let partitions = partitions.into_iter().map(one).collect();
        FetchedTopic { topic, topic_id, partitions }
    }

    fn fetch_all(&self, group: &GroupId, stable: bool) -> Vec<FetchedTopic> {
        let mut topics: BTreeMap<&TopicName, Vec<FetchedOffset>> = BTreeMap::new();
        for (key, committed) in self.offsets.of_group(group, None) {
            let Some(topic) = self.offsets.topics.name(key.topic) else { continue };
            let unsure = stable && self.offsets.has_pending(key);
            let fetched = if unsure { unstable(key.partition) } else { stable_offset(key.partition, committed) };
            topics.entry(topic).or_default().push(fetched);
        }
        let topics = topics.into_iter();
        // Kafka names no ids here either: those that there are now are put in where the answer needs them.
        topics
            .map(|(topic, partitions)| FetchedTopic { topic: topic.clone(), topic_id: TopicId::ZERO, partitions })
            .collect()
    }
}

/// Zero: not known, which may be any.
fn same(a: TopicId, b: TopicId) -> bool {
    a.is_zero() || b.is_zero() || a == b
}

fn stable_offset(partition: PartitionId, committed: &Committed) -> FetchedOffset {
    FetchedOffset {
        partition,
        error: ErrorCode::NONE,
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: committed.metadata.to_string(),
    }
}

fn unstable(partition: PartitionId) -> FetchedOffset {
    none(partition, ErrorCode::UNSTABLE_OFFSET_COMMIT)
}

fn none(partition: PartitionId, error: ErrorCode) -> FetchedOffset {
    FetchedOffset { partition, error, offset: Offset::NONE, leader_epoch: LeaderEpoch::NONE, metadata: String::new() }
}
