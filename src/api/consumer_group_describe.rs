//! ConsumerGroupDescribe (69), v0-1: state, epochs and members of consumer groups (KIP-848).
//!
//! Versions: v1 tells which members speak the classic protocol.
//!
//! Where the protocol is off the answer is UNSUPPORTED_VERSION for each group. A group that comes twice is described once,
//! as by DescribeGroups. Left out: authorization.

use super::{Api, Call, Context, Versions, authorized, distinct, groups, text};
use crate::group::request::{Assignment, DescribedConsumer, DescribedConsumerMember, Refusal};
use crate::metadata::Image;
use crate::model::{ErrorCode, GroupId, Operation};
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment as WireAssignment, DescribedGroup, Member, TopicPartitions,
};
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

pub struct ConsumerGroupDescribe;

impl Api for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;
    const NAME: &'static str = "ConsumerGroupDescribe";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: ConsumerGroupDescribeRequest,
    ) -> ConsumerGroupDescribeResponse {
        let may = call.may();
        let asked = question(&request);
        let described = if groups::consumer_protocol(&ctx.metadata.load(), ctx.settings().groups.consumer) {
            let (asked, denied): (Vec<_>, Vec<_>) =
                asked.into_iter().partition(|group| may.group(Operation::Describe, group.as_str()));
            let described = ctx.groups.describe_consumer(asked.clone()).await;
            let denied = denied.into_iter().map(|group| (group, Err(ErrorCode::GROUP_AUTHORIZATION_FAILED.into())));
            denied.chain(asked.into_iter().zip(described)).collect()
        } else {
            asked.into_iter().map(|group| (group, Err(ErrorCode::UNSUPPORTED_VERSION.into()))).collect()
        };
        answer(&ctx.metadata.load(), &call, request.include_authorized_operations, described)
    }
}

fn question(request: &ConsumerGroupDescribeRequest) -> Vec<GroupId> {
    distinct::each_once(request.group_ids.iter()).into_iter().map(groups::id).collect()
}

type Described = Vec<(GroupId, Result<DescribedConsumer, Refusal>)>;

fn answer(image: &Image, call: &Call, with_operations: bool, described: Described) -> ConsumerGroupDescribeResponse {
    let (version, may) = (call.version, call.may());
    let mut hidden = groups::hidden_topics(image, &may);
    let groups = described.into_iter().map(|(id, described)| {
        // One topic that the client may not describe hides the group.
        let described = described.and_then(|described| {
            let mut assigned = described.members.iter().flat_map(|of| of.assignment.keys().chain(of.target.keys()));
            if !assigned.any(&mut hidden) {
                return Ok(described);
            }
            Err(Refusal::new(ErrorCode::TOPIC_AUTHORIZATION_FAILED, groups::HIDDEN))
        });
        let group = DescribedGroup::default()
            .with_group_id(groups::wire_id(&id))
            .with_authorized_operations(authorized::NOT_ASKED);
        match described {
            Ok(described) => group
                .with_group_state(StrBytes::from_static_str(described.state))
                .with_group_epoch(described.group_epoch.0)
                .with_assignment_epoch(described.assignment_epoch.0)
                .with_assignor_name(text::text(&described.assignor))
                .with_members(described.members.into_iter().map(|of| member(image, version, of)).collect())
                .with_authorized_operations(authorized::on_group(&may, id.as_str(), with_operations)),
            Err(Refusal { code, message }) => group.with_error_code(code.0).with_error_message(text::message(message)),
        }
    });
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

fn member(image: &Image, version: i16, of: DescribedConsumerMember) -> Member {
    let kind = match (version, of.classic) {
        (0, _) => -1,
        (_, true) => 0,
        (_, false) => 1,
    };
    Member::default()
        .with_member_id(groups::wire_member(&of.member))
        .with_instance_id(groups::wire_instance(of.instance.as_ref()))
        .with_rack_id(groups::wire(of.rack))
        .with_member_epoch(of.epoch.0)
        .with_client_id(text::text(&of.client.id))
        .with_client_host(text::text(&of.client.host))
        .with_subscribed_topic_names(of.topics.iter().map(text::topic).collect())
        .with_subscribed_topic_regex(groups::wire(of.regex))
        .with_assignment(named(image, of.assignment))
        .with_target_assignment(named(image, of.target))
        .with_member_type(kind)
}

/// With the topics' names; those that were deleted since have none, and are left out.
fn named(image: &Image, assignment: Assignment) -> WireAssignment {
    let topics = assignment.into_iter().filter_map(|(id, partitions)| {
        let topic = image.topic_by_id(id)?;
        let partitions = partitions.into_iter().map(|partition| partition.0).collect();
        Some(
            TopicPartitions::default()
                .with_topic_id(id.0)
                .with_topic_name(text::topic(&topic.name))
                .with_partitions(partitions),
        )
    });
    WireAssignment::default().with_topic_partitions(topics.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded, topic_id};
    use super::*;
    use crate::group::request::Client;
    use crate::model::{GroupEpoch, InstanceId, MemberId, PartitionId, TopicName};
    use kafka_protocol::messages;

    fn described(classic: bool) -> Result<DescribedConsumer, Refusal> {
        let member = DescribedConsumerMember {
            member: MemberId::new("m"),
            instance: Some(InstanceId::new("i")),
            rack: Some("r".into()),
            epoch: GroupEpoch(3),
            client: Client { id: "c".into(), host: "/127.0.0.1".into() },
            topics: vec![TopicName::new("b")],
            regex: Some("b.*".into()),
            assignment: Assignment::from([
                (topic_id("b"), vec![PartitionId(1)]),
                (topic_id("gone"), vec![PartitionId(0)]),
            ]),
            target: Assignment::from([(topic_id("b"), vec![PartitionId(1), PartitionId(2)])]),
            classic,
        };
        Ok(DescribedConsumer {
            state: "Reconciling",
            group_epoch: GroupEpoch(4),
            assignment_epoch: GroupEpoch(4),
            assignor: "uniform".into(),
            members: vec![member],
        })
    }

    fn ask(version: i16, with_operations: bool, described: Result<DescribedConsumer, Refusal>) -> DescribedGroup {
        let described = vec![(GroupId::new("g"), described)];
        let mut response = answer(&testing::image(), &testing::call(version), with_operations, described);
        encoded(version, &response);
        assert_eq!(response.groups.len(), 1);
        response.groups.swap_remove(0)
    }

    #[test]
    fn a_group_is_described_with_the_names_of_its_topics() {
        let group = ask(1, true, described(false));
        assert_eq!(
            (group.group_id.as_str(), &*group.group_state, &*group.assignor_name),
            ("g", "Reconciling", "uniform")
        );
        assert_eq!((group.group_epoch, group.assignment_epoch), (4, 4));
        assert_eq!(group.authorized_operations, 3400);
        let [member] = &group.members[..] else { panic!("{group:?}") };
        let shown = |assignment: &WireAssignment| -> Vec<(String, Vec<i32>)> {
            assignment.topic_partitions.iter().map(|t| (t.topic_name.to_string(), t.partitions.clone())).collect()
        };
        // What is gone has no name, and is left out.
        assert_eq!(shown(&member.assignment), [("b".to_owned(), vec![1])]);
        assert_eq!(shown(&member.target_assignment), [("b".to_owned(), vec![1, 2])]);
        assert_eq!((member.member_epoch, member.subscribed_topic_regex.as_deref()), (3, Some("b.*")));
        assert_eq!((member.instance_id.as_deref(), member.rack_id.as_deref()), (Some("i"), Some("r")));
    }

    #[test]
    fn the_kind_of_a_member_is_told_since_version_1() {
        let kind = |version, classic| ask(version, false, described(classic)).members.first().map(|m| m.member_type);
        assert_eq!((kind(0, true), kind(0, false)), (Some(-1), Some(-1)));
        assert_eq!((kind(1, true), kind(1, false)), (Some(0), Some(1)));
    }

    #[test]
    fn an_error_comes_with_its_message_and_without_operations() {
        for version in 0..=1 {
            let group = ask(version, true, Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, "Group g not found.")));
            assert_eq!(ErrorCode(group.error_code), ErrorCode::GROUP_ID_NOT_FOUND);
            assert_eq!(group.error_message.as_deref(), Some("Group g not found."));
            assert_eq!(group.authorized_operations, authorized::NOT_ASKED);
        }
    }

    #[test]
    fn a_group_that_comes_twice_is_described_once() {
        let names = ["g", "h", "g"].map(|name| messages::GroupId(name.into()));
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(names.to_vec());
        assert_eq!(question(&request), [GroupId::new("g"), GroupId::new("h")]);
    }
}
