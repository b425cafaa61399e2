//! AlterReplicaLogDirs (34), v1-2: has replicas of this broker moved to other log directories.
//!
//! The answer says that a move has begun; DescribeLogDirs shows how far it is. A directory that is not in
//! `log.dirs` as an absolute path gives LOG_DIR_NOT_FOUND, a failed one KAFKA_STORAGE_ERROR. A partition that does
//! not exist gives UNKNOWN_TOPIC_OR_PARTITION, and is made in the directory if it is created later; one of another
//! broker gives REPLICA_NOT_AVAILABLE. To ask for the directory it lies in takes back a move.
//! The cluster needs ALTER. Unlike Kafka, replicas move while another directory has failed.

use super::{Api, Call, Context, Versions};
use crate::model::{ErrorCode, Operation, PartitionId, TopicName, TopicPartition};
use crate::partition::Manager;
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// See the module.
pub struct AlterReplicaLogDirs;

/// Where each partition is wanted. Named twice, the last directory counts (`AlterReplicaLogDirsRequest.partitionDirs`).
type Wanted = BTreeMap<TopicPartition, PathBuf>;

impl Api for AlterReplicaLogDirs {
    type Request = AlterReplicaLogDirsRequest;
    const NAME: &'static str = "AlterReplicaLogDirs";
    const VERSIONS: Versions = Versions { min: 1, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
        if let Err(error) = call.on_cluster(Operation::Alter) {
            let mut answers = Answers::new();
            for at in wanted(&request).into_keys() {
                answers.entry(at.topic).or_default().push((at.partition, error.code));
            }
            return response(answers);
        }
        let partitions = Arc::clone(&ctx.partitions);
        // The last step of a move holds a partition's lock while it syncs.
        let answers = tokio::task::spawn_blocking(move || alter(&partitions, &wanted(&request))).await;
        let answers = answers.unwrap_or_default();
        for error in answers.values().flatten().map(|(_, error)| *error).filter(|error| *error != ErrorCode::NONE) {
            ctx.metrics.api(34).error(error);
        }
        response(answers)
    }
}

fn wanted(request: &AlterReplicaLogDirsRequest) -> Wanted {
    let mut wanted = Wanted::new();
    for dir in &request.dirs {
        let path = PathBuf::from(dir.path.as_str());
        for topic in &dir.topics {
            let name = TopicName::new(topic.name.as_str());
            for number in &topic.partitions {
                wanted.insert(TopicPartition::new(name.clone(), PartitionId(*number)), path.clone());
            }
        }
    }
    wanted
}

type Answers = BTreeMap<TopicName, Vec<(PartitionId, ErrorCode)>>;

fn alter(partitions: &Arc<Manager>, wanted: &Wanted) -> Answers {
    let mut answers = Answers::new();
    for (at, path) in wanted {
        let error = partitions.alter_dir(at, path).err().unwrap_or(ErrorCode::NONE);
        answers.entry(at.topic.clone()).or_default().push((at.partition, error));
    }
    answers
}

fn response(answers: Answers) -> AlterReplicaLogDirsResponse {
    let partition = |(number, error): (PartitionId, ErrorCode)| {
        AlterReplicaLogDirPartitionResult::default().with_partition_index(number.0).with_error_code(error.0)
    };
    let topic = |(name, partitions): (TopicName, Vec<(PartitionId, ErrorCode)>)| {
        AlterReplicaLogDirTopicResult::default()
            .with_topic_name(StrBytes::from_string(name.to_string()).into())
            .with_partitions(partitions.into_iter().map(partition).collect())
    };
    AlterReplicaLogDirsResponse::default().with_results(answers.into_iter().map(topic).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::encoded;
    use super::*;
    use kafka_protocol::messages::alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};

    fn dir(path: &str, topic: &str, partitions: &[i32]) -> AlterReplicaLogDir {
        let topic = AlterReplicaLogDirTopic::default()
            .with_name(StrBytes::from_string(topic.into()).into())
            .with_partitions(partitions.to_vec());
        AlterReplicaLogDir::default().with_path(StrBytes::from_string(path.into())).with_topics(vec![topic])
    }

    #[test]
    fn a_partition_that_is_wanted_in_two_directories_goes_to_the_last() {
        let request =
            AlterReplicaLogDirsRequest::default().with_dirs(vec![dir("/a", "t", &[0, 1]), dir("/b", "t", &[1])]);
        let at = |n| TopicPartition::new("t".into(), PartitionId(n));
        assert_eq!(wanted(&request), Wanted::from([(at(0), "/a".into()), (at(1), "/b".into())]));
    }

    #[test]
    fn answers_are_grouped_by_topic_in_every_version() {
        let answers = Answers::from([
            ("t".into(), vec![(PartitionId(0), ErrorCode::NONE), (PartitionId(3), ErrorCode::LOG_DIR_NOT_FOUND)]),
            ("u".into(), vec![(PartitionId(1), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)]),
        ]);
        let response = response(answers);
        let codes: Vec<Vec<i16>> =
            response.results.iter().map(|topic| topic.partitions.iter().map(|one| one.error_code).collect()).collect();
        assert_eq!(codes, [vec![0, 57], vec![3]]);
        for version in AlterReplicaLogDirs::VERSIONS.min..=AlterReplicaLogDirs::VERSIONS.max {
            assert!(!encoded(version, &response).is_empty());
        }
    }
}
