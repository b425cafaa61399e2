//! UpdateFeatures (57), v0-2: sets finalized feature levels, all of them or none.
//!
//! Versions: v0 has a flag that allows a downgrade (taken as a safe one), v1 an upgrade type and `validate_only`;
//! up to v1 the answer lists the features when all went well, v2 has only the error at the top.
//!
//! `timeout_ms` has no effect, as in Apache Kafka. Left out: authorization.

use super::{Api, Call, Context, Versions, text};
use crate::controller::{FeatureUpdate, UpgradeType};
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

pub struct UpdateFeatures;

impl Api for UpdateFeatures {
    type Request = UpdateFeaturesRequest;
    const NAME: &'static str = "UpdateFeatures";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
        let updates = request.feature_updates.iter().map(|update| change(update, call.version)).collect();
        let response = UpdateFeaturesResponse::default();
        match ctx.controller.update_features(updates, request.validate_only).await {
            Err(error) => {
                let why = error.message.unwrap_or_else(|| error.code.to_string());
                let message =
                    format!("The update failed for all features since the following feature had an error: {why}");
                response.with_error_code(error.code.0).with_error_message(text::message(Some(message)))
            }
            Ok(()) if call.version <= 1 => {
                response.with_error_message(None).with_results(request.feature_updates.iter().map(done).collect())
            }
            Ok(()) => response.with_error_message(None),
        }
    }
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
