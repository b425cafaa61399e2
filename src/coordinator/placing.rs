//! Which shard a group or a transaction belongs to, and how a shard's refusal reads to whoever asked.

use crate::metadata::Image;
use crate::model::{ErrorCode, PartitionId};

/// The partition of an internal topic that holds a group or a transaction: Java's `String.hashCode` without its sign, modulo the partitions (`GroupCoordinatorService.partitionFor`,
/// `TransactionStateManager.partitionFor`). Of UTF-16,
/// so that Kafka finds in the partitions what we put there.
#[must_use]
pub fn partition_of(key: &str, partitions: i32) -> PartitionId {
    let hash = key.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // `Utils.abs`: the smallest integer has no positive counterpart, and counts as 0.
    PartitionId(hash.checked_abs().unwrap_or(0) % partitions)
}

/// The same for a topic as it is, or as it will be made.
#[must_use]
pub fn partition_for(image: &Image, topic: &str, key: &str, unmade: impl FnOnce() -> i32) -> PartitionId {
    let there = image.topic(topic).and_then(|topic| i32::try_from(topic.partitions.len()).ok());
    partition_of(key, there.filter(|count| *count > 0).unwrap_or_else(|| unmade().max(1)))
}

/// What the log says, in the words of coordinators: whether to ask again or to look for the coordinator again
/// (`CoordinatorOperationExceptionHelper`).
#[must_use]
pub fn for_clients(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NETWORK_EXCEPTION => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::REQUEST_TIMED_OUT => {
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        }
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => ErrorCode::NOT_COORDINATOR,
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE | ErrorCode::INVALID_FETCH_SIZE => {
            ErrorCode::UNKNOWN_SERVER_ERROR
        }
        other => other,
    }
}
