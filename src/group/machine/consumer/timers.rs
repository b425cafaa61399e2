//! Deadlines of consumer groups, and what the metadata and a load do to them.
//!
//! Lifting a deadline is not relied upon: whoever's time is up is removed only if it is still what it was waited for.

use super::draft::{Alarm, Draft, after, config_of, session_ms};
use crate::group::machine::{Env, Group, Groups, Out, Timer};
use crate::group::record::MemberState;
use crate::metadata::Delta;
use crate::model::{GroupId, MemberId};

impl Groups {
    /// The broker coordinates this group from now on: sessions start.
    pub(in crate::group::machine) fn consumer_group_loaded(&mut self, env: &Env, id: &GroupId, out: &mut Out) {
        // Older expressions than this are looked at again: what came meanwhile was not seen.
        self.consumers.topics_came_at.get_or_insert(env.image.offset.0);
        let Some(Group::Consumer(group)) = self.groups.get(id) else { return };
        let mut draft = Draft::default();
        let config = config_of(env, id);
        for (member_id, member) in &group.members {
            // Of classic members, too: their own session timeout counts from their next request.
            draft.session(env, id, member_id, session_ms(config));
            if member.current.state == MemberState::UnrevokedPartitions {
                let timer = Timer::Rebalance(id.clone(), member_id.clone());
                draft.alarms.push(Alarm::Set(timer, after(env, member.about.rebalance_timeout_ms)));
                draft.revoking.push((member_id.clone(), Some(member.current.epoch)));
            }
        }
        if let Err(refusal) = self.settle(env, id, draft, out) {
            tracing::error!(group = %id, ?refusal, "a group's sessions do not start");
        }
    }

    /// Topics came, went or have more partitions: groups that are subscribed to them look again, at the next heartbeat.
    pub(in crate::group::machine) fn consumer_groups_topics_changed(&mut self, env: &Env, delta: &Delta, _: &mut Out) {
        if delta.topics.values().any(|topic| topic.old.is_none()) {
            self.consumers.topics_came_at = Some(env.image.offset.0);
        }
        for topic in delta.deleted.values().chain(delta.topics.values().map(|topic| &topic.new)) {
            self.consumers.hashes.remove(&topic.name);
            for id in self.consumers.by_topic.get(&topic.name).into_iter().flatten() {
                match self.groups.get_mut(id) {
                    Some(Group::Consumer(group)) => group.memory.hash_holds = None,
                    Some(Group::Share(group)) => group.memory.hash_holds = None,
                    Some(Group::Classic(_)) | None => {}
                }
            }
        }
    }

    pub(in crate::group::machine) fn session_expired(
        &mut self,
        env: &Env,
        group: &GroupId,
        member: &MemberId,
        out: &mut Out,
    ) {
        match self.groups.get(group) {
            Some(Group::Share(_)) => self.share_session_expired(env, group, member, out),
            _ => self.fence_one(env, group, member, "its session expired", out),
        }
    }

    pub(in crate::group::machine) fn rebalance_time_is_up(
        &mut self,
        env: &Env,
        id: &GroupId,
        member: &MemberId,
        out: &mut Out,
    ) {
        let Some(Group::Consumer(group)) = self.groups.get_mut(id) else { return };
        let waited_for = group.memory.revoking.remove(member);
        let is_there = group.members.get(member).map(|member| member.current.epoch);
        if waited_for.is_some() && waited_for == is_there {
            self.fence_one(env, id, member, "it did not give its partitions up in time", out);
        }
    }

    pub(in crate::group::machine) fn classic_join_time_is_up(
        &mut self,
        env: &Env,
        group: &GroupId,
        member: &MemberId,
        out: &mut Out,
    ) {
        self.fence_one(env, group, member, "it did not join again in time", out);
    }

    pub(in crate::group::machine) fn classic_sync_time_is_up(
        &mut self,
        env: &Env,
        group: &GroupId,
        member: &MemberId,
        out: &mut Out,
    ) {
        self.fence_one(env, group, member, "it did not sync in time", out);
    }
}
