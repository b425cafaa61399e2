//! The state of partitions at share coordinators: initialised, forgotten, altered and deleted.

use super::*;
use crate::group::request::{
    AlterShareOffsets, AlteredTopic, AlteringShareOffsets, DeletedTopic, DeletingShareOffsets,
};
use crate::model::Offset;

const UNKNOWN_TOPIC: &str = "This server does not host this topic-partition.";

/// A group without members whose topic `foo` of two partitions has state.
fn left() -> (Bed, TopicId) {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]);
    bed.settle(true);
    bed.beat("a", -1, None).unwrap();
    bed.h.written();
    (bed, foo)
}

fn alter(bed: &mut Bed, topics: &[(&str, &[(i32, i64)])]) -> Result<AlteringShareOffsets, Refusal> {
    let partitions = |of: &[(i32, i64)]| of.iter().map(|(p, offset)| (PartitionId(*p), Offset(*offset))).collect();
    let topics = topics.iter().map(|(name, of)| (TopicName::new(name), partitions(of))).collect();
    match bed.share(ShareRequest::AlterOffsets(AlterShareOffsets { group: g(), topics })) {
        ShareReply::AlterOffsets(altering) => altering,
        other => panic!("{other:?}"),
    }
}

fn delete(bed: &mut Bed, topics: &[&str]) -> Result<DeletingShareOffsets, Refusal> {
    let topics = topics.iter().map(|name| TopicName::new(name)).collect();
    match bed.share(ShareRequest::DeleteOffsets { group: g(), topics }) {
        ShareReply::DeleteOffsets(deleting) => deleting,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_not_initialised_is_tried_again_with_the_next_heartbeat() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    assert_eq!(bed.settle(false), shared(foo, &[0]));
    assert_eq!(bed.group().states, Some(ShareStatesValue::default()));
    bed.stay("a", 2);
    assert_eq!(bed.h.tasks(), [Bed::initialize(2, shared(foo, &[0]))]);
}

#[test]
fn an_initialisation_that_nobody_answers_is_tried_again_when_the_retry_interval_is_over() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    assert_eq!(bed.h.tasks().len(), 1);
    bed.h.pass(RETRY_MS - 1);
    bed.stay("a", 2);
    assert_eq!(bed.h.tasks(), []);
    // Whoever loads the group meanwhile knows nothing of it, and does not wait.
    let mut elsewhere = Bed { h: bed.h.replayed() };
    elsewhere.stay("a", 2);
    assert_eq!(elsewhere.h.tasks(), [Bed::initialize(2, shared(foo, &[0]))]);
    bed.h.pass(1);
    bed.stay("a", 2);
    assert_eq!(bed.h.tasks(), [Bed::initialize(2, shared(foo, &[0]))]);
}

#[test]
fn a_topic_that_is_deleted_is_forgotten_whatever_its_state() {
    let mut bed = Bed::new();
    let (foo, bar) = (bed.h.topic("foo", 1), bed.h.topic("bar", 1));
    bed.join("a", &["foo"]);
    bed.settle(true);
    bed.join("b", &["bar"]);
    bed.h.written();
    bed.h.delete_topic("bar");
    assert_eq!(bed.h.written(), [record(ShareRecord::States(Some(states(foo, "foo", &[], &[0]))))]);
    // What comes back too late adds nothing.
    assert_eq!((bed.settle(true), bed.h.written()), (shared(bar, &[0]), vec![]));
    bed.h.delete_topic("foo");
    assert_eq!(bed.h.written(), [record(ShareRecord::States(Some(ShareStatesValue::default())))]);
    bed.check_replay();
}

#[test]
fn a_group_is_deleted_once_its_state_is() {
    let (mut bed, foo) = left();
    let Reply::Share(ShareReply::DeleteState(state)) = bed.delete_group(false) else { panic!() };
    assert_eq!(state, shared(foo, &[0, 1]));
    let deleting = ShareStatesValue { deleting: [(foo, TopicName::new("foo"))].into(), ..ShareStatesValue::default() };
    assert_eq!(bed.h.written(), [record(ShareRecord::States(Some(deleting)))]);
    // It may have failed: then all of it is asked for again.
    let Reply::Share(ShareReply::DeleteState(again)) = bed.delete_group(false) else { panic!() };
    assert_eq!(again, state);
    bed.h.written();
    assert!(matches!(bed.delete_group(true), Reply::DeleteGroup(ErrorCode::NONE)));
    let expected = [ShareRecord::Target(None), ShareRecord::States(None), ShareRecord::Group(None)].map(record);
    assert_eq!(bed.h.written(), expected);
    assert!(matches!(bed.delete_group(true), Reply::DeleteGroup(ErrorCode::GROUP_ID_NOT_FOUND)));
    assert!(bed.h.replayed().groups.groups.is_empty());
}

#[test]
fn a_group_with_members_is_neither_deleted_nor_set_back() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]);
    assert!(matches!(bed.delete_group(false), Reply::DeleteGroup(ErrorCode::NON_EMPTY_GROUP)));
    let refusal = Refusal::new(ErrorCode::NON_EMPTY_GROUP, "The group is not empty.");
    assert_eq!(alter(&mut bed, &[("foo", &[(0, 5)])]), Err(refusal.clone()));
    assert_eq!(delete(&mut bed, &["foo"]), Err(refusal));
}

#[test]
fn offsets_are_altered_of_partitions_that_there_are_and_the_others_are_refused_alone() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    // The group comes to be.
    let altering = alter(&mut bed, &[("foo", &[(1, 7), (2, 0), (0, -1)]), ("gone", &[(0, 0)])]).unwrap();
    let unknown = || Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC));
    let (p0, p1, p2) = (PartitionId(0), PartitionId(1), PartitionId(2));
    let topic = |name: &str, id, partitions| AlteredTopic { name: TopicName::new(name), id, partitions };
    assert_eq!(
        altering.topics,
        [
            topic("foo", foo, vec![(p1, Ok(())), (p2, unknown()), (p0, Ok(()))]),
            topic("gone", TopicId::ZERO, vec![(p0, unknown())]),
        ]
    );
    let at = |partition| SharedPartition { topic: foo, partition };
    let epoch = StateEpoch(1);
    assert_eq!(altering.to_initialize, [(at(p0), epoch, None), (at(p1), epoch, Some(Offset(7)))]);
    assert_eq!(bed.h.written(), [record(ShareRecord::States(Some(states(foo, "foo", &[0, 1], &[]))))]);
    bed.check_replay();
}

#[test]
fn offsets_of_a_topic_are_deleted_as_a_whole_and_only_once() {
    let (mut bed, foo) = left();
    bed.h.topic("bar", 1);
    let deleting = delete(&mut bed, &["foo", "bar", "gone"]).unwrap();
    assert_eq!(deleting.topics, [(TopicName::new("foo"), foo, vec![PartitionId(0), PartitionId(1)])]);
    let refused = |name: &str, text: &str| DeletedTopic {
        name: TopicName::new(name),
        id: TopicId::ZERO,
        outcome: Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text)),
    };
    assert_eq!(
        deleting.refused,
        [refused("bar", "There is no offset information to delete."), refused("gone", UNKNOWN_TOPIC),]
    );
    // Until it is known to be done it can be asked for again.
    assert_eq!(delete(&mut bed, &["foo"]).unwrap().topics, deleting.topics);
    let done = bed.share(ShareRequest::OffsetsDeleted { group: g(), topics: vec![foo] });
    assert!(matches!(done, ShareReply::Noted(Ok(()))));
    assert_eq!(bed.group().states, Some(ShareStatesValue::default()));
    let nothing = refused("foo", "There is no offset information to delete.");
    assert_eq!(delete(&mut bed, &["foo"]).unwrap().refused, [nothing]);
}

#[test]
fn what_is_altered_while_it_is_being_deleted_is_not_deleted() {
    let (mut bed, foo) = left();
    delete(&mut bed, &["foo"]).unwrap();
    alter(&mut bed, &[("foo", &[(0, 3)])]).unwrap();
    assert_eq!(bed.group().states, Some(states(foo, "foo", &[0], &[])));
}

#[test]
fn the_partitions_that_have_state_are_told() {
    let (mut bed, foo) = left();
    let ShareReply::Partitions(partitions) = bed.share(ShareRequest::Partitions(g())) else { panic!() };
    assert_eq!(partitions, shared(foo, &[0, 1]));
    let ShareReply::Partitions(none) = bed.share(ShareRequest::Partitions(GroupId::new("h"))) else { panic!() };
    assert_eq!(none, []);
}
