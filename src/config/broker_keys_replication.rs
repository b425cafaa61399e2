//! Broker keys: Replication, elections and traffic between brokers.

use super::broker_keys::reasons::{ALONE, PURGATORY, TIERED};
use super::key::{Check, Key};
use super::value::Type::{Boolean, Int, Long, String};

pub(super) const KEYS: &[Key] = &[
    Key::new("controller.socket.timeout.ms", Int, Some("30000"), "Socket timeout of connections to controllers.")
        .no_effect(ALONE),
    Key::new("default.replication.factor", Int, Some("1"), "Replicas of a topic that is created without a number."),
    Key::new(
        "replica.lag.time.max.ms",
        Long,
        Some("30000"),
        "A follower that is behind for this long leaves the in-sync replicas.",
    ),
    Key::new("replica.socket.timeout.ms", Int, Some("30000"), "Socket timeout of fetches by followers."),
    Key::new("replica.socket.receive.buffer.bytes", Int, Some("65536"), "Receive buffer of fetches by followers.")
        .no_effect(ALONE),
    Key::new("replica.fetch.max.bytes", Int, Some("1048576"), "Bytes that a follower asks for of each partition.")
        .check(Check::AtLeast(0)),
    Key::new("replica.fetch.wait.max.ms", Int, Some("500"), "How long a follower's fetch may wait for data."),
    Key::new("replica.fetch.backoff.ms", Int, Some("1000"), "Pause of a follower after a failed fetch.")
        .check(Check::AtLeast(0)),
    Key::new("replica.fetch.min.bytes", Int, Some("1"), "Bytes for which a follower's fetch waits."),
    Key::new("replica.fetch.response.max.bytes", Int, Some("10485760"), "Bytes that a follower asks for in one fetch.")
        .check(Check::AtLeast(0)),
    Key::new("num.replica.fetchers", Int, Some("1"), "Connections to each leader for fetching as follower.")
        .check(Check::AtLeast(1))
        .cluster_wide(),
    Key::new(
        "replica.high.watermark.checkpoint.interval.ms",
        Long,
        Some("5000"),
        "How often high watermarks are written to disk.",
    ),
    Key::new(
        "fetch.purgatory.purge.interval.requests",
        Int,
        Some("1000"),
        "How many finished fetches are kept before they are cleared.",
    )
    .no_effect(PURGATORY),
    Key::new(
        "producer.purgatory.purge.interval.requests",
        Int,
        Some("1000"),
        "How many finished produce requests are kept before they are cleared.",
    )
    .no_effect(PURGATORY),
    Key::new(
        "delete.records.purgatory.purge.interval.requests",
        Int,
        Some("1"),
        "How many finished DeleteRecords requests are kept before they are cleared.",
    )
    .no_effect(PURGATORY),
    Key::new(
        "auto.leader.rebalance.enable",
        Boolean,
        Some("true"),
        "Whether leadership returns to preferred replicas by itself.",
    ),
    Key::new(
        "leader.imbalance.check.interval.seconds",
        Long,
        Some("300"),
        "How often the balance of leaders is checked.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "unclean.leader.election.interval.ms",
        Long,
        Some("300000"),
        "How often partitions without a leader are considered for an unclean election.",
    )
    .check(Check::AtLeast(1))
    .internal(),
    Key::new(
        "unclean.leader.election.enable",
        Boolean,
        Some("false"),
        "Whether a replica that is not in sync may become leader, losing records.",
    )
    .cluster_wide(),
    Key::new(
        "security.inter.broker.protocol",
        String,
        Some("PLAINTEXT"),
        "Security protocol between brokers, where no listener is named for it.",
    )
    .check(Check::OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])),
    Key::new("inter.broker.listener.name", String, None, "The listener that brokers use among themselves."),
    Key::new("replica.selector.class", String, None, "How the replica is chosen that a consumer reads from.").check(
        Check::OneOf(&[
            "org.apache.kafka.common.replica.LeaderSelector",
            "org.apache.kafka.common.replica.RackAwareReplicaSelector",
        ]),
    ),
    Key::new(
        "follower.fetch.last.tiered.offset.enable",
        Boolean,
        Some("false"),
        "Whether a new follower begins at the last offset that is in remote storage.",
    )
    .cluster_wide()
    .no_effect(TIERED),
];
