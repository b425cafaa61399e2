//! What people chart about the cluster: counted from the image when somebody asks.

use super::service::Service;
use crate::metrics::Sample;

impl Service {
    /// Fills in how the cluster stands, as this node's image has it, and the elections that this node decided.
    pub fn sample(&self, sample: &mut Sample) {
        self.quorum().sample(sample);
        let image = self.store().load();
        let (mut offline, mut under_replicated, mut imbalanced, mut all) = (0, 0, 0, 0);
        for partition in image.topics_by_id.values().flat_map(|topic| &topic.partitions) {
            all += 1;
            offline += i64::from(partition.leader.is_none());
            // While it is moved, a partition has more replicas than it is to have.
            under_replicated += i64::from(partition.isr.len() + partition.adding.len() < partition.replicas.len());
            imbalanced += i64::from(partition.leader != partition.replicas.first().copied());
        }
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let fenced = image.brokers.values().filter(|broker| broker.fenced).count();
        sample.gauges([
            ("active_controller", "Whether this node is the active controller.", i64::from(self.is_active())),
            ("metadata_offset", "Offset of the last metadata record that this node has.", image.offset.0),
            ("cluster_brokers_active", "Brokers that are unfenced.", count(image.brokers.len() - fenced)),
            ("cluster_brokers_fenced", "Brokers that are fenced.", count(fenced)),
            ("cluster_topics", "Topics of the cluster.", count(image.topics_by_id.len())),
            ("cluster_partitions", "Partitions of the cluster.", all),
            ("cluster_partitions_offline", "Partitions without a leader.", offline),
            ("cluster_partitions_under_replicated", "Partitions with replicas that are not in sync.", under_replicated),
            ("cluster_partitions_imbalanced", "Partitions not led by their first replica.", imbalanced),
        ]);
        let (elections, unclean) = self.elections();
        sample.counters([
            ("controller_elections", "Leaders that this node elected as the controller.", elections),
            ("controller_unclean_elections", "Those of them that may lack committed records.", unclean),
        ]);
    }
}
