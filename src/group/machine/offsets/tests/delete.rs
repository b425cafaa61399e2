use super::*;

#[test]
fn offsets_that_are_deleted_are_gone_and_those_that_never_were_are_no_error() {
    let mut h = Harness::new();
    outside(&mut h, "g", vec![at("t", 0, 1), at("t", 1, 2)]);
    h.written();
    let deleted = delete(&mut h, "g", &[("t", 0), ("t", 9), ("x", 0)]);
    assert_eq!(deleted, DeletedOffsets { error: ErrorCode::NONE, partitions: vec![ErrorCode::NONE; 3] });
    assert_eq!(h.written(), [tombstone("g", "t", 0)]);
    assert_eq!(all(&mut h, "g"), [("t".into(), 1, 2)]);
    same_as_replayed(&h);
}

#[test]
fn offsets_of_a_group_that_is_not_known_cannot_be_deleted() {
    let mut h = Harness::new();
    let deleted = delete(&mut h, "g", &[("t", 0)]);
    assert_eq!(deleted, DeletedOffsets { error: ErrorCode::GROUP_ID_NOT_FOUND, partitions: Vec::new() });
    assert_eq!(delete_group(&mut h, "g"), ErrorCode::GROUP_ID_NOT_FOUND);
}

#[test]
fn offsets_of_topics_that_members_consume_stay() {
    let mut h = Harness::new();
    outside(&mut h, "g", vec![at("t", 0, 1), at("u", 0, 2)]);
    h.replay(&classic("g", "consumer", &["m"], "t", -1));
    h.written();
    let deleted = delete(&mut h, "g", &[("t", 0), ("u", 0), ("t", 1)]);
    let subscribed = ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC;
    assert_eq!(deleted.partitions, [subscribed, ErrorCode::NONE, subscribed]);
    assert_eq!(h.written(), [tombstone("g", "u", 0)]);
}

#[test]
fn a_group_with_members_of_another_protocol_keeps_its_offsets() {
    let mut h = Harness::new();
    h.replay(&classic("g", "connect", &["m"], "t", -1));
    assert_eq!(delete(&mut h, "g", &[("t", 0)]).error, ErrorCode::NON_EMPTY_GROUP);
}

#[test]
fn a_group_with_members_is_not_deleted() {
    let mut h = Harness::new();
    h.replay(&classic("g", "consumer", &["m"], "t", -1));
    assert_eq!(delete_group(&mut h, "g"), ErrorCode::NON_EMPTY_GROUP);
    assert!(h.groups.groups.contains_key("g"));
}

#[test]
fn a_group_is_deleted_with_its_offsets_and_those_of_open_transactions() {
    let mut h = Harness::new();
    outside(&mut h, "g", vec![at("t", 0, 1), at("t", 1, 2)]);
    outside(&mut h, "other", vec![at("t", 0, 1)]);
    h.replay_of(7, &offset_record("g", "t", 1, 9));
    h.replay_of(7, &offset_record("g", "u", 0, 9));
    h.written();
    assert_eq!(delete_group(&mut h, "g"), ErrorCode::NONE);
    let expected = [tombstone("g", "t", 0), tombstone("g", "t", 1), tombstone("g", "u", 0), group_tombstone("g")];
    assert_eq!(h.written(), expected);
    h.end(7, true);
    assert!(!h.groups.groups.contains_key("g"), "what was pending is not committed into nothing");
    assert_eq!(all(&mut h, "other").len(), 1);
    same_as_replayed(&h);
}

#[test]
fn a_group_that_does_not_fit_in_a_batch_is_not_deleted_by_halves() {
    let mut h = Harness::new();
    outside(&mut h, "g", (0..50).map(|partition| at("t", partition, 1)).collect());
    h.env.batch_bytes_max = 1000;
    assert_eq!(delete_group(&mut h, "g"), ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(all(&mut h, "g").len(), 50);
}

#[test]
fn a_topics_offsets_go_with_it_in_every_group() {
    let mut h = Harness::new();
    let id = h.topic("t", 2);
    let other = TopicId(uuid::Uuid::from_u128(99));
    let of = |topic_id, partition| CommitOffset { topic_id, ..at("t", partition, 1) };
    outside(&mut h, "a", vec![of(id, 0), of(TopicId::ZERO, 1), at("u", 0, 1)]);
    outside(&mut h, "b", vec![of(id, 1)]);
    outside(&mut h, "c", vec![of(other, 0)]);
    h.replay_of(7, &offset_record("d", "t", 0, 9));
    h.replay_of(8, &offset_record("a", "t", 0, 9));
    h.written();
    h.delete_topic("t");
    let mut gone = h.written();
    gone.sort_by_key(|record| format!("{record:?}"));
    let expected = [tombstone("a", "t", 0), tombstone("a", "t", 1), tombstone("b", "t", 1), tombstone("d", "t", 0)];
    assert_eq!(gone, expected);
    assert_eq!(all(&mut h, "a"), [("u".into(), 0, 1)]);
    assert_eq!(all(&mut h, "c"), [("t".into(), 0, 1)], "of another topic of that name");
    assert!(h.groups.groups.contains_key("b"), "the group stays until it expires");
    same_as_replayed(&h);
}

#[test]
fn a_topic_of_many_offsets_is_forgotten_in_several_batches() {
    let mut h = Harness::new();
    let id = h.topic("t", 1);
    for group in 0..40 {
        let offsets = (0..20).map(|partition| CommitOffset { topic_id: id, ..at("t", partition, 1) });
        outside(&mut h, &format!("g{group}"), offsets.collect());
    }
    h.env.batch_bytes_max = 4000;
    h.written();
    h.delete_topic("t");
    let first = h.written().len();
    assert!((20..200).contains(&first), "{first}");
    // A topic of the same name that is made meanwhile keeps its offsets.
    let new = h.topic("t", 1);
    outside(&mut h, "g39", vec![CommitOffset { topic_id: new, ..at("t", 0, 2) }]);
    h.written();
    h.pass(1000);
    assert_eq!(h.written().len(), 800 - first - 1);
    assert_eq!(view(&h.groups.offsets).len(), 1);
    assert_eq!(all(&mut h, "g39"), [("t".into(), 0, 2)]);
    same_as_replayed(&h);
}
