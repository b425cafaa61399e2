//! BrokerHeartbeat (63), v0-1: a broker lives; whether it is fenced, and whether it may stop.
//!
//! Versions: v1 has the log directories that failed.
//! The cluster needs CLUSTER_ACTION.

use super::{Api, Call, Context, Versions};
use crate::controller::Heartbeat;
use crate::model::{NodeId, Operation};
use kafka_protocol::messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use std::sync::Arc;

pub struct BrokerHeartbeat;

impl Api for BrokerHeartbeat {
    type Request = BrokerHeartbeatRequest;
    const NAME: &'static str = "BrokerHeartbeat";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(ctx: Arc<Context>, call: Call, request: BrokerHeartbeatRequest) -> BrokerHeartbeatResponse {
        if let Err(error) = call.on_cluster(Operation::ClusterAction) {
            return BrokerHeartbeatResponse::default().with_error_code(error.code.0);
        }
        let beat = Heartbeat {
            broker: NodeId(request.broker_id.0),
            broker_epoch: request.broker_epoch,
            metadata_offset: request.current_metadata_offset,
            want_fence: request.want_fence,
            want_shut_down: request.want_shut_down,
            offline_log_dirs: request.offline_log_dirs,
        };
        match ctx.controller.heartbeat(&beat).await {
            Ok(standing) => BrokerHeartbeatResponse::default()
                .with_is_caught_up(standing.caught_up)
                .with_is_fenced(standing.fenced)
                .with_should_shut_down(standing.should_shut_down),
            Err(error) => BrokerHeartbeatResponse::default().with_error_code(error.code.0),
        }
    }
}
