//! The machine of one partition of `__transaction_state`: all transactional ids that hash to it.
//!
//! Requests and deadlines come in, records and replies go out; [`Transactions::set`] is the one place where anything
//! changes, and replay uses it too. The one thing a record does not carry is the epoch before the last change, by which a
//! retry is known: a coordinator that has moved knows only the retries that its record shows, as in Kafka.
//!
//! Kafka keeps apart what is written and what is being written, and answers CONCURRENT_TRANSACTIONS while there is such a
//! difference. Here the runtime holds every answer back until what it depends on is committed, so a request is judged by
//! what the one before it has written. What remains of it: a transaction that is decided and not complete is concurrent
//! to everything.
//!
//! What is decided is told to partitions by whoever hosts the machine: [`Task::Settle`], once the decision is committed.

mod add;
mod end;
mod init;
mod time;
mod view;

use super::record::{Partitions, Record, State, Value};
use super::request::{Reply, Request};
use crate::coordinator::{BadRecord, Effects, Input, Machine, Replayed, Ticket, Timers};
use crate::metadata::Delta;
use crate::model::{PartitionId, ProducerEpoch, ProducerId, TimestampMs, TopicName, TransactionalId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// From this `transaction.version` on every transaction has an epoch of its own (KIP-890).
pub const EPOCH_PER_TRANSACTION: i16 = 2;

/// Who would wait when so many do is answered at once. (What cannot be settled must not keep others from being heard.)
const WAITING_MAX: usize = 10_000;

/// What the machine sees of the outside at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Env {
    pub now: TimestampMs,
    /// The cluster's `transaction.version`.
    pub version: i16,
    /// `transaction.max.timeout.ms`
    pub timeout_max_ms: i64,
    /// `transactional.id.expiration.ms`
    pub id_expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub abort_every_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub expire_every_ms: i64,
}

/// What is to be done once the records of a step are committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// The end of a transaction is due: ask [`Request::Due`], write it, say [`Request::Written`].
    Settle(TransactionalId),
    /// The time of a transaction is up, and aborting it takes a producer id: come with [`Request::TimedOut`].
    TimedOut(TransactionalId, (ProducerId, ProducerEpoch)),
}

/// What the effects of a step are collected in.
pub type Out = Effects<Reply, Task>;

/// What is known of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transaction {
    value: Value,
    /// The producer's epoch before the last change of it that the producer was told of; `NONE` if there was none.
    last_epoch: ProducerEpoch,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scan {
    /// Transactions whose time is up.
    TimedOut,
    /// Transactional ids that nobody uses.
    Unused,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Transactions {
    all: BTreeMap<TransactionalId, Transaction>,
    /// When the time of each ongoing transaction is up.
    timeouts: Timers<TransactionalId>,
    scans: Timers<Scan>,
    /// Who waits until a decided transaction is complete.
    settling: BTreeMap<TransactionalId, Vec<Ticket>>,
    /// How many those are.
    waiting: usize,
}

impl Transactions {
    /// Changes what is known of an id, and has it written.
    fn commit(&mut self, env: &Env, out: &mut Out, id: &TransactionalId, transaction: Transaction) {
        let record = Record { id: id.clone(), value: Some(transaction.value.clone()) };
        out.records.push(record.encode(env.version));
        self.set(id, Some(transaction));
    }

    /// See the module.
    fn set(&mut self, id: &TransactionalId, transaction: Option<Transaction>) {
        self.timeouts.disarm(id);
        match transaction {
            Some(transaction) => {
                let value = &transaction.value;
                // The largest timeout is that of two-phase commit: none.
                if value.state == State::Ongoing && value.timeout_ms != i32::MAX {
                    self.timeouts.arm(id.clone(), value.started.plus(i64::from(value.timeout_ms).saturating_add(1)));
                }
                self.all.insert(id.clone(), transaction);
            }
            None => {
                self.all.remove(id);
            }
        }
    }

    fn request(&mut self, env: &Env, ticket: Ticket, request: Request, out: &mut Out) {
        let reply = match request {
            Request::Init(init) => self.init(env, &init, out),
            Request::Add(add) => Reply::Add(self.add(env, &add, out)),
            Request::Verify(verify) => Reply::Verify(self.verify(&verify)),
            Request::End(end) => self.end(env, &end, out),
            Request::TimedOut { id, producer, fresh } => {
                Reply::TimedOut(self.abort_timed_out(env, &id, producer, Some(fresh), out))
            }
            Request::Due(id) => Reply::Due(self.due(&id)),
            Request::Written { id, producer } => Reply::Written(self.written(env, &id, producer, out)),
            Request::Settled(id) => {
                if self.is_decided(&id) && self.waiting < WAITING_MAX {
                    self.waiting += 1;
                    self.settling.entry(id).or_default().push(ticket);
                    return;
                }
                Reply::Settled
            }
            Request::Describe(id) => Reply::Describe(self.describe(&id)),
            Request::List(list) => Reply::List(self.list(env, &list)),
        };
        out.reply(ticket, reply);
    }

    fn is_decided(&self, id: &TransactionalId) -> bool {
        self.all.get(id).is_some_and(Transaction::is_decided)
    }
}

impl Transaction {
    fn producer(&self) -> (ProducerId, ProducerEpoch) {
        (self.value.producer, self.value.epoch)
    }

    /// Decided and not complete.
    fn is_decided(&self) -> bool {
        matches!(self.value.state, State::PrepareCommit | State::PrepareAbort)
    }

    /// No epoch is left that a client may have: the last is kept so that a producer can always be fenced.
    fn is_exhausted(&self) -> bool {
        is_exhausted(self.value.epoch)
    }

    /// A change that leaves things as they are but for the state and the time.
    fn to(&self, state: State, now: TimestampMs) -> Transaction {
        let mut next = self.clone();
        next.value.previous = self.value.producer;
        next.value.state = state;
        next.value.updated = now;
        next
    }
}

fn is_exhausted(epoch: ProducerEpoch) -> bool {
    epoch.0 >= i16::MAX - 1
}

fn contains(partitions: &Partitions, (topic, partition): &(TopicName, PartitionId)) -> bool {
    partitions.get(topic).is_some_and(|numbers| numbers.contains(partition))
}

impl Machine for Transactions {
    type Request = Request;
    type Reply = Reply;
    type Task = Task;
    type Env = Env;
    type Change = Arc<Delta>;

    fn step(&mut self, env: &Env, input: Input<Request, Arc<Delta>>, out: &mut Out) {
        match input {
            Input::Request(ticket, request) => self.request(env, ticket, request, out),
            Input::Tick => self.tick(env, out),
            Input::Loaded => self.loaded(env, out),
            // What a transaction needs of the metadata is looked at by whoever tells the partitions.
            Input::Changed(_) => {}
        }
    }

    fn replay(&mut self, record: Replayed<'_>) -> Result<(), BadRecord> {
        match record {
            Replayed::Record { key, value, .. } => {
                let Record { id, value } = Record::decode(key, value)?;
                self.set(&id, value.map(|value| Transaction { value, last_epoch: ProducerEpoch::NONE }));
                Ok(())
            }
            // Nobody writes transactions into this log.
            Replayed::Ended { .. } => Ok(()),
        }
    }

    fn next_deadline(&self) -> Option<TimestampMs> {
        self.deadline()
    }
}

#[cfg(test)]
mod tests;
