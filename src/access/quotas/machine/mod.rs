//! What quotas decide, pure: how fast a client is, which limit applies to it, and for how long it has to wait.
//!
//! Times are milliseconds of a clock that never goes back.

mod bucket;
mod limits;
mod rate;

#[cfg(test)]
mod tests;

pub use crate::config::settings::Windows;
pub use bucket::Bucket;
pub use limits::{AddressLimits, Limit, Limits, Scope};
pub use rate::Rate;

/// Whole milliseconds, as Java rounds.
fn rounded(ms: f64) -> u64 {
    if ms > 0.0 { (ms + 0.5).floor() as u64 } else { 0 }
}
