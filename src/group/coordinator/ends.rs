//! Where partitions end, asked of their leaders (`NetworkPartitionMetadataClient`): what a share group has not consumed is
//! counted from there.

use crate::config;
use crate::metadata::Store;
use crate::model::{ErrorCode, LeaderEpoch, NodeId, Offset, TopicPartition};
use crate::partition::Manager;
use crate::peer::{self, PeerError, Pool};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module.
pub(super) struct Ends {
    pub(super) node: NodeId,
    pub(super) config: Arc<config::Live>,
    pub(super) metadata: Arc<Store>,
    pub(super) partitions: Arc<Manager>,
    pub(super) peers: Arc<Pool>,
}

type Found = BTreeMap<TopicPartition, Result<Offset, ErrorCode>>;

impl Ends {
    /// An answer for each.
    pub(super) async fn of(&self, asked: Vec<TopicPartition>) -> Found {
        let mut found = Found::new();
        let mut by_leader: BTreeMap<NodeId, Vec<TopicPartition>> = BTreeMap::new();
        let image = self.metadata.load();
        for at in asked {
            let partition = image.topic(at.topic.as_str()).and_then(|topic| topic.partition(at.partition));
            match partition.map(|partition| partition.leader) {
                Some(Some(leader)) => by_leader.entry(leader).or_default().push(at),
                _ => drop(found.insert(at, Err(ErrorCode::LEADER_NOT_AVAILABLE))),
            }
        }
        drop(image);
        let each = by_leader.into_iter().map(|(leader, asked)| async move {
            if leader == self.node { self.here(asked).await } else { self.elsewhere(leader, asked).await }
        });
        found.extend(join_all(each).await.into_iter().flatten());
        found
    }

    /// Those of partitions that this broker leads. Their logs may have to be opened.
    async fn here(&self, asked: Vec<TopicPartition>) -> Found {
        let partitions = Arc::clone(&self.partitions);
        let look = move || {
            let end = |at: &TopicPartition| {
                let partition = partitions.partition(at.topic.as_str(), at.partition);
                let partition = partition.ok_or(ErrorCode::NOT_LEADER_OR_FOLLOWER)?;
                partition.check_leads(LeaderEpoch::NONE)?;
                partition.check_end_is_known()?;
                partition.positions().map(|positions| positions.high_watermark)
            };
            asked.into_iter().map(|at| (at.clone(), end(&at))).collect()
        };
        // A panic there is a fault of ours, and the answers are missing.
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    async fn elsewhere(&self, leader: NodeId, asked: Vec<TopicPartition>) -> Found {
        let deadline = self.config.load().settings().network.request_timeout;
        match peer::ends(&self.peers.link(leader), &asked, deadline).await {
            Ok(found) => found,
            Err(error) => {
                tracing::info!(leader = leader.0, %error, "the ends of partitions could not be asked for");
                let code = match error {
                    PeerError::TimedOut(_) => ErrorCode::REQUEST_TIMED_OUT,
                    _ => ErrorCode::NETWORK_EXCEPTION,
                };
                asked.into_iter().map(|at| (at, Err(code))).collect()
            }
        }
    }
}
