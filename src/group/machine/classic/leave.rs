//! LeaveGroup (`GroupMetadataManager.classicGroupLeave*`): members that go, or static ones that are sent away.

use super::ClassicState;
use super::turn::Turn;
use crate::group::request::{Leave, Leaver, Left};
use crate::model::{ErrorCode, MemberId};

impl Turn<'_> {
    /// One rebalance for all of them.
    pub(super) fn leave(&mut self, leave: Leave) -> Left {
        if self.group.state == ClassicState::Dead {
            return Left { error: ErrorCode::COORDINATOR_NOT_AVAILABLE, members: Vec::new() };
        }
        let mut members = Vec::with_capacity(leave.members.len());
        let mut left = 0_usize;
        for leaver in leave.members {
            let error = match self.who_leaves(&leaver) {
                Ok(member) => {
                    tracing::info!(group = %self.group.id, %member, reason = leaver.reason, "the member left");
                    self.remove(&member);
                    left += 1;
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            members.push((leaver.member, leaver.instance, error));
        }
        if left > 0 {
            match self.group.state {
                ClassicState::Stable | ClassicState::CompletingRebalance => {
                    self.rebalance_or_complete_join("members left", None);
                }
                ClassicState::PreparingRebalance => self.maybe_complete_join(),
                ClassicState::Empty | ClassicState::Dead => {}
            }
        }
        Left { error: ErrorCode::NONE, members }
    }

    /// Who is to leave: whoever has the instance id, if no member is named (an administrator does so).
    fn who_leaves(&self, leaver: &Leaver) -> Result<MemberId, ErrorCode> {
        let instance = leaver.instance.as_ref();
        if leaver.member.is_empty() {
            let named = instance.and_then(|instance| self.group.static_members.get(instance));
            return named.cloned().ok_or(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if !self.group.pending.contains(&leaver.member) {
            self.group.check_member(&leaver.member, instance)?;
        }
        Ok(leaver.member.clone())
    }
}
