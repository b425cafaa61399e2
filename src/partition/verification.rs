//! The first batch of a transaction in a partition (KIP-890).
//!
//! Such a batch may be appended only while its transaction's coordinator knows that the partition is part of it: else
//! nobody would ever end it, and the last stable offset would stand still for ever. A [`Verification`] is taken before the
//! coordinator is asked and given to the append after. If the end of the transaction has come to the partition between the
//! two, the verification is void. (Kafka's `VerificationGuard`.)
//!
//! Once a transaction is open here its further batches need nothing: the coordinator knows, and its end is still to come.

use super::append::{Acks, Outcome};
use super::state::{Partition, Slot, State};
use crate::model::{ErrorCode, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use crate::record::Batch;
use crate::storage::{Origin, ProducerView};
use std::collections::HashMap;
use std::slice;
use std::sync::Arc;

/// The verifications of a partition that are under way: by producer, which one it is and how many hold it.
#[derive(Debug, Default)]
pub(super) struct Verifying {
    under_way: HashMap<ProducerId, (u64, usize)>,
    last: u64,
}

impl Verifying {
    /// An end of the producer's transaction has come.
    pub(super) fn ended(&mut self, producer: ProducerId) {
        self.under_way.remove(&producer);
    }

    fn holds(&self, producer: ProducerId, number: u64) -> bool {
        self.under_way.get(&producer).is_some_and(|(is, _)| *is == number)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Verification {
    partition: Arc<Partition>,
    producer: ProducerId,
    number: u64,
}

impl Drop for Verification {
    fn drop(&mut self) {
        let mut state = self.partition.state.lock();
        let under_way = &mut state.verifying.under_way;
        if let Some((number, holders)) = under_way.get_mut(&self.producer)
            && *number == self.number
        {
            *holders -= 1;
            if *holders == 0 {
                under_way.remove(&self.producer);
            }
        }
    }
}

/// What a batch of a transaction comes with.
#[derive(Clone, Copy, Debug)]
pub enum Verified<'a> {
    /// `transaction.partition.verification.enable` is off.
    NotNeeded,
    /// The transaction was open here, or the coordinator was not asked.
    No,
    Yes(&'a Verification),
}

impl Partition {
    /// What to ask the coordinator with, or `None`: the producer's transaction is open here.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` if a newer instance of the producer has written here, else as [`Partition::positions`].
    pub fn begin_verification(
        self: &Arc<Self>,
        (id, epoch): (ProducerId, ProducerEpoch),
    ) -> Result<Option<Verification>, ErrorCode> {
        let mut state = self.state.lock();
        if let Some(known) = self.producer(&mut state, id)? {
            if epoch < known.epoch {
                return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
            }
            if is_open(&known, epoch) {
                return Ok(None);
            }
        }
        let verifying = &mut state.verifying;
        let (number, holders) = verifying.under_way.entry(id).or_insert_with(|| {
            verifying.last += 1;
            (verifying.last, 0)
        });
        *holders += 1;
        Ok(Some(Verification { partition: Arc::clone(self), producer: id, number: *number }))
    }

    /// May something of the producer's transaction be appended now?
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` as in [`Partition::begin_verification`], `INVALID_TXN_STATE` if the coordinator was not
    /// asked, or the transaction has ended since.
    pub fn check_verified(
        &self,
        producer: (ProducerId, ProducerEpoch),
        verified: Verified<'_>,
    ) -> Result<(), ErrorCode> {
        self.verified(&mut self.state.lock(), producer, verified).map(|_| ())
    }

    /// As [`Partition::append`], for a batch of a transaction. `bumps`: the producer has an epoch for each transaction,
    /// so the first batch of one that is not known begins at 0.
    pub fn append_transactional(
        self: &Arc<Self>,
        batch: &mut Batch,
        verified: Verified<'_>,
        bumps: bool,
        acks: Acks,
        now: TimestampMs,
    ) -> Outcome {
        let header = batch.header();
        let (producer, sequence) = ((header.producer_id, header.producer_epoch), header.base_sequence);
        let mut state = self.state.lock();
        let checked = self.verified(&mut state, producer, verified).and_then(|known| match known {
            None if bumps && sequence != Sequence(0) => Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
            _ => Ok(()),
        });
        if let Err(error) = checked {
            let log_start = if let Slot::Open(log) = &state.log { log.log_start() } else { Offset::NONE };
            return Outcome::Failed { error, log_start };
        }
        let outcome = self.append_locked(&mut state, Origin::Client, slice::from_mut(batch), acks, now).pop();
        outcome.unwrap_or(Outcome::Failed { error: ErrorCode::UNKNOWN_SERVER_ERROR, log_start: Offset::NONE })
    }

    fn verified(
        &self,
        state: &mut parking_lot::MutexGuard<'_, State>,
        (id, epoch): (ProducerId, ProducerEpoch),
        verified: Verified<'_>,
    ) -> Result<Option<ProducerView>, ErrorCode> {
        let known = self.producer(state, id)?;
        if let Some(known) = &known {
            if epoch < known.epoch {
                return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
            }
            if is_open(known, epoch) {
                return Ok(Some(*known));
            }
        }
        let may = match verified {
            Verified::NotNeeded => true,
            Verified::No => false,
            Verified::Yes(by) => by.producer == id && state.verifying.holds(id, by.number),
        };
        if may { Ok(known) } else { Err(ErrorCode::INVALID_TXN_STATE) }
    }

    fn producer(
        &self,
        state: &mut parking_lot::MutexGuard<'_, State>,
        id: ProducerId,
    ) -> Result<Option<ProducerView>, ErrorCode> {
        let looked = self.opened(state)?.producer(id);
        looked.map_err(|error| self.storage_failed(state, &error))
    }
}

fn is_open(known: &ProducerView, epoch: ProducerEpoch) -> bool {
    known.txn_start.is_some() && known.epoch == epoch
}
