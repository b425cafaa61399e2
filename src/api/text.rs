//! Between our words and the `kafka-protocol` crate's: strings, names, ids, error messages.

use super::ApiError;
use crate::model::{ErrorCode, NodeId, TopicName};
use kafka_protocol::messages;
use kafka_protocol::protocol::StrBytes;

/// The longest string that every version can carry: below the flexible versions the length is an `i16`.
const STRING_MAX: usize = i16::MAX as usize;

pub(super) fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

pub(super) fn topic(name: &TopicName) -> messages::TopicName {
    messages::TopicName(text(name.as_str()))
}

pub(super) fn broker(id: NodeId) -> messages::BrokerId {
    messages::BrokerId(id.0)
}

pub(super) fn brokers(ids: &[NodeId]) -> Vec<messages::BrokerId> {
    ids.iter().copied().map(broker).collect()
}

/// An error's message. It may quote what the client sent, so it is cut where it would no longer fit in
/// a string of the older versions; an answer that cannot be encoded would cost the client its connection.
pub(super) fn message(text: Option<String>) -> Option<StrBytes> {
    text.map(|mut text| {
        if text.len() > STRING_MAX {
            let end = (0..=STRING_MAX).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(end);
        }
        StrBytes::from_string(text)
    })
}

/// The two fields of an outcome: no error and no message, or what went wrong.
pub(super) fn error_fields(outcome: Result<(), ApiError>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(()) => (ErrorCode::NONE.0, None),
        Err(error) => (error.code.0, message(error.message)),
    }
}

/// The error with Kafka's own text for the code where it has none, for the places where Kafka sends that text
/// (`new ApiError(Errors)`).
pub(super) fn explained(mut error: ApiError) -> ApiError {
    if error.message.is_none() {
        error.message = standard_text(error.code).map(str::to_owned);
    }
    error
}

/// Kafka's own text for the code, or the code's name.
pub(super) fn standard(code: ErrorCode) -> &'static str {
    standard_text(code).unwrap_or_else(|| code.name())
}

/// Kafka's text for the codes that the handlers in this directory answer with a text of their own accord.
fn standard_text(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::INVALID_REQUEST => Some(
            "This most likely occurs because of a request being malformed by the client library or the message was \
             sent to an incompatible broker. See the broker logs for more details.",
        ),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Some("This server does not host this topic-partition."),
        ErrorCode::UNKNOWN_TOPIC_ID => Some("This server does not host this topic ID."),
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => Some("Topic authorization failed."),
        ErrorCode::GROUP_AUTHORIZATION_FAILED => Some("Group authorization failed."),
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => Some("Cluster authorization failed."),
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => Some("Transactional Id authorization failed."),
        ErrorCode::COORDINATOR_NOT_AVAILABLE => Some("The coordinator is not available."),
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => Some("The coordinator is loading and hence can't process requests."),
        ErrorCode::NOT_COORDINATOR => Some("This is not the correct coordinator."),
        ErrorCode::FENCED_LEADER_EPOCH => {
            Some("The leader epoch in the request is older than the epoch on the broker.")
        }
        ErrorCode::FENCED_STATE_EPOCH => {
            Some("The share coordinator rejected the request because the share-group state epoch did not match.")
        }
        ErrorCode::NOT_ENOUGH_REPLICAS => {
            Some("Messages are rejected since there are fewer in-sync replicas than required.")
        }
        ErrorCode::REQUEST_TIMED_OUT => Some("The request timed out."),
        ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE => Some("The preferred leader was not available."),
        ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE => Some("Eligible topic partition leaders are not available."),
        ErrorCode::ELECTION_NOT_NEEDED => Some("Leader election not needed for topic partition."),
        ErrorCode::UNSUPPORTED_VERSION => Some("The version of API is not supported."),
        ErrorCode::INVALID_GROUP_ID => Some("The group id is invalid."),
        ErrorCode::NON_EMPTY_GROUP => Some("The group is not empty."),
        ErrorCode::GROUP_ID_NOT_FOUND => Some("The group id does not exist."),
        ErrorCode::LEADER_NOT_AVAILABLE => {
            Some("There is no leader for this topic-partition as we are in the middle of a leadership election.")
        }
        ErrorCode::UNKNOWN_SERVER_ERROR => {
            Some("The server experienced an unexpected error when processing the request.")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_message_too_long_for_the_older_versions_is_cut_at_a_character() {
        let long = format!("{}ä", "x".repeat(STRING_MAX - 1));
        assert_eq!(message(Some(long)).unwrap().len(), STRING_MAX - 1);
        assert_eq!(message(Some("short".into())).unwrap().as_str(), "short");
        assert_eq!(message(None), None);
    }

    #[test]
    fn errors_that_kafka_explains_carry_its_text() {
        let error = explained(ApiError::bare(ErrorCode::UNKNOWN_TOPIC_ID));
        assert_eq!(error.message.as_deref(), Some("This server does not host this topic ID."));
        let error = ApiError::new(ErrorCode::UNKNOWN_TOPIC_ID, "its own");
        assert_eq!(explained(error.clone()), error);
    }
}
