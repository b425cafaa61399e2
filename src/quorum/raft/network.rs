//! How openraft reaches the other voters: messages to bytes, and bytes through a [`Transport`].

use super::types::{Id, TypeConfig, Voter, node_id};
use super::wire::{Answer, Ask, Request, reaches, read_answer};
use crate::model::{NodeId, TimestampMs};
use crate::rt::clock;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use openraft::error::{InstallSnapshotError, RPCError, RaftError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, SnapshotResponse,
    VoteRequest, VoteResponse,
};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Carries the quorum's messages to other nodes.
pub trait Transport: Send + Sync + 'static {
    /// Sends `message` to the controller `to`, which listens at `host` and `port`; answers what it answered.
    fn call(
        &self,
        to: NodeId,
        host: &str,
        port: u16,
        message: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, io::Result<Bytes>>;
}

/// When a voter last answered, for those who look at the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) answered: TimestampMs,
    pub(super) caught_up: TimestampMs,
    pub(super) matched: Option<Id>,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Network {
    pub(super) node: NodeId,
    pub(super) cluster: String,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) seen: Arc<Mutex<BTreeMap<u64, Seen>>>,
    /// Voters that did not answer when they were last asked.
    pub(super) silent: Arc<Mutex<BTreeSet<u64>>>,
    /// The index of the last entry of this node's log.
    pub(super) last: Arc<dyn Fn() -> Option<u64> + Send + Sync>,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, voter: &Voter) -> Peer {
        Peer { network: self.clone(), target, voter: voter.clone() }
    }
}

/// The way to one voter.
pub(super) struct Peer {
    network: Network,
    target: u64,
    voter: Voter,
}

type Failed<E> = RPCError<u64, Voter, E>;

impl Peer {
    async fn call<T: Answer>(&self, ask: Ask, deadline: Duration) -> Result<T, Unreachable> {
        let Network { node, cluster, transport, .. } = &self.network;
        let to = node_id(self.target);
        let request = Request { cluster: cluster.clone(), from: *node, to, ask };
        let answer = transport.call(to, &self.voter.host, self.voter.port, request.to_bytes(), deadline).await;
        let answer = answer.and_then(|bytes| read_answer(&bytes));
        // Said once, not at each attempt.
        match &answer {
            Err(error) if self.network.silent.lock().insert(self.target) => {
                tracing::info!(controller = self.target, %error, "a controller does not answer");
            }
            Ok(_) if self.network.silent.lock().remove(&self.target) => {
                tracing::info!(controller = self.target, "a controller answers again");
            }
            _ => {}
        }
        answer.map_err(|error| Unreachable::new(&error))
    }
}

impl RaftNetwork<TypeConfig> for Peer {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed<RaftError<u64>>> {
        let reached = reaches(&request);
        let answer = self.call(Ask::Append(request), option.hard_ttl()).await?;
        let now = clock::now_ms();
        let mut seen = self.network.seen.lock();
        let seen =
            seen.entry(self.target).or_insert(Seen { answered: now, caught_up: TimestampMs::NONE, matched: None });
        seen.answered = now;
        if matches!(answer, AppendEntriesResponse::Success) {
            seen.matched = reached.max(seen.matched);
            if seen.matched.map(|id| id.index) >= (self.network.last)() {
                seen.caught_up = now;
            }
        }
        Ok(answer)
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failed<RaftError<u64, InstallSnapshotError>>> {
        let answer: SnapshotResponse<u64> = self.call(Ask::Snapshot(request), option.hard_ttl()).await?;
        Ok(answer.into())
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, Failed<RaftError<u64>>> {
        Ok(self.call(Ask::Vote(request), option.hard_ttl()).await?)
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(Duration::from_millis(50)))
    }
}
