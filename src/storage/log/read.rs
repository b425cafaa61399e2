//! Finding batches: for Fetch, and for whatever else needs the position of an offset.
//!
//! The cost does not depend on the length of the log. Near its end the writer knows the last batches;
//! elsewhere a binary search over an index (in its file, a few reads of a page) gives the neighbourhood,
//! and a walk over at most one index interval of headers the batch. An index is believed only if the
//! batch it points to is the one it names; otherwise the segment is walked from its start, which is slow
//! but never wrong.

use super::{FileSlice, Log, Offset, StorageError};
use crate::record::BatchHeader;
use crate::rt::fs::File;
use crate::storage::error::ReadError;
use crate::storage::files::Kind;
use crate::storage::index::{OffsetEntry, TimeEntry, View};
use crate::storage::segment::Walk;
use std::sync::Arc;

/// Where a read has to stop.
#[derive(Clone, Copy)]
struct Stop {
    pos: u64,
    /// Everything before `pos` has a smaller offset.
    offset: Offset,
}

impl Log {
    /// Batches from the one that holds `from`, up to `end` (exclusive; a batch boundary: high watermark or last
    /// stable offset). `None`: nothing there yet, or the first batch is larger than `max_bytes` and need not be sent.
    /// The bytes are read outside of the lock, and may be cut off meanwhile: a short read is then no fault.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        end: Offset,
        min_one_batch: bool,
    ) -> Result<Option<FileSlice>, ReadError> {
        if from < self.log_start || from > self.log_end {
            return Err(ReadError::OutOfRange { offset: from, log_start: self.log_start, log_end: self.log_end });
        }
        let end = end.min(self.log_end);
        if from >= end {
            return Ok(None);
        }
        if let Some(slice) = self.read_recent(from, max_bytes, end, min_one_batch) {
            return Ok(slice);
        }
        let mut n = self.segment_of(from);
        while n < self.segments.len() && self.segments[n].base < end {
            if let Some((pos, header)) = self.locate(n, from)? {
                if header.base_offset >= end {
                    return Ok(None);
                }
                return Ok(self.slice(n, pos, &header, max_bytes, end, min_one_batch)?);
            }
            // A gap at the end of this segment.
            n += 1;
        }
        Ok(None)
    }

    /// The answer from what the writer remembers, if it is in there: no reads at all.
    #[expect(clippy::option_option, reason = "outer: the writer knows; inner: there is something to send")]
    fn read_recent(
        &self,
        from: Offset,
        max_bytes: usize,
        end: Offset,
        min_one_batch: bool,
    ) -> Option<Option<FileSlice>> {
        let writer = self.writer.as_ref()?;
        let from = crate::storage::segment::relative(writer.at.base, from)?;
        let recent = &writer.recent;
        let first = recent.partition_point(|(base, _)| *base <= from).checked_sub(1)?;
        let start = u64::from(recent[first].1);
        let absolute = |relative: u32| writer.at.base.plus(i64::from(relative));
        let mut stop = Stop { pos: u64::from(writer.at.size), offset: self.log_end };
        if end < self.log_end {
            let at = recent.partition_point(|(base, _)| absolute(*base) < end);
            let (_, pos) = *recent.get(at)?;
            stop = Stop { pos: u64::from(pos), offset: end };
        }
        if stop.pos - start > max_bytes as u64 {
            let limit = start + max_bytes as u64;
            let over = recent.partition_point(|(_, pos)| u64::from(*pos) <= limit);
            // At least the first batch; whether it may exceed the limit is the caller's wish.
            let cut = (over - 1).max(first + 1);
            stop = recent.get(cut).map_or(stop, |(base, pos)| Stop { pos: u64::from(*pos), offset: absolute(*base) });
            if stop.pos > limit && !min_one_batch {
                return Some(None);
            }
        }
        let len = usize::try_from(stop.pos - start).ok()?;
        Some(Some(FileSlice { file: writer.file.clone(), pos: start, len, upper_bound: stop.offset }))
    }

    fn slice(
        &self,
        n: usize,
        pos: u64,
        header: &BatchHeader,
        max_bytes: usize,
        end: Offset,
        min_one_batch: bool,
    ) -> Result<Option<FileSlice>, StorageError> {
        let file = self.log_file(n)?;
        let segment_end = self.segment_end(n);
        let mut stop = if end >= segment_end {
            Stop { pos: u64::from(self.segments[n].size(&self.files)?), offset: segment_end }
        } else {
            match self.locate(n, end)? {
                // A batch that reaches over the end is not for this reader.
                Some((pos, _)) => Stop { pos, offset: end },
                None => Stop { pos: u64::from(self.segments[n].size(&self.files)?), offset: end },
            }
        };
        let limit = pos.saturating_add(max_bytes as u64);
        if stop.pos > limit {
            let first_end = pos + header.size() as u64;
            if first_end > limit && !min_one_batch {
                return Ok(None);
            }
            stop = self.boundary_below(
                n,
                &*file,
                pos,
                limit,
                Stop { pos: first_end, offset: header.next_offset() },
                stop,
            )?;
        }
        // The end lies inside of the first batch.
        if stop.pos <= pos {
            return Ok(None);
        }
        let len = usize::try_from(stop.pos - pos).unwrap_or(usize::MAX);
        Ok(Some(FileSlice { file, pos, len, upper_bound: stop.offset }))
    }

    /// The last batch boundary up to `limit` that is cheap to find, `first_end` at least, before `stop`.
    fn boundary_below(
        &self,
        n: usize,
        file: &dyn File,
        start: u64,
        limit: u64,
        first_end: Stop,
        stop: Stop,
    ) -> Result<Stop, StorageError> {
        let segment = &self.segments[n];
        let entry = self.offset_index(n)?.last_where(|entry| u64::from(entry.pos) <= limit);
        let entry = entry.map_err(self.files.failed(segment.base, Kind::Index))?;
        if let Some(entry) = entry
            && u64::from(entry.pos) > start
            && u64::from(entry.pos) >= first_end.pos
        {
            let mut walk = Walk::new(file, u64::from(entry.pos), stop.pos);
            if let Ok(Some((pos, header))) = walk.next()
                && header.last_offset() == segment.absolute(entry.offset)
            {
                return Ok(Stop { pos, offset: header.base_offset });
            }
        }
        let mut best = first_end;
        let mut walk = Walk::new(file, first_end.pos, stop.pos);
        while walk.pos() < limit {
            let next = walk.next().map_err(|stopped| self.files.stopped(segment.base, stopped))?;
            let Some((_, header)) = next else { break };
            if walk.pos() > limit {
                break;
            }
            best = Stop { pos: walk.pos(), offset: header.next_offset() };
        }
        Ok(best)
    }

    /// The first batch of segment `n` that ends at `offset` or later, and its position.
    pub(super) fn locate(&self, n: usize, offset: Offset) -> Result<Option<(u64, BatchHeader)>, StorageError> {
        let segment = &self.segments[n];
        let size = u64::from(segment.size(&self.files)?);
        if size == 0 {
            return Ok(None);
        }
        let file = self.log_file(n)?;
        let mut walk = Walk::new(&*file, 0, size);
        if let Some(entry) = self.index_floor(n, offset)?
            && u64::from(entry.pos) < size
        {
            let mut near = Walk::new(&*file, u64::from(entry.pos), size);
            if let Ok(Some((pos, header))) = near.next()
                && header.last_offset() == segment.absolute(entry.offset)
            {
                if header.last_offset() >= offset {
                    return Ok(Some((pos, header)));
                }
                walk = near;
            }
        }
        while let Some((pos, header)) = walk.next().map_err(|stopped| self.files.stopped(segment.base, stopped))? {
            if header.last_offset() >= offset {
                return Ok(Some((pos, header)));
            }
        }
        Ok(None)
    }

    /// The last index entry at or before `offset`.
    pub(super) fn index_floor(&self, n: usize, offset: Offset) -> Result<Option<OffsetEntry>, StorageError> {
        let segment = &self.segments[n];
        let target = offset.0.saturating_sub(segment.base.0);
        let entry = self.offset_index(n)?.last_where(|entry| i64::from(entry.offset) <= target);
        entry.map_err(self.files.failed(segment.base, Kind::Index))
    }

    pub(super) fn log_file(&self, n: usize) -> Result<Arc<dyn File>, StorageError> {
        match &self.writer {
            Some(writer) if n + 1 == self.segments.len() => Ok(writer.file.clone()),
            _ => self.files.reader(self.segments[n].base, Kind::Log),
        }
    }

    fn offset_index(&self, n: usize) -> Result<View<'_, OffsetEntry>, StorageError> {
        let base = self.segments[n].base;
        let file = self.files.reader_if_any(base, Kind::Index)?;
        match &self.writer {
            Some(writer) if n + 1 == self.segments.len() => Ok(View::of_tail(&writer.offsets, file)),
            _ => View::of_file(file).map_err(self.files.failed(base, Kind::Index)),
        }
    }

    pub(super) fn time_index(&self, n: usize) -> Result<View<'_, TimeEntry>, StorageError> {
        let base = self.segments[n].base;
        let file = self.files.reader_if_any(base, Kind::TimeIndex)?;
        match &self.writer {
            Some(writer) if n + 1 == self.segments.len() => Ok(View::of_tail(&writer.times, file)),
            _ => View::of_file(file).map_err(self.files.failed(base, Kind::TimeIndex)),
        }
    }
}
