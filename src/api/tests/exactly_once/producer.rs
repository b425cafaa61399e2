//! A producer of transactions, of either protocol, with offsets of a group or without. It makes one request after the other;
//! what it has not heard the answer of it asks again, in the same life of the broker or in the next, unless it dies too.

use super::client::{Line, text, topic_name};
use super::groups::{Membership, join};
use super::history::{Known, Offsets, Place, Sent};
use super::{INPUT, KEPT, PLACES, code};
use crate::model::{self, Offset, ProducerEpoch, Sequence};
use crate::record::BatchBuilder;
use crate::rt::clock;
use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, GroupId, InitProducerIdRequest, ProduceRequest,
    ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use std::collections::{BTreeMap, BTreeSet};

/// Attempts of one request; none of them takes longer than some 30 ms.
const ATTEMPTS: usize = 40;

/// What a producer is about to do.
#[derive(Clone, Debug)]
enum Step {
    Init,
    Begin,
    Join,
    Produce { place: Place, values: Vec<String>, tried: usize, perhaps: bool },
    Commit { next: i64, tried: usize },
    End { commit: bool, version: i16, tried: usize },
    Idle,
}

/// What an answer means for the request.
enum Heard {
    Done,
    Again,
    /// Again, and it may have happened.
    Perhaps,
    /// It did not happen; the transaction can only be aborted.
    Refused,
    /// It did not happen, and the producer can do nothing more.
    Lost,
}

/// What a producer remembers.
pub(super) struct Producer {
    pub(super) name: String,
    pub(super) id: &'static str,
    pub(super) group: usize,
    newer: bool,
    session: Option<(i64, i16)>,
    /// The session is of no use but to recover from.
    lost: bool,
    sequences: BTreeMap<Place, i32>,
    timeout_ms: i64,
    txn: Option<Open>,
    membership: Option<Membership>,
    step: Option<Step>,
}

/// A transaction that is open.
struct Open {
    at: usize,
    added: BTreeSet<Place>,
    batches: usize,
    offsets: bool,
    abort: bool,
    numbers: usize,
}

fn heard(error: i16) -> Heard {
    match error {
        code::NONE | code::DUPLICATE_SEQUENCE_NUMBER => Heard::Done,
        code::COORDINATOR_LOAD_IN_PROGRESS | code::CONCURRENT_TRANSACTIONS | code::NOT_ENOUGH_REPLICAS => Heard::Again,
        code::COORDINATOR_NOT_AVAILABLE
        | code::NOT_COORDINATOR
        | code::REQUEST_TIMED_OUT
        | code::NOT_LEADER_OR_FOLLOWER
        | code::KAFKA_STORAGE_ERROR => Heard::Perhaps,
        code::UNKNOWN_TOPIC_OR_PARTITION
        | code::OPERATION_NOT_ATTEMPTED
        | code::TRANSACTION_ABORTABLE
        | code::ILLEGAL_GENERATION
        | code::UNKNOWN_MEMBER_ID
        | code::STALE_MEMBER_EPOCH
        | code::FENCED_MEMBER_EPOCH => Heard::Refused,
        _ => Heard::Lost,
    }
}

/// What a producer may be told at all; everything else is a fault of the broker.
fn is_known(error: i16) -> bool {
    !matches!(heard(error), Heard::Lost)
        || [
            code::OUT_OF_ORDER_SEQUENCE_NUMBER,
            code::INVALID_PRODUCER_EPOCH,
            code::INVALID_TXN_STATE,
            code::INVALID_PRODUCER_ID_MAPPING,
            code::PRODUCER_FENCED,
        ]
        .contains(&error)
}

impl Producer {
    pub(super) fn new(name: &str, id: &'static str, group: usize) -> Producer {
        Producer {
            name: name.to_owned(),
            id,
            group,
            newer: false,
            session: None,
            lost: false,
            sequences: BTreeMap::new(),
            timeout_ms: 0,
            txn: None,
            membership: None,
            step: None,
        }
    }

    /// Goes on for as long as the broker lives.
    pub(super) async fn run(&mut self, line: &Line<'_>) {
        if line.percent(30) {
            self.forget();
        }
        loop {
            let step = match self.step.clone() {
                Some(step) => step,
                None => self.choose(line),
            };
            self.step = Some(step.clone());
            self.step = self.take(line, step).await;
        }
    }

    /// Another process in its place.
    fn forget(&mut self) {
        (self.session, self.txn, self.membership, self.step, self.lost) = (None, None, None, None, false);
    }

    fn choose(&mut self, line: &Line<'_>) -> Step {
        if self.session.is_none() || self.lost {
            return Step::Init;
        }
        let Some(open) = &mut self.txn else {
            return match line.below(100) {
                0..5 => Step::Idle,
                5..8 => {
                    self.forget();
                    Step::Init
                }
                8..20 if self.membership.is_none() => Step::Join,
                _ => Step::Begin,
            };
        };
        if line.percent(2) {
            return Step::Idle;
        }
        if line.percent(2) {
            self.forget();
            return Step::Init;
        }
        let version = if self.newer { 5 } else { 1 + line.below(4) as i16 };
        if open.abort {
            return Step::End { commit: false, version, tried: 0 };
        }
        if open.batches > 0 {
            open.batches -= 1;
            // The first record tells whether the transaction is committed.
            let places = if open.numbers == 0 { KEPT } else { PLACES.len() };
            let place = PLACES[line.below(places)];
            let values = (0..=line.below(2)).map(|n| format!("t{}.{}", open.at, open.numbers + n)).collect::<Vec<_>>();
            open.numbers += values.len();
            return Step::Produce { place, values, tried: 0, perhaps: false };
        }
        if let Some(membership) = self.membership.as_ref().filter(|_| open.offsets) {
            open.offsets = false;
            return Step::Commit { next: membership.base + 1 + line.below(3) as i64, tried: 0 };
        }
        Step::End { commit: line.percent(80), version, tried: 0 }
    }

    /// Takes a step. Answers the step that is to be taken next, if that is decided.
    async fn take(&mut self, line: &Line<'_>, step: Step) -> Option<Step> {
        match step {
            Step::Init => self.init(line).await,
            Step::Idle => {
                line.history.borrow_mut().note(&self.name, "idles");
                line.pause(900).await;
                None
            }
            Step::Join => {
                self.membership = join(line, &self.name, self.group).await;
                None
            }
            Step::Begin => {
                let at = line.history.borrow_mut().begin(self.id, self.timeout_ms);
                let (batches, offsets) = (1 + line.below(4), line.percent(75));
                let open = Open { at, added: BTreeSet::new(), batches, offsets, abort: false, numbers: 0 };
                self.txn = Some(open);
                None
            }
            Step::Produce { place, values, tried, perhaps } => self.produce(line, place, values, tried, perhaps).await,
            Step::Commit { next, tried } => self.commit_offsets(line, next, tried).await,
            Step::End { commit, version, tried } => self.end(line, commit, version, tried).await,
        }
    }

    async fn init(&mut self, line: &Line<'_>) -> Option<Step> {
        let recovers = self.session.filter(|_| self.lost && line.percent(60));
        self.newer = line.percent(50);
        self.timeout_ms = [250, 600, 1500, 3000][line.below(4)];
        let (id, epoch) = recovers.unwrap_or((-1, -1));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.transactional_id()))
            .with_transaction_timeout_ms(self.timeout_ms as i32)
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch);
        line.history.borrow_mut().takes(self.id);
        let answer = line.call(4 + line.below(2) as i16, &request).await;
        let told = answer.as_ref().map(|answer| (answer.error_code, answer.producer_id.0, answer.producer_epoch));
        line.history.borrow_mut().note(&self.name, format_args!("init {recovers:?}: {told:?}"));
        let Some((error, id, epoch)) = told else { return Some(Step::Init) };
        line.history.borrow_mut().took(self.id);
        match heard(error) {
            Heard::Done => {
                (self.session, self.lost, self.txn) = (Some((id, epoch)), false, None);
                self.sequences.clear();
                // It did not hear how its transaction ended; its consumer asks again where to begin.
                self.membership = None;
                return None;
            }
            Heard::Again | Heard::Perhaps => {}
            _ if recovers.is_some() && [code::PRODUCER_FENCED, code::INVALID_PRODUCER_EPOCH].contains(&error) => {
                self.forget();
            }
            _ => line.history.borrow_mut().fault(&self.name, format_args!("InitProducerId: {error}")),
        }
        line.pause(20).await;
        Some(Step::Init)
    }

    /// Answers whether the partitions of the request are of the transaction.
    async fn add(&mut self, line: &Line<'_>, place: Place) -> Heard {
        let (Some((id, epoch)), Some(open)) = (self.session, &mut self.txn) else { return Heard::Lost };
        if self.newer || open.added.contains(&place) {
            return Heard::Done;
        }
        let topic = AddPartitionsToTxnTopic::default().with_name(topic_name(place.0)).with_partitions(vec![place.1]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(self.id)))
            .with_v3_and_below_producer_id(ProducerId(id))
            .with_v3_and_below_producer_epoch(epoch)
            .with_v3_and_below_topics(vec![topic]);
        let Some(answer) = line.call(line.below(4) as i16, &request).await else { return Heard::Again };
        let error = answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
        line.history.borrow_mut().note(&self.name, format_args!("add {place:?}: {error}"));
        let heard = self.judged(line, "AddPartitionsToTxn", error);
        if matches!(heard, Heard::Done) {
            open_mut(&mut self.txn).added.insert(place);
        }
        heard
    }

    async fn produce(
        &mut self,
        line: &Line<'_>,
        place: Place,
        values: Vec<String>,
        tried: usize,
        perhaps: bool,
    ) -> Option<Step> {
        let mut perhaps = perhaps;
        let mut heard = self.add(line, place).await;
        if matches!(heard, Heard::Done) {
            // From here on it may have been written, even if this is never heard of again.
            let unheard = Step::Produce { place, values: values.clone(), tried: tried + 1, perhaps: true };
            self.step = Some(unheard);
            let version = if self.newer { 12 } else { [9, 11][line.below(2)] };
            let request = self.batch_for(place, &values);
            heard = match line.call(version, &request).await {
                None => Heard::Perhaps,
                Some(mut answer) => {
                    let answer = answer.responses.remove(0).partition_responses.remove(0);
                    let (error, at) = (answer.error_code, answer.base_offset);
                    line.history
                        .borrow_mut()
                        .note(&self.name, format_args!("{values:?} to {place:?}: {error} at {at}"));
                    self.judged(line, "Produce", error)
                }
            };
        } else if !matches!(heard, Heard::Again | Heard::Perhaps) {
            line.history.borrow_mut().note(&self.name, format_args!("{values:?} not sent"));
        }
        let known = match heard {
            Heard::Done => Known::Done,
            Heard::Again | Heard::Perhaps if tried < ATTEMPTS => {
                perhaps |= matches!(heard, Heard::Perhaps);
                line.pause(20).await;
                return Some(Step::Produce { place, values, tried: tried + 1, perhaps });
            }
            _ if perhaps => Known::Perhaps,
            _ => Known::Failed,
        };
        let at = open_mut(&mut self.txn).at;
        let sent = values.iter().map(|value| Sent { place, value: value.clone(), known });
        line.history.borrow_mut().txns[at].sent.extend(sent);
        if known == Known::Done {
            *self.sequences.entry(place).or_default() += values.len() as i32;
        } else {
            self.fails(matches!(heard, Heard::Lost));
        }
        None
    }

    fn batch_for(&self, place: Place, values: &[String]) -> ProduceRequest {
        let (id, epoch) = self.session.unwrap_or((-1, -1));
        let sequence = Sequence(self.sequences.get(&place).copied().unwrap_or(0));
        let builder = BatchBuilder::new(Offset::ZERO)
            .producer(model::ProducerId(id), ProducerEpoch(epoch), sequence)
            .transactional();
        produce_request(place, batch(builder, values), Some(self.transactional_id()))
    }

    async fn commit_offsets(&mut self, line: &Line<'_>, next: i64, tried: usize) -> Option<Step> {
        let (Some((id, epoch)), Some(membership), Some(open)) = (self.session, self.membership.clone(), &mut self.txn)
        else {
            return None;
        };
        let at = open.at;
        let offsets = Offsets { group: self.group, base: membership.base, next, acked: None };
        line.history.borrow_mut().txns[at].offsets.get_or_insert(offsets);
        let group = GroupId(text(super::GROUP_NAMES[self.group]));
        let mut heard = Heard::Done;
        if !self.newer {
            let request = AddOffsetsToTxnRequest::default()
                .with_transactional_id(self.transactional_id())
                .with_producer_id(ProducerId(id))
                .with_producer_epoch(epoch)
                .with_group_id(group.clone());
            heard = match line.call(line.below(4) as i16, &request).await {
                None => Heard::Again,
                Some(answer) => self.judged(line, "AddOffsetsToTxn", answer.error_code),
            };
        }
        if matches!(heard, Heard::Done) {
            let partition =
                TxnOffsetCommitRequestPartition::default().with_committed_offset(next).with_committed_leader_epoch(-1);
            let topic =
                TxnOffsetCommitRequestTopic::default().with_name(topic_name(INPUT)).with_partitions(vec![partition]);
            let request = TxnOffsetCommitRequest::default()
                .with_transactional_id(self.transactional_id())
                .with_group_id(group)
                .with_producer_id(ProducerId(id))
                .with_producer_epoch(epoch)
                .with_generation_id(membership.epoch)
                .with_member_id(text(&membership.member))
                .with_topics(vec![topic]);
            let version = if self.newer { 5 } else { 3 + line.below(2) as i16 };
            heard = match line.call(version, &request).await {
                None => Heard::Perhaps,
                Some(answer) => {
                    let error = answer.topics[0].partitions[0].error_code;
                    line.history.borrow_mut().note(&self.name, format_args!("offset {next}: {error}"));
                    self.judged(line, "TxnOffsetCommit", error)
                }
            };
        }
        match heard {
            Heard::Done => {
                let mut history = line.history.borrow_mut();
                let now = history.tick();
                if let Some(offsets) = &mut history.txns[at].offsets {
                    offsets.acked = Some(now);
                }
            }
            Heard::Again | Heard::Perhaps if tried < ATTEMPTS => {
                line.pause(20).await;
                return Some(Step::Commit { next, tried: tried + 1 });
            }
            _ => self.fails(matches!(heard, Heard::Lost)),
        }
        None
    }

    async fn end(&mut self, line: &Line<'_>, commit: bool, version: i16, tried: usize) -> Option<Step> {
        let (Some((id, epoch)), Some(open)) = (self.session, &self.txn) else { return None };
        let at = open.at;
        let request = EndTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch)
            .with_committed(commit);
        line.history.borrow_mut().end_asked(at, commit);
        let before = line.history.borrow().txns[at].commit;
        if commit {
            // If nothing more is heard of it.
            line.history.borrow_mut().commit_is(at, Known::Perhaps);
        }
        let answer = line.call(version, &request).await;
        let told = answer.as_ref().map(|answer| (answer.error_code, answer.producer_id.0, answer.producer_epoch));
        let what = if commit { "commit" } else { "abort" };
        line.history.borrow_mut().note(&self.name, format_args!("{what} v{version} of {at}: {told:?}"));
        let heard = told.map_or(Heard::Perhaps, |(error, ..)| self.judged(line, "EndTxn", error));
        match heard {
            Heard::Done => {
                if commit {
                    line.history.borrow_mut().commit_is(at, Known::Done);
                }
                if let (Some((_, id, epoch)), true) = (told, self.newer) {
                    self.session = Some((id, epoch));
                    self.sequences.clear();
                }
                self.txn = None;
                let next = line.history.borrow().txns[at].offsets.as_ref().map(|offsets| offsets.next);
                match (&mut self.membership, next) {
                    (Some(membership), Some(next)) if commit => membership.base = next,
                    // What was aborted was not committed.
                    _ => {}
                }
                return None;
            }
            Heard::Again | Heard::Perhaps if tried < ATTEMPTS => {
                if commit && matches!(heard, Heard::Again) {
                    line.history.borrow_mut().txns[at].commit = before;
                }
                line.pause(20).await;
                return Some(Step::End { commit, version, tried: tried + 1 });
            }
            Heard::Again | Heard::Perhaps => {
                line.history.borrow_mut().fault(&self.name, format_args!("{at} does not end"));
            }
            Heard::Refused | Heard::Lost => {
                if commit {
                    line.history.borrow_mut().txns[at].commit = before;
                }
            }
        }
        self.fails(true);
        self.txn = None;
        None
    }

    /// What has failed keeps the transaction from being committed.
    fn fails(&mut self, lost: bool) {
        self.membership = None;
        self.lost |= lost;
        match &mut self.txn {
            // Sequences are uncertain: an older producer recovers, a newer one goes on with the next epoch.
            Some(open) if !lost => open.abort = true,
            _ => self.txn = None,
        }
    }

    fn judged(&self, line: &Line<'_>, what: &str, error: i16) -> Heard {
        if !is_known(error) {
            line.history.borrow_mut().fault(&self.name, format_args!("{what}: {error}"));
        }
        heard(error)
    }

    fn transactional_id(&self) -> TransactionalId {
        TransactionalId(text(self.id))
    }
}

fn open_mut(open: &mut Option<Open>) -> &mut Open {
    open.as_mut().unwrap()
}

pub(super) fn batch(mut builder: BatchBuilder, values: &[String]) -> Bytes {
    for value in values {
        builder.push(clock::now_ms(), None, Some(value.as_bytes()), &[]);
    }
    builder.build().unwrap()
}

pub(super) fn produce_request(place: Place, records: Bytes, id: Option<TransactionalId>) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(place.1).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(topic_name(place.0)).with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(id)
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic])
}
