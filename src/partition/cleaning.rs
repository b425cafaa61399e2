//! Compaction in the background: threads that look for the dirtiest log, clean it, and look again.
//!
//! A partition's lock is held only for the moments in which its log is asked or changed. Whatever happens to the
//! partition meanwhile (it is deleted, moves, its directory fails) is seen at the next of those moments, and the
//! cleaning given up; so nobody waits for the cleaner. While a log is cleaned retention leaves it alone, and while it
//! is copied to another directory it is not cleaned. A log that cannot be cleaned is left out from then on.

use super::manager::Manager;
use super::state::{Partition, Slot};
use crate::config::Cleaner as Settings;
use crate::model::{TimestampMs, TopicPartition};
use crate::rt::clock;
use crate::storage::cleaner::{Cleaned, Dirty, Host, Means, Stop, clean};
use crate::storage::{Log, StorageError};
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Who waits to keep the pace looks this often whether it is time to stop.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What was not used for this long cannot be made up for.
const WINDOW: f64 = 1.0;

/// The threads, and which logs they clean.
pub(super) struct Cleaning {
    threads: Mutex<Threads>,
    /// Rung when it is time to stop, when a thread has ended, and when the settings have changed.
    bell: Condvar,
    stopping: AtomicBool,
    busy: Mutex<BTreeSet<TopicPartition>>,
    /// The checkpoint files do not say what has been reached.
    pub(super) checkpoint_due: AtomicBool,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Threads {
    /// Which numbers are taken.
    running: BTreeSet<usize>,
    known: Option<Settings>,
}

/// Bytes read and written since a moment, by all threads.
struct Window {
    since: Instant,
    bytes: f64,
}

/// What the cleaner has to say about a partition.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// It is being cleaned.
    pub(super) running: bool,
    /// So many do not want it cleaned now.
    pub(super) paused: u32,
    /// It cannot be cleaned.
    pub(super) uncleanable: bool,
}

impl Default for Cleaning {
    fn default() -> Cleaning {
        Cleaning {
            threads: Mutex::default(),
            bell: Condvar::new(),
            stopping: AtomicBool::new(false),
            busy: Mutex::default(),
            checkpoint_due: AtomicBool::new(false),
            window: Mutex::new(Window { since: clock::now(), bytes: 0.0 }),
        }
    }
}

/// Keeps a partition from being cleaned as long as it lives.
pub(super) struct Paused<'a>(&'a Partition);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.state.lock().cleaning.paused -= 1;
    }
}

impl Partition {
    /// From now on, and until the guard is dropped, the log is not cleaned.
    pub(super) fn pause_cleaning(&self) -> Paused<'_> {
        self.state.lock().cleaning.paused += 1;
        Paused(self)
    }

    /// How dirty the log is; `None` if it is not to be cleaned. Removes files whose delay has passed.
    fn dirty(&self, cleaning: &Cleaning, now: TimestampMs) -> Option<Dirty> {
        let config = self.config();
        if !config.cleanup_compact {
            return None;
        }
        let mut state = self.state.lock();
        let standing = &state.cleaning;
        if standing.running || standing.paused > 0 || standing.uncleanable || self.opened(&mut state).is_err() {
            return None;
        }
        let Slot::Open(log) = &mut state.log else { return None };
        // What an earlier cleaning replaced takes as much room as what it made.
        let reaped = if log.next_reap().is_some_and(|due| due <= now) { log.reap(now).map(drop) } else { Ok(()) };
        match reaped.and_then(|()| log.dirty(now)) {
            Ok(dirty) => {
                if dirty.was_reset {
                    if !config.cleanup_delete {
                        tracing::warn!(partition = %self.name, from = %dirty.first, "its cleaner checkpoint is outside of the log: begins again");
                    }
                    log.set_cleaned_to(Some(dirty.first));
                    cleaning.checkpoint_due.store(true, Ordering::Relaxed);
                }
                Some(dirty)
            }
            Err(error) => {
                self.cannot_be_cleaned(&mut state.cleaning, &error.to_string());
                self.storage_failed(&mut state, &error);
                None
            }
        }
    }

    fn cannot_be_cleaned(&self, standing: &mut Standing, why: &str) {
        standing.uncleanable = true;
        tracing::error!(partition = %self.name, why, "the log cannot be compacted, and is left as it is");
    }

    fn is_uncleanable(&self) -> bool {
        self.state.lock().cleaning.uncleanable
    }
}

impl Manager {
    /// Has as many threads clean as `log.cleaner.threads` wants. Call now and then: the setting may change.
    pub fn keep_cleaning(self: &Arc<Self>) {
        let settings = (self.settings.cleaner)();
        let mut threads = self.cleaning.threads.lock();
        if self.cleaning.stopping.load(Ordering::Relaxed) {
            return;
        }
        for number in 0..wanted(&settings) {
            if threads.running.contains(&number) {
                continue;
            }
            let manager = Arc::clone(self);
            let name = format!("klamm-cleaner-{number}");
            match std::thread::Builder::new().name(name).spawn(move || manager.clean_on(number)) {
                Ok(_) => drop(threads.running.insert(number)),
                Err(error) => tracing::warn!(%error, "no thread can be started to compact logs: tried again soon"),
            }
        }
        if threads.known.as_ref() != Some(&settings) {
            threads.known = Some(settings);
            self.cleaning.bell.notify_all();
        }
    }

    /// Ends all cleanings, and waits until they have. What they had begun is dropped.
    pub(super) fn stop_cleaning(&self) {
        let mut threads = self.cleaning.threads.lock();
        self.cleaning.stopping.store(true, Ordering::Relaxed);
        self.cleaning.bell.notify_all();
        while !threads.running.is_empty() {
            self.cleaning.bell.wait(&mut threads);
        }
    }

    /// A cleaner's thread.
    fn clean_on(self: Arc<Self>, number: usize) {
        let _counted = Counted { cleaning: &self.cleaning, number };
        loop {
            let settings = (self.settings.cleaner)();
            if self.cleaning.stopping.load(Ordering::Relaxed) || number >= wanted(&settings) {
                return;
            }
            if self.clean_dirtiest(&settings) {
                continue;
            }
            let mut threads = self.cleaning.threads.lock();
            if !self.cleaning.stopping.load(Ordering::Relaxed) {
                self.cleaning.bell.wait_for(&mut threads, settings.backoff);
            }
        }
    }

    /// False if there was nothing to do, or it is better to wait before the next try.
    fn clean_dirtiest(&self, settings: &Settings) -> bool {
        let now = clock::now_ms();
        let Some(partition) = self.dirtiest(now) else { return false };
        let started = clock::now();
        let threads = settings.threads.max(1);
        let means = Means {
            map_bytes: settings.dedupe_buffer_bytes / threads,
            map_load: settings.dedupe_buffer_load,
            io_bytes: settings.io_buffer_bytes / threads / 2,
        };
        let moves = partition.state.lock().moves;
        let job = Job { manager: self, partition: &partition, moves };
        let outcome = catch_unwind(AssertUnwindSafe(|| clean(&job, &means, now)));
        let mut state = partition.state.lock();
        state.cleaning.running = false;
        let given_up = !matches!(state.log, Slot::Open(_)) || state.cleaning.paused > 0 || state.moves != moves;
        let go_on = match outcome {
            Ok(Ok(Some(cleaned))) => {
                self.cleaning.checkpoint_due.store(true, Ordering::Relaxed);
                self.count(&partition, &cleaned, started.elapsed());
                true
            }
            Ok(Ok(None)) => false,
            Ok(Err(_)) if given_up => true,
            Ok(Err(Stop::Aborted)) => false,
            Ok(Err(Stop::Storage(error))) => {
                if error.will_pass() {
                    tracing::warn!(partition = %partition.name, %error, "the log is compacted later");
                } else {
                    partition.cannot_be_cleaned(&mut state.cleaning, &error.to_string());
                    if error.fails_directory() {
                        partition.storage_failed(&mut state, &error);
                    }
                }
                false
            }
            Err(_) => {
                partition.cannot_be_cleaned(&mut state.cleaning, "the cleaner panicked");
                false
            }
        };
        drop(state);
        self.cleaning.busy.lock().remove(&partition.name);
        go_on
    }

    /// The log that needs cleaning most (`grabFilthiestCompactedLog`), marked as being cleaned.
    fn dirtiest(&self, now: TimestampMs) -> Option<Arc<Partition>> {
        let metrics = &self.metrics.cleaner;
        metrics.last_run.set(now.0 / 1000);
        let mut busy = self.cleaning.busy.lock();
        let (mut best, mut largest, mut longest, mut uncleanable) = (None, 0.0_f64, 0, 0);
        for partition in self.all() {
            uncleanable += i64::from(partition.is_uncleanable());
            // A name may be deleted and created again while its log is still being cleaned.
            if busy.contains(&partition.name) {
                continue;
            }
            let Some(dirty) = partition.dirty(&self.cleaning, now) else { continue };
            let ratio = dirty.ratio();
            largest = largest.max(ratio);
            longest = longest.max(dirty.overdue_ms);
            let is_better = best.as_ref().is_none_or(|(best, _)| ratio > *best);
            if is_better && dirty.is_due(partition.config().min_cleanable_dirty_ratio) {
                best = Some((ratio, partition));
            }
        }
        metrics.max_dirty_percent.set((largest * 100.0) as i64);
        metrics.max_delay_seconds.set(longest / 1000);
        metrics.uncleanable_partitions.set(uncleanable);
        let (_, partition) = best?;
        partition.state.lock().cleaning.running = true;
        busy.insert(partition.name.clone());
        Some(partition)
    }

    fn count(&self, partition: &Partition, cleaned: &Cleaned, took: Duration) {
        let metrics = &self.metrics.cleaner;
        metrics.duration.observe(took);
        metrics.read_bytes.add(cleaned.mapped_bytes + cleaned.read_bytes);
        metrics.written_bytes.add(cleaned.written_bytes);
        metrics.dropped_records.add(cleaned.read_records.saturating_sub(cleaned.kept_records));
        metrics.buffer_percent.set((cleaned.map_utilization * 100.0) as i64);
        if cleaned.keyless_records > 0 {
            tracing::warn!(partition = %partition.name, records = cleaned.keyless_records, "records without a key were in a compacted topic");
        }
        tracing::info!(
            partition = %partition.name,
            from = %cleaned.first,
            to = %cleaned.to,
            read_bytes = cleaned.read_bytes,
            written_bytes = cleaned.written_bytes,
            records = cleaned.read_records,
            kept = cleaned.kept_records,
            segments = cleaned.segments_before,
            segments_after = cleaned.segments_after,
            ?took,
            "compacted"
        );
    }

    /// Waits until so many bytes are no more than `log.cleaner.io.max.bytes.per.second` allows. False: it is time to
    /// stop.
    fn keep_pace(&self, bytes: usize) -> bool {
        let rate = (self.settings.cleaner)().io_bytes_per_second_max;
        let cleaning = &self.cleaning;
        let until = {
            let now = clock::now();
            let mut window = cleaning.window.lock();
            window.bytes += bytes as f64;
            let elapsed = now.saturating_duration_since(window.since).as_secs_f64();
            let ahead = if rate > 0.0 { window.bytes / rate - elapsed } else { 0.0 };
            if ahead <= 0.0 && elapsed > WINDOW {
                *window = Window { since: now, bytes: 0.0 };
            }
            // No wait is endless: the rate may be changed.
            now + Duration::try_from_secs_f64(ahead.clamp(0.0, 60.0)).unwrap_or_default()
        };
        loop {
            if cleaning.stopping.load(Ordering::Relaxed) {
                return false;
            }
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return true;
            }
            let mut threads = cleaning.threads.lock();
            if !cleaning.stopping.load(Ordering::Relaxed) {
                cleaning.bell.wait_for(&mut threads, left.min(LOOK_EVERY));
            }
        }
    }
}

/// How many threads are to clean. Without `log.cleaner.enable` none: compacted topics then keep everything.
fn wanted(settings: &Settings) -> usize {
    if settings.enable { settings.threads } else { 0 }
}

/// One log being cleaned.
struct Job<'a> {
    manager: &'a Manager,
    partition: &'a Partition,
    /// How often the log had moved when the cleaning began.
    moves: u32,
}

impl Host for Job<'_> {
    fn with_log<T>(&self, look: impl FnOnce(&mut Log) -> Result<T, StorageError>) -> Result<T, Stop> {
        let mut state = self.partition.state.lock();
        if state.cleaning.paused > 0
            || state.moves != self.moves
            || self.manager.cleaning.stopping.load(Ordering::Relaxed)
        {
            return Err(Stop::Aborted);
        }
        let Slot::Open(log) = &mut state.log else { return Err(Stop::Aborted) };
        let looked = look(log);
        if let Err(error) = &looked
            && error.fails_directory()
        {
            // At once: nobody is to use a log whose segments were being swapped.
            self.partition.storage_failed(&mut state, error);
        }
        Ok(looked?)
    }

    fn spent(&self, bytes: usize) -> Result<(), Stop> {
        if self.manager.keep_pace(bytes) { Ok(()) } else { Err(Stop::Aborted) }
    }
}

/// Counts a thread out, whatever ends it.
struct Counted<'a> {
    cleaning: &'a Cleaning,
    number: usize,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.cleaning.threads.lock().running.remove(&self.number);
        self.cleaning.bell.notify_all();
    }
}

#[cfg(test)]
pub(super) mod tests;
