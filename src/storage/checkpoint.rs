//! Kafka's text checkpoints (`CheckpointFile`, `OffsetCheckpointFile`): a version, a count, and one
//! entry to a line. Version 0 only. Written so that a crash leaves the old or the new file.

use crate::model::{Offset, PartitionId, TopicName, TopicPartition};
use crate::rt::fs::Fs;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use thiserror::Error;

/// Where recovery of a log begins if its directory was not closed cleanly.
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// The first offset of each log that DeleteRecords or retention left.
pub const LOG_STARTS: &str = "log-start-offset-checkpoint";
/// The high watermarks.
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";

/// Why a checkpoint was not read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("version {0} is not 0")]
    Version(String),
    #[error("malformed line: {0}")]
    Line(String),
    #[error("{declared} entries are declared, {found} are there")]
    Count { declared: usize, found: usize },
}

/// The entry lines of a checkpoint. An empty file has none.
///
/// # Errors
/// Not UTF-8, another version, or another number of entries than declared.
pub fn lines(content: &[u8]) -> Result<Vec<&str>, CheckpointError> {
    let text = std::str::from_utf8(content).map_err(|_| CheckpointError::Line("not UTF-8".into()))?;
    let mut lines = text.lines();
    let Some(version) = lines.next() else { return Ok(Vec::new()) };
    if version.parse() != Ok(0) {
        return Err(CheckpointError::Version(shortened(version)));
    }
    let Some(count) = lines.next() else { return Ok(Vec::new()) };
    let declared: usize = count.parse().map_err(|_| CheckpointError::Line(shortened(count)))?;
    let entries: Vec<&str> = lines.collect();
    if entries.len() == declared { Ok(entries) } else { Err(CheckpointError::Count { declared, found: entries.len() }) }
}

/// A checkpoint with these entry lines.
pub fn encode(entries: impl ExactSizeIterator<Item = String>) -> Vec<u8> {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    text.into_bytes()
}

/// An error message needs no more of a line that may be anything.
fn shortened(line: &str) -> String {
    line.chars().take(80).collect()
}

/// Reads `<topic> <partition> <offset>` entries. A file that is not there has none.
///
/// # Errors
/// The file cannot be read, or is not such a checkpoint.
pub fn read_offsets(fs: &dyn Fs, path: &Path) -> Result<HashMap<TopicPartition, Offset>, CheckpointError> {
    let content = match fs.read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(error.into()),
    };
    lines(&content)?.into_iter().map(|line| entry(line).ok_or_else(|| CheckpointError::Line(shortened(line)))).collect()
}

fn entry(line: &str) -> Option<(TopicPartition, Offset)> {
    let mut parts = line.split_ascii_whitespace();
    let topic = parts.next()?;
    let partition = parts.next()?.parse().ok()?;
    let offset = parts.next()?.parse().ok()?;
    parts.next().is_none().then(|| (TopicPartition::new(TopicName::new(topic), PartitionId(partition)), Offset(offset)))
}

/// Writes the checkpoint, sorted.
///
/// # Errors
/// The disk refused; the old file is still there.
pub fn write_offsets<'a>(
    fs: &dyn Fs,
    path: &Path,
    offsets: impl IntoIterator<Item = (&'a TopicPartition, Offset)>,
) -> io::Result<()> {
    let mut entries: Vec<(&TopicPartition, Offset)> = offsets.into_iter().collect();
    entries.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let mut text = format!("0\n{}\n", entries.len());
    for (at, offset) in entries {
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{} {} {offset}", at.topic, at.partition.0);
    }
    fs.write_atomic(path, text.as_bytes())
}
