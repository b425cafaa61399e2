use super::*;
use crate::controller::machine::reassignment::alter;

fn image() -> Image {
    let brokers = (0..5).map(broker).collect();
    with_topic(&cluster(brokers), "a", &[&[0, 1, 2]])
}

fn ask(image: &Image, replicas: Option<&[i32]>, may_change_factor: bool) -> (Result<(), ApiError>, Vec<Record>) {
    let replicas = replicas.map(nodes);
    let partitions = vec![Reassignment { topic: "a".into(), partition: PartitionId(0), replicas }];
    let mut decided = alter(&Reassign { partitions, may_change_factor }, &view(image));
    (decided.answer.remove(0), decided.records)
}

fn moved(image: &Image, replicas: &[i32]) -> Image {
    let (answer, records) = ask(image, Some(replicas), true);
    assert_eq!(answer, Ok(()));
    after(image, records)
}

#[test]
fn a_partition_has_its_old_replicas_until_the_new_ones_are_in_sync() {
    let (answer, records) = ask(&image(), Some(&[3, 1, 4]), true);
    let mut expected = change(0);
    expected.replicas = Some(nodes(&[3, 1, 4, 0, 2]).into());
    expected.adding = Some(nodes(&[3, 4]).into());
    expected.removing = Some(nodes(&[0, 2]).into());
    expected.directories = Some([3, 1, 4, 0, 2].map(directory).into_iter().collect());
    assert_eq!((answer, records), (Ok(()), vec![Record::PartitionChange(expected)]));
}

#[test]
fn another_order_of_the_same_replicas_needs_no_move() {
    let after = partition(&moved(&image(), &[2, 0, 1]), 0);
    assert_eq!(after.replicas[..], nodes(&[2, 0, 1])[..]);
    assert_eq!((after.leader, after.leader_epoch), (Some(NodeId(0)), LeaderEpoch(0)));
}

#[test]
fn fewer_replicas_of_the_same_are_had_at_once() {
    let after = partition(&moved(&image(), &[1, 2]), 0);
    assert_eq!((&after.replicas[..], &after.isr[..]), (&nodes(&[1, 2])[..], &nodes(&[1, 2])[..]));
    // Broker 0 has lost its replica: it learns so by the epoch.
    assert_eq!((after.leader, after.leader_epoch), (Some(NodeId(1)), LeaderEpoch(1)));
}

#[test]
fn a_move_that_is_taken_back_leaves_what_was_there_before() {
    let moving = moved(&image(), &[3, 4, 2]);
    let (answer, records) = ask(&moving, None, true);
    assert_eq!(answer, Ok(()));
    let back = partition(&after(&moving, records), 0);
    assert_eq!((&back.replicas[..], &back.isr[..]), (&nodes(&[2, 0, 1])[..], &nodes(&[0, 1, 2])[..]));
    assert_eq!((&back.adding[..], &back.removing[..]), (&[][..], &[][..]));
}

#[test]
fn there_must_be_a_move_to_take_back() {
    let text = "No partition reassignment is in progress.";
    assert_eq!(ask(&image(), None, true).0, error(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, text));
}

#[test]
fn a_move_is_not_taken_back_if_that_would_lose_records() {
    let moving = moved(&image(), &[3, 4, 2]);
    let mut only_new = change(0);
    only_new.isr = Some(nodes(&[3]).into());
    only_new.leader = Some(Some(NodeId(3)));
    let moving = after(&moving, vec![Record::PartitionChange(only_new)]);
    let text = "Unable to revert partition assignment for a:0 because it would require an unclean leader election.";
    assert_eq!(ask(&moving, None, true).0, error(ErrorCode::INVALID_REPLICA_ASSIGNMENT, text));
    let lenient = with_config(&moving, "unclean.leader.election.enable", "true");
    let (answer, records) = ask(&lenient, None, true);
    assert_eq!(answer, Ok(()));
    let back = partition(&after(&lenient, records), 0);
    assert_eq!((back.leader, &back.isr[..]), (Some(NodeId(2)), &nodes(&[2])[..]));
}

#[test]
fn the_number_of_replicas_stays_where_the_client_says_so() {
    let text = "The replication factor is changed from 3 to 2";
    let refused = error(ErrorCode::INVALID_REPLICATION_FACTOR, text);
    assert_eq!(ask(&image(), Some(&[0, 1]), false).0, refused);
    // While it moves, what it will have counts.
    assert_eq!(ask(&moved(&image(), &[0, 1, 3]), Some(&[0, 1]), false).0, refused);
    assert_eq!(ask(&image(), Some(&[3, 4, 1]), false).0, Ok(()));
}

#[test]
fn replicas_are_registered_brokers_each_once() {
    let told = |replicas: &[i32]| ask(&image(), Some(replicas), true).0.unwrap_err();
    assert_eq!(told(&[]).code, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    assert_eq!(told(&[0, 0]).code, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    let text = "The manual partition assignment includes broker 9, but no such broker is registered.";
    assert_eq!(told(&[0, 9]).message.as_deref(), Some(text));
}

#[test]
fn what_is_not_there_cannot_be_moved() {
    let one = |topic: &str, partition| {
        let partition = PartitionId(partition);
        let partitions = vec![Reassignment { topic: topic.into(), partition, replicas: Some(nodes(&[1])) }];
        alter(&Reassign { partitions, may_change_factor: true }, &view(&image())).answer.remove(0)
    };
    assert_eq!(one("b", 0), error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "Unable to find a topic named b."));
    assert_eq!(one("a", 7), error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "Unable to find partition a:7."));
}
