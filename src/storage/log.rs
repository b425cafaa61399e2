//! The log of one partition.
//!
//! A list of segments of which the last is appended to. What a log needs beyond the names in its
//! directory is loaded when somebody asks: after a clean stop a log that is not used costs a list of
//! offsets. The parts: `open` and recovery, append, read, lookup by time and epoch,
//! retention and truncation, flush and close.
//!
//! What is on disk: Kafka 4.3's segment directory, records of magic 2 only. Compaction is the cleaner's
//! (`storage::cleaner`), which works through `compaction`. Left out: segments whose offsets overflow their base
//! (Kafka before 2.0 could write them; they are refused), and mmap.

mod append;
mod compaction;
mod cut;
mod flush;
mod future;
mod lookup;
mod open;
mod read;
mod recovery;
mod retention;
mod writer;

use super::epochs::Epochs;
use super::error::StorageError;
use super::files::{self, Files, Kind, State};
use super::producers::Producers;
use super::segment::{self, Segment};
use crate::config::topic::TopicConfig;
use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicPartition};
use crate::record::BatchHeader;
use crate::rt::fs::{File, Fs};
use parking_lot::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use writer::Writer;

pub use append::Answers;
pub(super) use compaction::{Barrier, Plan, Replacement, Source};
pub use future::{FutureError, FutureLog, Piece};
pub use open::RecoveryProgress;
pub(super) use writer::Counters;

/// Where a log lies and what is known about it from the checkpoints of its directory.
#[derive(Clone, Debug)]
pub struct OpenLog {
    pub fs: Arc<dyn Fs>,
    /// The partition's own directory.
    pub dir: PathBuf,
    pub partition: TopicPartition,
    pub config: Arc<TopicConfig>,
    /// The directory was shut down cleanly: nothing is scanned.
    pub clean: bool,
    /// Everything below is known to be on disk.
    pub recovery_point: Offset,
    pub log_start: Offset,
    /// What compaction has reached; `None`: nothing.
    pub cleaned_to: Option<Offset>,
    /// `producer.id.expiration.ms`.
    pub producer_expiry_ms: i64,
    pub now: TimestampMs,
}

/// Who appends, which decides what is checked (`AppendOrigin`). Replication: [`Log::append_as_follower`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: epochs and sequences.
    Client,
    /// A coordinator's own records: epochs only.
    Coordinator,
    /// A transaction marker, written under `transaction.version` 0, 1 or 2 (2: the epoch must have risen).
    Marker { transaction_version: i16 },
}

/// A stretch of a segment to be sent as it lies there.
#[derive(Clone, Debug)]
pub struct FileSlice {
    pub file: Arc<dyn File>,
    pub pos: u64,
    pub len: usize,
    /// Every record of the slice has an offset below this one (for the aborted transactions of the slice).
    pub upper_bound: Offset,
}

impl FileSlice {
    /// Looks at the headers of its batches, each with where it begins, until `look` says that it has seen enough.
    ///
    /// # Errors
    /// The file cannot be read, or (`InvalidData`) what lies there is no batch: it was cut off in the meantime.
    pub fn look_at_batches(&self, mut look: impl FnMut(u64, &BatchHeader) -> bool) -> io::Result<()> {
        let mut walk = segment::Walk::new(&*self.file, self.pos, self.pos + self.len as u64);
        loop {
            match walk.next() {
                Ok(Some((pos, header))) if look(pos, &header) => {}
                Ok(_) => return Ok(()),
                Err(segment::Stopped::Io(error)) => return Err(error),
                Err(segment::Stopped::Bad { .. }) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// Where a batch was appended, or had been before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub first: Offset,
    pub last: Offset,
    /// `-1` unless the broker set the batch's timestamp, or the batch is a duplicate (then the original's).
    pub append_time: TimestampMs,
    pub log_start: Offset,
    pub duplicate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedOffset {
    pub offset: Offset,
    pub timestamp: TimestampMs,
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Answer of OffsetForLeaderEpoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    pub epoch: LeaderEpoch,
    pub end: Offset,
}

/// A producer as DescribeProducers shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerView {
    pub producer_id: ProducerId,
    pub epoch: ProducerEpoch,
    pub last_sequence: Sequence,
    pub last_timestamp: TimestampMs,
    pub coordinator_epoch: i32,
    /// First offset of the open transaction.
    pub txn_start: Option<Offset>,
}

/// An aborted transaction, as `.txnindex` holds it and a read_committed Fetch reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first: Offset,
    pub last: Offset,
    pub last_stable: Offset,
}

/// What has to be synced, outside of the partition's lock, before everything below `mark` is durable.
/// The directory is among the files when it has new names.
#[derive(Clone, Debug)]
pub struct FlushJob {
    pub files: Vec<Arc<dyn File>>,
    pub mark: FlushMark,
}

/// Handed back to [`Log::flushed`]. Void if the log was cut since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushMark {
    up_to: Offset,
    /// How often the log had been cut.
    cuts: u32,
    /// How many segments had been sealed, and how many names created.
    seals: u32,
    names: u32,
}

/// A sealed segment that may not be on disk.
#[derive(Debug)]
struct Unsynced {
    base: Offset,
    /// Which seal it was.
    seal: u32,
    files: Vec<Arc<dyn File>>,
}

/// A file that is to be removed.
#[derive(Debug)]
struct Doomed {
    path: PathBuf,
    due: TimestampMs,
}

/// The log of one partition. Not locked: the partition's lock protects it.
#[derive(Debug)]
pub struct Log {
    files: Files,
    partition: TopicPartition,
    config: Arc<TopicConfig>,
    producer_expiry_ms: i64,
    /// Sorted, never empty.
    segments: Vec<Segment>,
    /// Offsets of the producer snapshots on disk, sorted. Behind a lock because a corrupt one is
    /// dropped by whoever finds it.
    snapshots: Mutex<Vec<Offset>>,
    log_start: Offset,
    log_end: Offset,
    recovery_point: Offset,
    /// What compaction has reached. Never beyond the log end.
    cleaned_to: Option<Offset>,
    /// Where a clean stop left no producer snapshot, there were no producers: nothing below is replayed.
    no_producers_below: Offset,
    /// What [`Log::high_watermark_advanced`] was told.
    high_watermark: Offset,
    producers: OnceLock<Producers>,
    epochs: OnceLock<Epochs>,
    /// The last segment's end, once something is appended to it.
    writer: Option<Box<Writer>>,
    unsynced: Vec<Unsynced>,
    seals: u32,
    names: u32,
    names_synced: u32,
    /// If the epoch checkpoint was written and not synced: how many names there were then.
    staged_epochs: Option<u32>,
    /// The partition's directory may not have a durable name yet.
    parent_unsynced: bool,
    cuts: u32,
    doomed: Vec<Doomed>,
    opened: TimestampMs,
    last_flush: TimestampMs,
}

impl Log {
    #[must_use]
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// The offset the next record will get.
    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.log_end
    }

    pub fn size_bytes(&self) -> Result<u64, StorageError> {
        self.segments.iter().try_fold(0, |sum, segment| Ok(sum + u64::from(segment.size(&self.files)?)))
    }

    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    #[must_use]
    pub fn dir(&self) -> &std::path::Path {
        &self.files.dir
    }

    pub fn set_config(&mut self, config: Arc<TopicConfig>) {
        self.config = config;
    }

    /// The segment that is appended to.
    fn active(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    /// The number of the segment in which `offset` would lie; the first one for offsets before it.
    fn segment_of(&self, offset: Offset) -> usize {
        self.segments.partition_point(|segment| segment.base <= offset).saturating_sub(1)
    }

    /// Where the segment's offsets end: at the next one's base, or the log end.
    fn segment_end(&self, n: usize) -> Offset {
        self.segments.get(n + 1).map_or(self.log_end, |next| next.base)
    }

    /// What must hold at all times; a violation is a bug of this module, and going on would spread it.
    fn assert_invariants(&self) {
        assert!(!self.segments.is_empty(), "{}: a log without a segment", self.partition);
        assert!(
            self.log_start <= self.log_end && self.recovery_point <= self.log_end,
            "{}: log start {}, recovery point {}, log end {}",
            self.partition,
            self.log_start,
            self.recovery_point,
            self.log_end
        );
        assert!(
            self.segments[0].base <= self.log_start && self.active().base <= self.log_end,
            "{}: segments {}..={}, log {}..{}",
            self.partition,
            self.segments[0].base,
            self.active().base,
            self.log_start,
            self.log_end
        );
    }

    /// Renames the files of a segment that is no longer part of the log; [`Log::reap`] removes them.
    /// The log file goes first: what remains after a crash is no segment.
    fn doom(&mut self, base: Offset, kinds: &[Kind], due: TimestampMs) -> Result<(), StorageError> {
        self.files.forget(base);
        for kind in kinds {
            if self.files.rename(base, *kind, State::Deleted)? {
                let path = self.files.dir.join(files::name(base, *kind, State::Deleted));
                self.doomed.push(Doomed { path, due });
            }
        }
        Ok(())
    }

    /// Drops the producer snapshots for which `gone` holds.
    fn drop_snapshots(&mut self, gone: impl Fn(Offset) -> bool) -> Result<(), StorageError> {
        let doomed: Vec<Offset> = self.snapshots.get_mut().iter().copied().filter(|offset| gone(*offset)).collect();
        for offset in doomed {
            self.files.remove(&self.files.path(offset, Kind::Snapshot))?;
            self.snapshots.get_mut().retain(|kept| *kept != offset);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
