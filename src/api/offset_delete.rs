//! OffsetDelete (47), v0: deletes committed offsets of a group.
//!
//! Partitions that the cluster does not know are answered here; the coordinator is asked about the rest, be it nothing, and
//! an error of the group replaces the whole answer. The group needs DELETE, and each topic READ.

use super::{Api, Call, Context, Versions, groups};
use crate::group::request::{DeleteOffsets, DeletedOffsets};
use crate::metadata::Image;
use crate::model::{ErrorCode, Operation, PartitionId};
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse, TopicName as WireName};
use std::collections::HashMap;
use std::sync::Arc;

pub struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;
    const NAME: &'static str = "OffsetDelete";
    const VERSIONS: Versions = Versions { min: 0, max: 0 };

    async fn handle(ctx: Arc<Context>, call: Call, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
        if !call.may().group(Operation::Delete, &request.group_id) {
            return OffsetDeleteResponse::default().with_error_code(ErrorCode::GROUP_AUTHORIZATION_FAILED.0);
        }
        let Sorted { delete, asked, answer } = sort(&ctx.metadata.load(), &call, &request);
        let deleted = ctx.groups.delete_offsets(delete).await;
        answer.merge(asked, &deleted)
    }
}

/// A request, with what is answered without the coordinator taken out of it.
struct Sorted<'a> {
    delete: DeleteOffsets,
    /// What the coordinator is asked about, as the request has it.
    asked: Vec<(&'a WireName, i32)>,
    answer: Answer<'a>,
}

fn sort<'a>(image: &Image, call: &Call, request: &'a OffsetDeleteRequest) -> Sorted<'a> {
    let (mut asked, mut partitions, mut answer) = (Vec::new(), Vec::new(), Answer::default());
    for topic in &request.topics {
        let may = call.may().topic(Operation::Read, &topic.name);
        let known = image.topic(&topic.name).filter(|_| may);
        let unknown = if may { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION } else { ErrorCode::TOPIC_AUTHORIZATION_FAILED };
        for partition in topic.partitions.iter().map(|partition| partition.partition_index) {
            match known.filter(|known| known.partition(PartitionId(partition)).is_some()) {
                Some(known) => {
                    asked.push((&topic.name, partition));
                    partitions.push((known.name.clone(), PartitionId(partition)));
                }
                None => answer.add(&topic.name, partition, unknown),
            }
        }
    }
    Sorted { delete: DeleteOffsets { group: groups::id(&request.group_id), partitions }, asked, answer }
}

/// What the answer will say, each topic in one place.
#[derive(Default)]
struct Answer<'a> {
    topics: Vec<OffsetDeleteResponseTopic>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Answer<'a> {
    fn add(&mut self, name: &'a WireName, partition: i32, error: ErrorCode) {
        let at = *self.places.entry(name.as_str()).or_insert_with(|| {
            self.topics.push(OffsetDeleteResponseTopic::default().with_name(name.clone()));
            self.topics.len() - 1
        });
        let outcome = OffsetDeleteResponsePartition::default().with_partition_index(partition).with_error_code(error.0);
        self.topics[at].partitions.push(outcome);
    }

    fn merge(mut self, asked: Vec<(&'a WireName, i32)>, deleted: &DeletedOffsets) -> OffsetDeleteResponse {
        if deleted.error != ErrorCode::NONE {
            return OffsetDeleteResponse::default().with_error_code(deleted.error.0);
        }
        let mut errors = deleted.partitions.iter().copied();
        for (name, partition) in asked {
            self.add(name, partition, errors.next().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR));
        }
        OffsetDeleteResponse::default().with_topics(self.topics)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded};
    use super::*;
    use crate::model::TopicName;
    use kafka_protocol::messages::GroupId;
    use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};

    fn request(topics: &[(&'static str, &[i32])]) -> OffsetDeleteRequest {
        let topic = |&(name, partitions): &(&'static str, &[i32])| {
            let partition = |number: &i32| OffsetDeleteRequestPartition::default().with_partition_index(*number);
            OffsetDeleteRequestTopic::default()
                .with_name(WireName(name.into()))
                .with_partitions(partitions.iter().map(partition).collect())
        };
        OffsetDeleteRequest::default()
            .with_group_id(GroupId("g".into()))
            .with_topics(topics.iter().map(topic).collect())
    }

    #[test]
    fn what_is_not_known_is_not_asked_and_the_rest_is() {
        let request = request(&[("gone", &[0]), ("b", &[0, 3, 2])]);
        let Sorted { delete, asked, answer } = sort(&testing::image(), &testing::call(0), &request);
        assert_eq!(delete.group.as_str(), "g");
        assert_eq!(delete.partitions, [0, 2].map(|number| (TopicName::new("b"), PartitionId(number))));
        let subscribed = ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC;
        let deleted = DeletedOffsets { error: ErrorCode::NONE, partitions: vec![ErrorCode::NONE, subscribed] };
        let response = answer.merge(asked, &deleted);
        encoded(0, &response);
        let shown: Vec<_> = response
            .topics
            .iter()
            .flat_map(|t| t.partitions.iter().map(|p| (t.name.as_str(), p.partition_index, ErrorCode(p.error_code))))
            .collect();
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let expected = [("gone", 0, unknown), ("b", 3, unknown), ("b", 0, ErrorCode::NONE), ("b", 2, subscribed)];
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_error_of_the_group_is_the_whole_answer() {
        let request = request(&[("gone", &[0]), ("b", &[0])]);
        let Sorted { asked, answer, .. } = sort(&testing::image(), &testing::call(0), &request);
        let response = answer.merge(asked, &DeletedOffsets { error: ErrorCode::NON_EMPTY_GROUP, partitions: vec![] });
        encoded(0, &response);
        assert_eq!((ErrorCode(response.error_code), response.topics.len()), (ErrorCode::NON_EMPTY_GROUP, 0));
    }

    #[test]
    fn the_group_is_asked_even_when_no_partition_is_left() {
        let request = request(&[("gone", &[0])]);
        let Sorted { delete, asked, .. } = sort(&testing::image(), &testing::call(0), &request);
        assert!(delete.partitions.is_empty() && asked.is_empty());
    }
}
