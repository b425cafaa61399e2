//! Members come, stay and go, and have partitions.

use super::*;
use crate::group::record::{GroupValue, ShareMemberValue, TargetValue};

#[test]
fn the_first_member_makes_the_group_and_has_its_partitions_initialised() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    let answer = bed.join("a", &["foo"]);
    assert_eq!((answer.epoch, answer.heartbeat_interval_ms), (GroupEpoch(2), 5000));
    assert_eq!(answer.assignment, Some(Assignment::new()));
    let hash = bed.group().metadata_hash;
    let about = ShareMemberValue {
        rack: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        topics: vec![TopicName::new("foo")],
    };
    let epoch = GroupEpoch(2);
    let expected = [
        record(ShareRecord::Member { member: m("a"), value: Some(about) }),
        record(ShareRecord::Group(Some(GroupValue { epoch, metadata_hash: hash }))),
        record(ShareRecord::TargetMember { member: m("a"), value: Some(Assignment::new()) }),
        record(ShareRecord::Target(Some(TargetValue { epoch, assigned_at: bed.h.env.now }))),
        current("a", 2, 0, Assignment::new()),
        record(ShareRecord::States(Some(states(foo, "foo", &[0, 1], &[])))),
    ];
    assert_eq!(bed.h.written(), expected);
    assert_eq!(bed.h.tasks(), [Bed::initialize(2, shared(foo, &[0, 1]))]);
    bed.check_replay();
}

#[test]
fn partitions_are_assigned_once_their_state_is_initialised() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]);
    assert_eq!(bed.stay("a", 2).assignment, None);
    bed.settle(true);
    bed.h.written();
    let answer = bed.stay("a", 2);
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(3), Some(of(foo, &[0, 1]))));
    let metadata_hash = bed.group().metadata_hash;
    let epoch = GroupEpoch(3);
    let expected = [
        record(ShareRecord::Group(Some(GroupValue { epoch, metadata_hash }))),
        record(ShareRecord::TargetMember { member: m("a"), value: Some(of(foo, &[0, 1])) }),
        record(ShareRecord::Target(Some(TargetValue { epoch, assigned_at: bed.h.env.now }))),
        current("a", 3, 2, of(foo, &[0, 1])),
    ];
    assert_eq!(bed.h.written(), expected);
    assert_eq!((bed.stay("a", 3).assignment, bed.h.written()), (None, vec![]));
    bed.check_replay();
}

#[test]
fn a_partition_that_is_added_to_a_topic_is_initialised_and_assigned() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    bed.settle(true);
    bed.stay("a", 2);
    bed.h.topic("foo", 2);
    // The topic looks different: a new epoch at once, and the same assignment as before.
    assert_eq!(bed.stay("a", 3).epoch, GroupEpoch(4));
    assert_eq!(bed.settle(true), shared(foo, &[1]));
    assert_eq!(bed.stay("a", 4).assignment, Some(of(foo, &[0, 1])));
}

#[test]
fn members_share_a_partition_when_there_are_more_of_them() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    bed.settle(true);
    bed.stay("a", 2);
    assert_eq!(bed.join("b", &["foo"]).assignment, Some(of(foo, &[0])));
    assert_eq!((bed.stay("a", 3).assignment, bed.epoch()), (None, 4));
    assert_eq!(bed.group().members.values().map(|of| of.current.epoch.0).collect::<Vec<_>>(), [4, 4]);
}

#[test]
fn what_a_member_does_not_subscribe_to_any_more_it_loses_at_once() {
    let mut bed = Bed::new();
    let (foo, bar) = (bed.h.topic("foo", 1), bed.h.topic("bar", 1));
    bed.join("a", &["foo", "bar"]);
    bed.settle(true);
    assert_eq!(bed.stay("a", 2).assignment.unwrap().len(), 2);
    assert_eq!(bed.beat("a", 3, Some(&["bar"])).unwrap().assignment, Some(of(bar, &[0])));
    // The state stays, for whoever subscribes next.
    assert!(bed.group().states.as_ref().unwrap().initialized.contains_key(&foo));
    bed.check_replay();
}

#[test]
fn a_member_is_believed_at_its_epoch_and_at_the_one_before_and_fenced_at_others() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    bed.settle(true);
    assert_eq!(bed.stay("a", 2).epoch, GroupEpoch(3));
    // The answer was lost.
    assert_eq!(bed.stay("a", 2).epoch, GroupEpoch(3));
    let greater = "The share group member has a greater member epoch (4) than the one known by the group coordinator (3). \
                   The member must abandon all its partitions and rejoin.";
    assert_eq!(bed.beat("a", 4, None), refused(ErrorCode::FENCED_MEMBER_EPOCH, greater));
    let smaller = "The share group member has a smaller member epoch (1) than the one known by the group coordinator (3), \
                   and it does not match the previous member epoch (2). The member must abandon all its partitions and \
                   rejoin.";
    assert_eq!(bed.beat("a", 1, None), refused(ErrorCode::FENCED_MEMBER_EPOCH, smaller));
    // Whoever joins again is told everything.
    assert!(bed.join("a", &["foo"]).assignment.is_some_and(|assignment| !assignment.is_empty()));
}

#[test]
fn who_is_not_there_is_unknown() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    assert_eq!(bed.beat("a", 1, None), refused(ErrorCode::GROUP_ID_NOT_FOUND, "Share group g not found."));
    assert_eq!(bed.beat("a", -1, None), refused(ErrorCode::GROUP_ID_NOT_FOUND, "Group g not found."));
    bed.join("a", &["foo"]);
    for epoch in [1, -1] {
        let expected = refused(ErrorCode::UNKNOWN_MEMBER_ID, "Member b is not a member of group g.");
        assert_eq!(bed.beat("b", epoch, None), expected);
    }
}

#[test]
fn what_a_request_may_not_say_is_refused_in_kafkas_words() {
    let mut bed = Bed::new();
    let invalid = |text: &str| refused(ErrorCode::INVALID_REQUEST, text);
    assert_eq!(bed.beat("", 0, Some(&["foo"])), invalid("MemberId can't be empty."));
    assert_eq!(bed.beat("a", 0, None), invalid("SubscribedTopicNames must be set in first request."));
    assert_eq!(bed.beat("a", 0, Some(&[])), invalid("SubscribedTopicNames must be set in first request."));
    assert_eq!(bed.beat("a", -2, None), invalid("MemberEpoch is invalid."));
}

#[test]
fn a_full_group_takes_nobody_else() {
    let mut bed = Bed::with(|settings| settings.groups.share.members_max = 1);
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    let full = "The share group has reached its maximum capacity of 1 members.";
    assert_eq!(bed.beat("b", 0, Some(&["foo"])), refused(ErrorCode::GROUP_MAX_SIZE_REACHED, full));
    bed.stay("a", 2);
}

#[test]
fn a_member_that_leaves_is_removed_and_the_epoch_rises() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    bed.h.written();
    let answer = bed.beat("a", -1, None).unwrap();
    assert_eq!((answer.epoch, answer.heartbeat_interval_ms, answer.assignment), (GroupEpoch(-1), 0, None));
    let expected = [
        record(ShareRecord::Current { member: m("a"), value: None }),
        record(ShareRecord::TargetMember { member: m("a"), value: None }),
        record(ShareRecord::Member { member: m("a"), value: None }),
        record(ShareRecord::Group(Some(GroupValue { epoch: GroupEpoch(3), metadata_hash: 0 }))),
    ];
    assert_eq!(bed.h.written(), expected);
    assert_eq!(bed.group().state(), "Empty");
    bed.check_replay();
}

#[test]
fn a_silent_member_is_removed_when_its_session_is_over() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    bed.h.pass(SESSION_MS - 1);
    bed.stay("a", 2);
    bed.h.pass(SESSION_MS - 1);
    assert_eq!(bed.group().state(), "Stable");
    let mut elsewhere = Bed { h: bed.h.replayed() };
    bed.h.pass(1);
    assert_eq!(bed.group().state(), "Empty");
    // Where the group is loaded sessions start anew.
    elsewhere.h.pass(SESSION_MS - 1);
    assert_eq!(elsewhere.group().state(), "Stable");
    elsewhere.h.pass(1);
    assert_eq!(elsewhere.group().state(), "Empty");
}

#[test]
fn a_group_is_assigned_anew_no_sooner_than_its_interval_allows() {
    let mut bed = Bed::with(|settings| settings.groups.share.assignment_interval.default = Duration::from_secs(1));
    let foo = bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    bed.settle(true);
    bed.h.pass(999);
    let early = bed.stay("a", 2);
    assert_eq!((early.epoch, early.assignment, bed.epoch()), (GroupEpoch(2), None, 3));
    bed.h.pass(1);
    let due = bed.stay("a", 2);
    assert_eq!((due.epoch, due.assignment), (GroupEpoch(3), Some(of(foo, &[0]))));
}

#[test]
fn a_group_is_described_with_its_members() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    bed.settle(true);
    bed.stay("a", 2);
    let ShareReply::Describe(Ok(described)) = bed.share(ShareRequest::Describe(g())) else { panic!() };
    assert_eq!((described.state, described.assignor), ("Stable", "simple"));
    assert_eq!((described.group_epoch, described.assignment_epoch), (GroupEpoch(3), GroupEpoch(3)));
    let [member] = &described.members[..] else { panic!("{described:?}") };
    assert_eq!((member.epoch, &member.assignment), (GroupEpoch(3), &of(foo, &[0])));
    assert_eq!((member.client.id.as_str(), &member.topics[..]), ("client", &[TopicName::new("foo")][..]));
}
