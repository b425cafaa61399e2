//! OffsetDelete, and the offsets of topics that were deleted.

use super::state::Key;
use super::{Env, Groups, Out};
use crate::coordinator::Ticket;
use crate::group::machine::{Timer, batch_size};
use crate::group::record::Record;
use crate::group::request::{DeleteOffsets, DeletedOffsets, Reply};
use crate::metadata::Delta;
use crate::model::{ErrorCode, GroupId, TopicId, TopicName};

impl Groups {
    pub(in crate::group::machine) fn delete_offsets(
        &mut self,
        env: &Env,
        ticket: Ticket,
        delete: DeleteOffsets,
        out: &mut Out,
    ) {
        let deleted = match self.try_delete(env, delete, out) {
            Ok(partitions) => DeletedOffsets { error: ErrorCode::NONE, partitions },
            Err(error) => DeletedOffsets { error, partitions: Vec::new() },
        };
        out.reply(ticket, Reply::DeleteOffsets(deleted));
    }

    fn try_delete(&mut self, env: &Env, delete: DeleteOffsets, out: &mut Out) -> Result<Vec<ErrorCode>, ErrorCode> {
        let DeleteOffsets { group: id, partitions } = delete;
        let group = self.groups.get(&id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?.kind();
        group.check_delete_offsets()?;
        let mut records = Vec::new();
        let mut errors = Vec::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            if group.subscribes(&topic) {
                errors.push(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
                continue;
            }
            // There being no offset is no error.
            errors.push(ErrorCode::NONE);
            if self.offsets.key(&id, &topic, partition).is_some_and(|key| self.offsets.holds(key)) {
                records.push(Record::Offset { group: id.clone(), topic, partition, value: None });
            }
        }
        self.commit_all(env, out, records)?;
        Ok(errors)
    }

    /// Topics were deleted: so are their offsets.
    pub(in crate::group::machine) fn forget_deleted_topics(&mut self, env: &Env, delta: &Delta, out: &mut Out) {
        let used = delta.deleted.values().filter(|topic| self.offsets.topics.number(&topic.name).is_some());
        let used: Vec<(TopicName, TopicId)> = used.map(|topic| (topic.name.clone(), topic.id)).collect();
        if !used.is_empty() {
            self.offsets.doomed.extend(used);
            self.forget_more(env, out);
        }
    }

    /// As many offsets of deleted topics as half a batch takes; a timer brings the next.
    pub(in crate::group::machine) fn forget_more(&mut self, env: &Env, out: &mut Out) {
        let mut size = batch_size(&out.records);
        while let Some((topic, id)) = self.offsets.doomed.pop_front() {
            let (doomed, whole) = self.offsets_of_deleted(&topic, id, (env.batch_bytes_max / 2).max(1), &mut size);
            for (group, key) in doomed {
                // Committed and in an open transaction: the first tombstone removed both.
                if self.offsets.holds(key)
                    && let Some(record) = self.offsets.tombstone(&group, key)
                {
                    self.commit(env.now, out, record);
                }
            }
            if !whole {
                self.offsets.doomed.push_front((topic, id));
                self.timers.arm(Timer::Forget, env.now.plus(1));
                return;
            }
        }
    }

    /// Offsets of a topic that was deleted, as many as there is room for, and whether these are all.
    fn offsets_of_deleted(
        &self,
        topic: &TopicName,
        id: TopicId,
        room: usize,
        size: &mut usize,
    ) -> (Vec<(GroupId, Key)>, bool) {
        let mut found = Vec::new();
        let Some(number) = self.offsets.topics.number(topic) else { return (found, true) };
        for (_, group) in self.offsets.users.range((number, 0)..=(number, u32::MAX)) {
            let Some(name) = self.offsets.groups.name(*group) else { continue };
            for (key, of) in self.offsets.of_topic(*group, number) {
                // Those of a new topic of the same name stay.
                if !of.is_zero() && of != id {
                    continue;
                }
                if *size >= room {
                    return (found, false);
                }
                *size += 40 + name.as_str().len() + topic.as_str().len();
                found.push((name.clone(), key));
            }
        }
        (found, true)
    }
}
