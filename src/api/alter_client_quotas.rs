//! AlterClientQuotas (49), v0-1: sets and removes quotas. One outcome per entity.
//!
//! Versions differ in their encoding only. The cluster needs ALTER_CONFIGS.

use super::{Api, ApiError, Call, Context, Versions, text};
use crate::controller::{QuotaAlteration, QuotaOutcomes};
use crate::metadata::QuotaName;
use crate::model::{ErrorCode, Operation};
use kafka_protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
use kafka_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};
use std::sync::Arc;

pub struct AlterClientQuotas;

impl Api for AlterClientQuotas {
    type Request = AlterClientQuotasRequest;
    const NAME: &'static str = "AlterClientQuotas";
    const VERSIONS: Versions = Versions { min: 0, max: 1 };

    async fn handle(ctx: Arc<Context>, call: Call, request: AlterClientQuotasRequest) -> AlterClientQuotasResponse {
        let asked = question(&request);
        if !call.may().cluster(Operation::AlterConfigs) {
            let error = text::explained(ApiError::bare(ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
            return answer(asked, Err(error));
        }
        let outcome = ctx.controller.alter_client_quotas(asked.clone(), request.validate_only).await;
        answer(asked, outcome)
    }
}

fn question(request: &AlterClientQuotasRequest) -> Vec<QuotaAlteration> {
    let entries = request.entries.iter().map(|entry| QuotaAlteration {
        entity: entry
            .entity
            .iter()
            .map(|part| {
                let name = part.entity_name.as_ref().map(|name| name.to_string());
                (part.entity_type.to_string(), QuotaName::from_nullable(name))
            })
            .collect(),
        ops: entry.ops.iter().map(|op| (op.key.to_string(), (!op.remove).then_some(op.value))).collect(),
    });
    entries.collect()
}

fn answer(asked: Vec<QuotaAlteration>, outcome: Result<QuotaOutcomes, ApiError>) -> AlterClientQuotasResponse {
    let outcomes =
        outcome.unwrap_or_else(|error| asked.into_iter().map(|one| (one.entity, Err(error.clone()))).collect());
    let entries = outcomes.into_iter().map(|(entity, outcome)| {
        let (code, message) = text::error_fields(outcome);
        let parts = entity.into_iter().map(|(kind, name)| {
            EntityData::default().with_entity_type(kind.into()).with_entity_name(name.name().map(text::text))
        });
        EntryData::default().with_error_code(code).with_error_message(message).with_entity(parts.collect())
    });
    AlterClientQuotasResponse::default().with_entries(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use crate::model::ErrorCode;
    use kafka_protocol::messages::alter_client_quotas_request as asking;

    fn entry(user: Option<&'static str>, key: &'static str, value: f64, remove: bool) -> asking::EntryData {
        let part = asking::EntityData::default().with_entity_type("user".into()).with_entity_name(user.map(Into::into));
        let op = asking::OpData::default().with_key(key.into()).with_value(value).with_remove(remove);
        asking::EntryData::default().with_entity(vec![part]).with_ops(vec![op])
    }

    #[tokio::test]
    async fn quotas_are_set_removed_and_refused_one_entity_at_a_time() {
        let controller = testing::controller();
        for (remove, left) in [(false, 2), (true, 1)] {
            let rate = "consumer_byte_rate";
            let entries = vec![
                entry(Some("a"), rate, 100.0, remove),
                entry(None, rate, 5.0, false),
                entry(Some("b"), "x", 1.0, false),
            ];
            let request = AlterClientQuotasRequest::default().with_entries(entries);
            let asked = question(&request);
            let response = answer(asked.clone(), controller.alter_client_quotas(asked, false).await);
            for version in 0..=1 {
                encoded(version, &response);
            }
            let shown: Vec<_> = response
                .entries
                .iter()
                .map(|e| (e.entity[0].entity_name.as_deref(), ErrorCode(e.error_code)))
                .collect();
            let none = ErrorCode::NONE;
            assert_eq!(shown, [(None, none), (Some("a"), none), (Some("b"), ErrorCode::INVALID_REQUEST)]);
            assert_eq!(controller.store().load().quotas.len(), left);
        }
    }

    #[tokio::test]
    async fn validate_only_changes_nothing() {
        let controller = testing::controller();
        let request =
            AlterClientQuotasRequest::default().with_entries(vec![entry(Some("a"), "request_percentage", 1.0, false)]);
        assert!(controller.alter_client_quotas(question(&request), true).await.is_ok());
        assert!(controller.store().load().quotas.is_empty());
    }
}
