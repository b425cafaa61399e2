//! The log of a voter on disk: the same segments as a quorum of one has, and where in them each entry lies. Synchronous.
//!
//! A batch has no index: entries are counted, from the one that follows the snapshot, or from 0 where there is none.
//! Appending is durable after [`RaftLog::unsynced`] was synced; cutting is durable when it returns, because what is
//! written after it must never be followed by what was cut.

use super::types::{Entry, Id, log_id};
use crate::model::{NodeId, Offset};
use crate::quorum::QuorumError;
use crate::quorum::log::{WriteError, at, create_segment, scan, segment_base, segment_name};
use crate::rt::clock;
use crate::rt::fs::{File, Fs, Open};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The end of a snapshot: the last entry in it, and the offset after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) id: Id,
    pub(super) end: Offset,
}

/// Where an entry lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    term: u64,
    base: Offset,
    pos: u64,
    len: usize,
}

#[derive(Debug)]
struct Segment {
    base: Offset,
    /// The index of its first entry.
    first: u64,
    file: Arc<dyn File>,
    len: u64,
}

/// Files and directories to be synced for what was appended to be durable.
#[derive(Debug, Default)]
pub(super) struct ToSync {
    files: Vec<Arc<dyn File>>,
    dirs: Vec<PathBuf>,
}

impl ToSync {
    /// Blocks for the disk. Not to be tried again after an error.
    pub(super) fn sync(self, fs: &dyn Fs) -> io::Result<()> {
        self.files.iter().try_for_each(|file| file.sync_data())?;
        self.dirs.iter().try_for_each(|dir| fs.sync_dir(dir))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct RaftLog {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    node: NodeId,
    segment_bytes: u64,
    segments: Vec<Segment>,
    entries: VecDeque<Place>,
    /// The index of the first of `entries`, or of the next one appended.
    first: u64,
    purged: Option<Id>,
    /// More was purged than there was: the log goes on where the snapshot ends.
    detached: bool,
    end: Offset,
    to_sync: ToSync,
}

impl RaftLog {
    /// Opens or creates the log, behind the snapshot if there is one.
    pub(super) fn open(
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        node: NodeId,
        segment_bytes: u64,
        covered: Option<Covered>,
    ) -> Result<RaftLog, QuorumError> {
        let io = |error| at(&dir, error);
        fs.create_dir_all(&dir).map_err(io)?;
        let names = fs.read_dir(&dir).map_err(io)?;
        let mut bases: Vec<Offset> = names.iter().filter(|e| !e.is_dir).filter_map(|e| segment_base(&e.name)).collect();
        bases.sort_unstable();
        let mut log = RaftLog {
            fs,
            dir,
            node,
            segment_bytes,
            segments: Vec::new(),
            entries: VecDeque::new(),
            first: 0,
            purged: None,
            detached: false,
            end: Offset::ZERO,
            to_sync: ToSync::default(),
        };
        let mut places: Vec<Place> = Vec::new();
        for (index, base) in bases.iter().enumerate() {
            log.load(*base, index + 1 == bases.len(), covered, &mut places)?;
        }
        log.settle(places, covered)?;
        Ok(log)
    }

    /// Reads one segment; `first` of it counts from the first place, until [`RaftLog::settle`] knows better.
    fn load(
        &mut self,
        base: Offset,
        last: bool,
        covered: Option<Covered>,
        places: &mut Vec<Place>,
    ) -> Result<(), QuorumError> {
        let path = self.dir.join(segment_name(base));
        if places.last().is_some() && self.end != base || places.is_empty() && !self.segments.is_empty() {
            // A snapshot was taken from another node, and a crash came before the older segments were gone.
            if !places.is_empty() && covered.is_none_or(|covered| base > covered.end) {
                return Err(QuorumError::Missing(self.end, Offset(base.0 - 1)));
            }
            self.drop_all(places)?;
        }
        let file = self.fs.open(&path, Open::ReadWrite).map_err(|error| at(&path, error))?;
        let (first, mut next, mut term) = (places.len() as u64, base, places.last().map_or(0, |p| p.term));
        let scanned = scan(&path, file.as_ref(), &mut |header, batch, pos| {
            let this = u64::try_from(header.leader_epoch.0).unwrap_or_default();
            if header.base_offset != next || this < term {
                let error = format!("offset {} of epoch {this} follows {} of {term}", header.base_offset, next.0 - 1);
                return Err(QuorumError::Damaged { path: path.clone(), at: pos, error });
            }
            (next, term) = (header.next_offset(), this);
            places.push(Place { term, base: header.base_offset, pos, len: batch.len() });
            Ok(())
        })?;
        if let Some(error) = scanned.fault {
            if !last {
                return Err(QuorumError::Damaged { path, at: scanned.sound, error });
            }
            let bytes = scanned.len - scanned.sound;
            tracing::warn!(path = %path.display(), bytes, "cut an unfinished write from the metadata log");
            file.set_len(scanned.sound).and_then(|()| file.sync_data()).map_err(|error| at(&path, error))?;
        }
        self.end = next;
        self.segments.push(Segment { base, first, file, len: scanned.sound });
        Ok(())
    }

    /// Finds the index of every entry, and drops what a snapshot shows to be of another log.
    fn settle(&mut self, mut places: Vec<Place>, covered: Option<Covered>) -> Result<(), QuorumError> {
        let offset = match covered {
            None => match places.first() {
                Some(place) if place.base > Offset::ZERO => {
                    return Err(QuorumError::Missing(Offset::ZERO, Offset(place.base.0 - 1)));
                }
                _ => 0,
            },
            Some(covered) => {
                // How many entries of the log the snapshot covers, if the log has its end.
                let behind = match places.iter().position(|place| place.base == covered.end) {
                    None if self.end == covered.end => Some(places.len()),
                    found => found,
                };
                let same = |count: &usize| {
                    let before = count.checked_sub(1).and_then(|last| places.get(last));
                    before.is_none_or(|place| place.term == covered.id.leader_id.term)
                };
                match behind.filter(same) {
                    Some(count) => {
                        let Some(offset) = (covered.id.index + 1).checked_sub(count as u64) else {
                            return Err(QuorumError::Missing(Offset::ZERO, covered.end));
                        };
                        self.purged = Some(covered.id);
                        places.drain(..count);
                        self.first = covered.id.index + 1;
                        offset
                    }
                    None => {
                        self.drop_all(&mut places)?;
                        (self.purged, self.first, self.end) = (Some(covered.id), covered.id.index + 1, covered.end);
                        self.first
                    }
                }
            }
        };
        for segment in &mut self.segments {
            segment.first += offset;
        }
        self.entries = places.into();
        // The name of an empty one may not be durable: whoever made it was killed.
        self.to_sync
            .dirs
            .extend([Some(self.dir.as_path()), self.dir.parent()].into_iter().flatten().map(Path::to_owned));
        if self.segments.is_empty() {
            self.start_segment().map_err(|error| at(&self.dir, error))?;
        }
        Ok(())
    }

    /// Removes every segment: newest first, so that a crash leaves no hole.
    fn drop_all(&mut self, places: &mut Vec<Place>) -> Result<(), QuorumError> {
        places.clear();
        self.remove_from(0)
    }

    fn remove_from(&mut self, keep: usize) -> Result<(), QuorumError> {
        if self.segments.len() <= keep {
            return Ok(());
        }
        while self.segments.len() > keep {
            let Some(segment) = self.segments.pop() else { break };
            let path = self.dir.join(segment_name(segment.base));
            self.fs.remove_file(&path).map_err(|error| at(&path, error))?;
        }
        self.fs.sync_dir(&self.dir).map_err(|error| at(&self.dir, error))
    }

    fn start_segment(&mut self) -> io::Result<()> {
        let file = create_segment(self.fs.as_ref(), &self.dir, self.end)?;
        self.to_sync.dirs.push(self.dir.clone());
        self.segments.push(Segment { base: self.end, first: self.next_index(), file, len: 0 });
        Ok(())
    }

    pub(super) fn next_index(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The offset after the last entry.
    pub(super) fn end(&self) -> Offset {
        self.end
    }

    /// The offset after the entry at `index`, if it is known.
    pub(super) fn offset_after(&self, index: u64) -> Option<Offset> {
        if index.checked_add(1)? >= self.next_index() {
            return Some(self.end);
        }
        let after = usize::try_from((index + 1).checked_sub(self.first)?).ok()?;
        self.entries.get(after).map(|place| place.base)
    }

    pub(super) fn purged(&self) -> Option<Id> {
        self.purged
    }

    pub(super) fn last(&self) -> Option<Id> {
        match self.entries.back() {
            Some(place) => Some(log_id(place.term, self.next_index() - 1)),
            None => self.purged,
        }
    }

    /// Appends entries with one write. Where entries are already, they are replaced.
    pub(super) fn append(&mut self, mut entries: Vec<Entry>) -> Result<(), WriteError> {
        let Some(first) = entries.first() else { return Ok(()) };
        if first.id.index < self.next_index() {
            self.truncate(first.id.index).map_err(WriteError::Fatal)?;
        }
        if self.entries.is_empty() && self.purged.is_none() && self.end == Offset::ZERO {
            self.first = first.id.index;
            if let [segment] = &mut self.segments[..] {
                segment.first = self.first;
            }
        }
        let refused = |error: String| WriteError::Fatal(at(&self.dir, io::Error::other(error)));
        let (mut places, mut batches, mut end) = (Vec::with_capacity(entries.len()), Vec::new(), self.end);
        let mut pos = 0;
        let now = clock::now_ms();
        for (entry, index) in entries.iter_mut().zip(self.next_index()..) {
            if entry.id.index != index {
                return Err(refused(format!("the entry {} cannot stand at index {index}", entry.id)));
            }
            let bytes = entry.place(end, self.node, now).map_err(|bad| refused(bad.to_string()))?;
            let header = crate::record::BatchHeader::parse(&bytes).map_err(|bad| refused(bad.to_string()))?;
            places.push(Place { term: entry.id.leader_id.term, base: end, pos, len: bytes.len() });
            pos += bytes.len() as u64;
            end = header.next_offset();
            batches.push(bytes);
        }
        if self.segments.last().is_some_and(|segment| segment.len >= self.segment_bytes) {
            self.start_segment().map_err(WriteError::Undone)?;
        }
        let Some(segment) = self.segments.last_mut() else { return Ok(()) };
        let mut slices: Vec<IoSlice<'_>> = batches.iter().map(|bytes: &Bytes| IoSlice::new(bytes)).collect();
        if let Err(error) = segment.file.write_all_at(&mut slices, segment.len) {
            return Err(match segment.file.set_len(segment.len) {
                Ok(()) => WriteError::Undone(error),
                Err(error) => WriteError::Fatal(at(&self.dir, error)),
            });
        }
        for place in &mut places {
            place.pos += segment.len;
        }
        segment.len += pos;
        self.to_sync.files.push(Arc::clone(&segment.file));
        self.entries.extend(places);
        self.end = end;
        Ok(())
    }

    /// What has to be synced for all appended so far to be durable.
    pub(super) fn unsynced(&mut self) -> ToSync {
        std::mem::take(&mut self.to_sync)
    }

    /// Cuts the log: `since` and everything after it go. Blocks for the disk.
    pub(super) fn truncate(&mut self, since: u64) -> Result<(), QuorumError> {
        let keep = usize::try_from(since.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let Some(place) = self.entries.get(keep).copied() else { return Ok(()) };
        let holder = self.segments.partition_point(|segment| segment.first <= since).saturating_sub(1);
        self.remove_from(holder + 1)?;
        if let Some(segment) = self.segments.last_mut() {
            let cut = segment.file.set_len(place.pos).and_then(|()| segment.file.sync_data());
            cut.map_err(|error| at(&self.dir, error))?;
            segment.len = place.pos;
        }
        self.entries.truncate(keep);
        self.end = place.base;
        Ok(())
    }

    /// Forgets entries up to `upto`. Nothing is removed from disk: openraft may say this while the snapshot that has them
    /// is still being taken ([`RaftLog::trim`]).
    pub(super) fn purge(&mut self, upto: Id) {
        if upto.index < self.first {
            return;
        }
        let count = usize::try_from(upto.index + 1 - self.first).unwrap_or(usize::MAX);
        self.detached |= count > self.entries.len();
        self.entries.drain(..count.min(self.entries.len()));
        self.first = upto.index + 1;
        self.purged = Some(upto);
    }

    /// Whether the log ends before what was purged, and nothing can be appended until the snapshot is on disk.
    pub(super) fn is_detached(&self) -> bool {
        self.detached
    }

    /// Goes on where the log ends although more was purged. Blocks for the disk.
    pub(super) fn attach(&mut self) -> Result<(), QuorumError> {
        self.remove_from(0)?;
        self.detached = false;
        self.start_segment().map_err(|error| at(&self.dir, error))
    }

    /// Removes segments of which a snapshot on disk has every entry that was not purged. Blocks for the disk.
    pub(super) fn trim(&mut self, covered: Covered) -> Result<(), QuorumError> {
        if self.detached {
            if self.purged == Some(covered.id) {
                self.end = covered.end;
                self.attach()?;
            }
            return Ok(());
        }
        let needed = self.first.min(covered.id.index + 1);
        while let [first, second, ..] = &self.segments[..] {
            if second.first > needed {
                break;
            }
            let path = self.dir.join(segment_name(first.base));
            if let Err(error) = self.fs.remove_file(&path) {
                // Removed at the next start, or read and forgotten again.
                tracing::warn!(path = %path.display(), %error, "cannot remove an old metadata file");
                break;
            }
            self.segments.remove(0);
        }
        Ok(())
    }

    /// Closes the segment that is being written, so that a purge can remove it.
    pub(super) fn roll(&mut self) -> io::Result<()> {
        match self.segments.last() {
            Some(segment) if segment.len > 0 => self.start_segment(),
            _ => Ok(()),
        }
    }

    /// Entries from `from` on and before `to`; as many as fit in `bytes_max`, and one at least.
    pub(super) fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Entry>, QuorumError> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for index in from.max(self.first)..to.min(self.next_index()) {
            let skip = usize::try_from(index - self.first).unwrap_or(usize::MAX);
            let Some(place) = self.entries.get(skip) else { break };
            bytes += place.len;
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            let holder = self.segments.partition_point(|segment| segment.first <= index).saturating_sub(1);
            let Some(segment) = self.segments.get(holder) else { break };
            let mut buffer = vec![0; place.len];
            segment.file.read_exact_at(&mut buffer, place.pos).map_err(|error| at(&self.dir, error))?;
            let entry = Entry::read(index, buffer.into()).map_err(|bad| QuorumError::Damaged {
                path: self.dir.join(segment_name(segment.base)),
                at: place.pos,
                error: bad.to_string(),
            })?;
            entries.push(entry);
        }
        Ok(entries)
    }
}
