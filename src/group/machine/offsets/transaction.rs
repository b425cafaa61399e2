//! TxnOffsetCommit: offsets that count once their producer's transaction is committed (`commitTransactionalOffset`).

use super::commit::longer_than;
use super::{Env, Groups, Out};
use crate::coordinator::{Ticket, Written};
use crate::group::machine::Group;
use crate::group::record::{OffsetValue, Record};
use crate::group::request::{Commit, Committed, Reply};
use crate::model::{ErrorCode, ProducerEpoch, ProducerId, TimestampMs, TopicId};

impl Groups {
    pub(in crate::group::machine) fn commit_offsets_in_transaction(
        &mut self,
        env: &Env,
        ticket: Ticket,
        producer: (ProducerId, ProducerEpoch),
        commit: Commit,
        out: &mut Out,
    ) {
        let count = commit.offsets.len();
        let errors =
            self.try_commit_in_transaction(env, producer, commit, out).unwrap_or_else(|error| vec![error; count]);
        out.reply(ticket, Reply::Commit(Committed(errors)));
    }

    fn try_commit_in_transaction(
        &mut self,
        env: &Env,
        producer: (ProducerId, ProducerEpoch),
        commit: Commit,
        out: &mut Out,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let group = self.groups.get(&commit.group).map(Group::kind);
        // The producer speaks for a consumer whose epoch is old: it is not told more.
        let as_generation = |error| match error {
            ErrorCode::STALE_MEMBER_EPOCH => ErrorCode::ILLEGAL_GENERATION,
            error => error,
        };
        match group {
            Some(group) => group.check_transactional_commit(&commit).map_err(as_generation)?,
            None if commit.generation_or_epoch < 0 => {}
            None => return Err(ErrorCode::ILLEGAL_GENERATION),
        }
        let mut errors = vec![ErrorCode::NONE; commit.offsets.len()];
        let max = env.settings.groups.offset_metadata_bytes_max;
        for (error, offset) in errors.iter_mut().zip(&commit.offsets) {
            if offset.metadata.as_ref().is_some_and(|text| longer_than(text, max)) {
                *error = ErrorCode::OFFSET_METADATA_TOO_LARGE;
                continue;
            }
            let refused = group.map_or(ErrorCode::NONE, |group| group.check_offset(&commit, offset));
            if refused != ErrorCode::NONE {
                return Err(as_generation(refused));
            }
        }
        let offsets = commit.offsets.into_iter().zip(&errors).filter(|(_, error)| **error == ErrorCode::NONE);
        let offsets: Vec<_> = offsets
            .map(|(offset, _)| {
                let value = OffsetValue {
                    offset: offset.offset,
                    leader_epoch: offset.leader_epoch,
                    metadata: offset.metadata.unwrap_or_default(),
                    committed_at: env.now,
                    expires_at: TimestampMs::NONE,
                    // As in Kafka, which has it for the check only.
                    topic_id: TopicId::ZERO,
                };
                (offset.topic, offset.partition, value)
            })
            .collect();
        let record = |(topic, partition, value): &(_, _, OffsetValue)| {
            let (topic, value) = (Clone::clone(topic), Some(value.clone()));
            Record::Offset { group: commit.group.clone(), topic, partition: *partition, value }.encode()
        };
        let written: Vec<Written> = offsets.iter().map(record).collect();
        if !env.fits(out, &written) {
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        // Nothing else is written in this step: all of it belongs to the transaction.
        out.producer = Some(producer);
        out.records.extend(written);
        for (topic, partition, value) in offsets {
            self.apply_offset(Some(producer.0), commit.group.clone(), topic, partition, Some(value), env.now);
        }
        Ok(errors)
    }
}
