use super::*;
use crate::coordinator::Machine as _;

fn deadline(h: &Harness) -> TimestampMs {
    h.groups.next_deadline().unwrap()
}

#[test]
fn offsets_of_a_group_that_never_had_members_expire_after_their_commit_and_the_group_with_the_last() {
    let mut h = Harness::new();
    outside(&mut h, "g", vec![at("t", 0, 1)]);
    h.pass(DAY);
    outside(&mut h, "g", vec![at("t", 1, 2)]);
    h.written();
    h.pass(RETENTION - DAY - CHECK);
    assert_eq!(h.written(), []);
    h.pass(CHECK);
    assert_eq!(h.written(), [tombstone("g", "t", 0)]);
    h.pass(DAY);
    assert_eq!(h.written(), [tombstone("g", "t", 1), group_tombstone("g")]);
    assert!(h.groups.groups.is_empty());
    same_as_replayed(&h);
}

#[test]
fn the_time_that_an_old_client_asked_for_overrules_the_setting() {
    let mut h = Harness::new();
    for (partition, retention_ms) in [(0, CHECK), (1, RETENTION + 2 * CHECK), (2, -1)] {
        run_commit(&mut h, Commit { version: 4, retention_ms, offsets: vec![at("t", partition, 1)], ..commit("g") });
    }
    h.written();
    h.pass(CHECK);
    assert_eq!(h.written(), [tombstone("g", "t", 0)]);
    h.pass(RETENTION - CHECK);
    assert_eq!(h.written(), [tombstone("g", "t", 2)]);
    same_as_replayed(&h);
    h.pass(2 * CHECK);
    assert_eq!(h.written(), [tombstone("g", "t", 1), group_tombstone("g")]);
}

#[test]
fn offsets_of_a_group_whose_members_left_expire_after_they_left() {
    let mut h = Harness::new();
    h.replay(&offset_record("g", "t", 0, 1));
    h.replay(&classic("g", "consumer", &[], "t", START.plus(DAY).0));
    h.written();
    h.pass(RETENTION);
    assert_eq!(h.written(), []);
    h.pass(DAY);
    assert_eq!(h.written(), [tombstone("g", "t", 0), group_tombstone("g")]);
}

#[test]
fn without_a_time_at_which_they_left_the_commit_counts() {
    let mut h = Harness::new();
    h.replay(&offset_record("g", "t", 0, 1));
    h.replay(&classic("g", "consumer", &[], "t", -1));
    h.written();
    h.pass(RETENTION);
    assert_eq!(h.written(), [tombstone("g", "t", 0), group_tombstone("g")]);
}

#[test]
fn while_members_consume_only_offsets_of_topics_that_they_do_not_consume_expire() {
    let mut h = Harness::with(|settings| settings.groups.offsets_retention = std::time::Duration::from_millis(1000));
    h.replay(&offset_record("g", "t", 0, 1));
    h.replay(&offset_record("g", "u", 0, 1));
    h.replay(&classic("g", "consumer", &["m"], "t", -1));
    h.written();
    h.pass(CHECK);
    assert_eq!(h.written(), [tombstone("g", "u", 0)]);
}

#[test]
fn offsets_of_members_of_another_protocol_do_not_expire() {
    let mut h = Harness::with(|settings| settings.groups.offsets_retention = std::time::Duration::from_millis(1000));
    h.replay(&offset_record("g", "t", 0, 1));
    h.replay(&classic("g", "connect", &["m"], "t", -1));
    h.written();
    h.pass(CHECK);
    assert_eq!(h.written(), []);
}

#[test]
fn nothing_expires_that_a_transaction_may_still_replace() {
    let mut h = Harness::new();
    outside(&mut h, "g", vec![at("t", 0, 1), at("t", 1, 1)]);
    h.replay_of(7, &offset_record("g", "t", 1, 9));
    h.replay_of(7, &offset_record("pending", "t", 1, 9));
    h.written();
    h.pass(RETENTION);
    assert_eq!(h.written(), [tombstone("g", "t", 0)], "neither is the group without committed offsets removed");
    h.end(7, false);
    h.pass(CHECK);
    assert_eq!(h.written(), [tombstone("g", "t", 1), group_tombstone("g"), group_tombstone("pending")]);
    assert!(h.groups.groups.is_empty());
}

#[test]
fn a_group_without_offsets_and_members_is_removed() {
    let mut h = Harness::new();
    h.replay(&classic("empty", "consumer", &[], "t", START.0));
    outside(&mut h, "g", vec![at("t", 0, 1)]);
    delete(&mut h, "g", &[("t", 0)]);
    h.written();
    h.pass(CHECK);
    assert_eq!(h.written(), [group_tombstone("empty"), group_tombstone("g")]);
}

#[test]
fn many_groups_and_large_ones_expire_in_several_batches() {
    let mut h = Harness::with(|settings| {
        settings.groups.offsets_retention_check_interval = std::time::Duration::from_millis(DAY as u64);
    });
    for group in 0..300 {
        let partitions = if group == 7 { 25_000 } else { 1 };
        for first in (0..partitions).step_by(5000) {
            let offsets = (first..partitions.min(first + 5000)).map(|partition| at("t", partition, 1));
            outside(&mut h, &format!("g{group:03}"), offsets.collect());
        }
    }
    // One stays.
    h.pass(DAY / 2);
    outside(&mut h, "g007", vec![at("t", 12_345, 2)]);
    h.env.batch_bytes_max = 100_000;
    h.written();
    h.pass(RETENTION - DAY);
    let mut steps = Vec::new();
    while deadline(&h) <= START.plus(RETENTION + 60_000) {
        h.pass(deadline(&h).0 - h.env.now.0);
        steps.push(h.written().len());
    }
    assert!(steps.len() > 10 && steps.iter().all(|records| *records <= 2500), "{steps:?}");
    assert_eq!(steps.iter().sum::<usize>(), 24_999 + 2 * 299);
    assert_eq!(view(&h.groups.offsets).len(), 1);
    assert_eq!(h.groups.groups.len(), 1);
    check(&h.groups.offsets);
}
