//! Every state, and what it answers to every request; and settings of the group's own.

use super::bed::*;
use super::classic_bed::*;
use crate::group::machine::kind::Kind;
use crate::group::request::{Commit, List, Reply, Request};
use crate::metadata::record::Record as Metadata;
use crate::model::{ErrorCode, GroupEpoch};

/// The group in each of its states, and the epoch of the member `a`, which every state but the first has.
fn states() -> Vec<(&'static str, Bed, i32)> {
    let fresh = || {
        let mut bed = Bed::new();
        bed.h.topic("foo", 2);
        bed.join("a", &["foo"]).unwrap();
        bed
    };
    let mut empty = fresh();
    empty.beat("a", -1, |_| {}).unwrap();
    let mut assigning = fresh();
    assigning.join("b", &["foo"]).unwrap();
    assigning.beat("b", -1, |_| {}).unwrap();
    let mut reconciling = fresh();
    reconciling.join("b", &["foo"]).unwrap();
    let states =
        [("Empty", empty, 0), ("Assigning", assigning, 2), ("Reconciling", reconciling, 2), ("Stable", fresh(), 2)];
    for (state, bed, _) in &states {
        assert_eq!(bed.state(), *state);
    }
    states.into()
}

/// What each state answers: the error of the first, and of the others.
fn check(what: &str, empty: ErrorCode, others: ErrorCode, ask: impl Fn(&mut Bed, i32) -> ErrorCode) {
    for (state, mut bed, epoch) in states() {
        let expected = if state == "Empty" { empty } else { others };
        assert_eq!(ask(&mut bed, epoch), expected, "{what}, {state}");
        if expected.is_err() {
            assert_eq!(bed.state(), state, "{what}");
        }
        match bed.h.groups.groups.get(&g()) {
            Some(group) if group.kind().name() == "consumer" => bed.check_replay(),
            _ => {}
        }
    }
}

const OK: ErrorCode = ErrorCode::NONE;
const UNKNOWN: ErrorCode = ErrorCode::UNKNOWN_MEMBER_ID;

fn code(answer: Beaten) -> ErrorCode {
    answer.err().map_or(OK, |refusal| refusal.code)
}

#[test]
fn heartbeats_are_answered_in_every_state() {
    check("a member joins", OK, OK, |bed, _| code(bed.join("n", &["foo"])));
    check("a member joins again", OK, OK, |bed, _| code(bed.join("a", &["foo"])));
    check("a member beats", UNKNOWN, OK, |bed, epoch| code(bed.beat("a", epoch.max(1), |_| {})));
    check("a stranger beats", UNKNOWN, UNKNOWN, |bed, _| code(bed.beat("x", 1, |_| {})));
    check("a member leaves", UNKNOWN, OK, |bed, _| code(bed.beat("a", -1, |_| {})));
    let fenced = ErrorCode::FENCED_MEMBER_EPOCH;
    check("a member is ahead", UNKNOWN, fenced, |bed, _| code(bed.beat("a", 99, |_| {})));
    check("a member is behind", UNKNOWN, fenced, |bed, epoch| code(bed.beat("a", (epoch - 1).max(1), |_| {})));
    let unknown_instance = |beat: &mut crate::group::request::ConsumerHeartbeat| beat.instance = Some("i".into());
    check("a static stranger beats", UNKNOWN, UNKNOWN, |bed, _| code(bed.beat("a", 2, unknown_instance)));
    check("a static stranger leaves", UNKNOWN, UNKNOWN, |bed, _| code(bed.beat("a", -2, unknown_instance)));
}

#[test]
fn requests_of_the_classic_protocol_are_answered_in_every_state() {
    // Without members it becomes a classic group, whose first join waits for more.
    for (state, mut bed, _) in states() {
        let ticket = bed.h.send(Request::Join(join("n", &["foo"], &[])));
        match bed.h.reply(ticket) {
            Some(Reply::Join(joined)) if state != "Empty" => assert_eq!(joined.error, OK),
            Some(Reply::Join(joined)) => assert_eq!(joined.error, UNKNOWN),
            other => panic!("{state}: {other:?}"),
        }
    }
    check("a sync", UNKNOWN, UNKNOWN, |bed, epoch| bed.sync_as("a", epoch, |_| {}).error);
    check("a heartbeat", UNKNOWN, UNKNOWN, |bed, epoch| bed.classic_beat("a", epoch));
    check("a leave", UNKNOWN, OK, |bed, _| bed.classic_leave(&[("a", None)]).members[0].2);
    check("a stranger's leave", UNKNOWN, UNKNOWN, |bed, _| bed.classic_leave(&[("x", None)]).members[0].2);
}

#[test]
fn what_administrators_ask_is_answered_in_every_state() {
    let admin = Commit {
        version: 9,
        group: g(),
        member: m(""),
        instance: None,
        generation_or_epoch: -1,
        retention_ms: -1,
        offsets: Vec::new(),
    };
    check("a commit", OK, UNKNOWN, |bed, _| bed.group().check_commit(&admin).err().unwrap_or(OK));
    check("a deletion", OK, ErrorCode::NON_EMPTY_GROUP, |bed, _| {
        match bed.h.run(Request::DeleteGroup { group: g(), state_is_deleted: false }) {
            Reply::DeleteGroup(error) => error,
            other => panic!("{other:?}"),
        }
    });
    check("a classic description", ErrorCode::GROUP_ID_NOT_FOUND, ErrorCode::GROUP_ID_NOT_FOUND, |bed, _| {
        match bed.h.run(Request::Describe(g())) {
            Reply::Describe(answer) => answer.err().map_or(OK, |refusal| refusal.code),
            other => panic!("{other:?}"),
        }
    });
    for (state, mut bed, _) in states() {
        assert_eq!(bed.describe().unwrap().state, state);
        let Reply::List(listed) = bed.h.run(Request::List(List::default())) else { panic!("no list") };
        assert_eq!(
            (listed[0].state, listed[0].kind, listed[0].protocol_type.as_str()),
            (state, "consumer", "consumer")
        );
    }
}

fn group_config(name: &str, value: &str) -> Metadata {
    let resource = crate::metadata::ConfigResource::new(crate::metadata::ResourceType::Group, "g");
    Metadata::Config { resource, key: name.into(), value: Some(value.into()) }
}

#[test]
fn a_group_may_have_settings_of_its_own() {
    let mut bed = Bed::new();
    bed.h.change(&[
        group_config("consumer.heartbeat.interval.ms", "7000"),
        group_config("consumer.session.timeout.ms", "50000"),
        group_config("consumer.assignment.interval.ms", "2000"),
    ]);
    bed.h.topic("foo", 2);
    assert_eq!(bed.join("a", &["foo"]).unwrap().heartbeat_interval_ms, 7000);
    assert_eq!(bed.join("b", &["foo"]).unwrap().epoch, GroupEpoch(2));
    bed.h.pass(2000);
    assert_eq!(bed.beat("b", 2, |_| {}).unwrap().epoch, GroupEpoch(3));
    bed.h.pass(47_999);
    assert!(bed.has("a") && bed.has("b"));
    bed.h.pass(1);
    assert!(!bed.has("a") && bed.has("b"));
}
