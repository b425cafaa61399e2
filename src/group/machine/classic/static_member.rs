//! A static member that comes back without its id (KIP-345, KIP-814): it gets a new one and what the old one had, and the
//! group goes on without a rebalance where it can (`updateStaticMemberThenRebalanceOrCompleteJoin`).

use super::turn::Turn;
use super::{ClassicMember, ClassicState};
use crate::coordinator::Ticket;
use crate::group::request::{Join, Joined};
use crate::model::{ErrorCode, MemberId};

/// The first version whose members may be told that they lead and need not assign (KIP-814).
const SKIP_ASSIGNMENT_SINCE: i16 = 9;

impl Turn<'_> {
    pub(super) fn rejoin_static(&mut self, ticket: Ticket, join: Join, old: &MemberId, new: MemberId) {
        let Some(instance) = &join.instance else { return };
        let leader = self.group.leader.clone();
        let Some(before) = self.group.rename_static(instance, old, new.clone()) else {
            self.refuse_join(ticket, MemberId::new(""), ErrorCode::UNKNOWN_SERVER_ERROR);
            return;
        };
        // Whoever still has the old id is fenced, what waits for it at once.
        if let Some(waiting) = before.awaiting_join {
            self.refuse_join(waiting, old.clone(), ErrorCode::FENCED_INSTANCE_ID);
        }
        if let Some(waiting) = before.awaiting_sync {
            self.refuse_sync(waiting, ErrorCode::FENCED_INSTANCE_ID);
        }
        self.end_session(old);
        self.arm_session(&new, i64::from(before.session_timeout_ms));
        self.take_terms(&new, ticket, &join);
        match self.group.state {
            ClassicState::Stable if self.group.protocol == self.group.select_protocol() => {
                self.keep_generation(&join, &before, old, new, leader);
            }
            ClassicState::Stable => {
                self.rebalance_or_complete_join("a static member changes the protocol", join.reason.as_deref());
            }
            // The leader may have assigned to the old id.
            ClassicState::CompletingRebalance => {
                self.prepare_rebalance("a static member has a new id", join.reason.as_deref());
            }
            ClassicState::PreparingRebalance | ClassicState::Empty | ClassicState::Dead => self.maybe_complete_join(),
        }
    }

    /// Only the id has changed: it is written down, and the member told what it has missed.
    fn keep_generation(
        &mut self,
        join: &Join,
        before: &ClassicMember,
        old: &MemberId,
        new: MemberId,
        leader: Option<MemberId>,
    ) {
        let record = self.group.record().encode();
        let Some(ticket) = self.group.take_join(&new) else { return };
        let leader = leader.map(|leader| leader.as_str().to_owned()).unwrap_or_default();
        if !self.fits(&record) {
            self.take_back(join, before, old, &new);
            let error = ErrorCode::UNKNOWN_SERVER_ERROR;
            let joined = Joined { error, leader, ..self.joined(MemberId::new("")) };
            self.answer_join(ticket, joined);
            return;
        }
        self.out.records.push(record);
        let joined = self.joined(new.clone());
        let joined = if join.version < SKIP_ASSIGNMENT_SINCE {
            // It is not to take itself for the leader: it would assign, and the others not hear of it.
            Joined { leader, ..joined }
        } else if self.group.is_leader(&new) {
            Joined { skip_assignment: true, members: self.group.joined_members(), ..joined }
        } else {
            joined
        };
        self.answer_join(ticket, joined);
    }

    /// What cannot be written down has not happened.
    fn take_back(&mut self, join: &Join, before: &ClassicMember, old: &MemberId, new: &MemberId) {
        let Some(instance) = &join.instance else { return };
        self.group.update(new, before.protocols.clone(), before.rebalance_timeout_ms, before.session_timeout_ms, None);
        self.group.rename_static(instance, new, old.clone());
        self.end_session(new);
        self.renew_session(old);
    }
}
