//! Committed offsets: commit, fetch, delete, expire (`OffsetMetadataManager`).
//!
//! Nothing here changes but through a record ([`Groups::apply`]): every request checks, writes, and lets the records do it.

mod commit;
mod delete;
mod expire;
mod fetch;
mod names;
mod state;

pub use state::Offsets;

use super::{Env, Groups, Out};

#[cfg(test)]
mod tests;
