//! Typed settings under Kafka's names.

pub mod topic;
