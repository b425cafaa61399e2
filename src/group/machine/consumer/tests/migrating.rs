//! Groups that change their protocol while they have members.

use super::bed::*;
use super::classic_bed::*;
use crate::config::settings::Migration;
use crate::coordinator::Ticket;
use crate::group::machine::classic::ClassicState;
use crate::group::protocol;
use crate::group::record::Record;
use crate::group::request::{Join, Joined, Protocol, Reply, Request, Sync};
use crate::model::{ErrorCode, Generation, GroupEpoch, InstanceId, PartitionId, TimestampMs, TopicId, TopicName};
use bytes::Bytes;
use std::time::Duration;

const NOT_FOUND: ErrorCode = ErrorCode::GROUP_ID_NOT_FOUND;

fn assignment(partitions: &[(&str, &[i32])], user_data: Option<&'static [u8]>) -> Bytes {
    let named = |(topic, of): &(&str, &[i32])| (TopicName::new(topic), of.iter().copied().map(PartitionId).collect());
    let partitions = partitions.iter().map(named).collect();
    protocol::Assignment { partitions, user_data: user_data.map(Bytes::from_static) }.encode(1).unwrap()
}

fn send_join(bed: &mut Bed, member: &str) -> Ticket {
    bed.h.send(Request::Join(join(member, &["foo"], &[])))
}

fn sync_of(member: &str, generation: i32, assignments: Vec<(crate::model::MemberId, Bytes)>) -> Request {
    Request::Sync(Sync {
        version: 5,
        group: g(),
        generation: Generation(generation),
        member: m(member),
        instance: None,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments,
    })
}

/// A stable classic group of `c` and `d`, each with one partition of `foo`; what they have may be something else.
fn classic_with(set: impl FnOnce(&mut crate::config::Settings), c: Bytes, d: Bytes) -> (Bed, TopicId) {
    let mut bed = Bed::with(|settings| {
        settings.groups.initial_rebalance_delay = Duration::ZERO;
        set(settings);
    });
    let foo = bed.h.topic("foo", 2);
    let value = crate::group::record::ClassicGroupValue {
        protocol_type: "consumer".into(),
        generation: Generation(5),
        protocol: Some("range".into()),
        leader: Some(m("c")),
        state_since: TimestampMs(0),
        members: [("c", c), ("d", d)]
            .into_iter()
            .map(|(member, assignment)| crate::group::record::ClassicMemberValue {
                member: m(member),
                instance: None,
                client_id: client().id,
                client_host: client().host,
                rebalance_timeout_ms: REBALANCE_MS,
                session_timeout_ms: SESSION_MS,
                subscription: subscription(&["foo"], &[]),
                assignment,
            })
            .collect(),
    };
    bed.h.replay(&Record::ClassicGroup { group: g(), value: Some(value) });
    bed.h = bed.h.replayed();
    bed.h.written();
    (bed, foo)
}

fn classic() -> (Bed, TopicId) {
    classic_with(|_| {}, assignment(&[("foo", &[0])], None), assignment(&[("foo", &[1])], None))
}

#[test]
fn the_first_consumer_heartbeat_makes_a_consumer_group() {
    let (mut bed, foo) = classic();
    let answer = bed.join("a", &["foo"]).unwrap();
    assert_eq!(answer.epoch, GroupEpoch(6));
    let group = bed.group();
    assert_eq!((group.epoch, group.classic_members, group.members.len()), (GroupEpoch(6), 2, 3));
    let hash = bed.hash();
    let written = bed.h.written();
    let known = about_classic(&["foo"], &[]);
    let expected = [
        Record::ClassicGroup { group: g(), value: None },
        member_record("c", known.clone()),
        member_record("d", known),
        epoch_record(5, hash),
        target_record("c", of(foo, &[0])),
        target_record("d", of(foo, &[1])),
        targets_record(5, TimestampMs(0)),
        current_record("c", 5, 5, at(&[(foo, &[(0, 5)])])),
        current_record("d", 5, 5, at(&[(foo, &[(1, 5)])])),
        member_record("a", about(&["foo"])),
        epoch_record(6, hash),
    ];
    assert_eq!(written[..expected.len()], expected);
    // There are more members than partitions: the members keep what they have, and come to the new epoch.
    assert_eq!(bed.classic_beat("c", 5), ErrorCode::REBALANCE_IN_PROGRESS);
    let joined = bed.classic_join(join("c", &["foo"], &[("foo", &[0])]));
    assert_eq!(joined.generation, Generation(6));
    assert_eq!(bed.synced("c", 6), of(foo, &[0]));
    bed.check_replay();
}

#[test]
fn sessions_of_the_classic_members_go_on() {
    let (mut bed, _) = classic();
    bed.join("a", &["foo"]).unwrap();
    bed.h.pass(i64::from(SESSION_MS) - 1);
    assert!(bed.has("c") && bed.has("d"));
    bed.h.pass(1);
    assert!(!bed.has("c") && !bed.has("d") && bed.has("a"));
    bed.check_replay();
}

#[test]
fn who_waits_at_the_classic_group_is_told_to_join_again() {
    let (mut bed, _) = classic();
    let ticket = send_join(&mut bed, "d");
    let _ = bed.h.reply(ticket);
    let waiting = bed.h.send(Request::Join(join("c", &["foo", "bar"], &[])));
    assert_eq!(bed.classic().state, ClassicState::PreparingRebalance);
    assert!(bed.h.reply(waiting).is_none());
    bed.join("a", &["foo"]).unwrap();
    let told = bed.h.reply(waiting);
    assert!(matches!(told, Some(Reply::Join(Joined { error: ErrorCode::REBALANCE_IN_PROGRESS, .. }))), "{told:?}");
    assert_eq!(bed.h.waiting(), 0);
    bed.check_replay();
}

#[test]
fn who_waits_for_an_assignment_is_told_to_join_again() {
    let (mut bed, _) = classic();
    let c = bed.h.send(Request::Join(join("c", &["foo", "bar"], &[])));
    let d = bed.h.send(Request::Join(join("d", &["foo", "bar"], &[])));
    assert!(bed.h.reply(c).is_some() && bed.h.reply(d).is_some());
    let waiting = bed.h.send(sync_of("d", 6, Vec::new()));
    assert!(bed.h.reply(waiting).is_none());
    bed.join("a", &["foo"]).unwrap();
    let told = bed.h.reply(waiting);
    assert!(matches!(&told, Some(Reply::Sync(synced)) if synced.error == ErrorCode::REBALANCE_IN_PROGRESS));
    bed.check_replay();
}

fn why_not(bed: &mut Bed) -> String {
    let refusal = bed.join("a", &["foo"]).unwrap_err();
    assert_eq!(refusal.code, NOT_FOUND);
    assert_eq!(bed.h.written(), []);
    let _ = bed.classic();
    let message = refusal.message.unwrap();
    message.strip_prefix("Cannot upgrade classic group g to consumer group because ").unwrap().to_owned()
}

#[test]
fn a_group_that_cannot_be_a_consumer_group_stays_what_it_is() {
    let one = || assignment(&[("foo", &[0])], None);
    let downgrade = Migration { upgrade: false, downgrade: true };
    let (mut bed, _) = classic_with(|s| s.groups.consumer_migration = downgrade, one(), Bytes::new());
    assert_eq!(why_not(&mut bed), "online upgrade is disabled.");
    let (mut bed, _) = classic_with(|s| s.groups.consumer_members_max = 1, one(), Bytes::new());
    assert_eq!(why_not(&mut bed), "the group size exceeds the consumer group maximum size.");
    let (mut bed, _) = classic_with(|_| {}, one(), Bytes::from_static(&[0]));
    assert_eq!(why_not(&mut bed), "the embedded consumer protocol is malformed.");
    let (mut bed, _) = classic_with(|_| {}, one(), assignment(&[], Some(b"mine")));
    assert!(why_not(&mut bed).starts_with("an unsupported custom assignor is in use."));
    // A partition that two have.
    let (mut bed, _) = classic_with(|_| {}, one(), one());
    assert_eq!(bed.join("a", &["foo"]).unwrap_err().code, ErrorCode::UNKNOWN_SERVER_ERROR);
    let _ = bed.classic();
}

#[test]
fn a_new_member_that_does_not_know_the_protocol_of_the_group_bars_the_way() {
    let mut bed = Bed::with(|settings| settings.groups.initial_rebalance_delay = Duration::ZERO);
    bed.h.topic("foo", 2);
    let mut first = Join { version: 3, ..join("", &["foo"], &[]) };
    first.protocols.insert(0, Protocol { name: "sticky".into(), metadata: subscription(&["foo"], &[]) });
    bed.h.send(Request::Join(first));
    assert_eq!(bed.classic().protocol.as_deref(), Some("sticky"));
    bed.h.send(Request::Join(Join { version: 3, ..join("", &["foo"], &[]) }));
    assert_eq!(bed.classic().members.len(), 2);

    assert_eq!(bed.join("a", &["foo"]).unwrap_err().code, ErrorCode::UNKNOWN_SERVER_ERROR);
    let _ = bed.classic();
}

#[test]
fn a_member_that_does_not_join_finds_no_consumer_group() {
    let (mut bed, _) = classic();
    assert_eq!(bed.beat("a", 5, |_| {}), refused(NOT_FOUND, "Group g is not a consumer group."));
    assert_eq!(bed.beat("a", -1, |_| {}), refused(NOT_FOUND, "Group g is not a consumer group."));
    assert_eq!(bed.describe().unwrap_err().code, NOT_FOUND);
}

#[test]
fn a_classic_group_without_members_is_replaced() {
    let mut bed = Bed::new();
    bed.h.replay(&Record::ClassicGroup {
        group: g(),
        value: Some(crate::group::record::ClassicGroupValue {
            protocol_type: "consumer".into(),
            generation: Generation(9),
            protocol: None,
            leader: None,
            state_since: TimestampMs(0),
            members: Vec::new(),
        }),
    });
    bed.h.written();
    assert_eq!(bed.join("a", &[]).unwrap().epoch, GroupEpoch(1));
    assert_eq!(bed.h.written()[0], Record::ClassicGroup { group: g(), value: None });
    bed.check_replay();
}

#[test]
fn the_last_consumer_member_leaves_a_classic_group() {
    let (mut bed, _) = classic();
    bed.join("a", &["foo"]).unwrap();
    for member in ["c", "d"] {
        bed.classic_beat(member, 5);
        let owned: &[i32] = if member == "c" { &[0] } else { &[1] };
        bed.classic_join(join(member, &["foo"], &[("foo", owned)]));
        bed.synced(member, 6);
    }
    bed.h.written();
    bed.beat("a", -1, |_| {}).unwrap();
    let group = bed.classic();
    assert_eq!((group.generation, group.members.len()), (Generation(6), 2));
    // The members are to join again.
    assert_eq!(group.state, ClassicState::PreparingRebalance);
    assert_eq!(bed.classic_beat("c", 6), ErrorCode::REBALANCE_IN_PROGRESS);
    let written = bed.h.written();
    let Some(Record::ClassicGroup { value: Some(value), .. }) = written.last() else { panic!("{written:?}") };
    assert_eq!(value.protocol.as_deref(), Some("range"));
    let given = protocol::Assignment::parse(&value.members[0].assignment).unwrap();
    assert_eq!(given.partitions, [(TopicName::new("foo"), vec![PartitionId(0)])]);
    // Three of each, and those of the group.
    assert_eq!(written.len(), 9 + 3 + 1);
    assert!(bed.h.groups.consumers.by_topic.is_empty());
    // A restart has the same group, stable as recorded.
    bed.h = bed.h.replayed_compacted();
    assert_eq!(bed.classic().state, ClassicState::Stable);
    assert_eq!(bed.classic().members.len(), 2);
}

#[test]
fn a_session_that_ends_may_leave_a_classic_group() {
    let (mut bed, _) = classic();
    bed.join("a", &["foo"]).unwrap();
    for _ in 0..6 {
        bed.h.pass(9_000);
        if bed.h.groups.groups.get(&g()).is_some_and(|group| group.kind().name() == "consumer") {
            for member in ["c", "d"] {
                let joined = bed.classic_join(join(member, &["foo"], &[]));
                bed.synced(member, joined.generation.0);
            }
        }
    }
    let _ = bed.classic();
}

#[test]
fn a_group_stays_a_consumer_group_where_it_may_not_be_a_classic_one() {
    type Set = fn(&mut crate::config::Settings);
    let sets: [Set; 2] =
        [|s| s.groups.consumer_migration = Migration { upgrade: true, downgrade: false }, |s| s.groups.members_max = 1];
    for set in sets {
        let (c, d) = (assignment(&[("foo", &[0])], None), assignment(&[("foo", &[1])], None));
        let (mut bed, _) = classic_with(set, c, d);
        bed.join("a", &["foo"]).unwrap();
        bed.beat("a", -1, |_| {}).unwrap();
        assert_eq!(bed.group().members.len(), 2);
        bed.check_replay();
    }
}

#[test]
fn a_group_whose_last_member_leaves_stays_a_consumer_group() {
    let mut bed = Bed::new();
    bed.join("a", &[]).unwrap();
    bed.beat("a", -1, |_| {}).unwrap();
    assert_eq!(bed.state(), "Empty");
}

#[test]
fn a_static_member_that_comes_back_classic_as_the_last_one_makes_a_classic_group() {
    for rebalance in [false, true] {
        let mut bed = Bed::new();
        bed.h.topic("foo", 1);
        bed.join_static("s", "i", &["foo"]).unwrap();
        bed.h.written();
        let topics: &[&str] = if rebalance { &["foo", "bar"] } else { &["foo"] };
        let mut join = join("", topics, &[("foo", &[0])]);
        join.instance = Some(InstanceId::new("i"));
        let joined = bed.classic_join(join);
        assert_eq!(joined.error, ErrorCode::NONE);
        let group = bed.classic();
        let state = if rebalance { ClassicState::PreparingRebalance } else { ClassicState::Stable };
        assert_eq!((group.state, group.generation), (state, Generation(2)));
        let member = group.members.get(&joined.member).unwrap();
        let given = protocol::Assignment::parse(&member.assignment).unwrap();
        assert_eq!(given.partitions, [(TopicName::new("foo"), vec![PartitionId(0)])]);
        if !rebalance {
            assert_eq!(joined.generation, Generation(2));
        }
        assert!(bed.h.groups.consumers.by_topic.is_empty());
        let replayed = bed.h.replayed_compacted();
        assert!(replayed.groups.groups.get(&g()).is_some_and(|group| group.kind().name() == "classic"));
        assert_eq!(replayed.groups.consumers.by_topic, bed.h.groups.consumers.by_topic);
    }
}

#[test]
fn a_group_may_go_there_and_back() {
    let (mut bed, _) = classic();
    for _ in 0..3 {
        bed.join("a", &["foo"]).unwrap();
        let _ = bed.group();
        bed.beat("a", -1, |_| {}).unwrap();
        let _ = bed.classic();
        let tickets = [send_join(&mut bed, "c"), send_join(&mut bed, "d")];
        let mut generation = 0;
        for ticket in tickets {
            let Some(Reply::Join(joined)) = bed.h.reply(ticket) else { panic!("no answer") };
            assert_eq!(joined.error, ErrorCode::NONE);
            generation = joined.generation.0;
        }
        let leader = bed.classic().leader.clone().unwrap();
        let given = vec![(m("c"), assignment(&[("foo", &[0])], None)), (m("d"), assignment(&[("foo", &[1])], None))];
        let ticket = bed.h.send(sync_of(leader.as_str(), generation, given));
        assert!(matches!(bed.h.reply(ticket), Some(Reply::Sync(synced)) if synced.error == ErrorCode::NONE));
    }
}

#[test]
fn a_group_that_is_too_large_to_be_written_stays_what_it_is() {
    let (mut bed, _) = classic();
    bed.h.env.batch_bytes_max = 200;
    let waiting = bed.h.send(Request::Join(join("c", &["foo", "bar"], &[])));
    assert_eq!(bed.join("a", &["foo"]).unwrap_err().code, ErrorCode::UNKNOWN_SERVER_ERROR);
    // Whoever waits goes on waiting.
    assert!(bed.h.reply(waiting).is_none());
    assert_eq!(bed.classic().members.len(), 2);
    assert_eq!(bed.h.written(), []);
}

#[test]
fn a_member_that_cannot_be_removed_now_is_removed_later() {
    let mut bed = Bed::new();
    bed.join("a", &[]).unwrap();
    bed.h.env.batch_bytes_max = 100;
    bed.h.pass(45_100);
    assert!(bed.has("a"));
    bed.h.env.batch_bytes_max = 1_000_000;
    bed.h.pass(500);
    assert!(!bed.has("a"));
}
