//! Proposals of in-sync replicas, on their way to the controller (`AlterPartitionManager`): one request at a time, with
//! all that has come up meanwhile.

use crate::controller::Client;
use crate::model::{ErrorCode, NodeId};
use crate::partition::{IsrChange, Manager, Proposal, Verdict};
use crate::peer::controller::{IsrProposal, IsrVerdict};
use futures_util::future::BoxFuture;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// After a request that failed as a whole (`DefaultAlterPartitionManager`).
const BACKOFF: Duration = Duration::from_millis(50);

/// Partitions in one request at most.
const AT_ONCE: usize = 1000;

/// The active controller, wherever it is.
pub trait Controller: Send + Sync + 'static {
    /// Proposes; a verdict for each, in any order, or why there are none.
    fn alter_partition(&self, proposals: Vec<IsrProposal>) -> BoxFuture<'_, Result<Vec<IsrVerdict>, String>>;

    /// This broker's epoch; -1 before it is registered.
    fn broker_epoch(&self) -> i64;
}

impl Controller for Client {
    fn alter_partition(&self, proposals: Vec<IsrProposal>) -> BoxFuture<'_, Result<Vec<IsrVerdict>, String>> {
        Box::pin(async move { Client::alter_partition(self, &proposals).await.map_err(|error| error.to_string()) })
    }

    fn broker_epoch(&self) -> i64 {
        Client::broker_epoch(self)
    }
}

/// Sends proposals until `stopping`.
pub async fn propose_isrs(
    manager: Arc<Manager>,
    controller: Arc<dyn Controller>,
    node: NodeId,
    stopping: impl Future<Output = ()>,
) {
    let work = async {
        let mut unheard = false;
        loop {
            for some in manager.isr_changes().await.chunks(AT_ONCE) {
                propose(some, &*controller, node, &mut unheard).await;
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = stopping => {}
    }
}

/// `unheard`: the controller did not answer the last time, and that was logged.
async fn propose(changes: &[IsrChange], controller: &dyn Controller, node: NodeId, unheard: &mut bool) {
    let epoch = controller.broker_epoch();
    let proposals: Vec<IsrProposal> = changes.iter().map(|change| proposal(change, (node, epoch))).collect();
    let verdicts = match controller.alter_partition(proposals).await {
        Ok(verdicts) => {
            *unheard = false;
            verdicts
        }
        Err(error) => {
            if !std::mem::replace(unheard, true) {
                tracing::info!(%error, "the controller does not alter partitions now");
            }
            tokio::time::sleep(BACKOFF).await;
            for change in changes {
                change.partition.isr_decided(change.proposal.clone(), Verdict::Retry);
            }
            return;
        }
    };
    let mut retried = false;
    for change in changes {
        let of = |verdict: &&IsrVerdict| {
            verdict.topic == change.partition.topic_id() && verdict.partition == change.partition.name().partition
        };
        // What is not answered is asked again.
        let verdict = verdicts.iter().find(of).map_or(Verdict::Retry, judge);
        retried |= verdict == Verdict::Retry;
        change.partition.isr_decided(change.proposal.clone(), verdict);
    }
    if retried {
        tokio::time::sleep(BACKOFF).await;
    }
}

fn proposal(change: &IsrChange, (me, my_epoch): (NodeId, i64)) -> IsrProposal {
    let Proposal { leader_epoch, partition_epoch, isr } = &change.proposal;
    IsrProposal {
        topic: change.partition.topic_id(),
        partition: change.partition.name().partition,
        leader_epoch: *leader_epoch,
        isr: isr.iter().map(|(node, epoch)| (*node, if *node == me { my_epoch } else { *epoch })).collect(),
        recovered: true,
        partition_epoch: *partition_epoch,
    }
}

/// What an answer means (`Partition.handleAlterPartitionError`).
fn judge(answer: &IsrVerdict) -> Verdict {
    match answer.error {
        ErrorCode::NONE => Verdict::Is {
            leader_epoch: answer.leader_epoch,
            partition_epoch: answer.partition_epoch,
            isr: answer.isr.iter().copied().collect(),
        },
        ErrorCode::OPERATION_NOT_ATTEMPTED | ErrorCode::INELIGIBLE_REPLICA => Verdict::Refused,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::FENCED_LEADER_EPOCH
        | ErrorCode::INVALID_UPDATE_VERSION
        | ErrorCode::INVALID_REQUEST
        | ErrorCode::NEW_LEADER_ELECTED => Verdict::Unknown,
        _ => Verdict::Retry,
    }
}
