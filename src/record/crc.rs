//! CRC-32C, as batches carry it: over everything behind the CRC field.

use super::header::{ATTRIBUTES_AT, BadBatch, BatchHeader};
use crc_fast::{CrcAlgorithm, Digest};

/// CRC-32C of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// CRC-32C of two slices as if they were one.
pub(super) fn of_two(first: &[u8], second: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(first);
    digest.update(second);
    digest.finalize() as u32
}

/// Checks the CRC of `batch`, which is exactly the batch that `header` was read from.
pub(super) fn check(header: &BatchHeader, batch: &[u8]) -> Result<(), BadBatch> {
    let computed = crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default());
    if computed == header.crc { Ok(()) } else { Err(BadBatch::Crc { stored: header.crc, computed }) }
}
