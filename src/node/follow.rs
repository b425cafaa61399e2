//! What follows the metadata and the metrics beside the partitions.

use crate::config::Live;
use crate::controller;
use crate::metadata::{ConfigResource, Delta, Image, Publisher, ResourceType};
use crate::metrics::{Metrics, PartitionSample, Sample};
use crate::partition::Manager;
use std::sync::Arc;
use tracing::warn;

/// Keeps the live configuration in step with the dynamic configs of the metadata.
pub(super) struct DynamicConfig {
    pub(super) live: Arc<Live>,
    pub(super) node: i32,
}

impl Publisher for DynamicConfig {
    fn publish(&self, image: &Arc<Image>, delta: &Delta) {
        if !delta.configs.keys().any(|resource| resource.kind == ResourceType::Broker) {
            return;
        }
        let of = |resource: &ConfigResource| image.config(resource).clone();
        let cluster = of(&ConfigResource::cluster_default());
        let broker = of(&ConfigResource::new(ResourceType::Broker, self.node.to_string()));
        for left_out in self.live.set_dynamic(cluster, broker) {
            warn!(setting = left_out, "a dynamic setting is not used");
        }
    }
}

/// What metrics ask for at a scrape.
pub(super) fn register_collectors(
    metrics: &Arc<Metrics>,
    manager: &Arc<Manager>,
    controller: &Arc<controller::Service>,
) {
    let (node, store) = (controller.node(), Arc::clone(controller.store()));
    let controller = Arc::clone(controller);
    metrics.register(Box::new(move |sample: &mut Sample| controller.sample(sample)));
    let manager = Arc::clone(manager);
    metrics.register(Box::new(move |sample: &mut Sample| {
        let image = store.load();
        for partition in manager.all() {
            // A log that nobody has asked for is not opened to be counted.
            let Some((positions, size)) = partition.positions_if_open() else { continue };
            let topic = image.topic_by_id(partition.topic_id());
            let leader = topic.and_then(|topic| topic.partition(partition.name().partition)?.leader);
            sample.partitions.push(PartitionSample {
                partition: partition.name().clone(),
                size_bytes: size,
                log_start: positions.log_start,
                log_end: positions.log_end,
                leader: leader == Some(node),
            });
        }
    }));
}
