//! What members are refused: requests that make no sense, and epochs that are not theirs.

use super::bed::*;
use crate::group::request::{Assignment, ConsumerHeartbeat};
use crate::model::{ErrorCode, GroupEpoch, InstanceId};

const FENCED: ErrorCode = ErrorCode::FENCED_MEMBER_EPOCH;
const INVALID: ErrorCode = ErrorCode::INVALID_REQUEST;

#[test]
fn a_request_that_makes_no_sense_is_refused() {
    type Put = fn(&mut ConsumerHeartbeat);
    let cases: [(&str, i32, Put, &str); 10] = [
        ("", 0, |_| {}, "MemberId can't be empty."),
        (" ", -1, |_| {}, "MemberId can't be empty."),
        ("", 1, |beat| beat.version = 0, "MemberId can't be empty."),
        ("a", 1, |beat| beat.instance = Some(InstanceId::new(" ")), "InstanceId can't be empty."),
        ("a", 1, |beat| beat.rack = Some(String::new()), "RackId can't be empty."),
        ("a", 0, |_| {}, "RebalanceTimeoutMs must be provided in first request."),
        ("a", 0, |beat| beat.rebalance_timeout_ms = 1, "TopicPartitions must be empty when (re-)joining."),
        (
            "a",
            0,
            |beat| {
                beat.rebalance_timeout_ms = 1;
                beat.owned = Some(Assignment::new());
            },
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        ),
        ("a", -2, |_| {}, "InstanceId can't be null."),
        ("a", -3, |_| {}, "MemberEpoch is invalid."),
    ];
    for (member, epoch, put, message) in cases {
        let mut bed = Bed::new();
        assert_eq!(bed.beat(member, epoch, put), refused(INVALID, message));
        assert_eq!(bed.h.written(), []);
    }
    let mut bed = Bed::new();
    let answer = bed.beat("a", 1, |beat| beat.group = "".into());
    assert_eq!(answer, refused(INVALID, "GroupId can't be empty."));
}

#[test]
fn only_a_member_that_joins_makes_a_group() {
    let mut bed = Bed::new();
    let unknown = ErrorCode::GROUP_ID_NOT_FOUND;
    assert_eq!(bed.beat("a", 1, |_| {}), refused(unknown, "Consumer group g not found."));
    assert_eq!(bed.beat("a", -1, |_| {}), refused(unknown, "Group g not found."));
    assert_eq!(bed.describe(), Err(crate::group::request::Refusal::new(unknown, "Group g not found.")));
    assert_eq!(bed.h.written(), []);
}

#[test]
fn a_stranger_is_not_known() {
    let mut bed = Bed::new();
    bed.join("a", &[]).unwrap();
    let message = "Member b is not a member of group g.";
    for epoch in [1, 7, -1] {
        assert_eq!(bed.beat("b", epoch, |_| {}), refused(ErrorCode::UNKNOWN_MEMBER_ID, message));
    }
}

/// The group is at 3, `a` came from 2 and has partition 0.
fn at_three() -> (Bed, Assignment) {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();
    bed.join("b", &["foo"]).unwrap();
    bed.report("a", 2, &of(foo, &[0])).unwrap();
    assert_eq!(bed.current("a").epoch, GroupEpoch(3));
    bed.h.written();
    (bed, of(foo, &[0]))
}

#[test]
fn an_epoch_that_is_too_high_is_fenced() {
    let (mut bed, _) = at_three();
    let message = "The consumer group member has a greater member epoch (4) than the one known by the group coordinator \
                   (3). The member must abandon all its partitions and rejoin.";
    assert_eq!(bed.beat("a", 4, |_| {}), refused(FENCED, message));
    assert_eq!(bed.h.written(), []);
}

#[test]
fn the_epoch_before_is_believed_if_the_member_has_only_what_it_may_have() {
    let (mut bed, has) = at_three();
    let answer = bed.report("a", 2, &has).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(3), None));
    assert_eq!(bed.report("a", 2, &Assignment::new()).unwrap().epoch, GroupEpoch(3));
    assert_eq!(bed.h.written(), []);
}

#[test]
fn the_epoch_before_is_fenced_if_the_member_has_more_or_does_not_say() {
    let (mut bed, has) = at_three();
    let message = "The consumer group member has a smaller member epoch (2) than the one known by the group coordinator \
                   (3). The member must abandon all its partitions and rejoin.";
    assert_eq!(bed.beat("a", 2, |_| {}), refused(FENCED, message));
    let more = has.keys().map(|topic| (*topic, vec![0, 1].into_iter().map(crate::model::PartitionId).collect()));
    let more = more.collect();
    assert_eq!(bed.report("a", 2, &more), refused(FENCED, message));
    let answer = bed.report("a", 1, &has);
    assert_eq!(answer.unwrap_err().code, FENCED);
}

#[test]
fn a_member_that_joins_again_keeps_what_it_has() {
    let (mut bed, has) = at_three();
    let answer = bed.join("a", &["foo"]).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(3), Some(has)));
}

#[test]
fn a_member_that_joins_again_while_it_is_to_give_partitions_up_has_given_them_up() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();
    bed.join("b", &["foo"]).unwrap();
    bed.report("a", 2, &of(foo, &[0, 1])).unwrap();
    let answer = bed.join("a", &["foo"]).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(3), Some(of(foo, &[0]))));
}
