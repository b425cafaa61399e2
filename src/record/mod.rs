//! Record batches (format v2) as bytes.
//!
//! A producer's batch is checked where it lies ([`validate()`]) and becomes a [`Batch`]: a patched
//! copy of the 61-byte header, and the rest untouched. What a leader, a peer or the disk gives is
//! taken as it is, but for its CRC ([`Batch::verify`], [`verify`]). [`records`] reads inside,
//! [`build`] makes our own, [`compression`] speaks the four codecs. Left out: magic 0 and 1, which
//! Kafka 4 neither accepts nor serves.

pub mod build;
pub mod compression;
pub mod records;
pub mod rewrite;
mod batch;
mod crc;
mod header;
mod validate;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use build::BatchBuilder;
pub use compression::Compression;
pub use crc::crc32c;
pub use header::{Attributes, BadBatch, BatchHeader, HEADER_LEN, LOG_OVERHEAD, MAGIC};
pub use validate::{RECORD_ERRORS_MAX, Rejected, Rules, validate};

/// Checks header, codec and CRC of the batch at the front of `bytes`, which must hold all of it and
/// may hold more.
///
/// # Errors
/// What is wrong with it; [`BadBatch::Truncated`] if its end is missing.
pub fn verify(bytes: &[u8]) -> Result<BatchHeader, BadBatch> {
    let header = BatchHeader::parse(bytes)?;
    let batch = bytes.get(..header.size()).ok_or(BadBatch::Truncated)?;
    crc::check(&header, batch)?;
    header.attributes.codec()?;
    Ok(header)
}

/// The batches in `bytes`, one after the other: header and bytes. Ends without an error where the
/// last batch is cut short, and after the first header that is none. CRCs are not checked.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
}

impl<'a> Batches<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Batches<'a> {
        Batches { bytes }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<(BatchHeader, &'a [u8]), BadBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = match BatchHeader::parse(self.bytes) {
            Ok(header) => header,
            Err(BadBatch::Truncated) => return None,
            Err(bad) => {
                self.bytes = &[];
                return Some(Err(bad));
            }
        };
        let (batch, rest) = self.bytes.split_at_checked(header.size())?;
        self.bytes = rest;
        Some(Ok((header, batch)))
    }
}
