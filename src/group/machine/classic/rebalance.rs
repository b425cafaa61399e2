//! A rebalance: members join (again), whoever does not is out, the next generation begins
//! (`GroupMetadataManager.prepareRebalance`, `completeClassicGroupJoin`), and the deadlines on the way.

use super::ClassicState;
use super::state::InitialDelay;
use super::turn::Turn;
use crate::group::machine::Timer;
use crate::group::request::Joined;
use crate::model::{ErrorCode, MemberId};
use bytes::Bytes;

impl Turn<'_> {
    /// Starts a rebalance unless one is under way; then looks if everybody has joined.
    pub(super) fn rebalance_or_complete_join(&mut self, reason: &str, client_reason: Option<&str>) {
        match self.group.state {
            ClassicState::Empty | ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.prepare_rebalance(reason, client_reason);
            }
            ClassicState::PreparingRebalance | ClassicState::Dead => self.maybe_complete_join(),
        }
    }

    /// Members are to join from now on. At the first rebalance of an empty group, time is given for others to come.
    pub(super) fn prepare_rebalance(&mut self, reason: &str, client_reason: Option<&str>) {
        if self.group.state == ClassicState::CompletingRebalance {
            self.reset_assignments(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.group.pending_sync.clear();
        self.timers.disarm(&Timer::Sync(self.group.id.clone()));
        let (from, generation) = (self.group.state, self.group.generation.0);
        tracing::info!(group = %self.group.id, ?from, generation, reason, client_reason, "a rebalance begins");
        self.group.enter(ClassicState::PreparingRebalance, self.env.now);
        if from == ClassicState::Empty {
            let delay_ms = self.initial_delay_ms();
            let remaining_ms = (self.group.rebalance_timeout_ms() - delay_ms).max(0);
            self.group.initial = Some(InitialDelay { delay_ms, remaining_ms });
            if delay_ms == 0 { self.complete_join() } else { self.arm_join(delay_ms) }
        } else if self.group.all_joined() {
            self.complete_join();
        } else {
            self.arm_join(self.group.rebalance_timeout_ms());
        }
    }

    fn initial_delay_ms(&self) -> i64 {
        i64::try_from(self.env.settings.groups.initial_rebalance_delay.as_millis()).unwrap_or(i64::MAX)
    }

    fn arm_join(&mut self, ms: i64) {
        self.timers.arm(Timer::Join(self.group.id.clone()), self.env.now.plus(ms));
    }

    /// No assignment counts any more, and whoever waits for one is told why.
    pub(super) fn reset_assignments(&mut self, error: ErrorCode) {
        for (_, member) in self.group.everyone_mut() {
            member.assignment = Bytes::new();
        }
        self.answer_syncs(error);
    }

    /// Goes on if everybody has joined; not in the first rebalance, which waits for its time.
    pub(super) fn maybe_complete_join(&mut self) {
        let joins = self.group.state == ClassicState::PreparingRebalance && self.group.previous != ClassicState::Empty;
        if joins && self.group.all_joined() {
            self.complete_join();
        }
    }

    /// The end of the initial delay, or of the time that members had to join.
    pub(super) fn join_time_is_up(&mut self) {
        if self.group.state != ClassicState::PreparingRebalance {
            return;
        }
        if let Some(InitialDelay { delay_ms, remaining_ms }) = self.group.initial
            && self.group.member_added
            && remaining_ms != 0
        {
            // Somebody came: others may.
            self.group.member_added = false;
            let next = InitialDelay {
                delay_ms: self.initial_delay_ms().min(remaining_ms),
                remaining_ms: (remaining_ms - delay_ms).max(0),
            };
            self.group.initial = Some(next);
            self.arm_join(next.delay_ms);
            return;
        }
        self.complete_join();
    }

    /// Begins the next generation with those that have joined. Static members stay without having joined.
    pub(super) fn complete_join(&mut self) {
        self.timers.disarm(&Timer::Join(self.group.id.clone()));
        self.group.initial = None;
        let absent = self.group.remove_absent();
        for member in &absent {
            self.end_session(member);
        }
        if !absent.is_empty() {
            tracing::info!(group = %self.group.id, members = absent.len(), "members did not join in time: they are out");
        }
        if !self.group.elect_joined_leader() && !self.group.members.is_empty() {
            // Nobody could assign. The sessions of the static members that are left decide.
            self.arm_join(self.group.rebalance_timeout_ms());
            return;
        }
        self.group.next_generation(self.env.now);
        if self.group.members.is_empty() {
            self.write_empty();
        } else {
            self.announce_generation();
        }
    }

    /// If this is lost, the last generation comes back after a restart, and its sessions expire: no harm.
    fn write_empty(&mut self) {
        let record = self.group.record().encode();
        if self.fits(&record) {
            self.out.records.push(record);
        } else {
            tracing::warn!(group = %self.group.id, "the record of the empty group is larger than the topic allows");
        }
    }

    fn announce_generation(&mut self) {
        let (generation, members) = (self.group.generation.0, self.group.members.len());
        tracing::info!(group = %self.group.id, generation, members, "everybody has joined");
        let mut for_leader = self.group.joined_members();
        for (member, ticket) in self.group.take_joins() {
            let members = if self.group.is_leader(&member) { std::mem::take(&mut for_leader) } else { Vec::new() };
            let joined = Joined { members, ..self.joined(member) };
            self.answer_join(ticket, joined);
        }
        let mut sessions: Vec<(MemberId, i64)> = Vec::with_capacity(members);
        for (id, member) in self.group.everyone_mut() {
            member.is_new = false;
            sessions.push((id.clone(), i64::from(member.session_timeout_ms)));
        }
        for (member, timeout_ms) in sessions {
            self.arm_session(&member, timeout_ms);
            self.group.pending_sync.insert(member);
        }
        let timeout_ms = self.group.rebalance_timeout_ms();
        self.timers.arm(Timer::Sync(self.group.id.clone()), self.env.now.plus(timeout_ms));
    }

    /// Whoever has not synced in time is out.
    pub(super) fn sync_time_is_up(&mut self) {
        let synced = matches!(self.group.state, ClassicState::CompletingRebalance | ClassicState::Stable);
        if !synced || self.group.pending_sync.is_empty() {
            return;
        }
        for member in std::mem::take(&mut self.group.pending_sync) {
            self.remove(&member);
        }
        self.prepare_rebalance("members did not sync in time", None);
    }

    /// A member was not heard of for its session timeout, or did not join with the id that it was given.
    pub(super) fn session_expired(&mut self, member: &MemberId) {
        if self.group.pending.contains(member) {
            self.remove(member);
            self.complete_if_joined();
            return;
        }
        let Some(known) = self.group.members.get(member) else { return };
        if known.needs_no_heartbeat() {
            return;
        }
        tracing::info!(group = %self.group.id, %member, "the member's session expired");
        self.remove(member);
        match self.group.state {
            ClassicState::Stable | ClassicState::CompletingRebalance => {
                self.rebalance_or_complete_join("a member's session expired", None);
            }
            ClassicState::PreparingRebalance => self.complete_if_joined(),
            ClassicState::Empty | ClassicState::Dead => {}
        }
    }

    /// Unlike [`Turn::maybe_complete_join`] in the first rebalance too: so does Kafka when somebody has gone.
    fn complete_if_joined(&mut self) {
        if self.group.state == ClassicState::PreparingRebalance && self.group.all_joined() {
            self.complete_join();
        }
    }
}
