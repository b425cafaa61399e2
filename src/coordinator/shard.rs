//! A shard: a machine and its partition behind one short lock, called directly by whoever has something for it.
//!
//! A step, the append of its records and the delivery of its replies happen under the lock, so records lie in the log in
//! the order in which the machine acted, and replies that have to wait stand in a queue behind the records they depend on.
//! Where appends are committed at once (a broker alone, no `flush.messages`) the queue stays empty, and a request is
//! answered without a channel or a task.
//!
//! Bounds: a connection has one request here at a time; those whose connection is gone meanwhile count too, and beyond
//! [`WAITING_MAX`] requests are refused. A step's records are split into batches of [`BATCH_BYTES`].

use super::runtime::{Host, Runtime};
use super::{Effects, Input, Machine, Replayed, Ticket};
use crate::metadata::Delta;
use crate::model::{ErrorCode, Offset, PartitionId, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use crate::partition::{CommitWait, Partition, TransactionEnd, Verified};
use crate::record::{Batch, BatchBuilder};
use crate::rt::clock;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Requests that wait at one shard, for the machine's answer or for a commit.
const WAITING_MAX: usize = 100_000;

/// A step's records go into batches of this size, so that a reader with Kafka's defaults can fetch them
/// (`max.message.bytes`). A record that is larger has a batch of its own.
const BATCH_BYTES: usize = 1 << 20;

/// A shard whose log refuses is loaded again after this time, after twice the time if that fails, and so on.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_AT_MOST: Duration = Duration::from_secs(10);

/// A machine that is called at its deadline and wants to be called at once again waits for so long.
const TICKS_APART_MS: i64 = 10;

type Answer<M> = oneshot::Sender<Result<<M as Machine>::Reply, ErrorCode>>;

/// See the module.
pub(super) struct Shard<M: Machine> {
    pub(super) partition: Arc<Partition>,
    state: Mutex<State<M>>,
}

struct State<M: Machine> {
    phase: Phase<M>,
    /// Rises when a machine is dropped: what was begun for an older one is void.
    life: u32,
    /// The last that was given out.
    ticket: u64,
    /// Requests that the machine has not answered.
    waiting: HashMap<Ticket, Answer<M>>,
    /// Appends that are not committed, in order, each with the replies that wait for it.
    held: VecDeque<Held<M>>,
    /// Of all `held`.
    replies_held: usize,
    /// A task watches `held`.
    releasing: bool,
    /// What is set with [`super::alarms::Alarms`].
    alarm: Option<TimestampMs>,
    /// Loads and appends that failed in a row.
    failures: u32,
}

enum Phase<M> {
    Loading,
    /// Could not be loaded; tried again from time to time.
    Failed,
    Active(M),
    /// This broker does not lead it any more. The last.
    Resigned,
}

struct Held<M: Machine> {
    commit: Option<CommitWait>,
    /// Until then the replies wait.
    deadline: Instant,
    replies: Vec<(Answer<M>, M::Reply)>,
    then: Vec<M::Task>,
}

/// The transaction that a request is part of: its producer, and what the coordinator of the transaction was asked with.
pub(super) type Within<'a> = ((ProducerId, ProducerEpoch), Verified<'a>);

/// What became of a request.
pub(super) enum Asked<M: Machine> {
    Answered(M::Reply),
    Waits(oneshot::Receiver<Result<M::Reply, ErrorCode>>),
}

impl<M: Machine<Change = Arc<Delta>>> Shard<M> {
    /// To be loaded.
    pub(super) fn new(partition: Arc<Partition>) -> Arc<Shard<M>> {
        let state = State {
            phase: Phase::Loading,
            life: 0,
            ticket: 0,
            waiting: HashMap::new(),
            held: VecDeque::new(),
            replies_held: 0,
            releasing: false,
            alarm: None,
            failures: 0,
        };
        Arc::new(Shard { partition, state: Mutex::new(state) })
    }

    fn id(&self) -> PartitionId {
        self.partition.name().partition
    }

    /// Does the load that was begun for this life still have a purpose?
    pub(super) fn awaits_load(&self, life: u32) -> bool {
        let state = self.state.lock();
        state.life == life && matches!(state.phase, Phase::Loading | Phase::Failed)
    }

    /// Gives a request to the machine.
    ///
    /// # Errors
    /// There is no machine, or its records could not be appended: the error as the log has it.
    pub(super) fn ask<H: Host<Machine = M>>(
        self: &Arc<Self>,
        runtime: &Arc<Runtime<H>>,
        request: M::Request,
        within: Option<Within<'_>>,
    ) -> Result<Asked<M>, ErrorCode> {
        let mut state = self.state.lock();
        if let Some((producer, verified)) = within {
            // Before the machine acts: a batch that the log refuses would cost the shard its life.
            self.partition.check_verified(producer, verified)?;
        }
        if state.waiting.len() + state.replies_held >= WAITING_MAX {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        state.ticket += 1;
        let ticket = Ticket(state.ticket);
        let reply = self.step(runtime, &mut state, Input::Request(ticket, request), Some(ticket))?;
        match reply {
            Some(reply) if state.held.is_empty() => Ok(Asked::Answered(reply)),
            reply => {
                let (answer, later) = oneshot::channel();
                match reply {
                    Some(reply) => state.give(answer, reply),
                    None => {
                        state.waiting.insert(ticket, answer);
                    }
                }
                Ok(Asked::Waits(later))
            }
        }
    }

    /// Shows the machine, if it is loaded, and says in which phase the shard is.
    pub(super) fn look(&self, look: impl FnOnce(&M)) -> &'static str {
        match &self.state.lock().phase {
            Phase::Loading => "loading",
            Phase::Failed => "failed",
            Phase::Active(machine) => {
                look(machine);
                "active"
            }
            Phase::Resigned => "resigned",
        }
    }

    /// Appends the end of a transaction and tells the machine. Answers what to wait for; `None`: it is committed.
    ///
    /// # Errors
    /// There is no machine, or the log's error: nothing has happened.
    pub(super) fn end_transaction<H: Host<Machine = M>>(
        self: &Arc<Self>,
        runtime: &Arc<Runtime<H>>,
        end: &TransactionEnd,
    ) -> Result<Option<CommitWait>, ErrorCode> {
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Active(_) => {}
            Phase::Loading => return Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            Phase::Failed | Phase::Resigned => return Err(ErrorCode::NOT_COORDINATOR),
        }
        let Some(commit) = self.partition.append_end(end, clock::now_ms())? else {
            return state.ended(end).map(|()| None);
        };
        self.hold(runtime, &mut state, commit);
        state.ended(end)?;
        self.partition.wait_for_commit()
    }

    /// Tells the machine of a change. What a shard that is being loaded misses, its load sees.
    pub(super) fn change<H: Host<Machine = M>>(self: &Arc<Self>, runtime: &Arc<Runtime<H>>, delta: &Arc<Delta>) {
        // An error has been acted on.
        let _ = self.step(runtime, &mut self.state.lock(), Input::Changed(Arc::clone(delta)), None);
    }

    /// The alarm for `at` has gone off.
    pub(super) fn tick<H: Host<Machine = M>>(self: &Arc<Self>, runtime: &Arc<Runtime<H>>, at: TimestampMs) {
        let mut state = self.state.lock();
        if state.alarm != Some(at) {
            return;
        }
        state.alarm = None;
        let Phase::Active(machine) = &state.phase else { return };
        match machine.next_deadline() {
            Some(due) if due <= clock::now_ms() => {
                // As in `change`.
                let _ = self.step(runtime, &mut state, Input::Tick, None);
            }
            Some(due) => self.arm(runtime, &mut state, due),
            None => {}
        }
    }

    /// This broker leads the partition no more: whoever waits is told so.
    pub(super) fn resign(&self) {
        let mut state = self.state.lock();
        let machine = mem::replace(&mut state.phase, Phase::Resigned);
        state.life += 1;
        state.fail(ErrorCode::NOT_COORDINATOR);
        drop(state);
        drop(machine);
    }

    /// What a load that was begun for this life has come to.
    pub(super) fn loaded<H: Host<Machine = M>>(
        self: &Arc<Self>,
        runtime: &Arc<Runtime<H>>,
        life: u32,
        machine: Result<M, String>,
    ) {
        let mut state = self.state.lock();
        if state.life != life || !matches!(state.phase, Phase::Loading | Phase::Failed) {
            return;
        }
        let uncommitted = machine.and_then(|machine| match self.partition.wait_for_commit() {
            Ok(uncommitted) => Ok((machine, uncommitted)),
            Err(code) => Err(code.to_string()),
        });
        match uncommitted {
            Ok((machine, uncommitted)) => {
                state.phase = Phase::Active(machine);
                if let Some(commit) = uncommitted {
                    self.hold(runtime, &mut state, commit);
                }
                // As in `change`.
                let _ = self.step(runtime, &mut state, Input::Loaded, None);
            }
            Err(error) => {
                // It is tried again and again; once is enough to be told.
                if state.failures == 0 {
                    tracing::error!(partition = %self.partition.name(), %error, "a coordinator cannot be loaded");
                } else {
                    tracing::debug!(partition = %self.partition.name(), %error, "a coordinator still cannot be loaded");
                }
                state.phase = Phase::Failed;
                runtime.load(self, life, state.back_off());
            }
        }
    }

    /// One step: the machine acts, its records are appended, its replies go out or wait. Answers the reply to `own`.
    fn step<H: Host<Machine = M>>(
        self: &Arc<Self>,
        runtime: &Arc<Runtime<H>>,
        state: &mut State<M>,
        input: Input<M::Request, Arc<Delta>>,
        own: Option<Ticket>,
    ) -> Result<Option<M::Reply>, ErrorCode> {
        let machine = match &mut state.phase {
            Phase::Active(machine) => machine,
            Phase::Loading => return Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            Phase::Failed | Phase::Resigned => return Err(ErrorCode::NOT_COORDINATOR),
        };
        let now = clock::now_ms();
        let is_tick = matches!(input, Input::Tick);
        let mut out = Effects::default();
        let env = runtime.host().env(now, &self.partition.config());
        // A fault of ours must not leave a machine behind that has acted by half, nor end the task that ticks.
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            machine.step(&env, input, &mut out);
            machine.next_deadline()
        }));
        let Ok(deadline) = stepped else {
            tracing::error!(partition = %self.partition.name(), "a fault in a coordinator: it is loaded again");
            self.lost(runtime, state, ErrorCode::UNKNOWN_SERVER_ERROR);
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        };
        if !out.records.is_empty() {
            match self.append(runtime, &out, now) {
                Ok((first, commit)) => {
                    machine.placed(first);
                    state.failures = 0;
                    if let Some(commit) = commit {
                        self.hold(runtime, state, commit);
                    }
                }
                Err(code) => {
                    tracing::warn!(partition = %self.partition.name(), error = %code, "a coordinator cannot write: it is loaded again");
                    self.lost(runtime, state, code);
                    return Err(code);
                }
            }
        }
        let mut reply_to_own = None;
        for (to, reply) in out.replies {
            if Some(to) == own {
                reply_to_own = Some(reply);
            } else if let Some(answer) = state.waiting.remove(&to) {
                state.give(answer, reply);
            }
        }
        match state.held.back_mut() {
            Some(held) => held.then.append(&mut out.then),
            None => out.then.into_iter().for_each(|task| H::run(runtime, self.id(), task)),
        }
        if let Some(mut deadline) = deadline {
            if is_tick {
                deadline = deadline.max(now.plus(TICKS_APART_MS));
            }
            self.arm(runtime, state, deadline);
        }
        Ok(reply_to_own)
    }

    /// Appends the records of a step. Answers where the first one lies, and what to wait for; `None`: they are committed.
    fn append<H: Host<Machine = M>>(
        &self,
        runtime: &Runtime<H>,
        out: &Effects<M::Reply, M::Task>,
        now: TimestampMs,
    ) -> Result<(Offset, Option<CommitWait>), ErrorCode> {
        let compression = runtime.host().limits().compression;
        let begin = || {
            let mut batch = BatchBuilder::new(Offset::ZERO);
            if let Some(codec) = compression {
                batch = batch.compressed(codec);
            }
            match out.producer {
                Some((id, epoch)) => batch.producer(id, epoch, Sequence::NONE).transactional(),
                None => batch,
            }
        };
        let finish = |batch: BatchBuilder| {
            batch.build().and_then(Batch::verify).map_err(|bad| {
                tracing::error!(partition = %self.partition.name(), %bad, "a batch of ours cannot be built");
                ErrorCode::UNKNOWN_SERVER_ERROR
            })
        };
        let mut batches = Vec::new();
        let mut batch = begin();
        for record in &out.records {
            let bytes = record.key.len() + record.value.as_ref().map_or(0, Vec::len);
            if !batch.is_empty() && batch.size() + bytes > BATCH_BYTES {
                batches.push(finish(mem::replace(&mut batch, begin()))?);
            }
            batch.push(now, Some(&record.key), record.value.as_deref(), &[]);
        }
        batches.push(finish(batch)?);
        self.partition.append_own(&mut batches, now)
    }

    /// Replies from now on wait for `commit`.
    fn hold<H: Host<Machine = M>>(
        self: &Arc<Self>,
        runtime: &Arc<Runtime<H>>,
        state: &mut State<M>,
        commit: CommitWait,
    ) {
        let deadline = clock::now() + runtime.host().limits().commit_timeout;
        state.held.push_back(Held { commit: Some(commit), deadline, replies: Vec::new(), then: Vec::new() });
        if !state.releasing {
            state.releasing = true;
            let (shard, at, life) = (Arc::clone(self), Arc::clone(runtime), state.life);
            runtime.spawn(async move { shard.release(&at, life).await });
        }
    }

    /// Lets replies go as what they wait for is committed; ends when none waits.
    async fn release<H: Host<Machine = M>>(self: Arc<Self>, runtime: &Arc<Runtime<H>>, life: u32) {
        loop {
            let commit = {
                let mut state = self.state.lock();
                if state.life != life {
                    return;
                }
                let Some(commit) = state.held.front_mut().and_then(|held| held.commit.take()) else {
                    state.releasing = false;
                    return;
                };
                commit
            };
            let outcome = commit.outcome();
            tokio::pin!(outcome);
            let code = loop {
                let Some(deadline) = self.first_deadline(life, runtime.host().limits().commit_timeout) else { return };
                tokio::select! {
                    code = &mut outcome => break code,
                    () = tokio::time::sleep_until(deadline.into()) => self.time_out(life),
                }
            };
            let mut state = self.state.lock();
            if state.life != life {
                return;
            }
            if code.is_err() {
                tracing::warn!(partition = %self.partition.name(), error = %code, "records of a coordinator are not committed: it is loaded again");
                self.lost(runtime, &mut state, code);
                return;
            }
            if let Some(held) = state.held.pop_front() {
                state.replies_held -= held.replies.len();
                for (answer, reply) in held.replies {
                    // The client may have gone.
                    let _ = answer.send(Ok(reply));
                }
                held.then.into_iter().for_each(|task| H::run(runtime, self.id(), task));
            }
        }
    }

    /// When the first of the replies that wait has waited for long enough; `None`: this life is over.
    fn first_deadline(&self, life: u32, at_most: Duration) -> Option<Instant> {
        let state = self.state.lock();
        let first = state.held.iter().find(|held| !held.replies.is_empty()).map(|held| held.deadline);
        (state.life == life).then(|| first.unwrap_or_else(|| clock::now() + at_most))
    }

    /// Refuses the replies that have waited for long enough. Their records stay, and later replies wait for them.
    fn time_out(&self, life: u32) {
        let mut state = self.state.lock();
        if state.life != life {
            return;
        }
        let now = clock::now();
        let mut out_of_time = Vec::new();
        for held in state.held.iter_mut().take_while(|held| held.deadline <= now) {
            out_of_time.append(&mut held.replies);
        }
        state.replies_held -= out_of_time.len();
        for (answer, _) in out_of_time {
            let _ = answer.send(Err(ErrorCode::REQUEST_TIMED_OUT));
        }
    }

    /// The machine and its log may differ: the machine is dropped, whoever waits is told, and the log is read again.
    fn lost<H: Host<Machine = M>>(self: &Arc<Self>, runtime: &Arc<Runtime<H>>, state: &mut State<M>, code: ErrorCode) {
        state.phase = Phase::Loading;
        state.life += 1;
        state.fail(code);
        runtime.load(self, state.life, state.back_off());
    }

    fn arm<H: Host<Machine = M>>(&self, runtime: &Runtime<H>, state: &mut State<M>, deadline: TimestampMs) {
        if state.alarm.is_none_or(|alarm| deadline < alarm) {
            runtime.alarms().set(self.id(), state.alarm, deadline);
            state.alarm = Some(deadline);
        }
    }
}

impl<M: Machine> State<M> {
    fn ended(&mut self, end: &TransactionEnd) -> Result<(), ErrorCode> {
        let Phase::Active(machine) = &mut self.phase else { return Err(ErrorCode::NOT_COORDINATOR) };
        let replayed = Replayed::Ended { producer: end.producer, committed: end.commit };
        machine.replay(replayed).map_err(|bad| {
            tracing::error!(%bad, "a machine does not understand the end of a transaction");
            ErrorCode::UNKNOWN_SERVER_ERROR
        })
    }

    /// Answers now, or when everything appended so far is committed.
    fn give(&mut self, answer: Answer<M>, reply: M::Reply) {
        match self.held.back_mut() {
            Some(held) => {
                held.replies.push((answer, reply));
                self.replies_held += 1;
            }
            None => {
                // The client may have gone.
                let _ = answer.send(Ok(reply));
            }
        }
    }

    /// Nobody who waits will have an answer of this machine.
    fn fail(&mut self, code: ErrorCode) {
        let held = self.held.drain(..).flat_map(|held| held.replies).map(|(answer, _)| answer);
        for answer in held.chain(self.waiting.drain().map(|(_, answer)| answer)) {
            let _ = answer.send(Err(code));
        }
        self.replies_held = 0;
        self.releasing = false;
    }

    fn back_off(&mut self) -> Duration {
        let wait = AGAIN_FIRST.saturating_mul(1 << self.failures.min(10)).min(AGAIN_AT_MOST);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}
