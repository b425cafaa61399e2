//! The batches of a segment, read a piece at a time and checked: a record must not give way to damage.

use super::{Host, Stop};
use crate::model::Offset;
use crate::record::{BatchHeader, HEADER_LEN, verify};
use crate::storage::StorageError;
use crate::storage::log::Source;
use std::ops::Range;
use std::path::Path;

/// The batches from a position to the end of a segment.
pub(super) struct Batches<'a> {
    source: Source,
    /// Where the next batch may begin at the earliest, and all must end.
    within: Range<Offset>,
    /// For errors.
    path: &'a Path,
    piece: usize,
    buf: Vec<u8>,
    /// What of `buf` was read, from the next batch on.
    at: usize,
    end: usize,
}

impl<'a> Batches<'a> {
    /// Reads `piece` bytes at a time, or what a batch has if that is more. `buf` comes from an earlier call.
    pub(super) fn new(
        source: Source,
        within: Range<Offset>,
        path: &'a Path,
        piece: usize,
        buf: Vec<u8>,
    ) -> Batches<'a> {
        Batches { source, within, path, piece, buf, at: 0, end: 0 }
    }

    /// For the next segment; a buffer that had to grow is let go.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        if self.buf.capacity() > self.piece { Vec::new() } else { self.buf }
    }

    /// The next batch: header and bytes.
    pub(super) fn next<H: Host>(&mut self, host: &H) -> Result<Option<(BatchHeader, &[u8])>, Stop> {
        let start = self.source.pos;
        if start >= self.source.size {
            return Ok(None);
        }
        if self.end - self.at < HEADER_LEN {
            self.fill(host, self.piece.max(HEADER_LEN))?;
        }
        let header = BatchHeader::parse(&self.buf[self.at..self.end]).map_err(|bad| self.damaged(start, bad))?;
        // Before memory is taken for it: the file must have what the header claims.
        if header.size() as u64 > self.source.size - start {
            return Err(self.damaged(start, "a batch that ends behind the segment"));
        }
        if self.end - self.at < header.size() {
            self.fill(host, self.piece.max(header.size()))?;
        }
        let header = verify(&self.buf[self.at..self.end]).map_err(|bad| self.damaged(start, bad))?;
        // The offset is not under the CRC.
        let (first, next) = (header.base_offset, header.next_offset());
        if first < self.within.start || next <= first || next > self.within.end {
            return Err(self.damaged(start, format!("offsets {first}..{next} outside of {:?}", self.within)));
        }
        self.within.start = next;
        let from = self.at;
        self.at += header.size();
        self.source.pos += header.size() as u64;
        Ok(Some((header, &self.buf[from..self.at])))
    }

    /// Reads on from the batch that comes next.
    fn fill<H: Host>(&mut self, host: &H, want: usize) -> Result<(), Stop> {
        let left = usize::try_from(self.source.size - self.source.pos).unwrap_or(usize::MAX);
        let want = want.min(left);
        if self.buf.len() < want {
            // Zeroed once, not for every piece.
            self.buf = vec![0; want];
        }
        (self.at, self.end) = (0, 0);
        let got = self.source.file.read_at(&mut self.buf[..want], self.source.pos);
        let got = got.map_err(|error| StorageError::io(self.path, error))?;
        self.end = got;
        host.spent(got)
    }

    fn damaged(&self, pos: u64, what: impl std::fmt::Display) -> Stop {
        Stop::Storage(StorageError::Corrupt { path: self.path.to_owned(), what: format!("at {pos}: {what}") })
    }
}
