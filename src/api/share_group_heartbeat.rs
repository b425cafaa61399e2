//! ShareGroupHeartbeat (76), v1: a member of a share group (KIP-932) joins, stays, leaves.
//!
//! Where the feature `share.version` is 0 the answer is UNSUPPORTED_VERSION. The group needs READ, and every topic that is
//! subscribed to DESCRIBE.

use super::{Api, Call, Context, Versions, groups, text};
use crate::group::request::{Assignment, ConsumerHeartbeaten, Refusal, ShareHeartbeat};
use crate::model::{ErrorCode, GroupEpoch, Operation, TopicName};
use kafka_protocol::messages::share_group_heartbeat_response::{Assignment as WireAssignment, TopicPartitions};
use kafka_protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use std::sync::Arc;

pub struct ShareGroupHeartbeat;

impl Api for ShareGroupHeartbeat {
    type Request = ShareGroupHeartbeatRequest;
    const NAME: &'static str = "ShareGroupHeartbeat";
    const VERSIONS: Versions = Versions { min: 1, max: 1 };

    async fn handle(ctx: Arc<Context>, call: Call, request: ShareGroupHeartbeatRequest) -> ShareGroupHeartbeatResponse {
        if !groups::share_protocol(&ctx.metadata.load()) {
            return answer(Err(ErrorCode::UNSUPPORTED_VERSION.into()));
        }
        let may = call.may();
        if !may.group(Operation::Read, &request.group_id) {
            return answer(Err(ErrorCode::GROUP_AUTHORIZATION_FAILED.into()));
        }
        if !groups::is_share_member_id(&request.member_id) {
            return answer(Err(ErrorCode::INVALID_REQUEST.into()));
        }
        let topics = request.subscribed_topic_names.iter().flatten();
        // Each is asked for, so that each refusal is in the audit.
        if topics.filter(|topic| !may.topic(Operation::Describe, topic)).count() > 0 {
            return answer(Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED.into()));
        }
        let heartbeat = question(&call, &request);
        drop(request);
        answer(ctx.groups.share_heartbeat(heartbeat).await)
    }
}

fn question(call: &Call, request: &ShareGroupHeartbeatRequest) -> ShareHeartbeat {
    let topics = request.subscribed_topic_names.as_ref();
    ShareHeartbeat {
        client: groups::client(call),
        group: groups::id(&request.group_id),
        member: groups::member(&request.member_id),
        epoch: GroupEpoch(request.member_epoch),
        rack: groups::owned(request.rack_id.as_ref()),
        topics: topics.map(|topics| topics.iter().map(|name| TopicName::new(name)).collect()),
    }
}

fn answer(heartbeaten: Result<ConsumerHeartbeaten, Refusal>) -> ShareGroupHeartbeatResponse {
    match heartbeaten {
        Ok(heartbeaten) => ShareGroupHeartbeatResponse::default()
            .with_member_id(Some(groups::wire_member(&heartbeaten.member)))
            .with_member_epoch(heartbeaten.epoch.0)
            .with_heartbeat_interval_ms(heartbeaten.heartbeat_interval_ms)
            .with_assignment(heartbeaten.assignment.map(assigned)),
        Err(Refusal { code, message }) => {
            ShareGroupHeartbeatResponse::default().with_error_code(code.0).with_error_message(text::message(message))
        }
    }
}

fn assigned(assignment: Assignment) -> WireAssignment {
    let topics = assignment.into_iter().map(|(topic, partitions)| {
        TopicPartitions::default()
            .with_topic_id(topic.0)
            .with_partitions(partitions.into_iter().map(|partition| partition.0).collect())
    });
    WireAssignment::default().with_topic_partitions(topics.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{call, encoded, topic_id};
    use super::*;
    use crate::model::{MemberId, PartitionId};
    use kafka_protocol::messages;

    fn heartbeaten(assignment: Option<Assignment>) -> Result<ConsumerHeartbeaten, Refusal> {
        let (member, epoch) = (MemberId::new("m"), GroupEpoch(4));
        Ok(ConsumerHeartbeaten { member, epoch, heartbeat_interval_ms: 5000, assignment })
    }

    #[test]
    fn every_answer_can_be_encoded() {
        let some = Assignment::from([(topic_id("a"), vec![PartitionId(0), PartitionId(2)])]);
        encoded(1, &answer(heartbeaten(None)));
        encoded(1, &answer(heartbeaten(Some(Assignment::new()))));
        encoded(1, &answer(heartbeaten(Some(some))));
        encoded(1, &answer(Err(Refusal::new(ErrorCode::FENCED_MEMBER_EPOCH, "why"))));
    }

    #[test]
    fn null_stays_apart_from_empty_in_what_is_asked() {
        let asked = |topics| {
            question(&call(1), &ShareGroupHeartbeatRequest::default().with_subscribed_topic_names(topics)).topics
        };
        assert_eq!(asked(None), None);
        assert_eq!(asked(Some(vec![])), Some(vec![]));
        assert_eq!(asked(Some(vec![messages::TopicName("a".into())])), Some(vec![TopicName::new("a")]));
    }

    #[test]
    fn an_assignment_that_did_not_change_is_null_and_an_empty_one_is_not() {
        assert_eq!(answer(heartbeaten(None)).assignment, None);
        assert_eq!(answer(heartbeaten(Some(Assignment::new()))).assignment, Some(WireAssignment::default()));
    }
}
