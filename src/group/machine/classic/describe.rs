//! DescribeGroups (`GroupMetadataManager.describeGroups`).

use super::{ClassicGroup, ClassicMember, ClassicState};
use crate::group::request::{DescribedClassic, DescribedClassicMember};
use crate::model::MemberId;
use bytes::Bytes;

impl ClassicGroup {
    /// The protocol, and what members said for it, are told of a stable group only.
    #[must_use]
    pub fn describe(&self) -> DescribedClassic {
        let protocol = self.protocol.as_deref().filter(|_| self.state == ClassicState::Stable);
        let member = |(id, member): (&MemberId, &ClassicMember)| DescribedClassicMember {
            member: id.clone(),
            instance: member.instance.clone(),
            client: member.client.clone(),
            metadata: if protocol.is_some() { member.metadata(protocol) } else { Bytes::new() },
            assignment: member.assignment.clone(),
        };
        DescribedClassic {
            state: self.state.name(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.unwrap_or_default().to_owned(),
            members: self.everyone().map(member).collect(),
        }
    }
}
