//! Random requests of both protocols, sensible or not, against one group that changes its protocol as it goes.
//!
//! What has to hold: nobody is answered twice (the harness sees to it), no partition has two owners, and whatever was written
//! is replayed to the same group.

use super::bed::*;
use super::classic_bed::*;
use super::random::{Dice, check_owners};
use crate::coordinator::Ticket;
use crate::group::coordinator::check_consumer_heartbeat;
use crate::group::machine::Group;
use crate::group::protocol;
use crate::group::request::{ConsumerHeartbeat, Heartbeat, Leave, Leaver, Request, Sync};
use crate::model::{Generation, InstanceId, MemberId, PartitionId, TopicName};
use std::collections::BTreeSet;
use std::time::Duration;

const TOPICS: [&str; 2] = ["foo", "bar"];
const SUBSCRIPTIONS: [&[&str]; 3] = [&["foo"], &["foo", "bar"], &[]];
const INSTANCES: [Option<&str>; 4] = [None, None, None, Some("i")];

/// Who is in the group now, with the epoch or generation.
fn members(bed: &Bed) -> Vec<(MemberId, i32)> {
    match bed.h.groups.groups.get(&g()) {
        Some(Group::Consumer(group)) => {
            group.members.iter().map(|(id, member)| (id.clone(), member.current.epoch.0)).collect()
        }
        Some(Group::Classic(group)) => group.members.keys().map(|id| (id.clone(), group.generation.0)).collect(),
        Some(Group::Share(_)) | None => Vec::new(),
    }
}

fn owned_by(bed: &Bed, member: &MemberId, dice: &mut Dice) -> crate::group::request::Assignment {
    match bed.h.groups.groups.get(&g()) {
        Some(Group::Consumer(group)) if dice.roll(3) > 0 => {
            group.members.get(member).map(|member| member.assignment()).unwrap_or_default()
        }
        _ => Default::default(),
    }
}

fn request(bed: &Bed, dice: &mut Dice) -> Request {
    let there = members(bed);
    let (member, epoch) = match there.len() {
        0 => (m("new"), 0),
        n => there[dice.roll(n as u64) as usize].clone(),
    };
    let instance = dice.one(&INSTANCES).map(InstanceId::new);
    let topics = *dice.one(&SUBSCRIPTIONS);
    let new = m(["n1", "n2", "n3", "n4", ""][dice.roll(5) as usize]);
    let mut owned = owned_by(bed, &member, dice);
    let named: Vec<(String, Vec<i32>)> = owned
        .iter()
        .filter_map(|(id, of)| Some((bed.h.env.image.topic_by_id(*id)?, of)))
        .map(|(topic, of)| (topic.name.to_string(), of.iter().map(|p| p.0).collect()))
        .collect();
    let named: Vec<(&str, &[i32])> = named.iter().map(|(name, of)| (name.as_str(), of.as_slice())).collect();
    let beat = |member: MemberId, epoch: i32, put: &dyn Fn(&mut ConsumerHeartbeat)| {
        let mut beat = ConsumerHeartbeat {
            version: 0,
            client: client(),
            group: g(),
            member,
            epoch: crate::model::GroupEpoch(epoch),
            instance: instance.clone(),
            rack: None,
            rebalance_timeout_ms: -1,
            topics: None,
            regex: None,
            assignor: None,
            owned: None,
        };
        put(&mut beat);
        Request::ConsumerHeartbeat(beat)
    };
    match dice.roll(16) {
        0 => beat(new, 0, &|beat| joining(topics)(beat)),
        1 => beat(member, 0, &|beat| joining(topics)(beat)),
        2 => beat(new, 0, &|beat| joining_by("fo+|b.*")(beat)),
        3 => beat(member, -1, &|_| {}),
        4 => beat(member, -2, &|beat| beat.instance = Some(InstanceId::new("i"))),
        5..=7 => {
            owned.retain(|_, _| epoch % 5 != 4);
            beat(member, epoch, &|beat| beat.owned = Some(owned.clone()))
        }
        8 => {
            let mut join = join(new.as_str(), topics, &[]);
            join.instance = instance;
            join.version = 3 + dice.roll(5) as i16;
            Request::Join(join)
        }
        9..=10 => {
            let mut join = join(member.as_str(), topics, &named);
            join.instance = instance.filter(|_| dice.roll(2) == 0);
            Request::Join(join)
        }
        11..=12 => {
            let given = |name: &str| {
                let partitions = vec![(TopicName::new(name), vec![PartitionId(0)])];
                protocol::Assignment { partitions, user_data: None }.encode(1).unwrap()
            };
            let leader = there.iter().take(2).zip(TOPICS).map(|((id, _), topic)| (id.clone(), given(topic)));
            Request::Sync(Sync {
                version: 5,
                group: g(),
                generation: Generation(epoch),
                member,
                instance: None,
                protocol_type: None,
                protocol_name: None,
                assignments: leader.collect(),
            })
        }
        13..=14 => Request::Heartbeat(Heartbeat { group: g(), generation: Generation(epoch), member, instance: None }),
        _ => {
            let leaver = Leaver { member, instance: None, reason: None };
            Request::Leave(Leave { version: 5, group: g(), members: vec![leaver] })
        }
    }
}

/// As every request it passes the coordinator's check first.
fn passes_the_check(bed: &Bed, request: &Request) -> bool {
    match request {
        Request::ConsumerHeartbeat(beat) => {
            check_consumer_heartbeat(beat, &bed.h.env.settings.groups.consumer_assignors).is_ok()
        }
        _ => true,
    }
}

#[test]
fn whatever_members_of_both_protocols_send_the_group_stays_sound() {
    let (mut consumer, mut classic, mut changes) = (0, 0, 0);
    for seed in 1..=60_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut bed = Bed::with(|settings| settings.groups.initial_rebalance_delay = Duration::ZERO);
        bed.h.topic("foo", 3);
        let mut tickets: BTreeSet<Ticket> = BTreeSet::new();
        let mut was = None;
        for turn in 0..200 {
            match dice.roll(12) {
                0 => bed.h.pass(dice.roll(15_000) as i64),
                1 => {
                    let name = *dice.one(&TOPICS);
                    let now = bed.h.env.image.topic(name).map_or(0, |topic| topic.partitions.len() as i32);
                    if now < 8 {
                        bed.h.topic(name, now + 1);
                    }
                }
                _ => {
                    let request = request(&bed, &mut dice);
                    if passes_the_check(&bed, &request) {
                        tickets.insert(bed.h.send(request));
                    }
                }
            }
            tickets.retain(|ticket| bed.h.reply(*ticket).is_none());
            assert_eq!(tickets.len(), bed.h.waiting());
            let kind = bed.h.groups.groups.get(&g()).map(|group| group.kind().name());
            changes += usize::from(was.is_some() && kind != was);
            was = kind.or(was);
            match kind {
                Some("consumer") => {
                    consumer += 1;
                    check_owners(&bed);
                    if turn % 10 == 0 {
                        bed.check_replay();
                    }
                }
                Some(_) => {
                    classic += 1;
                    assert!(bed.h.groups.consumers.by_topic.is_empty());
                }
                None => {}
            }
        }
        // Nobody waits for ever.
        bed.h.pass(200_000);
        tickets.retain(|ticket| bed.h.reply(*ticket).is_none());
        assert_eq!((bed.h.waiting(), tickets.len()), (0, 0), "seed {seed}");
    }
    println!("{consumer} turns as a consumer group, {classic} as a classic one, {changes} changes");
    assert!(consumer > 2000 && classic > 500 && changes > 50, "{consumer} {classic} {changes}");
}
