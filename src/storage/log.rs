//! The log of one partition.

use super::error::{AppendError, ReadError, StorageError};
use crate::config::topic::TopicConfig;
use crate::model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicPartition};
use crate::record::Batch;
use crate::rt::fs::{File, Fs};
use smallvec::SmallVec;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// `producer.id.expiration.ms`.
    pub producer_expiry_ms: i64,
    pub now: TimestampMs,
}

/// How far the recovery of a log after an unclean stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryProgress {
    pub done_bytes: u64,
    pub total_bytes: u64,
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
#[derive(Clone, Debug)]
pub struct FlushJob {
    pub files: Vec<Arc<dyn File>>,
    /// The directory, when files were created since it was last synced.
    pub dir: Option<PathBuf>,
    pub mark: FlushMark,
}

/// Handed back to [`Log::flushed`]. Void if the log was truncated since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushMark {
    pub up_to: Offset,
    pub generation: u32,
}

/// The log of one partition. Not locked: the partition's lock protects it.
#[derive(Debug)]
pub struct Log {
    open: OpenLog,
}

#[expect(
    unused_variables,
    clippy::unused_self,
    clippy::needless_pass_by_value,
    reason = "signatures only, bodies follow"
)]
impl Log {
    /// A new, empty log. Its directory must not hold a log yet.
    pub fn create(open: OpenLog) -> Result<Log, StorageError> {
        Ok(Log { open })
    }

    /// Opens what [`Log::create`] or Apache Kafka left. After a clean stop this reads the directory's names only.
    pub fn open(open: OpenLog) -> Result<Log, StorageError> {
        Ok(Log { open })
    }

    /// As [`Log::open`]; tells how far recovery is.
    pub fn open_reporting(open: OpenLog, progress: &mut dyn FnMut(RecoveryProgress)) -> Result<Log, StorageError> {
        Ok(Log { open })
    }

    /// Appends producers' batches (`Origin::Client`), in order: offsets, leader epoch, producer checks, one write.
    pub fn append(
        &mut self,
        batches: &mut [Batch],
        epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> SmallVec<[Result<Appended, AppendError>; 4]> {
        self.append_from(Origin::Client, batches, epoch, now)
    }

    pub fn append_from(
        &mut self,
        origin: Origin,
        batches: &mut [Batch],
        epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> SmallVec<[Result<Appended, AppendError>; 4]> {
        SmallVec::new()
    }

    /// Appends the leader's batches with the leader's offsets and epochs. All or, from the first that fails, none.
    pub fn append_as_follower(&mut self, batches: &[Batch], now: TimestampMs) -> Result<Option<Appended>, AppendError> {
        Ok(None)
    }

    /// Batches from the one that holds `from`, up to `end` (exclusive; a batch boundary: high watermark or last
    /// stable offset). `None`: nothing there yet, or the first batch is larger than `max_bytes` and need not be sent.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        end: Offset,
        min_one_batch: bool,
    ) -> Result<Option<FileSlice>, ReadError> {
        Ok(None)
    }

    #[must_use]
    pub fn log_start(&self) -> Offset {
        self.open.log_start
    }

    /// The offset the next record will get.
    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.open.log_start
    }

    pub fn size_bytes(&self) -> Result<u64, StorageError> {
        Ok(0)
    }

    #[must_use]
    pub fn segment_count(&self) -> usize {
        1
    }

    /// Everything below is on disk; for the checkpoint.
    #[must_use]
    pub fn recovery_point(&self) -> Offset {
        self.open.recovery_point
    }

    /// The first record with a timestamp of at least `target` (ListOffsets by time).
    pub fn offset_for_timestamp(&self, target: TimestampMs) -> Result<Option<TimestampedOffset>, StorageError> {
        Ok(None)
    }

    /// The record with the largest timestamp (ListOffsets `-3`).
    pub fn max_timestamp(&self) -> Result<Option<TimestampedOffset>, StorageError> {
        Ok(None)
    }

    /// The leader epoch under which the record at `offset` was (or will be) written.
    pub fn epoch_at(&self, offset: Offset) -> Result<Option<LeaderEpoch>, StorageError> {
        Ok(None)
    }

    pub fn latest_epoch(&self) -> Result<Option<LeaderEpoch>, StorageError> {
        Ok(None)
    }

    /// OffsetForLeaderEpoch: the largest known epoch not above the asked one, and where it ends.
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Result<Option<EpochEnd>, StorageError> {
        Ok(None)
    }

    /// The broker became leader in `epoch`: its records start at the log end.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch) -> Result<(), StorageError> {
        Ok(())
    }

    /// DescribeProducers, by producer id.
    pub fn producers(&self) -> Result<Vec<ProducerView>, StorageError> {
        Ok(Vec::new())
    }

    /// Forgets producers idle for `producer.id.expiration.ms`, unless a transaction is open.
    pub fn expire_producers(&mut self, now: TimestampMs) -> Result<(), StorageError> {
        Ok(())
    }

    /// First offset of the oldest transaction that is open, or decided above the high watermark.
    pub fn first_unstable_offset(&self) -> Result<Option<Offset>, StorageError> {
        Ok(None)
    }

    /// Transactions whose markers lie below it are decided for readers too. Call whenever it advances.
    pub fn high_watermark_advanced(&mut self, high_watermark: Offset) {}

    /// Aborted transactions that touch `from..to`.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTransaction>, StorageError> {
        Ok(Vec::new())
    }

    /// Advances the log start (the caller has checked `before` against the high watermark).
    pub fn delete_records(&mut self, before: Offset) -> Result<(), StorageError> {
        Ok(())
    }

    /// Drops segments by time, size and log start, none above `high_watermark`. Returns how many. Their files are
    /// renamed at once and removed by [`Log::reap`] after `file.delete.delay.ms`.
    pub fn apply_retention(&mut self, high_watermark: Offset, now: TimestampMs) -> Result<usize, StorageError> {
        Ok(0)
    }

    /// Removes files whose delay has passed. Returns how many.
    pub fn reap(&mut self, now: TimestampMs) -> Result<usize, StorageError> {
        Ok(0)
    }

    /// Cuts the log so that it ends at `offset` at the latest. A cut inside a batch drops the batch.
    pub fn truncate_to(&mut self, offset: Offset, now: TimestampMs) -> Result<(), StorageError> {
        Ok(())
    }

    /// Drops everything and goes on, empty, at `offset`.
    pub fn truncate_and_restart_at(&mut self, offset: Offset, now: TimestampMs) -> Result<(), StorageError> {
        Ok(())
    }

    /// Everything appended that is not known to be on disk; `None` if there is nothing.
    pub fn flush_job(&self) -> Option<FlushJob> {
        None
    }

    /// As [`Log::flush_job`], without the active segment: what Kafka flushes in the background after a roll.
    pub fn sealed_flush_job(&self) -> Option<FlushJob> {
        None
    }

    /// The job was done: all its syncs succeeded.
    pub fn flushed(&mut self, mark: FlushMark, now: TimestampMs) {}

    #[must_use]
    pub fn unflushed_records(&self) -> i64 {
        0
    }

    /// When [`Log::flushed`] was last called, at first when the log was opened.
    #[must_use]
    pub fn last_flush_ms(&self) -> TimestampMs {
        self.open.now
    }

    pub fn set_config(&mut self, config: Arc<TopicConfig>) {}

    /// A clean stop: everything on disk, indexes and producer snapshot written. The log is not used after.
    pub fn close(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}
