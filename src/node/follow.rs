//! What follows the metadata and the metrics beside the partitions.

use crate::config::Live;
use crate::controller;
use crate::metadata::{ConfigResource, Delta, Image, Publisher, ResourceType};
use crate::metrics::{Metrics, PartitionSample, Sample};
use crate::partition::{Manager, Standing};
use crate::replica::Fetchers;
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
    fetchers: &Arc<Fetchers>,
    controller: &Arc<controller::Service>,
) {
    let controller = Arc::clone(controller);
    metrics.register(Box::new(move |sample: &mut Sample| controller.sample(sample)));
    let (manager, fetchers) = (Arc::clone(manager), Arc::clone(fetchers));
    metrics.register(Box::new(move |sample: &mut Sample| {
        for partition in manager.all() {
            // A log that nobody has asked for is not opened to be counted.
            let Some((positions, size)) = partition.positions_if_open() else { continue };
            sample.partitions.push(PartitionSample {
                partition: partition.name().clone(),
                size_bytes: size,
                log_start: positions.log_start,
                log_end: positions.log_end,
                leader: partition.standing().leads,
            });
        }
        let standings: Vec<Standing> = manager.all().iter().map(|partition| partition.standing()).collect();
        let count = |holds: fn(&Standing) -> bool| {
            i64::try_from(standings.iter().filter(|standing| holds(standing)).count()).unwrap_or(i64::MAX)
        };
        let lag = fetchers.lags().into_iter().map(|(_, lag)| lag).max().unwrap_or(0);
        sample.gauges([
            (
                "under_replicated_partitions",
                "Led here, with replicas that are not in sync.",
                count(|s| s.under_replicated),
            ),
            (
                "under_min_isr_partitions",
                "Led here, with fewer in sync than min.insync.replicas.",
                count(|s| s.under_min_isr),
            ),
            (
                "at_min_isr_partitions",
                "Led here, with as many in sync as min.insync.replicas.",
                count(|s| s.at_min_isr),
            ),
            ("offline_replicas", "Partitions of this broker whose log cannot be used.", count(|s| s.offline)),
            ("replica_fetcher_max_lag", "Records that a partition followed here is behind its leader, at most.", lag),
        ]);
        let counts = manager.isr_counts();
        sample.counters([
            ("isr_shrinks", "Replicas taken out of the in-sync replicas by leaders here.", counts.shrinks.get()),
            ("isr_expands", "Replicas taken into the in-sync replicas by leaders here.", counts.expands.get()),
            (
                "isr_failed_updates",
                "Changes of in-sync replicas that the controller did not make.",
                counts.failed.get(),
            ),
        ]);
    }));
}
