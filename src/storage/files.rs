//! The files of a partition's directory: their names, and the few that are kept open.
//!
//! Names are Kafka's: a base offset of 20 digits, a kind, and for files on their way in or out a
//! further suffix. Sealed segments' files are opened when they are read and a handful stays open, so
//! that ten thousand partitions do not need ten thousand descriptors.

use super::error::StorageError;
use crate::model::Offset;
use crate::rt::fs::{File, Fs, Open};
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file of a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Log,
    Index,
    TimeIndex,
    TxnIndex,
    /// Producer state below the offset in its name.
    Snapshot,
}

impl Kind {
    /// The files that come and go with a segment.
    pub(super) const OF_SEGMENT: [Kind; 4] = [Kind::Log, Kind::Index, Kind::TimeIndex, Kind::TxnIndex];
    const ALL: [Kind; 5] = [Kind::Log, Kind::Index, Kind::TimeIndex, Kind::TxnIndex, Kind::Snapshot];

    fn suffix(self) -> &'static str {
        match self {
            Kind::Log => "log",
            Kind::Index => "index",
            Kind::TimeIndex => "timeindex",
            Kind::TxnIndex => "txnindex",
            Kind::Snapshot => "snapshot",
        }
    }
}

/// What a further suffix says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    /// Waits for its removal.
    Deleted,
    /// Compaction was writing it.
    Cleaned,
    /// Compaction had finished it and was about to put it in place.
    Swap,
}

impl State {
    pub(super) fn suffix(self) -> &'static str {
        match self {
            State::Live => "",
            State::Deleted => ".deleted",
            State::Cleaned => ".cleaned",
            State::Swap => ".swap",
        }
    }
}

pub(super) fn name(base: Offset, kind: Kind, state: State) -> String {
    format!("{:020}.{}{}", base.0, kind.suffix(), state.suffix())
}

/// Base offset, kind and state of a file by its name; `None` for files that are not a segment's.
pub(super) fn parse(name: &str) -> Option<(Offset, Kind, State)> {
    let (digits, rest) = name.split_once('.')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let base = Offset(digits.parse().ok()?);
    let (kind, state) = match rest.split_once('.') {
        None => (rest, State::Live),
        Some((kind, "deleted")) => (kind, State::Deleted),
        Some((kind, "cleaned")) => (kind, State::Cleaned),
        Some((kind, "swap")) => (kind, State::Swap),
        Some(_) => return None,
    };
    let kind = Kind::ALL.into_iter().find(|known| known.suffix() == kind)?;
    Some((base, kind, state))
}

/// Most files kept open for reading, per partition.
const OPEN_MAX: usize = 6;

#[derive(Debug)]
struct Opened {
    base: Offset,
    kind: Kind,
    file: Arc<dyn File>,
    /// Read since [`Files::close_idle`] last looked.
    used: bool,
}

/// The files of one directory.
#[derive(Debug)]
pub(super) struct Files {
    pub fs: Arc<dyn Fs>,
    pub dir: PathBuf,
    /// Most recently used last.
    open: Mutex<Vec<Opened>>,
}

impl Files {
    pub(super) fn new(fs: Arc<dyn Fs>, dir: PathBuf) -> Files {
        Files { fs, dir, open: Mutex::new(Vec::new()) }
    }

    pub(super) fn path(&self, base: Offset, kind: Kind) -> PathBuf {
        self.dir.join(name(base, kind, State::Live))
    }

    /// Turns an error of one of the files into one that names it.
    pub(super) fn failed(&self, base: Offset, kind: Kind) -> impl Fn(io::Error) -> StorageError + '_ {
        move |source| StorageError::io(self.path(base, kind), source)
    }

    pub(super) fn corrupt(&self, base: Offset, kind: Kind, what: impl Into<String>) -> StorageError {
        StorageError::Corrupt { path: self.path(base, kind), what: what.into() }
    }

    pub(super) fn open(&self, base: Offset, kind: Kind, how: Open) -> Result<Arc<dyn File>, StorageError> {
        let path = self.path(base, kind);
        self.fs.open(&path, how).map_err(|error| StorageError::io(path, error))
    }

    /// For reading; the file stays open for a while.
    pub(super) fn reader(&self, base: Offset, kind: Kind) -> Result<Arc<dyn File>, StorageError> {
        let mut open = self.open.lock();
        if let Some(at) = open.iter().position(|file| file.base == base && file.kind == kind) {
            open[at..].rotate_left(1);
            let last = open.len() - 1;
            open[last].used = true;
            return Ok(open[last].file.clone());
        }
        let file = self.open(base, kind, Open::Read)?;
        if open.len() == OPEN_MAX {
            open.remove(0);
        }
        open.push(Opened { base, kind, file: file.clone(), used: true });
        Ok(file)
    }

    /// As [`Files::reader`]; `None` if there is no such file.
    pub(super) fn reader_if_any(&self, base: Offset, kind: Kind) -> Result<Option<Arc<dyn File>>, StorageError> {
        match self.reader(base, kind) {
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// Closes what belongs to a segment that is renamed, cut or gone.
    pub(super) fn forget(&self, base: Offset) {
        self.open.lock().retain(|file| file.base != base);
    }

    pub(super) fn forget_all(&self) {
        *self.open.lock() = Vec::new();
    }

    /// Closes what nobody has read since the last call.
    pub(super) fn close_idle(&self) {
        let mut open = self.open.lock();
        open.retain_mut(|file| std::mem::take(&mut file.used));
        if open.is_empty() {
            *open = Vec::new();
        }
    }

    /// Renames a file; true if there was one.
    pub(super) fn rename(&self, base: Offset, kind: Kind, to: State) -> Result<bool, StorageError> {
        let from = self.path(base, kind);
        match self.fs.rename(&from, &self.dir.join(name(base, kind, to))) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StorageError::io(from, error)),
        }
    }

    /// Removes a file; true if there was one.
    pub(super) fn remove(&self, path: &Path) -> Result<bool, StorageError> {
        match self.fs.remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StorageError::io(path, error)),
        }
    }

    pub(super) fn sync_dir(&self) -> Result<(), StorageError> {
        self.fs.sync_dir(&self.dir).map_err(|error| StorageError::io(&self.dir, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas_and_read_back() {
        assert_eq!(name(Offset(42), Kind::TimeIndex, State::Deleted), "00000000000000000042.timeindex.deleted");
        for kind in Kind::ALL {
            for state in [State::Live, State::Deleted, State::Cleaned, State::Swap] {
                assert_eq!(parse(&name(Offset(7), kind, state)), Some((Offset(7), kind, state)));
            }
        }
    }

    #[test]
    fn other_files_are_not_taken_for_a_segments() {
        for other in [
            "leader-epoch-checkpoint",
            "partition.metadata",
            "00000000000000000000-0000000000.checkpoint",
            "00000000000000000042.log.tmp",
            ".log",
            "-1.log",
            "99999999999999999999999.log",
            "42.part",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
