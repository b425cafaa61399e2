//! JoinGroup: how a group comes together.
use super::*;
use crate::group::record::GroupValue;
use crate::model::GroupEpoch;

#[test]
fn the_first_join_creates_the_group_writes_it_empty_and_waits_for_others() {
    let mut shard = Shard::new();
    let join = shard.join(newcomer("a"));
    assert!(shard.waits(join));
    assert_eq!(shard.group().state, ClassicState::PreparingRebalance);
    assert_eq!(shard.join_deadline(), Some(DELAY));
    let empty = ClassicGroupValue {
        protocol_type: String::new(),
        generation: Generation(0),
        protocol: None,
        leader: None,
        state_since: TimestampMs(START),
        members: Vec::new(),
    };
    assert_eq!(shard.written(), [empty]);
    shard.pass(DELAY);
    let joined = shard.joined(join);
    assert_eq!((joined.error, joined.generation, joined.skip_assignment), (ErrorCode::NONE, Generation(1), false));
    assert_eq!(joined.member.as_str(), id("a", 1));
    assert_eq!(joined.leader, id("a", 1));
    assert_eq!((joined.protocol_type.as_deref(), joined.protocol_name.as_deref()), (Some("consumer"), Some("range")));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(shard.group().state, ClassicState::CompletingRebalance);
    assert_eq!(shard.written(), [], "nothing is assigned yet");
}

#[test]
fn only_the_leader_learns_who_is_in_the_group() {
    let mut shard = Shard::new();
    let (a, b) = (shard.join(newcomer("a")), shard.join(newcomer("b")));
    shard.pass(2 * DELAY);
    let (a, b) = (shard.joined(a), shard.joined(b));
    let told: Vec<&str> = a.members.iter().map(|member| member.member.as_str()).collect();
    assert_eq!(told, [id("a", 1), id("b", 2)]);
    assert_eq!(a.members.first().unwrap().metadata, subscription(&["t"]));
    assert_eq!((b.leader, b.members.len(), b.generation), (id("a", 1), 0, Generation(1)));
}

#[test]
fn the_initial_delay_starts_again_while_members_come_but_ends_with_the_rebalance_timeout() {
    let mut shard = Shard::new();
    let timeout = i32::try_from(DELAY * 2 + 500).unwrap();
    let short = |client: &str| Join { rebalance_timeout_ms: timeout, ..newcomer(client) };
    let first = shard.join(short("a"));
    for client in ["b", "c"] {
        shard.pass(DELAY - 1);
        shard.join(short(client));
        shard.pass(1);
        assert!(shard.waits(first));
        let rest = if client == "b" { DELAY } else { 500 };
        assert_eq!(shard.join_deadline(), Some(rest), "after {client}");
    }
    shard.join(short("d"));
    shard.pass(500);
    assert_eq!(shard.joined(first).members.len(), 4, "no time was left");
}

#[test]
fn the_initial_delay_ends_when_nobody_came_during_it() {
    let mut shard = Shard::new();
    let first = shard.join(newcomer("a"));
    shard.join(newcomer("b"));
    shard.pass(DELAY);
    assert!(shard.waits(first));
    shard.pass(DELAY - 1);
    assert!(shard.waits(first));
    shard.pass(1);
    assert!(!shard.waits(first));
}

#[test]
fn without_an_initial_delay_the_first_member_is_a_generation_at_once() {
    let mut shard = Shard::new();
    shard.settings().groups.initial_rebalance_delay = std::time::Duration::ZERO;
    let join = shard.join(newcomer("a"));
    assert_eq!(shard.joined(join).generation, Generation(1));
    assert_eq!(shard.written().len(), 1);
    assert_eq!(shard.join_deadline(), None);
}

#[test]
fn from_version_4_on_a_member_without_an_id_is_given_one_to_join_with() {
    let mut shard = Shard::new();
    let first = shard.join(Join { version: 4, ..newcomer("a") });
    let first = shard.joined(first);
    let expected = Joined::refused(id("a", 1).as_str().into(), ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!(first, expected);
    assert_eq!(shard.group().state, ClassicState::Empty);
    assert_eq!(shard.session(&id("a", 1)), Some(i64::from(SESSION)));
    assert_eq!(shard.written().len(), 1, "the group is there");
    let second = shard.join(Join { version: 4, ..again(&id("a", 1)) });
    assert!(shard.waits(second));
    assert_eq!(shard.group().pending.len(), 0);
    shard.pass(DELAY);
    assert_eq!(shard.joined(second).member.as_str(), id("a", 1));
    assert_eq!(shard.written(), []);
}

#[test]
fn a_static_member_needs_no_id_to_join_and_is_named_after_its_instance() {
    let mut shard = Shard::new();
    let join = shard.join(fixed("i", ""));
    shard.pass(DELAY);
    let joined = shard.joined(join);
    assert_eq!(joined.member.as_str(), id("i", 1));
    assert_eq!(joined.members.first().unwrap().instance, Some("i".into()));
}

#[test]
fn a_member_id_that_fits_into_no_record_is_not_given() {
    let mut shard = Shard::new();
    let join = shard.join(newcomer(&"x".repeat(32_760)));
    assert_eq!(shard.joined(join).error, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(shard.group().members.len(), 0);
}

#[test]
fn a_member_with_an_id_cannot_join_a_group_that_is_not_there() {
    let mut shard = Shard::new();
    let join = shard.join(again("m"));
    assert_eq!(shard.joined(join), Joined::refused("m".into(), ErrorCode::UNKNOWN_MEMBER_ID));
    assert!(shard.harness.groups.groups.is_empty());
    assert_eq!(shard.written(), []);
}

#[test]
fn a_join_without_protocols_is_refused_and_the_group_is_there_all_the_same() {
    for join in
        [Join { protocols: Vec::new(), ..newcomer("a") }, Join { protocol_type: String::new(), ..newcomer("a") }]
    {
        let mut shard = Shard::new();
        let ticket = shard.join(join);
        assert_eq!(shard.joined(ticket), Joined::refused("".into(), ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        assert_eq!(shard.group().state, ClassicState::Empty);
        assert_eq!(shard.written().len(), 1);
    }
}

#[test]
fn who_shares_no_protocol_with_all_members_is_refused() {
    let mut formed = formed(ClassicState::Stable);
    let other_type = Join { protocol_type: "connect".into(), ..newcomer("x") };
    let other_protocol = Join { protocols: protocols(&["sticky"]), ..newcomer("x") };
    let follower = Join { protocols: protocols(&["sticky"]), ..again(&formed.follower) };
    for (join, member) in [(other_type, ""), (other_protocol, ""), (follower, &*formed.follower)] {
        let ticket = formed.shard.join(join);
        let refused = Joined::refused(member.into(), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        assert_eq!(formed.shard.joined(ticket), refused);
    }
    assert_eq!(formed.shard.group().state, ClassicState::Stable);
}

#[test]
fn the_protocol_with_most_votes_among_those_that_all_know_is_chosen() {
    let mut shard = Shard::new();
    let knows = |client: &str, names: &[&str]| Join { protocols: protocols(names), ..newcomer(client) };
    let a = shard.join(knows("a", &["own", "range", "roundrobin"]));
    shard.join(knows("b", &["roundrobin", "range"]));
    shard.join(knows("c", &["roundrobin", "range"]));
    shard.pass(2 * DELAY);
    assert_eq!(shard.joined(a).protocol_name.as_deref(), Some("roundrobin"));
}

#[test]
fn a_protocol_that_is_named_twice_counts_once() {
    let mut shard = Shard::new();
    let twice = shard.join(Join { protocols: protocols(&["range", "range"]), ..newcomer("a") });
    let once = shard.join(newcomer("b"));
    shard.pass(2 * DELAY);
    assert_eq!(shard.joined(twice).protocol_name.as_deref(), Some("range"));
    assert_eq!(shard.joined(once).error, ErrorCode::NONE);
}

#[test]
fn a_member_that_joins_twice_has_its_later_request_answered_and_the_earlier_one_superseded() {
    let mut formed = formed(ClassicState::Stable);
    formed.forget_pending();
    let earlier = formed.shard.join(again(&formed.leader));
    let later = formed.shard.join(again(&formed.leader));
    assert_eq!(formed.shard.error(earlier), Some(ErrorCode::REBALANCE_IN_PROGRESS));
    assert!(formed.shard.waits(later));
    assert_eq!(formed.shard.group().joining(), 1);
    formed.shard.join(again(&formed.follower));
    formed.shard.join(fixed("i", &formed.fixed));
    assert_eq!(formed.shard.joined(later).generation, Generation(2));
}

#[test]
fn a_rebalance_ends_as_soon_as_everybody_has_joined() {
    let mut formed = formed(ClassicState::Stable);
    formed.forget_pending();
    let leader = formed.shard.join(again(&formed.leader));
    let follower = formed.shard.join(again(&formed.follower));
    assert!(formed.shard.waits(follower));
    assert_eq!(formed.shard.join_deadline(), Some(i64::from(REBALANCE)));
    let fixed = formed.shard.join(fixed("i", &formed.fixed));
    assert_eq!(formed.shard.joined(leader).members.len(), 3);
    assert_eq!(formed.shard.joined(follower).generation, Generation(2));
    assert_eq!(formed.shard.joined(fixed).error, ErrorCode::NONE);
    assert_eq!(formed.shard.join_deadline(), None);
    assert_eq!(formed.shard.written(), []);
}

#[test]
fn a_rebalance_waits_for_members_that_were_given_an_id() {
    let mut formed = formed(ClassicState::Stable);
    let leader = formed.shard.join(again(&formed.leader));
    formed.shard.join(again(&formed.follower));
    formed.shard.join(fixed("i", &formed.fixed));
    assert!(formed.shard.waits(leader));
    formed.shard.join(again(&formed.pending));
    assert_eq!(formed.shard.joined(leader).members.len(), 4);
}

#[test]
fn the_longest_rebalance_timeout_of_all_members_counts() {
    let mut formed = formed(ClassicState::Stable);
    formed.shard.join(Join { rebalance_timeout_ms: 90_000, ..newcomer("patient") });
    assert_eq!(formed.shard.join_deadline(), Some(90_000));
}

#[test]
fn a_leader_that_joins_again_starts_a_rebalance() {
    let mut formed = formed(ClassicState::Stable);
    let join = formed.shard.join(again(&formed.leader));
    assert!(formed.shard.waits(join));
    assert_eq!(formed.shard.group().state, ClassicState::PreparingRebalance);
}

#[test]
fn a_follower_that_joins_a_stable_group_as_before_learns_the_generation_there_is() {
    let mut formed = formed(ClassicState::Stable);
    let join = formed.shard.join(again(&formed.follower));
    let joined = formed.shard.joined(join);
    let expected = Joined {
        error: ErrorCode::NONE,
        generation: Generation(1),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: formed.leader.clone(),
        skip_assignment: false,
        member: formed.follower.as_str().into(),
        members: Vec::new(),
    };
    assert_eq!(joined, expected);
    assert_eq!(formed.shard.group().state, ClassicState::Stable);
}

#[test]
fn a_follower_with_other_metadata_starts_a_rebalance() {
    for state in [ClassicState::Stable, ClassicState::CompletingRebalance] {
        let mut formed = formed(state);
        let changed = vec![Protocol { name: "range".into(), metadata: subscription(&["u"]) }];
        let join = formed.shard.join(Join { protocols: changed, ..again(&formed.follower) });
        assert!(formed.shard.waits(join), "{state:?}");
        assert_eq!(formed.shard.group().state, ClassicState::PreparingRebalance);
    }
}

#[test]
fn a_member_that_missed_the_answer_gets_it_again_the_leader_with_the_members() {
    let mut formed = formed(ClassicState::CompletingRebalance);
    let (leader, follower) = (formed.shard.join(again(&formed.leader)), formed.shard.join(again(&formed.follower)));
    let (leader, follower) = (formed.shard.joined(leader), formed.shard.joined(follower));
    assert_eq!((leader.error, leader.generation, leader.members.len()), (ErrorCode::NONE, Generation(1), 3));
    assert_eq!((follower.error, follower.generation, follower.members.len()), (ErrorCode::NONE, Generation(1), 0));
}

#[test]
fn a_full_group_takes_nobody_new_but_those_that_are_in_it() {
    for state in [ClassicState::Stable, ClassicState::CompletingRebalance] {
        let mut formed = formed(state);
        formed.shard.settings().groups.members_max = 3;
        let more = formed.shard.join(newcomer("more"));
        assert_eq!(formed.shard.joined(more), Joined::refused("".into(), ErrorCode::GROUP_MAX_SIZE_REACHED));
        let pending = formed.shard.join(again(&formed.pending));
        assert_eq!(formed.shard.joined(pending).error, ErrorCode::GROUP_MAX_SIZE_REACHED);
        assert!(formed.shard.group().pending.is_empty(), "it is forgotten");
        let follower = formed.shard.join(again(&formed.follower));
        assert_eq!(formed.shard.joined(follower).error, ErrorCode::NONE);
    }
}

#[test]
fn while_members_join_the_last_ones_above_the_limit_are_out() {
    let mut formed = formed(ClassicState::PreparingRebalance);
    formed.shard.settings().groups.members_max = 2;
    let leader = formed.shard.join(again(&formed.leader));
    let follower = formed.shard.join(again(&formed.follower));
    assert!(formed.shard.waits(leader) && formed.shard.waits(follower));
    let last = formed.shard.join(fixed("i", &formed.fixed));
    assert_eq!(formed.shard.joined(last), Joined::refused("".into(), ErrorCode::GROUP_MAX_SIZE_REACHED));
    assert_eq!(formed.shard.group().members.len(), 2);
    let repeated = formed.shard.join(again(&formed.leader));
    assert!(formed.shard.waits(repeated), "it is counted already");
}

#[test]
fn a_static_member_cannot_join_with_an_id_that_was_given_to_a_dynamic_one() {
    let mut formed = formed(ClassicState::Stable);
    let join = formed.shard.join(fixed("other", &formed.pending));
    assert_eq!(formed.shard.joined(join), Joined::refused("".into(), ErrorCode::UNKNOWN_SERVER_ERROR));
}

fn with_an_empty_consumer_group() -> Shard {
    let mut shard = Shard::new();
    let value = GroupValue { epoch: GroupEpoch(5), metadata_hash: 1 };
    shard.harness.replay(&Record::Group { group: "g".into(), value: Some(value) });
    assert!(matches!(shard.harness.groups.groups.get("g"), Some(Group::Consumer(_))));
    shard.harness.written();
    shard
}

#[test]
fn an_empty_consumer_group_gives_way_to_a_member_without_an_id() {
    let mut shard = with_an_empty_consumer_group();
    let join = shard.join(newcomer("a"));
    let written = shard.harness.written();
    let (last, tombstones) = written.split_last().unwrap();
    assert!(matches!(last, Record::ClassicGroup { value: Some(_), .. }));
    assert!(tombstones.contains(&Record::Group { group: "g".into(), value: None }));
    assert!(matches!(shard.harness.replayed().groups.groups.get("g"), Some(Group::Classic(_))));
    shard.pass(DELAY);
    assert_eq!(shard.joined(join).generation, Generation(1));
}

#[test]
fn an_empty_consumer_group_stays_if_the_member_has_an_id_or_the_records_do_not_fit() {
    let mut shard = with_an_empty_consumer_group();
    let join = shard.join(again("m"));
    assert_eq!(shard.joined(join), Joined::refused("m".into(), ErrorCode::UNKNOWN_MEMBER_ID));
    shard.harness.env.batch_bytes_max = 150;
    let join = shard.join(newcomer("a"));
    assert_eq!(shard.joined(join), Joined::refused("".into(), ErrorCode::UNKNOWN_SERVER_ERROR));
    assert_eq!(shard.harness.written(), []);
    assert!(matches!(shard.harness.groups.groups.get("g"), Some(Group::Consumer(_))));
}
