//! The log directories of this broker (`log.dirs`): whose they are, what lies in them, which of
//! them still work.
//!
//! [`LogDirs::open`] creates what is missing, takes each directory's `.lock`, checks or writes
//! `meta.properties` (Kafka's version 1), notes and removes `.kafka_cleanshutdown`, and lists the
//! partitions by their names alone: no partition's directory is read. [`LogDirs::open_unsettled`] leaves the
//! writing of `meta.properties` for later, so that a new broker need not wait for the disk. A directory that cannot be
//! used is failed and the others go on, as long as there is one. A deleted partition is renamed at
//! once and removed later by [`LogDirs::reap`], as are those that an earlier life left behind.
//! Copies of partitions on their way between directories are in `moving`. Left out: cordoned directories.

mod meta;
mod moving;
mod names;
#[cfg(test)]
mod tests;

pub use moving::PromoteError;

use super::checkpoint;
use crate::model::{NodeId, Offset, TimestampMs, TopicId, TopicName, TopicPartition};
use crate::rt::fs::{Fs, Lock, Space, Volume};
use crate::rt::rand;
use meta::{CLEAN_SHUTDOWN, META_PROPERTIES, Meta, PARTITION_METADATA};
use names::Name;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use thiserror::Error;
use uuid::Uuid;

/// What the `meta.properties` of a directory say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatted {
    pub cluster_id: Option<String>,
    pub node_id: Option<NodeId>,
    /// All of it, as Kafka's tools show it.
    pub shown: String,
}

/// Whether a directory is formatted, and for whom.
///
/// # Errors
/// Why its `meta.properties` cannot be read.
pub fn formatted(fs: &dyn Fs, dir: &Path) -> Result<Option<Formatted>, String> {
    let content = meta::read_optional(fs, &dir.join(META_PROPERTIES)).map_err(|error| error.to_string())?;
    let Some(content) = content else { return Ok(None) };
    let Meta { cluster_id, node_id, .. } = Meta::parse(&content)?;
    Ok(Some(Formatted { cluster_id, node_id, shown: meta::shown(&content) }))
}

/// An id for a new cluster.
#[must_use]
pub fn fresh_cluster_id() -> String {
    meta::base64(rand::uuid())
}

/// Writes the `meta.properties` of a directory that has none, with a new id, durably.
///
/// # Errors
/// The disk refused.
pub fn format_dir(fs: &dyn Fs, dir: &Path, cluster_id: &str, node_id: NodeId) -> io::Result<()> {
    let text = Meta::encode(cluster_id, node_id, rand::uuid());
    fs.write_atomic(&dir.join(META_PROPERTIES), text.as_bytes())?;
    fs.sync_dir(dir)
}

/// Whose directories they are to be.
#[derive(Clone, Debug)]
pub struct Owner {
    pub node_id: NodeId,
    /// `None`: whatever the directories say; a new one if they are new.
    pub cluster_id: Option<String>,
}

/// Why the broker cannot start on these directories.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DirsError {
    #[error("log.dirs is empty: name at least one directory")]
    None,
    #[error("the log directory {0} is named twice in log.dirs")]
    Duplicate(PathBuf),
    #[error("the log directory {0} is in use by another process (its .lock is held)")]
    Locked(PathBuf),
    #[error("the log directory {dir} belongs to node {stored}, but node.id is {configured}")]
    OtherNode { dir: PathBuf, stored: i32, configured: i32 },
    #[error("the log directory {dir} belongs to the cluster {stored}, not to {expected}")]
    OtherCluster { dir: PathBuf, stored: String, expected: String },
    #[error("the log directories {0} and {1} have the same directory.id: one is a copy of the other")]
    SameDirectory(PathBuf, PathBuf),
    #[error("none of the log directories can be used: {0}")]
    AllFailed(String),
}

/// One of `log.dirs`.
#[derive(Debug)]
pub struct LogDir {
    path: PathBuf,
    id: Uuid,
    clean: bool,
    clean_epoch: Option<i64>,
    found: Vec<TopicPartition>,
    futures: Vec<(TopicPartition, PathBuf)>,
    partitions: AtomicUsize,
    failure: Mutex<Option<String>>,
    volume: Option<Arc<dyn Volume>>,
    /// What [`LogDirs::settle`] has to do.
    unsettled: Mutex<Unsettled>,
    _lock: Option<Box<dyn Lock>>,
}

/// What a directory lacks that is to be its broker's for good.
#[derive(Debug, Default)]
struct Unsettled {
    /// Directories in which a new one was made.
    parents: Vec<PathBuf>,
    meta_properties: Option<String>,
}

impl LogDir {
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `directory.id`; nil if the directory failed before it was known.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The last life ended with [`LogDirs::close`]: its logs need no recovery.
    #[must_use]
    pub fn was_closed_cleanly(&self) -> bool {
        self.clean
    }

    /// The broker epoch of that life.
    #[must_use]
    pub fn epoch_of_clean_close(&self) -> Option<i64> {
        self.clean_epoch
    }

    /// The partitions that were here when the directory was opened, by name.
    #[must_use]
    pub fn found_at_start(&self) -> &[TopicPartition] {
        &self.found
    }

    /// The copies that were on their way here when the last life ended, and where they lie.
    #[must_use]
    pub fn futures_at_start(&self) -> &[(TopicPartition, PathBuf)] {
        &self.futures
    }

    /// How many partitions are here now.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions.load(Ordering::Relaxed)
    }

    /// Why the directory is failed, if it is.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    #[must_use]
    pub fn is_live(&self) -> bool {
        self.failure.lock().is_none()
    }

    /// Where a partition lies, whether or not it does.
    #[must_use]
    pub fn partition_path(&self, at: &TopicPartition) -> PathBuf {
        self.path.join(at.to_string())
    }

    fn broken(path: &Path, why: String) -> LogDir {
        LogDir {
            path: path.to_owned(),
            id: Uuid::nil(),
            clean: false,
            clean_epoch: None,
            found: Vec::new(),
            futures: Vec::new(),
            partitions: AtomicUsize::new(0),
            failure: Mutex::new(Some(why)),
            volume: None,
            unsettled: Mutex::default(),
            _lock: None,
        }
    }
}

/// A directory to be removed.
#[derive(Debug)]
struct Deleted {
    path: PathBuf,
    due: TimestampMs,
}

/// All log directories of the broker.
#[derive(Debug)]
pub struct LogDirs {
    fs: Arc<dyn Fs>,
    dirs: Vec<LogDir>,
    node_id: NodeId,
    cluster_id: String,
    deleted: Mutex<Vec<Deleted>>,
}

/// More new partitions at once than this, and the volume is synced instead of each file and name.
const SYNC_VOLUME_ABOVE: usize = 2;

impl LogDirs {
    /// Opens the directories for their owner, and settles what is new about them.
    ///
    /// # Errors
    /// Another process or broker has them, or none can be used.
    pub fn open(fs: Arc<dyn Fs>, paths: &[PathBuf], owner: &Owner) -> Result<LogDirs, DirsError> {
        let dirs = LogDirs::open_unsettled(fs, paths, owner)?;
        dirs.settle().map_err(|error| DirsError::AllFailed(error.to_string()))?;
        Ok(dirs)
    }

    /// Opens the directories for their owner. What a new one is to be called is decided but not on disk: before anything
    /// else in it may count as durable, [`LogDirs::settle`] has to be called.
    ///
    /// # Errors
    /// Another process or broker has them, or none can be used.
    pub fn open_unsettled(fs: Arc<dyn Fs>, paths: &[PathBuf], owner: &Owner) -> Result<LogDirs, DirsError> {
        if paths.is_empty() {
            return Err(DirsError::None);
        }
        if let Some((i, path)) = paths.iter().enumerate().find(|(i, path)| paths[..*i].contains(path)) {
            debug_assert!(i > 0);
            return Err(DirsError::Duplicate(path.clone()));
        }
        let mut claimed = Vec::with_capacity(paths.len());
        for path in paths {
            claimed.push(claim(&*fs, path)?);
        }
        let cluster_id = agree(paths, &claimed, owner)?;

        let mut dirs = Vec::with_capacity(paths.len());
        let mut deleted = Vec::new();
        for (path, claim) in paths.iter().zip(claimed) {
            let opened = claim.and_then(|claim| {
                enter(&*fs, path, claim, owner.node_id, &cluster_id, &mut deleted).map_err(|error| error.to_string())
            });
            dirs.push(opened.unwrap_or_else(|why| LogDir::broken(path, why)));
        }
        let dirs = LogDirs { fs, dirs, node_id: owner.node_id, cluster_id, deleted: Mutex::new(deleted) };
        if dirs.live().next().is_none() {
            let whys =
                dirs.dirs.iter().map(|dir| format!("{}: {}", dir.path.display(), dir.failure().unwrap_or_default()));
            return Err(DirsError::AllFailed(whys.collect::<Vec<_>>().join("; ")));
        }
        for (dir, why) in dirs.dirs.iter().filter_map(|dir| Some((dir, dir.failure()?))) {
            tracing::error!(dir = %dir.path.display(), why, "the log directory cannot be used");
        }
        Ok(dirs)
    }

    /// Writes the `meta.properties` of new directories, durably; fails those that cannot be written. Does nothing the
    /// second time.
    ///
    /// # Errors
    /// No directory is left.
    pub fn settle(&self) -> io::Result<()> {
        for dir in &self.dirs {
            let Unsettled { parents, meta_properties } = std::mem::take(&mut *dir.unsettled.lock());
            let written = meta_properties
                .map_or(Ok(()), |text| self.fs.write_atomic(&dir.path.join(META_PROPERTIES), text.as_bytes()))
                .and_then(|()| parents.iter().try_for_each(|parent| self.fs.sync_dir(parent)));
            if let Err(error) = written
                && !self.fail(dir, &format!("{META_PROPERTIES}: {error}"))
            {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", dir.path.display())));
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Every directory, in the order of `log.dirs`, failed ones too.
    #[must_use]
    pub fn all(&self) -> &[LogDir] {
        &self.dirs
    }

    pub fn live(&self) -> impl Iterator<Item = &LogDir> {
        self.dirs.iter().filter(|dir| dir.is_live())
    }

    /// The broker epoch of the last life, if it closed every directory cleanly and they are all here
    /// (`LogManager.readBrokerEpochFromCleanShutdownFiles`): only then is it certain that no log lacks its end.
    #[must_use]
    pub fn epoch_of_clean_close(&self) -> Option<i64> {
        let mut epochs = self.dirs.iter().map(|dir| dir.epoch_of_clean_close().filter(|_| dir.is_live()));
        let first = epochs.next()??;
        epochs.all(|epoch| epoch == Some(first)).then_some(first)
    }

    #[must_use]
    pub fn by_id(&self, id: Uuid) -> Option<&LogDir> {
        self.dirs.iter().find(|dir| dir.id == id && !id.is_nil())
    }

    /// Where a new partition goes: the live directory with the fewest (`LogManager.nextLogDirs`).
    #[must_use]
    pub fn choose(&self) -> Option<&LogDir> {
        self.live().min_by_key(|dir| dir.partitions())
    }

    /// Makes the directories of new partitions, with their `partition.metadata`, durable before it
    /// returns. A partition that is there already with the same topic id is left as it is.
    ///
    /// # Errors
    /// `AlreadyExists`: a partition is there under another topic id. Otherwise the disk refused, and
    /// the directory is to be failed.
    pub fn create_partitions(&self, dir: &LogDir, new: &[(TopicPartition, TopicId)]) -> io::Result<()> {
        let mut missing = Vec::with_capacity(new.len());
        for (at, id) in new {
            let path = dir.partition_path(at);
            let is_new = !self.fs.exists(&path);
            match self.topic_id(&path)? {
                Some(there) if there == *id => {}
                Some(there) => {
                    let what = format!("{} holds the topic {there}, not {id}", path.display());
                    return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
                }
                None => missing.push((path, meta::encode_partition_metadata(*id), is_new)),
            }
        }
        for (path, _, _) in &missing {
            self.fs.create_dir_all(path)?;
        }
        match &dir.volume {
            Some(volume) if missing.len() > SYNC_VOLUME_ABOVE => self.write_staged(&**volume, &missing)?,
            _ => {
                for (path, text, _) in &missing {
                    self.fs.write_atomic(&path.join(PARTITION_METADATA), text.as_bytes())?;
                }
                if !missing.is_empty() {
                    self.fs.sync_dir(&dir.path)?;
                }
            }
        }
        dir.partitions.fetch_add(missing.iter().filter(|(_, _, is_new)| *is_new).count(), Ordering::Relaxed);
        Ok(())
    }

    /// What [`Fs::write_atomic`] does, for many files with two syncs.
    fn write_staged(&self, volume: &dyn Volume, files: &[(PathBuf, String, bool)]) -> io::Result<()> {
        let staged = |path: &Path| path.join(format!("{PARTITION_METADATA}.tmp"));
        for (path, text, _) in files {
            let file = self.fs.open(&staged(path), crate::rt::fs::Open::Truncate)?;
            file.write_all_at(&mut [IoSlice::new(text.as_bytes())], 0)?;
        }
        volume.sync()?;
        for (path, _, _) in files {
            self.fs.rename(&staged(path), &path.join(PARTITION_METADATA))?;
        }
        volume.sync()
    }

    /// The topic id in the `partition.metadata` of a partition's directory; `None` if there is none
    /// or it makes no sense.
    ///
    /// # Errors
    /// The disk refused.
    pub fn topic_id(&self, partition: &Path) -> io::Result<Option<TopicId>> {
        let Some(content) = meta::read_optional(&*self.fs, &partition.join(PARTITION_METADATA))? else {
            return Ok(None);
        };
        let id = meta::parse_partition_metadata(&content);
        if id.is_none() {
            tracing::warn!(partition = %partition.display(), "partition.metadata is not what it should be");
        }
        Ok(id)
    }

    /// Takes a partition out of service: renames its directory, durably; [`LogDirs::reap`] removes it
    /// from `delay_ms` on. Its files must not be written any more. Not there: nothing happens.
    ///
    /// # Errors
    /// The disk refused, and the directory is to be failed.
    pub fn delete_partition(
        &self,
        dir: &LogDir,
        at: &TopicPartition,
        now: TimestampMs,
        delay_ms: i64,
    ) -> io::Result<()> {
        let path = dir.path.join(names::deleted(at));
        match self.fs.rename(&dir.partition_path(at), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        }
        dir.partitions.fetch_sub(1, Ordering::Relaxed);
        self.deleted.lock().push(Deleted { path, due: now.plus(delay_ms) });
        self.fs.sync_dir(&dir.path)
    }

    /// Renames the directory of a partition that no topic claims, so that it is kept but not in the way
    /// (`LogManager`, `-stray`).
    ///
    /// # Errors
    /// The disk refused, and the directory is to be failed.
    pub fn set_stray_aside(&self, dir: &LogDir, at: &TopicPartition) -> io::Result<()> {
        self.fs.rename(&dir.partition_path(at), &dir.path.join(names::stray(at)))?;
        dir.partitions.fetch_sub(1, Ordering::Relaxed);
        self.fs.sync_dir(&dir.path)
    }

    /// Removes the deleted partitions whose time has come; to be called now and then on a thread
    /// that may block. Returns how many are gone. What cannot be removed is logged, and tried again
    /// by the next life.
    pub fn reap(&self, now: TimestampMs) -> usize {
        let due: Vec<Deleted> = {
            let mut deleted = self.deleted.lock();
            let (due, later) = deleted.drain(..).partition(|one| one.due <= now);
            *deleted = later;
            due
        };
        let gone = due.iter().filter(|one| match self.fs.remove_dir_all(&one.path) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %one.path.display(), %error, "a deleted partition could not be removed");
                false
            }
        });
        gone.count()
    }

    /// When [`LogDirs::reap`] next has something to do.
    #[must_use]
    pub fn next_reap(&self) -> Option<TimestampMs> {
        self.deleted.lock().iter().map(|one| one.due).min()
    }

    /// Takes a directory out of service. Says whether another one is left: without one the broker
    /// has to stop.
    pub fn fail(&self, dir: &LogDir, why: &str) -> bool {
        let first = {
            let mut failure = dir.failure.lock();
            let first = failure.is_none();
            failure.get_or_insert_with(|| why.to_owned());
            first
        };
        if first {
            tracing::error!(dir = %dir.path.display(), why, "the log directory is out of service");
        }
        self.live().next().is_some()
    }

    /// Bytes of the volume that holds the directory.
    ///
    /// # Errors
    /// The disk refused.
    pub fn space(&self, dir: &LogDir) -> io::Result<Space> {
        self.fs.space(&dir.path)
    }

    /// Reads one of the checkpoints ([`checkpoint::RECOVERY_POINTS`] and so on). One that cannot be
    /// read counts as empty: it saves work, and all work it saves can be done again.
    #[must_use]
    pub fn read_checkpoint(&self, dir: &LogDir, file: &str) -> HashMap<TopicPartition, Offset> {
        checkpoint::read_offsets(&*self.fs, &dir.path.join(file)).unwrap_or_else(|error| {
            tracing::warn!(dir = %dir.path.display(), file, %error, "a checkpoint was not readable; starting without it");
            HashMap::new()
        })
    }

    /// Replaces one of the checkpoints.
    ///
    /// # Errors
    /// The disk refused, and the directory is to be failed.
    pub fn write_checkpoint<'a>(
        &self,
        dir: &LogDir,
        file: &str,
        offsets: impl IntoIterator<Item = (&'a TopicPartition, Offset)>,
    ) -> io::Result<()> {
        checkpoint::write_offsets(&*self.fs, &dir.path.join(file), offsets)
    }

    /// Notes in a directory that all its logs were closed and their checkpoints written, so that the
    /// next life skips recovery. The last thing to happen to it; not for a failed one, nor if a log
    /// could not be closed.
    ///
    /// # Errors
    /// The disk refused: the next life recovers.
    pub fn close(&self, dir: &LogDir, broker_epoch: i64) -> io::Result<()> {
        if let Some(why) = dir.failure() {
            return Err(io::Error::other(why));
        }
        self.fs.write_atomic(&dir.path.join(CLEAN_SHUTDOWN), meta::encode_clean_shutdown(broker_epoch).as_bytes())
    }
}

/// A directory that is locked, and what it says about itself.
struct Claim {
    lock: Box<dyn Lock>,
    meta: Meta,
    /// Directories in which a new one was made; not synced yet.
    parents: Vec<PathBuf>,
}

/// Creates and locks a directory and reads whose it is. The inner error is why it is failed.
fn claim(fs: &dyn Fs, path: &Path) -> Result<Result<Claim, String>, DirsError> {
    let parents = match create(fs, path) {
        Ok(parents) => parents,
        Err(error) => return Ok(Err(format!("it cannot be created: {error}"))),
    };
    let lock = match fs.lock(&path.join(".lock")) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(DirsError::Locked(path.to_owned())),
        Err(error) => return Ok(Err(format!("it cannot be locked: {error}"))),
    };
    Ok(match meta::read_optional(fs, &path.join(META_PROPERTIES)) {
        Ok(content) => Meta::parse(&content.unwrap_or_default())
            .map(|meta| Claim { lock, meta, parents })
            .map_err(|why| format!("its {META_PROPERTIES} is not valid: {why}")),
        Err(error) => Err(format!("its {META_PROPERTIES} cannot be read: {error}")),
    })
}

/// Answers in which directories new ones were made.
fn create(fs: &dyn Fs, path: &Path) -> io::Result<Vec<PathBuf>> {
    if fs.exists(path) {
        return fs.read_dir(path).map(|_| Vec::new());
    }
    tracing::info!(dir = %path.display(), "creating the log directory");
    let new: Vec<&Path> = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !fs.exists(dir)).collect();
    fs.create_dir_all(path)?;
    let parents = new.iter().rev().filter_map(|dir| dir.parent());
    Ok(parents.map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir }.to_owned()).collect())
}

/// Checks that the directories belong together and to their owner; returns their cluster.
fn agree(paths: &[PathBuf], claimed: &[Result<Claim, String>], owner: &Owner) -> Result<String, DirsError> {
    let known: Vec<(&PathBuf, &Meta)> =
        paths.iter().zip(claimed).filter_map(|(path, claim)| Some((path, &claim.as_ref().ok()?.meta))).collect();
    let stored = known.iter().find_map(|(_, meta)| meta.cluster_id.clone());
    let expected = owner.cluster_id.clone().or(stored).unwrap_or_else(fresh_cluster_id);
    for (i, (path, meta)) in known.iter().enumerate() {
        if let Some(NodeId(stored)) = meta.node_id.filter(|id| *id != owner.node_id) {
            return Err(DirsError::OtherNode { dir: (*path).clone(), stored, configured: owner.node_id.0 });
        }
        if let Some(stored) = meta.cluster_id.clone().filter(|id| *id != expected) {
            return Err(DirsError::OtherCluster { dir: (*path).clone(), stored, expected });
        }
        let twin =
            known[..i].iter().find(|(_, other)| meta.directory_id.is_some() && other.directory_id == meta.directory_id);
        if let Some((other, _)) = twin {
            return Err(DirsError::SameDirectory((*other).clone(), (*path).clone()));
        }
    }
    Ok(expected)
}

/// Completes `meta.properties`, takes note of a clean close, and lists what is there.
fn enter(
    fs: &dyn Fs,
    path: &Path,
    claim: Claim,
    node_id: NodeId,
    cluster_id: &str,
    deleted: &mut Vec<Deleted>,
) -> io::Result<LogDir> {
    let volume = fs.volume(path)?;
    let id = claim.meta.directory_id.unwrap_or_else(rand::uuid);
    let meta_properties = (!claim.meta.complete).then(|| Meta::encode(cluster_id, node_id, id));

    // The mark goes before anything is written: a crash from now on must not look like a clean close.
    let mark = path.join(CLEAN_SHUTDOWN);
    let clean = meta::read_optional(fs, &mark)?;
    if clean.is_some() {
        fs.remove_file(&mark)?;
        fs.sync_dir(path)?;
    }

    let (mut found, mut futures) = (Vec::new(), Vec::new());
    for entry in fs.read_dir(path)?.into_iter().filter(|entry| entry.is_dir) {
        match names::parse(&entry.name) {
            Name::Partition(at) if at.topic.as_str() == TopicName::CLUSTER_METADATA => {}
            Name::Partition(at) => found.push(at),
            Name::Deleted => deleted.push(Deleted { path: path.join(&entry.name), due: TimestampMs(i64::MIN) }),
            Name::Future(at) => futures.push((at, path.join(&entry.name))),
            Name::Kept => tracing::warn!(dir = %path.display(), name = entry.name, "left alone"),
            Name::Other => tracing::warn!(dir = %path.display(), name = entry.name, "is not a partition; ignored"),
        }
    }
    Ok(LogDir {
        path: path.to_owned(),
        id,
        clean: clean.is_some(),
        clean_epoch: clean.as_deref().and_then(meta::parse_clean_shutdown),
        partitions: AtomicUsize::new(found.len()),
        found,
        futures,
        failure: Mutex::new(None),
        volume: Some(volume),
        unsettled: Mutex::new(Unsettled { parents: claim.parents, meta_properties }),
        _lock: Some(claim.lock),
    })
}
