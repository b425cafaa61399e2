//! AllocateProducerIds (67), v0: a block of producer ids for a broker to hand out.

use super::{Api, Call, Context, Versions};
use crate::model::{NodeId, Operation};
use kafka_protocol::messages::{self, AllocateProducerIdsRequest, AllocateProducerIdsResponse};
use std::sync::Arc;

pub struct AllocateProducerIds;

impl Api for AllocateProducerIds {
    type Request = AllocateProducerIdsRequest;
    const NAME: &'static str = "AllocateProducerIds";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(ctx: Arc<Context>, call: Call, request: AllocateProducerIdsRequest) -> AllocateProducerIdsResponse {
        if let Err(error) = call.on_cluster(Operation::ClusterAction) {
            return AllocateProducerIdsResponse::default().with_error_code(error.code.0);
        }
        let broker = NodeId(request.broker_id.0);
        match ctx.controller.allocate_producer_ids(broker, request.broker_epoch).await {
            Ok(block) => AllocateProducerIdsResponse::default()
                .with_producer_id_start(messages::ProducerId(block.first.0))
                .with_producer_id_len(block.count),
            Err(error) => AllocateProducerIdsResponse::default().with_error_code(error.code.0),
        }
    }
}
