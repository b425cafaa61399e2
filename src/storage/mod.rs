//! The log on disk: segments, indexes, recovery, retention, checkpoints.

pub mod checkpoint;
pub mod flusher;
