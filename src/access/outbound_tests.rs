#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::{BrokerConfig, Values};
use crate::rt::fs::disk::disk;

const JAAS: &str = "x required username=a password=b;";

fn live(pairs: &[(&str, &str)]) -> Arc<Live> {
    let base = [
        ("node.id", "1"),
        ("process.roles", "broker,controller"),
        ("controller.quorum.voters", "1@a:9093,2@b:9093"),
        ("controller.listener.names", "CONTROLLER"),
        ("listeners", "IN://localhost:1,CONTROLLER://localhost:2"),
        ("inter.broker.listener.name", "IN"),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("sasl.mechanism.inter.broker.protocol", "PLAIN"),
        ("sasl.mechanism.controller.protocol", "PLAIN"),
    ];
    let all = base.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Arc::new(Live::new(BrokerConfig::new(all.collect()).unwrap()))
}

fn outbound(whom: Whom, live: &Arc<Live>) -> Result<Option<Outbound>, String> {
    Outbound::new(whom, true, live, disk())
}

const SASL_TO_BROKERS: (&str, &str) = ("listener.security.protocol.map", "IN:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT");

#[test]
fn each_way_goes_by_its_own_listener() {
    let own = ("listener.name.in.plain.sasl.jaas.config", JAAS);
    let live = live(&[SASL_TO_BROKERS, own]);
    assert!(outbound(Whom::Controllers, &live).unwrap().is_none());
    let terms = outbound(Whom::Brokers, &live).unwrap().unwrap().0.follow(false).unwrap();
    assert_eq!((terms.tls.is_some(), terms.login.unwrap().name()), (false, "PLAIN"));
}

#[test]
fn what_cannot_be_used_is_told_at_the_start_where_it_is_needed() {
    let fault = outbound(Whom::Brokers, &live(&[SASL_TO_BROKERS])).err().unwrap();
    assert!(fault.contains("on IN: ") && fault.contains("listener.name.in.plain.sasl.jaas.config"), "{fault}");
    let tls = live(&[("listener.security.protocol.map", "IN:PLAINTEXT,CONTROLLER:SSL")]);
    let fault = outbound(Whom::Controllers, &tls).err().unwrap();
    assert!(fault.contains("on CONTROLLER: ") && fault.contains("ssl.truststore.location"), "{fault}");
    let unneeded = Outbound::new(Whom::Controllers, false, &tls, disk()).unwrap().unwrap();
    assert!(unneeded.0.follow(false).unwrap_err().contains("ssl.truststore.location"));
}

#[tokio::test]
async fn a_change_is_followed_and_one_that_cannot_be_used_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let trust = folder.path().join("trust.pem");
    let certificate = include_bytes!("../tls/testdata/cert.pem");
    std::fs::write(&trust, certificate).unwrap();
    let live = live(&[
        ("listener.security.protocol.map", "IN:SSL,CONTROLLER:PLAINTEXT"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", trust.to_str().unwrap()),
    ]);
    let outbound = outbound(Whom::Brokers, &live).unwrap().unwrap();
    let connector = || outbound.0.follow(true).unwrap().tls.unwrap();
    let first = connector();
    assert!(Arc::ptr_eq(first.config(), connector().config()), "nothing has changed");
    std::fs::write(&trust, b"nothing").unwrap();
    assert!(Arc::ptr_eq(first.config(), connector().config()), "what cannot be used is not");
    std::fs::write(&trust, [&certificate[..], b"\n"].concat()).unwrap();
    let second = connector();
    assert!(!Arc::ptr_eq(first.config(), second.config()), "another file");
    let change = [("listener.name.in.ssl.endpoint.identification.algorithm".to_owned(), String::new())];
    live.set_dynamic(Values::new(), change.into_iter().collect());
    assert!(outbound.terms().await.is_ok());
    assert!(!Arc::ptr_eq(second.config(), connector().config()), "another setting");
}
