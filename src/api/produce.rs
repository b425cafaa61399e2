//! Produce (0), v3-13: appends batches as the leader.
//!
//! Two stages. Placing fixes the order: every complete Produce request of a wake-up is validated and
//! appended, one write per partition. The answer is ready at once, or waits for the high watermark
//! while later requests of the connection are placed.
//!
//! v7 zstd · v8 record errors and message · v10 leader hints · v13 topic ids. Versions 0-2 are
//! advertised but refused (KAFKA-18659). acks=0 has no answer; an error then closes the connection.
//! Batches of transactions are admitted first (`admission`). A topic needs WRITE, a transactional id too, which else fails
//! the whole request.

mod admission;

use super::view::Hints;
use super::{Answer, Chunk, Context, Later, Peer, Versions, millis};
use crate::access::Permissions;
use crate::model::{ErrorCode, Offset, Operation, PartitionId, ResourceKind, TimestampMs, TopicId, TopicName};
use crate::partition::{Acks, CommitWait, Outcome, Partition};
use crate::record::{self, Batch, BatchHeader, Compression, Rules};
use crate::rt::clock;
use crate::wire::produce::{
    PartitionData, PartitionResponse, ProduceRequest, ProduceResponse, TopicData, TopicResponse, encode_response, parse,
};
use crate::wire::{EncodeError, RequestHeader, TopicRef};
use admission::Transactional;
use bytes::{Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;
use std::time::Duration;

pub const KEY: i16 = 0;
pub const NAME: &str = "Produce";
pub const VERSIONS: Versions = Versions { min: 3, max: 13 };

/// From this version the client hears who leads instead.
const HINTS: i16 = 10;

/// The admin client may write to internal topics; its client id is how Kafka knows it.
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// Bytes of a request's header, less the client's id.
const HEADER: usize = 10;

/// A topic as the answer names it; outlives the request's frame.
#[derive(Clone, Debug)]
enum Named {
    Name(TopicName),
    Id(TopicId),
}

impl Named {
    fn as_ref(&self) -> TopicRef<'_> {
        match self {
            Named::Name(name) => TopicRef::Name(name.as_str()),
            Named::Id(id) => TopicRef::Id(*id),
        }
    }
}

/// A request whose batches were appended or refused.
#[derive(Debug)]
pub struct Placed {
    version: i16,
    correlation_id: i32,
    acks: i16,
    timeout: Duration,
    topics: SmallVec<[(Named, SmallVec<[PartitionResponse; 1]>); 1]>,
    /// Where some client has a quota: what this one is to be charged with.
    charge: Option<Box<Charge>>,
    throttle_ms: u64,
    /// What is appended but not committed: topic and partition in `topics`, and what to wait for.
    waits: Vec<(usize, usize, CommitWait)>,
}

/// What a request takes from its client's quotas.
#[derive(Debug)]
struct Charge {
    peer: Arc<Peer>,
    client_id: Option<String>,
    bytes: usize,
    worked: Duration,
}

/// A batch on its way into a partition.
struct Entry {
    partition: Arc<Partition>,
    batch: Option<Batch>,
    acks: Acks,
    request: usize,
    topic: usize,
    slot: usize,
    transactional: Option<Box<Transactional>>,
}

/// Collects the Produce requests of one wake-up and appends them together.
#[derive(Default)]
pub struct Placer {
    requests: Vec<Placed>,
    entries: Vec<Entry>,
}

impl Placer {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Validates one request. Nothing is appended before [`Placer::place`]. A request that has to wait before it may be
    /// placed is not with the others: it is to be answered before anything else of the connection is placed.
    ///
    /// # Errors
    /// The body is not a Produce request: the connection is to be closed.
    pub fn add(
        &mut self,
        ctx: &Arc<Context>,
        peer: &Arc<Peer>,
        header: &RequestHeader,
        body: &Bytes,
    ) -> Result<Option<Later>, String> {
        let request = parse(header.version, body).map_err(|refused| refused.to_string())?;
        let now = clock::now_ms();
        let began = ctx.quotas.any().then(clock::now);
        let index = self.requests.len();
        let first_entry = self.entries.len();
        let acks = match request.acks {
            0 => Some(Acks::None),
            1 => Some(Acks::Leader),
            -1 => Some(Acks::All),
            _ => None,
        };
        let mut placed = Placed {
            version: header.version,
            correlation_id: header.correlation_id,
            acks: request.acks,
            timeout: Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0)),
            topics: SmallVec::new(),
            charge: None,
            throttle_ms: 0,
            waits: Vec::new(),
        };
        let may = ctx.may(peer, NAME);
        let refused = transactional(&may, &request);
        let is_admin = header.client_id.as_ref().is_some_and(|id| &**id == ADMIN_CLIENT_ID);
        for (t, topic) in request.topics.iter().enumerate() {
            let known = match topic.topic {
                TopicRef::Name(name) => ctx.partitions.topic(name),
                TopicRef::Id(id) => ctx.partitions.topic_by_id(id),
            };
            let named = match (topic.topic, &known) {
                (TopicRef::Id(id), _) => Named::Id(id),
                (TopicRef::Name(_), Some(known)) => Named::Name(known.name().clone()),
                (TopicRef::Name(name), None) => Named::Name(TopicName::new(name)),
            };
            if let Some(known) = &known {
                known.metrics().produce_requests.inc();
            }
            let refused = if refused.is_err() {
                refused
            } else {
                writable(&may, topic, known.as_ref().map(|known| known.name()))
            };
            let mut answers = SmallVec::with_capacity(topic.partitions.len());
            for (slot, data) in topic.partitions.iter().enumerate() {
                let checked = match acks {
                    _ if refused.is_err() => Err(PartitionResponse::failed(data.partition, refused)),
                    None => Err(PartitionResponse::failed(data.partition, ErrorCode::INVALID_REQUIRED_ACKS)),
                    Some(_) if known.as_ref().is_some_and(|k| k.name().is_internal()) && !is_admin => {
                        Err(PartitionResponse::failed(data.partition, ErrorCode::INVALID_TOPIC_EXCEPTION))
                    }
                    Some(_) => match known.as_ref().and_then(|k| k.partition(data.partition)) {
                        None => Err(PartitionResponse::failed(data.partition, ctx.absent(topic.topic, data.partition))),
                        Some(partition) => {
                            validated(ctx, &partition, data.partition, data.records.clone(), header.version, now)
                                .map(|batch| (partition, batch))
                        }
                    },
                };
                match (checked, acks) {
                    (Ok((partition, batch)), Some(acks)) => {
                        answers.push(PartitionResponse::failed(data.partition, ErrorCode::UNKNOWN_SERVER_ERROR));
                        self.entries.push(Entry {
                            partition,
                            batch: Some(batch),
                            acks,
                            request: index,
                            topic: t,
                            slot,
                            transactional: None,
                        });
                    }
                    (Err(refused), _) => {
                        if let Some(known) = &known {
                            known.metrics().failed_produce_requests.inc();
                        }
                        ctx.metrics.api(KEY).error(refused.error);
                        answers.push(refused);
                    }
                    (Ok(_), None) => unreachable!("acks were checked before the batch"),
                }
            }
            placed.topics.push((named, answers));
        }
        if let Some(began) = began {
            let client_id = header.client_id.as_ref().map(|id| id.to_string());
            let worked = clock::now().saturating_duration_since(began);
            let bytes = HEADER + client_id.as_ref().map_or(0, String::len) + body.len();
            placed.charge = Some(Box::new(Charge { peer: Arc::clone(peer), client_id, bytes, worked }));
        }
        self.requests.push(placed);
        let Some(admission) = self.admit(ctx, request.transactional_id, first_entry) else { return Ok(None) };
        if acks == Some(Acks::None) {
            // Its turn would be taken by an answer that there is not. No producer of transactions asks for that.
            return Err("a transactional produce request with acks=0 would have to wait".into());
        }
        let (ctx, peer) = (Arc::clone(ctx), Arc::clone(peer));
        Ok(Some(Box::pin(async move {
            let mut alone = admission.await;
            let placed = alone.place(&ctx).next();
            match placed {
                Some(placed) => placed.committed().await.answer(&ctx, &peer),
                None => Answer::new(),
            }
        })))
    }

    /// Appends everything that was added, in order, with one write per partition, and hands over the
    /// requests in the order in which they were added.
    pub fn place(&mut self, ctx: &Context) -> std::vec::Drain<'_, Placed> {
        if self.entries.len() > 1 {
            // Stable: batches of one partition stay in the order in which they came.
            self.entries.sort_by_key(|entry| Arc::as_ptr(&entry.partition));
        }
        let now = clock::now_ms();
        let began = ctx.quotas.any().then(clock::now);
        let mut from = 0;
        while from < self.entries.len() {
            let first = &self.entries[from];
            let mut to = from + 1;
            while self
                .entries
                .get(to)
                .is_some_and(|e| Arc::ptr_eq(&e.partition, &first.partition) && e.acks == first.acks)
                && first.transactional.is_none()
                && self.entries.get(to).is_some_and(|e| e.transactional.is_none())
            {
                to += 1;
            }
            self.append(ctx, from, to, now);
            from = to;
        }
        self.entries.clear();
        if let Some(began) = began {
            let took = clock::now().saturating_duration_since(began);
            self.charge(ctx, took);
        }
        self.requests.drain(..)
    }

    /// Charges the clients; `took`: what all requests together cost besides what each did.
    fn charge(&mut self, ctx: &Context, took: Duration) {
        let share = took / u32::try_from(self.requests.len()).unwrap_or(u32::MAX).max(1);
        for placed in &mut self.requests {
            let Some(charge) = placed.charge.take() else { continue };
            let client = charge.peer.client(charge.client_id.as_deref());
            let bytes_ms = ctx.quotas.produced(client, charge.bytes);
            // As in Kafka, the time of a request that has no answer is free.
            let time_ms = if placed.acks == 0 { 0 } else { ctx.quotas.worked(client, charge.worked + share) };
            placed.throttle_ms = bytes_ms.max(time_ms);
            charge.peer.muted.extend(placed.throttle_ms);
        }
    }

    fn append(&mut self, ctx: &Context, from: usize, to: usize, now: TimestampMs) {
        let run = &mut self.entries[from..to];
        let partition = Arc::clone(&run[0].partition);
        let acks = run[0].acks;
        let mut batches: SmallVec<[Batch; 4]> = run.iter_mut().filter_map(|entry| entry.batch.take()).collect();
        let outcomes = match (&run[0].transactional, &mut batches[..]) {
            (Some(transactional), [batch]) => smallvec![transactional.append(&partition, batch, acks, now)],
            (_, batches) => partition.append(batches, acks, now),
        };
        assert_eq!(outcomes.len(), run.len(), "each batch has one outcome");
        let metrics = partition.metrics();
        for ((entry, outcome), batch) in run.iter().zip(outcomes).zip(&batches) {
            let placed = &mut self.requests[entry.request];
            let answer = &mut placed.topics[entry.topic].1[entry.slot];
            let number = answer.partition;
            match outcome {
                Outcome::Done(done) => {
                    count(metrics, batch);
                    *answer = PartitionResponse::appended(number, done.first, done.append_time, done.log_start);
                }
                Outcome::Waits(done, wait) => {
                    count(metrics, batch);
                    *answer = PartitionResponse::appended(number, done.first, done.append_time, done.log_start);
                    placed.waits.push((entry.topic, entry.slot, wait));
                }
                Outcome::Failed { error, log_start } => {
                    metrics.failed_produce_requests.inc();
                    ctx.metrics.api(KEY).error(error);
                    *answer = PartitionResponse::failed(number, error);
                    answer.log_start = log_start;
                }
            }
        }
    }
}

fn count(metrics: &crate::metrics::TopicMetrics, batch: &Batch) {
    metrics.bytes_in.add(batch.size() as u64);
    metrics.records_in.add(u64::try_from(batch.header().record_count).unwrap_or(0));
}

impl Placed {
    /// acks=0: no byte is answered.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.acks == 0
    }

    /// With acks=0 an error can only be told by closing the connection.
    #[must_use]
    pub fn has_error(&self) -> bool {
        self.topics.iter().any(|(_, partitions)| partitions.iter().any(|p| p.error.is_err()))
    }

    /// The answer may leave now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.waits.is_empty()
    }

    /// Waits until everything appended is committed or `timeout.ms` has passed.
    pub async fn committed(mut self) -> Placed {
        let deadline = tokio::time::Instant::from_std(clock::now()) + self.timeout;
        for (topic, slot, wait) in std::mem::take(&mut self.waits) {
            let error = match tokio::time::timeout_at(deadline, wait.outcome()).await {
                Ok(error) => error,
                // Appended, and may yet be committed: the client is told that it is not known.
                Err(_) => ErrorCode::REQUEST_TIMED_OUT,
            };
            if error.is_err() {
                let answer = &mut self.topics[topic].1[slot];
                *answer = PartitionResponse::failed(answer.partition, error);
            }
        }
        self
    }

    /// The answer as a frame; empty if it cannot be encoded.
    #[must_use]
    pub fn answer(self, ctx: &Context, peer: &Peer) -> Answer {
        let mut out = BytesMut::with_capacity(128);
        match self.encode(ctx, peer, &mut out) {
            Ok(()) => smallvec![Chunk::Bytes(out.freeze())],
            Err(error) => {
                tracing::error!(%error, "an answer could not be encoded");
                Answer::new()
            }
        }
    }

    /// Appends the answer's frame to `out`.
    ///
    /// # Errors
    /// A field does not fit the version: a fault of ours.
    pub fn encode(mut self, ctx: &Context, peer: &Peer, out: &mut BytesMut) -> Result<(), EncodeError> {
        let (version, correlation_id) = (self.version, self.correlation_id);
        let elsewhere = |answer: &PartitionResponse| answer.error == ErrorCode::NOT_LEADER_OR_FOLLOWER;
        let astray = version >= HINTS && self.topics.iter().any(|(_, answers)| answers.iter().any(elsewhere));
        let image = astray.then(|| ctx.metadata.image());
        let mut hints = image.as_ref().map(|image| Hints::new(image, &peer.listener));
        if let Some(hints) = &mut hints {
            for (topic, answers) in &mut self.topics {
                for answer in answers.iter_mut().filter(|answer| elsewhere(answer)) {
                    answer.current_leader = hints.leader(topic.as_ref(), answer.partition);
                }
            }
        }
        let mut names: SmallVec<[Named; 1]> = SmallVec::with_capacity(self.topics.len());
        let mut parts: SmallVec<[_; 1]> = SmallVec::with_capacity(self.topics.len());
        for (name, partitions) in self.topics {
            names.push(name);
            parts.push(partitions);
        }
        let mut response = ProduceResponse { throttle_time_ms: millis(self.throttle_ms), ..ProduceResponse::default() };
        for (name, partitions) in names.iter().zip(parts) {
            response.topics.push(TopicResponse { topic: name.as_ref(), partitions });
        }
        if let Some(hints) = &hints {
            response.node_endpoints = &hints.endpoints;
        }
        encode_response(out, version, correlation_id, &response)
    }
}

/// What becomes of a request with records of a transaction.
fn transactional(may: &Permissions<'_>, request: &ProduceRequest<'_>) -> ErrorCode {
    let Some(id) = request.transactional_id.filter(|_| !may.are_unlimited()) else { return ErrorCode::NONE };
    let is_transactional = |data: &PartitionData| {
        let records = data.records.as_deref().unwrap_or_default();
        BatchHeader::parse(records).is_ok_and(|header| header.attributes.is_transactional())
    };
    let any = request.topics.iter().flat_map(|topic| &topic.partitions).any(is_transactional);
    if any && !may.transactional_id(Operation::Write, id) {
        return ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    }
    ErrorCode::NONE
}

/// Whether the client may write to the topic. An id that is not known stands for none, and is answered later.
fn writable(may: &Permissions<'_>, topic: &TopicData<'_>, known: Option<&TopicName>) -> ErrorCode {
    let name = match (topic.topic, known) {
        (TopicRef::Name(name), _) => name,
        (TopicRef::Id(_), Some(known)) => known.as_str(),
        (TopicRef::Id(_), None) => return ErrorCode::NONE,
    };
    if may.allow_counted(Operation::Write, ResourceKind::Topic, name, topic.partitions.len()) {
        ErrorCode::NONE
    } else {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
    }
}

/// The batch of one partition, checked; or the answer that refuses it.
fn validated(
    ctx: &Context,
    partition: &Partition,
    number: PartitionId,
    records: Option<Bytes>,
    version: i16,
    now: TimestampMs,
) -> Result<Batch, PartitionResponse> {
    let records = records.unwrap_or_default();
    if version < 7
        && let Ok(header) = BatchHeader::parse(&records)
        && header.attributes.compression() == Some(Compression::Zstd)
    {
        return Err(PartitionResponse::failed(number, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE));
    }
    let config = partition.config();
    let decompressed_bytes_max = ctx.settings().network.request_bytes_max;
    let rules = Rules { partition: partition.name(), config: &config, now, decompressed_bytes_max };
    record::validate(records, &rules).map_err(|rejected| {
        let mut refused = PartitionResponse::failed(number, rejected.error);
        // As in Kafka, only records that were refused one by one come with a text of the broker's; for the rest the
        // client has its own.
        if !rejected.records.is_empty() {
            refused.error_message = rejected.message;
            refused.record_errors = rejected.records;
        }
        // Kafka says where the log begins but where it expects nothing else of a record than to be refused.
        let expected = [ErrorCode::CORRUPT_MESSAGE, ErrorCode::MESSAGE_TOO_LARGE, ErrorCode::RECORD_LIST_TOO_LARGE];
        if !expected.contains(&refused.error) {
            refused.log_start = partition.positions().map_or(Offset::NONE, |positions| positions.log_start);
        }
        refused
    })
}
