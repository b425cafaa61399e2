#![allow(clippy::unwrap_used)]
use super::*;
use crate::model::{LeaderEpoch, Offset};

fn want(partition: i32, from: i64) -> Wanted {
    Wanted {
        topic: TopicKey::Name("t".into()),
        partition: PartitionId(partition),
        from: Offset(from),
        max_bytes: 1000,
        current_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
        follower_start: Offset::NONE,
    }
}

fn empty(high_watermark: i64) -> Answered {
    Answered {
        error: ErrorCode::NONE,
        high_watermark: Offset(high_watermark),
        log_start: Offset(0),
        has_records: false,
        has_advice: false,
    }
}

fn ask(id: i32, epoch: i32) -> SessionRequest {
    SessionRequest { id, epoch, by_topic_id: false }
}

fn open(sessions: &FetchSessions, now: Instant, id: i32) -> i32 {
    let context = sessions.begin(ask(0, 0), vec![want(0, 0), want(1, 0)], &[], now).unwrap();
    sessions.finish(&context, &[empty(5), empty(5)], now, || id).0
}

#[test]
fn an_incremental_answer_lists_only_partitions_with_news() {
    let now = crate::rt::clock::now();
    let sessions = FetchSessions::new(10);
    assert_eq!(open(&sessions, now, 7), 7);
    let context = sessions.begin(ask(7, 1), vec![], &[], now).unwrap();
    assert_eq!(context.wanted.len(), 2);
    let (id, news) = sessions.finish(&context, &[empty(5), empty(6)], now, || 1);
    assert_eq!((id, news), (7, vec![false, true]));
    let context = sessions.begin(ask(7, 2), vec![], &[], now).unwrap();
    assert_eq!(sessions.finish(&context, &[empty(5), empty(6)], now, || 1).1, vec![false, false]);
}

#[test]
fn an_error_is_told_and_so_is_its_end() {
    let now = crate::rt::clock::now();
    let sessions = FetchSessions::new(10);
    open(&sessions, now, 7);
    let failed = Answered { error: ErrorCode::KAFKA_STORAGE_ERROR, ..empty(-1) };
    let context = sessions.begin(ask(7, 1), vec![], &[], now).unwrap();
    assert_eq!(sessions.finish(&context, &[failed, empty(5)], now, || 1).1, vec![true, false]);
    let context = sessions.begin(ask(7, 2), vec![], &[], now).unwrap();
    assert_eq!(sessions.finish(&context, &[empty(5), empty(5)], now, || 1).1, vec![true, false]);
}

#[test]
fn a_partition_that_got_records_moves_to_the_end() {
    let now = crate::rt::clock::now();
    let sessions = FetchSessions::new(10);
    open(&sessions, now, 7);
    let context = sessions.begin(ask(7, 1), vec![], &[], now).unwrap();
    let full = Answered { has_records: true, ..empty(9) };
    sessions.finish(&context, &[full, empty(5)], now, || 1);
    let context = sessions.begin(ask(7, 2), vec![], &[], now).unwrap();
    let order: Vec<i32> = context.wanted.iter().map(|w| w.partition.0).collect();
    assert_eq!(order, vec![1, 0]);
}

#[test]
fn an_unknown_session_a_wrong_epoch_and_a_change_of_naming_are_refused() {
    let now = crate::rt::clock::now();
    let sessions = FetchSessions::new(10);
    open(&sessions, now, 7);
    let refused = |request| sessions.begin(request, vec![], &[], now).unwrap_err();
    assert_eq!(refused(ask(8, 1)), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(refused(ask(7, 3)), ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    let by_id = SessionRequest { id: 7, epoch: 1, by_topic_id: true };
    assert_eq!(refused(by_id), ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
}

#[test]
fn a_session_that_forgets_all_its_partitions_ends() {
    let now = crate::rt::clock::now();
    let sessions = FetchSessions::new(10);
    open(&sessions, now, 7);
    let gone: Vec<_> = [0, 1].map(|p| (TopicKey::Name("t".into()), PartitionId(p))).into();
    let context = sessions.begin(ask(7, 1), vec![], &gone, now).unwrap();
    assert!(context.wanted.is_empty());
    assert!(sessions.is_empty());
}

#[test]
fn epoch_minus_one_ends_the_session_and_is_served_without_one() {
    let now = crate::rt::clock::now();
    let sessions = FetchSessions::new(10);
    open(&sessions, now, 7);
    let context = sessions.begin(ask(7, -1), vec![want(0, 0)], &[], now).unwrap();
    assert_eq!(sessions.finish(&context, &[empty(5)], now, || 9), (0, vec![true]));
    assert!(sessions.is_empty());
}

#[test]
fn when_all_slots_are_taken_only_a_session_unused_for_two_minutes_gives_way() {
    let now = crate::rt::clock::now();
    let sessions = FetchSessions::new(1);
    assert_eq!(open(&sessions, now, 7), 7);
    assert_eq!(open(&sessions, now + Duration::from_secs(60), 8), 0);
    assert_eq!(open(&sessions, now + EVICTION_AGE, 8), 8);
    assert_eq!(sessions.len(), 1);
}
