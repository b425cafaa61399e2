//! The share coordinator: keeps in `__share_group_state` how far the deliveries of each shared partition have come.
//!
//! `machine/` decides, one machine for each partition of the topic; `record` is what it writes, in Kafka's format;
//! `request` what is asked of it. `coordinator` hosts the machines. A partition of a group is found by the hash of
//! `group:topic id:partition`.

mod batches;
pub mod coordinator;
pub mod machine;
pub mod record;
pub mod request;

pub use coordinator::ShareCoordinator;
