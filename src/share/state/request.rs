//! What is asked of the machine of deliveries' states, and what it answers.

use crate::model::{GroupId, Offset, Refused, ShareState, ShareSummary, ShareWrite, SharedPartition, StateEpoch};

/// A partition of a group (`SharePartitionKey`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub group: GroupId,
    pub at: SharedPartition,
}

impl Key {
    /// What FindCoordinator is asked with, and what decides the partition of `__share_group_state`.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}:{}:{}", self.group, self.at.topic, self.at.partition.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Initialize {
        key: Key,
        state_epoch: StateEpoch,
        start_offset: Option<Offset>,
    },
    /// By the leader of the partition in its leader epoch, which is remembered; -1: by somebody else.
    Read {
        key: Key,
        leader_epoch: i32,
    },
    Write {
        group: GroupId,
        write: ShareWrite,
    },
    Delete(Key),
    Summary(Key),
}

impl Request {
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Request::Initialize { key, .. }
            | Request::Read { key, .. }
            | Request::Delete(key)
            | Request::Summary(key) => key.clone(),
            Request::Write { group, write } => Key { group: group.clone(), at: write.at },
        }
    }
}

/// What is refused without a text has Kafka's own for its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Done(Result<(), Refused>),
    Read(Result<ShareState, Refused>),
    Summary(Result<ShareSummary, Refused>),
}
