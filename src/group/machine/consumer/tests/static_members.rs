//! Static members: they leave for a while, come back under another id, and fence who comes too early.

use super::bed::*;
use crate::group::record::Record;
use crate::group::request::{Assignment, ConsumerHeartbeat, ConsumerHeartbeaten};
use crate::model::{ErrorCode, GroupEpoch, InstanceId, TopicId};

/// `a` and `b` share two partitions; `a` is the static member `i`.
fn bed() -> (Bed, TopicId) {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join_static("a", "i", &["foo"]).unwrap();
    bed.join("b", &["foo"]).unwrap();
    bed.beat("a", 2, |beat| {
        as_i(beat);
        beat.owned = Some(of(foo, &[0]));
    })
    .unwrap();
    bed.beat("b", 3, |_| {}).unwrap();
    assert_eq!(bed.state(), "Stable");
    bed.h.written();
    (bed, foo)
}

fn as_i(beat: &mut ConsumerHeartbeat) {
    beat.instance = Some(InstanceId::new("i"));
}

#[test]
fn a_static_member_that_leaves_for_a_while_keeps_its_place() {
    let (mut bed, foo) = bed();
    let answer = bed.beat("a", -2, as_i).unwrap();
    assert_eq!(
        answer,
        ConsumerHeartbeaten { member: m("a"), epoch: GroupEpoch(-2), heartbeat_interval_ms: 0, assignment: None }
    );
    // What it has counts as assigned from the start.
    assert_eq!(bed.h.written(), [current_record("a", -2, 2, at(&[(foo, &[(0, 0)])]))]);
    assert_eq!(bed.group().members.len(), 2);
    assert_eq!(bed.state(), "Reconciling");
    bed.check_replay();
}

#[test]
fn it_comes_back_under_another_id_without_a_rebalance() {
    let (mut bed, foo) = bed();
    bed.beat("a", -2, as_i).unwrap();
    bed.h.written();
    let answer = bed.join_static("a2", "i", &["foo"]).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(3), Some(of(foo, &[0]))));
    let mut about = about(&["foo"]);
    about.instance = Some(InstanceId::new("i"));
    let mut expected = gone("a");
    expected.extend([
        member_record("a2", about),
        target_record("a2", of(foo, &[0])),
        current_record("a2", 0, 0, at(&[(foo, &[(0, 0)])])),
        current_record("a2", 3, 0, at(&[(foo, &[(0, 0)])])),
    ]);
    assert_eq!(bed.h.written(), expected);
    assert_eq!((bed.group().epoch, bed.state()), (GroupEpoch(3), "Stable"));
    bed.check_replay();
}

#[test]
fn it_comes_back_with_other_topics_and_the_group_is_assigned_anew() {
    let (mut bed, foo) = bed();
    let bar = bed.h.topic("bar", 1);
    bed.beat("a", -2, as_i).unwrap();
    // A member that joins has nothing: what it had is free at once.
    let answer = bed.join_static("a2", "i", &["bar"]).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(4), Some(of(bar, &[0]))));
    assert_eq!(bed.beat("b", 3, |_| {}).unwrap().assignment, Some(of(foo, &[0, 1])));
    bed.check_replay();
}

#[test]
fn it_may_come_back_when_the_group_is_full() {
    let mut bed = Bed::with(|settings| settings.groups.consumer_members_max = 1);
    bed.join_static("a", "i", &[]).unwrap();
    bed.beat("a", -2, as_i).unwrap();
    bed.join_static("a2", "i", &[]).unwrap();
    assert!(bed.has("a2") && !bed.has("a"));
}

#[test]
fn an_instance_id_that_is_in_use_is_not_released() {
    let (mut bed, _) = bed();
    let message =
        "Static member c with instance id i cannot join the group because the instance id is owned by a member.";
    let unreleased = ErrorCode::UNRELEASED_INSTANCE_ID;
    assert_eq!(bed.join_static("c", "i", &["foo"]), refused(unreleased, message));
    // Even to the member itself, unless it has left.
    assert_eq!(bed.join_static("a", "i", &["foo"]).unwrap_err().code, unreleased);
    assert_eq!(bed.h.written(), []);
}

#[test]
fn another_member_with_the_instance_id_is_fenced() {
    let (mut bed, _) = bed();
    let message = "Static member c with instance id i was fenced by member a.";
    for epoch in [3, -1, -2] {
        assert_eq!(bed.beat("c", epoch, as_i), refused(ErrorCode::FENCED_INSTANCE_ID, message));
    }
    let unknown = |beat: &mut ConsumerHeartbeat| beat.instance = Some(InstanceId::new("j"));
    for epoch in [3, -1, -2] {
        assert_eq!(bed.beat("a", epoch, unknown), refused(ErrorCode::UNKNOWN_MEMBER_ID, "Instance id j is unknown."));
    }
    assert_eq!(bed.h.written(), []);
}

#[test]
fn a_static_member_that_is_away_may_not_beat() {
    let (mut bed, _) = bed();
    bed.beat("a", -2, as_i).unwrap();
    assert_eq!(bed.beat("a", 3, as_i).unwrap_err().code, ErrorCode::FENCED_MEMBER_EPOCH);
}

#[test]
fn a_static_member_that_leaves_for_good_is_gone() {
    let (mut bed, _) = bed();
    let hash = bed.hash();
    bed.beat("a", -1, as_i).unwrap();
    let mut expected = gone("a");
    expected.push(epoch_record(4, hash));
    assert_eq!(bed.h.written(), expected);
    assert!(bed.group().static_members.is_empty());
    bed.check_replay();
}

#[test]
fn a_static_member_that_does_not_come_back_in_time_is_removed() {
    let (mut bed, _) = bed();
    bed.h.pass(40_000);
    bed.beat("b", 3, |_| {}).unwrap();
    bed.beat("a", -2, as_i).unwrap();
    // Its session counts from its last heartbeat.
    bed.h.pass(5_000);
    assert!(!bed.has("a") && bed.has("b"));
    bed.check_replay();
}

#[test]
fn the_deadlines_of_the_old_id_do_nothing_to_the_new_one() {
    let (mut bed, _) = bed();
    bed.beat("a", -2, as_i).unwrap();
    bed.h.pass(44_000);
    bed.beat("b", 3, |_| {}).unwrap();
    bed.join_static("a2", "i", &["foo"]).unwrap();
    bed.h.pass(44_000);
    assert!(bed.has("a2"));
}

#[test]
fn what_it_was_to_give_up_is_free_when_it_has_left() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join_static("a", "i", &["foo"]).unwrap();
    bed.join("b", &["foo"]).unwrap();
    bed.beat("a", 2, |beat| {
        as_i(beat);
        beat.owned = Some(of(foo, &[0, 1]));
    })
    .unwrap();
    bed.beat("a", -2, as_i).unwrap();
    assert_eq!(bed.beat("b", 3, |_| {}).unwrap().assignment, Some(of(foo, &[1])));
    // The deadline for giving it up was for another epoch.
    bed.h.pass(i64::from(REBALANCE_MS));
    assert!(bed.has("a"));
    bed.check_replay();
}

#[test]
fn a_dynamic_member_may_become_a_static_one() {
    let mut bed = Bed::new();
    bed.join("a", &[]).unwrap();
    bed.h.written();
    bed.join_static("a", "i", &[]).unwrap();
    let mut about = about(&[]);
    about.instance = Some(InstanceId::new("i"));
    assert_eq!(bed.h.written(), [member_record("a", about)]);
    bed.check_replay();
}

#[test]
fn records_that_take_a_static_members_place_do_so_in_any_order() {
    let (mut bed, _) = bed();
    bed.beat("a", -2, as_i).unwrap();
    bed.join_static("a2", "i", &["foo"]).unwrap();
    // Compaction leaves the old member's removal in front of the new one, or after it.
    bed.h.replay(&Record::Member { group: g(), member: m("a"), value: None });
    assert_eq!(bed.group().static_members.get(&InstanceId::new("i")), Some(&m("a2")));
    assert_eq!(bed.report("b", 3, &Assignment::new()).unwrap().epoch, GroupEpoch(3));
}
