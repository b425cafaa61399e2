//! OffsetForLeaderEpoch (23), v2-4: the end of a leader epoch (KIP-101, KIP-320).
//!
//! v3 replica id · v4 flexible. An epoch that is not known answers epoch and offset -1, no error. Brokers have
//! CLUSTER_ACTION; for anybody else a topic needs DESCRIBE.

use super::{Api, Call, Context, Versions};
use crate::model::{ErrorCode, LeaderEpoch, Offset, Operation, PartitionId};
use crate::storage::EpochEnd as End;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, TopicName};
use std::sync::Arc;

/// See the module.
pub struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    const NAME: &'static str = "OffsetForLeaderEpoch";
    const VERSIONS: Versions = Versions { min: 2, max: 4 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let may = call.may();
        let all = may.cluster_quietly(Operation::ClusterAction);
        let topics = request
            .topics
            .into_iter()
            .map(|topic| {
                let may = all || may.topic(Operation::Describe, &topic.topic);
                let partitions = topic.partitions.iter().map(|asked| answer(&ctx, may, &topic.topic, asked)).collect();
                OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
            })
            .collect();
        OffsetForLeaderEpochResponse::default().with_topics(topics)
    }
}

fn answer(ctx: &Context, may: bool, topic: &TopicName, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let response = EpochEndOffset::default().with_partition(asked.partition);
    let found = if may { find(ctx, topic, asked) } else { Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED) };
    match found {
        Ok(end) => response.with_leader_epoch(end.epoch.0).with_end_offset(end.end.0),
        Err(error) => {
            ctx.metrics.api(23).error(error);
            response.with_error_code(error.0).with_leader_epoch(-1).with_end_offset(-1)
        }
    }
}

fn find(ctx: &Context, topic: &TopicName, asked: &OffsetForLeaderPartition) -> Result<End, ErrorCode> {
    let partition = ctx.partition(topic.as_str(), PartitionId(asked.partition))?;
    partition.check_leads(LeaderEpoch(asked.current_leader_epoch))?;
    let end = partition.end_offset_for_epoch(LeaderEpoch(asked.leader_epoch))?;
    Ok(end.unwrap_or(End { epoch: LeaderEpoch::NONE, end: Offset::NONE }))
}
