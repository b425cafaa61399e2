//! BrokerRegistration (62), v0-4: a broker joins the cluster, or comes back.
//!
//! Versions: v1 has a flag of the migration from ZooKeeper, which is refused as Kafka 4 refuses it; v2 has the log
//! directories; v3 the epoch in which a clean stop was, without which no stop counts as clean.
//! The cluster needs CLUSTER_ACTION.

use super::{Api, Call, Context, Versions};
use crate::controller::{RegisteredListener, Registration};
use crate::model::{ErrorCode, NodeId, Operation};
use kafka_protocol::messages::{BrokerRegistrationRequest, BrokerRegistrationResponse};
use std::sync::Arc;

pub struct BrokerRegistration;

impl Api for BrokerRegistration {
    type Request = BrokerRegistrationRequest;
    const NAME: &'static str = "BrokerRegistration";
    const VERSIONS: Versions = Versions { min: 0, max: 4 };

    async fn handle(ctx: Arc<Context>, call: Call, request: BrokerRegistrationRequest) -> BrokerRegistrationResponse {
        if let Err(error) = call.on_cluster(Operation::ClusterAction) {
            return refused(error.code);
        }
        if request.is_migrating_zk_broker {
            return refused(ErrorCode::BROKER_ID_NOT_REGISTERED);
        }
        match ctx.controller.register_broker(&registration(request)).await {
            Ok(epoch) => BrokerRegistrationResponse::default().with_broker_epoch(epoch),
            Err(error) => refused(error.code),
        }
    }
}

fn refused(code: ErrorCode) -> BrokerRegistrationResponse {
    BrokerRegistrationResponse::default().with_error_code(code.0)
}

fn registration(request: BrokerRegistrationRequest) -> Registration {
    let listeners = request.listeners.into_iter().map(|listener| RegisteredListener {
        name: listener.name.to_string(),
        host: listener.host.to_string(),
        port: listener.port,
        security_protocol: listener.security_protocol,
    });
    let features = request
        .features
        .into_iter()
        .map(|feature| (feature.name.to_string(), feature.min_supported_version, feature.max_supported_version));
    Registration {
        broker: NodeId(request.broker_id.0),
        cluster_id: request.cluster_id.to_string(),
        incarnation: request.incarnation_id,
        listeners: listeners.collect(),
        features: features.collect(),
        rack: request.rack.map(|rack| rack.to_string()),
        log_dirs: request.log_dirs,
        previous_broker_epoch: request.previous_broker_epoch,
    }
}
