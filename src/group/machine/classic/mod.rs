//! Classic groups: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups (`GroupMetadataManager.classicGroup*`).
//!
//! This page decides which kind of group a request is for; one file each decides what it does ([`turn::Turn`] is a step's
//! work on one group). A classic group changes itself and writes its record where Kafka does: when it comes to be, when the
//! leader has assigned, when a static member got a new id, and when nobody is left. In between it is more than its record:
//! who waits, and who has joined, a restart forgets.
//!
//! Kafka answers only when an append has succeeded and takes things back when it has failed. Here the shard is dropped when
//! an append fails, and the answers are held back; the one failure that can be foreseen, a record that is larger than the
//! topic allows, is found before anything is written ([`Env::fits`]).

mod describe;
mod heartbeat;
mod join;
mod kind;
mod leave;
mod rebalance;
mod record;
mod state;
mod static_member;
mod sync;
mod turn;

pub use state::{ClassicGroup, ClassicMember, ClassicState, InitialDelay};

use super::kind::Kind as _;
use super::{Env, Group, Groups, Out, Timer};
use crate::coordinator::Ticket;
use crate::group::request::{Commit, Heartbeat, Join, Joined, Leave, Left, Refusal, Reply, Sync};
use crate::model::{ErrorCode, GroupId, MemberId};

impl Groups {
    /// A consumer group without members becomes a classic group.
    pub(super) fn join(&mut self, env: &Env, ticket: Ticket, join: Join, out: &mut Out) {
        match self.groups.get(&join.group) {
            Some(Group::Consumer(group)) if !group.is_empty() => self.join_consumer_group(env, ticket, join, out),
            Some(Group::Share(_)) => {
                let none = MemberId::new("");
                out.reply(ticket, Reply::Join(Joined::refused(none, ErrorCode::INCONSISTENT_GROUP_PROTOCOL)));
            }
            _ => self.join_classic(env, ticket, join, out),
        }
    }

    pub(super) fn sync(&mut self, env: &Env, ticket: Ticket, sync: Sync, out: &mut Out) {
        match self.groups.get_mut(&sync.group) {
            Some(group) if group.kind().is_empty() => {
                out.reply(ticket, Reply::Sync(ErrorCode::UNKNOWN_MEMBER_ID.into()))
            }
            Some(Group::Consumer(_)) => self.sync_consumer_group(env, ticket, sync, out),
            Some(Group::Classic(group)) => {
                turn::Turn { env, group, timers: &mut self.timers, out }.sync(ticket, sync);
            }
            Some(Group::Share(_)) | None => out.reply(ticket, Reply::Sync(ErrorCode::UNKNOWN_MEMBER_ID.into())),
        }
    }

    pub(super) fn heartbeat(&mut self, env: &Env, ticket: Ticket, heartbeat: Heartbeat, out: &mut Out) {
        let error = match self.groups.get_mut(&heartbeat.group) {
            Some(Group::Consumer(_)) => return self.heartbeat_consumer_group(env, ticket, heartbeat, out),
            Some(Group::Classic(group)) => {
                turn::Turn { env, group, timers: &mut self.timers, out }.heartbeat(&heartbeat)
            }
            Some(Group::Share(_)) | None => ErrorCode::UNKNOWN_MEMBER_ID,
        };
        out.reply(ticket, Reply::Heartbeat(error));
    }

    pub(super) fn leave(&mut self, env: &Env, ticket: Ticket, leave: Leave, out: &mut Out) {
        let left = match self.groups.get_mut(&leave.group) {
            Some(Group::Consumer(_)) => return self.leave_consumer_group(env, ticket, leave, out),
            Some(Group::Classic(group)) => turn::Turn { env, group, timers: &mut self.timers, out }.leave(leave),
            Some(Group::Share(_)) | None => {
                let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
                let members = leave.members.into_iter().map(|leaver| (leaver.member, leaver.instance, unknown));
                Left { error: ErrorCode::NONE, members: members.collect() }
            }
        };
        out.reply(ticket, Reply::Leave(left));
    }

    pub(super) fn describe(&mut self, _: &Env, ticket: Ticket, group: GroupId, out: &mut Out) {
        let described = match self.groups.get(&group) {
            Some(Group::Classic(group)) => Ok(group.describe()),
            Some(Group::Consumer(_) | Group::Share(_)) => {
                Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group} is not a classic group.")))
            }
            None => Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group} not found."))),
        };
        out.reply(ticket, Reply::Describe(described));
    }

    /// A commit of a member keeps its session alive. To be called once the commit has passed `check_commit`.
    pub(super) fn classic_member_committed(&mut self, env: &Env, commit: &Commit) {
        // It writes nothing and answers nobody.
        let mut nothing = Out::default();
        if let Some(mut turn) = self.classic(env, &commit.group, &mut nothing)
            && matches!(turn.group.state, ClassicState::Stable | ClassicState::PreparingRebalance)
        {
            turn.renew_session(&commit.member);
        }
    }

    /// The broker coordinates this group from now on: sessions start. A group that is larger than is allowed by now is
    /// rebalanced, which makes the last that join again too many.
    pub(super) fn classic_group_loaded(&mut self, env: &Env, group: &GroupId, out: &mut Out) {
        let Some(mut turn) = self.classic(env, group, out) else { return };
        turn.start_sessions();
        if turn.group.members.len() > env.settings.groups.members_max {
            turn.prepare_rebalance("the group has more members than are allowed", None);
        }
    }

    pub(super) fn join_time_is_up(&mut self, env: &Env, group: &GroupId, out: &mut Out) {
        if let Some(mut turn) = self.classic(env, group, out) {
            turn.join_time_is_up();
        }
    }

    pub(super) fn sync_time_is_up(&mut self, env: &Env, group: &GroupId, out: &mut Out) {
        if let Some(mut turn) = self.classic(env, group, out) {
            turn.sync_time_is_up();
        }
    }

    pub(super) fn classic_session_expired(&mut self, env: &Env, group: &GroupId, member: &MemberId, out: &mut Out) {
        if let Some(mut turn) = self.classic(env, group, out) {
            turn.session_expired(member);
        }
    }

    /// Takes a group that a consumer group was converted to ([`ClassicGroup::converted`]) in the place of whatever is there,
    /// and starts the sessions of all members. Its record, and the tombstones of the consumer group, are the caller's.
    pub(super) fn adopt_classic_group(&mut self, env: &Env, group: ClassicGroup, out: &mut Out) {
        let id = group.id.clone();
        self.groups.insert(id.clone(), Group::Classic(Box::new(group)));
        if let Some(mut turn) = self.classic(env, &id, out) {
            turn.start_sessions();
        }
    }

    /// Makes the members of a classic group join again, unless they are about to.
    pub(super) fn prepare_rebalance(&mut self, env: &Env, group: &GroupId, reason: &str, out: &mut Out) {
        if let Some(mut turn) = self.classic(env, group, out)
            && matches!(turn.group.state, ClassicState::Stable | ClassicState::CompletingRebalance)
        {
            turn.prepare_rebalance(reason, None);
        }
    }

    /// Takes a classic group out that becomes a consumer group: whoever waits is told to join again, and no deadline of the
    /// group comes any more (`GroupMetadataManager.convertToConsumerGroup`). The tombstone is the caller's.
    pub(super) fn release_classic_group(
        &mut self,
        env: &Env,
        group: &GroupId,
        out: &mut Out,
    ) -> Option<Box<ClassicGroup>> {
        let mut turn = self.classic(env, group, out)?;
        let error = ErrorCode::REBALANCE_IN_PROGRESS;
        for (member, ticket) in turn.group.take_joins() {
            turn.answer_join(ticket, Joined::refused(member, error));
        }
        for (_, ticket, _) in turn.group.take_syncs() {
            turn.refuse_sync(ticket, error);
        }
        let members: Vec<MemberId> = turn.group.members.keys().chain(&turn.group.pending).cloned().collect();
        for member in &members {
            turn.end_session(member);
        }
        turn.timers.disarm(&Timer::Join(group.clone()));
        turn.timers.disarm(&Timer::Sync(group.clone()));
        match self.groups.remove(group)? {
            Group::Classic(group) => Some(group),
            Group::Consumer(_) | Group::Share(_) => None,
        }
    }
}

impl turn::Turn<'_> {
    fn start_sessions(&mut self) {
        let members: Vec<MemberId> = self.group.members.keys().cloned().collect();
        for member in &members {
            self.renew_session(member);
        }
    }
}

#[cfg(test)]
mod tests;
