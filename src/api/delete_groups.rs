//! DeleteGroups (42), v0-2: deletes groups that have no members, with their offsets.
//!
//! Versions differ in their encoding only. A group that comes twice is deleted, and answered, once. It needs DELETE.

use super::{Api, Call, Context, Versions, distinct, groups};
use crate::model::{ErrorCode, GroupId, Operation};
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use std::sync::Arc;

pub struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;
    const NAME: &'static str = "DeleteGroups";
    const VERSIONS: Versions = Versions { min: 0, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let may = call.may();
        let (asked, denied): (Vec<_>, Vec<_>) =
            question(&request).into_iter().partition(|group| may.group(Operation::Delete, group.as_str()));
        let deleted = ctx.groups.delete_groups(asked.clone()).await;
        let denied = denied.into_iter().map(|group| (group, ErrorCode::GROUP_AUTHORIZATION_FAILED));
        answer(asked.into_iter().zip(deleted).chain(denied).collect())
    }
}

fn question(request: &DeleteGroupsRequest) -> Vec<GroupId> {
    distinct::each_once(request.groups_names.iter()).into_iter().map(groups::id).collect()
}

fn answer(deleted: Vec<(GroupId, ErrorCode)>) -> DeleteGroupsResponse {
    let results = deleted.into_iter().map(|(group, error)| {
        DeletableGroupResult::default().with_group_id(groups::wire_id(&group)).with_error_code(error.0)
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use kafka_protocol::messages;

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=2 {
            encoded(version, &answer(vec![(GroupId::new("g"), ErrorCode::NON_EMPTY_GROUP)]));
        }
    }

    #[test]
    fn a_group_that_comes_twice_is_deleted_once() {
        let names = ["g", "h", "g"].map(|name| messages::GroupId(name.into()));
        let request = DeleteGroupsRequest::default().with_groups_names(names.to_vec());
        assert_eq!(question(&request), [GroupId::new("g"), GroupId::new("h")]);
    }

    #[test]
    fn each_group_has_its_own_error() {
        let answer =
            answer(vec![(GroupId::new("g"), ErrorCode::NONE), (GroupId::new("h"), ErrorCode::GROUP_ID_NOT_FOUND)]);
        let shown: Vec<_> = answer.results.iter().map(|r| (r.group_id.as_str(), ErrorCode(r.error_code))).collect();
        assert_eq!(shown, [("g", ErrorCode::NONE), ("h", ErrorCode::GROUP_ID_NOT_FOUND)]);
    }
}
