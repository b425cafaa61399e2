//! Offset and time indexes, in Kafka's format.
//!
//! Entries are sorted and of one size, and mean offsets relative to the segment's base. The index of
//! a segment that is being appended to is its file and a [`Tail`] in memory, which is written out
//! many entries at a time; a sealed one is searched in its file ([`View`]), a page at a time, nothing
//! being mapped or kept. An index only says where to start looking: whoever uses an entry checks that
//! the batch it points to is the one it names.

pub(super) mod txn;

use crate::rt::fs::File;
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::sync::Arc;

/// Bytes read at once: a multiple of both entry sizes.
const PAGE: usize = 1008;

pub(super) trait Entry: Copy {
    const LEN: usize;
    fn decode(bytes: &[u8]) -> Option<Self>;
    fn encode(self, out: &mut Vec<u8>);
    /// The zeros with which Kafka preallocates an index.
    fn is_padding(&self) -> bool;
}

/// `.index`: the batch that starts at `pos` ends with the record `offset` (relative).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    pub offset: u32,
    pub pos: u32,
}

impl Entry for OffsetEntry {
    const LEN: usize = 8;

    fn decode(bytes: &[u8]) -> Option<OffsetEntry> {
        let (offset, pos) = bytes.split_first_chunk::<4>()?;
        Some(OffsetEntry { offset: u32::from_be_bytes(*offset), pos: u32::from_be_bytes(*pos.first_chunk()?) })
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.pos.to_be_bytes());
    }

    /// No entry points to the first batch: it is written before the first interval is full.
    fn is_padding(&self) -> bool {
        self.pos == 0
    }
}

/// `.timeindex`: `timestamp` is the largest up to the batch that ends with the record `offset` (relative).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeEntry {
    pub timestamp: i64,
    pub offset: u32,
}

impl Entry for TimeEntry {
    const LEN: usize = 12;

    fn decode(bytes: &[u8]) -> Option<TimeEntry> {
        let (timestamp, offset) = bytes.split_first_chunk::<8>()?;
        let offset = u32::from_be_bytes(*offset.first_chunk()?);
        Some(TimeEntry { timestamp: i64::from_be_bytes(*timestamp), offset })
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
    }

    fn is_padding(&self) -> bool {
        self.timestamp == 0 && self.offset == 0
    }
}

/// Entries are written out when this many wait.
const WRITE_AT: usize = 64;
/// And this many stay in memory afterwards, for readers near the end.
const KEEP: usize = 16;

/// The end of an index that is being appended to.
#[derive(Debug)]
pub(super) struct Tail<E> {
    /// Number of the first entry in `bytes`.
    first: u32,
    /// Entries that are in the file.
    written: u32,
    /// Entries as they lie in the file.
    bytes: Vec<u8>,
    _entry: PhantomData<E>,
}

impl<E: Entry> Tail<E> {
    /// The tail of a file of `written` entries.
    pub(super) fn after(written: u32) -> Tail<E> {
        Tail { first: written, written, bytes: Vec::new(), _entry: PhantomData }
    }

    pub(super) fn len(&self) -> u32 {
        self.first + (self.bytes.len() / E::LEN) as u32
    }

    pub(super) fn push(&mut self, entry: E) {
        entry.encode(&mut self.bytes);
    }

    pub(super) fn wants_writing(&self) -> bool {
        (self.len() - self.written) as usize >= WRITE_AT
    }

    pub(super) fn is_written(&self) -> bool {
        self.len() == self.written
    }

    /// Writes what is not in the file. After an error the next call does it again.
    pub(super) fn write_to(&mut self, file: &dyn File) -> io::Result<()> {
        let from = (self.written - self.first) as usize * E::LEN;
        let pos = u64::from(self.written) * E::LEN as u64;
        if from < self.bytes.len() {
            file.write_all_at(&mut [IoSlice::new(&self.bytes[from..])], pos)?;
        }
        self.written = self.len();
        let drop = (self.bytes.len() / E::LEN).saturating_sub(KEEP);
        self.bytes.drain(..drop * E::LEN);
        self.first += drop as u32;
        Ok(())
    }
}

/// A sorted run of entries: in a file, in memory behind it, or both.
pub(super) struct View<'a, E> {
    file: Option<Arc<dyn File>>,
    in_file: u32,
    tail_first: u32,
    tail: &'a [u8],
    page: [u8; PAGE],
    page_first: u32,
    page_len: u32,
    _entry: PhantomData<E>,
}

impl<'a, E: Entry> View<'a, E> {
    /// The valid entries of a file; its preallocated end is left out.
    pub(super) fn of_file(file: Option<Arc<dyn File>>) -> io::Result<View<'a, E>> {
        let bytes = file.as_ref().map_or(Ok(0), |file| file.len())?;
        let entries = u32::try_from(bytes / E::LEN as u64).unwrap_or(u32::MAX);
        let mut view = View::new(file, entries, entries, &[]);
        if entries > 0 && view.get(entries - 1)?.is_none_or(|entry: E| entry.is_padding()) {
            view.in_file = view.first_where(|entry| entry.is_padding())?;
            view.tail_first = view.in_file;
        }
        Ok(view)
    }

    /// An index that is being appended to. `file` may be `None` as long as nothing is written.
    pub(super) fn of_tail(tail: &'a Tail<E>, file: Option<Arc<dyn File>>) -> View<'a, E> {
        View::new(file, tail.first, tail.first, &tail.bytes)
    }

    fn new(file: Option<Arc<dyn File>>, in_file: u32, tail_first: u32, tail: &'a [u8]) -> View<'a, E> {
        View { file, in_file, tail_first, tail, page: [0; PAGE], page_first: 0, page_len: 0, _entry: PhantomData }
    }

    pub(super) fn len(&self) -> u32 {
        self.tail_first + (self.tail.len() / E::LEN) as u32
    }

    pub(super) fn get(&mut self, n: u32) -> io::Result<Option<E>> {
        if n >= self.tail_first {
            let at = (n - self.tail_first) as usize * E::LEN;
            return Ok(self.tail.get(at..at + E::LEN).and_then(E::decode));
        }
        if n >= self.in_file {
            return Ok(None);
        }
        if n < self.page_first || n - self.page_first >= self.page_len {
            let Some(file) = &self.file else { return Ok(None) };
            let per_page = (PAGE / E::LEN) as u32;
            self.page_first = n / per_page * per_page;
            self.page_len = 0;
            let read = file.read_at(&mut self.page, u64::from(self.page_first) * E::LEN as u64)?;
            self.page_len = (read / E::LEN) as u32;
        }
        let at = (n - self.page_first) as usize * E::LEN;
        if n - self.page_first >= self.page_len {
            return Ok(None);
        }
        Ok(self.page.get(at..at + E::LEN).and_then(E::decode))
    }

    /// Number of the first entry for which `holds`, which must be false for those before and true from there on.
    pub(super) fn first_where(&mut self, holds: impl Fn(&E) -> bool) -> io::Result<u32> {
        let (mut low, mut high) = (0, self.len());
        // Most questions are about the end, which is in memory.
        if self.tail_first > 0 && !self.tail.is_empty() {
            match E::decode(self.tail) {
                Some(first) if !holds(&first) => low = self.tail_first,
                _ => high = self.tail_first,
            }
        }
        while low < high {
            let middle = low + (high - low) / 2;
            // An entry that cannot be read ends the index.
            if self.get(middle)?.is_none_or(|entry| holds(&entry)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    /// The last entry for which `holds`, which must be true up to it and false behind.
    pub(super) fn last_where(&mut self, holds: impl Fn(&E) -> bool) -> io::Result<Option<E>> {
        match self.first_where(|entry| !holds(entry))? {
            0 => Ok(None),
            n => self.get(n - 1),
        }
    }

    pub(super) fn last(&mut self) -> io::Result<Option<E>> {
        match self.len() {
            0 => Ok(None),
            n => self.get(n - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rt::fs::{Open, disk};

    fn file(dir: &tempfile::TempDir) -> Arc<dyn File> {
        disk::disk().open(&dir.path().join("x"), Open::Create).unwrap()
    }

    fn entry(n: u32) -> OffsetEntry {
        OffsetEntry { offset: n * 10, pos: n * 100 + 1 }
    }

    #[test]
    fn every_entry_is_found_whether_it_is_in_the_file_or_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        let mut tail = Tail::<OffsetEntry>::after(0);
        for n in 0..1000 {
            tail.push(entry(n));
            if tail.wants_writing() {
                tail.write_to(&*file).unwrap();
            }
        }
        assert!(tail.bytes.len() < 80 * 8 && tail.written < 1000);
        let mut view = View::of_tail(&tail, Some(file.clone()));
        assert_eq!(view.len(), 1000);
        for n in 0..1000 {
            assert_eq!(view.get(n).unwrap(), Some(entry(n)));
            assert_eq!(view.last_where(|e| e.offset <= n * 10 + 9).unwrap(), Some(entry(n)));
        }
        assert_eq!(view.get(1000).unwrap(), None);
        tail.write_to(&*file).unwrap();
        let mut sealed = View::<OffsetEntry>::of_file(Some(file)).unwrap();
        assert_eq!((sealed.len(), sealed.last().unwrap()), (1000, Some(entry(999))));
        assert_eq!(sealed.first_where(|e| e.pos > 5000).unwrap(), 50);
    }

    #[test]
    fn kafkas_preallocated_zeros_are_not_entries() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        let mut tail = Tail::<OffsetEntry>::after(0);
        (0..7).for_each(|n| tail.push(entry(n)));
        tail.write_to(&*file).unwrap();
        file.set_len(10 * 1024).unwrap();
        assert_eq!(View::<OffsetEntry>::of_file(Some(file.clone())).unwrap().len(), 7);
        file.set_len(0).unwrap();
        file.set_len(10 * 1024).unwrap();
        assert_eq!(View::<TimeEntry>::of_file(Some(file)).unwrap().len(), 0);
        assert_eq!(View::<TimeEntry>::of_file(None).unwrap().len(), 0);
    }

    #[test]
    fn a_file_that_ends_inside_an_entry_ends_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir);
        let mut tail = Tail::<OffsetEntry>::after(0);
        (0..3).for_each(|n| tail.push(entry(n)));
        tail.write_to(&*file).unwrap();
        file.set_len(21).unwrap();
        let mut view = View::<OffsetEntry>::of_file(Some(file)).unwrap();
        assert_eq!((view.len(), view.last().unwrap()), (2, Some(entry(1))));
    }
}
