//! Pure decisions of a partition: input in, effects out; no clock, no file, no lock.

mod leader;
mod throttle;
mod truncation;
mod visibility;

pub use leader::{FollowerFetch, Leader, Progress, Proposal, Verdict};
pub use throttle::Throttle;
pub use truncation::truncation;
pub use visibility::{NO_LIMIT, Visibility};

#[cfg(test)]
mod tests;
