//! The partitions of this broker.
//!
//! A partition is a struct behind one short lock, called directly from the connection's task.
//! [`Manager`] holds them all and turns a metadata delta into create, lead, follow and delete.
//! Decisions are in `machine/`; what waits (for the high watermark, for bytes, for a flush) is
//! released in `waiting.rs` and nowhere else.

pub mod fetch_sessions;
pub mod machine;
mod append;
mod leadership;
mod cleaning;
mod maintenance;
mod manager;
mod moving;
mod open;
mod state;
mod read;
mod throttles;
mod verification;
mod waiting;

pub use append::{Acks, Outcome, TransactionEnd};
pub use leadership::{FollowerLog, IsrChange, IsrCounts, LeaderLog, Standing};
pub use machine::{Proposal, Verdict};
pub use manager::{Manager, ManagerSettings, ResolveConfig, Topic};
pub use moving::FutureReplica;
pub use read::{Isolation, Read, ReadRequest, Reader};
pub use state::{Partition, Positions};
pub use throttles::{Copying, Throttles};
pub use verification::{First, Verification, Verified};
pub use waiting::{Awaited, CommitWait, FetchWaiter};
