//! DeleteShareGroupOffsets (92), v0: a share group without members forgets where it is in topics.
//!
//! Where the feature `share.version` is 0 the answer is UNSUPPORTED_VERSION. The group needs DELETE, and every topic READ.

use super::{Api, Call, Context, Versions, groups, text};
use crate::group::request::{DeletedTopic, Refusal};
use crate::model::{ErrorCode, Operation, TopicId, TopicName};
use kafka_protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use kafka_protocol::messages::{DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse};
use std::sync::Arc;

pub struct DeleteShareGroupOffsets;

impl Api for DeleteShareGroupOffsets {
    type Request = DeleteShareGroupOffsetsRequest;
    const NAME: &'static str = "DeleteShareGroupOffsets";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: DeleteShareGroupOffsetsRequest,
    ) -> DeleteShareGroupOffsetsResponse {
        if !groups::share_protocol(&ctx.metadata.load()) {
            return refused(ErrorCode::UNSUPPORTED_VERSION.into());
        }
        let may = call.may();
        if !may.group(Operation::Delete, &request.group_id) {
            return refused(ErrorCode::GROUP_AUTHORIZATION_FAILED.into());
        }
        let (allowed, denied): (Vec<_>, Vec<_>) = request
            .topics
            .iter()
            .map(|topic| TopicName::new(&topic.topic_name))
            .partition(|topic| may.topic(Operation::Read, topic.as_str()));
        let denied = denied.into_iter().map(|name| DeletedTopic {
            name,
            id: TopicId::ZERO,
            outcome: Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED.into()),
        });
        match ctx.groups.delete_share_offsets(&groups::id(&request.group_id), allowed).await {
            Ok(deleted) => {
                DeleteShareGroupOffsetsResponse::default().with_responses(denied.chain(deleted).map(answer).collect())
            }
            Err(refusal) => refused(refusal),
        }
    }
}

fn refused(refusal: Refusal) -> DeleteShareGroupOffsetsResponse {
    let (code, message) = groups::refusal_fields(Err(refusal));
    DeleteShareGroupOffsetsResponse::default().with_error_code(code).with_error_message(message)
}

fn answer(topic: DeletedTopic) -> DeleteShareGroupOffsetsResponseTopic {
    let (code, message) = groups::refusal_fields(topic.outcome);
    DeleteShareGroupOffsetsResponseTopic::default()
        .with_topic_name(text::topic(&topic.name))
        .with_topic_id(topic.id.0)
        .with_error_code(code)
        .with_error_message(message)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{encoded, topic_id};
    use super::*;

    #[test]
    fn each_topic_has_its_own_outcome() {
        let done = answer(DeletedTopic { name: TopicName::new("a"), id: topic_id("a"), outcome: Ok(()) });
        let error = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
        let not = answer(DeletedTopic { name: TopicName::new("b"), id: TopicId::ZERO, outcome: Err(error.into()) });
        encoded(0, &DeleteShareGroupOffsetsResponse::default().with_responses(vec![done.clone(), not.clone()]));
        assert_eq!((done.error_code, done.error_message), (0, None));
        assert_eq!((not.error_code, not.error_message.as_deref()), (error.0, Some("Topic authorization failed.")));
        encoded(0, &refused(ErrorCode::NON_EMPTY_GROUP.into()));
    }
}
