//! ListPartitionReassignments (46), v0: partitions whose replicas are being moved.
//!
//! Only partitions in flight are listed, whether asked for by name or by asking for all; a topic or partition that
//! does not exist is passed over without an error, as in Apache Kafka. The cluster needs
//! DESCRIBE.

use super::{Api, ApiError, Call, Context, Versions, text};
use crate::metadata::{Image, PartitionImage, TopicImage};
use crate::model::{Operation, PartitionId};
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use std::sync::Arc;

pub struct ListPartitionReassignments;

impl Api for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    const NAME: &'static str = "ListPartitionReassignments";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: ListPartitionReassignmentsRequest,
    ) -> ListPartitionReassignmentsResponse {
        if let Err(error) = call.on_cluster(Operation::Describe) {
            return refused(&request, error);
        }
        respond(&ctx.metadata.image(), request.topics.as_deref())
    }
}

/// The partitions asked for, without what is known of them (`ListPartitionReassignmentsRequest.getErrorResponse`).
fn refused(request: &ListPartitionReassignmentsRequest, error: ApiError) -> ListPartitionReassignmentsResponse {
    let topics = request.topics.iter().flatten().map(|topic| {
        let partition = |id: &i32| OngoingPartitionReassignment::default().with_partition_index(*id);
        OngoingTopicReassignment::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partition_indexes.iter().map(partition).collect())
    });
    let (code, message) = text::error_fields(Err(error));
    ListPartitionReassignmentsResponse::default()
        .with_error_code(code)
        .with_error_message(message)
        .with_topics(topics.collect())
}

fn respond(image: &Image, asked: Option<&[ListPartitionReassignmentsTopics]>) -> ListPartitionReassignmentsResponse {
    let topics = match asked {
        None => image.topics_by_name.values().filter_map(|topic| moving(topic, topic.numbered())).collect(),
        Some(asked) => asked
            .iter()
            .filter_map(|wanted| {
                let topic = image.topic(wanted.name.as_str())?;
                let ids = wanted.partition_indexes.iter().copied().map(PartitionId);
                moving(topic, ids.filter_map(|id| topic.partition(id).map(|partition| (id, partition))))
            })
            .collect(),
    };
    ListPartitionReassignmentsResponse::default().with_error_message(None).with_topics(topics)
}

/// Those of a topic's partitions that are in flight; `None` when there are none.
fn moving<'a>(
    topic: &TopicImage,
    partitions: impl Iterator<Item = (PartitionId, &'a Arc<PartitionImage>)>,
) -> Option<OngoingTopicReassignment> {
    let partitions: Vec<_> = partitions
        .filter(|(_, partition)| !(partition.adding.is_empty() && partition.removing.is_empty()))
        .map(|(id, partition)| {
            OngoingPartitionReassignment::default()
                .with_partition_index(id.0)
                .with_replicas(text::brokers(&partition.replicas))
                .with_adding_replicas(text::brokers(&partition.adding))
                .with_removing_replicas(text::brokers(&partition.removing))
        })
        .collect();
    (!partitions.is_empty())
        .then(|| OngoingTopicReassignment::default().with_name(text::topic(&topic.name)).with_partitions(partitions))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;

    fn moving_image() -> Image {
        let mut image = testing::image();
        let mut partition = testing::partition(&[1, 2], 1);
        partition.adding = testing::nodes(&[2]);
        partition.removing = testing::nodes(&[1]);
        testing::add_topic(&mut image, "moving", vec![testing::partition(&[1], 1), partition]);
        image
    }

    fn asked(name: &'static str, partitions: &[i32]) -> ListPartitionReassignmentsTopics {
        ListPartitionReassignmentsTopics::default()
            .with_name(text::text(name).into())
            .with_partition_indexes(partitions.to_vec())
    }

    #[test]
    fn partitions_that_stay_where_they_are_are_not_listed() {
        let response = respond(&testing::image(), None);
        encoded(0, &response);
        assert_eq!((response.topics.len(), response.error_code), (0, 0));
    }

    #[test]
    fn partitions_in_flight_are_listed_with_what_is_added_and_removed() {
        let response = respond(&moving_image(), None);
        encoded(0, &response);
        assert_eq!(response.topics.len(), 1);
        let partition = &response.topics[0].partitions[0];
        assert_eq!(partition.partition_index, 1);
        assert_eq!(partition.adding_replicas, text::brokers(&testing::nodes(&[2])));
        assert_eq!(partition.removing_replicas, text::brokers(&testing::nodes(&[1])));
    }

    #[test]
    fn what_is_asked_for_and_is_not_in_flight_or_not_there_is_passed_over() {
        let asked = [asked("moving", &[0, 7]), asked("nowhere", &[0]), asked("a", &[0])];
        assert_eq!(respond(&moving_image(), Some(&asked)).topics, []);
        let asked = [self::asked("moving", &[1])];
        assert_eq!(respond(&moving_image(), Some(&asked)).topics.len(), 1);
    }
}
