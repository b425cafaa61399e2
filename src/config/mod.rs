//! Configuration under Kafka's names: what is accepted, what it means, and where it came from.
//!
//! One table ([`broker_keys`]) of every broker key of Kafka 4.3 and one of the topic keys feed
//! parsing, DescribeConfigs and `--help`. What we accept we honour; what we know and cannot do is
//! refused at start with a sentence; what we do not know is warned about once.
//!
//! [`load`] makes a [`Startup`] from the command line, the environment and `server.properties`.
//! [`Live`] holds the settings of a running broker, with the dynamic ones of the metadata log on
//! top. Nothing here opens a file or asks a clock: content comes in as arguments.

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
pub mod key;
pub mod settings;
pub mod topic;
pub mod value;

pub use settings::{Listener, ListenerName, Roles, SecurityProtocol, Settings};
