//! A share group and its members (`ShareGroup`, `ShareGroupMember`). Changed by records only ([`super::apply`]), except for
//! [`Memory`], which a restart forgets.

use crate::group::machine::consumer::Subscribed;
use crate::group::record::{MemberState, ShareCurrentValue, ShareMemberValue, ShareStatesValue, TargetValue};
use crate::group::request::{Assignment, Refusal};
use crate::model::{ErrorCode, GroupEpoch, GroupId, MemberId, TimestampMs};
use std::collections::BTreeMap;

/// A member: what it said of itself, and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareMember {
    /// Topics ascend, each once.
    pub about: ShareMemberValue,
    pub current: ShareCurrentValue,
}

impl Default for ShareMember {
    /// A member that nothing is known of.
    fn default() -> ShareMember {
        ShareMember {
            about: ShareMemberValue::default(),
            current: ShareCurrentValue {
                epoch: GroupEpoch(0),
                previous_epoch: GroupEpoch(-1),
                state: MemberState::Stable,
                assigned: Assignment::new(),
            },
        }
    }
}

/// What is not in the records. Two groups that differ only in this are equal: a restart forgets it.
#[derive(Clone, Debug, Default)]
pub(in crate::group::machine) struct Memory {
    /// As in consumer groups: until then the metadata hash holds, while the group is at this epoch or later.
    pub(in crate::group::machine) hash_holds: Option<(TimestampMs, GroupEpoch)>,
    /// When the partitions' states were written last; `None`: before this broker coordinated the group.
    pub(super) states_written_at: Option<TimestampMs>,
}

impl PartialEq for Memory {
    fn eq(&self, _: &Memory) -> bool {
        true
    }
}

impl Eq for Memory {}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareGroup {
    pub id: GroupId,
    /// Rises with every change that asks for a new assignment.
    pub epoch: GroupEpoch,
    /// What the subscribed topics looked like at that epoch.
    pub metadata_hash: i64,
    pub members: BTreeMap<MemberId, ShareMember>,
    /// The epoch that the target assignment is for.
    pub assigned: TargetValue,
    /// What each member is to have. Partitions ascend.
    pub target: BTreeMap<MemberId, Assignment>,
    pub subscribed: Subscribed,
    /// Which partitions share coordinators keep state of; `None`: there is no record of it.
    pub states: Option<ShareStatesValue>,
    pub(in crate::group::machine) memory: Memory,
}

impl ShareGroup {
    #[must_use]
    pub fn new(id: GroupId) -> ShareGroup {
        ShareGroup {
            id,
            epoch: GroupEpoch(1),
            metadata_hash: 0,
            members: BTreeMap::new(),
            assigned: TargetValue { epoch: GroupEpoch(1), assigned_at: TimestampMs(0) },
            target: BTreeMap::new(),
            subscribed: Subscribed::default(),
            states: None,
            memory: Memory::default(),
        }
    }

    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.members.is_empty() { "Empty" } else { "Stable" }
    }

    pub(super) fn member(&self, id: &MemberId) -> Result<&ShareMember, Refusal> {
        self.members.get(id).ok_or_else(|| {
            let message = format!("Member {id} is not a member of group {}.", self.id);
            Refusal::new(ErrorCode::UNKNOWN_MEMBER_ID, message)
        })
    }

    /// # Errors
    /// NON_EMPTY_GROUP: it has members.
    pub(super) fn check_empty(&self) -> Result<(), ErrorCode> {
        if self.members.is_empty() { Ok(()) } else { Err(ErrorCode::NON_EMPTY_GROUP) }
    }

    /// The metadata hash may be out of date.
    pub(super) fn hash_has_expired(&self, now: TimestampMs) -> bool {
        self.memory.hash_holds.is_none_or(|(until, epoch)| now >= until || self.epoch < epoch)
    }
}
