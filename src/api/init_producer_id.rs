//! InitProducerId (22), v0-5: a producer's id and epoch.
//!
//! Without a transactional id the answer is always a fresh id with epoch 0, whatever id and epoch the producer
//! says it had (v3+), as long as it gives both or neither. The time-out only matters with a transactional id, which is
//! for the coordinator of its transactions.
//!
//! A transactional id needs WRITE; without one the cluster needs IDEMPOTENT_WRITE, or any topic WRITE.
//!
//! Since v4 PRODUCER_FENCED is known; older clients are told INVALID_PRODUCER_EPOCH. Left out: v6 (two-phase commit) is not
//! stable in 4.3.

use super::{Api, Call, Context, Versions, transactions};
use crate::model::{ErrorCode, Operation, ProducerEpoch, ProducerId, ResourceKind};
use crate::txn::request::{Init, Producer};
use kafka_protocol::messages::{self, InitProducerIdRequest, InitProducerIdResponse};
use std::sync::Arc;

const KNOWS_FENCED: i16 = 4;

pub struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    const NAME: &'static str = "InitProducerId";
    const VERSIONS: Versions = Versions { min: 0, max: 5 };

    async fn handle(ctx: Arc<Context>, call: Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let may = call.may();
        match &request.transactional_id {
            Some(id) if !may.transactional_id(Operation::Write, id) => {
                return refused(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
            }
            None if !may.cluster_quietly(Operation::IdempotentWrite)
                && !may.somewhere(Operation::Write, ResourceKind::Topic) =>
            {
                return refused(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
            }
            _ => {}
        }
        let expected = match expected(&request) {
            Ok(expected) => expected,
            Err(code) => return refused(code),
        };
        let given = match &request.transactional_id {
            None => {
                let fresh = ctx.producer_ids.next(&ctx.client).await;
                fresh.map(|id| (id, ProducerEpoch(0))).map_err(|error| error.code)
            }
            Some(id) => {
                let timeout_ms = request.transaction_timeout_ms;
                let init = Init { id: transactions::id(id), timeout_ms, expected, fresh: None };
                ctx.transactions.init(init).await
            }
        };
        match given {
            Ok((id, epoch)) => InitProducerIdResponse::default()
                .with_producer_id(messages::ProducerId(id.0))
                .with_producer_epoch(epoch.0),
            Err(code) => refused(transactions::as_known(code, call.version, KNOWS_FENCED)),
        }
    }
}

/// What the producer says it had.
fn expected(request: &InitProducerIdRequest) -> Result<Option<Producer>, ErrorCode> {
    let (id, epoch) = transactions::producer(request.producer_id, request.producer_epoch);
    match (id == ProducerId::NONE, epoch == ProducerEpoch::NONE) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some((id, epoch))),
        _ => Err(ErrorCode::INVALID_REQUEST),
    }
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(code.0)
        .with_producer_id(messages::ProducerId(ProducerId::NONE.0))
        .with_producer_epoch(ProducerEpoch::NONE.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use crate::controller::ApiError;
    use crate::txn::ProducerIds;
    use std::collections::BTreeSet;

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=5 {
            encoded(version, &refused(ErrorCode::INVALID_REQUEST));
            encoded(version, &InitProducerIdResponse::default().with_producer_id(messages::ProducerId(i64::MAX)));
        }
    }

    #[test]
    fn id_and_epoch_come_together_or_not_at_all() {
        let with = |id, epoch| {
            let request = InitProducerIdRequest::default().with_producer_id(messages::ProducerId(id));
            expected(&request.with_producer_epoch(epoch))
        };
        assert_eq!(with(7, -1), Err(ErrorCode::INVALID_REQUEST));
        assert_eq!(with(-1, 3), Err(ErrorCode::INVALID_REQUEST));
        assert_eq!(with(7, 3), Ok(Some((ProducerId(7), ProducerEpoch(3)))));
        assert_eq!(with(-1, -1), Ok(None));
    }

    #[tokio::test]
    async fn every_id_is_handed_out_once_across_blocks_and_callers() {
        let (ids, controller) = (Arc::new(ProducerIds::default()), testing::controller());
        let client = testing::client(&controller);
        let mut tasks = Vec::new();
        for _ in 0..10 {
            let (ids, client) = (Arc::clone(&ids), Arc::clone(&client));
            tasks.push(tokio::spawn(async move {
                let mut mine = Vec::new();
                for _ in 0..250 {
                    mine.push(ids.next(&client).await.map(|id| id.0));
                }
                mine
            }));
        }
        let mut seen = BTreeSet::new();
        for task in tasks {
            for id in task.await.into_iter().flatten().flatten() {
                assert!(seen.insert(id), "{id} twice");
            }
        }
        assert_eq!(seen, (0..2500).collect());
        assert_eq!(controller.store().load().next_producer_id, ProducerId(3000));
    }

    #[tokio::test]
    async fn a_broker_started_again_does_not_hand_out_what_it_may_have_handed_out_before() {
        let client = testing::client(&testing::controller());
        let first = ProducerIds::default().next(&client).await;
        let second = ProducerIds::default().next(&client).await;
        assert_eq!((first, second), (Ok(ProducerId(0)), Ok(ProducerId(1000))));
    }

    #[tokio::test]
    async fn while_there_are_no_ids_the_client_is_told_to_try_again() {
        let error = ProducerIds::default().next(&testing::unregistered_client()).await;
        assert_eq!(error, Err(ApiError::bare(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)));
    }
}
