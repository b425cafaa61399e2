//! Members of the classic protocol in a consumer group (`classicGroup…ToConsumerGroup`).
//!
//! They join when they are told to and get the coordinator's assignment when they sync: generations are their epochs, nobody
//! leads, and nobody waits for anybody. What a heartbeat says to the others, "rebalance in progress" says to them; if they do
//! not join or sync in time then, they are removed.

use super::draft::{Alarm, Context, Draft, after};
use super::heartbeat::fresh_id;
use super::member::{Caller, Change, Says};
use super::migrate::{self, Because, Replacing};
use super::regex::Update;
use super::state::{ConsumerGroup, Member};
use crate::coordinator::Ticket;
use crate::group::machine::{Env, Group, Groups, Out, Timer};
use crate::group::protocol::{self, Subscription};
use crate::group::record::{ClassicValue, MemberState};
use crate::group::request::{Heartbeat, Join, Joined, Leave, Leaver, Left, Reply, Sync, Synced};
use crate::model::{ErrorCode, Generation, GroupEpoch, InstanceId, MemberId};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Since this version a dynamic member is told its id before it may join (KIP-394).
const JOINS_WITH_ID: i16 = 4;

impl Groups {
    /// A classic member joins a group that is there as a consumer group, and has members.
    pub(in crate::group::machine) fn join_consumer_group(
        &mut self,
        env: &Env,
        ticket: Ticket,
        join: Join,
        out: &mut Out,
    ) {
        // A refusal names nobody, unlike those of classic groups: Kafka throws it.
        let refused = |error| Joined::refused(MemberId::new(""), error);
        let joined = self.join_as_classic(env, join, out).unwrap_or_else(refused);
        out.reply(ticket, Reply::Join(joined));
    }

    fn join_as_classic(&mut self, env: &Env, mut join: Join, out: &mut Out) -> Result<Joined, ErrorCode> {
        let mut context = Context::new(env, &join.group, &mut self.consumers);
        let Some(Group::Consumer(group)) = self.groups.get(&join.group) else {
            return Err(ErrorCode::GROUP_ID_NOT_FOUND);
        };
        let settings = &env.settings.groups;
        if !settings.consumer_migration.upgrade && !settings.consumer_migration.downgrade {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let has_no_id = join.member.is_empty();
        if has_no_id {
            join.member = fresh_id(env.fresh);
        }
        let instance = join.instance.as_ref();
        group.check_room(settings.consumer_members_max, &join.member, instance).map_err(|refusal| refusal.code)?;
        if !group.supports(&join) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if has_no_id && instance.is_none() && join.version >= JOINS_WITH_ID {
            return Ok(Joined::refused(join.member, ErrorCode::MEMBER_ID_REQUIRED));
        }

        let mut draft = Draft::default();
        let joins = instance.is_none() || has_no_id;
        let caller = Caller { member: &join.member, instance, epoch: None, joins };
        let member = group.caller(&caller, &mut draft).map_err(|refusal| refusal.code)?;
        let replaced = instance.and_then(|instance| group.static_members.get(instance));
        let downgrade = replaced.filter(|replaced| group.may_be_classic_with(env, replaced));
        let first = join.protocols.first().ok_or(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)?;
        let protocol_name = first.name.clone();
        let subscription = Subscription::parse(&first.metadata).map_err(|_| ErrorCode::INCONSISTENT_GROUP_PROTOCOL)?;
        let owned = migrate::by_id(subscription.owned, &env.image);
        let protocols = std::mem::take(&mut join.protocols).into_iter();
        let says = Says {
            client: Cow::Borrowed(&join.client),
            instance,
            rack: subscription.rack.as_deref(),
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            assignor: None,
            topics: Some(subscription.topics),
            // Members of this protocol resolve their expressions themselves.
            regex: Some(""),
            classic: Some(ClassicValue {
                session_timeout_ms: join.session_timeout_ms,
                protocols: protocols.map(|protocol| (protocol.name, protocol.metadata)).collect(),
            }),
        };
        let about = says.on(&member.about);
        let change = Change { id: &join.member, old: &member.about, new: &about };

        let topics_changed = change.write(&group.id, &mut draft);
        let regex = group.update_regex(&context, &change, &mut draft).map_err(|refusal| refusal.code)?;
        let raise = topics_changed || regex.update != Update::None;
        let mut epoch = group.epoch;
        if raise || group.hash_has_expired(env.now) {
            epoch = group.look_again(&mut context, raise, &change, &mut draft);
        }
        let rebalance = group.assigned.epoch < epoch;
        let target = match downgrade {
            Some(_) if rebalance => None,
            Some(_) => Some(group.last_target(&change)),
            None => Some(group.assign(&context, epoch, &change, &mut draft)),
        };
        let next = match target {
            Some(target) => group
                .lead(env, &change, &member.current, &target, raise, Some(&owned), &mut draft)
                .map_err(|refusal| refusal.code)?,
            None => None,
        };
        let generation = Generation(next.as_ref().unwrap_or(&member.current).epoch.0);

        let (id, member_id) = (join.group.clone(), join.member.clone());
        draft.alarms.push(Alarm::Lift(Timer::ClassicJoin(id.clone(), member_id.clone())));
        if let Some(replaced) = downgrade {
            let (replaced, about) = (replaced.clone(), about.into_owned());
            let by = Replacing { old: &replaced, new: &member_id, about: &about };
            let because = Because::Replacing { by, rebalance };
            self.become_classic(env, &id, &because, draft, out).map_err(|refusal| refusal.code)?;
        } else {
            draft.session(env, &id, &member_id, join.session_timeout_ms.into());
            let sync = Timer::ClassicSync(id.clone(), member_id.clone());
            draft.alarms.push(Alarm::Set(sync, after(env, join.rebalance_timeout_ms)));
            self.settle(env, &id, draft, out).map_err(|refusal| refusal.code)?;
        }
        if let Some(regexes) = regex.to_resolve {
            self.resolve_regexes(env, &id, &regexes, out);
        }
        Ok(Joined {
            generation,
            protocol_type: Some(protocol::PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(protocol_name),
            ..Joined::refused(member_id, ErrorCode::NONE)
        })
    }

    pub(in crate::group::machine) fn sync_consumer_group(
        &mut self,
        env: &Env,
        ticket: Ticket,
        sync: Sync,
        out: &mut Out,
    ) {
        let synced = self.sync_as_classic(env, sync, out).unwrap_or_else(Synced::from);
        out.reply(ticket, Reply::Sync(synced));
    }

    fn sync_as_classic(&mut self, env: &Env, sync: Sync, out: &mut Out) -> Result<Synced, ErrorCode> {
        let Some(Group::Consumer(group)) = self.groups.get(&sync.group) else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        let (member, classic) = group.classic_member(&sync.member, sync.instance.as_ref(), sync.generation)?;
        let of_others = sync.protocol_type.as_deref().is_some_and(|kind| kind != protocol::PROTOCOL_TYPE);
        let first = classic.protocols.first();
        let is_other = |name: &String| first.is_none_or(|(first, _)| first != name);
        if of_others || sync.protocol_name.as_ref().is_some_and(is_other) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let mut draft = Draft::default();
        let current = &member.current;
        // A member that gives partitions up has joined again already.
        if group.assigned.epoch > current.epoch && current.state != MemberState::UnrevokedPartitions {
            draft.expect_join(env, group, &sync.member, member);
            self.settle(env, &sync.group, draft, out).map_err(|refusal| refusal.code)?;
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let version = first.and_then(|(_, metadata)| protocol::version(metadata).ok());
        let assignment = version.and_then(|version| migrate::encoded(&member.assignment(), version, &env.image).ok());
        let assignment = assignment.ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
        draft.alarms.push(Alarm::Lift(Timer::ClassicSync(sync.group.clone(), sync.member.clone())));
        draft.session(env, &sync.group, &sync.member, classic.session_timeout_ms.into());
        self.settle(env, &sync.group, draft, out).map_err(|refusal| refusal.code)?;
        Ok(Synced {
            error: ErrorCode::NONE,
            protocol_type: sync.protocol_type,
            protocol_name: sync.protocol_name,
            assignment,
        })
    }

    pub(in crate::group::machine) fn heartbeat_consumer_group(
        &mut self,
        env: &Env,
        ticket: Ticket,
        beat: Heartbeat,
        out: &mut Out,
    ) {
        let error = self.beat_as_classic(env, &beat, out).err().unwrap_or(ErrorCode::NONE);
        out.reply(ticket, Reply::Heartbeat(error));
    }

    fn beat_as_classic(&mut self, env: &Env, beat: &Heartbeat, out: &mut Out) -> Result<(), ErrorCode> {
        let Some(Group::Consumer(group)) = self.groups.get(&beat.group) else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        let (member, classic) = group.classic_member(&beat.member, beat.instance.as_ref(), beat.generation)?;
        let mut draft = Draft::default();
        draft.session(env, &beat.group, &beat.member, classic.session_timeout_ms.into());
        let is_to_join = member.current.epoch < group.assigned.epoch
            || match member.current.state {
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !group.waits_for_others(&beat.member, member),
                MemberState::Stable | MemberState::Unknown => false,
            };
        if is_to_join {
            draft.expect_join(env, group, &beat.member, member);
        }
        self.settle(env, &beat.group, draft, out).map_err(|refusal| refusal.code)?;
        if is_to_join { Err(ErrorCode::REBALANCE_IN_PROGRESS) } else { Ok(()) }
    }

    /// Members of either protocol may leave like this: an administrator does not know which they speak.
    pub(in crate::group::machine) fn leave_consumer_group(
        &mut self,
        env: &Env,
        ticket: Ticket,
        leave: Leave,
        out: &mut Out,
    ) {
        let Some(Group::Consumer(group)) = self.groups.get(&leave.group) else {
            let left = Left { error: ErrorCode::UNKNOWN_MEMBER_ID, members: Vec::new() };
            return out.reply(ticket, Reply::Leave(left));
        };
        let mut leaving = BTreeSet::new();
        let mut members = Vec::with_capacity(leave.members.len());
        for Leaver { member, instance, .. } in leave.members {
            let error = match group.leaver(&member, instance.as_ref()) {
                Ok(id) => {
                    leaving.insert(id.clone());
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            members.push((member, instance, error));
        }
        let left = match self.fence(env, &leave.group, &leaving, out) {
            Ok(()) => Left { error: ErrorCode::NONE, members },
            Err(refusal) => Left { error: refusal.code, members: Vec::new() },
        };
        out.reply(ticket, Reply::Leave(left));
    }
}

impl Draft {
    /// The member is told to join again. It is removed if it does not; being told once more gives it no more time.
    fn expect_join(&mut self, env: &Env, group: &ConsumerGroup, id: &MemberId, member: &Member) {
        let timer = Timer::ClassicJoin(group.id.clone(), id.clone());
        self.alarms.push(Alarm::Keep(timer, after(env, member.about.rebalance_timeout_ms)));
    }
}

impl ConsumerGroup {
    /// Do all classic members know one of the protocols?
    fn supports(&self, join: &Join) -> bool {
        let by_all = |name: &str| self.classic_protocols.get(name).copied().unwrap_or(0) == self.classic_members;
        join.protocol_type == protocol::PROTOCOL_TYPE && join.protocols.iter().any(|protocol| by_all(&protocol.name))
    }

    /// The classic member that asks, if it is there and at the generation that it says.
    fn classic_member(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
        generation: Generation,
    ) -> Result<(&Member, &ClassicValue), ErrorCode> {
        let member = match instance {
            None => self.member(id),
            Some(instance) => self.own_static_member(id, instance),
        };
        let member = member.map_err(|refusal| refusal.code)?;
        let classic = member.about.classic.as_ref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.current.epoch != GroupEpoch(generation.0) {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        Ok((member, classic))
    }

    /// Who is to leave. An administrator names static members by their instance ids alone.
    fn leaver(&self, member: &MemberId, instance: Option<&InstanceId>) -> Result<&MemberId, ErrorCode> {
        let Some(instance) = instance else {
            let found = self.members.get_key_value(member);
            return found.map(|(id, _)| id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        let (id, _) = self.static_member(instance).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.is_empty() || member == id { Ok(id) } else { Err(ErrorCode::FENCED_INSTANCE_ID) }
    }

    /// Has anybody else still something that the member is to have?
    fn waits_for_others(&self, id: &MemberId, member: &Member) -> bool {
        let none = BTreeMap::new();
        self.target.get(id).into_iter().flatten().any(|(topic, partitions)| {
            let has = member.current.assigned.get(topic).unwrap_or(&none);
            partitions.iter().any(|partition| !has.contains_key(partition) && self.is_owned(*topic, *partition))
        })
    }
}
