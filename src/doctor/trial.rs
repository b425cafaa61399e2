//! A record, written with acks=all and read back, in a topic of its own that is gone afterwards.

use super::contact::micros;
use super::machine::facts::{End, Trial};
use crate::config::DoctorCommand;
use crate::model::{ErrorCode, NodeId, Offset, TimestampMs};
use crate::peer::foreign::{Created, Foreign, Odd, PartitionSeen, Produced, TopicSeen};
use crate::record::{BatchBuilder, Batches};
use crate::record::{records, verify};
use crate::rt::{clock, rand};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// What a batch may decompress to: it has one small record.
const PLAIN_MAX: usize = 1 << 20;

/// How long to wait before asking again for what takes the brokers a moment.
const AGAIN: Duration = Duration::from_millis(100);

const KEY: &[u8] = b"klamm-doctor";

/// Of the topic that is made: the broker's clock is in it, and if it cannot be removed, its record goes soon.
const CONFIGS: [(&str, &str); 2] = [("message.timestamp.type", "LogAppendTime"), ("retention.ms", "600000")];

/// The trial, of which `first` is any connection to the cluster and `links` those to the brokers as they are advertised.
pub(super) async fn run(
    command: &DoctorCommand,
    first: &mut Foreign,
    links: &mut BTreeMap<NodeId, Foreign>,
    now: &(dyn Fn() -> TimestampMs + Sync),
) -> Trial {
    let named = command.topic.as_ref().map(|topic| topic.as_str().to_owned());
    let topic = named.unwrap_or_else(|| format!("klamm-doctor-{}", rand::uuid().simple()));
    let mut trial =
        Trial { topic, own: false, leader: None, end: End::Done, took_us: 0, clock: None, left_behind: None };
    let topic = trial.topic.clone();
    trial.end = match prepare(&topic, command, first, &mut trial.own).await {
        Err(end) => end,
        Ok(()) => match exchange(&mut trial, command.timeout, first, links, now).await {
            Ok(()) => End::Done,
            Err(end) => end,
        },
    };
    if trial.own {
        trial.left_behind = match first.delete(&topic).await {
            Ok(Created { error: ErrorCode::NONE, .. }) => None,
            Ok(Created { error, message }) => Some(message.unwrap_or_else(|| error.name().to_owned())),
            Err(odd) => Some(odd.to_string()),
        };
    }
    trial
}

/// Makes the topic, unless it is one that the operator named and that exists.
async fn prepare(topic: &str, command: &DoctorCommand, first: &mut Foreign, own: &mut bool) -> Result<(), End> {
    if command.topic.is_some() {
        let seen = described(topic, first).await?;
        match seen.error {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {}
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => return Err(End::Describe(seen.error)),
            // Whatever else there is: the partition says it.
            _ => return Ok(()),
        }
    }
    let created = first.create(topic, &CONFIGS).await.map_err(|odd| End::Odd("CreateTopics", odd))?;
    if created.error != ErrorCode::NONE {
        return Err(End::Create(created));
    }
    *own = true;
    Ok(())
}

async fn described(topic: &str, first: &mut Foreign) -> Result<TopicSeen, End> {
    let seen = first.cluster(Some(topic)).await.map_err(|odd| End::Odd("Metadata", odd))?;
    Ok(seen.topic.unwrap_or(TopicSeen { error: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, partitions: Vec::new() }))
}

/// The first partition, once all are led: those of a new topic may take a moment.
async fn led(topic: &str, within: Duration, first: &mut Foreign) -> Result<(PartitionSeen, NodeId), End> {
    let deadline = clock::now() + within;
    loop {
        let seen = described(topic, first).await?;
        let without = seen.partitions.iter().find(|partition| partition.leader.is_none()).cloned();
        let lead = seen.partitions.into_iter().next().and_then(|one| one.leader.map(|leader| (one, leader)));
        match (&without, lead) {
            (None, Some(found)) => return Ok(found),
            _ if clock::now() < deadline => sleep(AGAIN).await,
            _ if matches!(seen.error, ErrorCode::NONE | ErrorCode::LEADER_NOT_AVAILABLE) => {
                return Err(End::NoLeader(without));
            }
            _ => return Err(End::Describe(seen.error)),
        }
    }
}

/// May an error go away by itself, while brokers learn of a topic?
fn passes(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::REPLICA_NOT_AVAILABLE
    )
}

async fn exchange(
    trial: &mut Trial,
    within: Duration,
    first: &mut Foreign,
    links: &mut BTreeMap<NodeId, Foreign>,
    now: &(dyn Fn() -> TimestampMs + Sync),
) -> Result<(), End> {
    let topic = trial.topic.clone();
    let deadline = clock::now() + within;
    let value = rand::uuid().simple().to_string();
    let (produced, partition, leader) = loop {
        let (partition, leader) = led(&topic, within, first).await?;
        trial.leader = Some(leader);
        let link = links.get_mut(&leader).ok_or(End::LeaderAway(leader))?;
        let began = (clock::now(), now());
        let produced = link.produce(&topic, partition.id, batch(began.1, value.as_bytes())?).await;
        let produced = produced.map_err(|odd| End::Odd("Produce", odd))?;
        if passes(produced.error) && clock::now() < deadline {
            sleep(AGAIN).await;
            continue;
        }
        trial.clock = produced.appended.map(|theirs| ahead(began.1, now(), theirs));
        trial.took_us = micros(clock::now() - began.0);
        break (produced, partition, leader);
    };
    if produced.error != ErrorCode::NONE {
        let Produced { error, message, .. } = produced;
        return Err(End::Produce(Created { error, message }, Some(partition)));
    }
    let link = links.get_mut(&leader).ok_or(End::LeaderAway(leader))?;
    let began = clock::now();
    let fetched = link.fetch(&topic, partition.id, produced.offset).await.map_err(|odd| End::Odd("Fetch", odd))?;
    trial.took_us = trial.took_us.saturating_add(micros(clock::now() - began));
    if fetched.error != ErrorCode::NONE {
        return Err(End::Fetch(fetched.error));
    }
    if holds(&fetched.records, produced.offset, value.as_bytes()) { Ok(()) } else { Err(End::Differs) }
}

/// How far the broker's clock is before ours, and half of the time in which it was read.
fn ahead(before: TimestampMs, after: TimestampMs, theirs: TimestampMs) -> (i64, i64) {
    let half = after.0.saturating_sub(before.0).max(0) / 2;
    (theirs.0.saturating_sub(before.0.saturating_add(half)), half)
}

fn batch(at: TimestampMs, value: &[u8]) -> Result<Bytes, End> {
    let mut batch = BatchBuilder::new(Offset(0));
    batch.push(at, Some(KEY), Some(value), &[]);
    batch.build().map_err(|bad| End::Odd("Produce", Odd::Malformed(bad.to_string())))
}

/// Whether the record at `offset` is the one that was written, among batches that nobody has checked.
fn holds(bytes: &[u8], offset: Offset, value: &[u8]) -> bool {
    for (header, batch) in Batches::new(bytes).map_while(Result::ok) {
        if header.last_offset().0 < offset.0 || verify(batch).is_err() {
            continue;
        }
        let Ok(payload) = records::open(&header, batch, PLAIN_MAX) else { return false };
        let Ok(mut found) = records::Records::new(&header, &payload) else { return false };
        return found.any(|record| {
            record.is_ok_and(|one| one.offset == offset && one.key == Some(KEY) && one.value == Some(value))
        });
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_brokers_clock_is_compared_with_the_middle_of_the_request() {
        let at = TimestampMs;
        assert_eq!(ahead(at(1000), at(1040), at(1020)), (0, 20));
        assert_eq!(ahead(at(1000), at(1000), at(3_601_000)), (3_600_000, 0));
        // A clock that was set back meanwhile, and a time that cannot be.
        assert_eq!(ahead(at(1000), at(900), at(1000)), (0, 0));
        assert_eq!(ahead(at(-5), at(0), at(i64::MAX)).1, 2);
    }

    #[test]
    fn only_the_very_record_counts_as_read() {
        let at = |offset: i64, value: &[u8]| {
            let mut batch = BatchBuilder::new(Offset(offset));
            batch.push(TimestampMs(1), Some(KEY), Some(value), &[]);
            batch.build().unwrap().to_vec()
        };
        let log = [at(0, b"old"), at(1, b"mine")].concat();
        assert!(holds(&log, Offset(1), b"mine"));
        assert!(!holds(&log, Offset(0), b"mine") && !holds(&log, Offset(2), b"mine"));
        let mut damaged = log.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(!holds(&damaged, Offset(1), b"mine"));
        for length in 0..log.len() {
            assert!(!holds(&log[..length], Offset(1), b"mine"), "{length} bytes");
        }
    }
}
