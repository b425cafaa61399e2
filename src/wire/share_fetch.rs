//! ShareFetch (78), v1-2: the request, and the answer written as heads between which the records lie, as Fetch's.
//!
//! v2: how strictly the number of records is kept (KIP-1206), renewals (KIP-1222). The crate does not know it.

use super::share_acknowledge::{AcknowledgedTopic, RENEWALS, VERSIONS, leader_fields, read_topics, write_topics};
use crate::model::{ErrorCode, Offset, PartitionId, TopicId};
use crate::wire::compact::{self, Get, Put};
use crate::wire::fetch::{Parts, Payload};
use crate::wire::writer::Writer;
use crate::wire::{CurrentLeader, EncodeError, NodeEndpoint};
use anyhow::Result;
use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::{ShareFetchRequest as Original, ShareFetchResponse as OriginalResponse};
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange};
use smallvec::SmallVec;

pub const KEY: i16 = Original::KEY;

/// A member asks for records, and says what became of those it had.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShareFetchRequest {
    pub group_id: Option<StrBytes>,
    pub member_id: Option<StrBytes>,
    pub session_epoch: i32,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub max_records: i32,
    pub batch_size: i32,
    /// v2: 0 whole batches, 1 never more records than asked for.
    pub acquire_mode: i8,
    /// v2
    pub is_renewal: bool,
    pub topics: Vec<AcknowledgedTopic>,
    pub forgotten: Vec<(TopicId, Vec<PartitionId>)>,
}

impl Request for ShareFetchRequest {
    const KEY: i16 = KEY;
    type Response = Unchanged;
}

/// An answer without records: version 2 is like version 1, which is all that the crate knows. What a broker sends is
/// written by [`encode_response`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unchanged(pub OriginalResponse);

impl Message for Unchanged {
    const VERSIONS: VersionRange = VERSIONS;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for Unchanged {
    fn header_version(_: i16) -> i16 {
        OriginalResponse::header_version(1)
    }
}

impl Encodable for Unchanged {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, _: i16) -> Result<()> {
        self.0.encode(buf, 1)
    }

    fn compute_size(&self, _: i16) -> Result<usize> {
        self.0.compute_size(1)
    }
}

impl Decodable for Unchanged {
    fn decode<B: ByteBuf>(buf: &mut B, _: i16) -> Result<Unchanged> {
        OriginalResponse::decode(buf, 1).map(Unchanged)
    }
}

impl Message for ShareFetchRequest {
    const VERSIONS: VersionRange = VERSIONS;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for ShareFetchRequest {
    fn header_version(_: i16) -> i16 {
        Original::header_version(1)
    }
}

impl Decodable for ShareFetchRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<ShareFetchRequest> {
        let request = ShareFetchRequest {
            group_id: buf.nullable()?,
            member_id: buf.nullable()?,
            session_epoch: buf.try_get_i32()?,
            max_wait_ms: buf.try_get_i32()?,
            min_bytes: buf.try_get_i32()?,
            max_bytes: buf.try_get_i32()?,
            max_records: buf.try_get_i32()?,
            batch_size: buf.try_get_i32()?,
            acquire_mode: if version >= RENEWALS { buf.try_get_i8()? } else { 0 },
            is_renewal: version >= RENEWALS && buf.try_get_u8()? != 0,
            topics: read_topics(buf)?,
            forgotten: buf.list(|buf| {
                let topic = TopicId(buf.id()?);
                let partitions = buf.list(|buf| Ok(PartitionId(buf.try_get_i32()?)))?;
                buf.skip_tags()?;
                Ok((topic, partitions))
            })?,
        };
        buf.skip_tags()?;
        Ok(request)
    }
}

impl Encodable for ShareFetchRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        buf.nullable(self.group_id.as_deref())?;
        buf.nullable(self.member_id.as_deref())?;
        for number in
            [self.session_epoch, self.max_wait_ms, self.min_bytes, self.max_bytes, self.max_records, self.batch_size]
        {
            buf.put_i32(number);
        }
        if version >= RENEWALS {
            buf.put_i8(self.acquire_mode);
            buf.put_u8(self.is_renewal.into());
        }
        write_topics(buf, &self.topics)?;
        buf.list(&self.forgotten, |buf, (topic, partitions)| {
            buf.put_slice(topic.0.as_bytes());
            buf.list(partitions, |buf, partition| {
                buf.put_i32(partition.0);
                Ok(())
            })?;
            buf.no_tags()
        })?;
        buf.no_tags()
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        compact::size(self, version)
    }
}

/// The answer to a [`ShareFetchRequest`]. `R` is what stands for a partition's records.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareFetchResponse<'a, R> {
    pub throttle_time_ms: i32,
    pub error: ErrorCode,
    pub lock_ms: i32,
    pub topics: Vec<(TopicId, Vec<FetchedPartition<R>>)>,
    pub node_endpoints: &'a [NodeEndpoint<'a>],
}

/// A partition in a [`ShareFetchResponse`]. Kafka gives no text to the error of a fetch.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedPartition<R> {
    pub partition: PartitionId,
    pub error: ErrorCode,
    /// Of what was said of records, its text with it.
    pub acknowledged: (ErrorCode, Option<String>),
    pub current_leader: Option<CurrentLeader>,
    pub records: Option<R>,
    /// What of the records the member has: first offset, last offset, delivery count.
    pub acquired: Vec<(Offset, Offset, i16)>,
}

impl<R> FetchedPartition<R> {
    /// A partition from which nothing was read.
    #[must_use]
    pub fn without_records(partition: PartitionId, error: ErrorCode) -> FetchedPartition<R> {
        FetchedPartition {
            partition,
            error,
            acknowledged: (ErrorCode::NONE, None),
            current_leader: None,
            records: None,
            acquired: Vec::new(),
        }
    }
}

/// Writes an answer.
///
/// # Errors
/// It cannot be written: a list or a text is too long.
pub fn encode_response<R: Payload>(
    out: &mut BytesMut,
    version: i16,
    correlation_id: i32,
    response: ShareFetchResponse<'_, R>,
) -> Result<Parts<R>, EncodeError> {
    // Where each partition's records go: the end of the head before them.
    let mut cuts: SmallVec<[(usize, R); 1]> = SmallVec::new();
    let mut elsewhere = 0usize;
    let base = out.len();
    let mut w = Writer::frame(out, KEY, version, true, correlation_id);
    w.out.put_i32(response.throttle_time_ms);
    w.out.put_i16(response.error.0);
    w.nullable_string(None);
    w.out.put_i32(response.lock_ms);
    w.count(response.topics.len());
    for (topic, partitions) in response.topics {
        w.out.put_slice(topic.0.as_bytes());
        w.count(partitions.len());
        for partition in partitions {
            w.out.put_i32(partition.partition.0);
            w.out.put_i16(partition.error.0);
            w.nullable_string(None);
            w.out.put_i16(partition.acknowledged.0.0);
            w.nullable_string(partition.acknowledged.1.as_deref());
            let (leader, epoch) = leader_fields(partition.current_leader);
            w.out.put_i32(leader);
            w.out.put_i32(epoch);
            w.no_tags();
            let records = partition.records.filter(|records| records.size() > 0);
            w.records_length(records.as_ref().map_or(0, Payload::size));
            if let Some(records) = records {
                elsewhere = elsewhere.saturating_add(records.size());
                cuts.push((w.out.len(), records));
            }
            w.count(partition.acquired.len());
            for (first, last, delivery_count) in &partition.acquired {
                w.out.put_i64(first.0);
                w.out.put_i64(last.0);
                w.out.put_i16(*delivery_count);
                w.no_tags();
            }
            w.no_tags();
        }
        w.no_tags();
    }
    w.count(response.node_endpoints.len());
    for endpoint in response.node_endpoints {
        w.node_endpoint(endpoint);
    }
    w.no_tags();
    let size = w.close(elsewhere)?;
    Ok(super::fetch::cut(out, base, cuts, size))
}

#[cfg(test)]
mod tests;
