//! What concerns the shard as a whole: replay, deadlines, changes of the metadata, listing and deleting groups.

use super::{Env, Groups, Out, Timer};
use crate::coordinator::{BadRecord, Replayed, Ticket};
use crate::group::record::Record;
use crate::group::request::List;
use crate::metadata::Delta;
use crate::model::{GroupId, TimestampMs};

impl Groups {
    pub(super) fn apply(&mut self, record: Record, now: TimestampMs) {
        let _ = (record, now);
        todo!()
    }

    pub(super) fn replay_record(&mut self, record: Replayed<'_>) -> Result<(), BadRecord> {
        let _ = record;
        todo!()
    }

    pub(super) fn expired(&mut self, env: &Env, timer: Timer, out: &mut Out) {
        match timer {
            Timer::Join(group) => self.join_time_is_up(env, &group, out),
            Timer::Sync(group) => self.sync_time_is_up(env, &group, out),
            Timer::ClassicSession(group, member) => self.classic_session_expired(env, &group, &member, out),
            Timer::Session(group, member) => self.session_expired(env, &group, &member, out),
            Timer::Rebalance(group, member) => self.rebalance_time_is_up(env, &group, &member, out),
            Timer::ClassicJoin(group, member) => self.classic_join_time_is_up(env, &group, &member, out),
            Timer::ClassicSync(group, member) => self.classic_sync_time_is_up(env, &group, &member, out),
            Timer::Assign(group) => self.assign_time_has_come(env, &group, out),
            Timer::Expiry => self.expire_offsets(env, out),
        }
    }

    /// Timers of everything that was replayed (`GroupMetadataManager.onLoaded`).
    pub(super) fn loaded(&mut self, env: &Env, out: &mut Out) {
        let _ = (env, out);
        todo!()
    }

    pub(super) fn metadata_changed(&mut self, env: &Env, delta: &Delta, out: &mut Out) {
        let _ = (env, delta, out);
        todo!()
    }

    pub(super) fn delete_group(&mut self, env: &Env, ticket: Ticket, group: GroupId, out: &mut Out) {
        let _ = (env, ticket, group, out);
        todo!()
    }

    pub(super) fn list(&mut self, env: &Env, ticket: Ticket, list: List, out: &mut Out) {
        let _ = (env, ticket, list, out);
        todo!()
    }
}
