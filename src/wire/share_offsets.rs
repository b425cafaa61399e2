//! DescribeShareGroupOffsets 1 (KIP-1226): how far behind a share group is. The crate has no field for it, so the answer is
//! written here, in both versions; the question is the same in version 1, and is the crate's.

use crate::wire::compact::{self, Get, Put};
use crate::wire::share_state::Unchanged;
use anyhow::Result;
use kafka_protocol::messages::{DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse};
use kafka_protocol::protocol::buf::{ByteBuf, ByteBufMut};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange};
use uuid::Uuid;

/// The version that has the lag.
const LAGS: i16 = 1;

/// The lag, where a version does not have it.
pub const UNKNOWN_LAG: i64 = -1;

/// DescribeShareGroupOffsets (90), v0-1: the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetsResponse {
    pub throttle_time_ms: i32,
    pub groups: Vec<OffsetsGroup>,
}

/// One group in an [`OffsetsResponse`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetsGroup {
    pub group_id: StrBytes,
    pub topics: Vec<OffsetsTopic>,
    pub error_code: i16,
    pub error_message: Option<StrBytes>,
}

/// The partitions of one topic in an [`OffsetsGroup`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetsTopic {
    pub topic_name: StrBytes,
    pub topic_id: Uuid,
    pub partitions: Vec<OffsetsPartition>,
}

/// A partition in an [`OffsetsTopic`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffsetsPartition {
    pub partition_index: i32,
    pub start_offset: i64,
    pub leader_epoch: i32,
    /// v1
    pub lag: i64,
    pub error_code: i16,
    pub error_message: Option<StrBytes>,
}

impl Request for Unchanged<DescribeShareGroupOffsetsRequest> {
    const KEY: i16 = DescribeShareGroupOffsetsRequest::KEY;
    type Response = OffsetsResponse;
}

impl Message for OffsetsResponse {
    const VERSIONS: VersionRange = VersionRange { min: 0, max: LAGS };
    const DEPRECATED_VERSIONS: Option<VersionRange> = None;
}

impl HeaderVersion for OffsetsResponse {
    fn header_version(_: i16) -> i16 {
        DescribeShareGroupOffsetsResponse::header_version(0)
    }
}

impl Encodable for OffsetsResponse {
    fn encode<B: ByteBufMut>(&self, buf: &mut B, version: i16) -> Result<()> {
        buf.put_i32(self.throttle_time_ms);
        buf.list(&self.groups, |buf, group| {
            buf.text(&group.group_id)?;
            buf.list(&group.topics, |buf, topic| {
                buf.text(&topic.topic_name)?;
                buf.put_slice(topic.topic_id.as_bytes());
                buf.list(&topic.partitions, |buf, partition| {
                    buf.put_i32(partition.partition_index);
                    buf.put_i64(partition.start_offset);
                    buf.put_i32(partition.leader_epoch);
                    if version >= LAGS {
                        buf.put_i64(partition.lag);
                    }
                    buf.put_i16(partition.error_code);
                    buf.nullable(partition.error_message.as_deref())?;
                    buf.no_tags()
                })?;
                buf.no_tags()
            })?;
            buf.put_i16(group.error_code);
            buf.nullable(group.error_message.as_deref())?;
            buf.no_tags()
        })?;
        buf.no_tags()
    }

    fn compute_size(&self, version: i16) -> Result<usize> {
        compact::size(self, version)
    }
}

impl Decodable for OffsetsResponse {
    fn decode<B: ByteBuf>(buf: &mut B, version: i16) -> Result<OffsetsResponse> {
        let throttle_time_ms = buf.try_get_i32()?;
        let groups = buf.list(|buf| {
            let group_id = buf.text()?;
            let topics = buf.list(|buf| {
                let (topic_name, topic_id) = (buf.text()?, buf.id()?);
                let partitions = buf.list(|buf| {
                    let partition = OffsetsPartition {
                        partition_index: buf.try_get_i32()?,
                        start_offset: buf.try_get_i64()?,
                        leader_epoch: buf.try_get_i32()?,
                        lag: if version >= LAGS { buf.try_get_i64()? } else { UNKNOWN_LAG },
                        error_code: buf.try_get_i16()?,
                        error_message: buf.nullable()?,
                    };
                    buf.skip_tags()?;
                    Ok(partition)
                })?;
                buf.skip_tags()?;
                Ok(OffsetsTopic { topic_name, topic_id, partitions })
            })?;
            let (error_code, error_message) = (buf.try_get_i16()?, buf.nullable()?);
            buf.skip_tags()?;
            Ok(OffsetsGroup { group_id, topics, error_code, error_message })
        })?;
        buf.skip_tags()?;
        Ok(OffsetsResponse { throttle_time_ms, groups })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bytes::BytesMut;
    use kafka_protocol::messages::describe_share_group_offsets_response::{
        DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
        DescribeShareGroupOffsetsResponseTopic,
    };
    use kafka_protocol::messages::{GroupId, TopicName};

    fn answer(lag: i64) -> OffsetsResponse {
        let partition = OffsetsPartition {
            partition_index: 3,
            start_offset: 70,
            leader_epoch: 2,
            lag,
            error_code: 5,
            error_message: Some("why".into()),
        };
        let topic_id = Uuid::from_u128(7);
        let topic = OffsetsTopic { topic_name: "t".into(), topic_id, partitions: vec![partition] };
        let group = OffsetsGroup { group_id: "g".into(), topics: vec![topic], error_code: 1, error_message: None };
        OffsetsResponse { throttle_time_ms: 9, groups: vec![group] }
    }

    fn written(message: &impl Encodable, version: i16) -> BytesMut {
        let mut out = BytesMut::new();
        message.encode(&mut out, version).unwrap();
        assert_eq!(message.compute_size(version).unwrap(), out.len());
        out
    }

    #[test]
    fn version_0_is_the_crates() {
        let partition = DescribeShareGroupOffsetsResponsePartition::default()
            .with_partition_index(3)
            .with_start_offset(70)
            .with_leader_epoch(2)
            .with_error_code(5)
            .with_error_message(Some("why".into()));
        let topic = DescribeShareGroupOffsetsResponseTopic::default()
            .with_topic_name(TopicName("t".into()))
            .with_topic_id(Uuid::from_u128(7))
            .with_partitions(vec![partition]);
        let group = DescribeShareGroupOffsetsResponseGroup::default()
            .with_group_id(GroupId("g".into()))
            .with_topics(vec![topic])
            .with_error_code(1);
        let crates = DescribeShareGroupOffsetsResponse::default().with_throttle_time_ms(9).with_groups(vec![group]);
        assert_eq!(written(&answer(4), 0), written(&crates, 0));
    }

    #[test]
    fn the_lag_is_eight_bytes_behind_the_leader_epoch_since_version_1() {
        let (before, since) = (written(&answer(4), 0), written(&answer(4), 1));
        let at = before.windows(4).position(|bytes| bytes == [0, 0, 0, 2]).unwrap() + 4;
        assert_eq!(since, [&before[..at], &4i64.to_be_bytes(), &before[at..]].concat());
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let mut one = written(&answer(4), 1).freeze();
        assert_eq!(OffsetsResponse::decode(&mut one, 1).unwrap(), answer(4));
        let mut zero = written(&answer(4), 0).freeze();
        assert_eq!(OffsetsResponse::decode(&mut zero, 0).unwrap(), answer(UNKNOWN_LAG));
    }
}
