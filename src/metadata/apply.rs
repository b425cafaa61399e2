//! Records onto an image: [`Change`] takes an image and any number of records and gives the next
//! image and what changed. The one place where the cluster's state moves; live commits, replay and
//! snapshots all come through here.

use super::delta::{Delta, TopicDelta};
use super::image::{ConfigResource, Image, PartitionImage, ResourceType, TopicImage};
use super::record::{
    AclRecord, BadRecord, BrokerChange, ClientQuota, Opaque, PartitionChange, PartitionRecord, Record, RegisterBroker,
    UserScramCredential, kind,
};
use crate::model::{NodeId, Offset, PartitionId, ProducerId, ScramMechanism, TopicId, TopicName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// The features' own feature: the level of the records.
pub(super) const METADATA_VERSION: &str = "metadata.version";
/// Lives in the quorum's state, not in records of the log.
const KRAFT_VERSION: &str = "kraft.version";

/// A record that does not fit the image: the log is damaged, or was written by something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    #[error("topic '{0}' is created twice")]
    TopicExists(TopicName),
    #[error("a record names the topic {0}, which does not exist")]
    UnknownTopic(TopicId),
    #[error("a record names the topic '{0}', which does not exist")]
    UnknownTopicName(String),
    #[error("a record names partition {1:?} of topic '{0}', which does not exist")]
    UnknownPartition(TopicName, PartitionId),
    #[error("topic '{0}' has partition {1:?} but not the ones before it")]
    Gap(TopicName, PartitionId),
    #[error("partition {1:?} of topic '{0}': {2}")]
    Partition(TopicName, PartitionId, BadRecord),
    #[error("a record names broker {0:?} with epoch {1}, which is not registered")]
    UnknownBroker(NodeId, i64),
    #[error("the access control entry {0} is there already")]
    AclExists(Uuid),
    #[error("a record names the access control entry {0}, which does not exist")]
    UnknownAcl(Uuid),
    #[error("a record removes the {1} credential of user '{0}', who has none")]
    UnknownCredential(String, ScramMechanism),
    #[error("producer ids up to {0:?} are handed out again: the next would be {1:?}")]
    ProducerIds(ProducerId, ProducerId),
}

/// A topic as the records so far leave it.
struct Draft {
    old: Option<Arc<TopicImage>>,
    name: TopicName,
    touched: BTreeMap<PartitionId, Arc<PartitionImage>>,
}

impl Draft {
    fn partition(&self, id: PartitionId) -> Option<&Arc<PartitionImage>> {
        self.touched.get(&id).or_else(|| self.old.as_ref()?.partition(id))
    }
}

/// See the module.
pub struct Change {
    next: Image,
    drafts: BTreeMap<TopicId, Draft>,
    /// The topics that this change creates: replay creates all of them in one change.
    created: BTreeMap<TopicName, TopicId>,
    delta: Delta,
}

impl Change {
    #[must_use]
    pub fn new(base: &Image) -> Change {
        Change { next: base.clone(), drafts: BTreeMap::new(), created: BTreeMap::new(), delta: Delta::default() }
    }

    /// Applies one record. After an error the change must be dropped.
    ///
    /// # Errors
    /// The record does not fit what is there.
    pub fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        match record {
            Record::Topic { name, id } => self.create_topic(name, *id)?,
            Record::Partition(record) => self.set_partition(record)?,
            Record::PartitionChange(change) => self.change_partition(change)?,
            Record::RemoveTopic { id } => self.remove_topic(*id)?,
            Record::ClearElr { topic } => self.clear_elr(topic)?,
            Record::Config { resource, key, value } => self.set_config(resource, key, value.as_deref()),
            Record::Feature { name, level } => self.set_feature(name, *level),
            Record::ProducerIds { next, .. } => self.set_producer_ids(*next)?,
            Record::RegisterBroker(record) => self.register_broker(record),
            Record::BrokerChange(change) => self.change_broker(change)?,
            Record::FenceBroker { broker, epoch } => {
                self.change_broker(&BrokerChange { fenced: Some(true), ..BrokerChange::new(*broker, *epoch) })?;
            }
            Record::UnfenceBroker { broker, epoch } => {
                self.change_broker(&BrokerChange { fenced: Some(false), ..BrokerChange::new(*broker, *epoch) })?;
            }
            Record::UnregisterBroker { broker, epoch } => {
                let old = self.broker(*broker, *epoch)?;
                self.next.brokers.remove(broker);
                self.delta.brokers.entry(*broker).or_insert(Some(old));
            }
            Record::Acl(AclRecord { id, acl }) => {
                if !self.next.acls.insert(*id, acl) {
                    return Err(ApplyError::AclExists(*id));
                }
                self.delta.acls.insert(acl.resource);
            }
            Record::RemoveAcl { id } => {
                let acl = self.next.acls.remove(*id).ok_or(ApplyError::UnknownAcl(*id))?;
                self.delta.acls.insert(acl.resource);
            }
            Record::ScramCredential(record) => self.set_credential(record),
            Record::RemoveScramCredential { user, mechanism } => self.remove_credential(user, *mechanism)?,
            Record::ClientQuota(quota) => self.set_quota(quota),
            Record::DelegationToken(token) => {
                self.next.tokens.insert(token.id.clone(), Arc::new(token.clone()));
                self.delta.tokens.insert(token.id.clone());
            }
            Record::RemoveDelegationToken { id } => {
                self.next.tokens.remove(id);
                self.delta.tokens.insert(id.clone());
            }
            Record::Opaque(opaque) => self.keep(opaque),
            // Transactions are resolved before records come here.
            Record::NoOp
            | Record::BeginTransaction { .. }
            | Record::EndTransaction
            | Record::AbortTransaction { .. } => {}
        }
        Ok(())
    }

    /// The image after all records, which end at `offset`, and what changed.
    ///
    /// # Errors
    /// A topic has a gap in its partitions.
    pub fn finish(mut self, offset: Offset, epoch: i32) -> Result<(Image, Delta), ApplyError> {
        for (id, draft) in std::mem::take(&mut self.drafts) {
            let mut partitions = draft.old.as_ref().map_or_else(Vec::new, |old| old.partitions.clone());
            let changed: Vec<PartitionId> = draft.touched.keys().copied().collect();
            for (number, partition) in draft.touched {
                let index = usize::try_from(number.0).unwrap_or(usize::MAX);
                if let Some(slot) = partitions.get_mut(index) {
                    *slot = partition;
                } else if index == partitions.len() {
                    partitions.push(partition);
                } else {
                    return Err(ApplyError::Gap(draft.name, number));
                }
            }
            let new = Arc::new(TopicImage { id, name: draft.name.clone(), partitions });
            self.next.topics_by_name.insert(draft.name, Arc::clone(&new));
            self.next.topics_by_id.insert(id, Arc::clone(&new));
            self.delta.topics.insert(id, TopicDelta { old: draft.old, new, changed });
        }
        self.next.offset = offset;
        self.next.epoch = epoch;
        Ok((self.next, self.delta))
    }

    fn create_topic(&mut self, name: &TopicName, id: TopicId) -> Result<(), ApplyError> {
        if self.created.contains_key(name)
            || self.drafts.contains_key(&id)
            || self.next.topics_by_name.contains_key(name)
            || self.next.topics_by_id.contains_key(&id)
        {
            return Err(ApplyError::TopicExists(name.clone()));
        }
        self.created.insert(name.clone(), id);
        self.drafts.insert(id, Draft { old: None, name: name.clone(), touched: BTreeMap::new() });
        Ok(())
    }

    fn draft(&mut self, id: TopicId) -> Result<&mut Draft, ApplyError> {
        match self.drafts.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let old = self.next.topics_by_id.get(&id).ok_or(ApplyError::UnknownTopic(id))?;
                let (old, name) = (Some(Arc::clone(old)), old.name.clone());
                Ok(entry.insert(Draft { old, name, touched: BTreeMap::new() }))
            }
        }
    }

    fn set_partition(&mut self, record: &PartitionRecord) -> Result<(), ApplyError> {
        let draft = self.draft(record.topic)?;
        draft.touched.insert(record.partition, Arc::new(record.image.clone()));
        Ok(())
    }

    fn change_partition(&mut self, change: &PartitionChange) -> Result<(), ApplyError> {
        let draft = self.draft(change.topic)?;
        let old = draft
            .partition(change.partition)
            .ok_or_else(|| ApplyError::UnknownPartition(draft.name.clone(), change.partition))?;
        let new = change.merge(old).map_err(|bad| ApplyError::Partition(draft.name.clone(), change.partition, bad))?;
        draft.touched.insert(change.partition, Arc::new(new));
        Ok(())
    }

    fn remove_topic(&mut self, id: TopicId) -> Result<(), ApplyError> {
        let draft = self.drafts.remove(&id);
        let old = match (draft, self.next.topics_by_id.remove(&id)) {
            (Some(Draft { old: None, name, .. }), _) => {
                // Created and removed within one change: nobody has seen it.
                self.created.remove(&name);
                self.forget_configs(&name);
                return Ok(());
            }
            (_, Some(old)) => old,
            (_, None) => return Err(ApplyError::UnknownTopic(id)),
        };
        self.next.topics_by_name.remove(&old.name);
        self.forget_configs(&old.name);
        self.delta.deleted.insert(id, old);
        Ok(())
    }

    fn forget_configs(&mut self, topic: &TopicName) {
        let resource = ConfigResource::topic(topic);
        if let Some(set) = self.next.configs.remove(&resource) {
            self.delta.configs.entry(resource).or_default().extend(set.keys().cloned());
        }
    }

    fn clear_elr(&mut self, topic: &str) -> Result<(), ApplyError> {
        let topics: BTreeSet<TopicId> = if topic.is_empty() {
            self.next.topics_by_id.keys().chain(self.drafts.keys()).copied().collect()
        } else {
            let id = self.created.get(topic).copied().or_else(|| self.next.topic(topic).map(|t| t.id));
            BTreeSet::from([id.ok_or_else(|| ApplyError::UnknownTopicName(topic.to_owned()))?])
        };
        for id in topics {
            let known = |p: &PartitionImage| !p.elr.is_empty() || !p.last_known_elr.is_empty();
            let old = self.next.topics_by_id.get(&id).map_or(&[][..], |t| &t.partitions);
            let in_draft = self.drafts.get(&id).is_some_and(|draft| draft.touched.values().any(|p| known(p)));
            if !in_draft && !old.iter().any(|p| known(p)) {
                continue;
            }
            let draft = self.draft(id)?;
            let count = draft.old.as_ref().map_or(0, |t| t.partitions.len());
            let last = draft.touched.keys().next_back().map_or(0, |id| id.0.saturating_add(1));
            for number in 0..i32::try_from(count).unwrap_or(i32::MAX).max(last) {
                let number = PartitionId(number);
                let Some(partition) = draft.partition(number).filter(|p| known(p)) else { continue };
                let mut cleared = PartitionImage::clone(partition);
                cleared.elr.clear();
                cleared.last_known_elr.clear();
                cleared.partition_epoch = cleared.partition_epoch.saturating_add(1);
                draft.touched.insert(number, Arc::new(cleared));
            }
        }
        Ok(())
    }

    fn set_config(&mut self, resource: &ConfigResource, key: &str, value: Option<&str>) {
        let mut set = self.next.configs.get(resource).map_or_else(BTreeMap::new, |set| BTreeMap::clone(set));
        match value {
            Some(value) => set.insert(key.to_owned(), value.to_owned()),
            None => set.remove(key),
        };
        if set.is_empty() {
            self.next.configs.remove(resource);
        } else {
            self.next.configs.insert(resource.clone(), Arc::new(set));
        }
        self.delta.configs.entry(resource.clone()).or_default().insert(key.to_owned());
    }

    fn set_feature(&mut self, name: &str, level: i16) {
        // Some versions of Kafka wrote it to the log by mistake (KAFKA-18979).
        if name == KRAFT_VERSION {
            return;
        }
        let old = if level == 0 {
            self.next.features.remove(name)
        } else {
            self.next.features.insert(name.to_owned(), level)
        };
        self.delta.features.entry(name.to_owned()).or_insert(old.unwrap_or(0));
    }

    fn set_producer_ids(&mut self, next: ProducerId) -> Result<(), ApplyError> {
        if next < self.next.next_producer_id {
            return Err(ApplyError::ProducerIds(self.next.next_producer_id, next));
        }
        self.next.next_producer_id = next;
        self.delta.producer_ids = true;
        Ok(())
    }

    fn broker(&self, id: NodeId, epoch: i64) -> Result<Arc<crate::metadata::BrokerImage>, ApplyError> {
        let broker = self.next.brokers.get(&id).filter(|broker| broker.epoch == epoch);
        broker.cloned().ok_or(ApplyError::UnknownBroker(id, epoch))
    }

    fn register_broker(&mut self, record: &RegisterBroker) {
        let id = record.image.id;
        let old = self.next.brokers.insert(id, Arc::new(record.image.clone()));
        self.delta.brokers.entry(id).or_insert(old);
    }

    fn change_broker(&mut self, change: &BrokerChange) -> Result<(), ApplyError> {
        let old = self.broker(change.broker, change.epoch)?;
        self.next.brokers.insert(change.broker, Arc::new(change.merge(&old)));
        self.delta.brokers.entry(change.broker).or_insert(Some(old));
        Ok(())
    }

    fn set_credential(&mut self, record: &UserScramCredential) {
        let mut all = self.next.scram.get(&record.user).map_or_else(BTreeMap::new, |all| BTreeMap::clone(all));
        all.insert(record.mechanism, record.credential.clone());
        self.next.scram.insert(record.user.clone(), Arc::new(all));
        self.delta.scram.insert(record.user.clone());
    }

    fn remove_credential(&mut self, user: &str, mechanism: ScramMechanism) -> Result<(), ApplyError> {
        let mut all = self.next.scram.get(user).map_or_else(BTreeMap::new, |all| BTreeMap::clone(all));
        if all.remove(&mechanism).is_none() {
            return Err(ApplyError::UnknownCredential(user.to_owned(), mechanism));
        }
        if all.is_empty() {
            self.next.scram.remove(user);
        } else {
            self.next.scram.insert(user.to_owned(), Arc::new(all));
        }
        self.delta.scram.insert(user.to_owned());
        Ok(())
    }

    fn set_quota(&mut self, ClientQuota { entity, key, value }: &ClientQuota) {
        let mut all = self.next.quotas.get(entity).map_or_else(BTreeMap::new, |all| BTreeMap::clone(all));
        match value {
            Some(value) => all.insert(key.clone(), *value),
            None => all.remove(key),
        };
        if all.is_empty() {
            self.next.quotas.remove(entity);
        } else {
            self.next.quotas.insert(entity.clone(), Arc::new(all));
        }
        self.delta.quotas.insert(entity.clone());
    }

    fn keep(&mut self, opaque: &Opaque) {
        let kept = Arc::make_mut(&mut self.next.kept);
        // A controller registers at every start; only its newest registration counts.
        if opaque.kind == kind::REGISTER_CONTROLLER {
            kept.retain(|old| old.kind != opaque.kind || old.body.get(..4) != opaque.body.get(..4));
        }
        kept.push(opaque.clone());
    }
}

impl Image {
    /// The image as records, as a snapshot holds them: applied to nothing they give it again.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        // The level comes first: it says how to read what follows.
        let level = self.features.iter().filter(|(name, _)| *name == METADATA_VERSION);
        let others = self.features.iter().filter(|(name, _)| *name != METADATA_VERSION);
        let features = level.chain(others).map(|(name, level)| Record::Feature { name: name.clone(), level: *level });
        let brokers =
            self.brokers.values().map(|b| Record::RegisterBroker(RegisterBroker { image: b.as_ref().clone() }));
        let topics = self.topics_by_id.values().flat_map(|topic| {
            let partitions = topic.numbered().map(|(partition, image)| {
                Record::Partition(PartitionRecord { topic: topic.id, partition, image: image.as_ref().clone() })
            });
            std::iter::once(Record::Topic { name: topic.name.clone(), id: topic.id }).chain(partitions)
        });
        let configs = self.configs.iter().flat_map(|(resource, set)| {
            set.iter().map(|(key, value)| Record::Config {
                resource: resource.clone(),
                key: key.clone(),
                value: Some(value.clone()),
            })
        });
        let producer_ids = (self.next_producer_id != ProducerId(0)).then_some(Record::ProducerIds {
            broker: NodeId(-1),
            broker_epoch: -1,
            next: self.next_producer_id,
        });
        let kept = self.kept.iter().cloned().map(Record::Opaque);
        features
            .chain(brokers)
            .chain(topics)
            .chain(configs)
            .chain(producer_ids)
            .chain(self.security_records())
            .chain(kept)
    }

    fn security_records(&self) -> impl Iterator<Item = Record> + '_ {
        let scram = self.scram.iter().flat_map(|(user, all)| {
            all.iter().map(|(mechanism, credential)| {
                Record::ScramCredential(UserScramCredential {
                    user: user.clone(),
                    mechanism: *mechanism,
                    credential: credential.clone(),
                })
            })
        });
        let quotas = self.quotas.iter().flat_map(|(entity, all)| {
            all.iter().map(|(key, value)| {
                Record::ClientQuota(ClientQuota { entity: entity.clone(), key: key.clone(), value: Some(*value) })
            })
        });
        let tokens = self.tokens.values().map(|token| Record::DelegationToken(token.as_ref().clone()));
        let acls = self.acls.iter().map(|(id, acl)| Record::Acl(AclRecord { id, acl: acl.as_ref().clone() }));
        scram.chain(quotas).chain(tokens).chain(acls)
    }

    /// The configs of a topic, broker, group…; shorthand for [`Image::config`].
    #[must_use]
    pub fn config_of(&self, kind: ResourceType, name: &str) -> &BTreeMap<String, String> {
        self.config(&ConfigResource::new(kind, name))
    }
}

#[cfg(test)]
mod tests;
