//! One fetcher: asks one leader for the records of the partitions that it leads and this broker follows, and appends them
//! (Kafka's `ReplicaFetcherThread`).
//!
//! One request is on its way at a time; the leader answers it when it has something, or after
//! `replica.fetch.wait.max.ms`. Differs from Kafka in that partitions that come meanwhile do not wait for that. A diverging log is cut where the leader says (KIP-595), so nothing asks for epochs first.

use super::fetchers::FetcherSettings;
use super::machine::{Asked, Fetching, Key, Position, Question, Remedy, remedy};
use crate::model::{ErrorCode, LeaderEpoch, Offset};
use crate::partition::{Copying, FollowerLog, LeaderLog, Manager, Partition};
use crate::peer::{self, FetchAnswer, FetchQuestion, Link, LogBound, PartitionAnswer, PartitionQuestion};
use crate::record::{BadBatch, Batch, BatchHeader};
use crate::rt::clock;
use crate::storage::EpochEnd;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The first pause after an error that the next metadata will mend.
const SOON: Duration = Duration::from_millis(20);

/// A fetch that waits at the leader is given up for partitions that have come, at most this often.
const INTERRUPT_EVERY: Duration = Duration::from_millis(200);

/// See the module.
pub(super) struct Fetcher {
    link: Link,
    settings: Arc<FetcherSettings>,
    manager: Arc<Manager>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    fetching: Fetching,
    partitions: BTreeMap<Key, Arc<Partition>>,
    ended: bool,
    /// When a fetch was last given up for partitions that had come.
    interrupted: Option<Instant>,
}

/// What to do with a partition that was fetched.
enum Next {
    Goes,
    Truncate(EpochEnd),
    Relocate,
    /// The two brokers do not know the same metadata.
    Soon(ErrorCode),
    Pause(ErrorCode),
    Wait,
}

impl Fetcher {
    pub(super) fn new(link: Link, settings: Arc<FetcherSettings>, manager: Arc<Manager>) -> Arc<Fetcher> {
        Arc::new(Fetcher { link, settings, manager, state: Mutex::default(), changed: Notify::new() })
    }

    /// Fetches the partition from now on, in `epoch`.
    pub(super) fn follow(&self, key: Key, epoch: LeaderEpoch, partition: Arc<Partition>) {
        let mut state = self.state.lock();
        state.fetching.follow(key, epoch);
        state.partitions.insert(key, partition);
        drop(state);
        self.changed.notify_one();
    }

    /// Fetches the partition no more. Answers whether it was the last one: then the fetcher ends.
    pub(super) fn leave(&self, key: Key) -> bool {
        let mut state = self.state.lock();
        state.fetching.leave(key);
        state.partitions.remove(&key);
        state.ended = state.fetching.is_empty();
        let ended = state.ended;
        drop(state);
        self.changed.notify_one();
        ended
    }

    pub(super) fn lag_max(&self) -> i64 {
        self.state.lock().fetching.lag_max()
    }

    pub(super) async fn run(self: Arc<Self>, stopping: CancellationToken) {
        let node = self.link.node().0;
        tracing::debug!(leader = node, "a fetcher begins");
        loop {
            // What has arrived is appended before the fetcher ends: only waiting is cut short.
            let answered = tokio::select! {
                answered = self.ask() => answered,
                () = stopping.cancelled() => break,
            };
            match answered {
                Asking::Ended => break,
                Asking::Idle => continue,
                Asking::Answered(answer) => self.take(answer).await,
            }
        }
        self.link.disconnect().await;
        tracing::debug!(leader = node, "a fetcher ended");
    }

    /// Asks the leader, or waits until there is something to ask.
    async fn ask(&self) -> Asking {
        self.locate().await;
        if (self.settings.broker_epoch)() < 0 {
            // Not registered yet: the leader could not tell this life from the one before (KIP-903).
            tokio::time::sleep(SOON).await;
            return Asking::Idle;
        }
        let now = clock::steady_ms();
        let exceeded = self.manager.throttles().is_exceeded(Copying::Follower);
        let (question, mut due) = {
            let State { fetching, partitions, ended, .. } = &mut *self.state.lock();
            if *ended {
                return Asking::Ended;
            }
            let is_throttled = |key| partitions.get(&key).is_some_and(|held| held.is_throttled(Copying::Follower));
            (fetching.question(now, |key| exceeded && is_throttled(key)), fetching.next_due(now))
        };
        if exceeded {
            let soon = now.saturating_add(millis(self.backoff()));
            due = Some(due.map_or(soon, |due| due.min(soon)));
        }
        let Some(question) = question else {
            let pause = due.map_or(Duration::from_secs(3600), |at| {
                Duration::from_millis(u64::try_from(at.saturating_sub(now)).unwrap_or(0))
            });
            // A wake-up or the time: either way, look again.
            let _ = tokio::time::timeout(pause, self.changed.notified()).await;
            return Asking::Idle;
        };
        let question = self.request(question);
        let fetched = tokio::select! {
            fetched = peer::fetch(&self.link, &question, self.settings.replication.socket_timeout) => fetched,
            () = self.newcomers() => {
                // They have waited for a leader, and producers with them: not for the end of this wait too.
                self.link.disconnect().await;
                self.state.lock().fetching.unanswered();
                return Asking::Idle;
            }
        };
        match fetched {
            Ok(answer) => Asking::Answered(answer),
            Err(error) => {
                tracing::info!(leader = self.link.node().0, %error, "a fetch from the leader failed");
                self.state.lock().fetching.unanswered();
                let _ = tokio::time::timeout(self.backoff(), self.changed.notified()).await;
                Asking::Idle
            }
        }
    }

    /// Resolves when partitions have come that the request on its way does not name.
    async fn newcomers(&self) {
        loop {
            self.changed.notified().await;
            let now = clock::now();
            let mut state = self.state.lock();
            let is_due = state.interrupted.is_none_or(|last| now.saturating_duration_since(last) >= INTERRUPT_EVERY);
            if is_due && !state.fetching.unlocated(clock::steady_ms()).is_empty() {
                state.interrupted = Some(now);
                return;
            }
        }
    }

    fn backoff(&self) -> Duration {
        self.settings.replication.fetch_backoff
    }

    fn request(&self, question: Question) -> FetchQuestion {
        let replication = &self.settings.replication;
        let bytes = |size: usize| i32::try_from(size).unwrap_or(i32::MAX);
        FetchQuestion {
            replica: self.settings.node,
            broker_epoch: (self.settings.broker_epoch)(),
            max_wait_ms: i32::try_from(replication.fetch_wait_max.as_millis()).unwrap_or(i32::MAX),
            min_bytes: bytes(replication.fetch_min_bytes),
            max_bytes: bytes(replication.fetch_response_bytes_max),
            session_id: question.session_id,
            session_epoch: question.session_epoch,
            partitions: question
                .partitions
                .iter()
                .map(|asked| PartitionQuestion {
                    topic: asked.key.0,
                    partition: asked.key.1,
                    current_epoch: asked.epoch,
                    from: asked.position.end,
                    last_epoch: asked.position.last_epoch,
                    log_start: asked.position.log_start,
                    max_bytes: bytes(replication.fetch_bytes_max),
                })
                .collect(),
            forgotten: question.forgotten,
        }
    }

    /// Looks at the logs of partitions that are new here, or were cut. May open and recover them, so not on this thread.
    async fn locate(&self) {
        let now = clock::steady_ms();
        let unlocated: Vec<(Key, LeaderEpoch, Arc<Partition>)> = {
            let state = self.state.lock();
            let due = state.fetching.unlocated(now);
            due.into_iter()
                .filter_map(|(key, epoch)| Some((key, epoch, Arc::clone(state.partitions.get(&key)?))))
                .collect()
        };
        if unlocated.is_empty() {
            return;
        }
        let look = move || {
            let look = |(key, epoch, partition): (Key, LeaderEpoch, Arc<Partition>)| {
                (key, epoch, partition.follower_log(epoch))
            };
            unlocated.into_iter().map(look).collect::<Vec<_>>()
        };
        let Ok(found) = tokio::task::spawn_blocking(look).await else { return };
        let (now, most) = (clock::steady_ms(), millis(self.backoff()));
        let mut state = self.state.lock();
        for (key, epoch, log) in found {
            match log {
                Ok(log) => state.fetching.located(key, epoch, position(&log)),
                // The metadata is ahead of this fetcher, or the disk is full or gone.
                Err(_) => state.fetching.failed(key, epoch, now, millis(SOON).min(most), most),
            }
        }
    }

    /// Appends what the leader gave, and does what it says of logs that are not as its own.
    async fn take(&self, answer: FetchAnswer) {
        if !self.state.lock().fetching.answered(answer.error, answer.session_id) {
            if answer.error != ErrorCode::FETCH_SESSION_ID_NOT_FOUND {
                tracing::info!(leader = self.link.node().0, error = %answer.error, "the leader refused a fetch");
                let _ = tokio::time::timeout(self.backoff(), self.changed.notified()).await;
            }
            return;
        }
        let mut cuts = Vec::new();
        for answered in answer.partitions {
            let key = (answered.topic, answered.partition);
            let held = {
                let state = self.state.lock();
                state.fetching.holds(key).zip(state.partitions.get(&key).cloned())
            };
            let Some((asked, partition)) = held else { continue };
            match self.take_one(&asked, &partition, answered) {
                Next::Goes | Next::Wait => {}
                Next::Truncate(end) => cuts.push((asked, partition, end)),
                Next::Relocate => self.relocate(&asked, &partition).await,
                Next::Soon(error) => {
                    tracing::debug!(partition = %partition.name(), %error, "not fetched yet");
                    self.failed(&asked, SOON);
                }
                Next::Pause(error) => {
                    tracing::info!(partition = %partition.name(), %error, "fetching pauses");
                    self.failed(&asked, self.backoff());
                }
            }
        }
        if !cuts.is_empty() {
            self.cut(cuts).await;
        }
    }

    fn take_one(&self, asked: &Asked, partition: &Arc<Partition>, answered: PartitionAnswer) -> Next {
        match answered.error {
            ErrorCode::NONE => {}
            error => {
                return match remedy(error) {
                    Remedy::Relocate => Next::Relocate,
                    Remedy::Soon => Next::Soon(error),
                    Remedy::Pause => Next::Pause(error),
                    Remedy::WaitForMetadata => {
                        self.pause(asked, Duration::from_secs(3600), true);
                        Next::Wait
                    }
                };
            }
        }
        if let Some((epoch, end)) = answered.diverging {
            return Next::Truncate(EpochEnd { epoch, end });
        }
        if partition.is_throttled(Copying::Follower) {
            self.manager.throttles().record(Copying::Follower, answered.records.len());
        }
        let mut batches = match batches(answered.records) {
            Ok(batches) => batches,
            Err(bad) => {
                tracing::error!(partition = %partition.name(), %bad, "the leader sent what is no batch");
                return Next::Pause(ErrorCode::CORRUPT_MESSAGE);
            }
        };
        let leader = LeaderLog { high_watermark: answered.high_watermark, log_start: answered.log_start };
        match partition.append_followed(asked.epoch, asked.position.end, &mut batches, leader) {
            Ok(log) => {
                let lag = answered.high_watermark.0.saturating_sub(log.log_end.0);
                self.state.lock().fetching.fetched(asked.key, asked.epoch, position(&log), lag);
                Next::Goes
            }
            Err(error) if remedy(error) == Remedy::Soon => Next::Soon(error),
            Err(error) => Next::Pause(error),
        }
    }

    /// Leaves a partition alone: for `first`, then for longer, up to `replica.fetch.backoff.ms`.
    fn failed(&self, asked: &Asked, first: Duration) {
        let (now, most) = (clock::steady_ms(), millis(self.backoff()));
        self.state.lock().fetching.failed(asked.key, asked.epoch, now, millis(first).min(most), most);
    }

    fn pause(&self, asked: &Asked, pause: Duration, relocate: bool) {
        let until = clock::steady_ms().saturating_add(millis(pause));
        self.state.lock().fetching.pause(asked.key, asked.epoch, until, relocate);
    }

    /// Cuts logs where their leader's part from them, and has that noted on disk before anything is appended.
    async fn cut(&self, cuts: Vec<(Asked, Arc<Partition>, EpochEnd)>) {
        let manager = Arc::clone(&self.manager);
        let work = move || {
            let mut done = Vec::with_capacity(cuts.len());
            for (asked, partition, end) in cuts {
                done.push((asked, partition.truncate_followed(asked.epoch, end)));
            }
            if done.iter().any(|(_, cut)| matches!(cut, Ok(true))) {
                manager.checkpoint_recovery_points();
            }
            done
        };
        let Ok(done) = tokio::task::spawn_blocking(work).await else { return };
        for (asked, cut) in done {
            match cut {
                Ok(_) => self.pause(&asked, Duration::ZERO, true),
                Err(_) => self.failed(&asked, SOON),
            }
        }
    }

    /// The log is out of its leader's range: behind its start, or (after an unclean election) beyond its end
    /// (`AbstractFetcherThread.fetchOffsetAndTruncate`).
    async fn relocate(&self, asked: &Asked, partition: &Arc<Partition>) {
        let moved = self.relocated(asked, partition).await;
        match moved {
            Ok(()) => self.pause(asked, Duration::ZERO, true),
            Err(why) => {
                tracing::info!(partition = %partition.name(), %why, "out of the leader's range");
                self.failed(asked, self.backoff());
            }
        }
    }

    async fn relocated(&self, asked: &Asked, partition: &Arc<Partition>) -> Result<(), String> {
        let end = self.bound(asked, partition, LogBound::End).await?;
        let (epoch, own_end) = (asked.epoch, asked.position.end);
        let restart = if end < own_end {
            tracing::warn!(partition = %partition.name(), leader_end = %end, %own_end, "the leader's log is shorter");
            None
        } else {
            let start = self.bound(asked, partition, LogBound::Start).await?;
            // Inside of the leader's log after all: it is asked again from where this log ends.
            if start <= own_end {
                return Ok(());
            }
            Some(start)
        };
        let (partition, manager) = (Arc::clone(partition), Arc::clone(&self.manager));
        let work = move || {
            let moved = match restart {
                Some(start) => partition.restart_followed(epoch, start),
                None => partition.truncate_followed_to(epoch, end),
            };
            manager.checkpoint_recovery_points();
            moved
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(moved) => moved.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn bound(&self, asked: &Asked, partition: &Partition, bound: LogBound) -> Result<Offset, String> {
        let name = partition.name();
        let asked = peer::log_bound(
            &self.link,
            self.settings.node,
            (&name.topic, name.partition),
            asked.epoch,
            bound,
            self.settings.replication.socket_timeout,
        );
        match asked.await {
            Ok(Ok(offset)) if offset >= Offset::ZERO => Ok(offset),
            Ok(Ok(offset)) => Err(format!("the leader names the offset {offset}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What became of asking.
enum Asking {
    Answered(FetchAnswer),
    /// Nothing to ask, or no answer: again.
    Idle,
    Ended,
}

fn position(log: &FollowerLog) -> Position {
    Position { end: log.log_end, last_epoch: log.last_epoch, log_start: log.log_start }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The batches in what a leader sent, each checked. One that is cut off at the end is left out.
fn batches(mut records: Bytes) -> Result<Vec<Batch>, BadBatch> {
    let mut batches = Vec::new();
    loop {
        let size = match BatchHeader::parse(&records) {
            Ok(header) if header.size() <= records.len() => header.size(),
            Ok(_) | Err(BadBatch::Truncated) => return Ok(batches),
            Err(bad) => return Err(bad),
        };
        batches.push(Batch::verify(records.split_to(size))?);
    }
}
