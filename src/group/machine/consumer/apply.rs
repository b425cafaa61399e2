//! What a record means for a consumer group (`GroupMetadataManager.replay`): the only place that changes one.
//!
//! Whatever was written is taken, in any order that compaction leaves. What contradicts the group is passed over: a shard
//! that does not load would take every other group with it.

use super::state::{ConsumerGroup, Member, REMOVED, less, more, regex_of};
use crate::group::machine::{Group, Groups};
use crate::group::record::{CurrentValue, MemberState, MemberValue, Record, RegexValue, TargetValue, WithEpochs};
use crate::group::request::Assignment;
use crate::model::{GroupEpoch, GroupId, MemberId, TimestampMs, TopicName};

/// What a record did besides.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Topics that the group consumes (true) or does not consume (false) any more.
    pub(super) topics: Vec<(TopicName, bool)>,
    /// The group is no more.
    pub(super) removed: bool,
    /// A partition has an owner already.
    pub(super) contradiction: bool,
}

impl Groups {
    /// A record of a consumer group (types 3 to 8 and 16): what it means for the group, which it creates and removes.
    pub(in crate::group::machine) fn apply_consumer(&mut self, record: Record) {
        let Some((id, present)) = group_of(&record) else { return };
        let id = id.clone();
        match self.groups.get(&id) {
            Some(Group::Consumer(_)) => {}
            // A group that was only there to keep offsets has no record of its own.
            None | Some(Group::Classic(_)) if !present => return,
            Some(Group::Classic(group)) if !super::migrate::only_keeps_offsets(group) => {
                tracing::warn!(group = %id, "a consumer group's record is passed over: the group is a classic group");
                return;
            }
            Some(Group::Share(_)) => {
                tracing::warn!(group = %id, "a consumer group's record is passed over: the group is a share group");
                return;
            }
            None | Some(Group::Classic(_)) => {
                let group = Group::Consumer(Box::new(ConsumerGroup::new(id.clone())));
                self.groups.insert(id.clone(), group);
            }
        }
        let Some(Group::Consumer(group)) = self.groups.get_mut(&id) else { return };
        let applied = group.apply(record);
        if applied.contradiction {
            tracing::error!(group = %id, "a partition was given to a second member before the first gave it up");
        }
        for (topic, consumed) in applied.topics {
            self.consumers.index(&id, topic, consumed);
        }
        if applied.removed {
            self.groups.remove(&id);
        }
    }
}

/// Whose record it is, and whether it is none of a removal.
fn group_of(record: &Record) -> Option<(&GroupId, bool)> {
    match record {
        Record::Group { group, value } => Some((group, value.is_some())),
        Record::PartitionMetadata { group, present } => Some((group, *present)),
        Record::Member { group, value, .. } => Some((group, value.is_some())),
        Record::Target { group, value } => Some((group, value.is_some())),
        Record::TargetMember { group, value, .. } => Some((group, value.is_some())),
        Record::Current { group, value, .. } => Some((group, value.is_some())),
        Record::Regex { group, value, .. } => Some((group, value.is_some())),
        Record::Offset { .. } | Record::ClassicGroup { .. } | Record::Share { .. } => None,
    }
}

impl ConsumerGroup {
    /// See [`Groups::apply_consumer`].
    pub(super) fn apply(&mut self, record: Record) -> Applied {
        let mut applied = Applied::default();
        match record {
            Record::Group { value: Some(value), .. } => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            Record::Group { value: None, .. } => {
                applied.removed = self.members.is_empty() && self.target.is_empty();
                applied.topics = self.subscribed.topics().map(|topic| (topic.clone(), false)).collect();
                if !applied.removed {
                    tracing::warn!(group = %self.id, "the removal of a group that has members is passed over");
                    applied.topics.clear();
                }
            }
            Record::PartitionMetadata { present, .. } => self.has_partition_metadata = present,
            Record::Member { member, value: Some(about), .. } => self.apply_member(member, about, &mut applied),
            Record::Member { member, value: None, .. } => self.remove_member(&member, &mut applied),
            Record::Target { value, .. } => {
                self.assigned = value.unwrap_or(TargetValue { epoch: REMOVED, assigned_at: TimestampMs(0) });
            }
            Record::TargetMember { member, value: Some(target), .. } => {
                self.target.insert(member, tidied(target));
            }
            Record::TargetMember { member, value: None, .. } => {
                self.target.remove(&member);
            }
            Record::Current { member, value: Some(current), .. } => self.apply_current(member, current, &mut applied),
            Record::Current { member, value: None, .. } => {
                if let Some(known) = self.members.get(&member) {
                    let current = CurrentValue {
                        epoch: GroupEpoch::LEAVE,
                        previous_epoch: GroupEpoch::LEAVE,
                        state: known.current.state,
                        assigned: WithEpochs::new(),
                        pending_revocation: WithEpochs::new(),
                    };
                    self.apply_current(member, current, &mut applied);
                }
            }
            Record::Regex { regex, value, .. } => self.apply_regex(regex, value, &mut applied),
            Record::Offset { .. } | Record::ClassicGroup { .. } | Record::Share { .. } => {}
        }
        applied
    }

    fn apply_member(&mut self, id: MemberId, mut about: MemberValue, applied: &mut Applied) {
        about.topics.sort_unstable();
        about.topics.dedup();
        for topic in &mut about.topics {
            self.subscribed.share(topic);
        }
        let mut member = match self.members.remove(&id) {
            Some(member) => {
                self.uncount(&member.about, applied, Some(&about));
                member
            }
            None => {
                let member = Member::new();
                self.count_current(&member.current, applied);
                member
            }
        };
        let old = std::mem::replace(&mut member.about, about);
        self.count(&member.about, applied, Some(&old));
        if let Some(instance) = &member.about.instance {
            self.static_members.insert(instance.clone(), id.clone());
        }
        self.members.insert(id, member);
    }

    fn apply_current(&mut self, id: MemberId, current: CurrentValue, applied: &mut Applied) {
        let mut member = match self.members.remove(&id) {
            Some(member) => {
                self.uncount_current(&member.current);
                member
            }
            None => Member::new(),
        };
        self.count_current(&current, applied);
        member.current = current;
        self.members.insert(id, member);
    }

    fn remove_member(&mut self, id: &MemberId, applied: &mut Applied) {
        let Some(member) = self.members.remove(id) else { return };
        self.uncount_current(&member.current);
        self.uncount(&member.about, applied, None);
        if let Some(instance) = &member.about.instance
            && self.static_members.get(instance) == Some(id)
        {
            self.static_members.remove(instance);
        }
        self.memory.revoking.remove(id);
    }

    fn apply_regex(&mut self, regex: String, value: Option<RegexValue>, applied: &mut Applied) {
        // First the new ones, so that a topic that stays does not look as if it went and came.
        for topic in value.iter().flat_map(|value| &value.topics) {
            if self.subscribed.regex_added(topic) {
                applied.topics.push((topic.clone(), true));
            }
        }
        let old = match value {
            Some(mut value) => {
                for topic in &mut value.topics {
                    self.subscribed.share(topic);
                }
                self.resolved.insert(regex, value)
            }
            None => self.resolved.remove(&regex),
        };
        for topic in old.iter().flat_map(|value| &value.topics) {
            if self.subscribed.regex_removed(topic) {
                applied.topics.push((topic.clone(), false));
            }
        }
    }

    /// Counts what a member says of itself; topics that `before` has are counted already.
    fn count(&mut self, about: &MemberValue, applied: &mut Applied, before: Option<&MemberValue>) {
        for topic in &about.topics {
            if before.is_none_or(|before| before.topics.binary_search(topic).is_err())
                && self.subscribed.name_added(topic)
            {
                applied.topics.push((topic.clone(), true));
            }
        }
        if let Some(assignor) = &about.assignor {
            more(&mut self.assignors, assignor.clone());
        }
        if let Some(regex) = regex_of(about) {
            more(&mut self.regexes, regex.to_owned());
        }
        if let Some(classic) = &about.classic {
            self.classic_members += 1;
            for (protocol, _) in &classic.protocols {
                more(&mut self.classic_protocols, protocol.clone());
            }
        }
    }

    /// Takes back what [`ConsumerGroup::count`] counted; topics that `after` has stay counted.
    fn uncount(&mut self, about: &MemberValue, applied: &mut Applied, after: Option<&MemberValue>) {
        for topic in &about.topics {
            if after.is_none_or(|after| after.topics.binary_search(topic).is_err())
                && self.subscribed.name_removed(topic)
            {
                applied.topics.push((topic.clone(), false));
            }
        }
        if let Some(assignor) = &about.assignor {
            less(&mut self.assignors, assignor);
        }
        if let Some(regex) = regex_of(about) {
            less(&mut self.regexes, regex);
        }
        if let Some(classic) = &about.classic {
            self.classic_members = self.classic_members.saturating_sub(1);
            for (protocol, _) in &classic.protocols {
                less(&mut self.classic_protocols, protocol);
            }
        }
    }

    fn count_current(&mut self, current: &CurrentValue, applied: &mut Applied) {
        if current.state == MemberState::Stable {
            more(&mut self.stable_at, current.epoch);
        }
        for (topic, partitions) in current.assigned.iter().chain(&current.pending_revocation) {
            let owned = self.owned.entry(*topic).or_default();
            for partition in partitions.keys() {
                match owned.get(partition) {
                    Some(epoch) if *epoch >= current.epoch => applied.contradiction = true,
                    _ => {
                        owned.insert(*partition, current.epoch);
                    }
                }
            }
        }
    }

    /// A partition that somebody else has by now stays theirs: compaction may show its loss after its gain.
    fn uncount_current(&mut self, current: &CurrentValue) {
        if current.state == MemberState::Stable {
            less(&mut self.stable_at, &current.epoch);
        }
        for (topic, partitions) in current.assigned.iter().chain(&current.pending_revocation) {
            let Some(owned) = self.owned.get_mut(topic) else { continue };
            for partition in partitions.keys() {
                if owned.get(partition) == Some(&current.epoch) {
                    owned.remove(partition);
                }
            }
            if owned.is_empty() {
                self.owned.remove(topic);
            }
        }
    }
}

/// In order and without topics that have no partitions: so that equal assignments are equal.
pub(in crate::group::machine) fn tidied(mut assignment: Assignment) -> Assignment {
    assignment.retain(|_, partitions| {
        partitions.sort_unstable();
        partitions.dedup();
        partitions.shrink_to_fit();
        !partitions.is_empty()
    });
    assignment
}
