//! DeleteTopics (20), v1-6: deletes topics by name, from v6 on by id as well.
//!
//! A name or id that comes twice, a topic named both ways and an entry that names nothing are refused with
//! INVALID_REQUEST; those answers come first. With `delete.topic.enable=false` every topic is refused:
//! TOPIC_DELETION_DISABLED, which v1 and v2 do not know and get as INVALID_REQUEST.
//!
//! v5 adds the message. Left out: authorization and the controller's mutation quota (later issues); without the
//! former there is nothing to hide, so the answers are not shuffled.

use super::{Api, ApiError, Call, Context, Versions, deadline, distinct, text};
use crate::controller::{DeletedTopic, TopicSelector};
use crate::metadata::Image;
use crate::model::{ErrorCode, TopicId, TopicName};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use std::collections::HashSet;
use std::sync::Arc;

pub struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;
    const NAME: &'static str = "DeleteTopics";
    const VERSIONS: Versions = Versions { min: 1, max: 6 };

    async fn handle(ctx: Arc<Context>, call: Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let asked = if call.version >= 6 { request.topics } else { by_name(request.topic_names) };
        if !ctx.settings().topics.delete_enable {
            let code = if call.version < 3 { ErrorCode::INVALID_REQUEST } else { ErrorCode::TOPIC_DELETION_DISABLED };
            let refused = asked.into_iter().map(|topic| {
                let (name, id) = (topic.name, topic.topic_id);
                DeletableTopicResult::default().with_name(name).with_topic_id(id).with_error_code(code.0)
            });
            return DeleteTopicsResponse::default().with_responses(refused.collect());
        }
        let Plan { mut responses, selectors } = plan(&asked, &ctx.metadata.image());
        if selectors.is_empty() {
            return DeleteTopicsResponse::default().with_responses(responses);
        }
        let wanted = selectors.clone();
        let work = async move { ctx.controller.delete_topics(selectors).await };
        let answers = deadline::within(request.timeout_ms, work).await;
        responses.extend(wanted.iter().enumerate().map(|(index, selector)| {
            let answer = match &answers {
                None => Err(ApiError::bare(ErrorCode::REQUEST_TIMED_OUT)),
                Some(answers) => {
                    answers.get(index).cloned().unwrap_or_else(|| Err(ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR)))
                }
            };
            match (answer, selector) {
                (Ok(DeletedTopic { name, id }), _) => result(Some(&name), id, Ok(())),
                (Err(error), TopicSelector::Name(name)) => result(Some(name), TopicId::ZERO, Err(error)),
                (Err(error), TopicSelector::Id(id)) => result(None, *id, Err(error)),
            }
        }));
        DeleteTopicsResponse::default().with_responses(responses)
    }
}

fn by_name(names: Vec<kafka_protocol::messages::TopicName>) -> Vec<DeleteTopicState> {
    names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name))).collect()
}

/// What can be answered at once, and what the controller is asked.
struct Plan {
    responses: Vec<DeletableTopicResult>,
    selectors: Vec<TopicSelector>,
}

fn plan(asked: &[DeleteTopicState], image: &Image) -> Plan {
    let refuse = |message: &str| Err(ApiError::new(ErrorCode::INVALID_REQUEST, message));
    let mut plan = Plan { responses: Vec::new(), selectors: Vec::new() };
    let (mut names, mut ids) = (Vec::new(), Vec::new());
    for topic in asked {
        let name = topic.name.as_ref().map(|name| TopicName::new(name.as_str()));
        let id = TopicId(topic.topic_id);
        match (name, id.is_zero()) {
            (Some(name), true) => names.push(name),
            (None, false) => ids.push(id),
            (Some(name), false) => plan.responses.push(result(
                Some(&name),
                id,
                refuse("You may not specify both topic name and topic id."),
            )),
            (None, true) => {
                plan.responses.push(result(None, id, refuse("Neither topic name nor id were specified.")));
            }
        }
    }
    let (repeated_names, repeated_ids) = (distinct::repeated(names.iter()), distinct::repeated(ids.iter()));
    for name in distinct::each_once(names.iter()) {
        let id = image.topic(name.as_str()).map(|topic| topic.id);
        if repeated_names.contains(name) {
            plan.responses.push(result(Some(name), TopicId::ZERO, refuse("Duplicate topic name.")));
        } else if let Some(id) = id.filter(|id| ids.contains(id)) {
            let message = "The provided topic name maps to an ID that was already supplied.";
            plan.responses.push(result(Some(name), id, refuse(message)));
        } else {
            plan.selectors.push(TopicSelector::Name(name.clone()));
        }
    }
    // An id that a name stands for too is not deleted either; the name's answer speaks for both.
    let named: HashSet<TopicId> = names
        .iter()
        .filter(|name| !repeated_names.contains(name))
        .filter_map(|name| image.topic(name.as_str()))
        .map(|topic| topic.id)
        .collect();
    for &id in distinct::each_once(ids.iter()) {
        if repeated_ids.contains(&id) {
            plan.responses.push(result(None, id, refuse("Duplicate topic id.")));
        } else if !named.contains(&id) {
            plan.selectors.push(TopicSelector::Id(id));
        }
    }
    plan
}

fn result(name: Option<&TopicName>, id: TopicId, outcome: Result<(), ApiError>) -> DeletableTopicResult {
    let (code, message) = text::error_fields(outcome.map_err(text::explained));
    DeletableTopicResult::default()
        .with_name(name.map(text::topic))
        .with_topic_id(id.0)
        .with_error_code(code)
        .with_error_message(message)
}
