//! Random sequences: members that come, lose answers and go, topics that come and grow, share coordinators that fail.
//!
//! What has to hold: replay gives the same group; nobody has a partition without state; and when everybody is quiet every
//! partition of a topic that is subscribed to is at somebody who subscribes to it.

use super::*;
use crate::record::testing::Chance;

const TOPICS: [&str; 3] = ["foo", "bar", "baz"];
const MEMBERS: [&str; 5] = ["a", "b", "c", "d", "e"];

#[test]
fn whatever_happens_replay_agrees_and_in_the_end_every_partition_is_consumed() {
    for seed in 0..60 {
        let mut chance = Chance::new(seed);
        let mut bed = Bed::new();
        let mut epochs: BTreeMap<&str, i32> = BTreeMap::new();
        for _ in 0..80 {
            let member = MEMBERS[chance.below(5)];
            match chance.below(8) {
                0 => {
                    bed.h.topic(TOPICS[chance.below(3)], 1 + chance.below(4) as i32);
                }
                1 | 2 => {
                    let topics: Vec<&str> = TOPICS.into_iter().filter(|_| chance.below(2) == 0).collect();
                    if !topics.is_empty() {
                        epochs.insert(member, bed.join(member, &topics).epoch.0);
                    }
                }
                3 => {
                    let _ = bed.beat(member, -1, None);
                    epochs.remove(member);
                }
                4 => drop(bed.settle(chance.below(3) > 0)),
                5 => bed.h.pass(chance.below(40_000) as i64),
                _ => {
                    let answer = bed.beat(member, epochs.get(member).copied().unwrap_or(1), None);
                    // One in four answers is lost.
                    if let (Ok(beaten), true) = (answer, chance.below(4) > 0) {
                        epochs.insert(member, beaten.epoch.0);
                    }
                }
            }
            check(&bed);
        }
        for _ in 0..4 {
            for member in MEMBERS {
                let there = matches!(bed.h.groups.groups.get(&g()), Some(Group::Share(group)) if group.members.contains_key(&m(member)));
                if there {
                    let topics: Vec<String> =
                        bed.group().members[&m(member)].about.topics.iter().map(|t| t.as_str().to_owned()).collect();
                    bed.join(member, &topics.iter().map(String::as_str).collect::<Vec<_>>());
                }
            }
            bed.settle(true);
        }
        check(&bed);
        let Some(Group::Share(group)) = bed.h.groups.groups.get(&g()) else { continue };
        for (id, topic) in group.states.iter().flat_map(|states| &states.initialized) {
            let subscribed = |member: &&super::super::ShareMember| member.about.topics.contains(&topic.name);
            let members: Vec<_> = group.members.values().filter(subscribed).collect();
            for partition in &topic.partitions {
                let has = |member: &&&super::super::ShareMember| {
                    member.current.assigned.get(id).is_some_and(|of| of.contains(partition))
                };
                assert!(members.is_empty() || members.iter().any(|member| has(&member)), "seed {seed}: {group:#?}");
            }
        }
    }
}

fn check(bed: &Bed) {
    let Some(Group::Share(group)) = bed.h.groups.groups.get(&g()) else { return };
    bed.check_replay();
    for member in group.members.values() {
        for (topic, partitions) in &member.current.assigned {
            let states = group.states.as_ref().unwrap();
            assert!(partitions.iter().all(|at| states.initialized[topic].partitions.contains(at)));
        }
    }
}
