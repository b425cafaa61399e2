//! Share groups of KIP-932 (`GroupMetadataManager.shareGroup*`, `ShareGroup`).
//!
//! A member sends heartbeats and nothing else, as in a consumer group, and what it says of itself may raise the group's
//! epoch ([`heartbeat`]); a raised epoch asks for a new target assignment ([`target`]). A member has its target at once,
//! since nobody has to give up what others are to have. Only partitions whose state a share coordinator keeps are assigned:
//! [`states`] has them initialised, and forgets them with their topic or the group.

mod apply;
mod describe;
mod heartbeat;
mod kind;
mod offsets;
mod state;
mod states;
mod target;
#[cfg(test)]
mod tests;

pub use state::{ShareGroup, ShareMember};

use super::{Env, Groups, Out};
use crate::coordinator::Ticket;
use crate::group::request::{Reply, ShareReply, ShareRequest};
use crate::model::GroupId;
use crate::share::persister::{SharedPartition, StateEpoch};

/// The assignor's name (`SimpleAssignor`).
const ASSIGNOR: &str = "simple";

/// What share groups need that the machine cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Has a share coordinator keep the state of these partitions; [`ShareRequest::Settled`] says what became of it.
    Initialize { group: GroupId, epoch: StateEpoch, partitions: Vec<SharedPartition> },
}

impl Groups {
    pub(super) fn share(&mut self, env: &Env, ticket: Ticket, request: ShareRequest, out: &mut Out) {
        let reply = match request {
            ShareRequest::Heartbeat(heartbeat) => ShareReply::Heartbeat(self.share_heartbeat(env, heartbeat, out)),
            ShareRequest::Describe(group) => ShareReply::Describe(self.describe_share(&group)),
            ShareRequest::Settled { group, partitions, done } => {
                ShareReply::Noted(self.share_states_settled(env, &group, &partitions, done, out))
            }
            ShareRequest::Partitions(group) => ShareReply::Partitions(self.share_partitions(&group)),
            ShareRequest::AlterOffsets(alter) => ShareReply::AlterOffsets(self.alter_share_offsets(env, alter, out)),
            ShareRequest::DeleteOffsets { group, topics } => {
                ShareReply::DeleteOffsets(self.delete_share_offsets(env, &group, topics, out))
            }
            ShareRequest::OffsetsDeleted { group, topics } => {
                ShareReply::Noted(self.share_offsets_deleted(env, &group, &topics, out))
            }
        };
        out.reply(ticket, Reply::Share(reply));
    }
}
