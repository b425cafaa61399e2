//! Batches of transactions, on their way into their partitions.
//!
//! Once a producer's transaction is open in a partition, its batches are like any other. The first one has to be admitted:
//! the transaction's coordinator is asked whether the partition belongs to it, or, since v12, told that it does
//! (`ReplicaManager.handleProduceAppend`, KIP-890). On one broker the coordinator answers at once, and the request is placed
//! with the others of its wake-up. Where it does not, nothing of the connection is placed before the request is answered.

use super::{Entry, Named, Placed, Placer};
use crate::api::Context;
use crate::model::{ErrorCode, PartitionId, TimestampMs, TopicName, TransactionalId};
use crate::partition::{Acks, First, Outcome, Partition, Verification, Verified};
use crate::record::Batch;
use crate::txn::Joining;
use crate::txn::request::Producer;
use crate::wire::produce::PartitionResponse;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};

/// From this version on what is written joins the transaction.
const JOINS: i16 = 12;
/// From this version on TRANSACTION_ABORTABLE is known.
const ABORTABLE: i16 = 11;

/// What the batch of a transaction comes with.
#[derive(Debug)]
pub(super) struct Transactional {
    verification: Option<Verification>,
    needed: bool,
    joins: bool,
}

/// What the coordinator of a transaction is asked: about the partitions of which entries.
struct Question {
    id: TransactionalId,
    producer: Producer,
    partitions: Vec<(TopicName, PartitionId)>,
    asked: Vec<usize>,
    joining: Joining,
}

/// A request that is being admitted.
pub(super) type Admission = Pin<Box<dyn Future<Output = Placer> + Send>>;

impl Transactional {
    pub(super) fn append(
        &self,
        partition: &Arc<Partition>,
        batch: &mut Batch,
        acks: Acks,
        now: TimestampMs,
    ) -> Outcome {
        let verified = match &self.verification {
            Some(verification) => Verified::Yes(verification),
            None if self.needed => Verified::No,
            None => Verified::NotNeeded,
        };
        partition.append_transactional(batch, verified, self.joins, acks, now)
    }
}

fn joining(version: i16) -> Joining {
    match version {
        JOINS.. => Joining::Joins,
        ABORTABLE.. => Joining::Asks,
        _ => Joining::AsksInOldWords,
    }
}

impl Placer {
    /// Admits the transactional batches of the request that was added last, whose entries begin at `from`. Answers the
    /// request if that takes time: it is not in the placer any more.
    pub(super) fn admit(&mut self, ctx: &Arc<Context>, id: Option<&str>, from: usize) -> Option<Admission> {
        if !self.entries.get(from..).unwrap_or_default().iter().any(Entry::is_transactional) {
            return None;
        }
        let question = self.question(ctx, id, from);
        let Some(question) = question else {
            self.entries.retain(|entry| entry.batch.is_some());
            return None;
        };
        let mut alone = Placer { requests: vec![self.requests.pop()?], entries: self.entries.split_off(from) };
        alone.entries.iter_mut().for_each(|entry| entry.request = 0);
        let ctx = Arc::clone(ctx);
        let mut admission: Admission = Box::pin(async move {
            let Question { id, producer, partitions, asked, joining } = question;
            let answers = ctx.transactions.join(id, producer, partitions, joining).await;
            for (at, answer) in asked.into_iter().zip(answers) {
                if answer.is_err() {
                    let (error, message) = for_producers(answer, joining == Joining::Joins);
                    alone.refuse(&ctx, at - from, error, message);
                }
            }
            alone.entries.retain(|entry| entry.batch.is_some());
            alone
        });
        match admission.as_mut().poll(&mut task::Context::from_waker(Waker::noop())) {
            Poll::Ready(alone) => {
                self.absorb(alone);
                None
            }
            Poll::Pending => Some(admission),
        }
    }

    fn absorb(&mut self, alone: Placer) {
        let request = self.requests.len();
        self.requests.extend(alone.requests);
        self.entries.extend(alone.entries.into_iter().map(|entry| Entry { request, ..entry }));
    }

    /// What has to be asked before the entries from `from` on may be appended. Those that may not, whatever the answer,
    /// are refused.
    fn question(&mut self, ctx: &Context, id: Option<&str>, from: usize) -> Option<Question> {
        let Some(id) = id else {
            self.refuse_transactional(ctx, from, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
            return None;
        };
        let mut producers = self.entries.get(from..)?.iter().filter_map(Entry::producer);
        let producer = producers.next()?;
        if producers.any(|other| other != producer) {
            self.refuse_transactional(ctx, from, ErrorCode::INVALID_PRODUCER_ID_MAPPING);
            return None;
        }
        let joining = joining(self.requests.last()?.version);
        let joins = joining == Joining::Joins;
        let needed = ctx.settings().transactions.verify_partitions;
        let (mut asked, mut partitions) = (Vec::new(), Vec::new());
        for at in from..self.entries.len() {
            let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.is_transactional()) else { continue };
            let first =
                entry.batch.as_ref().map(|batch| First { sequence: batch.header().base_sequence, bumps: joins });
            let begun = if joins || needed { entry.partition.begin_verification(producer, first) } else { Ok(None) };
            match begun {
                Ok(verification) => {
                    if verification.is_some() {
                        let name = entry.partition.name();
                        partitions.push((name.topic.clone(), name.partition));
                        asked.push(at);
                    }
                    entry.transactional = Some(Box::new(Transactional { verification, needed, joins }));
                }
                Err(error) => self.refuse(ctx, at, error, None),
            }
        }
        let id = TransactionalId::new(id);
        (!partitions.is_empty()).then_some(Question { id, producer, partitions, asked, joining })
    }

    fn refuse_transactional(&mut self, ctx: &Context, from: usize, error: ErrorCode) {
        for at in from..self.entries.len() {
            if self.entries.get(at).is_some_and(Entry::is_transactional) {
                self.refuse(ctx, at, error, None);
            }
        }
    }

    /// The entry is not appended, and this is its answer.
    fn refuse(&mut self, ctx: &Context, at: usize, error: ErrorCode, message: Option<String>) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        entry.batch = None;
        entry.partition.metrics().failed_produce_requests.inc();
        ctx.metrics.api(super::KEY).error(error);
        let placed = self.requests.get_mut(entry.request);
        if let Some(answer) = placed.and_then(|placed| placed.slot(entry.topic, entry.slot)) {
            *answer = PartitionResponse::failed(answer.partition, error);
            answer.error_message = message;
        }
    }
}

impl Placed {
    fn slot(&mut self, topic: usize, slot: usize) -> Option<&mut PartitionResponse> {
        self.topics.get_mut(topic).and_then(|(_, answers): &mut (Named, _)| answers.get_mut(slot))
    }
}

impl Entry {
    pub(super) fn is_transactional(&self) -> bool {
        self.batch.as_ref().is_some_and(|batch| batch.header().attributes.is_transactional())
    }

    fn producer(&self) -> Option<Producer> {
        let header = self.batch.as_ref()?.header();
        header.attributes.is_transactional().then_some((header.producer_id, header.producer_epoch))
    }
}

/// What the coordinator said, as producers understand it: those before v12 do not try again after every error after which
/// they could.
fn for_producers(error: ErrorCode, joins: bool) -> (ErrorCode, Option<String>) {
    match error {
        ErrorCode::INVALID_TXN_STATE => (error, Some("Partition was not added to the transaction".into())),
        ErrorCode::CONCURRENT_TRANSACTIONS if joins => (error, None),
        ErrorCode::NETWORK_EXCEPTION
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::CONCURRENT_TRANSACTIONS => {
            let text = "Unable to verify the partition has been added to the transaction. Underlying error: ";
            (ErrorCode::NOT_ENOUGH_REPLICAS, Some(format!("{text}{}", error.name())))
        }
        other => (other, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_old_producer_would_not_try_again_is_something_that_it_does() {
        let code = |error, joins| for_producers(error, joins).0;
        assert_eq!(code(ErrorCode::CONCURRENT_TRANSACTIONS, true), ErrorCode::CONCURRENT_TRANSACTIONS);
        assert_eq!(code(ErrorCode::CONCURRENT_TRANSACTIONS, false), ErrorCode::NOT_ENOUGH_REPLICAS);
        for error in [ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS] {
            assert_eq!(
                (code(error, true), code(error, false)),
                (ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::NOT_ENOUGH_REPLICAS)
            );
        }
        assert_eq!(code(ErrorCode::INVALID_PRODUCER_EPOCH, false), ErrorCode::INVALID_PRODUCER_EPOCH);
        assert_eq!(code(ErrorCode::TRANSACTION_ABORTABLE, true), ErrorCode::TRANSACTION_ABORTABLE);
    }

    #[test]
    fn the_version_says_how_a_partition_joins() {
        let all: Vec<Joining> = [3, 10, 11, 12, 13].map(joining).to_vec();
        let [old, asks, joins] = [Joining::AsksInOldWords, Joining::Asks, Joining::Joins];
        assert_eq!(all, [old, old, asks, joins, joins]);
    }
}
