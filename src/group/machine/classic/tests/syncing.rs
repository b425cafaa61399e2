//! SyncGroup and Heartbeat.
use super::*;

#[test]
fn followers_wait_for_the_leader_and_get_what_it_assigned() {
    let mut formed = formed(ClassicState::CompletingRebalance);
    let follower = formed.shard.sync(syncs(&formed.follower, 1));
    assert!(formed.shard.waits(follower));
    let leader = formed.shard.sync(assigns(&formed.leader, 1, &[(&formed.leader, b"L"), (&formed.follower, b"F")]));
    let got = |assignment: &'static [u8]| Synced {
        error: ErrorCode::NONE,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignment: Bytes::from_static(assignment),
    };
    assert_eq!(formed.shard.synced(leader), got(b"L"));
    assert_eq!(formed.shard.synced(follower), got(b"F"));
    assert_eq!(formed.shard.group().state, ClassicState::Stable);
    let late = formed.shard.sync(syncs(&formed.fixed, 1));
    assert_eq!(formed.shard.synced(late), got(b""), "the leader left it out");
}

#[test]
fn in_a_stable_group_a_sync_is_answered_at_once_whoever_asks() {
    let mut formed = formed(ClassicState::Stable);
    for (member, assignment) in [(&formed.leader, b"L"), (&formed.follower, b"F"), (&formed.fixed, b"S")] {
        let ticket = formed.shard.sync(syncs(member, 1));
        assert_eq!(&formed.shard.synced(ticket).assignment[..], assignment);
    }
    assert_eq!(formed.shard.written(), []);
}

#[test]
fn a_sync_of_another_protocol_is_refused() {
    let mut formed = formed(ClassicState::CompletingRebalance);
    let other_type = Sync { protocol_type: Some("connect".into()), ..syncs(&formed.follower, 1) };
    let other_name = Sync { protocol_name: Some("roundrobin".into()), ..syncs(&formed.follower, 1) };
    for sync in [other_type, other_name] {
        let ticket = formed.shard.sync(sync);
        assert_eq!(formed.shard.synced(ticket), Synced::from(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
    }
    let silent = Sync { protocol_type: None, protocol_name: None, ..syncs(&formed.follower, 1) };
    let ticket = formed.shard.sync(silent);
    assert!(formed.shard.waits(ticket), "older clients do not say");
}

#[test]
fn a_member_that_syncs_twice_has_its_later_request_answered_and_the_earlier_one_superseded() {
    let mut formed = formed(ClassicState::CompletingRebalance);
    let earlier = formed.shard.sync(syncs(&formed.follower, 1));
    let later = formed.shard.sync(syncs(&formed.follower, 1));
    assert_eq!(formed.shard.error(earlier), Some(ErrorCode::REBALANCE_IN_PROGRESS));
    formed.shard.sync(syncs(&formed.leader, 1));
    assert_eq!(formed.shard.synced(later).error, ErrorCode::NONE);
}

#[test]
fn syncs_that_wait_when_a_rebalance_begins_are_told_so_and_their_sessions_start_anew() {
    let mut formed = formed(ClassicState::CompletingRebalance);
    let follower = formed.shard.sync(syncs(&formed.follower, 1));
    formed.shard.pass(4_000);
    assert_eq!(formed.shard.session(&formed.follower), Some(6_000));
    formed.shard.join(newcomer("more"));
    assert_eq!(formed.shard.synced(follower), Synced::from(ErrorCode::REBALANCE_IN_PROGRESS));
    assert_eq!(formed.shard.session(&formed.follower), Some(10_000));
    assert_eq!(formed.shard.session(&formed.leader), Some(6_000), "it did not wait");
    assert_eq!(formed.shard.sync_deadline(), None);
    assert!(formed.shard.group().pending_sync.is_empty());
}

#[test]
fn the_time_to_sync_ends_when_everybody_has_synced_also_after_the_group_is_stable() {
    let mut formed = formed(ClassicState::CompletingRebalance);
    assert_eq!(formed.shard.sync_deadline(), Some(i64::from(REBALANCE)));
    formed.shard.sync(syncs(&formed.leader, 1));
    formed.shard.sync(syncs(&formed.follower, 1));
    assert_eq!(formed.shard.group().state, ClassicState::Stable);
    assert_eq!(formed.shard.sync_deadline(), Some(i64::from(REBALANCE)));
    formed.shard.sync(syncs(&formed.fixed, 1));
    assert_eq!(formed.shard.sync_deadline(), None);
}

#[test]
fn assignments_of_a_generation_are_gone_when_its_rebalance_was_cut_short() {
    let mut formed = formed(ClassicState::Stable);
    formed.forget_pending();
    let generation_2 = |formed: &mut Formed| {
        formed.shard.join(again(&formed.leader));
        formed.shard.join(again(&formed.follower));
        formed.shard.join(fixed("i", &formed.fixed));
    };
    generation_2(&mut formed);
    assert_eq!(&formed.shard.group().members.get(&*formed.leader).unwrap().assignment[..], b"L");
    formed.shard.join(newcomer("more"));
    assert!(formed.shard.group().members.values().all(|member| member.assignment.is_empty()));
}

#[test]
fn a_heartbeat_renews_the_session_also_while_members_are_to_join() {
    for (state, error) in [
        (ClassicState::Stable, ErrorCode::NONE),
        (ClassicState::CompletingRebalance, ErrorCode::NONE),
        (ClassicState::PreparingRebalance, ErrorCode::REBALANCE_IN_PROGRESS),
    ] {
        let mut formed = formed(state);
        formed.shard.pass(9_000);
        assert_eq!(formed.shard.beat(&formed.follower, 1), error, "{state:?}");
        assert_eq!(formed.shard.session(&formed.follower), Some(i64::from(SESSION)));
    }
}

#[test]
fn a_heartbeat_that_is_refused_renews_nothing() {
    let mut formed = formed(ClassicState::Stable);
    formed.shard.pass(9_000);
    assert_eq!(formed.shard.beat(&formed.follower, 7), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(formed.shard.session(&formed.follower), Some(1_000));
}

#[test]
fn requests_to_a_group_that_is_not_there_are_of_an_unknown_member() {
    let mut shard = Shard::new();
    assert_eq!(shard.beat("m", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let sync = shard.sync(syncs("m", 1));
    assert_eq!(shard.synced(sync), Synced::from(ErrorCode::UNKNOWN_MEMBER_ID));
    let left = shard.leave(&[("m", None), ("", Some("i"))]);
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    let members = vec![("m".into(), None, unknown), ("".into(), Some("i".into()), unknown)];
    assert_eq!(left, Left { error: ErrorCode::NONE, members });
    assert!(shard.harness.groups.groups.is_empty());
}
