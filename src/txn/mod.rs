//! Transactions: who coordinates them, what it remembers, and how they end everywhere at once.
//!
//! [`machine::Transactions`] decides, one for each partition of `__transaction_state`; `coordinator/` hosts it; `record` is
//! Kafka's format of what it writes. Left out: two-phase commit (KIP-939), which is not stable in 4.3.

pub mod machine;
pub mod record;
pub mod request;
