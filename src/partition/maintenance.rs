//! What happens to logs by the clock: retention, flushes by time, checkpoints, and the clean stop.

use super::manager::Manager;
use super::state::{Partition, Slot};
use crate::model::{Offset, TimestampMs, TopicPartition};
use crate::rt::clock;
use crate::rt::fs::File;
use crate::rt::fs::will_pass;
use crate::storage::checkpoint;
use crate::storage::dirs::LogDir;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many logs are closed with one flush: their files stay open meanwhile.
const CLOSED_TOGETHER: usize = 1000;

/// What the checkpoint files of one log directory hold, by partition.
#[derive(Debug, Default)]
pub(super) struct Checkpoint {
    recovery_points: BTreeMap<TopicPartition, Offset>,
    log_starts: BTreeMap<TopicPartition, Offset>,
    high_watermarks: BTreeMap<TopicPartition, Offset>,
    cleaned_to: BTreeMap<TopicPartition, Offset>,
}

impl Partition {
    /// Drops what retention no longer keeps, forgets idle producers, removes files set aside earlier.
    pub(super) fn tidy(&self, now: TimestampMs) {
        let mut state = self.state.lock();
        if self.opened(&mut state).is_err() {
            return;
        }
        let high_watermark = state.visibility.high_watermark();
        let is_cleaned = state.cleaning.running;
        let Slot::Open(log) = &mut state.log else { return };
        // What is being compacted is not to vanish meanwhile: the next time.
        let dropped = if is_cleaned { Ok(0) } else { log.apply_retention(high_watermark, now) };
        let tidied = dropped.and_then(|dropped| log.reap(now).map(|_| dropped));
        log.expire_producers(now);
        match tidied {
            Ok(0) => {}
            Ok(dropped) => {
                tracing::info!(partition = %self.name, segments = dropped, log_start = %log.log_start(), "retention dropped segments");
            }
            Err(error) => {
                tracing::error!(partition = %self.name, %error, "retention failed");
                self.storage_failed(&mut state, &error);
            }
        }
    }

    /// Queues a flush if `flush.ms` has passed since the last one, or of what a roll has sealed.
    pub(super) fn flush_if_due(self: &Arc<Self>, now: TimestampMs) {
        let flush_ms = self.config().flush_ms;
        let mut state = self.state.lock();
        let Slot::Open(log) = &state.log else { return };
        if log.unflushed_records() > 0 && now.0.saturating_sub(log.last_flush_ms().0) >= flush_ms {
            self.flush(&mut state);
        }
    }

    /// Queues a flush of sealed segments, so that the recovery point follows the rolls.
    pub(super) fn flush_sealed(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let Slot::Open(log) = &state.log else { return };
        if let Some(job) = log.sealed_flush_job() {
            self.submit(&mut state, job);
        }
    }

    /// Writes what appends keep back: see [`crate::storage::Log::write_behind`].
    pub(super) fn write_behind(&self) {
        // Without the lock: of 10 000 partitions few are written to.
        if !self.appended.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        let Slot::Open(log) = &mut state.log else { return };
        if let Err(error) = log.write_behind() {
            tracing::error!(partition = %self.name, %error, "cannot write the indexes");
            self.storage_failed(&mut state, &error);
        }
    }

    fn checkpoint(&self, into: &mut [Checkpoint]) {
        let state = self.state.lock();
        let Some(checkpoint) = into.get_mut(state.dir) else { return };
        let (recovery_point, log_start, high_watermark, cleaned_to) = match &state.log {
            Slot::Open(log) => {
                (log.recovery_point(), log.log_start(), state.visibility.high_watermark(), log.cleaned_to())
            }
            Slot::Cold { recovery_point, log_start, high_watermark, cleaned_to, .. } => {
                (*recovery_point, *log_start, *high_watermark, *cleaned_to)
            }
            Slot::Offline | Slot::Deleted => return,
        };
        checkpoint.recovery_points.insert(self.name.clone(), recovery_point);
        if log_start > Offset::ZERO {
            checkpoint.log_starts.insert(self.name.clone(), log_start);
        }
        if let Some(cleaned_to) = cleaned_to {
            checkpoint.cleaned_to.insert(self.name.clone(), cleaned_to);
        }
        checkpoint.high_watermarks.insert(self.name.clone(), high_watermark);
    }

    /// The first half of a clean stop: everything is written, and these files are to be synced. `Err`: the
    /// directory may not be called clean.
    fn prepare_close(&self) -> Result<Vec<Arc<dyn File>>, ()> {
        let mut state = self.state.lock();
        let Slot::Open(log) = &mut state.log else {
            return if matches!(state.log, Slot::Offline) { Err(()) } else { Ok(Vec::new()) };
        };
        match log.prepare_close() {
            Ok(job) => Ok(job.map_or_else(Vec::new, |job| job.files)),
            Err(error) => {
                tracing::error!(partition = %self.name, %error, "cannot close the log cleanly");
                Err(())
            }
        }
    }

    /// The second half: what [`Partition::prepare_close`] named is on disk.
    fn closed(&self) {
        let mut state = self.state.lock();
        if let Slot::Open(log) = &state.log {
            let (recovery_point, log_start, cleaned_to) = (log.log_end(), log.log_start(), log.cleaned_to());
            let high_watermark = state.visibility.high_watermark();
            state.log = Slot::Cold { clean: true, recovery_point, log_start, high_watermark, cleaned_to };
        }
    }
}

impl Manager {
    /// Retention over all partitions, and removal of deleted directories whose delay has passed.
    pub fn retain(&self) {
        let now = clock::now_ms();
        for partition in self.all() {
            partition.tidy(now);
        }
        self.dirs.reap(now);
    }

    /// Takes the partitions of failed log directories offline. Answers whether a live directory is left:
    /// without one the broker has to stop.
    #[must_use]
    pub fn offline_failed_dirs(&self) -> bool {
        let live: Vec<bool> = self.dirs.all().iter().map(LogDir::is_live).collect();
        if live.iter().all(|live| *live) {
            return true;
        }
        for partition in self.all() {
            let mut state = partition.state.lock();
            if !live.get(state.dir).copied().unwrap_or(false) {
                partition.go_offline(&mut state);
            }
        }
        live.contains(&true)
    }

    /// What happens often: indexes follow their logs, the cleaner's checkpoint follows the cleaner, and the directories of deleted partitions go when their delay
    /// has passed.
    pub fn tick(&self) {
        let all = self.all();
        for partition in &all {
            partition.write_behind();
        }
        if self.cleaning.checkpoint_due.swap(false, Ordering::Relaxed) {
            self.write_checkpoint_files(&all, &[checkpoint::CLEANED_TO]);
        }
        self.dirs.reap(clock::now_ms());
    }

    /// `log.flush.scheduler.interval.ms`: flushes what `flush.ms` demands.
    pub fn flush_due(&self) {
        let now = clock::now_ms();
        for partition in self.all() {
            partition.flush_if_due(now);
        }
    }

    /// Writes recovery points, log starts and high watermarks of every log directory.
    pub fn checkpoint(&self) {
        let all = self.all();
        for partition in &all {
            partition.flush_sealed();
        }
        self.write_checkpoints(&all);
    }

    /// `replica.high.watermark.checkpoint.interval.ms`: writes high watermarks alone. A partition on this broker only has
    /// no use for it.
    pub fn checkpoint_high_watermarks(&self) {
        let all = self.all();
        if all.iter().any(|partition| partition.is_replicated()) {
            self.write_checkpoint_files(&all, &[checkpoint::HIGH_WATERMARKS]);
        }
    }

    /// Writes recovery points alone: after logs were cut, before they are appended to.
    pub fn checkpoint_recovery_points(&self) {
        self.write_checkpoint_files(&self.all(), &[checkpoint::RECOVERY_POINTS]);
    }

    /// Every half `replica.lag.time.max.ms`: looks for followers that are too far behind.
    pub fn shrink_isrs(&self) {
        for partition in self.all() {
            partition.shrink_isr();
        }
    }

    /// `log.flush.start.offset.checkpoint.interval.ms`: writes log starts alone, which DeleteRecords moves.
    pub fn checkpoint_log_starts(&self) {
        self.write_checkpoint_files(&self.all(), &[checkpoint::LOG_STARTS]);
    }

    fn write_checkpoints(&self, all: &[Arc<Partition>]) {
        let files = [checkpoint::RECOVERY_POINTS, checkpoint::LOG_STARTS, checkpoint::HIGH_WATERMARKS];
        self.write_checkpoint_files(all, &files);
        if self.cleaning.checkpoint_due.swap(false, Ordering::Relaxed) {
            self.write_checkpoint_files(all, &[checkpoint::CLEANED_TO]);
        }
    }

    fn write_checkpoint_files(&self, all: &[Arc<Partition>], files: &[&str]) {
        let _alone = self.checkpointing.lock();
        let mut checkpoints: Vec<Checkpoint> = self.dirs.all().iter().map(|_| Checkpoint::default()).collect();
        for partition in all {
            partition.checkpoint(&mut checkpoints);
        }
        for (dir, held) in self.dirs.all().iter().zip(&checkpoints) {
            if !dir.is_live() {
                continue;
            }
            let all = [
                (checkpoint::RECOVERY_POINTS, &held.recovery_points),
                (checkpoint::LOG_STARTS, &held.log_starts),
                (checkpoint::HIGH_WATERMARKS, &held.high_watermarks),
                (checkpoint::CLEANED_TO, &held.cleaned_to),
            ];
            for (file, offsets) in all.into_iter().filter(|(file, _)| files.contains(file)) {
                let offsets = offsets.iter().map(|(partition, offset)| (partition, *offset));
                if let Err(error) = self.dirs.write_checkpoint(dir, file, offsets) {
                    self.dir_refused(dir, &format!("cannot write the checkpoint {file}"), &error);
                }
            }
        }
    }

    /// The disk refused something that was to be done in a log directory: the directory is failed, unless it passes.
    pub(super) fn dir_refused(&self, dir: &LogDir, what: &str, error: &std::io::Error) {
        if will_pass(error) {
            tracing::warn!(dir = %dir.path().display(), %error, "{what}");
        } else {
            self.dirs.fail(dir, &format!("{what}: {error}"));
        }
    }

    /// The clean stop: every log flushed and closed, checkpoints and the clean-shutdown mark written.
    /// Nothing may be appended any more.
    pub fn close(&self, broker_epoch: i64) {
        self.stop_cleaning();
        self.stop_moves();
        let all = self.all();
        let mut by_dir: Vec<Vec<Arc<Partition>>> = vec![Vec::new(); self.dirs.all().len()];
        for partition in &all {
            let dir = partition.state.lock().dir;
            by_dir[dir].push(Arc::clone(partition));
        }
        let mut clean = vec![true; by_dir.len()];
        for (dir, partitions) in by_dir.iter().enumerate() {
            // Many logs share one sync of the volume.
            for group in partitions.chunks(CLOSED_TOGETHER) {
                let mut files = Vec::new();
                for partition in group {
                    match partition.prepare_close() {
                        Ok(dirty) => files.extend(dirty),
                        Err(()) => clean[dir] = false,
                    }
                }
                if files.is_empty() {
                    group.iter().for_each(|partition| partition.closed());
                    continue;
                }
                match self.flushers[dir].flush(files) {
                    Ok(()) => group.iter().for_each(|partition| partition.closed()),
                    Err(error) => {
                        tracing::error!(%error, "cannot flush the logs of a directory");
                        clean[dir] = false;
                    }
                }
            }
        }
        self.write_checkpoints(&all);
        for (dir, clean) in self.dirs.all().iter().zip(clean) {
            if clean
                && dir.is_live()
                && let Err(error) = self.dirs.close(dir, broker_epoch)
            {
                tracing::error!(dir = %dir.path().display(), %error, "cannot mark the log directory as cleanly closed");
            }
        }
    }
}
