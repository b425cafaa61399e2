//! Consensus on metadata records: what is proposed, in which order it is committed, what survives.
//!
//! ```text
//! controller ── propose(records) ──► queue ──► worker thread ── one write, one fsync ──► log
//!      ▲                                             │
//!      └──────────── answer ◄── image published ◄────┘ (per proposal, in order)
//! ```
//!
//! A quorum of one: what is on this node's disk is committed. Records are proposed in a *term*
//! ([`Term`]); a term that ends (here: because the log could not be written) takes all its undecided
//! proposals with it, and the controller starts again from the committed image.
//!
//! A quorum of several keeps this face ([`Quorum`]): openraft decides, a raft term is the epoch, and
//! one raft entry is one batch, whose base offset is where the log ends. [`Quorum::leadership`] says
//! when this node becomes the active controller (a term appears: everything before it is applied)
//! and when it is none any more. A term that ends there leaves its undecided proposals *unknown*
//! ([`ProposeError::Unknown`]): another leader may still commit them. Nodes that do not vote pull
//! what is committed from those that do.
//!
//! On disk, in `<metadata dir>/__cluster_metadata-0/`, Kafka's format: `%020d.log` segments of
//! record batches, one batch per proposal (a batch is atomic), and `%020d-%010d.checkpoint`
//! snapshots. `kafka-dump-log --cluster-metadata-decoder` reads both.

mod checkpoint;
mod describe;
mod log;
mod measures;
mod observer;
mod raft;
mod tail;
mod worker;

#[cfg(test)]
mod tests;

pub use describe::{Description, ReplicaState};
pub use observer::Follow;
pub use raft::{Join, Timing, Transport, Voter};

use crate::metadata::{ApplyError, Record, Replica, Store};
use crate::model::{LeaderEpoch, NodeId, Offset, TimestampMs};
use crate::record::BadBatch;
use crate::record::build::{BatchBuilder, leader_change};
use crate::rt::fs::Fs;
use bytes::Bytes;
use log::Log;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::Instant;
use tail::Tail;
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// The directory of the metadata log under the metadata dir.
pub const LOG_DIR: &str = "__cluster_metadata-0";

/// What goes wrong with the metadata log itself. The node cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    #[error("the metadata log cannot be used ({path}: {error}); mend the disk and start again")]
    Io { path: PathBuf, error: io::Error },
    /// Bytes before the end of the log that are not what was written.
    #[error("{path}: the metadata log is damaged at byte {at}: {error}")]
    Damaged { path: PathBuf, at: u64, error: String },
    #[error("the metadata log is damaged: offsets {0} to {1} are missing")]
    Missing(Offset, Offset),
    #[error("the metadata log is damaged: the record at offset {0} does not fit: {1}")]
    Apply(Offset, ApplyError),
    #[error("cannot start the metadata thread: {0}")]
    Thread(io::Error),
    #[error("the metadata thread has stopped")]
    Stopped,
    /// What openraft says. It stops at the first fault of the disk.
    #[error("the quorum cannot go on: {0}")]
    Raft(String),
    #[error(
        "the metadata log was written by a controller on its own: name only this node in controller.quorum.voters, or \
         start with a new directory"
    )]
    Alone,
}

/// Why a proposal was not committed. What it would have changed has not happened, unless it says that nobody knows.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    /// The term it was decided in is over.
    #[error("the term ended before the records were committed")]
    TermOver,
    /// The term ended while it was being committed: another leader may yet commit it.
    #[error("the term ended before it was known whether the records are committed")]
    Unknown,
    #[error("the metadata log could not be written: {0}")]
    Write(Arc<io::Error>),
    #[error("too many records wait to be committed")]
    Busy,
    #[error("the records take more than {0} bytes")]
    TooLarge(usize),
    /// The outcome is not known: the log is failed and this node must stop.
    #[error("{0}")]
    Failed(Arc<QuorumError>),
}

/// A time in which one controller decides. Proposals of a term that is over are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term(u64);

/// Who leads the quorum, as far as this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The highest epoch this node has heard of. A number is one leader's for good.
    pub epoch: LeaderEpoch,
    /// `None`: there is none, or this node does not know of it.
    pub leader: Option<NodeId>,
    /// Set while this node is the active controller: it leads, and its store has every record committed before its
    /// epoch. A new value means that the head falls back to the committed image, also where it follows another at once.
    pub term: Option<Term>,
}

/// Sizes and limits.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub snapshot_bytes: u64,
    /// The largest batch (Kafka's `MAX_BATCH_SIZE_BYTES`).
    pub batch_bytes_max: usize,
    /// Bytes of proposals that may wait for the disk.
    pub pending_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            segment_bytes: 1 << 30,
            snapshot_bytes: 20 << 20,
            batch_bytes_max: 8 << 20,
            pending_bytes_max: 64 << 20,
        }
    }
}

/// What [`Quorum::open`] needs.
#[derive(Debug)]
pub struct Open {
    pub fs: Arc<dyn Fs>,
    /// `metadata.log.dir`, or the first of `log.dirs`.
    pub dir: PathBuf,
    pub node: NodeId,
    pub settings: Settings,
    /// Gets the replayed image, and every one after it.
    pub store: Arc<Store>,
    pub now: TimestampMs,
    pub founding: Founding,
}

/// When the first batch of an empty log is published.
pub enum Founding {
    /// As every other: when it is on disk.
    Durable,
    /// When it is written. It is brought to disk at once, after `settle` was called, and nothing else is committed before:
    /// a crash meanwhile takes with it a cluster in which nothing has happened.
    Early { settle: Settle },
}

/// Makes durable what the metadata rests on; called on the worker's thread before its first sync.
pub type Settle = Box<dyn FnOnce() -> io::Result<()> + Send>;

impl std::fmt::Debug for Founding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Founding::Durable => "Durable",
            Founding::Early { .. } => "Early",
        })
    }
}

/// A proposal on its way.
#[derive(Debug)]
pub struct Ticket {
    done: oneshot::Receiver<Result<(), ProposeError>>,
    shared: Arc<Shared>,
}

impl Ticket {
    /// Waits until the records, and all proposed before them, are committed and published.
    ///
    /// # Errors
    /// They are not.
    pub async fn committed(self) -> Result<(), ProposeError> {
        match self.done.await {
            Ok(result) => result,
            Err(_) => Err(self.shared.queue.lock().failed()),
        }
    }

    /// As [`Ticket::committed`], blocking the thread, which may be one of a runtime that starts.
    ///
    /// # Errors
    /// They are not.
    pub fn wait(self) -> Result<(), ProposeError> {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Unpark>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut committed = std::pin::pin!(self.committed());
        loop {
            match committed.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(result) => return result,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

struct Proposal {
    /// `None`: waits for those before it.
    batch: Option<Batch>,
    done: Option<oneshot::Sender<Result<(), ProposeError>>>,
}

struct Batch {
    bytes: Bytes,
    records: Vec<Record>,
    last: Offset,
}

impl Batch {
    /// The offset of its first record; a batch without records of ours has one of its own.
    fn first(&self) -> Offset {
        Offset(self.last.0 - i64::try_from(self.records.len()).unwrap_or_default().max(1) + 1)
    }
}

struct Queue {
    proposals: VecDeque<Proposal>,
    /// Bytes of batches not yet committed.
    pending: usize,
    /// The worker is busy with proposals it took.
    working: bool,
    /// `None`: another node decides, or nobody.
    term: Option<Term>,
    epoch: LeaderEpoch,
    /// The offset of the next record proposed.
    next: Offset,
    stopping: bool,
    failure: Option<Arc<QuorumError>>,
}

impl Queue {
    fn failed(&self) -> ProposeError {
        ProposeError::Failed(self.failure.clone().unwrap_or_else(|| Arc::new(QuorumError::Stopped)))
    }
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// As `wake`, for a task.
    proposed: Notify,
    /// Set once the store has what was committed when this node began to follow.
    ready: watch::Sender<bool>,
    leadership: watch::Sender<Leadership>,
    elections: measures::Elections,
    failure: watch::Sender<Option<Arc<QuorumError>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

const BOOTSTRAP: &str = "bootstrap.checkpoint";

/// Writes what [`bootstrap_records`] reads, in the form of a cluster at this level of `metadata.version`.
///
/// # Errors
/// The disk refused.
pub fn write_bootstrap(fs: &dyn Fs, dir: &Path, level: i16, records: &[Record]) -> io::Result<()> {
    checkpoint::write_bootstrap(fs, &dir.join(BOOTSTRAP), level, records)
}

/// The records with which `kafka-storage format` wants a cluster in `dir` to begin, if it left any.
///
/// # Errors
/// The file is there and cannot be read.
pub fn bootstrap_records(fs: &dyn Fs, dir: &Path) -> Result<Option<Vec<Record>>, QuorumError> {
    let path = dir.join(BOOTSTRAP);
    if !fs.exists(&path) {
        return Ok(None);
    }
    let mut records = Vec::new();
    checkpoint::read(fs, &path, &mut |record, _| {
        records.push(record);
        Ok(())
    })?;
    Ok(Some(records))
}

/// What replay found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Records read, those of the snapshot included.
    pub records: u64,
    /// Bytes of an unfinished write that were cut from the end.
    pub cut: u64,
    /// The log ends inside a transaction, which must be aborted.
    pub in_transaction: bool,
}

/// The metadata log of this node.
#[derive(Debug)]
pub struct Quorum {
    shared: Arc<Shared>,
    node: NodeId,
    replayed: Replayed,
    batch_bytes_max: usize,
    pending_bytes_max: usize,
    tail: Arc<Tail>,
    observed: Mutex<describe::Observed>,
    part: Part,
}

/// The part this node has in the quorum.
#[derive(Debug)]
enum Part {
    /// It is the quorum.
    Solo(Mutex<Option<JoinHandle<()>>>),
    Voter(Box<raft::Member>),
    Observer(CancellationToken),
}

impl Shared {
    fn new(leadership: Leadership, next: Offset) -> Shared {
        Shared {
            queue: Mutex::new(Queue {
                proposals: VecDeque::new(),
                pending: 0,
                working: false,
                term: leadership.term,
                epoch: leadership.epoch,
                next,
                stopping: false,
                failure: None,
            }),
            wake: Condvar::new(),
            proposed: Notify::new(),
            ready: watch::Sender::new(leadership.term.is_some()),
            leadership: watch::Sender::new(leadership),
            elections: measures::Elections::default(),
            failure: watch::Sender::new(None),
        }
    }
}

const NOBODY: Leadership = Leadership { epoch: LeaderEpoch(0), leader: None, term: None };

impl Quorum {
    /// Opens the log (creating it), replays it into the store, and starts the worker. This node is
    /// then the leader, in an epoch of its own.
    ///
    /// # Errors
    /// The log cannot be read or is damaged.
    pub fn open(open: Open) -> Result<Quorum, QuorumError> {
        let Open { fs, dir, node, settings, store, now, founding } = open;
        let mut replica = Replica::new(store);
        let (log, replayed) = Log::open(fs, dir.join(LOG_DIR), settings, &mut replica)?;
        let epoch = LeaderEpoch(log.epoch().0.saturating_add(1));
        let base = log.end();
        let tail = Arc::new(Tail::new());
        tail.reset(&replica.store().image(), base);
        // Goes to disk together with the first proposal.
        let first = leader_change(base, epoch, node, &[node], &[node], now).map_err(|bad| bad_batch(&dir, bad))?;
        let begin = Proposal { batch: Some(Batch { bytes: first, records: Vec::new(), last: base }), done: None };
        let leadership = Leadership { epoch, leader: Some(node), term: Some(Term(0)) };
        let shared = Arc::new(Shared::new(leadership, base.next()));
        shared.queue.lock().proposals.push_back(begin);
        let worker = worker::start(Arc::clone(&shared), log, replica, epoch, founding, Arc::clone(&tail));
        let worker = worker.map_err(QuorumError::Thread)?;
        let part = Part::Solo(Mutex::new(Some(worker)));
        Ok(Quorum::new(shared, node, replayed, settings, tail, part))
    }

    /// Opens the log of one voter of several and takes part from then on. The store gets the newest snapshot at once
    /// and the rest when a leader says what is committed: [`Quorum::caught_up`].
    ///
    /// # Errors
    /// The log cannot be read, is damaged, or is of a node alone.
    pub async fn join(open: Open, join: Join) -> Result<Quorum, QuorumError> {
        let (node, settings) = (open.node, open.settings);
        let shared = Arc::new(Shared::new(NOBODY, Offset::ZERO));
        let tail = Arc::new(Tail::new());
        let member = raft::Member::start(open, join, Arc::clone(&shared), Arc::clone(&tail)).await?;
        let replayed = Replayed { records: 0, cut: 0, in_transaction: false };
        Ok(Quorum::new(shared, node, replayed, settings, tail, Part::Voter(Box::new(member))))
    }

    /// Follows the quorum without a vote. Must be called on a runtime.
    #[must_use]
    pub fn follow(follow: Follow) -> Quorum {
        let node = follow.node;
        let shared = Arc::new(Shared::new(NOBODY, Offset::ZERO));
        let stopping = CancellationToken::new();
        observer::start(follow, Arc::clone(&shared), stopping.clone());
        let replayed = Replayed { records: 0, cut: 0, in_transaction: false };
        let part = Part::Observer(stopping);
        Quorum::new(shared, node, replayed, Settings::default(), Arc::new(Tail::new()), part)
    }

    fn new(
        shared: Arc<Shared>,
        node: NodeId,
        replayed: Replayed,
        settings: Settings,
        tail: Arc<Tail>,
        part: Part,
    ) -> Quorum {
        let Settings { batch_bytes_max, pending_bytes_max, .. } = settings;
        let observed = Mutex::default();
        Quorum { shared, node, replayed, batch_bytes_max, pending_bytes_max, tail, observed, part }
    }

    /// Waits until the store has everything that was committed when this node began to take part, and somebody leads.
    ///
    /// # Errors
    /// The quorum failed or was closed before that.
    pub async fn caught_up(&self) -> Result<(), Arc<QuorumError>> {
        let mut ready = self.shared.ready.subscribe();
        tokio::select! {
            _ = ready.wait_for(|ready| *ready) => Ok(()),
            error = self.failed() => Err(error),
        }
    }

    /// The term to decide in; `None`: another node does, or nobody.
    #[must_use]
    pub fn term(&self) -> Option<Term> {
        self.shared.queue.lock().term
    }

    /// Who leads, from now on. What [`Quorum::term`] says may be newer than the last change seen here.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// The leader that this voter heard of last, and when, on the steady clock.
    #[must_use]
    pub fn heard(&self) -> Option<(NodeId, Instant)> {
        match &self.part {
            Part::Voter(member) => member.heard(),
            Part::Solo(_) | Part::Observer(_) => None,
        }
    }

    /// The offset that the next record proposed will have, in the present term.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.shared.queue.lock().next
    }

    /// The epoch in which this node leads, or led last.
    #[must_use]
    pub fn epoch(&self) -> LeaderEpoch {
        self.shared.queue.lock().epoch
    }

    #[must_use]
    pub fn replayed(&self) -> Replayed {
        self.replayed
    }

    /// Whether the records so far end inside a metadata transaction (KIP-868) whose controller is gone: whoever decides next
    /// aborts it first. Of a node alone, [`Quorum::replayed`] says it.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        match &self.part {
            Part::Voter(member) => member.in_transaction(),
            Part::Solo(_) | Part::Observer(_) => false,
        }
    }

    /// Proposes records, all or nothing, in the form a cluster at `metadata_version` writes. The
    /// order of calls is the order of commits. No records: the ticket waits for all before it.
    ///
    /// # Errors
    /// Nothing was proposed.
    pub fn propose(
        &self,
        term: Term,
        records: Vec<Record>,
        metadata_version: i16,
        now: TimestampMs,
    ) -> Result<Ticket, ProposeError> {
        let mut queue = self.shared.queue.lock();
        if queue.failure.is_some() || queue.stopping {
            return Err(queue.failed());
        }
        if queue.term != Some(term) {
            return Err(ProposeError::TermOver);
        }
        let batch = if records.is_empty() {
            None
        } else {
            if queue.pending > self.pending_bytes_max {
                return Err(ProposeError::Busy);
            }
            let too_large = ProposeError::TooLarge(self.batch_bytes_max);
            let mut batch = BatchBuilder::new(queue.next).leader_epoch(queue.epoch);
            let mut value = Vec::new();
            for record in &records {
                value.clear();
                record.encode(metadata_version, &mut value);
                batch.push(now, None, Some(&value), &[]);
                if batch.size() > self.batch_bytes_max {
                    return Err(too_large);
                }
            }
            let last = queue.next.plus(i64::try_from(records.len()).unwrap_or(i64::MAX) - 1);
            let bytes = batch.build().map_err(|_| too_large)?;
            queue.next = last.next();
            queue.pending += bytes.len();
            Some(Batch { bytes, records, last })
        };
        let (done, receiver) = oneshot::channel();
        let ticket = Ticket { done: receiver, shared: Arc::clone(&self.shared) };
        // Only the batch that begins the epoch may wait in the queue of an idle worker: nothing to
        // wait for.
        let idle = !queue.working && queue.proposals.iter().all(|p| p.done.is_none());
        if batch.is_none() && idle {
            let _ = done.send(Ok(()));
        } else {
            queue.proposals.push_back(Proposal { batch, done: Some(done) });
            self.shared.wake.notify_one();
            self.shared.proposed.notify_one();
        }
        Ok(ticket)
    }

    /// Waits until the log has failed: the node must stop.
    pub async fn failed(&self) -> Arc<QuorumError> {
        let mut failure = self.shared.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(failure) => failure.clone().unwrap_or_else(|| Arc::new(QuorumError::Stopped)),
            Err(_) => Arc::new(QuorumError::Stopped),
        }
    }

    /// Commits what was proposed, where this node alone decides that, and stops. Proposals after this fail. Blocks; not
    /// to be called on a thread that drives the runtime.
    pub fn close(&self) {
        self.shared.queue.lock().stopping = true;
        self.shared.wake.notify_one();
        match &self.part {
            Part::Solo(worker) => {
                let worker = worker.lock().take();
                if let Some(worker) = worker
                    && worker.join().is_err()
                {
                    tracing::error!("the metadata thread panicked");
                }
            }
            Part::Voter(member) => member.close(),
            Part::Observer(stopping) => stopping.cancel(),
        }
    }
}

impl Drop for Quorum {
    /// Lets the worker go; whoever wants to know that all is committed calls [`Quorum::close`].
    fn drop(&mut self) {
        self.shared.queue.lock().stopping = true;
        self.shared.wake.notify_one();
        if let Part::Observer(stopping) = &self.part {
            stopping.cancel();
        }
    }
}

fn bad_batch(path: &Path, bad: BadBatch) -> QuorumError {
    QuorumError::Damaged { path: path.to_owned(), at: 0, error: bad.to_string() }
}
