//! WriteShareGroupState 1 and ReadShareGroupStateSummary 1 (KIP-1226): how many records are done with. The crate has no
//! field for it, so the messages that do are written and read here, in both versions; the others of these two APIs are the
//! same in version 1, and are the crate's.
//!
//! What is read here was walked by the guard before, as what the crate reads.

use crate::wire::compact::{self, Get, Put};
use anyhow::Result;
use kafka_protocol::messages::write_share_group_state_request::StateBatch;
use kafka_protocol::messages::{
    ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse, WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
};
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange};
use uuid::Uuid;

/// The version that has the count.
const COUNTED: i16 = 1;
const BOTH: VersionRange = VersionRange { min: 0, max: COUNTED };

/// The count, where a version does not have it.
pub const UNKNOWN_COUNT: i32 = -1;

/// A message that is the same in version 1 as in version 0, which is all that the crate knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unchanged<T>(pub T);

impl<T> Message for Unchanged<T> {
    const VERSIONS: VersionRange = BOTH;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl<T: Encodable> Encodable for Unchanged<T> {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, _: i16) -> Result<()> {
        self.0.encode(buf, 0)
    }

    fn compute_size(&self, _: i16) -> Result<usize> {
        self.0.compute_size(0)
    }
}

impl<T: Decodable> Decodable for Unchanged<T> {
    fn decode<B: ByteBuf>(buf: &mut B, _: i16) -> Result<Unchanged<T>> {
        T::decode(buf, 0).map(Unchanged)
    }
}

impl<T: HeaderVersion> HeaderVersion for Unchanged<T> {
    fn header_version(_: i16) -> i16 {
        T::header_version(0)
    }
}

/// WriteShareGroupState (85), v0-1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteRequest {
    pub group_id: StrBytes,
    pub topics: Vec<WriteTopic>,
}

/// The partitions of one topic in a [`WriteRequest`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteTopic {
    pub topic_id: Uuid,
    pub partitions: Vec<WritePartition>,
}

/// A partition in a [`WriteRequest`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WritePartition {
    pub partition: i32,
    pub state_epoch: i32,
    pub leader_epoch: i32,
    /// -1: it is not written.
    pub start_offset: i64,
    /// v1
    pub delivery_complete_count: i32,
    pub state_batches: Vec<StateBatch>,
}

/// ReadShareGroupStateSummary (87), v0-1: the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryResponse {
    pub results: Vec<SummaryTopic>,
}

/// The partitions of one topic in a [`SummaryResponse`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryTopic {
    pub topic_id: Uuid,
    pub partitions: Vec<SummaryPartition>,
}

/// A partition in a [`SummaryResponse`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryPartition {
    pub partition: i32,
    pub error_code: i16,
    pub error_message: Option<StrBytes>,
    pub state_epoch: i32,
    pub leader_epoch: i32,
    pub start_offset: i64,
    /// v1
    pub delivery_complete_count: i32,
}

impl Request for WriteRequest {
    const KEY: i16 = WriteShareGroupStateRequest::KEY;
    type Response = Unchanged<WriteShareGroupStateResponse>;
}

impl Request for Unchanged<ReadShareGroupStateSummaryRequest> {
    const KEY: i16 = ReadShareGroupStateSummaryRequest::KEY;
    type Response = SummaryResponse;
}

impl Message for WriteRequest {
    const VERSIONS: VersionRange = BOTH;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for WriteRequest {
    fn header_version(_: i16) -> i16 {
        WriteShareGroupStateRequest::header_version(0)
    }
}

impl Encodable for WriteRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        buf.text(&self.group_id)?;
        buf.list(&self.topics, |buf, topic| {
            buf.put_slice(topic.topic_id.as_bytes());
            buf.list(&topic.partitions, |buf, partition| {
                buf.put_i32(partition.partition);
                buf.put_i32(partition.state_epoch);
                buf.put_i32(partition.leader_epoch);
                buf.put_i64(partition.start_offset);
                if version >= COUNTED {
                    buf.put_i32(partition.delivery_complete_count);
                }
                buf.list(&partition.state_batches, |buf, batch| batch.encode(buf, 0))?;
                buf.no_tags()
            })?;
            buf.no_tags()
        })?;
        buf.no_tags()
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        compact::size(self, version)
    }
}

impl Decodable for WriteRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<WriteRequest> {
        let group_id = buf.text()?;
        let topics = buf.list(|buf| {
            let topic_id = buf.id()?;
            let partitions = buf.list(|buf| {
                let partition = WritePartition {
                    partition: buf.try_get_i32()?,
                    state_epoch: buf.try_get_i32()?,
                    leader_epoch: buf.try_get_i32()?,
                    start_offset: buf.try_get_i64()?,
                    delivery_complete_count: if version >= COUNTED { buf.try_get_i32()? } else { UNKNOWN_COUNT },
                    state_batches: buf.list(|buf| StateBatch::decode(buf, 0))?,
                };
                buf.skip_tags()?;
                Ok(partition)
            })?;
            buf.skip_tags()?;
            Ok(WriteTopic { topic_id, partitions })
        })?;
        buf.skip_tags()?;
        Ok(WriteRequest { group_id, topics })
    }
}

impl Message for SummaryResponse {
    const VERSIONS: VersionRange = BOTH;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for SummaryResponse {
    fn header_version(_: i16) -> i16 {
        ReadShareGroupStateSummaryResponse::header_version(0)
    }
}

impl Encodable for SummaryResponse {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        buf.list(&self.results, |buf, topic| {
            buf.put_slice(topic.topic_id.as_bytes());
            buf.list(&topic.partitions, |buf, partition| {
                buf.put_i32(partition.partition);
                buf.put_i16(partition.error_code);
                buf.nullable(partition.error_message.as_deref())?;
                buf.put_i32(partition.state_epoch);
                buf.put_i32(partition.leader_epoch);
                buf.put_i64(partition.start_offset);
                if version >= COUNTED {
                    buf.put_i32(partition.delivery_complete_count);
                }
                buf.no_tags()
            })?;
            buf.no_tags()
        })?;
        buf.no_tags()
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        compact::size(self, version)
    }
}

impl Decodable for SummaryResponse {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<SummaryResponse> {
        let results = buf.list(|buf| {
            let topic_id = buf.id()?;
            let partitions = buf.list(|buf| {
                let partition = SummaryPartition {
                    partition: buf.try_get_i32()?,
                    error_code: buf.try_get_i16()?,
                    error_message: buf.nullable()?,
                    state_epoch: buf.try_get_i32()?,
                    leader_epoch: buf.try_get_i32()?,
                    start_offset: buf.try_get_i64()?,
                    delivery_complete_count: if version >= COUNTED { buf.try_get_i32()? } else { UNKNOWN_COUNT },
                };
                buf.skip_tags()?;
                Ok(partition)
            })?;
            buf.skip_tags()?;
            Ok(SummaryTopic { topic_id, partitions })
        })?;
        buf.skip_tags()?;
        Ok(SummaryResponse { results })
    }
}

#[cfg(test)]
mod tests;
