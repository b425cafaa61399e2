//! The ends of transactions, written into the partitions that the transactions wrote to.
//!
//! Where this broker leads that is a direct append; the leaders of the others are sent WriteTxnMarkers, one request each
//! (`TransactionMarkerChannelManager`).

use crate::group::GroupCoordinator;
use crate::metadata::Store;
use crate::model::{ErrorCode, NodeId, PartitionId, TopicName, TopicPartition};
use crate::partition::{CommitWait, Manager, TransactionEnd};
use crate::peer::Pool;
use crate::peer::transactions::{Marker, write_markers};
use crate::rt::clock;
#[cfg(any(test, feature = "planted"))]
use crate::rt::planted;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A partition of a transaction.
pub type Target = (TopicName, PartitionId);

/// How long a marker may take to be committed before it is written again.
const COMMIT_MAX: Duration = Duration::from_secs(30);

/// Writes markers.
pub struct Markers {
    pub node: NodeId,
    /// Links to the other brokers.
    pub peers: Arc<Pool>,
    pub metadata: Arc<Store>,
    pub partitions: Arc<Manager>,
    pub groups: Arc<GroupCoordinator>,
}

impl Markers {
    /// Writes the end of a transaction into each of the partitions, wherever they are led. Answers what became of it, in
    /// their order; what was written is committed.
    pub async fn write(&self, end: &TransactionEnd, to: &[Target]) -> Vec<ErrorCode> {
        let image = self.metadata.load();
        let mut by_leader: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        let mut answers = vec![ErrorCode::LEADER_NOT_AVAILABLE; to.len()];
        for (at, (topic, number)) in to.iter().enumerate() {
            let leader = image.topic(topic.as_str()).and_then(|topic| topic.partition(*number)?.leader);
            if let Some(leader) = leader {
                by_leader.entry(leader).or_default().push(at);
            }
        }
        let asked = by_leader.into_iter().map(|(leader, asked)| async move {
            let some: Vec<Target> = asked.iter().filter_map(|at| to.get(*at).cloned()).collect();
            let answers = match leader == self.node {
                true => self.write_here(end, &some).await,
                false => self.send(leader, end, some).await,
            };
            asked.into_iter().zip(answers)
        });
        for (at, answer) in join_all(asked).await.into_iter().flatten() {
            if let Some(slot) = answers.get_mut(at) {
                *slot = answer;
            }
        }
        answers
    }

    /// Asks the leader of the partitions to write the end of a transaction into them.
    async fn send(&self, leader: NodeId, end: &TransactionEnd, to: Vec<Target>) -> Vec<ErrorCode> {
        let partitions: Vec<TopicPartition> =
            to.into_iter().map(|(topic, number)| TopicPartition::new(topic, number)).collect();
        let marker = Marker {
            producer_id: end.producer.0,
            producer_epoch: end.producer.1,
            commit: end.commit,
            coordinator_epoch: end.coordinator_epoch,
            partitions: partitions.clone(),
        };
        match write_markers(&self.peers.link(leader), &[marker], COMMIT_MAX).await {
            Ok(written) => {
                let answer = |at: &TopicPartition| {
                    let found = written.iter().find(|(_, partition, _)| partition == at);
                    found.map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |(_, _, error)| *error)
                };
                partitions.iter().map(answer).collect()
            }
            Err(error) => {
                tracing::info!(%error, "the ends of a transaction could not be sent");
                vec![ErrorCode::NETWORK_EXCEPTION; partitions.len()]
            }
        }
    }

    /// As [`Markers::write`], of partitions that this broker leads: of others, it says so.
    pub async fn write_here(&self, end: &TransactionEnd, to: &[Target]) -> Vec<ErrorCode> {
        let mut answers = vec![ErrorCode::NONE; to.len()];
        let mut waits = Vec::new();
        // All of them first: their commits are waited for together.
        for (at, (topic, number)) in to.iter().enumerate() {
            let Some(answer) = answers.get_mut(at) else { continue };
            if topic.as_str() == TopicName::CONSUMER_OFFSETS {
                continue;
            }
            #[cfg(any(test, feature = "planted"))]
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
        match self.partitions.topic(topic.as_str()).and_then(|topic| topic.partition(number)) {
            Some(partition) => partition.append_end(end, clock::now_ms()),
            None if self.exists(&(topic.clone(), number)) => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        }
    }
}
