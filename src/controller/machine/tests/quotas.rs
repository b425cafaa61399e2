use super::*;
use crate::controller::machine::quotas::alter;
use crate::controller::security::{QuotaAlteration, QuotaOutcomes as Outcomes};
use crate::metadata::record::ClientQuota;
use crate::metadata::{QuotaEntity, QuotaName};

fn named(name: &str) -> QuotaName {
    if name == "*" { QuotaName::Default } else { QuotaName::Named(name.into()) }
}

/// `entity` is `kind=name` parts; `*` is the default. A negative value removes.
fn change(entity: &[(&str, &str)], ops: &[(&str, f64)]) -> QuotaAlteration {
    QuotaAlteration {
        entity: entity.iter().map(|(kind, name)| ((*kind).to_owned(), named(name))).collect(),
        ops: ops.iter().map(|(key, value)| ((*key).to_owned(), (*value != -7.0).then_some(*value))).collect(),
    }
}

const REMOVE: f64 = -7.0;
const RATE: &str = "producer_byte_rate";

fn record(entity: QuotaEntity, key: &str, value: Option<f64>) -> Record {
    Record::ClientQuota(ClientQuota { entity, key: key.into(), value })
}

fn user(name: &str) -> QuotaEntity {
    QuotaEntity { user: Some(named(name)), ..QuotaEntity::default() }
}

fn decided(changes: &[QuotaAlteration], image: &Image) -> (Vec<Record>, Outcomes) {
    let Decision { records, answer } = alter(changes, false, image);
    (records, answer.unwrap())
}

fn refused(change: QuotaAlteration, message: &str) {
    let (records, outcomes) = decided(&[change], &cluster(vec![broker(0)]));
    assert_eq!(records, vec![]);
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].1, error(ErrorCode::INVALID_REQUEST, message));
}

#[test]
fn quotas_are_set_for_users_client_ids_both_and_their_defaults() {
    let image = cluster(vec![broker(0)]);
    let both = QuotaEntity { user: Some(named("u")), client_id: Some(QuotaName::Default), ip: None };
    for (asked, entity) in [
        (&[("user", "u")][..], user("u")),
        (&[("user", "*")], user("*")),
        (&[("client-id", "c")], QuotaEntity { client_id: Some(named("c")), ..QuotaEntity::default() }),
        (&[("client-id", "*"), ("user", "u")], both),
    ] {
        let (records, _) = decided(&[change(asked, &[(RATE, 5.0), ("request_percentage", 0.5)])], &image);
        let expected = vec![record(entity.clone(), RATE, Some(5.0)), record(entity, "request_percentage", Some(0.5))];
        assert_eq!(records, expected);
    }
}

#[test]
fn addresses_have_a_connection_rate_and_nothing_else_does() {
    let image = cluster(vec![broker(0)]);
    let rate = "connection_creation_rate";
    for ip in ["10.0.0.7", "::1", "*"] {
        assert_eq!(decided(&[change(&[("ip", ip)], &[(rate, 5.0)])], &image).0.len(), 1);
    }
    refused(change(&[("ip", "10.0.0.7")], &[(RATE, 5.0)]), "Invalid configuration key producer_byte_rate");
    refused(change(&[("user", "u")], &[(rate, 5.0)]), "Invalid configuration key connection_creation_rate");
    refused(
        change(&[("ip", "10.0.0.7"), ("user", "u")], &[(rate, 5.0)]),
        "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
    );
    refused(change(&[("ip", "nowhere")], &[(rate, 5.0)]), "nowhere is not a valid IP or resolvable host.");
}

#[test]
fn a_value_is_above_zero_and_whole_where_its_kind_is() {
    let of = |key, value| change(&[("user", "u")], &[(key, value)]);
    for value in [0.0, -1.0, f64::NAN] {
        refused(of(RATE, value), "Quota producer_byte_rate must be greater than 0");
    }
    refused(of(RATE, 1.5), "producer_byte_rate cannot be a fractional value.");
    refused(of(RATE, 1e19), "Proposed value for producer_byte_rate is too large for a LONG.");
    refused(
        change(&[("ip", "*")], &[("connection_creation_rate", 3e9)]),
        "Proposed value for connection_creation_rate is too large for an INT.",
    );
    assert_eq!(decided(&[of("controller_mutation_rate", 0.25)], &cluster(vec![broker(0)])).0.len(), 1);
}

#[test]
fn an_entity_is_of_kinds_that_are_known_and_has_names() {
    refused(change(&[], &[(RATE, 1.0)]), "Invalid empty client quota entity");
    refused(change(&[("group", "g")], &[(RATE, 1.0)]), "Unhandled client quota entity type: group");
    refused(change(&[("user", "")], &[(RATE, 1.0)]), "Empty user not supported");
}

#[test]
fn an_entity_is_named_once_and_a_key_too() {
    let image = cluster(vec![broker(0)]);
    let changes = [change(&[("user", "u")], &[(RATE, 1.0)]), change(&[("user", "u")], &[(RATE, 2.0)])];
    let (records, outcomes) = decided(&changes, &image);
    assert_eq!(records, vec![record(user("u"), RATE, Some(1.0))]);
    let message = "Ignoring duplicate entity ClientQuotaEntity(entries={user=u})";
    assert_eq!(outcomes[0].1, error(ErrorCode::INVALID_REQUEST, message));
    refused(
        change(&[("user", "*")], &[(RATE, 1.0), (RATE, 2.0)]),
        "Ignoring duplicate entity ClientQuotaEntity(entries={user=null})",
    );
}

#[test]
fn what_is_so_already_is_not_written_and_what_is_not_there_not_removed() {
    let image = after(&cluster(vec![broker(0)]), vec![record(user("u"), RATE, Some(1.0))]);
    let same = change(&[("user", "u")], &[(RATE, 1.0), ("consumer_byte_rate", REMOVE)]);
    assert_eq!(decided(&[same], &image).0, vec![]);
    let (records, outcomes) = decided(&[change(&[("user", "u")], &[(RATE, REMOVE)])], &image);
    assert_eq!(records, vec![record(user("u"), RATE, None)]);
    assert_eq!(outcomes[0].1, Ok(()));
}

#[test]
fn one_bad_key_keeps_the_whole_entity_as_it_is_and_no_other() {
    let image = cluster(vec![broker(0)]);
    let changes =
        [change(&[("user", "a")], &[(RATE, 1.0), ("nonsense", 1.0)]), change(&[("user", "b")], &[(RATE, 1.0)])];
    assert_eq!(decided(&changes, &image).0, vec![record(user("b"), RATE, Some(1.0))]);
}

#[test]
fn a_dry_run_answers_and_records_nothing() {
    let image = cluster(vec![broker(0)]);
    let decision = alter(&[change(&[("user", "a")], &[(RATE, 1.0)])], true, &image);
    assert_eq!(decision.records, vec![]);
    assert_eq!(decision.answer.unwrap().len(), 1);
}
