//! This node's copy of the metadata: committed records in, images and deltas out.
//!
//! Records between BeginTransaction and EndTransaction (KIP-868) are held back and applied together,
//! or dropped if the transaction is aborted.

use super::apply::{ApplyError, Change};
use super::delta::Delta;
use super::image::Image;
use super::record::Record;
use super::store::Store;
use crate::model::Offset;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct Replica {
    store: Arc<Store>,
    /// What the open transaction holds, if one is open.
    transaction: Option<Vec<Record>>,
}

impl Replica {
    #[must_use]
    pub fn new(store: Arc<Store>) -> Replica {
        Replica { store, transaction: None }
    }

    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Whether a transaction is open: its records are not in the image, so no snapshot may be taken.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Applies one committed batch and publishes the image.
    ///
    /// # Errors
    /// A record does not fit; nothing of the batch is published.
    pub fn commit(&mut self, records: Vec<Record>, last: Offset, epoch: i32) -> Result<(), ApplyError> {
        let mut change = Change::new(&self.store.load());
        self.feed(&mut change, records)?;
        let (image, delta) = change.finish(last, epoch)?;
        self.publish(image, &delta);
        Ok(())
    }

    /// Applies records to a change that the caller finishes: replay makes one change of the whole log.
    ///
    /// # Errors
    /// A record does not fit.
    pub fn feed(&mut self, change: &mut Change, records: Vec<Record>) -> Result<(), ApplyError> {
        for record in records {
            match (record, &mut self.transaction) {
                (Record::BeginTransaction { .. }, transaction) => *transaction = Some(Vec::new()),
                (Record::AbortTransaction { .. }, transaction) => *transaction = None,
                (Record::EndTransaction, transaction) => {
                    for held in transaction.take().unwrap_or_default() {
                        change.apply(&held)?;
                    }
                }
                (record, Some(held)) => held.push(record),
                (record, None) => change.apply(&record)?,
            }
        }
        Ok(())
    }

    /// Replaces everything with an image from elsewhere: a snapshot. An open transaction is forgotten.
    pub fn replace(&mut self, image: &Arc<Image>) {
        self.transaction = None;
        let delta = Delta::between(&self.store.load(), image);
        self.store.publish(Arc::clone(image), &delta);
    }

    /// Publishes what replay built.
    pub fn publish(&self, image: Image, delta: &Delta) {
        self.store.publish(Arc::new(image), delta);
    }
}
