//! Broker keys: Quotas and metrics.

use super::broker_keys::reasons::{INSTRUMENTS, JAVA, REPORTERS};
use super::key::{Check, Key};
use super::value::Type::{Class, Int, List, Long, String};

pub(super) const KEYS: &[Key] = &[
    Key::new("quota.window.num", Int, Some("11"), "Samples over which client quotas are measured.")
        .check(Check::AtLeast(1)),
    Key::new("replication.quota.window.num", Int, Some("11"), "Samples over which replication quotas are measured.")
        .check(Check::AtLeast(1)),
    Key::new(
        "alter.log.dirs.replication.quota.window.num",
        Int,
        Some("11"),
        "Samples over which moves between log directories are measured.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "controller.quota.window.num",
        Int,
        Some("11"),
        "Samples over which quotas on topic changes are measured.",
    )
    .check(Check::AtLeast(1)),
    Key::new("quota.window.size.seconds", Int, Some("1"), "Length of a sample of client quotas.")
        .check(Check::AtLeast(1)),
    Key::new("replication.quota.window.size.seconds", Int, Some("1"), "Length of a sample of replication quotas.")
        .check(Check::AtLeast(1)),
    Key::new(
        "alter.log.dirs.replication.quota.window.size.seconds",
        Int,
        Some("1"),
        "Length of a sample of moves between log directories.",
    )
    .check(Check::AtLeast(1)),
    Key::new("controller.quota.window.size.seconds", Int, Some("1"), "Length of a sample of quotas on topic changes.")
        .check(Check::AtLeast(1)),
    Key::new("client.quota.callback.class", Class, None, "The class that decides which quota applies to a client.")
        .refused(JAVA),
    Key::new("metrics.num.samples", Int, Some("2"), "Samples that a rate is computed from.")
        .check(Check::AtLeast(1))
        .no_effect(INSTRUMENTS),
    Key::new("metrics.sample.window.ms", Long, Some("30000"), "Length of a sample.")
        .check(Check::AtLeast(1))
        .no_effect(INSTRUMENTS),
    Key::new(
        "metric.reporters",
        List,
        Some("org.apache.kafka.common.metrics.JmxReporter"),
        "Java classes that receive metrics.",
    )
    .check(Check::Distinct { may_be_empty: true })
    .cluster_wide()
    .no_effect(REPORTERS),
    Key::new("metrics.recording.level", String, Some("INFO"), "How detailed metrics are.").no_effect(INSTRUMENTS),
    Key::new("kafka.metrics.reporters", List, Some(""), "Java classes that receive the older kind of metrics.")
        .check(Check::Distinct { may_be_empty: true })
        .no_effect(REPORTERS),
    Key::new("kafka.metrics.polling.interval.secs", Int, Some("10"), "How often the older reporters are called.")
        .check(Check::AtLeast(1))
        .no_effect(REPORTERS),
    Key::new("telemetry.max.bytes", Int, Some("1048576"), "Largest telemetry message of a client.")
        .check(Check::AtLeast(1))
        .no_effect("Clients are not asked for their metrics."),
];
