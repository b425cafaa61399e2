//! ListGroups (16), v0-5: the groups that this broker coordinates.
//!
//! Versions: v4 filters by state, and tells it; v5 filters by type, and tells it. Listed is what the client may DESCRIBE, or
//! everything if it may DESCRIBE the cluster.

use super::{Api, Call, Context, Versions, groups, text};
use crate::group::request::{List, Listed};
use crate::model::{ErrorCode, Operation, ResourceKind};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;

pub struct ListGroups;

impl Api for ListGroups {
    type Request = ListGroupsRequest;
    const NAME: &'static str = "ListGroups";
    const VERSIONS: Versions = Versions { min: 0, max: 5 };

    async fn handle(ctx: Arc<Context>, call: Call, request: ListGroupsRequest) -> ListGroupsResponse {
        let may = call.may();
        let all = may.cluster_quietly(Operation::Describe);
        let mut listed = ctx.groups.list(question(&request)).await;
        if let (Ok(listed), false) = (&mut listed, all) {
            listed.retain(|of| may.allow_quietly(Operation::Describe, ResourceKind::Group, of.group.as_str()));
        }
        answer(call.version, listed)
    }
}

fn question(request: &ListGroupsRequest) -> List {
    let owned = |filter: &[StrBytes]| filter.iter().map(|item| item.as_str().to_owned()).collect();
    List { states: owned(&request.states_filter), types: owned(&request.types_filter) }
}

fn answer(version: i16, listed: Result<Vec<Listed>, ErrorCode>) -> ListGroupsResponse {
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => return ListGroupsResponse::default().with_error_code(error.0),
    };
    let since = |least: i16, word: &'static str| StrBytes::from_static_str(if version >= least { word } else { "" });
    let shown = listed.into_iter().map(|group| {
        ListedGroup::default()
            .with_group_id(groups::wire_id(&group.group))
            .with_protocol_type(text::text(&group.protocol_type))
            .with_group_state(since(4, group.state))
            .with_group_type(since(5, group.kind))
    });
    ListGroupsResponse::default().with_groups(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use crate::model::GroupId;

    fn listed() -> Result<Vec<Listed>, ErrorCode> {
        let group = |id: &str, protocol_type: &str, kind| Listed {
            group: GroupId::new(id),
            protocol_type: protocol_type.into(),
            state: "Stable",
            kind,
        };
        Ok(vec![group("g", "consumer", "consumer"), group("simple", "", "classic")])
    }

    #[test]
    fn every_version_can_be_encoded() {
        for version in 0..=5 {
            encoded(version, &answer(version, listed()));
            encoded(version, &answer(version, Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)));
        }
    }

    #[test]
    fn state_and_type_are_told_since_the_versions_that_filter_by_them() {
        let first = |version| {
            let group = answer(version, listed()).groups.swap_remove(0);
            (group.group_state.as_str().to_owned(), group.group_type.as_str().to_owned())
        };
        assert_eq!(first(3), (String::new(), String::new()));
        assert_eq!(first(4), ("Stable".into(), String::new()));
        assert_eq!(first(5), ("Stable".into(), "consumer".into()));
    }

    #[test]
    fn filters_are_carried_over() {
        let request = ListGroupsRequest::default()
            .with_states_filter(vec!["stable".into()])
            .with_types_filter(vec!["Classic".into(), "consumer".into()]);
        let expected = List { states: vec!["stable".into()], types: vec!["Classic".into(), "consumer".into()] };
        assert_eq!(question(&request), expected);
    }

    #[test]
    fn an_error_comes_without_groups() {
        let answer = answer(5, Err(ErrorCode::COORDINATOR_NOT_AVAILABLE));
        assert_eq!((answer.error_code, answer.groups.len()), (ErrorCode::COORDINATOR_NOT_AVAILABLE.0, 0));
    }
}
