use super::*;
use crate::controller::machine::directories::assign;
use crate::controller::machine::partitions::create;

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

fn lies_in(directory: DirectoryId) -> [Assignment; 1] {
    [Assignment { topic: TopicId(Uuid::from_u128(1)), partition: PartitionId(0), directory: directory.0 }]
}

#[test]
fn a_brokers_choice_of_directory_is_recorded_once() {
    let two = BrokerImage { directories: vec![directory(0), directory(9)], ..broker(0) };
    let image = with_topic(&cluster(vec![two, broker(1)]), "a", &[&[1, 0]]);
    let decided = assign(NodeId(0), 100, &lies_in(directory(9)), &view(&image));
    let mut expected = change(0);
    expected.directories = Some([directory(1), directory(9)].into_iter().collect());
    assert_eq!(decided.records, vec![Record::PartitionChange(expected)]);

    let image = after(&image, decided.records);
    assert_eq!(assign(NodeId(0), 100, &lies_in(directory(9)), &view(&image)).records, vec![]);
}

#[test]
fn only_a_replica_in_its_present_epoch_says_where_it_lies() {
    let image = with_topic(&cluster(vec![broker(0), broker(1), broker(5)]), "a", &[&[1, 0]]);
    let answer = assign(NodeId(5), 105, &lies_in(directory(5)), &view(&image)).answer.unwrap();
    assert_eq!(answer, [Err(ErrorCode::NOT_LEADER_OR_FOLLOWER)]);
    let stale = assign(NodeId(1), 7, &lies_in(directory(1)), &view(&image)).answer;
    assert_eq!(stale, error(ErrorCode::STALE_BROKER_EPOCH, "Expected broker epoch 101, but got broker epoch 7"));
}

#[test]
fn a_leader_whose_replica_turns_out_to_lie_in_a_lost_directory_leads_no_more() {
    let image = with_topic(&cluster(vec![broker(0), broker(1)]), "a", &[&[1, 0]]);
    let decided = assign(NodeId(1), 101, &lies_in(directory(77)), &view(&image));
    let after = partition(&after(&image, decided.records), 0);
    assert_eq!((after.leader, &after.isr[..]), (Some(NodeId(0)), &nodes(&[0])[..]));
    assert_eq!(after.directories[0], directory(77));
}
