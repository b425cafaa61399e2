//! What others ask of this node's part in the quorum: the messages of voters and followers, how far each of them is, and
//! who is to be a voter.

use super::raft::wire::{self, Ask, Fetch, Fetched, Request};
use super::{Part, ProposeError, Quorum, QuorumError, Voter};
use crate::model::{LeaderEpoch, NodeId, Offset, TimestampMs};
use crate::rt::clock;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use uuid::Uuid;

/// A follower that has not asked for this long is not shown any more (Kafka: `OBSERVER_SESSION_TIMEOUT`, five minutes).
const FORGOTTEN_AFTER_MS: i64 = 300_000;
/// The longest that a follower may wait for something to come.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Followers that are remembered.
const OBSERVED_MAX: usize = 10_000;

/// Followers without a vote, as far as they asked this node.
pub(super) type Observed = BTreeMap<NodeId, ReplicaState>;

/// How far a replica of the metadata log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaState {
    pub node: NodeId,
    /// Its address and directory; the address of a follower is not known.
    pub at: Voter,
    /// The offset after its last record; -1 if that is not known.
    pub end: Offset,
    /// When it was last heard from.
    pub last_fetch: TimestampMs,
    /// When it last had everything.
    pub last_caught_up: TimestampMs,
}

/// The quorum as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub leader: NodeId,
    pub epoch: LeaderEpoch,
    /// The offset after the last record committed.
    pub high_watermark: Offset,
    pub voters: Vec<ReplicaState>,
    pub observers: Vec<ReplicaState>,
}

impl Quorum {
    /// Describes the quorum; `None` on a node that does not lead it.
    #[must_use]
    pub fn describe(&self) -> Option<Description> {
        let leadership = *self.shared.leadership.borrow();
        if leadership.leader != Some(self.node) {
            return None;
        }
        let now = clock::now_ms();
        let end = *self.tail.end().borrow();
        let voters = match &self.part {
            Part::Voter(member) => member.voters(),
            Part::Solo(_) => {
                vec![ReplicaState { node: self.node, at: Voter::default(), end, last_fetch: now, last_caught_up: now }]
            }
            Part::Observer(_) => return None,
        };
        let is_voter = |id: NodeId| voters.iter().any(|voter| voter.node == id);
        let mut observed = self.observed.lock();
        observed.retain(|id, state| now.0 - state.last_fetch.0 < FORGOTTEN_AFTER_MS && !is_voter(*id));
        let observers = observed.values().cloned().collect();
        Some(Description { leader: self.node, epoch: leadership.epoch, high_watermark: end, voters, observers })
    }

    /// Answers a message of another node. `cluster_id` is this node's.
    ///
    /// # Errors
    /// It cannot be read: the connection is to be closed.
    pub async fn serve(&self, cluster_id: &str, message: &Bytes) -> io::Result<Bytes> {
        let Request { cluster, from, to, ask } = Request::read(message)?;
        if cluster != cluster_id {
            return Ok(refusal(format!("this node is of cluster {cluster_id}, not of {cluster}")));
        }
        // Who does not know whom it found behind an address names nobody.
        if to.0 >= 0 && to != self.node {
            return Ok(refusal(format!("this is node {}, not {}", self.node.0, to.0)));
        }
        Ok(match (ask, &self.part) {
            (Ask::Fetch(fetch), Part::Solo(_) | Part::Voter(_)) => wire::answer(self.fetched(from, fetch).await),
            (ask, Part::Voter(member)) => member.serve(ask).await,
            _ => refusal(format!("node {} does not vote with others", self.node.0)),
        })
    }

    async fn fetched(&self, from: NodeId, fetch: Fetch) -> Result<Fetched, String> {
        let mut end = self.tail.end();
        let wait = Duration::from_millis(u64::from(fetch.wait_ms)).min(WAIT_MAX);
        self.observe(from, fetch.directory, fetch.from);
        let mut leadership = self.shared.leadership.subscribe();
        let asked = *leadership.borrow_and_update();
        tokio::select! {
            _ = end.wait_for(|end| *end > fetch.from) => {}
            // A follower wants to know of a new leader at once.
            _ = leadership.wait_for(|now| (now.epoch, now.leader) != (asked.epoch, asked.leader)) => {}
            () = tokio::time::sleep(wait) => {}
        }
        let committed = *end.borrow();
        let piece = self.tail.read(fetch.from, fetch.bytes_max as usize).map_err(|bad| bad.to_string())?;
        let now = *self.shared.leadership.borrow();
        Ok(Fetched { node: self.node, epoch: now.epoch, leader: now.leader, committed, piece })
    }

    fn observe(&self, node: NodeId, directory: Uuid, end: Offset) {
        let now = clock::now_ms();
        let mut observed = self.observed.lock();
        if observed.len() >= OBSERVED_MAX && !observed.contains_key(&node) {
            observed.retain(|_, state| now.0 - state.last_fetch.0 < FORGOTTEN_AFTER_MS);
            if observed.len() >= OBSERVED_MAX {
                return;
            }
        }
        let caught_up = end >= *self.tail.end().borrow();
        let before = observed.get(&node).map_or(TimestampMs::NONE, |state| state.last_caught_up);
        let state = ReplicaState {
            node,
            at: Voter { directory, ..Voter::default() },
            end,
            last_fetch: now,
            last_caught_up: if caught_up { now } else { before },
        };
        observed.insert(node, state);
    }

    /// Makes a node a voter.
    ///
    /// # Errors
    /// This node does not lead a quorum of several, or the change was not committed.
    pub async fn add_voter(&self, id: NodeId, voter: Voter) -> Result<(), ProposeError> {
        let Part::Voter(member) = &self.part else { return Err(ProposeError::TermOver) };
        member.add(id, voter, &self.shared).await.map_err(change_failed)
    }

    /// Takes a node's vote away.
    ///
    /// # Errors
    /// As [`Quorum::add_voter`].
    pub async fn remove_voter(&self, id: NodeId) -> Result<(), ProposeError> {
        let Part::Voter(member) = &self.part else { return Err(ProposeError::TermOver) };
        member.remove(id, &self.shared).await.map_err(change_failed)
    }
}

fn change_failed(error: QuorumError) -> ProposeError {
    tracing::warn!(%error, "the voters were not changed");
    ProposeError::Unknown
}

fn refusal(why: String) -> Bytes {
    wire::answer::<Fetched>(Err(why))
}
