//! The target assignment of a share group, and what a member has of it (`maybeUpdateTargetAssignment`,
//! `ShareGroupAssignmentBuilder`).

use super::state::ShareGroup;
use crate::config::ShareConfig;
use crate::group::machine::Env;
use crate::group::machine::assign::{self, Subscriber};
use crate::group::machine::consumer::{Draft, may_assign, tidied};
use crate::group::record::{MemberState, ShareCurrentValue, ShareMemberValue, ShareRecord, TargetValue};
use crate::group::request::Assignment;
use crate::metadata::Image;
use crate::model::{GroupEpoch, MemberId, PartitionId, TopicId, TopicName};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The target assignment that a member is to have.
pub(super) struct Target<'a> {
    pub(super) epoch: GroupEpoch,
    pub(super) of_member: Cow<'a, Assignment>,
}

impl ShareGroup {
    /// There are partitions that can be assigned and are not (`initializedAssignmentPending`): their state came to be after
    /// the last assignment.
    pub(super) fn assignment_is_pending(&self) -> bool {
        let Some(states) = self.states.as_ref().filter(|_| !self.members.is_empty()) else { return false };
        let mut assigned: BTreeMap<TopicId, BTreeSet<PartitionId>> = BTreeMap::new();
        for (topic, partitions) in self.target.values().flatten() {
            assigned.entry(*topic).or_default().extend(partitions);
        }
        let mut consumed = states.initialized.iter().filter(|(_, topic)| self.subscribed.contains(&topic.name));
        consumed.any(|(id, topic)| assigned.get(id) != Some(&topic.partitions))
    }

    /// Assigns anew if the group's epoch asks for it and the last assignment is long enough ago.
    pub(super) fn assign(
        &self,
        env: &Env,
        config: &ShareConfig,
        epoch: GroupEpoch,
        (id, about): (&MemberId, &ShareMemberValue),
        draft: &mut Draft,
    ) -> Target<'_> {
        if self.assigned.epoch >= epoch || !may_assign(&self.assigned, env.now, config.assignment_interval.as_millis())
        {
            let last = self.target.get(id);
            let of_member = last.map_or_else(Cow::default, Cow::Borrowed);
            return Target { epoch: self.assigned.epoch, of_member };
        }
        let mut shared = Vec::new();
        let mut members = BTreeMap::new();
        let others = self.members.iter().filter(|(other, _)| *other != id).map(|(id, member)| (id, &member.about));
        let alike = others.clone().all(|(_, other)| other.topics == about.topics);
        for (id, about) in others.chain([(id, about)]) {
            let current = self.target.get(id).cloned().unwrap_or_default();
            let topics = topics(&about.topics, &env.image, &mut shared);
            members.insert(id.clone(), Subscriber { topics, current, ..Subscriber::default() });
        }
        let mut target = assign::simple(&members, alike, &self.assignable(&env.image));
        let mut of_member = Assignment::new();
        for member in members.into_keys() {
            let new = tidied(target.remove(&member).unwrap_or_default());
            if member == *id {
                of_member.clone_from(&new);
            }
            if self.target.get(&member) != Some(&new) {
                draft.share(&self.id, ShareRecord::TargetMember { member, value: Some(new) });
            }
        }
        draft.share(&self.id, ShareRecord::Target(Some(TargetValue { epoch, assigned_at: env.now })));
        Target { epoch, of_member: Cow::Owned(of_member) }
    }

    /// What can be assigned: partitions that are there and have state.
    fn assignable(&self, image: &Image) -> BTreeMap<TopicId, BTreeSet<PartitionId>> {
        let states = self.states.iter().flat_map(|states| &states.initialized);
        let there = states.filter_map(|(id, topic)| {
            let image = image.topic_by_id(*id)?;
            let there = topic.partitions.iter().filter(|at| image.partition(**at).is_some()).copied();
            Some((*id, there.collect()))
        });
        there.collect()
    }

    /// Gives a member what it is to have (`maybeReconcile`). `None`: it has it.
    pub(super) fn lead(
        &self,
        image: &Image,
        (id, about): (&MemberId, &ShareMemberValue),
        current: &ShareCurrentValue,
        target: &Target<'_>,
        changed: bool,
        draft: &mut Draft,
    ) -> Option<ShareCurrentValue> {
        let is_there = current.state == MemberState::Stable && current.epoch == target.epoch;
        if is_there && !changed {
            return None;
        }
        let mut assigned = target.of_member.clone().into_owned();
        assigned.retain(|topic, _| {
            image.topic_by_id(*topic).is_some_and(|topic| about.topics.binary_search(&topic.name).is_ok())
        });
        let next = if current.epoch == target.epoch {
            ShareCurrentValue { assigned, ..current.clone() }
        } else {
            let state = MemberState::Stable;
            ShareCurrentValue { epoch: target.epoch, previous_epoch: current.epoch, state, assigned }
        };
        (next != *current).then(|| {
            draft.share(&self.id, ShareRecord::Current { member: id.clone(), value: Some(next.clone()) });
            next
        })
    }
}

/// The ids of the topics that there are of these. Members that consume the same share them.
fn topics<'a>(
    names: &'a [TopicName],
    image: &Image,
    shared: &mut Vec<(&'a [TopicName], Arc<BTreeSet<TopicId>>)>,
) -> Arc<BTreeSet<TopicId>> {
    if let Some((_, topics)) = shared.iter().find(|(known, _)| *known == names) {
        return Arc::clone(topics);
    }
    let ids = names.iter().filter_map(|name| image.topic(name.as_str()).map(|topic| topic.id));
    let topics = Arc::new(ids.collect());
    shared.push((names, Arc::clone(&topics)));
    topics
}
