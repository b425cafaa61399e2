//! Broker keys: The controllers' quorum.

use super::broker_keys::reasons::ELECTIONS;
use super::key::{Check, Key};
use super::value::Type::{Boolean, Int, List};

/// Records that arrive while others are being written go together with the next write.
const LINGER: &str = "Records are written as soon as the write before them is done.";
const JOIN: &str = "A controller joins when AddRaftVoter says so.";

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "controller.quorum.voters",
        List,
        Some(""),
        "The controllers: id@host:port, separated by commas. Empty: this node is the only one.",
    ),
    Key::new(
        "controller.quorum.bootstrap.servers",
        List,
        Some(""),
        "Where brokers find controllers: host:port, separated by commas.",
    ),
    Key::new(
        "controller.quorum.election.timeout.ms",
        Int,
        Some("1000"),
        "How long a controller waits for the leader before it stands for election.",
    )
    .check(Check::AtLeast(0))
    .no_effect(ELECTIONS),
    Key::new(
        "controller.quorum.fetch.timeout.ms",
        Int,
        Some("2000"),
        "How long a controller goes without hearing from the leader before it looks for another.",
    )
    .check(Check::AtLeast(0)),
    Key::new("controller.quorum.election.backoff.max.ms", Int, Some("1000"), "Longest pause between elections.")
        .check(Check::AtLeast(0))
        .no_effect(ELECTIONS),
    Key::new(
        "controller.quorum.append.linger.ms",
        Int,
        Some("25"),
        "How long the leader collects metadata records before it writes them.",
    )
    .check(Check::AtLeast(0))
    .no_effect(LINGER),
    Key::new(
        "controller.quorum.request.timeout.ms",
        Int,
        Some("2000"),
        "How long a request between controllers may take.",
    )
    .check(Check::AtLeast(0)),
    Key::new(
        "controller.quorum.retry.backoff.ms",
        Int,
        Some("20"),
        "Pause before a request between controllers is sent again.",
    )
    .check(Check::AtLeast(0)),
    Key::new(
        "controller.quorum.auto.join.enable",
        Boolean,
        Some("false"),
        "Whether a new controller joins the quorum by itself.",
    )
    .no_effect(JOIN),
    Key::new(
        "controller.quorum.fetch.snapshot.max.bytes",
        Int,
        Some("1048576"),
        "Bytes of a metadata snapshot in one fetch.",
    )
    .check(Check::AtLeast(1)),
    Key::new("controller.quorum.fetch.max.bytes", Int, Some("1048576"), "Bytes of the metadata log in one fetch.")
        .check(Check::AtLeast(1)),
];
