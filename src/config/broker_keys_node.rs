//! Broker keys: General settings, the node and the metadata log.

use super::broker_keys::reasons::{INSTRUMENTS, JAVA, METALOG, POOLS, UNSTABLE};
use super::key::{Check, Key};
use super::value::Type::{Boolean, Int, List, Long, String};

pub(super) const KEYS: &[Key] = &[
    Key::new("broker.id", Int, Some("-1"), "Another name for node.id, kept for old configurations."),
    Key::new("node.id", Int, Some("1"), "The number of this node in its cluster. Every node has its own.")
        .check(Check::AtLeast(0)),
    Key::new("process.roles", List, Some("broker,controller"), "What this node is: a broker, a controller, or both.")
        .check(Check::ListOf { items: &["broker", "controller"], may_be_empty: false }),
    Key::new(
        "broker.rack",
        String,
        None,
        "The rack or zone of this broker, for spreading replicas and reading from near ones.",
    ),
    Key::new(
        "request.timeout.ms",
        Int,
        Some("30000"),
        "How long a request may wait for other nodes before it fails with a timeout.",
    ),
    Key::new(
        "message.max.bytes",
        Int,
        Some("1048588"),
        "Largest record batch a topic accepts, after compression; topics override it with max.message.bytes.",
    )
    .check(Check::AtLeast(0))
    .cluster_wide(),
    Key::new(
        "compression.type",
        String,
        Some("producer"),
        "What topics store: the producer's codec, none, or one codec for all.",
    )
    .check(Check::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
    .cluster_wide(),
    Key::new(
        "compression.gzip.level",
        Int,
        Some("-1"),
        "Effort of gzip where the broker compresses; -1 is the library's default.",
    )
    .check(Check::GzipLevel)
    .cluster_wide(),
    Key::new("compression.lz4.level", Int, Some("9"), "Effort of LZ4 where the broker compresses.")
        .check(Check::Between(1, 17))
        .cluster_wide(),
    Key::new("compression.zstd.level", Int, Some("3"), "Effort of Zstandard where the broker compresses.")
        .check(Check::Between(-131_072, 22))
        .cluster_wide(),
    Key::new(
        "fetch.max.bytes",
        Int,
        Some("57671680"),
        "Largest response to one fetch, whatever the client asks for. A single larger batch is still sent.",
    )
    .check(Check::AtLeast(1024)),
    Key::new(
        "max.incremental.fetch.session.cache.slots",
        Int,
        Some("1000"),
        "How many incremental fetch sessions are kept; one more pushes out the least recently used.",
    )
    .check(Check::AtLeast(0)),
    Key::new(
        "max.request.partition.size.limit",
        Int,
        Some("2000"),
        "Most partitions in one page of DescribeTopicPartitions.",
    )
    .check(Check::AtLeast(1)),
    Key::new("delete.topic.enable", Boolean, Some("true"), "Whether clients may delete topics."),
    Key::new("num.io.threads", Int, Some("8"), "Threads that handle requests.")
        .check(Check::AtLeast(1))
        .cluster_wide()
        .no_effect(POOLS),
    Key::new("num.replica.alter.log.dirs.threads", Int, None, "Threads that move replicas between log directories."),
    Key::new("background.threads", Int, Some("10"), "Threads for housekeeping.")
        .check(Check::AtLeast(1))
        .cluster_wide()
        .no_effect(POOLS),
    Key::new(
        "socket.connection.setup.timeout.ms",
        Long,
        Some("10000"),
        "How long the first attempt to connect to another node may take.",
    ),
    Key::new(
        "socket.connection.setup.timeout.max.ms",
        Long,
        Some("30000"),
        "Upper limit of the growing connection timeout.",
    ),
    Key::new("config.providers", List, Some(""), "Java classes that replace variables in configuration values.")
        .check(Check::Distinct { may_be_empty: true })
        .cluster_wide()
        .refused(JAVA),
    Key::new("authorizer.class.name", String, Some(""), "The authorizer: StandardAuthorizer, or none."),
    Key::new("early.start.listeners", List, None, "Listeners that open before the others.")
        .check(Check::Distinct { may_be_empty: true })
        .no_effect("All listeners open together, once the broker can answer."),
    Key::new(
        "controlled.shutdown.enable",
        Boolean,
        Some("true"),
        "Whether leadership moves to other brokers before a shutdown.",
    ),
    Key::new(
        "unstable.api.versions.enable",
        Boolean,
        Some("false"),
        "Whether API versions that are still in development are offered.",
    )
    .internal()
    .refused(UNSTABLE),
    Key::new(
        "unstable.feature.versions.enable",
        Boolean,
        Some("false"),
        "Whether feature versions that are still in development may be used.",
    )
    .internal()
    .refused(UNSTABLE),
    Key::new(
        "initial.broker.registration.timeout.ms",
        Int,
        Some("60000"),
        "How long a starting broker tries to register with the controller.",
    ),
    Key::new(
        "broker.heartbeat.interval.ms",
        Int,
        Some("2000"),
        "How often a broker tells the controller that it lives.",
    ),
    Key::new(
        "broker.session.timeout.ms",
        Int,
        Some("9000"),
        "How long the controller waits for a heartbeat before it fences the broker.",
    ),
    Key::new(
        "controller.listener.names",
        List,
        Some(""),
        "Which listeners belong to the controller; never advertised to clients.",
    )
    .check(Check::Distinct { may_be_empty: true }),
    Key::new("sasl.mechanism.controller.protocol", String, Some("GSSAPI"), "The SASL mechanism towards controllers."),
    Key::new(
        "controller.performance.sample.period.ms",
        Long,
        Some("60000"),
        "How often the controller reports how fast it works.",
    )
    .check(Check::AtLeast(100))
    .internal()
    .no_effect(INSTRUMENTS),
    Key::new(
        "controller.performance.always.log.threshold.ms",
        Long,
        Some("2000"),
        "Controller events slower than this are logged.",
    )
    .check(Check::AtLeast(0))
    .internal()
    .no_effect(INSTRUMENTS),
    Key::new(
        "server.max.startup.time.ms",
        Long,
        Some("9223372036854775807"),
        "How long the start may take before the process gives up.",
    )
    .check(Check::AtLeast(0))
    .internal()
    .no_effect("Start-up waits for nothing outside this process."),
    Key::new(
        "metadata.log.max.record.bytes.between.snapshots",
        Long,
        Some("20971520"),
        "A metadata snapshot is taken after this many bytes of new records.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "metadata.log.max.snapshot.interval.ms",
        Long,
        Some("3600000"),
        "A metadata snapshot is taken after this time, if anything changed.",
    )
    .check(Check::AtLeast(0)),
    Key::new("metadata.log.dir", String, None, "Where cluster metadata is kept; the first log directory unless set."),
    Key::new(
        "metadata.log.segment.bytes",
        Int,
        Some("1073741824"),
        "Size at which a file of the metadata log is closed.",
    )
    .check(Check::AtLeast(8_388_608))
    .no_effect(METALOG),
    Key::new("metadata.log.segment.ms", Long, Some("604800000"), "Age at which a file of the metadata log is closed.")
        .no_effect(METALOG),
    Key::new(
        "metadata.max.retention.bytes",
        Long,
        Some("104857600"),
        "How many bytes of old metadata log and snapshots are kept.",
    )
    .no_effect(METALOG),
    Key::new("metadata.max.retention.ms", Long, Some("604800000"), "How long old metadata log and snapshots are kept.")
        .no_effect(METALOG),
    Key::new(
        "metadata.max.idle.interval.ms",
        Int,
        Some("500"),
        "How often an idle controller appends an empty record.",
    )
    .check(Check::AtLeast(0))
    .no_effect(METALOG),
    Key::new("internal.metadata.log.segment.bytes", Int, None, "Test setting: size of a file of the metadata log.")
        .internal()
        .no_effect(METALOG),
    Key::new(
        "internal.metadata.max.batch.size.in.bytes",
        Int,
        Some("8388608"),
        "Test setting: largest batch in the metadata log.",
    )
    .internal()
    .no_effect(METALOG),
    Key::new(
        "internal.metadata.delete.delay.millis",
        Long,
        Some("60000"),
        "Test setting: delay before files of the metadata log are removed.",
    )
    .internal()
    .no_effect(METALOG),
];
