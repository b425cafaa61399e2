//! Members of the classic protocol in a consumer group.

use super::bed::*;
use super::classic_bed::*;
use crate::config::settings::Migration;
use crate::group::record::MemberState;
use crate::group::request::{Assignment, Joined, Synced};
use crate::model::{ErrorCode, Generation, GroupEpoch, InstanceId, TopicId};

/// `a` speaks the consumer protocol and has both partitions.
fn bed() -> (Bed, TopicId) {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join("a", &["foo"]).unwrap();
    bed.h.written();
    (bed, foo)
}

/// `c` speaks the classic one and has the second.
fn shared() -> (Bed, TopicId) {
    let (mut bed, foo) = bed();
    bed.classic_join(join("c", &["foo"], &[]));
    bed.synced("c", 3);
    bed.report("a", 2, &of(foo, &[0, 1])).unwrap();
    bed.report("a", 2, &of(foo, &[0])).unwrap();
    assert_eq!(bed.classic_beat("c", 3), ErrorCode::REBALANCE_IN_PROGRESS);
    bed.classic_join(join("c", &["foo"], &[]));
    assert_eq!(bed.synced("c", 3), of(foo, &[1]));
    assert_eq!(bed.state(), "Stable");
    bed.h.written();
    (bed, foo)
}

#[test]
fn a_classic_member_joins_at_once_and_leads_nobody() {
    let (mut bed, _) = bed();
    let joined = bed.classic_join(join("c", &["foo"], &[]));
    assert_eq!(
        joined,
        Joined {
            error: ErrorCode::NONE,
            generation: Generation(3),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            leader: String::new(),
            skip_assignment: false,
            member: m("c"),
            members: Vec::new(),
        }
    );
    let written = bed.h.written();
    assert_eq!(written[0], member_record("c", about_classic(&["foo"], &[])));
    assert_eq!(bed.current("c").state, MemberState::UnreleasedPartitions);
    assert_eq!(bed.group().classic_members, 1);
    bed.check_replay();
}

#[test]
fn a_classic_member_gets_its_share_when_the_others_have_given_it_up() {
    let (bed, _) = shared();
    bed.check_replay();
}

#[test]
fn a_classic_member_without_an_id_is_given_one_first() {
    let (mut bed, _) = bed();
    let joined = bed.classic_join(join("", &["foo"], &[]));
    assert_eq!((joined.error, bed.h.written().len()), (ErrorCode::MEMBER_ID_REQUIRED, 0));
    let mut old = join("", &["foo"], &[]);
    old.version = 3;
    let joined = bed.classic_join(old);
    assert_eq!(joined.error, ErrorCode::NONE);
    assert!(bed.has(joined.member.as_str()));
}

#[test]
fn a_protocol_that_does_not_fit_is_inconsistent() {
    let (mut bed, _) = shared();
    let mut others = Vec::new();
    let mut other = join("d", &["foo"], &[]);
    other.protocol_type = "connect".into();
    others.push(other);
    let mut other = join("d", &["foo"], &[]);
    other.protocols[0].name = "roundrobin".into();
    others.push(other);
    let mut other = join("d", &["foo"], &[]);
    other.protocols.clear();
    others.push(other);
    let mut other = join("d", &["foo"], &[]);
    other.protocols[0].metadata = bytes::Bytes::from_static(&[0]);
    others.push(other);
    for other in others {
        let joined = bed.classic_join(other);
        assert_eq!(joined, Joined::refused(m(""), ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
    }
    assert_eq!(bed.h.written(), []);
}

#[test]
fn a_refused_classic_member_is_not_named() {
    let (mut bed, _) = bed();
    let mut stranger = join("made-up", &["foo"], &[]);
    stranger.instance = Some(InstanceId::new("i"));
    assert_eq!(bed.classic_join(stranger), Joined::refused(m(""), ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn nobody_joins_with_the_other_protocol_where_migration_is_off() {
    let off = Migration { upgrade: false, downgrade: false };
    let mut bed = Bed::with(|settings| settings.groups.consumer_migration = off);
    bed.join("a", &[]).unwrap();
    assert_eq!(bed.classic_join(join("c", &[], &[])).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn a_full_group_takes_no_classic_member() {
    let mut bed = Bed::with(|settings| settings.groups.consumer_members_max = 1);
    bed.join("a", &[]).unwrap();
    assert_eq!(bed.classic_join(join("c", &[], &[])).error, ErrorCode::GROUP_MAX_SIZE_REACHED);
}

#[test]
fn a_rebalance_is_told_by_heartbeat_and_by_sync() {
    let (mut bed, foo) = shared();
    bed.h.topic("foo", 4);
    let a = bed.beat("a", 3, |_| {}).unwrap();
    assert_eq!(a.epoch, GroupEpoch(4));
    assert_eq!(bed.classic_beat("c", 3), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(bed.sync_as("c", 3, |_| {}), Synced::from(ErrorCode::REBALANCE_IN_PROGRESS));
    let joined = bed.classic_join(join("c", &["foo"], &[("foo", &[1])]));
    assert_eq!(joined.generation, Generation(4));
    assert_eq!(bed.synced("c", 4).get(&foo).map(Vec::len), Some(2));
    assert_eq!(bed.classic_beat("c", 4), ErrorCode::NONE);
    bed.check_replay();
}

#[test]
fn a_classic_member_gives_up_what_it_does_not_report_when_it_joins_again() {
    let (mut bed, foo) = shared();
    bed.join("b", &["foo"]).unwrap();
    bed.h.topic("foo", 3);
    bed.beat("b", 4, |_| {}).unwrap();
    // It is to keep what it has.
    let joined = bed.classic_join(join("c", &["foo"], &[("foo", &[1])]));
    assert_eq!(bed.synced("c", joined.generation.0), of(foo, &[1]));
    // It is to give it up.
    let joined = bed.classic_join(join("c", &[], &[("foo", &[1])]));
    assert_eq!(bed.current("c").state, MemberState::UnrevokedPartitions);
    assert_eq!(bed.synced("c", joined.generation.0), Assignment::new());
    assert_eq!(bed.classic_beat("c", joined.generation.0), ErrorCode::REBALANCE_IN_PROGRESS);
    let joined = bed.classic_join(join("c", &[], &[]));
    assert_eq!(bed.current("c").state, MemberState::Stable);
    assert_eq!(bed.classic_beat("c", joined.generation.0), ErrorCode::NONE);
    bed.check_replay();
}

#[test]
fn a_classic_member_that_does_not_sync_in_time_is_removed() {
    let (mut bed, _) = bed();
    bed.classic_join(join("c", &["foo"], &[]));
    for _ in 0..3 {
        bed.h.pass(9_999);
        bed.beat("a", 2, |_| {}).unwrap();
        bed.classic_beat("c", 3);
    }
    assert!(bed.has("c"));
    bed.h.pass(3);
    assert!(!bed.has("c"));
}

#[test]
fn a_classic_member_that_does_not_join_again_in_time_is_removed() {
    let (mut bed, _) = shared();
    bed.h.topic("foo", 4);
    bed.beat("a", 3, |_| {}).unwrap();
    for _ in 0..3 {
        // Being told again gives it no more time.
        assert_eq!(bed.classic_beat("c", 3), ErrorCode::REBALANCE_IN_PROGRESS);
        bed.h.pass(9_999);
    }
    assert!(bed.has("c"));
    bed.classic_beat("c", 3);
    bed.h.pass(3);
    assert!(!bed.has("c"));
}

#[test]
fn a_classic_member_has_its_own_session() {
    let (mut bed, _) = shared();
    bed.h.pass(i64::from(SESSION_MS) - 1);
    assert_eq!(bed.classic_beat("c", 3), ErrorCode::NONE);
    bed.h.pass(i64::from(SESSION_MS) - 1);
    assert!(bed.has("c"));
    bed.h.pass(1);
    assert!(!bed.has("c"));
}

#[test]
fn a_request_of_a_classic_member_has_to_fit_the_member() {
    let (mut bed, _) = shared();
    assert_eq!(bed.classic_beat("x", 3), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bed.classic_beat("a", 3), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bed.classic_beat("c", 2), ErrorCode::ILLEGAL_GENERATION);
    let sync = |bed: &mut Bed, member: &str, generation| bed.sync_as(member, generation, |_| {}).error;
    assert_eq!(sync(&mut bed, "x", 3), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(sync(&mut bed, "a", 3), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(sync(&mut bed, "c", 4), ErrorCode::ILLEGAL_GENERATION);
    let other = bed.sync_as("c", 3, |sync| sync.protocol_type = Some("connect".into()));
    assert_eq!(other.error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let other = bed.sync_as("c", 3, |sync| sync.protocol_name = Some("roundrobin".into()));
    assert_eq!(other.error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let other = bed.sync_as("c", 3, |sync| sync.instance = Some(InstanceId::new("i")));
    assert_eq!(other.error, ErrorCode::UNKNOWN_MEMBER_ID);
    // Clients of old versions do not name the protocol.
    let old = bed.sync_as("c", 3, |sync| {
        sync.protocol_type = None;
        sync.protocol_name = None;
    });
    assert_eq!((old.error, old.protocol_type), (ErrorCode::NONE, None));
}

#[test]
fn a_classic_member_that_sends_a_consumer_heartbeat_is_one_of_the_new_protocol() {
    let (mut bed, foo) = shared();
    let answer = bed.join("c", &["foo"]).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(3), Some(of(foo, &[1]))));
    assert_eq!(bed.group().classic_members, 0);
    assert_eq!(bed.classic_beat("c", 3), ErrorCode::UNKNOWN_MEMBER_ID);
    bed.check_replay();
}

#[test]
fn members_of_either_protocol_leave_with_leave_group() {
    let mut bed = Bed::new();
    bed.join("a", &[]).unwrap();
    bed.join("b", &[]).unwrap();
    bed.join_static("s", "i", &[]).unwrap();
    let left = bed.classic_leave(&[("a", None), ("x", None), ("", Some("i")), ("s", Some("j")), ("z", Some("i"))]);
    let errors: Vec<_> = left.members.iter().map(|(_, _, error)| *error).collect();
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(errors, [ErrorCode::NONE, unknown, ErrorCode::NONE, unknown, ErrorCode::FENCED_INSTANCE_ID]);
    assert!(bed.has("b") && !bed.has("a") && !bed.has("s"));
    // One epoch for all of them.
    assert_eq!(bed.group().epoch, GroupEpoch(2));
    bed.h.written();
    assert_eq!(bed.classic_leave(&[("x", None)]).members[0].2, unknown);
    assert_eq!(bed.h.written(), []);
    bed.check_replay();
}

#[test]
fn a_static_member_comes_back_with_the_classic_protocol() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.join_static("s", "i", &["foo"]).unwrap();
    bed.join("b", &["foo"]).unwrap();
    bed.beat("s", 2, |beat| {
        beat.instance = Some(InstanceId::new("i"));
        beat.owned = Some(of(foo, &[0]));
    })
    .unwrap();
    bed.beat("b", 3, |_| {}).unwrap();
    // Nobody has to leave for it.
    let mut join = join("", &["foo"], &[("foo", &[0])]);
    join.instance = Some(InstanceId::new("i"));
    let joined = bed.classic_join(join.clone());
    assert_eq!((joined.error, joined.generation), (ErrorCode::NONE, Generation(3)));
    assert!(!bed.has("s"));
    join.member = m("other");
    assert_eq!(bed.classic_join(join.clone()).error, ErrorCode::FENCED_INSTANCE_ID);
    join.instance = Some(InstanceId::new("j"));
    assert_eq!(bed.classic_join(join).error, ErrorCode::UNKNOWN_MEMBER_ID);
    bed.check_replay();
}
