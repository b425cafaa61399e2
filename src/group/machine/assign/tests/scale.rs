//! Large groups: what takes seconds here would not end if something took the square of it. How long each takes
//! is printed and not judged: machines are busy.

use super::{Assignor, Group, is_valid, set, topics};
use crate::group::machine::assign::Subscriber;
use crate::model::MemberId;
use std::time::Instant;

fn large(members: usize, partitions: &[usize], subscriptions: &[Vec<usize>]) -> Group {
    let mut group = topics(partitions);
    let sets: Vec<_> = subscriptions.iter().map(|topics| set(topics)).collect();
    for member in 0..members {
        let subscriber = Subscriber { topics: sets[member % sets.len()].clone(), ..Subscriber::default() };
        group.members.insert(MemberId::new(&format!("member-{member:05}")), subscriber);
    }
    group
}

/// Assigns from nothing, and again after a tenth of the members left.
#[track_caller]
fn is_assigned(what: &str, assignor: Assignor, group: Group) {
    let begin = Instant::now();
    let target = assignor.assign(&group);
    let first = begin.elapsed();
    is_valid(&group, &target);
    let mut group = group.after(&target);
    let mut number = 0;
    group.members.retain(|_, _| {
        number += 1;
        number % 10 != 0
    });
    let begin = Instant::now();
    let target = assignor.assign(&group);
    println!("{what}, {assignor:?}: {first:?}, after leaves {:?}", begin.elapsed());
    is_valid(&group, &target);
}

#[test]
fn large_groups_are_assigned_validly_from_nothing_and_after_a_tenth_has_left() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        let all = |n: usize| (0..n).collect::<Vec<_>>();
        is_assigned("1 000 on 1 x 1 000", assignor, large(1000, &[1000], &[all(1)]));
        is_assigned("1 000 on 1 000 x 1", assignor, large(1000, &[1; 1000], &[all(1000)]));
        is_assigned("1 000 on 100 x 100", assignor, large(1000, &[100; 100], &[all(100)]));
        is_assigned("10 000 on 1 x 10 000", assignor, large(10_000, &[10_000], &[all(1)]));
        let odd = |n: usize, by: usize| (0..n).filter(|t| t % 7 != by).collect::<Vec<_>>();
        let some: Vec<_> = (0..7).map(|by| odd(100, by)).collect();
        is_assigned("different, 1 000 on 100 x 10", assignor, large(1000, &[10; 100], &some));
        is_assigned("different, 1 000 on 100 x 100", assignor, large(1000, &[100; 100], &some));
        let some: Vec<_> = (0..7).map(|by| odd(1000, by)).collect();
        is_assigned("different, 1 000 on 1 000 x 1", assignor, large(1000, &[1; 1000], &some));
    }
}
