//! Members, topics and partitions by number, so that an assignor counts in vectors.
//!
//! Members and topics are numbered in the order of their ids; a partition's number is its place among all partitions of all
//! topics that somebody is subscribed to.

use super::{Group, Subscriber, Target};
use crate::model::{MemberId, PartitionId, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// No member's number: nobody has the partition.
pub(super) const NOBODY: usize = usize::MAX;

/// A topic that is there and that somebody is subscribed to.
pub(super) struct Topic {
    pub(super) id: TopicId,
    /// The numbers of its partitions.
    pub(super) partitions: Range<usize>,
    /// How many members are subscribed to it.
    pub(super) subscribers: usize,
}

/// See the module.
pub(super) struct Index<'a> {
    pub(super) members: Vec<(&'a MemberId, &'a Subscriber)>,
    pub(super) topics: Vec<Topic>,
    /// The different subscriptions, as ascending numbers of topics.
    subscriptions: Vec<Vec<usize>>,
    /// Which of them each member has.
    subscription_of: Vec<usize>,
}

impl<'a> Index<'a> {
    pub(super) fn of(group: &'a Group) -> Index<'a> {
        let members: Vec<_> = group.members.iter().collect();
        let (sets, subscription_of) = different(&members);

        let mut subscribed = BTreeSet::new();
        for set in &sets {
            subscribed.extend(set.iter().copied());
        }
        let mut topics = Vec::new();
        let mut number_of = BTreeMap::new();
        let mut next = 0;
        for id in subscribed {
            let count = group.partitions.get(&id).copied().unwrap_or(0);
            if count > 0 {
                number_of.insert(id, topics.len());
                topics.push(Topic { id, partitions: next..next + count, subscribers: 0 });
                next += count;
            }
        }

        let resolve = |set: &&BTreeSet<TopicId>| set.iter().filter_map(|id| number_of.get(id).copied()).collect();
        let subscriptions: Vec<Vec<usize>> = sets.iter().map(resolve).collect();
        let mut sharing = vec![0; subscriptions.len()];
        for subscription in &subscription_of {
            sharing[*subscription] += 1;
        }
        for (subscription, count) in subscriptions.iter().zip(sharing) {
            for topic in subscription {
                topics[*topic].subscribers += count;
            }
        }
        Index { members, topics, subscriptions, subscription_of }
    }

    /// Every member is subscribed to the same topics (Kafka's `HOMOGENEOUS`).
    pub(super) fn all_subscribe_alike(&self) -> bool {
        self.subscriptions.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// The numbers of the topics that a member is subscribed to, ascending.
    pub(super) fn subscription(&self, member: usize) -> &[usize] {
        &self.subscriptions[self.subscription_of[member]]
    }

    /// How many partitions there are.
    pub(super) fn partitions(&self) -> usize {
        self.topics.last().map_or(0, |topic| topic.partitions.end)
    }

    /// What each member has now and may keep, as ascending numbers of partitions: of topics that it is subscribed to,
    /// partitions that exist. If two members claim a partition, it is the first one's.
    pub(super) fn kept(&self) -> Vec<Vec<usize>> {
        let mut claimed = vec![false; self.partitions()];
        let mut all = Vec::with_capacity(self.members.len());
        for (_, subscriber) in &self.members {
            let mut kept = Vec::new();
            for (id, partitions) in &subscriber.current {
                let Ok(topic) = self.topics.binary_search_by(|topic| topic.id.cmp(id)) else { continue };
                if !subscriber.topics.contains(id) {
                    continue;
                }
                let numbers = &self.topics[topic].partitions;
                for partition in partitions {
                    let Ok(partition) = usize::try_from(partition.0) else { continue };
                    if partition < numbers.len() && !claimed[numbers.start + partition] {
                        claimed[numbers.start + partition] = true;
                        kept.push(numbers.start + partition);
                    }
                }
            }
            kept.sort_unstable();
            all.push(kept);
        }
        all
    }

    /// The members of whom each partition is said to be, as an assignment.
    pub(super) fn target(&self, owners: &[usize]) -> Target {
        let mut parts: Vec<Vec<(TopicId, Vec<PartitionId>)>> = vec![Vec::new(); self.members.len()];
        for topic in &self.topics {
            for (partition, owner) in owners[topic.partitions.clone()].iter().enumerate() {
                let Some(part) = parts.get_mut(*owner) else { continue };
                let partition = partition_id(partition);
                match part.last_mut() {
                    Some((id, partitions)) if *id == topic.id => partitions.push(partition),
                    _ => part.push((topic.id, vec![partition])),
                }
            }
        }
        self.members.iter().zip(parts).map(|((id, _), part)| ((*id).clone(), part.into_iter().collect())).collect()
    }
}

/// The different sets of topics, and which of them each member has. Shared sets are compared by address first.
fn different<'a>(members: &[(&MemberId, &'a Subscriber)]) -> (Vec<&'a BTreeSet<TopicId>>, Vec<usize>) {
    let mut sets = Vec::new();
    let mut by_address = BTreeMap::new();
    let mut by_content: BTreeMap<&BTreeSet<TopicId>, usize> = BTreeMap::new();
    let numbers = members.iter().map(|(_, subscriber)| {
        let set = &subscriber.topics;
        *by_address.entry(Arc::as_ptr(set)).or_insert_with(|| {
            *by_content.entry(set).or_insert_with(|| {
                sets.push(&**set);
                sets.len() - 1
            })
        })
    });
    let numbers = numbers.collect();
    (sets, numbers)
}

/// Kafka counts partitions in an `i32`.
pub(super) fn partition_id(number: usize) -> PartitionId {
    PartitionId(i32::try_from(number).unwrap_or(i32::MAX))
}
