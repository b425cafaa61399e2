//! The assignor of share groups: everybody has some, and a partition is at as many as that takes.

use super::super::simple;
use super::super::{Subscriber, Target};
use crate::model::{MemberId, PartitionId, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

const FOO: TopicId = TopicId(Uuid::from_u128(1));
const BAR: TopicId = TopicId(Uuid::from_u128(2));

fn partitions(of: &[(TopicId, i32)]) -> BTreeMap<TopicId, BTreeSet<PartitionId>> {
    of.iter().map(|(topic, count)| (*topic, (0..*count).map(PartitionId).collect())).collect()
}

/// The target of members with these subscriptions, who have what `current` gave them.
fn assign(members: &[(&str, &[TopicId])], of: &[(TopicId, i32)], current: &Target) -> Target {
    let alike = members.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let members = members.iter().map(|(id, topics)| {
        let id = MemberId::new(id);
        let current = current.get(&id).cloned().unwrap_or_default();
        (id, Subscriber { topics: Arc::new(topics.iter().copied().collect()), current, ..Subscriber::default() })
    });
    simple(&members.collect(), alike, &partitions(of))
}

fn shown(target: &Target) -> Vec<(&str, Vec<i32>)> {
    let all = |of: &BTreeMap<TopicId, Vec<PartitionId>>| of.values().flatten().map(|partition| partition.0).collect();
    target.iter().map(|(id, of)| (id.as_str(), all(of))).collect()
}

#[test]
fn every_member_has_the_only_partition() {
    let target = assign(&[("a", &[FOO]), ("b", &[FOO]), ("c", &[FOO])], &[(FOO, 1)], &Target::new());
    assert_eq!(shown(&target), [("a", vec![0]), ("b", vec![0]), ("c", vec![0])]);
}

#[test]
fn with_fewer_members_than_partitions_each_partition_is_at_one() {
    let target = assign(&[("a", &[FOO]), ("b", &[FOO])], &[(FOO, 4)], &Target::new());
    assert_eq!(shown(&target), [("a", vec![0, 2]), ("b", vec![1, 3])]);
}

#[test]
fn whoever_joins_takes_from_those_who_have_too_much_and_the_rest_stays() {
    let one = assign(&[("a", &[FOO])], &[(FOO, 4)], &Target::new());
    let two = assign(&[("a", &[FOO]), ("b", &[FOO])], &[(FOO, 4)], &one);
    assert_eq!(shown(&two), [("a", vec![2, 3]), ("b", vec![0, 1])]);
    assert_eq!(assign(&[("a", &[FOO]), ("b", &[FOO])], &[(FOO, 4)], &two), two);
    let alone = assign(&[("b", &[FOO])], &[(FOO, 4)], &two);
    assert_eq!(shown(&alone), [("b", vec![0, 1, 2, 3])]);
}

#[test]
fn with_different_subscriptions_each_topic_is_shared_out_among_those_who_have_it() {
    let target = assign(&[("a", &[FOO]), ("b", &[FOO, BAR])], &[(FOO, 2), (BAR, 1)], &Target::new());
    assert_eq!(target[&MemberId::new("a")], BTreeMap::from([(FOO, vec![PartitionId(0)])]));
    let both = BTreeMap::from([(FOO, vec![PartitionId(1)]), (BAR, vec![PartitionId(0)])]);
    assert_eq!(target[&MemberId::new("b")], both);
}

#[test]
fn what_is_not_subscribed_to_any_more_or_not_assignable_is_lost() {
    let both = assign(&[("a", &[FOO, BAR])], &[(FOO, 2), (BAR, 1)], &Target::new());
    let less = assign(&[("a", &[FOO])], &[(FOO, 1)], &both);
    assert_eq!(less[&MemberId::new("a")], BTreeMap::from([(FOO, vec![PartitionId(0)])]));
    assert_eq!(shown(&assign(&[("a", &[FOO])], &[], &both)), [("a", vec![])]);
}
