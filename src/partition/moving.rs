//! Moving partitions to other log directories (AlterReplicaLogDirs).
//!
//! A few threads copy, each one partition at a time; the partition's lock is held only to ask what comes next and
//! for the last step: the rest is copied and synced, the copy takes the final name, and the log goes on there.
//! A crash at any point leaves one complete log (see `storage::dirs`); copies that were not finished are begun
//! again at the next start. Topics that are still to come may be given a directory in advance.
//! `replica.alter.log.dirs.io.max.bytes.per.second` holds all copies together back, but for what is left for the last step.

use super::manager::Manager;
use super::state::{Partition, Slot};
use super::throttles::Copying;
use crate::controller::Assignment;
use crate::metadata::DirectoryId;
use crate::model::{ErrorCode, Offset, TimestampMs, TopicName, TopicPartition};
use crate::rt::clock;
use crate::rt::fs::will_pass;
use crate::storage::dirs::{LogDirs, PromoteError};
use crate::storage::{FileSlice, FutureError, FutureLog, OpenLog, Piece, StorageError};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Bytes copied at a time.
const PIECE: usize = 1 << 20;
/// A copy is synced after so many bytes, so that the last sync, under the lock, is short.
const SYNC_EVERY: usize = 64 << 20;
/// So many bytes may be left for the last step; a writer that is faster gets this many chances to slow down.
const LAST_STEP: usize = 4 << 20;
const CHANCES: usize = 20;
/// A copy that is throttled is asked after this whether it may go on.
const THROTTLED: Duration = Duration::from_millis(100);
/// Directories remembered for partitions that do not exist; more are not remembered.
const PREFERENCES_MAX: usize = 10_000;

/// The moves that are wanted, and who carries them out.
#[derive(Default)]
pub(super) struct Moves {
    state: Mutex<State>,
    ended: Condvar,
    /// What the controller is to be told, and a bell for it.
    placed: Mutex<Vec<Assignment>>,
    bell: tokio::sync::Notify,
}

#[derive(Default)]
struct State {
    wanted: BTreeMap<TopicPartition, Arc<Move>>,
    queue: VecDeque<Arc<Move>>,
    threads: usize,
    stopping: bool,
    /// Where partitions that do not exist yet are to be made.
    preferred: BTreeMap<TopicPartition, usize>,
}

/// One partition on its way.
struct Move {
    partition: Arc<Partition>,
    to: usize,
    cancelled: AtomicBool,
    size: AtomicU64,
    end: AtomicI64,
    /// Copies that an earlier life did not finish.
    leftovers: Vec<PathBuf>,
}

/// A copy that is not in use yet (DescribeLogDirs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FutureReplica {
    /// The index of its log directory.
    pub dir: usize,
    pub size: u64,
    /// How many offsets it is behind.
    pub lag: i64,
}

/// Why a move ended before its time.
enum Halt {
    /// It is not wanted any more.
    Cancelled,
    /// The broker stops: the next life begins it again.
    Stopping,
    /// The partition is gone or offline.
    Partition(ErrorCode),
    Source(StorageError),
    Target(Arc<StorageError>),
}

impl From<FutureError> for Halt {
    fn from(error: FutureError) -> Halt {
        match error {
            FutureError::Source(error) => Halt::Source(error),
            FutureError::Target(error) => Halt::Target(error),
        }
    }
}

impl From<StorageError> for Halt {
    /// Of the target: the source's errors are met in [`Partition::with_log`].
    fn from(error: StorageError) -> Halt {
        Halt::Target(Arc::new(error))
    }
}

impl Moves {
    /// Where a partition that is to be made was wanted.
    pub(super) fn take_preferred(&self, at: &TopicPartition) -> Option<usize> {
        self.state.lock().preferred.remove(at)
    }

    pub(super) fn placed(&self, partition: &Partition, directory: DirectoryId) {
        let (topic, number) = (partition.topic_id, partition.name.partition);
        self.placed.lock().push(Assignment { topic, partition: number, directory: directory.0 });
        self.bell.notify_one();
    }
}

impl Manager {
    /// Has a partition moved to the log directory `path`, or made there once it exists.
    ///
    /// # Errors
    /// Kafka's codes for what keeps it from being moved (`ReplicaManager.alterReplicaLogDirs`).
    pub fn alter_dir(self: &Arc<Self>, at: &TopicPartition, path: &Path) -> Result<(), ErrorCode> {
        if !LogDirs::can_move(at) {
            return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
        }
        let dirs = self.dirs.all();
        let to = dirs.iter().position(|dir| dir.path() == path).ok_or(ErrorCode::LOG_DIR_NOT_FOUND)?;
        if !dirs[to].is_live() {
            return Err(ErrorCode::KAFKA_STORAGE_ERROR);
        }
        let Some(partition) = self.partition(at.topic.as_str(), at.partition) else {
            return Err(self.prefer(at, to));
        };
        let mut state = self.moves.state.lock();
        if let Some(other) = state.wanted.get(at).filter(|other| other.to != to) {
            other.cancelled.store(true, Ordering::Relaxed);
            state.wanted.remove(at);
        }
        if partition.dir()? == to || state.wanted.contains_key(at) {
            return Ok(());
        }
        self.start(&mut state, partition, to, Vec::new());
        Ok(())
    }

    /// Remembers where a partition is to be made; answers why it cannot be moved.
    fn prefer(&self, at: &TopicPartition, to: usize) -> ErrorCode {
        let preferred = &mut self.moves.state.lock().preferred;
        let known = preferred.contains_key(at) || preferred.len() < PREFERENCES_MAX;
        if known && TopicName::fault(at.topic.as_str()).is_none() && at.partition.0 >= 0 {
            preferred.insert(at.clone(), to);
        }
        let exists = self.image.load().topic(at.topic.as_str()).is_some_and(|t| t.partition(at.partition).is_some());
        if exists { ErrorCode::REPLICA_NOT_AVAILABLE } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION }
    }

    fn start(self: &Arc<Self>, state: &mut State, partition: Arc<Partition>, to: usize, leftovers: Vec<PathBuf>) {
        let wanted = Arc::new(Move {
            to,
            cancelled: AtomicBool::new(false),
            size: AtomicU64::new(0),
            end: AtomicI64::new(0),
            leftovers,
            partition,
        });
        state.wanted.insert(wanted.partition.name.clone(), Arc::clone(&wanted));
        state.queue.push_back(wanted);
        if state.threads < self.settings.move_threads && !state.stopping {
            let manager = Arc::clone(self);
            match std::thread::Builder::new().name("klamm-mover".into()).spawn(move || manager.carry_out()) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads > 0 => tracing::warn!(%error, "one thread less moves partitions"),
                Err(error) => {
                    tracing::error!(%error, "no thread can be started to move partitions: ask again later");
                    state.queue.clear();
                    state.wanted.clear();
                }
            }
        }
    }

    /// Begins again what the last life was moving. Call once partitions have been made.
    pub fn resume_moves(self: &Arc<Self>) {
        for (to, dir) in self.dirs.all().iter().enumerate() {
            for (at, path) in dir.futures_at_start() {
                let partition = self.partition(at.topic.as_str(), at.partition);
                let wanted = partition.filter(|partition| dir.is_live() && partition.dir().is_ok_and(|dir| dir != to));
                let mut state = self.moves.state.lock();
                match wanted.filter(|_| !state.wanted.contains_key(at)) {
                    Some(partition) => {
                        tracing::info!(partition = %at, to = %dir.path().display(), "begins again to move");
                        self.start(&mut state, partition, to, vec![path.clone()]);
                    }
                    None => self.discard(path),
                }
            }
        }
    }

    /// Ends all moves, and waits until they have. Those that are under way are begun again by the next life.
    pub(super) fn stop_moves(&self) {
        let mut state = self.moves.state.lock();
        state.stopping = true;
        while state.threads > 0 {
            self.moves.ended.wait(&mut state);
        }
    }

    /// The copy of a partition that is on its way.
    #[must_use]
    pub fn future_replica(&self, at: &TopicPartition) -> Option<FutureReplica> {
        let wanted = self.moves.state.lock().wanted.get(at).cloned()?;
        let end = wanted.partition.positions().ok()?.log_end;
        let lag = end.0 - wanted.end.load(Ordering::Relaxed);
        Some(FutureReplica { dir: wanted.to, size: wanted.size.load(Ordering::Relaxed), lag })
    }

    /// Waits for partitions that lie elsewhere than the metadata says; answers where they do.
    pub async fn assignments(&self) -> Vec<Assignment> {
        loop {
            let placed = std::mem::take(&mut *self.moves.placed.lock());
            if !placed.is_empty() {
                return placed;
            }
            self.moves.bell.notified().await;
        }
    }

    /// A mover's thread.
    fn carry_out(self: Arc<Self>) {
        let mut count = Counted { moves: &self.moves, out: false };
        loop {
            let next = {
                let mut state = self.moves.state.lock();
                let next = if state.stopping { None } else { state.queue.pop_front() };
                if next.is_none() {
                    // Under the same lock: who queues a move later starts a thread for it.
                    count.out(&mut state);
                }
                next
            };
            let Some(next) = next else { return };
            let mut copy = None;
            let outcome = self.carry(&next, &mut copy);
            let keep = matches!(outcome, Err(Halt::Stopping));
            self.report(&next, outcome);
            if !keep && let Some(path) = copy {
                self.discard(&path);
            }
            let mut state = self.moves.state.lock();
            if state.wanted.get(&next.partition.name).is_some_and(|wanted| Arc::ptr_eq(wanted, &next)) {
                state.wanted.remove(&next.partition.name);
            }
        }
    }

    fn report(&self, done: &Move, outcome: Result<(), Halt>) {
        let (partition, dir) = (&done.partition.name, &self.dirs.all()[done.to]);
        let to = dir.path().display();
        match outcome {
            Ok(()) => {
                tracing::info!(%partition, %to, bytes = done.size.load(Ordering::Relaxed), "moved");
                self.moves.placed(&done.partition, DirectoryId(dir.id()));
                self.cleaning.checkpoint_due.store(true, Ordering::Relaxed);
                // So that an unclean stop finds the log start and does not scan what has just been synced.
                self.checkpoint();
            }
            Err(Halt::Stopping) => {}
            Err(Halt::Cancelled) => tracing::info!(%partition, %to, "is not to move there any more"),
            Err(Halt::Partition(error)) => {
                tracing::warn!(%partition, %to, ?error, "cannot move: it is gone or offline")
            }
            Err(Halt::Source(error)) => {
                tracing::error!(%partition, %to, %error, "cannot move: it cannot be copied");
                if error.fails_directory() {
                    done.partition.storage_failed(&mut done.partition.state.lock(), &error);
                }
            }
            Err(Halt::Target(error)) => {
                tracing::error!(%partition, %to, %error, "cannot move there");
                if error.fails_directory() {
                    self.dirs.fail(dir, &error.to_string());
                }
            }
        }
    }

    fn discard(&self, path: &Path) {
        if let Err(error) = self.dirs.discard_future(path) {
            tracing::warn!(path = %path.display(), %error, "an unfinished copy could not be removed");
        }
    }

    /// Copies a partition and has it go on in the copy. `made` is the copy's directory while there is one.
    fn carry(&self, wanted: &Move, made: &mut Option<PathBuf>) -> Result<(), Halt> {
        let partition = &wanted.partition;
        wanted.leftovers.iter().for_each(|path| self.discard(path));
        let dir = &self.dirs.all()[wanted.to];
        let path = self.dirs.create_future(dir, &partition.name, partition.topic_id);
        let path = path.map_err(|error| StorageError::io(dir.path(), error))?;
        *made = Some(path.clone());
        // A copy of which half is from before a cleaning could hold a value without its deletion.
        let _uncleaned = partition.pause_cleaning();
        let mut copy = partition.begin_copy(&path)?;
        for _ in 0..CHANCES {
            self.catch_up(wanted, &mut copy)?;
            copy.sync(clock::now_ms())?;
            match self.take_over(wanted, copy, &path)? {
                None => {
                    *made = None;
                    return Ok(());
                }
                Some(behind) => copy = behind,
            }
        }
        Err(Halt::Source(StorageError::Refused("it is written faster than it can be copied".into())))
    }

    /// Copies until little is left.
    fn catch_up(&self, wanted: &Move, copy: &mut FutureLog) -> Result<(), Halt> {
        let mut unsynced = 0;
        loop {
            if wanted.cancelled.load(Ordering::Relaxed) {
                return Err(Halt::Cancelled);
            }
            if self.moves.state.lock().stopping {
                return Err(Halt::Stopping);
            }
            if self.throttles().is_exceeded(Copying::Move) {
                let mut state = self.moves.state.lock();
                if !state.stopping {
                    self.moves.ended.wait_for(&mut state, THROTTLED);
                }
                continue;
            }
            let (piece, log_end) = wanted.partition.piece(copy)?;
            match piece {
                Piece::Bytes(slice) => {
                    // A log that was cut meanwhile says so when it is asked again.
                    let Some(bytes) = read(&slice)? else { continue };
                    copy.append(bytes, clock::now_ms())?;
                    wanted.note(copy)?;
                    self.throttles().record(Copying::Move, slice.len);
                    unsynced += slice.len;
                    if slice.upper_bound >= log_end {
                        return Ok(());
                    }
                    if unsynced >= SYNC_EVERY {
                        copy.sync(clock::now_ms())?;
                        unsynced = 0;
                    }
                }
                Piece::StartAgain => wanted.partition.start_copy_again(copy)?,
                Piece::End => return Ok(()),
            }
        }
    }

    /// The last step. Answers the copy if too much is left for it.
    fn take_over(&self, wanted: &Move, mut copy: FutureLog, path: &Path) -> Result<Option<FutureLog>, Halt> {
        let partition = &wanted.partition;
        let mut state = partition.state.lock();
        let mut copied = 0;
        loop {
            let log = partition.opened(&mut state).map_err(Halt::Partition)?;
            match log.piece(&copy, PIECE).map_err(Halt::Source)? {
                Piece::Bytes(slice) if copied + slice.len <= LAST_STEP.max(slice.len) => {
                    let Some(bytes) = read(&slice)? else { return Ok(Some(copy)) };
                    copied += slice.len;
                    copy.append(bytes, clock::now_ms())?;
                }
                Piece::Bytes(_) | Piece::StartAgain => return Ok(Some(copy)),
                Piece::End => break,
            }
        }
        if wanted.cancelled.load(Ordering::Relaxed) {
            return Err(Halt::Cancelled);
        }
        wanted.note(&copy)?;
        let log = partition.opened(&mut state).map_err(Halt::Partition)?;
        let (log_start, log_end, cleaned_to) = (log.log_start(), log.log_end(), log.cleaned_to());
        copy.finish(log, clock::now_ms())?;

        let dirs = self.dirs.all();
        let (from, to) = (&dirs[state.dir], &dirs[wanted.to]);
        let delay = partition.config().file_delete_delay_ms;
        match self.dirs.promote(path, (from, to), &partition.name, clock::now_ms(), delay) {
            Ok(()) => {}
            Err(PromoteError::Target(error)) => return Err(StorageError::io(to.path(), error).into()),
            Err(PromoteError::Source(error)) => {
                tracing::error!(partition = %partition.name, %error, "cannot set the directory it has moved from aside");
                if !will_pass(&error) {
                    self.dirs.fail(from, &error.to_string());
                }
            }
        }
        state.dir = wanted.to;
        state.flusher = Arc::clone(&self.flushers[wanted.to]);
        state.moves += 1;
        state.flushing = false;
        let high_watermark = state.visibility.high_watermark();
        state.log = Slot::Cold { clean: true, recovery_point: log_end, log_start, high_watermark, cleaned_to };
        // All of it is on disk: who waited for a flush waits no longer.
        state.visibility.flushed(log_end);
        state.high_watermark_moved();
        // If it cannot be opened now, whoever asks next is told.
        let _ = partition.opened(&mut state);
        Ok(None)
    }
}

impl Move {
    fn note(&self, copy: &FutureLog) -> Result<(), StorageError> {
        self.size.store(copy.size_bytes()?, Ordering::Relaxed);
        self.end.store(copy.end().0, Ordering::Relaxed);
        Ok(())
    }
}

/// What the slice says; `None` if the file has become shorter.
fn read(slice: &FileSlice) -> Result<Option<Bytes>, Halt> {
    let mut bytes = vec![0; slice.len];
    match slice.file.read_exact_at(&mut bytes, slice.pos) {
        Ok(()) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(Halt::Source(StorageError::io("a segment to copy", error))),
    }
}

impl Partition {
    fn begin_copy(&self, dir: &Path) -> Result<FutureLog, Halt> {
        let open = OpenLog {
            fs: Arc::clone(&self.fs),
            dir: dir.to_owned(),
            partition: self.name.clone(),
            config: self.config(),
            clean: true,
            recovery_point: Offset::ZERO,
            log_start: Offset::ZERO,
            cleaned_to: None,
            producer_expiry_ms: self.producer_expiry_ms,
            now: clock::now_ms(),
        };
        let mut state = self.state.lock();
        let log = self.opened(&mut state).map_err(Halt::Partition)?;
        Ok(FutureLog::create(open, log)?)
    }

    /// What is to be copied next, and where the log ends.
    fn piece(&self, copy: &FutureLog) -> Result<(Piece, Offset), Halt> {
        self.with_log(|log| Ok((log.piece(copy, PIECE)?, log.log_end()))).map_err(Halt::Partition)
    }

    fn start_copy_again(&self, copy: &mut FutureLog) -> Result<(), Halt> {
        let now: TimestampMs = clock::now_ms();
        let mut state = self.state.lock();
        let log = self.opened(&mut state).map_err(Halt::Partition)?;
        Ok(copy.start_again(log, now)?)
    }
}

/// Counts a mover's thread out, whatever ends it.
struct Counted<'a> {
    moves: &'a Moves,
    out: bool,
}

impl Counted<'_> {
    fn out(&mut self, state: &mut State) {
        self.out = true;
        state.threads -= 1;
        self.moves.ended.notify_all();
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.out {
            // A panic: what was wanted can be asked for again.
            let mut state = self.moves.state.lock();
            state.wanted.clear();
            state.queue.clear();
            self.out(&mut state);
        }
    }
}

#[cfg(test)]
mod tests;
