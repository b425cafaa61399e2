//! Transactions: who coordinates them, what it remembers, and how they end everywhere at once.
//!
//! [`machine::Transactions`] decides, one for each partition of `__transaction_state`; `coordinator/` hosts it; `record` is
//! Kafka's format of what it writes. Left out: two-phase commit (KIP-939), which is not stable in 4.3.

pub mod coordinator;
pub mod machine;
pub mod markers;
pub mod producer_ids;
pub mod record;
pub mod request;

pub use coordinator::{Joining, TransactionCoordinator};
pub use producer_ids::ProducerIds;
