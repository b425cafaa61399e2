//! Which transactions a cleaning passes, and which of their batches may go.
//!
//! Records of aborted transactions go at once. A marker may go only when no batch of its transaction was met any more,
//! so that no reader sees records without their end; and the entry of an aborted transaction stays in the index as
//! long as there was a batch of it (`CleanedTransactionMetadata`).

use crate::model::{Offset, ProducerId};
use crate::record::BatchHeader;
use crate::record::build::Marker;
use crate::storage::log::AbortedTransaction;
use std::collections::{BTreeMap, BTreeSet};

/// The transactions met so far, from the first segment on.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// Aborted ones whose first batch has not been reached, by that batch.
    ahead: BTreeMap<(Offset, ProducerId), AbortedTransaction>,
    aborted: BTreeMap<ProducerId, Aborted>,
    committed: BTreeSet<ProducerId>,
}

#[derive(Debug)]
struct Aborted {
    entry: AbortedTransaction,
    /// A batch of it was met.
    met: bool,
}

/// What becomes of a control batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Nothing of its transaction was left: it may go once its time has come.
    pub discard: bool,
    /// An aborted transaction whose entry the new segment's index has to have.
    pub entry: Option<AbortedTransaction>,
}

impl Transactions {
    /// Aborted transactions of the next segment; those that were told before may be among them.
    pub(super) fn aborted(&mut self, entries: impl IntoIterator<Item = AbortedTransaction>) {
        self.ahead.extend(entries.into_iter().map(|entry| ((entry.first, entry.producer_id), entry)));
    }

    /// A batch of data. True: it belongs to an aborted transaction, and goes.
    pub(super) fn data(&mut self, batch: &BatchHeader) -> bool {
        self.reach(batch.last_offset());
        if !batch.attributes.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&batch.producer_id) {
            Some(aborted) => {
                aborted.met = true;
                true
            }
            None => {
                self.committed.insert(batch.producer_id);
                false
            }
        }
    }

    /// A control batch. `marker`: what its record says; `None`: it has no record any more.
    pub(super) fn control(&mut self, batch: &BatchHeader, marker: Option<Control>) -> Ended {
        self.reach(batch.last_offset());
        match marker {
            None => Ended { discard: true, entry: None },
            Some(Control::Other) => Ended { discard: false, entry: None },
            Some(Control::End(Marker::Commit)) => {
                Ended { discard: !self.committed.remove(&batch.producer_id), entry: None }
            }
            Some(Control::End(Marker::Abort)) => {
                let ended = self.aborted.remove(&batch.producer_id).filter(|aborted| aborted.met);
                Ended { discard: ended.is_none(), entry: ended.map(|aborted| aborted.entry) }
            }
        }
    }

    fn reach(&mut self, offset: Offset) {
        while let Some(next) = self.ahead.first_entry().filter(|next| next.key().0 <= offset) {
            let entry = next.remove();
            self.aborted.entry(entry.producer_id).or_insert(Aborted { entry, met: false });
        }
    }
}

/// The record of a control batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    End(Marker),
    /// Of another kind, which is not for us to judge.
    Other,
}
