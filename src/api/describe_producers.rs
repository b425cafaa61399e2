//! DescribeProducers (61), v0: the producers that a partition remembers.
//!
//! A partition that comes twice is answered once, so that an answer is never many times as long as its request.

use super::{Api, Call, Context, Versions, text};
use crate::controller::ApiError;
use crate::model::{ErrorCode, Offset, PartitionId, TopicName};
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

    async fn handle(ctx: Arc<Context>, _call: Call, request: DescribeProducersRequest) -> DescribeProducersResponse {
        let mut seen = HashSet::new();
        let topics = request
            .topics
            .into_iter()
            .map(|topic| {
                let name = topic.name.clone();
                let partitions = topic
                    .partition_indexes
                    .iter()
                    .filter(|number| seen.insert((name.clone(), **number)))
                    .map(|number| {
                        let response = PartitionResponse::default().with_partition_index(*number);
                        match producers(&ctx, topic.name.as_str(), PartitionId(*number)) {
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

/// As in Kafka, what is wrong with a topic is said in words, and what is wrong with a partition is not.
fn producers(ctx: &Context, topic: &str, number: PartitionId) -> Result<Vec<ProducerState>, ApiError> {
    if let Some(fault) = TopicName::fault(topic) {
        return Err(ApiError::new(ErrorCode::INVALID_TOPIC_EXCEPTION, fault));
    }
    let unknown = ApiError::bare(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let topic = ctx.partitions.topic(topic).ok_or_else(|| text::explained(unknown.clone()))?;
    let producers = topic.partition(number).ok_or(unknown)?.producers().map_err(ApiError::bare)?;
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
