//! Produce (0), v3-13: the request parsed over the frame without copying a record, the response written straight into
//! the connection's output buffer.
//!
//! v3 transactional id · v5 log start offset · v8 record errors, error message · v9 flexible · v10 current leader and
//! node endpoints (KIP-951) · v13 topic ids.
//! v0-2 are advertised but not served (KAFKA-18659), as in Kafka.
//!
//! [`parse`] is its own guard: nothing is allocated for one topic with one partition, and the lists of more than that
//! take at most [`decoded_max`] bytes.

use crate::model::{ErrorCode, Offset, PartitionId, TimestampMs, TopicId};
use crate::wire::reader::{Reader, Width};
use crate::wire::writer::Writer;
use crate::wire::{CurrentLeader, EncodeError, NodeEndpoint, Refused, TopicRef};
use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

pub const KEY: i16 = 0;
pub const MIN_VERSION: i16 = 3;
pub const MAX_VERSION: i16 = 13;

const FLEXIBLE: i16 = 9;
const TOPIC_IDS: i16 = 13;

/// A request to append. Names are slices of the body it was parsed from, records share its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceRequest<'a> {
    pub transactional_id: Option<&'a str>,
    /// -1, 0 or 1; anything else is for the handler to refuse, per partition.
    pub acks: i16,
    pub timeout_ms: i32,
    pub topics: SmallVec<[TopicData<'a>; 1]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicData<'a> {
    pub topic: TopicRef<'a>,
    pub partitions: SmallVec<[PartitionData; 1]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionData {
    pub partition: PartitionId,
    pub records: Option<Bytes>,
}

/// The answer to a [`ProduceRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceResponse<'a> {
    pub topics: SmallVec<[TopicResponse<'a>; 1]>,
    pub throttle_time_ms: i32,
    /// v10: the addresses of the leaders that `current_leader` names.
    pub node_endpoints: &'a [NodeEndpoint<'a>],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicResponse<'a> {
    pub topic: TopicRef<'a>,
    pub partitions: SmallVec<[PartitionResponse; 1]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionResponse {
    pub partition: PartitionId,
    pub error: ErrorCode,
    pub base_offset: Offset,
    /// [`TimestampMs::NONE`] unless the topic uses log append time.
    pub log_append_time: TimestampMs,
    /// v5.
    pub log_start: Offset,
    /// v8: which records were refused (their number in the batch) and why.
    pub record_errors: Vec<(i32, Option<String>)>,
    /// v8.
    pub error_message: Option<String>,
    /// v10, with NOT_LEADER_OR_FOLLOWER.
    pub current_leader: Option<CurrentLeader>,
}

impl PartitionResponse {
    /// A partition to which nothing was appended.
    #[must_use]
    pub fn failed(partition: PartitionId, error: ErrorCode) -> PartitionResponse {
        PartitionResponse {
            partition,
            error,
            base_offset: Offset::NONE,
            log_append_time: TimestampMs::NONE,
            log_start: Offset::NONE,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: None,
        }
    }

    /// A partition to which records were appended.
    #[must_use]
    pub fn appended(
        partition: PartitionId,
        base_offset: Offset,
        log_append_time: TimestampMs,
        log_start: Offset,
    ) -> PartitionResponse {
        PartitionResponse {
            base_offset,
            log_append_time,
            log_start,
            ..PartitionResponse::failed(partition, ErrorCode::NONE)
        }
    }
}

/// The most memory that the lists of a request parsed from `body_length` bytes take. A body that needs more consists of
/// topics without partitions or partitions without records, and is refused.
#[must_use]
pub const fn decoded_max(body_length: usize) -> usize {
    body_length.saturating_mul(2).saturating_add(64 * 1024)
}

/// Parses the body of a request.
pub fn parse(version: i16, body: &Bytes) -> Result<ProduceRequest<'_>, Refused> {
    if !(MIN_VERSION..=MAX_VERSION).contains(&version) {
        return Err(Refused::UnsupportedVersion { key: KEY, version });
    }
    let flexible = version >= FLEXIBLE;
    let mut reader = Reader::new(body);
    let mut budget = decoded_max(body.len());
    let transactional_id = reader.nullable_str(Width::string(flexible))?;
    let acks = reader.i16()?;
    let timeout_ms = reader.i32()?;
    let name_least = if version >= TOPIC_IDS {
        16
    } else if flexible {
        1
    } else {
        2
    };
    let mut topics = SmallVec::new();
    let count = array(&mut reader, flexible, name_least + if flexible { 2 } else { 4 }, &mut topics, &mut budget)?;
    for _ in 0..count {
        let topic = if version >= TOPIC_IDS {
            TopicRef::Id(TopicId(reader.uuid()?))
        } else {
            TopicRef::Name(reader.str(Width::string(flexible))?)
        };
        let mut partitions = SmallVec::new();
        let count = array(&mut reader, flexible, if flexible { 6 } else { 8 }, &mut partitions, &mut budget)?;
        for _ in 0..count {
            let partition = PartitionId(reader.i32()?);
            let records = match reader.length(Width::bytes(flexible))? {
                None => None,
                Some(length) => {
                    let start = reader.at();
                    reader.skip(length)?;
                    Some(body.slice(start..start + length))
                }
            };
            if flexible {
                reader.skip_tags()?;
            }
            partitions.push(PartitionData { partition, records });
        }
        if flexible {
            reader.skip_tags()?;
        }
        topics.push(TopicData { topic, partitions });
    }
    if flexible {
        reader.skip_tags()?;
    }
    Ok(ProduceRequest { transactional_id, acks, timeout_ms, topics })
}

/// Reads the count of a list of elements of at least `least` bytes, and makes room for them out of what is left of the
/// budget.
fn array<T, A: smallvec::Array<Item = T>>(
    reader: &mut Reader<'_>,
    flexible: bool,
    least: usize,
    list: &mut SmallVec<A>,
    budget: &mut usize,
) -> Result<usize, Refused> {
    let at = reader.at();
    let count = reader.count(flexible, least)?.ok_or(Refused::Null { at })?;
    if count > list.inline_size() {
        let cost = count.saturating_mul(size_of::<T>());
        *budget = budget.checked_sub(cost).ok_or(Refused::Count { at, count: count as i64 })?;
        list.reserve_exact(count);
    }
    Ok(count)
}

/// Appends the whole frame of an answer to `out`. On an error `out` is as it was.
pub fn encode_response(
    out: &mut BytesMut,
    version: i16,
    correlation_id: i32,
    response: &ProduceResponse<'_>,
) -> Result<(), EncodeError> {
    let mut w = Writer::frame(out, KEY, version, version >= FLEXIBLE, correlation_id);
    if !(MIN_VERSION..=MAX_VERSION).contains(&version) {
        w.fail("the version is not served");
    }
    w.count(response.topics.len());
    for topic in &response.topics {
        w.topic(topic.topic, TOPIC_IDS);
        w.count(topic.partitions.len());
        for partition in &topic.partitions {
            encode_partition(&mut w, partition);
        }
        w.no_tags();
    }
    w.out.put_i32(response.throttle_time_ms);
    if version >= 10 {
        w.node_endpoints(response.node_endpoints);
    } else {
        w.no_tags();
    }
    w.close(0).map(|_| ())
}

fn encode_partition(w: &mut Writer<'_>, partition: &PartitionResponse) {
    w.out.put_i32(partition.partition.0);
    w.out.put_i16(partition.error.0);
    w.out.put_i64(partition.base_offset.0);
    w.out.put_i64(partition.log_append_time.0);
    if w.version >= 5 {
        w.out.put_i64(partition.log_start.0);
    }
    if w.version >= 8 {
        w.count(partition.record_errors.len());
        for (index, message) in &partition.record_errors {
            w.out.put_i32(*index);
            w.nullable_string(message.as_deref());
            w.no_tags();
        }
        w.nullable_string(partition.error_message.as_deref());
    }
    match partition.current_leader.filter(CurrentLeader::is_set) {
        Some(leader) if w.version >= 10 => {
            w.uvarint(1);
            w.current_leader(0, leader);
        }
        _ => w.no_tags(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_version_that_is_not_served_is_refused() {
        for version in [-1, 0, 2, 14] {
            assert_eq!(parse(version, &Bytes::new()), Err(Refused::UnsupportedVersion { key: 0, version }));
            assert!(encode_response(&mut BytesMut::new(), version, 1, &ProduceResponse::default()).is_err());
        }
    }

    #[test]
    fn null_records_are_none_and_null_lists_are_refused() {
        let body = Bytes::from_static(b"\x00\x00\x01\x00\x00\x00\x00\x02\x02t\x02\x00\x00\x00\x00\x00\x00\x00\x00");
        assert_eq!(parse(9, &body).unwrap().topics[0].partitions[0].records, None);
        let body = Bytes::from_static(b"\x00\x00\x01\x00\x00\x00\x00\x00\x00");
        assert_eq!(parse(9, &body), Err(Refused::Null { at: 7 }));
    }

    #[test]
    fn a_request_for_one_partition_fits_in_itself() {
        let body = Bytes::from_static(b"\x00\x00\x01\x00\x00\x00\x00\x02\x02t\x02\x00\x00\x00\x00\x02r\x00\x00\x00");
        let request = parse(9, &body).unwrap();
        assert!(!request.topics.spilled() && !request.topics[0].partitions.spilled());
    }

    #[test]
    fn topics_without_partitions_cannot_fill_the_memory() {
        // A million topics without a name and without partitions: three bytes each on the wire.
        let mut body = b"\x00\x00\x01\x00\x00\x00\x00\xc1\x84\x3d".to_vec();
        (0..1_000_000).for_each(|_| body.extend_from_slice(&[1, 1, 0]));
        body.push(0);
        assert_eq!(parse(9, &Bytes::from(body)), Err(Refused::Count { at: 7, count: 1_000_000 }));
    }
}
