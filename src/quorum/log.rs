//! The metadata log on disk: replay, append, roll, snapshot, trim. Synchronous.
//!
//! A batch is in the log once the write and the sync after it have returned; the end of the last
//! segment that is not a whole, sound batch is what a crash left of an append nobody was told
//! about, and is cut at open. In earlier segments and in snapshots nothing may be unsound.

use super::checkpoint::{self, Id};
use super::{Batch, QuorumError, Replayed, Settings};
use crate::metadata::{Change, Image, Record, Replica};
use crate::model::{LeaderEpoch, Offset};
use crate::record::{BatchHeader, HEADER_LEN, records, verify};
use crate::rt::fs::{File, Fs, Open};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Read at a time when replaying.
const CHUNK: usize = 1 << 20;
/// A compressed batch of another program's log may grow to this.
const DECOMPRESSED_MAX: usize = 64 << 20;

/// How a write failed.
pub(super) enum WriteError {
    /// What is on disk is as it was before.
    Undone(io::Error),
    Fatal(QuorumError),
}

impl WriteError {
    /// A sync failed: nobody knows what is on disk.
    pub(super) fn sync(path: &Path, error: io::Error) -> WriteError {
        WriteError::Fatal(at(path, error))
    }
}

/// See the module.
pub(super) struct Log {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    settings: Settings,
    /// Base offsets of the segments, the last one being written.
    segments: Vec<Offset>,
    file: Arc<dyn File>,
    file_len: u64,
    /// Directories with names that are not durable yet; synced with the first append to the segment
    /// they name. In this order one commit of a journal serves them all.
    new_names: Vec<PathBuf>,
    end: Offset,
    epoch: LeaderEpoch,
    snapshot: Option<Id>,
    /// Bytes appended since the last snapshot.
    since_snapshot: u64,
}

impl Log {
    /// Opens or creates the log and replays it: the replica's store has the image when this returns.
    pub(super) fn open(
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        settings: Settings,
        replica: &mut Replica,
    ) -> Result<(Log, Replayed), QuorumError> {
        fs.create_dir_all(&dir).map_err(|error| at(&dir, error))?;
        let names = fs.read_dir(&dir).map_err(|error| at(&dir, error))?;
        let names = names.iter().filter(|entry| !entry.is_dir).map(|entry| entry.name.as_str());
        let mut segments: Vec<Offset> = names.clone().filter_map(segment_base).collect();
        segments.sort_unstable();
        let snapshot = names.filter_map(Id::parse).max();

        let mut replay = Replay { change: Change::new(&Image::default()), replica, records: 0, last: Offset::NONE };
        let (mut end, mut epoch) = (Offset::ZERO, LeaderEpoch(0));
        if let Some(id) = snapshot {
            checkpoint::read(fs.as_ref(), &dir.join(id.name()), &mut |record, offset| {
                replay.take(vec![record], offset)
            })?;
            (end, epoch) = (id.end, id.epoch);
            replay.last = Offset(id.end.0 - 1);
        }
        if let Some(first) = segments.first().filter(|first| **first > end) {
            return Err(QuorumError::Missing(end, Offset(first.0 - 1)));
        }

        let (mut since_snapshot, mut cut) = (0, 0);
        let mut tail = None;
        for (index, base) in segments.iter().enumerate() {
            let path = dir.join(segment_name(*base));
            let file = fs.open(&path, Open::ReadWrite).map_err(|error| at(&path, error))?;
            let mut next = *base;
            let read = scan(&path, file.as_ref(), &mut |header, batch, pos| {
                if header.base_offset != next {
                    let error = format!("offset {} follows {}", header.base_offset, next.0 - 1);
                    return Err(QuorumError::Damaged { path: path.clone(), at: pos, error });
                }
                next = header.next_offset();
                if next > end {
                    epoch = epoch.max(header.leader_epoch);
                    since_snapshot += batch.len() as u64;
                    replay.batch(header, batch, &path, pos)?;
                }
                Ok(())
            })?;
            end = end.max(next);
            let last = index + 1 == segments.len();
            if let Some(error) = read.fault {
                if !last {
                    return Err(QuorumError::Damaged { path, at: read.sound, error });
                }
                cut = read.len - read.sound;
                tracing::warn!(path = %path.display(), bytes = cut, "cut an unfinished write from the metadata log");
                file.set_len(read.sound).and_then(|()| file.sync_data()).map_err(|error| at(&path, error))?;
            }
            if last {
                tail = Some((file, read.sound, next));
            } else if next != segments[index + 1] {
                return Err(QuorumError::Missing(next, Offset(segments[index + 1].0 - 1)));
            }
        }

        let replayed = Replayed { records: replay.records, cut, in_transaction: replay.replica.in_transaction() };
        replay.finish(epoch)?;
        let (file, file_len, new_names) = match tail {
            // An empty one may be there without its name being durable: whoever made it was killed.
            Some((file, len, next)) if next == end && len > 0 => (file, len, Vec::new()),
            // The log may end before the snapshot: then it goes on after it.
            _ => {
                if segments.last() != Some(&end) {
                    segments.push(end);
                }
                let parent = dir.parent().map(Path::to_owned);
                let new_names = std::iter::once(dir.clone()).chain(parent).collect();
                let file = create_segment(fs.as_ref(), &dir, end).map_err(|error| at(&dir, error))?;
                (file, 0, new_names)
            }
        };
        let mut log =
            Log { fs, dir, settings, segments, file, file_len, new_names, end, epoch, snapshot, since_snapshot };
        log.trim();
        Ok((log, replayed))
    }

    pub(super) fn end(&self) -> Offset {
        self.end
    }

    pub(super) fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Nothing was ever appended.
    pub(super) fn is_new(&self) -> bool {
        self.end == Offset::ZERO && self.snapshot.is_none()
    }

    pub(super) fn failed(&self, error: io::Error) -> QuorumError {
        at(&self.dir, error)
    }

    /// Appends batches with one write. They are in the log for good after the next [`Log::sync`].
    pub(super) fn write(&mut self, batches: &[&Batch], epoch: LeaderEpoch) -> Result<(), WriteError> {
        let Some(last) = batches.last() else { return Ok(()) };
        if self.file_len >= self.settings.segment_bytes {
            self.roll().map_err(WriteError::Undone)?;
        }
        let path = self.dir.join(segment_name(self.segments.last().copied().unwrap_or_default()));
        let mut slices: Vec<IoSlice<'_>> = batches.iter().map(|batch| IoSlice::new(&batch.bytes)).collect();
        if let Err(error) = self.file.write_all_at(&mut slices, self.file_len) {
            return Err(match self.file.set_len(self.file_len) {
                Ok(()) => WriteError::Undone(error),
                Err(error) => WriteError::Fatal(at(&path, error)),
            });
        }
        let len: u64 = batches.iter().map(|batch| batch.bytes.len() as u64).sum();
        self.file_len += len;
        self.since_snapshot += len;
        self.end = last.last.next();
        self.epoch = epoch;
        Ok(())
    }

    /// Brings to disk what was written. After an error nobody knows what is there: never to be tried again.
    pub(super) fn sync(&mut self) -> Result<(), QuorumError> {
        self.file.sync_data().map_err(|error| self.failed(error))?;
        for dir in self.new_names.drain(..) {
            self.fs.sync_dir(&dir).map_err(|error| at(&dir, error))?;
        }
        Ok(())
    }

    fn roll(&mut self) -> io::Result<()> {
        if self.file_len > 0 {
            self.file = create_segment(self.fs.as_ref(), &self.dir, self.end)?;
            self.file_len = 0;
            self.new_names.push(self.dir.clone());
            self.segments.push(self.end);
        }
        Ok(())
    }

    /// Writes a snapshot of `image`, which holds every record of the log, when enough has been
    /// appended since the last one; then removes what it makes superfluous.
    pub(super) fn snapshot_if_due(&mut self, image: &Image) -> Result<(), QuorumError> {
        if self.since_snapshot < self.settings.snapshot_bytes {
            return Ok(());
        }
        let id = Id { end: self.end, epoch: self.epoch };
        let written = checkpoint::write(self.fs.as_ref(), &self.dir, id, image);
        let rolled = written.and_then(|()| {
            let older = self.snapshot.replace(id).filter(|older| *older != id);
            self.since_snapshot = 0;
            if let Some(older) = older {
                self.remove(&older.name());
            }
            self.roll().map_err(WriteError::Undone)
        });
        match rolled {
            Ok(()) => tracing::info!(offset = %id.end, "wrote a metadata snapshot"),
            Err(WriteError::Fatal(error)) => return Err(error),
            Err(WriteError::Undone(error)) => {
                // A full disk, say. The log has everything; the next attempt is some way off.
                tracing::warn!(%error, offset = %id.end, "cannot write a metadata snapshot");
                self.since_snapshot = self.settings.snapshot_bytes / 2;
            }
        }
        self.trim();
        Ok(())
    }

    /// Removes segments that the snapshot covers. One that stays for lack of luck is removed next time.
    fn trim(&mut self) {
        let Some(snapshot) = self.snapshot else { return };
        while let [first, second, ..] = self.segments[..] {
            if second > snapshot.end {
                break;
            }
            self.remove(&segment_name(first));
            self.segments.remove(0);
        }
    }

    fn remove(&self, name: &str) {
        let path = self.dir.join(name);
        if let Err(error) = self.fs.remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove an old metadata file");
        }
    }
}

/// Gathers the whole log into one change.
struct Replay<'a> {
    change: Change,
    replica: &'a mut Replica,
    records: u64,
    last: Offset,
}

impl Replay<'_> {
    fn take(&mut self, records: Vec<Record>, last: Offset) -> Result<(), QuorumError> {
        self.records += records.len() as u64;
        self.last = last;
        self.replica.feed(&mut self.change, records).map_err(|error| QuorumError::Apply(last, error))
    }

    fn batch(&mut self, header: &BatchHeader, batch: &[u8], path: &Path, pos: u64) -> Result<(), QuorumError> {
        if header.attributes.is_control() {
            // Who led, how snapshots begin and end, who votes: not the image's concern.
            self.last = header.last_offset();
            return Ok(());
        }
        let decoded =
            decode(header, batch).map_err(|error| QuorumError::Damaged { path: path.to_owned(), at: pos, error })?;
        self.take(decoded, header.last_offset())
    }

    fn finish(self, epoch: LeaderEpoch) -> Result<(), QuorumError> {
        let (image, delta) =
            self.change.finish(self.last, epoch.0).map_err(|error| QuorumError::Apply(self.last, error))?;
        self.replica.publish(image, &delta);
        Ok(())
    }
}

/// The metadata records of a batch.
pub(super) fn decode(header: &BatchHeader, batch: &[u8]) -> Result<Vec<Record>, String> {
    let payload = records::open(header, batch, DECOMPRESSED_MAX).map_err(|bad| bad.to_string())?;
    let mut decoded = Vec::new();
    for record in records::Records::new(header, &payload).map_err(|bad| bad.to_string())? {
        let record = record.map_err(|bad| bad.to_string())?;
        let value = record.value.ok_or_else(|| format!("the record at offset {} has no value", record.offset))?;
        decoded.push(Record::decode(value).map_err(|bad| format!("the record at offset {}: {bad}", record.offset))?);
    }
    Ok(decoded)
}

pub(super) struct Scanned {
    pub(super) len: u64,
    /// Bytes from the start that are whole batches.
    pub(super) sound: u64,
    /// What is wrong with what follows them; `None`: nothing follows.
    pub(super) fault: Option<String>,
}

/// Gets a batch's header, all of its bytes, and where in the file they are.
pub(super) type Visit<'a> = &'a mut dyn FnMut(&BatchHeader, &[u8], u64) -> Result<(), QuorumError>;

/// Reads a file batch by batch; memory is bounded by the largest batch that is really there.
pub(super) fn scan(path: &Path, file: &dyn File, visit: Visit<'_>) -> Result<Scanned, QuorumError> {
    let len = file.len().map_err(|error| at(path, error))?;
    let (mut sound, mut buffer, mut used) = (0u64, Vec::new(), 0usize);
    loop {
        // Fill up: what is unread of the buffer, then more of the file.
        buffer.drain(..std::mem::take(&mut used));
        let have = buffer.len();
        let wanted = match BatchHeader::parse(&buffer) {
            Ok(header) => header.size().max(CHUNK),
            Err(_) => CHUNK.max(HEADER_LEN),
        };
        let left = usize::try_from(len - sound).unwrap_or(usize::MAX);
        buffer.resize(have + wanted.min(left).saturating_sub(have), 0);
        let read = file.read_at(&mut buffer[have..], sound + have as u64).map_err(|error| at(path, error))?;
        buffer.truncate(have + read);
        if buffer.is_empty() {
            return Ok(Scanned { len, sound, fault: None });
        }
        loop {
            match verify(&buffer[used..]) {
                Ok(header) => {
                    visit(&header, &buffer[used..used + header.size()], sound)?;
                    used += header.size();
                    sound += header.size() as u64;
                }
                // More may be in the file.
                Err(_) if used > 0 || read > 0 && (buffer.len() as u64) < len - sound => break,
                Err(bad) => return Ok(Scanned { len, sound, fault: Some(bad.to_string()) }),
            }
        }
    }
}

pub(super) fn create_segment(fs: &dyn Fs, dir: &Path, base: Offset) -> io::Result<Arc<dyn File>> {
    fs.open(&dir.join(segment_name(base)), Open::Truncate)
}

pub(super) fn segment_name(base: Offset) -> String {
    format!("{:020}.log", base.0)
}

pub(super) fn segment_base(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(Offset)
}

pub(super) fn at(path: &Path, error: io::Error) -> QuorumError {
    QuorumError::Io { path: path.to_owned(), error }
}
