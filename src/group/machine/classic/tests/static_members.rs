//! Static members that come back without their id.
use super::*;

#[test]
fn in_a_stable_group_it_gets_a_new_id_and_keeps_its_assignment_without_a_rebalance() {
    let mut formed = formed(ClassicState::Stable);
    formed.shard.pass(4_000);
    let join = formed.shard.join(Join { session_timeout_ms: 20_000, ..fixed("i", "") });
    let new = id("i", formed.shard.ids());
    let expected = Joined {
        error: ErrorCode::NONE,
        generation: Generation(1),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: formed.leader.clone(),
        skip_assignment: false,
        member: new.as_str().into(),
        members: Vec::new(),
    };
    assert_eq!(formed.shard.joined(join), expected);
    assert_eq!(formed.shard.group().state, ClassicState::Stable);
    assert_eq!(formed.shard.session(&new), Some(i64::from(SESSION)), "Kafka takes the old timeout until the next beat");
    assert_eq!(formed.shard.session(&formed.fixed), None);
    let written = formed.shard.written();
    assert_eq!(written.len(), 1);
    let member = written.first().unwrap().members.last().unwrap();
    assert_eq!((member.member.as_str(), member.session_timeout_ms, &member.assignment[..]), (&*new, 20_000, &b"S"[..]));
    let sync = formed.shard.sync(syncs(&new, 1));
    assert_eq!(&formed.shard.synced(sync).assignment[..], b"S");
    assert_eq!(formed.shard.beat_as(&formed.fixed, Some("i"), 1), ErrorCode::FENCED_INSTANCE_ID);
}

fn static_leader() -> (Shard, String) {
    let mut shard = Shard::new();
    let tickets = [shard.join(fixed("i", "")), shard.join(newcomer("a"))];
    shard.pass(2 * DELAY);
    let [lead, other] = tickets.map(|ticket| shard.joined(ticket).member.as_str().to_owned());
    shard.sync(syncs(&other, 1));
    shard.sync(assigns(&lead, 1, &[(&lead, b"L"), (&other, b"O")]));
    shard.written();
    (shard, lead)
}

#[test]
fn a_leader_that_comes_back_is_told_since_version_9_to_lead_without_assigning() {
    let (mut shard, _) = static_leader();
    let join = shard.join(fixed("i", ""));
    let joined = shard.joined(join);
    let new = id("i", shard.ids());
    assert_eq!((joined.leader.as_str(), joined.skip_assignment, joined.members.len()), (&*new, true, 2));
    assert_eq!(joined.members.first().unwrap().member.as_str(), new);
    assert_eq!(shard.written().first().unwrap().leader, Some(new.as_str().into()));
}

#[test]
fn a_leader_that_comes_back_with_an_older_version_is_told_that_its_old_id_leads() {
    let (mut shard, old) = static_leader();
    let join = shard.join(Join { version: 8, ..fixed("i", "") });
    let joined = shard.joined(join);
    assert_eq!((joined.leader, joined.skip_assignment, joined.members.len()), (old, false, 0));
    assert!(shard.group().is_leader(&id("i", shard.ids()).as_str().into()));
}

#[test]
fn one_that_changes_the_protocol_of_the_group_starts_a_rebalance() {
    let mut formed = formed(ClassicState::Stable);
    let changed = Join { protocols: protocols(&["roundrobin"]), ..fixed("i", "") };
    let join = formed.shard.join(changed);
    assert!(formed.shard.waits(join));
    assert_eq!(formed.shard.group().state, ClassicState::PreparingRebalance);
    assert_eq!(formed.shard.written(), []);
}

#[test]
fn while_the_assignment_is_awaited_it_starts_a_rebalance_and_its_old_sync_is_fenced() {
    let mut formed = formed(ClassicState::CompletingRebalance);
    let old = formed.shard.sync(syncs(&formed.fixed, 1));
    let other = formed.shard.sync(syncs(&formed.follower, 1));
    let join = formed.shard.join(fixed("i", ""));
    assert_eq!(formed.shard.synced(old), Synced::from(ErrorCode::FENCED_INSTANCE_ID));
    assert_eq!(formed.shard.synced(other), Synced::from(ErrorCode::REBALANCE_IN_PROGRESS));
    assert!(formed.shard.waits(join));
    assert_eq!(formed.shard.group().state, ClassicState::PreparingRebalance);
}

#[test]
fn while_members_join_its_old_join_is_fenced_and_the_new_one_counts() {
    let mut formed = formed(ClassicState::PreparingRebalance);
    formed.forget_pending();
    let old = formed.shard.join(fixed("i", &formed.fixed));
    let new = formed.shard.join(fixed("i", ""));
    assert_eq!(formed.shard.joined(old), Joined::refused((&*formed.fixed).into(), ErrorCode::FENCED_INSTANCE_ID));
    assert!(formed.shard.waits(new));
    assert_eq!(formed.shard.group().joining(), 2);
    formed.shard.join(again(&formed.follower));
    assert_eq!(formed.shard.joined(new).generation, Generation(2));
}

#[test]
fn one_that_has_not_synced_is_waited_for_under_its_new_id() {
    let mut formed = formed(ClassicState::CompletingRebalance);
    formed.shard.sync(syncs(&formed.follower, 1));
    formed.shard.sync(assigns(&formed.leader, 1, &[(&formed.fixed, b"S")]));
    formed.shard.join(fixed("i", ""));
    let new = id("i", formed.shard.ids());
    assert!(formed.shard.sync_deadline().is_some());
    let sync = formed.shard.sync(syncs(&new, 1));
    assert_eq!(&formed.shard.synced(sync).assignment[..], b"S");
    assert_eq!(formed.shard.sync_deadline(), None);
}

#[test]
fn a_new_id_that_cannot_be_written_is_taken_back() {
    let mut formed = formed(ClassicState::Stable);
    formed.shard.harness.env.batch_bytes_max = 700;
    let large = vec![Protocol { name: "range".into(), metadata: vec![0; 2_000].into() }];
    let join = formed.shard.join(Join { protocols: large, ..fixed("i", "") });
    let joined = formed.shard.joined(join);
    assert_eq!(
        (joined.error, joined.member.as_str(), joined.generation),
        (ErrorCode::UNKNOWN_SERVER_ERROR, "", Generation(1))
    );
    assert_eq!(joined.leader, formed.leader);
    assert_eq!(formed.shard.group().state, ClassicState::Stable);
    assert_eq!(formed.shard.written(), []);
    assert_eq!(formed.shard.beat_as(&formed.fixed, Some("i"), 1), ErrorCode::NONE);
    let member = formed.shard.group().members.get(&*formed.fixed).unwrap();
    assert_eq!((member.protocols.len(), &member.assignment[..]), (2, &b"S"[..]));
    assert_eq!(formed.shard.group().joining(), 0);
}
