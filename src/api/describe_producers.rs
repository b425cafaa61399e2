//! DescribeProducers (61), v0: the producers that a partition remembers.
//!
//! A partition that comes twice is answered once, so that an answer is never many times as long as its request. A
//! topic needs READ.

use super::{Api, ApiError, Call, Context, Versions, text};
use crate::model::{ErrorCode, LeaderEpoch, Offset, Operation, PartitionId, TopicName};
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId};
use std::collections::HashSet;
use std::sync::Arc;

/// See the module.
pub struct DescribeProducers;

impl Api for DescribeProducers {
    type Request = DescribeProducersRequest;
    const NAME: &'static str = "DescribeProducers";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(ctx: Arc<Context>, call: Call, request: DescribeProducersRequest) -> DescribeProducersResponse {
        let mut seen = HashSet::new();
        let topics = request
            .topics
            .into_iter()
            .map(|topic| {
                let name = topic.name.clone();
                let refused = refused(&ctx, &call, &name);
                let partitions = topic
                    .partition_indexes
                    .iter()
                    .filter(|number| seen.insert((name.clone(), **number)))
                    .map(|number| {
                        let response = PartitionResponse::default().with_partition_index(*number);
                        let found = match &refused {
                            Some(error) => Err(error.clone()),
                            None => producers(&ctx, topic.name.as_str(), PartitionId(*number)).map_err(ApiError::bare),
                        };
                        match found {
                            Ok(producers) => response.with_active_producers(producers),
                            Err(error) => {
                                ctx.metrics.api(61).error(error.code);
                                let (code, message) = text::error_fields(Err(error));
                                response.with_error_code(code).with_error_message(message)
                            }
                        }
                    })
                    .collect();
                TopicResponse::default().with_name(topic.name).with_partitions(partitions)
            })
            .collect();
        DescribeProducersResponse::default().with_topics(topics)
    }
}

/// Why nothing is told of the topic. As in Kafka, in words; what is wrong with a partition has none.
fn refused(ctx: &Context, call: &Call, topic: &str) -> Option<ApiError> {
    if let Some(fault) = TopicName::fault(topic) {
        return Some(ApiError::new(ErrorCode::INVALID_TOPIC_EXCEPTION, fault));
    }
    let error = if !call.may().topic(Operation::Read, topic) {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
    } else if ctx.partitions.topic(topic).is_none() {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    } else {
        return None;
    };
    Some(text::explained(ApiError::bare(error)))
}

fn producers(ctx: &Context, topic: &str, number: PartitionId) -> Result<Vec<ProducerState>, ErrorCode> {
    let partition = ctx.partition(topic, number)?;
    partition.check_leads(LeaderEpoch::NONE)?;
    let producers = partition.producers()?;
    Ok(producers
        .into_iter()
        .map(|producer| {
            ProducerState::default()
                .with_producer_id(ProducerId(producer.producer_id.0))
                .with_producer_epoch(i32::from(producer.epoch.0))
                .with_last_sequence(producer.last_sequence.0)
                .with_last_timestamp(producer.last_timestamp.0)
                .with_coordinator_epoch(producer.coordinator_epoch)
                .with_current_txn_start_offset(producer.txn_start.unwrap_or(Offset::NONE).0)
        })
        .collect())
}
