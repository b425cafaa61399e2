//! The topic keys of Kafka 4.3: 33, and one internal. Names, bounds, the broker keys they fall
//! back to, and how a topic's effective configuration comes about.
//!
//! Removed in Kafka 4.0 and refused like any unknown name: `message.format.version`,
//! `message.downconversion.enable`, `message.timestamp.difference.max.ms`.

use super::broker::{Values, value_of};
use super::key::{Check, Key};
use super::topic::{ThrottledReplicas, TimestampType, TopicCompression, TopicConfig};
use super::value::Type::{Boolean, Double, Int, List, Long, String};
use super::value::{BadValue, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A broker key that gives a topic key its default, and how its unit is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub broker_key: &'static str,
    /// Milliseconds in one unit of the broker key; 1 where they have the same unit.
    pub times: i64,
}

/// A topic key.
#[derive(Clone, Copy, Debug)]
pub struct TopicKey {
    pub key: Key,
    /// In order: the first that is set counts.
    pub synonyms: &'static [Synonym],
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

const fn same(broker_key: &'static str) -> Synonym {
    Synonym { broker_key, times: 1 }
}

const fn times(broker_key: &'static str, times: i64) -> Synonym {
    Synonym { broker_key, times }
}

const fn topic(key: Key, synonyms: &'static [Synonym]) -> TopicKey {
    TopicKey { key, synonyms }
}

const NEVER: &str = "9223372036854775807";
const TIERED: &str = "Tiered storage is not supported yet.";

/// All topic keys.
pub const KEYS: &[TopicKey] = &[
    topic(
        Key::new(
            "cleanup.policy",
            List,
            Some("delete"),
            "What happens to old records: delete, compact, both or neither.",
        )
        .check(Check::ListOf { items: &["compact", "delete"], may_be_empty: true }),
        &[same("log.cleanup.policy")],
    ),
    topic(
        Key::new(
            "compression.type",
            String,
            Some("producer"),
            "What is stored: the producer's codec, none, or this one.",
        )
        .check(Check::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])),
        &[same("compression.type")],
    ),
    topic(
        Key::new("compression.gzip.level", Int, Some("-1"), "Effort of gzip; -1 is the library's default.")
            .check(Check::GzipLevel),
        &[same("compression.gzip.level")],
    ),
    topic(
        Key::new("compression.lz4.level", Int, Some("9"), "Effort of LZ4.").check(Check::Between(1, 17)),
        &[same("compression.lz4.level")],
    ),
    topic(
        Key::new("compression.zstd.level", Int, Some("3"), "Effort of Zstandard.").check(Check::Between(-131_072, 22)),
        &[same("compression.zstd.level")],
    ),
    topic(
        Key::new(
            "delete.retention.ms",
            Long,
            Some("86400000"),
            "How long a deletion marker stays in a compacted topic.",
        )
        .check(Check::AtLeast(0)),
        &[same("log.cleaner.delete.retention.ms")],
    ),
    topic(
        Key::new("file.delete.delay.ms", Long, Some("60000"), "How long removed files stay on disk.")
            .check(Check::AtLeast(0)),
        &[same("log.segment.delete.delay.ms")],
    ),
    topic(
        Key::new(
            "flush.messages",
            Long,
            Some(NEVER),
            "Records after which the log is flushed; 1 acknowledges only what is on disk.",
        )
        .check(Check::AtLeast(1)),
        &[same("log.flush.interval.messages")],
    ),
    topic(
        Key::new("flush.ms", Long, Some(NEVER), "Age of an unflushed record at which the log is flushed.")
            .check(Check::AtLeast(0)),
        &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
    ),
    topic(
        Key::new(
            "follower.replication.throttled.replicas",
            List,
            Some(""),
            "Replicas whose copying is slowed at the follower: partition:broker,... or *.",
        )
        .check(Check::ThrottledReplicas),
        &[],
    ),
    topic(
        Key::new(
            "leader.replication.throttled.replicas",
            List,
            Some(""),
            "Replicas whose copying is slowed at the leader: partition:broker,... or *.",
        )
        .check(Check::ThrottledReplicas),
        &[],
    ),
    topic(
        Key::new("index.interval.bytes", Int, Some("4096"), "An index entry is added after this many bytes.")
            .check(Check::AtLeast(0)),
        &[same("log.index.interval.bytes")],
    ),
    topic(
        Key::new(
            "local.retention.bytes",
            Long,
            Some("-2"),
            "How much stays on local disk once it is in remote storage; -2 is retention.bytes.",
        )
        .check(Check::AtLeast(-2))
        .no_effect(TIERED),
        &[same("log.local.retention.bytes")],
    ),
    topic(
        Key::new(
            "local.retention.ms",
            Long,
            Some("-2"),
            "How long records stay on local disk once they are in remote storage; -2 is retention.ms.",
        )
        .check(Check::AtLeast(-2))
        .no_effect(TIERED),
        &[same("log.local.retention.ms")],
    ),
    topic(
        Key::new("max.compaction.lag.ms", Long, Some(NEVER), "How long a record may escape compaction.")
            .check(Check::AtLeast(1)),
        &[same("log.cleaner.max.compaction.lag.ms")],
    ),
    topic(
        Key::new("max.message.bytes", Int, Some("1048588"), "Largest record batch, after compression.")
            .check(Check::AtLeast(0)),
        &[same("message.max.bytes")],
    ),
    topic(
        Key::new(
            "message.timestamp.type",
            String,
            Some("CreateTime"),
            "Whether a record's timestamp is the producer's or the time of its append.",
        )
        .check(Check::OneOf(&["CreateTime", "LogAppendTime"])),
        &[same("log.message.timestamp.type")],
    ),
    topic(
        Key::new(
            "message.timestamp.before.max.ms",
            Long,
            Some(NEVER),
            "How far in the past a producer's timestamp may be.",
        )
        .check(Check::AtLeast(0)),
        &[same("log.message.timestamp.before.max.ms")],
    ),
    topic(
        Key::new(
            "message.timestamp.after.max.ms",
            Long,
            Some("3600000"),
            "How far in the future a producer's timestamp may be.",
        )
        .check(Check::AtLeast(0)),
        &[same("log.message.timestamp.after.max.ms")],
    ),
    topic(
        Key::new(
            "min.cleanable.dirty.ratio",
            Double,
            Some("0.5"),
            "Share of the log that must be new before it is compacted.",
        )
        .check(Check::Between(0, 1)),
        &[same("log.cleaner.min.cleanable.ratio")],
    ),
    topic(
        Key::new("min.compaction.lag.ms", Long, Some("0"), "How long a record is safe from compaction.")
            .check(Check::AtLeast(0)),
        &[same("log.cleaner.min.compaction.lag.ms")],
    ),
    topic(
        Key::new("min.insync.replicas", Int, Some("1"), "In-sync replicas that acks=all needs.")
            .check(Check::AtLeast(1)),
        &[same("min.insync.replicas")],
    ),
    topic(
        Key::new("preallocate", Boolean, Some("false"), "Whether a new segment takes its full size on disk at once."),
        &[same("log.preallocate")],
    ),
    topic(
        Key::new("remote.storage.enable", Boolean, Some("false"), "Whether old segments move to remote storage."),
        &[],
    ),
    topic(
        Key::new("remote.log.copy.disable", Boolean, Some("false"), "Whether remote storage is only read from.")
            .no_effect(TIERED),
        &[],
    ),
    topic(
        Key::new(
            "remote.log.delete.on.disable",
            Boolean,
            Some("false"),
            "Whether remote segments go when remote storage is turned off.",
        )
        .no_effect(TIERED),
        &[],
    ),
    topic(
        Key::new(
            "retention.bytes",
            Long,
            Some("-1"),
            "How large a partition may grow before its oldest segments go; -1 without limit.",
        ),
        &[same("log.retention.bytes")],
    ),
    topic(
        Key::new("retention.ms", Long, Some("604800000"), "How long records are kept; -1 for ever.")
            .check(Check::AtLeast(-1)),
        &[same("log.retention.ms"), times("log.retention.minutes", MINUTE), times("log.retention.hours", HOUR)],
    ),
    topic(
        Key::new("segment.bytes", Int, Some("1073741824"), "Size at which a segment is closed.")
            .check(Check::AtLeast(1_048_576)),
        &[same("log.segment.bytes")],
    ),
    topic(
        Key::new("segment.index.bytes", Int, Some("10485760"), "Largest offset index of a segment.")
            .check(Check::AtLeast(4)),
        &[same("log.index.size.max.bytes")],
    ),
    topic(
        Key::new("segment.jitter.ms", Long, Some("0"), "A segment may be closed up to this much earlier.")
            .check(Check::AtLeast(0)),
        &[same("log.roll.jitter.ms"), times("log.roll.jitter.hours", HOUR)],
    ),
    topic(
        Key::new("segment.ms", Long, Some("604800000"), "Age at which a segment is closed.").check(Check::AtLeast(1)),
        &[same("log.roll.ms"), times("log.roll.hours", HOUR)],
    ),
    topic(
        Key::new(
            "unclean.leader.election.enable",
            Boolean,
            Some("false"),
            "Whether a replica that is not in sync may become leader, losing records.",
        ),
        &[same("unclean.leader.election.enable")],
    ),
    topic(
        Key::new(
            "internal.segment.bytes",
            Int,
            None,
            "Test setting: size at which a segment is closed, without a lower bound.",
        )
        .internal(),
        &[],
    ),
];

/// The topic key of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static TopicKey> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static TopicKey>> =
        LazyLock::new(|| KEYS.iter().map(|topic| (topic.key.name, topic)).collect());
    BY_NAME.get(name).copied()
}

/// Checks a topic's whole set of overrides against a broker's values, in Kafka's words
/// (`LogConfig.validate`). The error belongs with INVALID_CONFIG.
pub fn validate(broker: &Values, overrides: &Values) -> Result<(), BadValue> {
    for name in overrides.keys() {
        if find(name).is_none() {
            return Err(BadValue(format!("Unknown topic config name: {name}")));
        }
    }
    for (name, text) in overrides {
        if let Some(topic) = find(name) {
            topic.key.parse(text)?;
        }
    }
    let read = |name| effective(broker, overrides, name);
    let number = |name| read(name).map_or(0, |value| value.number());
    let (min, max) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if min > max {
        return Err(BadValue(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        )));
    }
    if read("remote.storage.enable").is_some_and(|value| value.is_true()) {
        return Err(BadValue(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
                .into(),
        ));
    }
    Ok(())
}

/// A topic key's value: the override, else what the broker's keys say, else the default.
pub(super) fn effective(broker: &Values, overrides: &Values, name: &str) -> Option<Value> {
    let topic = find(name)?;
    if let Some(value) = overrides.get(name).and_then(|text| topic.key.parse(text).ok()) {
        return Some(value);
    }
    from_broker(broker, topic).or_else(|| topic.key.default_value())
}

/// What the broker's keys say for a topic key: the first synonym that is set or has a default.
pub(super) fn from_broker(broker: &Values, topic: &TopicKey) -> Option<Value> {
    topic.synonyms.iter().find_map(|synonym| {
        let value = value_of(broker, synonym.broker_key)?;
        let converted = match value {
            // Any negative retention of the broker means for ever (`KafkaConfig.logRetentionTimeMillis`).
            Value::Number(n) if topic.key.name == "retention.ms" && n < 0 => Value::Number(-1),
            Value::Number(n) => Value::Number(n.saturating_mul(synonym.times)),
            other => other,
        };
        Some(converted)
    })
}

/// What a topic without overrides gets.
pub(super) fn broker_defaults(broker: &Values) -> TopicConfig {
    resolve(broker, &Values::new())
}

/// A topic's configuration, typed. Overrides that do not parse count as not set: they were checked
/// when they were made.
pub(super) fn resolve(broker: &Values, overrides: &Values) -> TopicConfig {
    let read = |name| effective(broker, overrides, name);
    let long = |name| read(name).map_or(0, |value| value.number());
    let int = |name| i32::try_from(long(name)).unwrap_or(i32::MAX);
    let is_true = |name| read(name).is_some_and(|value| value.is_true());
    let policy = read("cleanup.policy");
    let has = |item: &str| policy.as_ref().is_some_and(|value| value.list().iter().any(|policy| policy == item));
    let throttled = |name| read(name).map_or(ThrottledReplicas::None, |value| ThrottledReplicas::parse(value.list()));
    let word = |name| read(name).map(|value| value.to_string()).unwrap_or_default();
    let segment_bytes = match read("internal.segment.bytes") {
        Some(value) => i32::try_from(value.number()).unwrap_or(i32::MAX),
        None => int("segment.bytes"),
    };
    TopicConfig {
        cleanup_delete: has("delete"),
        cleanup_compact: has("compact"),
        compression: match word("compression.type").as_str() {
            "uncompressed" => TopicCompression::Uncompressed,
            "gzip" => TopicCompression::Gzip,
            "snappy" => TopicCompression::Snappy,
            "lz4" => TopicCompression::Lz4,
            "zstd" => TopicCompression::Zstd,
            _ => TopicCompression::Producer,
        },
        gzip_level: int("compression.gzip.level"),
        lz4_level: int("compression.lz4.level"),
        zstd_level: int("compression.zstd.level"),
        delete_retention_ms: long("delete.retention.ms"),
        file_delete_delay_ms: long("file.delete.delay.ms"),
        flush_messages: long("flush.messages"),
        flush_ms: long("flush.ms"),
        follower_throttled: throttled("follower.replication.throttled.replicas"),
        index_interval_bytes: int("index.interval.bytes"),
        leader_throttled: throttled("leader.replication.throttled.replicas"),
        max_compaction_lag_ms: long("max.compaction.lag.ms"),
        min_compaction_lag_ms: long("min.compaction.lag.ms"),
        min_cleanable_dirty_ratio: match read("min.cleanable.dirty.ratio") {
            Some(Value::Double(ratio)) => ratio,
            _ => 0.5,
        },
        max_message_bytes: int("max.message.bytes"),
        timestamp_type: match word("message.timestamp.type").as_str() {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        },
        timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
        timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
        min_insync_replicas: int("min.insync.replicas"),
        preallocate: is_true("preallocate"),
        retention_bytes: long("retention.bytes"),
        retention_ms: long("retention.ms"),
        segment_bytes,
        segment_index_bytes: int("segment.index.bytes"),
        segment_jitter_ms: long("segment.jitter.ms"),
        segment_ms: long("segment.ms"),
        unclean_leader_election: is_true("unclean.leader.election.enable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NodeId, PartitionId};

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn fault(overrides: &[(&str, &str)]) -> Option<std::string::String> {
        validate(&Values::new(), &values(overrides)).err().map(|bad| bad.0)
    }

    #[test]
    fn the_replicas_that_are_throttled_are_those_that_are_named_or_all() {
        let throttled = |text: &str| {
            let set = values(&[("leader.replication.throttled.replicas", text)]);
            let config = resolve(&Values::new(), &set);
            assert_eq!(config.follower_throttled, ThrottledReplicas::None);
            let holds = |partition, node| config.leader_throttled.contains(PartitionId(partition), NodeId(node));
            [holds(0, 1), holds(0, 2), holds(7, 1)]
        };
        assert_eq!(throttled("0:1,7:3"), [true, false, false]);
        assert_eq!(throttled("*"), [true, true, true]);
        assert_eq!(throttled(""), [false, false, false]);
    }

    #[test]
    fn there_are_33_topic_keys_and_each_default_is_valid() {
        assert_eq!(KEYS.iter().filter(|topic| !topic.key.internal).count(), 33);
        for topic in KEYS {
            if let Some(default) = topic.key.default {
                assert!(topic.key.parse(default).is_ok(), "{}", topic.key.name);
            }
            assert!(topic.key.doc.ends_with('.'), "{}", topic.key.name);
            for synonym in topic.synonyms {
                assert!(super::super::broker_keys::find(synonym.broker_key).is_some(), "{}", synonym.broker_key);
            }
        }
    }

    #[test]
    fn the_brokers_defaults_and_the_topics_defaults_agree() {
        assert_eq!(broker_defaults(&Values::new()), TopicConfig::default());
        for topic in KEYS {
            if let Some(value) = from_broker(&Values::new(), topic) {
                assert_eq!(Some(value), topic.key.default_value(), "{}", topic.key.name);
            }
        }
    }

    #[test]
    fn an_override_beats_the_broker_and_the_broker_beats_the_default() {
        let broker = values(&[("log.retention.hours", "1"), ("log.cleanup.policy", "compact")]);
        let config = resolve(&broker, &values(&[("cleanup.policy", "delete"), ("segment.bytes", "1048576")]));
        assert_eq!(config.retention_ms, 3_600_000);
        assert!(config.cleanup_delete && !config.cleanup_compact);
        assert_eq!(config.segment_bytes, 1_048_576);
        assert_eq!(config.flush_messages, i64::MAX);
    }

    #[test]
    fn the_finer_unit_of_the_broker_counts() {
        let config = |pairs| resolve(&values(pairs), &Values::new());
        let retention = [("log.retention.ms", "5"), ("log.retention.minutes", "7"), ("log.retention.hours", "9")];
        assert_eq!(config(&retention).retention_ms, 5);
        assert_eq!(config(&retention[1..]).retention_ms, 7 * 60_000);
        assert_eq!(config(&retention[2..]).retention_ms, 9 * 3_600_000);
        assert_eq!(config(&[("log.retention.hours", "-5")]).retention_ms, -1);
        assert_eq!(config(&[("log.roll.hours", "2")]).segment_ms, 2 * 3_600_000);
        assert_eq!(config(&[("log.roll.jitter.hours", "1")]).segment_jitter_ms, 3_600_000);
        assert_eq!(config(&[("log.flush.scheduler.interval.ms", "300")]).flush_ms, 300);
        assert_eq!(config(&[("log.flush.scheduler.interval.ms", "300"), ("log.flush.interval.ms", "9")]).flush_ms, 9);
    }

    #[test]
    fn both_policies_or_none_may_be_set() {
        let config = |policy| resolve(&Values::new(), &values(&[("cleanup.policy", policy)]));
        assert!(config("compact,delete").cleanup_compact && config("compact,delete").cleanup_delete);
        assert!(!config("").cleanup_compact && !config("").cleanup_delete);
    }

    #[test]
    fn internal_segment_bytes_beats_segment_bytes() {
        let config = resolve(&Values::new(), &values(&[("internal.segment.bytes", "100")]));
        assert_eq!(config.segment_bytes, 100);
    }

    #[test]
    fn overrides_are_refused_in_kafkas_words() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("x", "1")], "Unknown topic config name: x"),
            (&[("message.format.version", "3.0")], "Unknown topic config name: message.format.version"),
            (&[("message.downconversion.enable", "true")], "Unknown topic config name: message.downconversion.enable"),
            (
                &[("message.timestamp.difference.max.ms", "1")],
                "Unknown topic config name: message.timestamp.difference.max.ms",
            ),
            (&[("retention.ms", "-5")], "Invalid value -5 for configuration retention.ms: Value must be at least -1"),
            (&[("retention.ms", "x")], "Invalid value x for configuration retention.ms: Not a number of type LONG"),
            (
                &[("cleanup.policy", "shrink")],
                "Invalid value shrink for configuration cleanup.policy: String must be one of: compact, delete",
            ),
            (
                &[("segment.bytes", "100")],
                "Invalid value 100 for configuration segment.bytes: Value must be at least 1048576",
            ),
            (
                &[("compression.gzip.level", "0")],
                "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
            ),
            (
                &[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")],
                "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
            ),
            (
                &[("remote.storage.enable", "true")],
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
            ),
            (
                &[("leader.replication.throttled.replicas", "a,b")],
                "Invalid value [a, b] for configuration leader.replication.throttled.replicas: \
                 leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following \
                 format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            ),
        ];
        for (overrides, expected) in cases {
            assert_eq!(fault(overrides).as_deref(), Some(*expected));
        }
        assert_eq!(fault(&[("retention.ms", "-1"), ("cleanup.policy", "compact,delete")]), None);
        assert_eq!(fault(&[("internal.segment.bytes", "100")]), None);
    }

    #[test]
    fn a_lag_conflict_with_the_brokers_value_is_seen_too() {
        let broker = values(&[("log.cleaner.max.compaction.lag.ms", "5")]);
        assert!(validate(&broker, &values(&[("min.compaction.lag.ms", "10")])).is_err());
    }
}
