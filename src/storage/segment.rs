//! A segment: what is known of it without opening its files, and the walk over its batches' headers.

use super::error::StorageError;
use super::files::{Files, Kind};
use crate::model::{Offset, TimestampMs};
use crate::record::{BadBatch, BatchHeader, HEADER_LEN};
use crate::rt::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The largest timestamp of a segment, and the last offset of the (first) batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Largest {
    pub timestamp: TimestampMs,
    pub offset: Offset,
}

impl Largest {
    pub(super) fn none(base: Offset) -> Largest {
        Largest { timestamp: TimestampMs::NONE, offset: base }
    }
}

/// One segment. Its size and largest timestamp are looked up when somebody asks.
#[derive(Debug)]
pub(super) struct Segment {
    pub base: Offset,
    size: AtomicU32,
    pub largest: OnceLock<Largest>,
    /// Largest timestamp of the first batch, once a sealed segment was asked for it.
    pub first: OnceLock<TimestampMs>,
    /// When this process first saw it: stands in for the file's time, where records have no timestamps.
    pub since: TimestampMs,
}

const UNKNOWN: u32 = u32::MAX;
/// Kafka counts positions in a segment with signed 32-bit numbers.
pub(super) const SIZE_MAX: u64 = i32::MAX as u64;

impl Segment {
    pub(super) fn new(base: Offset, since: TimestampMs) -> Segment {
        Segment { base, size: AtomicU32::new(UNKNOWN), largest: OnceLock::new(), first: OnceLock::new(), since }
    }

    /// Nothing is appended any more: what is known now stays.
    pub(super) fn seal(&mut self, size: u32, largest: Largest) {
        self.set_size(size);
        self.largest = largest.into();
    }

    pub(super) fn set_size(&self, size: u32) {
        self.size.store(size, Ordering::Relaxed);
    }

    pub(super) fn size(&self, files: &Files) -> Result<u32, StorageError> {
        let known = self.size.load(Ordering::Relaxed);
        if known != UNKNOWN {
            return Ok(known);
        }
        let len = files.fs.file_len(&files.path(self.base, Kind::Log)).map_err(files.failed(self.base, Kind::Log))?;
        if len > SIZE_MAX {
            return Err(files.corrupt(self.base, Kind::Log, format!("a segment of {len} bytes")));
        }
        self.set_size(len as u32);
        Ok(len as u32)
    }

    /// `offset` as indexes hold it; `None` if the segment cannot hold it.
    pub(super) fn relative(&self, offset: Offset) -> Option<u32> {
        relative(self.base, offset)
    }

    pub(super) fn absolute(&self, relative: u32) -> Offset {
        self.base.plus(i64::from(relative))
    }
}

pub(super) fn relative(base: Offset, offset: Offset) -> Option<u32> {
    let relative = offset.0.checked_sub(base.0)?;
    i32::try_from(relative).ok().and_then(|relative| u32::try_from(relative).ok())
}

/// Why a walk stopped before the end.
#[derive(Debug)]
pub(super) enum Stopped {
    Io(io::Error),
    /// What lies at this position is no batch, or not all of one.
    Bad {
        pos: u64,
        why: BadBatch,
    },
}

/// The headers of the batches between two positions of a segment, without their records.
pub(super) struct Walk<'a> {
    file: &'a dyn File,
    pos: u64,
    end: u64,
    /// Bytes from `buf_pos` on; small batches share a read.
    buf: [u8; 1024],
    buf_pos: u64,
    buf_len: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(file: &'a dyn File, from: u64, end: u64) -> Walk<'a> {
        Walk { file, pos: from, end, buf: [0; 1024], buf_pos: 0, buf_len: 0 }
    }

    /// Where the next batch starts.
    pub(super) fn pos(&self) -> u64 {
        self.pos
    }

    /// The next batch that ends before the end of the walk.
    pub(super) fn next(&mut self) -> Result<Option<(u64, BatchHeader)>, Stopped> {
        let pos = self.pos;
        if pos >= self.end {
            return Ok(None);
        }
        let head = self.header_bytes().map_err(Stopped::Io)?;
        let header = BatchHeader::parse(head).map_err(|why| Stopped::Bad { pos, why })?;
        let next = pos + header.size() as u64;
        if next > self.end {
            return Err(Stopped::Bad { pos, why: BadBatch::Truncated });
        }
        self.pos = next;
        Ok(Some((pos, header)))
    }

    fn header_bytes(&mut self) -> io::Result<&[u8]> {
        let cached = self.pos >= self.buf_pos && self.pos + HEADER_LEN as u64 <= self.buf_pos + self.buf_len as u64;
        if !cached {
            let want = usize::try_from(self.end - self.pos).unwrap_or(usize::MAX).min(self.buf.len());
            self.buf_len = 0;
            self.buf_pos = self.pos;
            self.buf_len = self.file.read_at(&mut self.buf[..want], self.pos)?;
        }
        let at = (self.pos - self.buf_pos) as usize;
        Ok(&self.buf[at..self.buf_len.min(at + HEADER_LEN)])
    }
}

impl Files {
    /// A walk's error as one that names the segment.
    pub(super) fn stopped(&self, base: Offset, stopped: Stopped) -> StorageError {
        match stopped {
            Stopped::Io(error) => self.failed(base, Kind::Log)(error),
            Stopped::Bad { pos, why } => self.corrupt(base, Kind::Log, format!("at {pos}: {why}")),
        }
    }
}
