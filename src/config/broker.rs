//! A broker's configuration at one moment: static values with the dynamic ones on top.
//!
//! Strongest first: dynamic values of this broker, dynamic defaults of the cluster, static values
//! (file, environment, command line), defaults. A dynamic value also hides weaker values under
//! the other names of the same thing: a dynamic `log.roll.ms` hides a static `log.roll.hours`.

use super::broker_keys::{self, base_name};
use super::key::{Key, Support, Update};
use super::settings::Settings;
use super::topic::TopicConfig;
use super::value::{self, BadValue, Value};
use super::{ConfigError, build, topic_keys};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values by key.
pub type Values = BTreeMap<String, String>;

/// One consistent configuration. Immutable; [`Live`] holds the present one.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    pub(super) given: Arc<Values>,
    pub(super) cluster: Values,
    pub(super) broker: Values,
    /// What is in effect, less the defaults (Kafka's `originals`).
    pub(super) effective: Values,
    settings: Arc<Settings>,
    topic_defaults: Arc<TopicConfig>,
}

impl BrokerConfig {
    /// From static values alone. Fails on a value that is wrong, refused, or at odds with another.
    pub fn new(given: Values) -> Result<BrokerConfig, ConfigError> {
        BrokerConfig::for_host(given, "localhost", None)
    }

    /// The same node, of this cluster.
    #[must_use]
    pub fn in_cluster(mut self, id: String) -> BrokerConfig {
        Arc::make_mut(&mut self.settings).cluster_id = Some(id);
        self
    }

    /// As [`BrokerConfig::new`]; `hostname` is what is advertised for a listener on all interfaces.
    pub(super) fn for_host(
        mut given: Values,
        hostname: &str,
        cluster_id: Option<String>,
    ) -> Result<BrokerConfig, ConfigError> {
        // broker.id and node.id are two names of one thing.
        for (name, other) in [("broker.id", "node.id"), ("node.id", "broker.id")] {
            if let (None, Some(value)) = (given.get(name), given.get(other)) {
                let value = value.clone();
                given.insert(name.to_owned(), value);
            }
        }
        tolerate_trailing_commas(&mut given);
        let settings = build::settings(&given, hostname, cluster_id)?;
        let topic_defaults = topic_keys::broker_defaults(&given);
        Ok(BrokerConfig {
            effective: given.clone(),
            given: Arc::new(given),
            cluster: Values::new(),
            broker: Values::new(),
            settings: Arc::new(settings),
            topic_defaults: Arc::new(topic_defaults),
        })
    }

    /// The same static values with other dynamic ones. Values that cannot be used are left out and
    /// named, with the reason: the metadata log may hold what an older version accepted.
    #[must_use]
    pub fn with_dynamic(&self, cluster: Values, broker: Values) -> (BrokerConfig, Vec<String>) {
        let mut left_out = Vec::new();
        let mut usable = |values: Values, per_broker: bool| -> Values {
            values
                .into_iter()
                .filter(|(name, text)| match dynamic_fault(name, text, per_broker) {
                    None => true,
                    Some(fault) => {
                        left_out.push(format!("{name}: {fault}"));
                        false
                    }
                })
                .collect()
        };
        let cluster = usable(cluster, false);
        let broker = usable(broker, true);
        let mut effective = (*self.given).clone();
        overlay(&mut effective, &cluster);
        overlay(&mut effective, &broker);
        let settings = match build::dynamic(&self.settings, &effective) {
            Ok(settings) => Arc::new(settings),
            Err(fault) => {
                left_out.push(fault.for_client());
                Arc::clone(&self.settings)
            }
        };
        let topic_defaults = Arc::new(topic_keys::broker_defaults(&effective));
        let given = Arc::clone(&self.given);
        (BrokerConfig { given, cluster, broker, effective, settings, topic_defaults }, left_out)
    }

    /// As [`BrokerConfig::with_dynamic`], where all dynamic values of this broker (`per_broker`), or of all, become these.
    #[must_use]
    pub fn proposed(&self, proposed: &Values, per_broker: bool) -> (BrokerConfig, Vec<String>) {
        if per_broker {
            self.with_dynamic(self.cluster.clone(), proposed.clone())
        } else {
            self.with_dynamic(proposed.clone(), self.broker.clone())
        }
    }

    #[must_use]
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// What a topic without configuration of its own gets.
    #[must_use]
    pub fn topic_defaults(&self) -> &Arc<TopicConfig> {
        &self.topic_defaults
    }

    /// What a topic with these overrides gets. Shares the defaults where there are none.
    #[must_use]
    pub fn topic(&self, overrides: &Values) -> Arc<TopicConfig> {
        if overrides.is_empty() {
            return Arc::clone(&self.topic_defaults);
        }
        Arc::new(topic_keys::resolve(&self.effective, overrides))
    }

    /// The value of a broker key in effect; `None` is Kafka's null.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Value> {
        value_of(&self.effective, name)
    }

    /// The values in effect that somebody set, dynamic ones included.
    #[must_use]
    pub fn effective(&self) -> &Values {
        &self.effective
    }
}

/// The configuration of a running broker.
#[derive(Debug)]
pub struct Live(ArcSwap<BrokerConfig>);

impl Live {
    #[must_use]
    pub fn new(config: BrokerConfig) -> Live {
        Live(ArcSwap::from_pointee(config))
    }

    /// The present configuration. Cheap: no lock.
    #[must_use]
    pub fn load(&self) -> Arc<BrokerConfig> {
        self.0.load_full()
    }

    /// Takes new dynamic values: those of the cluster and those of this broker, whole. Returns what
    /// had to be left out, for the log.
    pub fn set_dynamic(&self, cluster: Values, broker: Values) -> Vec<String> {
        let (next, left_out) = self.load().with_dynamic(cluster, broker);
        self.0.store(Arc::new(next));
        left_out
    }
}

/// The value of `name` in `values`, or its default. What does not parse counts as not set; values
/// were checked when they came in.
pub(super) fn value_of(values: &Values, name: &str) -> Option<Value> {
    let key = broker_keys::find(name)?;
    match values.get(name) {
        Some(text) => key.parse(text).ok().or_else(|| key.default_value()),
        None => key.default_value(),
    }
}

/// `parse` for a key, known by its own name or behind a listener prefix.
pub(super) fn key_of(name: &str) -> Option<&'static Key> {
    broker_keys::find(name).or_else(|| {
        let base = base_name(name)?;
        broker_keys::find(base).or_else(|| {
            // listener.name.<listener>.<mechanism>.<key>
            MECHANISM_KEYS.iter().find(|key| base.ends_with(*key)).and_then(|key| broker_keys::find(key))
        })
    })
}

const MECHANISM_KEYS: [&str; 5] = [
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.server.callback.handler.class",
    "connections.max.reauth.ms",
];

/// All names of the thing that `name` names, strongest first (`DynamicBrokerConfig.brokerConfigSynonyms`).
pub(super) fn synonyms(name: &str) -> Vec<&str> {
    const GROUPS: [&[&str]; 3] = [
        &["log.roll.ms", "log.roll.hours"],
        &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
    ];
    if let Some(group) = GROUPS.iter().find(|group| group.contains(&name)) {
        return group.to_vec();
    }
    if name == "log.flush.interval.ms" {
        return vec![name, "log.flush.scheduler.interval.ms"];
    }
    vec![name]
}

/// As [`synonyms`], and the base key of a key with a listener prefix.
pub(super) fn synonyms_with_base(name: &str) -> Vec<&str> {
    match base_name(name) {
        Some(base) => {
            let known = MECHANISM_KEYS.iter().find(|key| base.ends_with(*key)).copied();
            vec![name, known.unwrap_or(base)]
        }
        None => synonyms(name),
    }
}

fn overlay(values: &mut Values, over: &Values) {
    for (name, value) in over {
        for synonym in synonyms(name) {
            values.remove(synonym);
        }
        values.insert(name.clone(), value.clone());
    }
}

/// Why a dynamic value cannot be used; `None` if it can.
pub(super) fn dynamic_fault(name: &str, text: &str, per_broker: bool) -> Option<String> {
    // A key that Kafka does not know is kept and shown, and means nothing.
    let key = key_of(name)?;
    if key.update == Update::ReadOnly {
        return Some("cannot be updated dynamically".into());
    }
    let own_name = broker_keys::find(name).is_some();
    if !per_broker && key.update == Update::PerBroker {
        return Some("must be set for one broker".into());
    }
    let parsed = if own_name { key.parse(text) } else { value::parse(name, text, key.of) };
    match parsed {
        Err(BadValue(fault)) => Some(fault),
        Ok(value) => refusal(key, &value),
    }
}

/// What to do instead, where a key is refused with any value but its default.
pub(super) fn refusal(key: &Key, value: &Value) -> Option<String> {
    match key.support {
        Support::Refused(instead) if key.default_value().as_ref() != Some(value) && value.to_string() != "" => {
            Some(format!("{} is not supported: {instead}", key.name))
        }
        _ => None,
    }
}

/// Testcontainers writes `PLAINTEXT://h:1,BROKER://h:2,`. Kafka refuses the empty item that some of
/// its own list checks see there; nobody means anything by it.
fn tolerate_trailing_commas(given: &mut Values) {
    for name in ["listeners", "advertised.listeners", "listener.security.protocol.map", "controller.listener.names"] {
        if let Some(text) = given.get_mut(name) {
            let items: Vec<&str> = value::split_list(text).filter(|item| !item.is_empty()).collect();
            *text = items.join(",");
        }
    }
}
