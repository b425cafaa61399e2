//! Kafka's text checkpoints (`CheckpointFile`, `OffsetCheckpointFile`): a version, a count, and one
//! entry to a line. Version 0 only. Written so that a crash leaves the old or the new file.

use crate::model::{Offset, PartitionId, TopicName, TopicPartition};
use crate::rt::fs::Fs;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use thiserror::Error;

/// Where recovery of a log begins if its directory was not closed cleanly.
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// The first offset of each log that DeleteRecords or retention left.
pub const LOG_STARTS: &str = "log-start-offset-checkpoint";
/// The high watermarks.
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// What compaction has reached.
pub const CLEANED_TO: &str = "cleaner-offset-checkpoint";

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
    let text = encode(entries.into_iter().map(|(at, offset)| format!("{} {} {offset}", at.topic, at.partition.0)));
    fs.write_atomic(path, &text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::rt::fs::sim::SimFs;

    const PATH: &str = "/recovery-point-offset-checkpoint";

    fn read(content: &str) -> Result<HashMap<TopicPartition, Offset>, CheckpointError> {
        let fs = SimFs::new();
        fs.write_atomic(Path::new(PATH), content.as_bytes()).unwrap();
        read_offsets(&fs, Path::new(PATH))
    }

    fn at(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition::new(TopicName::new(topic), PartitionId(partition))
    }

    #[test]
    fn offsets_are_written_as_kafka_writes_them_and_read_back() {
        let fs = SimFs::new();
        let offsets =
            HashMap::from([(at("b", 0), Offset(7)), (at("a", 10), Offset(i64::MAX)), (at("a", 2), Offset(0))]);
        write_offsets(&fs, Path::new(PATH), offsets.iter().map(|(at, offset)| (at, *offset))).unwrap();
        let text = fs.read(Path::new(PATH)).unwrap();
        assert_eq!(text, b"0\n3\na 2 0\na 10 9223372036854775807\nb 0 7\n");
        assert_eq!(read_offsets(&fs, Path::new(PATH)).unwrap(), offsets);
    }

    #[test]
    fn a_checkpoint_that_is_missing_or_empty_has_no_entries() {
        assert!(read_offsets(&SimFs::new(), Path::new(PATH)).unwrap().is_empty());
        assert!(read("").unwrap().is_empty());
        assert!(read("0\n").unwrap().is_empty());
        assert!(read("0\n0\n").unwrap().is_empty());
    }

    #[test]
    fn any_white_space_separates() {
        assert_eq!(read("0\n1\na \t 1  5\n").unwrap(), HashMap::from([(at("a", 1), Offset(5))]));
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        for bad in [
            "1\n0\n",
            "x",
            "0\nx\n",
            "0\n2\na 1 5\n",
            "0\n0\na 1 5\n",
            "0\n1\na 1\n",
            "0\n1\na 1 5 6\n",
            "0\n1\na b 5\n",
        ] {
            assert!(read(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(matches!(lines(&[0xff, 0xfe]), Err(CheckpointError::Line(_))));
        // A count is never believed.
        assert!(matches!(read("0\n4000000000\n"), Err(CheckpointError::Count { found: 0, .. })));
    }
}
