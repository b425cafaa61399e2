use super::*;

fn partitions(fetched: &FetchedOffsets) -> Vec<FetchedOffset> {
    assert_eq!(fetched.error, ErrorCode::NONE);
    fetched.topics.iter().flat_map(|topic| topic.partitions.clone()).collect()
}

fn none(partition: i32, error: ErrorCode) -> FetchedOffset {
    FetchedOffset {
        partition: PartitionId(partition),
        error,
        offset: Offset::NONE,
        leader_epoch: LeaderEpoch::NONE,
        metadata: String::new(),
    }
}

fn some(partition: i32, offset: i64) -> FetchedOffset {
    FetchedOffset {
        partition: PartitionId(partition),
        error: ErrorCode::NONE,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(3),
        metadata: "md".into(),
    }
}

#[test]
fn a_group_that_is_not_known_has_committed_nothing_which_is_no_error() {
    let mut h = Harness::new();
    let fetched = run_fetch(&mut h, fetch("g", Some(&[("t", &[0, 1])])));
    assert_eq!(partitions(&fetched), [none(0, ErrorCode::NONE), none(1, ErrorCode::NONE)]);
    assert_eq!(run_fetch(&mut h, fetch("g", None)), FetchedOffsets { error: ErrorCode::NONE, topics: Vec::new() });
}

#[test]
fn what_is_asked_for_comes_in_the_order_of_the_question() {
    let mut h = Harness::new();
    outside(&mut h, "g", vec![at("a", 0, 1), at("a", 2, 3), at("b", 0, 4)]);
    outside(&mut h, "other", vec![at("a", 1, 9)]);
    let fetched = run_fetch(&mut h, fetch("g", Some(&[("b", &[0]), ("a", &[2, 1, 0]), ("c", &[7])])));
    let names: Vec<&str> = fetched.topics.iter().map(|topic| topic.topic.as_str()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    let expected = [some(0, 4), some(2, 3), none(1, ErrorCode::NONE), some(0, 1), none(7, ErrorCode::NONE)];
    assert_eq!(partitions(&fetched), expected);
}

#[test]
fn all_are_those_of_this_group() {
    let mut h = Harness::new();
    outside(&mut h, "h", vec![at("a", 0, 9)]);
    outside(&mut h, "g", vec![at("b", 1, 1), at("a", 0, 2), at("b", 0, 3)]);
    outside(&mut h, "f", vec![at("a", 0, 9)]);
    assert_eq!(all(&mut h, "g"), [("a".into(), 0, 2), ("b".into(), 0, 3), ("b".into(), 1, 1)]);
}

#[test]
fn an_offset_of_a_topic_that_was_deleted_is_none_of_the_new_topics() {
    let mut h = Harness::new();
    let (old, new) = (TopicId(uuid::Uuid::from_u128(1)), TopicId(uuid::Uuid::from_u128(2)));
    outside(&mut h, "g", vec![CommitOffset { topic_id: old, ..at("t", 0, 5) }, at("t", 1, 6)]);
    let ask = |topic_id| {
        let mut fetch = fetch("g", Some(&[("t", &[0, 1])]));
        fetch.topics.as_mut().unwrap()[0].topic_id = topic_id;
        fetch
    };
    let fetched = run_fetch(&mut h, ask(new));
    assert_eq!(partitions(&fetched), [none(0, ErrorCode::NONE), some(1, 6)], "an offset without an id is any topic's");
    assert_eq!(fetched.topics[0].topic_id, new);
    assert_eq!(partitions(&run_fetch(&mut h, ask(old))), [some(0, 5), some(1, 6)]);
    assert_eq!(partitions(&run_fetch(&mut h, ask(TopicId::ZERO))), [some(0, 5), some(1, 6)]);
}

#[test]
fn who_asks_for_stable_offsets_is_told_where_a_transaction_is_open() {
    let mut h = Harness::new();
    outside(&mut h, "g", vec![at("t", 0, 5), at("t", 1, 6)]);
    h.replay_of(7, &offset_record("g", "t", 1, 60));
    h.replay_of(7, &offset_record("g", "t", 2, 70));
    let unstable = |partition| none(partition, ErrorCode::UNSTABLE_OFFSET_COMMIT);
    let stable = |topics| FetchOffsets { require_stable: true, ..fetch("g", topics) };
    let asked: &[(&str, &[i32])] = &[("t", &[0, 1, 2, 3])];
    let fetched = run_fetch(&mut h, stable(Some(asked)));
    assert_eq!(partitions(&fetched), [some(0, 5), unstable(1), unstable(2), none(3, ErrorCode::NONE)]);
    let fetched = run_fetch(&mut h, fetch("g", Some(asked)));
    let expected = [some(0, 5), some(1, 6), none(2, ErrorCode::NONE), none(3, ErrorCode::NONE)];
    assert_eq!(partitions(&fetched), expected);
    assert_eq!(partitions(&run_fetch(&mut h, stable(None))), [some(0, 5), unstable(1)]);
    h.end(7, true);
    let fetched = run_fetch(&mut h, stable(Some(asked)));
    let values: Vec<i64> = partitions(&fetched).iter().map(|fetched| fetched.offset.0).collect();
    assert_eq!(values, [5, 60, 70, -1]);
}
