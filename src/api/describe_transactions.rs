//! DescribeTransactions (65), v0: what the coordinator knows of transactions.
//!
//! A transactional id needs DESCRIBE, and each of its topics too, to be told.

use super::{Api, Call, Context, Versions, text, transactions};
use crate::model::{ErrorCode, Operation, TransactionalId};
use crate::txn::request::Described;
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{self, DescribeTransactionsRequest, DescribeTransactionsResponse};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

pub struct DescribeTransactions;

impl Api for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    const NAME: &'static str = "DescribeTransactions";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: DescribeTransactionsRequest,
    ) -> DescribeTransactionsResponse {
        let mut states = Vec::with_capacity(request.transactional_ids.len());
        for id in &request.transactional_ids {
            let id = transactions::id(id);
            let described = if call.may().transactional_id(Operation::Describe, id.as_str()) {
                ctx.transactions.describe(&id).await
            } else {
                Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
            };
            states.push(state(&call, &id, described));
        }
        DescribeTransactionsResponse::default().with_transaction_states(states)
    }
}

fn state(call: &Call, id: &TransactionalId, described: Result<Described, ErrorCode>) -> TransactionState {
    let state = TransactionState::default().with_transactional_id(transactions::wire_id(id));
    let described = match described {
        Ok(described) => described,
        Err(error) => return state.with_error_code(error.0),
    };
    let may = call.may();
    let shown = described.partitions.iter().filter(|(topic, _)| may.topic(Operation::Describe, topic.as_str()));
    let topics = shown.map(|(topic, partitions)| {
        TopicData::default()
            .with_topic(text::topic(topic))
            .with_partitions(partitions.iter().map(|partition| partition.0).collect())
    });
    state
        .with_transaction_state(StrBytes::from_static_str(described.state.name()))
        .with_transaction_timeout_ms(described.timeout_ms)
        .with_transaction_start_time_ms(described.started.0)
        .with_producer_id(messages::ProducerId(described.producer.0.0))
        .with_producer_epoch(described.producer.1.0)
        .with_topics(topics.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use crate::model::{PartitionId, ProducerEpoch, ProducerId, TimestampMs, TopicName};
    use crate::txn::record::State;

    #[test]
    fn a_transaction_is_shown_with_its_partitions() {
        let described = Described {
            state: State::PrepareCommit,
            timeout_ms: 60_000,
            started: TimestampMs(5),
            producer: (ProducerId(7), ProducerEpoch(1)),
            partitions: [(TopicName::new("t"), [PartitionId(0), PartitionId(2)].into())].into(),
        };
        let shown = state(&super::super::testing::call(0), &TransactionalId::new("app"), Ok(described));
        assert_eq!(
            (shown.transaction_state.as_str(), shown.topics[0].partitions.clone()),
            ("PrepareCommit", vec![0, 2])
        );
        let unknown = state(
            &super::super::testing::call(0),
            &TransactionalId::new("x"),
            Err(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND),
        );
        assert_eq!((unknown.error_code, unknown.transactional_id.as_str()), (105, "x"));
        encoded(0, &DescribeTransactionsResponse::default().with_transaction_states(vec![shown, unknown]));
    }
}
