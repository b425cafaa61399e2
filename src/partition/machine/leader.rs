//! The leader of a partition: how far each follower is, who is in sync, and how far that lets the high watermark go
//! (Kafka's `Partition` and `Replica`; KIP-497, KIP-841, KIP-903, KIP-966).
//!
//! The in-sync replicas are the controller's to change. The leader proposes ([`Leader::expansion`], [`Leader::shrinking`]), at most
//! one change at a time, and until the controller has answered counts as in sync whoever is before *or* after it: the
//! *maximal* in-sync replicas. So the high watermark is right whichever way it ends.
//!
//! Invariants: this node is among the in-sync replicas and they among the replicas; the partition epoch never falls;
//! what [`Leader::limit`] allows, every member of the maximal in-sync replicas has.

use crate::metadata::{PartitionImage, Replicas};
use crate::model::{LeaderEpoch, NodeId, Offset};

/// Before any time that a clock shows.
const NEVER: i64 = i64::MIN;

/// What a leader knows of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub node: NodeId,
    /// Where its log ends, by its last fetch; `Offset::NONE` if it has not fetched from this leader.
    pub log_end: Offset,
    pub log_start: Offset,
    /// When it last had everything that there was.
    caught_up_ms: i64,
    fetched_ms: i64,
    /// Where the leader's log ended when it last fetched.
    leader_end_then: Offset,
    /// Of the incarnation that last fetched; -1 if it is not known.
    broker_epoch: i64,
    /// Whether the controller would take it into the in-sync replicas: alive and not about to go.
    eligible: bool,
}

impl Progress {
    fn unknown(node: NodeId) -> Progress {
        Progress {
            node,
            log_end: Offset::NONE,
            log_start: Offset::NONE,
            caught_up_ms: NEVER,
            fetched_ms: NEVER,
            leader_end_then: Offset::NONE,
            broker_epoch: -1,
            eligible: false,
        }
    }

    /// Whether the incarnation that fetched is the one that the metadata knows as `epoch`.
    fn is_known_as(&self, epoch: Option<i64>) -> bool {
        epoch.is_some_and(|epoch| self.broker_epoch == -1 || self.broker_epoch == epoch)
    }

    /// As seen now by a leader whose log ends at `leader_end`.
    fn is_caught_up(&self, leader_end: Offset, now_ms: i64, lag_max_ms: i64) -> bool {
        self.log_end == leader_end || now_ms.saturating_sub(self.caught_up_ms) <= lag_max_ms
    }
}

/// In-sync replicas to be proposed to the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
    /// With the broker epoch in which each was seen; -1 for this node, which the sender knows.
    pub isr: Vec<(NodeId, i64)>,
}

/// What the controller made of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The partition stands so now.
    Is { leader_epoch: LeaderEpoch, partition_epoch: i32, isr: Replicas },
    /// Surely not done: it may be proposed anew.
    Refused,
    /// It is not known, or will be known from the metadata: nothing is proposed before that.
    Unknown,
    /// The controller could not be asked, or will not say: the same again.
    Retry,
}

/// A follower's fetch, as its leader takes note of it.
#[derive(Clone, Copy, Debug)]
pub struct FollowerFetch {
    pub from: NodeId,
    /// What it has is below this.
    pub at: Offset,
    pub log_start: Offset,
    pub broker_epoch: i64,
    /// The epoch in which the metadata knows it, if it is alive and not about to go.
    pub eligible: Option<i64>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Leader {
    me: NodeId,
    epoch: LeaderEpoch,
    partition_epoch: i32,
    /// Where the log ended when this node came to lead; `None` until the log has been opened.
    epoch_start: Option<Offset>,
    /// As the controller last said.
    isr: Replicas,
    proposed: Option<Replicas>,
    /// All replicas but this node.
    followers: Vec<Progress>,
}

impl Leader {
    /// A new leader. It counts on those in sync to be so still.
    #[must_use]
    pub fn new(me: NodeId, image: &PartitionImage, now_ms: i64) -> Leader {
        let mut leader = Leader {
            me,
            epoch: image.leader_epoch,
            partition_epoch: image.partition_epoch,
            epoch_start: None,
            isr: image.isr.clone(),
            proposed: None,
            followers: Vec::new(),
        };
        leader.assign(&image.replicas);
        for follower in &mut leader.followers {
            if image.isr.contains(&follower.node) {
                follower.caught_up_ms = now_ms;
            }
        }
        leader.assert_invariants();
        leader
    }

    /// What the metadata says of the partition now, this node still leading. Answers false if it is older than what is
    /// known already.
    pub fn update(&mut self, image: &PartitionImage, log_end: Option<Offset>, now_ms: i64) -> bool {
        if image.partition_epoch < self.partition_epoch {
            return false;
        }
        assert!(image.leader_epoch >= self.epoch, "leader epoch fell from {} to {}", self.epoch, image.leader_epoch);
        self.assign(&image.replicas);
        if image.leader_epoch > self.epoch {
            // Elected again: what is known of the followers' logs holds, since no other leader was between.
            self.epoch = image.leader_epoch;
            self.epoch_start = log_end;
            for follower in &mut self.followers {
                let in_sync = image.isr.contains(&follower.node);
                follower.caught_up_ms = if in_sync { now_ms } else { NEVER };
                follower.fetched_ms = if in_sync { now_ms } else { NEVER };
                follower.leader_end_then = log_end.unwrap_or(Offset::NONE);
            }
        }
        if image.partition_epoch > self.partition_epoch || image.isr != self.isr {
            // Any change of the partition makes a proposal void that was based on the state before it.
            self.proposed = None;
        }
        self.partition_epoch = image.partition_epoch;
        self.isr = image.isr.clone();
        self.assert_invariants();
        true
    }

    fn assign(&mut self, replicas: &Replicas) {
        let (me, old) = (self.me, std::mem::take(&mut self.followers));
        self.followers = replicas
            .iter()
            .filter(|node| **node != me)
            .map(|node| old.iter().find(|known| known.node == *node).copied().unwrap_or(Progress::unknown(*node)))
            .collect();
    }

    #[must_use]
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    #[must_use]
    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    /// The log has been opened, or this node came to lead with the log open.
    pub fn begins_at(&mut self, log_end: Offset) {
        self.epoch_start.get_or_insert(log_end);
    }

    /// Where this leader's epoch begins in the log.
    #[must_use]
    pub fn epoch_start(&self) -> Option<Offset> {
        self.epoch_start
    }

    #[must_use]
    pub fn isr(&self) -> &Replicas {
        &self.isr
    }

    #[must_use]
    pub fn followers(&self) -> &[Progress] {
        &self.followers
    }

    #[must_use]
    pub fn replication_factor(&self) -> usize {
        self.followers.len() + 1
    }

    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.followers.is_empty()
    }

    /// Whether fewer replicas are in sync than are wanted: `min.insync.replicas`, or all that there are.
    #[must_use]
    pub fn is_under_min_isr(&self, min_isr: usize) -> bool {
        self.isr.len() < min_isr.min(self.replication_factor())
    }

    /// As [`Leader::is_under_min_isr`], counting who is about to be in sync or out of it. Asked when records were committed that were
    /// appended before.
    #[must_use]
    pub fn is_maximally_under_min_isr(&self, min_isr: usize) -> bool {
        let all = self.followers.iter().filter(|follower| self.counts(follower.node)).count() + 1;
        all < min_isr.min(self.replication_factor())
    }

    /// Whether a node is in the maximal in-sync replicas.
    fn counts(&self, node: NodeId) -> bool {
        self.isr.contains(&node) || self.proposed.as_ref().is_some_and(|proposed| proposed.contains(&node))
    }

    /// How far the high watermark may go, given where this node's log ends: what all of the maximal in-sync replicas
    /// have, and those that are about to be (else a replica would never catch up with a busy leader). `None`: no further
    /// than it is, since too few are in sync.
    #[must_use]
    pub fn limit(&self, log_end: Offset, min_isr: usize, now_ms: i64, lag_max_ms: i64) -> Option<Offset> {
        if self.followers.is_empty() {
            return Some(Offset(i64::MAX));
        }
        if self.is_under_min_isr(min_isr) {
            return None;
        }
        let waits_for = |follower: &&Progress| {
            self.counts(follower.node) || (follower.eligible && follower.is_caught_up(log_end, now_ms, lag_max_ms))
        };
        let least = self.followers.iter().filter(waits_for).map(|follower| follower.log_end).min();
        Some(least.unwrap_or(Offset(i64::MAX)))
    }

    /// Whether `node` is one of the replicas.
    #[must_use]
    pub fn knows(&self, node: NodeId) -> bool {
        self.followers.iter().any(|follower| follower.node == node)
    }

    /// Takes note of a fetch that was answered from a log that ended at `log_end`. Answers whether the follower has
    /// moved on; `None` if the fetch is not to be counted: it comes from an earlier life of the follower (KIP-903), or
    /// from no replica.
    pub fn fetched(&mut self, fetch: &FollowerFetch, log_end: Offset, now_ms: i64) -> Option<bool> {
        let follower = self.followers.iter_mut().find(|follower| follower.node == fetch.from)?;
        let known = fetch.eligible.unwrap_or(-1).max(follower.broker_epoch);
        if fetch.broker_epoch != -1 && fetch.broker_epoch < known {
            return None;
        }
        if fetch.at >= log_end {
            follower.caught_up_ms = follower.caught_up_ms.max(now_ms);
        } else if fetch.at >= follower.leader_end_then {
            follower.caught_up_ms = follower.caught_up_ms.max(follower.fetched_ms);
        }
        let moved = follower.log_end != fetch.at;
        follower.log_end = fetch.at;
        follower.log_start = fetch.log_start;
        follower.leader_end_then = log_end;
        follower.fetched_ms = now_ms;
        follower.broker_epoch = fetch.broker_epoch.max(follower.broker_epoch);
        follower.eligible = follower.is_known_as(fetch.eligible);
        Some(moved)
    }

    /// Whether the controller would take each follower into the in-sync replicas, after a change of the brokers.
    pub fn set_eligible(&mut self, eligible: impl Fn(NodeId) -> Option<i64>) {
        for follower in &mut self.followers {
            follower.eligible = follower.is_known_as(eligible(follower.node));
        }
    }

    /// Of the in-sync followers that `is_near`, the one that has `from` and the most (`ReplicaView.comparator`).
    #[must_use]
    pub fn nearest(&self, from: Offset, is_near: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let serves = |follower: &&Progress| {
            self.isr.contains(&follower.node)
                && (follower.log_start..=follower.log_end).contains(&from)
                && is_near(follower.node)
        };
        let most = |follower: &&Progress| (follower.log_end, follower.caught_up_ms, follower.node);
        self.followers.iter().filter(serves).max_by_key(most).map(|follower| follower.node)
    }

    /// Where the shortest of the logs starts, of this node's (`own`) and of the followers that live.
    #[must_use]
    pub fn low_watermark(&self, own: Offset, lives: impl Fn(NodeId) -> bool) -> Offset {
        let alive = self.followers.iter().filter(|follower| lives(follower.node));
        alive.map(|follower| follower.log_start).fold(own, Offset::min)
    }

    /// How many followers should be in sync and are not.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.replication_factor() - self.isr.len()
    }

    /// Proposes to take `node` in, if it has everything that is committed and what there was when this leader's epoch
    /// began.
    pub fn expansion(&mut self, node: NodeId, high_watermark: Offset) -> Option<Proposal> {
        if self.proposed.is_some() || self.isr.contains(&node) {
            return None;
        }
        let follower = self.followers.iter().find(|follower| follower.node == node)?;
        let begun = self.epoch_start?;
        if !follower.eligible || follower.log_end < high_watermark || follower.log_end < begun {
            return None;
        }
        let mut isr = self.isr.clone();
        isr.push(node);
        self.propose(isr)
    }

    /// Proposes to do without those that have been behind for longer than `lag_max_ms` (`replica.lag.time.max.ms`).
    pub fn shrinking(&mut self, log_end: Offset, now_ms: i64, lag_max_ms: i64) -> Option<Proposal> {
        if self.proposed.is_some() {
            return None;
        }
        let stays = |node: &NodeId| {
            *node == self.me
                || self
                    .followers
                    .iter()
                    .any(|follower| follower.node == *node && follower.is_caught_up(log_end, now_ms, lag_max_ms))
        };
        let isr: Replicas = self.isr.iter().filter(|node| stays(node)).copied().collect();
        (isr.len() < self.isr.len()).then(|| self.propose(isr)).flatten()
    }

    fn propose(&mut self, isr: Replicas) -> Option<Proposal> {
        let seen = |node: &NodeId| {
            let known = self.followers.iter().find(|follower| follower.node == *node);
            (*node, known.map_or(-1, |follower| follower.broker_epoch))
        };
        let proposal = Proposal {
            leader_epoch: self.epoch,
            partition_epoch: self.partition_epoch,
            isr: isr.iter().map(seen).collect(),
        };
        self.proposed = Some(isr);
        self.assert_invariants();
        Some(proposal)
    }

    /// What is proposed and not decided, as it was proposed.
    #[must_use]
    pub fn proposed(&self) -> Option<&Replicas> {
        self.proposed.as_ref()
    }

    /// The controller has answered `proposal`. Answers the proposal if it is to be sent again. A verdict on anything but
    /// what is proposed now changes nothing.
    pub fn decided(&mut self, proposal: Proposal, verdict: Verdict) -> Option<Proposal> {
        let asked: Replicas = proposal.isr.iter().map(|(node, _)| *node).collect();
        let current = proposal.leader_epoch == self.epoch
            && proposal.partition_epoch == self.partition_epoch
            && self.proposed.as_ref() == Some(&asked);
        if !current {
            return None;
        }
        match verdict {
            Verdict::Is { leader_epoch, partition_epoch, isr } => {
                if leader_epoch == self.epoch && partition_epoch >= self.partition_epoch && isr.contains(&self.me) {
                    self.partition_epoch = partition_epoch;
                    self.isr = isr;
                    self.proposed = None;
                    self.assert_invariants();
                }
                None
            }
            Verdict::Refused => {
                self.proposed = None;
                None
            }
            Verdict::Unknown => None,
            Verdict::Retry => Some(proposal),
        }
    }

    fn assert_invariants(&self) {
        let is_replica = |node: &NodeId| *node == self.me || self.followers.iter().any(|known| known.node == *node);
        assert!(
            self.isr.contains(&self.me) && self.isr.iter().all(is_replica),
            "in-sync replicas {:?} of the leader {:?} with the followers {:?}",
            self.isr,
            self.me,
            self.followers.iter().map(|follower| follower.node).collect::<Vec<_>>()
        );
    }
}
