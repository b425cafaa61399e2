//! Who comes: a member that is there, a new one, or one that takes a static member's place; and what it says of itself.

use super::draft::Draft;
use super::state::{ConsumerGroup, Member, regex_of};
use crate::group::record::{ClassicValue, CurrentValue, MemberValue, Record, WithEpochs};
use crate::group::request::{Assignment, Client, ConsumerHeartbeat, Refusal};
use crate::model::{ErrorCode, GroupEpoch, GroupId, InstanceId, MemberId, TopicName};
use std::borrow::Cow;

/// What members of either protocol say when they come.
pub(super) struct Caller<'a> {
    pub(super) member: &'a MemberId,
    pub(super) instance: Option<&'a InstanceId>,
    /// Members of the classic protocol have no epochs to check.
    pub(super) epoch: Option<(GroupEpoch, Option<&'a Assignment>)>,
    /// It may be new.
    pub(super) joins: bool,
}

impl ConsumerGroup {
    pub(super) fn member(&self, id: &MemberId) -> Result<&Member, Refusal> {
        self.members.get(id).ok_or_else(|| {
            let message = format!("Member {id} is not a member of group {}.", self.id);
            Refusal::new(ErrorCode::UNKNOWN_MEMBER_ID, message)
        })
    }

    /// # Errors
    /// GROUP_MAX_SIZE_REACHED: one more would be too many. Whoever takes a static member's place is not one more.
    pub(super) fn check_room(
        &self,
        most: usize,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), Refusal> {
        if instance.is_some_and(|instance| self.static_members.contains_key(instance))
            || self.members.len() < most
            || (!member.is_empty() && self.members.contains_key(member))
        {
            return Ok(());
        }
        let message = format!("The consumer group has reached its maximum capacity of {most} members.");
        Err(Refusal::new(ErrorCode::GROUP_MAX_SIZE_REACHED, message))
    }

    /// The member, as it was (`getOrMaybeSubscribeDynamicConsumerGroupMember`, `…Static…`). Whoever takes a static member's
    /// place comes with what that one had.
    pub(super) fn caller<'a>(&'a self, caller: &Caller<'_>, draft: &mut Draft) -> Result<Cow<'a, Member>, Refusal> {
        let Some(instance) = caller.instance else {
            let member = match self.members.get(caller.member) {
                Some(member) => Cow::Borrowed(member),
                None if caller.joins => Cow::Owned(Member::new()),
                None => Cow::Borrowed(self.member(caller.member)?),
            };
            check_epoch(caller, &member.current)?;
            return Ok(member);
        };
        let existing = self.static_member(instance);
        if !caller.joins {
            let member = self.own_static_member(caller.member, instance)?;
            check_epoch(caller, &member.current)?;
            return Ok(Cow::Borrowed(member));
        }
        let Some((existing_id, existing)) = existing else {
            return Ok(self.members.get(caller.member).map_or_else(|| Cow::Owned(Member::new()), Cow::Borrowed));
        };
        let speaks_classic = caller.epoch.is_none();
        if !speaks_classic && !existing.is_classic() && existing.current.epoch != GroupEpoch::LEAVE_STATIC {
            let message = format!(
                "Static member {} with instance id {instance} cannot join the group because the instance id is owned by \
                 {existing_id} member.",
                caller.member
            );
            return Err(Refusal::new(ErrorCode::UNRELEASED_INSTANCE_ID, message));
        }
        let mut member = existing.clone();
        member.current.epoch = GroupEpoch(0);
        member.current.previous_epoch = GroupEpoch(0);
        draft.remove_member(&self.id, existing_id);
        draft.member(&self.id, caller.member, member.about.clone());
        draft.records.push(Record::TargetMember {
            group: self.id.clone(),
            member: caller.member.clone(),
            value: Some(self.target.get(existing_id).cloned().unwrap_or_default()),
        });
        draft.current(&self.id, caller.member, member.current.clone());
        Ok(Cow::Owned(member))
    }

    /// The static member, if it is the one that asks.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID: there is none, or another one.
    pub(super) fn own_static_member(&self, member: &MemberId, instance: &InstanceId) -> Result<&Member, Refusal> {
        let Some((id, existing)) = self.static_member(instance) else {
            return Err(Refusal::new(ErrorCode::UNKNOWN_MEMBER_ID, format!("Instance id {instance} is unknown.")));
        };
        if id != member {
            let message = format!("Static member {member} with instance id {instance} was fenced by member {id}.");
            return Err(Refusal::new(ErrorCode::FENCED_INSTANCE_ID, message));
        }
        Ok(existing)
    }
}

/// Does the member know where it is? With the epoch before it is believed if it has nothing that it should not have: the
/// answer may have been lost.
fn check_epoch(caller: &Caller<'_>, current: &CurrentValue) -> Result<(), Refusal> {
    let Some((received, owned)) = caller.epoch else { return Ok(()) };
    let fenced = |than: &str| {
        let message = format!(
            "The consumer group member has a {than} member epoch ({}) than the one known by the group coordinator ({}). \
             The member must abandon all its partitions and rejoin.",
            received.0, current.epoch.0
        );
        Err(Refusal::new(ErrorCode::FENCED_MEMBER_EPOCH, message))
    };
    if received == GroupEpoch::JOIN || received == current.epoch {
        Ok(())
    } else if received > current.epoch {
        fenced("greater")
    } else if received == current.previous_epoch && owned.is_some_and(|owned| is_within(owned, &current.assigned)) {
        Ok(())
    } else {
        fenced("smaller")
    }
}

fn is_within(owned: &Assignment, assigned: &WithEpochs) -> bool {
    owned.iter().all(|(topic, partitions)| {
        assigned.get(topic).is_some_and(|has| partitions.iter().all(|partition| has.contains_key(partition)))
    })
}

/// What a member says; `None`: as before.
#[derive(Default)]
pub(super) struct Says<'a> {
    pub(super) client: Cow<'a, Client>,
    pub(super) instance: Option<&'a InstanceId>,
    pub(super) rack: Option<&'a str>,
    /// -1: as before.
    pub(super) rebalance_timeout_ms: i32,
    pub(super) assignor: Option<&'a str>,
    pub(super) topics: Option<Vec<TopicName>>,
    pub(super) regex: Option<&'a str>,
    pub(super) classic: Option<ClassicValue>,
}

impl<'a> Says<'a> {
    pub(super) fn in_heartbeat(beat: &'a ConsumerHeartbeat) -> Says<'a> {
        Says {
            client: Cow::Borrowed(&beat.client),
            instance: beat.instance.as_ref(),
            rack: beat.rack.as_deref(),
            rebalance_timeout_ms: beat.rebalance_timeout_ms,
            assignor: beat.assignor.as_deref(),
            topics: beat.topics.clone(),
            regex: beat.regex.as_deref(),
            classic: None,
        }
    }

    /// What is known of the member then. Borrowed: nothing is new.
    pub(super) fn on(self, old: &MemberValue) -> Cow<'_, MemberValue> {
        let mut new = Cow::Borrowed(old);
        let topics = self.topics.map(|mut topics| {
            topics.sort_unstable();
            topics.dedup();
            topics
        });
        if self.instance.is_some() && self.instance != old.instance.as_ref() {
            new.to_mut().instance = self.instance.cloned();
        }
        if self.rack.is_some() && self.rack != old.rack.as_deref() {
            new.to_mut().rack = self.rack.map(str::to_owned);
        }
        if self.rebalance_timeout_ms != -1 && self.rebalance_timeout_ms != old.rebalance_timeout_ms {
            new.to_mut().rebalance_timeout_ms = self.rebalance_timeout_ms;
        }
        if self.assignor.is_some() && self.assignor != old.assignor.as_deref() {
            new.to_mut().assignor = self.assignor.map(str::to_owned);
        }
        if let Some(topics) = topics
            && topics != old.topics
        {
            new.to_mut().topics = topics;
        }
        if self.regex.is_some() && self.regex != old.regex.as_deref() {
            new.to_mut().regex = self.regex.map(str::to_owned);
        }
        if self.client.id != old.client_id {
            new.to_mut().client_id.clone_from(&self.client.id);
        }
        if self.client.host != old.client_host {
            new.to_mut().client_host.clone_from(&self.client.host);
        }
        if self.classic != old.classic {
            new.to_mut().classic = self.classic;
        }
        new
    }
}

/// A member before and after what it said.
pub(super) struct Change<'a> {
    pub(super) id: &'a MemberId,
    pub(super) old: &'a MemberValue,
    pub(super) new: &'a MemberValue,
}

impl Change<'_> {
    pub(super) fn topics_changed(&self) -> bool {
        self.old.topics != self.new.topics
    }

    /// The regular expressions before and after, those that are not empty.
    pub(super) fn regexes(&self) -> (Option<&str>, Option<&str>) {
        (regex_of(self.old), regex_of(self.new))
    }

    /// Writes what it said, if anything is new. True: it consumes other topics than before.
    pub(super) fn write(&self, group: &GroupId, draft: &mut Draft) -> bool {
        if self.old == self.new {
            return false;
        }
        draft.member(group, self.id, self.new.clone());
        self.topics_changed()
    }
}
