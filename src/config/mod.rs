//! Configuration under Kafka's names: what is accepted, what it means, and where it came from.
//!
//! One table ([`broker_keys`]) of every broker key of Kafka 4.3 and one of the topic keys feed
//! parsing, DescribeConfigs and `--help`. What we accept we honour; what we know and cannot do is
//! refused at start with a sentence; what we do not know is warned about once.
//!
//! [`load`] makes a [`Startup`] from the command line, the environment and `server.properties`.
//! [`Live`] holds the settings of a running broker, with the dynamic ones of the metadata log on
//! top. Nothing here opens a file or asks a clock: content comes in as arguments.

pub mod settings;
pub mod topic;

pub use settings::{Listener, ListenerName, Roles, SecurityProtocol, Settings};
