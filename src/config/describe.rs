//! What DescribeConfigs answers: every entry with its value, source and synonyms, as Kafka's
//! `ConfigHelper` makes them, peculiarities included.
//!
//! One peculiarity that looks like a fault here: a topic's `retention.ms` on a broker where only
//! `log.retention.hours` is set is shown with source DEFAULT_CONFIG and without synonyms. Kafka looks
//! the source up under the finest unit's name.

use super::broker::{BrokerConfig, Values, key_of, synonyms_with_base};
use super::broker_keys;
use super::entity_keys::{self, CLIENT_METRICS_KEYS, GROUP_KEYS};
use super::key::{Key, Update};
use super::topic_keys;

/// Where a value comes from, by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    DynamicBrokerLogger = 6,
    ClientMetrics = 7,
    Group = 8,
}

impl Source {
    #[must_use]
    pub fn id(self) -> i8 {
        self as i8
    }
}

/// Another value that the same thing has somewhere, strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: String,
    pub value: Option<String>,
    pub source: Source,
}

/// One configuration of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// `None` for Kafka's null, and for secrets.
    pub value: Option<String>,
    pub source: Source,
    pub read_only: bool,
    pub sensitive: bool,
    /// The number of the type on the wire; 0 where it is not known.
    pub type_id: i8,
    pub documentation: Option<&'static str>,
    /// To be sent only where the client asked for them.
    pub synonyms: Vec<Synonym>,
}

/// A topic with these overrides: all 33 keys, and internal ones that are set.
#[must_use]
pub fn topic(config: &BrokerConfig, overrides: &Values) -> Vec<Entry> {
    topic_keys::KEYS
        .iter()
        .filter(|topic| !topic.key.internal || overrides.contains_key(topic.key.name))
        .map(|topic| {
            let key = &topic.key;
            let value = topic_keys::effective(&config.effective, overrides, key.name).map(|value| value.to_string());
            let mut synonyms = match topic.synonyms.first() {
                Some(first) => broker_synonyms(config, first.broker_key, false),
                None => Vec::new(),
            };
            own_value_first(&mut synonyms, key, overrides, &value, Source::Topic);
            entry(key, value, synonyms, false)
        })
        .collect()
}

/// A group with these overrides: all 17 keys.
#[must_use]
pub fn group(config: &BrokerConfig, overrides: &Values) -> Vec<Entry> {
    GROUP_KEYS
        .iter()
        .map(|group| {
            let key = &group.key;
            let value = entity_keys::group_value(&config.effective, overrides, group).map(|value| value.to_string());
            let mut synonyms = match group.broker_key {
                Some(broker_key) => broker_synonyms(config, broker_key, false),
                None => vec![Synonym {
                    name: key.name.to_owned(),
                    value: key.default.map(str::to_owned),
                    source: Source::Default,
                }],
            };
            own_value_first(&mut synonyms, key, overrides, &value, Source::Group);
            entry(key, value, synonyms, false)
        })
        .collect()
}

/// A client metrics subscription with these values: all 3 keys.
#[must_use]
pub fn client_metrics(overrides: &Values) -> Vec<Entry> {
    CLIENT_METRICS_KEYS
        .iter()
        .map(|key| {
            let own = overrides.get(key.name).and_then(|text| key.parse(text).ok());
            let value = own.or_else(|| key.default_value()).map(|value| value.to_string());
            let mut synonyms = Vec::new();
            own_value_first(&mut synonyms, key, overrides, &value, Source::ClientMetrics);
            entry(key, value, synonyms, false)
        })
        .collect()
}

/// This broker: every key that is not internal, and everything else that somebody set, known or not.
#[must_use]
pub fn broker(config: &BrokerConfig) -> Vec<Entry> {
    let shown = |name: &str| broker_keys::find(name).is_some_and(|key| !key.internal);
    let others = config.effective.iter().filter(|(name, _)| !shown(name));
    let others = others.map(|(name, text)| broker_entry(config, name, Some(text.clone()), true));
    let known = broker_keys::all().filter(|key| !key.internal).map(|key| {
        let value = config.value(key.name).map(|value| value.to_string());
        broker_entry(config, key.name, value, true)
    });
    others.chain(known).collect()
}

/// The dynamic defaults of all brokers: only what is set.
#[must_use]
pub fn broker_defaults(config: &BrokerConfig) -> Vec<Entry> {
    config.cluster.iter().map(|(name, text)| broker_entry(config, name, Some(text.clone()), false)).collect()
}

/// The log levels of the broker's parts.
pub fn broker_loggers<'a>(levels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Entry> {
    levels
        .into_iter()
        .map(|(name, level)| Entry {
            name: name.to_owned(),
            value: Some(level.to_owned()),
            source: Source::DynamicBrokerLogger,
            read_only: false,
            sensitive: false,
            type_id: 0,
            documentation: None,
            synonyms: Vec::new(),
        })
        .collect()
}

fn broker_entry(config: &BrokerConfig, name: &str, value: Option<String>, per_broker: bool) -> Entry {
    let known = |key: &&Key| !broker_keys::is_the_authorizers(key.name);
    let key = key_of(name).filter(known);
    // What we do not know may be a secret.
    let sensitive = key.is_none_or(Key::is_sensitive);
    let mut synonyms = broker_synonyms(config, name, sensitive);
    if !per_broker {
        synonyms.retain(|synonym| synonym.source == Source::DynamicDefaultBroker);
    }
    let own = broker_keys::find(name).filter(known);
    Entry {
        name: name.to_owned(),
        value: value.filter(|_| !sensitive),
        source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
        read_only: own.is_none_or(|key| key.update == Update::ReadOnly),
        sensitive,
        type_id: key.map_or(0, |key| key.of.id()),
        documentation: own.map(|key| key.doc),
        synonyms,
    }
}

fn entry(key: &Key, value: Option<String>, synonyms: Vec<Synonym>, read_only: bool) -> Entry {
    Entry {
        name: key.name.to_owned(),
        value,
        source: synonyms.first().map_or(Source::Default, |synonym| synonym.source),
        read_only,
        sensitive: false,
        type_id: key.of.id(),
        documentation: Some(key.doc),
        synonyms,
    }
}

fn own_value_first(synonyms: &mut Vec<Synonym>, key: &Key, overrides: &Values, value: &Option<String>, source: Source) {
    if overrides.contains_key(key.name) {
        synonyms.insert(0, Synonym { name: key.name.to_owned(), value: value.clone(), source });
    }
}

/// Every place where a broker key, or another name of the same thing, has a value. Begins with the
/// first one under `name` itself.
fn broker_synonyms(config: &BrokerConfig, name: &str, sensitive: bool) -> Vec<Synonym> {
    let names = synonyms_with_base(name);
    let mut found = Vec::new();
    let mut add = |name: &str, value: &str, source: Source| {
        let value = (!sensitive).then(|| value.to_owned());
        found.push(Synonym { name: name.to_owned(), value, source });
    };
    let levels = [
        (&config.broker, Source::DynamicBroker),
        (&config.cluster, Source::DynamicDefaultBroker),
        (&*config.given, Source::StaticBroker),
    ];
    for (values, source) in levels {
        for name in &names {
            if let Some(value) = values.get(*name) {
                add(name, value, source);
            }
        }
    }
    for name in &names {
        // Keys that are only dynamic, and our own, are no defaults of Kafka's.
        if let Some(default) =
            broker_keys::find(name).filter(|key| !broker_keys::is_dynamic_only(key.name)).and_then(|key| key.default)
        {
            add(name, default, Source::Default);
        }
    }
    found.into_iter().skip_while(|synonym| synonym.name != name).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn config(given: &[(&str, &str)], cluster: &[(&str, &str)], broker: &[(&str, &str)]) -> BrokerConfig {
        let (config, left_out) =
            BrokerConfig::new(values(given)).unwrap().with_dynamic(values(cluster), values(broker));
        assert_eq!(left_out, Vec::<String>::new());
        config
    }

    fn find(entries: &[Entry], name: &str) -> Entry {
        entries.iter().find(|entry| entry.name == name).cloned().unwrap_or_else(|| panic!("no {name}"))
    }

    /// `source: name=value, ...`, as kafka-configs prints synonyms.
    fn shown(entry: &Entry) -> Vec<String> {
        let one = |s: &Synonym| format!("{:?}:{}={}", s.source, s.name, s.value.as_deref().unwrap_or("null"));
        entry.synonyms.iter().map(one).collect()
    }

    #[test]
    fn a_topic_is_described_as_kafka_describes_it() {
        let config = config(
            &[
                ("log.retention.hours", "24"),
                ("log.cleanup.policy", "delete, compact"),
                ("log.message.timestamp.type", "LogAppendTime"),
                ("log.cleaner.min.cleanable.ratio", "0.25"),
            ],
            &[("log.retention.ms", "5000000"), ("min.insync.replicas", "1")],
            &[],
        );
        let overrides = values(&[("segment.bytes", "2000000"), ("cleanup.policy", "compact , delete")]);
        let mut lines: Vec<String> = topic(&config, &overrides)
            .iter()
            .map(|entry| {
                let synonyms = entry.synonyms.iter().map(|s| {
                    let source = match s.source {
                        Source::Topic => "DYNAMIC_TOPIC_CONFIG",
                        Source::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
                        Source::StaticBroker => "STATIC_BROKER_CONFIG",
                        _ => "DEFAULT_CONFIG",
                    };
                    format!("{source}:{}={}", s.name, s.value.as_deref().unwrap_or("null"))
                });
                let synonyms = synonyms.collect::<Vec<_>>().join(", ");
                let value = entry.value.as_deref().unwrap_or("null");
                format!("{}={value} sensitive={} synonyms={{{synonyms}}}", entry.name, entry.sensitive)
            })
            .collect();
        lines.sort();
        let golden = include_str!("testdata/describe_topic.txt");
        let golden: Vec<&str> = golden.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines, golden);
    }

    #[test]
    fn a_topic_shows_all_33_keys_even_when_none_is_set() {
        let entries = topic(&config(&[], &[], &[]), &Values::new());
        assert_eq!(entries.len(), 33);
        for entry in &entries {
            assert_eq!(entry.source, Source::Default, "{}", entry.name);
            assert!(!entry.read_only && !entry.sensitive && entry.documentation.is_some() && entry.type_id > 0);
        }
        let entry = find(&entries, "cleanup.policy");
        assert_eq!((entry.value.as_deref(), entry.type_id), (Some("delete"), 7));
        assert_eq!(shown(&entry), ["Default:log.cleanup.policy=delete"]);
        assert_eq!(find(&entries, "min.cleanable.dirty.ratio").value.as_deref(), Some("0.5"));
        assert_eq!(find(&entries, "follower.replication.throttled.replicas").value.as_deref(), Some(""));
        assert_eq!(shown(&find(&entries, "remote.storage.enable")), Vec::<String>::new());
    }

    #[test]
    fn a_topics_value_names_every_place_it_could_have_come_from() {
        let config = config(
            &[("log.segment.bytes", "2000000")],
            &[("log.segment.bytes", "3000000")],
            &[("log.segment.bytes", "4000000")],
        );
        let entries = topic(&config, &values(&[("segment.bytes", " 5000000")]));
        let entry = find(&entries, "segment.bytes");
        assert_eq!(entry.source, Source::Topic);
        assert_eq!(entry.value.as_deref(), Some("5000000"));
        assert_eq!(
            shown(&entry),
            [
                "Topic:segment.bytes=5000000",
                "DynamicBroker:log.segment.bytes=4000000",
                "DynamicDefaultBroker:log.segment.bytes=3000000",
                "StaticBroker:log.segment.bytes=2000000",
                "Default:log.segment.bytes=1073741824"
            ]
        );
        let entries = topic(&config, &Values::new());
        assert_eq!(find(&entries, "segment.bytes").value.as_deref(), Some("4000000"));
        assert_eq!(find(&entries, "segment.bytes").source, Source::DynamicBroker);
    }

    #[test]
    fn retention_in_hours_is_shown_as_kafka_shows_it() {
        let config = config(&[("log.retention.hours", "1")], &[], &[]);
        let entry = find(&topic(&config, &Values::new()), "retention.ms");
        assert_eq!(entry.value.as_deref(), Some("3600000"));
        assert_eq!((entry.source, shown(&entry)), (Source::Default, vec![]));
        let entry = find(&broker(&config), "log.retention.hours");
        assert_eq!(shown(&entry), ["StaticBroker:log.retention.hours=1", "Default:log.retention.hours=168"]);
        let entry = find(&broker(&config), "log.retention.ms");
        assert_eq!((entry.value, entry.source), (None, Source::Default));
    }

    #[test]
    fn a_dynamic_value_hides_the_static_one_of_another_unit() {
        let config = config(&[("log.retention.hours", "1")], &[("log.retention.ms", "7")], &[]);
        assert_eq!(config.topic_defaults().retention_ms, 7);
        let entry = find(&topic(&config, &Values::new()), "retention.ms");
        assert_eq!(
            shown(&entry),
            [
                "DynamicDefaultBroker:log.retention.ms=7",
                "StaticBroker:log.retention.hours=1",
                "Default:log.retention.hours=168"
            ]
        );
    }

    #[test]
    fn a_broker_shows_340_keys_and_whatever_else_was_set() {
        assert_eq!(broker(&config(&[], &[], &[])).len(), 340);
        let config = config(
            &[("my.own.key", "secret?"), ("log.initial.task.delay.ms", "5"), ("node.id", "7"), ("admin.listener", "")],
            &[],
            &[("leader.replication.throttled.rate", "10")],
        );
        let entries = broker(&config);
        assert_eq!(entries.len(), 344);
        let unknown = find(&entries, "my.own.key");
        assert_eq!((unknown.value, unknown.sensitive, unknown.type_id, unknown.read_only), (None, true, 0, true));
        assert_eq!(unknown.source, Source::StaticBroker);
        assert_eq!(find(&entries, "log.initial.task.delay.ms").value.as_deref(), Some("5"));
        // broker.id is node.id's other name, and Kafka shows it as set.
        assert_eq!(find(&entries, "broker.id").value.as_deref(), Some("7"));
        assert_eq!(find(&entries, "broker.id").source, Source::StaticBroker);
        let rate = find(&entries, "leader.replication.throttled.rate");
        assert_eq!(
            (rate.read_only, shown(&rate)),
            (false, vec!["DynamicBroker:leader.replication.throttled.rate=10".into()])
        );
    }

    #[test]
    fn passwords_are_never_shown() {
        let config = config(&[("listener.name.a.ssl.keystore.password", "hunter2")], &[], &[]);
        let entries = broker(&config);
        let entry = find(&entries, "ssl.keystore.password");
        assert!(entry.sensitive && entry.value.is_none());
        let entry = find(&entries, "listener.name.a.ssl.keystore.password");
        assert!(entry.sensitive && entry.value.is_none());
        assert!(!format!("{entries:?}").contains("hunter2"));
    }

    #[test]
    fn which_keys_can_change_is_shown() {
        let entries = broker(&config(&[], &[], &[]));
        assert!(find(&entries, "num.partitions").read_only);
        assert!(!find(&entries, "log.retention.ms").read_only);
    }

    #[test]
    fn the_cluster_defaults_show_only_what_is_set() {
        let config = config(&[("max.connections", "5")], &[("max.connections", "10")], &[("max.connections", "20")]);
        let entries = broker_defaults(&config);
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].value.as_deref(), Some("10"));
        assert_eq!(shown(&entries[0]), ["DynamicDefaultBroker:max.connections=10"]);
    }

    #[test]
    fn groups_and_client_metrics_show_their_keys() {
        let config = config(&[("group.consumer.heartbeat.interval.ms", "6000")], &[], &[]);
        let entries = group(&config, &values(&[("share.isolation.level", "read_committed")]));
        assert_eq!(entries.len(), 17);
        assert_eq!(
            shown(&find(&entries, "consumer.heartbeat.interval.ms")),
            [
                "StaticBroker:group.consumer.heartbeat.interval.ms=6000",
                "Default:group.consumer.heartbeat.interval.ms=5000"
            ]
        );
        assert_eq!(
            shown(&find(&entries, "share.isolation.level")),
            ["Group:share.isolation.level=read_committed", "Default:share.isolation.level=read_uncommitted"]
        );
        let entries = client_metrics(&values(&[("interval.ms", "1000")]));
        assert_eq!(entries.len(), 3);
        let interval = find(&entries, "interval.ms");
        assert_eq!(
            (interval.source, shown(&interval)),
            (Source::ClientMetrics, vec!["ClientMetrics:interval.ms=1000".into()])
        );
        assert_eq!(find(&entries, "metrics").source, Source::Default);
    }
}
