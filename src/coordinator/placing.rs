//! Which shard a group or a transaction belongs to.

use crate::metadata::Image;
use crate::model::PartitionId;

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
