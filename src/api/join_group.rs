//! JoinGroup (11), v0-9: a member enters a rebalance of its group, and is answered when that is complete.
//!
//! Versions: v0 has no rebalance timeout, the session timeout counts; v4 members are given an id before they join; v5 has
//! static members; v7 the protocol type, and null for "no protocol"; v8 the reason; v9 lets a leader skip the assignment.
//!
//! A member that waits keeps its connection from being served further, as Apache Kafka mutes it. The group needs READ.

use super::{Api, Call, Context, Versions, groups, text};
use crate::group::request::{Join, Joined, Protocol};
use crate::model::{ErrorCode, MemberId, Operation};
use bytes::Bytes;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use std::sync::Arc;

pub struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;
    const NAME: &'static str = "JoinGroup";
    const VERSIONS: Versions = Versions { min: 0, max: 9 };

    async fn handle(ctx: Arc<Context>, call: Call, request: JoinGroupRequest) -> JoinGroupResponse {
        if !call.may().group(Operation::Read, &request.group_id) {
            let refused = Joined::refused(MemberId::new(""), ErrorCode::GROUP_AUTHORIZATION_FAILED);
            return answer(call.version, refused);
        }
        let join = question(&call, &request);
        drop(request);
        answer(call.version, ctx.groups.join(join).await)
    }
}

fn question(call: &Call, request: &JoinGroupRequest) -> Join {
    let rebalance_timeout_ms =
        if call.version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    // Metadata outlives the frame that it came in by far.
    let protocols = request.protocols.iter().map(|protocol| Protocol {
        name: protocol.name.as_str().to_owned(),
        metadata: Bytes::copy_from_slice(&protocol.metadata),
    });
    Join {
        version: call.version,
        client: groups::client(call),
        group: groups::id(&request.group_id),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms,
        member: groups::member(&request.member_id),
        instance: groups::instance(request.group_instance_id.as_ref()),
        protocol_type: request.protocol_type.as_str().to_owned(),
        protocols: protocols.collect(),
        reason: groups::owned(request.reason.as_ref()),
    }
}

fn answer(version: i16, joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(groups::wire_member(&member.member))
            .with_group_instance_id(groups::wire_instance(member.instance.as_ref().filter(|_| version >= 5)))
            .with_metadata(member.metadata)
    });
    let protocol_name = joined.protocol_name.unwrap_or_default();
    JoinGroupResponse::default()
        .with_error_code(joined.error.0)
        .with_generation_id(joined.generation.0)
        .with_protocol_type(groups::wire(joined.protocol_type.filter(|_| version >= 7)))
        // Empty where there is none, and null since that can be said.
        .with_protocol_name((version < 7 || !protocol_name.is_empty()).then(|| text::text(&protocol_name)))
        .with_leader(text::text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment && version >= 9)
        .with_member_id(groups::wire_member(&joined.member))
        .with_members(members.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{call, encoded};
    use super::*;
    use crate::group::request::JoinedMember;
    use crate::model::{ErrorCode, Generation, InstanceId, MemberId};
    use kafka_protocol::messages::GroupId;
    use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;

    fn joined() -> Joined {
        let member = |id: &str, instance: Option<&str>| JoinedMember {
            member: MemberId::new(id),
            instance: instance.map(InstanceId::new),
            metadata: Bytes::from_static(b"metadata"),
        };
        Joined {
            error: ErrorCode::NONE,
            generation: Generation(3),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            leader: "m1".into(),
            skip_assignment: true,
            member: MemberId::new("m1"),
            members: vec![member("m1", Some("i1")), member("m2", None)],
        }
    }

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=9 {
            encoded(version, &answer(version, joined()));
            encoded(version, &answer(version, Joined::refused(MemberId::new("m"), ErrorCode::MEMBER_ID_REQUIRED)));
        }
    }

    #[test]
    fn a_request_is_carried_over_whole() {
        let protocol = JoinGroupRequestProtocol::default().with_name("range".into()).with_metadata("abc".into());
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId("g".into()))
            .with_session_timeout_ms(10)
            .with_rebalance_timeout_ms(20)
            .with_member_id("m".into())
            .with_group_instance_id(Some("i".into()))
            .with_protocol_type("consumer".into())
            .with_protocols(vec![protocol])
            .with_reason(Some("why".into()));
        let join = question(&call(9), &request);
        assert_eq!((join.version, join.group.as_str(), join.client.id.as_str()), (9, "g", "test"));
        assert_eq!((join.session_timeout_ms, join.rebalance_timeout_ms), (10, 20));
        assert_eq!((join.member.as_str(), join.instance), ("m", Some(InstanceId::new("i"))));
        assert_eq!((join.protocol_type.as_str(), join.reason.as_deref()), ("consumer", Some("why")));
        assert_eq!(join.protocols, [Protocol { name: "range".into(), metadata: "abc".into() }]);
        assert_eq!(question(&call(0), &request).rebalance_timeout_ms, 10);
    }

    #[test]
    fn no_protocol_is_empty_at_first_and_null_since_version_7() {
        let refused = || Joined::refused(MemberId::new(""), ErrorCode::UNKNOWN_MEMBER_ID);
        assert_eq!(answer(6, refused()).protocol_name.as_deref(), Some(""));
        assert_eq!(answer(7, refused()).protocol_name, None);
        let empty = Joined { protocol_name: Some(String::new()), ..refused() };
        assert_eq!(answer(7, empty).protocol_name, None);
        assert_eq!(answer(7, refused()).generation_id, -1);
    }

    #[test]
    fn what_a_version_does_not_have_is_left_out() {
        let old = answer(4, joined());
        assert_eq!((old.protocol_type, old.skip_assignment), (None, false));
        assert!(old.members.iter().all(|member| member.group_instance_id.is_none()));
        let new = answer(9, joined());
        assert_eq!((new.protocol_type.as_deref(), new.skip_assignment), (Some("consumer"), true));
        assert_eq!(new.members.first().and_then(|member| member.group_instance_id.as_deref()), Some("i1"));
    }
}
