//! UnregisterBroker (64), v0: removes a broker that is gone for good.

use super::{Api, Call, Context, Versions, text};
use crate::model::NodeId;
use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use std::sync::Arc;

pub struct UnregisterBroker;

impl Api for UnregisterBroker {
    type Request = UnregisterBrokerRequest;
    const NAME: &'static str = "UnregisterBroker";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(ctx: Arc<Context>, _call: Call, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse {
        let (code, message) = text::error_fields(ctx.controller.unregister_broker(NodeId(request.broker_id.0)).await);
        UnregisterBrokerResponse::default().with_error_code(code).with_error_message(message)
    }
}
