//! What is written, and what replay makes of it.
use super::*;
use crate::group::record::ClassicMemberValue;

fn stable_value() -> (Formed, ClassicGroupValue) {
    let mut formed = formed(ClassicState::CompletingRebalance);
    formed.stabilize();
    let value = formed.shard.written().pop().unwrap();
    (formed, value)
}

#[test]
fn the_assignment_of_the_leader_is_written_with_all_members() {
    let (formed, value) = stable_value();
    let member = |id: &str, client: &str, instance: Option<&str>, assignment: &'static [u8]| ClassicMemberValue {
        member: id.into(),
        instance: instance.map(InstanceId::from),
        client_id: client.into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout_ms: REBALANCE,
        session_timeout_ms: SESSION,
        subscription: subscription(&["t"]),
        assignment: Bytes::from_static(assignment),
    };
    let expected = ClassicGroupValue {
        protocol_type: "consumer".into(),
        generation: Generation(1),
        protocol: Some("range".into()),
        leader: Some((&*formed.leader).into()),
        state_since: TimestampMs(START + 2 * DELAY),
        members: vec![
            member(&formed.leader, "leader", None, b"L"),
            member(&formed.follower, "follower", None, b"F"),
            member(&formed.fixed, "client", Some("i"), b"S"),
        ],
    };
    assert_eq!(value, expected);
}

#[test]
fn replay_of_a_group_with_members_makes_it_stable_with_the_agreed_protocol_only() {
    let (formed, value) = stable_value();
    let group = ClassicGroup::from_record("g".into(), value.clone());
    let live = formed.shard.group();
    assert_eq!((group.state, group.generation, &group.leader), (ClassicState::Stable, Generation(1), &live.leader));
    assert_eq!((&group.protocol, &group.protocol_type), (&live.protocol, &live.protocol_type));
    assert_eq!((&group.static_members, &group.subscribed), (&live.static_members, &live.subscribed));
    assert_eq!(group.state_since, Some(value.state_since));
    assert!(group.pending_sync.is_empty() && group.pending.is_empty() && group.joining() == 0);
    for (id, member) in &live.members {
        let known = protocols(&["range"]);
        let expected = ClassicMember { protocols: known, ..member.clone() };
        assert_eq!(group.members.get(id), Some(&expected));
    }
    assert!(group.supports("consumer", &protocols(&["range"])));
    assert!(!group.supports("consumer", &protocols(&["roundrobin"])));
    assert_eq!(group.record(), Record::ClassicGroup { group: "g".into(), value: Some(value) });
}

#[test]
fn replay_of_a_group_without_members_makes_it_empty() {
    let value = ClassicGroupValue {
        protocol_type: "consumer".into(),
        generation: Generation(7),
        protocol: None,
        leader: None,
        state_since: TimestampMs::NONE,
        members: Vec::new(),
    };
    let group = ClassicGroup::from_record("g".into(), value.clone());
    assert_eq!((group.state, group.generation, group.state_since), (ClassicState::Empty, Generation(7), None));
    assert_eq!(group.subscribed, Some(std::collections::BTreeSet::new()));
    let simple = ClassicGroup::from_record("g".into(), ClassicGroupValue { protocol_type: String::new(), ..value });
    assert_eq!((simple.protocol_type, simple.subscribed), (None, None));
}

#[test]
fn a_member_without_a_rebalance_timeout_has_its_session_timeout_for_it() {
    let (formed, mut value) = stable_value();
    value.members.first_mut().unwrap().rebalance_timeout_ms = -1;
    let group = ClassicGroup::from_record("g".into(), value);
    assert_eq!(group.members.get(&*formed.leader).unwrap().rebalance_timeout_ms, SESSION);
}

#[test]
fn a_record_that_names_a_member_twice_makes_a_group_that_works() {
    let (formed, mut value) = stable_value();
    let again = value.members.first().unwrap().clone();
    value.members.push(again);
    let group = ClassicGroup::from_record("g".into(), value);
    assert_eq!(group.members.len(), 3);
    assert!(group.is_leader(&(&*formed.leader).into()));
    assert_eq!(group.select_protocol().as_deref(), Some("range"));
}

#[test]
fn a_group_that_is_larger_than_the_topic_allows_is_not_written_and_rebalances() {
    let mut formed = formed(ClassicState::CompletingRebalance);
    formed.shard.harness.env.batch_bytes_max = 2_000;
    let follower = formed.shard.sync(syncs(&formed.follower, 1));
    let large: &'static [u8] = &[0; 2_000];
    let leader = formed.shard.sync(assigns(&formed.leader, 1, &[(&formed.leader, large)]));
    assert_eq!(formed.shard.synced(leader), Synced::from(ErrorCode::UNKNOWN_SERVER_ERROR));
    assert_eq!(formed.shard.synced(follower), Synced::from(ErrorCode::UNKNOWN_SERVER_ERROR));
    assert_eq!(formed.shard.group().state, ClassicState::PreparingRebalance);
    assert!(formed.shard.group().members.values().all(|member| member.assignment.is_empty()));
    assert_eq!(formed.shard.written(), []);
}

#[test]
fn a_group_that_cannot_be_written_at_all_is_not_created() {
    let mut shard = Shard::new();
    shard.harness.env.batch_bytes_max = 100;
    let join = shard.join(newcomer("a"));
    assert_eq!(shard.joined(join), Joined::refused("".into(), ErrorCode::UNKNOWN_SERVER_ERROR));
    assert!(shard.harness.groups.groups.is_empty());
    assert_eq!(shard.written(), []);
}

#[test]
fn whatever_was_written_is_what_a_restart_finds() {
    let mut formed = formed(ClassicState::Stable);
    let follows = |formed: &Formed| {
        let live = formed.shard.group().clone();
        let found = match formed.shard.harness.replayed().groups.groups.get("g") {
            Some(Group::Classic(found)) => found.clone(),
            other => panic!("{other:?}"),
        };
        (live, found)
    };
    let (live, found) = follows(&formed);
    assert_eq!((found.state, found.generation, found.leader), (live.state, live.generation, live.leader));

    formed.forget_pending();
    formed.shard.join(fixed("i", ""));
    let (live, found) = follows(&formed);
    assert_eq!(found.static_members, live.static_members);
    assert!(found.members.keys().eq(live.members.keys()), "in the same order");

    formed.shard.pass(i64::from(SESSION));
    let (live, found) = follows(&formed);
    assert_eq!(*found, ClassicGroup { previous: found.previous, ..live });
}

#[test]
fn a_converted_group_is_stable_led_by_its_first_member_and_its_sessions_start_when_it_is_adopted() {
    let (formed, _) = stable_value();
    let members = formed.shard.group().members.clone();
    let group = ClassicGroup::converted("g".into(), Generation(9), TimestampMs(START), members);
    assert_eq!((group.state, group.generation), (ClassicState::Stable, Generation(9)));
    assert_eq!((group.protocol.as_deref(), group.protocol_type.as_deref()), (Some("range"), Some("consumer")));
    assert!(group.is_leader(&(&*formed.leader).into()));
    assert!(group.subscribed.as_ref().is_some_and(|topics| topics.contains("t")));
    let mut shard = Shard::new();
    let (env, mut out) = (shard.harness.env.clone(), Out::default());
    shard.harness.groups.adopt_classic_group(&env, group, &mut out);
    assert_eq!(shard.session(&formed.follower), Some(i64::from(SESSION)));
    shard.harness.groups.prepare_rebalance(&env, &"g".into(), "a test", &mut out);
    assert_eq!(shard.join_deadline(), Some(i64::from(REBALANCE)));
    assert!(out.records.is_empty(), "the record is whoever converts to write");
}

#[test]
fn a_group_that_is_released_answers_who_waits_and_leaves_no_deadline() {
    let mut formed = formed(ClassicState::PreparingRebalance);
    let join = formed.shard.join(again(&formed.follower));
    let (env, mut out) = (formed.shard.harness.env.clone(), Out::default());
    let released = formed.shard.harness.groups.release_classic_group(&env, &"g".into(), &mut out).unwrap();
    let told = out.replies.into_iter().find(|(ticket, _)| *ticket == join).unwrap().1;
    let Reply::Join(joined) = told else { panic!() };
    assert_eq!(joined, Joined::refused((&*formed.follower).into(), ErrorCode::REBALANCE_IN_PROGRESS));
    assert_eq!((released.members.len(), released.joining()), (3, 0));
    assert!(formed.shard.waits_for_nothing() && formed.shard.harness.groups.groups.is_empty());
}
