//! FindCoordinator (10), v0-6: which broker coordinates a group, or a transactional id.
//!
//! Versions: v0 knows groups only; below v4 one key, and a message with the error; since v4 many keys, each with its own
//! error; v6 knows share partitions.
//!
//! The coordinator is the leader of the key's partition of an internal topic, at its address on the listener of the
//! connection. A topic that does not exist yet is created, and COORDINATOR_NOT_AVAILABLE tells the client to ask again.
//! A group and a transactional id need DESCRIBE; share partitions are for brokers (CLUSTER_ACTION).

use super::{Api, Call, Context, Peer, Versions, text, view};
use crate::access::Permissions;
use crate::coordinator::partition_of;
use crate::metadata::Image;
use crate::model::{ErrorCode, Operation, TopicId, TopicName};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;
use std::sync::Arc;

const BATCHED: i16 = 4;
const SHARE: i16 = 6;

pub struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const NAME: &'static str = "FindCoordinator";
    const VERSIONS: Versions = Versions { min: 0, max: 6 };

    async fn handle(ctx: Arc<Context>, call: Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
        let (response, missing) = respond(&ctx.metadata.image(), &call, &request);
        if !missing.is_empty() {
            ctx.auto_topics.create(missing.into_iter().collect(), &ctx.settings(), &ctx.client);
        }
        response
    }
}

/// The answer, and the topics that have to be created for the next one to be better.
fn respond(
    image: &Image,
    call: &Call,
    request: &FindCoordinatorRequest,
) -> (FindCoordinatorResponse, BTreeSet<TopicName>) {
    let kind = Kind::of(request.key_type, call.version);
    let mut missing = BTreeSet::new();
    let mut find = |key: &str| {
        kind.check(&call.may(), key)?;
        let topic = kind.topic(key)?;
        find(image, &call.peer, topic, key).inspect_err(|_| {
            if image.topic(topic).is_none() {
                missing.insert(TopicName::new(topic));
            }
        })
    };
    let response = if call.version < BATCHED {
        alone(find(&request.key))
    } else {
        let one = |key: &StrBytes| {
            let coordinator = Coordinator::default().with_key(key.clone());
            match find(key) {
                Ok(at) => coordinator.with_node_id(BrokerId(at.node)).with_host(text::text(at.host)).with_port(at.port),
                Err(error) => {
                    // Where the whole request is at fault Kafka adds the text.
                    let whole = matches!(kind, Kind::Unknown) || error == ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
                    let message = if whole { text::standard(error) } else { "" };
                    coordinator
                        .with_node_id(BrokerId(-1))
                        .with_port(-1)
                        .with_error_code(error.0)
                        .with_error_message(Some(text::text(message)))
                }
            }
        };
        FindCoordinatorResponse::default().with_coordinators(request.coordinator_keys.iter().map(one).collect())
    };
    (response, missing)
}

fn alone(found: Result<Place<'_>, ErrorCode>) -> FindCoordinatorResponse {
    match found {
        Ok(at) => FindCoordinatorResponse::default()
            // Kafka's text for "no error" is its name.
            .with_error_message(Some(StrBytes::from_static_str("NONE")))
            .with_node_id(BrokerId(at.node))
            .with_host(text::text(at.host))
            .with_port(at.port),
        Err(error) => FindCoordinatorResponse::default()
            .with_error_code(error.0)
            .with_error_message(Some(text::text(text::standard(error))))
            .with_node_id(BrokerId(-1))
            .with_port(-1),
    }
}

/// What the keys name (`FindCoordinatorRequest.CoordinatorType`).
#[derive(Clone, Copy)]
enum Kind {
    Group,
    Transaction,
    Share,
    /// Share partitions, in a version that does not know them.
    TooEarly,
    Unknown,
}

impl Kind {
    fn of(code: i8, version: i16) -> Kind {
        match code {
            0 => Kind::Group,
            1 => Kind::Transaction,
            2 if version >= SHARE => Kind::Share,
            2 => Kind::TooEarly,
            _ => Kind::Unknown,
        }
    }

    fn check(self, may: &Permissions<'_>, key: &str) -> Result<(), ErrorCode> {
        let (may, error) = match self {
            Kind::Group => (may.group(Operation::Describe, key), ErrorCode::GROUP_AUTHORIZATION_FAILED),
            Kind::Transaction => {
                let may = may.transactional_id(Operation::Describe, key);
                (may, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
            }
            Kind::Share => (may.cluster(Operation::ClusterAction), ErrorCode::CLUSTER_AUTHORIZATION_FAILED),
            Kind::TooEarly | Kind::Unknown => return Ok(()),
        };
        if may { Ok(()) } else { Err(error) }
    }

    /// The topic that the key is to be looked up in.
    fn topic(self, key: &str) -> Result<&'static str, ErrorCode> {
        match self {
            Kind::Group => Ok(TopicName::CONSUMER_OFFSETS),
            Kind::Transaction => Ok(TopicName::TRANSACTION_STATE),
            Kind::Share if is_share_partition(key) => Ok(TopicName::SHARE_GROUP_STATE),
            Kind::Share | Kind::TooEarly | Kind::Unknown => Err(ErrorCode::INVALID_REQUEST),
        }
    }
}

/// `group:topic id:partition`, where the group may have colons too (`SharePartitionKey`).
fn is_share_partition(key: &str) -> bool {
    let mut parts = key.rsplitn(3, ':');
    let (Some(partition), Some(topic), Some(group)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    partition.parse::<i32>().is_ok() && TopicId::parse(topic).is_some() && !group.trim().is_empty()
}

struct Place<'a> {
    node: i32,
    host: &'a str,
    port: i32,
}

fn find<'a>(image: &'a Image, peer: &'a Peer, topic: &str, key: &str) -> Result<Place<'a>, ErrorCode> {
    let look_up = || {
        let topic = image.topic(topic)?;
        let partitions = i32::try_from(topic.partitions.len()).ok().filter(|count| *count > 0)?;
        let leader = topic.partition(partition_of(key, partitions))?.leader?;
        let node = view::nodes(image, peer, false).into_iter().find(|node| node.broker.id == leader)?;
        Some(Place { node: leader.0, host: node.host, port: node.port.into() })
    };
    look_up().ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, call, encoded};
    use super::*;
    use crate::model::NodeId;

    /// `g` and `t` are coordinated by broker 1, which alone has the topics' one partition.
    fn image() -> Image {
        let mut image = testing::image();
        testing::add_topic(&mut image, TopicName::CONSUMER_OFFSETS, vec![testing::partition(&[1], 1)]);
        testing::add_topic(&mut image, TopicName::TRANSACTION_STATE, vec![testing::partition(&[1], 1)]);
        image
    }

    fn one(version: i16, kind: i8, key: &'static str) -> FindCoordinatorRequest {
        let request = FindCoordinatorRequest::default().with_key_type(kind);
        if version < BATCHED { request.with_key(key.into()) } else { request.with_coordinator_keys(vec![key.into()]) }
    }

    /// Error, message, node, host and port; and what is to be created.
    fn ask(
        image: &Image,
        version: i16,
        kind: i8,
        key: &'static str,
    ) -> ((ErrorCode, String, i32, String, i32), Vec<String>) {
        let (response, missing) = respond(image, &call(version), &one(version, kind, key));
        encoded(version, &response);
        let shown = if version < BATCHED {
            let r = &response;
            (r.error_code, r.error_message.clone(), r.node_id.0, r.host.to_string(), r.port)
        } else {
            let [r] = &response.coordinators[..] else { panic!("{response:?}") };
            assert_eq!(&*r.key, key);
            (r.error_code, r.error_message.clone(), r.node_id.0, r.host.to_string(), r.port)
        };
        let (code, message, node, host, port) = shown;
        let message = message.as_deref().unwrap_or_default().to_owned();
        ((ErrorCode(code), message, node, host, port), missing.iter().map(ToString::to_string).collect())
    }

    fn code(image: &Image, version: i16, kind: i8, key: &'static str) -> ErrorCode {
        ask(image, version, kind, key).0.0
    }

    #[test]
    fn the_coordinator_is_the_leader_of_the_keys_partition() {
        for version in 0..=6 {
            let kinds = if version == 0 { 0..=0 } else { 0..=1 };
            for kind in kinds {
                let (found, missing) = ask(&image(), version, kind, "g");
                let message = if version < BATCHED { "NONE" } else { "" };
                let expected = (ErrorCode::NONE, message.to_owned(), 1, "plaintext.1.example".to_owned(), 9092);
                assert_eq!((found, missing.len()), (expected, 0), "v{version} kind {kind}");
            }
        }
    }

    #[test]
    fn a_topic_that_is_missing_is_created() {
        let nowhere = |message: &str| (ErrorCode::COORDINATOR_NOT_AVAILABLE, message.to_owned(), -1, String::new(), -1);
        let image = testing::image();
        let offsets = vec!["__consumer_offsets".to_owned()];
        assert_eq!(ask(&image, 3, 0, "g"), (nowhere("The coordinator is not available."), offsets.clone()));
        assert_eq!(ask(&image, 4, 0, "g"), (nowhere(""), offsets));
        assert_eq!(ask(&image, 4, 1, "t"), (nowhere(""), vec!["__transaction_state".to_owned()]));
    }

    #[test]
    fn a_leader_that_clients_of_the_listener_cannot_reach_is_not_named() {
        let mut image = image();
        let lost = |image: &mut Image, change: &dyn Fn(&mut crate::metadata::PartitionImage)| {
            let mut partition = testing::partition(&[1], 1);
            change(&mut partition);
            testing::add_topic(image, TopicName::CONSUMER_OFFSETS, vec![partition]);
            ask(image, 4, 0, "g")
        };
        let (found, missing) = lost(&mut image, &|partition| partition.leader = None);
        assert_eq!((found.0, missing.len()), (ErrorCode::COORDINATOR_NOT_AVAILABLE, 0));
        // Broker 3 is fenced.
        let (found, _) = lost(&mut image, &|partition| partition.leader = Some(NodeId(3)));
        assert_eq!(found.0, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    }

    #[test]
    fn share_partitions_are_known_since_version_6() {
        const KEY: &str = "g:with:colons:AAAAAAAAAAAAAAAAAAAAAQ:0";
        assert_eq!(code(&image(), 3, 2, KEY), ErrorCode::INVALID_REQUEST);
        assert_eq!(ask(&image(), 5, 2, KEY).0.1, "");
        assert_eq!(code(&image(), 5, 2, KEY), ErrorCode::INVALID_REQUEST);
        let ((error, ..), missing) = ask(&image(), 6, 2, KEY);
        assert_eq!((error, missing), (ErrorCode::COORDINATOR_NOT_AVAILABLE, vec!["__share_group_state".to_owned()]));
        let mut image = image();
        testing::add_topic(&mut image, TopicName::SHARE_GROUP_STATE, vec![testing::partition(&[1], 1)]);
        assert_eq!(ask(&image, 6, 2, KEY).0.2, 1);
        for bad in ["", "g", "g:0", "g:nothing:0", "g:AAAAAAAAAAAAAAAAAAAAAQ:x", " :AAAAAAAAAAAAAAAAAAAAAQ:0"] {
            assert_eq!(code(&image, 6, 2, bad), ErrorCode::INVALID_REQUEST, "{bad}");
        }
    }

    #[test]
    fn a_kind_of_key_that_is_not_known_spoils_the_request() {
        for version in [1, 6] {
            let ((error, message, node, ..), missing) = ask(&image(), version, 9, "g");
            assert_eq!((error, node, missing.len()), (ErrorCode::INVALID_REQUEST, -1, 0));
            assert!(message.starts_with("This most likely occurs"), "{message}");
        }
    }

    #[test]
    fn each_of_many_keys_is_answered_in_order() {
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec!["a".into(), "b".into(), "a".into()]);
        let (response, _) = respond(&image(), &call(4), &request);
        let keys: Vec<_> = response.coordinators.iter().map(|c| c.key.as_str()).collect();
        assert_eq!(keys, ["a", "b", "a"]);
    }
}
