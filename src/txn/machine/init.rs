//! InitProducerId: a producer with a transactional id comes to be, comes again, or recovers
//! (`TransactionCoordinator.prepareInitProducerIdTransit`).

use super::{Env, Out, Transaction, Transactions, is_exhausted};
use crate::model::{ErrorCode, ProducerEpoch, ProducerId, TimestampMs};
use crate::txn::record::{Partitions, State, Value};
use crate::txn::request::{Init, Producer, Reply};

impl Transactions {
    pub(super) fn init(&mut self, env: &Env, init: &Init, out: &mut Out) -> Reply {
        let refused = |code| Reply::Init(Err(code));
        if init.id.is_empty() {
            return refused(ErrorCode::INVALID_REQUEST);
        }
        if init.timeout_ms <= 0 || i64::from(init.timeout_ms) > env.timeout_max_ms {
            return refused(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
        }
        let Some(known) = self.all.get(&init.id) else {
            // Whatever id and epoch the producer remembers, nobody else does: it begins anew.
            let Some(fresh) = init.fresh else { return Reply::NeedsProducer };
            let new = new(fresh, init.timeout_ms, env.now);
            return self.initialized(env, out, init, new);
        };
        if known.is_decided() {
            return refused(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        if init.expected.is_some_and(|expected| !may_be(known, expected)) {
            return refused(ErrorCode::PRODUCER_FENCED);
        }
        if known.value.state == State::Ongoing {
            // The producer comes again once it is aborted, and then gets an epoch of its own.
            return match self.fence(env, &init.id, init.fresh, out) {
                None => Reply::NeedsProducer,
                Some(ErrorCode::NONE) => refused(ErrorCode::CONCURRENT_TRANSACTIONS),
                Some(error) => refused(error),
            };
        }
        let next = if known.is_exhausted() && init.expected.is_none_or(|(_, epoch)| epoch == known.value.epoch) {
            let Some(fresh) = init.fresh else { return Reply::NeedsProducer };
            Ok(known.rotated(fresh, init.expected.is_some()))
        } else {
            known.bumped(init.expected.map(|(_, epoch)| epoch))
        };
        match next {
            Ok(next) => {
                let next = next.without_transaction(init.timeout_ms, env.now);
                self.initialized(env, out, init, next)
            }
            Err(error) => refused(error),
        }
    }

    fn initialized(&mut self, env: &Env, out: &mut Out, init: &Init, to: Transaction) -> Reply {
        let producer = to.producer();
        self.commit(env, out, &init.id, to);
        Reply::Init(Ok(producer))
    }
}

/// Can a producer that remembers this be the one that is known: it has its id, or it had the one before and did not hear
/// that its epochs were used up. (Its epoch is looked at when it is raised.)
fn may_be(known: &Transaction, (id, epoch): Producer) -> bool {
    id == known.value.producer || (id == known.value.previous && is_exhausted(epoch))
}

fn new(producer: ProducerId, timeout_ms: i32, now: TimestampMs) -> Transaction {
    let value = Value {
        producer,
        previous: producer,
        next: ProducerId::NONE,
        epoch: ProducerEpoch(0),
        timeout_ms,
        state: State::Empty,
        partitions: Partitions::new(),
        updated: now,
        started: TimestampMs::NONE,
        version: 0,
    };
    Transaction { value, last_epoch: ProducerEpoch::NONE }
}

impl Transaction {
    /// The epochs of the id are used up: another id.
    fn rotated(&self, fresh: ProducerId, recovers: bool) -> Transaction {
        let mut next = self.clone();
        next.value.previous = self.value.producer;
        next.value.producer = fresh;
        next.value.epoch = ProducerEpoch(0);
        next.last_epoch = if recovers { self.value.epoch } else { ProducerEpoch::NONE };
        next
    }

    /// The next epoch, or, to a producer that recovers and did not hear of it, the one it was given.
    fn bumped(&self, expected: Option<ProducerEpoch>) -> Result<Transaction, ErrorCode> {
        if self.is_exhausted() {
            // A producer that recovers from an epoch which is neither this one nor, as far as can be told, older.
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        let mut next = self.clone();
        next.value.previous = self.value.producer;
        match expected {
            Some(epoch) if epoch != self.value.epoch => {
                if epoch != self.last_epoch {
                    return Err(ErrorCode::PRODUCER_FENCED);
                }
            }
            expected => {
                next.last_epoch = expected.unwrap_or(ProducerEpoch::NONE);
                next.value.epoch = ProducerEpoch(self.value.epoch.0 + 1);
            }
        }
        Ok(next)
    }

    fn without_transaction(mut self, timeout_ms: i32, now: TimestampMs) -> Transaction {
        self.value.state = State::Empty;
        self.value.timeout_ms = timeout_ms;
        self.value.partitions = Partitions::new();
        self.value.started = TimestampMs::NONE;
        self.value.updated = now;
        self
    }
}
