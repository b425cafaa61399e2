//! Consumer groups of KIP-848 (`GroupMetadataManager.consumerGroup*`, `ConsumerGroup`), and classic members in them.
//!
//! A member sends heartbeats and nothing else. What it says of itself may raise the group's epoch ([`heartbeat`]); a raised
//! epoch asks for a new target assignment ([`target`]); and each member is led to its target, first giving up what others
//! are to have ([`reconcile`]). A request is decided on the group as it was when it came, into a [`draft::Draft`] of records;
//! then the records are applied ([`apply`]). Groups change their protocol with the first member that speaks the other one
//! ([`migrate`]), and members of the classic protocol are served as members of consumer groups ([`classic`]).

mod apply;
mod classic;
mod describe;
mod dialect;
mod draft;
mod fence;
mod hash;
mod heartbeat;
mod kind;
mod member;
mod migrate;
mod reconcile;
mod regex;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod timers;

pub use state::{ConsumerGroup, Member, Subscribed, Subscribers};

// What share groups do alike.
pub(super) use apply::tidied;
pub(super) use draft::{Draft, after, not_found};
pub(super) use hash::of_group as hash_of;
pub(super) use state::REMOVED;
pub(super) use target::{HASH_HOLDS_MS, may_assign, next};

use crate::metadata::{Image, TopicImage};
use crate::model::{GroupId, TopicName};
use std::collections::{BTreeMap, BTreeSet};

/// What the consumer groups of a shard have in common, and the share groups with them.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// Which groups consume a topic (`groupsByTopics`).
    by_topic: BTreeMap<TopicName, BTreeSet<GroupId>>,
    /// Of topics that are consumed, and as they are now.
    hashes: BTreeMap<TopicName, i64>,
    /// The metadata's offset when topics came last (`lastMetadataImageWithNewTopics`).
    topics_came_at: Option<i64>,
}

impl Index {
    /// The group consumes the topic, or does not any more.
    pub(super) fn index(&mut self, group: &GroupId, topic: TopicName, consumed: bool) {
        if consumed {
            self.by_topic.entry(topic).or_default().insert(group.clone());
            return;
        }
        let Some(groups) = self.by_topic.get_mut(&topic) else { return };
        groups.remove(group);
        if groups.is_empty() {
            self.by_topic.remove(&topic);
            self.hashes.remove(&topic);
        }
    }

    fn hash(&mut self, topic: &TopicImage, image: &Image) -> i64 {
        match self.hashes.get(&topic.name) {
            Some(hash) => *hash,
            None => {
                let hash = hash::of_topic(topic, image);
                self.hashes.insert(topic.name.clone(), hash);
                hash
            }
        }
    }
}
