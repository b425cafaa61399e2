//! Batches of the log as a share partition sees them, and which of them belong to aborted transactions
//! (`SharePartition.fetchAbortedTransactionRecordBatches`).

use super::Span;
use crate::model::{Offset, ProducerId};
use std::collections::BTreeSet;

/// Who wrote a batch, if a producer with an id did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    pub id: ProducerId,
    pub transactional: bool,
    /// It ends a transaction.
    pub control: bool,
}

/// A batch of the log: its offsets, as its header has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBatch {
    pub span: Span,
    pub producer: Option<Producer>,
}

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    pub producer: ProducerId,
    /// Its first record.
    pub first: Offset,
}

/// The offsets of `batches` that belong to a transaction of `aborted`.
///
/// A marker of a producer whose transaction was aborted is the end of that transaction: the next one that is aborted has
/// a later first record.
#[must_use]
pub fn aborted_spans(batches: &[LogBatch], aborted: &[Aborted]) -> Vec<Span> {
    let mut ahead: Vec<Aborted> = aborted.to_vec();
    ahead.sort_by_key(|transaction| transaction.first);
    let mut ahead = ahead.into_iter().peekable();
    let mut open: BTreeSet<ProducerId> = BTreeSet::new();
    let mut spans = Vec::new();
    for batch in batches {
        let Some(producer) = batch.producer else { continue };
        while let Some(begun) = ahead.next_if(|transaction| transaction.first <= batch.span.last) {
            open.insert(begun.producer);
        }
        if producer.control {
            open.remove(&producer.id);
        } else if producer.transactional && open.contains(&producer.id) {
            spans.push(batch.span);
        }
    }
    spans
}
