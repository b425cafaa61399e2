//! ShareFetch (78), v1-2: a member of a share group gets records, and says what became of those it had.
//!
//! v2 keeps the number of records strictly if asked to (KIP-1206) and renews locks (KIP-1222); a request that renews reads
//! nothing. The group needs READ, and so does each topic. Where the cluster has no share groups (`share.version`) the
//! answer is UNSUPPORTED_VERSION.
//!
//! Records are ranges of segment files that the connection reads as it sends. Nothing else of the connection is placed
//! before the answer, as in Kafka: a session's requests follow each other.

use super::share_acknowledge::{Said, Settled, leader, lock_ms, member};
use super::view::Hints;
use super::{Answer, Chunk, Context, Peer, Placement, Scope, Served, Versions, millis, timed};
use crate::access::Permissions;
use crate::model::{ErrorCode, GroupId, MemberId, Operation, TopicId, TopicName};
use crate::partition::Partition;
use crate::share::partition::machine::Mode;
use crate::share::partition::{FetchAsk, Fetched};
use crate::share::persister::SharedPartition;
use crate::share::session::{self, Begun, Told, Wanted};
use crate::storage::FileSlice;
use crate::wire::fetch::Part;
use crate::wire::share_fetch::{FetchedPartition, ShareFetchRequest, ShareFetchResponse, encode_response};
use crate::wire::{self, RequestHeader, TopicRef};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub const KEY: i16 = wire::share_fetch::KEY;
pub const NAME: &str = "ShareFetch";
pub const VERSIONS: Versions = Versions { min: 1, max: 2 };
pub const SERVED: Served =
    Served { key: KEY, name: NAME, versions: VERSIONS, advertised_min: VERSIONS.min, scope: Scope::Broker };

/// Bytes of an answer besides its partitions, and of a partition besides its records; more or less.
const HEADER: usize = 20;
const PARTITION: usize = 40;

/// The partitions of an answer by topic.
type Partitions = BTreeMap<TopicId, Vec<FetchedPartition<FileSlice>>>;

/// A request being served.
struct Serving {
    ctx: Arc<Context>,
    peer: Arc<Peer>,
    version: i16,
    correlation_id: i32,
    client_id: Option<String>,
}

/// What is to be answered, but for how long the client must wait.
struct Outcome {
    error: ErrorCode,
    lock_ms: i32,
    fetched: Vec<Fetched>,
    settled: Settled,
    /// Whose it is, and which of `fetched` the answer names; if there is a session.
    session: Option<((GroupId, MemberId), i32, bool)>,
}

/// Places a ShareFetch request.
///
/// # Errors
/// The body is not a ShareFetch request: the connection is to be closed.
pub fn place(ctx: &Arc<Context>, peer: &Arc<Peer>, header: &RequestHeader, body: Bytes) -> Result<Placement, String> {
    let request = wire::decode::<ShareFetchRequest>(header.version, body).map_err(|error| error.to_string())?;
    let serving = Serving {
        ctx: Arc::clone(ctx),
        peer: Arc::clone(peer),
        version: header.version,
        correlation_id: header.correlation_id,
        client_id: header.client_id.as_ref().map(|id| id.to_string()),
    };
    Ok(Placement::Exclusive(Box::pin(async move {
        let (outcome, worked) = timed(serving.serve(&request)).await;
        serving.answer(outcome, worked)
    })))
}

impl Outcome {
    fn failed(error: ErrorCode) -> Outcome {
        Outcome { error, lock_ms: 0, fetched: Vec::new(), settled: Vec::new(), session: None }
    }
}

impl Serving {
    fn may(&self) -> Permissions<'_> {
        self.ctx.may(&self.peer, NAME)
    }

    async fn serve(&self, request: &ShareFetchRequest) -> Outcome {
        let ctx = &self.ctx;
        let may = self.may();
        let key = match member(ctx, &may, request.group_id.as_ref(), request.member_id.as_ref()) {
            Ok(key) => key,
            Err(error) => return Outcome::failed(error),
        };
        let limits = [request.max_bytes, request.min_bytes, request.max_records, request.max_wait_ms];
        if request.is_renewal && limits != [0; 4] {
            return Outcome::failed(ErrorCode::INVALID_REQUEST);
        }
        let mode = match request.acquire_mode {
            0 => Mode::Batches,
            1 => Mode::Records,
            // As Kafka, which trips over it.
            _ => return Outcome::failed(ErrorCode::UNKNOWN_SERVER_ERROR),
        };
        let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let acknowledges = request.topics.iter().flat_map(|topic| &topic.partitions).any(|p| !p.batches.is_empty());
        let (most, tie) = (ctx.settings().groups.share.sessions_max, self.peer.share_sessions.to(&ctx.shares));
        let (asked, forgotten) = (self.asked(request), forgotten(request));
        let sessions = ctx.shares.sessions();
        let fetch = session::Fetch { epoch: request.session_epoch, asked, forgotten: &forgotten, acknowledges };
        let begun = match sessions.fetch(&key, fetch, most, tie) {
            Ok(begun) => begun,
            Err(error) => {
                if error == ErrorCode::SHARE_SESSION_LIMIT_REACHED {
                    // So that it does not ask all the time.
                    tokio::time::sleep(max_wait).await;
                }
                return Outcome::failed(error);
            }
        };
        let goes = matches!(begun, Begun::Goes(_));
        let said = Said { key: &key, version: self.version, is_renewal: request.is_renewal, topics: &request.topics };
        let settled = async { if acknowledges { said.settle(ctx, &may).await } else { Vec::new() } };
        let fetched = async {
            match begun {
                Begun::Opened(wanted) | Begun::Goes(wanted) if !request.is_renewal => {
                    self.fetch(request, &key, wanted, mode, max_wait).await
                }
                _ => Vec::new(),
            }
        };
        let (settled, fetched) = tokio::join!(settled, fetched);
        if request.session_epoch == session::LAST {
            ctx.shares.leave(&key.0, &key.1);
        }
        let lock_ms = lock_ms(ctx, &key.0);
        let session = Some((key, request.session_epoch, goes));
        Outcome { error: ErrorCode::NONE, lock_ms, fetched, settled, session }
    }

    fn asked(&self, request: &ShareFetchRequest) -> Vec<Wanted> {
        let image = self.ctx.metadata.load();
        let of = |topic: &wire::share_acknowledge::AcknowledgedTopic| {
            let name: Option<TopicName> = image.topic_by_id(topic.topic).map(|known| known.name.clone());
            let at = |partition| SharedPartition { topic: topic.topic, partition };
            let wanted = topic.partitions.iter().map(|p| Wanted { at: at(p.partition), topic: name.clone() });
            wanted.collect::<Vec<_>>()
        };
        request.topics.iter().flat_map(of).collect()
    }

    /// Reads the session's partitions: those that may be read, another first each time.
    async fn fetch(
        &self,
        request: &ShareFetchRequest,
        key: &(GroupId, MemberId),
        mut wanted: Vec<Wanted>,
        mode: Mode,
        max_wait: Duration,
    ) -> Vec<Fetched> {
        let ctx = &self.ctx;
        let mut failed = Vec::new();
        let mut partitions = Vec::with_capacity(wanted.len());
        {
            let may = self.may();
            let mut may_read: BTreeMap<TopicName, bool> = BTreeMap::new();
            let image = ctx.metadata.load();
            for Wanted { at, topic } in wanted.drain(..) {
                let error = match topic {
                    None => Some(ErrorCode::UNKNOWN_TOPIC_ID),
                    Some(name) => {
                        let may = || may.topic(Operation::Read, name.as_str());
                        let exists = image.topic_by_id(at.topic).and_then(|topic| topic.partition(at.partition));
                        match *may_read.entry(name.clone()).or_insert_with(may) {
                            false => Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
                            true if exists.is_none() => Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                            true => None,
                        }
                    }
                };
                match error {
                    Some(error) => failed.push(Fetched { at, outcome: Err(error) }),
                    None => partitions.push((at, self.find(at))),
                }
            }
        }
        if let Ok(epoch) = usize::try_from(request.session_epoch)
            && !partitions.is_empty()
        {
            let by = epoch % partitions.len();
            partitions.rotate_left(by);
        }
        let mut ceiling = ctx.settings().fetch.response_bytes_max;
        if ctx.quotas.any() {
            // More would have to wait in any case, and so never come.
            let client = self.peer.client(self.client_id.as_deref());
            ceiling = ctx.quotas.fetchable(client).map_or(ceiling, |most| most.min(ceiling));
        }
        let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(ceiling);
        let ask = FetchAsk {
            group: key.0.clone(),
            member: key.1.clone(),
            mode,
            batch_size: request.batch_size.into(),
            max_records: request.max_records.into(),
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0).min(max_bytes),
            max_bytes,
            max_wait,
        };
        let mut fetched = ctx.shares.fetch(ask, partitions).await;
        fetched.append(&mut failed);
        fetched
    }

    fn find(&self, at: SharedPartition) -> Result<Arc<Partition>, ErrorCode> {
        let topic = self.ctx.partitions.topic_by_id(at.topic);
        topic
            .and_then(|topic| topic.partition(at.partition))
            .ok_or_else(|| self.ctx.absent(TopicRef::Id(at.topic), at.partition))
    }

    /// For how many milliseconds the client must wait; it then gets no records now.
    fn charge(&self, outcome: &Outcome, worked: Duration) -> u64 {
        let quotas = &self.ctx.quotas;
        if !quotas.any() {
            return 0;
        }
        let client = self.peer.client(self.client_id.as_deref());
        let time_ms = quotas.worked(client, worked);
        let bytes: usize = outcome.fetched.iter().map(|one| PARTITION + records_of(one)).sum();
        let wait_ms = quotas.fetched(client, HEADER + bytes, time_ms > 0).max(time_ms);
        self.peer.muted.extend(wait_ms);
        wait_ms
    }

    fn answer(&self, mut outcome: Outcome, worked: Duration) -> Answer {
        let wait_ms = self.charge(&outcome, worked);
        let api = self.ctx.metrics.api(KEY);
        api.error(outcome.error);
        if let Some(((group, member), epoch, goes)) = &outcome.session {
            if wait_ms > 0 {
                // What it does not get now is there for it, and for others, afterwards.
                self.ctx.shares.give_back(group, member, &outcome.fetched);
                outcome.fetched.clear();
            } else if *goes {
                let told: Vec<Told> = outcome.fetched.iter().map(told).collect();
                match self.ctx.shares.sessions().answer(&(group.clone(), member.clone()), *epoch, &told) {
                    Ok(news) => {
                        let mut news = news.into_iter();
                        outcome.fetched.retain(|_| news.next().unwrap_or(true));
                    }
                    Err(error) => {
                        self.ctx.shares.give_back(group, member, &outcome.fetched);
                        outcome.fetched.clear();
                        outcome.error = error;
                    }
                }
            }
        }
        let image = self.ctx.metadata.image();
        let mut hints = Hints::new(&image, &self.peer.listener);
        let mut topics = Partitions::new();
        for fetched in outcome.fetched {
            let (at, error) = (fetched.at, fetched.outcome.as_ref().err().copied().unwrap_or(ErrorCode::NONE));
            api.error(error);
            let mut partition = FetchedPartition::without_records(at.partition, error);
            partition.current_leader = leader(&mut hints, at, error);
            if let Ok(Some(found)) = fetched.outcome {
                self.count(at, &found);
                let acquired = found.acquired.iter().map(|one| (one.span.first, one.span.last, one.delivery_count));
                partition.acquired = acquired.collect();
                partition.records = Some(found.records);
            }
            topics.entry(at.topic).or_default().push(partition);
        }
        add_settled(&mut topics, outcome.settled);
        let response = ShareFetchResponse {
            throttle_time_ms: millis(wait_ms),
            error: outcome.error,
            lock_ms: outcome.lock_ms,
            topics: topics.into_iter().collect(),
            node_endpoints: &hints.endpoints,
        };
        match encode_response(&mut BytesMut::with_capacity(256), self.version, self.correlation_id, response) {
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

    fn count(&self, at: SharedPartition, found: &crate::share::partition::Found) {
        if let Ok(partition) = self.find(at) {
            let metrics = partition.metrics();
            metrics.bytes_out.add(found.records.len as u64);
            let records: i64 = found.acquired.iter().map(|one| one.span.len()).sum();
            metrics.records_out.add(u64::try_from(records).unwrap_or(0));
        }
    }
}

fn forgotten(request: &ShareFetchRequest) -> Vec<SharedPartition> {
    let of = |(topic, partitions): &(TopicId, Vec<_>)| {
        let topic = *topic;
        partitions.iter().map(move |partition| SharedPartition { topic, partition: *partition }).collect::<Vec<_>>()
    };
    request.forgotten.iter().flat_map(of).collect()
}

fn records_of(fetched: &Fetched) -> usize {
    match &fetched.outcome {
        Ok(Some(found)) => found.records.len,
        _ => 0,
    }
}

fn told(fetched: &Fetched) -> Told {
    let error = fetched.outcome.as_ref().err().copied().unwrap_or(ErrorCode::NONE);
    Told { at: fetched.at, error, has_records: records_of(fetched) > 0 }
}

/// What came of acknowledgements goes to the partitions that are answered, or makes them be answered.
fn add_settled(topics: &mut Partitions, settled: Settled) {
    for (at, outcome) in settled {
        let acknowledged = match outcome {
            Ok(()) => (ErrorCode::NONE, None),
            Err(error) => (error.code, error.message),
        };
        let partitions = topics.entry(at.topic).or_default();
        match partitions.iter_mut().find(|known| known.partition == at.partition) {
            Some(known) => known.acknowledged = acknowledged,
            None => {
                let mut partition = FetchedPartition::without_records(at.partition, ErrorCode::NONE);
                partition.acknowledged = acknowledged;
                partitions.push(partition);
            }
        }
    }
}
