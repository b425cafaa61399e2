//! One row per fault: what was found, and the cause that it is given. What comes about only in the wild is here too.
#![allow(clippy::unwrap_used)]

use super::facts::*;
use super::{Level, diagnose};
use crate::model::{ErrorCode, NodeId, PartitionId};
use crate::peer::Endpoint;
use crate::peer::foreign::{Created, Odd, PartitionSeen, Range};

fn at(host: &str) -> Endpoint {
    Endpoint { host: host.to_owned(), port: 9092 }
}

fn good(host: &str) -> Contact {
    let address = "10.0.0.1:9092".parse().unwrap();
    let mut contact = Contact::new(at(host));
    contact.resolved = vec!["10.0.0.1".parse().unwrap()];
    contact.connected = Some((address, 250));
    contact.apis = Some(60);
    contact.cluster_id = Some("one".into());
    contact
}

fn wish() -> Wish {
    Wish { protocol: "PLAINTEXT", timeout_ms: 5000, ..Wish::default() }
}

fn secured() -> Wish {
    Wish { protocol: "SASL_SSL", tls: true, mechanism: Some("PLAIN".into()), ..wish() }
}

fn done() -> Trial {
    Trial {
        topic: "t".into(),
        own: true,
        leader: Some(NodeId(1)),
        end: End::Done,
        took_us: 1500,
        clock: Some((3, 1)),
        left_behind: None,
    }
}

/// All is well, by one broker.
fn well() -> Facts {
    let brokers = vec![(NodeId(1), "broker:9092".to_owned(), Some(good("broker")))];
    let cluster = Cluster { id: Some("one".into()), brokers };
    Facts { wish: wish(), bootstrap: vec![good("broker")], cluster: Some(cluster), trial: Some(done()) }
}

/// The connection to begin with ends like this.
fn ends(wish: Wish, stop: Stop) -> Facts {
    let mut contact = good("broker");
    contact.stop = Some(stop);
    Facts { wish, bootstrap: vec![contact], cluster: None, trial: None }
}

fn trial(end: End) -> Facts {
    Facts { trial: Some(Trial { end, clock: None, ..done() }), ..well() }
}

fn said(error: ErrorCode) -> Created {
    Created { error, message: Some("so it is".into()) }
}

#[test]
fn where_nothing_is_wrong_nothing_is_said_to_be() {
    let report = diagnose(&well());
    assert!(report.is_well(), "{report}");
    assert!(report.sections.iter().flat_map(|section| &section.findings).all(|one| one.level == Level::Good));
    assert!(report.to_string().ends_with("All is well: a client with these settings can work from here.\n"));
}

#[test]
fn every_fault_has_a_cause_and_advice() {
    let partition = PartitionSeen { id: PartitionId(0), error: ErrorCode::NONE, leader: None, replicas: 3, in_sync: 1 };
    let odd = || Odd::TimedOut;
    let rows = [
        (ends(wish(), Stop::Unresolved("no".into())), "name-unresolved"),
        (ends(wish(), Stop::Unconnected), "unreachable"),
        (ends(wish(), Stop::Settings("no store".into())), "client-settings"),
        (ends(secured(), Stop::Tls(NoTls::Closed, Speaks::Kafka)), "plaintext-listener"),
        (ends(secured(), Stop::Tls(NoTls::Closed, Speaks::Http)), "http"),
        (ends(secured(), Stop::Tls(NoTls::TimedOut, Speaks::Unknown)), "no-tls"),
        (ends(secured(), Stop::Tls(NoTls::Expired(Some(90_000)), Speaks::Tls)), "certificate-expired"),
        (ends(secured(), Stop::Tls(NoTls::NotValidYet, Speaks::Tls)), "certificate-not-valid-yet"),
        (ends(secured(), Stop::Tls(NoTls::UnknownIssuer, Speaks::Tls)), "certificate-untrusted"),
        (ends(secured(), Stop::Tls(NoTls::WrongName(vec![]), Speaks::Tls)), "certificate-other-name"),
        (ends(secured(), Stop::Tls(NoTls::Alert("CertificateRequired".into()), Speaks::Tls)), "client-certificate"),
        (ends(secured(), Stop::Tls(NoTls::Alert("ProtocolVersion".into()), Speaks::Tls)), "tls-refused"),
        (ends(wish(), Stop::Greeting(Odd::Closed, Speaks::Tls)), "tls-listener"),
        (ends(wish(), Stop::Greeting(Odd::Closed, Speaks::Http)), "http"),
        (ends(wish(), Stop::Greeting(Odd::Closed, Speaks::Unknown)), "closed-at-once"),
        (ends(wish(), Stop::Greeting(Odd::TimedOut, Speaks::Unknown)), "silent"),
        (ends(wish(), Stop::Greeting(Odd::Malformed("x".into()), Speaks::Unknown)), "not-kafka"),
        (ends(wish(), Stop::Greeting(Odd::NotKafka(vec![1]), Speaks::Unknown)), "not-kafka"),
        (ends(secured(), Stop::Login(NoLogin::NotWanted)), "login-not-wanted"),
        (ends(secured(), Stop::Login(NoLogin::Settings("no".into()))), "client-settings"),
        (ends(secured(), Stop::Login(NoLogin::Mechanism(vec!["GSSAPI".into()]))), "mechanism"),
        (ends(secured(), Stop::Login(NoLogin::Refused(said(ErrorCode(58))))), "login-refused"),
        (ends(secured(), Stop::Login(NoLogin::Closed)), "login-refused"),
        (ends(secured(), Stop::Login(NoLogin::Untrusted("x".into()))), "broker-untrusted"),
        (ends(secured(), Stop::Login(NoLogin::Odd(odd()))), "login-broken"),
        (ends(wish(), Stop::Metadata(Odd::Closed, Some(vec!["PLAIN".into()]))), "login-wanted"),
        (ends(wish(), Stop::Metadata(Odd::Closed, None)), "no-metadata"),
        (trial(End::Create(said(ErrorCode::TOPIC_AUTHORIZATION_FAILED))), "not-authorized"),
        (trial(End::Create(said(ErrorCode::INVALID_REPLICATION_FACTOR))), "too-few-brokers"),
        (trial(End::Create(said(ErrorCode::POLICY_VIOLATION))), "policy"),
        (trial(End::Create(said(ErrorCode::UNKNOWN_SERVER_ERROR))), "topic-not-made"),
        (trial(End::Describe(ErrorCode::TOPIC_AUTHORIZATION_FAILED)), "not-authorized"),
        (trial(End::Describe(ErrorCode::UNKNOWN_SERVER_ERROR)), "topic-unavailable"),
        (trial(End::NoLeader(Some(partition.clone()))), "no-leader"),
        (trial(End::NoLeader(None)), "no-leader"),
        (trial(End::LeaderAway(NodeId(1))), "leader-unreachable"),
        (trial(End::Produce(said(ErrorCode::NOT_ENOUGH_REPLICAS), Some(partition))), "under-min-isr"),
        (trial(End::Produce(said(ErrorCode::TOPIC_AUTHORIZATION_FAILED), None)), "not-authorized"),
        (trial(End::Produce(said(ErrorCode::INVALID_TIMESTAMP), None)), "clock"),
        (trial(End::Produce(said(ErrorCode::REQUEST_TIMED_OUT), None)), "replication-slow"),
        (trial(End::Produce(said(ErrorCode::MESSAGE_TOO_LARGE), None)), "not-written"),
        (trial(End::Fetch(ErrorCode::TOPIC_AUTHORIZATION_FAILED)), "not-authorized"),
        (trial(End::Fetch(ErrorCode::UNKNOWN_SERVER_ERROR)), "not-read"),
        (trial(End::Differs), "record-lost"),
        (trial(End::Odd("Produce", odd())), "no-answer"),
        (
            trial(End::Odd("Fetch", Odd::Unsupported { api: "Fetch", theirs: Some(Range { min: 0, max: 3 }) })),
            "too-old",
        ),
        (Facts { trial: Some(Trial { left_behind: Some("no".into()), ..done() }), ..well() }, "topic-left-behind"),
        (Facts { cluster: Some(Cluster::default()), ..well() }, "no-brokers"),
    ];
    for (facts, cause) in rows {
        let report = diagnose(&facts);
        assert_eq!(report.causes(), [cause], "{facts:?}");
        let mut faults =
            report.sections.iter().flat_map(|section| &section.findings).filter(|one| !one.cause.is_empty());
        let fault = faults.next().unwrap();
        assert!(fault.advice.as_ref().is_some_and(|advice| advice.len() > 10), "{fault:?}");
        assert!(!fault.text.ends_with('.') && !fault.text.contains("  "), "{fault:?}");
    }
}

/// A cluster whose one broker advertises what the contact says.
fn advertises(contact: Option<Contact>) -> Facts {
    let brokers = vec![(NodeId(7), "localhost:9092".to_owned(), contact)];
    Facts { cluster: Some(Cluster { id: Some("one".into()), brokers }), trial: None, ..well() }
}

#[test]
fn a_broker_that_advertises_the_clients_own_machine_is_told_what_that_means() {
    let mut contact = good("localhost");
    contact.connected = None;
    contact.resolved = vec!["127.0.0.1".parse().unwrap()];
    contact.refused = vec![("127.0.0.1:9092".parse().unwrap(), NoConnection::Refused)];
    contact.stop = Some(Stop::Unconnected);
    let report = diagnose(&advertises(Some(contact)));
    assert_eq!(report.causes(), ["advertised-unreachable"]);
    let text = report.to_string();
    for part in
        ["localhost is every client's own machine", "advertised.listeners of node 7", "broker:9092 worked from here"]
    {
        assert!(text.contains(part), "{part} is missing from\n{text}");
    }
}

#[test]
fn an_advertised_address_may_be_none_or_lead_to_another_cluster() {
    assert_eq!(diagnose(&advertises(None)).causes(), ["advertised-invalid"]);
    let mut contact = good("broker");
    contact.cluster_id = Some("two".into());
    assert_eq!(diagnose(&advertises(Some(contact))).causes(), ["advertised-other-cluster"]);
}

#[test]
fn clocks_that_differ_by_seconds_are_a_fault_but_not_what_a_slow_answer_may_hide() {
    let clock = |clock: (i64, i64)| {
        let trial = Trial { clock: Some(clock), ..done() };
        diagnose(&Facts { trial: Some(trial), ..well() }).causes()
    };
    assert_eq!(clock((3_600_000, 2)), ["clock"]);
    assert_eq!(clock((-6000, 2)), ["clock"]);
    assert!(clock((4000, 2)).is_empty());
    assert!(clock((6000, 3000)).is_empty(), "the answer took six seconds");
    assert_eq!(clock((i64::MIN, 2)), ["clock"]);
}

#[test]
fn what_a_stranger_says_cannot_command_a_terminal() {
    let facts = ends(wish(), Stop::Login(NoLogin::Mechanism(vec!["\x1b[2Jevil\n".into()])));
    let text = diagnose(&facts).to_string();
    assert!(!text.contains('\x1b') && text.contains("evil"), "{text:?}");
}

#[test]
fn an_address_that_is_passed_over_is_only_a_note() {
    let mut facts = well();
    facts.bootstrap[0].refused = vec![("[::1]:9092".parse().unwrap(), NoConnection::Refused)];
    let report = diagnose(&facts);
    assert!(report.is_well() && report.to_string().contains("  note   [::1]:9092"), "{report}");
}
