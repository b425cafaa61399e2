//! Configuration under Kafka's names: what is accepted, what it means, and where it came from.
//!
//! One table ([`broker_keys`]) of every broker key of Kafka 4.3 and one of the topic keys
//! ([`topic_keys`]) feed parsing, DescribeConfigs and `--help`. What we accept we honour; what we
//! know and cannot do is refused at start with a sentence; what we do not know is warned about once.
//!
//! [`BrokerConfig`] is one consistent configuration, [`Live`] that of a running broker, with the
//! dynamic values of the metadata log on top. Nothing here opens a file or asks a clock: content
//! comes in as arguments.

mod broker;
pub mod broker_keys;
mod broker_keys_group;
mod broker_keys_log;
mod broker_keys_network;
mod broker_keys_node;
mod broker_keys_quorum;
mod broker_keys_quota;
mod broker_keys_remote;
mod broker_keys_replication;
mod broker_keys_security;
mod broker_keys_share;
mod broker_keys_txn;
mod build;
mod cli;
pub mod client;
pub mod describe;
mod doctor_cli;
mod dynamic;
pub mod entity_keys;
mod environment;
mod groups;
pub mod key;
mod listeners;
mod properties;
mod quorum;
pub mod security;
pub mod settings;
mod share_state;
mod several;
mod share;
mod startup;
mod storage_cli;
#[cfg(test)]
mod startup_tests;
pub mod topic;
pub mod topic_keys;
pub mod value;

pub use broker::{BrokerConfig, Live, Values};
pub use cli::{LogFormat, TopicToCreate};
pub use doctor_cli::DoctorCommand;
pub use dynamic::validate_dynamic_broker;
pub use groups::GroupConfig;
pub use settings::{Cleaner, Listener, ListenerName, Roles, SecurityProtocol, Settings};
pub use share::{ShareConfig, ShareReset};
pub use startup::{Command, FormatCommand, Startup, StorageCommand, Surroundings, load};
pub use topic::TopicConfig;
pub use value::BadValue;

/// Why the broker cannot start with this configuration: one sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct ConfigError {
    sentence: String,
    /// What Kafka says when a dynamic change has this fault.
    kafka: Option<&'static str>,
}

impl ConfigError {
    pub fn new(sentence: impl Into<String>) -> ConfigError {
        ConfigError { sentence: sentence.into(), kafka: None }
    }

    fn with_kafkas_words(self, words: &'static str) -> ConfigError {
        ConfigError { kafka: Some(words), ..self }
    }

    /// The fault as an answer to a client.
    fn for_client(&self) -> String {
        self.kafka.map_or_else(|| self.sentence.clone(), |words| format!("requirement failed: {words}"))
    }
}
