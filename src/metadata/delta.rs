//! What changed from one image to the next.

use super::image::{BrokerImage, ConfigResource, Image, TopicImage};
use super::security::QuotaEntity;
use crate::model::{NodeId, PartitionId, ResourceKind, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A topic that was created or whose partitions changed.
#[derive(Clone, Debug)]
pub struct TopicDelta {
    /// The topic as it was; `None`: created.
    pub old: Option<Arc<TopicImage>>,
    pub new: Arc<TopicImage>,
    /// Partitions that are new or differ, in order.
    pub changed: Vec<PartitionId>,
}

/// See the module. Everything is in a fixed order, so that publishers act in a fixed order.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    /// Topics deleted, as they were. Act on these first: a name may be deleted and created again.
    pub deleted: BTreeMap<TopicId, Arc<TopicImage>>,
    /// Topics created or changed.
    pub topics: BTreeMap<TopicId, TopicDelta>,
    /// Resources and the keys of theirs that were set or removed. A key set to the value it had is
    /// listed too: brokers reload on it.
    pub configs: BTreeMap<ConfigResource, BTreeSet<String>>,
    /// Brokers as they were, `None` for a new one.
    pub brokers: BTreeMap<NodeId, Option<Arc<BrokerImage>>>,
    /// Features whose finalized level was set, with the old level.
    pub features: BTreeMap<String, i16>,
    /// A block of producer ids was handed out.
    pub producer_ids: bool,
    /// Kinds of resources whose access control entries changed.
    pub acls: BTreeSet<ResourceKind>,
    /// Users whose SCRAM credentials were set or removed.
    pub scram: BTreeSet<String>,
    /// Entities whose quotas were set or removed.
    pub quotas: BTreeSet<QuotaEntity>,
    /// Delegation tokens, by id, that are new, changed or gone.
    pub tokens: BTreeSet<String>,
}

impl Delta {
    /// The whole of an image, as the change from nothing to it.
    #[must_use]
    pub fn everything(image: &Image) -> Delta {
        let mut delta = Delta { producer_ids: true, ..Delta::default() };
        for (id, topic) in image.topics_by_id.iter() {
            let changed = topic.numbered().map(|(id, _)| id).collect();
            delta.topics.insert(*id, TopicDelta { old: None, new: Arc::clone(topic), changed });
        }
        for (resource, set) in image.configs.iter() {
            delta.configs.insert(resource.clone(), set.keys().cloned().collect());
        }
        delta.brokers = image.brokers.keys().map(|id| (*id, None)).collect();
        delta.acls = image.acls.iter().map(|(_, acl)| acl.resource).collect();
        delta.features = image.features.keys().map(|name| (name.clone(), 0)).collect();
        delta.scram = image.scram.keys().cloned().collect();
        delta.quotas = image.quotas.keys().cloned().collect();
        delta.tokens = image.tokens.keys().cloned().collect();
        delta
    }

    /// The change from one image to another that need not be the next: a snapshot replaces what was there.
    #[must_use]
    pub fn between(old: &Image, new: &Image) -> Delta {
        let mut delta = Delta { producer_ids: true, ..Delta::default() };
        for (id, was) in old.topics_by_id.iter() {
            if new.topics_by_id.get(id).is_none() {
                delta.deleted.insert(*id, Arc::clone(was));
            }
        }
        for (id, topic) in new.topics_by_id.iter() {
            let was = old.topics_by_id.get(id);
            let before = |partition| was.and_then(|topic| topic.partition(partition));
            let changed: Vec<PartitionId> =
                topic.numbered().filter(|(id, now)| before(*id) != Some(*now)).map(|(id, _)| id).collect();
            if was.is_none() || !changed.is_empty() {
                delta.topics.insert(*id, TopicDelta { old: was.cloned(), new: Arc::clone(topic), changed });
            }
        }
        for (resource, set) in old.configs.iter().chain(new.configs.iter()) {
            delta.configs.entry(resource.clone()).or_default().extend(set.keys().cloned());
        }
        for id in old.brokers.keys().chain(new.brokers.keys()) {
            delta.brokers.insert(*id, old.brokers.get(id).cloned());
        }
        for (name, level) in old.features.iter() {
            delta.features.insert(name.clone(), *level);
        }
        for name in new.features.keys() {
            delta.features.entry(name.clone()).or_insert(0);
        }
        delta
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deleted.is_empty()
            && self.topics.is_empty()
            && self.configs.is_empty()
            && self.brokers.is_empty()
            && self.features.is_empty()
            && !self.producer_ids
            && self.acls.is_empty()
            && self.scram.is_empty()
            && self.quotas.is_empty()
            && self.tokens.is_empty()
    }
}
