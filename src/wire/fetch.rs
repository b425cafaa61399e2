//! Fetch (1), v4-18: the request parsed over the frame, the response written as heads between which the records lie,
//! so that records can be ranges of files and are never copied.
//!
//! v5 log start offset · v7 sessions (KIP-227) · v9 current leader epoch · v11 rack, preferred replica · v12 flexible, last
//! fetched epoch, diverging epoch, current leader, snapshot id, cluster id · v13 topic ids · v15 replica state · v16 node
//! endpoints (KIP-951) · v17 directory id of the follower · v18 high watermark of the follower.
//!
//! [`parse`] is its own guard: its lists take at most [`decoded_max`] bytes.

mod answer;

pub use answer::parse_response;

use crate::model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionId, ProducerId, TopicId};
use crate::wire::reader::{Reader, Width};
use crate::wire::writer::Writer;
use crate::wire::{CurrentLeader, EncodeError, NodeEndpoint, Refused, TopicRef};
use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;
use uuid::Uuid;

pub const KEY: i16 = 1;
pub const MIN_VERSION: i16 = 4;
pub const MAX_VERSION: i16 = 18;

const FLEXIBLE: i16 = 12;
const TOPIC_IDS: i16 = 13;

/// A request to read, from a consumer or a follower. Names are slices of the body it was parsed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest<'a> {
    /// v12, followers only.
    pub cluster_id: Option<&'a str>,
    /// The follower that asks; `NodeId(-1)` for a consumer.
    pub replica: NodeId,
    /// v15: the broker epoch of the follower, -1 if it is not known.
    pub replica_epoch: i64,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    /// 0 read uncommitted, 1 read committed; another value is for the handler to refuse.
    pub isolation_level: i8,
    /// v7; 0 is "no session".
    pub session_id: i32,
    /// v7; -1 is "no session", 0 asks for one.
    pub session_epoch: i32,
    pub topics: SmallVec<[FetchTopic<'a>; 1]>,
    /// v7: what to drop from the session.
    pub forgotten: Vec<ForgottenTopic<'a>>,
    /// v11; empty if the client has none.
    pub rack: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopic<'a> {
    pub topic: TopicRef<'a>,
    pub partitions: Vec<FetchPartition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    pub partition: PartitionId,
    /// v9; [`LeaderEpoch::NONE`] if the client does not know it.
    pub current_leader_epoch: LeaderEpoch,
    pub fetch_offset: Offset,
    /// v12; [`LeaderEpoch::NONE`] if there is none.
    pub last_fetched_epoch: LeaderEpoch,
    /// v5, followers only.
    pub log_start: Offset,
    pub max_bytes: i32,
    /// v17, followers only; nil if not set.
    pub directory_id: Uuid,
    /// v18, followers only; `Offset(i64::MAX)` if not set.
    pub high_watermark: Offset,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgottenTopic<'a> {
    pub topic: TopicRef<'a>,
    pub partitions: Vec<PartitionId>,
}

/// The answer to a [`FetchRequest`]. `R` is what stands for a partition's records: bytes, a range of a file, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchResponse<'a, R> {
    pub throttle_time_ms: i32,
    /// v7.
    pub error: ErrorCode,
    /// v7; must be 0 below.
    pub session_id: i32,
    pub topics: SmallVec<[TopicResponse<'a, R>; 1]>,
    /// v16: the addresses of the leaders that `current_leader` names.
    pub node_endpoints: &'a [NodeEndpoint<'a>],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicResponse<'a, R> {
    pub topic: TopicRef<'a>,
    pub partitions: Vec<PartitionResponse<R>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionResponse<R> {
    pub partition: PartitionId,
    pub error: ErrorCode,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    /// v5.
    pub log_start: Offset,
    /// v12: where the follower's log (or the consumer's position) leaves ours.
    pub diverging_epoch: Option<(LeaderEpoch, Offset)>,
    /// v12.
    pub current_leader: Option<CurrentLeader>,
    /// v12: fetch this snapshot instead.
    pub snapshot_id: Option<(Offset, LeaderEpoch)>,
    /// `None` is null: what a reader of uncommitted records gets.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// v11; must be `None` below.
    pub preferred_read_replica: Option<NodeId>,
    /// `None` is written as no bytes, as Kafka writes it; never as null.
    pub records: Option<R>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
}

impl<R> PartitionResponse<R> {
    /// A partition from which nothing was read.
    #[must_use]
    pub fn failed(partition: PartitionId, error: ErrorCode) -> PartitionResponse<R> {
        PartitionResponse {
            partition,
            error,
            high_watermark: Offset::NONE,
            last_stable_offset: Offset::NONE,
            log_start: Offset::NONE,
            diverging_epoch: None,
            current_leader: None,
            snapshot_id: None,
            aborted_transactions: None,
            preferred_read_replica: None,
            records: None,
        }
    }
}

/// Records as the encoder needs to know them: by their size. Exactly `size` bytes must then be sent.
pub trait Payload {
    fn size(&self) -> usize;
}

impl Payload for Bytes {
    fn size(&self) -> usize {
        self.len()
    }
}

/// A piece of a response, to be sent in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<R> {
    Head(Bytes),
    Records(R),
}

/// A response as it goes to the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts<R> {
    pub parts: SmallVec<[Part<R>; 3]>,
    /// Bytes of the whole frame, its length included.
    pub size: usize,
}

/// The most memory that the lists of a request parsed from `body_length` bytes take. A body that needs more consists of
/// topics without partitions, and is refused.
#[must_use]
pub const fn decoded_max(body_length: usize) -> usize {
    body_length.saturating_mul(8).saturating_add(64 * 1024)
}

struct Parser<'a> {
    reader: Reader<'a>,
    version: i16,
    flexible: bool,
    budget: usize,
}

/// Parses the body of a request.
pub fn parse(version: i16, body: &[u8]) -> Result<FetchRequest<'_>, Refused> {
    if !(MIN_VERSION..=MAX_VERSION).contains(&version) {
        return Err(Refused::UnsupportedVersion { key: KEY, version });
    }
    let flexible = version >= FLEXIBLE;
    let mut p = Parser { reader: Reader::new(body), version, flexible, budget: decoded_max(body.len()) };
    let mut request = FetchRequest {
        cluster_id: None,
        replica: if version < 15 { NodeId(p.reader.i32()?) } else { NodeId(-1) },
        replica_epoch: -1,
        max_wait_ms: p.reader.i32()?,
        min_bytes: p.reader.i32()?,
        max_bytes: p.reader.i32()?,
        isolation_level: p.reader.i8()?,
        session_id: if version >= 7 { p.reader.i32()? } else { 0 },
        session_epoch: if version >= 7 { p.reader.i32()? } else { -1 },
        topics: p.topics()?,
        forgotten: if version >= 7 { p.forgotten()? } else { Vec::new() },
        rack: if version >= 11 { p.reader.str(Width::string(flexible))? } else { "" },
    };
    if flexible {
        p.reader.tags(|tag, field| match tag {
            0 => {
                request.cluster_id = field.nullable_str(Width::CompactString)?;
                Ok(true)
            }
            1 if version >= 15 => {
                request.replica = NodeId(field.i32()?);
                request.replica_epoch = field.i64()?;
                field.skip_tags()?;
                Ok(true)
            }
            1 => Err(Refused::Tag { at: field.at(), tag }),
            _ => Ok(false),
        })?;
    }
    Ok(request)
}

impl<'a> Parser<'a> {
    /// The count of an array, its decoded form charged to the budget.
    fn count<T>(&mut self, least: usize) -> Result<usize, Refused> {
        let at = self.reader.at();
        let count = self.reader.count(self.flexible, least)?.ok_or(Refused::Null { at })?;
        let cost = count.saturating_mul(size_of::<T>());
        self.budget = self.budget.checked_sub(cost).ok_or(Refused::Count { at, count: count as i64 })?;
        Ok(count)
    }

    /// The fewest bytes of a topic: its name or id, the count of its partitions, its tags.
    fn topic_least(&self) -> usize {
        match self.version {
            TOPIC_IDS.. => 18,
            FLEXIBLE.. => 3,
            _ => 6,
        }
    }

    fn topic(&mut self) -> Result<TopicRef<'a>, Refused> {
        if self.version >= TOPIC_IDS {
            Ok(TopicRef::Id(TopicId(self.reader.uuid()?)))
        } else {
            Ok(TopicRef::Name(self.reader.str(Width::string(self.flexible))?))
        }
    }

    fn end(&mut self) -> Result<(), Refused> {
        if self.flexible { self.reader.skip_tags() } else { Ok(()) }
    }

    fn topics(&mut self) -> Result<SmallVec<[FetchTopic<'a>; 1]>, Refused> {
        let count = self.count::<FetchTopic<'_>>(self.topic_least())?;
        let mut topics = SmallVec::with_capacity(count);
        for _ in 0..count {
            let topic = self.topic()?;
            let count = self.count::<FetchPartition>(16)?;
            let mut partitions = Vec::with_capacity(count);
            for _ in 0..count {
                partitions.push(self.partition()?);
            }
            self.end()?;
            topics.push(FetchTopic { topic, partitions });
        }
        Ok(topics)
    }

    fn partition(&mut self) -> Result<FetchPartition, Refused> {
        let (version, r) = (self.version, &mut self.reader);
        let mut partition = FetchPartition {
            partition: PartitionId(r.i32()?),
            current_leader_epoch: if version >= 9 { LeaderEpoch(r.i32()?) } else { LeaderEpoch::NONE },
            fetch_offset: Offset(r.i64()?),
            last_fetched_epoch: if version >= 12 { LeaderEpoch(r.i32()?) } else { LeaderEpoch::NONE },
            log_start: if version >= 5 { Offset(r.i64()?) } else { Offset::NONE },
            max_bytes: r.i32()?,
            directory_id: Uuid::nil(),
            high_watermark: Offset(i64::MAX),
        };
        if self.flexible {
            r.tags(|tag, field| match tag {
                0 if version >= 17 => {
                    partition.directory_id = field.uuid()?;
                    Ok(true)
                }
                1 if version >= 18 => {
                    partition.high_watermark = Offset(field.i64()?);
                    Ok(true)
                }
                0 | 1 => Err(Refused::Tag { at: field.at(), tag }),
                _ => Ok(false),
            })?;
        }
        Ok(partition)
    }

    fn forgotten(&mut self) -> Result<Vec<ForgottenTopic<'a>>, Refused> {
        let count = self.count::<ForgottenTopic<'_>>(self.topic_least())?;
        let mut forgotten = Vec::with_capacity(count);
        for _ in 0..count {
            let topic = self.topic()?;
            let count = self.count::<PartitionId>(4)?;
            let mut partitions = Vec::with_capacity(count);
            for _ in 0..count {
                partitions.push(PartitionId(self.reader.i32()?));
            }
            self.end()?;
            forgotten.push(ForgottenTopic { topic, partitions });
        }
        Ok(forgotten)
    }
}

/// Writes an answer. The heads are cut from the end of `out`; what was in it before stays, and if that was nothing, so does
/// its spare memory. On an error `out` is as it was.
pub fn encode_response<R: Payload>(
    out: &mut BytesMut,
    version: i16,
    correlation_id: i32,
    response: FetchResponse<'_, R>,
) -> Result<Parts<R>, EncodeError> {
    // Where each partition's records go: the end of the head before them.
    let mut cuts: SmallVec<[(usize, R); 1]> = SmallVec::new();
    let mut elsewhere = 0usize;
    let base = out.len();
    let mut w = Writer::frame(out, KEY, version, version >= FLEXIBLE, correlation_id);
    if !(MIN_VERSION..=MAX_VERSION).contains(&version) {
        w.fail("the version is not served");
    }
    w.out.put_i32(response.throttle_time_ms);
    if version >= 7 {
        w.out.put_i16(response.error.0);
        w.out.put_i32(response.session_id);
    } else if response.session_id != 0 {
        w.fail("a fetch session is answered in a version without sessions");
    }
    w.count(response.topics.len());
    for topic in response.topics {
        w.topic(topic.topic, TOPIC_IDS);
        w.count(topic.partitions.len());
        for mut partition in topic.partitions {
            let records = partition.records.take().filter(|records| records.size() > 0);
            encode_partition_head(&mut w, &partition);
            w.records_length(records.as_ref().map_or(0, Payload::size));
            if let Some(records) = records {
                elsewhere = elsewhere.saturating_add(records.size());
                cuts.push((w.out.len(), records));
            }
            encode_partition_tags(&mut w, &partition);
        }
        w.no_tags();
    }
    if version >= 16 {
        w.node_endpoints(response.node_endpoints);
    } else {
        w.no_tags();
    }
    let size = w.close(elsewhere)?;
    Ok(cut(out, base, cuts, size))
}

/// The frame that `out` has from `base` on, cut where records go.
pub(super) fn cut<R>(out: &mut BytesMut, base: usize, cuts: SmallVec<[(usize, R); 1]>, size: usize) -> Parts<R> {
    let mut parts = SmallVec::with_capacity(2 * cuts.len() + 1);
    let mut frame = if base == 0 { out.split() } else { out.split_off(base) };
    let mut cut_before = base;
    for (cut, records) in cuts {
        parts.push(Part::Head(frame.split_to(cut - cut_before).freeze()));
        parts.push(Part::Records(records));
        cut_before = cut;
    }
    if !frame.is_empty() {
        parts.push(Part::Head(frame.freeze()));
    }
    Parts { parts, size }
}

fn encode_partition_head<R>(w: &mut Writer<'_>, partition: &PartitionResponse<R>) {
    w.out.put_i32(partition.partition.0);
    w.out.put_i16(partition.error.0);
    w.out.put_i64(partition.high_watermark.0);
    w.out.put_i64(partition.last_stable_offset.0);
    if w.version >= 5 {
        w.out.put_i64(partition.log_start.0);
    }
    match &partition.aborted_transactions {
        None => w.null_array(),
        Some(aborted) => {
            w.count(aborted.len());
            for transaction in aborted {
                w.out.put_i64(transaction.producer_id.0);
                w.out.put_i64(transaction.first_offset.0);
                w.no_tags();
            }
        }
    }
    if w.version >= 11 {
        w.out.put_i32(partition.preferred_read_replica.map_or(-1, |replica| replica.0));
    } else if partition.preferred_read_replica.is_some() {
        w.fail("a preferred read replica is named in a version without one");
    }
}

/// The tagged fields come last, after the records.
fn encode_partition_tags<R>(w: &mut Writer<'_>, partition: &PartitionResponse<R>) {
    if !w.flexible {
        return;
    }
    let leader = partition.current_leader.filter(CurrentLeader::is_set);
    let present = [partition.diverging_epoch.is_some(), leader.is_some(), partition.snapshot_id.is_some()];
    w.uvarint(present.iter().map(|is| u32::from(*is)).sum());
    if let Some((LeaderEpoch(epoch), Offset(end))) = partition.diverging_epoch {
        w.out.put_slice(&[0, 13]);
        w.out.put_i32(epoch);
        w.out.put_i64(end);
        w.no_tags();
    }
    if let Some(leader) = leader {
        w.current_leader(1, leader);
    }
    if let Some((Offset(end), LeaderEpoch(epoch))) = partition.snapshot_id {
        w.out.put_slice(&[2, 13]);
        w.out.put_i64(end);
        w.out.put_i32(epoch);
        w.no_tags();
    }
}
