//! ShareGroupDescribe (`ShareGroup.asDescribedGroup`).

use super::ASSIGNOR;
use crate::group::machine::consumer::not_found;
use crate::group::machine::share::ShareGroup;
use crate::group::machine::{Group, Groups};
use crate::group::request::{Client, DescribedShare, DescribedShareMember, Refusal};
use crate::model::GroupId;

impl Groups {
    pub(super) fn share_group(&self, id: &GroupId) -> Result<&ShareGroup, Refusal> {
        match self.groups.get(id) {
            Some(Group::Share(group)) => Ok(group),
            Some(_) => Err(not_found(format!("Group {id} is not a share group."))),
            None => Err(not_found(format!("Group {id} not found."))),
        }
    }

    pub(super) fn describe_share(&self, id: &GroupId) -> Result<DescribedShare, Refusal> {
        let group = self.share_group(id)?;
        let members = group.members.iter().map(|(id, member)| DescribedShareMember {
            member: id.clone(),
            rack: member.about.rack.clone(),
            epoch: member.current.epoch,
            client: Client { id: member.about.client_id.clone(), host: member.about.client_host.clone() },
            topics: member.about.topics.clone(),
            assignment: member.current.assigned.clone(),
        });
        Ok(DescribedShare {
            state: group.state(),
            group_epoch: group.epoch,
            assignment_epoch: group.assigned.epoch,
            assignor: ASSIGNOR,
            members: members.collect(),
        })
    }
}
