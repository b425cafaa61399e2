use super::*;
use crate::metadata::{QuotaEntity, QuotaName, Quotas};

/// Kafka's: eleven windows of a second.
const W: Windows = Windows { count: 11, size: 1000 };

#[test]
fn a_first_burst_is_measured_over_all_windows_but_one() {
    let mut rate = Rate::default();
    rate.record(1000.0, 50, W);
    assert!((rate.per_second(50, W) - 100.0).abs() < 1e-9);
    assert_eq!(rate.excess(100.0, 50, W), 0);
}

#[test]
fn a_client_waits_until_its_rate_is_what_is_allowed() {
    let mut rate = Rate::default();
    rate.record(2000.0, 0, W);
    // 200 a second over ten seconds, where 100 are allowed: ten seconds more.
    assert_eq!(rate.excess(100.0, 0, W), 10_000);
    let mut rate = Rate::default();
    rate.record(1005.0, 0, W);
    assert_eq!(rate.excess(100.0, 0, W), 50);
}

#[test]
fn the_longer_ago_the_less_it_weighs_and_after_all_windows_nothing() {
    let mut rate = Rate::default();
    rate.record(1100.0, 0, W);
    assert!((rate.per_second(500, W) - 1100.0 / 10.5).abs() < 1e-9);
    assert!((rate.per_second(10_999, W) - 1100.0 / 10.999).abs() < 1e-9);
    assert!(!rate.is_over(10_999, W));
    assert!(rate.is_over(11_000, W));
    assert!(rate.per_second(11_000, W).abs() < 1e-9);
}

#[test]
fn samples_are_used_again_and_the_oldest_goes_first() {
    let mut rate = Rate::default();
    for second in 0..40 {
        rate.record(100.0, second * 1000, W);
    }
    assert_eq!(rate.samples(), 12);
    // The sample that overlaps the windows is kept: twelve of 100 in eleven seconds, and that is the span.
    let rate = rate.per_second(39_000, W);
    assert!((rate - 1200.0 / 11.0).abs() < 1e-9 || (rate - 1100.0 / 10.0).abs() < 1e-9, "{rate}");
}

#[test]
fn what_is_taken_back_was_never_there() {
    let mut rate = Rate::default();
    rate.record(500.0, 0, W);
    rate.record(9000.0, 10, W);
    rate.record(-9000.0, 10, W);
    assert_eq!(rate.excess(50.0, 10, W), 0);
}

#[test]
fn one_window_alone_measures_from_its_beginning() {
    let one = Windows { count: 1, size: 1000 };
    let mut rate = Rate::default();
    rate.record(1.0, 0, one);
    assert!((rate.per_second(0, one) - 1000.0).abs() < 1e-9);
    assert!((rate.per_second(500, one) - 2.0).abs() < 1e-9);
}

#[test]
fn a_bucket_is_full_at_first_and_may_be_overdrawn_once() {
    let mut bucket = Bucket::default();
    let ten = Windows { count: 10, size: 1000 };
    assert_eq!(bucket.overdrawn(5.0, 0, ten), 0);
    bucket.take(110.0, 5.0, 0, ten);
    // Of fifty tokens 110 were taken: sixty are missing, at five a second.
    assert_eq!(bucket.overdrawn(5.0, 0, ten), 12_000);
    assert_eq!(bucket.overdrawn(5.0, 11_999, ten), 1);
    assert_eq!(bucket.overdrawn(5.0, 12_000, ten), 0);
    assert!(!bucket.is_full(5.0, 12_000, ten));
    assert!(bucket.is_full(5.0, 22_000, ten));
}

#[test]
fn a_bucket_never_holds_more_than_all_windows_allow() {
    let mut bucket = Bucket::default();
    let two = Windows { count: 2, size: 1000 };
    bucket.take(0.0, 5.0, 0, two);
    bucket.take(11.0, 5.0, 1_000_000, two);
    assert_eq!(bucket.overdrawn(5.0, 1_000_000, two), 200);
}

fn entity(user: Option<&str>, client: Option<&str>) -> QuotaEntity {
    let name = |name: &str| if name == "*" { QuotaName::Default } else { QuotaName::Named(name.into()) };
    QuotaEntity { user: user.map(name), client_id: client.map(name), ip: None }
}

const LEVELS: [(Option<&str>, Option<&str>, Scope); 8] = [
    (Some("u"), Some("c"), Scope::UserAndClient),
    (Some("u"), Some("*"), Scope::UserAndClient),
    (Some("u"), None, Scope::User),
    (Some("*"), Some("c"), Scope::UserAndClient),
    (Some("*"), Some("*"), Scope::UserAndClient),
    (Some("*"), None, Scope::User),
    (None, Some("c"), Scope::Client),
    (None, Some("*"), Scope::Client),
];

/// The levels from `first` on; each has its number as its limit.
fn limits(first: usize) -> Limits {
    let all: Vec<(QuotaEntity, Quotas)> = LEVELS
        .iter()
        .enumerate()
        .skip(first)
        .map(|(n, (user, client, _))| (entity(*user, *client), Quotas::from([("x".to_owned(), n as f64)])))
        .collect();
    Limits::new(all.iter().map(|(entity, quotas)| (entity, quotas)), "x")
}

#[test]
fn of_eight_levels_the_most_specific_one_applies() {
    for (first, (_, _, scope)) in LEVELS.iter().enumerate() {
        assert_eq!(limits(first).of("u", "c"), Some(Limit { scope: *scope, value: first as f64 }));
    }
    assert_eq!(limits(8).of("u", "c"), None);
    assert!(limits(8).is_empty() && !limits(7).is_empty());
}

#[test]
fn others_have_the_defaults() {
    let value = |first, user, client| limits(first).of(user, client).map(|limit| limit.value);
    assert_eq!(value(0, "v", "c"), Some(3.0));
    assert_eq!(value(0, "v", "d"), Some(4.0));
    assert_eq!(value(0, "u", "d"), Some(1.0));
    assert_eq!(value(6, "v", "c"), Some(6.0));
    assert_eq!(value(6, "v", "d"), Some(7.0));
}

#[test]
fn a_client_without_an_id_has_what_its_user_has() {
    assert_eq!(limits(0).of("u", "").map(|limit| limit.value), Some(2.0));
    assert_eq!(limits(0).of("v", "").map(|limit| limit.value), Some(5.0));
    assert_eq!(limits(6).of("u", ""), None);
}

#[test]
fn a_limit_of_another_kind_is_none() {
    let quotas = Quotas::from([("y".to_owned(), 1.0)]);
    assert!(Limits::new([(&entity(Some("u"), None), &quotas)].into_iter(), "x").is_empty());
}

#[test]
fn addresses_have_limits_of_their_own_or_the_default() {
    let quotas = |n: f64| Quotas::from([("x".to_owned(), n)]);
    let ip = |name: &str| QuotaEntity { ip: entity(Some(name), None).user, ..QuotaEntity::default() };
    let (own, any, user) =
        ((ip("10.0.0.7"), quotas(1.0)), (ip("*"), quotas(2.0)), (entity(Some("*"), None), quotas(3.0)));
    let limits = AddressLimits::new([&own, &any, &user].into_iter().map(|(entity, quotas)| (entity, quotas)), "x");
    let of = |address: &str| address.parse().ok().and_then(|address| limits.of(address));
    assert_eq!(of("10.0.0.7"), Some(1.0));
    assert_eq!(of("::ffff:10.0.0.7"), Some(1.0));
    assert_eq!(of("10.0.0.8"), Some(2.0));
    assert_eq!(AddressLimits::default().of(std::net::IpAddr::from([10, 0, 0, 8])), None);
}
