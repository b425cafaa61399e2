//! The log on disk: segments, indexes, recovery, retention, checkpoints.
//!
//! Synchronous, over [`crate::rt::fs`], in Kafka's directory and segment format. [`Log`] is one
//! partition; it takes no lock of its own (its partition has one) and does no IO in `Drop`.

pub mod checkpoint;
pub mod cleaner;
pub mod dirs;
pub mod flusher;
mod epochs;
mod error;
mod files;
mod index;
mod log;
mod producers;
mod segment;

pub use error::{AppendError, ReadError, StorageError};
pub use log::{
    AbortedTransaction, Answers, Appended, EpochEnd, FileSlice, FlushJob, FlushMark, FutureError, FutureLog, Log,
    OpenLog, Origin, Piece, ProducerView, RecoveryProgress, TimestampedOffset,
};
