//! What a group answers to whoever keeps its offsets.
use super::*;
use crate::group::machine::Ages;
use crate::group::request::FetchOffsets;

pub(super) fn commit(member: &str, instance: Option<&str>, generation: i32) -> Commit {
    Commit {
        version: 9,
        group: "g".into(),
        member: member.into(),
        instance: instance.map(InstanceId::from),
        generation_or_epoch: generation,
        retention_ms: -1,
        offsets: Vec::new(),
    }
}

#[test]
fn a_commit_from_outside_is_taken_by_an_empty_group_only() {
    for (state, answer) in [
        (ClassicState::Empty, Ok(())),
        (ClassicState::PreparingRebalance, Err(ErrorCode::UNKNOWN_MEMBER_ID)),
        (ClassicState::CompletingRebalance, Err(ErrorCode::UNKNOWN_MEMBER_ID)),
        (ClassicState::Stable, Err(ErrorCode::UNKNOWN_MEMBER_ID)),
        (ClassicState::Dead, Err(ErrorCode::COORDINATOR_NOT_AVAILABLE)),
    ] {
        assert_eq!(formed(state).shard.group().check_commit(&commit("", None, -1)), answer, "{state:?}");
    }
}

#[test]
fn a_commit_renews_the_session_of_its_member() {
    for (state, left) in [
        (ClassicState::Stable, 10_000),
        (ClassicState::PreparingRebalance, 10_000),
        (ClassicState::CompletingRebalance, 5_000),
    ] {
        let mut formed = formed(state);
        formed.shard.pass(5_000);
        let env = formed.shard.harness.env.clone();
        formed.shard.harness.groups.classic_member_committed(&env, &commit(&formed.follower, None, 1));
        assert_eq!(formed.shard.session(&formed.follower), Some(left), "{state:?}");
    }
}

#[test]
fn a_group_with_members_is_not_deleted_and_offsets_only_of_consumers() {
    for state in [ClassicState::PreparingRebalance, ClassicState::CompletingRebalance, ClassicState::Stable] {
        let mut formed = formed(state);
        assert_eq!(formed.shard.group().check_delete(), Err(ErrorCode::NON_EMPTY_GROUP));
        assert_eq!(formed.shard.group().check_delete_offsets(), Ok(()));
        formed.shard.group_mut().protocol_type = Some("connect".into());
        assert_eq!(formed.shard.group().check_delete_offsets(), Err(ErrorCode::NON_EMPTY_GROUP));
    }
    let empty = formed(ClassicState::Empty);
    assert_eq!((empty.shard.group().check_delete(), empty.shard.group().check_delete_offsets()), (Ok(()), Ok(())));
    let dead = formed(ClassicState::Dead);
    let gone = Err(ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!((dead.shard.group().check_delete(), dead.shard.group().check_delete_offsets()), (gone, gone));
}

#[test]
fn offsets_are_fetched_in_every_state_but_from_a_dead_group() {
    let fetch = FetchOffsets {
        version: 9,
        group: "g".into(),
        member: Some("nobody".into()),
        epoch: 77,
        topics: None,
        require_stable: false,
    };
    for state in [ClassicState::Empty, ClassicState::PreparingRebalance, ClassicState::Stable] {
        assert_eq!(formed(state).shard.group().check_fetch(&fetch), Ok(()));
    }
    let dead = formed(ClassicState::Dead);
    assert_eq!(dead.shard.group().check_fetch(&fetch), Err(ErrorCode::GROUP_ID_NOT_FOUND));
}

#[test]
fn offsets_age_since_the_group_is_empty_or_since_the_commit_but_never_during_a_rebalance() {
    let empty = formed(ClassicState::Empty);
    assert_eq!(empty.shard.group().offsets_age(), Ages::Since(empty.shard.group().state_since.unwrap()));
    assert_eq!(formed(ClassicState::Stable).shard.group().offsets_age(), Ages::SinceCommit);
    assert_eq!(formed(ClassicState::PreparingRebalance).shard.group().offsets_age(), Ages::Never);
    assert_eq!(formed(ClassicState::CompletingRebalance).shard.group().offsets_age(), Ages::Never);
    assert_eq!(ClassicGroup::new("g".into(), TimestampMs(5)).offsets_age(), Ages::SinceCommit, "offsets only");
    let mut old = formed(ClassicState::Empty);
    old.shard.group_mut().state_since = None;
    assert_eq!(old.shard.group().offsets_age(), Ages::SinceCommit, "its record does not say since when");
    let mut unreadable = formed(ClassicState::Stable);
    unreadable.shard.group_mut().subscribed = None;
    assert_eq!(unreadable.shard.group().offsets_age(), Ages::Never);
}

#[test]
fn a_group_subscribes_to_what_its_members_said_and_to_everything_if_that_cannot_be_read() {
    let formed = formed(ClassicState::Stable);
    assert!(formed.shard.group().subscribes(&"t".into()) && !formed.shard.group().subscribes(&"u".into()));

    let mut shard = Shard::new();
    let unreadable = vec![Protocol { name: "range".into(), metadata: Bytes::from_static(b"\0\0\x7f") }];
    shard.join(Join { protocols: unreadable, ..newcomer("a") });
    shard.pass(DELAY);
    assert!(shard.group().subscribes(&"u".into()));

    let mut shard = Shard::new();
    shard.join(Join { protocol_type: "connect".into(), ..newcomer("a") });
    shard.pass(DELAY);
    assert!(!shard.group().subscribes(&"t".into()), "of others nothing is known");
}

#[test]
fn a_group_says_what_it_is_and_how_it_is_removed() {
    let formed = formed(ClassicState::Stable);
    let group = formed.shard.group();
    assert_eq!(
        (group.state(), group.name(), group.protocol_type(), group.is_empty()),
        ("Stable", "classic", "consumer", false)
    );
    let tombstone = Record::ClassicGroup { group: "g".into(), value: None };
    assert_eq!(group.tombstones(&"g".into()), [tombstone]);
    let simple = ClassicGroup::new("g".into(), TimestampMs(5));
    assert_eq!((simple.state(), simple.protocol_type(), simple.is_empty()), ("Empty", "", true));
}
