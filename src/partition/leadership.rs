//! Who leads: what a change of the metadata does to a partition, and what its leader and its followers tell it.
//!
//! Decisions are the machine's ([`Leader`]); here they meet the log and those who wait.

use super::machine::{FollowerFetch, Leader, NO_LIMIT, Proposal, Verdict, Visibility, truncation};
use super::state::{Partition, Slot, State};
use crate::metadata::{Image, PartitionImage};
use crate::metrics::Count;
use crate::model::{ErrorCode, LeaderEpoch, NodeId, Offset};
use crate::record::Batch;
use crate::rt::clock;
use crate::storage::{AppendError, EpochEnd};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;

/// What this broker is to a partition.
#[derive(Debug)]
pub(super) enum Role {
    Leader(Box<Leader>),
    Follower {
        /// `None`: nobody leads now.
        leader: Option<NodeId>,
    },
}

/// In-sync replicas that are to be proposed to the controller.
#[derive(Debug)]
pub struct IsrChange {
    pub partition: Arc<Partition>,
    pub proposal: Proposal,
}

/// What the partitions of a broker have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub node: NodeId,
    /// `replica.lag.time.max.ms`
    pub lag_max_ms: i64,
    proposals: Mutex<Vec<IsrChange>>,
    proposed: Notify,
    pub counts: IsrCounts,
}

/// How in-sync replicas have changed since the start.
#[derive(Debug, Default)]
pub struct IsrCounts {
    pub shrinks: Count,
    pub expands: Count,
    /// Proposals that the controller did not accept.
    pub failed: Count,
}

impl IsrCounts {
    fn changed(&self, from: usize, to: usize) {
        match to.cmp(&from) {
            std::cmp::Ordering::Less => self.shrinks.inc(),
            std::cmp::Ordering::Greater => self.expands.inc(),
            std::cmp::Ordering::Equal => {}
        }
    }
}

/// A partition among its replicas, as metrics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub leads: bool,
    /// It leads, and some replica is not in sync.
    pub under_replicated: bool,
    pub under_min_isr: bool,
    pub at_min_isr: bool,
    pub offline: bool,
}

impl Common {
    pub(super) fn new(node: NodeId, lag_max: Duration) -> Common {
        let lag_max_ms = i64::try_from(lag_max.as_millis()).unwrap_or(i64::MAX);
        Common { node, lag_max_ms, proposals: Mutex::default(), proposed: Notify::new(), counts: IsrCounts::default() }
    }

    fn propose(&self, change: IsrChange) {
        self.proposals.lock().push(change);
        self.proposed.notify_one();
    }

    /// Resolves once there is something to propose.
    pub(super) async fn proposals(&self) -> Vec<IsrChange> {
        loop {
            let all = std::mem::take(&mut *self.proposals.lock());
            if !all.is_empty() {
                return all;
            }
            self.proposed.notified().await;
        }
    }
}

/// A follower's log, as it asks its leader for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerLog {
    pub log_start: Offset,
    pub log_end: Offset,
    pub high_watermark: Offset,
    /// Of the last record; `LeaderEpoch::NONE` in an empty log.
    pub last_epoch: LeaderEpoch,
}

/// What a leader said of its log with the records that it sent.
#[derive(Clone, Copy, Debug)]
pub struct LeaderLog {
    pub high_watermark: Offset,
    pub log_start: Offset,
}

/// Whether the controller would take a broker into in-sync replicas: its epoch, if it lives and is not about to go.
pub(super) fn eligible(image: &Image, node: NodeId) -> Option<i64> {
    let broker = image.brokers.get(&node)?;
    (!broker.fenced && !broker.in_controlled_shutdown).then_some(broker.epoch)
}

impl Partition {
    /// The metadata says how the partition stands.
    pub(super) fn stand(&self, wanted: &PartitionImage, image: &Image) {
        let mut state = self.state.lock();
        let now = clock::steady_ms();
        let me = self.common.node;
        let leads = wanted.leader == Some(me) && wanted.isr.contains(&me);
        if wanted.leader_epoch < state.leader_epoch {
            tracing::error!(partition = %self.name, known = %state.leader_epoch, told = %wanted.leader_epoch, "the leader epoch fell");
            return;
        }
        let log_end = match &state.log {
            Slot::Open(log) => Some(log.log_end()),
            _ => None,
        };
        let rises = wanted.leader_epoch > state.leader_epoch;
        match &mut state.role {
            Role::Leader(leader) if leads => {
                let before = leader.isr().len();
                if !leader.update(wanted, log_end, now) {
                    return;
                }
                // Mostly sooner here than with the controller's answer.
                self.common.counts.changed(before, leader.isr().len());
                leader.set_eligible(|node| eligible(image, node));
            }
            role if leads => {
                let mut leader = Leader::new(me, wanted, now);
                leader.set_eligible(|node| eligible(image, node));
                if let Some(log_end) = log_end {
                    leader.begins_at(log_end);
                }
                *role = Role::Leader(Box::new(leader));
            }
            role => {
                let led_before = matches!(role, Role::Leader(_));
                *role = Role::Follower { leader: wanted.leader.filter(|leader| *leader != me) };
                if led_before || rises {
                    // Who waits here for a commit, or for bytes, is to ask the new leader.
                    state.waiting.fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
                    state.verifying.forget();
                }
                // What the leader has committed is not known beyond what it was.
                let known = state.visibility.high_watermark();
                state.visibility.limited(known);
            }
        }
        state.leader_epoch = wanted.leader_epoch;
        if leads
            && rises
            && let Slot::Open(log) = &mut state.log
            && let Err(error) = log.assign_epoch(wanted.leader_epoch)
        {
            self.storage_failed(&mut state, &error);
        }
        self.relimit(&mut state);
    }

    /// The brokers have changed, and with them who may be in sync.
    pub(super) fn brokers_changed(&self, image: &Image) {
        let mut state = self.state.lock();
        if let Role::Leader(leader) = &mut state.role
            && !leader.is_alone()
        {
            leader.set_eligible(|node| eligible(image, node));
            self.relimit(&mut state);
        }
    }

    /// The log is open: what is visible of it. `committed` is what the last life knew to be committed.
    pub(super) fn visible_at_open(&self, state: &mut State, committed: Offset) {
        let Slot::Open(log) = &mut state.log else { return };
        let (start, end) = (log.log_start(), log.log_end());
        let committed = committed.clamp(start, end.max(start));
        let limit = match &mut state.role {
            Role::Leader(leader) => {
                leader.begins_at(end);
                leader.limit(end, state.min_isr, clock::steady_ms(), self.common.lag_max_ms).unwrap_or(committed)
            }
            Role::Follower { .. } => committed,
        };
        state.visibility = Visibility::opened(committed, end, limit);
        log.high_watermark_advanced(state.visibility.high_watermark());
    }

    /// Finds out anew how far the high watermark may go.
    pub(super) fn relimit(&self, state: &mut State) {
        let (Role::Leader(leader), Slot::Open(log)) = (&state.role, &state.log) else { return };
        let limit = match leader.is_alone() {
            true => Some(NO_LIMIT),
            false => leader.limit(log.log_end(), state.min_isr, clock::steady_ms(), self.common.lag_max_ms),
        };
        let limit = limit.unwrap_or(state.visibility.high_watermark());
        if state.visibility.limited(limit) {
            state.high_watermark_moved();
        }
    }

    /// A follower has fetched from a log that ends at `log_end`.
    pub(super) fn note_fetch(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        fetch: &FollowerFetch,
        log_end: Offset,
    ) -> Result<(), ErrorCode> {
        let now = clock::steady_ms();
        let high_watermark = state.visibility.high_watermark();
        let Role::Leader(leader) = &mut state.role else { return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) };
        let Some(moved) = leader.fetched(fetch, log_end, now) else {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        };
        if let Some(proposal) = leader.expansion(fetch.from, high_watermark) {
            self.common.propose(IsrChange { partition: Arc::clone(self), proposal });
        }
        if moved {
            self.relimit(state);
        }
        Ok(())
    }

    /// Proposes to do without followers that are too far behind, and looks at the high watermark, which may have waited
    /// for one of them.
    pub(super) fn shrink_isr(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let Role::Leader(leader) = &state.role else { return };
        if leader.is_alone() {
            return;
        }
        let log_end = match &state.log {
            Slot::Open(log) => log.log_end(),
            // Nobody has needed it since a clean stop, and it is not opened for this.
            Slot::Cold { clean: true, recovery_point, .. } => *recovery_point,
            Slot::Cold { .. } | Slot::Offline | Slot::Deleted => return,
        };
        let Role::Leader(leader) = &mut state.role else { return };
        if let Some(proposal) = leader.shrinking(log_end, clock::steady_ms(), self.common.lag_max_ms) {
            self.common.propose(IsrChange { partition: Arc::clone(self), proposal });
        }
        self.relimit(&mut state);
    }

    /// The controller has answered a proposal.
    pub fn isr_decided(self: &Arc<Self>, proposal: Proposal, verdict: Verdict) {
        let mut state = self.state.lock();
        let Role::Leader(leader) = &mut state.role else { return };
        let before = leader.isr().len();
        if !matches!(verdict, Verdict::Is { .. }) {
            self.common.counts.failed.inc();
        }
        if let Some(again) = leader.decided(proposal, verdict) {
            self.common.propose(IsrChange { partition: Arc::clone(self), proposal: again });
            return;
        }
        let (isr, epoch) = (leader.isr().clone(), leader.partition_epoch());
        self.common.counts.changed(before, isr.len());
        if isr.len() != before {
            tracing::info!(partition = %self.name, ?isr, partition_epoch = epoch, "the in-sync replicas changed");
        }
        self.relimit(&mut state);
    }

    /// Whether this broker leads the partition, in `current` if the asker says an epoch (KIP-320).
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER`, `FENCED_LEADER_EPOCH` if the asker's epoch is older, `UNKNOWN_LEADER_EPOCH` if it is
    /// newer.
    pub fn check_leads(&self, current: LeaderEpoch) -> Result<(), ErrorCode> {
        let state = self.state.lock();
        state.check_leader_epoch(current)?;
        state.leader().map(|_| ())
    }

    /// Whether the end of the log may be told to clients: a new leader does not know what is committed before it has
    /// committed up to where its epoch began.
    ///
    /// # Errors
    /// `OFFSET_NOT_AVAILABLE` if not yet.
    pub fn check_end_is_known(&self) -> Result<(), ErrorCode> {
        let mut state = self.state.lock();
        self.opened(&mut state)?;
        let high_watermark = state.visibility.high_watermark();
        match state.leader()?.epoch_start() {
            Some(start) if high_watermark < start => Err(ErrorCode::OFFSET_NOT_AVAILABLE),
            _ => Ok(()),
        }
    }

    /// How the partition stands among its replicas.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.state.lock();
        let leader = state.leader().ok();
        let of = |holds: fn(&Leader, usize) -> bool| leader.is_some_and(|leader| holds(leader, state.min_isr));
        Standing {
            leads: leader.is_some(),
            under_replicated: of(|leader, _| leader.missing() > 0),
            under_min_isr: of(Leader::is_under_min_isr),
            at_min_isr: of(|leader, min| leader.isr().len() == min.min(leader.replication_factor())),
            offline: matches!(state.log, Slot::Offline),
        }
    }

    /// Where the shortest log of the replicas that live starts: records below are gone everywhere.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER`, else as [`Partition::positions`].
    pub fn low_watermark(&self, image: &Image) -> Result<Offset, ErrorCode> {
        let mut state = self.state.lock();
        let own = self.opened(&mut state)?.log_start();
        let lives = |node: NodeId| image.brokers.get(&node).is_some_and(|broker| !broker.fenced);
        Ok(state.leader()?.low_watermark(own, lives))
    }

    /// Who leads, and in which epoch; `None`: nobody.
    #[must_use]
    pub fn leader(&self) -> (Option<NodeId>, LeaderEpoch) {
        let state = self.state.lock();
        let leader = match &state.role {
            Role::Leader(_) => Some(self.common.node),
            Role::Follower { leader } => *leader,
        };
        (leader, state.leader_epoch)
    }

    /// The log of a follower in `epoch`.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER` if this broker leads, or the epoch is another; else as [`Partition::positions`].
    pub fn follower_log(&self, epoch: LeaderEpoch) -> Result<FollowerLog, ErrorCode> {
        let mut state = self.state.lock();
        self.following(&mut state, epoch)?;
        self.follower_view(&mut state)
    }

    fn follower_view(&self, state: &mut MutexGuard<'_, State>) -> Result<FollowerLog, ErrorCode> {
        let high_watermark = state.visibility.high_watermark();
        let Slot::Open(log) = &state.log else { return Err(ErrorCode::KAFKA_STORAGE_ERROR) };
        let (log_start, log_end) = (log.log_start(), log.log_end());
        match log.latest_epoch() {
            Ok(last) => {
                Ok(FollowerLog { log_start, log_end, high_watermark, last_epoch: last.unwrap_or(LeaderEpoch::NONE) })
            }
            Err(error) => Err(self.storage_failed(state, &error)),
        }
    }

    /// The log, if this broker follows in `epoch`.
    fn following(&self, state: &mut MutexGuard<'_, State>, epoch: LeaderEpoch) -> Result<(), ErrorCode> {
        if state.leader_epoch != epoch || matches!(state.role, Role::Leader(_)) {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        self.opened(state).map(|_| ())
    }

    /// Appends what the leader sent, with its offsets and epochs, and takes over what it has committed. `at` is where
    /// the log ended when the records were asked for.
    ///
    /// # Errors
    /// `NOT_LEADER_OR_FOLLOWER` if the leadership has changed or the log ends elsewhere by now; `CORRUPT_MESSAGE` if the
    /// batches do not follow on the log; else as [`Partition::positions`].
    pub fn append_followed(
        self: &Arc<Self>,
        epoch: LeaderEpoch,
        at: Offset,
        batches: &mut [Batch],
        leader: LeaderLog,
    ) -> Result<FollowerLog, ErrorCode> {
        let mut state = self.state.lock();
        self.following(&mut state, epoch)?;
        let flush_messages = self.config.load().flush_messages;
        let Slot::Open(log) = &mut state.log else { return Err(ErrorCode::KAFKA_STORAGE_ERROR) };
        if log.log_end() != at {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        if !batches.is_empty() {
            let appended = log.append_as_follower(batches, clock::now_ms());
            let (log_end, unflushed) = (log.log_end(), log.unflushed_records());
            self.appended.store(true, Ordering::Relaxed);
            if state.visibility.appended(log_end, unflushed > 0 && unflushed >= flush_messages) {
                state.high_watermark_moved();
            }
            match appended {
                Ok(_) => {}
                Err(AppendError::Storage(failure)) => return Err(self.log_failed(&mut state, &failure)),
                Err(error) => {
                    tracing::error!(partition = %self.name, %error, "the leader sent what does not follow on the log");
                    return Err(ErrorCode::CORRUPT_MESSAGE);
                }
            }
        }
        if state.visibility.limited(leader.high_watermark) {
            state.high_watermark_moved();
        }
        if state.visibility.awaits_flush() {
            self.flush(&mut state);
        }
        let start = leader.log_start.min(state.visibility.high_watermark());
        if let Slot::Open(log) = &mut state.log
            && start > log.log_start()
            && let Err(error) = log.delete_records(start)
        {
            return Err(self.storage_failed(&mut state, &error));
        }
        self.follower_view(&mut state)
    }

    /// Cuts off what the leader does not have, given the largest epoch up to ours that it knows and where that ended.
    /// Answers whether anything was cut: then the recovery points are to be written before more is appended.
    ///
    /// # Errors
    /// As [`Partition::follower_log`].
    pub fn truncate_followed(&self, epoch: LeaderEpoch, leader: EpochEnd) -> Result<bool, ErrorCode> {
        let mut state = self.state.lock();
        self.following(&mut state, epoch)?;
        let committed = state.visibility.high_watermark();
        let Slot::Open(log) = &mut state.log else { return Err(ErrorCode::KAFKA_STORAGE_ERROR) };
        let end = log.log_end();
        let cut = match log.end_offset_for_epoch(leader.epoch) {
            Ok(own) => truncation(leader, own, end),
            Err(error) => return Err(self.storage_failed(&mut state, &error)),
        };
        let now = clock::now_ms();
        if let Err(error) = log.truncate_to(cut, now) {
            return Err(self.log_failed(&mut state, &error));
        }
        let log_end = log.log_end();
        if cut < committed {
            // Only an unclean election does that.
            tracing::warn!(partition = %self.name, to = %cut, high_watermark = %committed, "cut below what was committed");
        } else if log_end < end {
            tracing::info!(partition = %self.name, from = %end, to = %log_end, "cut what the leader does not have");
        }
        self.was_cut(&mut state, log_end);
        Ok(log_end < end)
    }

    /// Drops everything and goes on at `at`: the leader has nothing that follows on this log.
    ///
    /// # Errors
    /// As [`Partition::follower_log`].
    pub fn restart_followed(&self, epoch: LeaderEpoch, at: Offset) -> Result<(), ErrorCode> {
        let mut state = self.state.lock();
        self.following(&mut state, epoch)?;
        let Slot::Open(log) = &mut state.log else { return Err(ErrorCode::KAFKA_STORAGE_ERROR) };
        tracing::warn!(partition = %self.name, end = %log.log_end(), %at, "the log starts anew: the leader's does not join it");
        if let Err(error) = log.truncate_and_restart_at(at, clock::now_ms()) {
            return Err(self.log_failed(&mut state, &error));
        }
        state.visibility = Visibility::opened(at, at, at);
        Ok(())
    }

    /// Cuts the log to `to`, since the leader's is shorter.
    ///
    /// # Errors
    /// As [`Partition::follower_log`].
    pub fn truncate_followed_to(&self, epoch: LeaderEpoch, to: Offset) -> Result<(), ErrorCode> {
        let mut state = self.state.lock();
        self.following(&mut state, epoch)?;
        let Slot::Open(log) = &mut state.log else { return Err(ErrorCode::KAFKA_STORAGE_ERROR) };
        if let Err(error) = log.truncate_to(to, clock::now_ms()) {
            return Err(self.log_failed(&mut state, &error));
        }
        let log_end = log.log_end();
        self.was_cut(&mut state, log_end);
        Ok(())
    }

    fn was_cut(&self, state: &mut State, log_end: Offset) {
        state.visibility.cut(log_end);
        // A flush of what was there before says nothing about what is there now; its end is told by its mark.
        let start = match &state.log {
            Slot::Open(log) => log.log_start(),
            _ => return,
        };
        assert!(state.visibility.high_watermark() >= start.min(log_end), "{}: cut below its start", self.name);
    }
}
