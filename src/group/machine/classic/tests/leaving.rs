//! LeaveGroup.
use super::*;

#[test]
fn members_that_leave_together_start_one_rebalance() {
    let mut formed = formed(ClassicState::Stable);
    let left = formed.shard.leave(&[(&formed.leader, None), ("nobody", None), (&formed.pending, None)]);
    let answer = |member: &str, error| (MemberId::from(member), None, error);
    let expected = vec![
        answer(&formed.leader, ErrorCode::NONE),
        answer("nobody", ErrorCode::UNKNOWN_MEMBER_ID),
        answer(&formed.pending, ErrorCode::NONE),
    ];
    assert_eq!(left, Left { error: ErrorCode::NONE, members: expected });
    let group = formed.shard.group();
    assert_eq!((group.state, group.members.len(), group.pending.len()), (ClassicState::PreparingRebalance, 2, 0));
    assert!(!group.is_leader(&(&*formed.leader).into()) && group.leader.is_some());
    assert_eq!(formed.shard.session(&formed.leader), None);
    assert_eq!(formed.shard.session(&formed.pending), None);
}

#[test]
fn a_static_member_is_sent_away_by_its_instance_id() {
    let mut formed = formed(ClassicState::Stable);
    let left = formed.shard.leave(&[("", Some("i")), ("", Some("j")), ("", None)]);
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    let expected = vec![
        ("".into(), Some("i".into()), ErrorCode::NONE),
        ("".into(), Some("j".into()), unknown),
        ("".into(), None, unknown),
    ];
    assert_eq!(left.members, expected);
    assert!(!formed.shard.group().members.contains_key(&*formed.fixed));
    assert_eq!(formed.shard.group().state, ClassicState::PreparingRebalance);
}

#[test]
fn a_leave_that_nobody_may_take_starts_no_rebalance() {
    let mut formed = formed(ClassicState::Stable);
    assert_eq!(formed.shard.leave_one(&formed.follower.clone(), Some("i")), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(formed.shard.group().state, ClassicState::Stable);
}

#[test]
fn when_the_last_member_leaves_the_group_is_empty_and_written_so() {
    let mut formed = formed(ClassicState::Stable);
    let (leader, follower, pending) = (&formed.leader, &formed.follower, &formed.pending);
    formed.shard.leave(&[(leader, None), (follower, None), ("", Some("i")), (pending, None)]);
    assert_eq!(formed.shard.group().state, ClassicState::Empty);
    let written = formed.shard.written();
    assert_eq!(written.len(), 1);
    let value = written.first().unwrap();
    assert_eq!((value.generation, value.members.len(), &*value.protocol_type), (Generation(2), 0, "consumer"));
    assert!(formed.shard.waits_for_nothing());
}

#[test]
fn requests_of_a_member_that_leaves_are_answered() {
    let mut formed = formed(ClassicState::PreparingRebalance);
    let join = formed.shard.join(again(&formed.follower));
    formed.shard.leave(&[(&formed.follower, None)]);
    assert_eq!(formed.shard.joined(join), Joined::refused("".into(), ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(formed.shard.group().joining(), 1);

    let mut formed = super::formed(ClassicState::CompletingRebalance);
    let sync = formed.shard.sync(syncs(&formed.follower, 1));
    formed.shard.leave(&[(&formed.follower, None)]);
    assert_eq!(formed.shard.synced(sync), Synced::from(ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn a_member_that_leaves_while_others_join_is_no_longer_waited_for() {
    let mut formed = formed(ClassicState::PreparingRebalance);
    let follower = formed.shard.join(again(&formed.follower));
    formed.shard.leave(&[(&formed.pending, None)]);
    assert!(formed.shard.waits(follower));
    formed.shard.leave(&[(&formed.fixed, Some("i"))]);
    assert_eq!(formed.shard.joined(follower).generation, Generation(2));
}

#[test]
fn a_leave_does_not_cut_the_initial_delay_short() {
    let mut shard = Shard::new();
    let stays = shard.join(newcomer("a"));
    let goes = shard.join(newcomer("b"));
    shard.leave(&[(&id("b", 2), None)]);
    assert_eq!(shard.joined(goes).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert!(shard.waits(stays));
    shard.pass(2 * DELAY);
    assert_eq!(shard.joined(stays).members.len(), 1);
}

#[test]
fn when_somebody_leaves_who_was_given_an_id_only_a_rebalance_starts_all_the_same() {
    let mut formed = formed(ClassicState::Stable);
    assert_eq!(formed.shard.leave_one(&formed.pending.clone(), None), ErrorCode::NONE);
    let group = formed.shard.group();
    assert_eq!((group.state, group.members.len()), (ClassicState::PreparingRebalance, 3));
}
