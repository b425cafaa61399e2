//! The assignors on named cases, on generated groups, and against what Kafka's own classes made of the same groups.
//!
//! A group is written as `topics` (how many partitions each) and members (their topics, and what they have); topics have
//! numbers, as in the assertions: `"a 0:0-2 1:5, b"` is: a has partitions 0 to 2 of topic 0 and 5 of topic 1, b has none.

#![allow(clippy::unwrap_used)]

mod golden;
mod properties;
mod range;
mod scale;
mod simple;
mod uniform;

use super::{Assignor, Group, Subscriber, Target};
use crate::model::{MemberId, PartitionId, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

fn topic(number: usize) -> TopicId {
    TopicId(Uuid::from_u128(number as u128 + 1))
}

fn set(topics: &[usize]) -> Arc<BTreeSet<TopicId>> {
    Arc::new(topics.iter().map(|t| topic(*t)).collect())
}

/// Topics by their numbers of partitions, and no members.
fn topics(partitions: &[usize]) -> Group {
    let partitions = partitions.iter().enumerate().map(|(t, n)| (topic(t), *n)).collect();
    Group { members: BTreeMap::new(), partitions }
}

impl Group {
    fn member(mut self, id: &str, topics: &[usize]) -> Group {
        self.members.insert(id.into(), Subscriber { topics: set(topics), ..Subscriber::default() });
        self
    }

    fn statically(mut self, instance: &str, id: &str, topics: &[usize]) -> Group {
        let instance = Some(instance.to_owned());
        self.members.insert(id.into(), Subscriber { instance, topics: set(topics), ..Subscriber::default() });
        self
    }

    /// The members have what this says.
    fn having(mut self, text: &str) -> Group {
        for (id, assignment) in parse(text) {
            self.members.get_mut(&id).unwrap().current = assignment;
        }
        self
    }

    fn after(mut self, target: &Target) -> Group {
        for (id, subscriber) in &mut self.members {
            subscriber.current = target.get(id).cloned().unwrap_or_default();
        }
        self
    }

    fn without(mut self, id: &str) -> Group {
        self.members.remove(id).unwrap();
        self
    }
}

fn parse(text: &str) -> Target {
    let member = |text: &str| {
        let mut words = text.split_whitespace();
        let id = MemberId::new(words.next().unwrap());
        let topics = words.map(|word| {
            let (number, runs) = word.split_once(':').unwrap();
            let runs = runs.split('+').flat_map(|run| {
                let (first, last) = run.split_once('-').unwrap_or((run, run));
                first.parse::<i32>().unwrap()..=last.parse().unwrap()
            });
            (topic(number.parse().unwrap()), runs.map(PartitionId).collect())
        });
        (id, topics.collect())
    };
    text.split(',').map(member).collect()
}

#[track_caller]
fn becomes(assignor: Assignor, group: &Group, expected: &str) {
    assert_eq!(assignor.assign(group), parse(expected));
}

/// How many partitions each member has, in the order of the members.
fn loads(target: &Target) -> Vec<usize> {
    target.values().map(|topics| topics.values().map(Vec::len).sum()).collect()
}

/// The owner of each partition.
fn owners(target: &Target) -> BTreeMap<(TopicId, PartitionId), MemberId> {
    let mut owners = BTreeMap::new();
    for (member, topics) in target {
        for (topic, partitions) in topics {
            for partition in partitions {
                assert_eq!(
                    owners.insert((*topic, *partition), member.clone()),
                    None,
                    "two owners of {topic} {partition:?}"
                );
            }
        }
    }
    owners
}

/// Every partition that somebody is subscribed to has one owner, who is; nothing else has; nobody is left out.
#[track_caller]
fn is_valid(group: &Group, target: &Target) {
    assert!(target.keys().eq(group.members.keys()), "every member has an entry");
    let owners = owners(target);
    for ((topic, partition), owner) in &owners {
        assert!(group.members[owner].topics.contains(topic), "{owner} is not subscribed to {topic}");
        assert!(usize::try_from(partition.0).unwrap() < group.partitions[topic], "{topic} has no {partition:?}");
    }
    let subscribed: BTreeSet<TopicId> = group.members.values().flat_map(|m| m.topics.iter().copied()).collect();
    let all = subscribed.iter().map(|topic| group.partitions.get(topic).copied().unwrap_or(0)).sum::<usize>();
    assert_eq!(owners.len(), all, "every partition has an owner");
}

/// How many partitions that had an owner have another one.
fn moves(before: &Target, after: &Target) -> usize {
    let after = owners(after);
    owners(before).iter().filter(|(partition, owner)| after.get(partition).is_some_and(|now| now != *owner)).count()
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from((self.roll() >> 1) % n as u64).unwrap()
    }
}

#[test]
fn an_assignor_is_found_by_its_name_and_by_nothing_else() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        assert_eq!(Assignor::by_name(assignor.name()), Some(assignor));
    }
    for other in
        ["", "Uniform", "RANGE", "sticky", "range ", "org.apache.kafka.coordinator.group.assignor.RangeAssignor"]
    {
        assert_eq!(Assignor::by_name(other), None, "{other}");
    }
}

#[test]
fn a_group_without_members_has_no_target() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        assert_eq!(assignor.assign(&topics(&[3])), Target::new());
    }
}

#[test]
fn members_without_topics_have_entries_without_partitions() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        becomes(assignor, &topics(&[3]).member("a", &[]).member("b", &[]), "a, b");
    }
}

#[test]
fn a_topic_that_does_not_exist_is_passed_over() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        becomes(assignor, &topics(&[2]).member("a", &[0, 7]).member("b", &[0, 7]), "a 0:0, b 0:1");
        becomes(assignor, &topics(&[2]).member("a", &[0]).member("b", &[7]), "a 0:0-1, b");
        becomes(assignor, &topics(&[2, 0]).member("a", &[1]), "a");
    }
}

#[test]
fn a_partition_that_does_not_exist_is_given_up() {
    becomes(
        Assignor::Uniform,
        &topics(&[2]).member("a", &[0]).member("b", &[0]).having("a 0:5+1, b 3:0"),
        "a 0:1, b 0:0",
    );
    let different = topics(&[2, 1]).member("a", &[0]).member("b", &[0, 1]).having("a 0:1+5+2, b 3:0");
    becomes(Assignor::Uniform, &different, "a 0:0-1, b 1:0");
    let mut group = topics(&[1]).member("a", &[0]);
    group.members.get_mut("a").unwrap().current = [(topic(0), vec![PartitionId(-1), PartitionId(i32::MAX)])].into();
    becomes(Assignor::Uniform, &group, "a 0:0");
}

#[test]
fn of_two_members_that_claim_a_partition_one_keeps_it() {
    for subscriptions in [[&[0][..], &[0]], [&[0, 1], &[0]]] {
        let group =
            topics(&[2, 2]).member("a", subscriptions[0]).member("b", subscriptions[1]).having("a 0:0-1, b 0:0-1");
        let target = Assignor::Uniform.assign(&group);
        is_valid(&group, &target);
    }
}
