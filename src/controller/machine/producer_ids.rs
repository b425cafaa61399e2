//! Handing out producer ids in blocks.

use super::Decision;
use crate::controller::request::{ApiError, ProducerIdBlock};
use crate::metadata::{Image, Record};
use crate::model::{ErrorCode, NodeId, ProducerId};

const BLOCK: i32 = 1000;

/// Decides AllocateProducerIds.
pub(crate) fn allocate(
    broker: NodeId,
    broker_epoch: i64,
    image: &Image,
) -> Decision<Result<ProducerIdBlock, ApiError>> {
    match decide(broker, broker_epoch, image) {
        Ok((record, block)) => Decision { records: vec![record], answer: Ok(block) },
        Err(error) => Decision { records: Vec::new(), answer: Err(error) },
    }
}

fn decide(broker: NodeId, broker_epoch: i64, image: &Image) -> Result<(Record, ProducerIdBlock), ApiError> {
    super::brokers::check_epoch(broker, broker_epoch, image)?;
    let first = image.next_producer_id;
    let next = first.0.checked_add(i64::from(BLOCK)).map(ProducerId).ok_or_else(|| {
        ApiError::new(
            ErrorCode::UNKNOWN_SERVER_ERROR,
            "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit",
        )
    })?;
    Ok((Record::ProducerIds { broker, broker_epoch, next }, ProducerIdBlock { first, count: BLOCK }))
}
