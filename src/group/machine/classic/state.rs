//! A classic group and its members (`ClassicGroup`, `ClassicGroupMember`, `ClassicGroupState`): what they are, without who
//! is told what and when.
//!
//! What every request asks is kept as a counter (how many wait to join, how many know each protocol), so that a group of any
//! size costs a request the same. [`ClassicGroup::everyone`] is the one way to look at all members; it is taken once for a
//! rebalance or a record, never for each request.

use crate::coordinator::Ticket;
use crate::group::protocol::{self, PROTOCOL_TYPE};
use crate::group::request::{Client, JoinedMember, Protocol};
use crate::model::{ErrorCode, Generation, GroupId, InstanceId, MemberId, TimestampMs, TopicName};
use bytes::Bytes;
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};

/// Where a classic group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassicState {
    /// Nobody is in it; offsets may be.
    Empty,
    /// Members are to join (again). Joins wait; syncs and commits are refused.
    PreparingRebalance,
    /// Everybody has joined; the leader's assignment is waited for. Syncs wait.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
    /// It is being removed.
    Dead,
}

impl ClassicState {
    /// As Kafka spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ClassicState::Empty => "Empty",
            ClassicState::PreparingRebalance => "PreparingRebalance",
            ClassicState::CompletingRebalance => "CompletingRebalance",
            ClassicState::Stable => "Stable",
            ClassicState::Dead => "Dead",
        }
    }
}

/// The wait for more members at the first rebalance of an empty group (`group.initial.rebalance.delay.ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialDelay {
    /// The wait that is under way.
    pub delay_ms: i64,
    /// How much more there may be while members come.
    pub remaining_ms: i64,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGroup {
    pub id: GroupId,
    pub state: ClassicState,
    /// The state before this one.
    pub previous: ClassicState,
    /// When the state was entered; `None`: read from a record that does not say.
    pub state_since: Option<TimestampMs>,
    /// `None`: the group has had no members, only offsets.
    pub protocol_type: Option<String>,
    /// The protocol that the members agreed on.
    pub protocol: Option<String>,
    pub generation: Generation,
    pub leader: Option<MemberId>,
    /// In the order in which they came, as far as nobody has left: whoever came last takes the place of one that leaves.
    pub members: IndexMap<MemberId, ClassicMember>,
    pub static_members: BTreeMap<InstanceId, MemberId>,
    /// Were given an id and have not joined with it (KIP-394).
    pub pending: BTreeSet<MemberId>,
    /// Have not synced in this generation.
    pub pending_sync: BTreeSet<MemberId>,
    /// What the members of a `consumer` group are subscribed to; `None`: not known.
    pub subscribed: Option<BTreeSet<TopicName>>,
    /// Somebody joined during the initial delay.
    pub member_added: bool,
    /// Set while the first rebalance waits for more members.
    pub initial: Option<InitialDelay>,
    /// How many members wait to join.
    pub(super) joining: usize,
    /// How many members know a protocol, by its name.
    pub(super) supported: BTreeMap<String, usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember {
    pub instance: Option<InstanceId>,
    pub client: Client,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub protocol_type: String,
    /// In order of preference.
    pub protocols: Vec<Protocol>,
    pub assignment: Bytes,
    /// The JoinGroup that waits.
    pub awaiting_join: Option<Ticket>,
    /// The SyncGroup that waits.
    pub awaiting_sync: Option<Ticket>,
    /// It has not got its first assignment: a short session may not remove it.
    pub is_new: bool,
}

impl ClassicMember {
    /// What the member said for a protocol; nothing if it does not know it.
    #[must_use]
    pub fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let known = self.protocols.iter().find(|known| Some(known.name.as_str()) == protocol);
        known.map(|known| known.metadata.clone()).unwrap_or_default()
    }

    /// A member whose request waits need not beat, unless it is new: nobody would notice that its client is gone.
    #[must_use]
    pub fn needs_no_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// Names of the protocols, each once.
    fn names(&self) -> BTreeSet<&str> {
        self.protocols.iter().map(|protocol| protocol.name.as_str()).collect()
    }
}

impl ClassicGroup {
    /// A group that nobody has joined: for offsets that are committed from outside.
    #[must_use]
    pub fn new(id: GroupId, now: TimestampMs) -> ClassicGroup {
        ClassicGroup {
            id,
            state: ClassicState::Empty,
            previous: ClassicState::Dead,
            state_since: Some(now),
            protocol_type: None,
            protocol: None,
            generation: Generation(0),
            leader: None,
            members: IndexMap::new(),
            static_members: BTreeMap::new(),
            pending: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            subscribed: None,
            member_added: false,
            initial: None,
            joining: 0,
            supported: BTreeMap::new(),
        }
    }

    /// The stable group that a consumer group becomes when only classic members are left (`ClassicGroup.fromConsumerGroup`).
    /// The first member leads; assignments are the caller's to set, then `record()` is to be written.
    #[must_use]
    pub fn converted(
        id: GroupId,
        generation: Generation,
        now: TimestampMs,
        members: impl IntoIterator<Item = (MemberId, ClassicMember)>,
    ) -> ClassicGroup {
        let mut group = ClassicGroup::new(id, now);
        group.state = ClassicState::Stable;
        group.generation = generation;
        group.protocol_type = Some(PROTOCOL_TYPE.into());
        for (id, member) in members {
            group.add(id, member);
        }
        group.protocol = group.select_protocol();
        group.subscribed = group.subscriptions();
        group
    }

    pub(super) fn enter(&mut self, state: ClassicState, now: TimestampMs) {
        self.previous = self.state;
        self.state = state;
        self.state_since = Some(now);
    }

    /// Every member: for what is done once for a generation or a record.
    pub(super) fn everyone(&self) -> impl Iterator<Item = (&MemberId, &ClassicMember)> {
        self.members.iter().inspect(|_| seen())
    }

    /// As [`ClassicGroup::everyone`].
    pub(super) fn everyone_mut(&mut self) -> impl Iterator<Item = (&MemberId, &mut ClassicMember)> {
        self.members.iter_mut().inspect(|_| seen())
    }

    #[must_use]
    pub fn is_leader(&self, member: &MemberId) -> bool {
        self.leader.as_ref() == Some(member)
    }

    /// Members of the Java consumer's kind, whose subscriptions can be read.
    #[must_use]
    pub fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(PROTOCOL_TYPE)
    }

    /// How many members wait to join.
    #[must_use]
    pub fn joining(&self) -> usize {
        self.joining
    }

    #[must_use]
    pub fn all_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending.is_empty()
    }

    /// The longest of the members'.
    #[must_use]
    pub fn rebalance_timeout_ms(&self) -> i64 {
        self.everyone().map(|(_, member)| i64::from(member.rebalance_timeout_ms)).max().unwrap_or(0).max(0)
    }

    /// Puts a member in. The first one leads, and decides what type of protocol the group has.
    pub fn add(&mut self, id: MemberId, member: ClassicMember) {
        // A record may name a member twice.
        let led = self.is_leader(&id);
        self.remove(&id);
        if led {
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &member.instance {
            self.static_members.insert(instance.clone(), id.clone());
        }
        if self.members.is_empty() {
            self.protocol_type = Some(member.protocol_type.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.count_in(&member);
        self.members.insert(id, member);
    }

    /// Takes a member out, or one that was only given an id. Of a leader that goes, another takes the place.
    pub(super) fn remove(&mut self, id: &MemberId) -> Option<ClassicMember> {
        let removed = self.members.swap_remove(id);
        if let Some(member) = &removed {
            self.count_out(member);
            if let Some(instance) = &member.instance
                && self.static_members.get(instance) == Some(id)
            {
                self.static_members.remove(instance);
            }
        }
        if self.is_leader(id) {
            self.leader = self.members.first().map(|(first, _)| first.clone());
        }
        self.pending.remove(id);
        self.pending_sync.remove(id);
        removed
    }

    /// Takes all dynamic members out that do not wait to join, and gives their ids.
    pub(super) fn remove_absent(&mut self) -> Vec<MemberId> {
        if self.joining == self.members.len() {
            return Vec::new();
        }
        let absent = |(id, member): (&MemberId, &ClassicMember)| {
            (member.awaiting_join.is_none() && member.instance.is_none()).then(|| id.clone())
        };
        let absent: Vec<MemberId> = self.everyone().filter_map(absent).collect();
        for id in &absent {
            self.remove(id);
        }
        absent
    }

    /// Gives a static member its new id and everything else that it had, and returns it as it was.
    pub(super) fn rename_static(
        &mut self,
        instance: &InstanceId,
        old: &MemberId,
        new: MemberId,
    ) -> Option<ClassicMember> {
        let (index, _, before) = self.members.swap_remove_full(old)?;
        self.count_out(&before);
        let member = ClassicMember { awaiting_join: None, awaiting_sync: None, is_new: false, ..before.clone() };
        self.count_in(&member);
        let (last, _) = self.members.insert_full(new.clone(), member);
        // Where the old one was: the order of the members is that of the record.
        self.members.swap_indices(index, last);
        if self.is_leader(old) {
            self.leader = Some(new.clone());
        }
        if self.pending_sync.remove(old) {
            self.pending_sync.insert(new.clone());
        }
        self.static_members.insert(instance.clone(), new);
        Some(before)
    }

    /// What a member says of itself when it joins again, and what waits for the answer. Gives what waited before.
    pub(super) fn update(
        &mut self,
        id: &MemberId,
        protocols: Vec<Protocol>,
        rebalance_timeout_ms: i32,
        session_timeout_ms: i32,
        awaiting: Option<Ticket>,
    ) -> Option<Ticket> {
        let (index, _, mut member) = self.members.swap_remove_full(id)?;
        self.count_out(&member);
        member.protocols = protocols;
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        member.session_timeout_ms = session_timeout_ms;
        let before = std::mem::replace(&mut member.awaiting_join, awaiting);
        self.count_in(&member);
        let (last, _) = self.members.insert_full(id.clone(), member);
        self.members.swap_indices(index, last);
        before
    }

    /// The JoinGroup of a member that is to be answered now.
    pub(super) fn take_join(&mut self, id: &MemberId) -> Option<Ticket> {
        let ticket = self.members.get_mut(id)?.awaiting_join.take()?;
        self.joining -= 1;
        Some(ticket)
    }

    /// The JoinGroups of all members, which are to be answered now.
    pub(super) fn take_joins(&mut self) -> Vec<(MemberId, Ticket)> {
        self.joining = 0;
        let waiting = self.everyone_mut().filter_map(|(id, member)| Some((id.clone(), member.awaiting_join.take()?)));
        waiting.collect()
    }

    /// The SyncGroups of all members, which are to be answered now, each with the member's assignment.
    pub(super) fn take_syncs(&mut self) -> Vec<(MemberId, Ticket, Bytes)> {
        let waiting = |(id, member): (&MemberId, &mut ClassicMember)| {
            Some((id.clone(), member.awaiting_sync.take()?, member.assignment.clone()))
        };
        self.everyone_mut().filter_map(waiting).collect()
    }

    fn count_in(&mut self, member: &ClassicMember) {
        self.joining += usize::from(member.awaiting_join.is_some());
        for name in member.names() {
            match self.supported.get_mut(name) {
                Some(count) => *count += 1,
                None => {
                    self.supported.insert(name.to_owned(), 1);
                }
            }
        }
    }

    fn count_out(&mut self, member: &ClassicMember) {
        self.joining -= usize::from(member.awaiting_join.is_some());
        for name in member.names() {
            match self.supported.get_mut(name) {
                Some(count) if *count > 1 => *count -= 1,
                _ => {
                    self.supported.remove(name);
                }
            }
        }
    }

    /// Do all members know this protocol?
    fn supported_by_all(&self, name: &str) -> bool {
        self.supported.get(name).copied().unwrap_or(0) == self.members.len()
    }

    /// May somebody with these protocols be in the group: the same type, and at least one that everybody knows.
    #[must_use]
    pub fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == ClassicState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.supported_by_all(&protocol.name))
    }

    /// The protocol with most votes among those that everybody knows; each member votes for the one it likes best. Between
    /// equals Kafka leaves the choice to a hash map; here it is the first member's.
    #[must_use]
    pub fn select_protocol(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, member) in self.everyone() {
            if let Some(vote) = member.protocols.iter().find(|protocol| self.supported_by_all(&protocol.name)) {
                *votes.entry(&vote.name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        let (_, first) = self.members.first()?;
        let choice = first.protocols.iter().find(|protocol| votes.get(protocol.name.as_str()) == Some(&most));
        Some(choice?.name.clone())
    }

    /// What the members are subscribed to, if that can be known (`ClassicGroup.computeSubscribedTopics`).
    #[must_use]
    pub fn subscriptions(&self) -> Option<BTreeSet<TopicName>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        let mut topics = BTreeSet::new();
        if self.members.is_empty() {
            return Some(topics);
        }
        let protocol = self.protocol.as_deref()?;
        for (member, about) in self.everyone() {
            let metadata = about.metadata(Some(protocol));
            let add = |topic: &str| {
                if !topics.contains(topic) {
                    topics.insert(TopicName::new(topic));
                }
            };
            if let Err(error) = protocol::subscribed_topics(&metadata, add) {
                tracing::warn!(group = %self.id, %member, %error, "a subscription cannot be read: the group's topics are not known");
                return None;
            }
        }
        Some(topics)
    }

    /// Makes a member that has joined the leader if the leader has not. False: nobody has joined.
    pub(super) fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else { return false };
        if self.members.get(leader).is_some_and(|leader| leader.awaiting_join.is_some()) {
            return true;
        }
        if self.joining == 0 {
            return false;
        }
        let joined = self.everyone().find(|(_, member)| member.awaiting_join.is_some()).map(|(id, _)| id.clone());
        tracing::info!(group = %self.id, absent = %leader, leader = ?joined, "the leader did not join: another one leads");
        self.leader = joined;
        self.leader.is_some()
    }

    /// Everybody who has joined is the next generation.
    pub(super) fn next_generation(&mut self, now: TimestampMs) {
        self.generation = Generation(self.generation.0.wrapping_add(1));
        self.protocol = self.select_protocol();
        self.subscribed = self.subscriptions();
        let empty = self.members.is_empty();
        self.enter(if empty { ClassicState::Empty } else { ClassicState::CompletingRebalance }, now);
        self.pending_sync.clear();
    }

    /// What the leader is told about the members.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let tell = |(id, member): (&MemberId, &ClassicMember)| JoinedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(self.protocol.as_deref()),
        };
        self.everyone().map(tell).collect()
    }

    /// Is the member who it says it is: not one whose instance id another member has by now (`ClassicGroup.validateMember`)?
    ///
    /// # Errors
    /// It is not in the group, or fenced.
    pub fn check_member(&self, member: &MemberId, instance: Option<&InstanceId>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.static_members.get(instance) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(existing) if existing != member => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }
}

/// Tests count how many members were looked at.
#[cfg(not(test))]
fn seen() {}

#[cfg(test)]
thread_local! {
    static SEEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn seen() {
    SEEN.set(SEEN.get() + 1);
}

/// How many members were looked at since the last call, on this thread.
#[cfg(test)]
pub(super) fn take_seen() -> usize {
    SEEN.replace(0)
}
