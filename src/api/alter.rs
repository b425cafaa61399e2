//! What IncrementalAlterConfigs and AlterConfigs have in common: the checks a broker makes before the controller is
//! asked (`ConfigAdminManager.preprocess`), and putting the two halves of the answer together again.

use super::{ApiError, Call, Side, text};
use crate::access;
use crate::config::{self, BrokerConfig};
use crate::metadata::{ConfigResource, ResourceType};
use crate::model::{ErrorCode, NodeId, Operation};
use crate::rt::fs::disk::disk;
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashSet};

/// Says whether a broker's dynamic configs, taken as a whole, would work: [`check_broker`], but for tests.
pub(super) type BrokerCheck<'a> =
    &'a (dyn Fn(&ConfigResource, &BTreeMap<String, String>) -> Result<(), ApiError> + Sync);

/// What becomes of one resource of the request.
pub(super) enum Step<C> {
    /// Decided here.
    Done(Result<(), ApiError>),
    /// The controller decides.
    Ask(ConfigResource, C),
}

/// The answers to the resources, in their order.
pub(super) async fn carry_out<C>(
    steps: Vec<Step<C>>,
    ask: impl AsyncFnOnce(Vec<(ConfigResource, C)>) -> Vec<Result<(), ApiError>>,
) -> Vec<Result<(), ApiError>> {
    let (mut questions, mut decided) = (Vec::new(), Vec::with_capacity(steps.len()));
    for step in steps {
        match step {
            Step::Done(outcome) => decided.push(Some(outcome)),
            Step::Ask(resource, change) => {
                questions.push((resource, change));
                decided.push(None);
            }
        }
    }
    let answers = if questions.is_empty() { Vec::new() } else { ask(questions).await };
    let mut answers = answers.into_iter();
    let unanswered = || Err(ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR));
    decided.into_iter().map(|outcome| outcome.or_else(|| answers.next()).unwrap_or_else(unanswered)).collect()
}

/// The outcomes that the controller's response has; one error is all of them.
pub(super) fn outcomes<R>(
    count: usize,
    responses: Result<Vec<R>, ErrorCode>,
    fields: impl Fn(R) -> (i16, Option<StrBytes>),
) -> Vec<Result<(), ApiError>> {
    let outcome = |response| match fields(response) {
        (0, _) => Ok(()),
        (code, message) => Err(ApiError { code: ErrorCode(code), message: message.map(|text| text.to_string()) }),
    };
    match responses {
        Ok(responses) => responses.into_iter().map(outcome).collect(),
        Err(code) => (0..count).map(|_| Err(ApiError::bare(code))).collect(),
    }
}

/// Checks what a broker, or all of them, would have, against what this broker can change while it runs.
pub(super) fn check_broker(
    config: &BrokerConfig,
    resource: &ConfigResource,
    whole: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let per_broker = !resource.name.is_empty();
    config::validate_dynamic_broker(config, whole, per_broker).map_err(|fault| invalid(fault.to_string()))?;
    // Stores are opened before anybody depends on them.
    let (next, _) = config.proposed(whole, per_broker);
    let listeners = config.settings().network.security.iter().zip(&next.settings().network.security);
    for (old, new) in listeners.filter(|(old, new)| old != new) {
        access::check_change(old, new, &*disk()).map_err(|fault| {
            invalid(format!(
                "Invalid value org.apache.kafka.common.config.ConfigException: Validation of dynamic config update of \
                 the listener {} failed: {fault} for configuration Invalid dynamic configuration",
                old.listener
            ))
        })?;
    }
    Ok(())
}

/// Checks that the client may do this to the configs of a resource: its own permission counts for a topic and a group, the
/// cluster's for the rest.
pub(super) fn check_leave(call: &Call, operation: Operation, kind: i8, name: &str) -> Result<(), ApiError> {
    let may = call.may();
    let (may, error) = match ResourceType::from_code(kind) {
        Some(ResourceType::Topic) => (may.topic(operation, name), ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        Some(ResourceType::Group) => (may.group(operation, name), ErrorCode::GROUP_AUTHORIZATION_FAILED),
        _ => (may.cluster(operation), ErrorCode::CLUSTER_AUTHORIZATION_FAILED),
    };
    if may { Ok(()) } else { Err(text::explained(ApiError::bare(error))) }
}

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::INVALID_REQUEST, message)
}

/// The resources that come more than once: each of them is refused.
pub(super) fn repeated<'a>(resources: impl Iterator<Item = (i8, &'a str)>) -> HashSet<(i8, &'a str)> {
    let mut seen = HashSet::new();
    resources.filter(|resource| !seen.insert(*resource)).collect()
}

pub(super) fn more_than_once() -> ApiError {
    invalid("Each resource must appear at most once.")
}

/// Checks the keys of a resource: each once, and each with a value where one is needed.
pub(super) fn check_keys<'a>(keys: impl Iterator<Item = (&'a str, bool)>) -> Result<(), ApiError> {
    let (mut seen, mut without_value, mut repeated) = (HashSet::new(), Vec::new(), false);
    for (key, lacks_value) in keys {
        repeated |= !seen.insert(key);
        if lacks_value {
            without_value.push(key);
        }
    }
    if repeated {
        return Err(invalid("Error due to duplicate config keys"));
    }
    if !without_value.is_empty() {
        return Err(invalid(format!("Null value not supported for : {}", without_value.join(", "))));
    }
    Ok(())
}

/// Who checks: a broker for itself, or the controller for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checker {
    pub(super) node: NodeId,
    pub(super) side: Side,
}

/// The resource, if it is one whose configs are kept in the cluster's metadata. A broker must be this one, or all; to the
/// controller it may be any.
pub(super) fn check_resource(kind: i8, name: &str, by: Checker) -> Result<ConfigResource, ApiError> {
    let kind = match ResourceType::from_code(kind) {
        Some(ResourceType::BrokerLogger) | None => return Err(invalid(format!("Unknown resource type {kind}"))),
        Some(kind) => kind,
    };
    if kind == ResourceType::Broker && !name.is_empty() {
        let id: i32 = name.parse().map_err(|_| invalid(format!("Node id must be an integer, but it is: {name}")))?;
        if id != by.node.0 && by.side == Side::Broker {
            return Err(invalid(format!("Unexpected broker id, expected {}, but received {name}", by.node.0)));
        }
    }
    Ok(ConfigResource::new(kind, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: Checker = Checker { node: NodeId(1), side: Side::Broker };

    fn message<T: std::fmt::Debug>(outcome: Result<T, ApiError>) -> String {
        match outcome {
            Err(ApiError { code: ErrorCode::INVALID_REQUEST, message: Some(message) }) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_comes_once_and_has_a_value() {
        assert_eq!(check_keys([("a", false), ("b", false)].into_iter()), Ok(()));
        let twice = check_keys([("a", false), ("a", true)].into_iter());
        assert_eq!(message(twice), "Error due to duplicate config keys");
        let null = check_keys([("a", true), ("b", false), ("c", true)].into_iter());
        assert_eq!(message(null), "Null value not supported for : a, c");
    }

    #[test]
    fn a_broker_is_this_one_or_all() {
        let check = |name| check_resource(4, name, BY);
        assert_eq!(check("1"), Ok(ConfigResource::broker(BY.node)));
        assert_eq!(check(""), Ok(ConfigResource::cluster_default()));
        assert_eq!(message(check("2")), "Unexpected broker id, expected 1, but received 2");
        assert_eq!(message(check("x")), "Node id must be an integer, but it is: x");
    }

    #[test]
    fn resources_without_configs_in_the_metadata_are_refused() {
        assert_eq!(message(check_resource(8, "1", BY)), "Unknown resource type 8");
        assert_eq!(message(check_resource(0, "", BY)), "Unknown resource type 0");
        assert_eq!(message(check_resource(-5, "", BY)), "Unknown resource type -5");
        assert!(check_resource(16, "m", BY).is_ok() && check_resource(32, "g", BY).is_ok());
    }

    #[test]
    fn a_resource_that_comes_twice_is_found_whatever_its_keys() {
        let found = repeated([(2, "a"), (4, "a"), (2, "a"), (2, "b")].into_iter());
        assert_eq!(found, HashSet::from([(2, "a")]));
    }

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_request() {
        let topic = |name: &str| ConfigResource::new(ResourceType::Topic, name);
        let steps = vec![Step::Ask(topic("a"), 1), Step::Done(Err(more_than_once())), Step::Ask(topic("b"), 2)];
        let refused = || Err(ApiError::bare(ErrorCode::INVALID_CONFIG));
        let answers = carry_out(steps, async |questions| {
            assert_eq!(questions, [(topic("a"), 1), (topic("b"), 2)]);
            vec![Ok(()), refused()]
        });
        assert_eq!(answers.await, [Ok(()), Err(more_than_once()), refused()]);
        let steps = vec![Step::<()>::Done(Ok(()))];
        assert_eq!(carry_out(steps, async |_| panic!("nothing to ask")).await, [Ok(())]);
    }
}
