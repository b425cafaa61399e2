//! What concerns the shard as a whole: replay, deadlines, changes of the metadata, listing and deleting groups.

use super::classic::ClassicGroup;
use super::{Env, Group, Groups, Out, Timer};
use crate::coordinator::{BadRecord, Replayed, Ticket};
use crate::group::record::{OffsetValue, Record};
use crate::group::request::{List, Listed, Reply, ShareReply};
use crate::metadata::Delta;
use crate::model::{ErrorCode, GroupId, PartitionId, ProducerId, TimestampMs, TopicName};
use crate::share::persister::SharedPartition;

impl Groups {
    /// What a record means. The same while it is written and when it is replayed.
    pub(super) fn apply(&mut self, record: Record, now: TimestampMs) {
        match record {
            Record::Offset { group, topic, partition, value } => {
                self.apply_offset(None, group, topic, partition, value, now);
            }
            Record::ClassicGroup { group, value: Some(value) } => {
                let classic = ClassicGroup::from_record(group.clone(), value);
                self.groups.insert(group, Group::Classic(Box::new(classic)));
            }
            // Whatever kind it is of: Kafka does not look either.
            Record::ClassicGroup { group, value: None } => drop(self.groups.remove(&group)),
            Record::Share { group, of } => self.apply_share(group, of, now),
            record => self.apply_consumer(record),
        }
    }

    /// An offset, which counts at once, or if `producer`'s transaction is committed. A tombstone counts at once, always.
    pub(super) fn apply_offset(
        &mut self,
        producer: Option<ProducerId>,
        group: GroupId,
        topic: TopicName,
        partition: PartitionId,
        value: Option<OffsetValue>,
        now: TimestampMs,
    ) {
        let Some(value) = value else {
            return self.offsets.remove(&group, &topic, partition);
        };
        // A consumer that keeps its offsets here and is not a member: a group without members, which has no record
        // of its own (Kafka's "simple group").
        let group = match self.groups.get_key_value(&group) {
            Some((known, _)) => known.clone(),
            None => {
                let simple = ClassicGroup::new(group.clone(), now);
                self.groups.insert(group.clone(), Group::Classic(Box::new(simple)));
                group
            }
        };
        match producer {
            None => self.offsets.put(&group, &topic, partition, value),
            Some(producer) => self.offsets.put_pending(producer, &group, &topic, partition, value),
        }
    }

    pub(super) fn replay_record(&mut self, record: Replayed<'_>) -> Result<(), BadRecord> {
        match record {
            Replayed::Record { key, value, producer } => match Record::decode(key, value)? {
                Some(Record::Offset { group, topic, partition, value }) => {
                    let committed_at = value.as_ref().map_or(TimestampMs::NONE, |value| value.committed_at);
                    let producer = producer.map(|(id, _)| id);
                    self.apply_offset(producer, group, topic, partition, value, committed_at);
                }
                // Only offsets are ever part of a transaction.
                Some(record) => self.apply(record, TimestampMs::NONE),
                None => {}
            },
            Replayed::Ended { producer: (id, _), committed } => self.offsets.end(id, committed),
        }
        Ok(())
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
            Timer::Expiry => self.expire_offsets(env, out),
            Timer::Forget => self.forget_more(env, out),
            Timer::ForgetShared => self.forget_more_shared(env, out),
        }
    }

    /// Timers of everything that was replayed (`GroupMetadataManager.onLoaded`).
    pub(super) fn loaded(&mut self, env: &Env, out: &mut Out) {
        let groups: Vec<GroupId> = self.groups.keys().cloned().collect();
        for group in groups {
            // Each passes over groups of other kinds.
            self.classic_group_loaded(env, &group, out);
            self.consumer_group_loaded(env, &group, out);
            self.share_group_loaded(env, &group);
        }
        self.arm_expiry(env);
    }

    pub(super) fn metadata_changed(&mut self, env: &Env, delta: &Delta, out: &mut Out) {
        self.forget_deleted_topics(env, delta, out);
        self.forget_shared_topics(env, delta, out);
        self.consumer_groups_topics_changed(env, delta, out);
    }

    /// What is due is done first: who waits for the last member's session to end and then deletes the group need not wait for the
    /// alarm as well, which may come a moment after the request.
    pub(super) fn delete_group(
        &mut self,
        env: &Env,
        ticket: Ticket,
        group: GroupId,
        state_is_deleted: bool,
        out: &mut Out,
    ) {
        self.tick(env, out);
        let reply = match self.delete(env, &group, state_is_deleted, out) {
            Ok(state) if state.is_empty() => Reply::DeleteGroup(ErrorCode::NONE),
            Ok(state) => Reply::Share(ShareReply::DeleteState(state)),
            Err(error) => Reply::DeleteGroup(error),
        };
        out.reply(ticket, reply);
    }

    /// Unless nothing, what share coordinators have to forget first.
    fn delete(
        &mut self,
        env: &Env,
        group: &GroupId,
        state_is_deleted: bool,
        out: &mut Out,
    ) -> Result<Vec<SharedPartition>, ErrorCode> {
        self.groups.get(group).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?.kind().check_delete()?;
        if !state_is_deleted {
            let state = self.share_state_to_delete(env, group, out)?;
            if !state.is_empty() {
                return Ok(state);
            }
        }
        let found = self.groups.get(group).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?.kind();
        let mut records = self.offsets.tombstones(group);
        records.extend(found.tombstones(group));
        self.commit_all(env, out, records)?;
        Ok(Vec::new())
    }

    /// Protocol and state of every group.
    pub fn states(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.groups.values().map(|group| (group.kind().name(), group.kind().state()))
    }

    /// How many offsets count now, those of open transactions left out.
    #[must_use]
    pub fn offset_count(&self) -> usize {
        self.offsets.count()
    }

    pub(super) fn list(&mut self, _: &Env, ticket: Ticket, list: List, out: &mut Out) {
        let kinds = self.groups.iter().map(|(id, group)| (id, group.kind()));
        let listed = kinds.filter(|(_, kind)| kind.listed(&list)).map(|(id, kind)| Listed {
            group: id.clone(),
            protocol_type: kind.protocol_type().to_owned(),
            state: kind.state(),
            kind: kind.name(),
        });
        out.reply(ticket, Reply::List(listed.collect()));
    }
}
