//! DescribeLogDirs (35), v1-4: what lies in each log directory, and how large it is.
//!
//! The cluster needs DESCRIBE. A replica on its way to another directory is shown in both: there as a future one, with its lag.
//! v3 top-level error · v4 total and usable bytes. Version 5 (cordoned directories) is beyond what
//! the crate can encode.

use super::{Api, Call, Context, Versions};
use crate::model::{ErrorCode, Operation, PartitionId};
use crate::partition::{Manager, Partition};
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// See the module.
pub struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    const NAME: &'static str = "DescribeLogDirs";
    const VERSIONS: Versions = Versions { min: 1, max: 4 };

    async fn handle(ctx: Arc<Context>, call: Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
        if let Err(error) = call.on_cluster(Operation::Describe) {
            // Up to v2 an answer without directories has to do.
            let code = if call.version >= 3 { error.code.0 } else { ErrorCode::NONE.0 };
            return DescribeLogDirsResponse::default().with_error_code(code);
        }
        let mut seen = HashSet::new();
        let asked = match &request.topics {
            None => ctx.partitions.all(),
            // Each once, as in Kafka.
            Some(topics) => topics
                .iter()
                .flat_map(|topic| {
                    topic
                        .partitions
                        .iter()
                        .filter(|number| seen.insert((topic.topic.as_str(), **number)))
                        .filter_map(|number| ctx.partitions.partition(topic.topic.as_str(), PartitionId(*number)))
                        .collect::<Vec<_>>()
                })
                .collect(),
        };
        let manager = Arc::clone(&ctx.partitions);
        // Sizes may open 10 000 logs: not on a worker that others need.
        let found = tokio::task::spawn_blocking(move || sizes(&manager, &asked)).await.unwrap_or_default();
        let dirs = ctx.partitions.dirs();
        let mut found = found;
        let results = dirs
            .all()
            .iter()
            .enumerate()
            .map(|(index, dir)| {
                let path = StrBytes::from_string(dir.path().display().to_string());
                let mut result = DescribeLogDirsResult::default().with_log_dir(path);
                if !dir.is_live() {
                    return result.with_error_code(ErrorCode::KAFKA_STORAGE_ERROR.0);
                }
                if call.version >= 4
                    && let Ok(space) = dirs.space(dir)
                {
                    result.total_bytes = i64::try_from(space.total).unwrap_or(i64::MAX);
                    result.usable_bytes = i64::try_from(space.usable).unwrap_or(i64::MAX);
                }
                let topics = found.remove(&index).unwrap_or_default();
                result.with_topics(
                    topics
                        .into_iter()
                        .map(|(name, partitions)| {
                            DescribeLogDirsTopic::default()
                                .with_name(TopicName(StrBytes::from_string(name)))
                                .with_partitions(partitions)
                        })
                        .collect(),
                )
            })
            .collect();
        DescribeLogDirsResponse::default().with_results(results)
    }
}

type Found = BTreeMap<usize, BTreeMap<String, Vec<DescribeLogDirsPartition>>>;

fn sizes(manager: &Manager, partitions: &[Arc<Partition>]) -> Found {
    let mut found = Found::new();
    for partition in partitions {
        let name = partition.name();
        let mut add = |dir: usize, size: u64, lag: i64, is_future: bool| {
            found.entry(dir).or_default().entry(name.topic.as_str().to_owned()).or_default().push(
                DescribeLogDirsPartition::default()
                    .with_partition_index(name.partition.0)
                    .with_partition_size(i64::try_from(size).unwrap_or(i64::MAX))
                    .with_offset_lag(lag)
                    .with_is_future_key(is_future),
            );
        };
        // Asked first: a copy that takes over meanwhile is then seen as the replica.
        let future = manager.future_replica(name);
        // A log that cannot be opened lies in a directory that has failed, and is told there.
        let Ok((size, dir)) = partition.size_and_dir() else { continue };
        add(dir, size, 0, false);
        if let Some(future) = future.filter(|future| future.dir != dir) {
            add(future.dir, future.size, future.lag, true);
        }
    }
    for topics in found.values_mut() {
        for partitions in topics.values_mut() {
            partitions.sort_by_key(|partition| partition.partition_index);
        }
    }
    found
}
