//! ShareAcknowledge (79), v1-2, and what it has in common with ShareFetch. The crate does not know version 2 (KIP-1222):
//! renewals, and how long locks last, in the answer.
//!
//! What is read here was walked by the guard before, as what the crate reads.

use crate::model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionId, TopicId};
use crate::wire::CurrentLeader;
use crate::wire::compact::{self, Get, Put};
use anyhow::Result;
use bytes::Bytes;
use kafka_protocol::messages::{ShareAcknowledgeRequest as Original, ShareAcknowledgeResponse as OriginalResponse};
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange};

/// From this version locks can be renewed.
pub const RENEWALS: i16 = 2;
pub(super) const VERSIONS: VersionRange = VersionRange { min: 1, max: 2 };

/// What a member says of its records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AcknowledgeRequest {
    pub group_id: Option<StrBytes>,
    pub member_id: Option<StrBytes>,
    pub session_epoch: i32,
    /// v2
    pub is_renewal: bool,
    pub topics: Vec<AcknowledgedTopic>,
}

/// A topic in an [`AcknowledgeRequest`], or in a fetch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AcknowledgedTopic {
    pub topic: TopicId,
    pub partitions: Vec<AcknowledgedPartition>,
}

/// A partition in an [`AcknowledgedTopic`].
#[derive(Clone, Debug, PartialEq)]
pub struct AcknowledgedPartition {
    pub partition: PartitionId,
    pub batches: Vec<AcknowledgementBatch>,
}

/// What is said of neighbouring records.
#[derive(Clone, Debug, PartialEq)]
pub struct AcknowledgementBatch {
    pub first: Offset,
    /// Included.
    pub last: Offset,
    /// One for all, or one for each; a byte each. A slice of the frame.
    pub kinds: Bytes,
}

impl Request for AcknowledgeRequest {
    const KEY: i16 = Original::KEY;
    type Response = AcknowledgeResponse;
}

impl Message for AcknowledgeRequest {
    const VERSIONS: VersionRange = VERSIONS;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for AcknowledgeRequest {
    fn header_version(_: i16) -> i16 {
        Original::header_version(1)
    }
}

impl Decodable for AcknowledgeRequest {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<AcknowledgeRequest> {
        let request = AcknowledgeRequest {
            group_id: buf.nullable()?,
            member_id: buf.nullable()?,
            session_epoch: buf.try_get_i32()?,
            is_renewal: version >= RENEWALS && buf.try_get_u8()? != 0,
            topics: read_topics(buf)?,
        };
        buf.skip_tags()?;
        Ok(request)
    }
}

impl Encodable for AcknowledgeRequest {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        buf.nullable(self.group_id.as_deref())?;
        buf.nullable(self.member_id.as_deref())?;
        buf.put_i32(self.session_epoch);
        if version >= RENEWALS {
            buf.put_u8(self.is_renewal.into());
        }
        write_topics(buf, &self.topics)?;
        buf.no_tags()
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        compact::size(self, version)
    }
}

pub(super) fn read_topics<B: ByteBuf>(buf: &mut B) -> Result<Vec<AcknowledgedTopic>> {
    buf.list(|buf| {
        let topic = TopicId(buf.id()?);
        let partitions = buf.list(|buf| {
            let partition = PartitionId(buf.try_get_i32()?);
            let batches = buf.list(|buf| {
                let (first, last) = (Offset(buf.try_get_i64()?), Offset(buf.try_get_i64()?));
                let Some(count) = buf.uvarint()?.checked_sub(1) else { anyhow::bail!("an array is null") };
                let kinds = buf.try_get_bytes(count as usize)?;
                buf.skip_tags()?;
                Ok(AcknowledgementBatch { first, last, kinds })
            })?;
            buf.skip_tags()?;
            Ok(AcknowledgedPartition { partition, batches })
        })?;
        buf.skip_tags()?;
        Ok(AcknowledgedTopic { topic, partitions })
    })
}

pub(super) fn write_topics<B: ByteBufMut>(buf: &mut B, topics: &[AcknowledgedTopic]) -> Result<()> {
    buf.list(topics, |buf, topic| {
        buf.put_slice(topic.topic.0.as_bytes());
        buf.list(&topic.partitions, |buf, partition| {
            buf.put_i32(partition.partition.0);
            buf.list(&partition.batches, |buf, batch| {
                buf.put_i64(batch.first.0);
                buf.put_i64(batch.last.0);
                buf.uvarint(u32::try_from(batch.kinds.len())?.saturating_add(1));
                buf.put_slice(&batch.kinds);
                buf.no_tags()
            })?;
            buf.no_tags()
        })?;
        buf.no_tags()
    })
}

/// What became of an [`AcknowledgeRequest`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AcknowledgeResponse {
    pub throttle_time_ms: i32,
    pub error: ErrorCode,
    /// v2: how long locks last.
    pub lock_ms: i32,
    pub topics: Vec<(TopicId, Vec<AcknowledgeOutcome>)>,
    /// Where the leaders are that the partitions name.
    pub endpoints: Vec<Endpoint>,
}

/// What became of a partition's acknowledgements.
#[derive(Clone, Debug, PartialEq)]
pub struct AcknowledgeOutcome {
    pub partition: PartitionId,
    pub error: ErrorCode,
    pub message: Option<StrBytes>,
    pub current_leader: Option<CurrentLeader>,
}

/// Where a broker is: a `NodeEndpoint` that owns its strings.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    pub node: NodeId,
    pub host: StrBytes,
    pub port: i32,
    pub rack: Option<StrBytes>,
}

impl Message for AcknowledgeResponse {
    const VERSIONS: VersionRange = VERSIONS;
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for AcknowledgeResponse {
    fn header_version(_: i16) -> i16 {
        OriginalResponse::header_version(1)
    }
}

/// These messages have no default for a leader that is not told, so it is 0, in epoch 0.
pub(super) fn leader_fields(leader: Option<CurrentLeader>) -> (i32, i32) {
    let told = leader.unwrap_or(CurrentLeader { leader: NodeId(0), epoch: LeaderEpoch(0) });
    (told.leader.0, told.epoch.0)
}

impl Encodable for AcknowledgeResponse {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        buf.put_i32(self.throttle_time_ms);
        buf.put_i16(self.error.0);
        buf.nullable(None)?;
        if version >= RENEWALS {
            buf.put_i32(self.lock_ms);
        }
        buf.list(&self.topics, |buf, (topic, partitions)| {
            buf.put_slice(topic.0.as_bytes());
            buf.list(partitions, |buf, outcome| {
                buf.put_i32(outcome.partition.0);
                buf.put_i16(outcome.error.0);
                buf.nullable(outcome.message.as_deref())?;
                let (leader, epoch) = leader_fields(outcome.current_leader);
                buf.put_i32(leader);
                buf.put_i32(epoch);
                buf.no_tags()?;
                buf.no_tags()
            })?;
            buf.no_tags()
        })?;
        buf.list(&self.endpoints, |buf, endpoint| {
            buf.put_i32(endpoint.node.0);
            buf.text(&endpoint.host)?;
            buf.put_i32(endpoint.port);
            buf.nullable(endpoint.rack.as_deref())?;
            buf.no_tags()
        })?;
        buf.no_tags()
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        compact::size(self, version)
    }
}

impl Decodable for AcknowledgeResponse {
    fn decode<B: ByteBuf>(_: &mut B, _: i16) -> Result<AcknowledgeResponse> {
        anyhow::bail!("a broker does not ask this")
    }
}
