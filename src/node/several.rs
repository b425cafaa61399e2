//! The nodes of `--brokers`: which cluster they are.

use super::Error;
use crate::config::BrokerConfig;
use crate::rt::fs::disk::disk;
use crate::storage::dirs;

/// The nodes to start. Several of one process are of the cluster that their directories say, or of a new one.
pub(super) fn of_one_cluster(first: BrokerConfig, others: Vec<BrokerConfig>) -> Result<Vec<BrokerConfig>, Error> {
    let nodes: Vec<BrokerConfig> = std::iter::once(first).chain(others).collect();
    let told = nodes.iter().any(|node| node.settings().cluster_id.is_some());
    if told || nodes.len() == 1 {
        return Ok(nodes);
    }
    let fs = disk();
    let mut known = None;
    for dir in nodes.iter().flat_map(|node| &node.settings().log.dirs) {
        let formatted = dirs::formatted(&*fs, dir).map_err(Error)?;
        known = known.or_else(|| formatted?.cluster_id);
    }
    let id = known.unwrap_or_else(dirs::fresh_cluster_id);
    Ok(nodes.into_iter().map(|node| node.in_cluster(id.clone())).collect())
}
