use super::*;
use crate::controller::machine::partitions::{assign_directories, create};
use crate::metadata::record::PartitionChange;

fn decide(image: &Image, count: i32, assignments: Option<&[&[i32]]>) -> Decision<Vec<Result<(), ApiError>>> {
    let assignments = assignments.map(|all| all.iter().map(|ids| nodes(ids)).collect());
    let topics = [NewPartitions { topic: TopicName::new("a"), count, assignments }];
    create(&topics, false, image, &mut Counting::default())
}

fn image() -> Image {
    with_topic(&cluster(vec![broker(0), broker(1)]), "a", &[&[0]])
}

#[test]
fn partitions_are_added_after_the_last_with_the_topics_replication_factor() {
    let decided = decide(&image(), 3, None);
    assert_eq!(decided.answer, vec![Ok(())]);
    assert_eq!(decided.records, vec![partition_record(1, 1, &[0], &[0]), partition_record(1, 2, &[1], &[1])]);
    assert_eq!(after(&image(), decided.records).topic("a").unwrap().partitions.len(), 3);
}

#[test]
fn assignments_are_those_of_the_new_partitions() {
    assert_eq!(decide(&image(), 2, Some(&[&[1]])).records, vec![partition_record(1, 1, &[1], &[1])]);
    assert_eq!(
        decide(&image(), 3, Some(&[&[1]])).answer[0],
        error(
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."
        )
    );
    assert_eq!(
        decide(&image(), 2, Some(&[&[0, 1]])).answer[0],
        error(
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with \
             previous partitions, which have 1 replica(s)."
        )
    );
}

#[test]
fn a_count_that_is_not_an_increase_is_refused() {
    assert_eq!(
        decide(&image(), 1, None).answer[0],
        error(ErrorCode::INVALID_PARTITIONS, "Topic already has 1 partition(s).")
    );
    assert_eq!(
        decide(&image(), -1, None).answer[0],
        error(ErrorCode::INVALID_PARTITIONS, "The topic a currently has 1 partition(s); -1 would not be an increase.")
    );
    assert_eq!(
        decide(&cluster(vec![broker(0)]), 2, None).answer[0],
        Err(ApiError::bare(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
    );
}

#[test]
fn a_billion_partitions_more_are_refused_before_they_are_placed() {
    assert_eq!(
        decide(&image(), i32::MAX, None).answer[0],
        error(ErrorCode::POLICY_VIOLATION, "Unable to perform excessively large batch operation.")
    );
}

#[test]
fn a_topic_that_fails_leaves_nothing_of_itself_behind() {
    let decided = decide(&image(), 3, Some(&[&[1], &[7]]));
    assert!(decided.answer[0].is_err());
    assert_eq!(decided.records, vec![]);
}

#[test]
fn a_brokers_choice_of_directory_is_recorded_once() {
    let image = with_topic(&cluster(vec![broker(0), broker(1)]), "a", &[&[1, 0]]);
    let topic = TopicId(Uuid::from_u128(1));
    let assignment = |directory| DirectoryAssignment { topic, partition: PartitionId(0), directory };
    let decided = assign_directories(NodeId(0), &[assignment(directory(9))], &image);
    let mut change = PartitionChange::new(topic, PartitionId(0));
    change.directories = Some([directory(1), directory(9)].into_iter().collect());
    assert_eq!(decided.records, vec![Record::PartitionChange(change)]);

    let image = after(&image, decided.records);
    assert_eq!(assign_directories(NodeId(0), &[assignment(directory(9))], &image).records, vec![]);
    assert_eq!(
        assign_directories(NodeId(5), &[assignment(directory(9))], &image).answer[0],
        Err(ApiError::bare(ErrorCode::NOT_LEADER_OR_FOLLOWER))
    );
}
