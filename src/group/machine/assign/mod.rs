//! Who is to have which partitions: the assignors that run on the coordinator (`UniformAssignor`, `RangeAssignor`).
//!
//! Pure functions of the members, what they have, and the topics. Cost: members + partitions, times a logarithm.

use crate::model::{MemberId, PartitionId, TopicId};
use std::collections::{BTreeMap, BTreeSet};

/// One member as an assignor sees it.
#[derive(Clone, Debug, Default)]
pub struct Subscriber {
    /// `rack` of the member. The assignors of 4.3 do not look at it; kept for those that will.
    pub rack: Option<String>,
    /// A static member: its instance id. Range orders these first.
    pub instance: Option<String>,
    /// What it is subscribed to, regular expressions included. Only topics that exist.
    pub topics: BTreeSet<TopicId>,
    /// Its target assignment as it is now.
    pub current: BTreeMap<TopicId, Vec<PartitionId>>,
}

/// What is to be assigned.
#[derive(Clone, Debug)]
pub struct Group {
    pub members: BTreeMap<MemberId, Subscriber>,
    /// Partitions of each topic that somebody is subscribed to.
    pub partitions: BTreeMap<TopicId, usize>,
}

/// Every member has an entry.
pub type Target = BTreeMap<MemberId, BTreeMap<TopicId, Vec<PartitionId>>>;

/// The assignors that `group.consumer.assignors` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    Uniform,
    Range,
}
