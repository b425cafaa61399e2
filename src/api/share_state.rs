//! What brokers ask the coordinator of share groups' deliveries: InitializeShareGroupState (83), v0; ReadShareGroupState
//! (84), v0; WriteShareGroupState (85), v0-1; DeleteShareGroupState (86), v0; ReadShareGroupStateSummary (87), v0-1.
//!
//! Version 1 of writes and summaries says how many records are done with (KIP-1226).
//!
//! The cluster needs CLUSTER_ACTION. Nothing is answered to a request without a group, without topics, or with a topic
//! without partitions. Whether the cluster has share groups (`share.version`) is not looked at: who has none does not ask.

use super::{Api, ApiError, Call, Context, Versions, text};
use crate::coordinator::for_clients;
use crate::model::{
    ErrorCode, GroupId, Offset, Operation, PartitionId, Refused, ShareWrite, SharedPartition, StateBatch, StateEpoch,
    TopicId,
};
use crate::share::state::request::{Key, Reply, Request};
use crate::wire::share_state::{
    SummaryPartition, SummaryResponse, SummaryTopic, UNKNOWN_COUNT, Unchanged, WritePartition, WriteRequest,
};
use futures_util::future::join_all;
use kafka_protocol::messages::{
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse, InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse, ReadShareGroupStateRequest, ReadShareGroupStateResponse,
    ReadShareGroupStateSummaryRequest, WriteShareGroupStateResponse,
    delete_share_group_state_response as delete_messages, initialize_share_group_state_response as initialize_messages,
    read_share_group_state_response as read_messages, write_share_group_state_response as write_messages,
};
use std::sync::Arc;
use uuid::Uuid;

pub struct InitializeShareGroupState;
pub struct ReadShareGroupState;
pub struct WriteShareGroupState;
pub struct DeleteShareGroupState;
pub struct ReadShareGroupStateSummary;

impl Api for InitializeShareGroupState {
    type Request = InitializeShareGroupStateRequest;
    const NAME: &'static str = "InitializeShareGroupState";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        mut request: InitializeShareGroupStateRequest,
    ) -> InitializeShareGroupStateResponse {
        request.topics.retain(|topic| !topic.partitions.is_empty());
        let asked = Asked::new(&request.group_id, &request.topics, |group, topic| {
            let one = |it: &kafka_protocol::messages::initialize_share_group_state_request::PartitionData| {
                let key = key(group, topic.topic_id, it.partition);
                Ok(Request::Initialize {
                    key,
                    state_epoch: StateEpoch(it.state_epoch),
                    start_offset: known(it.start_offset),
                })
            };
            topic.partitions.iter().map(one).collect()
        });
        let told = asked.ask(&ctx, &call, "initialize share group state").await;
        let results = request.topics.iter().zip(told).map(|(topic, told)| {
            let partitions = topic.partitions.iter().zip(told).map(|(it, told)| {
                let (code, message) = text::error_fields(told.and_then(done));
                let result = initialize_messages::PartitionResult::default().with_partition(it.partition);
                result.with_error_code(code).with_error_message(message)
            });
            let result = initialize_messages::InitializeStateResult::default().with_topic_id(topic.topic_id);
            result.with_partitions(partitions.collect())
        });
        InitializeShareGroupStateResponse::default().with_results(results.collect())
    }
}

impl Api for ReadShareGroupState {
    type Request = ReadShareGroupStateRequest;
    const NAME: &'static str = "ReadShareGroupState";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(ctx: Arc<Context>, call: Call, request: ReadShareGroupStateRequest) -> ReadShareGroupStateResponse {
        let asked = Asked::new(&request.group_id, &request.topics, |group, topic| {
            let key = |it: i32| key(group, topic.topic_id, it);
            let partitions = topic.partitions.iter();
            partitions.map(|it| Ok(Request::Read { key: key(it.partition), leader_epoch: it.leader_epoch })).collect()
        });
        let told = asked.ask(&ctx, &call, "read share group state").await;
        let results = request.topics.iter().zip(told).map(|(topic, told)| {
            let partitions = topic.partitions.iter().zip(told).map(|(it, told)| read_result(it.partition, told));
            let result = read_messages::ReadStateResult::default().with_topic_id(topic.topic_id);
            result.with_partitions(partitions.collect())
        });
        ReadShareGroupStateResponse::default().with_results(results.collect())
    }
}

impl Api for WriteShareGroupState {
    type Request = WriteRequest;
    const NAME: &'static str = "WriteShareGroupState";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(ctx: Arc<Context>, call: Call, request: WriteRequest) -> Unchanged<WriteShareGroupStateResponse> {
        let asked = Asked::new(&request.group_id, &request.topics, |group, topic| {
            topic.partitions.iter().map(|it| write(group, topic.topic_id, it)).collect()
        });
        let told = asked.ask(&ctx, &call, "write share group state").await;
        let results = request.topics.iter().zip(told).map(|(topic, told)| {
            let partitions = topic.partitions.iter().zip(told).map(|(it, told)| {
                let (code, message) = text::error_fields(told.and_then(done));
                let result = write_messages::PartitionResult::default().with_partition(it.partition);
                result.with_error_code(code).with_error_message(message)
            });
            let result = write_messages::WriteStateResult::default().with_topic_id(topic.topic_id);
            result.with_partitions(partitions.collect())
        });
        Unchanged(WriteShareGroupStateResponse::default().with_results(results.collect()))
    }
}

impl Api for DeleteShareGroupState {
    type Request = DeleteShareGroupStateRequest;
    const NAME: &'static str = "DeleteShareGroupState";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: DeleteShareGroupStateRequest,
    ) -> DeleteShareGroupStateResponse {
        let asked = Asked::new(&request.group_id, &request.topics, |group, topic| {
            topic.partitions.iter().map(|it| Ok(Request::Delete(key(group, topic.topic_id, it.partition)))).collect()
        });
        let told = asked.ask(&ctx, &call, "delete share group state").await;
        let results = request.topics.iter().zip(told).map(|(topic, told)| {
            let partitions = topic.partitions.iter().zip(told).map(|(it, told)| {
                let (code, message) = text::error_fields(told.and_then(done));
                let result = delete_messages::PartitionResult::default().with_partition(it.partition);
                result.with_error_code(code).with_error_message(message)
            });
            let result = delete_messages::DeleteStateResult::default().with_topic_id(topic.topic_id);
            result.with_partitions(partitions.collect())
        });
        DeleteShareGroupStateResponse::default().with_results(results.collect())
    }
}

impl Api for ReadShareGroupStateSummary {
    type Request = Unchanged<ReadShareGroupStateSummaryRequest>;
    const NAME: &'static str = "ReadShareGroupStateSummary";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(ctx: Arc<Context>, call: Call, Unchanged(request): Self::Request) -> SummaryResponse {
        let asked = Asked::new(&request.group_id, &request.topics, |group, topic| {
            topic.partitions.iter().map(|it| Ok(Request::Summary(key(group, topic.topic_id, it.partition)))).collect()
        });
        let told = asked.ask(&ctx, &call, "read share group state summary").await;
        let results = request.topics.iter().zip(told).map(|(topic, told)| {
            let partitions = topic.partitions.iter().zip(told).map(|(it, told)| summary_result(it.partition, told));
            SummaryTopic { topic_id: topic.topic_id, partitions: partitions.collect() }
        });
        SummaryResponse { results: results.collect() }
    }
}

/// A request: what is asked of each partition of each topic, unless that cannot be.
struct Asked {
    asked: Vec<Vec<Result<Request, Refused>>>,
    /// Nothing is to be answered.
    void: bool,
}

impl Asked {
    fn new<T>(group: &str, topics: &[T], of_topic: impl Fn(&GroupId, &T) -> Vec<Result<Request, Refused>>) -> Asked {
        let group_id = GroupId::new(group);
        let asked: Vec<_> = topics.iter().map(|topic| of_topic(&group_id, topic)).collect();
        let void = group.is_empty() || asked.iter().any(Vec::is_empty);
        Asked { asked, void }
    }

    /// The answers, in the order asked.
    async fn ask(self, ctx: &Context, call: &Call, what: &str) -> Vec<Vec<Result<Reply, ApiError>>> {
        if !call.may().cluster(Operation::ClusterAction) {
            let refused = || Err(text::explained(ApiError::bare(ErrorCode::CLUSTER_AUTHORIZATION_FAILED)));
            return self.asked.iter().map(|partitions| partitions.iter().map(|_| refused()).collect()).collect();
        }
        if self.void {
            return Vec::new();
        }
        let one = async |request: Result<Request, Refused>| match request {
            Ok(request) => match ctx.share_states.ask(request).await {
                Ok(reply) => Ok(reply),
                Err(error) => {
                    let message = format!("Unable to {what}: {}", text::standard(error));
                    Err(ApiError::new(for_clients(error), message))
                }
            },
            Err(refused) => Err(explained(refused)),
        };
        join_all(self.asked.into_iter().map(|partitions| join_all(partitions.into_iter().map(&one)))).await
    }
}

fn key(group: &GroupId, topic: Uuid, partition: i32) -> Key {
    let at = SharedPartition { topic: TopicId(topic), partition: PartitionId(partition) };
    Key { group: group.clone(), at }
}

fn write(group: &GroupId, topic: Uuid, it: &WritePartition) -> Result<Request, Refused> {
    let batches: Option<Vec<StateBatch>> = it
        .state_batches
        .iter()
        .map(|it| StateBatch::of(Offset(it.first_offset), Offset(it.last_offset), it.delivery_state, it.delivery_count))
        .collect();
    // Kafka keeps whatever it is told.
    let batches = batches.ok_or(Refused { code: ErrorCode::INVALID_REQUEST, message: None })?;
    let Key { group, at } = key(group, topic, it.partition);
    let write = ShareWrite {
        at,
        state_epoch: StateEpoch(it.state_epoch),
        leader_epoch: it.leader_epoch,
        start_offset: known(it.start_offset),
        delivery_complete_count: it.delivery_complete_count,
        batches,
    };
    Ok(Request::Write { group, write })
}

fn read_result(partition: i32, told: Result<Reply, ApiError>) -> read_messages::PartitionResult {
    let result = read_messages::PartitionResult::default().with_partition(partition);
    let state = told.and_then(|reply| match reply {
        Reply::Read(state) => state.map_err(explained),
        other => Err(fault(&other)),
    });
    match state {
        Ok(state) => {
            let batches = state.batches.iter().map(|batch| {
                read_messages::StateBatch::default()
                    .with_first_offset(batch.first.0)
                    .with_last_offset(batch.last.0)
                    .with_delivery_state(batch.delivery as i8)
                    .with_delivery_count(batch.delivery_count)
            });
            result
                .with_state_epoch(state.state_epoch.0)
                .with_start_offset(state.start_offset.unwrap_or(Offset::NONE).0)
                .with_state_batches(batches.collect())
        }
        Err(error) => {
            let (code, message) = text::error_fields(Err(error));
            result.with_error_code(code).with_error_message(message)
        }
    }
}

fn summary_result(partition: i32, told: Result<Reply, ApiError>) -> SummaryPartition {
    let summary = told.and_then(|reply| match reply {
        Reply::Summary(summary) => summary.map_err(explained),
        other => Err(fault(&other)),
    });
    match summary {
        Ok(summary) => SummaryPartition {
            partition,
            state_epoch: summary.state_epoch.0,
            leader_epoch: summary.leader_epoch,
            start_offset: summary.start_offset.unwrap_or(Offset::NONE).0,
            delivery_complete_count: summary.delivery_complete_count,
            ..SummaryPartition::default()
        },
        Err(error) => {
            let (error_code, error_message) = text::error_fields(Err(error));
            let nothing = SummaryPartition { delivery_complete_count: UNKNOWN_COUNT, ..SummaryPartition::default() };
            SummaryPartition { partition, error_code, error_message, ..nothing }
        }
    }
}

fn done(reply: Reply) -> Result<(), ApiError> {
    match reply {
        Reply::Done(outcome) => outcome.map_err(explained),
        other => Err(fault(&other)),
    }
}

fn fault(reply: &Reply) -> ApiError {
    tracing::error!(?reply, "an answer to another request");
    ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR)
}

fn explained(Refused { code, message }: Refused) -> ApiError {
    text::explained(ApiError { code, message })
}

/// An offset as the wire has it, where a negative one is none.
fn known(offset: i64) -> Option<Offset> {
    (offset >= 0).then_some(Offset(offset))
}
