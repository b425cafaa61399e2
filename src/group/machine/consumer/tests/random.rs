//! Random sequences: clients that do what clients do, lose answers, come late and die, against one group.
//!
//! What has to hold: no partition has two owners, not even on the clients' side; replay gives the same group; and when
//! everybody is quiet the group becomes stable, with every partition at one member that subscribes to it.

use super::bed::*;
use crate::group::record::WithEpochs;
use crate::group::request::Assignment;
use crate::model::{PartitionId, TopicId, TopicName};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// Xorshift: the same numbers every time.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len() as u64) as usize]
    }
}

#[derive(Clone, Default)]
struct Consumer {
    epoch: i32,
    has: Assignment,
}

const TOPICS: [&str; 3] = ["foo", "bar", "baz"];
const MEMBERS: [&str; 5] = ["a", "b", "c", "d", "e"];
const SUBSCRIPTIONS: [&[&str]; 5] = [&["foo"], &["foo", "bar"], &["bar", "baz"], &[], &["foo", "bar", "baz"]];
const REGEXES: [&str; 3] = ["foo|bar", "b.*", ""];

pub(super) fn check_owners(bed: &Bed) {
    let mut owners = BTreeMap::new();
    for (id, member) in &bed.group().members {
        let all: [&WithEpochs; 2] = [&member.current.assigned, &member.current.pending_revocation];
        for (topic, partitions) in all.into_iter().flatten() {
            for partition in partitions.keys() {
                let before = owners.insert((*topic, *partition), id.clone());
                assert_eq!(before, None, "{topic:?}-{partition:?} is at two members");
            }
        }
    }
    let counted: BTreeSet<(TopicId, PartitionId)> =
        bed.group().owned.iter().flat_map(|(topic, of)| of.keys().map(|partition| (*topic, *partition))).collect();
    assert_eq!(counted, owners.into_keys().collect());
    let mut targets = BTreeSet::new();
    for (topic, of) in bed.group().target.values().flatten() {
        for partition in of {
            assert!(targets.insert((*topic, *partition)), "{topic:?}-{partition:?} is in two targets");
        }
    }
}

fn check_clients(clients: &BTreeMap<&str, Consumer>) {
    let mut has = BTreeSet::new();
    for (topic, of) in clients.values().flat_map(|client| &client.has) {
        for partition in of {
            assert!(has.insert((*topic, *partition)), "two clients have {topic:?}-{partition:?}");
        }
    }
}

/// A heartbeat of a client that is in, and what it makes of the answer, unless it is lost.
fn heartbeat(bed: &mut Bed, clients: &mut BTreeMap<&'static str, Consumer>, id: &'static str, dice: &mut Dice) {
    let Some(client) = clients.get(id).cloned() else { return };
    let change = dice.roll(8);
    let lost = dice.roll(10) == 0;
    let topics: Vec<TopicName> = dice.one(&SUBSCRIPTIONS).iter().map(|topic| TopicName::new(topic)).collect();
    let regex = (*dice.one(&REGEXES)).to_owned();
    let answer = bed.beat(id, client.epoch, |beat| {
        beat.owned = Some(client.has.clone());
        match change {
            0 => beat.topics = Some(topics),
            1 => beat.regex = Some(regex),
            _ => {}
        }
    });
    match answer {
        Ok(_) if lost => {}
        Ok(answer) => {
            let client = clients.get_mut(id).unwrap();
            client.epoch = answer.epoch.0;
            if let Some(assignment) = answer.assignment {
                client.has = assignment;
            }
        }
        // Fenced: it abandons everything and begins anew.
        Err(_) => {
            clients.remove(id);
        }
    }
}

fn step(bed: &mut Bed, clients: &mut BTreeMap<&'static str, Consumer>, dice: &mut Dice) {
    let id = *dice.one(&MEMBERS);
    match dice.roll(20) {
        0..=2 => {
            clients.remove(id);
            let topics = *dice.one(&SUBSCRIPTIONS);
            if let Ok(answer) = bed.join(id, topics) {
                let has = answer.assignment.unwrap_or_default();
                clients.insert(id, Consumer { epoch: answer.epoch.0, has });
            }
        }
        3 => {
            clients.remove(id);
            let _ = bed.beat(id, -1, |_| {});
        }
        // It dies without a word.
        4 => {
            clients.remove(id);
        }
        5 => {
            let name = *dice.one(&TOPICS);
            let partitions = 1 + dice.roll(6) as i32;
            let now = bed.h.env.image.topic(name).map_or(0, |topic| topic.partitions.len() as i32);
            if partitions > now {
                bed.h.topic(name, partitions);
            } else if now > 0 && dice.roll(4) == 0 {
                bed.h.delete_topic(name);
            }
        }
        6..=8 => {
            bed.h.pass(dice.roll(12_000) as i64);
            // Whoever was removed meanwhile learns it before it does anything else.
            clients.retain(|id, _| bed.has(id));
        }
        _ => heartbeat(bed, clients, id, dice),
    }
}

#[test]
fn no_partition_ever_has_two_owners_and_replay_equals_what_was_lived() {
    for seed in 1..=40_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut bed = Bed::new();
        let mut clients = BTreeMap::new();
        bed.join("keeper", &[]).unwrap();
        for turn in 0..150 {
            step(&mut bed, &mut clients, &mut dice);
            let _ = bed.join("keeper", &[]);
            check_owners(&bed);
            check_clients(&clients);
            if turn % 25 == 0 {
                bed.check_replay();
            }
        }
        bed.check_replay();
        quiet(&mut bed, &mut clients);
        bed.check_replay();
    }
}

/// Everybody that is alive beats regularly, and nothing else happens.
fn quiet(bed: &mut Bed, clients: &mut BTreeMap<&'static str, Consumer>) {
    for _ in 0..40 {
        bed.h.pass(5_000);
        bed.join("keeper", &[]).unwrap();
        for id in MEMBERS {
            let Some(client) = clients.get(id).cloned() else { continue };
            match bed.report(id, client.epoch, &client.has) {
                Ok(answer) => {
                    let has = answer.assignment.unwrap_or(client.has);
                    clients.insert(id, Consumer { epoch: answer.epoch.0, has });
                }
                Err(_) => {
                    clients.remove(id);
                }
            }
        }
    }
    assert_eq!(bed.state(), "Stable");
    let group = bed.group();
    let mut has = BTreeSet::new();
    for (id, client) in clients.iter() {
        assert_eq!(&client.has, &group.members.get(*id).unwrap().assignment(), "{id}");
        has.extend(client.has.iter().flat_map(|(topic, of)| of.iter().map(|partition| (*topic, *partition))));
    }
    let topics = group.subscribed.topics().filter_map(|name| bed.h.env.image.topic(name.as_str()));
    let all = topics.flat_map(|topic| topic.numbered().map(|(partition, _)| (topic.id, partition)));
    assert_eq!(has, all.collect());
}
