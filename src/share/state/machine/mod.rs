//! The machine of one partition of `__share_group_state`: the deliveries of all shared partitions that hash to it
//! (`ShareCoordinatorShard`).
//!
//! Requests and deadlines come in, records and replies go out; [`States::apply`] is the one place where anything changes,
//! and replay uses it too. Mostly updates are written; a snapshot where a partition begins anew, after so many updates, and
//! from time to time for a partition whose last one has become old, so that the log before can go: what lies before all
//! partitions' last snapshots is of no use to anybody ([`Task::Prune`]).
//!
//! Two epochs fence: the leader's, of which the newest is remembered that read, and the state's, which the group's
//! coordinator raises. A write raises neither.
//!
//! A snapshot that was not written because there were enough updates does not begin a new count of them, as in Kafka.

mod time;

use super::batches::combined;
use super::record::{Record, Snapshot, UNKNOWN_COUNT, Update};
use super::request::{Key, Reply, Request};
use crate::coordinator::{BadRecord, Effects, Input, Machine, Replayed, Timers};
use crate::metadata::{Delta, Image};
use crate::model::{ErrorCode, Offset, Refused, ShareState, ShareSummary, ShareWrite, StateEpoch, TimestampMs};
use std::collections::BTreeMap;
use std::sync::Arc;
use time::Job;

/// A leader epoch or a state epoch that fences nobody.
const ANY_EPOCH: i32 = -1;

/// What the machine sees of the outside at a step.
#[derive(Clone, Debug)]
pub struct Env {
    pub now: TimestampMs,
    pub image: Arc<Image>,
    /// `share.coordinator.cold.partition.snapshot.interval.ms`
    pub snapshot_every_ms: i64,
    /// `share.coordinator.state.topic.prune.interval.ms`
    pub prune_every_ms: i64,
}

/// What is to be done once the records of a step are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Nobody needs the log before this offset.
    Prune(Offset),
}

/// What the effects of a step are collected in.
pub type Out = Effects<Reply, Task>;

/// What is known of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// With the updates since laid over it.
    state: Snapshot,
    /// The highest that a record had.
    leader_epoch: i32,
    /// The same; `None`: there was no snapshot.
    state_epoch: Option<StateEpoch>,
    /// Since the last snapshot that was due for them.
    updates: u32,
    /// Where the last snapshot lies.
    snapshot_at: Option<Offset>,
}

/// See the module.
#[derive(Debug)]
pub struct States {
    /// `share.coordinator.snapshot.update.records.per.snapshot`
    updates_per_snapshot: u32,
    all: BTreeMap<Key, Entry>,
    jobs: Timers<Job>,
    /// Of each record that is not known to lie in the log yet: whose snapshot it is.
    unplaced: Vec<Option<Key>>,
    /// Where the last record lies that was a snapshot or a tombstone.
    last_snapshot: Option<Offset>,
}

impl States {
    /// Nothing is known. A snapshot is due after so many updates of a partition.
    #[must_use]
    pub fn new(updates_per_snapshot: u32) -> States {
        States {
            updates_per_snapshot,
            all: BTreeMap::new(),
            jobs: Timers::default(),
            unplaced: Vec::new(),
            last_snapshot: None,
        }
    }

    /// How many partitions of groups are kept here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn commit(&mut self, out: &mut Out, record: Record) {
        out.records.push(record.encode());
        self.apply(record);
    }

    /// See the module.
    fn apply(&mut self, record: Record) {
        match record {
            Record::Snapshot(key, None) => {
                self.all.remove(&key);
                self.unplaced.push(Some(key));
            }
            Record::Snapshot(key, Some(state)) => {
                self.unplaced.push(Some(key.clone()));
                let before = self.all.get(&key);
                let leader_epoch =
                    before.map_or(state.leader_epoch, |before| before.leader_epoch.max(state.leader_epoch));
                let state_epoch = before.and_then(|before| before.state_epoch).max(Some(state.state_epoch));
                let snapshot_at = before.and_then(|before| before.snapshot_at);
                let updates = before.map_or(0, |before| before.updates);
                let updates = if updates >= self.updates_per_snapshot { 0 } else { updates };
                self.all.insert(key, Entry { state, leader_epoch, state_epoch, updates, snapshot_at });
            }
            Record::Update(key, update) => {
                self.unplaced.push(None);
                match self.all.get_mut(&key) {
                    Some(entry) => entry.update(update),
                    None => {
                        self.all.insert(key, Entry::of(update));
                    }
                }
            }
        }
    }

    fn request(&mut self, env: &Env, request: Request, out: &mut Out) -> Reply {
        match request {
            Request::Initialize { key, state_epoch, start_offset } => {
                Reply::Done(self.initialize(env, key, state_epoch, start_offset, out))
            }
            Request::Read { key, leader_epoch } => Reply::Read(self.read(env, key, leader_epoch, out)),
            Request::Write { group, write } => {
                let key = Key { group, at: write.at };
                Reply::Done(self.write(env, key, write, out))
            }
            Request::Delete(key) => Reply::Done(self.delete(env, key, out)),
            Request::Summary(key) => Reply::Summary(self.summary(env, &key)),
        }
    }

    fn initialize(
        &mut self,
        env: &Env,
        key: Key,
        state_epoch: StateEpoch,
        start_offset: Option<Offset>,
        out: &mut Out,
    ) -> Result<(), Refused> {
        is_number(&key)?;
        let before = self.all.get(&key);
        if before.is_some_and(|entry| entry.fences_state(state_epoch)) {
            return refuse(ErrorCode::FENCED_STATE_EPOCH);
        }
        exists(env, &key)?;
        let state = Snapshot {
            snapshot_epoch: before.map_or(0, |entry| entry.next_epoch()),
            state_epoch,
            leader_epoch: 0,
            start_offset,
            delivery_complete_count: if start_offset.is_some() { 0 } else { UNKNOWN_COUNT },
            created: env.now,
            written: env.now,
            batches: Vec::new(),
        };
        self.commit(out, Record::Snapshot(key, Some(state)));
        Ok(())
    }

    fn read(&mut self, env: &Env, key: Key, leader_epoch: i32, out: &mut Out) -> Result<ShareState, Refused> {
        is_number(&key)?;
        let Some(entry) = self.all.get(&key) else {
            return invalid("Read operation on uninitialized share partition not allowed.");
        };
        if entry.fences_leader(leader_epoch) {
            return refuse(ErrorCode::FENCED_LEADER_EPOCH);
        }
        exists(env, &key)?;
        let state = ShareState {
            state_epoch: entry.state.state_epoch,
            start_offset: entry.state.start_offset,
            batches: entry.state.batches.clone(),
        };
        if leader_epoch != ANY_EPOCH && leader_epoch != entry.leader_epoch {
            let update = Update {
                snapshot_epoch: entry.state.snapshot_epoch,
                leader_epoch,
                start_offset: entry.state.start_offset,
                delivery_complete_count: entry.state.delivery_complete_count,
                batches: Vec::new(),
            };
            let record = entry.record(env, self.updates_per_snapshot, key, update);
            self.commit(out, record);
        }
        Ok(state)
    }

    fn write(&mut self, env: &Env, key: Key, write: ShareWrite, out: &mut Out) -> Result<(), Refused> {
        is_number(&key)?;
        let Some(entry) = self.all.get(&key) else {
            return invalid("Write operation on uninitialized share partition not allowed.");
        };
        if entry.fences_leader(write.leader_epoch) {
            return refuse(ErrorCode::FENCED_LEADER_EPOCH);
        }
        if entry.fences_state(write.state_epoch) {
            return refuse(ErrorCode::FENCED_STATE_EPOCH);
        }
        exists(env, &key)?;
        let update = Update {
            snapshot_epoch: entry.state.snapshot_epoch,
            leader_epoch: entry.state.leader_epoch,
            start_offset: write.start_offset,
            delivery_complete_count: write.delivery_complete_count,
            batches: combined(&[], &write.batches, write.start_offset),
        };
        let record = entry.record(env, self.updates_per_snapshot, key, update);
        self.commit(out, record);
        Ok(())
    }

    fn delete(&mut self, env: &Env, key: Key, out: &mut Out) -> Result<(), Refused> {
        is_number(&key)?;
        exists(env, &key)?;
        if self.all.contains_key(&key) {
            self.commit(out, Record::Snapshot(key, None));
        }
        Ok(())
    }

    fn summary(&self, env: &Env, key: &Key) -> Result<ShareSummary, Refused> {
        is_number(key)?;
        exists(env, key)?;
        let nothing = ShareSummary {
            state_epoch: StateEpoch(0),
            leader_epoch: 0,
            start_offset: None,
            delivery_complete_count: UNKNOWN_COUNT,
        };
        Ok(self.all.get(key).map_or(nothing, |Entry { state, .. }| ShareSummary {
            state_epoch: state.state_epoch,
            leader_epoch: state.leader_epoch,
            start_offset: state.start_offset,
            delivery_complete_count: state.delivery_complete_count,
        }))
    }

    /// Forgets what topics had that are deleted.
    fn changed(&mut self, delta: &Delta, out: &mut Out) {
        if delta.deleted.is_empty() {
            return;
        }
        let gone: Vec<Key> = self.all.keys().filter(|key| delta.deleted.contains_key(&key.at.topic)).cloned().collect();
        for key in gone {
            self.commit(out, Record::Snapshot(key, None));
        }
    }
}

impl Entry {
    /// Of an update whose snapshot is not there: nobody writes one, and the log may have lost it.
    fn of(update: Update) -> Entry {
        let Update { snapshot_epoch, leader_epoch, start_offset, delivery_complete_count, batches } = update;
        let state = Snapshot {
            snapshot_epoch,
            state_epoch: StateEpoch(0),
            leader_epoch,
            start_offset,
            delivery_complete_count,
            created: TimestampMs(0),
            written: TimestampMs(0),
            batches,
        };
        Entry { state, leader_epoch, state_epoch: None, updates: 1, snapshot_at: None }
    }

    fn update(&mut self, update: Update) {
        self.leader_epoch = self.leader_epoch.max(update.leader_epoch);
        self.updates = self.updates.saturating_add(1);
        let state = &mut self.state;
        if update.leader_epoch != ANY_EPOCH {
            state.leader_epoch = update.leader_epoch;
        }
        state.start_offset = update.start_offset.or(state.start_offset);
        state.delivery_complete_count = update.delivery_complete_count;
        state.batches = combined(&state.batches, &update.batches, state.start_offset);
    }

    /// The update, or, if there were enough of them, a snapshot with it.
    fn record(&self, env: &Env, updates_per_snapshot: u32, key: Key, update: Update) -> Record {
        if self.updates < updates_per_snapshot {
            return Record::Update(key, update);
        }
        let mut next = self.clone();
        next.update(update);
        let state = Snapshot { snapshot_epoch: self.next_epoch(), created: env.now, written: env.now, ..next.state };
        Record::Snapshot(key, Some(state))
    }

    fn next_epoch(&self) -> i32 {
        self.state.snapshot_epoch.wrapping_add(1)
    }

    fn fences_leader(&self, epoch: i32) -> bool {
        epoch != ANY_EPOCH && self.leader_epoch > epoch
    }

    fn fences_state(&self, epoch: StateEpoch) -> bool {
        epoch.0 != ANY_EPOCH && self.state_epoch > Some(epoch)
    }
}

fn is_number(key: &Key) -> Result<(), Refused> {
    if key.at.partition.0 < 0 { invalid("The partition id cannot be a negative number.") } else { Ok(()) }
}

fn exists(env: &Env, key: &Key) -> Result<(), Refused> {
    let topic = env.image.topic_by_id(key.at.topic);
    match topic.and_then(|topic| topic.partition(key.at.partition)) {
        Some(_) => Ok(()),
        None => refuse(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    }
}

fn refuse<T>(code: ErrorCode) -> Result<T, Refused> {
    Err(Refused { code, message: None })
}

fn invalid<T>(text: &str) -> Result<T, Refused> {
    Err(Refused { code: ErrorCode::INVALID_REQUEST, message: Some(text.to_owned()) })
}

impl Machine for States {
    type Request = Request;
    type Reply = Reply;
    type Task = Task;
    type Env = Env;
    type Change = Arc<Delta>;

    fn step(&mut self, env: &Env, input: Input<Request, Arc<Delta>>, out: &mut Out) {
        match input {
            Input::Request(ticket, request) => {
                let reply = self.request(env, request, out);
                out.reply(ticket, reply);
            }
            Input::Tick => self.tick(env, out),
            Input::Loaded => self.wait(env),
            Input::Changed(delta) => {
                self.wait(env);
                self.changed(&delta, out);
            }
        }
    }

    fn replay(&mut self, record: Replayed<'_>) -> Result<(), BadRecord> {
        match record {
            Replayed::Record { key, value, .. } => {
                self.apply(Record::decode(key, value)?);
                Ok(())
            }
            // Nobody writes transactions into this log.
            Replayed::Ended { .. } => Ok(()),
        }
    }

    fn placed(&mut self, first: Offset) {
        for (key, n) in self.unplaced.drain(..).zip(0..) {
            let Some(key) = key else { continue };
            let at = first.plus(n);
            self.last_snapshot = Some(at);
            if let Some(entry) = self.all.get_mut(&key) {
                entry.snapshot_at = Some(at);
            }
        }
    }

    fn next_deadline(&self) -> Option<TimestampMs> {
        self.jobs.next()
    }
}

#[cfg(test)]
mod tests;
