//! Groups that change their protocol while they have members (KIP-848, "Migration").
//!
//! A classic group becomes a consumer group with the first member that sends ConsumerGroupHeartbeat
//! (`convertToConsumerGroup`), and a consumer group a classic one when only classic members are left
//! (`convertToClassicGroup`). Either way the members keep what they have, and join again if they have to.

use super::draft::{Context, Draft, not_found};
use super::hash;
use super::state::ConsumerGroup;
use crate::group::machine::classic::{ClassicGroup, ClassicMember, ClassicState};
use crate::group::machine::kind::Kind as _;
use crate::group::machine::{Env, Group, Groups, Out};
use crate::group::protocol::{self, Subscription};
use crate::group::record::{ClassicValue, CurrentValue, MemberState, MemberValue, Record, TargetValue, WithEpochs};
use crate::group::request::{Assignment, Client, Protocol, Refusal};
use crate::metadata::Image;
use crate::model::{ErrorCode, Generation, GroupEpoch, GroupId, MemberId, TimestampMs};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A group without members and without a record of its own: it is there because offsets are (`isSimpleGroup`).
pub(super) fn only_keeps_offsets(group: &ClassicGroup) -> bool {
    group.state == ClassicState::Empty && group.protocol_type.is_none() && group.pending.is_empty()
}

/// The group that a consumer comes to, made or converted if it may be (`getOrMaybeCreateConsumerGroup`).
pub(super) fn entered<'a>(
    found: Option<&'a Group>,
    id: &GroupId,
    creates: bool,
    context: &mut Context<'_>,
    draft: &mut Draft,
) -> Result<Cow<'a, ConsumerGroup>, Refusal> {
    match found {
        Some(Group::Consumer(group)) => Ok(Cow::Borrowed(&**group)),
        Some(Group::Share(_)) => Err(not_found(format!("Group {id} is not a consumer group."))),
        Some(Group::Classic(_)) if !creates => Err(not_found(format!("Group {id} is not a consumer group."))),
        Some(Group::Classic(group)) if group.is_empty() => {
            draft.records.extend(group.tombstones(id));
            draft.releases = true;
            Ok(Cow::Owned(ConsumerGroup::new(id.clone())))
        }
        Some(Group::Classic(group)) => converted(group, context, draft).map(Cow::Owned),
        None if creates => Ok(Cow::Owned(ConsumerGroup::new(id.clone()))),
        None => Err(not_found(format!("Consumer group {id} not found."))),
    }
}

/// The classic group as a consumer group. Every member is where it was: its assignment is its target, too.
fn converted(classic: &ClassicGroup, context: &mut Context<'_>, draft: &mut Draft) -> Result<ConsumerGroup, Refusal> {
    let id = &classic.id;
    let refused = |reason: &str| {
        tracing::info!(group = %id, reason, "a classic group cannot become a consumer group");
        not_found(format!("Cannot upgrade classic group {id} to consumer group because {reason}"))
    };
    let settings = &context.env.settings.groups;
    if !settings.consumer_migration.upgrade {
        return Err(refused("online upgrade is disabled."));
    }
    if !classic.uses_consumer_protocol() {
        return Err(refused("the group does not use the consumer embedded protocol."));
    }
    if classic.members.len() > settings.consumer_members_max {
        return Err(refused("the group size exceeds the consumer group maximum size."));
    }
    let Some(protocol) = &classic.protocol else {
        // Nobody knows yet which of the subscriptions counts; Kafka trips over it.
        return Err(ErrorCode::UNKNOWN_SERVER_ERROR.into());
    };
    let epoch = GroupEpoch(classic.generation.0);
    let image = &context.env.image;
    let (mut members, mut targets, mut currents) = (Vec::new(), Vec::new(), Vec::new());
    for (member_id, member) in &classic.members {
        let assignment = assignment_of(member, image).map_err(|fault| match fault {
            Fault::Malformed => refused("the embedded consumer protocol is malformed."),
            Fault::UserData => refused(
                "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default \
                 assignor before re-attempting the upgrade.",
            ),
        })?;
        let Some(known) = member.protocols.iter().find(|known| known.name == *protocol) else {
            // It joined the rebalance that is under way, and nobody knows which protocol will come of that; Kafka trips here, too.
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR.into());
        };
        let subscription = Subscription::parse(&known.metadata)
            .map_err(|_| refused("the embedded consumer protocol is malformed."))?;
        let (group, member_id) = (id.clone(), member_id.clone());
        let about = about_classic(member, subscription);
        members.push(Record::Member { group: group.clone(), member: member_id.clone(), value: Some(about) });
        let assigned = with_epochs(&assignment, epoch);
        let target = Record::TargetMember { group: group.clone(), member: member_id.clone(), value: Some(assignment) };
        targets.push(target);
        let current = CurrentValue {
            epoch,
            previous_epoch: epoch,
            state: MemberState::Stable,
            assigned,
            pending_revocation: WithEpochs::new(),
        };
        currents.push(Record::Current { group, member: member_id, value: Some(current) });
    }
    let mut group = ConsumerGroup::new(id.clone());
    for record in &members {
        group.apply(record.clone());
    }
    let metadata_hash = hash::of_group(&group.subscribed, image, context.index);

    draft.releases = true;
    draft.records.extend(classic.tombstones(id));
    draft.records.append(&mut members);
    let first_new = draft.records.len();
    draft.epoch(id, epoch, metadata_hash);
    draft.records.append(&mut targets);
    let value = Some(TargetValue { epoch, assigned_at: TimestampMs(0) });
    draft.records.push(Record::Target { group: id.clone(), value });
    draft.records.append(&mut currents);
    for record in draft.records.iter().skip(first_new) {
        if group.apply(record.clone()).contradiction {
            // An assignor of the group's own gave a partition to two members.
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR.into());
        }
    }
    for (member, about) in &classic.members {
        draft.session(context.env, id, member, about.session_timeout_ms.into());
    }
    tracing::info!(group = %id, "a classic group becomes a consumer group");
    Ok(group)
}

fn about_classic(member: &ClassicMember, subscription: Subscription) -> MemberValue {
    let protocols = member.protocols.iter().map(|protocol| (protocol.name.clone(), protocol.metadata.clone()));
    let mut topics = subscription.topics;
    topics.sort_unstable();
    topics.dedup();
    MemberValue {
        instance: member.instance.clone(),
        rack: subscription.rack,
        client_id: member.client.id.clone(),
        client_host: member.client.host.clone(),
        topics,
        regex: Some(String::new()),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        assignor: None,
        classic: Some(ClassicValue { session_timeout_ms: member.session_timeout_ms, protocols: protocols.collect() }),
    }
}

enum Fault {
    Malformed,
    /// What an assignor of the group's own has said to the member would be lost.
    UserData,
}

/// What a classic member has; nothing if it has never synced.
fn assignment_of(member: &ClassicMember, image: &Image) -> Result<Assignment, Fault> {
    if member.assignment.is_empty() {
        return Ok(Assignment::new());
    }
    let assignment = protocol::Assignment::parse(&member.assignment).map_err(|_| Fault::Malformed)?;
    if assignment.user_data.is_some_and(|data| !data.is_empty()) {
        return Err(Fault::UserData);
    }
    Ok(by_id(assignment.partitions, image))
}

/// Partitions by the ids of their topics, those that are there.
pub(super) fn by_id(partitions: protocol::Partitions, image: &Image) -> Assignment {
    let known = partitions.into_iter().filter_map(|(name, of)| Some((image.topic(name.as_str())?.id, of)));
    super::apply::tidied(known.collect())
}

/// Partitions by the names of their topics, in the bytes that classic members understand.
pub(super) fn encoded(assignment: &Assignment, version: i16, image: &Image) -> Result<Bytes, protocol::Malformed> {
    let named = assignment.iter().filter_map(|(id, of)| Some((image.topic_by_id(*id)?.name.clone(), of.clone())));
    protocol::Assignment { partitions: named.collect(), user_data: None }.encode(version)
}

fn with_epochs(assignment: &Assignment, epoch: GroupEpoch) -> WithEpochs {
    let each = |of: &Vec<_>| of.iter().map(|partition| (*partition, epoch)).collect::<BTreeMap<_, _>>();
    assignment.iter().map(|(topic, of)| (*topic, each(of))).collect()
}

/// Who takes a static member's place with the classic protocol.
pub(super) struct Replacing<'a> {
    pub(super) old: &'a MemberId,
    pub(super) new: &'a MemberId,
    pub(super) about: &'a MemberValue,
}

impl ConsumerGroup {
    /// `validateOnlineDowngradeWithFencedMembers`
    pub(super) fn may_be_classic_without(&self, env: &Env, leaving: &BTreeSet<MemberId>) -> bool {
        let classic = leaving.iter().filter(|id| self.members.get(*id).is_some_and(super::Member::is_classic)).count();
        let left = self.members.len().saturating_sub(leaving.len());
        self.classic_members - classic == left && left > 0 && may_be_classic(env, left)
    }

    /// `validateOnlineDowngradeWithReplacedMember`
    pub(super) fn may_be_classic_with(&self, env: &Env, replaced: &MemberId) -> bool {
        let speaks_consumer = self.members.get(replaced).is_some_and(|member| !member.is_classic());
        speaks_consumer && self.classic_members + 1 == self.members.len() && may_be_classic(env, self.members.len())
    }

    /// The group as a classic group, all of whose members are classic.
    fn as_classic(
        &self,
        env: &Env,
        leaving: &BTreeSet<MemberId>,
        replacing: Option<&Replacing<'_>>,
    ) -> Result<ClassicGroup, protocol::Malformed> {
        let stays = |id: &&MemberId| !leaving.contains(*id) && replacing.is_none_or(|by| by.old != *id);
        let staying = self.members.keys().filter(stays).filter_map(|id| Some((id, &self.members.get(id)?.about)));
        let members = staying.chain(replacing.map(|by| (by.new, by.about)));
        let members = members.filter_map(|(id, about)| Some((id.clone(), classic_member(about)?)));
        let generation = Generation(self.epoch.0);
        let mut group = ClassicGroup::converted(self.id.clone(), generation, env.now, members);
        let protocol = group.protocol.clone();
        for (id, member) in &mut group.members {
            let target = match replacing {
                Some(by) if by.new == id => self.target.get(by.old),
                _ => self.target.get(id),
            };
            let version = protocol::version(&member.metadata(protocol.as_deref()))?;
            member.assignment = encoded(target.unwrap_or(&Assignment::new()), version, &env.image)?;
        }
        Ok(group)
    }
}

fn may_be_classic(env: &Env, members: usize) -> bool {
    let settings = &env.settings.groups;
    settings.consumer_migration.downgrade && members <= settings.members_max
}

fn classic_member(about: &MemberValue) -> Option<ClassicMember> {
    let classic = about.classic.as_ref()?;
    let protocols = classic.protocols.iter();
    Some(ClassicMember {
        instance: about.instance.clone(),
        client: Client { id: about.client_id.clone(), host: about.client_host.clone() },
        rebalance_timeout_ms: about.rebalance_timeout_ms,
        session_timeout_ms: classic.session_timeout_ms,
        protocol_type: protocol::PROTOCOL_TYPE.to_owned(),
        protocols: protocols.map(|(name, data)| Protocol { name: name.clone(), metadata: data.clone() }).collect(),
        assignment: Bytes::new(),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    })
}

/// Why a consumer group becomes a classic one.
pub(super) enum Because<'a> {
    Leaving(&'a BTreeSet<MemberId>),
    /// What was done for it so far is in the draft. The members have to join again if it changed what they are to have.
    Replacing {
        by: Replacing<'a>,
        rebalance: bool,
    },
}

impl Groups {
    /// Makes a classic group of a consumer group, and finishes the step (`convertToClassicGroup`).
    pub(super) fn become_classic(
        &mut self,
        env: &Env,
        id: &GroupId,
        because: &Because<'_>,
        mut draft: Draft,
        out: &mut Out,
    ) -> Result<(), Refusal> {
        let Some(Group::Consumer(group)) = self.groups.get(id) else {
            return Err(not_found(format!("Group {id} not found.")));
        };
        let nobody = BTreeSet::new();
        let (leaving, replacing, reason) = match because {
            Because::Leaving(leaving) => (*leaving, None, Some("the last member of the consumer protocol has left")),
            Because::Replacing { by, rebalance } => {
                (&nobody, Some(by), rebalance.then_some("the last member of the consumer protocol was replaced"))
            }
        };
        draft.records.extend(group.tombstones_with(replacing.map(|by| (by.old, by.new))));
        let classic = group
            .as_classic(env, leaving, replacing)
            .map_err(|fault| not_found(format!("Cannot downgrade the classic group {id}: {fault}.")))?;
        draft.records.push(classic.record());
        let members: Vec<MemberId> = group.members.keys().cloned().collect();
        for member in &members {
            draft.no_timers(id, member);
        }
        self.settle(env, id, draft, out)?;
        tracing::info!(group = %id, "a consumer group becomes a classic group");
        self.adopt_classic_group(env, classic, out);
        if let Some(reason) = reason {
            self.prepare_rebalance(env, id, reason, out);
        }
        Ok(())
    }
}
