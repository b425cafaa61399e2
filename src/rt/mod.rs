//! The only doors to the outside: time, files, sockets, chance.
//!
//! Everything above takes what it needs from here, so that a test can hand in a clock that it
//! moves itself or a disk that loses what was not synced. Nothing above this module names
//! `std::fs`, `std::time::SystemTime`, `Instant::now` or a random number source.

pub mod blocking;
pub mod clock;
pub mod fs;
pub mod logging;
#[cfg(any(test, feature = "planted"))]
pub(crate) mod planted;
pub mod process;
pub mod rand;
