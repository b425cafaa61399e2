//! Fetch (1) v17, as a follower asks its leader; and ListOffsets (2) v10 for a follower that is out of the leader's range.

use super::{Link, PeerError};
use crate::model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionId, TopicId, TopicName};
use crate::wire::fetch::{PartitionResponse, parse_response};
use crate::wire::{DecodeError, TopicRef};
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, ListOffsetsRequest};
use std::time::Duration;

const KEY: i16 = 1;
const VERSION: i16 = 17;

/// What a follower wants of one leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchQuestion {
    pub replica: NodeId,
    /// Of this life of the follower (KIP-903); -1 if it has none.
    pub broker_epoch: i64,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    /// 0: there is none yet.
    pub session_id: i32,
    /// 0: a new one is wanted.
    pub session_epoch: i32,
    /// Those that are new to the session or differ from what it knows.
    pub partitions: Vec<PartitionQuestion>,
    /// To be left out of the session.
    pub forgotten: Vec<(TopicId, PartitionId)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionQuestion {
    pub topic: TopicId,
    pub partition: PartitionId,
    pub current_epoch: LeaderEpoch,
    pub from: Offset,
    /// Of the last record that the follower has; `LeaderEpoch::NONE` if it has none.
    pub last_epoch: LeaderEpoch,
    pub log_start: Offset,
    pub max_bytes: i32,
}

/// What the leader gives.
#[derive(Debug)]
pub struct FetchAnswer {
    /// Of the request as a whole; then there are no partitions.
    pub error: ErrorCode,
    pub session_id: i32,
    /// In a session only those with news.
    pub partitions: Vec<PartitionAnswer>,
}

#[derive(Debug)]
pub struct PartitionAnswer {
    pub topic: TopicId,
    pub partition: PartitionId,
    pub error: ErrorCode,
    pub high_watermark: Offset,
    pub log_start: Offset,
    /// Set if the follower's log is not a part of the leader's: the largest epoch that both may know, and its end at
    /// the leader.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// Batches; the last may be cut off. Not looked at yet.
    pub records: Bytes,
}

/// Fetches as a follower.
///
/// # Errors
/// [`PeerError`]
pub async fn fetch(link: &Link, question: &FetchQuestion, deadline: Duration) -> Result<FetchAnswer, PeerError> {
    let body = link.call_bytes(VERSION, &request(question), deadline).await?;
    let refused = |refused| link.malformed(DecodeError::Refused { key: KEY, version: VERSION, refused });
    let response = parse_response(VERSION, &body).map_err(refused)?;
    let mut partitions = Vec::new();
    for topic in response.topics {
        // The version names topics by id only.
        let TopicRef::Id(id) = topic.topic else { continue };
        partitions.extend(topic.partitions.into_iter().map(|partition| answered(id, partition)));
    }
    Ok(FetchAnswer { error: response.error, session_id: response.session_id, partitions })
}

fn answered(topic: TopicId, partition: PartitionResponse<Bytes>) -> PartitionAnswer {
    PartitionAnswer {
        topic,
        partition: partition.partition,
        error: partition.error,
        high_watermark: partition.high_watermark,
        log_start: partition.log_start,
        diverging: partition.diverging_epoch,
        records: partition.records.unwrap_or_default(),
    }
}

fn request(question: &FetchQuestion) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for asked in &question.partitions {
        let partition = FetchPartition::default()
            .with_partition(asked.partition.0)
            .with_current_leader_epoch(asked.current_epoch.0)
            .with_fetch_offset(asked.from.0)
            .with_last_fetched_epoch(asked.last_epoch.0)
            .with_log_start_offset(asked.log_start.0)
            .with_partition_max_bytes(asked.max_bytes);
        match topics.last_mut() {
            Some(topic) if topic.topic_id == asked.topic.0 => topic.partitions.push(partition),
            _ => topics.push(FetchTopic::default().with_topic_id(asked.topic.0).with_partitions(vec![partition])),
        }
    }
    let forgotten = question
        .forgotten
        .iter()
        .map(|(topic, partition)| ForgottenTopic::default().with_topic_id(topic.0).with_partitions(vec![partition.0]))
        .collect();
    let state =
        ReplicaState::default().with_replica_id(BrokerId(question.replica.0)).with_replica_epoch(question.broker_epoch);
    FetchRequest::default()
        .with_replica_state(state)
        .with_max_wait_ms(question.max_wait_ms)
        .with_min_bytes(question.min_bytes)
        .with_max_bytes(question.max_bytes)
        .with_session_id(question.session_id)
        .with_session_epoch(question.session_epoch)
        .with_topics(topics)
        .with_forgotten_topics_data(forgotten)
}

/// An end of a leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogBound {
    Start,
    End,
}

/// Where a leader's log starts, or ends for a follower (uncommitted records included).
///
/// # Errors
/// [`PeerError`]
pub async fn log_bound(
    link: &Link,
    replica: NodeId,
    (topic, partition): (&TopicName, PartitionId),
    current_epoch: LeaderEpoch,
    bound: LogBound,
    deadline: Duration,
) -> Result<Result<Offset, ErrorCode>, PeerError> {
    let timestamp = match bound {
        LogBound::Start => -2,
        LogBound::End => -1,
    };
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition.0)
        .with_current_leader_epoch(current_epoch.0)
        .with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(super::offsets::topic_name(topic)).with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(replica.0)).with_topics(vec![topic]);
    let response = link.call(9, &request, deadline).await?;
    let answer = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
    Ok(match answer {
        Some(answer) if answer.error_code == 0 => Ok(Offset(answer.offset)),
        Some(answer) => Err(ErrorCode(answer.error_code)),
        None => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    })
}
