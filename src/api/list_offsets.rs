//! ListOffsets (2), v1-11: offsets by timestamp and the special ones.
//!
//! v2 isolation level · v4 leader epoch · v7 max timestamp (-3) · v8 earliest local (-4) · v9 latest
//! tiered (-5) · v10 timeout · v11 earliest pending upload (-6; on the wire the same as v10).
//! A topic needs DESCRIBE. Nothing is tiered here: earliest local is earliest, latest tiered and pending upload are none.

use super::{Api, Call, Context, Versions, apart};
use crate::model::{ErrorCode, LeaderEpoch, Offset, Operation, PartitionId, TimestampMs};
use crate::partition::{Isolation, Partition};
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use std::collections::HashSet;
use std::sync::Arc;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// See the module.
pub struct ListOffsets;

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;
    const NAME: &'static str = "ListOffsets";
    const VERSIONS: Versions = Versions { min: 1, max: 11 };

    fn form(version: i16) -> i16 {
        version.min(10)
    }

    async fn handle(ctx: Arc<Context>, call: Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let asked = request.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>();
        let searches = |asked: &ListOffsetsPartition| asked.timestamp >= 0 || asked.timestamp == MAX_TIMESTAMP;
        // A search reads, and may open compressed batches; the ends of many partitions may open their logs.
        if asked > FEW || request.topics.iter().flat_map(|topic| &topic.partitions).any(searches) {
            apart(move || respond(&ctx, &call, &request)).await
        } else {
            respond(&ctx, &call, &request)
        }
    }
}

/// From this version clients know that an end may not be known yet.
const OFFSET_NOT_AVAILABLE: i16 = 5;

/// Partitions whose ends are looked up at once.
const FEW: usize = 32;

fn respond(ctx: &Context, call: &Call, request: &ListOffsetsRequest) -> ListOffsetsResponse {
    let version = call.version;
    let isolation = match request.isolation_level {
        // A follower is told of everything.
        _ if request.replica_id.0 >= 0 => None,
        1 => Some(Isolation::Committed),
        _ => Some(Isolation::Uncommitted),
    };
    let mut seen = HashSet::new();
    let mut twice = HashSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            if !seen.insert((topic.name.as_str(), partition.partition_index)) {
                twice.insert((topic.name.as_str(), partition.partition_index));
            }
        }
    }
    let topics = request
        .topics
        .iter()
        .map(|topic| {
            let may = call.may().topic(Operation::Describe, &topic.name);
            let partitions = topic
                .partitions
                .iter()
                .map(|asked| {
                    let number = PartitionId(asked.partition_index);
                    let found = if !may {
                        Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
                    } else if twice.contains(&(topic.name.as_str(), asked.partition_index)) {
                        Err(ErrorCode::INVALID_REQUEST)
                    } else {
                        ctx.partition(topic.name.as_str(), number)
                            .and_then(|partition| look_up(&partition, asked, version, isolation))
                    };
                    answer(ctx, version, asked.partition_index, found)
                })
                .collect();
            ListOffsetsTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
        })
        .collect();
    ListOffsetsResponse::default().with_topics(topics)
}

/// Offset, timestamp and epoch of what was asked for.
type Found = (Offset, TimestampMs, Option<LeaderEpoch>);

const NOT_FOUND: Found = (Offset::NONE, TimestampMs::NONE, None);

fn look_up(
    partition: &Partition,
    asked: &ListOffsetsPartition,
    version: i16,
    isolation: Option<Isolation>,
) -> Result<Found, ErrorCode> {
    partition.check_leads(LeaderEpoch(asked.current_leader_epoch))?;
    let positions = partition.positions()?;
    let end = match isolation {
        None => positions.log_end,
        Some(Isolation::Uncommitted) => positions.high_watermark,
        Some(Isolation::Committed) => positions.last_stable,
    };
    let is_earliest = [EARLIEST, EARLIEST_LOCAL].contains(&asked.timestamp);
    if isolation.is_some() && !is_earliest {
        partition.check_end_is_known().map_err(|error| match error {
            ErrorCode::OFFSET_NOT_AVAILABLE if version < OFFSET_NOT_AVAILABLE => ErrorCode::LEADER_NOT_AVAILABLE,
            error => error,
        })?;
    }
    match asked.timestamp {
        // The end's epoch is the leader's own, as no record is there yet.
        LATEST => Ok((end, TimestampMs::NONE, Some(positions.leader_epoch))),
        EARLIEST => earliest(partition, positions.log_start, positions.leader_epoch),
        EARLIEST_LOCAL if version >= 8 => earliest(partition, positions.log_start, positions.leader_epoch),
        LATEST_TIERED if version >= 9 => Ok(NOT_FOUND),
        EARLIEST_PENDING_UPLOAD if version >= 11 => Ok(NOT_FOUND),
        MAX_TIMESTAMP if version >= 7 => Ok(partition
            .max_timestamp()?
            .map_or(NOT_FOUND, |found| (found.offset, found.timestamp, found.leader_epoch))),
        timestamp if timestamp < 0 => Err(ErrorCode::UNSUPPORTED_VERSION),
        timestamp => {
            let found = partition.offset_for_timestamp(TimestampMs(timestamp))?;
            Ok(found
                .filter(|found| found.offset < end)
                .map_or(NOT_FOUND, |found| (found.offset, found.timestamp, found.leader_epoch)))
        }
    }
}

fn earliest(partition: &Partition, log_start: Offset, current: LeaderEpoch) -> Result<Found, ErrorCode> {
    let epoch = partition.epoch_at(log_start)?;
    Ok((log_start, TimestampMs::NONE, epoch.or(Some(current))))
}

fn answer(
    ctx: &Context,
    version: i16,
    partition: i32,
    found: Result<Found, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(partition);
    match found {
        Ok((offset, timestamp, epoch)) => response
            .with_offset(offset.0)
            .with_timestamp(timestamp.0)
            .with_leader_epoch(if version >= 4 { epoch.unwrap_or(LeaderEpoch::NONE).0 } else { -1 }),
        Err(error) => {
            ctx.metrics.api(2).error(error);
            response.with_error_code(error.0).with_offset(-1).with_timestamp(-1)
        }
    }
}
