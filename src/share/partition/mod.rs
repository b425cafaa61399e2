//! Share partitions: which records of a partition a share group's members get, and what becomes of them.
//!
//! `machine` decides; the rest holds the partitions of this broker, reads and waits for them.

pub mod machine;
