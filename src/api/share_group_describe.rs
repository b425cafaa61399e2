//! ShareGroupDescribe (77), v1: state, epochs and members of share groups (KIP-932).
//!
//! Where the feature `share.version` is 0 the answer is UNSUPPORTED_VERSION for each group. A group that comes twice is
//! described once, as by DescribeGroups.

use super::{Api, Call, Context, Versions, authorized, distinct, groups, text};
use crate::group::request::{Assignment, DescribedShare, DescribedShareMember, Refusal};
use crate::metadata::Image;
use crate::model::{ErrorCode, GroupId, Operation};
use kafka_protocol::messages::share_group_describe_response::{
    Assignment as WireAssignment, DescribedGroup, Member, TopicPartitions,
};
use kafka_protocol::messages::{ShareGroupDescribeRequest, ShareGroupDescribeResponse};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

pub struct ShareGroupDescribe;

impl Api for ShareGroupDescribe {
    type Request = ShareGroupDescribeRequest;
    const NAME: &'static str = "ShareGroupDescribe";
    const VERSIONS: Versions = Versions { min: 1, max: 1 };

    async fn handle(ctx: Arc<Context>, call: Call, request: ShareGroupDescribeRequest) -> ShareGroupDescribeResponse {
        let may = call.may();
        let asked: Vec<GroupId> = distinct::each_once(request.group_ids.iter()).into_iter().map(groups::id).collect();
        let described = if groups::share_protocol(&ctx.metadata.load()) {
            let (asked, denied): (Vec<_>, Vec<_>) =
                asked.into_iter().partition(|group| may.group(Operation::Describe, group.as_str()));
            let described = ctx.groups.describe_share(asked.clone()).await;
            let denied = denied.into_iter().map(|group| (group, Err(ErrorCode::GROUP_AUTHORIZATION_FAILED.into())));
            denied.chain(asked.into_iter().zip(described)).collect()
        } else {
            asked.into_iter().map(|group| (group, Err(ErrorCode::UNSUPPORTED_VERSION.into()))).collect()
        };
        answer(&ctx.metadata.load(), &call, request.include_authorized_operations, described)
    }
}

type Described = Vec<(GroupId, Result<DescribedShare, Refusal>)>;

fn answer(image: &Image, call: &Call, with_operations: bool, described: Described) -> ShareGroupDescribeResponse {
    let may = call.may();
    let mut hidden = groups::hidden_topics(image, &may);
    let groups = described.into_iter().map(|(id, described)| {
        // One topic that the client may not describe hides the group.
        let described = described.and_then(|described| {
            if !described.members.iter().flat_map(|of| of.assignment.keys()).any(&mut hidden) {
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
                .with_assignor_name(StrBytes::from_static_str(described.assignor))
                .with_members(described.members.into_iter().map(|of| member(image, of)).collect())
                .with_authorized_operations(authorized::on_group(&may, id.as_str(), with_operations)),
            Err(Refusal { code, message }) => group.with_error_code(code.0).with_error_message(text::message(message)),
        }
    });
    ShareGroupDescribeResponse::default().with_groups(groups.collect())
}

fn member(image: &Image, of: DescribedShareMember) -> Member {
    Member::default()
        .with_member_id(groups::wire_member(&of.member))
        .with_rack_id(groups::wire(of.rack))
        .with_member_epoch(of.epoch.0)
        .with_client_id(text::text(&of.client.id))
        .with_client_host(text::text(&of.client.host))
        .with_subscribed_topic_names(of.topics.iter().map(text::topic).collect())
        .with_assignment(named(image, of.assignment))
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
    use crate::model::{GroupEpoch, MemberId, PartitionId, TopicName};

    fn described() -> Result<DescribedShare, Refusal> {
        let member = DescribedShareMember {
            member: MemberId::new("m"),
            rack: Some("r".into()),
            epoch: GroupEpoch(3),
            client: Client { id: "c".into(), host: "/127.0.0.1".into() },
            topics: vec![TopicName::new("b")],
            assignment: Assignment::from([
                (topic_id("b"), vec![PartitionId(0), PartitionId(1)]),
                (topic_id("gone"), vec![PartitionId(0)]),
            ]),
        };
        Ok(DescribedShare {
            state: "Stable",
            group_epoch: GroupEpoch(4),
            assignment_epoch: GroupEpoch(3),
            assignor: "simple",
            members: vec![member],
        })
    }

    fn ask(call: &Call, described: Result<DescribedShare, Refusal>) -> DescribedGroup {
        let mut response = answer(&testing::image(), call, true, vec![(GroupId::new("g"), described)]);
        encoded(1, &response);
        response.groups.remove(0)
    }

    #[test]
    fn a_group_is_described_with_the_names_of_the_topics_that_are_there() {
        let group = ask(&testing::call(1), described());
        assert_eq!((group.group_state.as_str(), group.assignor_name.as_str()), ("Stable", "simple"));
        assert_eq!((group.group_epoch, group.assignment_epoch), (4, 3));
        let [member] = &group.members[..] else { panic!("{group:?}") };
        let topics: Vec<_> =
            member.assignment.topic_partitions.iter().map(|of| (of.topic_name.as_str(), &of.partitions[..])).collect();
        assert_eq!(topics, [("b", &[0, 1][..])]);
        assert_eq!((member.member_epoch, member.rack_id.as_deref()), (3, Some("r")));
    }

    #[test]
    fn a_topic_that_the_client_may_not_describe_hides_the_group() {
        let group = ask(&testing::call_with("alice", 1, &["+group:g:User:alice:DESCRIBE"]), described());
        assert_eq!(ErrorCode(group.error_code), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        assert_eq!((group.error_message.as_deref(), group.members.len()), (Some(groups::HIDDEN), 0));
    }

    #[test]
    fn an_error_comes_with_its_message_and_without_operations() {
        let refusal = Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, "Group g not found.");
        let group = ask(&testing::call(1), Err(refusal));
        assert_eq!(ErrorCode(group.error_code), ErrorCode::GROUP_ID_NOT_FOUND);
        assert_eq!(group.error_message.as_deref(), Some("Group g not found."));
        assert_eq!(group.authorized_operations, authorized::NOT_ASKED);
    }
}
