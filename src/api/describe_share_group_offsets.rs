//! DescribeShareGroupOffsets (90), v0-1: where share groups are in their partitions.
//!
//! Versions: v1 tells how far behind they are (KIP-1226). Where the feature `share.version` is 0 the answer is
//! UNSUPPORTED_VERSION for each group. A group needs DESCRIBE, and so does a topic: one that was asked for is refused, and is
//! left out if all were.

use super::{Api, Call, Context, Versions, groups, text};
use crate::access::Permissions;
use crate::group::request::{ShareOffset, ShareOffsets};
use crate::model::{ErrorCode, Operation, PartitionId, TopicName};
use crate::wire::share_offsets::{OffsetsGroup, OffsetsPartition, OffsetsResponse, OffsetsTopic, UNKNOWN_LAG};
use crate::wire::share_state::Unchanged;
use futures_util::future::join_all;
use kafka_protocol::messages::DescribeShareGroupOffsetsRequest;
use kafka_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup as AskedGroup, DescribeShareGroupOffsetsRequestTopic as AskedTopic,
};
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

pub struct DescribeShareGroupOffsets;

impl Api for DescribeShareGroupOffsets {
    type Request = Unchanged<DescribeShareGroupOffsetsRequest>;
    const NAME: &'static str = "DescribeShareGroupOffsets";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(ctx: Arc<Context>, call: Call, request: Self::Request) -> OffsetsResponse {
        let enabled = groups::share_protocol(&ctx.metadata.load());
        // All of a group is told once, so that no answer is many times as long as its question needs.
        let mut whole = HashSet::new();
        let asked = request.0.groups.iter().filter(|asked| asked.topics.is_some() || whole.insert(&asked.group_id));
        let each = asked.map(|asked| group(&ctx, &call, asked, enabled));
        OffsetsResponse { throttle_time_ms: 0, groups: join_all(each).await }
    }
}

async fn group(ctx: &Context, call: &Call, asked: &AskedGroup, enabled: bool) -> OffsetsGroup {
    let may = call.may();
    let mut answer = OffsetsGroup { group_id: asked.group_id.0.clone(), ..OffsetsGroup::default() };
    let (allowed, denied) = match &asked.topics {
        _ if !enabled => {
            answer.error_code = ErrorCode::UNSUPPORTED_VERSION.0;
            return answer;
        }
        _ if !may.group(Operation::Describe, &asked.group_id) => {
            answer.error_code = ErrorCode::GROUP_AUTHORIZATION_FAILED.0;
            return answer;
        }
        None => (None, Vec::new()),
        Some(topics) if topics.is_empty() => return answer,
        Some(topics) => {
            let (allowed, denied) = partition(topics, &may);
            (Some(allowed), denied)
        }
    };
    let asked_all = allowed.is_none();
    match ctx.groups.describe_share_offsets(&groups::id(&asked.group_id), allowed).await {
        Ok(mut topics) => {
            if asked_all {
                topics.retain(|topic| may.topic(Operation::Describe, topic.name.as_str()));
            }
            answer.topics = topics.into_iter().map(described).chain(denied).collect();
        }
        Err(error) => {
            answer.error_code = error.0;
            answer.error_message = text::message(Some(text::standard(error).to_owned()));
        }
    }
    answer
}

type Asked = Vec<(TopicName, Vec<PartitionId>)>;

/// What the client may ask for, and the answer to what it may not.
fn partition(topics: &[AskedTopic], may: &Permissions<'_>) -> (Asked, Vec<OffsetsTopic>) {
    let (mut allowed, mut denied) = (Vec::new(), Vec::new());
    for topic in topics {
        let partitions = topic.partitions.iter().copied();
        if may.topic(Operation::Describe, &topic.topic_name) {
            allowed.push((TopicName::new(&topic.topic_name), partitions.map(PartitionId).collect()));
            continue;
        }
        let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        let refused = |partition_index| OffsetsPartition {
            partition_index,
            start_offset: -1,
            leader_epoch: 0,
            lag: UNKNOWN_LAG,
            error_code: code.0,
            error_message: text::message(Some(text::standard(code).to_owned())),
        };
        let partitions = partitions.map(refused).collect();
        denied.push(OffsetsTopic { topic_name: topic.topic_name.0.clone(), topic_id: Uuid::nil(), partitions });
    }
    (allowed, denied)
}

fn described(topic: ShareOffsets) -> OffsetsTopic {
    let partition = |of: ShareOffset| {
        let (error_code, error_message) = groups::refusal_fields(of.refused.map_or(Ok(()), Err));
        OffsetsPartition {
            partition_index: of.partition.0,
            start_offset: of.start.0,
            leader_epoch: of.leader_epoch,
            lag: of.lag,
            error_code,
            error_message,
        }
    };
    OffsetsTopic {
        topic_name: text::text(topic.name.as_str()),
        topic_id: topic.id.0,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::group::request::Refusal;
    use crate::model::{Offset, TopicId};

    #[test]
    fn what_the_client_may_not_describe_is_refused_for_each_partition() {
        let call = testing::call_with("alice", 1, &["+topic:a:User:alice:DESCRIBE"]);
        let topic = |name: &'static str| {
            AskedTopic::default()
                .with_topic_name(kafka_protocol::messages::TopicName(name.into()))
                .with_partitions(vec![0, 2])
        };
        let (allowed, denied) = partition(&[topic("a"), topic("b")], &call.may());
        assert_eq!(allowed, [(TopicName::new("a"), vec![PartitionId(0), PartitionId(2)])]);
        let [denied] = &denied[..] else { panic!("{denied:?}") };
        let shown: Vec<_> = denied.partitions.iter().map(|of| (of.partition_index, of.start_offset, of.lag)).collect();
        assert_eq!((denied.topic_name.as_str(), shown), ("b", vec![(0, -1, -1), (2, -1, -1)]));
        assert_eq!(ErrorCode(denied.partitions[0].error_code), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        assert_eq!(denied.partitions[0].error_message.as_deref(), Some("Topic authorization failed."));
    }

    #[test]
    fn an_error_of_a_partition_comes_with_kafkas_text() {
        let refused = Some(Refusal::from(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        let (partition, start) = (PartitionId(1), Offset(0));
        let of = ShareOffset { partition, start, leader_epoch: 0, lag: -1, refused };
        let topic = described(ShareOffsets { name: TopicName::new("a"), id: TopicId::ZERO, partitions: vec![of] });
        let [of] = &topic.partitions[..] else { panic!("{topic:?}") };
        assert_eq!(of.error_message.as_deref(), Some("This server does not host this topic-partition."));
    }
}
