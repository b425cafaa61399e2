//! A classic group and its members (`ClassicGroup`, `ClassicGroupMember`, `ClassicGroupState`).

use crate::coordinator::Ticket;
use crate::group::request::{Client, Protocol};
use crate::model::{Generation, GroupId, InstanceId, MemberId, TimestampMs, TopicName};
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

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGroup {
    pub id: GroupId,
    pub state: ClassicState,
    /// When the state was entered; `None`: read from a record that does not say.
    pub state_since: Option<TimestampMs>,
    /// `None`: the group has had no members, only offsets.
    pub protocol_type: Option<String>,
    /// The protocol that the members agreed on.
    pub protocol: Option<String>,
    pub generation: Generation,
    pub leader: Option<MemberId>,
    /// In the order in which they came.
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
