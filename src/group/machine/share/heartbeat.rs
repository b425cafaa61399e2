//! ShareGroupHeartbeat (`GroupMetadataManager.shareGroupHeartbeat`), and members that leave or are removed.
//!
//! What is wrong with a request itself was refused before (`GroupCoordinator::share_heartbeat`).

use super::Task;
use super::state::{ShareGroup, ShareMember};
use crate::config::ShareConfig;
use crate::group::machine::consumer::{Draft, HASH_HOLDS_MS, Subscribed, after, hash_of, next, not_found};
use crate::group::machine::{Env, Group, Groups, Out, Timer};
use crate::group::record::{GroupValue, ShareMemberValue, ShareRecord};
use crate::group::request::{ConsumerHeartbeaten, Refusal, ShareHeartbeat};
use crate::metadata::{ConfigResource, ResourceType};
use crate::model::{ErrorCode, GroupEpoch, GroupId, MemberId, TopicName};
use crate::share::persister::StateEpoch;
use std::borrow::Cow;

/// `CoordinatorRuntime`'s timers come again after this long if what they do fails.
const TRY_AGAIN_MS: i64 = 500;

impl Groups {
    pub(super) fn share_heartbeat(
        &mut self,
        env: &Env,
        beat: ShareHeartbeat,
        out: &mut Out,
    ) -> Result<ConsumerHeartbeaten, Refusal> {
        if beat.epoch != GroupEpoch::LEAVE {
            return self.beat_share(env, beat, out);
        }
        self.share_group(&beat.group)?.member(&beat.member)?;
        self.fence_share(env, &beat.group, &beat.member, out)?;
        Ok(ConsumerHeartbeaten { member: beat.member, epoch: beat.epoch, heartbeat_interval_ms: 0, assignment: None })
    }

    fn beat_share(&mut self, env: &Env, beat: ShareHeartbeat, out: &mut Out) -> Result<ConsumerHeartbeaten, Refusal> {
        let joins = beat.epoch == GroupEpoch::JOIN;
        let is_full = beat.topics.is_some();
        let config = config_of(env, &beat.group);
        let mut draft = Draft::default();
        let group = match self.groups.get(&beat.group) {
            Some(Group::Share(group)) => Cow::Borrowed(&**group),
            Some(_) => return Err(not_found(format!("Group {} is not a share group.", beat.group))),
            None if joins => Cow::Owned(ShareGroup::new(beat.group.clone())),
            None => return Err(not_found(format!("Share group {} not found.", beat.group))),
        };
        group.check_room(env.settings.groups.share.members_max, &beat.member)?;
        let member = match group.members.get(&beat.member) {
            Some(member) => Cow::Borrowed(member),
            None if joins => Cow::Owned(ShareMember::default()),
            None => Cow::Borrowed(group.member(&beat.member)?),
        };
        check_epoch(&member, beat.epoch)?;
        let about = said(&member.about, &beat);

        let subscription_changed = about.topics != member.about.topics;
        if about != member.about {
            draft.share(&group.id, ShareRecord::Member { member: beat.member.clone(), value: Some(about.clone()) });
        }
        let mut raise = subscription_changed || (group.assigned.epoch >= group.epoch && group.assignment_is_pending());
        let (mut epoch, mut subscribed) = (group.epoch, Cow::Borrowed(&group.subscribed));
        if raise || group.hash_has_expired(env.now) {
            if subscription_changed {
                subscribed = Cow::Owned(changed(&group.subscribed, &member.about.topics, &about.topics));
            }
            let hash = hash_of(&subscribed, &env.image, &mut self.consumers);
            raise |= hash != group.metadata_hash;
            if raise {
                epoch = next(epoch);
                draft.share(&group.id, ShareRecord::Group(Some(GroupValue { epoch, metadata_hash: hash })));
            }
            draft.hash_holds = Some((after(env, HASH_HOLDS_MS), epoch));
        }
        let named = (&beat.member, &about);
        let target = group.assign(env, &config, epoch, named, &mut draft);
        let led = group.lead(&env.image, named, &member.current, &target, raise, &mut draft);
        let session = i64::try_from(config.session_timeout.as_millis()).unwrap_or(i64::MAX);
        draft.session(env, &group.id, &beat.member, session);

        let current = led.as_ref().unwrap_or(&member.current);
        let with_assignment = joins || is_full || current.assigned != member.current.assigned;
        let answer = ConsumerHeartbeaten {
            member: beat.member.clone(),
            epoch: current.epoch,
            heartbeat_interval_ms: i32::try_from(config.heartbeat_interval.as_millis()).unwrap_or(i32::MAX),
            assignment: with_assignment.then(|| current.assigned.clone()),
        };
        let to_initialize = group.to_initialize(env, &subscribed, &mut draft);
        self.settle(env, &beat.group, draft, out)?;
        if !to_initialize.is_empty() {
            let (group, epoch) = (beat.group, StateEpoch(epoch.0));
            out.then.push(Task::Initialize { group, epoch, partitions: to_initialize });
        }
        Ok(answer)
    }

    /// Removes a member, if it is there.
    fn fence_share(&mut self, env: &Env, id: &GroupId, member: &MemberId, out: &mut Out) -> Result<(), Refusal> {
        let Some(Group::Share(group)) = self.groups.get(id) else { return Ok(()) };
        let Some(about) = group.members.get(member).map(|member| &member.about) else { return Ok(()) };
        let mut draft = Draft::default();
        draft.share(id, ShareRecord::Current { member: member.clone(), value: None });
        draft.share(id, ShareRecord::TargetMember { member: member.clone(), value: None });
        draft.share(id, ShareRecord::Member { member: member.clone(), value: None });
        let left = changed(&group.subscribed, &about.topics, &[]);
        let metadata_hash = hash_of(&left, &env.image, &mut self.consumers);
        draft.share(id, ShareRecord::Group(Some(GroupValue { epoch: next(group.epoch), metadata_hash })));
        draft.no_timers(id, member);
        self.settle(env, id, draft, out)
    }

    /// The member was silent for too long.
    pub(in crate::group::machine) fn share_session_expired(
        &mut self,
        env: &Env,
        id: &GroupId,
        member: &MemberId,
        out: &mut Out,
    ) {
        tracing::info!(group = %id, %member, "a member of a share group is removed: its session expired");
        if let Err(refusal) = self.fence_share(env, id, member, out) {
            tracing::error!(group = %id, %member, ?refusal, "a member cannot be removed; it is tried again");
            self.timers.arm(Timer::Session(id.clone(), member.clone()), after(env, TRY_AGAIN_MS));
        }
    }

    /// The broker coordinates this group from now on: sessions start.
    pub(in crate::group::machine) fn share_group_loaded(&mut self, env: &Env, id: &GroupId) {
        let Some(Group::Share(group)) = self.groups.get(id) else { return };
        let session = i64::try_from(config_of(env, id).session_timeout.as_millis()).unwrap_or(i64::MAX);
        for member in group.members.keys() {
            self.timers.arm(Timer::Session(id.clone(), member.clone()), after(env, session));
        }
    }
}

/// What the group goes by.
fn config_of(env: &Env, group: &GroupId) -> ShareConfig {
    let own = env.image.config(&ConfigResource::new(ResourceType::Group, group.as_str()));
    ShareConfig::resolve((!own.is_empty()).then_some(own), &env.settings)
}

/// The member as it says that it is now.
fn said(old: &ShareMemberValue, beat: &ShareHeartbeat) -> ShareMemberValue {
    let topics = beat.topics.clone().map(|mut topics| {
        topics.sort_unstable();
        topics.dedup();
        topics
    });
    ShareMemberValue {
        rack: beat.rack.clone().or_else(|| old.rack.clone()),
        client_id: beat.client.id.clone(),
        client_host: beat.client.host.clone(),
        topics: topics.unwrap_or_else(|| old.topics.clone()),
    }
}

/// Who consumes what, once a member consumes other topics than before.
fn changed(subscribed: &Subscribed, old: &[TopicName], new: &[TopicName]) -> Subscribed {
    let mut subscribed = subscribed.clone();
    for topic in old {
        subscribed.name_removed(topic);
    }
    for topic in new {
        subscribed.name_added(topic);
    }
    subscribed
}

/// Does the member know where it is? The epoch before is believed: the answer may have been lost.
fn check_epoch(member: &ShareMember, received: GroupEpoch) -> Result<(), Refusal> {
    let (known, previous) = (member.current.epoch, member.current.previous_epoch);
    let message = if received == GroupEpoch::JOIN || received == known {
        return Ok(());
    } else if received > known {
        format!(
            "The share group member has a greater member epoch ({}) than the one known by the group coordinator ({}). The \
             member must abandon all its partitions and rejoin.",
            received.0, known.0
        )
    } else if received == previous {
        return Ok(());
    } else {
        format!(
            "The share group member has a smaller member epoch ({}) than the one known by the group coordinator ({}), and \
             it does not match the previous member epoch ({}). The member must abandon all its partitions and rejoin.",
            received.0, known.0, previous.0
        )
    };
    Err(Refusal::new(ErrorCode::FENCED_MEMBER_EPOCH, message))
}

impl ShareGroup {
    /// # Errors
    /// GROUP_MAX_SIZE_REACHED: one more would be too many.
    fn check_room(&self, most: usize, member: &MemberId) -> Result<(), Refusal> {
        if self.members.len() < most || self.members.contains_key(member) {
            return Ok(());
        }
        let message = format!("The share group has reached its maximum capacity of {most} members.");
        Err(Refusal::new(ErrorCode::GROUP_MAX_SIZE_REACHED, message))
    }
}
