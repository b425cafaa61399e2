//! AddPartitionsToTxn and AddOffsetsToTxn: partitions join a transaction, or are asked after
//! (`handleAddPartitionsToTransaction`, `handleVerifyPartitionsInTransaction`).

use super::{Env, Out, Transaction, Transactions, contains};
use crate::model::{ErrorCode, TransactionalId};
use crate::txn::record::State;
use crate::txn::request::{Add, Producer, Verify};

impl Transactions {
    pub(super) fn add(&mut self, env: &Env, add: &Add, out: &mut Out) -> ErrorCode {
        let known = match self.of(&add.id) {
            Ok(known) => known,
            Err(error) => return error,
        };
        // Before the producer is looked at: it may use the id that it goes on with, which is not the transaction's yet.
        if known.is_decided() {
            return ErrorCode::CONCURRENT_TRANSACTIONS;
        }
        if let Err(error) = known.is_of(add.producer) {
            return error;
        }
        let begins = known.value.state != State::Ongoing;
        if !begins && add.partitions.iter().all(|partition| contains(&known.value.partitions, partition)) {
            return ErrorCode::NONE;
        }
        let mut next = known.to(State::Ongoing, env.now);
        if begins {
            next.value.started = env.now;
        }
        next.value.version = add.version;
        for (topic, partition) in &add.partitions {
            next.value.partitions.entry(topic.clone()).or_default().insert(*partition);
        }
        self.commit(env, out, &add.id, next);
        ErrorCode::NONE
    }

    pub(super) fn verify(&self, verify: &Verify) -> Result<Vec<ErrorCode>, ErrorCode> {
        let known = self.of(&verify.id)?;
        known.is_of(verify.producer)?;
        if known.is_decided() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        let of = |partition| match contains(&known.value.partitions, partition) {
            true => ErrorCode::NONE,
            false => ErrorCode::TRANSACTION_ABORTABLE,
        };
        Ok(verify.partitions.iter().map(of).collect())
    }

    pub(super) fn of(&self, id: &TransactionalId) -> Result<&Transaction, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        self.all.get(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
    }
}

impl Transaction {
    fn is_of(&self, (id, epoch): Producer) -> Result<(), ErrorCode> {
        if id != self.value.producer {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if epoch != self.value.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        Ok(())
    }
}
