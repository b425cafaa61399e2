//! What a record means for a share group (`GroupMetadataManager.replay`): the only place that changes one.
//!
//! Whatever was written is taken, in any order that compaction leaves. What contradicts the group is passed over: a shard
//! that does not load would take every other group with it.

use super::state::{ShareGroup, ShareMember};
use crate::group::machine::consumer::{REMOVED, tidied};
use crate::group::machine::{Group, Groups};
use crate::group::record::{ShareCurrentValue, ShareMemberValue, ShareRecord, TargetValue};
use crate::group::request::Assignment;
use crate::model::{GroupEpoch, GroupId, MemberId, TimestampMs, TopicName};

/// Topics that the group consumes (true) or does not consume (false) any more.
type Topics = Vec<(TopicName, bool)>;

impl Groups {
    /// A record of a share group (types 10 to 15): what it means for the group, which it creates and removes.
    pub(in crate::group::machine) fn apply_share(&mut self, id: GroupId, record: ShareRecord, now: TimestampMs) {
        match self.groups.get(&id) {
            Some(Group::Share(_)) => {}
            None if !record.is_present() => return,
            None => drop(self.groups.insert(id.clone(), Group::Share(Box::new(ShareGroup::new(id.clone()))))),
            Some(other) => {
                let kind = other.kind().name();
                tracing::warn!(group = %id, kind, "a share group's record is passed over: the group is of another kind");
                return;
            }
        }
        let Some(Group::Share(group)) = self.groups.get_mut(&id) else { return };
        let removes = matches!(record, ShareRecord::Group(None));
        let mut topics = Topics::new();
        group.apply(record, now, &mut topics);
        if removes {
            if !group.members.is_empty() || !group.target.is_empty() {
                tracing::warn!(group = %id, "the removal of a group that has members is passed over");
                return;
            }
            topics = group.subscribed.topics().map(|topic| (topic.clone(), false)).collect();
            self.groups.remove(&id);
        }
        for (topic, consumed) in topics {
            self.consumers.index(&id, topic, consumed);
        }
    }
}

impl ShareGroup {
    fn apply(&mut self, record: ShareRecord, now: TimestampMs, topics: &mut Topics) {
        match record {
            ShareRecord::Member { member, value: Some(about) } => self.apply_member(member, about, topics),
            ShareRecord::Member { member, value: None } => {
                if let Some(member) = self.members.remove(&member) {
                    self.subscribe(&member.about.topics, &[], topics);
                }
            }
            ShareRecord::Group(Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            ShareRecord::Group(None) => {}
            ShareRecord::Target(value) => {
                self.assigned = value.unwrap_or(TargetValue { epoch: REMOVED, assigned_at: TimestampMs(0) });
            }
            ShareRecord::TargetMember { member, value: Some(target) } => {
                self.target.insert(member, tidied(target));
            }
            ShareRecord::TargetMember { member, value: None } => drop(self.target.remove(&member)),
            ShareRecord::Current { member, value: Some(current) } => {
                let assigned = tidied(current.assigned);
                self.members.entry(member).or_default().current = ShareCurrentValue { assigned, ..current };
            }
            ShareRecord::Current { member, value: None } => {
                if let Some(member) = self.members.get_mut(&member) {
                    member.current.epoch = GroupEpoch::LEAVE;
                    member.current.previous_epoch = GroupEpoch::LEAVE;
                    member.current.assigned = Assignment::new();
                }
            }
            ShareRecord::States(states) => {
                self.states = states;
                self.memory.states_written_at = (now != TimestampMs::NONE).then_some(now);
            }
        }
    }

    fn apply_member(&mut self, id: MemberId, mut about: ShareMemberValue, topics: &mut Topics) {
        about.topics.sort_unstable();
        about.topics.dedup();
        for topic in &mut about.topics {
            self.subscribed.share(topic);
        }
        let old = self.members.get(&id).map(|member| member.about.topics.clone()).unwrap_or_default();
        self.subscribe(&old, &about.topics, topics);
        let member: &mut ShareMember = self.members.entry(id).or_default();
        member.about = about;
    }

    /// A member consumes other topics than before. First the new ones, so that a topic that stays does not look as if it
    /// went and came.
    fn subscribe(&mut self, old: &[TopicName], new: &[TopicName], topics: &mut Topics) {
        for topic in new {
            if self.subscribed.name_added(topic) {
                topics.push((topic.clone(), true));
            }
        }
        for topic in old {
            if self.subscribed.name_removed(topic) {
                topics.push((topic.clone(), false));
            }
        }
    }
}
