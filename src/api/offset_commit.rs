//! OffsetCommit (8), v2-10: offsets of a group, kept by its coordinator.
//!
//! Versions: up to v4 a retention time; v6 has the leader's epoch; v7 static members; v9 is the first that members of
//! consumer groups may use; v10 names topics by id.
//!
//! Topics and partitions that the cluster does not know are answered here (UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION);
//! the coordinator is asked about the rest, if there is any. The group needs READ, and each topic too, which is asked for
//! before whether it exists.

use super::{Api, Call, Context, Versions, groups};
use crate::group::request::{Commit, CommitOffset, Committed};
use crate::metadata::Image;
use crate::model::{ErrorCode, LeaderEpoch, Offset, Operation, PartitionId, TopicId};
use crate::wire::{self, offsets};
use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{self, OffsetCommitRequest, OffsetCommitResponse};
use std::collections::HashMap;
use std::sync::Arc;

pub struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;
    const NAME: &'static str = "OffsetCommit";
    const VERSIONS: Versions = Versions { min: 2, max: 10 };

    fn decode(version: i16, body: Bytes) -> Result<OffsetCommitRequest, wire::DecodeError> {
        offsets::commit_request(version, body)
    }

    async fn handle(ctx: Arc<Context>, call: Call, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let Sorted { commit, asked, mut answer } = sort(&ctx.metadata.load(), &call, &request);
        if !asked.is_empty() {
            let committed = ctx.groups.commit(commit).await;
            answer.merge(&request, asked, &committed);
        }
        answer.response()
    }
}

/// A request, with what is answered without the coordinator taken out of it.
struct Sorted<'a> {
    commit: Commit,
    /// Where in the request each of the commit's offsets stands: topic and partition.
    asked: Vec<(usize, usize)>,
    answer: Answer<'a>,
}

fn sort<'a>(image: &Image, call: &Call, request: &'a OffsetCommitRequest) -> Sorted<'a> {
    let (version, may) = (call.version, call.may());
    let may_commit = may.group(Operation::Read, &request.group_id);
    let by_id = version >= offsets::TOPIC_IDS;
    let mut answer = Answer { by_id, topics: Vec::new(), places: HashMap::new() };
    let (mut asked, mut committed) = (Vec::new(), Vec::new());
    for (at, topic) in request.topics.iter().enumerate() {
        let known = if by_id { image.topic_by_id(TopicId(topic.topic_id)) } else { image.topic(&topic.name) };
        let name = known.map_or(topic.name.as_str(), |known| known.name.as_str());
        let error = match known {
            _ if !may_commit => ErrorCode::GROUP_AUTHORIZATION_FAILED,
            None if by_id => ErrorCode::UNKNOWN_TOPIC_ID,
            _ if !may.topic(Operation::Read, name) => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        let Some(known) = known.filter(|_| error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) else {
            let partitions = answer.partitions(topic);
            partitions.extend(topic.partitions.iter().map(|partition| outcome(partition.partition_index, error)));
            continue;
        };
        for (place, partition) in topic.partitions.iter().enumerate() {
            let number = PartitionId(partition.partition_index);
            if known.partition(number).is_none() {
                let unknown = outcome(number.0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                answer.partitions(topic).push(unknown);
                continue;
            }
            asked.push((at, place));
            committed.push(CommitOffset {
                topic: known.name.clone(),
                topic_id: known.id,
                partition: number,
                offset: Offset(partition.committed_offset),
                leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
                metadata: groups::owned(partition.committed_metadata.as_ref()),
            });
        }
    }
    let commit = Commit {
        version,
        group: groups::id(&request.group_id),
        member: groups::member(&request.member_id),
        instance: groups::instance(request.group_instance_id.as_ref()),
        generation_or_epoch: request.generation_id_or_member_epoch,
        retention_ms: request.retention_time_ms,
        offsets: committed,
    };
    Sorted { commit, asked, answer }
}

fn outcome(partition: i32, error: ErrorCode) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition::default().with_partition_index(partition).with_error_code(error.0)
}

/// What the answer will say, each topic in one place.
struct Answer<'a> {
    by_id: bool,
    topics: Vec<OffsetCommitResponseTopic>,
    places: HashMap<(&'a str, TopicId), usize>,
}

impl<'a> Answer<'a> {
    /// The partitions of the topic in the answer, as far as they are known.
    fn partitions(&mut self, topic: &'a OffsetCommitRequestTopic) -> &mut Vec<OffsetCommitResponsePartition> {
        let key = (topic.name.as_str(), TopicId(topic.topic_id));
        let at = *self.places.entry(key).or_insert_with(|| {
            let answered = OffsetCommitResponseTopic::default();
            self.topics.push(if self.by_id {
                answered.with_topic_id(topic.topic_id)
            } else {
                answered.with_name(messages::TopicName((*topic.name).clone()))
            });
            self.topics.len() - 1
        });
        &mut self.topics[at].partitions
    }

    /// Adds what the coordinator said about each of `asked`.
    fn merge(&mut self, request: &'a OffsetCommitRequest, asked: Vec<(usize, usize)>, committed: &Committed) {
        let mut errors = committed.0.iter().copied();
        for (topic, partition) in asked {
            // An error less than offsets would be a fault of ours, and the offset may not count as committed.
            let error = errors.next().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
            let Some(topic) = request.topics.get(topic) else { continue };
            let Some(partition) = topic.partitions.get(partition) else { continue };
            self.partitions(topic).push(outcome(partition.partition_index, error));
        }
    }

    fn response(self) -> OffsetCommitResponse {
        OffsetCommitResponse::default().with_topics(self.topics)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, encoded, topic_id};
    use super::*;
    use crate::model::{InstanceId, TopicName};
    use kafka_protocol::messages::GroupId;
    use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
    use uuid::Uuid;

    fn topic(version: i16, name: &'static str, partitions: &[i32]) -> OffsetCommitRequestTopic {
        let partitions = partitions.iter().map(|number| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*number)
                .with_committed_offset(100 + i64::from(*number))
                .with_committed_leader_epoch(7)
                .with_committed_metadata(Some("md".into()))
        });
        let topic = OffsetCommitRequestTopic::default().with_partitions(partitions.collect());
        if version >= 10 {
            topic.with_topic_id(topic_id(name).0)
        } else {
            topic.with_name(messages::TopicName(name.into()))
        }
    }

    fn request(topics: Vec<OffsetCommitRequestTopic>) -> OffsetCommitRequest {
        OffsetCommitRequest::default()
            .with_group_id(GroupId("g".into()))
            .with_generation_id_or_member_epoch(3)
            .with_member_id("m".into())
            .with_topics(topics)
    }

    /// A topic, and the error of each of its partitions.
    type Shown = (String, Vec<(i32, ErrorCode)>);

    /// What the coordinator is asked, and the answer if it says `error` to all of it: topic, partition, error.
    fn run(version: i16, request: &OffsetCommitRequest, error: ErrorCode) -> (Commit, Vec<Shown>) {
        let Sorted { commit, asked, mut answer } = sort(&testing::image(), &testing::call(version), request);
        answer.merge(request, asked, &Committed(vec![error; commit.offsets.len()]));
        let response = answer.response();
        encoded(version, &response);
        let shown = response.topics.iter().map(|topic| {
            let name = match testing::image().topic_by_id(TopicId(topic.topic_id)) {
                Some(known) => known.name.to_string(),
                None => topic.name.to_string(),
            };
            (name, topic.partitions.iter().map(|p| (p.partition_index, ErrorCode(p.error_code))).collect())
        });
        let shown = shown.collect();
        (commit, shown)
    }

    #[test]
    fn every_version_commits_and_answers_in_the_order_of_the_request() {
        for version in 2..=10 {
            let request = request(vec![topic(version, "b", &[2, 0]), topic(version, "a", &[0])]);
            let (commit, answer) = run(version, &request, ErrorCode::NONE);
            assert_eq!((commit.version, commit.group.as_str(), commit.member.as_str()), (version, "g", "m"));
            assert_eq!((commit.generation_or_epoch, commit.retention_ms), (3, -1));
            let offset = |name: &str, number| CommitOffset {
                topic: TopicName::new(name),
                topic_id: topic_id(name),
                partition: PartitionId(number),
                offset: Offset(100 + i64::from(number)),
                leader_epoch: LeaderEpoch(7),
                metadata: Some("md".into()),
            };
            assert_eq!(commit.offsets, [offset("b", 2), offset("b", 0), offset("a", 0)]);
            let none = ErrorCode::NONE;
            assert_eq!(answer, [("b".into(), vec![(2, none), (0, none)]), ("a".into(), vec![(0, none)])]);
        }
    }

    #[test]
    fn unknown_topics_and_partitions_never_reach_the_coordinator() {
        let request = request(vec![topic(9, "gone", &[0, 1]), topic(9, "b", &[0, 3, 1])]);
        let (commit, answer) = run(9, &request, ErrorCode::REBALANCE_IN_PROGRESS);
        let asked: Vec<_> = commit.offsets.iter().map(|offset| (offset.topic.as_str(), offset.partition.0)).collect();
        assert_eq!(asked, [("b", 0), ("b", 1)]);
        let (unknown, busy) = (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::REBALANCE_IN_PROGRESS);
        let expected = [
            ("gone".into(), vec![(0, unknown), (1, unknown)]),
            // What was decided here comes first.
            ("b".into(), vec![(3, unknown), (0, busy), (1, busy)]),
        ];
        assert_eq!(answer, expected);
    }

    #[test]
    fn a_topic_id_that_is_not_known_has_an_error_of_its_own() {
        let zero = topic(10, "b", &[0]).with_topic_id(Uuid::nil());
        let request = request(vec![topic(10, "gone", &[0]), zero, topic(10, "b", &[3])]);
        let (commit, answer) = run(10, &request, ErrorCode::NONE);
        assert_eq!(commit.offsets, []);
        let unknown_id = vec![(0, ErrorCode::UNKNOWN_TOPIC_ID)];
        let unknown_partition = vec![(3, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)];
        assert_eq!(
            answer,
            [(String::new(), unknown_id.clone()), (String::new(), unknown_id), ("b".into(), unknown_partition)]
        );
    }

    #[test]
    fn a_topic_that_comes_twice_is_answered_in_one_place() {
        let request = request(vec![topic(9, "b", &[0]), topic(9, "a", &[0]), topic(9, "b", &[1])]);
        let (_, answer) = run(9, &request, ErrorCode::NONE);
        let none = ErrorCode::NONE;
        assert_eq!(answer, [("b".into(), vec![(0, none), (1, none)]), ("a".into(), vec![(0, none)])]);
    }

    #[test]
    fn an_offset_that_the_coordinator_does_not_speak_of_is_not_committed() {
        let request = request(vec![topic(9, "b", &[0, 1])]);
        let Sorted { asked, mut answer, .. } = sort(&testing::image(), &testing::call(9), &request);
        answer.merge(&request, asked, &Committed(vec![ErrorCode::NONE]));
        let errors: Vec<_> =
            answer.response().topics.iter().flat_map(|t| &t.partitions).map(|p| ErrorCode(p.error_code)).collect();
        assert_eq!(errors, [ErrorCode::NONE, ErrorCode::UNKNOWN_SERVER_ERROR]);
    }

    #[test]
    fn retention_and_static_members_are_carried_over() {
        let request = request(vec![]).with_retention_time_ms(77).with_group_instance_id(Some("i".into()));
        let commit = sort(&testing::image(), &testing::call(7), &request).commit;
        assert_eq!((commit.retention_ms, commit.instance), (77, Some(InstanceId::new("i"))));
    }
}
