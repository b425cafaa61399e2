//! The log store that openraft asks: [`RaftLog`] and the vote.
//!
//! The vote is `quorum-state` beside the segments, in Kafka's JSON. It is on disk before it is given, and a log entry
//! before it counts. What fails to be synced ends the process; what lacks room waits for it.

use super::log::{Covered, RaftLog};
use super::types::{Entry, Id, TypeConfig, node_id, raft_id};
use crate::model::NodeId;
use crate::quorum::QuorumError;
use crate::quorum::log::{WriteError, at};
use crate::rt::fs::{Fs, will_pass};
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    AnyError, ErrorSubject, ErrorVerb, LeaderId, LogState, OptionalSend, RaftLogReader, StorageError, StorageIOError,
    Vote,
};
use parking_lot::Mutex;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const VOTE_FILE: &str = "quorum-state";
/// How long a write that lacks room waits before it is tried again.
const NO_ROOM: Duration = Duration::from_millis(200);

/// How often it is looked whether a snapshot has come.
const SNAPSHOT_COMES: Duration = Duration::from_millis(5);

pub(super) type Fault = StorageError<u64>;

pub(super) fn fault(subject: ErrorSubject<u64>, verb: ErrorVerb, error: &(impl std::error::Error + 'static)) -> Fault {
    StorageIOError::new(subject, verb, AnyError::new(error)).into()
}

/// See the module. Clones are handles to one log.
#[derive(Clone, Debug)]
pub(super) struct LogStore {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    log: Arc<Mutex<RaftLog>>,
    /// Where the newest snapshot ends.
    covered: Arc<Mutex<Option<Covered>>>,
    /// A snapshot is coming from the leader: what is purged beyond the log waits for it.
    coming: Arc<AtomicBool>,
    /// Bytes of entries in one answer to another node.
    bytes_max: usize,
}

impl LogStore {
    pub(super) fn open(
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        node: NodeId,
        segment_bytes: u64,
        covered: Arc<Mutex<Option<Covered>>>,
        bytes_max: usize,
    ) -> Result<LogStore, QuorumError> {
        let log = RaftLog::open(Arc::clone(&fs), dir.clone(), node, segment_bytes, *covered.lock())?;
        Ok(LogStore { fs, dir, log: Arc::new(Mutex::new(log)), covered, coming: Arc::default(), bytes_max })
    }

    pub(super) fn log(&self) -> &Mutex<RaftLog> {
        &self.log
    }

    /// Says that a snapshot is being received.
    pub(super) fn snapshot_comes(&self) {
        self.coming.store(true, Ordering::SeqCst);
    }

    /// Removes from disk what the newest snapshot makes superfluous.
    pub(super) async fn trim(&self) -> std::io::Result<()> {
        let Some(covered) = *self.covered.lock() else { return Ok(()) };
        let log = Arc::clone(&self.log);
        apart(move || log.lock().trim(covered).map_err(std::io::Error::other)).await
    }

    fn get(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Entry>, QuorumError> {
        self.log.lock().read(from, to, bytes_max)
    }
}

fn unread(error: QuorumError) -> Fault {
    fault(ErrorSubject::Logs, ErrorVerb::Read, &error)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, Fault> {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        self.get(from, to, usize::MAX).map_err(unread)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, Fault> {
        self.get(start, end, self.bytes_max).map_err(unread)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, Fault> {
        let log = self.log.lock();
        Ok(LogState { last_purged_log_id: log.purged(), last_log_id: log.last() })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), Fault> {
        let (fs, path, text) = (Arc::clone(&self.fs), self.dir.join(VOTE_FILE), vote_to_text(vote));
        let written = apart(move || fs.write_atomic(&path, text.as_bytes())).await;
        written.map_err(|error| fault(ErrorSubject::Vote, ErrorVerb::Write, &error))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, Fault> {
        read_vote(self.fs.as_ref(), &self.dir).map_err(|error| fault(ErrorSubject::Vote, ErrorVerb::Read, &error))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), Fault>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        while self.log.lock().is_detached() {
            // Until the snapshot that these follow is on disk.
            tokio::time::sleep(SNAPSHOT_COMES).await;
        }
        loop {
            let appended = self.log.lock().append(entries.clone());
            match appended {
                Ok(()) => break,
                Err(WriteError::Undone(error)) if will_pass(&error) => {
                    tracing::warn!(%error, "the metadata log waits for room");
                    tokio::time::sleep(NO_ROOM).await;
                }
                Err(WriteError::Undone(error)) => {
                    return Err(fault(ErrorSubject::Logs, ErrorVerb::Write, &error));
                }
                Err(WriteError::Fatal(error)) => return Err(fault(ErrorSubject::Logs, ErrorVerb::Write, &error)),
            }
        }
        let (fs, to_sync) = (Arc::clone(&self.fs), self.log.lock().unsynced());
        callback.log_io_completed(apart(move || to_sync.sync(fs.as_ref())).await);
        Ok(())
    }

    async fn truncate(&mut self, since: Id) -> Result<(), Fault> {
        let log = Arc::clone(&self.log);
        let cut = apart(move || log.lock().truncate(since.index).map_err(std::io::Error::other)).await;
        cut.map_err(|error| fault(ErrorSubject::Logs, ErrorVerb::Delete, &error))
    }

    async fn purge(&mut self, upto: Id) -> Result<(), Fault> {
        let detached = {
            let mut log = self.log.lock();
            log.purge(upto);
            log.is_detached()
        };
        if detached && !self.coming.load(Ordering::SeqCst) {
            let log = Arc::clone(&self.log);
            let attached = apart(move || log.lock().attach().map_err(std::io::Error::other)).await;
            return attached.map_err(|error| fault(ErrorSubject::Logs, ErrorVerb::Delete, &error));
        }
        self.trim().await.map_err(|error| fault(ErrorSubject::Logs, ErrorVerb::Delete, &error))
    }
}

/// Does what blocks where it keeps nothing else from running.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// Kafka's `quorum-state`: a vote that was won names the leader, another whom it was given to.
fn vote_to_text(vote: &Vote<u64>) -> String {
    let named = vote.leader_id.voted_for.map_or(-1, |id| node_id(id).0);
    let (leader, voted) = if vote.committed { (named, -1) } else { (-1, named) };
    format!(
        "{{\"leaderId\":{leader},\"leaderEpoch\":{},\"votedId\":{voted},\"votedDirectoryId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\
         \"data_version\":1}}",
        vote.leader_id.term
    )
}

fn read_vote(fs: &dyn Fs, dir: &Path) -> Result<Option<Vote<u64>>, QuorumError> {
    let path = dir.join(VOTE_FILE);
    if !fs.exists(&path) {
        return Ok(None);
    }
    let bytes = fs.read(&path).map_err(|error| at(&path, error))?;
    let text = String::from_utf8_lossy(&bytes);
    let number = |name: &str| -> Option<i64> {
        let (_, after) = text.split_once(&format!("\"{name}\":"))?;
        let end = after.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(after.len());
        after.get(..end)?.parse().ok()
    };
    let node = |name: &str| number(name).and_then(|id| i32::try_from(id).ok()).filter(|id| *id >= 0).map(NodeId);
    let damaged = || QuorumError::Damaged { path: path.clone(), at: 0, error: "it has no epoch".into() };
    let term = number("leaderEpoch").and_then(|epoch| u64::try_from(epoch).ok()).ok_or_else(damaged)?;
    let (leader, voted) = (node("leaderId"), node("votedId"));
    let leader_id = LeaderId { term, voted_for: leader.or(voted).map(raft_id) };
    Ok(Some(Vote { leader_id, committed: leader.is_some() }))
}
