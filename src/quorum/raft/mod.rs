//! A quorum of several: openraft decides, this directory is what it stands on.
//!
//! `types` entries as batches · `log`, `store` what is on disk · `state` what is applied · `network`, `wire` what the
//! voters tell each other · `lead` how proposals get in, and when this node is active.

mod lead;
mod log;
mod network;
mod state;
mod store;
mod types;
pub(super) mod wire;

#[cfg(test)]
mod tests;

pub use network::Transport;
pub use types::Voter;

use super::tail::Tail;
use super::{LOG_DIR, Open, QuorumError, Shared};
use crate::metadata::Replica;
use crate::model::{NodeId, Offset, TimestampMs};
use crate::rt::clock;
use network::{Network, Seen};
use openraft::error::{InitializeError, RaftError};
use openraft::raft::{AppendEntriesRequest, InstallSnapshotRequest};
use openraft::{ChangeMembers, Config, Raft, SnapshotPolicy};
use parking_lot::Mutex;
use state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use store::LogStore;
use tokio_util::sync::CancellationToken;
use types::{TypeConfig, node_id, raft_id};
use wire::Ask;

/// Entries that stay in the log behind a snapshot, so that a voter that is a little late needs none.
const KEEP_BEHIND_SNAPSHOT: u64 = 1000;
/// Entries in one message at most.
const ENTRIES_MAX: u64 = 300;

/// How long is too long, between controllers.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// `controller.quorum.fetch.timeout.ms`: a leader that is not heard from this long is replaced, and one that hears
    /// from no majority this long stops deciding.
    pub fetch: Duration,
    /// `controller.quorum.request.timeout.ms`
    pub request: Duration,
}

/// What a quorum of several needs besides [`Open`].
pub struct Join {
    pub cluster_id: String,
    /// Who votes when the cluster is founded. Later the log says who.
    pub voters: Vec<(NodeId, Voter)>,
    pub timing: Timing,
    pub transport: Arc<dyn Transport>,
    /// `controller.quorum.fetch.max.bytes`
    pub bytes_max: usize,
    /// `controller.quorum.fetch.snapshot.max.bytes`
    pub snapshot_bytes_max: usize,
}

/// How long a new voter may take to catch up.
const CATCH_UP_MAX: Duration = Duration::from_secs(30);

/// Lets the controller go on, whatever became of the change.
struct Resume<'a>(&'a AtomicBool);

impl Drop for Resume<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// This node as a voter.
pub(super) struct Member {
    raft: Raft<TypeConfig>,
    log: LogStore,
    state: State,
    node: NodeId,
    seen: Arc<Mutex<BTreeMap<u64, Seen>>>,
    /// The leader that was heard of last, and when.
    heard: Mutex<Option<(NodeId, Instant)>>,
    /// Set while the membership changes: this node is not active then.
    paused: Arc<AtomicBool>,
    changing: tokio::sync::Mutex<()>,
    stopping: CancellationToken,
    runtime: tokio::runtime::Handle,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("node", &self.node).finish_non_exhaustive()
    }
}

fn raft_error(error: impl std::fmt::Display) -> QuorumError {
    QuorumError::Raft(error.to_string())
}

fn config(join: &Join, snapshot_bytes: u64) -> Result<Config, QuorumError> {
    let fetch = u64::try_from(join.timing.fetch.as_millis()).unwrap_or(u64::MAX).max(100);
    let config = Config {
        cluster_name: join.cluster_id.clone(),
        // A follower waits for the longest of these, which is the leader's lease, and then for one drawn between them.
        election_timeout_min: fetch * 3 / 10,
        election_timeout_max: fetch / 2,
        heartbeat_interval: (fetch / 20).max(10),
        install_snapshot_timeout: u64::try_from(join.timing.request.as_millis()).unwrap_or(u64::MAX).max(1000),
        max_payload_entries: ENTRIES_MAX,
        replication_lag_threshold: snapshot_bytes.max(KEEP_BEHIND_SNAPSHOT),
        snapshot_policy: SnapshotPolicy::Never,
        snapshot_max_chunk_size: join.snapshot_bytes_max as u64,
        max_in_snapshot_log_to_keep: KEEP_BEHIND_SNAPSHOT,
        ..Config::default()
    };
    config.validate().map_err(raft_error)
}

impl Member {
    /// Opens log and snapshot, founds the quorum if the log is new, and takes part from then on.
    pub(super) async fn start(
        open: Open,
        join: Join,
        shared: Arc<Shared>,
        tail: Arc<Tail>,
    ) -> Result<Member, QuorumError> {
        let Open { fs, dir, node, settings, store, .. } = open;
        let dir = dir.join(LOG_DIR);
        let config = Arc::new(config(&join, settings.snapshot_bytes)?);
        let Join { cluster_id, voters, timing, transport, bytes_max, .. } = join;
        let opened = tokio::task::spawn_blocking(move || {
            let covered = Arc::default();
            let state = State::open(Arc::clone(&fs), dir.clone(), Replica::new(store), tail, Arc::clone(&covered))?;
            let log = LogStore::open(fs, dir, node, settings.segment_bytes, covered, bytes_max)?;
            Ok::<_, QuorumError>((state.with_log(log.clone()), log))
        });
        let (state, log) = opened.await.map_err(raft_error)??;
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let last = {
            let log = log.clone();
            Arc::new(move || log.log().lock().last().map(|id| id.index))
        };
        let network =
            Network { node, cluster: cluster_id, transport, seen: Arc::clone(&seen), silent: Arc::default(), last };
        let raft = Raft::new(raft_id(node), config, network, log.clone(), state.clone()).await.map_err(raft_error)?;
        let members: BTreeMap<u64, Voter> = voters.into_iter().map(|(id, voter)| (raft_id(id), voter)).collect();
        // A log that has something in it knows its voters.
        if !members.is_empty() && !raft.is_initialized().await.map_err(raft_error)? {
            match raft.initialize(members.clone()).await {
                Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
                Err(error) => return Err(raft_error(error)),
            }
        }
        let nobody = raft.with_raft_state(|state| state.membership_state.effective().nodes().next().is_none());
        if nobody.await.map_err(raft_error)? && log.log().lock().last().is_some() {
            return Err(QuorumError::Alone);
        }
        let stopping = CancellationToken::new();
        let member = Member {
            raft,
            log,
            state,
            node,
            seen,
            heard: Mutex::default(),
            paused: Arc::default(),
            changing: tokio::sync::Mutex::default(),
            stopping,
            runtime: tokio::runtime::Handle::current(),
        };
        lead::start(&member, shared, timing.fetch, settings.snapshot_bytes);
        Ok(member)
    }

    /// Answers another voter.
    pub(super) async fn serve(&self, ask: Ask) -> bytes::Bytes {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        if let Ask::Append(AppendEntriesRequest { vote, .. }) | Ask::Snapshot(InstallSnapshotRequest { vote, .. }) =
            &ask
        {
            *self.heard.lock() = vote.leader_id.voted_for().map(|leader| (node_id(leader), clock::now()));
        }
        match ask {
            Ask::Append(request) => wire::answer(self.raft.append_entries(request).await.map_err(|error| said(&error))),
            Ask::Vote(request) => wire::answer(self.raft.vote(request).await.map_err(|error| said(&error))),
            Ask::Snapshot(request) => {
                let taken = self.raft.install_snapshot(request).await;
                let taken = taken.map(|taken| openraft::raft::SnapshotResponse { vote: taken.vote });
                wire::answer(taken.map_err(|error| said(&error)))
            }
            Ask::Fetch(_) => wire::answer::<wire::Fetched>(Err("this is answered elsewhere".into())),
        }
    }

    /// The leader that was heard of last, and when.
    pub(super) fn heard(&self) -> Option<(NodeId, Instant)> {
        *self.heard.lock()
    }

    /// Whether what is applied ends inside a metadata transaction.
    pub(super) fn in_transaction(&self) -> bool {
        self.state.in_transaction()
    }

    /// Every voter with its address, and where its log ends as far as this node knows.
    pub(super) fn voters(&self) -> Vec<super::ReplicaState> {
        let metrics = self.raft.metrics().borrow().clone();
        let seen = self.seen.lock().clone();
        let log = self.log.log().lock();
        let voting: BTreeSet<u64> = metrics.membership_config.membership().voter_ids().collect();
        let now = clock::now_ms();
        let state = |id: u64, voter: &Voter| {
            let own = node_id(id) == self.node;
            let seen = seen.get(&id).filter(|_| !own);
            let end = if own {
                Some(log.end())
            } else {
                let matched = metrics.replication.as_ref().and_then(|all| all.get(&id)).copied().flatten();
                matched.and_then(|id| log.offset_after(id.index))
            };
            let at = |of: fn(&Seen) -> TimestampMs| match (own, seen) {
                (true, _) => now,
                (false, Some(seen)) => of(seen),
                (false, None) => TimestampMs::NONE,
            };
            super::ReplicaState {
                node: node_id(id),
                at: voter.clone(),
                end: end.unwrap_or(Offset(-1)),
                last_fetch: at(|seen| seen.answered),
                last_caught_up: at(|seen| seen.caught_up),
            }
        };
        let nodes = metrics.membership_config.membership().clone();
        nodes.nodes().filter(|(id, _)| voting.contains(id)).map(|(id, voter)| state(*id, voter)).collect()
    }

    /// Makes a node a voter: it first catches up without a vote.
    pub(super) async fn add(&self, id: NodeId, voter: Voter, shared: &Shared) -> Result<(), QuorumError> {
        let id = raft_id(id);
        self.apart(shared, self.raft.add_learner(id, voter, false)).await?;
        let caught_up = |now: &openraft::RaftMetrics<u64, Voter>| {
            let matched = now.replication.as_ref().and_then(|all| all.get(&id)).copied().flatten();
            now.replication.is_none() || matched.map(|id| id.index) >= now.last_applied.map(|id| id.index)
        };
        let wait = self.raft.wait(Some(CATCH_UP_MAX));
        wait.metrics(caught_up, "the new voter has caught up").await.map_err(raft_error)?;
        let changes = ChangeMembers::AddVoterIds(BTreeSet::from([id]));
        self.apart(shared, self.raft.change_membership(changes, false)).await
    }

    pub(super) async fn remove(&self, id: NodeId, shared: &Shared) -> Result<(), QuorumError> {
        let changes = ChangeMembers::RemoveVoters(BTreeSet::from([raft_id(id)]));
        self.apart(shared, self.raft.change_membership(changes, false)).await
    }

    /// Changes the membership while nothing is proposed: its entries take offsets that the controller does not know of.
    async fn apart<T, E: std::fmt::Display>(
        &self,
        shared: &Shared,
        change: impl Future<Output = Result<T, E>>,
    ) -> Result<(), QuorumError> {
        let _one = self.changing.lock().await;
        self.paused.store(true, Ordering::SeqCst);
        let _resume = Resume(&self.paused);
        if shared.leadership.subscribe().wait_for(|now| now.term.is_none()).await.is_err() {
            return Err(QuorumError::Stopped);
        }
        change.await.map(|_| ()).map_err(raft_error)
    }

    /// Stops taking part. Blocks; not to be called on a thread that drives the runtime.
    pub(super) fn close(&self) {
        self.stopping.cancel();
        let raft = self.raft.clone();
        self.runtime.block_on(async move {
            if let Err(error) = raft.shutdown().await {
                tracing::error!(%error, "the quorum did not stop cleanly");
            }
        });
    }
}

impl Drop for Member {
    /// Lets go of openraft, which stops when nobody holds it.
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}
