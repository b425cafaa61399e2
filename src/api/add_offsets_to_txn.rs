//! AddOffsetsToTxn (25), v0-4: the offsets of a group join a transaction.
//!
//! What joins is the group's partition of `__consumer_offsets`. v2 knows PRODUCER_FENCED. The
//! transactional id needs WRITE, and the group READ.

use super::{Api, Call, Context, Versions, groups, transactions};
use crate::model::{ErrorCode, Operation, TopicName};
use crate::txn::request::Add;
use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use std::sync::Arc;

pub struct AddOffsetsToTxn;

impl Api for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;
    const NAME: &'static str = "AddOffsetsToTxn";
    const VERSIONS: Versions = Versions { min: 0, max: 4 };

    async fn handle(ctx: Arc<Context>, call: Call, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
        let may = call.may();
        if !may.transactional_id(Operation::Write, &request.transactional_id) {
            let error = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
            return AddOffsetsToTxnResponse::default().with_error_code(error.0);
        }
        if !may.group(Operation::Read, &request.group_id) {
            return AddOffsetsToTxnResponse::default().with_error_code(ErrorCode::GROUP_AUTHORIZATION_FAILED.0);
        }
        let partition = ctx.groups.partition_for(&groups::id(&request.group_id));
        let add = Add {
            id: transactions::id(&request.transactional_id),
            producer: transactions::producer(request.producer_id, request.producer_epoch),
            partitions: vec![(TopicName::new(TopicName::CONSUMER_OFFSETS), partition)],
            // Who has an epoch for each transaction does not use this API.
            version: 0,
        };
        let error = ctx.transactions.add(add).await;
        let error = transactions::as_known(error, call.version, transactions::KNOWS_FENCED);
        AddOffsetsToTxnResponse::default().with_error_code(error.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=4 {
            encoded(version, &AddOffsetsToTxnResponse::default().with_error_code(51));
        }
    }
}
