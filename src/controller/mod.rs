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
//!
//! Every node has a service, one of them decides. [`Client`] asks it for this node's broker, [`Lifecycle`] is the broker's
//! standing with it, [`attend`] what it does unasked.

mod bootstrap;
mod census;
mod client;
mod duty;
pub mod format;
mod lifecycle;
mod machine;
pub mod refusal;
mod request;
mod security;
mod service;

#[cfg(test)]
mod tests;

pub use bootstrap::{Start, StartError, start};
pub use client::Client;
pub use duty::{Duties, attend};
pub use lifecycle::{Lifecycle, Offline, Phase};
pub use machine::features::{FEATURES, Feature};
pub use machine::tokens::hmac as token_hmac;
pub use request::{
    AlterOp, ApiError, Assignment, ConfigChange, ConfigRules, ConfigSet, CreateTopics, CreatedTopic, Defaults,
    DeletedTopic, ElectLeaders, Elected, ElectionType, FeatureUpdate, Heartbeat, IsrProposal, IsrVerdict,
    NewPartitions, NewTopic, ProducerIdBlock, Reassign, Reassignment, RegisteredListener, Registration, Standing,
    TopicSelector, UpgradeType,
};
pub use security::{
    AlterScram, AskedEntity, CreateToken, CreatedToken, QuotaAlteration, QuotaOutcomes, ScramDeletion, ScramUpsertion,
    UserOutcomes,
};
pub use service::{Parts, Service, supported_features};
