//! What brokers ask of each other for share groups: Initialize-, Read-, Write-, DeleteShareGroupState and
//! ReadShareGroupStateSummary (83-87), of the coordinator of what is kept of deliveries.
//!
//! Each takes many partitions of one group and answers each of them, in the order asked.

use super::{Link, PeerError};
use crate::model::{
    ErrorCode, GroupId, Offset, PartitionId, Refused, ShareState, ShareSummary, ShareWrite, SharedPartition,
    StateBatch, StateEpoch, TopicId,
};
use crate::wire::share_state::{Unchanged, WritePartition, WriteRequest, WriteTopic};
use kafka_protocol::messages::{
    DeleteShareGroupStateRequest, InitializeShareGroupStateRequest, ReadShareGroupStateRequest,
    ReadShareGroupStateSummaryRequest, delete_share_group_state_request as delete_messages,
    initialize_share_group_state_request as initialize_messages, read_share_group_state_request as read_messages,
    read_share_group_state_summary_request as summary_messages, write_share_group_state_request as write_messages,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// The version in which writes and summaries say how many records are done with.
const COUNTED: i16 = 1;

/// What became of each partition.
type Answers<T> = Vec<Result<T, Refused>>;

/// Makes room for partitions.
///
/// # Errors
/// [`PeerError`]
pub async fn initialize(
    link: &Link,
    group: &GroupId,
    asked: &[(SharedPartition, StateEpoch, Option<Offset>)],
    deadline: Duration,
) -> Result<Answers<()>, PeerError> {
    let topics = by_topic(asked, |(at, ..)| *at).into_iter().map(|(topic, asked)| {
        let partitions = asked.into_iter().map(|(at, state_epoch, start_offset)| {
            initialize_messages::PartitionData::default()
                .with_partition(at.partition.0)
                .with_state_epoch(state_epoch.0)
                .with_start_offset(start_offset.unwrap_or(Offset::NONE).0)
        });
        initialize_messages::InitializeStateData::default().with_topic_id(topic.0).with_partitions(partitions.collect())
    });
    let request = InitializeShareGroupStateRequest::default().with_group_id(text(group)).with_topics(topics.collect());
    let response = link.call(0, &request, deadline).await?;
    let mut answers = Told::default();
    for topic in response.results {
        for partition in topic.partitions {
            let outcome = refused(partition.error_code, partition.error_message).map_or(Ok(()), Err);
            answers.told(topic.topic_id, partition.partition, outcome);
        }
    }
    Ok(answers.in_order(asked.iter().map(|(at, ..)| *at)))
}

/// Reads the state of partitions, as their leader in these epochs.
///
/// # Errors
/// [`PeerError`]
pub async fn read(
    link: &Link,
    group: &GroupId,
    asked: &[(SharedPartition, i32)],
    deadline: Duration,
) -> Result<Answers<ShareState>, PeerError> {
    let topics = by_topic(asked, |(at, _)| *at).into_iter().map(|(topic, asked)| {
        let partitions = asked.into_iter().map(|(at, leader_epoch)| {
            read_messages::PartitionData::default().with_partition(at.partition.0).with_leader_epoch(*leader_epoch)
        });
        read_messages::ReadStateData::default().with_topic_id(topic.0).with_partitions(partitions.collect())
    });
    let request = ReadShareGroupStateRequest::default().with_group_id(text(group)).with_topics(topics.collect());
    let response = link.call(0, &request, deadline).await?;
    let mut answers = Told::default();
    for topic in response.results {
        for partition in topic.partitions {
            let batches: Option<Vec<StateBatch>> = partition
                .state_batches
                .iter()
                .map(|it| {
                    StateBatch::of(
                        Offset(it.first_offset),
                        Offset(it.last_offset),
                        it.delivery_state,
                        it.delivery_count,
                    )
                })
                .collect();
            let outcome = match (refused(partition.error_code, partition.error_message), batches) {
                (Some(refused), _) => Err(refused),
                (None, Some(batches)) => Ok(ShareState {
                    state_epoch: StateEpoch(partition.state_epoch),
                    start_offset: known(partition.start_offset),
                    batches,
                }),
                (None, None) => Err(unreadable()),
            };
            answers.told(topic.topic_id, partition.partition, outcome);
        }
    }
    Ok(answers.in_order(asked.iter().map(|(at, _)| *at)))
}

/// Writes what has changed.
///
/// # Errors
/// [`PeerError`]
pub async fn write(
    link: &Link,
    group: &GroupId,
    asked: &[ShareWrite],
    deadline: Duration,
) -> Result<Answers<()>, PeerError> {
    let topics = by_topic(asked, |write| write.at).into_iter().map(|(topic, asked)| {
        let partitions = asked.into_iter().map(|write| WritePartition {
            partition: write.at.partition.0,
            state_epoch: write.state_epoch.0,
            leader_epoch: write.leader_epoch,
            start_offset: write.start_offset.unwrap_or(Offset::NONE).0,
            delivery_complete_count: write.delivery_complete_count,
            state_batches: write.batches.iter().map(batch).collect(),
        });
        WriteTopic { topic_id: topic.0, partitions: partitions.collect() }
    });
    let request = WriteRequest { group_id: text(group), topics: topics.collect() };
    let Unchanged(response) = link.call(COUNTED, &request, deadline).await?;
    let mut answers = Told::default();
    for topic in response.results {
        for partition in topic.partitions {
            let outcome = refused(partition.error_code, partition.error_message).map_or(Ok(()), Err);
            answers.told(topic.topic_id, partition.partition, outcome);
        }
    }
    Ok(answers.in_order(asked.iter().map(|write| write.at)))
}

/// Has partitions forgotten.
///
/// # Errors
/// [`PeerError`]
pub async fn delete(
    link: &Link,
    group: &GroupId,
    asked: &[SharedPartition],
    deadline: Duration,
) -> Result<Answers<()>, PeerError> {
    let topics = by_topic(asked, |at| *at).into_iter().map(|(topic, asked)| {
        let partitions =
            asked.into_iter().map(|at| delete_messages::PartitionData::default().with_partition(at.partition.0));
        delete_messages::DeleteStateData::default().with_topic_id(topic.0).with_partitions(partitions.collect())
    });
    let request = DeleteShareGroupStateRequest::default().with_group_id(text(group)).with_topics(topics.collect());
    let response = link.call(0, &request, deadline).await?;
    let mut answers = Told::default();
    for topic in response.results {
        for partition in topic.partitions {
            let outcome = refused(partition.error_code, partition.error_message).map_or(Ok(()), Err);
            answers.told(topic.topic_id, partition.partition, outcome);
        }
    }
    Ok(answers.in_order(asked.iter().copied()))
}

/// Reads how far partitions are.
///
/// # Errors
/// [`PeerError`]
pub async fn summary(
    link: &Link,
    group: &GroupId,
    asked: &[SharedPartition],
    deadline: Duration,
) -> Result<Answers<ShareSummary>, PeerError> {
    let topics = by_topic(asked, |at| *at).into_iter().map(|(topic, asked)| {
        let partitions = asked
            .into_iter()
            .map(|at| summary_messages::PartitionData::default().with_partition(at.partition.0).with_leader_epoch(-1));
        summary_messages::ReadStateSummaryData::default().with_topic_id(topic.0).with_partitions(partitions.collect())
    });
    let request = ReadShareGroupStateSummaryRequest::default().with_group_id(text(group)).with_topics(topics.collect());
    let response = link.call(COUNTED, &Unchanged(request), deadline).await?;
    let mut answers = Told::default();
    for topic in response.results {
        for partition in topic.partitions {
            let summary = ShareSummary {
                state_epoch: StateEpoch(partition.state_epoch),
                leader_epoch: partition.leader_epoch,
                start_offset: known(partition.start_offset),
                delivery_complete_count: partition.delivery_complete_count,
            };
            let outcome = refused(partition.error_code, partition.error_message).map_or(Ok(summary), Err);
            answers.told(topic.topic_id, partition.partition, outcome);
        }
    }
    Ok(answers.in_order(asked.iter().copied()))
}

fn text(group: &GroupId) -> StrBytes {
    StrBytes::from_string(group.as_str().to_owned())
}

fn batch(batch: &StateBatch) -> write_messages::StateBatch {
    write_messages::StateBatch::default()
        .with_first_offset(batch.first.0)
        .with_last_offset(batch.last.0)
        .with_delivery_state(batch.delivery as i8)
        .with_delivery_count(batch.delivery_count)
}

fn by_topic<T>(asked: &[T], at: impl Fn(&T) -> SharedPartition) -> BTreeMap<TopicId, Vec<&T>> {
    let mut topics: BTreeMap<TopicId, Vec<&T>> = BTreeMap::new();
    for one in asked {
        topics.entry(at(one).topic).or_default().push(one);
    }
    topics
}

fn refused(code: i16, message: Option<StrBytes>) -> Option<Refused> {
    let message = message.filter(|message| !message.is_empty()).map(|message| message.to_string());
    (code != 0).then_some(Refused { code: ErrorCode(code), message })
}

/// An offset as the wire has it, where a negative one is none.
fn known(offset: i64) -> Option<Offset> {
    (offset >= 0).then_some(Offset(offset))
}

fn unreadable() -> Refused {
    Refused { code: ErrorCode::UNKNOWN_SERVER_ERROR, message: None }
}

/// What came back, in any order.
struct Told<T>(BTreeMap<SharedPartition, Result<T, Refused>>);

impl<T> Default for Told<T> {
    fn default() -> Told<T> {
        Told(BTreeMap::new())
    }
}

impl<T> Told<T> {
    fn told(&mut self, topic: uuid::Uuid, partition: i32, outcome: Result<T, Refused>) {
        self.0.insert(SharedPartition { topic: TopicId(topic), partition: PartitionId(partition) }, outcome);
    }

    /// Of what nothing was said, nothing is known.
    fn in_order(mut self, asked: impl Iterator<Item = SharedPartition>) -> Answers<T> {
        asked.map(|at| self.0.remove(&at).unwrap_or_else(|| Err(unreadable()))).collect()
    }
}
