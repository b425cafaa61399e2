//! The 61 bytes in front of every batch, as numbers.

use super::Compression;
use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use std::fmt;
use thiserror::Error;

/// Bytes of a batch before its records.
pub const HEADER_LEN: usize = 61;
/// Bytes that `batch_length` does not count: the base offset and the length itself.
pub const LOG_OVERHEAD: usize = 12;
/// The only magic we store or accept.
pub const MAGIC: i8 = 2;

pub(super) const EPOCH_AT: usize = 12;
pub(super) const MAGIC_AT: usize = 16;
pub(super) const CRC_AT: usize = 17;
pub(super) const ATTRIBUTES_AT: usize = 21;
pub(super) const MAX_TIMESTAMP_AT: usize = 35;

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadBatch {
    /// Fewer bytes than the batch says it has (or than a header has).
    #[error("the batch is cut short")]
    Truncated,
    #[error("magic {0} is not 2")]
    Magic(i8),
    #[error("batch length {0} is less than a header")]
    Length(i32),
    #[error("stored crc {stored:#010x} is not the computed {computed:#010x}")]
    Crc { stored: u32, computed: u32 },
    /// Compression id 5, 6 or 7.
    #[error("compression id {0} is unknown")]
    Codec(u8),
    /// The records do not have the structure or the number that the header declares.
    #[error("the records are malformed: {0}")]
    Records(&'static str),
    /// The compressed bytes cannot be decompressed.
    #[error("the records cannot be decompressed")]
    Compressed,
    /// Decompressing would give more than the limit it was called with.
    #[error("the records decompress to more than {0} bytes")]
    TooLarge(usize),
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    pub(super) const CODEC: i16 = 0x07;
    pub(super) const LOG_APPEND_TIME: i16 = 0x08;
    pub(super) const TRANSACTIONAL: i16 = 0x10;
    pub(super) const CONTROL: i16 = 0x20;
    pub(super) const DELETE_HORIZON: i16 = 0x40;
    /// Every bit with a meaning; Kafka drops the others when it rewrites the field.
    pub(super) const KNOWN: i16 = 0x7f;

    /// `None`: not compressed.
    ///
    /// # Errors
    /// [`BadBatch::Codec`] for the ids that have no meaning.
    pub fn codec(self) -> Result<Option<Compression>, BadBatch> {
        match self.0 & Self::CODEC {
            0 => Ok(None),
            1 => Ok(Some(Compression::Gzip)),
            2 => Ok(Some(Compression::Snappy)),
            3 => Ok(Some(Compression::Lz4)),
            4 => Ok(Some(Compression::Zstd)),
            id => Err(BadBatch::Codec(id as u8)),
        }
    }

    /// As [`Attributes::codec`] for a batch whose codec is known to be good: an unknown one is `None` too.
    #[must_use]
    pub fn compression(self) -> Option<Compression> {
        self.codec().unwrap_or_default()
    }

    #[must_use]
    pub fn is_compressed(self) -> bool {
        self.0 & Self::CODEC != 0
    }

    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    #[must_use]
    pub fn is_log_append_time(self) -> bool {
        self.0 & Self::LOG_APPEND_TIME != 0
    }

    /// The base timestamp is the time after which compaction may drop the batch's tombstones.
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}", self.0)
    }
}

/// A batch's header. Holding one says nothing about the records or the CRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// At least 49: what follows this field.
    pub batch_length: i32,
    pub leader_epoch: LeaderEpoch,
    pub magic: i8,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    pub base_timestamp: TimestampMs,
    pub max_timestamp: TimestampMs,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: Sequence,
    pub record_count: i32,
}

fn bytes_at<const N: usize>(head: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&head[at..at + N]);
    out
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`, which may end behind it.
    ///
    /// # Errors
    /// Fewer than 61 bytes, a magic that is not 2, a length below 49. Nothing else is looked at.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BadBatch> {
        let head = bytes.first_chunk::<HEADER_LEN>().ok_or(BadBatch::Truncated)?;
        let header = BatchHeader::read(head);
        if header.magic != MAGIC {
            return Err(BadBatch::Magic(header.magic));
        }
        if header.batch_length < (HEADER_LEN - LOG_OVERHEAD) as i32 {
            return Err(BadBatch::Length(header.batch_length));
        }
        Ok(header)
    }

    pub(super) fn read(head: &[u8; HEADER_LEN]) -> BatchHeader {
        BatchHeader {
            base_offset: Offset(i64::from_be_bytes(bytes_at(head, 0))),
            batch_length: i32::from_be_bytes(bytes_at(head, 8)),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(bytes_at(head, EPOCH_AT))),
            magic: i8::from_be_bytes(bytes_at(head, MAGIC_AT)),
            crc: u32::from_be_bytes(bytes_at(head, CRC_AT)),
            attributes: Attributes(i16::from_be_bytes(bytes_at(head, ATTRIBUTES_AT))),
            last_offset_delta: i32::from_be_bytes(bytes_at(head, 23)),
            base_timestamp: TimestampMs(i64::from_be_bytes(bytes_at(head, 27))),
            max_timestamp: TimestampMs(i64::from_be_bytes(bytes_at(head, MAX_TIMESTAMP_AT))),
            producer_id: ProducerId(i64::from_be_bytes(bytes_at(head, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(bytes_at(head, 51))),
            base_sequence: Sequence(i32::from_be_bytes(bytes_at(head, 53))),
            record_count: i32::from_be_bytes(bytes_at(head, 57)),
        }
    }

    /// The header as bytes, the CRC as it stands in the struct.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&self.base_offset.0.to_be_bytes());
        put(&self.batch_length.to_be_bytes());
        put(&self.leader_epoch.0.to_be_bytes());
        put(&self.magic.to_be_bytes());
        put(&self.crc.to_be_bytes());
        put(&self.attributes.0.to_be_bytes());
        put(&self.last_offset_delta.to_be_bytes());
        put(&self.base_timestamp.0.to_be_bytes());
        put(&self.max_timestamp.0.to_be_bytes());
        put(&self.producer_id.0.to_be_bytes());
        put(&self.producer_epoch.0.to_be_bytes());
        put(&self.base_sequence.0.to_be_bytes());
        put(&self.record_count.to_be_bytes());
        out
    }

    /// Bytes of the whole batch, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        LOG_OVERHEAD + usize::try_from(self.batch_length).unwrap_or_default()
    }

    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset of the record behind this batch.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    /// The sequence of the last record, [`Sequence::NONE`] if the batch has none.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence == Sequence::NONE {
            Sequence::NONE
        } else {
            self.base_sequence.plus(self.last_offset_delta)
        }
    }

    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id.is_some()
    }

    /// When compaction may drop this batch's tombstones and markers, if that was decided.
    #[must_use]
    pub fn delete_horizon(&self) -> Option<TimestampMs> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }

    pub(super) fn with_codec(mut self, codec: Option<Compression>) -> BatchHeader {
        let id = i16::from(codec.map_or(0, Compression::id));
        self.attributes.0 = (self.attributes.0 & !Attributes::CODEC) | id;
        self
    }

    pub(super) fn without_delete_horizon(mut self) -> BatchHeader {
        self.attributes.0 &= !Attributes::DELETE_HORIZON;
        self
    }

    /// Sets the maximal timestamp and its type. Drops the bits without a meaning, as Kafka does when
    /// it rewrites the field.
    pub(super) fn with_max_timestamp(mut self, log_append_time: bool, max: TimestampMs) -> BatchHeader {
        self.attributes.0 &= Attributes::KNOWN & !Attributes::LOG_APPEND_TIME;
        if log_append_time {
            self.attributes.0 |= Attributes::LOG_APPEND_TIME;
        }
        self.max_timestamp = max;
        self
    }
}
