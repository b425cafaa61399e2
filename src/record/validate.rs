//! What a producer may write to a partition, in Kafka's order and with Kafka's answers
//! (`ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`).
//!
//! An uncompressed batch that needs no change costs its CRC and one walk over the records; nothing
//! is copied or allocated. A compressed batch is opened only where an answer needs it: the topic
//! stores another codec, the topic is compacted (keys), the producer claims log append time, or the
//! header's base or maximal timestamp is out of the topic's limits (then every record is judged, as
//! Kafka always does). A compressed batch whose header lies about its count or maximal timestamp is
//! stored as it is where Kafka would refuse or correct it.
//!
//! Two answers differ on purpose, where Kafka answers UNKNOWN_SERVER_ERROR for bytes that only the
//! client can have got wrong: an unknown codec is UNSUPPORTED_COMPRESSION_TYPE, records that do not
//! decompress are INVALID_RECORD. Every refusal has a text; Kafka gives one with record errors only.
//! Not checked here: zstd before Produce 7 (the API's), sequences and epochs (the log's).

use super::build::{self, Body};
use super::records::{self, Records, Walk};
use super::{BadBatch, Batch, BatchHeader, Compression, HEADER_LEN, LOG_OVERHEAD, MAGIC, compression, crc};
use crate::config::topic::{TimestampType, TopicCompression, TopicConfig};
use crate::model::{ErrorCode, Offset, TimestampMs, TopicPartition};
use bytes::Bytes;
use std::borrow::Cow;

/// What a batch is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Named in what is said of single records.
    pub partition: &'a TopicPartition,
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
    /// `record_errors`: the index in the batch and what is wrong with the record. At most
    /// [`RECORD_ERRORS_MAX`], so that a small request cannot ask for a huge answer.
    pub records: Vec<(i32, Option<String>)>,
}

/// The most records that one refusal names.
pub const RECORD_ERRORS_MAX: usize = 1000;

impl Rejected {
    fn new(error: ErrorCode, message: impl Into<String>) -> Rejected {
        Rejected { error, message: Some(message.into()), records: Vec::new() }
    }

    fn invalid(message: impl Into<String>) -> Rejected {
        Rejected::new(ErrorCode::INVALID_RECORD, message)
    }
}

impl From<BadBatch> for Rejected {
    fn from(bad: BadBatch) -> Rejected {
        let error = match bad {
            BadBatch::Truncated | BadBatch::Length(_) | BadBatch::Crc { .. } => ErrorCode::CORRUPT_MESSAGE,
            BadBatch::Magic(_) | BadBatch::Records(_) | BadBatch::Compressed => ErrorCode::INVALID_RECORD,
            BadBatch::Codec(_) => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            // Java's producer answers this one by splitting the batch.
            BadBatch::TooLarge(_) => ErrorCode::MESSAGE_TOO_LARGE,
        };
        Rejected::new(error, bad.to_string())
    }
}

/// Checks what a client produced to one partition, and makes of it what the topic stores. The batch
/// still has to be given its offset and epoch ([`Batch::assign`]).
///
/// # Errors
/// The error code and texts of the answer.
pub fn validate(mut bytes: Bytes, rules: &Rules<'_>) -> Result<Batch, Rejected> {
    let size = only_batch(&bytes)?;
    // Less than a batch may follow; Kafka trims it.
    bytes.truncate(size);
    let header = BatchHeader::parse(&bytes)?;
    check_batch(&header, &bytes, rules)?;
    let source = header.attributes.codec()?;
    check_header(&header)?;

    let target = target_codec(rules.config.compression, source);
    let batch = if source == target {
        keep(header, bytes, rules)?
    } else {
        let payload = records::open(&header, &bytes, rules.decompressed_bytes_max)?;
        let walk = records::walk(&header, &payload)?;
        check_records(&header, &payload, walk, rules)?;
        rebuild(&header, payload, walk, target, rules)?
    };
    if batch.size() > usize::try_from(rules.config.segment_bytes).unwrap_or_default() {
        return Err(Rejected::new(
            ErrorCode::RECORD_LIST_TOO_LARGE,
            format!(
                "Message batch size is {} bytes, which exceeds the maximum configured segment size of {}.",
                batch.size(),
                rules.config.segment_bytes
            ),
        ));
    }
    Ok(batch)
}

/// The size of the first batch, which must be the only one and of magic 2.
fn only_batch(bytes: &[u8]) -> Result<usize, Rejected> {
    let Some(size) = next_batch(bytes)? else {
        return Err(Rejected::invalid("Produce requests must have at least one record batch per partition"));
    };
    if magic_of(bytes) != Some(MAGIC) {
        return Err(Rejected::invalid(
            "Produce requests are only allowed to contain record batches with magic version 2",
        ));
    }
    if next_batch(bytes.get(size..).unwrap_or_default())?.is_some() {
        return Err(Rejected::invalid(
            "Produce requests are only allowed to contain exactly one record batch per partition",
        ));
    }
    Ok(size)
}

fn magic_of(bytes: &[u8]) -> Option<i8> {
    bytes.get(super::header::MAGIC_AT).map(|byte| i8::from_be_bytes([*byte]))
}

/// `ByteBufferLogInputStream.nextBatch`: the size of a batch of any magic, `None` if not all of it is there.
fn next_batch(bytes: &[u8]) -> Result<Option<usize>, Rejected> {
    /// The least that could follow the length, in magic 0.
    const SMALLEST: i32 = 14;
    let corrupt = |message: String| Err(Rejected::new(ErrorCode::CORRUPT_MESSAGE, message));
    let Some([.., a, b, c, d]) = bytes.first_chunk::<LOG_OVERHEAD>() else { return Ok(None) };
    let length = i32::from_be_bytes([*a, *b, *c, *d]);
    if length < SMALLEST {
        return corrupt(format!("Record size {length} is less than the minimum record overhead ({SMALLEST})"));
    }
    let Some(magic) = magic_of(bytes) else { return Ok(None) };
    if !(0..=MAGIC).contains(&magic) {
        return corrupt(format!("Invalid magic found in record: {magic}"));
    }
    let size = LOG_OVERHEAD + usize::try_from(length).unwrap_or_default();
    Ok((size <= bytes.len()).then_some(size))
}

/// What `analyzeAndValidateRecords` asks of a client's batch.
fn check_batch(header: &BatchHeader, bytes: &[u8], rules: &Rules<'_>) -> Result<(), Rejected> {
    if header.base_offset != Offset::ZERO {
        return Err(Rejected::invalid(format!(
            "The baseOffset of the record batch should be 0, but it is {}",
            header.base_offset
        )));
    }
    check_size(bytes.len(), rules)?;
    Ok(crc::check(header, bytes)?)
}

fn check_size(size: usize, rules: &Rules<'_>) -> Result<(), Rejected> {
    if size > usize::try_from(rules.config.max_message_bytes).unwrap_or_default() {
        return Err(Rejected::new(
            ErrorCode::MESSAGE_TOO_LARGE,
            format!(
                "The record batch size is {size} bytes which exceeds the maximum configured value of {}.",
                rules.config.max_message_bytes
            ),
        ));
    }
    Ok(())
}

/// `LogValidator.validateBatch`.
fn check_header(header: &BatchHeader) -> Result<(), Rejected> {
    let count = i64::from(header.record_count);
    let count_from_offsets = i64::from(header.last_offset_delta) + 1;
    let last = header.last_offset();
    if count_from_offsets <= 0 {
        return Err(Rejected::invalid(format!("Batch has an invalid offset range: [0, {last}]")));
    }
    if count <= 0 {
        return Err(Rejected::invalid(format!("Invalid reported count for record batch: {count}")));
    }
    if count_from_offsets != count {
        return Err(Rejected::invalid(format!(
            "Inconsistent batch offset range [0, {last}] and count of records {count}"
        )));
    }
    if header.attributes.is_control() {
        return Err(Rejected::invalid("Clients are not allowed to write control records"));
    }
    if header.has_producer_id() && header.base_sequence.0 < 0 {
        return Err(Rejected::invalid(format!(
            "Invalid sequence number {} in record batch with producerId {}",
            header.base_sequence.0, header.producer_id.0
        )));
    }
    Ok(())
}

fn target_codec(config: TopicCompression, source: Option<Compression>) -> Option<Compression> {
    match config {
        TopicCompression::Producer => source,
        TopicCompression::Uncompressed => None,
        TopicCompression::Gzip => Some(Compression::Gzip),
        TopicCompression::Snappy => Some(Compression::Snappy),
        TopicCompression::Lz4 => Some(Compression::Lz4),
        TopicCompression::Zstd => Some(Compression::Zstd),
    }
}

/// The batch keeps its codec: at most its header changes.
fn keep(header: BatchHeader, bytes: Bytes, rules: &Rules<'_>) -> Result<Batch, Rejected> {
    let mut max_timestamp = header.max_timestamp;
    if !header.attributes.is_compressed() {
        let payload = bytes.get(HEADER_LEN..).unwrap_or_default();
        let walk = records::walk(&header, payload)?;
        check_records(&header, payload, walk, rules)?;
        max_timestamp = walk.max_timestamp;
    } else if must_open(&header, rules) {
        let payload = records::open(&header, &bytes, rules.decompressed_bytes_max)?;
        let walk = records::walk(&header, &payload)?;
        check_records(&header, &payload, walk, rules)?;
        if !walk.consecutive {
            return rebuild(&header, payload, walk, header.attributes.compression(), rules);
        }
        max_timestamp = walk.max_timestamp;
    }
    let log_append_time = rules.config.timestamp_type == TimestampType::LogAppendTime;
    let max_timestamp = if log_append_time { rules.now } else { max_timestamp };
    let mut batch = Batch::split(bytes).ok_or(BadBatch::Truncated)?;
    batch.set_max_timestamp(log_append_time, max_timestamp);
    Ok(batch)
}

/// Whether a compressed batch that keeps its codec has to be looked into.
fn must_open(header: &BatchHeader, rules: &Rules<'_>) -> bool {
    let timestamps = [header.base_timestamp, header.max_timestamp];
    rules.config.cleanup_compact
        || header.attributes.is_log_append_time()
        || (rules.config.timestamp_type == TimestampType::CreateTime
            && timestamps.iter().any(|at| *at != TimestampMs::NONE && out_of_range(*at, rules)))
}

/// `recordHasInvalidTimestamp`, overflow included.
fn out_of_range(timestamp: TimestampMs, rules: &Rules<'_>) -> bool {
    let age = rules.now.0.wrapping_sub(timestamp.0);
    age > rules.config.timestamp_before_max_ms || age.wrapping_neg() > rules.config.timestamp_after_max_ms
}

/// `LogValidator.validateRecord` for all records: what `walk` found is enough to know that nothing is
/// wrong; otherwise each record is judged.
fn check_records(header: &BatchHeader, payload: &[u8], walk: Walk, rules: &Rules<'_>) -> Result<(), Rejected> {
    let create_time = rules.config.timestamp_type == TimestampType::CreateTime;
    let keys_fine = !(rules.config.cleanup_compact && walk.keyless);
    // With no timestamp at all the smallest is -1, which no limit is applied to.
    let times_fine = !create_time
        || walk.min_timestamp == TimestampMs::NONE
        || !(out_of_range(walk.min_timestamp, rules) || out_of_range(walk.max_timestamp, rules));
    if keys_fine && times_fine && !header.attributes.is_log_append_time() {
        return Ok(());
    }

    let mut found = Found::default();
    for (index, record) in Records::new(header, payload)?.enumerate() {
        let record = record?;
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        if rules.config.cleanup_compact && record.key.is_none() {
            found.add(index, false, || {
                format!("Compacted topic cannot accept message without key in topic partition {}", rules.partition)
            });
        } else if create_time && record.timestamp != TimestampMs::NONE {
            if out_of_range(record.timestamp, rules) {
                found.add(index, true, || {
                    format!(
                        "Timestamp {} of message with offset {} is out of range. \
                         The timestamp should be within [{}, {}]",
                        record.timestamp,
                        record.offset,
                        rules.now.0.wrapping_sub(rules.config.timestamp_before_max_ms),
                        rules.now.0.wrapping_add(rules.config.timestamp_after_max_ms)
                    )
                });
            }
        } else if header.attributes.is_log_append_time() {
            found.add(index, true, || {
                "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime.".into()
            });
        }
    }
    found.into_result()
}

/// The records that were refused.
#[derive(Default)]
struct Found {
    records: Vec<(i32, Option<String>)>,
    count: usize,
    any_timestamp: bool,
}

impl Found {
    fn add(&mut self, index: i32, timestamp: bool, message: impl FnOnce() -> String) {
        self.count += 1;
        self.any_timestamp |= timestamp;
        if self.records.len() < RECORD_ERRORS_MAX {
            self.records.push((index, Some(message())));
        }
    }

    /// `processRecordErrors`.
    fn into_result(self) -> Result<(), Rejected> {
        if self.count == 0 {
            return Ok(());
        }
        let (error, message) = if self.any_timestamp {
            let message = "One or more records have been rejected due to invalid timestamp".to_owned();
            (ErrorCode::INVALID_TIMESTAMP, message)
        } else {
            let shown = self.records.iter().take(3).map(|(index, message)| {
                format!("RecordError(batchIndex={index}, message='{}')", message.as_deref().unwrap_or_default())
            });
            let message = format!(
                "One or more records have been rejected due to {} record errors in total, \
                 and only showing the first three errors at most: [{}]",
                self.count,
                shown.collect::<Vec<_>>().join(", ")
            );
            (ErrorCode::INVALID_RECORD, message)
        };
        Err(Rejected { error, message: Some(message), records: self.records })
    }
}

/// `buildRecordsAndAssignOffsets`: the same records under another codec, numbered from 0.
fn rebuild(
    header: &BatchHeader,
    payload: Cow<'_, [u8]>,
    walk: Walk,
    codec: Option<Compression>,
    rules: &Rules<'_>,
) -> Result<Batch, Rejected> {
    let payload = if walk.consecutive { payload } else { Cow::Owned(renumbered(header, &payload)?) };
    let log_append_time = rules.config.timestamp_type == TimestampType::LogAppendTime;
    let mut rebuilt = header.with_codec(codec).without_delete_horizon();
    rebuilt = if log_append_time {
        rebuilt.with_max_timestamp(true, rules.now)
    } else {
        rebuilt.with_max_timestamp(false, walk.max_timestamp)
    };
    let bytes = match codec {
        None => build::finish(rebuilt, &payload)?,
        Some(codec) => {
            let compressed = compression::compress(codec, codec.level(rules.config), &payload)?;
            build::finish(rebuilt, &compressed)?
        }
    };
    check_size(bytes.len(), rules)?;
    Ok(Batch::split(bytes).ok_or(BadBatch::Truncated)?)
}

/// The records with offset deltas 0, 1, 2 …: some clients got them wrong, and Kafka repairs them.
fn renumbered(header: &BatchHeader, payload: &[u8]) -> Result<Vec<u8>, BadBatch> {
    let mut out = Vec::with_capacity(payload.len());
    for (index, record) in Records::new(header, payload)?.enumerate() {
        let record = record?;
        let mut body = Body::new(record.timestamp_delta, i32::try_from(index).unwrap_or(i32::MAX));
        body.slice(record.key);
        body.slice(record.value);
        let (count, headers) = record.headers.encoded();
        body.count(count);
        body.encoded(headers);
        body.finish(&mut out);
    }
    Ok(out)
}
