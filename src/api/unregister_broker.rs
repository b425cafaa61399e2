//! UnregisterBroker (64), v0: removes a broker that is gone for good. The cluster needs ALTER.

use super::{Api, Call, Context, Versions, text};
use crate::model::{NodeId, Operation};
use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use std::sync::Arc;

pub struct UnregisterBroker;

impl Api for UnregisterBroker {
    type Request = UnregisterBrokerRequest;
    const NAME: &'static str = "UnregisterBroker";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(ctx: Arc<Context>, call: Call, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse {
        let outcome = match call.on_cluster(Operation::Alter) {
            Ok(()) => ctx.controller.unregister_broker(NodeId(request.broker_id.0)).await,
            Err(error) => Err(error),
        };
        let (code, message) = text::error_fields(outcome);
        UnregisterBrokerResponse::default().with_error_code(code).with_error_message(message)
    }
}
