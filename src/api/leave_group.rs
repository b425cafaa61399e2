//! LeaveGroup (13), v0-5: members leave their group, or are removed from it.
//!
//! Versions: below v3 one member, whose error is the answer's; since v3 many, each with its own; v5 has the reason.
//! The group needs READ.

use super::{Api, Call, Context, Versions, groups};
use crate::group::request::{Leave, Leaver, Left};
use crate::model::{ErrorCode, Operation};
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use std::sync::Arc;

pub struct LeaveGroup;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;
    const NAME: &'static str = "LeaveGroup";
    const VERSIONS: Versions = Versions { min: 0, max: 5 };

    async fn handle(ctx: Arc<Context>, call: Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
        if !call.may().group(Operation::Read, &request.group_id) {
            return LeaveGroupResponse::default().with_error_code(ErrorCode::GROUP_AUTHORIZATION_FAILED.0);
        }
        answer(call.version, ctx.groups.leave(question(call.version, &request)).await)
    }
}

fn question(version: i16, request: &LeaveGroupRequest) -> Leave {
    let members = if version >= 3 {
        let leaver = |member: &kafka_protocol::messages::leave_group_request::MemberIdentity| Leaver {
            member: groups::member(&member.member_id),
            instance: groups::instance(member.group_instance_id.as_ref()),
            reason: groups::owned(member.reason.as_ref()),
        };
        request.members.iter().map(leaver).collect()
    } else {
        vec![Leaver { member: groups::member(&request.member_id), instance: None, reason: None }]
    };
    Leave { version, group: groups::id(&request.group_id), members }
}

fn answer(version: i16, left: Left) -> LeaveGroupResponse {
    if version < 3 {
        let only = left.members.first().map(|(_, _, error)| *error);
        let error = if left.error == ErrorCode::NONE { only.unwrap_or(left.error) } else { left.error };
        return LeaveGroupResponse::default().with_error_code(error.0);
    }
    let members = left.members.into_iter().map(|(member, instance, error)| {
        MemberResponse::default()
            .with_member_id(groups::wire_member(&member))
            .with_group_instance_id(groups::wire_instance(instance.as_ref()))
            .with_error_code(error.0)
    });
    LeaveGroupResponse::default().with_error_code(left.error.0).with_members(members.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use crate::model::{InstanceId, MemberId};
    use kafka_protocol::messages::GroupId;
    use kafka_protocol::messages::leave_group_request::MemberIdentity;

    fn left(error: ErrorCode) -> Left {
        let member = (MemberId::new("m"), Some(InstanceId::new("i")), ErrorCode::UNKNOWN_MEMBER_ID);
        Left { error, members: if error == ErrorCode::NONE { vec![member] } else { vec![] } }
    }

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=5 {
            encoded(version, &answer(version, left(ErrorCode::NONE)));
            encoded(version, &answer(version, left(ErrorCode::NOT_COORDINATOR)));
        }
    }

    #[test]
    fn below_version_3_the_one_member_leaves() {
        let request = LeaveGroupRequest::default().with_group_id(GroupId("g".into())).with_member_id("m".into());
        let leave = question(2, &request);
        assert_eq!((leave.version, leave.group.as_str()), (2, "g"));
        assert_eq!(leave.members, [Leaver { member: MemberId::new("m"), instance: None, reason: None }]);
    }

    #[test]
    fn since_version_3_all_members_of_the_list_leave() {
        let member = MemberIdentity::default()
            .with_member_id("m".into())
            .with_group_instance_id(Some("i".into()))
            .with_reason(Some("why".into()));
        let request = LeaveGroupRequest::default().with_members(vec![member.clone(), member]);
        let leaver =
            Leaver { member: MemberId::new("m"), instance: Some(InstanceId::new("i")), reason: Some("why".into()) };
        assert_eq!(question(5, &request).members, [leaver.clone(), leaver]);
    }

    #[test]
    fn the_one_members_error_is_the_answers_below_version_3_only() {
        let code = |version, error| answer(version, left(error)).error_code;
        assert_eq!(code(2, ErrorCode::NONE), ErrorCode::UNKNOWN_MEMBER_ID.0);
        assert_eq!(code(2, ErrorCode::NOT_COORDINATOR), ErrorCode::NOT_COORDINATOR.0);
        assert!(answer(2, left(ErrorCode::NONE)).members.is_empty());
        assert_eq!(code(3, ErrorCode::NONE), ErrorCode::NONE.0);
        let members = answer(3, left(ErrorCode::NONE)).members;
        assert_eq!(members.iter().map(|m| m.error_code).collect::<Vec<_>>(), [ErrorCode::UNKNOWN_MEMBER_ID.0]);
        assert_eq!(code(3, ErrorCode::NOT_COORDINATOR), ErrorCode::NOT_COORDINATOR.0);
    }
}
