//! What lies on the disks of nodes that are stopped: the batches of every replica, byte for byte, and its leader epochs.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// A record batch as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) base: i64,
    pub(crate) last: i64,
    pub(crate) epoch: i32,
    /// Of all its bytes.
    pub(crate) digest: u64,
    /// Its own checksum is right.
    pub(crate) sound: bool,
    /// Of data that an idempotent producer numbered.
    pub(crate) numbered: Option<Numbered>,
}

/// Whose records a batch has, and which of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) producer: i64,
    pub(crate) epoch: i16,
    pub(crate) first: i32,
}

/// One node's copy of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) batches: Vec<Batch>,
    /// Epoch and where it starts, of `leader-epoch-checkpoint`.
    pub(crate) epochs: Vec<(i32, i64)>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// The batch at the front of `bytes` and its size, read without any code of the program's own.
fn first(bytes: &[u8]) -> Option<(usize, Batch)> {
    let size = 12 + usize::try_from(i32::from_be_bytes(number(bytes, 8)?)).ok()?;
    let batch = bytes.get(..size).filter(|batch| batch.len() >= 61)?;
    let base = i64::from_be_bytes(number(batch, 0)?);
    let mut digest = DefaultHasher::new();
    batch.hash(&mut digest);
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &batch[21..]);
    let numbered = Numbered {
        producer: i64::from_be_bytes(number(batch, 43)?),
        epoch: i16::from_be_bytes(number(batch, 51)?),
        first: i32::from_be_bytes(number(batch, 53)?),
    };
    let is_control = batch[22] & 0x20 != 0;
    let parsed = Batch {
        base,
        last: base + i64::from(i32::from_be_bytes(number(batch, 23)?)),
        epoch: i32::from_be_bytes(number(batch, 12)?),
        digest: digest.finish(),
        sound: batch[16] == 2 && checksum == u64::from(u32::from_be_bytes(number(batch, 17)?)),
        numbered: (numbered.first >= 0 && !is_control).then_some(numbered),
    };
    Some((size, parsed))
}

/// The batches of a segment, up to where it ends or holds no batch.
fn batches(mut bytes: &[u8]) -> Vec<Batch> {
    let mut found = Vec::new();
    while let Some((size, batch)) = first(bytes) {
        bytes = &bytes[size..];
        found.push(batch);
    }
    found
}

fn epochs(text: &str) -> Vec<(i32, i64)> {
    let entry = |line: &str| {
        let (epoch, start) = line.split_once(' ')?;
        Some((epoch.parse().ok()?, start.parse().ok()?))
    };
    text.lines().skip(2).filter_map(entry).collect()
}

/// A partition's directory.
fn replica(dir: &Path) -> std::io::Result<Replica> {
    let mut segments: Vec<_> = std::fs::read_dir(dir)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    segments.sort();
    let mut replica = Replica::default();
    for segment in segments {
        replica.batches.extend(batches(&std::fs::read(segment)?));
    }
    replica.epochs = epochs(&std::fs::read_to_string(dir.join("leader-epoch-checkpoint")).unwrap_or_default());
    Ok(replica)
}

/// Every partition of a log directory, by the name of its folder.
pub(crate) fn replicas(dir: &Path) -> BTreeMap<String, Replica> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_partition = name.rsplit_once('-').is_some_and(|(_, number)| number.parse::<u32>().is_ok());
        if entry.path().is_dir() && is_partition {
            found.insert(name, replica(&entry.path()).unwrap());
        }
    }
    found
}
