//! The ends of transactions, written into the partitions that the transactions wrote to.
//!
//! On one broker that is a direct append. Where partitions have their leaders elsewhere (not yet), this is the place that
//! sends WriteTxnMarkers instead.

use crate::group::GroupCoordinator;
use crate::metadata::Store;
use crate::model::{ErrorCode, PartitionId, TopicName};
use crate::partition::{CommitWait, Manager, TransactionEnd};
use crate::rt::clock;
#[cfg(test)]
use crate::rt::planted;
use std::sync::Arc;
use std::time::Duration;

/// A partition of a transaction.
pub type Target = (TopicName, PartitionId);

/// How long a marker may take to be committed before it is written again.
const COMMIT_MAX: Duration = Duration::from_secs(30);

/// Writes markers.
pub struct Markers {
    pub metadata: Arc<Store>,
    pub partitions: Arc<Manager>,
    pub groups: Arc<GroupCoordinator>,
}

impl Markers {
    /// Writes the end of a transaction into each of the partitions. Answers what became of it, in their order; what was
    /// written is committed.
    pub async fn write(&self, end: &TransactionEnd, to: &[Target]) -> Vec<ErrorCode> {
        let mut answers = vec![ErrorCode::NONE; to.len()];
        let mut waits = Vec::new();
        // All of them first: their commits are waited for together.
        for (at, (topic, number)) in to.iter().enumerate() {
            let Some(answer) = answers.get_mut(at) else { continue };
            if topic.as_str() == TopicName::CONSUMER_OFFSETS {
                continue;
            }
            #[cfg(test)]
            if at > 0 && planted::is_planted(planted::Bug::MarkerLost) {
                continue;
            }
            match self.append(end, topic, *number) {
                Ok(None) => {}
                Ok(Some(wait)) => waits.push((at, wait)),
                Err(error) => *answer = error,
            }
        }
        for (answer, (topic, number)) in answers.iter_mut().zip(to) {
            if topic.as_str() == TopicName::CONSUMER_OFFSETS {
                *answer = self.groups.end_transaction(*number, end).await.err().unwrap_or(ErrorCode::NONE);
            }
        }
        for (at, wait) in waits {
            let outcome = tokio::time::timeout(COMMIT_MAX, wait.outcome()).await;
            if let Some(answer) = answers.get_mut(at) {
                *answer = outcome.unwrap_or(ErrorCode::REQUEST_TIMED_OUT);
            }
        }
        answers
    }

    /// Does the partition exist, as far as the metadata says?
    #[must_use]
    pub fn exists(&self, (topic, number): &Target) -> bool {
        self.metadata.load().topic(topic.as_str()).is_some_and(|topic| topic.partition(*number).is_some())
    }

    fn append(
        &self,
        end: &TransactionEnd,
        topic: &TopicName,
        number: PartitionId,
    ) -> Result<Option<CommitWait>, ErrorCode> {
        let held = self.partitions.topic(topic.as_str()).and_then(|topic| topic.partition(number));
        held.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?.append_end(end, clock::now_ms())
    }
}
