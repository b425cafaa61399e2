//! Which offsets a consumer group takes, and from whom; and what it says of itself.

use super::bed::*;
use super::classic_bed::*;
use crate::group::machine::kind::{Ages, Kind};
use crate::group::record::MemberState;
use crate::group::request::{Commit, CommitOffset, DescribedConsumerMember, FetchOffsets};
use crate::model::{ErrorCode, GroupEpoch, InstanceId, LeaderEpoch, Offset, PartitionId, TopicId, TopicName};

fn commit(version: i16, member: &str, epoch: i32) -> Commit {
    Commit {
        version,
        group: g(),
        member: m(member),
        instance: None,
        generation_or_epoch: epoch,
        retention_ms: -1,
        offsets: Vec::new(),
    }
}

fn offset(topic_id: TopicId, partition: i32) -> CommitOffset {
    CommitOffset {
        topic: TopicName::new("foo"),
        topic_id,
        partition: PartitionId(partition),
        offset: Offset(1),
        leader_epoch: LeaderEpoch(0),
        metadata: None,
    }
}

fn fetch(member: Option<&str>, epoch: i32) -> FetchOffsets {
    FetchOffsets { version: 9, group: g(), member: member.map(m), epoch, topics: None, require_stable: false }
}

/// `a` is at 4 and has partition 0 since 2 and partition 1 since 4; `c` is a classic member.
fn bed() -> (Bed, TopicId) {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();
    bed.classic_join(join("c", &["foo"], &[]));
    bed.report("a", 2, &of(foo, &[0])).unwrap();
    bed.classic_join(join("c", &[], &[]));
    bed.beat("a", 3, |_| {}).unwrap();
    assert_eq!(bed.current("a").assigned, at(&[(foo, &[(0, 2), (1, 4)])]));
    (bed, foo)
}

#[test]
fn a_member_commits_at_its_epoch() {
    let (bed, foo) = bed();
    let group = bed.group();
    assert_eq!(group.check_commit(&commit(9, "a", 4)), Ok(()));
    // Even what it does not have.
    assert_eq!(group.check_offset(&commit(9, "a", 4), &offset(foo, 7)), ErrorCode::NONE);
    assert_eq!(group.check_commit(&commit(9, "a", 5)), Err(ErrorCode::STALE_MEMBER_EPOCH));
    assert_eq!(group.check_commit(&commit(9, "x", 4)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(group.check_commit(&commit(9, "a", -1)), Ok(()));
    assert_eq!(group.check_offset(&commit(9, "a", -1), &offset(foo, 0)), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(group.check_commit(&commit(8, "a", 4)), Err(ErrorCode::UNSUPPORTED_VERSION));
}

#[test]
fn an_older_epoch_may_commit_what_was_assigned_by_then() {
    let (bed, foo) = bed();
    let group = bed.group();
    let check = |epoch, partition| {
        let commit = commit(9, "a", epoch);
        assert_eq!(group.check_commit(&commit), Ok(()));
        group.check_offset(&commit, &offset(foo, partition))
    };
    assert_eq!(check(3, 0), ErrorCode::NONE);
    assert_eq!(check(2, 0), ErrorCode::NONE);
    assert_eq!(check(1, 0), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(check(3, 1), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(check(3, 7), ErrorCode::STALE_MEMBER_EPOCH);
}

#[test]
fn what_is_to_be_given_up_may_be_committed_until_it_is() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();
    bed.join("b", &["foo"]).unwrap();
    bed.h.topic("foo", 3);
    bed.beat("a", 2, |_| {}).unwrap();
    assert_eq!(bed.current("a").state, MemberState::UnrevokedPartitions);
    let group = bed.group();
    let lost = *bed.current("a").pending_revocation[&foo].keys().next().unwrap();
    assert_eq!(group.check_offset(&commit(9, "a", 2), &offset(foo, lost.0)), ErrorCode::NONE);
}

#[test]
fn a_classic_member_commits_with_its_generation() {
    let (bed, foo) = bed();
    let group = bed.group();
    let epoch = bed.current("c").epoch.0;
    assert_eq!(group.check_commit(&commit(5, "c", epoch)), Ok(()));
    assert_eq!(group.check_commit(&commit(5, "c", epoch + 1)), Err(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(group.check_offset(&commit(5, "c", epoch - 1), &offset(foo, 1)), ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn an_administrator_commits_while_nobody_is_in_the_group() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.join("a", &["foo"]).unwrap();
    assert_eq!(bed.group().check_commit(&commit(9, "", -1)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    bed.beat("a", -1, |_| {}).unwrap();
    assert_eq!(bed.group().check_commit(&commit(9, "", -1)), Ok(()));
    assert_eq!(bed.group().check_offset(&commit(9, "", -1), &offset(foo, 0)), ErrorCode::NONE);
    assert_eq!(bed.group().check_commit(&commit(9, "", 0)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn offsets_are_fetched_at_the_members_epoch_or_by_nobody() {
    let (bed, _) = bed();
    let group = bed.group();
    assert_eq!(group.check_fetch(&fetch(None, -1)), Ok(()));
    assert_eq!(group.check_fetch(&fetch(None, 0)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(group.check_fetch(&fetch(Some("a"), 4)), Ok(()));
    assert_eq!(group.check_fetch(&fetch(Some("a"), 3)), Err(ErrorCode::STALE_MEMBER_EPOCH));
    assert_eq!(group.check_fetch(&fetch(Some("x"), 4)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(group.check_fetch(&fetch(Some("c"), 1)), Err(ErrorCode::ILLEGAL_GENERATION));
}

#[test]
fn only_a_group_without_members_may_be_deleted() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.join("a", &["foo"]).unwrap();
    assert_eq!(bed.group().check_delete(), Err(ErrorCode::NON_EMPTY_GROUP));
    assert!(bed.group().subscribes(&"foo".into()) && !bed.group().subscribes(&"bar".into()));
    assert_eq!((bed.group().offsets_age(), bed.group().check_delete_offsets()), (Ages::SinceCommit, Ok(())));
    assert!(!Kind::is_empty(bed.group()));
    bed.beat("a", -1, |_| {}).unwrap();
    assert_eq!(bed.group().check_delete(), Ok(()));
    assert!(Kind::is_empty(bed.group()));
    let reply = bed.h.run(crate::group::request::Request::DeleteGroup { group: g(), state_is_deleted: false });
    assert!(matches!(reply, crate::group::request::Reply::DeleteGroup(ErrorCode::NONE)));
    assert!(bed.h.groups.groups.is_empty());
    assert!(bed.h.replayed().groups.groups.is_empty());
    assert!(bed.h.replayed_compacted().groups.groups.is_empty());
}

#[test]
fn a_description_shows_the_members_with_what_they_answer_for() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join_static("a", "i", &["foo"]).unwrap();
    bed.join("b", &["foo"]).unwrap();
    bed.beat("a", 2, |beat| beat.instance = Some(InstanceId::new("i"))).unwrap();
    let described = bed.describe().unwrap();
    assert_eq!((described.state, described.assignor.as_str()), ("Reconciling", "uniform"));
    assert_eq!((described.group_epoch, described.assignment_epoch), (GroupEpoch(3), GroupEpoch(3)));
    assert_eq!(
        described.members,
        [
            DescribedConsumerMember {
                member: m("a"),
                instance: Some(InstanceId::new("i")),
                rack: None,
                epoch: GroupEpoch(2),
                client: client(),
                topics: vec!["foo".into()],
                regex: Some(String::new()),
                // What it has not given up yet is its own.
                assignment: of(foo, &[0, 1]),
                target: of(foo, &[0]),
                classic: false,
            },
            DescribedConsumerMember {
                member: m("b"),
                instance: None,
                rack: None,
                epoch: GroupEpoch(3),
                client: client(),
                topics: vec!["foo".into()],
                regex: Some(String::new()),
                assignment: Default::default(),
                target: of(foo, &[1]),
                classic: false,
            },
        ]
    );
    bed.h.delete_topic("foo");
    let described = bed.describe().unwrap();
    assert!(described.members.iter().all(|member| member.assignment.is_empty() && member.target.is_empty()));
}
