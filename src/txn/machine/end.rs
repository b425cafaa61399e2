//! EndTxn: a transaction is decided, told to its partitions, and complete (`TransactionCoordinator.endTransaction`).
//!
//! `transaction.version` 2 gives every transaction an epoch of its own, so the epoch tells whether a request is a retry:
//! it is one if it comes with the epoch before. Below, a retry can only be guessed from the state.

use super::{EPOCH_PER_TRANSACTION, Env, Out, Task, Transaction, Transactions};
use crate::model::{ErrorCode, ProducerEpoch, ProducerId, TimestampMs, TransactionalId};
use crate::txn::record::{Partitions, State};
use crate::txn::request::{Due, End, Producer, Reply};

/// What an EndTxn that is in order comes to.
enum Verdict {
    /// The transaction is to be decided.
    Decide,
    /// A retry of what has been done.
    Done,
}

impl Transactions {
    pub(super) fn end(&mut self, env: &Env, end: &End, out: &mut Out) -> Reply {
        let refused = |code| Reply::End(Err(code));
        let known = match self.of(&end.id) {
            Ok(known) => known,
            Err(error) => return refused(error),
        };
        let bumps = end.version >= EPOCH_PER_TRANSACTION;
        let judged = if bumps { known.judge(end) } else { known.judge_v1(end) };
        let next = match judged {
            Err(error) => return refused(error),
            Ok(Verdict::Done) => return Reply::End(Ok(bumps.then(|| known.producer()))),
            Ok(Verdict::Decide) if bumps => {
                match known.ended_with_new_epoch(end.commit, end.version, end.fresh, env.now) {
                    None => return Reply::NeedsProducer,
                    Some(Err(error)) => return refused(error),
                    Some(Ok(next)) => next,
                }
            }
            Ok(Verdict::Decide) => known.ended(end.commit, env.now),
        };
        let goes_on = bumps.then(|| next.goes_on());
        self.decided(env, out, &end.id, next);
        Reply::End(Ok(goes_on))
    }

    /// Aborts an ongoing transaction from here, and keeps its producer out. `None`: that takes a producer id.
    pub(super) fn fence(
        &mut self,
        env: &Env,
        id: &TransactionalId,
        fresh: Option<ProducerId>,
        out: &mut Out,
    ) -> Option<ErrorCode> {
        let Some(known) = self.all.get(id) else { return Some(ErrorCode::INVALID_PRODUCER_ID_MAPPING) };
        let next = if env.version >= EPOCH_PER_TRANSACTION {
            match known.ended_with_new_epoch(false, env.version, fresh, env.now)? {
                Ok(next) => next,
                Err(error) => return Some(error),
            }
        } else {
            let mut next = known.ended(false, env.now);
            next.value.epoch = ProducerEpoch(known.value.epoch.0.saturating_add(1));
            next.last_epoch = ProducerEpoch::NONE;
            next
        };
        self.decided(env, out, id, next);
        Some(ErrorCode::NONE)
    }

    fn decided(&mut self, env: &Env, out: &mut Out, id: &TransactionalId, to: Transaction) {
        let nobody_to_tell = to.value.partitions.is_empty();
        let complete = to.completed(env.now);
        self.commit(env, out, id, to);
        if nobody_to_tell {
            self.commit(env, out, id, complete);
        } else {
            out.then.push(Task::Settle(id.clone()));
        }
    }

    pub(super) fn due(&self, id: &TransactionalId) -> Option<Due> {
        let known = self.all.get(id).filter(|known| known.is_decided())?;
        Some(Due {
            producer: known.producer(),
            commit: known.value.state == State::PrepareCommit,
            partitions: known.value.partitions.clone(),
            version: known.value.version,
        })
    }

    pub(super) fn written(&mut self, env: &Env, id: &TransactionalId, producer: Producer, out: &mut Out) -> ErrorCode {
        let Some(known) = self.all.get(id).filter(|known| known.is_decided() && known.producer() == producer) else {
            return ErrorCode::INVALID_TXN_STATE;
        };
        let complete = known.completed(env.now);
        self.commit(env, out, id, complete);
        for waiting in self.settling.remove(id).unwrap_or_default() {
            self.waiting -= 1;
            out.reply(waiting, Reply::Settled);
        }
        ErrorCode::NONE
    }
}

impl Transaction {
    /// Below version 2: the epoch is the producer's, and what it has is what it had.
    fn judge_v1(&self, end: &End) -> Result<Verdict, ErrorCode> {
        let (id, epoch) = end.producer;
        if id != self.value.producer {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if epoch != self.value.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.value.state {
            // Whatever it asks for. Kafka has a refusal for what contradicts the decision, but is always about to
            // complete the transaction when it would give it.
            State::PrepareCommit | State::PrepareAbort => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Ongoing => Ok(Verdict::Decide),
            State::CompleteCommit if end.commit => Ok(Verdict::Done),
            State::CompleteAbort if !end.commit => Ok(Verdict::Done),
            State::Empty | State::CompleteCommit | State::CompleteAbort => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    fn judge(&self, end: &End) -> Result<Verdict, ErrorCode> {
        // First: the producer may come with the id that it goes on with, which is not the transaction's yet.
        if self.is_decided() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        let (id, epoch) = end.producer;
        let is_current = epoch == self.value.epoch;
        let bumped = i32::from(epoch.0) + 1 == i32::from(self.value.epoch.0);
        let rotated = id == self.value.previous && epoch.0 == i16::MAX - 1 && self.value.epoch.0 == 0;
        let is_retry = bumped || rotated;
        if id != self.value.producer && !rotated {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        let may_retry = matches!(self.value.state, State::CompleteCommit | State::CompleteAbort);
        let is_known = is_current || (may_retry && is_retry);
        if !is_known {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match (self.value.state, end.commit) {
            (State::Ongoing, _) => Ok(Verdict::Decide),
            (State::CompleteCommit, true) | (State::CompleteAbort, false) if is_retry => Ok(Verdict::Done),
            // A client that does not know whether anything was begun may abort it.
            (State::Empty | State::CompleteCommit | State::CompleteAbort, false) if !is_retry => Ok(Verdict::Decide),
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    fn ended(&self, commit: bool, now: TimestampMs) -> Transaction {
        let mut next = self.to(if commit { State::PrepareCommit } else { State::PrepareAbort }, now);
        next.value.next = ProducerId::NONE;
        next.value.version = 0;
        next
    }

    /// `None`: a producer id is needed, since this takes the last epoch.
    fn ended_with_new_epoch(
        &self,
        commit: bool,
        version: i16,
        fresh: Option<ProducerId>,
        now: TimestampMs,
    ) -> Option<Result<Transaction, ErrorCode>> {
        let fresh = if self.is_exhausted() { fresh? } else { ProducerId::NONE };
        let mut next = self.to(if commit { State::PrepareCommit } else { State::PrepareAbort }, now);
        next.last_epoch = self.value.epoch;
        match self.value.epoch.0.checked_add(1) {
            Some(epoch) => next.value.epoch = ProducerEpoch(epoch),
            // No client was ever given this epoch, but aborting helps whoever has it.
            None if commit => return Some(Err(ErrorCode::UNKNOWN_SERVER_ERROR)),
            None => {}
        }
        if self.value.state != State::Ongoing {
            // Nothing was begun. A transaction that ends has a beginning all the same.
            next.value.started = now;
        }
        next.value.next = fresh;
        next.value.version = version;
        Some(Ok(next))
    }

    /// What the producer has once the decided transaction is complete.
    fn goes_on(&self) -> Producer {
        if self.value.version >= EPOCH_PER_TRANSACTION && self.value.next.is_some() {
            (self.value.next, ProducerEpoch(0))
        } else {
            self.producer()
        }
    }

    fn completed(&self, now: TimestampMs) -> Transaction {
        let commits = self.value.state == State::PrepareCommit;
        let mut next = self.to(if commits { State::CompleteCommit } else { State::CompleteAbort }, now);
        (next.value.producer, next.value.epoch) = self.goes_on();
        next.value.next = ProducerId::NONE;
        next.value.partitions = Partitions::new();
        next
    }
}
