//! DescribeGroups (15), v0-6: state and members of classic groups.
//!
//! Versions: v3 has the authorized operations; v4 static members; a group that does not exist is "Dead" without an error up
//! to v5, and GROUP_ID_NOT_FOUND with a message since v6.
//!
//! A group that comes twice is described once, so that an answer is never many times as long as its request needs; Apache
//! Kafka describes it twice, which clients cannot tell apart. A group needs DESCRIBE; those refused come first.

use super::{Api, Call, Context, Versions, authorized, distinct, groups, text};
use crate::group::request::{DescribedClassic, DescribedClassicMember, Refusal};
use crate::model::{ErrorCode, GroupId, Operation};
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

const DEAD: StrBytes = StrBytes::from_static_str("Dead");

pub struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;
    const NAME: &'static str = "DescribeGroups";
    const VERSIONS: Versions = Versions { min: 0, max: 6 };

    async fn handle(ctx: Arc<Context>, call: Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        let may = call.may();
        let (asked, denied): (Vec<_>, Vec<_>) =
            question(&request).into_iter().partition(|group| may.group(Operation::Describe, group.as_str()));
        let described = ctx.groups.describe(asked.clone()).await;
        let denied = denied.into_iter().map(|group| (group, Err(ErrorCode::GROUP_AUTHORIZATION_FAILED.into())));
        let described = denied.chain(asked.into_iter().zip(described)).collect();
        answer(&call, request.include_authorized_operations, described)
    }
}

fn question(request: &DescribeGroupsRequest) -> Vec<GroupId> {
    distinct::each_once(request.groups.iter()).into_iter().map(groups::id).collect()
}

type Described = Vec<(GroupId, Result<DescribedClassic, Refusal>)>;

fn answer(call: &Call, with_operations: bool, described: Described) -> DescribeGroupsResponse {
    let version = call.version;
    let groups = described.into_iter().map(|(id, described)| {
        let operations = || authorized::on_group(&call.may(), id.as_str(), version >= 3 && with_operations);
        let group = DescribedGroup::default()
            .with_group_id(groups::wire_id(&id))
            .with_authorized_operations(authorized::NOT_ASKED);
        match described {
            Ok(described) => group
                .with_group_state(StrBytes::from_static_str(described.state))
                .with_protocol_type(text::text(&described.protocol_type))
                .with_protocol_data(text::text(&described.protocol))
                .with_members(described.members.into_iter().map(|of| member(version, of)).collect())
                .with_authorized_operations(operations()),
            Err(Refusal { code: ErrorCode::GROUP_ID_NOT_FOUND, .. }) if version < 6 => {
                group.with_group_state(DEAD).with_authorized_operations(operations())
            }
            Err(Refusal { code, message }) => {
                let state = if code == ErrorCode::GROUP_ID_NOT_FOUND { DEAD } else { StrBytes::default() };
                let message = text::message(message.filter(|_| version >= 6));
                group.with_group_state(state).with_error_code(code.0).with_error_message(message)
            }
        }
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn member(version: i16, of: DescribedClassicMember) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(groups::wire_member(&of.member))
        .with_group_instance_id(groups::wire_instance(of.instance.as_ref().filter(|_| version >= 4)))
        .with_client_id(text::text(&of.client.id))
        .with_client_host(text::text(&of.client.host))
        .with_member_metadata(of.metadata)
        .with_member_assignment(of.assignment)
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use crate::group::request::Client;
    use crate::model::{InstanceId, MemberId};
    use bytes::Bytes;
    use kafka_protocol::messages;

    fn stable() -> DescribedClassic {
        let member = DescribedClassicMember {
            member: MemberId::new("m"),
            instance: Some(InstanceId::new("i")),
            client: Client { id: "c".into(), host: "/127.0.0.1".into() },
            metadata: Bytes::from_static(b"metadata"),
            assignment: Bytes::from_static(b"assignment"),
        };
        DescribedClassic {
            state: "Stable",
            protocol_type: "consumer".into(),
            protocol: "range".into(),
            members: vec![member],
        }
    }

    fn ask(version: i16, with_operations: bool, described: Result<DescribedClassic, Refusal>) -> DescribedGroup {
        let mut response =
            answer(&super::super::testing::call(version), with_operations, vec![(GroupId::new("g"), described)]);
        encoded(version, &response);
        assert_eq!(response.groups.len(), 1);
        response.groups.swap_remove(0)
    }

    fn gone() -> Result<DescribedClassic, Refusal> {
        Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, "Group g not found."))
    }

    #[test]
    fn every_version_describes_a_group() {
        for version in 0..=6 {
            let group = ask(version, true, Ok(stable()));
            assert_eq!((group.error_code, &*group.group_state, &*group.protocol_data), (0, "Stable", "range"));
            let [member] = &group.members[..] else { panic!("{group:?}") };
            assert_eq!((&*member.member_id, &*member.client_id, &*member.client_host), ("m", "c", "/127.0.0.1"));
            assert_eq!(
                (&member.member_metadata[..], &member.member_assignment[..]),
                (&b"metadata"[..], &b"assignment"[..])
            );
            assert_eq!(member.group_instance_id.as_deref(), (version >= 4).then_some("i"));
        }
    }

    #[test]
    fn a_group_that_does_not_exist_is_dead_and_since_version_6_an_error() {
        for version in 0..=5 {
            let group = ask(version, false, gone());
            assert_eq!((group.error_code, &*group.group_state, group.error_message), (0, "Dead", None), "v{version}");
        }
        let group = ask(6, false, gone());
        assert_eq!((ErrorCode(group.error_code), &*group.group_state), (ErrorCode::GROUP_ID_NOT_FOUND, "Dead"));
        assert_eq!(group.error_message.as_deref(), Some("Group g not found."));
    }

    #[test]
    fn another_error_is_an_error_in_every_version() {
        for version in 0..=6 {
            let group = ask(version, true, Err(ErrorCode::NOT_COORDINATOR.into()));
            assert_eq!((ErrorCode(group.error_code), &*group.group_state), (ErrorCode::NOT_COORDINATOR, ""));
            assert_eq!(group.authorized_operations, authorized::NOT_ASKED);
        }
    }

    #[test]
    fn authorized_operations_are_told_when_asked_for() {
        assert_eq!(ask(3, true, Ok(stable())).authorized_operations, 3400);
        assert_eq!(ask(5, true, gone()).authorized_operations, 3400);
        assert_eq!(ask(6, true, gone()).authorized_operations, authorized::NOT_ASKED);
        assert_eq!(ask(3, false, Ok(stable())).authorized_operations, authorized::NOT_ASKED);
        assert_eq!(ask(2, true, Ok(stable())).authorized_operations, authorized::NOT_ASKED);
    }

    #[test]
    fn a_group_that_comes_twice_is_described_once() {
        let names = ["g", "h", "g"].map(|name| messages::GroupId(name.into()));
        let request = DescribeGroupsRequest::default().with_groups(names.to_vec());
        assert_eq!(question(&request), [GroupId::new("g"), GroupId::new("h")]);
    }
}
