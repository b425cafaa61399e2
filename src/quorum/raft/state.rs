//! The state machine that openraft drives: committed entries go to the metadata replica, and snapshots come and go.
//!
//! The image is in memory; what is on disk of it is the newest snapshot, in Kafka's format. The header record of ours has
//! a tagged field: the id of the last entry, and the membership.

use super::log::Covered;
use super::store::{Fault, LogStore, apart, fault};
use super::types::{
    Entry, Id, Outcome, Payload, StoredMembers, TypeConfig, Voter, epoch, log_id, our_tag, put_log_id,
    put_stored_members, put_tag, read_log_id, read_stored_members,
};
use crate::metadata::{Change, Delta, Image, Record, Replica};
use crate::model::{LeaderEpoch, Offset};
use crate::quorum::QuorumError;
use crate::quorum::checkpoint::{self, Id as SnapshotId};
use crate::quorum::log::{WriteError, at, decode};
use crate::quorum::tail::Tail;
use crate::record::BatchHeader;
use crate::rt::fs::Fs;
use crate::wire::Refused;
use crate::wire::reader::Reader;
use bytes::BytesMut;
use openraft::storage::RaftStateMachine;
use openraft::{ErrorSubject, ErrorVerb, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta};
use parking_lot::Mutex;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a snapshot can be taken of: the state at a point where no metadata transaction is open.
#[derive(Clone, Debug)]
struct Stable {
    image: Arc<Image>,
    id: Option<Id>,
    members: StoredMembers,
    end: Offset,
}

#[derive(Debug)]
struct Inner {
    replica: Replica,
    applied: Option<Id>,
    members: StoredMembers,
    /// The offset after the last entry applied.
    end: Offset,
    stable: Stable,
    /// Bytes applied since the last snapshot.
    since_snapshot: u64,
}

/// See the module. Clones are handles to one state.
#[derive(Clone, Debug)]
pub(super) struct State {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    inner: Arc<Mutex<Inner>>,
    covered: Arc<Mutex<Option<Covered>>>,
    tail: Arc<Tail>,
    /// Set once both are open: a snapshot lets the log begin another segment.
    log: Option<LogStore>,
}

/// What the header of a snapshot says besides Kafka's fields.
struct Header {
    last: Option<Id>,
    members: StoredMembers,
}

fn header_tags(last: Option<Id>, members: &StoredMembers) -> Vec<u8> {
    let mut content = BytesMut::new();
    put_log_id(&mut content, last);
    put_stored_members(&mut content, members);
    let mut out = BytesMut::new();
    put_tag(&mut out, &content);
    out.to_vec()
}

fn read_header(value: &[u8]) -> Result<Option<Header>, Refused> {
    let mut reader = Reader::new(value);
    reader.skip(10)?;
    our_tag(&mut reader, |content| {
        let last = read_log_id(content)?;
        Ok(Header { last, members: read_stored_members(content)? })
    })
}

/// An image from the bytes of a snapshot, and what its header says.
fn load(path: &Path, bytes: &[u8], id: SnapshotId) -> Result<(Image, Header), QuorumError> {
    let mut change = Change::new(&Image::default());
    let mut apply = |record: Record, offset| change.apply(&record).map_err(|bad| QuorumError::Apply(offset, bad));
    let head = checkpoint::parse(path, bytes, &mut apply)?;
    let last = Offset(id.end.0 - 1);
    let (image, _) = change.finish(last, id.epoch.0).map_err(|bad| QuorumError::Apply(last, bad))?;
    let damaged = |bad: Refused| QuorumError::Damaged { path: path.to_owned(), at: 0, error: bad.to_string() };
    // One of a quorum of one, or of Apache Kafka, has no index: any will do, since it is sent along from here on.
    let header = read_header(&head).map_err(damaged)?.unwrap_or_else(|| Header {
        last: Some(log_id(u64::try_from(id.epoch.0).unwrap_or_default(), u64::try_from(last.0).unwrap_or_default())),
        members: StoredMembers::default(),
    });
    Ok((image, header))
}

impl State {
    /// Reads the newest snapshot, if there is one, into the store of `replica`.
    pub(super) fn open(
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        replica: Replica,
        tail: Arc<Tail>,
        covered: Arc<Mutex<Option<Covered>>>,
    ) -> Result<State, QuorumError> {
        fs.create_dir_all(&dir).map_err(|error| at(&dir, error))?;
        // Before a vote is given: it is worth nothing in a directory that a crash takes away.
        dir.parent().map_or(Ok(()), |parent| fs.sync_dir(parent)).map_err(|error| at(&dir, error))?;
        let names = fs.read_dir(&dir).map_err(|error| at(&dir, error))?;
        let newest =
            names.iter().filter(|entry| !entry.is_dir).filter_map(|entry| SnapshotId::parse(&entry.name)).max();
        let (mut applied, mut members, mut end) = (None, StoredMembers::default(), Offset::ZERO);
        if let Some(id) = newest {
            let path = dir.join(id.name());
            let bytes = fs.read(&path).map_err(|error| at(&path, error))?;
            let (image, header) = load(&path, &bytes, id)?;
            let delta = Delta::everything(&image);
            replica.publish(image, &delta);
            (applied, members, end) = (header.last, header.members, id.end);
            *covered.lock() = applied.map(|id| Covered { id, end });
            tail.reset(&replica.store().image(), end);
        }
        let stable = Stable { image: replica.store().image(), id: applied, members: members.clone(), end };
        let inner = Inner { replica, applied, members, end, stable, since_snapshot: 0 };
        Ok(State { fs, dir, inner: Arc::new(Mutex::new(inner)), covered, tail, log: None })
    }

    pub(super) fn with_log(self, log: LogStore) -> State {
        State { log: Some(log), ..self }
    }

    /// The index of the last entry applied.
    pub(super) fn applied(&self) -> Option<u64> {
        self.inner.lock().applied.map(|id| id.index)
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.inner.lock().replica.in_transaction()
    }

    /// Bytes applied since the last snapshot was taken.
    pub(super) fn since_snapshot(&self) -> u64 {
        self.inner.lock().since_snapshot
    }

    fn keep(&self, id: SnapshotId, last: Option<Id>, bytes: &[u8]) -> Result<(), WriteError> {
        checkpoint::store(self.fs.as_ref(), &self.dir, id, bytes)?;
        *self.covered.lock() = last.map(|last| Covered { id: last, end: id.end });
        // One that stays is removed by the next, and never read while there is a newer one.
        for entry in self.fs.read_dir(&self.dir).unwrap_or_default() {
            if SnapshotId::parse(&entry.name).is_some_and(|other| other < id)
                && let Err(error) = self.fs.remove_file(&self.dir.join(&entry.name))
            {
                tracing::warn!(name = entry.name, %error, "cannot remove an old metadata snapshot");
            }
        }
        Ok(())
    }

    fn newest(&self) -> Result<Option<Snapshot<TypeConfig>>, QuorumError> {
        let names = self.fs.read_dir(&self.dir).map_err(|error| at(&self.dir, error))?;
        let Some(id) = names.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).max() else { return Ok(None) };
        let path = self.dir.join(id.name());
        let bytes = self.fs.read(&path).map_err(|error| at(&path, error))?;
        let (_, header) = load(&path, &bytes, id)?;
        Ok(Some(snapshot(id, header.last, header.members, bytes)))
    }
}

fn snapshot(id: SnapshotId, last: Option<Id>, members: StoredMembers, bytes: Vec<u8>) -> Snapshot<TypeConfig> {
    let meta = SnapshotMeta { last_log_id: last, last_membership: members, snapshot_id: id.name() };
    Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) }
}

impl Inner {
    fn apply(&mut self, entry: Entry, tail: &Tail) -> Result<Outcome, QuorumError> {
        let mut outcome = Outcome::Applied;
        let stored = entry.stored.unwrap_or_default();
        let header = BatchHeader::parse(&stored).ok();
        let last = header.map_or(self.end, |header| header.last_offset());
        match entry.payload {
            Payload::Blank => outcome = Outcome::Void,
            Payload::Members(members) => self.members = StoredMembers::new(Some(entry.id), members),
            Payload::Records(_) => {
                let damaged = |error| QuorumError::Damaged { path: "an entry".into(), at: entry.id.index, error };
                let header = header.ok_or_else(|| damaged("it has no batch".into()))?;
                let records = decode(&header, &stored).map_err(damaged)?;
                let committed = self.replica.commit(records, last, epoch(entry.id.leader_id.term).0);
                committed.map_err(|bad| QuorumError::Apply(last, bad))?;
            }
        }
        self.applied = Some(entry.id);
        if let Some(header) = header {
            self.end = header.next_offset();
            self.since_snapshot += stored.len() as u64;
            let stable = (!self.replica.in_transaction()).then(|| self.replica.store().image());
            tail.push(header.base_offset, self.end, stored, stable.as_ref());
        }
        if !self.replica.in_transaction() {
            let image = self.replica.store().image();
            self.stable = Stable { image, id: self.applied, members: self.members.clone(), end: self.end };
        }
        Ok(outcome)
    }
}

impl RaftStateMachine<TypeConfig> for State {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<Id>, StoredMembers), Fault> {
        let inner = self.inner.lock();
        Ok((inner.applied, inner.members.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Outcome>, Fault>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let (inner, tail) = (Arc::clone(&self.inner), Arc::clone(&self.tail));
        // Publishers make directories and open logs.
        let applied = apart(move || {
            let mut inner = inner.lock();
            let applied: Result<Vec<_>, _> = entries.into_iter().map(|entry| inner.apply(entry, &tail)).collect();
            applied.map_err(std::io::Error::other)
        });
        applied.await.map_err(|error| fault(ErrorSubject::StateMachine, ErrorVerb::Write, &error))
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let stable = self.inner.lock().stable.clone();
        Builder { state: self.clone(), stable }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, Fault> {
        if let Some(log) = &self.log {
            log.snapshot_comes();
        }
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, Voter>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), Fault> {
        let (state, meta, bytes) = (self.clone(), meta.clone(), snapshot.into_inner());
        let installed = apart(move || {
            let path = state.dir.join(&meta.snapshot_id);
            let id = SnapshotId::parse(&meta.snapshot_id)
                .ok_or_else(|| std::io::Error::other("a snapshot without a name"))?;
            let (image, _) = load(&path, &bytes, id).map_err(std::io::Error::other)?;
            state.keep(id, meta.last_log_id, &bytes).map_err(|failed| match failed {
                WriteError::Undone(error) => error,
                WriteError::Fatal(error) => std::io::Error::other(error),
            })?;
            let mut inner = state.inner.lock();
            let image = Arc::new(image);
            inner.replica.replace(&image);
            (inner.applied, inner.members, inner.end) = (meta.last_log_id, meta.last_membership, id.end);
            inner.since_snapshot = 0;
            inner.stable = Stable { id: inner.applied, members: inner.members.clone(), end: id.end, image };
            state.tail.reset(&inner.stable.image, id.end);
            tracing::info!(offset = %id.end, "took a metadata snapshot from the leader");
            Ok(())
        });
        let failed = |error| fault(ErrorSubject::Snapshot(None), ErrorVerb::Write, &error);
        installed.await.map_err(failed)?;
        match &self.log {
            Some(log) => log.trim().await.map_err(failed),
            None => Ok(()),
        }
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, Fault> {
        let state = self.clone();
        let read = apart(move || state.newest().map_err(std::io::Error::other)).await;
        read.map_err(|error| fault(ErrorSubject::Snapshot(None), ErrorVerb::Read, &error))
    }
}

/// Writes a snapshot of the state as it was when the builder was made.
#[derive(Debug)]
pub(super) struct Builder {
    state: State,
    stable: Stable,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, Fault> {
        let (state, stable) = (self.state.clone(), self.stable.clone());
        let built = apart(move || {
            let term = stable.id.map_or(0, |id| id.leader_id.term);
            let id = SnapshotId { end: stable.end, epoch: epoch(term).max(LeaderEpoch(0)) };
            let tags = header_tags(stable.id, &stable.members);
            let bytes = checkpoint::encode(id, &stable.image, &tags).map_err(std::io::Error::other)?;
            state.keep(id, stable.id, &bytes).map_err(|failed| match failed {
                WriteError::Undone(error) => error,
                WriteError::Fatal(error) => std::io::Error::other(error),
            })?;
            state.inner.lock().since_snapshot = 0;
            if let Some(log) = &state.log
                && let Err(error) = log.log().lock().roll()
            {
                tracing::warn!(%error, "cannot begin another file of the metadata log");
            }
            tracing::info!(offset = %id.end, "wrote a metadata snapshot");
            Ok(snapshot(id, stable.id, stable.members, bytes))
        });
        built.await.map_err(|error| fault(ErrorSubject::Snapshot(None), ErrorVerb::Write, &error))
    }
}
