//! One test per rule of fetching.
#![allow(clippy::unwrap_used)]

use super::*;
use uuid::Uuid;

fn key(n: i32) -> Key {
    (TopicId(Uuid::from_u128(7)), PartitionId(n))
}

fn at(end: i64) -> Position {
    Position { end: Offset(end), last_epoch: LeaderEpoch(1), log_start: Offset(0) }
}

const EPOCH: LeaderEpoch = LeaderEpoch(4);

fn unthrottled(_: Key) -> bool {
    false
}

/// Follows partitions 0.. whose logs end as given.
fn following(ends: &[i64]) -> Fetching {
    let mut fetching = Fetching::default();
    for (n, end) in (0..).zip(ends) {
        fetching.follow(key(n), EPOCH);
        fetching.located(key(n), EPOCH, at(*end));
    }
    fetching
}

fn named(question: &Question) -> Vec<i32> {
    question.partitions.iter().map(|asked| asked.key.1.0).collect()
}

#[test]
fn a_partition_is_not_fetched_before_its_log_was_looked_at() {
    let mut fetching = Fetching::default();
    fetching.follow(key(0), EPOCH);
    assert_eq!(fetching.unlocated(0), [(key(0), EPOCH)]);
    assert_eq!(fetching.question(0, unthrottled), None);
    fetching.located(key(0), EPOCH, at(5));
    assert!(fetching.unlocated(0).is_empty());
    assert_eq!(
        fetching.question(0, unthrottled).unwrap().partitions,
        [Asked { key: key(0), epoch: EPOCH, position: at(5) }]
    );
}

#[test]
fn in_a_session_only_what_has_moved_is_named() {
    let mut fetching = following(&[5, 6]);
    let first = fetching.question(0, unthrottled).unwrap();
    assert_eq!((first.session_id, first.session_epoch, named(&first)), (0, 0, vec![0, 1]));
    assert!(fetching.answered(ErrorCode::NONE, 77));
    fetching.fetched(key(1), EPOCH, at(9), 0);
    let second = fetching.question(0, unthrottled).unwrap();
    assert_eq!((second.session_id, second.session_epoch, named(&second)), (77, 1, vec![1]));
    assert_eq!(second.fetched, 2);
    fetching.answered(ErrorCode::NONE, 77);
    assert_eq!(fetching.question(0, unthrottled).unwrap().session_epoch, 2);
}

#[test]
fn a_partition_that_was_left_is_forgotten_by_the_session() {
    let mut fetching = following(&[5, 6]);
    fetching.question(0, unthrottled).unwrap();
    fetching.answered(ErrorCode::NONE, 77);
    fetching.leave(key(0));
    let question = fetching.question(0, unthrottled).unwrap();
    assert_eq!((question.forgotten, question.partitions), (vec![key(0)], vec![]));
}

#[test]
fn a_session_that_the_leader_does_not_know_is_begun_anew_with_every_partition() {
    let mut fetching = following(&[5, 6]);
    fetching.question(0, unthrottled).unwrap();
    fetching.answered(ErrorCode::NONE, 77);
    fetching.question(0, unthrottled).unwrap();
    assert!(!fetching.answered(ErrorCode::FETCH_SESSION_ID_NOT_FOUND, 0));
    let question = fetching.question(0, unthrottled).unwrap();
    assert_eq!((question.session_id, question.session_epoch, named(&question)), (0, 0, vec![0, 1]));
}

#[test]
fn after_a_lost_answer_the_old_session_is_named_to_be_ended() {
    let mut fetching = following(&[5]);
    fetching.question(0, unthrottled).unwrap();
    fetching.answered(ErrorCode::NONE, 77);
    fetching.question(0, unthrottled).unwrap();
    fetching.unanswered();
    let question = fetching.question(0, unthrottled).unwrap();
    assert_eq!((question.session_id, question.session_epoch, named(&question)), (77, 0, vec![0]));
}

#[test]
fn a_leader_without_room_for_sessions_is_told_everything_each_time() {
    let mut fetching = following(&[5]);
    fetching.question(0, unthrottled).unwrap();
    fetching.answered(ErrorCode::NONE, 0);
    let question = fetching.question(0, unthrottled).unwrap();
    assert_eq!((question.session_id, question.session_epoch, named(&question)), (0, 0, vec![0]));
}

#[test]
fn an_answer_to_a_question_of_an_older_epoch_is_void() {
    let mut fetching = following(&[5]);
    fetching.question(0, unthrottled).unwrap();
    assert!(fetching.holds(key(0)).is_some());
    fetching.follow(key(0), LeaderEpoch(5));
    assert_eq!(fetching.holds(key(0)), None);
    fetching.located(key(0), LeaderEpoch(5), at(5));
    assert_eq!(fetching.holds(key(0)), None);
    fetching.fetched(key(0), EPOCH, at(9), 0);
    assert_eq!(fetching.question(0, unthrottled).unwrap().partitions[0].position, at(5));
}

#[test]
fn a_change_that_leaves_the_epoch_does_not_touch_the_fetching() {
    let mut fetching = following(&[5]);
    fetching.question(0, unthrottled).unwrap();
    fetching.follow(key(0), EPOCH);
    assert!(fetching.holds(key(0)).is_some());
}

#[test]
fn a_partition_that_failed_is_left_out_until_its_pause_is_over() {
    let mut fetching = following(&[5, 6]);
    fetching.question(0, unthrottled).unwrap();
    fetching.answered(ErrorCode::NONE, 77);
    fetching.pause(key(0), EPOCH, 1000, false);
    assert_eq!(fetching.question(999, unthrottled).unwrap().forgotten, [key(0)]);
    assert_eq!(fetching.next_due(999), Some(1000));
    fetching.answered(ErrorCode::NONE, 77);
    assert_eq!(named(&fetching.question(1000, unthrottled).unwrap()), [0]);
}

#[test]
fn a_log_that_was_cut_is_looked_at_anew() {
    let mut fetching = following(&[5]);
    fetching.pause(key(0), EPOCH, 0, true);
    assert_eq!(fetching.unlocated(0), [(key(0), EPOCH)]);
}

#[test]
fn only_out_of_range_moves_a_follower_and_only_fencing_stops_it() {
    assert_eq!(remedy(ErrorCode::OFFSET_OUT_OF_RANGE), Remedy::Relocate);
    assert_eq!(remedy(ErrorCode::FENCED_LEADER_EPOCH), Remedy::WaitForMetadata);
    for error in [ErrorCode::UNKNOWN_LEADER_EPOCH, ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::UNKNOWN_TOPIC_ID] {
        assert_eq!(remedy(error), Remedy::Soon);
    }
    assert_eq!(remedy(ErrorCode::KAFKA_STORAGE_ERROR), Remedy::Pause);
}

#[test]
fn pauses_grow_with_failures_and_a_success_ends_that() {
    let mut fetching = following(&[5]);
    let pause = |fetching: &mut Fetching| {
        fetching.failed(key(0), EPOCH, 0, 20, 100);
        fetching.next_due(0)
    };
    let pauses: Vec<_> = (0..4).map(|_| pause(&mut fetching)).collect();
    assert_eq!(pauses, [Some(20), Some(40), Some(80), Some(100)]);
    fetching.fetched(key(0), EPOCH, at(6), 0);
    assert_eq!(pause(&mut fetching), Some(20));
}

#[test]
fn a_throttled_partition_is_left_out_until_it_may_go_on_unless_it_has_caught_up() {
    let mut fetching = following(&[5, 5]);
    assert_eq!(fetching.question(0, unthrottled).unwrap().fetched, 2);
    fetching.fetched(key(0), EPOCH, at(6), 3);
    fetching.fetched(key(1), EPOCH, at(6), 0);
    let question = fetching.question(0, |_| true).unwrap();
    assert_eq!(named(&question), [1]);
    assert_eq!(fetching.question(0, |asked| asked == key(1)).unwrap().fetched, 2, "it is in sync: it is not held back");
    fetching.follow(key(1), LeaderEpoch(EPOCH.0 + 1));
    fetching.located(key(1), LeaderEpoch(EPOCH.0 + 1), at(6));
    assert_eq!(fetching.question(0, |_| true), None, "of a new leader it is not known");
}
