//! Share partitions: which records of a partition a share group's members get, and what becomes of them.
//!
//! `machine` decides, for one group and one partition. `held` keeps such a machine while this broker leads the partition:
//! loaded by the first fetch, gone with the leadership. `shares` holds all of them; `fetching` has members read and wait,
//! `settling` hears what they say of their records, ends locks and has decisions kept.

mod fetching;
mod held;
pub mod machine;
mod settling;
mod shares;

pub use fetching::{FetchAsk, Fetched, Found};
pub use shares::Shares;
