#![allow(clippy::unwrap_used)]

use super::testing::Harness;
use super::*;
use crate::group::request::{Commit, CommitOffset, List, Listed};
use crate::model::{LeaderEpoch, Offset, PartitionId, TopicId};

fn commit(h: &mut Harness, group: &str) {
    let offset = CommitOffset {
        topic: "t".into(),
        topic_id: TopicId::ZERO,
        partition: PartitionId(0),
        offset: Offset(1),
        leader_epoch: LeaderEpoch::NONE,
        metadata: None,
    };
    h.run(Request::Commit(Commit {
        version: 9,
        group: group.into(),
        member: "".into(),
        instance: None,
        generation_or_epoch: -1,
        retention_ms: -1,
        offsets: vec![offset],
    }));
}

fn list(h: &mut Harness, states: &[&str], types: &[&str]) -> Vec<Listed> {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    match h.run(Request::List(List { states: owned(states), types: owned(types) })) {
        Reply::List(listed) => listed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn groups_that_only_have_offsets_are_listed() {
    let mut h = Harness::new();
    commit(&mut h, "g");
    let expected = Listed { group: "g".into(), protocol_type: String::new(), state: "Empty", kind: "classic" };
    assert_eq!(list(&mut h, &[], &[]), [expected]);
}

#[test]
fn a_listing_is_filtered_by_state_and_type_without_regard_to_case() {
    let mut h = Harness::new();
    commit(&mut h, "g");
    for (states, types, found) in [
        (&["empty"][..], &[][..], 1),
        (&["Stable", " EMPTY "], &["Classic"], 1),
        (&[], &["consumer"], 0),
        (&[], &["consumer", "CLASSIC"], 1),
        (&["stable"], &[], 0),
        (&["nonsense"], &[], 0),
        (&[], &["nonsense"], 0),
    ] {
        assert_eq!(list(&mut h, states, types).len(), found, "{states:?} {types:?}");
    }
}

#[test]
fn a_record_that_cannot_be_read_changes_nothing_and_is_reported() {
    let mut h = Harness::new();
    let bad = Replayed::Record { key: &[0, 1, 0, 9], value: None, producer: None };
    assert!(h.groups.replay(bad).is_err());
    let of_share_groups = Replayed::Record { key: &[0, 11, 0, 1, b's'], value: Some(&[0, 0, 0]), producer: None };
    assert_eq!(h.groups.replay(of_share_groups), Ok(()));
    assert!(h.groups.groups.is_empty());
}

#[test]
fn deadlines_that_come_together_are_met_in_steps_that_fit_in_a_batch() {
    let mut h = Harness::new();
    for group in 0..100 {
        commit(&mut h, &format!("g{group:02}"));
    }
    h.env.batch_bytes_max = 500;
    h.env.now = h.env.now.plus(i64::MAX / 4);
    let mut steps = 0;
    while !h.groups.groups.is_empty() {
        let mut out = Out::default();
        h.env.now = h.env.now.plus(1);
        h.groups.step(&h.env, Input::Tick, &mut out);
        assert!(h.env.fits(&Out::default(), &out.records), "{} records", out.records.len());
        steps += 1;
    }
    assert!(steps > 20, "{steps}");
}
