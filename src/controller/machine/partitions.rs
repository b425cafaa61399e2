//! Adding partitions to topics.

use super::placement::place;
use super::topics::duplicates;
use super::{Decision, Draw, check_assignment, new_partition};
use crate::controller::request::{ApiError, NewPartitions};
use crate::metadata::record::PartitionRecord;
use crate::metadata::{Image, Record};
use crate::model::{ErrorCode, PartitionId};

/// Decides CreatePartitions; one answer per topic, in order.
pub(crate) fn create(
    topics: &[NewPartitions],
    validate_only: bool,
    image: &Image,
    draw: &mut dyn Draw,
) -> Decision<Vec<Result<(), ApiError>>> {
    let duplicates = duplicates(topics.iter().map(|topic| &topic.topic));
    let mut records = Vec::new();
    let answer = topics
        .iter()
        .map(|topic| {
            if duplicates.contains(&topic.topic) {
                return Err(ApiError::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."));
            }
            create_one(topic, image, draw, &mut records)
        })
        .collect();
    Decision { records, answer }.bounded(validate_only)
}

fn create_one(
    topic: &NewPartitions,
    image: &Image,
    draw: &mut dyn Draw,
    records: &mut Vec<Record>,
) -> Result<(), ApiError> {
    let existing =
        image.topic(topic.topic.as_str()).ok_or_else(|| ApiError::bare(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
    let current = i32::try_from(existing.partitions.len()).unwrap_or(i32::MAX);
    if topic.count == current {
        let text = format!("Topic already has {current} partition(s).");
        return Err(ApiError::new(ErrorCode::INVALID_PARTITIONS, text));
    }
    let additional = match usize::try_from(i64::from(topic.count) - i64::from(current)) {
        Ok(additional) => additional,
        Err(_) => {
            let text = format!(
                "The topic {} currently has {current} partition(s); {} would not be an increase.",
                topic.topic, topic.count
            );
            return Err(ApiError::new(ErrorCode::INVALID_PARTITIONS, text));
        }
    };
    if let Some(assignments) = topic.assignments.as_ref().filter(|told| told.len() != additional) {
        let text = format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
            assignments.len()
        );
        return Err(ApiError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    }
    // A request for a billion partitions is refused before they are placed.
    if additional > super::RECORDS_MAX {
        return Err(ApiError::new(ErrorCode::POLICY_VIOLATION, "Unable to perform excessively large batch operation."));
    }
    let factor = existing.partitions.first().map_or(1, |p| p.replicas.len());
    let placed = match &topic.assignments {
        Some(assignments) => {
            for (number, replicas) in (current..).zip(assignments) {
                check_assignment(image, replicas, Some(factor))?;
                if new_partition(image, replicas).is_none() {
                    let text = format!(
                        "All brokers specified in the manual partition assignment for partition {number} are fenced or \
                         in controlled shutdown."
                    );
                    return Err(ApiError::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
                }
            }
            assignments.clone()
        }
        None => place(image, additional, i16::try_from(factor).unwrap_or(i16::MAX), draw)?,
    };
    let mut new = Vec::with_capacity(placed.len());
    for (number, replicas) in (current..).zip(&placed) {
        let partition = new_partition(image, replicas).ok_or_else(|| {
            let text = format!(
                "Unable to replicate the partition {factor} time(s): All brokers are currently fenced or in controlled \
                 shutdown."
            );
            ApiError::new(ErrorCode::INVALID_REPLICATION_FACTOR, text)
        })?;
        new.push(Record::Partition(PartitionRecord {
            topic: existing.id,
            partition: PartitionId(number),
            image: partition,
        }));
    }
    records.extend(new);
    Ok(())
}
