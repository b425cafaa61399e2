//! Sessions by their rules (the ends that connections bring are in the tests of share partitions).
#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::{PartitionId, TopicId};
use uuid::Uuid;

fn at(partition: i32) -> SharedPartition {
    SharedPartition { topic: TopicId(Uuid::from_u128(1)), partition: PartitionId(partition) }
}

fn wanted(partitions: &[i32]) -> Vec<Wanted> {
    partitions.iter().map(|partition| Wanted { at: at(*partition), topic: Some(TopicName::new("t")) }).collect()
}

fn key(member: &str) -> Key {
    (GroupId::new("g"), MemberId::new(member))
}

fn fetch(sessions: &Sessions, member: &str, epoch: i32, asked: &[i32]) -> Result<Begun, ErrorCode> {
    let fetch = Fetch { epoch, asked: wanted(asked), forgotten: &[], acknowledges: false };
    sessions.fetch(&key(member), fetch, 2, &Tie::default())
}

fn told(partition: i32, error: ErrorCode, has_records: bool) -> Told {
    Told { at: at(partition), error, has_records }
}

#[test]
fn a_session_goes_on_with_the_next_epoch_and_no_other() {
    let sessions = Sessions::default();
    assert_eq!(fetch(&sessions, "a", 1, &[]), Err(ErrorCode::SHARE_SESSION_NOT_FOUND));
    assert_eq!(fetch(&sessions, "a", 0, &[0, 1]), Ok(Begun::Opened(wanted(&[0, 1]))));
    assert_eq!(fetch(&sessions, "a", 2, &[]), Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH));
    assert_eq!(fetch(&sessions, "a", 1, &[2]), Ok(Begun::Goes(wanted(&[0, 1, 2]))));
    assert_eq!(fetch(&sessions, "a", 1, &[]), Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH));
    assert_eq!(sessions.acknowledge(&key("a"), 2), Ok(()));
    assert_eq!(fetch(&sessions, "a", 3, &[]), Ok(Begun::Goes(wanted(&[0, 1, 2]))));
}

#[test]
fn after_the_highest_epoch_comes_1() {
    assert_eq!((next(0), next(i32::MAX), next(-1)), (1, 1, -1));
}

#[test]
fn a_session_ends_with_epoch_minus_1() {
    let sessions = Sessions::default();
    assert_eq!(fetch(&sessions, "a", -1, &[]), Err(ErrorCode::SHARE_SESSION_NOT_FOUND));
    fetch(&sessions, "a", 0, &[0]).unwrap();
    assert_eq!(fetch(&sessions, "a", -1, &[]), Ok(Begun::Ends));
    assert_eq!(sessions.acknowledge(&key("a"), -1), Ok(()));
    assert_eq!(sessions.remove(&key("a").0, &key("a").1), Some(vec![at(0)]));
    assert_eq!(sessions.acknowledge(&key("a"), -1), Err(ErrorCode::SHARE_SESSION_NOT_FOUND));
}

#[test]
fn the_first_request_of_a_session_acknowledges_nothing() {
    let sessions = Sessions::default();
    let fetch = Fetch { epoch: 0, asked: wanted(&[0]), forgotten: &[], acknowledges: true };
    let begun = sessions.fetch(&key("a"), fetch, 2, &Tie::default());
    assert_eq!(begun, Err(ErrorCode::INVALID_REQUEST));
    assert_eq!(sessions.acknowledge(&key("a"), 0), Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH));
}

#[test]
fn there_are_only_so_many_sessions_and_a_member_has_one() {
    let sessions = Sessions::default();
    fetch(&sessions, "a", 0, &[]).unwrap();
    fetch(&sessions, "b", 0, &[]).unwrap();
    assert_eq!(fetch(&sessions, "c", 0, &[]), Err(ErrorCode::SHARE_SESSION_LIMIT_REACHED));
    assert_eq!(fetch(&sessions, "b", 0, &[1]), Ok(Begun::Opened(wanted(&[1]))), "anew, in place of its own");
}

#[test]
fn forgotten_partitions_leave_the_session() {
    let sessions = Sessions::default();
    fetch(&sessions, "a", 0, &[0, 1, 2]).unwrap();
    let leaves = Fetch { epoch: 1, asked: Vec::new(), forgotten: &[at(1)], acknowledges: false };
    let begun = sessions.fetch(&key("a"), leaves, 2, &Tie::default());
    assert_eq!(begun, Ok(Begun::Goes(wanted(&[0, 2]))));
}

#[test]
fn only_partitions_with_news_are_told() {
    let sessions = Sessions::default();
    fetch(&sessions, "a", 0, &[0, 1]).unwrap();
    fetch(&sessions, "a", 1, &[2]).unwrap();
    let none = ErrorCode::NONE;
    let answer = |epoch, told: &[Told]| sessions.answer(&key("a"), epoch, told);
    let news = answer(1, &[told(0, none, false), told(1, none, true), told(2, none, false)]);
    assert_eq!(news, Ok(vec![false, true, true]), "one that was added is told once");
    assert_eq!(fetch(&sessions, "a", 2, &[]), Ok(Begun::Goes(wanted(&[0, 2, 1]))), "with records: to the end");
    let failed = told(0, ErrorCode::NOT_LEADER_OR_FOLLOWER, false);
    assert_eq!(answer(2, &[failed, told(2, none, false)]), Ok(vec![true, false]));
    fetch(&sessions, "a", 3, &[]).unwrap();
    assert_eq!(answer(3, &[told(0, none, false)]), Ok(vec![true]), "that the error is over is news");
    fetch(&sessions, "a", 4, &[]).unwrap();
    assert_eq!(answer(4, &[told(0, none, false)]), Ok(vec![false]));
    assert_eq!(answer(3, &[]), Err(ErrorCode::INVALID_SHARE_SESSION_EPOCH));
}

#[test]
fn a_group_is_asked_for_by_its_whole_name() {
    let sessions = Sessions::default();
    fetch(&sessions, "a", 0, &[]).unwrap();
    assert!(sessions.has_any(&GroupId::new("g")));
    assert!(!sessions.has_any(&GroupId::new("")) && !sessions.has_any(&GroupId::new("gg")));
}
