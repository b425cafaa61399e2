//! This broker as a follower, and what it owes the controller as a leader.
//!
//! [`Fetchers`] follows the metadata: each partition that this broker follows belongs to the fetcher of its leader
//! (`fetcher.rs`), one task per leader and number up to `num.replica.fetchers`. What a fetcher decides is in `machine/`.
//! [`propose_isrs`] sends the leaders' proposals of in-sync replicas to the controller.

mod fetcher;
mod fetchers;
mod isr;
pub mod machine;

pub use fetchers::{FetcherSettings, Fetchers};
pub use isr::{Controller, propose_isrs};
