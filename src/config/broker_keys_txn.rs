//! Broker keys: Transactions and producers.

use super::broker_keys::reasons::TXN;
use super::key::{Check, Key};
use super::value::Type::{Boolean, Int, Short};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "transaction.state.log.min.isr",
        Int,
        Some("2"),
        "In-sync replicas that a write to the transaction log needs; unless it is set, 1 for a node alone.",
    )
    .check(Check::AtLeast(1))
    .no_effect(TXN),
    Key::new(
        "transaction.state.log.load.buffer.size",
        Int,
        Some("5242880"),
        "Bytes read at once when transactions are loaded.",
    )
    .check(Check::AtLeast(1))
    .no_effect(TXN),
    Key::new(
        "transaction.state.log.replication.factor",
        Short,
        Some("3"),
        "Replicas of the transaction log; unless it is set, 1 for a node alone.",
    )
    .check(Check::AtLeast(1))
    .no_effect(TXN),
    Key::new(
        "transaction.state.log.num.partitions",
        Int,
        Some("50"),
        "Partitions of the transaction log; must not change later.",
    )
    .check(Check::AtLeast(1))
    .no_effect(TXN),
    Key::new("transaction.state.log.segment.bytes", Int, Some("104857600"), "Segment size of the transaction log.")
        .check(Check::AtLeast(1))
        .no_effect(TXN),
    Key::new(
        "transaction.partition.verification.enable",
        Boolean,
        Some("true"),
        "Whether a transactional batch is accepted only after the partition joined the transaction.",
    )
    .cluster_wide()
    .no_effect(TXN),
    Key::new(
        "producer.id.expiration.ms",
        Int,
        Some("86400000"),
        "A producer that is silent for this long is forgotten by its partitions.",
    )
    .check(Check::AtLeast(1))
    .cluster_wide(),
    Key::new(
        "producer.id.expiration.check.interval.ms",
        Int,
        Some("600000"),
        "How often forgotten producers are looked for.",
    )
    .check(Check::AtLeast(1))
    .internal(),
    Key::new(
        "transactional.id.expiration.ms",
        Int,
        Some("604800000"),
        "A transactional id that is unused for this long is forgotten.",
    )
    .check(Check::AtLeast(1))
    .no_effect(TXN),
    Key::new(
        "transaction.max.timeout.ms",
        Int,
        Some("900000"),
        "Longest transaction timeout that a producer may ask for.",
    )
    .check(Check::AtLeast(1)),
    Key::new(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        Int,
        Some("10000"),
        "How often transactions that timed out are aborted.",
    )
    .check(Check::AtLeast(1))
    .no_effect(TXN),
    Key::new(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        Int,
        Some("3600000"),
        "How often expired transactional ids are removed.",
    )
    .check(Check::AtLeast(1))
    .no_effect(TXN),
    Key::new(
        "transaction.two.phase.commit.enable",
        Boolean,
        Some("false"),
        "Whether producers may take part in two-phase commit.",
    )
    .refused("set transaction.two.phase.commit.enable=false: two-phase commit is not supported yet"),
    Key::new(
        "add.partitions.to.txn.retry.backoff.max.ms",
        Int,
        Some("100"),
        "Longest pause before a partition is added to a transaction again.",
    )
    .check(Check::AtLeast(0))
    .no_effect(TXN),
    Key::new(
        "add.partitions.to.txn.retry.backoff.ms",
        Int,
        Some("20"),
        "Pause before a partition is added to a transaction again.",
    )
    .check(Check::AtLeast(1))
    .no_effect(TXN),
];
