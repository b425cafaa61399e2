//! The words for deliveries of shared partitions (KIP-932), as they are kept and told between brokers.

use super::{ErrorCode, Offset, PartitionId, TopicId};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum Delivery {
    Available = 0,
    Acknowledged = 2,
    Archived = 4,
}

impl Delivery {
    /// By Kafka's number.
    #[must_use]
    pub fn of(number: i8) -> Option<Delivery> {
        [Delivery::Available, Delivery::Acknowledged, Delivery::Archived].into_iter().find(|it| *it as i8 == number)
    }
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

impl StateBatch {
    /// A batch as bytes have it. `None`: there is no such one.
    #[must_use]
    pub fn of(first: Offset, last: Offset, delivery: i8, delivery_count: i16) -> Option<StateBatch> {
        let delivery = Delivery::of(delivery)?;
        (Offset::ZERO <= first && first <= last).then_some(StateBatch { first, last, delivery, delivery_count })
    }
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
    /// The last leader that read the state as such; 0 if none has.
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
    /// `None`: as it was.
    pub start_offset: Option<Offset>,
    /// Is taken over as it is.
    pub delivery_complete_count: i32,
    /// What changed; the coordinator lays it over what it has.
    pub batches: Vec<StateBatch>,
}

/// An error of one partition, with Kafka's words for it; without them its own text for the code is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: ErrorCode,
    pub message: Option<String>,
}
