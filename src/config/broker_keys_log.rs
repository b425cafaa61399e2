//! Broker keys: Logs on disk, and the defaults of topics.

use super::broker_keys::reasons::{ALONE, CORDONED, JAVA};
use super::key::{Check, Key};
use super::value::Type::{Boolean, Class, Double, Int, List, Long, String};

pub(super) const KEYS: &[Key] = &[
    Key::new("num.partitions", Int, Some("1"), "Partitions of a topic that is created without a number.")
        .check(Check::AtLeast(1)),
    Key::new("log.dir", List, Some("./klamm-data"), "Where data is kept, unless log.dirs is set.")
        .check(Check::Distinct { may_be_empty: false }),
    Key::new("log.dirs", List, None, "Where data is kept: directories, separated by commas.")
        .check(Check::Distinct { may_be_empty: false }),
    Key::new("cordoned.log.dirs", List, Some(""), "Log directories that take no new partitions.")
        .check(Check::Distinct { may_be_empty: true })
        .per_broker()
        .refused(CORDONED),
    Key::new("log.segment.bytes", Int, Some("1073741824"), "Size at which a log segment is closed.")
        .check(Check::AtLeast(1_048_576))
        .cluster_wide(),
    Key::new("log.roll.ms", Long, None, "Age at which a log segment is closed; log.roll.hours if not set.")
        .cluster_wide(),
    Key::new("log.roll.hours", Int, Some("168"), "Age at which a log segment is closed, in hours.")
        .check(Check::AtLeast(1)),
    Key::new(
        "log.roll.jitter.ms",
        Long,
        None,
        "A segment may be closed up to this much earlier, so that not all are closed at once.",
    )
    .cluster_wide(),
    Key::new("log.roll.jitter.hours", Int, Some("0"), "As log.roll.jitter.ms, in hours.").check(Check::AtLeast(0)),
    Key::new(
        "log.retention.ms",
        Long,
        None,
        "How long records are kept; -1 for ever. log.retention.minutes if not set.",
    )
    .cluster_wide(),
    Key::new(
        "log.retention.minutes",
        Int,
        None,
        "How long records are kept, in minutes; log.retention.hours if not set.",
    ),
    Key::new("log.retention.hours", Int, Some("168"), "How long records are kept, in hours."),
    Key::new(
        "log.retention.bytes",
        Long,
        Some("-1"),
        "How large a partition may grow before its oldest segments go; -1 without limit.",
    )
    .cluster_wide(),
    Key::new(
        "log.retention.check.interval.ms",
        Long,
        Some("300000"),
        "How often logs are checked for what may be removed.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "log.cleanup.policy",
        List,
        Some("delete"),
        "What happens to old records: delete them, compact by key, both, or nothing.",
    )
    .check(Check::ListOf { items: &["compact", "delete"], may_be_empty: true })
    .cluster_wide(),
    Key::new("log.index.size.max.bytes", Int, Some("10485760"), "Largest offset index of a segment.")
        .check(Check::AtLeast(4))
        .cluster_wide(),
    Key::new("log.index.interval.bytes", Int, Some("4096"), "An index entry is added after this many bytes.")
        .check(Check::AtLeast(0))
        .cluster_wide(),
    Key::new(
        "log.flush.interval.messages",
        Long,
        Some("9223372036854775807"),
        "Records after which a log is flushed; 1 acknowledges only what is on disk.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide(),
    Key::new("log.segment.delete.delay.ms", Long, Some("60000"), "How long removed files stay on disk.")
        .check(Check::AtLeast(0))
        .cluster_wide(),
    Key::new(
        "log.flush.scheduler.interval.ms",
        Long,
        Some("9223372036854775807"),
        "How often logs are checked for flush.ms.",
    ),
    Key::new(
        "log.flush.interval.ms",
        Long,
        None,
        "Age of an unflushed record at which its log is flushed; log.flush.scheduler.interval.ms if not set.",
    )
    .cluster_wide(),
    Key::new(
        "log.flush.offset.checkpoint.interval.ms",
        Int,
        Some("60000"),
        "How often recovery points are written to disk.",
    )
    .check(Check::AtLeast(0)),
    Key::new(
        "log.flush.start.offset.checkpoint.interval.ms",
        Int,
        Some("60000"),
        "How often log start offsets are written to disk.",
    )
    .check(Check::AtLeast(0)),
    Key::new("log.preallocate", Boolean, Some("false"), "Whether a new segment takes its full size on disk at once.")
        .cluster_wide(),
    Key::new(
        "num.recovery.threads.per.data.dir",
        Int,
        Some("2"),
        "Threads per log directory that recover logs after a crash.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide(),
    Key::new(
        "auto.create.topics.enable",
        Boolean,
        Some("true"),
        "Whether producing to or asking for a topic that does not exist creates it.",
    ),
    Key::new("min.insync.replicas", Int, Some("1"), "In-sync replicas that acks=all needs.")
        .check(Check::AtLeast(1))
        .cluster_wide(),
    Key::new(
        "log.message.timestamp.type",
        String,
        Some("CreateTime"),
        "Whether a record's timestamp is the producer's or the time of its append.",
    )
    .check(Check::OneOf(&["CreateTime", "LogAppendTime"]))
    .cluster_wide(),
    Key::new(
        "log.message.timestamp.before.max.ms",
        Long,
        Some("9223372036854775807"),
        "How far in the past a producer's timestamp may be.",
    )
    .check(Check::AtLeast(0))
    .cluster_wide(),
    Key::new(
        "log.message.timestamp.after.max.ms",
        Long,
        Some("3600000"),
        "How far in the future a producer's timestamp may be.",
    )
    .check(Check::AtLeast(0))
    .cluster_wide(),
    Key::new("create.topic.policy.class.name", Class, None, "The class that may refuse new topics.").refused(JAVA),
    Key::new("alter.config.policy.class.name", Class, None, "The class that may refuse changed configurations.")
        .refused(JAVA),
    Key::new(
        "log.dir.failure.timeout.ms",
        Long,
        Some("30000"),
        "How long a broker may fail to report a failed log directory before it stops.",
    )
    .check(Check::AtLeast(1))
    .no_effect(ALONE),
    Key::new(
        "log.initial.task.delay.ms",
        Long,
        Some("30000"),
        "How long after the start the log's background work begins.",
    )
    .check(Check::AtLeast(0))
    .internal(),
    Key::new("log.cleaner.threads", Int, Some("1"), "Threads that compact logs.")
        .check(Check::AtLeast(0))
        .cluster_wide(),
    Key::new(
        "log.cleaner.io.max.bytes.per.second",
        Double,
        Some("1.7976931348623157E308"),
        "Limit of reading and writing by compaction.",
    )
    .cluster_wide(),
    Key::new("log.cleaner.dedupe.buffer.size", Long, Some("134217728"), "Memory for finding the last record of a key.")
        .cluster_wide(),
    Key::new("log.cleaner.io.buffer.size", Int, Some("524288"), "Memory for reading and writing in compaction.")
        .check(Check::AtLeast(0))
        .cluster_wide(),
    Key::new("log.cleaner.io.buffer.load.factor", Double, Some("0.9"), "How full the memory for keys may be.")
        .cluster_wide(),
    Key::new("log.cleaner.backoff.ms", Long, Some("15000"), "Pause when there is nothing to compact.")
        .check(Check::AtLeast(0))
        .cluster_wide(),
    Key::new(
        "log.cleaner.min.cleanable.ratio",
        Double,
        Some("0.5"),
        "Share of a log that must be new before it is compacted.",
    )
    .check(Check::Between(0, 1))
    .cluster_wide(),
    Key::new("log.cleaner.enable", Boolean, Some("true"), "Whether logs are compacted."),
    Key::new(
        "log.cleaner.delete.retention.ms",
        Long,
        Some("86400000"),
        "How long a deletion marker stays in a compacted topic.",
    )
    .check(Check::AtLeast(0))
    .cluster_wide(),
    Key::new("log.cleaner.min.compaction.lag.ms", Long, Some("0"), "How long a record is safe from compaction.")
        .check(Check::AtLeast(0))
        .cluster_wide(),
    Key::new(
        "log.cleaner.max.compaction.lag.ms",
        Long,
        Some("9223372036854775807"),
        "How long a record may escape compaction.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide(),
];
