//! Pure decisions of a partition: input in, effects out; no clock, no file, no lock.

mod visibility;

pub use visibility::Visibility;
