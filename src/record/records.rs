//! The records of a batch, one after the other, as slices.
//!
//! Every length and count is checked against the bytes that are there; nothing is allocated.
//! The leniencies are Kafka's (`DefaultRecord.readFrom`): any negative length is "null", the unused
//! attribute byte may be anything, offset deltas need not be in order.

use super::header::{BadBatch, BatchHeader};
use super::{HEADER_LEN, compression};
use crate::model::{Offset, TimestampMs};
use std::borrow::Cow;

/// One record. `offset` and `timestamp` are absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: Offset,
    pub offset_delta: i32,
    pub timestamp: TimestampMs,
    /// As encoded; under log append time it has no part in `timestamp`.
    pub timestamp_delta: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
    /// The record's bytes, its length prefix included.
    pub bytes: &'a [u8],
}

/// The headers of a record, checked when the record was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The count and the headers as they are encoded, without the count.
    #[must_use]
    pub fn encoded(&self) -> (usize, &'a [u8]) {
        (self.count, self.bytes)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        let mut at = Cursor { bytes: self.bytes };
        let header = at.header().ok()?;
        self.bytes = at.bytes;
        Some(header)
    }
}

/// What a walk over all records of a batch found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// The smallest and the largest timestamp of a record that has one; -1 if none has.
    pub(super) min_timestamp: TimestampMs,
    pub(super) max_timestamp: TimestampMs,
    /// Record `i` has offset delta `i`.
    pub(super) consecutive: bool,
    /// A record has no key.
    pub(super) keyless: bool,
}

/// Walks all records once: the cost of accepting an uncompressed batch, so it is written for speed.
/// What it refuses, [`Records`] refuses too, and says why.
///
/// # Errors
/// The count or a length is wrong.
pub(super) fn walk(header: &BatchHeader, payload: &[u8]) -> Result<Walk, BadBatch> {
    if let Some(walk) = walk_fast(header, payload) {
        return Ok(walk);
    }
    Records::new(header, payload)?.try_for_each(|record| record.map(|_| ()))?;
    Err(BadBatch::Records("their structure"))
}

fn walk_fast(header: &BatchHeader, payload: &[u8]) -> Option<Walk> {
    let (mut min, mut max) = (i64::MAX, i64::MIN);
    let (mut consecutive, mut keyless) = (true, false);
    let mut at = 0;
    for index in 0..header.record_count {
        let len = usize::try_from(varint(payload, &mut at)?).ok()?;
        let end = at.checked_add(len)?;
        // The attributes: no bit has a meaning.
        let record = payload.get(..end)?;
        at += 1;
        let timestamp = header.base_timestamp.0.wrapping_add(varlong(record, &mut at)?);
        if timestamp != TimestampMs::NONE.0 {
            min = min.min(timestamp);
            max = max.max(timestamp);
        }
        consecutive &= varint(record, &mut at)? == index;
        let key = varint(record, &mut at)?;
        keyless |= key < 0;
        at += usize::try_from(key).unwrap_or_default();
        let value = varint(record, &mut at)?;
        at += usize::try_from(value).unwrap_or_default();
        let headers = usize::try_from(varint(record, &mut at)?).ok()?;
        if headers > 0 {
            skip_headers(record, &mut at, headers)?;
        }
        if at != end {
            return None;
        }
    }
    if at != payload.len() || header.record_count < 0 {
        return None;
    }
    let (min, max) = if header.attributes.is_log_append_time() && header.record_count > 0 {
        (header.max_timestamp.0, header.max_timestamp.0)
    } else if min == i64::MAX && max == i64::MIN {
        (TimestampMs::NONE.0, TimestampMs::NONE.0)
    } else {
        // Kafka's search for the maximum begins at "none".
        (min, max.max(TimestampMs::NONE.0))
    };
    Some(Walk { min_timestamp: TimestampMs(min), max_timestamp: TimestampMs(max), consecutive, keyless })
}

#[cold]
fn skip_headers(record: &[u8], at: &mut usize, count: usize) -> Option<()> {
    if count > record.len().checked_sub(*at)? {
        return None;
    }
    for _ in 0..count {
        *at += usize::try_from(varint(record, at)?).ok()?;
        *at += usize::try_from(varint(record, at)?).unwrap_or_default();
    }
    Some(())
}

/// A zigzag varint at `at`, nearly always of one or two bytes.
#[inline(always)]
fn varint(bytes: &[u8], at: &mut usize) -> Option<i32> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(i32::from(first >> 1) ^ -i32::from(first & 1));
    }
    let second = *bytes.get(*at + 1)?;
    if second < 0x80 {
        *at += 2;
        let raw = u32::from(first & 0x7f) | u32::from(second) << 7;
        return Some((raw >> 1) as i32 ^ -((raw & 1) as i32));
    }
    let mut rest = Cursor { bytes: bytes.get(*at..)? };
    let value = rest.varint().ok()?;
    *at = bytes.len() - rest.bytes.len();
    Some(value)
}

#[inline(always)]
fn varlong(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(i64::from(first >> 1) ^ -i64::from(first & 1));
    }
    let mut rest = Cursor { bytes: bytes.get(*at..)? };
    let value = rest.varlong().ok()?;
    *at = bytes.len() - rest.bytes.len();
    Some(value)
}

/// The records of a batch.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    at: Cursor<'a>,
    left: i32,
    base_offset: Offset,
    base_timestamp: TimestampMs,
    append_time: Option<TimestampMs>,
}

impl<'a> Records<'a> {
    /// The records in `payload`: what [`open`] gave, or what follows the header of an uncompressed batch.
    ///
    /// # Errors
    /// A negative record count, or one that `payload` cannot hold.
    pub fn new(header: &BatchHeader, payload: &'a [u8]) -> Result<Records<'a>, BadBatch> {
        let count = usize::try_from(header.record_count).map_err(|_| BadBatch::Records("negative record count"))?;
        if count > payload.len() / MIN_RECORD_LEN {
            return Err(BadBatch::Records("more records than bytes"));
        }
        if count == 0 && !payload.is_empty() {
            return Err(BadBatch::Records("bytes behind the last record"));
        }
        Ok(Records {
            at: Cursor { bytes: payload },
            left: header.record_count,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time: header.attributes.is_log_append_time().then_some(header.max_timestamp),
        })
    }

    fn read(&mut self) -> Result<Record<'a>, BadBatch> {
        let start = self.at.bytes;
        let record = self.at.record()?;
        let bytes = &start[..start.len() - self.at.bytes.len()];
        self.left -= 1;
        if self.left == 0 && !self.at.bytes.is_empty() {
            return Err(BadBatch::Records("bytes behind the last record"));
        }
        let timestamp = TimestampMs(self.base_timestamp.0.wrapping_add(record.timestamp_delta));
        Ok(Record {
            offset: self.base_offset.plus(i64::from(record.offset_delta)),
            offset_delta: record.offset_delta,
            timestamp: self.append_time.unwrap_or(timestamp),
            timestamp_delta: record.timestamp_delta,
            key: record.key,
            value: record.value,
            headers: record.headers,
            bytes,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BadBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        let record = self.read();
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }
}

/// What compaction has to know of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline<'a> {
    pub offset: Offset,
    pub timestamp: TimestampMs,
    pub key: Option<&'a [u8]>,
    pub has_value: bool,
    /// Where its bytes end in the payload. They begin where those of the record before end.
    pub end: usize,
}

/// Shows `see` every record in outline. As [`Records`], and several times as fast.
///
/// # Errors
/// As [`Records`]; `see` may have seen some of the records.
pub fn outline<'a>(header: &BatchHeader, payload: &'a [u8], mut see: impl FnMut(Outline<'a>)) -> Result<(), BadBatch> {
    let mut records = Records::new(header, payload)?;
    let mut at = 0;
    while records.left > 0 {
        let Some(outline) = outline_fast(&records, payload, at) else { break };
        at = outline.end;
        records.left -= 1;
        see(outline);
    }
    if records.left == 0 {
        return if at == payload.len() { Ok(()) } else { Err(BadBatch::Records("bytes behind the last record")) };
    }
    // From the record on that is not as most are: whether it is one at all is said there.
    records.at = Cursor { bytes: payload.get(at..).unwrap_or_default() };
    for record in records {
        let record = record?;
        at += record.bytes.len();
        let Record { offset, timestamp, key, value, .. } = record;
        see(Outline { offset, timestamp, key, has_value: value.is_some(), end: at });
    }
    Ok(())
}

/// The record at `start`, unless it is an odd one.
#[inline(always)]
fn outline_fast<'a>(batch: &Records<'a>, payload: &'a [u8], start: usize) -> Option<Outline<'a>> {
    let mut at = start;
    let len = usize::try_from(varint(payload, &mut at)?).ok()?;
    let end = at.checked_add(len)?;
    let record = payload.get(..end)?;
    // The attributes: no bit has a meaning.
    at += 1;
    let timestamp = TimestampMs(batch.base_timestamp.0.wrapping_add(varlong(record, &mut at)?));
    let offset = batch.base_offset.plus(i64::from(varint(record, &mut at)?));
    let key = match usize::try_from(varint(record, &mut at)?) {
        Ok(len) => {
            let from = at;
            at = at.checked_add(len)?;
            Some(record.get(from..at)?)
        }
        Err(_) => None,
    };
    let value = varint(record, &mut at)?;
    at = at.checked_add(usize::try_from(value).unwrap_or_default())?;
    let headers = usize::try_from(varint(record, &mut at)?).ok()?;
    if headers > 0 {
        skip_headers(record, &mut at, headers)?;
    }
    let timestamp = batch.append_time.unwrap_or(timestamp);
    (at == end).then_some(Outline { offset, timestamp, key, has_value: value >= 0, end })
}

/// The records' bytes of a whole batch: a slice of it, or what it decompresses to, which is refused
/// as soon as it exceeds `limit`. Does not check the CRC.
///
/// # Errors
/// The batch is cut short, or does not decompress, or to too much.
pub fn open<'a>(header: &BatchHeader, batch: &'a [u8], limit: usize) -> Result<Cow<'a, [u8]>, BadBatch> {
    let payload = batch.get(HEADER_LEN..header.size()).ok_or(BadBatch::Truncated)?;
    match header.attributes.codec()? {
        None => Ok(Cow::Borrowed(payload)),
        Some(codec) => Ok(Cow::Owned(compression::decompress(codec, payload, limit)?)),
    }
}

/// The shortest record: a length, attributes, two deltas, two lengths and a count of one byte each.
const MIN_RECORD_LEN: usize = 7;

struct Raw<'a> {
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

#[derive(Clone, Copy, Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    fn byte(&mut self) -> Result<u8, BadBatch> {
        let (first, rest) = self.bytes.split_first().ok_or(BadBatch::Records("cut short"))?;
        self.bytes = rest;
        Ok(*first)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], BadBatch> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(BadBatch::Records("a length exceeds the bytes"))?;
        self.bytes = rest;
        Ok(taken)
    }

    /// A zigzag varint of at most five bytes. As in Kafka, bits beyond the 32nd are dropped.
    #[inline]
    fn varint(&mut self) -> Result<i32, BadBatch> {
        let first = self.byte()?;
        let mut raw = u32::from(first & 0x7f);
        if first & 0x80 != 0 {
            let mut shift = 7;
            loop {
                let byte = self.byte()?;
                raw |= u32::from(byte & 0x7f).wrapping_shl(shift);
                if byte & 0x80 == 0 {
                    break;
                }
                shift += 7;
                if shift > 28 {
                    return Err(BadBatch::Records("a varint of more than five bytes"));
                }
            }
        }
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag varlong of at most ten bytes.
    #[inline]
    fn varlong(&mut self) -> Result<i64, BadBatch> {
        let mut raw = 0u64;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            raw |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 63 {
                return Err(BadBatch::Records("a varlong of more than ten bytes"));
            }
        }
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A slice behind its length; a negative length is "null".
    #[inline]
    fn slice(&mut self) -> Result<Option<&'a [u8]>, BadBatch> {
        match usize::try_from(self.varint()?) {
            Ok(len) => Ok(Some(self.take(len)?)),
            Err(_) => Ok(None),
        }
    }

    fn header(&mut self) -> Result<(&'a [u8], Option<&'a [u8]>), BadBatch> {
        let key = self.slice()?.ok_or(BadBatch::Records("a header without a key"))?;
        Ok((key, self.slice()?))
    }

    #[inline]
    fn record(&mut self) -> Result<Raw<'a>, BadBatch> {
        let len = usize::try_from(self.varint()?).map_err(|_| BadBatch::Records("negative record length"))?;
        let mut body = Cursor { bytes: self.take(len)? };
        body.byte()?;
        let timestamp_delta = body.varlong()?;
        let offset_delta = body.varint()?;
        let key = body.slice()?;
        let value = body.slice()?;
        let count = usize::try_from(body.varint()?).map_err(|_| BadBatch::Records("negative header count"))?;
        if count > body.bytes.len() {
            return Err(BadBatch::Records("more headers than bytes"));
        }
        let headers = Headers { count, bytes: body.bytes };
        for _ in 0..count {
            body.header()?;
        }
        if !body.bytes.is_empty() {
            return Err(BadBatch::Records("bytes behind the last header"));
        }
        Ok(Raw { timestamp_delta, offset_delta, key, value, headers })
    }
}
