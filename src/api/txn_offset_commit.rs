//! TxnOffsetCommit (28), v0-5: offsets of a group that count once the producer's transaction is committed.
//!
//! Versions: below v2 a coordinator that loads is one that is not available; v2 has the leader's epoch; v3 the consumer's
//! generation, member and instance ids; v4 knows TRANSACTION_ABORTABLE; v5 joins the group's partition of
//! `__consumer_offsets` to the transaction, which older producers have done by AddOffsetsToTxn (KIP-890).
//!
//! Topics and partitions that the cluster does not know are answered here. The transactional id needs WRITE, the group and
//! each topic READ.

use super::{Api, Call, Context, Versions, groups, transactions};
use crate::group::request::{Commit, CommitOffset, Committed};
use crate::model::{ErrorCode, LeaderEpoch, Offset, Operation, TopicName};
use crate::partition::Verified;
use crate::txn::Joining;
use crate::txn::request::Producer;
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use std::sync::Arc;

const KNOWS_LOADING: i16 = 2;
const ABORTABLE: i16 = 4;
const JOINS: i16 = 5;

pub struct TxnOffsetCommit;

impl Api for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;
    const NAME: &'static str = "TxnOffsetCommit";
    const VERSIONS: Versions = Versions { min: 0, max: 5 };

    async fn handle(ctx: Arc<Context>, call: Call, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
        let may = call.may();
        let refused = if !may.transactional_id(Operation::Write, &request.transactional_id) {
            Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        } else if !may.group(Operation::Read, &request.group_id) {
            Some(ErrorCode::GROUP_AUTHORIZATION_FAILED)
        } else {
            None
        };
        let (offsets, mut errors) = {
            let image = ctx.metadata.load();
            let (mut offsets, mut errors) = (Vec::new(), Vec::new());
            for topic in &request.topics {
                let readable = refused.is_some() || may.topic(Operation::Read, &topic.name);
                let refused = refused.or((!readable).then_some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
                for partition in &topic.partitions {
                    let known = transactions::exists(&image, &topic.name, partition.partition_index);
                    let known = known.filter(|_| refused.is_none());
                    let unknown = refused.unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                    errors.push(known.is_none().then_some(unknown));
                    let Some((name, number)) = known else { continue };
                    offsets.push(CommitOffset {
                        topic_id: image.topic(name.as_str()).map(|topic| topic.id).unwrap_or_default(),
                        topic: name,
                        partition: number,
                        offset: Offset(partition.committed_offset),
                        leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
                        metadata: groups::owned(partition.committed_metadata.as_ref()),
                    });
                }
            }
            (offsets, errors)
        };
        if !offsets.is_empty() {
            let asked = offsets.len();
            let Committed(answers) = match commit(&ctx, call.version, &request, offsets).await {
                Ok(committed) => committed,
                Err(error) => Committed(vec![error; asked]),
            };
            let mut answers = answers.into_iter();
            for error in errors.iter_mut().filter(|error| error.is_none()) {
                *error = answers.next();
            }
        }
        respond(call.version, &request.topics, errors)
    }
}

async fn commit(
    ctx: &Context,
    version: i16,
    request: &TxnOffsetCommitRequest,
    offsets: Vec<CommitOffset>,
) -> Result<Committed, ErrorCode> {
    let commit = Commit {
        version,
        group: groups::id(&request.group_id),
        member: groups::member(&request.member_id),
        instance: groups::instance(request.group_instance_id.as_ref()),
        generation_or_epoch: request.generation_id,
        retention_ms: -1,
        offsets,
    };
    if commit.group.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let producer = transactions::producer(request.producer_id, request.producer_epoch);
    let joining = match version {
        JOINS.. => Joining::Joins,
        ABORTABLE.. => Joining::Asks,
        _ => Joining::AsksInOldWords,
    };
    if joining != Joining::Joins && !ctx.settings().transactions.verify_partitions {
        return Ok(ctx.groups.commit_in_transaction(producer, Verified::NotNeeded, commit).await);
    }
    let log = ctx.groups.log_of(&commit.group).ok_or(ErrorCode::NOT_COORDINATOR)?;
    let Some(verification) = log.begin_verification(producer, None)? else {
        return Ok(ctx.groups.commit_in_transaction(producer, Verified::No, commit).await);
    };
    ask(ctx, request, producer, joining, log.name().partition.0).await?;
    Ok(ctx.groups.commit_in_transaction(producer, Verified::Yes(&verification), commit).await)
}

async fn ask(
    ctx: &Context,
    request: &TxnOffsetCommitRequest,
    producer: Producer,
    joining: Joining,
    partition: i32,
) -> Result<(), ErrorCode> {
    let id = transactions::id(&request.transactional_id);
    let partition = (TopicName::new(TopicName::CONSUMER_OFFSETS), crate::model::PartitionId(partition));
    let answers = ctx.transactions.join(id, producer, vec![partition], joining).await;
    match answers.into_iter().find(|answer| answer.is_err()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn respond(
    version: i16,
    topics: &[TxnOffsetCommitRequestTopic],
    errors: Vec<Option<ErrorCode>>,
) -> TxnOffsetCommitResponse {
    let mut errors = errors.into_iter();
    let mut partition = |number: i32| {
        let error = errors.next().flatten().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
        // Producers before 2.0 fall over what they do not expect (KAFKA-7296).
        let error = match error {
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS if version < KNOWS_LOADING => ErrorCode::COORDINATOR_NOT_AVAILABLE,
            error => error,
        };
        TxnOffsetCommitResponsePartition::default().with_partition_index(number).with_error_code(error.0)
    };
    let mut of_topic = |topic: &TxnOffsetCommitRequestTopic| {
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partitions.iter().map(|p| partition(p.partition_index)).collect())
    };
    TxnOffsetCommitResponse::default().with_topics(topics.iter().map(&mut of_topic).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use kafka_protocol::messages;
    use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;

    fn topics() -> Vec<TxnOffsetCommitRequestTopic> {
        let partition = |number| TxnOffsetCommitRequestPartition::default().with_partition_index(number);
        let topic = |name: &'static str, partitions| {
            TxnOffsetCommitRequestTopic::default()
                .with_name(messages::TopicName(name.into()))
                .with_partitions(partitions)
        };
        vec![topic("a", vec![partition(1), partition(0)]), topic("b", vec![partition(2)])]
    }

    fn codes(response: &TxnOffsetCommitResponse) -> Vec<i16> {
        response.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code).collect()
    }

    #[test]
    fn every_version_can_be_encoded_and_each_partition_has_its_error() {
        let errors = [0, 3, 12].map(|code| Some(ErrorCode(code)));
        for version in 0..=5 {
            let response = respond(version, &topics(), errors.to_vec());
            encoded(version, &response);
            assert_eq!(codes(&response), [0, 3, 12]);
        }
    }

    #[test]
    fn an_old_producer_is_not_told_of_loading() {
        let loading = vec![Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS); 3];
        assert_eq!(codes(&respond(1, &topics(), loading.clone())), [15, 15, 15]);
        assert_eq!(codes(&respond(2, &topics(), loading)), [14, 14, 14]);
    }
}
