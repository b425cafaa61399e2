//! Deadlines: sessions, the time to join, the time to sync.
use super::*;

#[test]
fn a_member_that_is_not_heard_of_for_its_session_timeout_is_out() {
    let mut formed = formed(ClassicState::Stable);
    formed.forget_pending();
    formed.shard.pass(6_000);
    for member in [&formed.leader, &formed.fixed] {
        assert_eq!(formed.shard.beat(member, 1), ErrorCode::NONE);
    }
    formed.shard.pass(3_999);
    assert_eq!(formed.shard.group().state, ClassicState::Stable);
    formed.shard.pass(1);
    assert_eq!(formed.shard.group().state, ClassicState::PreparingRebalance);
    assert!(!formed.shard.group().members.contains_key(&*formed.follower));
    assert_eq!(formed.shard.beat(&formed.follower, 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(formed.shard.written(), []);
}

#[test]
fn when_the_last_session_has_expired_the_group_is_empty_and_written_so() {
    let mut formed = formed(ClassicState::Stable);
    formed.shard.pass(i64::from(SESSION));
    let group = formed.shard.group();
    assert_eq!((group.state, group.generation, group.members.len()), (ClassicState::Empty, Generation(2), 0));
    assert_eq!((group.leader.as_ref(), group.protocol.as_ref()), (None, None));
    let written = formed.shard.written();
    let expected = ClassicGroupValue {
        protocol_type: "consumer".into(),
        generation: Generation(2),
        protocol: None,
        leader: None,
        state_since: TimestampMs(formed.shard.now()),
        members: Vec::new(),
    };
    assert_eq!(written, [expected]);
    assert!(formed.shard.waits_for_nothing());
}

#[test]
fn a_member_whose_join_or_sync_waits_need_not_beat() {
    let mut formed = formed(ClassicState::Stable);
    formed.forget_pending();
    let leader = formed.shard.join(again(&formed.leader));
    for _ in 0..3 {
        formed.shard.pass(6_000);
        assert_eq!(formed.shard.beat(&formed.follower, 1), ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(formed.shard.beat(&formed.fixed, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert!(formed.shard.waits(leader));
    assert_eq!(formed.shard.session(&formed.leader), None, "it has come, without effect");
    formed.shard.join(again(&formed.follower));
    formed.shard.join(fixed("i", &formed.fixed));
    assert_eq!(formed.shard.joined(leader).error, ErrorCode::NONE);
    assert_eq!(formed.shard.session(&formed.leader), Some(i64::from(SESSION)), "it starts with the answer");
    let follower = formed.shard.sync(syncs(&formed.follower, 2));
    for _ in 0..3 {
        formed.shard.pass(6_000);
        formed.shard.beat(&formed.leader, 2);
        formed.shard.beat(&formed.fixed, 2);
    }
    assert!(formed.shard.waits(follower));
    formed.shard.sync(syncs(&formed.leader, 2));
    assert_eq!(formed.shard.synced(follower).error, ErrorCode::NONE);
    assert_eq!(formed.shard.session(&formed.follower), Some(i64::from(SESSION)));
}

#[test]
fn a_new_member_may_wait_for_five_minutes_whatever_its_session_timeout() {
    let mut formed = formed(ClassicState::Stable);
    formed.forget_pending();
    let patient = i32::MAX;
    formed.shard.join(Join { rebalance_timeout_ms: patient, ..again(&formed.leader) });
    let new = formed.shard.join(newcomer("new"));
    let new_id = id("new", formed.shard.ids());
    assert_eq!(formed.shard.session(&new_id), Some(300_000));
    for _ in 0..59 {
        formed.shard.pass(5_000);
        formed.shard.beat(&formed.follower, 1);
    }
    assert!(formed.shard.waits(new));
    formed.shard.pass(5_000);
    assert_eq!(formed.shard.joined(new), Joined::refused("".into(), ErrorCode::UNKNOWN_MEMBER_ID));
    assert!(!formed.shard.group().members.contains_key(&*new_id));
}

#[test]
fn an_id_that_was_given_is_forgotten_after_the_session_timeout_and_no_longer_waited_for() {
    let mut formed = formed(ClassicState::Stable);
    let leader = formed.shard.join(again(&formed.leader));
    formed.shard.join(again(&formed.follower));
    formed.shard.join(fixed("i", &formed.fixed));
    formed.shard.pass(i64::from(SESSION) - 1);
    assert!(formed.shard.waits(leader));
    formed.shard.pass(1);
    assert_eq!(formed.shard.joined(leader).members.len(), 3);
    let late = formed.shard.join(again(&formed.pending));
    assert_eq!(formed.shard.joined(late).error, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn who_does_not_join_again_in_time_is_out_but_static_members_stay() {
    let mut formed = formed(ClassicState::Stable);
    let leader = formed.shard.join(again(&formed.leader));
    for _ in 0..12 {
        formed.shard.pass(5_000);
        formed.shard.beat(&formed.follower, 1);
        formed.shard.beat(&formed.fixed, 1);
    }
    let joined = formed.shard.joined(leader);
    let members: Vec<&str> = joined.members.iter().map(|member| member.member.as_str()).collect();
    assert_eq!((joined.generation, members), (Generation(2), vec![&*formed.leader, &*formed.fixed]));
    assert_eq!(formed.shard.session(&formed.follower), None);
    assert_eq!(formed.shard.session(&formed.fixed), Some(i64::from(SESSION)));
}

#[test]
fn a_leader_that_does_not_join_again_is_replaced_by_one_that_has() {
    let mut formed = formed(ClassicState::Stable);
    let follower = formed.shard.join(Join { protocols: protocols(&["range"]), ..again(&formed.follower) });
    for _ in 0..12 {
        formed.shard.pass(5_000);
        formed.shard.beat(&formed.leader, 1);
        formed.shard.beat(&formed.fixed, 1);
    }
    let joined = formed.shard.joined(follower);
    assert_eq!((joined.leader.as_str(), joined.members.len()), (&*formed.follower, 2));
}

#[test]
fn a_static_leader_that_does_not_join_again_is_replaced_but_stays() {
    let mut shard = Shard::new();
    let tickets = [shard.join(fixed("i", "")), shard.join(newcomer("a"))];
    shard.pass(2 * DELAY);
    let [lead, other] = tickets.map(|ticket| shard.joined(ticket));
    shard.sync(syncs(lead.member.as_str(), 1));
    let join = shard.join(Join { protocols: protocols(&["range"]), ..again(other.member.as_str()) });
    for _ in 0..12 {
        shard.pass(5_000);
        shard.beat(lead.member.as_str(), 1);
    }
    let joined = shard.joined(join);
    assert_eq!((joined.leader.as_str(), joined.members.len()), (other.member.as_str(), 2));
}

#[test]
fn while_only_absent_static_members_are_left_the_rebalance_goes_on_until_their_sessions_end() {
    let mut shard = Shard::new();
    let tickets = [shard.join(fixed("i", "")), shard.join(newcomer("a"))];
    shard.pass(2 * DELAY);
    let [lead, other] = tickets.map(|ticket| shard.joined(ticket));
    let (lead, other) = (lead.member.as_str(), other.member.as_str());
    shard.sync(syncs(lead, 1));
    assert_eq!(shard.leave_one(other, None), ErrorCode::NONE);
    for _ in 0..13 {
        shard.pass(5_000);
        assert_eq!(shard.beat(lead, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    assert_eq!(shard.group().state, ClassicState::PreparingRebalance);
    assert_eq!(shard.join_deadline(), Some(55_000), "once more");
    shard.pass(i64::from(SESSION));
    assert_eq!(shard.group().state, ClassicState::Empty);
}

#[test]
fn who_does_not_sync_in_time_is_out_and_the_others_are_to_join_again() {
    let mut formed = formed(ClassicState::CompletingRebalance);
    formed.forget_pending();
    let follower = formed.shard.sync(syncs(&formed.follower, 1));
    for _ in 0..12 {
        assert!(formed.shard.waits(follower));
        formed.shard.pass(5_000);
        formed.shard.beat(&formed.leader, 1);
        formed.shard.beat(&formed.fixed, 1);
    }
    assert_eq!(formed.shard.synced(follower), Synced::from(ErrorCode::REBALANCE_IN_PROGRESS));
    let group = formed.shard.group();
    assert_eq!(group.state, ClassicState::PreparingRebalance);
    assert_eq!(group.members.keys().map(MemberId::as_str).collect::<Vec<_>>(), [&*formed.follower]);
    assert!(group.is_leader(&(&*formed.follower).into()));
    assert!(group.static_members.is_empty());
}

#[test]
fn a_session_that_ends_in_the_first_rebalance_ends_the_wait_if_everybody_else_is_there() {
    let mut shard = Shard::new();
    let join = shard.join(newcomer("a"));
    let given = shard.join(Join { version: 4, session_timeout_ms: 1_000, ..newcomer("b") });
    shard.joined(given);
    shard.pass(1_000);
    assert_eq!(shard.joined(join).members.len(), 1);
}

#[test]
fn when_a_shard_is_loaded_sessions_start_and_a_group_that_is_too_large_is_rebalanced() {
    let mut written = formed(ClassicState::CompletingRebalance);
    written.stabilize();
    let value = written.shard.written().pop().unwrap();
    for (max, state) in [(3, ClassicState::Stable), (2, ClassicState::PreparingRebalance)] {
        let mut shard = Shard::new();
        shard.settings().groups.members_max = max;
        let group = ClassicGroup::from_record("g".into(), value.clone());
        shard.harness.groups.groups.insert("g".into(), Group::Classic(Box::new(group)));
        let (env, mut out) = (shard.harness.env.clone(), Out::default());
        shard.harness.groups.classic_group_loaded(&env, &"g".into(), &mut out);
        for member in [&written.leader, &written.follower, &written.fixed] {
            assert_eq!(shard.session(member), Some(i64::from(SESSION)));
        }
        assert_eq!(shard.group().state, state);
        assert_eq!(shard.join_deadline(), (max == 2).then_some(i64::from(REBALANCE)));
    }
}
