//! UpdateFeatures (57), v0-2: sets finalized feature levels, all of them or none.
//!
//! Versions: v0 has a flag that allows a downgrade (taken as a safe one), v1 an upgrade type and `validate_only`;
//! up to v1 the answer lists the features when all went well, v2 has only the error at the top.
//!
//! `timeout_ms` has no effect, as in Apache Kafka. The cluster needs ALTER.

use super::{Api, Call, Context, Versions, text};
use crate::controller::{FeatureUpdate, Service, UpgradeType};
use crate::model::Operation;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct UpdateFeatures;

impl Api for UpdateFeatures {
    type Request = UpdateFeaturesRequest;
    const NAME: &'static str = "UpdateFeatures";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
        if let Err(error) = call.on_cluster(Operation::Alter) {
            let (code, message) = text::error_fields(Err(error));
            return UpdateFeaturesResponse::default().with_error_code(code).with_error_message(message);
        }
        respond(&ctx.controller, call.version, &request).await
    }
}

async fn respond(controller: &Service, version: i16, request: &UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    // Of a feature that comes twice the last update counts.
    let updates: BTreeMap<&str, FeatureUpdate> =
        request.feature_updates.iter().map(|update| (&*update.feature, change(update, version))).collect();
    let outcome = controller.update_features(updates.into_values().collect(), request.validate_only).await;
    let results = match &outcome {
        Ok(()) if version <= 1 => request.feature_updates.iter().map(done).collect(),
        _ => Vec::new(),
    };
    let (code, message) = text::error_fields(outcome);
    UpdateFeaturesResponse::default().with_error_code(code).with_error_message(message).with_results(results)
}

fn change(update: &FeatureUpdateKey, version: i16) -> FeatureUpdate {
    let upgrade = match version {
        0 if update.allow_downgrade => UpgradeType::SafeDowngrade,
        0 => UpgradeType::Upgrade,
        _ => UpgradeType::from_code(update.upgrade_type),
    };
    FeatureUpdate { name: update.feature.to_string(), level: update.max_version_level, upgrade }
}

/// A feature whose level was set. The message is Kafka's, odd as it is.
fn done(update: &FeatureUpdateKey) -> UpdatableFeatureResult {
    UpdatableFeatureResult::default()
        .with_feature(update.feature.clone())
        .with_error_message(Some(StrBytes::from_static_str("NONE")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use crate::model::ErrorCode;

    fn update(feature: &'static str, level: i16) -> FeatureUpdateKey {
        FeatureUpdateKey::default().with_feature(feature.into()).with_max_version_level(level)
    }

    async fn ask(version: i16, update: FeatureUpdateKey, validate_only: bool) -> (UpdateFeaturesResponse, i16) {
        let controller = testing::controller();
        let request =
            UpdateFeaturesRequest::default().with_feature_updates(vec![update]).with_validate_only(validate_only);
        let response = respond(&controller, version, &request).await;
        encoded(version, &response);
        let level = controller.store().load().feature("group.version");
        (response, level)
    }

    #[tokio::test]
    async fn below_v2_the_answer_lists_the_features_that_were_set() {
        for version in 0..=2 {
            let (response, _) = ask(version, update("group.version", 1), false).await;
            assert_eq!((response.error_code, response.error_message), (0, None));
            let names: Vec<_> = response.results.iter().map(|r| r.feature.as_str()).collect();
            assert_eq!(names, if version < 2 { &["group.version"][..] } else { &[] }, "v{version}");
        }
    }

    #[tokio::test]
    async fn a_downgrade_is_allowed_by_the_flag_of_v0_and_by_the_type_later() {
        let down = update("group.version", 0);
        assert_eq!(ask(0, down.clone().with_allow_downgrade(true), false).await.1, 0);
        assert_eq!(ask(1, down.clone().with_upgrade_type(2), false).await.1, 0);
        for version in 0..=2 {
            let (response, level) = ask(version, down.clone(), false).await;
            assert_eq!(ErrorCode(response.error_code), ErrorCode::INVALID_UPDATE_VERSION);
            let message = response.error_message.unwrap_or_default();
            let start = "The update failed for all features since the following feature had an error: Invalid update";
            assert!(message.starts_with(start), "{message}");
            assert_eq!((level, response.results.len()), (1, 0));
        }
    }

    #[tokio::test]
    async fn validate_only_changes_nothing() {
        let (response, level) = ask(1, update("group.version", 0).with_upgrade_type(2), true).await;
        assert_eq!((response.error_code, level), (0, 1));
    }
}
