//! The controller's shell: takes requests, has their records committed, answers.

use super::request::*;
use crate::metadata::{ConfigResource, Store};
use crate::model::NodeId;
use std::sync::Arc;

/// What CreateTopics and DeleteTopics take from the broker's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// `num.partitions`.
    pub partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
}

/// The controller of this cluster. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    store: Arc<Store>,
}

impl Service {
    /// The committed image and its publishers.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Creates topics; one answer per topic, in order.
    pub async fn create_topics(&self, request: CreateTopics) -> Vec<Result<CreatedTopic, ApiError>> {
        std::future::ready(request.topics.iter().map(|_| Err(unavailable())).collect()).await
    }

    /// Deletes topics; one answer per selector, in order.
    pub async fn delete_topics(&self, topics: Vec<TopicSelector>) -> Vec<Result<DeletedTopic, ApiError>> {
        std::future::ready(topics.iter().map(|_| Err(unavailable())).collect()).await
    }

    /// Adds partitions; one answer per topic, in order.
    pub async fn create_partitions(
        &self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Vec<Result<(), ApiError>> {
        let _ = validate_only;
        std::future::ready(topics.iter().map(|_| Err(unavailable())).collect()).await
    }

    /// Changes single keys of resources; one answer per resource, in order.
    pub async fn incremental_alter_configs(
        &self,
        changes: Vec<(ConfigResource, Vec<ConfigChange>)>,
        validate_only: bool,
    ) -> Vec<Result<(), ApiError>> {
        let _ = validate_only;
        std::future::ready(changes.iter().map(|_| Err(unavailable())).collect()).await
    }

    /// Replaces the whole set of configs of resources; one answer per resource, in order.
    pub async fn alter_configs(
        &self,
        sets: Vec<(ConfigResource, Vec<(String, Option<String>)>)>,
        validate_only: bool,
    ) -> Vec<Result<(), ApiError>> {
        let _ = validate_only;
        std::future::ready(sets.iter().map(|_| Err(unavailable())).collect()).await
    }

    /// Sets finalized feature levels: all of them or none.
    pub async fn update_features(&self, updates: Vec<FeatureUpdate>, validate_only: bool) -> Result<(), ApiError> {
        let _ = (updates, validate_only);
        std::future::ready(Err(unavailable())).await
    }

    /// Hands out the next block of producer ids.
    pub async fn allocate_producer_ids(&self, broker: NodeId, broker_epoch: i64) -> Result<ProducerIdBlock, ApiError> {
        let _ = (broker, broker_epoch);
        std::future::ready(Err(unavailable())).await
    }
}

fn unavailable() -> ApiError {
    ApiError::bare(crate::model::ErrorCode::NOT_CONTROLLER)
}
