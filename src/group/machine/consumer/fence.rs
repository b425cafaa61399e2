//! Members that leave or are removed (`consumerGroupLeave`, `consumerGroupFenceMembers`).

use super::draft::{Context, Draft, not_found};
use super::hash;
use super::migrate::Because;
use super::state::{ConsumerGroup, regex_of};
use super::target::next;
use crate::group::machine::{Env, Group, Groups, Out, Timer};
use crate::group::record::WithEpochs;
use crate::group::request::{ConsumerHeartbeat, ConsumerHeartbeaten, Refusal};
use crate::model::{GroupEpoch, GroupId, MemberId, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};

/// `CoordinatorRuntime`'s timers come again after this long if what they do fails.
const TRY_AGAIN_MS: i64 = 500;

impl Groups {
    pub(super) fn leave_with_heartbeat(
        &mut self,
        env: &Env,
        beat: &ConsumerHeartbeat,
        out: &mut Out,
    ) -> Result<ConsumerHeartbeaten, Refusal> {
        let group = self.consumer_group(&beat.group)?;
        match &beat.instance {
            None => {
                group.member(&beat.member)?;
            }
            Some(instance) => {
                let member = group.own_static_member(&beat.member, instance)?;
                if beat.epoch == GroupEpoch::LEAVE_STATIC {
                    // It is to come back, under whatever id, and to find its partitions: they count as assigned from the
                    // start, so that the new member may commit.
                    let mut current = member.current.clone();
                    current.epoch = GroupEpoch::LEAVE_STATIC;
                    current.pending_revocation = WithEpochs::new();
                    for epoch in current.assigned.values_mut().flat_map(BTreeMap::values_mut) {
                        *epoch = GroupEpoch(0);
                    }
                    let mut draft = Draft::default();
                    draft.current(&beat.group, &beat.member, current);
                    self.settle(env, &beat.group, draft, out)?;
                    return Ok(left(beat));
                }
            }
        }
        self.fence(env, &beat.group, &BTreeSet::from([beat.member.clone()]), out)?;
        Ok(left(beat))
    }

    /// Removes members, if they are there; whatever is left may go on as a classic group.
    pub(super) fn fence(
        &mut self,
        env: &Env,
        id: &GroupId,
        members: &BTreeSet<MemberId>,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        if members.is_empty() {
            return Ok(());
        }
        let Some(Group::Consumer(group)) = self.groups.get(id) else {
            return Err(not_found(format!("Group {id} not found.")));
        };
        if group.may_be_classic_without(env, members) {
            return self.become_classic(env, id, &Because::Leaving(members), Draft::default(), out);
        }
        let mut draft = Draft::default();
        let mut context = Context::new(env, id, &mut self.consumers);
        group.remove(&mut context, members, &mut draft);
        self.settle(env, id, draft, out)
    }

    /// A deadline of this member is over: it is removed, if it is still there.
    pub(super) fn fence_one(&mut self, env: &Env, id: &GroupId, member: &MemberId, reason: &str, out: &mut Out) {
        match self.groups.get(id) {
            Some(Group::Consumer(group)) if group.members.contains_key(member) => {}
            _ => return,
        }
        tracing::info!(group = %id, %member, reason, "a member is removed");
        if let Err(refusal) = self.fence(env, id, &BTreeSet::from([member.clone()]), out) {
            tracing::error!(group = %id, %member, ?refusal, "a member cannot be removed; it is tried again");
            let again = TimestampMs(env.now.0.saturating_add(TRY_AGAIN_MS));
            self.timers.arm(Timer::Session(id.clone(), member.clone()), again);
        }
    }
}

fn left(beat: &ConsumerHeartbeat) -> ConsumerHeartbeaten {
    ConsumerHeartbeaten { member: beat.member.clone(), epoch: beat.epoch, heartbeat_interval_ms: 0, assignment: None }
}

impl ConsumerGroup {
    fn remove(&self, context: &mut Context<'_>, members: &BTreeSet<MemberId>, draft: &mut Draft) {
        let mut subscribed = self.subscribed.clone();
        let mut regexes: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, member) in members.iter().filter_map(|id| self.members.get_key_value(id)) {
            draft.remove_member(&self.id, id);
            for topic in &member.about.topics {
                subscribed.name_removed(topic);
            }
            if let Some(regex) = regex_of(&member.about) {
                *regexes.entry(regex).or_default() += 1;
            }
        }
        for (regex, gone) in regexes {
            if self.with_regex(regex) != gone {
                continue;
            }
            draft.remove_regex(&self.id, regex);
            for topic in self.resolved.get(regex).iter().flat_map(|resolved| &resolved.topics) {
                subscribed.regex_removed(topic);
            }
        }
        let hash = hash::of_group(&subscribed, &context.env.image, context.index);
        draft.epoch(&self.id, next(self.epoch), hash);
        for member in members {
            draft.no_timers(&self.id, member);
        }
    }
}
