//! One partition of this broker: its log, its leadership, and what waits at it.

use super::cleaning::Standing;
use super::leadership::{Common, Role};
use super::machine::{Leader, Visibility};
use super::verification::Verifying;
use super::waiting::Waiting;
use crate::config::topic::TopicConfig;
use crate::metrics::TopicMetrics;
use crate::model::{ErrorCode, LeaderEpoch, Offset, TimestampMs, TopicId, TopicPartition};
use crate::rt::clock;
use crate::rt::fs::Fs;
#[cfg(any(test, feature = "planted"))]
use crate::rt::planted;
use crate::storage::dirs::LogDirs;
use crate::storage::flusher::Flusher;
use crate::storage::{AbortedTransaction, EpochEnd, Log, ProducerView, StorageError, TimestampedOffset};
use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A partition. Shared by everyone who serves it; every call takes one short lock.
#[derive(Debug)]
pub struct Partition {
    pub(super) name: TopicPartition,
    pub(super) topic_id: TopicId,
    pub(super) metrics: Arc<TopicMetrics>,
    pub(super) common: Arc<Common>,
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dirs: Arc<LogDirs>,
    /// `producer.id.expiration.ms`
    pub(super) producer_expiry_ms: i64,
    /// Outside the lock: validation reads it for every batch.
    pub(super) config: ArcSwap<TopicConfig>,
    /// Appended to since the last [`Partition::write_behind`].
    pub(super) appended: AtomicBool,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) log: Slot,
    /// Index of the log directory in [`LogDirs`].
    pub(super) dir: usize,
    pub(super) flusher: Arc<Flusher>,
    /// How often the log has moved to another directory.
    pub(super) moves: u32,
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) role: Role,
    /// `min.insync.replicas`
    pub(super) min_isr: usize,
    pub(super) visibility: Visibility,
    pub(super) waiting: Waiting,
    pub(super) verifying: Verifying,
    /// A flush of this partition is queued or running; at most one at a time.
    pub(super) flushing: bool,
    pub(super) cleaning: Standing,
    /// When it was last said that the log cannot be used.
    pub(super) complained: TimestampMs,
}

/// A log that cannot be used for now says so this often at most: clients try again all the time.
const COMPLAIN_EVERY_MS: i64 = 10_000;

/// The log, as far as it has been needed. A clean start opens no file before somebody asks.
#[derive(Debug)]
pub(super) enum Slot {
    Cold {
        clean: bool,
        recovery_point: Offset,
        log_start: Offset,
        /// What was known to be committed.
        high_watermark: Offset,
        /// What compaction has reached.
        cleaned_to: Option<Offset>,
    },
    Open(Box<Log>),
    /// Its log directory failed.
    Offline,
    Deleted,
}

/// The offsets of a partition. `log_start <= last_stable <= high_watermark <= log_end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    pub log_start: Offset,
    pub last_stable: Offset,
    pub high_watermark: Offset,
    pub log_end: Offset,
    pub leader_epoch: LeaderEpoch,
}

impl Partition {
    #[must_use]
    pub fn name(&self) -> &TopicPartition {
        &self.name
    }

    #[must_use]
    pub fn topic_id(&self) -> TopicId {
        self.topic_id
    }

    #[must_use]
    pub fn metrics(&self) -> &Arc<TopicMetrics> {
        &self.metrics
    }

    /// The effective settings of the topic.
    #[must_use]
    pub fn config(&self) -> Arc<TopicConfig> {
        self.config.load_full()
    }

    /// The log's offsets; opens the log if nobody has yet.
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR` if its directory failed, `UNKNOWN_TOPIC_OR_PARTITION` if it was deleted.
    pub fn positions(&self) -> Result<Positions, ErrorCode> {
        let mut state = self.state.lock();
        self.opened(&mut state)?;
        state.positions()
    }

    /// The offsets if the log is open: for metrics, which must not open 10 000 logs.
    #[must_use]
    pub fn positions_if_open(&self) -> Option<(Positions, u64)> {
        let state = self.state.lock();
        let Slot::Open(log) = &state.log else { return None };
        Some((state.positions().ok()?, log.size_bytes().ok()?))
    }

    /// Whether a request that names `current` as the leader epoch may be served (KIP-320).
    ///
    /// # Errors
    /// `FENCED_LEADER_EPOCH` if the client's epoch is older, `UNKNOWN_LEADER_EPOCH` if it is newer.
    pub fn check_leader_epoch(&self, current: LeaderEpoch) -> Result<(), ErrorCode> {
        self.state.lock().check_leader_epoch(current)
    }

    /// Whether other brokers have the partition too.
    #[must_use]
    pub fn is_replicated(&self) -> bool {
        self.state.lock().leader().map_or(true, |leader| !leader.is_alone())
    }

    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.state.lock().leader_epoch
    }

    /// The first record at or after `target`, searched inside batches, below `end`.
    ///
    /// # Errors
    /// As [`Partition::positions`].
    pub fn offset_for_timestamp(&self, target: TimestampMs) -> Result<Option<TimestampedOffset>, ErrorCode> {
        self.with_log(|log| log.offset_for_timestamp(target))
    }

    /// The record with the largest timestamp (ListOffsets -3).
    ///
    /// # Errors
    /// As [`Partition::positions`].
    pub fn max_timestamp(&self) -> Result<Option<TimestampedOffset>, ErrorCode> {
        self.with_log(|log| log.max_timestamp())
    }

    /// The epoch in which the record at `offset` was written, if it is known.
    ///
    /// # Errors
    /// As [`Partition::positions`].
    pub fn epoch_at(&self, offset: Offset) -> Result<Option<LeaderEpoch>, ErrorCode> {
        self.with_log(|log| log.epoch_at(offset))
    }

    /// The largest epoch up to `epoch` and where it ended (OffsetForLeaderEpoch).
    ///
    /// # Errors
    /// As [`Partition::positions`].
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Result<Option<EpochEnd>, ErrorCode> {
        self.with_log(|log| log.end_offset_for_epoch(epoch))
    }

    /// Producers that this partition remembers (DescribeProducers).
    ///
    /// # Errors
    /// As [`Partition::positions`].
    pub fn producers(&self) -> Result<Vec<ProducerView>, ErrorCode> {
        self.with_log(|log| log.producers())
    }

    /// Aborted transactions that overlap `[from, to)`.
    ///
    /// # Errors
    /// As [`Partition::positions`].
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Result<Vec<AbortedTransaction>, ErrorCode> {
        self.with_log(|log| log.aborted_transactions(from, to))
    }

    /// Bytes of the log on disk, and the index of its log directory.
    ///
    /// # Errors
    /// As [`Partition::positions`].
    pub fn size_and_dir(&self) -> Result<(u64, usize), ErrorCode> {
        let mut state = self.state.lock();
        let size = self.opened(&mut state)?.size_bytes();
        let dir = state.dir;
        Ok((size.map_err(|error| self.storage_failed(&mut state, &error))?, dir))
    }

    /// Moves the log start to `before`; `-1` is the high watermark. Answers the new log start.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` above the high watermark or below -1, else as [`Partition::positions`].
    pub fn delete_records(&self, before: Offset) -> Result<Offset, ErrorCode> {
        let mut state = self.state.lock();
        self.opened(&mut state)?;
        state.leader()?;
        let high_watermark = state.visibility.high_watermark();
        let target = if before == Offset::NONE { high_watermark } else { before };
        if target < Offset::ZERO || target > high_watermark {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let outcome = match &mut state.log {
            Slot::Open(log) => log.delete_records(target).map(|()| log.log_start()),
            _ => return Err(ErrorCode::KAFKA_STORAGE_ERROR),
        };
        outcome.map_err(|error| self.storage_failed(&mut state, &error))
    }

    pub(super) fn set_config(&self, config: Arc<TopicConfig>) {
        let mut state = self.state.lock();
        if let Slot::Open(log) = &mut state.log {
            log.set_config(Arc::clone(&config));
        }
        state.min_isr = min_isr(&config);
        self.config.store(config);
        self.relimit(&mut state);
    }

    /// The partition is no longer: everyone who waits is told, and the log is let go.
    /// Answers the log directory it lay in.
    pub(super) fn retire(&self, error: ErrorCode) -> usize {
        let mut state = self.state.lock();
        state.log = Slot::Deleted;
        state.waiting.fail(error);
        state.dir
    }

    /// The index of its log directory; `KAFKA_STORAGE_ERROR` if that has failed.
    pub(super) fn dir(&self) -> Result<usize, ErrorCode> {
        let state = self.state.lock();
        match state.log {
            Slot::Offline => Err(ErrorCode::KAFKA_STORAGE_ERROR),
            Slot::Deleted => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Slot::Open(_) | Slot::Cold { .. } => Ok(state.dir),
        }
    }

    pub(super) fn with_log<T>(&self, look: impl FnOnce(&mut Log) -> Result<T, StorageError>) -> Result<T, ErrorCode> {
        let mut state = self.state.lock();
        let looked = look(self.opened(&mut state)?);
        looked.map_err(|error| self.storage_failed(&mut state, &error))
    }

    /// Turns a storage error into the answer, and fails the directory if the disk is to blame.
    pub(super) fn storage_failed(&self, state: &mut MutexGuard<'_, State>, error: &StorageError) -> ErrorCode {
        if !error.fails_directory() {
            let now = clock::now_ms();
            if now.0.saturating_sub(state.complained.0) < COMPLAIN_EVERY_MS {
                return error.code();
            }
            state.complained = now;
            if error.will_pass() {
                // The log is as it was, and goes on by itself when there is room.
                tracing::warn!(partition = %self.name, %error, "the log cannot be used now");
            } else {
                tracing::error!(partition = %self.name, %error, "a part of the log is damaged");
            }
            return error.code();
        }
        self.fail_dir(state.dir, &error.to_string());
        self.go_offline(state);
        ErrorCode::KAFKA_STORAGE_ERROR
    }

    /// As [`Partition::storage_failed`], for a log that cannot be opened or appended to: if it is damaged the
    /// partition is offline until the next start, which then recovers it.
    pub(super) fn log_failed(&self, state: &mut MutexGuard<'_, State>, error: &StorageError) -> ErrorCode {
        self.storage_failed(state, error);
        if !error.will_pass() {
            self.go_offline(state);
        }
        ErrorCode::KAFKA_STORAGE_ERROR
    }

    /// Takes a log directory out of service. The manager's maintenance takes its other partitions offline.
    pub(super) fn fail_dir(&self, dir: usize, why: &str) {
        if let Some(dir) = self.dirs.all().get(dir) {
            self.dirs.fail(dir, why);
        }
    }

    pub(super) fn go_offline(&self, state: &mut State) {
        if !matches!(state.log, Slot::Deleted) {
            state.log = Slot::Offline;
        }
        state.waiting.fail(ErrorCode::KAFKA_STORAGE_ERROR);
    }
}

/// `min.insync.replicas` of a topic.
pub(super) fn min_isr(config: &TopicConfig) -> usize {
    usize::try_from(config.min_insync_replicas).unwrap_or(1)
}

impl State {
    /// What this broker knows as the leader.
    pub(super) fn leader(&self) -> Result<&Leader, ErrorCode> {
        match &self.role {
            Role::Leader(leader) => Ok(leader),
            Role::Follower { .. } => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        }
    }

    pub(super) fn check_leader_epoch(&self, current: LeaderEpoch) -> Result<(), ErrorCode> {
        if current == LeaderEpoch::NONE || current == self.leader_epoch {
            Ok(())
        } else if current < self.leader_epoch {
            Err(ErrorCode::FENCED_LEADER_EPOCH)
        } else {
            Err(ErrorCode::UNKNOWN_LEADER_EPOCH)
        }
    }

    pub(super) fn positions(&self) -> Result<Positions, ErrorCode> {
        let Slot::Open(log) = &self.log else { return Err(ErrorCode::KAFKA_STORAGE_ERROR) };
        let high_watermark = self.visibility.high_watermark();
        let unstable = log.first_unstable_offset().map_err(|error| error.code())?;
        let last_stable = unstable.map_or(high_watermark, |first| first.min(high_watermark));
        #[cfg(any(test, feature = "planted"))]
        let last_stable = match planted::is_planted(planted::Bug::EarlyLastStable) {
            true => high_watermark,
            false => last_stable,
        };
        let positions = Positions {
            log_start: log.log_start(),
            last_stable,
            high_watermark,
            log_end: log.log_end(),
            leader_epoch: self.leader_epoch,
        };
        assert!(positions.log_start <= positions.last_stable, "log start above high watermark: {positions:?}");
        assert!(positions.high_watermark <= positions.log_end, "high watermark above log end: {positions:?}");
        Ok(positions)
    }
}
