//! ConsumerGroupHeartbeat (`GroupMetadataManager.consumerGroupHeartbeat`).
//!
//! In three steps: the member is as it says that it is now, which may raise the group's epoch; a raised epoch has the group
//! assigned anew; the member is led a step towards its target. What is wrong with a request itself was refused before
//! (`GroupCoordinator::consumer_heartbeat`).

use super::draft::{Alarm, Context, Draft, after, session_ms};
use super::member::{Caller, Change, Says};
use super::reconcile::{Step, without_epochs};
use super::regex::Update;
use super::state::ConsumerGroup;
use super::target::Target;
use crate::coordinator::Ticket;
use crate::group::machine::{Env, Groups, Out, Timer};
use crate::group::record::{CurrentValue, MemberState};
use crate::group::request::{Assignment, ConsumerHeartbeat, ConsumerHeartbeaten, Refusal, Reply};
use crate::model::{GroupEpoch, MemberId, TopicId};
use uuid::Uuid;

impl Groups {
    pub(in crate::group::machine) fn consumer_heartbeat(
        &mut self,
        env: &Env,
        ticket: Ticket,
        heartbeat: ConsumerHeartbeat,
        out: &mut Out,
    ) {
        let answer = if [GroupEpoch::LEAVE, GroupEpoch::LEAVE_STATIC].contains(&heartbeat.epoch) {
            self.leave_with_heartbeat(env, &heartbeat, out)
        } else {
            self.beat(env, heartbeat, out)
        };
        out.reply(ticket, Reply::ConsumerHeartbeat(answer));
    }

    fn beat(&mut self, env: &Env, mut beat: ConsumerHeartbeat, out: &mut Out) -> Result<ConsumerHeartbeaten, Refusal> {
        let joins = beat.epoch == GroupEpoch::JOIN;
        let mut draft = Draft::default();
        let mut context = Context::new(env, &beat.group, &mut self.consumers);
        let group =
            super::migrate::entered(self.groups.get(&beat.group), &beat.group, joins, &mut context, &mut draft)?;
        group.check_room(env.settings.groups.consumer_members_max, &beat.member, beat.instance.as_ref())?;
        if beat.member.is_empty() {
            beat.member = fresh_id(env.fresh);
        }
        let owned = beat.owned.as_ref();
        let caller =
            Caller { member: &beat.member, instance: beat.instance.as_ref(), epoch: Some((beat.epoch, owned)), joins };
        let member = group.caller(&caller, &mut draft)?;
        let about = Says::in_heartbeat(&beat).on(&member.about);
        let change = Change { id: &beat.member, old: &member.about, new: &about };

        let topics_changed = change.write(&group.id, &mut draft);
        let regex = group.update_regex(&context, &change, &mut draft)?;
        let raise = topics_changed || regex.update == Update::Resolved;
        let mut epoch = group.epoch;
        if raise || group.hash_has_expired(env.now) {
            epoch = group.look_again(&mut context, raise, &change, &mut draft);
        }
        let target = group.assign(&context, epoch, &change, &mut draft);
        let changed = topics_changed || regex.update != Update::None;
        let next = group.lead(env, &change, &member.current, &target, changed, owned, &mut draft)?;

        draft.session(env, &group.id, &beat.member, session_ms(context.config));
        let current = next.as_ref().unwrap_or(&member.current);
        let is_full =
            beat.rebalance_timeout_ms != -1 && (beat.topics.is_some() || beat.regex.is_some()) && beat.owned.is_some();
        let with_assignment = joins || is_full || current.assigned != member.current.assigned;
        let answer = ConsumerHeartbeaten {
            member: beat.member.clone(),
            epoch: current.epoch,
            heartbeat_interval_ms: i32::try_from(context.config.consumer_heartbeat_interval.as_millis())
                .unwrap_or(i32::MAX),
            assignment: with_assignment.then(|| without_epochs(&current.assigned)),
        };
        let to_resolve = regex.to_resolve;
        let id = group.id.clone();
        self.settle(env, &id, draft, out)?;
        if let Some(regexes) = to_resolve {
            self.resolve_regexes(env, &id, &regexes, out);
        }
        Ok(answer)
    }
}

impl ConsumerGroup {
    /// Leads a member a step towards its target (`maybeReconcile`).
    #[expect(clippy::too_many_arguments, reason = "what a step depends on, each of another kind")]
    pub(super) fn lead(
        &self,
        env: &Env,
        change: &Change<'_>,
        current: &CurrentValue,
        target: &Target<'_>,
        subscription_changed: bool,
        owned: Option<&Assignment>,
        draft: &mut Draft,
    ) -> Result<Option<CurrentValue>, Refusal> {
        let step = Step {
            group: self,
            image: &env.image,
            about: change.new,
            current,
            target_epoch: target.epoch,
            target: &target.of_member,
            subscription_changed,
            owned,
        };
        let Some(next) = step.take()? else { return Ok(None) };
        draft.current(&self.id, change.id, next.clone());
        // Members of the classic protocol have deadlines for joining and syncing instead.
        if change.new.classic.is_none() {
            let timer = Timer::Rebalance(self.id.clone(), change.id.clone());
            if next.state == MemberState::UnrevokedPartitions {
                draft.alarms.push(Alarm::Set(timer, after(env, change.new.rebalance_timeout_ms)));
                draft.revoking.push((change.id.clone(), Some(next.epoch)));
            } else {
                draft.alarms.push(Alarm::Lift(timer));
                draft.revoking.push((change.id.clone(), None));
            }
        }
        Ok(Some(next))
    }
}

/// The id of a member that comes without one, as Kafka's `Uuid` shows it.
pub(super) fn fresh_id(fresh: Uuid) -> MemberId {
    let id = TopicId(fresh).to_string();
    // Kafka draws again: a tool would take it for an option.
    MemberId::new(&if id.starts_with('-') { id.replacen('-', "_", 1) } else { id })
}
