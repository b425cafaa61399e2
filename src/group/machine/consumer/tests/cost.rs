//! What a large group costs: no squares.

use super::bed::*;
use crate::group::record::MemberState;
use crate::group::request::Assignment;
use crate::model::GroupEpoch;
use std::time::{Duration, Instant};

const MEMBERS: usize = 1000;

fn id(number: usize) -> String {
    format!("member-{number:04}-0123456789abcdef")
}

/// A group of a thousand members, assigned once.
fn large() -> Bed {
    let mut bed = Bed::with(|settings| settings.groups.consumer_assignment_interval = Duration::from_secs(3600));
    bed.h.topic("foo", 1000);
    for number in 0..MEMBERS {
        bed.join(&id(number), &["foo"]).unwrap();
    }
    bed
}

/// Every member beats until it is where it is to be.
fn settle(bed: &mut Bed, mut has: Vec<(i32, Assignment)>) -> Vec<(i32, Assignment)> {
    for _ in 0..3 {
        for (number, (epoch, has)) in has.iter_mut().enumerate() {
            let answer = bed.report(&id(number), *epoch, has).unwrap();
            *epoch = answer.epoch.0;
            if let Some(assignment) = answer.assignment {
                *has = assignment;
            }
        }
    }
    assert_eq!(bed.state(), "Stable");
    has
}

#[test]
fn a_thousand_members_share_a_thousand_partitions_in_little_time_and_memory() {
    let started = Instant::now();
    let mut bed = large();
    let joined = started.elapsed();
    bed.h.pass(30_000);
    let all = bed.group().target.get(&m(&id(0))).cloned().unwrap();
    let mut has = vec![(2, Assignment::new()); MEMBERS];
    has[0].1 = all;
    // The next assignment is due.
    bed.h.env.settings = {
        let mut settings = crate::config::Settings::clone(&bed.h.env.settings);
        settings.groups.consumer_assignment_interval = Duration::ZERO;
        settings.into()
    };
    bed.h.written();
    let started = Instant::now();
    let (epoch, first) = has[0].clone();
    let answer = bed.report(&id(0), epoch, &first).unwrap();
    let assigned = started.elapsed();
    has[0].1 = answer.assignment.unwrap();
    assert_eq!(has[0].1.values().next().map(Vec::len), Some(1));
    assert_eq!(bed.current(&id(0)).state, MemberState::UnrevokedPartitions);
    let started = Instant::now();
    let has = settle(&mut bed, has);
    let settled = started.elapsed();
    assert!(has.iter().all(|(epoch, has)| *epoch == has_epoch(&bed) && has.values().next().map(Vec::len) == Some(1)));

    let started = Instant::now();
    for (number, (epoch, _)) in has.iter().enumerate() {
        assert_eq!(bed.beat(&id(number), *epoch, |_| {}).unwrap().epoch, GroupEpoch(*epoch));
    }
    let beaten = started.elapsed();
    println!("join all {joined:?}, assign {assigned:?}, three rounds {settled:?}, a round of nothing {beaten:?}");

    let memory = allocation_counter::measure(|| drop(std::hint::black_box(bed.group().clone())));
    let each = memory.bytes_max / MEMBERS as u64;
    println!("{each} bytes a member");
    assert!(each < 4096, "{each} bytes a member");
}

fn has_epoch(bed: &Bed) -> i32 {
    bed.group().epoch.0
}
