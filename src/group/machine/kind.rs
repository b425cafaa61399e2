//! What all kinds of groups answer to whoever keeps offsets, lists and deletes groups (Kafka's `Group`).

use super::Group;
use crate::group::record::Record;
use crate::group::request::{Commit, CommitOffset, FetchOffsets, List};
use crate::model::{ErrorCode, GroupId, TimestampMs, TopicName};

/// From when on the offsets of a group age (`OffsetExpirationCondition`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ages {
    /// They do not, as long as the group is like this.
    Never,
    SinceCommit,
    /// Since then, whenever they were committed.
    Since(TimestampMs),
}

/// See the module. Nothing here changes the group.
pub trait Kind {
    /// May this commit be made (`validateOffsetCommit`)?
    ///
    /// # Errors
    /// The error that every partition of the commit gets.
    fn check_commit(&self, commit: &Commit) -> Result<(), ErrorCode>;

    /// May this offset be committed, `check_commit` having passed (KAFKA-19862, `CommitPartitionValidator`)? An error
    /// refuses the whole commit.
    fn check_offset(&self, commit: &Commit, offset: &CommitOffset) -> ErrorCode;

    /// May this commit be made in a transaction (`validateOffsetCommit`)? Whoever says nothing of the group need not be in
    /// it: older producers do not.
    ///
    /// # Errors
    /// As [`Kind::check_commit`].
    fn check_transactional_commit(&self, commit: &Commit) -> Result<(), ErrorCode>;

    /// May offsets be fetched like this (`validateOffsetFetch`)?
    ///
    /// # Errors
    /// The group's error.
    fn check_fetch(&self, fetch: &FetchOffsets) -> Result<(), ErrorCode>;

    /// May offsets be deleted (`validateOffsetDelete`)?
    ///
    /// # Errors
    /// The group's error.
    fn check_delete_offsets(&self) -> Result<(), ErrorCode>;

    /// May the group be deleted (`validateDeleteGroup`)?
    ///
    /// # Errors
    /// The group's error.
    fn check_delete(&self) -> Result<(), ErrorCode>;

    /// Do members consume this topic: its offsets are neither deleted nor do they expire.
    fn subscribes(&self, topic: &TopicName) -> bool;

    fn offsets_age(&self) -> Ages;

    /// It goes when nobody is in it and its last offset has expired (`shouldExpire`).
    fn expires(&self) -> bool {
        true
    }

    /// Nobody is in it.
    fn is_empty(&self) -> bool;

    /// The records that remove the group, its offsets apart (`createGroupTombstoneRecords`).
    fn tombstones(&self, group: &GroupId) -> Vec<Record>;

    /// `Stable`, `Empty` …, as Kafka spells it.
    fn state(&self) -> &'static str;

    /// `classic`, `consumer` or `share`
    fn name(&self) -> &'static str;

    fn protocol_type(&self) -> &str;

    /// Does a listing ask for it: its states and types, without regard to case; none lets everything through.
    fn listed(&self, list: &List) -> bool {
        let state = |filter: &String| filter.trim().eq_ignore_ascii_case(self.state());
        let kind = |filter: &String| filter.eq_ignore_ascii_case(self.name());
        (list.states.is_empty() || list.states.iter().any(state))
            && (list.types.is_empty() || list.types.iter().any(kind))
    }
}

impl Group {
    pub(super) fn kind(&self) -> &dyn Kind {
        match self {
            Group::Classic(group) => &**group,
            Group::Consumer(group) => &**group,
            Group::Share(group) => &**group,
        }
    }
}
