//! JoinGroup (`GroupMetadataManager.classicGroupJoin*`): who may join, under which id, and whether that takes a rebalance.

use super::turn::Turn;
use super::{ClassicGroup, ClassicMember, ClassicState};
use crate::coordinator::{Ticket, Written};
use crate::group::machine::{Env, Group, Groups, Kind as _, Out};
use crate::group::record::Record;
use crate::group::request::{Join, Joined, Reply};
use crate::model::{ErrorCode, MemberId};

/// How long the request of a member that has not been in a generation may wait
/// (`GroupCoordinatorConfig.CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS`): its client may be gone and have come back as another.
pub(super) const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

/// Ids that may be given out in one group and not joined with. Their sessions may be half an hour long, so who asks for them
/// and goes away a thousand times a second would fill the memory with them; Kafka has no such limit.
pub(super) const PENDING_MAX: usize = 10_000;

/// The first version whose members are given an id and have to join with it (KIP-394).
const MEMBER_ID_REQUIRED_SINCE: i16 = 4;

impl Groups {
    pub(super) fn join_classic(&mut self, env: &Env, ticket: Ticket, join: Join, out: &mut Out) {
        let is_new = !matches!(self.groups.get(&join.group), Some(Group::Classic(_)));
        if is_new {
            if !join.member.is_empty() {
                out.reply(ticket, Reply::Join(Joined::refused(join.member, ErrorCode::UNKNOWN_MEMBER_ID)));
                return;
            }
            let group = ClassicGroup::new(join.group.clone(), env.now);
            if let Err(error) = self.make_room(env, &group, out) {
                out.reply(ticket, Reply::Join(Joined::refused(join.member, error)));
                return;
            }
            self.groups.insert(join.group.clone(), Group::Classic(Box::new(group)));
        }
        let id = join.group.clone();
        let Some(mut turn) = self.classic(env, &id, out) else { return };
        turn.join(ticket, join);
        if is_new {
            // Whatever became of the request: the group is there, and a restart is to know.
            turn.out.records.push(turn.group.empty_record().encode());
        }
    }

    /// A consumer group without members gives way (`maybeDeleteEmptyConsumerGroup`), if the record of the new group will fit
    /// as well.
    fn make_room(&mut self, env: &Env, group: &ClassicGroup, out: &mut Out) -> Result<(), ErrorCode> {
        let tombstones = match self.groups.get(&group.id) {
            Some(Group::Consumer(old)) => old.tombstones(&group.id),
            _ => Vec::new(),
        };
        let written: Vec<Written> = tombstones.iter().chain([&group.empty_record()]).map(Record::encode).collect();
        if !env.fits(out, &written) {
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        if !tombstones.is_empty() {
            tracing::info!(group = %group.id, "the empty consumer group becomes a classic group");
            self.commit_all(env, out, tombstones)?;
        }
        Ok(())
    }
}

impl Turn<'_> {
    fn join(&mut self, ticket: Ticket, join: Join) {
        if !self.has_room_for(&join.member) {
            self.remove(&join.member);
            self.refuse_join(ticket, MemberId::new(""), ErrorCode::GROUP_MAX_SIZE_REACHED);
        } else if self.group.state == ClassicState::Dead {
            self.refuse_join(ticket, join.member, ErrorCode::COORDINATOR_NOT_AVAILABLE);
        } else if !self.group.supports(&join.protocol_type, &join.protocols) {
            self.refuse_join(ticket, join.member, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        } else if join.member.is_empty() {
            self.join_new(ticket, join);
        } else {
            self.join_known(ticket, join);
        }
    }

    /// `acceptJoiningMember`: while members join, those that have joined are counted, so that the last to join again find no
    /// room if the limit was lowered.
    fn has_room_for(&self, member: &MemberId) -> bool {
        let max = self.env.settings.groups.members_max;
        let known = self.group.members.get(member);
        match self.group.state {
            ClassicState::Empty | ClassicState::Dead => true,
            ClassicState::PreparingRebalance => {
                known.is_some_and(|known| known.awaiting_join.is_some()) || self.group.joining() < max
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                known.is_some() || self.group.members.len() < max
            }
        }
    }

    fn join_new(&mut self, ticket: Ticket, join: Join) {
        let prefix = join.instance.as_ref().map_or(join.client.id.as_str(), |instance| instance.as_str());
        let id = format!("{prefix}-{}", self.env.fresh);
        // Such an id fits into no record and no answer.
        if i16::try_from(id.len()).is_err() {
            self.refuse_join(ticket, join.member, ErrorCode::UNKNOWN_SERVER_ERROR);
            return;
        }
        let id = MemberId::new(&id);
        match &join.instance {
            Some(instance) => match self.group.static_members.get(instance).cloned() {
                Some(existing) => self.rejoin_static(ticket, join, &existing, id),
                None => self.add_member(ticket, join, id),
            },
            None if join.version >= MEMBER_ID_REQUIRED_SINCE && self.group.pending.len() >= PENDING_MAX => {
                self.refuse_join(ticket, MemberId::new(""), ErrorCode::GROUP_MAX_SIZE_REACHED);
            }
            None if join.version >= MEMBER_ID_REQUIRED_SINCE => {
                self.group.pending.insert(id.clone());
                self.arm_session(&id, i64::from(join.session_timeout_ms));
                self.refuse_join(ticket, id, ErrorCode::MEMBER_ID_REQUIRED);
            }
            None => self.add_member(ticket, join, id),
        }
    }

    fn join_known(&mut self, ticket: Ticket, join: Join) {
        let id = join.member.clone();
        if self.group.pending.contains(&id) {
            if join.instance.is_some() {
                // Static members are given no id to join with: an illegal state in Kafka.
                self.refuse_join(ticket, MemberId::new(""), ErrorCode::UNKNOWN_SERVER_ERROR);
            } else {
                self.add_member(ticket, join, id);
            }
            return;
        }
        if let Err(error) = self.group.check_member(&id, join.instance.as_ref()) {
            self.refuse_join(ticket, id, error);
            return;
        }
        let leads = self.group.is_leader(&id);
        let same = self.group.members.get(&id).is_some_and(|member| member.protocols == join.protocols);
        match self.group.state {
            ClassicState::PreparingRebalance => self.update_member(ticket, join),
            // It may have missed the answer.
            ClassicState::CompletingRebalance if same => {
                let members = if leads { self.group.joined_members() } else { Vec::new() };
                let joined = Joined { members, ..self.joined(id) };
                self.answer_join(ticket, joined);
            }
            // A leader that joins again asks for a rebalance: it may know of more partitions.
            ClassicState::Stable if same && !leads => {
                let joined = self.joined(id);
                self.answer_join(ticket, joined);
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => self.update_member(ticket, join),
            ClassicState::Empty | ClassicState::Dead => self.refuse_join(ticket, id, ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    fn add_member(&mut self, ticket: Ticket, join: Join, id: MemberId) {
        if self.group.state == ClassicState::PreparingRebalance && self.group.previous == ClassicState::Empty {
            self.group.member_added = true;
        }
        let reason = join.reason;
        let member = ClassicMember {
            instance: join.instance,
            client: join.client,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            session_timeout_ms: join.session_timeout_ms,
            protocol_type: join.protocol_type,
            protocols: join.protocols,
            assignment: bytes::Bytes::new(),
            awaiting_join: Some(ticket),
            awaiting_sync: None,
            is_new: true,
        };
        self.group.pending.remove(&id);
        self.group.add(id.clone(), member);
        self.arm_session(&id, NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.rebalance_or_complete_join("a member joins", reason.as_deref());
    }

    fn update_member(&mut self, ticket: Ticket, join: Join) {
        self.take_terms(&join.member.clone(), ticket, &join);
        self.rebalance_or_complete_join("a member joins again", join.reason.as_deref());
    }

    /// Takes over what a member says of itself. Its older request that still waits is superseded: Kafka never answers it;
    /// here its client, if there is one, is told to join again.
    pub(super) fn take_terms(&mut self, id: &MemberId, ticket: Ticket, join: &Join) {
        let protocols = join.protocols.clone();
        let older = self.group.update(id, protocols, join.rebalance_timeout_ms, join.session_timeout_ms, Some(ticket));
        if let Some(older) = older {
            self.refuse_join(older, id.clone(), ErrorCode::REBALANCE_IN_PROGRESS);
        }
    }
}
