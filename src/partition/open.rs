//! Opening logs: on first use after a clean stop, all at once after an unclean one.

use super::leadership::Role;
use super::manager::Manager;
use super::state::{Partition, Slot, State};
use crate::model::{ErrorCode, Offset};
use crate::rt::clock;
use crate::storage::{Log, OpenLog, RecoveryProgress, StorageError};
use parking_lot::MutexGuard;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Recovery that takes longer than this tells how far it is, and again after each such time.
const REPORT_EVERY: Duration = Duration::from_secs(1);

impl Partition {
    /// The log, opened if it is not yet.
    pub(super) fn opened<'a>(&self, state: &'a mut MutexGuard<'_, State>) -> Result<&'a mut Log, ErrorCode> {
        if matches!(state.log, Slot::Cold { .. }) {
            self.open(state, &mut |_| {})?;
        }
        match &mut state.log {
            Slot::Open(log) => Ok(log),
            Slot::Deleted => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Slot::Offline | Slot::Cold { .. } => Err(ErrorCode::KAFKA_STORAGE_ERROR),
        }
    }

    fn open(
        &self,
        state: &mut MutexGuard<'_, State>,
        progress: &mut dyn FnMut(RecoveryProgress),
    ) -> Result<(), ErrorCode> {
        let Slot::Cold { clean, recovery_point, log_start, high_watermark, cleaned_to } = state.log else {
            return Ok(());
        };
        let opened = self.open_log(state, (clean, recovery_point, log_start, cleaned_to), progress);
        match opened {
            Ok(log) => {
                state.log = Slot::Open(Box::new(log));
                self.visible_at_open(state, high_watermark);
                Ok(())
            }
            Err(error) => {
                if !error.will_pass() {
                    tracing::error!(partition = %self.name, %error, "cannot open the log");
                }
                Err(self.log_failed(state, &error))
            }
        }
    }

    fn open_log(
        &self,
        state: &State,
        (clean, recovery_point, log_start, cleaned_to): (bool, Offset, Offset, Option<Offset>),
        progress: &mut dyn FnMut(RecoveryProgress),
    ) -> Result<Log, StorageError> {
        // A directory of the same name left by a deleted topic must not come back as this topic's.
        let dir = self.claim(state.dir).map_err(|error| StorageError::io(self.name.to_string(), error))?;
        let mut log = Log::open_reporting(
            OpenLog {
                fs: Arc::clone(&self.fs),
                dir,
                partition: self.name.clone(),
                config: self.config(),
                clean,
                recovery_point,
                log_start,
                cleaned_to,
                producer_expiry_ms: self.producer_expiry_ms,
                now: clock::now_ms(),
            },
            progress,
        )?;
        if matches!(state.role, Role::Leader(_)) {
            log.assign_epoch(state.leader_epoch)?;
        }
        Ok(log)
    }

    /// The partition's directory, which is this topic's after the call.
    fn claim(&self, dir: usize) -> std::io::Result<PathBuf> {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let dir = self.dirs.all().get(dir).ok_or_else(missing)?;
        let path = dir.partition_path(&self.name);
        if let Some(other) = self.dirs.topic_id(&path)?
            && other != self.topic_id
        {
            tracing::warn!(partition = %self.name, %other, "set aside the directory of a deleted topic of the same name");
            self.dirs.delete_partition(dir, &self.name, clock::now_ms(), self.config().file_delete_delay_ms)?;
        }
        self.dirs.create_partitions(dir, &[(self.name.clone(), self.topic_id)])?;
        Ok(path)
    }
}

impl Manager {
    /// Recovers the logs of directories that were not shut down cleanly, on
    /// `num.recovery.threads.per.data.dir` threads each, telling how far it is when it takes long.
    /// After a clean stop it does nothing: logs open on first use.
    pub fn recover(&self) {
        let mut work: Vec<Arc<Partition>> = Vec::new();
        let mut dirs = std::collections::BTreeSet::new();
        for partition in self.all() {
            let state = partition.state.lock();
            if matches!(state.log, Slot::Cold { clean: false, .. }) {
                dirs.insert(state.dir);
                drop(state);
                work.push(partition);
            }
        }
        if work.is_empty() {
            return;
        }
        let threads = (self.settings.recovery_threads_per_dir * dirs.len()).clamp(1, work.len());
        let started = clock::now();
        let (next, done, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU64::new(0));
        let reported = parking_lot::Mutex::new(started);
        let report = |now: Instant| {
            let mut last = reported.lock();
            if now.saturating_duration_since(*last) >= REPORT_EVERY {
                *last = now;
                tracing::info!(
                    partitions_done = done.load(Ordering::Relaxed),
                    partitions = work.len(),
                    mib_scanned = bytes.load(Ordering::Relaxed) >> 20,
                    "recovering logs after an unclean stop"
                );
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(partition) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let mut before = 0;
                        let mut state = partition.state.lock();
                        // An error is logged where the log is opened, and takes the partition offline.
                        let _ = partition.open(&mut state, &mut |progress| {
                            bytes.fetch_add(progress.done_bytes.saturating_sub(before), Ordering::Relaxed);
                            before = progress.done_bytes;
                            report(clock::now());
                        });
                        drop(state);
                        done.fetch_add(1, Ordering::Relaxed);
                        report(clock::now());
                    }
                });
            }
        });
        tracing::info!(partitions = work.len(), took = ?started.elapsed(), "recovered logs after an unclean stop");
    }
}
