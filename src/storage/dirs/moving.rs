//! Moving a partition to another log directory: the names that say how far it is.
//!
//! The copy grows in `<topic>-<partition>.<unique>-future`. [`LogDirs::promote`] gives it its final name, durably,
//! and only then sets the old directory aside, durably, so that at no moment a crash leaves the partition without
//! a directory. A crash between the two leaves it in both, with the same records; then the directory that the
//! metadata names is the one to use. A copy that is not finished is worth nothing: the next life starts again.

use super::meta::{PARTITION_METADATA, encode_partition_metadata};
use super::{LogDir, LogDirs, names};
use crate::model::{TimestampMs, TopicId, TopicPartition};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Which of the two directories a failed [`LogDirs::promote`] is to be blamed on.
#[derive(Debug)]
pub enum PromoteError {
    /// The partition is where it was.
    Target(io::Error),
    /// The copy is in place, but the old directory could not be set aside.
    Source(io::Error),
}

impl LogDirs {
    /// Whether a partition's name leaves room for what is added to it while it moves.
    #[must_use]
    pub fn can_move(at: &TopicPartition) -> bool {
        names::future(at).is_some()
    }

    /// Makes the directory for a copy, with its `partition.metadata`.
    ///
    /// # Errors
    /// The disk refused, or the name is too long.
    pub fn create_future(&self, dir: &LogDir, at: &TopicPartition, id: TopicId) -> io::Result<PathBuf> {
        let name = names::future(at).ok_or(io::ErrorKind::InvalidFilename)?;
        let path = dir.path.join(name);
        self.fs.create_dir_all(&path)?;
        self.fs.write_atomic(&path.join(PARTITION_METADATA), encode_partition_metadata(id).as_bytes())?;
        self.fs.sync_dir(&dir.path)?;
        Ok(path)
    }

    /// Removes a copy that is not wanted any more.
    ///
    /// # Errors
    /// The disk refused; the next life finds it again.
    pub fn discard_future(&self, path: &Path) -> io::Result<()> {
        match self.fs.remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Puts a complete and synced copy in the partition's place, and sets the old directory aside to be removed
    /// from `delay_ms` on. Nothing may be written to either meanwhile.
    ///
    /// # Errors
    /// The directory that the error names is to be failed, unless it is only full.
    pub fn promote(
        &self,
        future: &Path,
        (from, to): (&LogDir, &LogDir),
        at: &TopicPartition,
        now: TimestampMs,
        delay_ms: i64,
    ) -> Result<(), PromoteError> {
        self.fs.rename(future, &to.partition_path(at)).map_err(PromoteError::Target)?;
        if let Err(error) = self.fs.sync_dir(&to.path) {
            // Back, so that what goes on growing in the old place is not taken for the older of two.
            let _ = self.fs.rename(&to.partition_path(at), future);
            return Err(PromoteError::Target(error));
        }
        to.partitions.fetch_add(1, Ordering::Relaxed);
        self.delete_partition(from, at, now, delay_ms).map_err(PromoteError::Source)
    }
}
