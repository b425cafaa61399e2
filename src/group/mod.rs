//! Groups: of the classic protocol, of the protocol of KIP-848, and the offsets that both commit; and share groups (KIP-932).
//!
//! [`machine::Groups`] decides, one for each partition of `__consumer_offsets`; `coordinator/` hosts it; `record/` is Kafka's
//! format of what it writes. Streams groups are not here yet: their records are left where they lie.

pub mod coordinator;
pub mod machine;
mod metrics;
pub mod protocol;
pub mod record;
pub mod request;

pub use coordinator::GroupCoordinator;
