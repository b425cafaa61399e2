//! Heartbeat (`GroupMetadataManager.classicGroupHeartbeat*`).

use super::ClassicState;
use super::turn::Turn;
use crate::group::request::Heartbeat;
use crate::model::ErrorCode;

impl Turn<'_> {
    /// A member that has to join again is told, and keeps its session all the same.
    pub(super) fn heartbeat(&mut self, beat: &Heartbeat) -> ErrorCode {
        if self.group.state == ClassicState::Dead {
            return ErrorCode::COORDINATOR_NOT_AVAILABLE;
        }
        if let Err(error) = self.group.check_member(&beat.member, beat.instance.as_ref()) {
            return error;
        }
        if beat.generation != self.group.generation {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        self.renew_session(&beat.member);
        match self.group.state {
            ClassicState::PreparingRebalance => ErrorCode::REBALANCE_IN_PROGRESS,
            ClassicState::CompletingRebalance | ClassicState::Stable => ErrorCode::NONE,
            ClassicState::Empty | ClassicState::Dead => ErrorCode::UNKNOWN_MEMBER_ID,
        }
    }
}
