//! DescribeTopicPartitions (75), v0: topics with their partitions, in pages.
//!
//! Topics come sorted by name, from the cursor on; a page holds at most `max.request.partition.size.limit`
//! partitions, and fewer if the client says so, but at least one. An empty list asks for all topics; a topic that
//! is asked for by name and does not exist is answered in its place.
//!
//! A topic needs DESCRIBE; without it it is not among all topics, and comes last where it was named. Which operations are
//! authorized is always told: this API has no flag to ask for it.

use super::{Api, Call, Context, Versions, text, view};
use crate::metadata::{Image, TopicImage};
use crate::model::{ErrorCode, NodeId, Operation, ResourceKind, TopicName};
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use std::collections::BTreeSet;
use std::sync::Arc;

pub struct DescribeTopicPartitions;

impl Api for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    const NAME: &'static str = "DescribeTopicPartitions";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: DescribeTopicPartitionsRequest,
    ) -> DescribeTopicPartitionsResponse {
        let image = ctx.metadata.image();
        let most = ctx.settings().network.partitions_per_request_max;
        respond(&image, &call, most, &request)
    }
}

fn respond(
    image: &Image,
    call: &Call,
    most: usize,
    request: &DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let (may, listener) = (call.may(), call.peer.listener.as_str());
    let (from, first_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.as_str(), usize::try_from(cursor.partition_index).ok()),
        None => ("", Some(0)),
    };
    let all = request.topics.is_empty();
    let names: BTreeSet<&str> = if all {
        image.topics_by_name.range_from(from).map(|(name, _)| name.as_str()).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.as_str()).filter(|name| *name >= from).collect()
    };
    let Some(first_partition) = first_partition else { return refused(request) };
    if !all && request.cursor.is_some() && !names.contains(from) {
        return refused(request);
    }

    let (names, denied): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| may.topic(Operation::Describe, name));
    let asked = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut room = most.min(asked).max(1);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        if room == 0 {
            response.next_cursor = Some(cursor(name, 0));
            break;
        }
        let start = if name == from { first_partition } else { 0 };
        match image.topic(name) {
            Some(topic) => {
                let count = topic.partitions.len();
                let end = count.min(start.saturating_add(room));
                let shown = describe(image, listener, topic, start, end);
                room -= shown.partitions.len();
                response.topics.push(shown);
                if end < count {
                    response.next_cursor = Some(cursor(name, end));
                    break;
                }
            }
            // Gone since the page before this one: all topics means all there are.
            None if all => {}
            None => response.topics.push(absent(name)),
        }
    }
    for topic in &mut response.topics {
        let name = topic.name.as_ref().map_or("", |name| name.as_str());
        topic.topic_authorized_operations = may.operations(ResourceKind::Topic, name);
    }
    if !all {
        response.topics.extend(denied.into_iter().map(|name| {
            DescribeTopicPartitionsResponseTopic::default()
                .with_error_code(ErrorCode::TOPIC_AUTHORIZATION_FAILED.0)
                .with_name(Some(text::text(name).into()))
        }));
    }
    response
}

/// The request is malformed: the cursor is not among the topics, or points before the first partition.
fn refused(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_error_code(ErrorCode::INVALID_REQUEST.0)
            .with_name(Some(topic.name.clone()))
    });
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

fn cursor(topic: &str, partition: usize) -> Cursor {
    Cursor::default()
        .with_topic_name(text::text(topic).into())
        .with_partition_index(i32::try_from(partition).unwrap_or(i32::MAX))
}

fn absent(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let code = match TopicName::fault(name) {
        Some(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code.0)
        .with_name(Some(text::text(name).into()))
        .with_is_internal(TopicName::new(name).is_internal())
}

fn describe(
    image: &Image,
    listener: &str,
    topic: &TopicImage,
    start: usize,
    end: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let shown = topic.numbered().skip(start).take(end.saturating_sub(start)).map(|(id, partition)| {
        let leader = view::leader(image, partition, listener).unwrap_or(NodeId(-1));
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(id.0)
            .with_leader_id(text::broker(leader))
            .with_leader_epoch(partition.leader_epoch.0)
            .with_replica_nodes(text::brokers(&partition.replicas))
            .with_isr_nodes(text::brokers(&partition.isr))
            .with_eligible_leader_replicas(Some(text::brokers(&partition.elr)))
            .with_last_known_elr(Some(text::brokers(&partition.last_known_elr)))
            .with_offline_replicas(text::brokers(&view::offline_replicas(image, partition, listener)))
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(text::topic(&topic.name)))
        .with_topic_id(topic.id.0)
        .with_is_internal(topic.name.is_internal())
        .with_partitions(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use kafka_protocol::messages::describe_topic_partitions_request::{Cursor as From, TopicRequest};

    fn request(
        topics: &[&'static str],
        limit: i32,
        from: Option<(&'static str, i32)>,
    ) -> DescribeTopicPartitionsRequest {
        let topic = |name: &&'static str| TopicRequest::default().with_name(text::text(name).into());
        let cursor = from.map(|(topic, partition)| {
            From::default().with_topic_name(text::text(topic).into()).with_partition_index(partition)
        });
        DescribeTopicPartitionsRequest::default()
            .with_topics(topics.iter().map(topic).collect())
            .with_response_partition_limit(limit)
            .with_cursor(cursor)
    }

    fn ask(topics: &[&'static str], limit: i32, from: Option<(&'static str, i32)>) -> DescribeTopicPartitionsResponse {
        let response = respond(&testing::image(), &testing::call(0), 2000, &request(topics, limit, from));
        encoded(0, &response);
        response
    }

    fn shown(response: &DescribeTopicPartitionsResponse) -> Vec<(&str, Vec<i32>)> {
        let topic = |t: &'_ DescribeTopicPartitionsResponseTopic| -> Vec<i32> {
            t.partitions.iter().map(|p| p.partition_index).collect()
        };
        response.topics.iter().map(|t| (t.name.as_ref().map_or("", |n| n.as_str()), topic(t))).collect()
    }

    fn next(response: &DescribeTopicPartitionsResponse) -> Option<(&str, i32)> {
        response.next_cursor.as_ref().map(|c| (c.topic_name.as_str(), c.partition_index))
    }

    #[test]
    fn an_empty_list_asks_for_all_topics_sorted_by_name() {
        let response = ask(&[], 2000, None);
        assert_eq!(shown(&response), [("a", vec![0]), ("b", vec![0, 1, 2])]);
        assert_eq!(next(&response), None);
        assert_eq!(response.topics[0].topic_authorized_operations, 3576);
    }

    #[test]
    fn a_page_ends_at_the_limit_and_the_cursor_leads_on() {
        let first = ask(&[], 2, None);
        assert_eq!((shown(&first), next(&first)), (vec![("a", vec![0]), ("b", vec![0])], Some(("b", 1))));
        let second = ask(&[], 2, Some(("b", 1)));
        assert_eq!((shown(&second), next(&second)), (vec![("b", vec![1, 2])], None));
    }

    #[test]
    fn a_page_that_ends_with_a_topic_leads_on_to_the_next_topic() {
        let response = ask(&["b", "a"], 1, None);
        assert_eq!((shown(&response), next(&response)), (vec![("a", vec![0])], Some(("b", 0))));
    }

    #[test]
    fn a_limit_of_nothing_still_gives_one_partition() {
        for limit in [0, -1, i32::MIN] {
            assert_eq!(shown(&ask(&[], limit, None)), [("a", vec![0])]);
        }
        let response = respond(&testing::image(), &testing::call(0), 1, &request(&["b"], i32::MAX, None));
        assert_eq!((shown(&response), next(&response)), (vec![("b", vec![0])], Some(("b", 1))));
    }

    #[test]
    fn a_topic_that_does_not_exist_is_answered_in_its_place() {
        let response = ask(&["b", "aa", "a/a"], 2000, None);
        assert_eq!(shown(&response), [("a/a", vec![]), ("aa", vec![]), ("b", vec![0, 1, 2])]);
        let errors: Vec<_> = response.topics.iter().map(|t| ErrorCode(t.error_code)).collect();
        let missing = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(errors, [ErrorCode::INVALID_TOPIC_EXCEPTION, missing, ErrorCode::NONE]);
    }

    #[test]
    fn a_cursor_must_be_one_of_the_topics_asked_for_and_not_negative() {
        for (topics, from) in [(&["b"][..], ("aa", 0)), (&["a", "b"], ("a", -1)), (&[], ("a", -1))] {
            let response = ask(topics, 2000, Some(from));
            assert_eq!(response.topics.len(), topics.len());
            assert!(response.topics.iter().all(|t| ErrorCode(t.error_code) == ErrorCode::INVALID_REQUEST));
        }
    }

    #[test]
    fn a_cursor_beyond_the_last_partition_gives_no_partitions() {
        let response = ask(&["a"], 2000, Some(("a", i32::MAX)));
        assert_eq!((shown(&response), next(&response)), (vec![("a", vec![])], None));
    }

    #[test]
    fn replicas_that_are_offline_and_eligible_leaders_are_told() {
        let response = ask(&["b"], 2000, None);
        let partition = &response.topics[0].partitions[2];
        assert_eq!(partition.offline_replicas, text::brokers(&testing::nodes(&[3])));
        assert_eq!(partition.eligible_leader_replicas, Some(vec![]));
        assert_eq!(partition.last_known_elr, Some(vec![]));
        assert_eq!(partition.leader_epoch, 4);
    }
}
