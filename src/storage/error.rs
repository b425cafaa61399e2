//! What can go wrong in a log, and the error code a client sees for it.

use crate::model::{ErrorCode, Offset, ProducerEpoch, ProducerId, Sequence};
use crate::rt::fs::will_pass;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// The disk refused, or holds something that cannot be what was written.
#[derive(Debug, Error)]
pub enum StorageError {
    /// No room. The log is as it was and goes on when there is room again; the directory has not failed.
    #[error("no space left for {}", path.display())]
    Full { path: PathBuf },
    /// The process or the system has no file descriptor left. As [`StorageError::Full`], it passes.
    #[error("too many open files to open {}", path.display())]
    TooManyFiles { path: PathBuf },
    /// Any other error of the file system: the log directory is to be failed.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// What lies on disk contradicts itself, and recovery is not allowed to cut it. The next start may be.
    #[error("{}: {what}", path.display())]
    Corrupt { path: PathBuf, what: String },
    /// The caller asked for something the log's state does not allow.
    #[error("{0}")]
    Refused(String),
}

impl StorageError {
    #[must_use]
    pub fn io(path: impl Into<PathBuf>, source: io::Error) -> StorageError {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::Full { path },
            _ if will_pass(&source) => StorageError::TooManyFiles { path },
            _ => StorageError::Io { path, source },
        }
    }

    /// True for what is over as soon as there is room, or a descriptor, again: the log goes on by itself.
    #[must_use]
    pub fn will_pass(&self) -> bool {
        matches!(self, StorageError::Full { .. } | StorageError::TooManyFiles { .. })
    }

    /// True when the log directory has to be taken out of service. What passes is not such a fault, nor is one
    /// damaged log among many.
    #[must_use]
    pub fn fails_directory(&self) -> bool {
        matches!(self, StorageError::Io { .. })
    }

    /// For a client that reads: the records it asked for may be the only ones that are damaged.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            StorageError::Corrupt { .. } => ErrorCode::CORRUPT_MESSAGE,
            _ => ErrorCode::KAFKA_STORAGE_ERROR,
        }
    }
}

/// Why a batch was not appended. The log is as if it had never been offered.
#[derive(Debug, Error)]
pub enum AppendError {
    #[error("the batch has {size} bytes, a segment holds {max}")]
    LargerThanSegment { size: u64, max: u64 },
    #[error("out of order sequence number for producer {}: {} (incoming), {} (current end)", producer.0, sequence.0, last.0)]
    OutOfOrderSequence { producer: ProducerId, sequence: Sequence, last: Sequence },
    #[error("epoch {} of producer {} is below the last seen epoch {}", epoch.0, producer.0, current.0)]
    InvalidProducerEpoch { producer: ProducerId, epoch: ProducerEpoch, current: ProducerEpoch },
    #[error("a write of producer {} outside its transaction", producer.0)]
    InvalidTxnState { producer: ProducerId },
    #[error("the marker for producer {} is of coordinator epoch {epoch}, {current} is known", producer.0)]
    CoordinatorFenced { producer: ProducerId, epoch: i32, current: i32 },
    /// A follower was given a batch that does not continue its log.
    #[error("the batch starts at {offset}, the log ends at {log_end}")]
    UnexpectedOffset { offset: Offset, log_end: Offset },
    #[error("{0}")]
    Malformed(String),
    /// Several batches of one call share one failed write, so the error is shared too.
    #[error(transparent)]
    Storage(#[from] std::sync::Arc<StorageError>),
}

impl AppendError {
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            AppendError::LargerThanSegment { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
            AppendError::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            AppendError::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
            AppendError::InvalidTxnState { .. } => ErrorCode::INVALID_TXN_STATE,
            AppendError::CoordinatorFenced { .. } => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
            AppendError::UnexpectedOffset { .. } => ErrorCode::UNKNOWN_SERVER_ERROR,
            AppendError::Malformed(_) => ErrorCode::CORRUPT_MESSAGE,
            // A producer is to try again elsewhere or later, whatever is wrong here.
            AppendError::Storage(_) => ErrorCode::KAFKA_STORAGE_ERROR,
        }
    }
}

impl From<StorageError> for AppendError {
    fn from(error: StorageError) -> AppendError {
        AppendError::Storage(std::sync::Arc::new(error))
    }
}

/// Why nothing could be read.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("offset {offset} is outside of {log_start}..={log_end}")]
    OutOfRange { offset: Offset, log_start: Offset, log_end: Offset },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReadError {
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            ReadError::Storage(error) => error.code(),
        }
    }
}
