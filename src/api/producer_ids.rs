//! Producer ids that no producer has had before, taken from blocks that the controller hands out.

use crate::controller::{ApiError, Service};
use crate::metadata::Store;
use crate::model::{ErrorCode, NodeId, ProducerId};
use tokio::sync::Mutex;

/// The rest of this broker's current block. Ids left over when the broker stops are never used.
#[derive(Debug, Default)]
pub struct ProducerIds {
    /// The next id, and the first that is not of the block.
    rest: Mutex<(i64, i64)>,
}

impl ProducerIds {
    /// The next id. When the block is used up its successor is fetched first, by one caller for all that wait;
    /// while the controller has none to give, the client is told to try again (COORDINATOR_LOAD_IN_PROGRESS, which
    /// older clients survive where they would not survive a timeout).
    pub(super) async fn next(&self, node: NodeId, store: &Store, controller: &Service) -> Result<ProducerId, ApiError> {
        let mut rest = self.rest.lock().await;
        if rest.0 >= rest.1 {
            *rest = fetch(node, store, controller).await?;
        }
        let id = rest.0;
        rest.0 += 1;
        Ok(ProducerId(id))
    }
}

async fn fetch(node: NodeId, store: &Store, controller: &Service) -> Result<(i64, i64), ApiError> {
    let busy = || ApiError::bare(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let epoch = store.load().brokers.get(&node).map(|broker| broker.epoch).ok_or_else(busy)?;
    let block = controller.allocate_producer_ids(node, epoch).await.map_err(|error| {
        tracing::warn!(%error, "the controller gave no block of producer ids");
        busy()
    })?;
    let end = block.first.0.checked_add(block.count.into());
    match end {
        Some(end) if block.first.0 >= 0 && end > block.first.0 => Ok((block.first.0, end)),
        _ => {
            tracing::error!(?block, "the controller gave a block without producer ids");
            Err(busy())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    const NODE: NodeId = NodeId(1);

    #[tokio::test]
    async fn every_id_is_handed_out_once_across_blocks_and_callers() {
        let (ids, controller) = (Arc::new(ProducerIds::default()), testing::controller());
        let mut tasks = Vec::new();
        for _ in 0..10 {
            let (ids, controller) = (Arc::clone(&ids), Arc::clone(&controller));
            tasks.push(tokio::spawn(async move {
                let mut mine = Vec::new();
                for _ in 0..250 {
                    mine.push(ids.next(NODE, controller.store(), &controller).await.map(|id| id.0));
                }
                mine
            }));
        }
        let mut seen = BTreeSet::new();
        for task in tasks {
            for id in task.await.into_iter().flatten().flatten() {
                assert!(seen.insert(id), "{id} twice");
            }
        }
        assert_eq!(seen, (0..2500).collect());
        assert_eq!(controller.store().load().next_producer_id, ProducerId(3000));
    }

    #[tokio::test]
    async fn a_broker_started_again_does_not_hand_out_what_it_may_have_handed_out_before() {
        let controller = testing::controller();
        let first = ProducerIds::default().next(NODE, controller.store(), &controller).await;
        let second = ProducerIds::default().next(NODE, controller.store(), &controller).await;
        assert_eq!((first, second), (Ok(ProducerId(0)), Ok(ProducerId(1000))));
    }

    #[tokio::test]
    async fn while_there_are_no_ids_the_client_is_told_to_try_again() {
        let controller = testing::controller();
        let error = ProducerIds::default().next(NodeId(9), controller.store(), &controller).await;
        assert_eq!(error, Err(ApiError::bare(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)));
    }
}
