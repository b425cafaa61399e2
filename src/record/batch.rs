//! A batch that may be stored: a private copy of its header, and its records where they were received.

use super::crc;
use super::header::{ATTRIBUTES_AT, BadBatch, BatchHeader, CRC_AT, EPOCH_AT, HEADER_LEN, MAX_TIMESTAMP_AT};
use crate::model::{LeaderEpoch, Offset, TimestampMs};
use bytes::{Buf as _, Bytes};

/// One batch that passed validation: a patched copy of the header and the untouched rest, which is
/// a slice of the buffer it came in and never copied.
#[derive(Clone, Debug)]
pub struct Batch {
    header: BatchHeader,
    head: [u8; HEADER_LEN],
    rest: Bytes,
}

impl Batch {
    /// Takes exactly one batch as it is, offsets and epoch included: what a leader, our own builder
    /// or the disk gives. Header, length, codec and CRC are checked; the records are not walked.
    ///
    /// # Errors
    /// What is wrong with the bytes; [`BadBatch::Truncated`] also if there are more than the batch has.
    pub fn verify(bytes: Bytes) -> Result<Batch, BadBatch> {
        let header = super::verify(&bytes)?;
        if bytes.len() != header.size() {
            return Err(BadBatch::Truncated);
        }
        Batch::split(bytes).ok_or(BadBatch::Truncated)
    }

    /// Splits bytes that are one batch already checked; `None` if they are shorter than a header.
    pub(super) fn split(mut bytes: Bytes) -> Option<Batch> {
        let head = *bytes.first_chunk::<HEADER_LEN>()?;
        // Unlike `split_off`, this touches no reference count.
        bytes.advance(HEADER_LEN);
        Some(Batch { header: BatchHeader::read(&head), head, rest: bytes })
    }

    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Bytes of the whole batch.
    #[must_use]
    pub fn size(&self) -> usize {
        HEADER_LEN + self.rest.len()
    }

    /// Gives the batch its place in the log. Neither field is under the CRC.
    pub fn assign(&mut self, base: Offset, epoch: LeaderEpoch) {
        self.header.base_offset = base;
        self.header.leader_epoch = epoch;
        self.head[..8].copy_from_slice(&base.0.to_be_bytes());
        self.head[EPOCH_AT..EPOCH_AT + 4].copy_from_slice(&epoch.0.to_be_bytes());
    }

    /// What is to be written, in order.
    #[must_use]
    pub fn as_slices(&self) -> [&[u8]; 2] {
        [&self.head, &self.rest]
    }

    /// The header as it is to be written.
    #[must_use]
    pub fn head(&self) -> &[u8; HEADER_LEN] {
        &self.head
    }

    /// What follows the header (compressed, if the batch is): shares the receive buffer.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// The whole batch in one piece: copies.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut all = Vec::with_capacity(self.size());
        all.extend_from_slice(&self.head);
        all.extend_from_slice(&self.rest);
        Bytes::from(all)
    }

    /// Sets the maximal timestamp and its type, and the CRC with them (`setMaxTimestamp`).
    pub(super) fn set_max_timestamp(&mut self, log_append_time: bool, max: TimestampMs) {
        if self.header.attributes.is_log_append_time() == log_append_time && self.header.max_timestamp == max {
            return;
        }
        self.header = self.header.with_max_timestamp(log_append_time, max);
        let bits = self.header.attributes.0;
        self.head[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&bits.to_be_bytes());
        self.head[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max.0.to_be_bytes());
        self.header.crc = crc::of_two(&self.head[ATTRIBUTES_AT..], &self.rest);
        self.head[CRC_AT..CRC_AT + 4].copy_from_slice(&self.header.crc.to_be_bytes());
    }
}
