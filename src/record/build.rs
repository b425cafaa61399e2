//! Builds batches from our own records: the metadata log, coordinators, control batches.

use super::header::{ATTRIBUTES_AT, Attributes, BadBatch, BatchHeader, CRC_AT, HEADER_LEN, LOG_OVERHEAD, MAGIC};
use super::{Compression, compression, crc};
use crate::model::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use bytes::Bytes;

/// A batch in the making. Offsets are consecutive from `base_offset`.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    payload: Vec<u8>,
    compression: Option<Compression>,
}

impl BatchBuilder {
    #[must_use]
    pub fn new(base_offset: Offset) -> BatchBuilder {
        BatchBuilder {
            header: BatchHeader {
                base_offset,
                batch_length: 0,
                leader_epoch: LeaderEpoch::NONE,
                magic: MAGIC,
                crc: 0,
                attributes: Attributes(0),
                last_offset_delta: -1,
                base_timestamp: TimestampMs::NONE,
                max_timestamp: TimestampMs::NONE,
                producer_id: ProducerId::NONE,
                producer_epoch: ProducerEpoch::NONE,
                base_sequence: Sequence::NONE,
                record_count: 0,
            },
            payload: Vec::new(),
            compression: None,
        }
    }

    #[must_use]
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> BatchBuilder {
        self.header.leader_epoch = epoch;
        self
    }

    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) -> BatchBuilder {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    #[must_use]
    pub fn transactional(mut self) -> BatchBuilder {
        self.header.attributes.0 |= Attributes::TRANSACTIONAL;
        self
    }

    #[must_use]
    pub fn control(mut self) -> BatchBuilder {
        self.header.attributes.0 |= Attributes::CONTROL;
        self
    }

    /// Compress with the codec's default level.
    #[must_use]
    pub fn compressed(mut self, codec: Compression) -> BatchBuilder {
        self.compression = Some(codec);
        self
    }

    /// Adds a record; `headers` are (name, value). The first record's timestamp is the batch's base.
    pub fn push(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> &mut BatchBuilder {
        if self.header.record_count == 0 {
            self.header.base_timestamp = timestamp;
        }
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp);
        let mut body = Body::new(timestamp.0.wrapping_sub(self.header.base_timestamp.0), self.header.record_count);
        body.slice(key);
        body.slice(value);
        body.count(headers.len());
        for (name, value) in headers {
            body.slice(Some(name.as_bytes()));
            body.slice(*value);
        }
        body.finish(&mut self.payload);
        self.header.record_count += 1;
        self.header.last_offset_delta += 1;
        self
    }

    /// Records so far.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.header.record_count).unwrap_or_default()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the batch so far, uncompressed.
    #[must_use]
    pub fn size(&self) -> usize {
        HEADER_LEN + self.payload.len()
    }

    /// The finished batch, CRC included.
    ///
    /// # Errors
    /// There is no record, the batch exceeds 2 GB, or the codec failed.
    pub fn build(self) -> Result<Bytes, BadBatch> {
        if self.is_empty() {
            return Err(BadBatch::Records("a batch without records"));
        }
        let Some(codec) = self.compression else { return finish(self.header, &self.payload) };
        let payload = compression::compress(codec, codec.default_level(), &self.payload)?;
        finish(self.header.with_codec(Some(codec)), &payload)
    }
}

/// Header and payload as one batch: sets the length and the CRC.
pub(super) fn finish(header: BatchHeader, payload: &[u8]) -> Result<Bytes, BadBatch> {
    finish_pieces(header, payload.len(), [payload])
}

/// As [`finish`], of a payload of `len` bytes in pieces.
pub(super) fn finish_pieces<'a>(
    mut header: BatchHeader,
    len: usize,
    payload: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Bytes, BadBatch> {
    let size = HEADER_LEN + len;
    header.batch_length = i32::try_from(size - LOG_OVERHEAD).map_err(|_| BadBatch::TooLarge(i32::MAX as usize))?;
    let mut all = Vec::with_capacity(size);
    all.extend_from_slice(&header.to_bytes());
    payload.into_iter().for_each(|piece| all.extend_from_slice(piece));
    debug_assert_eq!(all.len(), size, "the pieces are not as long as was said");
    let crc = crc::crc32c(&all[ATTRIBUTES_AT..]);
    all[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    Ok(Bytes::from(all))
}

/// A record being encoded, without its length.
pub(super) struct Body(Vec<u8>);

impl Body {
    pub(super) fn new(timestamp_delta: i64, offset_delta: i32) -> Body {
        // Attributes: no bit has a meaning.
        let mut body = Body(vec![0]);
        body.varlong(timestamp_delta);
        body.varlong(i64::from(offset_delta));
        body
    }

    /// A zigzag varint; those of 32 bits are the short ones of 64.
    fn varlong(&mut self, value: i64) {
        put_varlong(&mut self.0, value);
    }

    pub(super) fn slice(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                self.count(bytes.len());
                self.0.extend_from_slice(bytes);
            }
            None => self.varlong(-1),
        }
    }

    pub(super) fn count(&mut self, count: usize) {
        self.varlong(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn encoded(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn finish(self, out: &mut Vec<u8>) {
        put_varlong(out, i64::try_from(self.0.len()).unwrap_or(i64::MAX));
        out.extend_from_slice(&self.0);
    }
}

fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// What a control record says, from the type in its key (`ControlRecordType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KRaftVersion,
    KRaftVoters,
    /// A type of a later Kafka: to be ignored.
    Unknown(i16),
}

impl ControlType {
    /// Reads the key of a control record: a version of at least 0, then the type.
    ///
    /// # Errors
    /// The key is too short or its version negative.
    pub fn parse(key: Option<&[u8]>) -> Result<ControlType, BadBatch> {
        match key {
            Some([version, _, high, low, ..]) if *version < 0x80 => Ok(match i16::from_be_bytes([*high, *low]) {
                0 => ControlType::Abort,
                1 => ControlType::Commit,
                2 => ControlType::LeaderChange,
                3 => ControlType::SnapshotHeader,
                4 => ControlType::SnapshotFooter,
                5 => ControlType::KRaftVersion,
                6 => ControlType::KRaftVoters,
                other => ControlType::Unknown(other),
            }),
            _ => Err(BadBatch::Records("a control record without a type")),
        }
    }

    /// The key of a control record of this type.
    #[must_use]
    pub fn key(self) -> [u8; 4] {
        let id: i16 = match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::LeaderChange => 2,
            ControlType::SnapshotHeader => 3,
            ControlType::SnapshotFooter => 4,
            ControlType::KRaftVersion => 5,
            ControlType::KRaftVoters => 6,
            ControlType::Unknown(id) => id,
        };
        let [high, low] = id.to_be_bytes();
        [0, 0, high, low]
    }
}

/// What ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Abort,
    Commit,
}

/// A control record of an `__consumer_offsets` or data partition that ended a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxn {
    pub marker: Marker,
    pub coordinator_epoch: i32,
}

impl EndTxn {
    /// Reads a control record; `None` if it is of another type.
    ///
    /// # Errors
    /// The key or the value is too short, or has a negative version.
    pub fn parse(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<EndTxn>, BadBatch> {
        let marker = match ControlType::parse(key)? {
            ControlType::Abort => Marker::Abort,
            ControlType::Commit => Marker::Commit,
            _ => return Ok(None),
        };
        match value {
            Some([version, _, a, b, c, d, ..]) if *version < 0x80 => {
                Ok(Some(EndTxn { marker, coordinator_epoch: i32::from_be_bytes([*a, *b, *c, *d]) }))
            }
            _ => Err(BadBatch::Records("a transaction marker without a coordinator epoch")),
        }
    }
}

/// The control batch that ends a producer's transaction in a partition.
///
/// # Errors
/// Never in practice: the batch has one small record.
pub fn end_txn_marker(
    marker: Marker,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    coordinator_epoch: i32,
    timestamp: TimestampMs,
) -> Result<Bytes, BadBatch> {
    let kind = match marker {
        Marker::Abort => ControlType::Abort,
        Marker::Commit => ControlType::Commit,
    };
    let mut value = vec![0, 0];
    value.extend_from_slice(&coordinator_epoch.to_be_bytes());
    let mut batch =
        BatchBuilder::new(Offset::ZERO).producer(producer_id, producer_epoch, Sequence::NONE).transactional().control();
    batch.push(timestamp, Some(&kind.key()), Some(&value), &[]);
    batch.build()
}

/// The control batch with which a new leader of the metadata log begins its epoch
/// (`LeaderChangeMessage` version 0: without directory ids).
///
/// # Errors
/// Never in practice: the batch has one small record.
pub fn leader_change(
    base_offset: Offset,
    epoch: LeaderEpoch,
    leader: NodeId,
    voters: &[NodeId],
    granting: &[NodeId],
    timestamp: TimestampMs,
) -> Result<Bytes, BadBatch> {
    let mut value = vec![0, 0];
    value.extend_from_slice(&leader.0.to_be_bytes());
    for nodes in [voters, granting] {
        put_uvarint(&mut value, nodes.len() + 1);
        for node in nodes {
            value.extend_from_slice(&node.0.to_be_bytes());
            // The tagged fields of the element: none.
            value.push(0);
        }
    }
    value.push(0);
    let mut batch = BatchBuilder::new(base_offset).leader_epoch(epoch).control();
    batch.push(timestamp, Some(&ControlType::LeaderChange.key()), Some(&value), &[]);
    batch.build()
}

fn put_uvarint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
