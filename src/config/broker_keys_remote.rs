//! Broker keys: Tiered storage.

use super::broker_keys::reasons::TIERED;
use super::key::{Check, Key};
use super::value::Type::{Boolean, Double, Int, Long, String};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "remote.log.storage.system.enable",
        Boolean,
        Some("false"),
        "Whether old segments may move to remote storage.",
    )
    .refused("set remote.log.storage.system.enable=false: tiered storage is not supported yet"),
    Key::new(
        "remote.log.storage.manager.impl.prefix",
        String,
        Some("rsm.config."),
        "Prefix of settings for the remote storage plug-in.",
    )
    .check(Check::NotEmpty)
    .no_effect(TIERED),
    Key::new(
        "remote.log.metadata.manager.impl.prefix",
        String,
        Some("rlmm.config."),
        "Prefix of settings for the plug-in that keeps remote metadata.",
    )
    .check(Check::NotEmpty)
    .no_effect(TIERED),
    Key::new("remote.log.storage.manager.class.name", String, None, "The class of the remote storage plug-in.")
        .check(Check::NotEmpty)
        .no_effect(TIERED),
    Key::new("remote.log.storage.manager.class.path", String, None, "Where the remote storage plug-in is.")
        .no_effect(TIERED),
    Key::new(
        "remote.log.metadata.manager.class.name",
        String,
        Some("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"),
        "The class that keeps remote metadata.",
    )
    .check(Check::NotEmpty)
    .no_effect(TIERED),
    Key::new("remote.log.metadata.manager.class.path", String, None, "Where the class that keeps remote metadata is.")
        .no_effect(TIERED),
    Key::new(
        "remote.log.metadata.manager.listener.name",
        String,
        None,
        "The listener that the remote metadata plug-in connects to.",
    )
    .check(Check::NotEmpty)
    .no_effect(TIERED),
    Key::new(
        "remote.log.metadata.custom.metadata.max.bytes",
        Int,
        Some("128"),
        "Most bytes a remote storage plug-in may keep for a segment.",
    )
    .check(Check::AtLeast(0))
    .no_effect(TIERED),
    Key::new(
        "remote.log.index.file.cache.total.size.bytes",
        Long,
        Some("1073741824"),
        "Room for indexes of remote segments.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide()
    .no_effect(TIERED),
    Key::new(
        "remote.log.index.file.cache.ttl.ms",
        Long,
        Some("900000"),
        "How long indexes of remote segments are kept.",
    )
    .check(Check::AtLeast(-1))
    .internal()
    .no_effect(TIERED),
    Key::new("remote.log.manager.thread.pool.size", Int, Some("2"), "Threads that plan the work on remote segments.")
        .check(Check::AtLeast(1))
        .no_effect(TIERED),
    Key::new(
        "remote.log.manager.copier.thread.pool.size",
        Int,
        Some("10"),
        "Threads that copy segments to remote storage.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide()
    .no_effect(TIERED),
    Key::new(
        "remote.log.manager.expiration.thread.pool.size",
        Int,
        Some("10"),
        "Threads that remove segments from remote storage.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide()
    .no_effect(TIERED),
    Key::new(
        "remote.log.manager.follower.thread.pool.size",
        Int,
        Some("2"),
        "Threads that read remote metadata for followers.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide()
    .no_effect(TIERED),
    Key::new("remote.log.manager.task.interval.ms", Long, Some("30000"), "How often segments are copied and removed.")
        .check(Check::AtLeast(1))
        .no_effect(TIERED),
    Key::new("remote.log.manager.task.retry.backoff.ms", Long, Some("500"), "Pause after a failure of remote storage.")
        .check(Check::AtLeast(1))
        .internal()
        .no_effect(TIERED),
    Key::new(
        "remote.log.manager.task.retry.backoff.max.ms",
        Long,
        Some("30000"),
        "Longest pause after failures of remote storage.",
    )
    .check(Check::AtLeast(1))
    .internal()
    .no_effect(TIERED),
    Key::new("remote.log.manager.task.retry.jitter", Double, Some("0.2"), "How much the pause after a failure varies.")
        .check(Check::BetweenReal(0.0, 0.5))
        .internal()
        .no_effect(TIERED),
    Key::new("remote.log.reader.threads", Int, Some("10"), "Threads that read from remote storage.")
        .check(Check::AtLeast(1))
        .cluster_wide()
        .no_effect(TIERED),
    Key::new("remote.log.reader.max.pending.tasks", Int, Some("100"), "Most reads that wait for remote storage.")
        .check(Check::AtLeast(1))
        .no_effect(TIERED),
    Key::new(
        "log.local.retention.ms",
        Long,
        Some("-2"),
        "How long records stay on local disk once they are in remote storage; -2 is log.retention.ms.",
    )
    .check(Check::AtLeast(-2))
    .cluster_wide(),
    Key::new(
        "log.local.retention.bytes",
        Long,
        Some("-2"),
        "How much stays on local disk once it is in remote storage; -2 is log.retention.bytes.",
    )
    .check(Check::AtLeast(-2))
    .cluster_wide(),
    Key::new(
        "remote.log.manager.copy.max.bytes.per.second",
        Long,
        Some("9223372036854775807"),
        "Limit of copying to remote storage.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide()
    .no_effect(TIERED),
    Key::new("remote.log.manager.copy.quota.window.num", Int, Some("11"), "Samples over which copying is measured.")
        .check(Check::AtLeast(1))
        .no_effect(TIERED),
    Key::new("remote.log.manager.copy.quota.window.size.seconds", Int, Some("1"), "Length of a sample of copying.")
        .check(Check::AtLeast(1))
        .no_effect(TIERED),
    Key::new(
        "remote.log.manager.fetch.max.bytes.per.second",
        Long,
        Some("9223372036854775807"),
        "Limit of reading from remote storage.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide()
    .no_effect(TIERED),
    Key::new(
        "remote.log.manager.fetch.quota.window.num",
        Int,
        Some("11"),
        "Samples over which remote reading is measured.",
    )
    .check(Check::AtLeast(1))
    .no_effect(TIERED),
    Key::new(
        "remote.log.manager.fetch.quota.window.size.seconds",
        Int,
        Some("1"),
        "Length of a sample of remote reading.",
    )
    .check(Check::AtLeast(1))
    .no_effect(TIERED),
    Key::new("remote.fetch.max.wait.ms", Int, Some("500"), "How long a fetch may wait for remote storage.")
        .check(Check::AtLeast(1))
        .cluster_wide()
        .no_effect(TIERED),
    Key::new(
        "remote.list.offsets.request.timeout.ms",
        Long,
        Some("30000"),
        "How long ListOffsets may wait for remote storage.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide()
    .no_effect(TIERED),
];
