//! What a classic group answers to whoever keeps offsets, lists and deletes groups (`ClassicGroup.validate*`).

use super::{ClassicGroup, ClassicState};
use crate::group::machine::kind::{Ages, Kind};
use crate::group::record::Record;
use crate::group::request::{Commit, CommitOffset, FetchOffsets};
use crate::model::{ErrorCode, GroupId, TopicName};

/// Who commits.
enum Committer {
    /// An administrator, or a consumer that takes partitions without a group: nobody is in it.
    Alone,
    /// A member of this generation.
    Member,
    /// Somebody who names no member, though there are some.
    Outsider,
}

impl ClassicGroup {
    fn committer(&self, commit: &Commit) -> Result<Committer, ErrorCode> {
        if self.state == ClassicState::Dead {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        let generation = commit.generation_or_epoch;
        if generation < 0 && self.state == ClassicState::Empty {
            return Ok(Committer::Alone);
        }
        if generation < 0 && commit.member.is_empty() && commit.instance.is_none() {
            return Ok(Committer::Outsider);
        }
        self.check_member(&commit.member, commit.instance.as_ref())?;
        if generation == self.generation.0 { Ok(Committer::Member) } else { Err(ErrorCode::ILLEGAL_GENERATION) }
    }
}

impl Kind for ClassicGroup {
    fn check_commit(&self, commit: &Commit) -> Result<(), ErrorCode> {
        match self.committer(commit)? {
            Committer::Outsider => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            // The member is of this generation, but has not got what it is to consume.
            Committer::Member if self.state == ClassicState::CompletingRebalance => {
                Err(ErrorCode::REBALANCE_IN_PROGRESS)
            }
            Committer::Member | Committer::Alone => Ok(()),
        }
    }

    fn check_transactional_commit(&self, commit: &Commit) -> Result<(), ErrorCode> {
        self.committer(commit).map(|_| ())
    }

    fn check_offset(&self, _: &Commit, _: &CommitOffset) -> ErrorCode {
        ErrorCode::NONE
    }

    fn check_fetch(&self, _: &FetchOffsets) -> Result<(), ErrorCode> {
        if self.state == ClassicState::Dead { Err(ErrorCode::GROUP_ID_NOT_FOUND) } else { Ok(()) }
    }

    fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        match self.state {
            ClassicState::Dead => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            // Of others it is not known what they consume.
            ClassicState::Stable | ClassicState::PreparingRebalance | ClassicState::CompletingRebalance
                if !self.uses_consumer_protocol() =>
            {
                Err(ErrorCode::NON_EMPTY_GROUP)
            }
            _ => Ok(()),
        }
    }

    fn check_delete(&self) -> Result<(), ErrorCode> {
        match self.state {
            ClassicState::Empty => Ok(()),
            ClassicState::Dead => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            _ => Err(ErrorCode::NON_EMPTY_GROUP),
        }
    }

    fn subscribes(&self, topic: &TopicName) -> bool {
        self.subscribed.as_ref().map_or_else(|| self.uses_consumer_protocol(), |topics| topics.contains(topic))
    }

    fn offsets_age(&self) -> Ages {
        match (&self.protocol_type, self.state) {
            // Offsets only.
            (None, _) => Ages::SinceCommit,
            (Some(_), ClassicState::Empty) => self.state_since.map_or(Ages::SinceCommit, Ages::Since),
            // What is subscribed to does not expire, whoever asks for the age sees to that.
            (Some(_), ClassicState::Stable) if self.uses_consumer_protocol() && self.subscribed.is_some() => {
                Ages::SinceCommit
            }
            _ => Ages::Never,
        }
    }

    fn is_empty(&self) -> bool {
        self.state == ClassicState::Empty
    }

    fn tombstones(&self, group: &GroupId) -> Vec<Record> {
        vec![Record::ClassicGroup { group: group.clone(), value: None }]
    }

    fn state(&self) -> &'static str {
        self.state.name()
    }

    fn name(&self) -> &'static str {
        "classic"
    }

    fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }
}
