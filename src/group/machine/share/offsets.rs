//! AlterShareGroupOffsets and DeleteShareGroupOffsets, the group coordinator's part: what share coordinators are to be asked
//! is written down before they are, and after it.

use super::states::Shared;
use crate::group::machine::consumer::not_found;
use crate::group::machine::share::ShareGroup;
use crate::group::machine::{Env, Group, Groups, Out};
use crate::group::record::{Record, ShareRecord, SharedTopic};
use crate::group::request::{
    AlterShareOffsets, AlteredTopic, AlteringShareOffsets, DeletedTopic, DeletingShareOffsets, Refusal,
};
use crate::model::{ErrorCode, GroupId, Offset, PartitionId, TopicId, TopicName};
use crate::share::persister::{SharedPartition, StateEpoch};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Kafka's words for `UNKNOWN_TOPIC_OR_PARTITION`.
const UNKNOWN_TOPIC: &str = "This server does not host this topic-partition.";

impl Groups {
    /// A group that is not there comes to be.
    pub(super) fn alter_share_offsets(
        &mut self,
        env: &Env,
        alter: AlterShareOffsets,
        out: &mut Out,
    ) -> Result<AlteringShareOffsets, Refusal> {
        let AlterShareOffsets { group: id, topics } = alter;
        let group = match self.groups.get(&id) {
            Some(Group::Share(group)) => Cow::Borrowed(&**group),
            Some(_) => return Err(not_found(format!("Group {id} is not a share group."))),
            None => Cow::Owned(ShareGroup::new(id.clone())),
        };
        check_empty(&group)?;
        let epoch = StateEpoch(group.epoch.0);
        let unknown = || Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC));
        let mut initializing = Shared::new();
        let mut starts: BTreeMap<SharedPartition, Offset> = BTreeMap::new();
        let mut altered = Vec::with_capacity(topics.len());
        for (name, partitions) in topics {
            let topic = env.image.topic(name.as_str());
            let mut one = |(partition, start): (PartitionId, Offset)| {
                let Some(topic) = topic.filter(|topic| topic.partition(partition).is_some()) else {
                    return (partition, unknown());
                };
                starts.insert(SharedPartition { topic: topic.id, partition }, start);
                let shared = SharedTopic { name: topic.name.clone(), partitions: [partition].into() };
                super::states::combine(&mut initializing, Shared::from([(topic.id, shared)]));
                (partition, Ok(()))
            };
            let partitions = partitions.into_iter().map(&mut one).collect();
            altered.push(AlteredTopic { name, id: topic.map_or(TopicId::ZERO, |topic| topic.id), partitions });
        }
        if !initializing.is_empty() {
            let record = Record::Share { group: id, of: group.initializing(initializing) };
            self.commit_all(env, out, vec![record])?;
        }
        let start = |offset: Offset| (offset.0 != -1).then_some(offset);
        let to_initialize = starts.into_iter().map(|(at, offset)| (at, epoch, start(offset))).collect();
        Ok(AlteringShareOffsets { topics: altered, to_initialize })
    }

    pub(super) fn delete_share_offsets(
        &mut self,
        env: &Env,
        id: &GroupId,
        topics: Vec<TopicName>,
        out: &mut Out,
    ) -> Result<DeletingShareOffsets, Refusal> {
        let group = self.share_group(id)?;
        check_empty(group)?;
        let mut deleting = DeletingShareOffsets { refused: Vec::new(), topics: Vec::new() };
        let Some(states) = &group.states else { return Ok(deleting) };
        let mut left = states.clone();
        for name in topics {
            let refused = |id, message: &str| {
                let outcome = Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message));
                DeletedTopic { name: name.clone(), id, outcome }
            };
            let Some(topic) = env.image.topic(name.as_str()) else {
                deleting.refused.push(refused(TopicId::ZERO, UNKNOWN_TOPIC));
                continue;
            };
            let partitions: Vec<PartitionId> = match left.initialized.remove(&topic.id) {
                Some(shared) => {
                    left.deleting.insert(topic.id, name.clone());
                    shared.partitions.into_iter().collect()
                }
                // A deletion that was begun and did not end.
                None if left.deleting.contains_key(&topic.id) => {
                    (0..).map(PartitionId).take(topic.partitions.len()).collect()
                }
                None => {
                    deleting.refused.push(refused(TopicId::ZERO, "There is no offset information to delete."));
                    continue;
                }
            };
            deleting.topics.push((name, topic.id, partitions));
        }
        if left != *states {
            let record = Record::Share { group: id.clone(), of: ShareRecord::States(Some(left)) };
            self.commit_all(env, out, vec![record])?;
        }
        Ok(deleting)
    }

    /// The share coordinators keep nothing of these topics any more.
    pub(super) fn share_offsets_deleted(
        &mut self,
        env: &Env,
        id: &GroupId,
        topics: &[TopicId],
        out: &mut Out,
    ) -> Result<(), ErrorCode> {
        let Some(Group::Share(group)) = self.groups.get(id) else { return Ok(()) };
        let Some(mut states) = group.states.clone() else { return Ok(()) };
        states.deleting.retain(|id, _| !topics.contains(id));
        let record = Record::Share { group: id.clone(), of: ShareRecord::States(Some(states)) };
        self.commit_all(env, out, vec![record])
    }
}

/// Kafka's words for `NON_EMPTY_GROUP`.
fn check_empty(group: &ShareGroup) -> Result<(), Refusal> {
    group.check_empty().map_err(|code| Refusal::new(code, "The group is not empty."))
}
