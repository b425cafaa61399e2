//! `SimpleAssignor`, of share groups: every partition may be at several members, and every member is to have some.
//!
//! A partition is at as many members as it takes for everybody to have one, and all have as many as the others, give or take
//! one; what a member has it keeps while that is so. Where all members are subscribed to the same topics their partitions
//! are shared out together (`SimpleHomogeneousAssignmentBuilder`), else topic by topic
//! (`SimpleHeterogeneousAssignmentBuilder`).

use super::{Subscriber, Target};
use crate::model::{MemberId, PartitionId, TopicId};
use std::collections::{BTreeMap, BTreeSet};

type At = (TopicId, PartitionId);

/// `alike`: all members are subscribed to the same names. `assignable`: the partitions that may be assigned, of each topic that somebody is subscribed to. Every member has an
/// entry in what is returned; partitions ascend.
pub(in crate::group::machine) fn assign(
    members: &BTreeMap<MemberId, Subscriber>,
    alike: bool,
    assignable: &BTreeMap<TopicId, BTreeSet<PartitionId>>,
) -> Target {
    let subscribers: Vec<&Subscriber> = members.values().collect();
    let mut shares: Vec<BTreeSet<At>> = vec![BTreeSet::new(); subscribers.len()];
    let of = |topic: &TopicId| assignable.get(topic).into_iter().flatten().map(|at| (*topic, *at)).collect::<Vec<_>>();
    if alike {
        let topics = subscribers.first().map(|member| &*member.topics).into_iter().flatten();
        let partitions = topics.flat_map(of).collect();
        share_out(&subscribers, &(0..subscribers.len()).collect::<Vec<_>>(), partitions, &mut shares);
    } else {
        let topics: BTreeSet<TopicId> = subscribers.iter().flat_map(|member| member.topics.iter().copied()).collect();
        for topic in topics {
            let subscribed = subscribers.iter().enumerate().filter(|(_, member)| member.topics.contains(&topic));
            let subscribed: Vec<usize> = subscribed.map(|(number, _)| number).collect();
            share_out(&subscribers, &subscribed, of(&topic).into_iter().collect(), &mut shares);
        }
    }
    let mut target = Target::new();
    for (id, share) in members.keys().zip(shares) {
        let of_member = target.entry(id.clone()).or_default();
        for (topic, partition) in share {
            of_member.entry(topic).or_default().push(partition);
        }
    }
    target
}

/// Shares these partitions out among the members with these numbers, ascending.
fn share_out(all: &[&Subscriber], members: &[usize], partitions: BTreeSet<At>, shares: &mut [BTreeSet<At>]) {
    if partitions.is_empty() || members.is_empty() {
        return;
    }
    // At how many members a partition is to be, and how many partitions each member is to have.
    let sharing = members.len().div_ceil(partitions.len());
    let in_all = sharing * partitions.len();
    let up_to = |n: usize| (in_all * n).div_ceil(members.len());

    let mut at: BTreeMap<At, BTreeSet<usize>> = partitions.iter().map(|at| (*at, BTreeSet::new())).collect();
    let mut has: Vec<BTreeSet<At>> = Vec::with_capacity(members.len());
    for (n, member) in members.iter().enumerate() {
        let current = all.get(*member).into_iter().flat_map(|member| &member.current);
        let mut kept: BTreeSet<At> = current
            .flat_map(|(topic, of_topic)| of_topic.iter().map(|partition| (*topic, *partition)))
            .filter(|at| partitions.contains(at))
            .collect();
        while kept.len() > up_to(n + 1) - up_to(n) {
            kept.pop_first();
        }
        for kept in &kept {
            at.entry(*kept).or_default().insert(n);
        }
        has.push(kept);
    }
    for (at, holders) in &mut at {
        while holders.len() > sharing {
            if let Some(has) = holders.pop_first().and_then(|n| has.get_mut(n)) {
                has.remove(at);
            }
        }
    }

    // Whoever is short takes in turns. A round in which nobody could take ends it, as in Kafka, even if later partitions
    // could still be given.
    let mut short: Vec<usize> = (0..members.len()).filter(|n| has[*n].len() < up_to(n + 1) - up_to(*n)).collect();
    let (mut turn, mut taken) = (0, false);
    'partitions: for (at, holders) in &mut at {
        while holders.len() < sharing {
            let Some(n) = short.get(turn).copied() else {
                if !taken || short.is_empty() {
                    break 'partitions;
                }
                (turn, taken) = (0, false);
                continue;
            };
            if !holders.insert(n) {
                turn += 1;
                continue;
            }
            taken = true;
            has[n].insert(*at);
            if has[n].len() >= up_to(n + 1) - up_to(n) {
                short.remove(turn);
            } else {
                turn += 1;
            }
        }
    }
    for (member, has) in members.iter().zip(has) {
        if let Some(share) = shares.get_mut(*member) {
            share.extend(has);
        }
    }
}
