//! SyncGroup (14), v0-5: the leader brings the assignment of a rebalance, every member takes its own away.
//!
//! Versions: v3 has static members; v5 the protocol's type and name, both of which must then be there. The answer of a member
//! whose leader has not synced yet is waited for. The group needs READ.

use super::{Api, Call, Context, Versions, groups};
use crate::group::request::{Sync, Synced};
use crate::model::{ErrorCode, Generation, Operation};
use bytes::Bytes;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use std::sync::Arc;

pub struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;
    const NAME: &'static str = "SyncGroup";
    const VERSIONS: Versions = Versions { min: 0, max: 5 };

    async fn handle(ctx: Arc<Context>, call: Call, request: SyncGroupRequest) -> SyncGroupResponse {
        let synced = match question(&call, &request) {
            Ok(_) if !call.may().group(Operation::Read, &request.group_id) => {
                ErrorCode::GROUP_AUTHORIZATION_FAILED.into()
            }
            Ok(sync) => {
                drop(request);
                ctx.groups.sync(sync).await
            }
            Err(error) => error.into(),
        };
        answer(call.version, synced)
    }
}

fn question(call: &Call, request: &SyncGroupRequest) -> Result<Sync, ErrorCode> {
    if call.version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    // Assignments outlive the frame that they came in by far.
    let assignments =
        request.assignments.iter().map(|of| (groups::member(&of.member_id), Bytes::copy_from_slice(&of.assignment)));
    Ok(Sync {
        version: call.version,
        group: groups::id(&request.group_id),
        generation: Generation(request.generation_id),
        member: groups::member(&request.member_id),
        instance: groups::instance(request.group_instance_id.as_ref()),
        protocol_type: groups::owned(request.protocol_type.as_ref()),
        protocol_name: groups::owned(request.protocol_name.as_ref()),
        assignments: assignments.collect(),
    })
}

fn answer(version: i16, synced: Synced) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(synced.error.0)
        .with_protocol_type(groups::wire(synced.protocol_type.filter(|_| version >= 5)))
        .with_protocol_name(groups::wire(synced.protocol_name.filter(|_| version >= 5)))
        .with_assignment(synced.assignment)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{call, encoded};
    use super::*;
    use crate::model::{InstanceId, MemberId};
    use kafka_protocol::messages::GroupId;
    use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;

    fn synced() -> Synced {
        Synced {
            error: ErrorCode::NONE,
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignment: Bytes::from_static(b"mine"),
        }
    }

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=5 {
            encoded(version, &answer(version, synced()));
            encoded(version, &answer(version, ErrorCode::REBALANCE_IN_PROGRESS.into()));
        }
    }

    #[test]
    fn a_request_is_carried_over_whole() {
        let assignment =
            SyncGroupRequestAssignment::default().with_member_id("m2".into()).with_assignment("theirs".into());
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId("g".into()))
            .with_generation_id(3)
            .with_member_id("m1".into())
            .with_group_instance_id(Some("i".into()))
            .with_assignments(vec![assignment]);
        let sync = question(&call(3), &request).unwrap();
        assert_eq!((sync.group.as_str(), sync.generation, sync.member.as_str()), ("g", Generation(3), "m1"));
        assert_eq!((sync.version, sync.instance), (3, Some(InstanceId::new("i"))));
        assert_eq!(sync.assignments, [(MemberId::new("m2"), Bytes::from_static(b"theirs"))]);
    }

    #[test]
    fn since_version_5_the_protocol_must_be_named() {
        let request = SyncGroupRequest::default().with_protocol_name(Some("range".into()));
        assert!(question(&call(4), &request).is_ok());
        assert_eq!(question(&call(5), &request).unwrap_err(), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        let request = request.with_protocol_type(Some("consumer".into()));
        assert_eq!(question(&call(5), &request).unwrap().protocol_type.as_deref(), Some("consumer"));
    }

    #[test]
    fn the_protocol_is_told_since_version_5() {
        assert_eq!(answer(4, synced()).protocol_name, None);
        assert_eq!(answer(5, synced()).protocol_name.as_deref(), Some("range"));
        assert_eq!(&answer(0, synced()).assignment[..], b"mine");
    }
}
