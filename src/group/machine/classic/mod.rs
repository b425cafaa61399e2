//! Classic groups: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups (`GroupMetadataManager.classicGroup*`).

mod state;

pub use state::{ClassicGroup, ClassicMember, ClassicState};

use super::kind::{Ages, Kind};
use super::{Env, Groups, Out};
use crate::coordinator::Ticket;
use crate::group::record::{ClassicGroupValue, Record};
use crate::group::request::{Commit, CommitOffset, FetchOffsets, Heartbeat, Join, Leave, Sync};
use crate::model::{ErrorCode, GroupId, MemberId, TimestampMs, TopicName};

impl ClassicGroup {
    /// A group that nobody has joined: for offsets that are committed from outside.
    #[must_use]
    pub fn new(id: GroupId, now: TimestampMs) -> ClassicGroup {
        let _ = (id, now);
        todo!()
    }

    /// The group as its record has it.
    #[must_use]
    pub fn from_record(id: GroupId, value: ClassicGroupValue) -> ClassicGroup {
        let _ = (id, value);
        todo!()
    }
}

impl Groups {
    pub(super) fn join(&mut self, env: &Env, ticket: Ticket, join: Join, out: &mut Out) {
        let _ = (env, ticket, join, out);
        todo!()
    }

    pub(super) fn sync(&mut self, env: &Env, ticket: Ticket, sync: Sync, out: &mut Out) {
        let _ = (env, ticket, sync, out);
        todo!()
    }

    pub(super) fn heartbeat(&mut self, env: &Env, ticket: Ticket, heartbeat: Heartbeat, out: &mut Out) {
        let _ = (env, ticket, heartbeat, out);
        todo!()
    }

    pub(super) fn leave(&mut self, env: &Env, ticket: Ticket, leave: Leave, out: &mut Out) {
        let _ = (env, ticket, leave, out);
        todo!()
    }

    pub(super) fn describe(&mut self, env: &Env, ticket: Ticket, group: GroupId, out: &mut Out) {
        let _ = (env, ticket, group, out);
        todo!()
    }

    /// A commit of a member keeps its session alive.
    pub(super) fn classic_member_committed(&mut self, env: &Env, commit: &Commit) {
        let _ = (env, commit);
        todo!()
    }

    /// The broker coordinates this group from now on: sessions start.
    pub(super) fn classic_group_loaded(&mut self, env: &Env, group: &GroupId, out: &mut Out) {
        let _ = (env, group, out);
        todo!()
    }

    pub(super) fn join_time_is_up(&mut self, env: &Env, group: &GroupId, out: &mut Out) {
        let _ = (env, group, out);
        todo!()
    }

    pub(super) fn sync_time_is_up(&mut self, env: &Env, group: &GroupId, out: &mut Out) {
        let _ = (env, group, out);
        todo!()
    }

    pub(super) fn classic_session_expired(&mut self, env: &Env, group: &GroupId, member: &MemberId, out: &mut Out) {
        let _ = (env, group, member, out);
        todo!()
    }
}

impl Kind for ClassicGroup {
    fn check_commit(&self, _: &Commit) -> Result<(), ErrorCode> {
        todo!()
    }
    fn check_offset(&self, _: &Commit, _: &CommitOffset) -> ErrorCode {
        todo!()
    }
    fn check_fetch(&self, _: &FetchOffsets) -> Result<(), ErrorCode> {
        todo!()
    }
    fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        todo!()
    }
    fn check_delete(&self) -> Result<(), ErrorCode> {
        todo!()
    }
    fn subscribes(&self, _: &TopicName) -> bool {
        todo!()
    }
    fn offsets_age(&self) -> Ages {
        todo!()
    }
    fn is_empty(&self) -> bool {
        todo!()
    }
    fn tombstones(&self, _: &GroupId) -> Vec<Record> {
        todo!()
    }
    fn state(&self) -> &'static str {
        todo!()
    }
    fn name(&self) -> &'static str {
        todo!()
    }
    fn protocol_type(&self) -> &str {
        todo!()
    }
}
