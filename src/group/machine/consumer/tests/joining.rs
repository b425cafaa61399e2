//! Members that join, share the partitions, and leave.

use super::bed::*;
use crate::group::record::{MemberState, Record};
use crate::group::request::{Assignment, ConsumerHeartbeaten};
use crate::model::{ErrorCode, GroupEpoch, TopicName};
use std::time::Duration;

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    let answer = bed.join("a", &["foo"]).unwrap();
    assert_eq!(
        answer,
        ConsumerHeartbeaten {
            member: m("a"),
            epoch: GroupEpoch(2),
            heartbeat_interval_ms: 5000,
            assignment: Some(of(foo, &[0, 1])),
        }
    );
    let hash = bed.hash();
    assert_ne!(hash, 0);
    assert_eq!(
        bed.h.written(),
        [
            member_record("a", about(&["foo"])),
            epoch_record(2, hash),
            target_record("a", of(foo, &[0, 1])),
            targets_record(2, bed.now()),
            current_record("a", 2, 0, at(&[(foo, &[(0, 2), (1, 2)])])),
        ]
    );
    assert_eq!(bed.state(), "Stable");
    bed.check_replay();
}

#[test]
fn a_heartbeat_that_changes_nothing_writes_nothing_and_has_no_assignment() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();
    bed.h.written();
    let answer = bed.beat("a", 2, |_| {}).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(2), None));
    assert_eq!(bed.h.written(), []);
}

#[test]
fn a_full_request_is_answered_with_the_assignment() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();
    bed.h.written();
    let full = |beat: &mut crate::group::request::ConsumerHeartbeat| {
        joining(&["foo"])(beat);
        beat.owned = Some(of(foo, &[0, 1]));
    };
    assert_eq!(bed.beat("a", 2, full).unwrap().assignment, Some(of(foo, &[0, 1])));
    assert_eq!(bed.report("a", 2, &of(foo, &[0, 1])).unwrap().assignment, None);
    assert_eq!(bed.h.written(), []);
}

#[test]
fn the_second_member_waits_until_the_first_has_given_up_its_share() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();

    let b = bed.join("b", &["foo"]).unwrap();
    assert_eq!((b.epoch, b.assignment), (GroupEpoch(3), Some(Assignment::new())));
    assert_eq!(bed.current("b").state, MemberState::UnreleasedPartitions);
    assert_eq!(bed.state(), "Reconciling");

    // The first is told what it keeps; it stays at its epoch.
    let a = bed.report("a", 2, &of(foo, &[0, 1])).unwrap();
    assert_eq!((a.epoch, a.assignment), (GroupEpoch(2), Some(of(foo, &[0]))));
    assert_eq!(bed.current("a").pending_revocation, at(&[(foo, &[(1, 2)])]));
    assert_eq!(bed.beat("b", 3, |_| {}).unwrap().assignment, None);

    // It has given the other up.
    let a = bed.report("a", 2, &of(foo, &[0])).unwrap();
    assert_eq!((a.epoch, a.assignment), (GroupEpoch(3), None));
    let b = bed.beat("b", 3, |_| {}).unwrap();
    assert_eq!((b.epoch, b.assignment), (GroupEpoch(3), Some(of(foo, &[1]))));
    assert_eq!(bed.state(), "Stable");
    bed.check_replay();
}

#[test]
fn a_member_that_leaves_is_gone_and_the_group_is_assigned_anew_at_the_next_heartbeat() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();
    bed.join("b", &["foo"]).unwrap();
    bed.report("a", 2, &of(foo, &[0])).unwrap();
    let hash = bed.hash();
    bed.h.written();

    let left = bed.beat("b", -1, |_| {}).unwrap();
    assert_eq!(
        left,
        ConsumerHeartbeaten { member: m("b"), epoch: GroupEpoch(-1), heartbeat_interval_ms: 0, assignment: None }
    );
    let mut expected = gone("b");
    expected.push(epoch_record(4, hash));
    assert_eq!(bed.h.written(), expected);
    assert_eq!(bed.state(), "Assigning");

    let a = bed.beat("a", 3, |_| {}).unwrap();
    assert_eq!((a.epoch, a.assignment), (GroupEpoch(4), Some(of(foo, &[0, 1]))));
    bed.check_replay();
}

#[test]
fn the_last_member_leaves_an_empty_group() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]).unwrap();
    bed.beat("a", -1, |_| {}).unwrap();
    assert_eq!((bed.state(), bed.hash()), ("Empty", 0));
    assert!(bed.h.groups.consumers.by_topic.is_empty());
    bed.check_replay();
}

#[test]
fn a_member_without_topics_is_in_the_group_and_has_nothing() {
    let mut bed = Bed::new();
    let answer = bed.join("a", &[]).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(1), Some(Assignment::new())));
    assert_eq!(bed.state(), "Stable");
    assert_eq!(bed.h.written(), [member_record("a", about(&[])), current_record("a", 1, 0, Default::default())]);
}

#[test]
fn a_topic_that_is_not_there_is_assigned_when_it_is() {
    let mut bed = Bed::new();
    assert_eq!(bed.join("a", &["foo"]).unwrap().assignment, Some(Assignment::new()));
    let foo = bed.h.topic("foo", 2);
    let answer = bed.beat("a", 2, |_| {}).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(3), Some(of(foo, &[0, 1]))));
}

#[test]
fn partitions_that_come_are_assigned_at_the_next_heartbeat() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.join("a", &["foo"]).unwrap();
    bed.h.topic("foo", 3);
    let answer = bed.beat("a", 2, |_| {}).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(3), Some(of(foo, &[0, 1, 2]))));
    assert_eq!(bed.beat("a", 3, |_| {}).unwrap().assignment, None);
}

#[test]
fn a_topic_that_goes_is_given_up() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    let bar = bed.h.topic("bar", 1);
    bed.join("a", &["foo", "bar"]).unwrap();
    bed.h.delete_topic("foo");
    let answer = bed.report("a", 2, &owned(&[(foo, &[0]), (bar, &[0])])).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(2), Some(of(bar, &[0]))));
    let answer = bed.report("a", 2, &of(bar, &[0])).unwrap();
    assert_eq!((answer.epoch, bed.state()), (GroupEpoch(3), "Stable"));
}

#[test]
fn another_topic_of_the_cluster_does_not_disturb_the_group() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]).unwrap();
    bed.h.topic("bar", 1);
    bed.h.written();
    bed.beat("a", 2, |_| {}).unwrap();
    assert_eq!(bed.h.written(), []);
}

#[test]
fn a_group_that_was_loaded_looks_at_its_topics_and_finds_them_as_they_were() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]).unwrap();
    bed.h = bed.h.replayed();
    bed.beat("a", 2, |_| {}).unwrap();
    assert_eq!(bed.h.written(), []);
}

#[test]
fn other_topics_are_a_new_epoch_for_the_group() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    let bar = bed.h.topic("bar", 1);
    bed.join("a", &["foo"]).unwrap();
    // What it does not consume any more it has to give up first.
    let answer = bed.beat("a", 2, |beat| {
        beat.topics = Some(vec![TopicName::new("bar")]);
        beat.owned = Some(of(foo, &[0]));
    });
    let answer = answer.unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(2), Some(Assignment::new())));
    let answer = bed.report("a", 2, &Assignment::new()).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(3), Some(of(bar, &[0]))));
    bed.check_replay();
}

#[test]
fn topics_named_twice_count_once() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo", "foo"]).unwrap();
    bed.h.written();
    bed.beat("a", 2, |beat| beat.topics = Some(vec![TopicName::new("foo"); 3])).unwrap();
    assert_eq!(bed.h.written(), []);
}

#[test]
fn a_new_client_id_or_rack_is_recorded_and_nothing_else_happens() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]).unwrap();
    bed.h.written();
    bed.beat("a", 2, |beat| {
        beat.client.id = "other".into();
        beat.rack = Some("r".into());
    })
    .unwrap();
    let mut about = about(&["foo"]);
    about.client_id = "other".into();
    about.rack = Some("r".into());
    assert_eq!(bed.h.written(), [member_record("a", about)]);
    bed.check_replay();
}

#[test]
fn a_silent_member_is_removed_when_its_session_is_over() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]).unwrap();
    bed.h.pass(44_999);
    assert!(bed.has("a"));
    bed.beat("a", 2, |_| {}).unwrap();
    bed.h.pass(44_999);
    assert!(bed.has("a"));
    bed.h.written();
    bed.h.pass(1);
    assert!(!bed.has("a"));
    let mut expected = gone("a");
    expected.push(epoch_record(3, 0));
    assert_eq!(bed.h.written(), expected);
    bed.check_replay();
}

#[test]
fn sessions_begin_anew_when_the_group_was_loaded() {
    let mut bed = Bed::new();
    bed.join("a", &[]).unwrap();
    bed.h.pass(40_000);
    bed.h = bed.h.replayed();
    bed.h.pass(44_999);
    assert!(bed.has("a"));
    bed.h.pass(1);
    assert!(!bed.has("a"));
}

#[test]
fn a_member_that_does_not_give_up_its_partitions_in_time_is_removed() {
    for loaded in [false, true] {
        let mut bed = Bed::new();
        let foo = bed.h.topic("foo", 2);
        bed.join("a", &["foo"]).unwrap();
        bed.join("b", &["foo"]).unwrap();
        bed.report("a", 2, &of(foo, &[0, 1])).unwrap();
        if loaded {
            bed.h = bed.h.replayed();
        }
        bed.h.pass(i64::from(REBALANCE_MS) - 1);
        bed.beat("a", 2, |_| {}).unwrap();
        bed.beat("b", 3, |_| {}).unwrap();
        assert!(bed.has("a"));
        bed.h.pass(1);
        assert!(!bed.has("a"), "loaded: {loaded}");
        assert!(bed.has("b"));
        bed.check_replay();
    }
}

#[test]
fn a_member_that_gave_up_its_partitions_in_time_stays() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();
    bed.join("b", &["foo"]).unwrap();
    bed.report("a", 2, &of(foo, &[0, 1])).unwrap();
    bed.report("a", 2, &of(foo, &[0])).unwrap();
    bed.h.pass(i64::from(REBALANCE_MS) + 1);
    assert!(bed.has("a"));
}

#[test]
fn a_group_that_is_full_takes_nobody_else() {
    let mut bed = Bed::with(|settings| settings.groups.consumer_members_max = 1);
    bed.join("a", &[]).unwrap();
    let message = "The consumer group has reached its maximum capacity of 1 members.";
    assert_eq!(bed.join("b", &[]), refused(ErrorCode::GROUP_MAX_SIZE_REACHED, message));
    // Whoever is in may come again.
    assert_eq!(bed.join("a", &[]).unwrap().epoch, GroupEpoch(1));
}

#[test]
fn a_client_of_the_first_version_gets_its_id_from_the_coordinator() {
    let mut bed = Bed::new();
    let answer = bed.beat("", 0, |beat| {
        joining(&[])(beat);
        beat.version = 0;
    });
    let id = answer.unwrap().member;
    assert_eq!(id.as_str().len(), 22);
    assert!(bed.has(id.as_str()));
}

#[test]
fn a_new_assignment_waits_until_the_last_one_is_old_enough() {
    let mut bed = Bed::with(|settings| settings.groups.consumer_assignment_interval = Duration::from_secs(1));
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();
    let b = bed.join("b", &["foo"]).unwrap();
    assert_eq!((b.epoch, b.assignment), (GroupEpoch(2), Some(Assignment::new())));
    assert_eq!((bed.group().epoch, bed.group().assigned.epoch), (GroupEpoch(3), GroupEpoch(2)));
    assert_eq!(bed.state(), "Assigning");
    bed.h.pass(999);
    assert_eq!(bed.report("a", 2, &of(foo, &[0, 1])).unwrap().assignment, None);
    bed.h.pass(1);
    assert_eq!(bed.report("a", 2, &of(foo, &[0, 1])).unwrap().assignment, Some(of(foo, &[0])));
    bed.check_replay();
}

#[test]
fn a_record_of_kafka_before_4_0_is_removed_when_the_topics_are_looked_at() {
    let mut bed = Bed::new();
    bed.join("a", &[]).unwrap();
    bed.h.replay(&Record::PartitionMetadata { group: g(), present: true });
    bed.h.topic("foo", 1);
    bed.h.written();
    bed.beat("a", 1, |beat| beat.topics = Some(vec![TopicName::new("foo")])).unwrap();
    assert!(bed.h.written().contains(&Record::PartitionMetadata { group: g(), present: false }));
    bed.check_replay();
}

#[test]
fn the_assignor_that_most_members_ask_for_assigns() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 3);
    bed.h.topic("bar", 3);
    let with = |assignor: &str| {
        let assignor = assignor.to_owned();
        |beat: &mut crate::group::request::ConsumerHeartbeat| {
            joining(&["foo", "bar"])(beat);
            beat.assignor = Some(assignor);
        }
    };
    assert_eq!(bed.beat("a", 0, with("range")).map(|_| ()), Ok(()));
    assert_eq!(bed.describe().unwrap().assignor, "range");
    bed.beat("b", 0, with("uniform")).unwrap();
    // As many ask for either: the one that is named first.
    assert_eq!(bed.describe().unwrap().assignor, "uniform");
    bed.beat("c", 0, with("range")).unwrap();
    assert_eq!(bed.describe().unwrap().assignor, "range");
    let message = "ServerAssignor none is not supported. Supported assignors: uniform, range.";
    assert_eq!(bed.beat("d", 0, with("none")), refused(ErrorCode::UNSUPPORTED_ASSIGNOR, message));
    assert!(!bed.has("d"));
}
