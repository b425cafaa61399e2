//! Those who read, at both isolation levels, from anywhere; and those who write without transactions.

use super::client::{Line, topic_name};
use super::history::{Known, Place, Read, Sent};
use super::producer::{batch, produce_request};
use super::{DOOMED, PLACES, code};
use crate::model::{self, Offset, ProducerEpoch, Sequence};
use crate::record::build::{EndTxn, Marker};
use crate::record::records::{Records, open};
use crate::record::{BatchBuilder, Batches};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, InitProducerIdRequest};
use std::collections::{BTreeMap, BTreeSet};

fn topic_id(line: &Line<'_>, place: Place) -> Option<String> {
    line.ctx().partitions.topic(place.0).map(|topic| format!("{:?}", topic.id()))
}

/// Reads some of a partition. Answers where it goes on, unless it got nothing.
pub(super) async fn read(line: &Line<'_>, place: Place, committed: bool, from: i64, bytes: i32) -> Option<i64> {
    let partition = FetchPartition::default()
        .with_partition(place.1)
        .with_fetch_offset(from)
        .with_partition_max_bytes(bytes)
        .with_current_leader_epoch(-1);
    let topic = FetchTopic::default().with_topic(topic_name(place.0)).with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(line.below(15) as i32)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_isolation_level(i8::from(committed))
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let (began, before) = (line.history.borrow_mut().tick(), topic_id(line, place));
    let mut answer = line.call(12, &request).await?;
    let answer = answer.responses.remove(0).partitions.remove(0);
    let topic_id = topic_id(line, place).filter(|after| before.as_ref() == Some(after))?;
    match answer.error_code {
        code::NONE => {}
        code::UNKNOWN_TOPIC_OR_PARTITION | code::OFFSET_OUT_OF_RANGE if place.0 == DOOMED => return None,
        error => {
            line.history.borrow_mut().fault("reader", format_args!("Fetch {place:?} from {from}: {error}"));
            return None;
        }
    }
    let (found, next) = records(&answer, committed, from);
    let mut history = line.history.borrow_mut();
    let what = if committed { "committed" } else { "all" };
    let (last_stable, high_watermark) = (answer.last_stable_offset, answer.high_watermark);
    history.note(
        "reader",
        format_args!("{what} of {place:?} {from}..{next}, {last_stable} of {high_watermark}: {found:?}"),
    );
    let ended = history.tick();
    history.reads.push(Read {
        place,
        topic_id,
        committed,
        from,
        next,
        found,
        last_stable,
        high_watermark,
        began,
        ended,
    });
    Some(next)
}

/// What an application gets to see, and where the next fetch begins (`CompletedFetch`).
fn records(answer: &PartitionData, committed: bool, from: i64) -> (Vec<(i64, String)>, i64) {
    let mut aborted: Vec<(i64, i64)> = answer
        .aborted_transactions
        .iter()
        .flatten()
        .map(|aborted| (aborted.first_offset, aborted.producer_id.0))
        .collect();
    aborted.sort_unstable();
    let mut ahead = aborted.into_iter().peekable();
    let mut now: BTreeSet<i64> = BTreeSet::new();
    let (mut found, mut next) = (Vec::new(), from);
    let bytes = answer.records.clone().unwrap_or_default();
    for batch in Batches::new(&bytes) {
        // The last one may be cut off.
        let Ok((header, bytes)) = batch else { break };
        if committed {
            while let Some((_, producer)) = ahead.next_if(|(first, _)| *first <= header.last_offset().0) {
                now.insert(producer);
            }
        }
        let payload = open(&header, bytes, 1 << 20).unwrap();
        for record in Records::new(&header, &payload).unwrap() {
            let record = record.unwrap();
            if header.attributes.is_control() {
                if let Ok(Some(EndTxn { marker: Marker::Abort, .. })) = EndTxn::parse(record.key, record.value) {
                    now.remove(&header.producer_id.0);
                }
                continue;
            }
            let hidden = committed && header.attributes.is_transactional() && now.contains(&header.producer_id.0);
            if !hidden && record.offset.0 >= from {
                found.push((record.offset.0, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
            }
        }
        next = next.max(header.next_offset().0);
    }
    (found, next)
}

/// Reads here and there.
pub(super) async fn wander(line: &Line<'_>) {
    let mut at: BTreeMap<(Place, bool), i64> = BTreeMap::new();
    loop {
        let (place, committed) = (PLACES[line.below(PLACES.len())], line.percent(70));
        let reached = at.get(&(place, committed)).copied().unwrap_or(0);
        let from = if line.percent(60) { reached } else { line.below(reached as usize + 1) as i64 };
        let next = read(line, place, committed, from, [1, 200, 1000, 100_000][line.below(4)]).await;
        match next {
            Some(next) => at.insert((place, committed), next.max(reached)),
            None => at.remove(&(place, committed)),
        };
        line.pause(10).await;
    }
}

/// A producer without transactions: idempotent, and then it asks again; or not.
pub(super) struct Plain {
    name: &'static str,
    idempotent: bool,
    id: Option<i64>,
    sequences: BTreeMap<Place, i32>,
    sent: usize,
    /// Was not heard of.
    pending: Option<(Place, String)>,
}

impl Plain {
    pub(super) fn new(name: &'static str, idempotent: bool) -> Plain {
        Plain { name, idempotent, id: None, sequences: BTreeMap::new(), sent: 0, pending: None }
    }

    pub(super) async fn run(&mut self, line: &Line<'_>) {
        loop {
            line.pause(12).await;
            if self.idempotent && self.id.is_none() {
                let Some(answer) = line.call(4, &InitProducerIdRequest::default()).await else { continue };
                if answer.error_code == code::NONE {
                    (self.id, self.pending) = (Some(answer.producer_id.0), None);
                    self.sequences.clear();
                }
                continue;
            }
            let (place, value) = match self.pending.take().filter(|_| self.idempotent) {
                Some(pending) => pending,
                None => {
                    self.sent += 1;
                    (PLACES[line.below(PLACES.len())], format!("{}.{}", self.name, self.sent))
                }
            };
            self.pending = Some((place, value.clone()));
            self.send(line, place, value).await;
        }
    }

    async fn send(&mut self, line: &Line<'_>, place: Place, value: String) {
        let sequence = self.sequences.get(&place).copied().unwrap_or(0);
        let mut builder = BatchBuilder::new(Offset::ZERO);
        if let Some(id) = self.id {
            builder = builder.producer(model::ProducerId(id), ProducerEpoch(0), Sequence(sequence));
        }
        let request = produce_request(place, batch(builder, std::slice::from_ref(&value)), None);
        let Some(mut answer) = line.call(9, &request).await else { return };
        let answer = answer.responses.remove(0).partition_responses.remove(0);
        let mut history = line.history.borrow_mut();
        history.note(self.name, format_args!("{value} to {place:?}: {} at {}", answer.error_code, answer.base_offset));
        match answer.error_code {
            code::NONE => {
                history.plain.push(Sent { place, value, known: Known::Done });
                *self.sequences.entry(place).or_default() += 1;
                self.pending = None;
            }
            code::UNKNOWN_TOPIC_OR_PARTITION if place.0 == DOOMED => (self.id, self.pending) = (None, None),
            code::OUT_OF_ORDER_SEQUENCE_NUMBER if place.0 == DOOMED => (self.id, self.pending) = (None, None),
            code::KAFKA_STORAGE_ERROR | code::REQUEST_TIMED_OUT | code::NOT_LEADER_OR_FOLLOWER => {}
            error => history.fault(self.name, format_args!("Produce to {place:?}: {error}")),
        }
    }
}
