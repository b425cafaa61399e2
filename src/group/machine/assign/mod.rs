//! Who is to have which partitions: the assignors that run on the coordinator (`UniformAssignor`, `RangeAssignor`, `SimpleAssignor`).
//!
//! Pure functions of the members, what they have, and the topics. The results are Kafka's 4.3 with members, topics and
//! partitions taken in ascending order: Kafka leaves some of its orders to Java's hash tables, here nothing is left open.
//! What is not there is passed over: topics without partitions, and partitions that a member has beyond the last.
//! Cost: members + partitions + the topics each member is subscribed to, times a logarithm.

mod balance;
mod even;
mod index;
mod range;
mod simple;
#[cfg(test)]
mod tests;

use crate::model::{MemberId, PartitionId, TopicId};
use index::Index;
pub(super) use simple::assign as simple;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One member as an assignor sees it.
#[derive(Clone, Debug, Default)]
pub struct Subscriber {
    /// `rack` of the member. The assignors of 4.3 do not look at it; kept for those that will.
    pub rack: Option<String>,
    /// A static member: its instance id. Range orders these first.
    pub instance: Option<String>,
    /// What it is subscribed to, regular expressions included. Only topics that exist. Members with the same subscription
    /// should share it: a set is looked into once, however many have it.
    pub topics: Arc<BTreeSet<TopicId>>,
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

/// Every member has an entry. Partitions ascend.
pub type Target = BTreeMap<MemberId, BTreeMap<TopicId, Vec<PartitionId>>>;

/// The assignors that `group.consumer.assignors` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// As many partitions for each as for the others, and as few moves as that allows.
    Uniform,
    /// Neighbouring partitions of each topic, members in the same order for all topics: the same numbers of topics with
    /// equally many partitions meet at one member.
    Range,
}

impl Assignor {
    /// By the name that a member sends in `ServerAssignor`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Assignor> {
        [Assignor::Uniform, Assignor::Range].into_iter().find(|a| a.name() == name)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The group's new target assignment.
    #[must_use]
    pub fn assign(self, group: &Group) -> Target {
        let index = Index::of(group);
        match self {
            Assignor::Range => range::assign(&index),
            Assignor::Uniform if index.all_subscribe_alike() => index.target(&even::assign(&index)),
            Assignor::Uniform => index.target(&balance::assign(&index)),
        }
    }
}
