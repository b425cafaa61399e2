//! OffsetFetch (9), v1-10: the offsets that groups have committed.
//!
//! Versions: below v8 one group; v1 has no error at the top, each partition carries the group's; v2 asks for all that there
//! is with null; v7 for stable offsets only; v8 for many groups; v9 says which member asks; v10 names topics by id.
//!
//! A partition that comes twice, and a group of which everything is asked twice, are answered once: an offset has up to
//! 4 KiB of metadata, and no answer is to be a thousand times as long as its request. Apache Kafka answers twice, which
//! clients cannot tell apart. A group needs DESCRIBE, and so does each topic: of those that were not named nothing is told.

use super::{Api, Call, Context, Versions, groups, text};
use crate::access::Permissions;
use crate::group::request::{FetchOffsets, FetchOffsetsTopic, FetchedOffset, FetchedOffsets, FetchedTopic};
use crate::metadata::Image;
use crate::model::{ErrorCode, GroupId, LeaderEpoch, Offset, Operation, PartitionId, TopicId, TopicName};
use crate::wire::{self, offsets};
use bytes::Bytes;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashSet;
use std::sync::Arc;

/// The first version with an error at the top.
const TOP_ERROR: i16 = 2;
/// The first version with many groups.
const GROUPS: i16 = 8;

pub struct OffsetFetch;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;
    const NAME: &'static str = "OffsetFetch";
    const VERSIONS: Versions = Versions { min: 1, max: 10 };

    fn decode(version: i16, body: Bytes) -> Result<OffsetFetchRequest, wire::DecodeError> {
        offsets::fetch_request(version, body)
    }

    async fn handle(ctx: Arc<Context>, call: Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
        let version = call.version;
        let may = call.may();
        let questions = questions(&ctx.metadata.load(), version, &may, &request);
        let mut answers = Vec::with_capacity(questions.len());
        for Question { fetch, unknown, allowed } in questions {
            let named = fetch.topics.is_some();
            let (group, asked) = (fetch.group.clone(), if version < TOP_ERROR { fetch.topics.clone() } else { None });
            let mut fetched = if allowed {
                ctx.groups.fetch_offsets(fetch).await
            } else {
                FetchedOffsets { error: ErrorCode::GROUP_AUTHORIZATION_FAILED, topics: Vec::new() }
            };
            if !named {
                fetched.topics.retain(|topic| may.topic(Operation::Describe, topic.topic.as_str()));
            }
            answers.push((group, answer(&ctx.metadata.load(), version, asked, fetched, unknown)));
        }
        response(version, answers)
    }
}

/// What is asked of one group.
struct Question {
    fetch: FetchOffsets,
    /// Topics that the coordinator is not asked about: by ids that are not known, or not for this client to see.
    unknown: Vec<FetchedTopic>,
    /// The client may see the group's offsets.
    allowed: bool,
}

fn questions(image: &Image, version: i16, may: &Permissions<'_>, request: &OffsetFetchRequest) -> Vec<Question> {
    let mut once = Once { version, image, may, partitions: HashSet::new(), whole: HashSet::new() };
    let question = |group: &StrBytes, member: Option<&StrBytes>, epoch: i32, asked: Asked| Question {
        fetch: FetchOffsets {
            version,
            group: GroupId::new(group),
            member: member.map(groups::member),
            epoch,
            topics: asked.topics,
            require_stable: request.require_stable,
        },
        unknown: asked.unknown,
        allowed: asked.allowed,
    };
    if version < GROUPS {
        let id = &request.group_id.0;
        let topics = request.topics.as_ref();
        let topics =
            topics.map(|topics| topics.iter().map(|t| (t.name.as_str(), TopicId::ZERO, &t.partition_indexes[..])));
        return once.asked(id, topics).into_iter().map(|asked| question(id, None, -1, asked)).collect();
    }
    let mut questions = Vec::with_capacity(request.groups.len());
    for group in &request.groups {
        let id = &group.group_id.0;
        let topics = group.topics.as_ref();
        let topics = topics
            .map(|topics| topics.iter().map(|t| (t.name.as_str(), TopicId(t.topic_id), &t.partition_indexes[..])));
        if let Some(asked) = once.asked(id, topics) {
            questions.push(question(id, group.member_id.as_ref(), group.member_epoch, asked));
        }
    }
    questions
}

/// What is asked of a group: `None` is everything.
struct Asked {
    topics: Option<Vec<FetchOffsetsTopic>>,
    unknown: Vec<FetchedTopic>,
    allowed: bool,
}

/// Takes what is asked for the first time, and finds the names that belong to ids.
struct Once<'a> {
    version: i16,
    image: &'a Image,
    may: &'a Permissions<'a>,
    partitions: HashSet<(&'a str, &'a str, TopicId, i32)>,
    whole: HashSet<&'a str>,
}

impl<'a> Once<'a> {
    /// `None`: it was asked before.
    fn asked<T>(&mut self, group: &'a str, topics: Option<T>) -> Option<Asked>
    where
        T: Iterator<Item = (&'a str, TopicId, &'a [i32])>,
    {
        let allowed = self.may.group(Operation::Describe, group);
        let Some(topics) = topics else {
            return self.whole.insert(group).then_some(Asked { topics: None, unknown: Vec::new(), allowed });
        };
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for (name, id, partitions) in topics {
            let fresh = partitions.iter().filter(|number| self.partitions.insert((group, name, id, **number)));
            let partitions = fresh.copied().map(PartitionId);
            let (topic, error) = if self.version < offsets::TOPIC_IDS {
                (TopicName::new(name), None)
            } else if let Some(topic) = self.image.topic_by_id(id) {
                (topic.name.clone(), None)
            } else {
                (TopicName::new(""), Some(ErrorCode::UNKNOWN_TOPIC_ID))
            };
            let denied = || {
                let may = !allowed || self.may.topic(Operation::Describe, topic.as_str());
                (!may).then_some(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
            };
            match error.or_else(denied) {
                None => known.push(FetchOffsetsTopic { topic, topic_id: id, partitions: partitions.collect() }),
                Some(error) => {
                    let partitions = partitions.map(|number| nothing(number, error)).collect();
                    unknown.push(FetchedTopic { topic, topic_id: id, partitions });
                }
            }
        }
        Some(Asked { topics: Some(known), unknown, allowed })
    }
}

/// A partition of which only an error can be told.
fn nothing(partition: PartitionId, error: ErrorCode) -> FetchedOffset {
    FetchedOffset { partition, error, offset: Offset::NONE, leader_epoch: LeaderEpoch::NONE, metadata: String::new() }
}

/// The answer for one group, in the form of the newest version but for what older ones cannot say. `asked` is what is
/// answered where the version has no error at the top.
fn answer(
    image: &Image,
    version: i16,
    asked: Option<Vec<FetchOffsetsTopic>>,
    mut fetched: FetchedOffsets,
    unknown: Vec<FetchedTopic>,
) -> FetchedOffsets {
    if fetched.error != ErrorCode::NONE {
        if version >= TOP_ERROR {
            return FetchedOffsets { error: fetched.error, topics: Vec::new() };
        }
        let topics = asked.into_iter().flatten().map(|topic| FetchedTopic {
            topic: topic.topic,
            topic_id: topic.topic_id,
            partitions: topic.partitions.into_iter().map(|number| nothing(number, fetched.error)).collect(),
        });
        return FetchedOffsets { error: ErrorCode::NONE, topics: topics.collect() };
    }
    if version >= offsets::TOPIC_IDS {
        for topic in fetched.topics.iter_mut().filter(|topic| topic.topic_id.is_zero()) {
            topic.topic_id = image.topic(topic.topic.as_str()).map_or(TopicId::ZERO, |known| known.id);
        }
        // What was deleted has no id, and cannot be told.
        fetched.topics.retain(|topic| !topic.topic_id.is_zero());
    }
    fetched.topics.extend(unknown);
    fetched
}

fn response(version: i16, mut answers: Vec<(GroupId, FetchedOffsets)>) -> OffsetFetchResponse {
    if version >= GROUPS {
        let groups = answers.into_iter().map(|(group, fetched)| {
            OffsetFetchResponseGroup::default()
                .with_group_id(groups::wire_id(&group))
                .with_error_code(fetched.error.0)
                .with_topics(fetched.topics.into_iter().map(|topic| new_topic(version, topic)).collect())
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let Some((_, fetched)) = answers.pop() else { return OffsetFetchResponse::default() };
    OffsetFetchResponse::default()
        .with_error_code(fetched.error.0)
        .with_topics(fetched.topics.into_iter().map(|topic| old_topic(version, topic)).collect())
}

fn new_topic(version: i16, topic: FetchedTopic) -> OffsetFetchResponseTopics {
    let partitions = topic.partitions.into_iter().map(|fetched| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(fetched.partition.0)
            .with_committed_offset(fetched.offset.0)
            .with_committed_leader_epoch(fetched.leader_epoch.0)
            .with_metadata(Some(StrBytes::from_string(fetched.metadata)))
            .with_error_code(fetched.error.0)
    });
    let answered = OffsetFetchResponseTopics::default().with_partitions(partitions.collect());
    if version >= offsets::TOPIC_IDS {
        answered.with_topic_id(topic.topic_id.0)
    } else {
        answered.with_name(text::topic(&topic.topic))
    }
}

fn old_topic(version: i16, topic: FetchedTopic) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|fetched| {
        let epoch = if version >= 5 { fetched.leader_epoch } else { LeaderEpoch::NONE };
        OffsetFetchResponsePartition::default()
            .with_partition_index(fetched.partition.0)
            .with_committed_offset(fetched.offset.0)
            .with_committed_leader_epoch(epoch.0)
            .with_metadata(Some(StrBytes::from_string(fetched.metadata)))
            .with_error_code(fetched.error.0)
    });
    OffsetFetchResponseTopic::default().with_name(text::topic(&topic.topic)).with_partitions(partitions.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{self, encoded, topic_id};
    use super::*;
    use kafka_protocol::messages;
    use kafka_protocol::messages::offset_fetch_request::{
        OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    };

    /// A request about one group; no topics is everything.
    fn one(version: i16, topics: Option<&[(&'static str, &[i32])]>) -> OffsetFetchRequest {
        let id = messages::GroupId("g".into());
        if version < GROUPS {
            let topic = |&(name, partitions): &(&'static str, &[i32])| {
                OffsetFetchRequestTopic::default()
                    .with_name(messages::TopicName(name.into()))
                    .with_partition_indexes(partitions.to_vec())
            };
            let topics = topics.map(|topics| topics.iter().map(topic).collect());
            return OffsetFetchRequest::default().with_group_id(id).with_topics(topics);
        }
        let topic = |&(name, partitions): &(&'static str, &[i32])| {
            let topic = OffsetFetchRequestTopics::default().with_partition_indexes(partitions.to_vec());
            if version >= 10 {
                topic.with_topic_id(topic_id(name).0)
            } else {
                topic.with_name(messages::TopicName(name.into()))
            }
        };
        let topics = topics.map(|topics| topics.iter().map(topic).collect());
        let group = OffsetFetchRequestGroup::default().with_group_id(id).with_topics(topics);
        OffsetFetchRequest::default().with_groups(vec![group])
    }

    fn offset(number: i32) -> FetchedOffset {
        FetchedOffset {
            partition: PartitionId(number),
            error: ErrorCode::NONE,
            offset: Offset(40),
            leader_epoch: LeaderEpoch(7),
            metadata: "md".into(),
        }
    }

    /// As the coordinator answers: topics as it was asked about them.
    fn fetched(fetch: &FetchOffsets) -> FetchedOffsets {
        let topics = fetch.topics.iter().flatten().map(|topic| FetchedTopic {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(|number| offset(number.0)).collect(),
        });
        FetchedOffsets { error: ErrorCode::NONE, topics: topics.collect() }
    }

    fn run(
        version: i16,
        request: &OffsetFetchRequest,
        coordinator: impl Fn(&FetchOffsets) -> FetchedOffsets,
    ) -> OffsetFetchResponse {
        let image = testing::image();
        let answers = questions(&image, version, &Permissions::everything(), request).into_iter().map(
            |Question { fetch, unknown, .. }| {
                let said = coordinator(&fetch);
                (fetch.group.clone(), answer(&image, version, fetch.topics, said, unknown))
            },
        );
        let response = response(version, answers.collect());
        encoded(version, &response);
        response
    }

    /// Of a partition: topic, number, offset, epoch and error.
    type Shown = (String, i32, i64, i32, ErrorCode);

    /// The error at the top, and what is said of each partition.
    fn shown(version: i16, response: &OffsetFetchResponse) -> (ErrorCode, Vec<Shown>) {
        if version < GROUPS {
            let partitions = response.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
            let shown = partitions.map(|(t, p)| {
                let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
                (t.name.to_string(), p.partition_index, offset, epoch, ErrorCode(p.error_code))
            });
            return (ErrorCode(response.error_code), shown.collect());
        }
        let [group] = &response.groups[..] else { panic!("{response:?}") };
        assert_eq!(group.group_id.as_str(), "g");
        let image = testing::image();
        let partitions = group.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
        let shown = partitions.map(|(t, p)| {
            let by_id = image.topic_by_id(TopicId(t.topic_id)).map(|topic| topic.name.to_string());
            let (offset, epoch) = (p.committed_offset, p.committed_leader_epoch);
            (by_id.unwrap_or(t.name.to_string()), p.partition_index, offset, epoch, ErrorCode(p.error_code))
        });
        (ErrorCode(group.error_code), shown.collect())
    }

    #[test]
    fn every_version_asks_and_answers() {
        for version in 1..=10 {
            let request = one(version, Some(&[("b", &[0, 2]), ("a", &[0])]));
            let (error, partitions) = shown(version, &run(version, &request, fetched));
            let epoch = if version >= 5 { 7 } else { -1 };
            let expected = [("b", 0), ("b", 2), ("a", 0)]
                .map(|(name, number)| (name.to_owned(), number, 40, epoch, ErrorCode::NONE));
            assert_eq!((error, partitions), (ErrorCode::NONE, expected.to_vec()), "v{version}");
        }
    }

    #[test]
    fn a_groups_error_is_at_the_top_and_in_version_1_with_each_partition() {
        let busy = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        let refuse = |_: &FetchOffsets| FetchedOffsets { error: busy, topics: Vec::new() };
        for version in 1..=10 {
            let request = one(version, Some(&[("b", &[0, 2])]));
            let answer = shown(version, &run(version, &request, refuse));
            if version == 1 {
                let partitions = [0, 2].map(|number| ("b".to_owned(), number, -1, -1, busy));
                assert_eq!(answer, (ErrorCode::NONE, partitions.to_vec()));
            } else {
                assert_eq!(answer, (busy, vec![]), "v{version}");
            }
        }
    }

    #[test]
    fn everything_is_asked_for_with_null() {
        for version in 2..=10 {
            let questions = questions(&testing::image(), version, &Permissions::everything(), &one(version, None));
            assert_eq!(questions.iter().map(|q| q.fetch.topics.clone()).collect::<Vec<_>>(), [None], "v{version}");
        }
    }

    #[test]
    fn a_topic_id_that_is_not_known_is_answered_without_the_coordinator() {
        let request = one(10, Some(&[("gone", &[1]), ("a", &[0])]));
        let (_, partitions) = shown(
            10,
            &run(10, &request, |fetch| {
                let topics = fetch.topics.as_deref().unwrap();
                assert_eq!(
                    topics.iter().map(|t| (t.topic.as_str(), t.topic_id)).collect::<Vec<_>>(),
                    [("a", topic_id("a"))]
                );
                fetched(fetch)
            }),
        );
        let expected =
            [("a".to_owned(), 0, 40, 7, ErrorCode::NONE), (String::new(), 1, -1, -1, ErrorCode::UNKNOWN_TOPIC_ID)];
        assert_eq!(partitions, expected);
    }

    #[test]
    fn of_all_offsets_those_of_deleted_topics_cannot_be_told_by_id() {
        let all = |_: &FetchOffsets| {
            let topic = |name: &str| FetchedTopic {
                topic: TopicName::new(name),
                topic_id: TopicId::ZERO,
                partitions: vec![offset(0)],
            };
            FetchedOffsets { error: ErrorCode::NONE, topics: vec![topic("gone"), topic("a")] }
        };
        let names = |version| -> Vec<String> {
            shown(version, &run(version, &one(version, None), all)).1.into_iter().map(|(name, ..)| name).collect()
        };
        assert_eq!(names(9), ["gone", "a"]);
        assert_eq!(names(10), ["a"]);
    }

    #[test]
    fn what_is_asked_twice_is_answered_once() {
        let request = one(9, Some(&[("b", &[0, 0, 1]), ("b", &[1, 2])]));
        let (_, partitions) = shown(9, &run(9, &request, fetched));
        assert_eq!(partitions.iter().map(|(_, number, ..)| *number).collect::<Vec<_>>(), [0, 1, 2]);
        let mut twice = one(9, None);
        twice.groups.extend(one(9, None).groups);
        assert_eq!(questions(&testing::image(), 9, &Permissions::everything(), &twice).len(), 1);
    }

    #[test]
    fn who_asks_is_carried_over_for_each_group() {
        let group = |id: &'static str, member: Option<&'static str>, epoch| {
            OffsetFetchRequestGroup::default()
                .with_group_id(messages::GroupId(id.into()))
                .with_member_id(member.map(Into::into))
                .with_member_epoch(epoch)
                .with_topics(Some(vec![]))
        };
        let groups = vec![group("g", Some("m"), 3), group("h", None, -1)];
        let request = OffsetFetchRequest::default().with_groups(groups).with_require_stable(true);
        let questions = questions(&testing::image(), 9, &Permissions::everything(), &request);
        let shown: Vec<_> = questions
            .iter()
            .map(|q| {
                (
                    q.fetch.group.as_str(),
                    q.fetch.member.as_ref().map(|m| m.as_str()),
                    q.fetch.epoch,
                    q.fetch.require_stable,
                )
            })
            .collect();
        assert_eq!(shown, [("g", Some("m"), 3, true), ("h", None, -1, true)]);
    }
}
