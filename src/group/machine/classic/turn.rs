//! A step's work on one classic group: the group, its timers, and where answers and records go.

use super::ClassicGroup;
use crate::coordinator::{Ticket, Timers, Written};
use crate::group::machine::{Env, Group, Groups, Out, Timer};
use crate::group::request::{Joined, Reply, Synced};
use crate::model::{ErrorCode, GroupId, MemberId};

/// See the module.
pub(super) struct Turn<'a> {
    pub env: &'a Env,
    pub group: &'a mut ClassicGroup,
    pub timers: &'a mut Timers<Timer>,
    pub out: &'a mut Out,
}

impl Groups {
    /// Work on a group, if it is there and classic.
    pub(super) fn classic<'a>(&'a mut self, env: &'a Env, group: &GroupId, out: &'a mut Out) -> Option<Turn<'a>> {
        match self.groups.get_mut(group)? {
            Group::Classic(group) => Some(Turn { env, group, timers: &mut self.timers, out }),
            Group::Consumer(_) | Group::Share(_) => None,
        }
    }
}

impl Turn<'_> {
    pub(super) fn answer_join(&mut self, ticket: Ticket, joined: Joined) {
        self.out.reply(ticket, Reply::Join(joined));
    }

    pub(super) fn refuse_join(&mut self, ticket: Ticket, member: MemberId, error: ErrorCode) {
        self.answer_join(ticket, Joined::refused(member, error));
    }

    pub(super) fn refuse_sync(&mut self, ticket: Ticket, error: ErrorCode) {
        self.out.reply(ticket, Reply::Sync(error.into()));
    }

    /// What is too large must not be written: with it the append of everything else that the step writes would fail.
    pub(super) fn fits(&self, record: &Written) -> bool {
        self.env.fits(self.out, std::slice::from_ref(record))
    }

    /// What a member learns of the generation there is.
    pub(super) fn joined(&self, member: MemberId) -> Joined {
        Joined {
            error: ErrorCode::NONE,
            generation: self.group.generation,
            protocol_type: self.group.protocol_type.clone(),
            protocol_name: self.group.protocol.clone(),
            leader: self.group.leader.as_ref().map(|leader| leader.as_str().to_owned()).unwrap_or_default(),
            skip_assignment: false,
            member,
            members: Vec::new(),
        }
    }

    /// From now on the member has its session timeout to be heard of.
    pub(super) fn renew_session(&mut self, member: &MemberId) {
        if let Some(known) = self.group.members.get(member) {
            let timeout_ms = i64::from(known.session_timeout_ms);
            self.arm_session(member, timeout_ms);
        }
    }

    pub(super) fn arm_session(&mut self, member: &MemberId, timeout_ms: i64) {
        let timer = Timer::ClassicSession(self.group.id.clone(), member.clone());
        self.timers.arm(timer, self.env.now.plus(timeout_ms));
    }

    pub(super) fn end_session(&mut self, member: &MemberId) {
        self.timers.disarm(&Timer::ClassicSession(self.group.id.clone(), member.clone()));
    }

    /// Takes a member out, or one that was only given an id. It is told, if it waits, that it is not known: if it is still
    /// there, it joins again.
    pub(super) fn remove(&mut self, member: &MemberId) {
        self.end_session(member);
        let Some(removed) = self.group.remove(member) else { return };
        if let Some(ticket) = removed.awaiting_join {
            self.refuse_join(ticket, MemberId::new(""), ErrorCode::UNKNOWN_MEMBER_ID);
        }
        // Kafka forgets a sync that waits for one that leaves; here every request is answered.
        if let Some(ticket) = removed.awaiting_sync {
            self.refuse_sync(ticket, ErrorCode::UNKNOWN_MEMBER_ID);
        }
    }

    /// Answers all SyncGroups that wait with what their members have, or with an error, and starts the sessions anew: while
    /// a sync waits, a session may end without effect.
    pub(super) fn answer_syncs(&mut self, error: ErrorCode) {
        let told = error == ErrorCode::NONE;
        let protocol_type = self.group.protocol_type.clone().filter(|_| told);
        let protocol_name = self.group.protocol.clone().filter(|_| told);
        for (member, ticket, assignment) in self.group.take_syncs() {
            let synced = Synced {
                error,
                protocol_type: protocol_type.clone(),
                protocol_name: protocol_name.clone(),
                assignment,
            };
            self.out.reply(ticket, Reply::Sync(synced));
            self.renew_session(&member);
        }
    }
}
