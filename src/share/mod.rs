//! Share groups (KIP-932): consumers that take records of a partition in turns, each record acknowledged on its own.
//!
//! `persister` is how the rest of the broker reads and writes what must outlive it of a partition's deliveries; `state`
//! coordinates that in `__share_group_state`. `partition` decides which records a member may take, and `session` what a
//! member's fetches go over. Who is a member of a group is the business of the group coordinator.

pub mod partition;
pub mod persister;
pub mod session;
pub mod state;

pub use partition::Shares;
pub use persister::Persister;
pub use state::ShareCoordinator;
