//! AlterShareGroupOffsets (91), v0: sets a share group without members to offsets; one that is not there comes to be.
//!
//! Where the feature `share.version` is 0 the answer is UNSUPPORTED_VERSION. The group needs READ, and so does every topic.

use super::{Api, Call, Context, Versions, groups, text};
use crate::group::request::{AlterShareOffsets, AlteredTopic, Refusal};
use crate::model::{ErrorCode, Offset, Operation, PartitionId, TopicId, TopicName};
use kafka_protocol::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use kafka_protocol::messages::{AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse};
use std::sync::Arc;

pub struct AlterShareGroupOffsets;

impl Api for AlterShareGroupOffsets {
    type Request = AlterShareGroupOffsetsRequest;
    const NAME: &'static str = "AlterShareGroupOffsets";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: AlterShareGroupOffsetsRequest,
    ) -> AlterShareGroupOffsetsResponse {
        if !groups::share_protocol(&ctx.metadata.load()) {
            return refused(ErrorCode::UNSUPPORTED_VERSION.into());
        }
        let may = call.may();
        if !may.group(Operation::Read, &request.group_id) {
            return refused(ErrorCode::GROUP_AUTHORIZATION_FAILED.into());
        }
        let mut alter = AlterShareOffsets { group: groups::id(&request.group_id), topics: Vec::new() };
        let mut topics = Vec::new();
        for topic in request.topics {
            let name = TopicName::new(&topic.topic_name);
            let partitions = topic.partitions.iter();
            let id = ctx.metadata.load().topic(name.as_str()).map(|topic| topic.id);
            let error = match id {
                _ if !may.topic(Operation::Read, &topic.topic_name) => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Some(_) => {
                    let partitions = partitions.map(|of| (PartitionId(of.partition_index), Offset(of.start_offset)));
                    alter.topics.push((name, partitions.collect()));
                    continue;
                }
            };
            let partitions = partitions.map(|of| (PartitionId(of.partition_index), Err(error.into()))).collect();
            topics.push(AlteredTopic { name, id: id.unwrap_or(TopicId::ZERO), partitions });
        }
        match ctx.groups.alter_share_offsets(alter).await {
            Ok(altered) => {
                topics.extend(altered);
                AlterShareGroupOffsetsResponse::default().with_responses(topics.into_iter().map(answer).collect())
            }
            Err(refusal) => refused(refusal),
        }
    }
}

fn refused(refusal: Refusal) -> AlterShareGroupOffsetsResponse {
    let (code, message) = groups::refusal_fields(Err(refusal));
    AlterShareGroupOffsetsResponse::default().with_error_code(code).with_error_message(message)
}

fn answer(topic: AlteredTopic) -> AlterShareGroupOffsetsResponseTopic {
    let partitions = topic.partitions.into_iter().map(|(partition, outcome)| {
        let (code, message) = groups::refusal_fields(outcome);
        AlterShareGroupOffsetsResponsePartition::default()
            .with_partition_index(partition.0)
            .with_error_code(code)
            .with_error_message(message)
    });
    AlterShareGroupOffsetsResponseTopic::default()
        .with_topic_name(text::topic(&topic.name))
        .with_topic_id(topic.id.0)
        .with_partitions(partitions.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{encoded, topic_id};
    use super::*;

    #[test]
    fn each_partition_has_its_own_outcome() {
        let unknown = Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
        let partitions = vec![(PartitionId(0), Ok(())), (PartitionId(7), unknown)];
        let topic = answer(AlteredTopic { name: TopicName::new("a"), id: topic_id("a"), partitions });
        encoded(0, &AlterShareGroupOffsetsResponse::default().with_responses(vec![topic.clone()]));
        let shown: Vec<_> = topic.partitions.iter().map(|of| (of.error_code, of.error_message.as_deref())).collect();
        assert_eq!(shown, [(0, None), (3, Some("This server does not host this topic-partition."))]);
    }

    #[test]
    fn a_group_that_is_refused_is_told_why_and_of_no_topics() {
        let response = refused(Refusal::new(ErrorCode::NON_EMPTY_GROUP, "The group is not empty."));
        encoded(0, &response);
        assert_eq!(ErrorCode(response.error_code), ErrorCode::NON_EMPTY_GROUP);
        assert_eq!((response.error_message.as_deref(), response.responses.len()), (Some("The group is not empty."), 0));
    }
}
