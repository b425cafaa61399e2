//! DeleteRecords (21), v0-2: moves the log start.
//!
//! Offset -1 is the high watermark. Compact-only topics refuse it (POLICY_VIOLATION), internal
//! topics too (INVALID_TOPIC_EXCEPTION). A topic needs DELETE. Answered when the records are gone from every replica
//! that lives, or with REQUEST_TIMED_OUT (`DelayedDeleteRecords`).

use super::{Api, Call, Context, Versions};
use crate::model::{ErrorCode, Offset, Operation, PartitionId};
use crate::partition::Partition;
use crate::rt::clock;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module.
pub struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;
    const NAME: &'static str = "DeleteRecords";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
        let wait = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let deadline = clock::now() + wait;
        let of_topic = |topic: &DeleteRecordsTopic| -> Vec<_> {
            let may = call.may().topic(Operation::Delete, &topic.name);
            let delete = |asked: &DeleteRecordsPartition| match may {
                true => delete(&ctx, topic.name.as_str(), PartitionId(asked.partition_index), Offset(asked.offset)),
                false => Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
            };
            topic.partitions.iter().map(delete).collect()
        };
        // All of them first: their followers are waited for together.
        let deleted: Vec<_> = request.topics.iter().map(of_topic).collect();
        let mut topics = Vec::with_capacity(request.topics.len());
        for (topic, deleted) in request.topics.into_iter().zip(deleted) {
            let mut partitions = Vec::with_capacity(deleted.len());
            for (asked, deleted) in topic.partitions.iter().zip(deleted) {
                let gone = match deleted {
                    Ok((partition, start)) => gone_everywhere(&ctx, &partition, start, deadline).await,
                    Err(error) => Err(error),
                };
                let result = DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
                partitions.push(match gone {
                    Ok(low_watermark) => result.with_low_watermark(low_watermark.0),
                    Err(error) => {
                        ctx.metrics.api(21).error(error);
                        result.with_low_watermark(-1).with_error_code(error.0)
                    }
                });
            }
            topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
        }
        DeleteRecordsResponse::default().with_topics(topics)
    }
}

/// How often it is looked whether the followers have followed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until no replica that lives has records before `start`. Answers where the shortest log starts.
async fn gone_everywhere(
    ctx: &Context,
    partition: &Partition,
    start: Offset,
    deadline: Instant,
) -> Result<Offset, ErrorCode> {
    loop {
        let low_watermark = partition.low_watermark(&ctx.metadata.load())?;
        if low_watermark >= start {
            return Ok(low_watermark);
        }
        if clock::now() >= deadline {
            return Err(ErrorCode::REQUEST_TIMED_OUT);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn delete(
    ctx: &Context,
    topic: &str,
    number: PartitionId,
    before: Offset,
) -> Result<(Arc<Partition>, Offset), ErrorCode> {
    let partition = ctx.partition(topic, number)?;
    if partition.name().topic.is_internal() {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    if !partition.config().cleanup_delete && partition.config().cleanup_compact {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let start = partition.delete_records(before)?;
    Ok((partition, start))
}
