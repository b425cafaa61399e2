//! What a share group answers to whoever takes it for a group with offsets (`ShareGroup.validate*`).

use super::state::ShareGroup;
use crate::group::machine::kind::{Ages, Kind};
use crate::group::record::{Record, ShareRecord};
use crate::group::request::{Commit, CommitOffset, FetchOffsets};
use crate::model::{ErrorCode, GroupId, TopicName};

/// Kafka's words for it are "Group … is not a consumer group."
const NOT_A_CONSUMER_GROUP: ErrorCode = ErrorCode::GROUP_ID_NOT_FOUND;

impl Kind for ShareGroup {
    fn check_commit(&self, _: &Commit) -> Result<(), ErrorCode> {
        Err(NOT_A_CONSUMER_GROUP)
    }

    fn check_offset(&self, _: &Commit, _: &CommitOffset) -> ErrorCode {
        NOT_A_CONSUMER_GROUP
    }

    fn check_transactional_commit(&self, _: &Commit) -> Result<(), ErrorCode> {
        Err(NOT_A_CONSUMER_GROUP)
    }

    fn check_fetch(&self, _: &FetchOffsets) -> Result<(), ErrorCode> {
        Err(NOT_A_CONSUMER_GROUP)
    }

    fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        Err(NOT_A_CONSUMER_GROUP)
    }

    fn check_delete(&self) -> Result<(), ErrorCode> {
        self.check_empty()
    }

    fn subscribes(&self, topic: &TopicName) -> bool {
        self.subscribed.contains(topic)
    }

    fn offsets_age(&self) -> Ages {
        Ages::Never
    }

    fn expires(&self) -> bool {
        false
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn tombstones(&self, id: &GroupId) -> Vec<Record> {
        let members = || self.members.keys().cloned();
        let mut records = Vec::with_capacity(3 * self.members.len() + 3);
        records.extend(members().map(|member| ShareRecord::Current { member, value: None }));
        records.extend(members().map(|member| ShareRecord::TargetMember { member, value: None }));
        records.push(ShareRecord::Target(None));
        records.extend(members().map(|member| ShareRecord::Member { member, value: None }));
        records.push(ShareRecord::States(None));
        records.push(ShareRecord::Group(None));
        records.into_iter().map(|of| Record::Share { group: id.clone(), of }).collect()
    }

    fn state(&self) -> &'static str {
        ShareGroup::state(self)
    }

    fn name(&self) -> &'static str {
        "share"
    }

    fn protocol_type(&self) -> &str {
        "share"
    }
}
