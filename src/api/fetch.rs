//! Fetch (1), v4-18: reads for consumers and for followers, and waits for bytes.
//!
//! Answered by the append itself: a fetch that finds less than `min.bytes` waits at its partitions
//! and looks again when one of them grows, up to `max.wait`. Any error or diverging epoch is
//! answered at once. Records are ranges of segment files that the connection reads as it sends.
//!
//! v7 sessions (KIP-227) · v9 leader epoch · v11 rack · v12 diverging epoch · v13 topic ids.
//! v15 the follower that asks, with its broker epoch.
//! With `replica.selector.class` a consumer is told of an in-sync replica in its rack (KIP-392).
//! A consumer needs READ of each topic, a replica CLUSTER_ACTION; asked anew for each request of a session.

use super::view::Hints;
use super::{Answer, Chunk, Context, Peer, Placement, Versions, millis};
use crate::access::Permissions;
use crate::model::{ErrorCode, Offset, Operation, ResourceKind, TopicName};
use crate::partition::fetch_sessions::{Answered, FetchContext, SessionRequest, TopicKey, Wanted};
use crate::partition::{Awaited, Copying, FetchWaiter, Isolation, Partition, ReadRequest, Reader};
use crate::rt::{clock, rand};
use crate::storage::FileSlice;
use crate::wire::fetch::{
    AbortedTransaction, FetchRequest, FetchResponse, Part, PartitionResponse, Payload, TopicResponse, encode_response,
    parse,
};
use crate::wire::{RequestHeader, TopicRef};
use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

pub const KEY: i16 = 1;
pub const NAME: &str = "Fetch";
pub const VERSIONS: Versions = Versions { min: 4, max: 18 };

/// Bytes of an answer besides its partitions, and of a partition besides its records; more or less.
const HEADER: usize = 20;
const PARTITION: usize = 40;

/// From this version topics are named by id.
const TOPIC_IDS: i16 = 13;
/// From this version the client hears who leads instead.
const HINTS: i16 = 16;
/// From this version the client says its rack, and hears of a replica that is nearer.
const ANY_REPLICA: i16 = 11;
/// From this version a request-wide error has a place in the answer.
const TOP_LEVEL_ERROR: i16 = 7;

impl Payload for FileSlice {
    fn size(&self) -> usize {
        self.len
    }
}

/// A fetch that has its session and its partitions.
struct Fetching {
    ctx: Arc<Context>,
    /// Where some client has a quota: who this one is.
    client: Option<(Arc<Peer>, Option<String>)>,
    /// How long we worked on it.
    worked: Duration,
    version: i16,
    correlation_id: i32,
    min_bytes: usize,
    max_bytes: usize,
    isolation: Isolation,
    peer: Arc<Peer>,
    reader: Reader,
    /// Where the consumer is, if it may be sent to a replica that is nearer (KIP-392).
    rack: Option<String>,
    session: FetchContext,
    /// Parallel to the session's `wanted`.
    partitions: Vec<Result<Arc<Partition>, ErrorCode>>,
    found: Vec<PartitionResponse<FileSlice>>,
    /// Where each partition's log ended then; parallel to `found`.
    ends: Vec<Offset>,
    found_bytes: usize,
    /// An error, or news that must not wait.
    urgent: bool,
}

/// Places a Fetch request.
///
/// # Errors
/// The body is not a Fetch request: the connection is to be closed.
pub fn place(ctx: &Arc<Context>, peer: &Arc<Peer>, header: &RequestHeader, body: &Bytes) -> Result<Placement, String> {
    let request = parse(header.version, body).map_err(|refused| refused.to_string())?;
    let isolation = match request.isolation_level {
        // A follower reads everything.
        _ if request.replica.0 >= 0 => Isolation::Uncommitted,
        0 => Isolation::Uncommitted,
        1 => Isolation::Committed,
        _ => return Ok(Placement::Done(refused(ctx, header, &request, ErrorCode::UNKNOWN_SERVER_ERROR))),
    };
    let asked = SessionRequest {
        id: request.session_id,
        epoch: request.session_epoch,
        by_topic_id: header.version >= TOPIC_IDS,
    };
    let wanted = wanted(ctx, &request);
    let forgotten: Vec<_> = request
        .forgotten
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (key(ctx, topic.topic), *partition)))
        .collect();
    let session = match ctx.fetch_sessions.begin(asked, wanted, &forgotten, clock::now()) {
        Ok(session) => session,
        Err(error) => return Ok(Placement::Done(refused(ctx, header, &request, error))),
    };
    let partitions = readable(ctx, &ctx.may(peer, NAME), &session.wanted, request.replica.0);
    let client = ctx.quotas.any().then(|| (Arc::clone(peer), header.client_id.as_ref().map(|id| id.to_string())));
    let settings = ctx.settings();
    let mut ceiling = settings.fetch.response_bytes_max;
    if let Some((peer, id)) = client.as_ref().filter(|_| request.replica.0 < 0) {
        // More would have to wait in any case, and so never come.
        ceiling = ctx.quotas.fetchable(peer.client(id.as_deref())).map_or(ceiling, |most| most.min(ceiling));
    }
    let mut fetching = Fetching {
        ctx: Arc::clone(ctx),
        client,
        worked: Duration::ZERO,
        version: header.version,
        correlation_id: header.correlation_id,
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0).min(ceiling),
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(ceiling),
        isolation,
        peer: Arc::clone(peer),
        reader: reader(header.version, &request, isolation),
        rack: (settings.fetch.rack_aware && request.replica.0 < 0 && !request.rack.is_empty())
            .then(|| request.rack.to_owned()),
        session,
        partitions,
        found: Vec::new(),
        ends: Vec::new(),
        found_bytes: 0,
        urgent: false,
    };
    fetching.look();
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    if fetching.is_satisfied() || wait.is_zero() {
        return Ok(Placement::Done(fetching.answer()));
    }
    Ok(Placement::Waiting(Box::pin(fetching.wait(wait))))
}

/// Who asks. A consumer that can be told of another replica may read from any (KIP-392).
fn reader(version: i16, request: &FetchRequest<'_>, isolation: Isolation) -> Reader {
    if request.replica.0 >= 0 {
        return Reader::Replica { node: request.replica, broker_epoch: request.replica_epoch, log_start: Offset::NONE };
    }
    Reader::Consumer { isolation, any_replica: version >= ANY_REPLICA }
}

fn key(ctx: &Context, topic: TopicRef<'_>) -> TopicKey {
    match topic {
        // The known topic's name is shared, not copied.
        TopicRef::Name(name) => TopicKey::Name(
            ctx.partitions.topic(name).map_or_else(|| TopicName::new(name), |topic| topic.name().clone()),
        ),
        TopicRef::Id(id) => TopicKey::Id(id),
    }
}

fn wanted(ctx: &Context, request: &FetchRequest<'_>) -> Vec<Wanted> {
    let mut wanted = Vec::with_capacity(request.topics.iter().map(|topic| topic.partitions.len()).sum());
    for topic in &request.topics {
        let key = key(ctx, topic.topic);
        wanted.extend(topic.partitions.iter().map(|p| Wanted {
            topic: key.clone(),
            partition: p.partition,
            from: p.fetch_offset,
            max_bytes: p.max_bytes,
            current_epoch: p.current_leader_epoch,
            last_fetched_epoch: p.last_fetched_epoch,
            follower_start: p.log_start,
        }));
    }
    wanted
}

fn named(topic: &TopicKey) -> TopicRef<'_> {
    match topic {
        TopicKey::Name(name) => TopicRef::Name(name.as_str()),
        TopicKey::Id(id) => TopicRef::Id(*id),
    }
}

/// The partitions that may be read.
fn readable(
    ctx: &Context,
    may: &Permissions<'_>,
    wanted: &[Wanted],
    replica: i32,
) -> Vec<Result<Arc<Partition>, ErrorCode>> {
    if may.are_unlimited() {
        return wanted.iter().map(|wanted| find(ctx, wanted)).collect();
    }
    let denied = Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    if replica >= 0 {
        let may = may.cluster(Operation::ClusterAction);
        return wanted.iter().map(|wanted| if may { find(ctx, wanted) } else { denied.clone() }).collect();
    }
    let mut partitions = Vec::with_capacity(wanted.len());
    // Mostly, the partitions of a topic stand together: it is asked for once.
    for of_topic in wanted.chunk_by(|one, next| one.topic == next.topic) {
        let name = of_topic.first().and_then(|wanted| match &wanted.topic {
            TopicKey::Name(name) => Some(name.clone()),
            TopicKey::Id(id) => ctx.partitions.topic_by_id(*id).map(|topic| topic.name().clone()),
        });
        // An id that is not known stands for no topic.
        let may = name
            .is_none_or(|name| may.allow_counted(Operation::Read, ResourceKind::Topic, name.as_str(), of_topic.len()));
        partitions.extend(of_topic.iter().map(|wanted| if may { find(ctx, wanted) } else { denied.clone() }));
    }
    partitions
}

fn find(ctx: &Context, wanted: &Wanted) -> Result<Arc<Partition>, ErrorCode> {
    let topic = match &wanted.topic {
        TopicKey::Name(name) => ctx.partitions.topic(name.as_str()),
        TopicKey::Id(id) => ctx.partitions.topic_by_id(*id),
    };
    topic
        .and_then(|topic| topic.partition(wanted.partition))
        .ok_or_else(|| ctx.absent(named(&wanted.topic), wanted.partition))
}

impl Fetching {
    /// Finds what each partition has, within the limits.
    fn look(&mut self) {
        let began = self.client.as_ref().map(|_| clock::now());
        self.read();
        if let Some(began) = began {
            self.worked += clock::now().saturating_duration_since(began);
        }
    }

    fn read(&mut self) {
        self.found.clear();
        self.ends.clear();
        self.found_bytes = 0;
        self.urgent = false;
        let mut left = self.max_bytes;
        let image = self.ctx.metadata.load();
        let follower = match self.reader {
            Reader::Replica { node, .. } => Some(node),
            Reader::Consumer { .. } => None,
        };
        let slowed = follower.filter(|_| self.ctx.partitions.throttles().is_exceeded(Copying::Leader));
        for (wanted, partition) in self.session.wanted.iter().zip(&self.partitions) {
            let nearest = match (partition, &self.rack) {
                (Ok(partition), Some(rack)) => partition.nearest(rack, wanted.from, &image),
                _ => None,
            };
            // A replica that is throttled hears how things stand, but gets nothing (KIP-73).
            let held = match (slowed, partition) {
                (Some(node), Ok(partition)) => partition.is_throttled(Copying::Leader) && !partition.has_in_sync(node),
                _ => false,
            };
            let read = match partition {
                Err(error) => Err(*error),
                Ok(partition) => partition.read(
                    &ReadRequest {
                        from: wanted.from,
                        max_bytes: if held { 0 } else { usize::try_from(wanted.max_bytes).unwrap_or(0).min(left) },
                        // Only the first partition with records may pass its limits (KIP-74).
                        min_one_batch: self.found_bytes == 0 && nearest.is_none() && !held,
                        reader: self.reader.starting_at(wanted.follower_start),
                        current_epoch: wanted.current_epoch,
                        last_fetched_epoch: wanted.last_fetched_epoch,
                    },
                    &image,
                ),
            };
            let mut answer = PartitionResponse::failed(wanted.partition, ErrorCode::NONE);
            let mut end = Offset::NONE;
            match read {
                Err(error) => {
                    answer.error = error;
                    self.urgent = true;
                }
                Ok(read) => {
                    answer.high_watermark = read.positions.high_watermark;
                    answer.last_stable_offset = read.positions.last_stable;
                    answer.log_start = read.positions.log_start;
                    answer.diverging_epoch = read.diverging;
                    self.urgent |= read.diverging.is_some();
                    end = read.positions.log_end;
                    if self.isolation == Isolation::Committed {
                        answer.aborted_transactions = Some(Vec::new());
                    }
                    if nearest.is_some() {
                        // It is to ask there, and to hear of it now.
                        answer.preferred_read_replica = nearest;
                        self.urgent = true;
                    } else if let Some(records) = read.records {
                        left = left.saturating_sub(records.len);
                        self.found_bytes += records.len;
                        answer.records = Some(records);
                    }
                }
            }
            self.found.push(answer);
            self.ends.push(end);
        }
    }

    fn is_satisfied(&self) -> bool {
        self.urgent || self.found_bytes >= self.min_bytes || self.found.is_empty()
    }

    async fn wait(mut self, max_wait: Duration) -> Answer {
        let deadline = tokio::time::Instant::from_std(clock::now()) + max_wait;
        let waiter = FetchWaiter::new();
        loop {
            let in_time = {
                let mut waiting = Waiting { waiter: &waiter, at: Vec::with_capacity(self.found.len()) };
                let seen = self.found.iter().zip(&self.ends).map(|(found, end)| match self.reader {
                    Reader::Consumer { .. } => Awaited::Committed(found.high_watermark),
                    Reader::Replica { .. } => Awaited::Appended(*end),
                });
                let quiet = self.partitions.iter().zip(seen).all(|(partition, seen)| match partition {
                    Ok(partition) => waiting.register(partition, seen),
                    Err(_) => true,
                });
                !quiet || tokio::time::timeout_at(deadline, waiter.woken()).await.is_ok()
            };
            self.look();
            if !in_time || self.is_satisfied() {
                return self.answer();
            }
        }
    }

    /// For how many milliseconds the client must wait; it then gets nothing now.
    fn charge(&self) -> u64 {
        let Some((peer, id)) = self.client.as_ref().filter(|_| matches!(self.reader, Reader::Consumer { .. })) else {
            return 0;
        };
        let (quotas, client) = (&self.ctx.quotas, peer.client(id.as_deref()));
        let time_ms = quotas.worked(client, self.worked);
        let bytes = self.found_bytes + HEADER + PARTITION * self.found.len();
        let wait_ms = quotas.fetched(client, bytes, time_ms > 0).max(time_ms);
        peer.muted.extend(wait_ms);
        wait_ms
    }

    fn answer(mut self) -> Answer {
        let wait_ms = self.charge();
        if wait_ms > 0 {
            let response = FetchResponse {
                throttle_time_ms: millis(wait_ms),
                error: ErrorCode::NONE,
                session_id: if self.version >= TOP_LEVEL_ERROR { self.session.session_id() } else { 0 },
                topics: SmallVec::new(),
                node_endpoints: &[],
            };
            return encode(self.version, self.correlation_id, response);
        }
        self.list_aborted();
        let answered: Vec<Answered> = self
            .found
            .iter()
            .map(|found| Answered {
                error: found.error,
                high_watermark: found.high_watermark,
                log_start: found.log_start,
                has_records: found.records.is_some(),
                has_advice: found.diverging_epoch.is_some() || found.preferred_read_replica.is_some(),
            })
            .collect();
        let draw = || i32::try_from(rand::below(i32::MAX as u32)).unwrap_or(1);
        let (session_id, news) = self.ctx.fetch_sessions.finish(&self.session, &answered, clock::now(), draw);
        let api = self.ctx.metrics.api(KEY);
        let elsewhere = [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::FENCED_LEADER_EPOCH];
        let astray = self.version >= HINTS && self.found.iter().any(|found| elsewhere.contains(&found.error));
        let image = astray.then(|| self.ctx.metadata.image());
        let mut hints = image.as_ref().map(|image| Hints::new(image, &self.peer.listener));
        let mut response = FetchResponse {
            throttle_time_ms: 0,
            error: ErrorCode::NONE,
            session_id: if self.version >= TOP_LEVEL_ERROR { session_id } else { 0 },
            topics: SmallVec::new(),
            node_endpoints: &[],
        };
        self.count_copied();
        let mut last: Option<&TopicKey> = None;
        let found = std::mem::take(&mut self.found);
        let asked = self.session.wanted.iter().zip(&self.partitions);
        let mut answers: Vec<_> =
            asked.zip(found).zip(news).map(|((asked, found), news)| (asked, found, news)).collect();
        // What never came to a partition stands last (`KafkaApis.handleFetchRequest`): clients tell applications of what they meet first.
        if self.partitions.iter().any(Result::is_err) {
            answers.sort_by_key(|((_, partition), ..)| partition.is_err());
        }
        for ((wanted, partition), mut found, news) in answers {
            if let Some(hints) = hints.as_mut().filter(|_| elsewhere.contains(&found.error)) {
                found.current_leader = hints.leader(named(&wanted.topic), wanted.partition);
            }
            api.error(found.error);
            if let Ok(partition) = partition {
                let metrics = partition.metrics();
                metrics.fetch_requests.inc();
                if found.error.is_err() {
                    metrics.failed_fetch_requests.inc();
                }
                if let (Some(records), Reader::Consumer { .. }) = (&found.records, self.reader) {
                    metrics.bytes_out.add(records.len as u64);
                    let offsets = records.upper_bound.0.saturating_sub(wanted.from.0);
                    metrics.records_out.add(u64::try_from(offsets).unwrap_or(0));
                }
            }
            if !news {
                continue;
            }
            if last != Some(&wanted.topic) {
                response.topics.push(TopicResponse { topic: named(&wanted.topic), partitions: Vec::new() });
                last = Some(&wanted.topic);
            }
            if let Some(topic) = response.topics.last_mut() {
                topic.partitions.push(found);
            }
        }
        if let Some(hints) = &hints {
            response.node_endpoints = &hints.endpoints;
        }
        encode(self.version, self.correlation_id, response)
    }

    /// What a follower gets of throttled replicas counts, also of those that are in sync.
    fn count_copied(&self) {
        if !matches!(self.reader, Reader::Replica { .. }) {
            return;
        }
        let sent = self.partitions.iter().zip(&self.found).filter_map(|(partition, found)| {
            partition.as_ref().ok().filter(|partition| partition.is_throttled(Copying::Leader))?;
            found.records.as_ref().map(|records| records.len)
        });
        self.ctx.partitions.throttles().record(Copying::Leader, sent.sum());
    }

    /// Which transactions of the slices were aborted (read_committed).
    fn list_aborted(&mut self) {
        if self.isolation != Isolation::Committed {
            return;
        }
        for ((wanted, partition), found) in self.session.wanted.iter().zip(&self.partitions).zip(&mut self.found) {
            let (Ok(partition), Some(records)) = (partition, &found.records) else { continue };
            match partition.aborted_transactions(wanted.from, records.upper_bound) {
                Ok(aborted) => {
                    let aborted = aborted
                        .into_iter()
                        .map(|a| AbortedTransaction { producer_id: a.producer_id, first_offset: a.first })
                        .collect();
                    found.aborted_transactions = Some(aborted);
                }
                Err(error) => *found = PartitionResponse::failed(found.partition, error),
            }
        }
    }
}

/// The partitions at which a fetch waits. Taken back when the wait ends, also when the connection is gone.
struct Waiting<'a> {
    waiter: &'a Arc<FetchWaiter>,
    at: Vec<Arc<Partition>>,
}

impl Waiting<'_> {
    fn register(&mut self, partition: &Arc<Partition>, awaited: Awaited) -> bool {
        let waits = partition.wait_for_bytes(self.waiter, awaited);
        if waits {
            self.at.push(Arc::clone(partition));
        }
        waits
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        for partition in &self.at {
            partition.stop_waiting(self.waiter);
        }
    }
}

/// An answer without records: the request as a whole was refused (`FetchRequest.getErrorResponse`).
fn refused(ctx: &Context, header: &RequestHeader, request: &FetchRequest<'_>, error: ErrorCode) -> Answer {
    ctx.metrics.api(KEY).error(error);
    let mut response =
        FetchResponse { throttle_time_ms: 0, error, session_id: 0, topics: SmallVec::new(), node_endpoints: &[] };
    if header.version < TOP_LEVEL_ERROR {
        response.error = ErrorCode::NONE;
        response.topics = request
            .topics
            .iter()
            .map(|topic| TopicResponse {
                topic: topic.topic,
                partitions: topic.partitions.iter().map(|p| PartitionResponse::failed(p.partition, error)).collect(),
            })
            .collect();
    }
    encode(header.version, header.correlation_id, response)
}

fn encode(version: i16, correlation_id: i32, response: FetchResponse<'_, FileSlice>) -> Answer {
    let mut head = BytesMut::with_capacity(256);
    match encode_response(&mut head, version, correlation_id, response) {
        Ok(parts) => parts
            .parts
            .into_iter()
            .map(|part| match part {
                Part::Head(bytes) => Chunk::Bytes(bytes),
                Part::Records(range) => Chunk::File(range),
            })
            .collect(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be encoded");
            Answer::new()
        }
    }
}
