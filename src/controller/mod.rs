//! Decisions about the cluster: topics, partitions, configs, producer ids, features.
