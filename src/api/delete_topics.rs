//! DeleteTopics (20), v1-6: deletes topics by name, from v6 on by id as well.
//!
//! A name or id that comes twice, a topic named both ways and an entry that names nothing are refused with
//! INVALID_REQUEST; those answers come first. With `delete.topic.enable=false` every topic is refused:
//! TOPIC_DELETION_DISABLED, which v1 and v2 do not know and get as INVALID_REQUEST.
//!
//! A topic needs DELETE, unless the cluster has it. Without DESCRIBE nothing is told of a topic: an id is refused without its
//! name, a name whether it exists or not. With an authorizer the answers come in a random order, so that their places
//! tell nothing either.
//!
//! v5 adds the message.

use super::mutations::Mutations;
use super::{Api, ApiError, Call, Context, Versions, deadline, distinct, text};
use crate::access::Permissions;
use crate::controller::{DeletedTopic, Service, TopicSelector};
use crate::metadata::Image;
use crate::model::{ErrorCode, Operation, TopicId, TopicName};
use crate::rt::rand;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;
    const NAME: &'static str = "DeleteTopics";
    const VERSIONS: Versions = Versions { min: 1, max: 6 };

    async fn handle(ctx: Arc<Context>, call: Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let timeout_ms = request.timeout_ms;
        let asked = if call.version >= 6 { request.topics } else { by_name(request.topic_names) };
        let mut mutations = Mutations::new(&ctx, &call, STRICT_FROM);
        let (asked, throttled) = mutations.admit(asked, |topic| partitions(&ctx, &call, topic));
        let mut responses = if ctx.settings().topics.delete_enable {
            let may = call.may();
            let plan = plan(&asked, &ctx.metadata.image(), &may);
            let mut responses = carry_out(plan, timeout_ms, Arc::clone(&ctx.controller)).await;
            if !may.are_unlimited() {
                shuffle(&mut responses);
            }
            responses
        } else {
            switched_off(asked, call.version)
        };
        let refusals = throttled.into_iter().map(|topic| {
            let name = topic.name.map(|name| TopicName::new(name.as_str()));
            result(name.as_ref(), TopicId(topic.topic_id), Err(Mutations::refusal()))
        });
        responses.extend(refusals);
        DeleteTopicsResponse::default().with_responses(responses).with_throttle_time_ms(mutations.settle())
    }
}

/// The first version whose clients know THROTTLING_QUOTA_EXCEEDED.
const STRICT_FROM: i16 = 5;

/// How many partitions would be deleted.
fn partitions(ctx: &Context, call: &Call, topic: &DeleteTopicState) -> usize {
    let image = ctx.metadata.load();
    let known = match &topic.name {
        Some(name) => image.topic(name.as_str()),
        None => image.topic_by_id(TopicId(topic.topic_id)),
    };
    let may = call.may();
    let deletable = known.filter(|known| {
        ctx.settings().topics.delete_enable
            && (may.cluster_quietly(Operation::Delete) || may.topic(Operation::Delete, known.name.as_str()))
    });
    deletable.map_or(0, |known| known.partitions.len())
}

fn switched_off(asked: Vec<DeleteTopicState>, version: i16) -> Vec<DeletableTopicResult> {
    let code = if version < 3 { ErrorCode::INVALID_REQUEST } else { ErrorCode::TOPIC_DELETION_DISABLED };
    let refused = asked.into_iter().map(|topic| {
        let (name, id) = (topic.name, topic.topic_id);
        DeletableTopicResult::default().with_name(name).with_topic_id(id).with_error_code(code.0)
    });
    refused.collect()
}

async fn carry_out(plan: Plan, timeout_ms: i32, controller: Arc<Service>) -> Vec<DeletableTopicResult> {
    let Plan { mut responses, selectors } = plan;
    if selectors.is_empty() {
        return responses;
    }
    let wanted = selectors.clone();
    let work = async move { controller.delete_topics(selectors).await };
    let answers = deadline::answers(timeout_ms, wanted.len(), work).await;
    responses.extend(wanted.iter().zip(answers).map(|(selector, answer)| match (answer, selector) {
        (Ok(DeletedTopic { name, id }), _) => result(Some(&name), id, Ok(())),
        (Err(error), TopicSelector::Name(name)) => result(Some(name), TopicId::ZERO, Err(error)),
        (Err(error), TopicSelector::Id(id)) => result(None, *id, Err(error)),
    }));
    responses
}

fn by_name(names: Vec<kafka_protocol::messages::TopicName>) -> Vec<DeleteTopicState> {
    names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name))).collect()
}

/// What can be answered at once, and what the controller is asked.
struct Plan {
    responses: Vec<DeletableTopicResult>,
    selectors: Vec<TopicSelector>,
}

fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let bound = u32::try_from(last).unwrap_or(u32::MAX - 1) + 1;
        items.swap(last, rand::below(bound) as usize);
    }
}

/// What the client may do with a topic.
#[derive(Clone, Copy)]
struct Leave {
    describe: bool,
    delete: bool,
}

fn plan(asked: &[DeleteTopicState], image: &Image, may: &Permissions<'_>) -> Plan {
    let all = may.cluster_quietly(Operation::Delete);
    let mut asked_for: HashMap<TopicName, Leave> = HashMap::new();
    let mut leave = |name: &TopicName| {
        *asked_for.entry(name.clone()).or_insert_with(|| Leave {
            describe: all || may.topic(Operation::Describe, name.as_str()),
            delete: all || may.topic(Operation::Delete, name.as_str()),
        })
    };
    let denied = || Err(ApiError::bare(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
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
    let supplied: HashSet<TopicId> = ids.iter().copied().collect();
    for name in distinct::each_once(names.iter()) {
        let id = image.topic(name.as_str()).map(|topic| topic.id);
        if repeated_names.contains(name) {
            plan.responses.push(result(Some(name), TopicId::ZERO, refuse("Duplicate topic name.")));
            continue;
        }
        let leave = leave(name);
        if !(leave.describe && (leave.delete || id.is_none())) {
            plan.responses.push(result(Some(name), TopicId::ZERO, denied()));
        } else if let Some(id) = id.filter(|id| supplied.contains(id)) {
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
        .filter(|topic| leave(&topic.name).delete)
        .map(|topic| topic.id)
        .collect();
    for &id in distinct::each_once(ids.iter()) {
        if repeated_ids.contains(&id) {
            plan.responses.push(result(None, id, refuse("Duplicate topic id.")));
        } else if let Some((topic, leave)) =
            image.topic_by_id(id).map(|topic| (topic, leave(&topic.name))).filter(|(_, leave)| !leave.delete)
        {
            plan.responses.push(result(leave.describe.then_some(&topic.name), id, denied()));
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

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;

    fn name(name: &'static str) -> DeleteTopicState {
        DeleteTopicState::default().with_name(Some(text::text(name).into()))
    }

    fn id(id: TopicId) -> DeleteTopicState {
        DeleteTopicState::default().with_name(None).with_topic_id(id.0)
    }

    fn refusals(plan: &Plan) -> Vec<(Option<&str>, TopicId, &str)> {
        let mut shown = Vec::new();
        for refused in &plan.responses {
            assert_eq!(ErrorCode(refused.error_code), ErrorCode::INVALID_REQUEST);
            let name = refused.name.as_ref().map(|name| name.as_str());
            shown.push((name, TopicId(refused.topic_id), refused.error_message.as_deref().unwrap_or("")));
        }
        shown
    }

    const ZERO: TopicId = TopicId::ZERO;

    #[test]
    fn names_and_ids_are_handed_to_the_controller_each_once() {
        let plan =
            plan(&[name("a"), id(testing::topic_id("b")), name("gone")], &testing::image(), &Permissions::everything());
        let expected = [
            TopicSelector::Name(TopicName::new("a")),
            TopicSelector::Name(TopicName::new("gone")),
            TopicSelector::Id(testing::topic_id("b")),
        ];
        assert_eq!((plan.selectors.as_slice(), plan.responses.len()), (&expected[..], 0));
    }

    #[test]
    fn what_comes_twice_is_refused_once_and_not_deleted() {
        let b = testing::topic_id("b");
        let plan =
            plan(&[name("a"), id(b), name("a"), id(b), name("a")], &testing::image(), &Permissions::everything());
        assert_eq!(plan.selectors, []);
        assert_eq!(refusals(&plan), [(Some("a"), ZERO, "Duplicate topic name."), (None, b, "Duplicate topic id.")]);
    }

    #[test]
    fn a_topic_named_both_by_name_and_by_its_id_is_refused_once() {
        let a = testing::topic_id("a");
        let plan = plan(&[id(a), name("a")], &testing::image(), &Permissions::everything());
        assert_eq!(plan.selectors, []);
        let why = "The provided topic name maps to an ID that was already supplied.";
        assert_eq!(refusals(&plan), [(Some("a"), a, why)]);
    }

    #[test]
    fn an_id_whose_name_was_refused_for_coming_twice_is_deleted() {
        let a = testing::topic_id("a");
        let plan = plan(&[name("a"), id(a), name("a")], &testing::image(), &Permissions::everything());
        assert_eq!(refusals(&plan), [(Some("a"), ZERO, "Duplicate topic name.")]);
        assert_eq!(plan.selectors, [TopicSelector::Id(a)]);
    }

    #[test]
    fn an_entry_names_its_topic_in_exactly_one_way() {
        let a = testing::topic_id("a");
        let plan = plan(&[name("a").with_topic_id(a.0), id(ZERO)], &testing::image(), &Permissions::everything());
        assert_eq!(plan.selectors, []);
        let both = "You may not specify both topic name and topic id.";
        let neither = "Neither topic name nor id were specified.";
        assert_eq!(refusals(&plan), [(Some("a"), a, both), (None, ZERO, neither)]);
    }

    #[test]
    fn with_deletion_switched_off_every_topic_is_refused() {
        for version in 1..=6 {
            let responses = switched_off(vec![name("a")], version);
            let expected = if version < 3 { ErrorCode::INVALID_REQUEST } else { ErrorCode::TOPIC_DELETION_DISABLED };
            assert_eq!(ErrorCode(responses[0].error_code), expected);
            encoded(version, &DeleteTopicsResponse::default().with_responses(responses));
        }
    }

    #[test]
    fn every_version_can_be_encoded() {
        for version in 1..=6 {
            let error = ApiError::bare(ErrorCode::UNKNOWN_TOPIC_ID);
            let mut responses = vec![result(Some(&TopicName::new("a")), testing::topic_id("a"), Ok(()))];
            responses.push(result(Some(&TopicName::new("b")), ZERO, Err(error.clone())));
            if version >= 6 {
                responses.push(result(None, testing::topic_id("c"), Err(error)));
            }
            encoded(version, &DeleteTopicsResponse::default().with_responses(responses));
        }
    }

    #[test]
    fn a_topic_that_is_not_there_is_explained_in_kafkas_words() {
        let response = result(None, testing::topic_id("c"), Err(ApiError::bare(ErrorCode::UNKNOWN_TOPIC_ID)));
        assert_eq!(response.error_message.as_deref(), Some("This server does not host this topic ID."));
    }

    #[tokio::test]
    async fn topics_are_deleted_by_name_and_by_id() {
        let controller = testing::controller_with_topics(&["a", "b", "c"]).await;
        let ids: Vec<_> =
            ["a", "b"].iter().filter_map(|name| controller.store().load().topic(name).map(|topic| topic.id)).collect();
        let plan =
            plan(&[name("a"), id(ids[1]), name("gone")], &controller.store().image(), &Permissions::everything());
        let responses = carry_out(plan, 30_000, Arc::clone(&controller)).await;
        let names: Vec<_> = responses.iter().map(|r| r.name.as_ref().map(|name| name.as_str())).collect();
        assert_eq!(names, [Some("a"), Some("gone"), Some("b")]);
        let codes: Vec<_> = responses.iter().map(|r| ErrorCode(r.error_code)).collect();
        assert_eq!(codes, [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::NONE]);
        assert_eq!((responses[0].topic_id, responses[2].topic_id), (ids[0].0, ids[1].0));
        let left: Vec<_> = controller.store().load().topics_by_name.keys().cloned().collect();
        assert_eq!(left, [TopicName::new("c")]);
    }
}
