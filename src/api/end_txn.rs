//! EndTxn (26), v0-5: a transaction is committed or aborted.
//!
//! Versions: v2 knows PRODUCER_FENCED; v5 gives the producer the id and epoch of its next transaction (KIP-890), and is
//! how it says that it goes by them. Left out: authorization.

use super::{Api, Call, Context, Versions, transactions};
use crate::model::{ErrorCode, Operation, ProducerEpoch, ProducerId};
use crate::txn::request::{End, Producer};
use kafka_protocol::messages::{self, EndTxnRequest, EndTxnResponse};
use std::sync::Arc;

const EPOCH_PER_TRANSACTION: i16 = 5;

pub struct EndTxn;

impl Api for EndTxn {
    type Request = EndTxnRequest;
    const NAME: &'static str = "EndTxn";
    const VERSIONS: Versions = Versions { min: 0, max: 5 };

    async fn handle(ctx: Arc<Context>, call: Call, request: EndTxnRequest) -> EndTxnResponse {
        if !call.may().transactional_id(Operation::Write, &request.transactional_id) {
            return answer(call.version, Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED));
        }
        let end = End {
            id: transactions::id(&request.transactional_id),
            producer: transactions::producer(request.producer_id, request.producer_epoch),
            commit: request.committed,
            version: if call.version >= EPOCH_PER_TRANSACTION { 2 } else { 0 },
            fresh: None,
        };
        answer(call.version, ctx.transactions.end(end).await)
    }
}

fn answer(version: i16, ended: Result<Option<Producer>, ErrorCode>) -> EndTxnResponse {
    let (error, producer) = match ended {
        Ok(producer) => (ErrorCode::NONE, producer),
        Err(error) => (transactions::as_known(error, version, transactions::KNOWS_FENCED), None),
    };
    let (id, epoch) = producer.unwrap_or((ProducerId::NONE, ProducerEpoch::NONE));
    EndTxnResponse::default()
        .with_error_code(error.0)
        .with_producer_id(messages::ProducerId(id.0))
        .with_producer_epoch(epoch.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=5 {
            encoded(version, &answer(version, Ok(None)));
            encoded(version, &answer(version, Err(ErrorCode::PRODUCER_FENCED)));
        }
        encoded(5, &answer(5, Ok(Some((ProducerId(7), ProducerEpoch(1))))));
    }
}
