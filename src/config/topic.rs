//! A topic's configuration, typed: what a partition acts on. The table of names, defaults,
//! validation and synonyms is beside it.

use crate::model::{NodeId, PartitionId};

/// `compression.type`: what the broker stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicCompression {
    /// Keep the producer's codec.
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// `message.timestamp.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// `leader.replication.throttled.replicas` and its like of followers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ThrottledReplicas {
    #[default]
    None,
    All,
    These(Vec<(PartitionId, NodeId)>),
}

impl ThrottledReplicas {
    #[must_use]
    pub fn contains(&self, partition: PartitionId, node: NodeId) -> bool {
        match self {
            ThrottledReplicas::None => false,
            ThrottledReplicas::All => true,
            ThrottledReplicas::These(pairs) => pairs.contains(&(partition, node)),
        }
    }

    /// Of a value that was checked; what is no pair stands for nothing.
    #[must_use]
    pub(super) fn parse(items: &[String]) -> ThrottledReplicas {
        if items.concat() == "*" {
            return ThrottledReplicas::All;
        }
        let pair = |item: &String| {
            let (partition, node) = item.split_once(':')?;
            Some((PartitionId(partition.parse().ok()?), NodeId(node.parse().ok()?)))
        };
        let pairs: Vec<_> = items.iter().filter_map(pair).collect();
        if pairs.is_empty() { ThrottledReplicas::None } else { ThrottledReplicas::These(pairs) }
    }
}

/// Effective settings of one topic. Times in milliseconds, sizes in bytes; `-1` in the two
/// retention fields means without limit, as in Kafka.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    pub cleanup_delete: bool,
    pub cleanup_compact: bool,
    pub compression: TopicCompression,
    pub gzip_level: i32,
    pub lz4_level: i32,
    pub zstd_level: i32,
    pub delete_retention_ms: i64,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub follower_throttled: ThrottledReplicas,
    pub index_interval_bytes: i32,
    pub leader_throttled: ThrottledReplicas,
    pub max_compaction_lag_ms: i64,
    pub min_compaction_lag_ms: i64,
    pub min_cleanable_dirty_ratio: f64,
    pub max_message_bytes: i32,
    pub timestamp_type: TimestampType,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub min_insync_replicas: i32,
    pub preallocate: bool,
    pub retention_bytes: i64,
    pub retention_ms: i64,
    pub segment_bytes: i32,
    pub segment_index_bytes: i32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub unclean_leader_election: bool,
}

impl Default for TopicConfig {
    /// Kafka 4.3's defaults (`LogConfig`).
    fn default() -> TopicConfig {
        TopicConfig {
            cleanup_delete: true,
            cleanup_compact: false,
            compression: TopicCompression::Producer,
            gzip_level: -1,
            lz4_level: 9,
            zstd_level: 3,
            delete_retention_ms: 86_400_000,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            follower_throttled: ThrottledReplicas::None,
            index_interval_bytes: 4096,
            leader_throttled: ThrottledReplicas::None,
            max_compaction_lag_ms: i64::MAX,
            min_compaction_lag_ms: 0,
            min_cleanable_dirty_ratio: 0.5,
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            min_insync_replicas: 1,
            preallocate: false,
            retention_bytes: -1,
            retention_ms: 604_800_000,
            segment_bytes: 1_073_741_824,
            segment_index_bytes: 10_485_760,
            segment_jitter_ms: 0,
            segment_ms: 604_800_000,
            unclean_leader_election: false,
        }
    }
}
