use super::*;
use crate::metadata::record::ClientQuota;
use crate::metadata::{Change, QuotaName, Record, Store};
use crate::model::{Offset, TimestampMs};

const ALICE: Client<'_> = Client { user: "alice", id: "c" };
const BOB: Client<'_> = Client { user: "bob", id: "c" };

fn quotas() -> (Arc<Quotas>, Arc<Store>) {
    let windows = Windows { count: 11, size: 1000 };
    let settings = settings::Quotas { clients: windows, mutations: windows };
    let quotas = Arc::new(Quotas::new(&settings, Metrics::new([], TimestampMs(0))));
    let store = Arc::new(Store::default());
    store.subscribe(Arc::clone(&quotas) as Arc<dyn Publisher>);
    (quotas, store)
}

fn set(store: &Store, user: &str, key: &str, value: Option<f64>) {
    let entity = QuotaEntity { user: Some(QuotaName::Named(user.into())), ..QuotaEntity::default() };
    let mut change = Change::new(&store.image());
    let applied = change.apply(&Record::ClientQuota(ClientQuota { entity, key: key.into(), value }));
    assert_eq!(applied, Ok(()));
    match change.finish(Offset(0), 1) {
        Ok((image, delta)) => store.publish(Arc::new(image), &delta),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn without_quotas_nothing_is_counted_and_nobody_waits() {
    let (quotas, _) = quotas();
    assert!(!quotas.any() && !quotas.measures_time());
    assert_eq!(quotas.produced(ALICE, 1 << 40), 0);
    assert_eq!(quotas.mutate(ALICE, u32::MAX, true), Ok(()));
    assert_eq!(quotas.fetchable(ALICE), None);
    assert!(quotas.rates.iter().all(|used| used.lock().is_empty()));
}

#[test]
fn a_quota_acts_at_once_on_whom_it_names_and_ends_when_it_is_removed() {
    let (quotas, store) = quotas();
    set(&store, "alice", "producer_byte_rate", Some(100.0));
    assert!(quotas.any() && !quotas.measures_time());
    assert_eq!(quotas.produced(ALICE, 1000), 0);
    let ms = quotas.produced(ALICE, 1000);
    assert!((9_000..=10_100).contains(&ms), "{ms}");
    assert_eq!(quotas.produced(BOB, 1_000_000), 0);
    set(&store, "alice", "producer_byte_rate", None);
    assert!(!quotas.any());
    assert_eq!(quotas.produced(ALICE, 1_000_000), 0);
}

#[test]
fn what_a_client_did_not_get_does_not_count() {
    let (quotas, store) = quotas();
    set(&store, "alice", "consumer_byte_rate", Some(100.0));
    assert_eq!(quotas.fetchable(ALICE), Some(1000));
    for _ in 0..5 {
        assert!(quotas.fetched(ALICE, 5000, false) > 0);
    }
    assert_eq!(quotas.fetched(ALICE, 900, true), 0);
    assert_eq!(quotas.fetched(ALICE, 900, false), 0);
    assert!(quotas.fetched(ALICE, 900, false) > 0);
}

#[test]
fn for_the_time_its_requests_take_a_client_waits_one_window_at_most() {
    let (quotas, store) = quotas();
    set(&store, "alice", "request_percentage", Some(1.0));
    assert!(quotas.measures_time());
    assert_eq!(quotas.worked(ALICE, Duration::from_millis(100)), 0);
    assert_eq!(quotas.worked(ALICE, Duration::from_secs(100)), 1000);
}

#[test]
fn changes_of_topics_are_refused_when_strict_and_else_only_slowed() {
    let (quotas, store) = quotas();
    set(&store, "alice", "controller_mutation_rate", Some(1.0));
    assert_eq!(quotas.mutate(ALICE, 12, true), Ok(()));
    for _ in 0..3 {
        let refused = quotas.mutate(ALICE, 50, true);
        assert!(refused.is_err_and(|ms| (500..=1000).contains(&ms)), "{refused:?}");
    }
    let slowed = quotas.mutate(ALICE, 50, false);
    assert!(slowed.is_err_and(|ms| (50_000..=51_000).contains(&ms)), "{slowed:?}");
}

#[test]
fn made_up_client_ids_share_a_count_when_there_are_too_many() {
    let (quotas, store) = quotas();
    let entity = QuotaEntity { client_id: Some(QuotaName::Default), ..QuotaEntity::default() };
    let mut change = Change::new(&store.image());
    let quota = ClientQuota { entity, key: "producer_byte_rate".into(), value: Some(10.0) };
    assert_eq!(change.apply(&Record::ClientQuota(quota)), Ok(()));
    if let Ok((image, delta)) = change.finish(Offset(0), 1) {
        store.publish(Arc::new(image), &delta);
    }
    for n in 0..CLIENTS_MAX + 50 {
        quotas.produced(Client { user: "eve", id: &n.to_string() }, 90);
    }
    assert!(quotas.rates[Kind::Produce as usize].lock().len() <= CLIENTS_MAX + 1);
    assert!(quotas.produced(Client { user: "eve", id: "new" }, 90) > 0);
}
