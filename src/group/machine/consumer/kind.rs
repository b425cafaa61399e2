//! What a consumer group answers about offsets and its own removal (`ConsumerGroup.validate*`).

use super::state::{ConsumerGroup, Member};
use crate::group::machine::kind::{Ages, Kind};
use crate::group::record::{Record, WithEpochs};
use crate::group::request::{Commit, CommitOffset, FetchOffsets};
use crate::model::{ErrorCode, GroupEpoch, GroupId, MemberId, TopicName};

/// OffsetCommit's first version that members of consumer groups may use.
const COMMITS_WITH_EPOCHS: i16 = 9;

impl ConsumerGroup {
    fn committing_member(&self, member: &MemberId) -> Result<&Member, ErrorCode> {
        self.members.get(member).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }
}

/// The member is not at the epoch that it says.
fn wrong_epoch(member: &Member) -> ErrorCode {
    if member.is_classic() { ErrorCode::ILLEGAL_GENERATION } else { ErrorCode::STALE_MEMBER_EPOCH }
}

impl Kind for ConsumerGroup {
    fn check_commit(&self, commit: &Commit) -> Result<(), ErrorCode> {
        let epoch = GroupEpoch(commit.generation_or_epoch);
        // An administrator, or a consumer that manages its partitions itself.
        if epoch.0 < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.committing_member(&commit.member)?;
        if !member.is_classic() && commit.version < COMMITS_WITH_EPOCHS {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        if epoch > member.current.epoch {
            return Err(wrong_epoch(member));
        }
        Ok(())
    }

    /// A member that has not heard of its new epoch yet may commit what it was assigned at its old one or before (KIP-1251).
    fn check_offset(&self, commit: &Commit, offset: &CommitOffset) -> ErrorCode {
        let epoch = GroupEpoch(commit.generation_or_epoch);
        if epoch.0 < 0 && self.members.is_empty() {
            return ErrorCode::NONE;
        }
        let Ok(member) = self.committing_member(&commit.member) else { return ErrorCode::UNKNOWN_MEMBER_ID };
        let current = &member.current;
        if epoch == current.epoch {
            return ErrorCode::NONE;
        }
        let since = |of: &WithEpochs| of.get(&offset.topic_id)?.get(&offset.partition).copied();
        match since(&current.assigned).or_else(|| since(&current.pending_revocation)) {
            Some(since) if epoch >= since => ErrorCode::NONE,
            _ => wrong_epoch(member),
        }
    }

    fn check_fetch(&self, fetch: &FetchOffsets) -> Result<(), ErrorCode> {
        let Some(member) = &fetch.member else {
            return if fetch.epoch < 0 { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) };
        };
        let member = self.committing_member(member)?;
        if fetch.epoch == member.current.epoch.0 { Ok(()) } else { Err(wrong_epoch(member)) }
    }

    fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn check_delete(&self) -> Result<(), ErrorCode> {
        if self.members.is_empty() { Ok(()) } else { Err(ErrorCode::NON_EMPTY_GROUP) }
    }

    fn subscribes(&self, topic: &TopicName) -> bool {
        self.subscribed.contains(topic)
    }

    fn offsets_age(&self) -> Ages {
        Ages::SinceCommit
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn tombstones(&self, _: &GroupId) -> Vec<Record> {
        self.tombstones_with(None)
    }

    fn state(&self) -> &'static str {
        ConsumerGroup::state(self)
    }

    fn name(&self) -> &'static str {
        "consumer"
    }

    fn protocol_type(&self) -> &str {
        "consumer"
    }
}

impl ConsumerGroup {
    /// The records that remove the group. A member that was replaced in the same step goes by its new id.
    pub(super) fn tombstones_with(&self, replaced: Option<(&MemberId, &MemberId)>) -> Vec<Record> {
        let id = &self.id;
        let members: Vec<&MemberId> = self
            .members
            .keys()
            .map(|member| match replaced {
                Some((old, new)) if old == member => new,
                _ => member,
            })
            .collect();
        let mut records = Vec::with_capacity(3 * members.len() + self.resolved.len() + 3);
        let each = |of: fn(GroupId, MemberId) -> Record| members.iter().map(move |m| of(id.clone(), (*m).clone()));
        records.extend(each(|group, member| Record::Current { group, member, value: None }));
        records.extend(each(|group, member| Record::TargetMember { group, member, value: None }));
        records.push(Record::Target { group: id.clone(), value: None });
        records.extend(each(|group, member| Record::Member { group, member, value: None }));
        for regex in self.resolved.keys() {
            records.push(Record::Regex { group: id.clone(), regex: regex.clone(), value: None });
        }
        records.push(Record::PartitionMetadata { group: id.clone(), present: false });
        records.push(Record::Group { group: id.clone(), value: None });
        records
    }
}
