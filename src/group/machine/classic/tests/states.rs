//! Every state times every request, by whom it may come.
use super::*;
use ClassicState::{CompletingRebalance, Dead, Empty, PreparingRebalance, Stable};

const ALL: [ClassicState; 5] = [Empty, PreparingRebalance, CompletingRebalance, Stable, Dead];

const NONE: ErrorCode = ErrorCode::NONE;
const UNKNOWN: ErrorCode = ErrorCode::UNKNOWN_MEMBER_ID;
const FENCED: ErrorCode = ErrorCode::FENCED_INSTANCE_ID;
const ILLEGAL: ErrorCode = ErrorCode::ILLEGAL_GENERATION;
const REBALANCING: ErrorCode = ErrorCode::REBALANCE_IN_PROGRESS;
const UNAVAILABLE: ErrorCode = ErrorCode::COORDINATOR_NOT_AVAILABLE;

/// Who asks: member, instance and generation of a request.
type Who<'a> = (&'a str, Option<&'a str>, i32);

/// Who it is, and what the answer is in each state.
type Row<T> = (&'static str, fn(&Formed) -> Who<'_>, [T; 5]);

/// What happens to each of these in the states, in the order of [`ALL`].
fn expect<T: std::fmt::Debug + PartialEq>(rows: [Row<T>; 8], ask: impl Fn(&mut Shard, Who<'_>) -> T) {
    for (name, who, answers) in rows {
        for (state, answer) in ALL.into_iter().zip(answers) {
            let mut formed = formed(state);
            let generation = formed.shard.group().generation.0;
            let (member, instance, off) = who(&formed);
            let (member, instance) = (member.to_owned(), instance.map(str::to_owned));
            let who = (&*member, instance.as_deref(), generation + off);
            assert_eq!(ask(&mut formed.shard, who), answer, "{name} in {state:?}");
        }
    }
}

fn leader(f: &Formed) -> Who<'_> {
    (&f.leader, None, 0)
}
fn follower(f: &Formed) -> Who<'_> {
    (&f.follower, None, 0)
}
fn of_another_generation(f: &Formed) -> Who<'_> {
    (&f.follower, None, -1)
}
fn fixed_member(f: &Formed) -> Who<'_> {
    (&f.fixed, Some("i"), 0)
}
fn fenced(f: &Formed) -> Who<'_> {
    (&f.follower, Some("i"), 0)
}
fn of_an_unknown_instance(f: &Formed) -> Who<'_> {
    (&f.follower, Some("j"), 0)
}
fn pending(f: &Formed) -> Who<'_> {
    (&f.pending, None, 0)
}
fn stranger(_: &Formed) -> Who<'_> {
    ("nobody", None, 0)
}

#[test]
fn join_in_every_state() {
    let ask = |shard: &mut Shard, (member, instance, _): Who<'_>| {
        let join = Join { instance: instance.map(InstanceId::from), ..again(member) };
        let ticket = shard.join(join);
        shard.error(ticket)
    };
    let (waits, unknown, gone) = (None, Some(UNKNOWN), Some(UNAVAILABLE));
    let rows: [Row<_>; 8] = [
        ("leader", leader, [unknown, waits, Some(NONE), waits, gone]),
        ("follower", follower, [unknown, waits, Some(NONE), Some(NONE), gone]),
        ("of another generation", of_another_generation, [unknown, waits, Some(NONE), Some(NONE), gone]),
        ("static", fixed_member, [unknown, waits, Some(NONE), Some(NONE), gone]),
        ("fenced", fenced, [unknown, Some(FENCED), Some(FENCED), Some(FENCED), gone]),
        ("unknown instance", of_an_unknown_instance, [unknown, unknown, unknown, unknown, gone]),
        ("pending", pending, [waits, waits, waits, waits, gone]),
        ("stranger", stranger, [unknown, unknown, unknown, unknown, gone]),
    ];
    expect(rows, ask);
}

#[test]
fn a_join_without_an_id_in_every_state() {
    for state in ALL {
        let mut formed = formed(state);
        let ticket = formed.shard.join(newcomer("more"));
        let dead = state == Dead;
        assert_eq!(formed.shard.error(ticket), dead.then_some(UNAVAILABLE), "{state:?}");
        let after = if dead { Dead } else { PreparingRebalance };
        assert_eq!(formed.shard.group().state, after, "{state:?}");
    }
}

#[test]
fn sync_in_every_state() {
    let ask = |shard: &mut Shard, (member, instance, generation): Who<'_>| {
        let sync = Sync { instance: instance.map(InstanceId::from), ..syncs(member, generation) };
        let ticket = shard.sync(sync);
        shard.error(ticket)
    };
    let (waits, unknown, gone) = (None, Some(UNKNOWN), Some(UNAVAILABLE));
    let rows: [Row<_>; 8] = [
        ("leader", leader, [unknown, Some(REBALANCING), Some(NONE), Some(NONE), gone]),
        ("follower", follower, [unknown, Some(REBALANCING), waits, Some(NONE), gone]),
        ("of another generation", of_another_generation, [unknown, Some(ILLEGAL), Some(ILLEGAL), Some(ILLEGAL), gone]),
        ("static", fixed_member, [unknown, Some(REBALANCING), waits, Some(NONE), gone]),
        ("fenced", fenced, [unknown, Some(FENCED), Some(FENCED), Some(FENCED), gone]),
        ("unknown instance", of_an_unknown_instance, [unknown, unknown, unknown, unknown, gone]),
        ("pending", pending, [unknown, unknown, unknown, unknown, gone]),
        ("stranger", stranger, [unknown, unknown, unknown, unknown, gone]),
    ];
    expect(rows, ask);
}

#[test]
fn heartbeat_in_every_state() {
    let ask = |shard: &mut Shard, (member, instance, generation): Who<'_>| shard.beat_as(member, instance, generation);
    let rows: [Row<_>; 8] = [
        ("leader", leader, [UNKNOWN, REBALANCING, NONE, NONE, UNAVAILABLE]),
        ("follower", follower, [UNKNOWN, REBALANCING, NONE, NONE, UNAVAILABLE]),
        ("of another generation", of_another_generation, [UNKNOWN, ILLEGAL, ILLEGAL, ILLEGAL, UNAVAILABLE]),
        ("static", fixed_member, [UNKNOWN, REBALANCING, NONE, NONE, UNAVAILABLE]),
        ("fenced", fenced, [UNKNOWN, FENCED, FENCED, FENCED, UNAVAILABLE]),
        ("unknown instance", of_an_unknown_instance, [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNAVAILABLE]),
        ("pending", pending, [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNAVAILABLE]),
        ("stranger", stranger, [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNAVAILABLE]),
    ];
    expect(rows, ask);
}

#[test]
fn leave_in_every_state() {
    let ask = |shard: &mut Shard, (member, instance, _): Who<'_>| {
        let left = shard.leave(&[(member, instance)]);
        left.members.first().map_or(left.error, |(_, _, error)| *error)
    };
    let rows: [Row<_>; 8] = [
        ("leader", leader, [UNKNOWN, NONE, NONE, NONE, UNAVAILABLE]),
        ("follower", follower, [UNKNOWN, NONE, NONE, NONE, UNAVAILABLE]),
        ("of another generation", of_another_generation, [UNKNOWN, NONE, NONE, NONE, UNAVAILABLE]),
        ("static", fixed_member, [UNKNOWN, NONE, NONE, NONE, UNAVAILABLE]),
        ("fenced", fenced, [UNKNOWN, FENCED, FENCED, FENCED, UNAVAILABLE]),
        ("unknown instance", of_an_unknown_instance, [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNAVAILABLE]),
        ("pending", pending, [NONE, NONE, NONE, NONE, UNAVAILABLE]),
        ("stranger", stranger, [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNAVAILABLE]),
    ];
    expect(rows, ask);
}

#[test]
fn commit_in_every_state() {
    let ask = |shard: &mut Shard, (member, instance, generation): Who<'_>| {
        let commit = offsets::commit(member, instance, generation);
        shard.group().check_commit(&commit).err().unwrap_or(NONE)
    };
    let rows: [Row<_>; 8] = [
        ("leader", leader, [UNKNOWN, NONE, REBALANCING, NONE, UNAVAILABLE]),
        ("follower", follower, [UNKNOWN, NONE, REBALANCING, NONE, UNAVAILABLE]),
        ("of another generation", of_another_generation, [UNKNOWN, ILLEGAL, ILLEGAL, ILLEGAL, UNAVAILABLE]),
        ("static", fixed_member, [UNKNOWN, NONE, REBALANCING, NONE, UNAVAILABLE]),
        ("fenced", fenced, [UNKNOWN, FENCED, FENCED, FENCED, UNAVAILABLE]),
        ("unknown instance", of_an_unknown_instance, [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNAVAILABLE]),
        ("pending", pending, [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNAVAILABLE]),
        ("stranger", stranger, [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNAVAILABLE]),
    ];
    expect(rows, ask);
}

#[test]
fn a_group_is_described_in_every_state() {
    for state in ALL {
        let mut formed = formed(state);
        let ticket = formed.shard.ask(Request::Describe("g".into()));
        let Some(Reply::Describe(Ok(described))) = formed.shard.take_answer(ticket) else { panic!() };
        assert_eq!((described.state, &*described.protocol_type), (state.name(), "consumer"));
        assert_eq!(described.protocol, if state == Stable { "range" } else { "" });
        assert_eq!(described.members.len(), if state == Empty { 0 } else { 3 });
        for member in &described.members {
            assert_eq!(!member.metadata.is_empty(), state == Stable, "what it said is told of a stable group only");
            let assigned = matches!(state, Stable | PreparingRebalance);
            assert_eq!(!member.assignment.is_empty(), assigned, "{state:?}");
            assert_eq!(member.client.host, "/127.0.0.1");
            assert_eq!(member.instance.is_some(), member.member.as_str() == formed.fixed);
        }
    }
}

#[test]
fn a_group_that_is_not_there_is_described_as_not_found() {
    let mut shard = Shard::new();
    let ticket = shard.ask(Request::Describe("g".into()));
    let Some(Reply::Describe(Err(refusal))) = shard.take_answer(ticket) else { panic!() };
    assert_eq!(refusal, Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, "Group g not found."));
}
