//! AddPartitionsToTxn (24), v0-5: partitions join a transaction, before their first record.
//!
//! Versions: v0-3 come from producers, one transaction each, and v2 knows PRODUCER_FENCED; since v4 brokers ask on behalf
//! of a producer's first write, about many transactions, each either to join or only to know whether they have (KIP-890).
//!
//! One partition that does not exist keeps all of its transaction from joining, and so does one that may not be written.
//! Producers need WRITE of the transactional id and of each topic, which an internal one is never open to; brokers need
//! CLUSTER_ACTION.

use super::{Api, Call, Context, Versions, transactions};
use crate::access::Permissions;
use crate::metadata::Image;
use crate::model::{ErrorCode, Operation, PartitionId, TopicName};
use crate::txn::request::{Add, Verify};
use kafka_protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use std::sync::Arc;

const BATCHED: i16 = 4;

pub struct AddPartitionsToTxn;

impl Api for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;
    const NAME: &'static str = "AddPartitionsToTxn";
    const VERSIONS: Versions = Versions { min: 0, max: 5 };

    async fn handle(ctx: Arc<Context>, call: Call, request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
        if call.version < BATCHED {
            let transaction = AddPartitionsToTxnTransaction::default()
                .with_transactional_id(request.v3_and_below_transactional_id)
                .with_producer_id(request.v3_and_below_producer_id)
                .with_producer_epoch(request.v3_and_below_producer_epoch)
                .with_topics(request.v3_and_below_topics);
            let results = one(&ctx, &call, &transaction).await;
            return AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results);
        }
        if let Err(error) = call.on_cluster(Operation::ClusterAction) {
            return AddPartitionsToTxnResponse::default().with_error_code(error.code.0);
        }
        let mut results = Vec::with_capacity(request.transactions.len());
        for transaction in request.transactions {
            let topics = one(&ctx, &call, &transaction).await;
            results.push(
                AddPartitionsToTxnResult::default()
                    .with_transactional_id(transaction.transactional_id)
                    .with_topic_results(topics),
            );
        }
        AddPartitionsToTxnResponse::default().with_results_by_transaction(results)
    }
}

async fn one(
    ctx: &Context,
    call: &Call,
    transaction: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let version = call.version;
    // Brokers have been let through already.
    let may = if version < BATCHED { call.may() } else { Permissions::everything() };
    if !may.transactional_id(Operation::Write, &transaction.transactional_id) {
        let count = transaction.topics.iter().map(|topic| topic.partitions.len()).sum();
        return results(&transaction.topics, &vec![ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED; count]);
    }
    let writable = |topic: &str| {
        version >= BATCHED || (!TopicName::new(topic).is_internal() && may.topic(Operation::Write, topic))
    };
    let id = transactions::id(&transaction.transactional_id);
    let producer = transactions::producer(transaction.producer_id, transaction.producer_epoch);
    let found = partitions(&ctx.metadata.load(), &transaction.topics, writable);
    let errors = match found {
        Err(errors) => errors,
        Ok(partitions) if transaction.verify_only => ctx.transactions.verify(Verify { id, producer, partitions }).await,
        Ok(partitions) => {
            let count = partitions.len();
            // Only who has an epoch for each transaction has its partitions joined by brokers.
            let by = if version >= BATCHED { 2 } else { 0 };
            let error = ctx.transactions.add(Add { id, producer, partitions, version: by }).await;
            vec![transactions::as_known(error, version, transactions::KNOWS_FENCED); count]
        }
    };
    results(&transaction.topics, &errors)
}

/// The partitions, in the request's order; or an error for each, if there are some that may not join.
fn partitions(
    image: &Image,
    topics: &[AddPartitionsToTxnTopic],
    writable: impl Fn(&str) -> bool,
) -> Result<Vec<(TopicName, PartitionId)>, Vec<ErrorCode>> {
    let found: Vec<_> = topics
        .iter()
        .flat_map(|topic| {
            let writable = writable(&topic.name);
            topic.partitions.iter().map(move |partition| match transactions::exists(image, &topic.name, *partition) {
                _ if !writable => Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
                Some(found) => Ok(found),
                None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            })
        })
        .collect();
    if found.iter().all(Result::is_ok) {
        return Ok(found.into_iter().flatten().collect());
    }
    Err(found.into_iter().map(|found| found.err().unwrap_or(ErrorCode::OPERATION_NOT_ATTEMPTED)).collect())
}

fn results(topics: &[AddPartitionsToTxnTopic], errors: &[ErrorCode]) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut errors = errors.iter();
    let mut result = |partition: &i32| {
        AddPartitionsToTxnPartitionResult::default()
            .with_partition_index(*partition)
            .with_partition_error_code(errors.next().map_or(ErrorCode::UNKNOWN_SERVER_ERROR.0, |error| error.0))
    };
    let mut of_topic = |topic: &AddPartitionsToTxnTopic| {
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(topic.partitions.iter().map(&mut result).collect())
    };
    topics.iter().map(&mut of_topic).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use kafka_protocol::messages;

    fn topic(name: &'static str, partitions: &[i32]) -> AddPartitionsToTxnTopic {
        AddPartitionsToTxnTopic::default()
            .with_name(messages::TopicName(name.into()))
            .with_partitions(partitions.to_vec())
    }

    #[test]
    fn every_version_can_be_encoded() {
        let topics = results(&[topic("b", &[0])], &[ErrorCode::NONE]);
        for version in 0..BATCHED {
            let response = AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.clone());
            encoded(version, &response);
        }
        for version in BATCHED..=5 {
            let of = AddPartitionsToTxnResult::default().with_topic_results(topics.clone());
            encoded(version, &AddPartitionsToTxnResponse::default().with_results_by_transaction(vec![of]));
        }
    }

    #[test]
    fn a_partition_that_does_not_exist_keeps_the_others_from_joining() {
        let image = testing::image();
        let all = partitions(&image, &[topic("b", &[2, 0]), topic("a", &[0])], |_| true);
        let names: Vec<_> = all.into_iter().flatten().map(|(topic, id)| format!("{topic}-{}", id.0)).collect();
        assert_eq!(names, ["b-2", "b-0", "a-0"]);
        let (unknown, left) = (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::OPERATION_NOT_ATTEMPTED);
        let some = partitions(&image, &[topic("b", &[0, 3]), topic("nowhere", &[0]), topic("a", &[0, -1])], |_| true);
        assert_eq!(some, Err(vec![left, unknown, unknown, left, unknown]));
    }

    #[test]
    fn a_topic_that_may_not_be_written_keeps_the_others_from_joining() {
        let image = testing::image();
        let topics = [topic("a", &[0]), topic(TopicName::CONSUMER_OFFSETS, &[0])];
        let (refused, left) = (ErrorCode::TOPIC_AUTHORIZATION_FAILED, ErrorCode::OPERATION_NOT_ATTEMPTED);
        let found = partitions(&image, &topics, |topic| !TopicName::new(topic).is_internal());
        assert_eq!(found, Err(vec![left, refused]));
    }

    #[test]
    fn each_partition_has_its_result_in_the_requests_order() {
        let errors = [1, 2, 3].map(ErrorCode);
        let results = results(&[topic("b", &[2, 0]), topic("a", &[0])], &errors);
        let codes: Vec<i16> =
            results.iter().flat_map(|topic| &topic.results_by_partition).map(|p| p.partition_error_code).collect();
        assert_eq!(codes, [1, 2, 3]);
    }
}
