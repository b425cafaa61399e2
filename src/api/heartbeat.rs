//! Heartbeat (12), v0-4: a member of a classic group says that it lives, and learns of a rebalance.
//!
//! Versions: v3 has static members. The group needs READ.

use super::{Api, Call, Context, Versions, groups};
use crate::group::request::Heartbeat as Question;
use crate::model::{ErrorCode, Generation, Operation};
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use std::sync::Arc;

pub struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;
    const NAME: &'static str = "Heartbeat";
    const VERSIONS: Versions = Versions { min: 0, max: 4 };

    async fn handle(ctx: Arc<Context>, call: Call, request: HeartbeatRequest) -> HeartbeatResponse {
        let error = if call.may().group(Operation::Read, &request.group_id) {
            ctx.groups.heartbeat(question(&request)).await
        } else {
            ErrorCode::GROUP_AUTHORIZATION_FAILED
        };
        HeartbeatResponse::default().with_error_code(error.0)
    }
}

fn question(request: &HeartbeatRequest) -> Question {
    Question {
        group: groups::id(&request.group_id),
        generation: Generation(request.generation_id),
        member: groups::member(&request.member_id),
        instance: groups::instance(request.group_instance_id.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use crate::model::{ErrorCode, GroupId, InstanceId, MemberId};
    use kafka_protocol::messages;

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=4 {
            let error = ErrorCode::REBALANCE_IN_PROGRESS.0;
            encoded(version, &HeartbeatResponse::default().with_error_code(error));
        }
    }

    #[test]
    fn a_request_is_carried_over_whole() {
        let request = HeartbeatRequest::default()
            .with_group_id(messages::GroupId("g".into()))
            .with_generation_id(7)
            .with_member_id("m".into())
            .with_group_instance_id(Some("i".into()));
        let expected = Question {
            group: GroupId::new("g"),
            generation: Generation(7),
            member: MemberId::new("m"),
            instance: Some(InstanceId::new("i")),
        };
        assert_eq!(question(&request), expected);
    }
}
