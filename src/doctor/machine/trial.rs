//! Findings about the record that was written and read.

use super::Finding;
use super::address::{duration, span};
use super::facts::{End, Trial};
use crate::model::ErrorCode;
use crate::peer::foreign::{Created, Odd, PartitionSeen};

/// Clocks that differ by more are a fault: what is said about time (retention, lookups by time, expiry of logins) is wrong
/// by as much, and nothing that keeps time by NTP is ever that far off.
const SKEW_MAX_MS: i64 = 5000;

pub(super) fn findings(trial: &Trial) -> Vec<Finding> {
    let mut findings = Vec::new();
    if trial.own && trial.end != End::Done {
        findings.push(Finding::good("the topic was made"));
    }
    findings.push(match &trial.end {
        End::Done => {
            let topic = if trial.own { "a topic was made, and a record" } else { "a record was" };
            Finding::good(format!("{topic} written with acks=all and read, in {}", duration(trial.took_us)))
        }
        End::Create(created) => create(trial, created),
        End::Describe(error) => describe(trial, *error),
        End::NoLeader(partition) => no_leader(partition.as_ref()),
        End::LeaderAway(node) => Finding::fault(
            "leader-unreachable",
            format!("node {} leads the topic, and clients cannot talk to it: see above", node.0),
            format!("mend what is said about node {}", node.0),
        ),
        End::Produce(produced, partition) => produce(trial, produced, partition.as_ref()),
        End::Fetch(error) => fetch(trial, *error),
        End::Differs => Finding::fault(
            "record-lost",
            "the record was acknowledged, and what is read at its offset is something else",
            "find out what stands between this machine and the broker, and look at the broker's log and its disks",
        ),
        End::Odd(request, Odd::Unsupported { .. }) => Finding::fault(
            "too-old",
            format!("{request} has no version that both sides know"),
            "the broker is older than Apache Kafka 0.11, or serves only a part of the protocol: clients of today need newer ones",
        ),
        End::Odd(request, odd) => Finding::fault(
            "no-answer",
            format!("asked by {request}, the broker gave no answer that can be used: {odd}"),
            "look at the broker's log for this connection",
        ),
    });
    findings.extend(clock(trial));
    if let Some(why) = &trial.left_behind {
        findings.push(Finding::fault(
            "topic-left-behind",
            format!("the topic {} could not be removed ({why})", trial.topic),
            format!("remove it: kafka-topics --delete --topic {}", trial.topic),
        ));
    }
    findings
}

fn clock(trial: &Trial) -> Option<Finding> {
    let Some((ahead, within)) = trial.clock else {
        return (trial.end == End::Done)
            .then(|| Finding::note("the clocks were not compared: the topic has its records' own timestamps"));
    };
    let distance = ahead.saturating_abs();
    if distance.saturating_sub(within) < SKEW_MAX_MS {
        return Some(Finding::good(format!(
            "the broker's clock agrees with this machine's to {} ms",
            distance.max(within)
        )));
    }
    let seconds = u64::try_from(distance / 1000).unwrap_or_default();
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    Some(Finding::fault(
        "clock",
        format!("the broker's clock is {} {direction} this machine's", span(seconds)),
        "set the clock of whichever is wrong, by NTP (timedatectl); brokers refuse records from more than an hour ahead of \
         them (message.timestamp.after.max.ms), and tokens and certificates have times too",
    ))
}

/// What a principal must be allowed.
fn not_authorized(operation: &str, resource: &str, advice: &str) -> Finding {
    Finding::fault(
        "not-authorized",
        format!("this client may not {operation} {resource}"),
        format!("allow it with kafka-acls --add --operation {operation}{advice}"),
    )
}

fn said(created: &Created) -> String {
    match &created.message {
        Some(message) => format!("{}: {message}", created.error.name()),
        None => created.error.name().to_owned(),
    }
}

fn create(trial: &Trial, created: &Created) -> Finding {
    match created.error {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED => not_authorized(
            "Create",
            &format!("the topic {}", trial.topic),
            " for it or for the cluster, or name a topic that the client may use, with --topic",
        ),
        ErrorCode::INVALID_REPLICATION_FACTOR => Finding::fault(
            "too-few-brokers",
            format!("a topic cannot be made with the cluster's own replication factor ({})", said(created)),
            "start the missing brokers, or lower default.replication.factor",
        ),
        ErrorCode::POLICY_VIOLATION => Finding::fault(
            "policy",
            format!("the cluster's policy forbids such a topic ({})", said(created)),
            "name a topic that exists, with --topic",
        ),
        _ => Finding::fault(
            "topic-not-made",
            format!("the topic could not be made ({})", said(created)),
            "name a topic that exists, with --topic, or look at the log of the active controller",
        ),
    }
}

fn describe(trial: &Trial, error: ErrorCode) -> Finding {
    let topic = &trial.topic;
    match error {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            not_authorized("Describe", &format!("the topic {topic}"), &format!(" --topic {topic}"))
        }
        _ => Finding::fault(
            "topic-unavailable",
            format!("the metadata of the topic is refused ({})", error.name()),
            "look at the broker's log",
        ),
    }
}

fn no_leader(partition: Option<&PartitionSeen>) -> Finding {
    let of = partition.map_or_else(
        || "it has no partitions".to_owned(),
        |partition| {
            format!(
                "partition {} has {} replicas, {} of them in sync",
                partition.id.0, partition.replicas, partition.in_sync
            )
        },
    );
    Finding::fault(
        "no-leader",
        format!("no broker leads the topic ({of})"),
        "start the brokers that have its replicas (kafka-topics --describe --unavailable-partitions names them)",
    )
}

fn produce(trial: &Trial, produced: &Created, partition: Option<&PartitionSeen>) -> Finding {
    let topic = &trial.topic;
    match produced.error {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            not_authorized("Write", &format!("to the topic {topic}"), &format!(" --topic {topic}"))
        }
        ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
            let of = partition.map_or_else(String::new, |partition| {
                format!(": {} of {} replicas", partition.in_sync, partition.replicas)
            });
            Finding::fault(
                "under-min-isr",
                format!("fewer replicas are in sync than min.insync.replicas{of}"),
                "start the brokers that are down (kafka-topics --describe --under-min-isr-partitions), or lower \
                 min.insync.replicas",
            )
        }
        ErrorCode::INVALID_TIMESTAMP => Finding::fault(
            "clock",
            format!("the broker refuses a record with this machine's time ({})", said(produced)),
            "set the clock of whichever is wrong, by NTP (timedatectl)",
        ),
        ErrorCode::REQUEST_TIMED_OUT => Finding::fault(
            "replication-slow",
            "the record was not replicated to all in-sync replicas in time",
            "look whether followers hang (kafka-topics --describe --under-replicated-partitions), or give --timeout more",
        ),
        _ => Finding::fault(
            "not-written",
            format!("the record is refused ({})", said(produced)),
            "look at the topic's settings and the broker's log",
        ),
    }
}

fn fetch(trial: &Trial, error: ErrorCode) -> Finding {
    let topic = &trial.topic;
    match error {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            not_authorized("Read", &format!("the topic {topic}"), &format!(" --topic {topic}"))
        }
        _ => Finding::fault(
            "not-read",
            format!("the record was written, and reading it is refused ({})", error.name()),
            "look at the broker's log",
        ),
    }
}
