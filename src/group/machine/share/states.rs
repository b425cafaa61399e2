//! The state of a group's partitions at share coordinators: who has it, who is to have it, and who is to have it no more
//! (`ShareGroupStatePartitionMetadata`).
//!
//! A partition that is subscribed to is initialised by the first heartbeat that finds it without state: written down as
//! initialising, then asked for ([`super::Task`]), then written down as initialised. If that fails the next heartbeat tries
//! again; if nobody ever says what became of it, because this broker or another died over it, the next heartbeat after
//! `group.share.initialize.retry.interval.ms`.

use super::state::ShareGroup;
use crate::group::machine::consumer::{Draft, Subscribed};
use crate::group::machine::{Env, Group, Groups, Out, Timer, batch_size};
use crate::group::record::{Record, ShareRecord, ShareStatesValue, SharedTopic};
use crate::metadata::Delta;
use crate::model::{ErrorCode, GroupId, PartitionId, TopicId};
use crate::share::persister::SharedPartition;
use std::collections::{BTreeMap, BTreeSet};

/// Partitions by topic.
pub(super) type Shared = BTreeMap<TopicId, SharedTopic>;

impl ShareGroup {
    /// Partitions of these topics that nobody keeps state of, and nobody is about to; from now on somebody is.
    pub(super) fn to_initialize(&self, env: &Env, subscribed: &Subscribed, draft: &mut Draft) -> Vec<SharedPartition> {
        let retry = i64::try_from(env.settings.groups.share.initialize_retry_interval.as_millis()).unwrap_or(i64::MAX);
        let is_under_way = self.memory.states_written_at.is_some_and(|at| env.now.0.saturating_sub(at.0) < retry);
        let none = ShareStatesValue::default();
        let states = self.states.as_ref().unwrap_or(&none);
        let in_hand = |id: &TopicId, at: &PartitionId| {
            let has = |topics: &Shared| topics.get(id).is_some_and(|topic| topic.partitions.contains(at));
            has(&states.initialized) || (is_under_way && has(&states.initializing))
        };
        let mut missing = Shared::new();
        for topic in subscribed.topics().filter_map(|name| env.image.topic(name.as_str())) {
            let all = (0..).map(PartitionId).take(topic.partitions.len());
            let partitions: BTreeSet<PartitionId> = all.filter(|at| !in_hand(&topic.id, at)).collect();
            if !partitions.is_empty() {
                missing.insert(topic.id, SharedTopic { name: topic.name.clone(), partitions });
            }
        }
        let partitions = each(&missing);
        if !missing.is_empty() {
            draft.share(&self.id, self.initializing(missing));
        }
        partitions
    }

    /// The record that says that state is asked for.
    pub(super) fn initializing(&self, more: Shared) -> ShareRecord {
        let mut states = self.states.clone().unwrap_or_default();
        combine(&mut states.initializing, more);
        // What is asked for again is not to be deleted any more.
        states.deleting.retain(|id, _| !states.initializing.contains_key(id));
        ShareRecord::States(Some(states))
    }
}

/// Adds partitions to those that there are.
pub(super) fn combine(topics: &mut Shared, more: Shared) {
    for (id, more) in more {
        match topics.get_mut(&id) {
            Some(topic) => {
                topic.partitions.extend(more.partitions);
                topic.name = more.name;
            }
            None => drop(topics.insert(id, more)),
        }
    }
}

/// Every one of these partitions.
pub(super) fn each(topics: &Shared) -> Vec<SharedPartition> {
    let of = |(id, of): (&TopicId, &SharedTopic)| {
        let topic = *id;
        of.partitions.iter().map(move |at| SharedPartition { topic, partition: *at }).collect::<Vec<_>>()
    };
    topics.iter().flat_map(of).collect()
}

impl Groups {
    /// The share coordinators have initialised these partitions, all of them; or (`done` false) they have not.
    pub(super) fn share_states_settled(
        &mut self,
        env: &Env,
        id: &GroupId,
        partitions: &[SharedPartition],
        done: bool,
        out: &mut Out,
    ) -> Result<(), ErrorCode> {
        let Some(Group::Share(group)) = self.groups.get(id) else { return Ok(()) };
        let mut states = group.states.clone().unwrap_or_default();
        for at in partitions {
            let mut name = env.image.topic_by_id(at.topic).map(|topic| topic.name.clone());
            if let Some(topic) = states.initializing.get_mut(&at.topic) {
                topic.partitions.remove(&at.partition);
                name = name.map(|_| topic.name.clone());
            }
            // A topic that was deleted meanwhile has no state any more.
            if let Some(name) = name.filter(|_| done) {
                let topic = SharedTopic { name, partitions: BTreeSet::from([at.partition]) };
                combine(&mut states.initialized, Shared::from([(at.topic, topic)]));
            }
        }
        states.initializing.retain(|_, topic| !topic.partitions.is_empty());
        if group.states.as_ref() == Some(&states) {
            return Ok(());
        }
        let record = Record::Share { group: id.clone(), of: ShareRecord::States(Some(states)) };
        self.commit_all(env, out, vec![record])
    }

    /// Every partition that has state; nothing of a group that is not there, or of another kind.
    pub(super) fn share_partitions(&self, id: &GroupId) -> Vec<SharedPartition> {
        match self.groups.get(id) {
            Some(Group::Share(group)) => group.states.iter().flat_map(|states| each(&states.initialized)).collect(),
            _ => Vec::new(),
        }
    }

    /// Before a share group is deleted: what share coordinators keep of it has to be, and is written down as such. Nothing
    /// if they keep nothing.
    pub(in crate::group::machine) fn share_state_to_delete(
        &mut self,
        env: &Env,
        id: &GroupId,
        out: &mut Out,
    ) -> Result<Vec<SharedPartition>, ErrorCode> {
        let Some(Group::Share(group)) = self.groups.get(id) else { return Ok(Vec::new()) };
        let Some(states) = &group.states else { return Ok(Vec::new()) };
        let mut all = states.initialized.clone();
        combine(&mut all, states.initializing.clone());
        // A deletion that failed before is tried again; of a topic that is gone there is nothing to delete.
        for id in states.deleting.keys() {
            if let Some(topic) = env.image.topic_by_id(*id) {
                let partitions = (0..).map(PartitionId).take(topic.partitions.len()).collect();
                combine(&mut all, Shared::from([(*id, SharedTopic { name: topic.name.clone(), partitions })]));
            }
        }
        let deleting = all.iter().map(|(id, topic)| (*id, topic.name.clone())).collect();
        let states = ShareStatesValue { deleting, ..ShareStatesValue::default() };
        let record = Record::Share { group: id.clone(), of: ShareRecord::States(Some(states)) };
        self.commit_all(env, out, vec![record])?;
        Ok(each(&all))
    }

    /// Topics were deleted: share coordinators have seen to their state themselves, and it is forgotten here.
    pub(in crate::group::machine) fn forget_shared_topics(&mut self, env: &Env, delta: &Delta, out: &mut Out) {
        self.shared_doomed.extend(delta.deleted.values().map(|topic| topic.id));
        self.forget_more_shared(env, out);
    }

    /// As many groups' as half a batch takes; a timer brings the next.
    pub(in crate::group::machine) fn forget_more_shared(&mut self, env: &Env, out: &mut Out) {
        if self.shared_doomed.is_empty() {
            return;
        }
        let doomed = std::mem::take(&mut self.shared_doomed);
        let mut size = batch_size(&out.records);
        let mut records = Vec::new();
        for (id, group) in &self.groups {
            let Group::Share(group) = group else { continue };
            let Some(states) = &group.states else { continue };
            let mut left = states.clone();
            left.initializing.retain(|id, _| !doomed.contains(id));
            left.initialized.retain(|id, _| !doomed.contains(id));
            left.deleting.retain(|id, _| !doomed.contains(id));
            if left == *states {
                continue;
            }
            let record = Record::Share { group: id.clone(), of: ShareRecord::States(Some(left)) };
            size += batch_size(&[record.encode()]);
            if size > env.batch_bytes_max / 2 && !records.is_empty() {
                self.shared_doomed = doomed;
                self.timers.arm(Timer::ForgetShared, env.now.plus(1));
                break;
            }
            records.push(record);
        }
        for record in records {
            self.commit(env.now, out, record);
        }
    }
}
