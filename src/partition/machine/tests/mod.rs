//! The machines of a partition: one test per rule, and a model of a partition on three nodes.
#![allow(clippy::unwrap_used)]

mod leader;
mod model;
mod throttle;
mod world;

use crate::metadata::{PartitionImage, Replicas};
use crate::model::{LeaderEpoch, NodeId};
use smallvec::SmallVec;

fn nodes(ids: &[i32]) -> Replicas {
    ids.iter().map(|id| NodeId(*id)).collect()
}

/// A partition on `replicas`, led by the first of `isr`.
fn image(replicas: &[i32], isr: &[i32], leader_epoch: i32, partition_epoch: i32) -> PartitionImage {
    PartitionImage {
        replicas: nodes(replicas),
        isr: nodes(isr),
        leader: isr.first().map(|id| NodeId(*id)),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch,
        directories: SmallVec::new(),
        adding: Replicas::new(),
        removing: Replicas::new(),
        elr: Replicas::new(),
        last_known_elr: Replicas::new(),
        recovering: false,
    }
}
