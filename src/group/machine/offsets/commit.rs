//! OffsetCommit.

use super::{Env, Groups, Out};
use crate::coordinator::Ticket;
use crate::group::machine::Group;
use crate::group::record::{OffsetValue, Record};
use crate::group::request::{Commit, Committed, Reply};
use crate::model::{ErrorCode, LeaderEpoch, TimestampMs, TopicId};

/// From this version of OffsetCommit on a client understands that a group is unknown.
const KNOWS_GROUP_ID_NOT_FOUND: i16 = 9;

impl Groups {
    pub(in crate::group::machine) fn commit_offsets(
        &mut self,
        env: &Env,
        ticket: Ticket,
        commit: Commit,
        out: &mut Out,
    ) {
        let count = commit.offsets.len();
        let errors = self.try_commit(env, commit, out).unwrap_or_else(|error| vec![error; count]);
        out.reply(ticket, Reply::Commit(Committed(errors)));
    }

    /// The error of each offset, or the one that all have.
    fn try_commit(&mut self, env: &Env, commit: Commit, out: &mut Out) -> Result<Vec<ErrorCode>, ErrorCode> {
        match self.groups.get(&commit.group) {
            Some(group) => {
                group.kind().check_commit(&commit)?;
                // Whatever becomes of the offsets, the member is alive.
                if matches!(group, Group::Classic(_)) {
                    self.classic_member_committed(env, &commit);
                }
            }
            // From outside: the first offset makes the group.
            None if commit.generation_or_epoch < 0 => {}
            None if commit.version >= KNOWS_GROUP_ID_NOT_FOUND => return Err(ErrorCode::GROUP_ID_NOT_FOUND),
            None => return Err(ErrorCode::ILLEGAL_GENERATION),
        }
        let group = self.groups.get(&commit.group).map(Group::kind);
        let mut errors = vec![ErrorCode::NONE; commit.offsets.len()];
        for (error, offset) in errors.iter_mut().zip(&commit.offsets) {
            let max = env.settings.groups.offset_metadata_bytes_max;
            if offset.metadata.as_ref().is_some_and(|text| longer_than(text, max)) {
                *error = ErrorCode::OFFSET_METADATA_TOO_LARGE;
                continue;
            }
            let refused = group.map_or(ErrorCode::NONE, |group| group.check_offset(&commit, offset));
            if refused != ErrorCode::NONE {
                return Err(refused);
            }
        }
        let expires_at = match commit.retention_ms {
            -1 => TimestampMs::NONE,
            ms => env.now.plus(ms),
        };
        let records = commit.offsets.into_iter().zip(&errors).filter(|(_, error)| **error == ErrorCode::NONE);
        // The record that has such a time has neither an epoch nor an id: what is not written is not kept.
        let newest = expires_at == TimestampMs::NONE;
        let records = records.map(|(offset, _)| Record::Offset {
            group: commit.group.clone(),
            topic: offset.topic,
            partition: offset.partition,
            value: Some(OffsetValue {
                offset: offset.offset,
                leader_epoch: if newest { offset.leader_epoch } else { LeaderEpoch::NONE },
                metadata: offset.metadata.unwrap_or_default(),
                committed_at: env.now,
                expires_at,
                topic_id: if newest { offset.topic_id } else { TopicId::ZERO },
            }),
        });
        let records = records.collect();
        self.commit_all(env, out, records)?;
        Ok(errors)
    }
}

/// Kafka counts the characters of a Java string, although the setting's name speaks of bytes.
fn longer_than(text: &str, max: usize) -> bool {
    text.len() > max && text.encode_utf16().count() > max
}
