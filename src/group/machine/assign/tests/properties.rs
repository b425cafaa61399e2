//! What holds for every group, on generated ones.

use super::{Assignor, Dice, Group, is_valid, loads, moves, set, topic, topics};
use crate::group::machine::assign::{Subscriber, Target};
use crate::model::{MemberId, PartitionId};

/// A group of up to `most` members. `alike`: with the same topics. What they have is anything, also of topics they have not.
fn generated(dice: &mut Dice, most: usize, alike: bool) -> Group {
    let partitions: Vec<usize> = (0..=dice.below(9)).map(|_| dice.below(25)).collect();
    let mut group = topics(&partitions);
    let count = 1 + dice.below(most);
    let wanted: Vec<usize> = (0..partitions.len() + 1).collect();
    for member in 0..count {
        let some: Vec<usize> = wanted.iter().copied().filter(|_| alike || dice.below(3) > 0).collect();
        let instance = (dice.below(4) == 0).then(|| format!("i{}", dice.below(1000) * 100 + member));
        let subscriber = Subscriber { instance, topics: set(&some), ..Subscriber::default() };
        group.members.insert(MemberId::new(&format!("m{member:03}")), subscriber);
    }
    let ids: Vec<MemberId> = group.members.keys().cloned().collect();
    for (number, partitions) in partitions.into_iter().enumerate() {
        for partition in 0..i32::try_from(partitions + 1).unwrap() {
            if dice.below(5) > 0 {
                let bound = 1 + dice.below(count);
                let owner = ids[dice.below(bound)].clone();
                let current = &mut group.members.get_mut(&owner).unwrap().current;
                current.entry(topic(number)).or_default().push(PartitionId(partition));
            }
        }
    }
    group
}

fn before(group: &Group) -> Target {
    group.members.iter().map(|(id, member)| (id.clone(), member.current.clone())).collect()
}

#[test]
fn every_partition_gets_one_owner_among_its_subscribers() {
    for seed in 0..400 {
        let group = generated(&mut Dice(seed), 30, seed % 2 == 0);
        for assignor in [Assignor::Uniform, Assignor::Range] {
            is_valid(&group, &assignor.assign(&group));
        }
    }
}

#[test]
fn range_never_differs_by_more_than_one_within_a_topic() {
    for seed in 0..200 {
        let group = generated(&mut Dice(seed), 30, seed % 2 == 0);
        let target = Assignor::Range.assign(&group);
        for topic in group.partitions.keys() {
            let subscribers = group.members.iter().filter(|(_, member)| member.topics.contains(topic));
            let counts: Vec<usize> = subscribers.map(|(id, _)| target[id].get(topic).map_or(0, Vec::len)).collect();
            let (least, most) = (counts.iter().min().unwrap_or(&0), counts.iter().max().unwrap_or(&0));
            assert!(most - least <= 1, "seed {seed}: {counts:?}");
        }
    }
}

#[test]
fn uniform_never_differs_by_more_than_one_where_all_subscribe_alike() {
    for seed in 0..200 {
        let group = generated(&mut Dice(seed), 30, true);
        let loads = loads(&Assignor::Uniform.assign(&group));
        assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "seed {seed}: {loads:?}");
    }
}

#[test]
fn uniform_leaves_no_partition_whose_move_would_help() {
    for seed in 0..200 {
        let group = generated(&mut Dice(seed), 12, false);
        let target = Assignor::Uniform.assign(&group);
        let loads = loads(&target);
        let load = |id: &MemberId| loads[target.keys().position(|member| member == id).unwrap()];
        for (from, topics) in &target {
            for topic in topics.keys() {
                for (to, _) in group.members.iter().filter(|(_, member)| member.topics.contains(topic)) {
                    assert!(load(from) <= load(to) + 1, "seed {seed}: {topic} from {from} to {to}");
                }
            }
        }
    }
}

#[test]
fn uniform_changes_nothing_in_what_it_made() {
    for seed in 0..200 {
        let group = generated(&mut Dice(seed), 30, seed % 2 == 0);
        let target = Assignor::Uniform.assign(&group);
        let again = Assignor::Uniform.assign(&group.after(&target));
        assert_eq!(again, target, "seed {seed}");
    }
}

#[test]
fn a_member_that_leaves_a_uniform_group_moves_only_its_own_partitions() {
    for seed in 0..200 {
        let mut group = generated(&mut Dice(seed), 30, true);
        let topics = group.members["m000"].topics.clone();
        group.members.insert("x".into(), Subscriber { topics: topics.clone(), ..Subscriber::default() });
        let target = Assignor::Uniform.assign(&group);
        let mut left = group.after(&target).without("x");
        let mut remaining = target.clone();
        remaining.remove("x");
        let after = Assignor::Uniform.assign(&left);
        is_valid(&left, &after);
        assert_eq!(moves(&remaining, &after), 0, "seed {seed}");

        // It comes back: each of the others gives up no more than it has to.
        left = left.after(&after);
        left.members.insert("x".into(), Subscriber { topics, ..Subscriber::default() });
        let back = Assignor::Uniform.assign(&left);
        assert_eq!(moves(&after, &back), back["x"].values().map(Vec::len).sum::<usize>(), "seed {seed}");
    }
}

#[test]
fn uniform_moves_only_what_is_over_a_fair_share() {
    for seed in 0..200 {
        let mut group = generated(&mut Dice(seed), 20, true);
        for (topic, count) in &group.partitions {
            for member in group.members.values_mut() {
                if let Some(partitions) = member.current.get_mut(topic) {
                    partitions.retain(|p| usize::try_from(p.0).unwrap() < *count);
                }
            }
        }
        let before = before(&group);
        let target = Assignor::Uniform.assign(&group);
        let all: usize = loads(&target).iter().sum();
        let most = all.div_ceil(group.members.len());
        let over: usize = loads(&before).iter().map(|load| load.saturating_sub(most)).sum();
        // One member that has a larger share may have to give it up for each that must have one.
        let moved = moves(&before, &target);
        assert!(moved >= over && moved <= over + group.members.len(), "seed {seed}: {moved} of {over}");
    }
}
