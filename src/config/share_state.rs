//! The settings of what is kept of share groups' deliveries.

use super::ConfigError;
use super::build::Read;
use super::settings::ShareState;

pub(super) fn settings(read: &Read<'_>) -> Result<ShareState, ConfigError> {
    Ok(ShareState {
        partitions: read.int("share.coordinator.state.topic.num.partitions"),
        replication_factor: read.replicas("share.coordinator.state.topic.replication.factor"),
        min_isr: i32::from(read.replicas("share.coordinator.state.topic.min.isr")),
        segment_bytes: read.int("share.coordinator.state.topic.segment.bytes"),
        load_bytes: read.size("share.coordinator.load.buffer.size"),
        compression: read.compression("share.coordinator.state.topic.compression.codec")?,
        updates_per_snapshot: u32::try_from(read.int("share.coordinator.snapshot.update.records.per.snapshot"))
            .unwrap_or_default(),
        write_timeout: read.ms("share.coordinator.write.timeout.ms"),
        prune_interval: read.ms("share.coordinator.state.topic.prune.interval.ms"),
        snapshot_interval: read.ms("share.coordinator.cold.partition.snapshot.interval.ms"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::config::BrokerConfig;
    use crate::config::settings::ShareState;
    use std::time::Duration;

    fn share(pairs: &[(&str, &str)]) -> Result<ShareState, String> {
        let values = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let config = BrokerConfig::new(values).map_err(|error| error.to_string())?;
        Ok(config.settings().share_state.clone())
    }

    #[test]
    fn a_node_alone_keeps_share_state_once_unless_it_is_told_otherwise() {
        let unset = share(&[]).unwrap();
        assert_eq!((unset.partitions, unset.replication_factor, unset.min_isr), (50, 1, 1));
        let said = share(&[("share.coordinator.state.topic.replication.factor", "3")]).unwrap();
        assert_eq!((said.replication_factor, said.min_isr), (3, 1));
        assert_eq!((unset.updates_per_snapshot, unset.write_timeout), (500, Duration::from_secs(5)));
    }

    #[test]
    fn a_compression_of_share_state_is_one_of_kafkas() {
        let compression = |text| share(&[("share.coordinator.state.topic.compression.codec", text)]);
        assert_eq!(compression("4").unwrap().compression, 4);
        assert!(compression("5").unwrap_err().contains("zstd"));
    }
}
