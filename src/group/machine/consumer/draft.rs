//! What a request does to a consumer group or a share group, until it is certain that it does: records, deadlines and answers.
//!
//! A request is decided on the group as it was when it came. Refused half way, it has done nothing.

use super::Index;
use super::state::ConsumerGroup;
use crate::config::GroupConfig;
use crate::group::machine::{Env, Group, Groups, Out, Timer};
use crate::group::record::{CurrentValue, GroupValue, MemberValue, Record, ShareRecord};
use crate::group::request::Refusal;
use crate::metadata::{ConfigResource, ResourceType};
use crate::model::{ErrorCode, GroupEpoch, GroupId, MemberId, TimestampMs};

/// What may be decided with.
pub(super) struct Context<'a> {
    pub(super) env: &'a Env,
    pub(super) config: GroupConfig,
    pub(super) index: &'a mut Index,
}

impl<'a> Context<'a> {
    pub(super) fn new(env: &'a Env, group: &GroupId, index: &'a mut Index) -> Context<'a> {
        Context { env, config: config_of(env, group), index }
    }
}

/// What the group goes by.
pub(super) fn config_of(env: &Env, group: &GroupId) -> GroupConfig {
    let own = env.image.config(&ConfigResource::new(ResourceType::Group, group.as_str()));
    GroupConfig::resolve((!own.is_empty()).then_some(own), &env.settings)
}

/// A deadline that is set or lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    Set(Timer, TimestampMs),
    /// Unless it is set.
    Keep(Timer, TimestampMs),
    Lift(Timer),
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::group::machine) struct Draft {
    pub(super) records: Vec<Record>,
    pub(super) alarms: Vec<Alarm>,
    /// There is a classic group that goes: who waits at it is told so.
    pub(super) releases: bool,
    /// How long the metadata hash holds, once there is one.
    pub(in crate::group::machine) hash_holds: Option<(TimestampMs, GroupEpoch)>,
    /// Members that are to give partitions up, and the epoch that they are to leave; `None`: not any more.
    pub(super) revoking: Vec<(MemberId, Option<GroupEpoch>)>,
}

impl Draft {
    pub(super) fn epoch(&mut self, group: &GroupId, epoch: GroupEpoch, metadata_hash: i64) {
        let value = Some(GroupValue { epoch, metadata_hash });
        self.records.push(Record::Group { group: group.clone(), value });
    }

    pub(super) fn member(&mut self, group: &GroupId, member: &MemberId, about: MemberValue) {
        self.records.push(Record::Member { group: group.clone(), member: member.clone(), value: Some(about) });
    }

    pub(super) fn current(&mut self, group: &GroupId, member: &MemberId, current: CurrentValue) {
        self.records.push(Record::Current { group: group.clone(), member: member.clone(), value: Some(current) });
    }

    /// The member is no more. The order matters to whoever reads it: first it has nothing, then it is gone.
    pub(super) fn remove_member(&mut self, group: &GroupId, member: &MemberId) {
        let (group, member) = (group.clone(), member.clone());
        self.records.push(Record::Current { group: group.clone(), member: member.clone(), value: None });
        self.records.push(Record::TargetMember { group: group.clone(), member: member.clone(), value: None });
        self.records.push(Record::Member { group, member, value: None });
    }

    pub(super) fn remove_regex(&mut self, group: &GroupId, regex: &str) {
        self.records.push(Record::Regex { group: group.clone(), regex: regex.to_owned(), value: None });
    }

    /// A record of a share group.
    pub(in crate::group::machine) fn share(&mut self, group: &GroupId, of: ShareRecord) {
        self.records.push(Record::Share { group: group.clone(), of });
    }

    /// A member that is silent for this long is removed.
    pub(in crate::group::machine) fn session(
        &mut self,
        env: &Env,
        group: &GroupId,
        member: &MemberId,
        timeout_ms: i64,
    ) {
        self.alarms.push(Alarm::Set(Timer::Session(group.clone(), member.clone()), after(env, timeout_ms)));
    }

    /// None of the member's deadlines counts any more.
    pub(in crate::group::machine) fn no_timers(&mut self, group: &GroupId, member: &MemberId) {
        for timer in [Timer::Session, Timer::Rebalance, Timer::ClassicJoin, Timer::ClassicSync] {
            self.alarms.push(Alarm::Lift(timer(group.clone(), member.clone())));
        }
    }
}

/// Milliseconds later.
pub(in crate::group::machine) fn after(env: &Env, ms: impl Into<i64>) -> TimestampMs {
    TimestampMs(env.now.0.saturating_add(ms.into()))
}

/// How long a member of the group may be silent, in milliseconds.
pub(super) fn session_ms(config: GroupConfig) -> i64 {
    i64::try_from(config.consumer_session_timeout.as_millis()).unwrap_or(i64::MAX)
}

impl Groups {
    /// Makes it so.
    ///
    /// # Errors
    /// UNKNOWN_SERVER_ERROR: the records are larger than the offsets topic takes. Nothing was done.
    pub(in crate::group::machine) fn settle(
        &mut self,
        env: &Env,
        group: &GroupId,
        draft: Draft,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        // Before the records, which remove the group: but not if they are not written.
        if draft.releases && fits(env, out, &draft.records) {
            self.release_classic_group(env, group, out);
        }
        self.commit_all(env, out, draft.records).map_err(|code| {
            Refusal::new(code, "The group's records are larger than the largest message of the offsets topic.")
        })?;
        for alarm in draft.alarms {
            match alarm {
                Alarm::Set(timer, at) => self.timers.arm(timer, at),
                Alarm::Keep(timer, at) => {
                    if self.timers.deadline(&timer).is_none() {
                        self.timers.arm(timer, at);
                    }
                }
                Alarm::Lift(timer) => self.timers.disarm(&timer),
            }
        }
        let group = match self.groups.get_mut(group) {
            Some(Group::Consumer(group)) => group,
            Some(Group::Share(group)) => {
                group.memory.hash_holds = draft.hash_holds.or(group.memory.hash_holds);
                return Ok(());
            }
            Some(Group::Classic(_)) | None => return Ok(()),
        };
        group.memory.hash_holds = draft.hash_holds.or(group.memory.hash_holds);
        for (member, epoch) in draft.revoking {
            match epoch {
                Some(epoch) => group.memory.revoking.insert(member, epoch),
                None => group.memory.revoking.remove(&member),
            };
        }
        Ok(())
    }

    pub(super) fn consumer_group(&self, id: &GroupId) -> Result<&ConsumerGroup, Refusal> {
        match self.groups.get(id) {
            Some(Group::Consumer(group)) => Ok(group),
            Some(Group::Classic(_) | Group::Share(_)) => Err(not_found(format!("Group {id} is not a consumer group."))),
            None => Err(not_found(format!("Group {id} not found."))),
        }
    }
}

/// As [`Groups::commit_all`] decides.
fn fits(env: &Env, out: &Out, records: &[Record]) -> bool {
    let written: Vec<_> = records.iter().map(Record::encode).collect();
    env.fits(out, &written)
}

pub(in crate::group::machine) fn not_found(message: String) -> Refusal {
    Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, message)
}
