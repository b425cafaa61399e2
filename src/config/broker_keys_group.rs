//! Broker keys: Consumer groups and streams groups.

use super::broker_keys::reasons::{POOLS, STREAMS, UNDELAYED};
use super::key::{Check, Key};
use super::value::Type::{Int, List, Long, Short, String};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "group.coordinator.rebalance.protocols",
        List,
        Some("classic,consumer,streams"),
        "The group protocols that are offered.",
    )
    .check(Check::ListOf { items: &["consumer", "classic", "share", "streams"], may_be_empty: false }),
    Key::new("group.coordinator.threads", Int, Some("4"), "Threads of the group coordinator.")
        .check(Check::AtLeast(1))
        .no_effect(POOLS),
    Key::new(
        "group.coordinator.background.threads",
        Int,
        Some("2"),
        "Threads for the group coordinator's slower work.",
    )
    .check(Check::AtLeast(1))
    .no_effect(POOLS),
    Key::new(
        "group.coordinator.append.linger.ms",
        Int,
        Some("-1"),
        "How long a coordinator's write waits for company; -1 decides by load.",
    )
    .check(Check::AtLeast(-1))
    .no_effect(UNDELAYED),
    Key::new("offsets.commit.timeout.ms", Int, Some("5000"), "How long a commit of offsets may wait for its replicas.")
        .check(Check::AtLeast(1)),
    Key::new("offsets.load.buffer.size", Int, Some("5242880"), "Bytes read at once when offsets are loaded.")
        .check(Check::AtLeast(1)),
    Key::new(
        "offsets.topic.replication.factor",
        Short,
        Some("3"),
        "Replicas of the offsets topic; unless it is set, 1 for a node alone.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "offsets.topic.num.partitions",
        Int,
        Some("50"),
        "Partitions of the offsets topic; must not change later.",
    )
    .check(Check::AtLeast(1)),
    Key::new("offsets.topic.segment.bytes", Int, Some("104857600"), "Segment size of the offsets topic.")
        .check(Check::AtLeast(1)),
    Key::new("offsets.topic.compression.codec", Int, Some("0"), "Compression of the offsets topic, by Kafka's number."),
    Key::new(
        "group.coordinator.cached.buffer.max.bytes",
        Int,
        Some("1048588"),
        "Largest write buffer that a coordinator keeps for the next write.",
    )
    .check(Check::AtLeast(524_288))
    .cluster_wide()
    .no_effect(UNDELAYED),
    Key::new("offset.metadata.max.bytes", Int, Some("4096"), "Longest metadata string with a committed offset."),
    Key::new("offsets.retention.minutes", Int, Some("10080"), "How long the offsets of an empty group are kept.")
        .check(Check::AtLeast(1)),
    Key::new("offsets.retention.check.interval.ms", Long, Some("600000"), "How often expired offsets are looked for.")
        .check(Check::AtLeast(1)),
    Key::new(
        "group.min.session.timeout.ms",
        Int,
        Some("6000"),
        "Shortest session timeout of a classic group's member.",
    ),
    Key::new(
        "group.max.session.timeout.ms",
        Int,
        Some("1800000"),
        "Longest session timeout of a classic group's member.",
    ),
    Key::new(
        "group.initial.rebalance.delay.ms",
        Int,
        Some("3000"),
        "How long an empty group waits for more members before its first assignment.",
    ),
    Key::new("group.max.size", Int, Some("2147483647"), "Most members of a classic group.").check(Check::AtLeast(1)),
    Key::new(
        "group.consumer.session.timeout.ms",
        Int,
        Some("45000"),
        "A consumer group's member that is silent for this long is removed.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "group.consumer.min.session.timeout.ms",
        Int,
        Some("45000"),
        "Shortest session timeout that a consumer group may configure.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "group.consumer.max.session.timeout.ms",
        Int,
        Some("60000"),
        "Longest session timeout that a consumer group may configure.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "group.consumer.heartbeat.interval.ms",
        Int,
        Some("5000"),
        "How often a consumer group's members send heartbeats.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "group.consumer.min.heartbeat.interval.ms",
        Int,
        Some("5000"),
        "Shortest heartbeat interval that a consumer group may configure.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "group.consumer.max.heartbeat.interval.ms",
        Int,
        Some("15000"),
        "Longest heartbeat interval that a consumer group may configure.",
    )
    .check(Check::AtLeast(1)),
    Key::new("group.consumer.max.size", Int, Some("2147483647"), "Most members of a consumer group.")
        .check(Check::AtLeast(1)),
    Key::new(
        "group.consumer.assignors",
        List,
        Some("uniform,range"),
        "Assignment strategies for consumer groups; the first is the default.",
    )
    .check(Check::Distinct { may_be_empty: false }),
    Key::new(
        "group.consumer.migration.policy",
        String,
        Some("bidirectional"),
        "Which way groups may change between the classic and the consumer protocol.",
    )
    .check(Check::OneOfIgnoringCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"])),
    Key::new(
        "group.consumer.assignment.interval.ms",
        Int,
        Some("1000"),
        "Least time between two assignments of a consumer group.",
    )
    .check(Check::AtLeast(0))
    .cluster_wide(),
    Key::new(
        "group.consumer.min.assignment.interval.ms",
        Int,
        Some("0"),
        "Shortest assignment interval that a consumer group may configure.",
    )
    .check(Check::AtLeast(0)),
    Key::new(
        "group.consumer.max.assignment.interval.ms",
        Int,
        Some("15000"),
        "Longest assignment interval that a consumer group may configure.",
    )
    .check(Check::AtLeast(0)),
    Key::new(
        "group.consumer.regex.refresh.interval.ms",
        Int,
        Some("600000"),
        "How often subscriptions by pattern are compared with the topics.",
    )
    .check(Check::AtLeast(10_000))
    .internal(),
    Key::new(
        "group.streams.session.timeout.ms",
        Int,
        Some("45000"),
        "A streams group's member that is silent for this long is removed.",
    )
    .check(Check::AtLeast(1))
    .no_effect(STREAMS),
    Key::new(
        "group.streams.min.session.timeout.ms",
        Int,
        Some("45000"),
        "Shortest session timeout that a streams group may configure.",
    )
    .check(Check::AtLeast(1))
    .no_effect(STREAMS),
    Key::new(
        "group.streams.max.session.timeout.ms",
        Int,
        Some("60000"),
        "Longest session timeout that a streams group may configure.",
    )
    .check(Check::AtLeast(1))
    .no_effect(STREAMS),
    Key::new(
        "group.streams.heartbeat.interval.ms",
        Int,
        Some("5000"),
        "How often a streams group's members send heartbeats.",
    )
    .check(Check::AtLeast(1))
    .no_effect(STREAMS),
    Key::new(
        "group.streams.min.heartbeat.interval.ms",
        Int,
        Some("5000"),
        "Shortest heartbeat interval that a streams group may configure.",
    )
    .check(Check::AtLeast(1))
    .no_effect(STREAMS),
    Key::new(
        "group.streams.max.heartbeat.interval.ms",
        Int,
        Some("15000"),
        "Longest heartbeat interval that a streams group may configure.",
    )
    .check(Check::AtLeast(1))
    .no_effect(STREAMS),
    Key::new("group.streams.max.size", Int, Some("2147483647"), "Most members of a streams group.")
        .check(Check::AtLeast(1))
        .no_effect(STREAMS),
    Key::new("group.streams.num.standby.replicas", Int, Some("0"), "Standby copies of each streams task.")
        .check(Check::AtLeast(0))
        .no_effect(STREAMS),
    Key::new(
        "group.streams.max.standby.replicas",
        Int,
        Some("2"),
        "Most standby copies that a streams group may configure.",
    )
    .check(Check::AtLeast(0))
    .no_effect(STREAMS),
    Key::new(
        "group.streams.initial.rebalance.delay.ms",
        Int,
        Some("3000"),
        "How long an empty streams group waits for more members.",
    )
    .check(Check::AtLeast(0))
    .no_effect(STREAMS),
    Key::new(
        "group.streams.assignment.interval.ms",
        Int,
        Some("1000"),
        "Least time between two assignments of a streams group.",
    )
    .check(Check::AtLeast(0))
    .cluster_wide()
    .no_effect(STREAMS),
    Key::new(
        "group.streams.min.assignment.interval.ms",
        Int,
        Some("0"),
        "Shortest assignment interval that a streams group may configure.",
    )
    .check(Check::AtLeast(0))
    .no_effect(STREAMS),
    Key::new(
        "group.streams.max.assignment.interval.ms",
        Int,
        Some("15000"),
        "Longest assignment interval that a streams group may configure.",
    )
    .check(Check::AtLeast(0))
    .no_effect(STREAMS),
];
