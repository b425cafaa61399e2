//! Broker keys: Share groups.

use super::broker_keys::reasons::{JAVA, POOLS, PURGATORY, UNDELAYED};
use super::key::{Check, Key};
use super::value::Type::{Int, List, Short, String};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "group.share.session.timeout.ms",
        Int,
        Some("45000"),
        "A share group's member that is silent for this long is removed.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "group.share.min.session.timeout.ms",
        Int,
        Some("45000"),
        "Shortest session timeout that a share group may configure.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "group.share.max.session.timeout.ms",
        Int,
        Some("60000"),
        "Longest session timeout that a share group may configure.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "group.share.heartbeat.interval.ms",
        Int,
        Some("5000"),
        "How often a share group's members send heartbeats.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "group.share.min.heartbeat.interval.ms",
        Int,
        Some("5000"),
        "Shortest heartbeat interval that a share group may configure.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "group.share.max.heartbeat.interval.ms",
        Int,
        Some("15000"),
        "Longest heartbeat interval that a share group may configure.",
    )
    .check(Check::AtLeast(1)),
    Key::new("group.share.max.size", Int, Some("200"), "Most members of a share group.").check(Check::Between(1, 1000)),
    Key::new("group.share.assignors", List, Some("simple"), "The assignment strategy of share groups.")
        .check(Check::Distinct { may_be_empty: false }),
    Key::new(
        "group.share.assignment.interval.ms",
        Int,
        Some("1000"),
        "Least time between two assignments of a share group.",
    )
    .check(Check::AtLeast(0))
    .cluster_wide(),
    Key::new(
        "group.share.min.assignment.interval.ms",
        Int,
        Some("0"),
        "Shortest assignment interval that a share group may configure.",
    )
    .check(Check::AtLeast(0)),
    Key::new(
        "group.share.max.assignment.interval.ms",
        Int,
        Some("15000"),
        "Longest assignment interval that a share group may configure.",
    )
    .check(Check::AtLeast(0)),
    Key::new(
        "group.share.initialize.retry.interval.ms",
        Int,
        Some("30000"),
        "Pause before the state of a new share partition is initialised again.",
    )
    .check(Check::AtLeast(1))
    .internal(),
    Key::new(
        "group.share.delivery.count.limit",
        Int,
        Some("5"),
        "How often a record is delivered before it counts as undeliverable.",
    )
    .check(Check::Between(2, 10)),
    Key::new(
        "group.share.max.delivery.count.limit",
        Int,
        Some("10"),
        "Highest delivery limit that a share group may configure.",
    )
    .check(Check::Between(5, 25)),
    Key::new(
        "group.share.min.delivery.count.limit",
        Int,
        Some("2"),
        "Lowest delivery limit that a share group may configure.",
    )
    .check(Check::Between(2, 5)),
    Key::new(
        "group.share.record.lock.duration.ms",
        Int,
        Some("30000"),
        "How long a delivered record stays with its consumer.",
    )
    .check(Check::Between(1000, 3_600_000)),
    Key::new(
        "group.share.min.record.lock.duration.ms",
        Int,
        Some("15000"),
        "Shortest lock that a share group may configure.",
    )
    .check(Check::Between(1000, 30_000)),
    Key::new(
        "group.share.max.record.lock.duration.ms",
        Int,
        Some("60000"),
        "Longest lock that a share group may configure.",
    )
    .check(Check::Between(30_000, 3_600_000)),
    Key::new(
        "group.share.partition.max.record.locks",
        Int,
        Some("2000"),
        "Most records of a partition that are with consumers at once.",
    )
    .check(Check::Between(100, 10_000)),
    Key::new(
        "group.share.max.partition.max.record.locks",
        Int,
        Some("4000"),
        "Highest number of locks that a share group may configure.",
    )
    .check(Check::Between(2000, 10_000)),
    Key::new(
        "group.share.min.partition.max.record.locks",
        Int,
        Some("100"),
        "Lowest number of locks that a share group may configure.",
    )
    .check(Check::Between(100, 2000)),
    Key::new(
        "share.fetch.purgatory.purge.interval.requests",
        Int,
        Some("1000"),
        "How many finished share fetches are kept before they are cleared.",
    )
    .no_effect(PURGATORY),
    Key::new("group.share.max.share.sessions", Int, Some("2000"), "Most share sessions of the broker.")
        .check(Check::AtLeast(1)),
    Key::new(
        "group.share.persister.class.name",
        String,
        Some("org.apache.kafka.server.share.persister.DefaultStatePersister"),
        "The class that keeps the state of share groups.",
    )
    .internal()
    .refused(JAVA),
    Key::new(
        "share.coordinator.state.topic.num.partitions",
        Int,
        Some("50"),
        "Partitions of the share state topic; must not change later.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "share.coordinator.state.topic.replication.factor",
        Short,
        Some("3"),
        "Replicas of the share state topic; unless it is set, 1 for a node alone.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "share.coordinator.state.topic.min.isr",
        Short,
        Some("2"),
        "In-sync replicas that a write to the share state topic needs; unless it is set, 1 for a node alone.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "share.coordinator.state.topic.segment.bytes",
        Int,
        Some("104857600"),
        "Segment size of the share state topic.",
    )
    .check(Check::AtLeast(1)),
    Key::new("share.coordinator.threads", Int, Some("1"), "Threads of the share coordinator.")
        .check(Check::AtLeast(1))
        .no_effect(POOLS),
    Key::new(
        "share.coordinator.snapshot.update.records.per.snapshot",
        Int,
        Some("500"),
        "Updates between two snapshots of a share partition's state.",
    )
    .check(Check::Between(0, 500)),
    Key::new(
        "share.coordinator.load.buffer.size",
        Int,
        Some("5242880"),
        "Bytes read at once when share state is loaded.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "share.coordinator.state.topic.compression.codec",
        Int,
        Some("0"),
        "Compression of the share state topic, by Kafka's number.",
    ),
    Key::new(
        "share.coordinator.append.linger.ms",
        Int,
        Some("-1"),
        "How long a write of share state waits for company.",
    )
    .check(Check::AtLeast(-1))
    .no_effect(UNDELAYED),
    Key::new(
        "share.coordinator.write.timeout.ms",
        Int,
        Some("5000"),
        "How long a write of share state may wait for its replicas.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "share.coordinator.state.topic.prune.interval.ms",
        Int,
        Some("300000"),
        "How often share state that is no longer needed is removed.",
    )
    .check(Check::AtLeast(1))
    .internal(),
    Key::new(
        "share.coordinator.cold.partition.snapshot.interval.ms",
        Int,
        Some("300000"),
        "How often share partitions without traffic get a snapshot.",
    )
    .check(Check::AtLeast(1))
    .internal(),
    Key::new(
        "share.coordinator.cached.buffer.max.bytes",
        Int,
        Some("1048588"),
        "Largest write buffer that the share coordinator keeps for the next write.",
    )
    .check(Check::AtLeast(524_288))
    .cluster_wide()
    .no_effect(UNDELAYED),
];
