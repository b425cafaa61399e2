//! ConsumerGroupHeartbeat (68), v0-1: a member of a consumer group (KIP-848) joins, stays, reports what it has, leaves.
//!
//! Versions: v1 has subscriptions by regular expression, and members that choose their own ids.
//!
//! Where the protocol is off (`group.coordinator.rebalance.protocols`, or the feature `group.version`) the answer is
//! UNSUPPORTED_VERSION. The group needs READ, and every topic that is subscribed to by its name DESCRIBE.

use super::{Api, Call, Context, Versions, groups, text};
use crate::group::request::{Assignment, ConsumerHeartbeat, ConsumerHeartbeaten, Refusal};
use crate::model::{ErrorCode, GroupEpoch, Operation, PartitionId, TopicId, TopicName};
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions as Owned;
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment as WireAssignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use std::sync::Arc;

pub struct ConsumerGroupHeartbeat;

impl Api for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;
    const NAME: &'static str = "ConsumerGroupHeartbeat";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        if !groups::consumer_protocol(&ctx.metadata.load(), ctx.settings().groups.consumer) {
            return answer(Err(ErrorCode::UNSUPPORTED_VERSION.into()));
        }
        let may = call.may();
        if !may.group(Operation::Read, &request.group_id) {
            return answer(Err(ErrorCode::GROUP_AUTHORIZATION_FAILED.into()));
        }
        let topics = request.subscribed_topic_names.iter().flatten();
        // Each is asked for, so that each refusal is in the audit.
        if topics.filter(|topic| !may.topic(Operation::Describe, topic)).count() > 0 {
            return answer(Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED.into()));
        }
        let heartbeat = question(&call, &request);
        drop(request);
        answer(ctx.groups.consumer_heartbeat(heartbeat).await)
    }
}

fn question(call: &Call, request: &ConsumerGroupHeartbeatRequest) -> ConsumerHeartbeat {
    let topics = request.subscribed_topic_names.as_ref();
    ConsumerHeartbeat {
        version: call.version,
        client: groups::client(call),
        group: groups::id(&request.group_id),
        member: groups::member(&request.member_id),
        epoch: GroupEpoch(request.member_epoch),
        instance: groups::instance(request.instance_id.as_ref()),
        rack: groups::owned(request.rack_id.as_ref()),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        topics: topics.map(|topics| topics.iter().map(|name| TopicName::new(name)).collect()),
        regex: groups::owned(request.subscribed_topic_regex.as_ref()),
        assignor: groups::owned(request.server_assignor.as_ref()),
        owned: request.topic_partitions.as_deref().map(owned),
    }
}

fn owned(topics: &[Owned]) -> Assignment {
    let mut assignment = Assignment::new();
    for topic in topics {
        let partitions = assignment.entry(TopicId(topic.topic_id)).or_default();
        partitions.extend(topic.partitions.iter().copied().map(PartitionId));
    }
    assignment
}

fn answer(heartbeaten: Result<ConsumerHeartbeaten, Refusal>) -> ConsumerGroupHeartbeatResponse {
    match heartbeaten {
        Ok(heartbeaten) => ConsumerGroupHeartbeatResponse::default()
            .with_member_id(Some(groups::wire_member(&heartbeaten.member)))
            .with_member_epoch(heartbeaten.epoch.0)
            .with_heartbeat_interval_ms(heartbeaten.heartbeat_interval_ms)
            .with_assignment(heartbeaten.assignment.map(assigned)),
        Err(Refusal { code, message }) => {
            ConsumerGroupHeartbeatResponse::default().with_error_code(code.0).with_error_message(text::message(message))
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
    use crate::model::MemberId;
    use kafka_protocol::messages;

    fn heartbeaten(assignment: Option<Assignment>) -> Result<ConsumerHeartbeaten, Refusal> {
        let (member, epoch) = (MemberId::new("m"), GroupEpoch(4));
        Ok(ConsumerHeartbeaten { member, epoch, heartbeat_interval_ms: 5000, assignment })
    }

    #[test]
    fn every_version_can_be_encoded() {
        let some = Assignment::from([(topic_id("a"), vec![PartitionId(0), PartitionId(2)])]);
        for version in 0..=1 {
            encoded(version, &answer(heartbeaten(None)));
            encoded(version, &answer(heartbeaten(Some(Assignment::new()))));
            encoded(version, &answer(heartbeaten(Some(some.clone()))));
            encoded(version, &answer(Err(Refusal::new(ErrorCode::FENCED_MEMBER_EPOCH, "why"))));
        }
    }

    #[test]
    fn null_stays_apart_from_empty_in_what_is_asked() {
        let heartbeat = question(
            &call(1),
            &ConsumerGroupHeartbeatRequest::default().with_subscribed_topic_names(None).with_topic_partitions(None),
        );
        assert_eq!((heartbeat.topics, heartbeat.owned, heartbeat.regex), (None, None, None));
        let empty = ConsumerGroupHeartbeatRequest::default()
            .with_subscribed_topic_names(Some(vec![]))
            .with_subscribed_topic_regex(Some("".into()))
            .with_topic_partitions(Some(vec![]));
        let heartbeat = question(&call(1), &empty);
        assert_eq!((heartbeat.topics, heartbeat.owned), (Some(vec![]), Some(Assignment::new())));
        assert_eq!(heartbeat.regex.as_deref(), Some(""));
    }

    #[test]
    fn a_request_is_carried_over_whole() {
        let owned =
            |partitions: &[i32]| Owned::default().with_topic_id(topic_id("a").0).with_partitions(partitions.to_vec());
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(messages::GroupId("g".into()))
            .with_member_id("m".into())
            .with_member_epoch(-2)
            .with_instance_id(Some("i".into()))
            .with_rack_id(Some("r".into()))
            .with_rebalance_timeout_ms(7)
            .with_subscribed_topic_names(Some(vec![messages::TopicName("a".into())]))
            .with_server_assignor(Some("range".into()))
            .with_topic_partitions(Some(vec![owned(&[0, 1]), owned(&[2])]));
        let heartbeat = question(&call(0), &request);
        assert_eq!((heartbeat.version, heartbeat.group.as_str(), heartbeat.member.as_str()), (0, "g", "m"));
        assert_eq!((heartbeat.epoch, heartbeat.rebalance_timeout_ms), (GroupEpoch::LEAVE_STATIC, 7));
        assert_eq!(heartbeat.instance.unwrap().as_str(), "i");
        assert_eq!((heartbeat.rack.as_deref(), heartbeat.assignor.as_deref()), (Some("r"), Some("range")));
        assert_eq!(heartbeat.topics, Some(vec![TopicName::new("a")]));
        let partitions = vec![PartitionId(0), PartitionId(1), PartitionId(2)];
        assert_eq!(heartbeat.owned, Some(Assignment::from([(topic_id("a"), partitions)])));
        assert_eq!((heartbeat.client.id.as_str(), heartbeat.client.host.as_str()), ("test", "/127.0.0.1"));
    }

    #[test]
    fn an_error_has_neither_member_nor_assignment() {
        let response = answer(Err(Refusal::new(ErrorCode::UNKNOWN_MEMBER_ID, "why")));
        assert_eq!(ErrorCode(response.error_code), ErrorCode::UNKNOWN_MEMBER_ID);
        assert_eq!(
            (response.error_message.as_deref(), response.member_id, response.assignment),
            (Some("why"), None, None)
        );
    }

    #[test]
    fn an_assignment_that_did_not_change_is_null_and_an_empty_one_is_not() {
        assert_eq!(answer(heartbeaten(None)).assignment, None);
        assert_eq!(answer(heartbeaten(Some(Assignment::new()))).assignment, Some(WireAssignment::default()));
    }
}
