//! Every broker key of Kafka 4.3, in one table, by area.
//!
//! Names, types, defaults and bounds are Kafka's. Four defaults are ours, so that a start without
//! any configuration is a working broker: `node.id`, `process.roles`, `listeners` and `log.dir`
//! ([`OUR_DEFAULTS`]). What Klamm does with each key is its [`Support`](super::key::Support).

use super::broker_keys_group as group;
use super::broker_keys_log as log;
use super::broker_keys_network as network;
use super::broker_keys_node as node;
use super::broker_keys_quorum as quorum;
use super::broker_keys_quota as quota;
use super::broker_keys_remote as remote;
use super::broker_keys_replication as replication;
use super::broker_keys_security as security;
use super::broker_keys_share as share;
use super::broker_keys_txn as txn;
use super::key::{Check, Key};
use super::value::Type::{Boolean, Int, Long, String};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Why a key has no effect, or what to do instead of setting it. The second kind completes the
/// sentence "... is not supported: do this".
pub(super) mod reasons {
    pub(in crate::config) const POOLS: &str = "Work runs on one pool of threads, one for each core.";
    pub(in crate::config) const ALONE: &str = "A broker on its own has no other nodes to talk to.";
    pub(in crate::config) const INSTRUMENTS: &str = "Metrics are counters and histograms on admin.listener.";
    pub(in crate::config) const ELECTIONS: &str = "Elections are timed by controller.quorum.fetch.timeout.ms.";
    pub(in crate::config) const METALOG: &str = "The metadata log manages its own files.";
    pub(in crate::config) const PURGATORY: &str = "Requests that wait are cleared the moment they are answered.";
    pub(in crate::config) const JAVATLS: &str = "There is one implementation of TLS here.";
    pub(in crate::config) const TLSKIND: &str = "ssl.enabled.protocols says which versions are spoken.";
    pub(in crate::config) const TICKETS: &str = "No listener speaks Kerberos (GSSAPI), so there are no tickets.";
    pub(in crate::config) const REPORTERS: &str = "Java classes cannot be loaded; metrics are on admin.listener.";
    pub(in crate::config) const UNDELAYED: &str = "What a coordinator decides is written at once.";
    pub(in crate::config) const STREAMS: &str = "Streams groups are not served yet.";
    pub(in crate::config) const TXN: &str = "A first write is woken when the transaction before it is settled.";
    pub(in crate::config) const TIERED: &str = "Tiered storage is off.";

    pub(in crate::config) const JAVA: &str = "remove it: Klamm cannot load Java classes";
    pub(in crate::config) const UNSTABLE: &str = "set it to false: only released versions are offered";
    pub(in crate::config) const KERBEROS: &str = "remove it: Kerberos (GSSAPI) is not supported";
    pub(in crate::config) const LOGIN: &str = "remove it: brokers do not log in to others by OAUTHBEARER";
    pub(in crate::config) const CORDONED: &str = "remove it: cordoned log directories are not supported yet";
}

/// `admin.listener`, where nobody says.
pub(super) const ADMIN_DEFAULT: &str = "127.0.0.1:9644";

/// Keys that only we have. Not shown by DescribeConfigs unless set, so that tools print what they print for Kafka.
const OURS: &[Key] = &[
    Key::new(
        "admin.listener",
        String,
        Some(ADMIN_DEFAULT),
        "Address of the HTTP endpoint with /metrics, /healthz and /readyz; empty turns it off.",
    )
    .internal(),
    Key::new(
        "advertised.port",
        Int,
        Some("-1"),
        "Without advertised.listeners: the port that a container's port is published as; -1: the same.",
    )
    .check(Check::Between(-1, 65535))
    .internal(),
    Key::new(
        "connections.login.max.bytes",
        Long,
        Some("134217728"),
        "Most memory of all connections that have not logged in, or not finished their TLS handshake. Beyond it, the one that waits longest of the address that holds most is closed.",
    )
    .check(Check::AtLeast(1))
    .internal(),
    Key::new(
        "connections.login.timeout.ms",
        Long,
        Some("30000"),
        "A connection whose TLS handshake or login takes longer than this is closed.",
    )
    .check(Check::AtLeast(1))
    .internal(),
];

/// Keys of Kafka's authorizer. Kafka's server itself does not know them, and shows them as what it does not know.
const AUTHORIZER: &[Key] = &[
    Key::new("super.users", String, Some(""), "Principals that may do everything, between semicolons.").internal(),
    Key::new(
        "allow.everyone.if.no.acl.found",
        Boolean,
        Some("false"),
        "Whether everybody may do everything to a resource that no ACL is about.",
    )
    .internal(),
];

/// Keys that Kafka knows only as dynamic settings: unknown in `server.properties`, not described unless set.
const DYNAMIC_ONLY: &[Key] = &[
    throttle("leader.replication.throttled.rate", "Bytes a second that a leader sends for throttled replicas."),
    throttle("follower.replication.throttled.rate", "Bytes a second that a follower takes for throttled replicas."),
    throttle("replica.alter.log.dirs.io.max.bytes.per.second", "Bytes a second for moves between log directories."),
];

const fn throttle(name: &'static str, doc: &'static str) -> Key {
    Key::new(name, Long, Some("9223372036854775807"), doc).check(Check::AtLeast(0)).internal().cluster_wide()
}

/// Where our default is not Kafka's: the key, and Kafka's default (`None`: Kafka has none and requires the key).
pub const OUR_DEFAULTS: [(&str, Option<&str>); 5] = [
    ("node.id", None),
    ("process.roles", None),
    ("controller.listener.names", None),
    ("listeners", Some("PLAINTEXT://:9092")),
    ("log.dir", Some("/tmp/kafka-logs")),
];

/// All keys, area by area.
pub fn all() -> impl Iterator<Item = &'static Key> {
    let areas = [
        node::KEYS,
        network::KEYS,
        log::KEYS,
        replication::KEYS,
        group::KEYS,
        share::KEYS,
        txn::KEYS,
        quorum::KEYS,
        quota::KEYS,
        remote::KEYS,
        security::KEYS,
        DYNAMIC_ONLY,
        AUTHORIZER,
        OURS,
    ];
    areas.into_iter().flatten()
}

/// The key of that name. (Keys with a listener prefix: see [`base_name`].)
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Key>> =
        LazyLock::new(|| all().map(|key| (key.name, key)).collect());
    BY_NAME.get(name).copied()
}

/// Whether a key is one of those that exist only as dynamic settings.
pub(super) fn is_dynamic_only(name: &str) -> bool {
    DYNAMIC_ONLY.iter().any(|key| key.name == name)
}

/// Whether a key is one that only the authorizer knows.
pub(super) fn is_the_authorizers(name: &str) -> bool {
    AUTHORIZER.iter().any(|key| key.name == name)
}

/// The part after `listener.name.<listener>.`, if the name has that prefix.
#[must_use]
pub fn base_name(name: &str) -> Option<&str> {
    let (_, base) = name.strip_prefix("listener.name.")?.split_once('.')?;
    (!base.is_empty()).then_some(base)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::key::{Support, Update};
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_has_each_key_of_kafka_once() {
        let names: Vec<&str> = all().map(|key| key.name).collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len(), "a key stands twice");
        assert_eq!(names.len(), 363 + AUTHORIZER.len() + OURS.len());
        // Of the 360 static keys 20 are internal; DescribeConfigs shows the rest.
        let shown = all().filter(|key| !key.internal).count();
        assert_eq!(shown, 340);
    }

    #[test]
    fn every_default_satisfies_its_own_check() {
        for key in all() {
            if let Some(default) = key.default {
                assert!(key.parse(default).is_ok(), "{}: {:?}", key.name, key.parse(default));
                assert_eq!(key.default_value().unwrap().to_string(), default, "{} is not canonical", key.name);
            }
        }
    }

    #[test]
    fn every_key_is_documented_in_one_sentence() {
        for key in all() {
            assert!(key.doc.ends_with('.') && !key.doc.contains('\n'), "{}: {:?}", key.name, key.doc);
            match key.support {
                Support::NoEffect(reason) => assert!(reason.ends_with('.'), "{}", key.name),
                Support::Refused(instead) => assert!(!instead.ends_with('.'), "{}", key.name),
                Support::Honoured => {}
            }
        }
    }

    #[test]
    fn the_dynamic_keys_are_kafkas() {
        let count = |update: Update| all().filter(|key| key.update == update).count();
        assert_eq!(count(Update::PerBroker) + count(Update::ClusterWide), 102);
        assert_eq!(find("listeners").unwrap().update, Update::PerBroker);
        assert_eq!(find("log.retention.ms").unwrap().update, Update::ClusterWide);
        assert_eq!(find("log.retention.hours").unwrap().update, Update::ReadOnly);
        assert_eq!(find("node.id").unwrap().update, Update::ReadOnly);
    }

    #[test]
    fn listener_prefixes_are_cut_off() {
        assert_eq!(base_name("listener.name.external.max.connections"), Some("max.connections"));
        assert_eq!(
            base_name("listener.name.tc-0.scram-sha-256.sasl.jaas.config"),
            Some("scram-sha-256.sasl.jaas.config")
        );
        assert_eq!(base_name("listener.name.external"), None);
        assert_eq!(base_name("max.connections"), None);
    }
}
