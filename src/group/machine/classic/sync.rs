//! SyncGroup (`GroupMetadataManager.classicGroupSync*`): the leader brings the assignment, everybody takes theirs.

use super::ClassicState;
use super::turn::Turn;
use crate::coordinator::Ticket;
use crate::group::machine::Timer;
use crate::group::request::{Reply, Sync, Synced};
use crate::model::{ErrorCode, MemberId};
use bytes::Bytes;
use std::collections::BTreeMap;

impl Turn<'_> {
    pub(super) fn sync(&mut self, ticket: Ticket, sync: Sync) {
        if let Err(error) = self.check_sync(&sync) {
            self.refuse_sync(ticket, error);
            return;
        }
        match self.group.state {
            ClassicState::PreparingRebalance => self.refuse_sync(ticket, ErrorCode::REBALANCE_IN_PROGRESS),
            ClassicState::CompletingRebalance => {
                self.await_sync(ticket, &sync.member);
                if self.group.is_leader(&sync.member) {
                    self.assign(sync.assignments);
                }
            }
            ClassicState::Stable => {
                self.has_synced(&sync.member);
                let member = self.group.members.get(&sync.member);
                let synced = Synced {
                    error: ErrorCode::NONE,
                    protocol_type: self.group.protocol_type.clone(),
                    protocol_name: self.group.protocol.clone(),
                    assignment: member.map(|member| member.assignment.clone()).unwrap_or_default(),
                };
                self.out.reply(ticket, Reply::Sync(synced));
            }
            ClassicState::Empty | ClassicState::Dead => self.refuse_sync(ticket, ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ErrorCode> {
        if self.group.state == ClassicState::Dead {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        self.group.check_member(&sync.member, sync.instance.as_ref())?;
        if sync.generation != self.group.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs = |said: &Option<String>, is: &Option<String>| said.is_some() && is.is_some() && said != is;
        if differs(&sync.protocol_type, &self.group.protocol_type) || differs(&sync.protocol_name, &self.group.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        Ok(())
    }

    /// An older request of the member is superseded: Kafka never answers it; here its client is told to join again.
    fn await_sync(&mut self, ticket: Ticket, member: &MemberId) {
        let older = self.group.members.get_mut(member).and_then(|member| member.awaiting_sync.replace(ticket));
        if let Some(older) = older {
            self.refuse_sync(older, ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.has_synced(member);
    }

    fn has_synced(&mut self, member: &MemberId) {
        self.group.pending_sync.remove(member);
        if self.group.pending_sync.is_empty() {
            self.timers.disarm(&Timer::Sync(self.group.id.clone()));
        }
    }

    /// The leader's assignment is written down, and everybody told. Members that it leaves out get nothing.
    fn assign(&mut self, assignments: Vec<(MemberId, Bytes)>) {
        let mut assignments: BTreeMap<MemberId, Bytes> = assignments.into_iter().collect();
        for (id, member) in self.group.everyone_mut() {
            member.assignment = assignments.remove(id).unwrap_or_default();
        }
        let record = self.group.record().encode();
        if !self.fits(&record) {
            tracing::warn!(group = %self.group.id, "the record of the group is larger than the topic allows");
            self.reset_assignments(ErrorCode::UNKNOWN_SERVER_ERROR);
            self.rebalance_or_complete_join("the assignment could not be stored", None);
            return;
        }
        self.out.records.push(record);
        self.answer_syncs(ErrorCode::NONE);
        self.group.enter(ClassicState::Stable, self.env.now);
    }
}
