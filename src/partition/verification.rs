//! The first batch of a transaction in a partition (KIP-890).
//!
//! Such a batch may be appended only while its transaction's coordinator knows that the partition is part of it: else
//! nobody would ever end it, and the last stable offset would stand still for ever. A [`Verification`] is taken before the
//! coordinator is asked and given to the append after. If the end of the transaction has come to the partition between the
//! two, the verification is void. (Kafka's `VerificationGuard`.)
//!
//! Once a transaction is open here its further batches need nothing: the coordinator knows, and its end is still to come.
//!
//! A producer has several batches on their way. If the first one's verification fails in a way that is worth another try, the
//! next one must not be appended before it: where nothing is known of the producer any sequence may begin, and the first
//! one would be out of order for ever. So the lowest sequence that wanted to begin is kept until something is appended, and
//! what is higher is refused (Kafka's `VerificationStateEntry`).

use super::append::{Acks, Outcome};
use super::state::{Partition, Slot, State};
use crate::model::{ErrorCode, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use crate::record::Batch;
use crate::rt::clock;
use crate::storage::{Origin, ProducerView};
use std::collections::HashMap;
use std::slice;
use std::sync::Arc;

/// The verifications of a partition that are under way: by producer, which one it is and how many hold it.
#[derive(Debug, Default)]
pub(super) struct Verifying {
    under_way: HashMap<ProducerId, (u64, usize)>,
    last: u64,
    lowest: HashMap<ProducerId, Lowest>,
}

/// Past this many, those of producers that are forgotten anyway go first.
const LOWEST_KEPT: usize = 1024;

/// What first wanted to be appended of a producer's transaction.
#[derive(Debug)]
struct Lowest {
    epoch: ProducerEpoch,
    sequence: Sequence,
    /// See [`First::bumps`].
    bumps: bool,
    since: TimestampMs,
}

/// The batch that a verification is for.
#[derive(Clone, Copy, Debug)]
pub struct First {
    pub sequence: Sequence,
    /// The producer has an epoch for each transaction.
    pub bumps: bool,
}

impl Verifying {
    /// An end of the producer's transaction has come.
    pub(super) fn ended(&mut self, (producer, epoch): (ProducerId, ProducerEpoch)) {
        self.under_way.remove(&producer);
        // With an epoch for each transaction the end carries that of the next one, which may be under way already.
        if self.lowest.get(&producer).is_some_and(|lowest| !(lowest.bumps && lowest.epoch == epoch)) {
            self.lowest.remove(&producer);
        }
    }

    fn wants(&mut self, (id, epoch): (ProducerId, ProducerEpoch), first: First, now: TimestampMs, expiry_ms: i64) {
        if self.lowest.len() >= LOWEST_KEPT {
            self.lowest.retain(|_, lowest| now.0 - lowest.since.0 < expiry_ms);
        }
        let new = Lowest { epoch, sequence: first.sequence, bumps: first.bumps, since: now };
        let lowest = self.lowest.entry(id).or_insert(new);
        if epoch > lowest.epoch || epoch == lowest.epoch && first.sequence.0 < lowest.sequence.0 {
            (lowest.epoch, lowest.sequence) = (epoch, first.sequence);
        }
    }

    /// Another leader takes the producers' batches, and their transactions' ends, from here on: what was asked and seen
    /// before says nothing about what may follow them. (Kafka forgets with each batch and end that it replicates.)
    pub(super) fn forget(&mut self) {
        self.under_way.clear();
        self.lowest.clear();
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
    /// What to ask the coordinator with, or `None`: the producer's transaction is open here. `first` is the batch that it is
    /// for; `None`: something that has no sequence.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` if a newer instance of the producer has written here, else as [`Partition::positions`].
    pub fn begin_verification(
        self: &Arc<Self>,
        (id, epoch): (ProducerId, ProducerEpoch),
        first: Option<First>,
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
        // Somebody who does not lead remembers nothing: it would stand against what follows once it leads.
        state.leader()?;
        let verifying = &mut state.verifying;
        if let Some(first) = first {
            verifying.wants((id, epoch), first, clock::now_ms(), self.producer_expiry_ms);
        }
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
            // What was appended before is a duplicate, and answered as one.
            Some(known) if known.epoch == producer.1 && sequence.0 <= known.last_sequence.0 => Ok(()),
            _ => match state.verifying.lowest.get(&producer.0) {
                Some(lowest) if sequence.0 > lowest.sequence.0 => Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
                _ => Ok(()),
            },
        });
        if let Err(error) = checked {
            let log_start = if let Slot::Open(log) = &state.log { log.log_start() } else { Offset::NONE };
            return Outcome::Failed { error, log_start };
        }
        let outcome = self.append_locked(&mut state, Origin::Client, slice::from_mut(batch), acks, now).pop();
        // A duplicate begins no transaction, and so leaves the memory as it is, as in Kafka.
        if let Some(Outcome::Done(appended) | Outcome::Waits(appended, _)) = &outcome
            && !appended.duplicate
        {
            state.verifying.lowest.remove(&producer.0);
        }
        outcome.unwrap_or(Outcome::Failed { error: ErrorCode::UNKNOWN_SERVER_ERROR, log_start: Offset::NONE })
    }

    fn verified(
        &self,
        state: &mut parking_lot::MutexGuard<'_, State>,
        (id, epoch): (ProducerId, ProducerEpoch),
        verified: Verified<'_>,
    ) -> Result<Option<ProducerView>, ErrorCode> {
        // Before anything else: who led when it was asked and leads no more has forgotten it, and the client is to ask elsewhere.
        state.leader()?;
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
