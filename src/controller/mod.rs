//! Decisions about the cluster: topics, partitions, configs, producer ids, features, brokers.
//!
//! ```text
//! api ──► Service ──► machine::… (request, &Image, drawn ids) → (records, answer)
//!            │                                │
//!            └── quorum: propose(records) ◄───┘ ──► committed ──► Store publishes ──► answer
//! ```
//!
//! `machine/` decides and knows nothing of files, clocks or chance; [`Service`] is the shell that
//! takes requests one at a time, has their records committed, and only then answers. [`start`] makes
//! a cluster of an empty directory and joins this node to it.

mod bootstrap;
mod machine;
mod request;
mod security;
mod service;

#[cfg(test)]
mod tests;

pub use bootstrap::{Start, StartError, start};
pub use machine::features::{FEATURES, Feature};
pub use request::{
    AlterOp, ApiError, ConfigChange, ConfigRules, ConfigSet, CreateTopics, CreatedTopic, Defaults, DeletedTopic,
    DirectoryAssignment, FeatureUpdate, NewPartitions, NewTopic, ProducerIdBlock, Registration, TopicSelector,
    UpgradeType,
};
pub use security::{
    AlterScram, AskedEntity, CreateToken, CreatedToken, QuotaAlteration, ScramDeletion, ScramUpsertion, TokenSettings,
    UserOutcomes,
};
pub use service::Service;
