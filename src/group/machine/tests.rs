#![allow(clippy::unwrap_used)]

use super::testing::Harness;
use super::*;
use crate::group::record::{ClassicGroupValue, ClassicMemberValue, GroupValue};
use crate::group::request::{Commit, CommitOffset, List, Listed};
use crate::model::{Generation, GroupEpoch, LeaderEpoch, Offset, PartitionId, TopicId};
use bytes::Bytes;

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

fn delete(h: &mut Harness, group: &str) -> ErrorCode {
    match h.run(Request::DeleteGroup { group: group.into(), state_is_deleted: false }) {
        Reply::DeleteGroup(error) => error,
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
    let of_streams_groups = Replayed::Record { key: &[0, 17, 0, 1, b's'], value: Some(&[0, 0, 0]), producer: None };
    assert_eq!(h.groups.replay(of_streams_groups), Ok(()));
    assert!(h.groups.groups.is_empty());
}

#[test]
fn offsets_that_lie_before_their_consumer_groups_record_in_a_compacted_log_are_the_consumer_groups() {
    let mut h = Harness::new();
    commit(&mut h, "g");
    let value = GroupValue { epoch: GroupEpoch(3), metadata_hash: 0 };
    h.replay(&Record::Group { group: "g".into(), value: Some(value) });
    let kinds: Vec<&str> = list(&mut h, &[], &[]).iter().map(|listed| listed.kind).collect();
    assert_eq!(kinds, ["consumer"]);
    assert_eq!(delete(&mut h, "g"), ErrorCode::NONE);
    assert!(h.groups.groups.is_empty() && h.replayed().groups.groups.is_empty());
}

/// A classic group with one member that has its session timeout to be heard of once the group is replayed.
fn with_a_member(h: &mut Harness, group: &str, session_timeout_ms: i32) {
    let value = ClassicGroupValue {
        protocol_type: "consumer".into(),
        generation: Generation(1),
        protocol: Some("range".into()),
        leader: Some("m".into()),
        state_since: h.env.now,
        members: vec![ClassicMemberValue {
            member: "m".into(),
            instance: None,
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout_ms: 1000,
            session_timeout_ms,
            subscription: Bytes::new(),
            assignment: Bytes::new(),
        }],
    };
    h.replay(&Record::ClassicGroup { group: group.into(), value: Some(value) });
}

#[test]
fn a_group_may_be_deleted_from_the_moment_its_last_session_is_over() {
    let mut h = Harness::new();
    with_a_member(&mut h, "g", 6000);
    let mut h = h.replayed();
    h.env.now = h.env.now.plus(5999);
    assert_eq!(delete(&mut h, "g"), ErrorCode::NON_EMPTY_GROUP);
    // The alarm of the session may come after the request.
    h.env.now = h.env.now.plus(1);
    assert_eq!(delete(&mut h, "g"), ErrorCode::NONE);
    assert!(h.groups.groups.is_empty() && h.replayed().groups.groups.is_empty());
}

/// What one step writes at a time when many deadlines have come, until none is left.
fn tick_until_done(h: &mut Harness, late_ms: i64) -> Vec<usize> {
    h.env.now = h.env.now.plus(late_ms);
    let mut steps = Vec::new();
    while h.groups.next_deadline().is_some_and(|deadline| deadline <= h.env.now) {
        let mut out = Out::default();
        h.groups.step(&h.env, Input::Tick, &mut out);
        assert!(h.env.fits(&Out::default(), &out.records), "{} records", out.records.len());
        steps.push(out.records.len());
        h.env.now = h.env.now.plus(1);
    }
    steps
}

#[test]
fn sessions_that_end_together_are_ended_in_steps_that_fit_in_a_batch() {
    let mut h = Harness::new();
    for group in 0..100 {
        with_a_member(&mut h, &format!("g{group:02}"), 1000);
    }
    let mut h = h.replayed();
    h.env.batch_bytes_max = 2000;
    let steps = tick_until_done(&mut h, 5000);
    assert_eq!(steps.iter().sum::<usize>(), 100, "each group becomes empty: {steps:?}");
    assert!(steps.iter().all(|records| *records <= 10), "{steps:?}");
}

#[test]
fn groups_that_expire_together_expire_in_steps_that_fit_in_a_batch() {
    let mut h = Harness::new();
    for group in 0..100 {
        commit(&mut h, &format!("g{group:02}"));
    }
    h.env.batch_bytes_max = 500;
    let steps = tick_until_done(&mut h, i64::MAX / 4);
    assert_eq!(steps.iter().sum::<usize>(), 200, "{steps:?}");
    assert!(h.groups.groups.is_empty());
}
