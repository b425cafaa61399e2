//! A classic group as its record has it, and back (`GroupCoordinatorRecordHelpers.newGroupMetadataRecord`,
//! `GroupMetadataManager.replay(GroupMetadataKey, …)`).

use super::{ClassicGroup, ClassicMember, ClassicState};
use crate::group::record::{ClassicGroupValue, ClassicMemberValue, Record};
use crate::group::request::{Client, Protocol};
use crate::model::{Generation, GroupId, MemberId, TimestampMs};

impl ClassicGroup {
    /// The group as its record has it: a group with members is stable, one without is empty, and of the protocols only the
    /// agreed one is left.
    #[must_use]
    pub fn from_record(id: GroupId, value: ClassicGroupValue) -> ClassicGroup {
        let mut group = ClassicGroup::new(id, value.state_since);
        group.state_since = (value.state_since != TimestampMs::NONE).then_some(value.state_since);
        group.generation = value.generation;
        group.protocol_type = (!value.protocol_type.is_empty()).then(|| value.protocol_type.clone());
        group.leader = value.leader;
        if !value.members.is_empty() {
            group.state = ClassicState::Stable;
        }
        for member in value.members {
            let rebalance_timeout_ms = match member.rebalance_timeout_ms {
                -1 => member.session_timeout_ms,
                timeout => timeout,
            };
            let known = ClassicMember {
                instance: member.instance,
                client: Client { id: member.client_id, host: member.client_host },
                rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout_ms,
                protocol_type: value.protocol_type.clone(),
                protocols: vec![Protocol {
                    name: value.protocol.clone().unwrap_or_default(),
                    metadata: member.subscription,
                }],
                assignment: member.assignment,
                awaiting_join: None,
                awaiting_sync: None,
                is_new: false,
            };
            group.add(member.member, known);
        }
        group.protocol = value.protocol;
        group.subscribed = group.subscriptions();
        group
    }

    /// The record that says what the group is, with the assignments that its members have.
    #[must_use]
    pub fn record(&self) -> Record {
        let member = |(id, member): (&MemberId, &ClassicMember)| ClassicMemberValue {
            member: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client.id.clone(),
            client_host: member.client.host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(self.protocol.as_deref()),
            assignment: member.assignment.clone(),
        };
        let value = ClassicGroupValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_since: self.state_since.unwrap_or(TimestampMs::NONE),
            members: self.everyone().map(member).collect(),
        };
        Record::ClassicGroup { group: self.id.clone(), value: Some(value) }
    }

    /// The record of a group that has just come to be, whoever is about to join it
    /// (`GroupCoordinatorRecordHelpers.newEmptyGroupMetadataRecord`).
    pub(super) fn empty_record(&self) -> Record {
        let value = ClassicGroupValue {
            protocol_type: String::new(),
            generation: Generation(0),
            protocol: None,
            leader: None,
            state_since: self.state_since.unwrap_or(TimestampMs::NONE),
            members: Vec::new(),
        };
        Record::ClassicGroup { group: self.id.clone(), value: Some(value) }
    }
}
