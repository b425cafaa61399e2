//! InitProducerId (22), v0-5: a producer's id and epoch.
//!
//! Without a transactional id the answer is always a fresh id with epoch 0, whatever id and epoch the producer
//! says it had (v3+), as long as it gives both or neither. The time-out only matters with a transactional id.
//!
//! With a transactional id the request is checked as Apache Kafka checks it, and then answered with
//! NOT_COORDINATOR: that is what a broker says that does not lead the id's partition of `__transaction_state`, and
//! no broker does until the transaction coordinator exists. (COORDINATOR_NOT_AVAILABLE is FindCoordinator's answer,
//! never this API's.)
//!
//! Left out: authorization; v6 (two-phase commit) is not stable in 4.3. Its `PRODUCER_FENCED` for v4 and later can
//! only come from the coordinator.

use super::{Api, Call, Context, Versions};
use crate::model::{ErrorCode, ProducerEpoch, ProducerId};
use kafka_protocol::messages::{self, InitProducerIdRequest, InitProducerIdResponse};
use std::sync::Arc;
use std::time::Duration;

pub struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    const NAME: &'static str = "InitProducerId";
    const VERSIONS: Versions = Versions { min: 0, max: 5 };

    async fn handle(ctx: Arc<Context>, _call: Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let settings = ctx.settings();
        if let Err(code) = check(&request, settings.transactions.timeout_max) {
            return refused(code);
        }
        match ctx.producer_ids.next(settings.node_id, &ctx.metadata, &ctx.controller).await {
            Ok(id) => {
                InitProducerIdResponse::default().with_producer_id(messages::ProducerId(id.0)).with_producer_epoch(0)
            }
            Err(error) => refused(error.code),
        }
    }
}

/// `Ok` when the producer is to get a fresh id.
fn check(request: &InitProducerIdRequest, timeout_max: Duration) -> Result<(), ErrorCode> {
    let no_id = request.producer_id.0 == ProducerId::NONE.0;
    let no_epoch = request.producer_epoch == ProducerEpoch::NONE.0;
    if no_id != no_epoch {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let Some(transactional_id) = &request.transactional_id else { return Ok(()) };
    if transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    match u64::try_from(request.transaction_timeout_ms) {
        Ok(ms) if ms > 0 && Duration::from_millis(ms) <= timeout_max => Err(ErrorCode::NOT_COORDINATOR),
        _ => Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT),
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
    use super::super::testing::encoded;
    use super::*;
    use kafka_protocol::messages::TransactionalId;
    use kafka_protocol::protocol::StrBytes;

    const MAX: Duration = Duration::from_millis(900_000);

    fn request(id: Option<&'static str>, timeout_ms: i32) -> InitProducerIdRequest {
        InitProducerIdRequest::default()
            .with_transactional_id(id.map(|id| TransactionalId(StrBytes::from_static_str(id))))
            .with_transaction_timeout_ms(timeout_ms)
    }

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=5 {
            encoded(version, &refused(ErrorCode::INVALID_REQUEST));
            encoded(version, &InitProducerIdResponse::default().with_producer_id(messages::ProducerId(i64::MAX)));
        }
    }

    #[test]
    fn without_a_transactional_id_any_time_out_will_do() {
        for timeout in [0, -1, i32::MAX] {
            assert_eq!(check(&request(None, timeout), MAX), Ok(()));
        }
    }

    #[test]
    fn id_and_epoch_come_together_or_not_at_all() {
        let with = |id, epoch| request(None, 0).with_producer_id(messages::ProducerId(id)).with_producer_epoch(epoch);
        assert_eq!(check(&with(7, -1), MAX), Err(ErrorCode::INVALID_REQUEST));
        assert_eq!(check(&with(-1, 3), MAX), Err(ErrorCode::INVALID_REQUEST));
        assert_eq!(check(&with(7, 3), MAX), Ok(()));
        assert_eq!(check(&with(-1, -1), MAX), Ok(()));
    }

    #[test]
    fn an_empty_transactional_id_is_refused() {
        assert_eq!(check(&request(Some(""), 1000), MAX), Err(ErrorCode::INVALID_REQUEST));
    }

    #[test]
    fn a_transaction_time_out_is_positive_and_not_above_the_maximum() {
        for timeout in [0, -1, i32::MIN, 900_001] {
            assert_eq!(check(&request(Some("t"), timeout), MAX), Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT));
        }
    }

    #[test]
    fn a_broker_that_coordinates_nothing_is_not_the_coordinator() {
        assert_eq!(check(&request(Some("t"), 900_000), MAX), Err(ErrorCode::NOT_COORDINATOR));
    }
}
