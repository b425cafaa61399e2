//! Metadata (3), v0-13: brokers, and topics with their partitions, as the listener's clients see them.
//!
//! Versions: no topic list means all topics, an empty list none (v0: an empty list means all); v0 also reports
//! replicas that cannot be reached as error 9; v4 allows the client to forbid auto-creation; v6 says
//! LISTENER_NOT_FOUND where older versions say LEADER_NOT_AVAILABLE; v8 has the authorized operations (of the
//! cluster only up to v10); v12 asks by id (v10 and v11 have the field and refuse it); v13 has an error at the
//! top, which is only ever set with a malformed request.
//!
//! Topics come sorted by name when all are asked for, otherwise in the order of the request, those that do not
//! exist last. A topic that is auto-created is answered with UNKNOWN_TOPIC_OR_PARTITION this once, as Apache Kafka
//! does: creation runs while the client waits to ask again.
//!
//! A topic needs DESCRIBE: without it it is not among all topics, and TOPIC_AUTHORIZATION_FAILED, whether it exists or not,
//! where it was named. To be created it needs CREATE, or the cluster does. Those refused come last.
//!
//! Left out: a topic asked for by neither name nor id is refused with INVALID_REQUEST, where Apache Kafka fails with
//! UNKNOWN_SERVER_ERROR.

use super::{Api, Call, Context, Peer, Versions, authorized, text, view};
use crate::metadata::{Image, PartitionImage, TopicImage};
use crate::model::{ErrorCode, NodeId, Operation, PartitionId, ResourceKind, TopicId, TopicName};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{self, MetadataRequest, MetadataResponse};
use std::collections::HashSet;
use std::sync::Arc;

pub struct Metadata;

impl Api for Metadata {
    type Request = MetadataRequest;
    const NAME: &'static str = "Metadata";
    const VERSIONS: Versions = Versions { min: 0, max: 13 };

    async fn handle(ctx: Arc<Context>, call: Call, request: MetadataRequest) -> MetadataResponse {
        let settings = ctx.settings();
        let creates = settings.topics.auto_create && request.allow_auto_topic_creation;
        let image = ctx.metadata.image();
        let Answer { response, missing } = respond(&image, &ctx.cluster_id, creates, &call, &request);
        if creates && !missing.is_empty() {
            ctx.auto_topics.create(missing, &settings, &ctx.client);
        }
        response
    }
}

struct Answer {
    response: MetadataResponse,
    /// Topics that were asked for by name and do not exist.
    missing: Vec<TopicName>,
}

/// `creates`: topics that do not exist are created.
fn respond(image: &Image, cluster_id: &str, creates: bool, call: &Call, request: &MetadataRequest) -> Answer {
    if is_malformed(request, call.version) {
        return Answer { response: refused(request, call.version, ErrorCode::INVALID_REQUEST), missing: Vec::new() };
    }
    let shape = Shape::new(call);
    let Asked { unknown_ids, names, by } = asked(request, call.version, image);
    let may = call.may();
    let (mut topics, mut missing, mut denied) = (Vec::with_capacity(names.len()), Vec::new(), Vec::new());
    for name in names {
        let allowed = match by {
            By::All => may.allow_quietly(Operation::Describe, ResourceKind::Topic, name.as_str()),
            By::Name | By::Id => may.topic(Operation::Describe, name.as_str()),
        };
        match image.topic(name.as_str()) {
            // That it exists is not told, but for one that was named by its id, which is no secret.
            topic if !allowed => denied.extend(refused_topic(by, &name, topic.map(|topic| topic.id))),
            Some(topic) => topics.push(shape.topic(image, topic)),
            None => missing.push(name),
        }
    }
    if creates && !missing.is_empty() && !may.cluster_quietly(Operation::Create) {
        missing.retain(|name| {
            let may = may.topic(Operation::Create, name.as_str());
            if !may {
                let refused = refused_topic(By::Name, name, None);
                denied.extend(refused.map(|topic| topic.with_is_internal(name.is_internal())));
            }
            may
        });
    }
    topics.extend(missing.iter().map(absent));
    if call.version >= 8 && request.include_topic_authorized_operations {
        for topic in &mut topics {
            let name = topic.name.as_ref().map_or("", |name| name.as_str());
            topic.topic_authorized_operations = may.operations(ResourceKind::Topic, name);
        }
    }
    let mut response = MetadataResponse::default()
        .with_brokers(brokers(image, &call.peer))
        .with_cluster_id(Some(text::text(cluster_id)))
        .with_controller_id(text::broker(view::controller(image, &call.peer).unwrap_or(NodeId(-1))))
        .with_topics(unknown_ids.into_iter().map(unknown_id).chain(topics).chain(denied).collect());
    if (8..=10).contains(&call.version) && request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = authorized::on_cluster(&may);
    }
    Answer { response, missing }
}

fn is_malformed(request: &MetadataRequest, version: i16) -> bool {
    request.topics.iter().flatten().any(|topic| match version {
        12.. => topic.name.is_none() && topic.topic_id.is_nil(),
        _ => topic.name.is_none() || !topic.topic_id.is_nil(),
    })
}

/// The whole request is refused: every topic it names carries the error.
pub(super) fn refused(request: &MetadataRequest, version: i16, error: ErrorCode) -> MetadataResponse {
    let code = error.0;
    let topics = request.topics.iter().flatten().map(|topic| {
        MetadataResponseTopic::default()
            .with_error_code(code)
            .with_name(Some(topic.name.clone().unwrap_or_default()))
            .with_topic_id(topic.topic_id)
    });
    let mut response = MetadataResponse::default().with_topics(topics.collect());
    if version >= 13 {
        response.error_code = code;
    }
    response
}

struct Asked {
    unknown_ids: Vec<TopicId>,
    /// Each once.
    names: Vec<TopicName>,
    by: By,
}

/// How topics were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    All,
    Name,
    Id,
}

fn asked(request: &MetadataRequest, version: i16, image: &Image) -> Asked {
    let topics = match &request.topics {
        Some(topics) if version > 0 || !topics.is_empty() => topics,
        _ => {
            let names = image.topics_by_name.keys().cloned().collect();
            return Asked { unknown_ids: Vec::new(), names, by: By::All };
        }
    };
    let mut asked = Asked { unknown_ids: Vec::new(), names: Vec::new(), by: By::Name };
    // One id makes it a request by id: entries that only have a name are then passed over.
    if topics.iter().any(|topic| !topic.topic_id.is_nil()) {
        asked.by = By::Id;
        let mut seen = HashSet::new();
        for id in topics.iter().map(|topic| TopicId(topic.topic_id)).filter(|id| !id.is_zero()) {
            if seen.insert(id) {
                match image.topic_by_id(id) {
                    Some(topic) => asked.names.push(topic.name.clone()),
                    None => asked.unknown_ids.push(id),
                }
            }
        }
    } else {
        let mut seen = HashSet::new();
        for name in topics.iter().filter_map(|topic| topic.name.as_ref()) {
            if seen.insert(name.as_str()) {
                asked.names.push(TopicName::new(name.as_str()));
            }
        }
    }
    asked
}

fn brokers(image: &Image, peer: &Peer) -> Vec<MetadataResponseBroker> {
    let broker = |node: view::Node<'_>| {
        MetadataResponseBroker::default()
            .with_node_id(text::broker(node.broker.id))
            .with_host(text::text(node.host))
            .with_port(node.port.into())
            .with_rack(node.broker.rack.as_deref().map(text::text))
    };
    view::nodes(image, peer, false).into_iter().map(broker).collect()
}

fn unknown_id(id: TopicId) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_error_code(ErrorCode::UNKNOWN_TOPIC_ID.0).with_name(None).with_topic_id(id.0)
}

/// What is said of a topic that the client may not see, if anything is.
fn refused_topic(by: By, name: &TopicName, id: Option<TopicId>) -> Option<MetadataResponseTopic> {
    let refused = MetadataResponseTopic::default().with_error_code(ErrorCode::TOPIC_AUTHORIZATION_FAILED.0);
    match by {
        By::All => None,
        By::Name => Some(refused.with_name(Some(text::topic(name)))),
        By::Id => Some(refused.with_name(None).with_topic_id(id.unwrap_or_default().0)),
    }
}

fn absent(name: &TopicName) -> MetadataResponseTopic {
    let code = match TopicName::fault(name.as_str()) {
        Some(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    };
    MetadataResponseTopic::default()
        .with_error_code(code.0)
        .with_name(Some(text::topic(name)))
        .with_is_internal(name.is_internal())
}

/// How one call wants its topics.
struct Shape<'a> {
    listener: &'a str,
    /// v0: replicas that cannot be reached are left out, and their absence is an error.
    reachable_only: bool,
    /// What a leader without the listener is called.
    no_listener: ErrorCode,
}

impl<'a> Shape<'a> {
    fn new(call: &'a Call) -> Shape<'a> {
        let no_listener =
            if call.version >= 6 { ErrorCode::LISTENER_NOT_FOUND } else { ErrorCode::LEADER_NOT_AVAILABLE };
        Shape { listener: &call.peer.listener, reachable_only: call.version == 0, no_listener }
    }

    fn topic(&self, image: &Image, topic: &TopicImage) -> MetadataResponseTopic {
        MetadataResponseTopic::default()
            .with_name(Some(text::topic(&topic.name)))
            .with_topic_id(topic.id.0)
            .with_is_internal(topic.name.is_internal())
            .with_partitions(topic.numbered().map(|(id, p)| self.partition(image, id, p)).collect())
    }

    fn partition(&self, image: &Image, id: PartitionId, partition: &PartitionImage) -> MetadataResponsePartition {
        let shown = |ids: &[NodeId]| -> Vec<messages::BrokerId> {
            if self.reachable_only {
                text::brokers(&view::reachable(image, ids, self.listener))
            } else {
                text::brokers(ids)
            }
        };
        let (replicas, isr) = (shown(&partition.replicas), shown(&partition.isr));
        let leader = view::leader(image, partition, self.listener);
        let error = match leader {
            None if partition.leader.is_some_and(|id| image.brokers.contains_key(&id)) => self.no_listener,
            None => ErrorCode::LEADER_NOT_AVAILABLE,
            Some(_) if replicas.len() < partition.replicas.len() || isr.len() < partition.isr.len() => {
                ErrorCode::REPLICA_NOT_AVAILABLE
            }
            Some(_) => ErrorCode::NONE,
        };
        MetadataResponsePartition::default()
            .with_error_code(error.0)
            .with_partition_index(id.0)
            .with_leader_id(text::broker(leader.unwrap_or(NodeId(-1))))
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(replicas)
            .with_isr_nodes(isr)
            .with_offline_replicas(text::brokers(&view::offline_replicas(image, partition, self.listener)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, call, encoded};
    use super::*;
    use crate::metadata::Replicas;
    use kafka_protocol::messages::metadata_request::MetadataRequestTopic;

    fn ask(version: i16, topics: Option<Vec<MetadataRequestTopic>>) -> Answer {
        let request = MetadataRequest::default().with_topics(topics).with_allow_auto_topic_creation(true);
        ask_with(&testing::image(), version, &request)
    }

    fn ask_with(image: &Image, version: i16, request: &MetadataRequest) -> Answer {
        let answer = respond(image, "cluster", request.allow_auto_topic_creation, &call(version), request);
        encoded(version, &answer.response);
        answer
    }

    fn named(name: &str) -> MetadataRequestTopic {
        MetadataRequestTopic::default().with_name(Some(text::text(name).into()))
    }

    fn by_id(id: TopicId) -> MetadataRequestTopic {
        MetadataRequestTopic::default().with_name(None).with_topic_id(id.0)
    }

    fn shown(answer: &Answer) -> Vec<(Option<&str>, ErrorCode)> {
        let topic = |t: &'_ MetadataResponseTopic| ErrorCode(t.error_code);
        answer.response.topics.iter().map(|t| (t.name.as_ref().map(|n| n.as_str()), topic(t))).collect()
    }

    const OK: ErrorCode = ErrorCode::NONE;

    #[test]
    fn every_version_can_be_encoded_with_all_that_a_client_can_ask_for() {
        for version in 0..=13 {
            let request = MetadataRequest::default()
                .with_topics(Some(vec![named("a"), named("missing"), named("no/good"), named("__consumer_offsets")]))
                .with_include_cluster_authorized_operations(true)
                .with_include_topic_authorized_operations(true);
            ask_with(&testing::image(), version, &request);
            ask(version, None);
        }
    }

    #[test]
    fn no_list_means_all_topics_sorted_by_name() {
        for version in 1..=13 {
            let answer = ask(version, None);
            assert_eq!(shown(&answer), [(Some("a"), OK), (Some("b"), OK)], "v{version}");
            assert!(answer.missing.is_empty());
        }
    }

    #[test]
    fn an_empty_list_means_no_topics_but_all_of_them_in_v0() {
        assert_eq!(shown(&ask(0, Some(vec![]))).len(), 2);
        for version in 1..=13 {
            assert_eq!(shown(&ask(version, Some(vec![]))), [], "v{version}");
        }
    }

    #[test]
    fn topics_come_in_the_order_of_the_request_each_once_and_missing_ones_last() {
        let answer = ask(9, Some(vec![named("none"), named("b"), named("a"), named("b")]));
        let missing = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(shown(&answer), [(Some("b"), OK), (Some("a"), OK), (Some("none"), missing)]);
        assert_eq!(answer.missing, [TopicName::new("none")]);
    }

    #[test]
    fn a_name_that_can_not_exist_is_an_invalid_topic() {
        let answer = ask(9, Some(vec![named("no/good")]));
        assert_eq!(shown(&answer), [(Some("no/good"), ErrorCode::INVALID_TOPIC_EXCEPTION)]);
    }

    #[test]
    fn from_v12_on_topics_are_found_by_id() {
        let known = testing::topic_id("b");
        let unknown = testing::topic_id("gone");
        for version in 12..=13 {
            let answer = ask(version, Some(vec![by_id(known), by_id(unknown), by_id(known)]));
            assert_eq!(shown(&answer), [(None, ErrorCode::UNKNOWN_TOPIC_ID), (Some("b"), OK)], "v{version}");
            assert!(answer.missing.is_empty());
        }
    }

    #[test]
    fn an_id_before_v12_refuses_the_request() {
        for version in 10..=11 {
            let answer = ask(version, Some(vec![named("a").with_topic_id(testing::topic_id("a").0)]));
            assert_eq!(shown(&answer), [(Some("a"), ErrorCode::INVALID_REQUEST)], "v{version}");
            assert!(answer.response.brokers.is_empty());
        }
    }

    #[test]
    fn a_topic_with_neither_name_nor_id_refuses_the_request() {
        for version in 10..=13 {
            let answer = ask(version, Some(vec![by_id(TopicId::ZERO)]));
            assert_eq!(shown(&answer), [(Some(""), ErrorCode::INVALID_REQUEST)], "v{version}");
            let top = if version >= 13 { ErrorCode::INVALID_REQUEST } else { OK };
            assert_eq!(answer.response.error_code, top.0);
        }
    }

    #[test]
    fn brokers_have_the_address_of_the_listener_and_fenced_ones_are_left_out() {
        let answer = ask(9, Some(vec![]));
        let brokers: Vec<_> = answer.response.brokers.iter().map(|b| (b.node_id.0, b.host.as_str())).collect();
        assert_eq!(brokers, [(1, "plaintext.1.example"), (2, "plaintext.2.example")]);
        assert_eq!(answer.response.brokers[0].rack.as_deref(), Some("rack-1"));
        assert!([1, 2].contains(&answer.response.controller_id.0));
    }

    #[test]
    fn a_partition_without_a_leader_says_so_and_has_none() {
        let mut image = testing::image();
        let mut partition = testing::partition(&[1, 2], 1);
        partition.leader = None;
        testing::add_topic(&mut image, "headless", vec![partition]);
        for version in 0..=13 {
            let request = MetadataRequest::default().with_topics(Some(vec![named("headless")]));
            let answer = ask_with(&image, version, &request);
            let partition = &answer.response.topics[0].partitions[0];
            assert_eq!(ErrorCode(partition.error_code), ErrorCode::LEADER_NOT_AVAILABLE, "v{version}");
            assert_eq!((partition.leader_id.0, partition.leader_epoch), (-1, 4));
        }
    }

    #[test]
    fn a_leader_without_the_listener_is_not_found_from_v6_on_and_not_available_before() {
        let image = testing::image();
        let request = MetadataRequest::default().with_topics(Some(vec![named("b")]));
        for version in 0..=13 {
            let mut call = call(version);
            call.peer = Arc::new(Peer { listener: "INTERNAL".into(), ..testing::peer() });
            let response = respond(&image, "cluster", false, &call, &request).response;
            let expected = if version >= 6 { ErrorCode::LISTENER_NOT_FOUND } else { ErrorCode::LEADER_NOT_AVAILABLE };
            assert_eq!(ErrorCode(response.topics[0].partitions[1].error_code), expected, "v{version}");
        }
    }

    #[test]
    fn v0_leaves_out_replicas_that_cannot_be_reached_and_calls_it_an_error() {
        let request = MetadataRequest::default().with_topics(Some(vec![named("b")]));
        let v0 = ask_with(&testing::image(), 0, &request).response.topics[0].partitions[2].clone();
        assert_eq!(ErrorCode(v0.error_code), ErrorCode::REPLICA_NOT_AVAILABLE);
        assert_eq!(v0.replica_nodes, text::brokers(&testing::nodes(&[1])));
        let v5 = ask_with(&testing::image(), 5, &request).response.topics[0].partitions[2].clone();
        assert_eq!(ErrorCode(v5.error_code), OK);
        assert_eq!(v5.replica_nodes, text::brokers(&testing::nodes(&[1, 3])));
        assert_eq!(v5.offline_replicas, text::brokers(&testing::nodes(&[3])));
    }

    #[test]
    fn authorized_operations_are_only_told_when_asked_for() {
        let without = ask(10, Some(vec![named("a")])).response;
        assert_eq!(without.cluster_authorized_operations, authorized::NOT_ASKED);
        assert_eq!(without.topics[0].topic_authorized_operations, authorized::NOT_ASKED);
        let request = MetadataRequest::default()
            .with_topics(Some(vec![named("a")]))
            .with_include_cluster_authorized_operations(true)
            .with_include_topic_authorized_operations(true);
        let v10 = ask_with(&testing::image(), 10, &request).response;
        assert_eq!(v10.cluster_authorized_operations, 8096);
        assert_eq!(v10.topics[0].topic_authorized_operations, 3576);
        let v11 = ask_with(&testing::image(), 11, &request).response;
        assert_eq!(v11.cluster_authorized_operations, authorized::NOT_ASKED);
    }

    #[test]
    fn the_internal_topics_are_marked() {
        let mut image = testing::image();
        testing::add_topic(&mut image, "__consumer_offsets", vec![testing::partition(&[1], 1)]);
        let answer = ask_with(&image, 12, &MetadataRequest::default().with_topics(None));
        let internal: Vec<_> = answer.response.topics.iter().map(|t| t.is_internal).collect();
        assert_eq!(internal, [true, false, false]);
    }

    #[test]
    fn replicas_keep_their_order_of_preference() {
        let image = testing::image();
        let topic = image.topic("b").map(|t| t.partitions[1].replicas.clone());
        assert_eq!(topic, Some(Replicas::from_slice(&[NodeId(2), NodeId(1)])));
        let answer = ask_with(&image, 9, &MetadataRequest::default().with_topics(Some(vec![named("b")])));
        let partition = &answer.response.topics[0].partitions[1];
        assert_eq!(partition.replica_nodes, text::brokers(&testing::nodes(&[2, 1])));
    }
}
