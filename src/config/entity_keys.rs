//! The keys of consumer groups (`--entity-type groups`) and of client metrics subscriptions.

use super::broker::{Values, value_of};
use super::key::{Check, Key};
use super::value::Type::{Boolean, Int, List, String};
use super::value::{BadValue, Value};
use crate::model::ErrorCode;

/// A group's key, with the broker key it falls back to.
#[derive(Clone, Copy, Debug)]
pub struct GroupKey {
    pub key: Key,
    pub broker_key: Option<&'static str>,
    /// The broker keys that bound it.
    bounds: (Option<&'static str>, Option<&'static str>),
}

const fn group(
    name: &'static str,
    default: &'static str,
    least: i64,
    broker_key: &'static str,
    bounds: (Option<&'static str>, Option<&'static str>),
    doc: &'static str,
) -> GroupKey {
    let key = Key::new(name, Int, Some(default), doc).check(Check::AtLeast(least));
    GroupKey { key, broker_key: Some(broker_key), bounds }
}

const fn only_group(key: Key) -> GroupKey {
    GroupKey { key, broker_key: None, bounds: (None, None) }
}

/// All keys of a group.
#[rustfmt::skip] // a table
pub const GROUP_KEYS: &[GroupKey] = &[
    group("consumer.session.timeout.ms", "45000", 1, "group.consumer.session.timeout.ms",
        (Some("group.consumer.min.session.timeout.ms"), Some("group.consumer.max.session.timeout.ms")),
        "A member of this consumer group that is silent for this long is removed."),
    group("consumer.heartbeat.interval.ms", "5000", 1, "group.consumer.heartbeat.interval.ms",
        (Some("group.consumer.min.heartbeat.interval.ms"), Some("group.consumer.max.heartbeat.interval.ms")),
        "How often members of this consumer group send heartbeats."),
    group("consumer.assignment.interval.ms", "1000", 0, "group.consumer.assignment.interval.ms",
        (Some("group.consumer.min.assignment.interval.ms"), Some("group.consumer.max.assignment.interval.ms")),
        "Least time between two assignments of this consumer group."),
    group("share.session.timeout.ms", "45000", 1, "group.share.session.timeout.ms",
        (Some("group.share.min.session.timeout.ms"), Some("group.share.max.session.timeout.ms")),
        "A member of this share group that is silent for this long is removed."),
    group("share.heartbeat.interval.ms", "5000", 1, "group.share.heartbeat.interval.ms",
        (Some("group.share.min.heartbeat.interval.ms"), Some("group.share.max.heartbeat.interval.ms")),
        "How often members of this share group send heartbeats."),
    group("share.record.lock.duration.ms", "30000", 1000, "group.share.record.lock.duration.ms",
        (Some("group.share.min.record.lock.duration.ms"), Some("group.share.max.record.lock.duration.ms")),
        "How long a delivered record stays with its consumer."),
    group("share.delivery.count.limit", "5", 2, "group.share.delivery.count.limit",
        (Some("group.share.min.delivery.count.limit"), Some("group.share.max.delivery.count.limit")),
        "How often a record is delivered before it counts as undeliverable."),
    group("share.partition.max.record.locks", "2000", 100, "group.share.partition.max.record.locks",
        (Some("group.share.min.partition.max.record.locks"), Some("group.share.max.partition.max.record.locks")),
        "Most records of a partition that are with consumers at once."),
    only_group(Key::new("share.auto.offset.reset", String, Some("latest"),
        "Where this share group begins: latest, earliest or by_duration:<ISO duration>.").check(Check::ShareOffsetReset)),
    only_group(Key::new("share.isolation.level", String, Some("read_uncommitted"),
        "Whether records of open and aborted transactions are delivered.")
        .check(Check::OneOf(&["read_committed", "read_uncommitted"]))),
    only_group(Key::new("share.renew.acknowledge.enable", Boolean, Some("true"),
        "Whether consumers may keep a record longer than its lock.")),
    group("share.assignment.interval.ms", "1000", 0, "group.share.assignment.interval.ms",
        (Some("group.share.min.assignment.interval.ms"), Some("group.share.max.assignment.interval.ms")),
        "Least time between two assignments of this share group."),
    group("streams.session.timeout.ms", "45000", 1, "group.streams.session.timeout.ms",
        (Some("group.streams.min.session.timeout.ms"), Some("group.streams.max.session.timeout.ms")),
        "A member of this streams group that is silent for this long is removed."),
    group("streams.heartbeat.interval.ms", "5000", 1, "group.streams.heartbeat.interval.ms",
        (Some("group.streams.min.heartbeat.interval.ms"), Some("group.streams.max.heartbeat.interval.ms")),
        "How often members of this streams group send heartbeats."),
    group("streams.num.standby.replicas", "0", 0, "group.streams.num.standby.replicas",
        (None, Some("group.streams.max.standby.replicas")),
        "Standby copies of each task of this streams group."),
    group("streams.initial.rebalance.delay.ms", "3000", 0, "group.streams.initial.rebalance.delay.ms", (None, None),
        "How long this streams group, when empty, waits for more members."),
    group("streams.assignment.interval.ms", "1000", 0, "group.streams.assignment.interval.ms",
        (Some("group.streams.min.assignment.interval.ms"), Some("group.streams.max.assignment.interval.ms")),
        "Least time between two assignments of this streams group."),
];

/// All keys of a client metrics subscription.
pub const CLIENT_METRICS_KEYS: &[Key] = &[
    Key::new("metrics", List, Some(""), "Prefixes of the names of the metrics that clients send; * is all.")
        .check(Check::Distinct { may_be_empty: true }),
    Key::new("interval.ms", Int, Some("300000"), "How often clients send their metrics."),
    Key::new("match", List, Some(""), "Which clients send metrics: name=pattern,...; empty is all.")
        .check(Check::Distinct { may_be_empty: true }),
];

/// The group key of that name.
#[must_use]
pub fn find_group(name: &str) -> Option<&'static GroupKey> {
    GROUP_KEYS.iter().find(|group| group.key.name == name)
}

/// The client metrics key of that name.
#[must_use]
pub fn find_client_metrics(name: &str) -> Option<&'static Key> {
    CLIENT_METRICS_KEYS.iter().find(|key| key.name == name)
}

/// A group key's value: the override, else the broker's, else the default.
pub(super) fn group_value(broker: &Values, overrides: &Values, group: &GroupKey) -> Option<Value> {
    let own = overrides.get(group.key.name).and_then(|text| group.key.parse(text).ok());
    own.or_else(|| group.broker_key.and_then(|name| value_of(broker, name))).or_else(|| group.key.default_value())
}

/// Checks a group's whole set of overrides, in Kafka's words (`GroupConfig.validate`). The error
/// belongs with INVALID_CONFIG.
pub fn validate_group(broker: &Values, overrides: &Values) -> Result<(), BadValue> {
    for name in overrides.keys() {
        if find_group(name).is_none() {
            return Err(BadValue(format!("Unknown group config name: {name}")));
        }
    }
    for (name, text) in overrides {
        if let Some(group) = find_group(name) {
            group.key.parse(text)?;
        }
    }
    for group in GROUP_KEYS {
        let name = group.key.name;
        if name.ends_with("assignment.interval.ms") && !overrides.contains_key(name) {
            continue;
        }
        let number = group_value(broker, overrides, group).map_or(0, |value| value.number());
        let bound = |key: Option<&'static str>| Some((key?, value_of(broker, key?)?.number()));
        if let Some((min, _)) = bound(group.bounds.0).filter(|(_, least)| number < *least) {
            return Err(BadValue(format!("{name} must be greater than or equal to {min}")));
        }
        if let Some((max, _)) = bound(group.bounds.1).filter(|(_, most)| number > *most) {
            return Err(BadValue(format!("{name} must be less than or equal to {max}")));
        }
    }
    for of in ["consumer", "share", "streams"] {
        let read = |what: &str| {
            find_group(&format!("{of}.{what}"))
                .and_then(|group| group_value(broker, overrides, group))
                .map_or(0, |value| value.number())
        };
        if read("session.timeout.ms") <= read("heartbeat.interval.ms") {
            return Err(BadValue(format!("{of}.session.timeout.ms must be greater than {of}.heartbeat.interval.ms")));
        }
    }
    Ok(())
}

/// Checks a client metrics subscription's whole set of values, in Kafka's words
/// (`ClientMetricsConfigs.validate`). Patterns are checked for their form, not as regular expressions.
pub fn validate_client_metrics(subscription: &str, values: &Values) -> Result<(), (ErrorCode, BadValue)> {
    let invalid_request = |text: std::string::String| Err((ErrorCode::INVALID_REQUEST, BadValue(text)));
    if subscription.is_empty() {
        return invalid_request("Subscription name can't be empty".into());
    }
    for (name, text) in values {
        let Some(key) = find_client_metrics(name) else {
            return invalid_request(format!("Unknown client metrics configuration: {name}"));
        };
        let value = key.parse(text).map_err(|bad| (ErrorCode::INVALID_CONFIG, bad))?;
        if name == "interval.ms" && !(100..=3_600_000).contains(&value.number()) {
            return invalid_request(format!(
                "Invalid value {value} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
            ));
        }
        if name == "match" {
            for pattern in value.list() {
                let parts: Vec<&str> = pattern.split('=').collect();
                if parts.len() != 2 || !MATCHED.contains(&parts[0].trim()) || parts[1].is_empty() {
                    let text = format!("Illegal client matching pattern: {pattern}");
                    return Err((ErrorCode::INVALID_CONFIG, BadValue(text)));
                }
            }
        }
    }
    Ok(())
}

const MATCHED: [&str; 6] = [
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_broker_keys_that_groups_fall_back_to_exist_and_agree() {
        assert_eq!(GROUP_KEYS.len(), 17);
        for group in GROUP_KEYS {
            for name in [group.broker_key, group.bounds.0, group.bounds.1].into_iter().flatten() {
                assert!(super::super::broker_keys::find(name).is_some(), "{name}");
            }
            if let Some(name) = group.broker_key {
                assert_eq!(value_of(&Values::new(), name), group.key.default_value(), "{name}");
            }
        }
        assert_eq!(validate_group(&Values::new(), &Values::new()), Ok(()));
    }

    #[test]
    fn group_values_are_refused_in_kafkas_words() {
        let fault = |pairs: &[(&str, &str)]| validate_group(&Values::new(), &values(pairs)).err().map(|bad| bad.0);
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("x", "1")], "Unknown group config name: x"),
            (
                &[("consumer.session.timeout.ms", "1000")],
                "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
            ),
            (
                &[("consumer.heartbeat.interval.ms", "20000")],
                "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms",
            ),
            (
                &[("streams.num.standby.replicas", "9")],
                "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas",
            ),
            (
                &[("share.delivery.count.limit", "1")],
                "Invalid value 1 for configuration share.delivery.count.limit: Value must be at least 2",
            ),
        ];
        for (pairs, expected) in cases {
            assert_eq!(fault(pairs).as_deref(), Some(*expected));
        }
        let close = values(&[("group.consumer.min.session.timeout.ms", "4000")]);
        let bad = validate_group(&close, &values(&[("consumer.session.timeout.ms", "5000")]));
        let expected = "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms";
        assert_eq!(bad.err().map(|bad| bad.0).as_deref(), Some(expected));
    }

    #[test]
    fn client_metrics_are_refused_in_kafkas_words() {
        let run = |name, pairs: &[(&str, &str)]| {
            validate_client_metrics(name, &values(pairs)).map_err(|(code, bad)| (code, bad.0))
        };
        let request = |text: &str| Err((ErrorCode::INVALID_REQUEST, text.to_owned()));
        assert_eq!(run("", &[]), request("Subscription name can't be empty"));
        assert_eq!(run("s", &[("x", "1")]), request("Unknown client metrics configuration: x"));
        assert_eq!(
            run("s", &[("interval.ms", "99")]),
            request("Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)")
        );
        assert_eq!(
            run("s", &[("match", "color=red")]),
            Err((ErrorCode::INVALID_CONFIG, "Illegal client matching pattern: color=red".into()))
        );
        assert_eq!(run("s", &[("metrics", "*"), ("interval.ms", "100"), ("match", "client_id = a.*")]), Ok(()));
    }
}
