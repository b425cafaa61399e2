//! DeleteRecords (21), v0-2: moves the log start.
//!
//! Offset -1 is the high watermark. Compact-only topics refuse it (POLICY_VIOLATION), internal
//! topics too (INVALID_TOPIC_EXCEPTION). With one replica there is nobody to wait for.

use super::{Api, Call, Context, Versions};
use crate::model::{ErrorCode, Offset, PartitionId};
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use std::sync::Arc;

/// See the module.
pub struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;
    const NAME: &'static str = "DeleteRecords";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, _call: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
        let topics = request
            .topics
            .into_iter()
            .map(|topic| {
                let partitions = topic
                    .partitions
                    .iter()
                    .map(|asked| {
                        let result =
                            DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
                        let number = PartitionId(asked.partition_index);
                        match delete(&ctx, topic.name.as_str(), number, Offset(asked.offset)) {
                            Ok(log_start) => result.with_low_watermark(log_start.0),
                            Err(error) => {
                                ctx.metrics.api(21).error(error);
                                result.with_low_watermark(-1).with_error_code(error.0)
                            }
                        }
                    })
                    .collect();
                DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions)
            })
            .collect();
        DeleteRecordsResponse::default().with_topics(topics)
    }
}

fn delete(ctx: &Context, topic: &str, number: PartitionId, before: Offset) -> Result<Offset, ErrorCode> {
    let partition = ctx.partition(topic, number)?;
    if partition.name().topic.is_internal() {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    if !partition.config().cleanup_delete && partition.config().cleanup_compact {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    partition.delete_records(before)
}
