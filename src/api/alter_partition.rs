//! AlterPartition (56), v2-3: a leader asks that the ISR of its partition changes.
//!
//! Versions: v3 has the epoch of each broker that is to be in the ISR (KIP-903); before, it is not checked.
//! The cluster needs CLUSTER_ACTION.

use super::{Api, Call, Context, Versions, text};
use crate::controller::{IsrProposal, IsrVerdict};
use crate::model::{LeaderEpoch, NodeId, Operation, PartitionId, TopicId};
use kafka_protocol::messages::alter_partition_response::{PartitionData, TopicData};
use kafka_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};
use std::sync::Arc;

pub struct AlterPartition;

impl Api for AlterPartition {
    type Request = AlterPartitionRequest;
    const NAME: &'static str = "AlterPartition";
    const VERSIONS: Versions = Versions { min: 2, max: 3 };

    async fn handle(ctx: Arc<Context>, call: Call, request: AlterPartitionRequest) -> AlterPartitionResponse {
        if let Err(error) = call.on_cluster(Operation::ClusterAction) {
            return AlterPartitionResponse::default().with_error_code(error.code.0);
        }
        let proposals = proposals(&request, call.version);
        let broker = NodeId(request.broker_id.0);
        match ctx.controller.alter_partition(broker, request.broker_epoch, &proposals).await {
            Ok(verdicts) => respond(&request, verdicts),
            Err(error) => AlterPartitionResponse::default().with_error_code(error.code.0),
        }
    }
}

fn proposals(request: &AlterPartitionRequest, version: i16) -> Vec<IsrProposal> {
    let of_topic = |topic: &kafka_protocol::messages::alter_partition_request::TopicData| {
        let topic_id = TopicId(topic.topic_id);
        let proposal =
            move |partition: &kafka_protocol::messages::alter_partition_request::PartitionData| IsrProposal {
                topic: topic_id,
                partition: PartitionId(partition.partition_index),
                leader_epoch: LeaderEpoch(partition.leader_epoch),
                isr: if version >= 3 {
                    partition
                        .new_isr_with_epochs
                        .iter()
                        .map(|state| (NodeId(state.broker_id.0), state.broker_epoch))
                        .collect()
                } else {
                    partition.new_isr.iter().map(|id| (NodeId(id.0), -1)).collect()
                },
                recovered: partition.leader_recovery_state == 0,
                partition_epoch: partition.partition_epoch,
            };
        topic.partitions.iter().map(proposal).collect::<Vec<_>>()
    };
    request.topics.iter().flat_map(of_topic).collect()
}

/// The verdicts, which are in the order of the request, under their topics.
fn respond(request: &AlterPartitionRequest, verdicts: Vec<IsrVerdict>) -> AlterPartitionResponse {
    let mut verdicts = verdicts.into_iter();
    let topics = request.topics.iter().map(|topic| {
        let partitions = verdicts.by_ref().take(topic.partitions.len()).map(|verdict| {
            PartitionData::default()
                .with_partition_index(verdict.partition.0)
                .with_error_code(verdict.error.0)
                .with_leader_id(text::broker(verdict.leader))
                .with_leader_epoch(verdict.leader_epoch.0)
                .with_isr(text::brokers(&verdict.isr))
                .with_leader_recovery_state(i8::from(!verdict.recovered))
                .with_partition_epoch(verdict.partition_epoch)
        });
        TopicData::default().with_topic_id(topic.topic_id).with_partitions(partitions.collect())
    });
    AlterPartitionResponse::default().with_topics(topics.collect())
}
