//! OffsetForLeaderEpoch (23) v4, asked of a leader by a follower; and ListOffsets (2) v9 for the ends of partitions, asked as
//! a client does.

use super::{Link, PeerError};
use crate::model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionId, TopicName, TopicPartition};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{self, ListOffsetsRequest, OffsetForLeaderEpochRequest};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::time::Duration;

const VERSION: i16 = 4;

/// Where did `epoch` end in the leader's log?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochQuestion {
    pub partition: TopicPartition,
    /// The leader's epoch as the asker knows it.
    pub current_epoch: LeaderEpoch,
    pub epoch: LeaderEpoch,
}

/// The largest epoch up to the one asked for, and its end; both -1 if there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochEndAnswer {
    pub partition: TopicPartition,
    pub error: ErrorCode,
    pub epoch: LeaderEpoch,
    pub end: Offset,
}

/// Asks the leader of the named partitions.
///
/// # Errors
/// [`PeerError`]
pub async fn offsets_for_leader_epoch(
    link: &Link,
    replica: NodeId,
    questions: &[EpochQuestion],
    deadline: Duration,
) -> Result<Vec<EpochEndAnswer>, PeerError> {
    let mut topics: BTreeMap<&TopicName, Vec<OffsetForLeaderPartition>> = BTreeMap::new();
    for question in questions {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(question.partition.partition.0)
            .with_current_leader_epoch(question.current_epoch.0)
            .with_leader_epoch(question.epoch.0);
        topics.entry(&question.partition.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        OffsetForLeaderTopic::default().with_topic(topic_name(topic)).with_partitions(partitions)
    });
    let request = OffsetForLeaderEpochRequest::default()
        .with_replica_id(messages::BrokerId(replica.0))
        .with_topics(topics.collect());
    let response = link.call(VERSION, &request, deadline).await?;
    let answers = response.topics.into_iter().flat_map(|topic| {
        let name = TopicName::new(&topic.topic);
        topic.partitions.into_iter().map(move |end| EpochEndAnswer {
            partition: TopicPartition::new(name.clone(), PartitionId(end.partition)),
            error: ErrorCode(end.error_code),
            epoch: LeaderEpoch(end.leader_epoch),
            end: Offset(end.end_offset),
        })
    });
    Ok(answers.collect())
}

/// Where the logs of these partitions end for clients, uncommitted transactions included.
///
/// # Errors
/// [`PeerError`]
pub async fn ends(
    link: &Link,
    partitions: &[TopicPartition],
    deadline: Duration,
) -> Result<BTreeMap<TopicPartition, Result<Offset, ErrorCode>>, PeerError> {
    const LATEST: i64 = -1;
    let mut topics: BTreeMap<&TopicName, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for at in partitions {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(at.partition.0)
            .with_current_leader_epoch(-1)
            .with_timestamp(LATEST);
        topics.entry(&at.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
    });
    let request = ListOffsetsRequest::default().with_replica_id(messages::BrokerId(-1)).with_topics(topics.collect());
    let response = link.call(9, &request, deadline).await?;
    let answers = response.topics.into_iter().flat_map(|topic| {
        let name = TopicName::new(&topic.name);
        topic.partitions.into_iter().map(move |answer| {
            let end = match ErrorCode(answer.error_code) {
                ErrorCode::NONE => Ok(Offset(answer.offset)),
                error => Err(error),
            };
            (TopicPartition::new(name.clone(), PartitionId(answer.partition_index)), end)
        })
    });
    Ok(answers.collect())
}

/// A topic's name as the messages have it.
pub(super) fn topic_name(name: &TopicName) -> messages::TopicName {
    messages::TopicName(StrBytes::from_string(name.as_str().to_owned()))
}
