//! Decisions about the cluster: topics, partitions, configs, producer ids, features, brokers.
//!
//! ```text
//! api ──► Service ──► machine::… (request, &Image, drawn ids) → (records, answer)
//!            │                                │
//!            └── quorum: propose(records) ◄───┘ ──► committed ──► Store publishes ──► answer
//! ```
//!
//! `machine/` decides and knows nothing of files, clocks or chance; [`Service`] is the shell that
//! takes requests one at a time, has their records committed, and only then answers.

mod request;
mod service;

pub use request::{
    AlterOp, ApiError, ConfigChange, ConfigRules, CreateTopics, CreatedTopic, DeletedTopic, FeatureUpdate,
    NewPartitions, NewTopic, ProducerIdBlock, TopicSelector, UpgradeType,
};
pub use service::{Defaults, Service};
