//! May these dynamic broker values be set? Kafka's order of checks and its texts
//! (`DynamicBrokerConfig.validate`), plus what only we cannot do.

use super::broker::{BrokerConfig, Values, key_of, refusal};
use super::broker_keys::{self, base_name};
use super::groups;
use super::key::Update;
use super::value::{self, BadValue};

/// Only per listener, with its prefix.
const PER_LISTENER_ONLY: [&str; 10] = [
    "ssl.keystore.type",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.key.password",
    "ssl.keystore.key",
    "ssl.keystore.certificate.chain",
    "ssl.truststore.type",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.certificates",
];

/// Behind a listener's prefix these may be set for the whole cluster; everything else only per broker.
const CLUSTER_LEVEL: [&str; 3] = ["max.connections", "max.connection.creation.rate", "num.network.threads"];

/// Kafka changes these at most by a factor of two at a time.
const THREADS: [&str; 5] = [
    "num.io.threads",
    "num.network.threads",
    "num.replica.fetchers",
    "num.recovery.threads.per.data.dir",
    "background.threads",
];

/// Changing these needs sockets to be bound again, which only a restart does here.
const RESTART: [&str; 2] = ["listeners", "listener.security.protocol.map"];

/// Checks the whole set of dynamic values that a broker (`per_broker`) or all brokers would have. The error
/// belongs with INVALID_REQUEST.
pub fn validate_dynamic_broker(config: &BrokerConfig, proposed: &Values, per_broker: bool) -> Result<(), BadValue> {
    let named = |matches: &dyn Fn(&str) -> bool| -> Vec<&str> {
        proposed.keys().map(String::as_str).filter(|name| matches(name)).collect()
    };
    let refuse = |names: Vec<&str>, text: &str| match names.is_empty() {
        true => Ok(()),
        false => Err(BadValue(format!("{text}: [{}]", names.join(", ")))),
    };
    refuse(
        named(&|name| broker_keys::find(name).is_some_and(|key| key.update == Update::ReadOnly)),
        "Cannot update these configs dynamically",
    )?;
    refuse(
        named(&|name| PER_LISTENER_ONLY.contains(&name)),
        "These security configs can be dynamically updated only per-listener using the listener prefix",
    )?;
    for (name, text) in proposed {
        // As Kafka: a value behind a listener prefix is checked as the base key, and a value behind a
        // listener and a mechanism is not checked.
        let base = base_name(name).unwrap_or(name);
        if let Some(key) = broker_keys::find(base).filter(|key| key.update != Update::ReadOnly) {
            key.parse(text)?;
        }
    }
    if !per_broker {
        refuse(
            named(&|name| match base_name(name) {
                Some(base) => !CLUSTER_LEVEL.contains(&base),
                None => broker_keys::find(name).is_some_and(|key| key.update == Update::PerBroker),
            }),
            "Cannot update these configs at default cluster level, broker id must be specified",
        )?;
    }
    for (name, text) in proposed {
        supported(config, name, text)?;
    }
    let (next, left_out) = config.proposed(proposed, per_broker);
    if let Some(fault) = left_out.into_iter().next() {
        return Err(BadValue(fault));
    }
    if let Some(fault) = groups::fault(&next.effective) {
        return Err(BadValue(fault));
    }
    for name in THREADS {
        let count = |config: &BrokerConfig| config.value(name).map_or(1, |value| value.number());
        let (old, new) = (count(config), count(&next));
        let wrong = if new < old / 2 {
            "should be at least half the current value"
        } else if new > old.saturating_mul(2) {
            "should not be greater than double the current value"
        } else {
            continue;
        };
        // Kafka hands its own exception over as the "value" of a fault; clients see this text.
        return Err(BadValue(format!(
            "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation \
             failed for {name}={new}, value {wrong} {old} for configuration Invalid dynamic configuration"
        )));
    }
    cleaner_threads(config, &next)
}

/// `LogCleaner.validateReconfiguration`.
fn cleaner_threads(config: &BrokerConfig, next: &BrokerConfig) -> Result<(), BadValue> {
    let count = |config: &BrokerConfig| config.value("log.cleaner.threads").map_or(1, |value| value.number());
    let (old, new) = (count(config), count(next));
    let fault = if new == old {
        return Ok(());
    } else if new < 1 {
        "Log cleaner threads should be at least 1".to_owned()
    } else if new < old / 2 {
        format!("Log cleaner threads cannot be reduced to less than half the current value {old}")
    } else if new > old.saturating_mul(2) {
        format!("Log cleaner threads cannot be increased to more than double the current value {old}")
    } else {
        return Ok(());
    };
    // Kafka hands its own exception over as the "value" of a fault; clients see this text.
    Err(BadValue(format!(
        "Invalid value org.apache.kafka.common.config.ConfigException: {fault} for configuration Invalid dynamic \
         configuration"
    )))
}

/// What Kafka could do and we cannot.
fn supported(config: &BrokerConfig, name: &str, text: &str) -> Result<(), BadValue> {
    let Some(key) = key_of(name) else {
        return Ok(());
    };
    let parsed = value::parse(name, text, key.of)?;
    if RESTART.contains(&name) && config.value(name).as_ref() != Some(&parsed) {
        return Err(BadValue(format!(
            "{name} cannot change while the broker runs: set it in server.properties and restart the broker"
        )));
    }
    match refusal(key, &parsed) {
        Some(sentence) => Err(BadValue(sentence)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn fault(pairs: &[(&str, &str)], per_broker: bool) -> Option<String> {
        let config = BrokerConfig::new(Values::new()).unwrap();
        validate_dynamic_broker(&config, &values(pairs), per_broker).err().map(|bad| bad.0)
    }

    #[test]
    fn what_kafka_allows_is_allowed() {
        for (name, value) in [
            ("log.retention.ms", "1000"),
            ("message.max.bytes", "2000"),
            ("max.connections", "100"),
            ("listener.name.plaintext.max.connections", "10"),
            ("max.connection.creation.rate", "5"),
            ("listener.name.plaintext.max.connection.creation.rate", "5"),
            ("log.cleaner.threads", "2"),
            ("num.io.threads", "16"),
            ("leader.replication.throttled.rate", "1000"),
            ("some.unknown.key", "x"),
            ("listeners", "PLAINTEXT://localhost:9092"),
            ("sasl.kerberos.kinit.cmd", "/bin/true"),
            ("sasl.kerberos.ticket.renew.window.factor", "0.5"),
            ("sasl.kerberos.ticket.renew.jitter", "0.1"),
            ("sasl.kerberos.min.time.before.relogin", "58000"),
        ] {
            assert_eq!(fault(&[(name, value)], true), None, "{name}");
        }
        assert_eq!(fault(&[("log.retention.ms", "1000")], false), None);
    }

    #[test]
    fn what_kafka_refuses_is_refused_in_its_words() {
        type Case<'a> = (&'a [(&'a str, &'a str)], bool, &'a str);
        let cases: &[Case<'_>] = &[
            (
                &[("num.partitions", "2"), ("node.id", "7"), ("log.retention.ms", "1")],
                true,
                "Cannot update these configs dynamically: [node.id, num.partitions]",
            ),
            (&[("admin.listener", "")], true, "Cannot update these configs dynamically: [admin.listener]"),
            (
                &[("ssl.keystore.location", "/k")],
                true,
                "These security configs can be dynamically updated only per-listener using the listener prefix: \
                 [ssl.keystore.location]",
            ),
            (
                &[("log.retention.ms", "x")],
                true,
                "Invalid value x for configuration log.retention.ms: Not a number of type LONG",
            ),
            (
                &[("message.max.bytes", "-1")],
                true,
                "Invalid value -1 for configuration message.max.bytes: Value must be at least 0",
            ),
            (
                &[("listeners", "PLAINTEXT://localhost:9092")],
                false,
                "Cannot update these configs at default cluster level, broker id must be specified: [listeners]",
            ),
            (
                &[("listener.name.a.ssl.client.auth", "none")],
                false,
                "Cannot update these configs at default cluster level, broker id must be specified: \
                 [listener.name.a.ssl.client.auth]",
            ),
            (
                &[("num.io.threads", "17")],
                true,
                "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation \
                 failed for num.io.threads=17, value should not be greater than double the current value 8 for \
                 configuration Invalid dynamic configuration",
            ),
            (
                &[("num.io.threads", "3")],
                true,
                "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation \
                 failed for num.io.threads=3, value should be at least half the current value 8 for configuration \
                 Invalid dynamic configuration",
            ),
            (
                &[("log.cleaner.threads", "3")],
                true,
                "Invalid value org.apache.kafka.common.config.ConfigException: Log cleaner threads cannot be increased \
                 to more than double the current value 1 for configuration Invalid dynamic configuration",
            ),
            (
                &[("log.cleaner.threads", "0")],
                true,
                "Invalid value org.apache.kafka.common.config.ConfigException: Log cleaner threads should be at least 1 \
                 for configuration Invalid dynamic configuration",
            ),
            (
                &[("log.retention.ms", "0")],
                true,
                "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
            ),
        ];
        for (pairs, per_broker, expected) in cases {
            assert_eq!(fault(pairs, *per_broker).as_deref(), Some(*expected));
        }
    }

    #[test]
    fn what_we_cannot_do_is_refused_with_what_to_do() {
        for (name, value, expected) in [
            ("listeners", "PLAINTEXT://localhost:9999", "restart the broker"),
            ("cordoned.log.dirs", "/data", "is not supported"),
            ("config.providers", "file", "is not supported"),
            ("sasl.kerberos.service.name", "kafka", "is not supported"),
        ] {
            let fault = fault(&[(name, value)], true).unwrap_or_default();
            assert!(fault.contains(expected), "{name}: {fault:?}");
        }
    }

    #[test]
    fn a_value_at_odds_with_another_is_refused() {
        let fault =
            fault(&[("log.cleaner.min.compaction.lag.ms", "9"), ("log.cleaner.max.compaction.lag.ms", "5")], true);
        assert!(fault.unwrap().contains("log.cleaner.max.compaction.lag.ms"));
    }
}
