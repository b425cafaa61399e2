//! Consumer groups of KIP-848 (`GroupMetadataManager.consumerGroup*`, `ConsumerGroup`), and classic members in them.

use super::kind::{Ages, Kind};
use super::{Env, Groups, Out};
use crate::coordinator::Ticket;
use crate::group::record::Record;
use crate::group::request::{Commit, CommitOffset, ConsumerHeartbeat, FetchOffsets, Heartbeat, Join, Leave, Sync};
use crate::metadata::Delta;
use crate::model::{ErrorCode, GroupId, MemberId, TopicName};

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroup {}

impl Groups {
    pub(super) fn consumer_heartbeat(
        &mut self,
        env: &Env,
        ticket: Ticket,
        heartbeat: ConsumerHeartbeat,
        out: &mut Out,
    ) {
        let _ = (env, ticket, heartbeat, out);
        todo!()
    }

    pub(super) fn describe_consumer(&mut self, env: &Env, ticket: Ticket, group: GroupId, out: &mut Out) {
        let _ = (env, ticket, group, out);
        todo!()
    }

    /// A classic member joins a group that is there as a consumer group.
    pub(super) fn join_consumer_group(&mut self, env: &Env, ticket: Ticket, join: Join, out: &mut Out) {
        let _ = (env, ticket, join, out);
        todo!()
    }

    pub(super) fn sync_consumer_group(&mut self, env: &Env, ticket: Ticket, sync: Sync, out: &mut Out) {
        let _ = (env, ticket, sync, out);
        todo!()
    }

    pub(super) fn heartbeat_consumer_group(&mut self, env: &Env, ticket: Ticket, beat: Heartbeat, out: &mut Out) {
        let _ = (env, ticket, beat, out);
        todo!()
    }

    pub(super) fn leave_consumer_group(&mut self, env: &Env, ticket: Ticket, leave: Leave, out: &mut Out) {
        let _ = (env, ticket, leave, out);
        todo!()
    }

    /// A record of a consumer group (types 3 to 8 and 16): what it means for the group, which it creates and removes.
    pub(super) fn apply_consumer(&mut self, record: Record) {
        let _ = record;
        todo!()
    }

    /// The broker coordinates this group from now on: sessions start.
    pub(super) fn consumer_group_loaded(&mut self, env: &Env, group: &GroupId, out: &mut Out) {
        let _ = (env, group, out);
        todo!()
    }

    /// Topics came, went or have more partitions: groups that are subscribed to them look again.
    pub(super) fn consumer_groups_topics_changed(&mut self, env: &Env, delta: &Delta, out: &mut Out) {
        let _ = (env, delta, out);
        todo!()
    }

    pub(super) fn session_expired(&mut self, env: &Env, group: &GroupId, member: &MemberId, out: &mut Out) {
        let _ = (env, group, member, out);
        todo!()
    }

    pub(super) fn rebalance_time_is_up(&mut self, env: &Env, group: &GroupId, member: &MemberId, out: &mut Out) {
        let _ = (env, group, member, out);
        todo!()
    }

    pub(super) fn classic_join_time_is_up(&mut self, env: &Env, group: &GroupId, member: &MemberId, out: &mut Out) {
        let _ = (env, group, member, out);
        todo!()
    }

    pub(super) fn classic_sync_time_is_up(&mut self, env: &Env, group: &GroupId, member: &MemberId, out: &mut Out) {
        let _ = (env, group, member, out);
        todo!()
    }

    pub(super) fn assign_time_has_come(&mut self, env: &Env, group: &GroupId, out: &mut Out) {
        let _ = (env, group, out);
        todo!()
    }
}

impl Kind for ConsumerGroup {
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
