//! A consumer group and its members, and the counts that are kept with them (`ModernGroup`, `ConsumerGroup`,
//! `ConsumerGroupMember`).
//!
//! Changed by records only ([`super::apply`]), except for [`Memory`], which a restart forgets. Every count is kept up as
//! members come and go, so that nobody has to walk the group to learn its state.

use crate::group::record::{CurrentValue, MemberState, MemberValue, RegexValue, TargetValue, WithEpochs};
use crate::group::request::Assignment;
use crate::model::{GroupEpoch, GroupId, InstanceId, MemberId, PartitionId, TimestampMs, TopicId, TopicName};
use std::borrow::Borrow;
use std::collections::BTreeMap;

/// The epoch of a target assignment that was removed (`TargetAssignmentMetadata`).
pub(in crate::group::machine) const REMOVED: GroupEpoch = GroupEpoch(-1);

/// A member: what it said of itself, and where it is on its way to its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Topics ascend, each once.
    pub about: MemberValue,
    pub current: CurrentValue,
}

impl Member {
    /// A member that nothing is known of.
    #[must_use]
    pub fn new() -> Member {
        Member {
            about: MemberValue {
                instance: None,
                rack: None,
                client_id: String::new(),
                client_host: String::new(),
                topics: Vec::new(),
                regex: Some(String::new()),
                rebalance_timeout_ms: -1,
                assignor: None,
                classic: None,
            },
            current: CurrentValue {
                epoch: GroupEpoch(0),
                previous_epoch: GroupEpoch(-1),
                state: MemberState::Stable,
                assigned: WithEpochs::new(),
                pending_revocation: WithEpochs::new(),
            },
        }
    }

    #[must_use]
    pub fn is_classic(&self) -> bool {
        self.about.classic.is_some()
    }

    /// It has all of its target and gives nothing up.
    #[must_use]
    pub fn is_at(&self, target: GroupEpoch) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == target
    }
}

impl Default for Member {
    fn default() -> Member {
        Member::new()
    }
}

/// The regular expression of a member, if it has one that is not empty.
pub(super) fn regex_of(about: &MemberValue) -> Option<&str> {
    about.regex.as_deref().filter(|regex| !regex.is_empty())
}

/// How many consume a topic: members by its name, and regular expressions (each once, however many have it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscribers {
    pub by_name: usize,
    pub by_regex: usize,
}

/// Who consumes which topic (`subscribedTopicNames`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscribed(BTreeMap<TopicName, Subscribers>);

impl Subscribed {
    pub fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.0.keys()
    }

    #[must_use]
    pub fn contains(&self, topic: &TopicName) -> bool {
        self.0.contains_key(topic)
    }

    /// The name as it is here already, so that members share its letters.
    pub(in crate::group::machine) fn share(&self, topic: &mut TopicName) {
        if let Some((known, _)) = self.0.get_key_value(topic) {
            *topic = known.clone();
        }
    }

    /// True: nobody consumed it before.
    fn more(&mut self, topic: &TopicName, of: fn(&mut Subscribers) -> &mut usize) -> bool {
        let new = !self.0.contains_key(topic);
        *of(self.0.entry(topic.clone()).or_default()) += 1;
        new
    }

    /// True: nobody consumes it any more.
    fn less(&mut self, topic: &TopicName, of: fn(&mut Subscribers) -> &mut usize) -> bool {
        let Some(count) = self.0.get_mut(topic) else { return false };
        let one = of(count);
        *one = one.saturating_sub(1);
        let none = *count == Subscribers::default();
        if none {
            self.0.remove(topic);
        }
        none
    }

    pub(in crate::group::machine) fn name_added(&mut self, topic: &TopicName) -> bool {
        self.more(topic, |count| &mut count.by_name)
    }

    pub(in crate::group::machine) fn name_removed(&mut self, topic: &TopicName) -> bool {
        self.less(topic, |count| &mut count.by_name)
    }

    pub(super) fn regex_added(&mut self, topic: &TopicName) -> bool {
        self.more(topic, |count| &mut count.by_regex)
    }

    pub(super) fn regex_removed(&mut self, topic: &TopicName) -> bool {
        self.less(topic, |count| &mut count.by_regex)
    }
}

/// What is not in the records. Two groups that differ only in this are equal: a restart forgets it.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The metadata hash holds until then, and only while the group is at this epoch or later
    /// (`metadataRefreshDeadline`). `None`: it is computed anew at the next heartbeat.
    pub(super) hash_holds: Option<(TimestampMs, GroupEpoch)>,
    /// The epoch that a member was at when it was told to give partitions up. It is removed if it is still there when the
    /// time is up.
    pub(super) revoking: BTreeMap<MemberId, GroupEpoch>,
}

impl PartialEq for Memory {
    fn eq(&self, _: &Memory) -> bool {
        true
    }
}

impl Eq for Memory {}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroup {
    pub id: GroupId,
    /// Rises with every change that asks for a new assignment.
    pub epoch: GroupEpoch,
    /// What the subscribed topics looked like at that epoch.
    pub metadata_hash: i64,
    pub members: BTreeMap<MemberId, Member>,
    pub static_members: BTreeMap<InstanceId, MemberId>,
    /// The epoch that the target assignment is for.
    pub assigned: TargetValue,
    /// What each member is to have. Partitions ascend.
    pub target: BTreeMap<MemberId, Assignment>,
    pub subscribed: Subscribed,
    /// How many members ask for an assignor.
    pub(super) assignors: BTreeMap<String, usize>,
    /// The epoch of the member that has a partition or is to give it up (`currentPartitionEpoch`).
    pub(super) owned: BTreeMap<TopicId, BTreeMap<PartitionId, GroupEpoch>>,
    /// How many members subscribe with a regular expression.
    pub(super) regexes: BTreeMap<String, usize>,
    pub(super) resolved: BTreeMap<String, RegexValue>,
    pub(super) classic_members: usize,
    /// How many of the classic members support a protocol.
    pub(super) classic_protocols: BTreeMap<String, usize>,
    /// How many members are stable at an epoch.
    pub(super) stable_at: BTreeMap<GroupEpoch, usize>,
    /// There is a record of type 4, which Kafka wrote before 4.0.
    pub(super) has_partition_metadata: bool,
    pub(super) memory: Memory,
}

impl ConsumerGroup {
    #[must_use]
    pub fn new(id: GroupId) -> ConsumerGroup {
        ConsumerGroup {
            id,
            epoch: GroupEpoch(1),
            metadata_hash: 0,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            assigned: TargetValue { epoch: GroupEpoch(1), assigned_at: TimestampMs(0) },
            target: BTreeMap::new(),
            subscribed: Subscribed::default(),
            assignors: BTreeMap::new(),
            owned: BTreeMap::new(),
            regexes: BTreeMap::new(),
            resolved: BTreeMap::new(),
            classic_members: 0,
            classic_protocols: BTreeMap::new(),
            stable_at: BTreeMap::new(),
            has_partition_metadata: false,
            memory: Memory::default(),
        }
    }

    /// The member that has this instance id.
    #[must_use]
    pub fn static_member(&self, instance: &InstanceId) -> Option<(&MemberId, &Member)> {
        self.members.get_key_value(self.static_members.get(instance)?)
    }

    /// What the member is to have; of a static member, what whoever has its instance id is to have.
    #[must_use]
    pub fn target_of(&self, member: &MemberId, instance: Option<&InstanceId>) -> Option<&Assignment> {
        match instance {
            None => self.target.get(member),
            Some(instance) => self.target.get(self.static_members.get(instance)?),
        }
    }

    /// Does anybody have this partition, or has not given it up yet?
    #[must_use]
    pub fn is_owned(&self, topic: TopicId, partition: PartitionId) -> bool {
        self.owned.get(&topic).is_some_and(|partitions| partitions.contains_key(&partition))
    }

    /// How many members subscribe with this regular expression.
    #[must_use]
    pub fn with_regex(&self, regex: &str) -> usize {
        self.regexes.get(regex).copied().unwrap_or(0)
    }

    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.assigned.epoch {
            "Assigning"
        } else if self.stable_at.get(&self.assigned.epoch) == Some(&self.members.len()) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// The metadata hash may be out of date.
    pub(super) fn hash_has_expired(&self, now: TimestampMs) -> bool {
        self.memory.hash_holds.is_none_or(|(until, epoch)| now >= until || self.epoch < epoch)
    }

    /// The members' favourite (`computePreferredServerAssignor`), with one member changed. Of two that as many ask for, the
    /// one that the settings name first: Kafka leaves it to a hash table.
    pub(super) fn preferred_assignor<'a>(
        &self,
        changed: Option<(&MemberValue, &'a MemberValue)>,
        known: &'a [String],
    ) -> Option<&'a str> {
        let asked = |name: &String| {
            let count = self.assignors.get(name).copied().unwrap_or(0);
            let Some((old, new)) = changed else { return count };
            let is = |about: &MemberValue| usize::from(about.assignor.as_ref() == Some(name));
            (count + is(new)).saturating_sub(is(old))
        };
        let mut best: Option<(&'a String, usize)> = None;
        for name in known {
            let count = asked(name);
            if count > best.map_or(0, |(_, most)| most) {
                best = Some((name, count));
            }
        }
        best.map(|(name, _)| name.as_str())
    }
}

/// Counts one more.
pub(super) fn more<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    *counts.entry(key).or_default() += 1;
}

/// Counts one less; what nobody has is not listed.
pub(super) fn less<K: Ord + Borrow<Q>, Q: Ord + ?Sized>(counts: &mut BTreeMap<K, usize>, key: &Q) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
