use super::*;
use crate::controller::machine::isr::alter;

fn image() -> Image {
    with_topic(&cluster(vec![broker(0), broker(1), broker(2), broker(3)]), "a", &[&[0, 1, 2]])
}

fn proposal(isr: &[i32]) -> IsrProposal {
    IsrProposal {
        topic: TopicId(Uuid::from_u128(1)),
        partition: PartitionId(0),
        leader_epoch: LeaderEpoch(0),
        isr: isr.iter().map(|id| (NodeId(*id), i64::from(*id) + 100)).collect(),
        recovered: true,
        partition_epoch: 0,
    }
}

fn ask(image: &Image, proposal: IsrProposal) -> (IsrVerdict, Vec<Record>) {
    let Decision { records, answer } = alter(NodeId(0), 100, &[proposal], &view(image));
    (answer.unwrap().remove(0), records)
}

fn refusal(image: &Image, proposal: IsrProposal) -> ErrorCode {
    let (verdict, records) = ask(image, proposal);
    assert_eq!(records, vec![]);
    verdict.error
}

#[test]
fn a_leader_shrinks_its_isr_and_hears_how_the_partition_stands() {
    let (verdict, records) = ask(&image(), proposal(&[0, 2]));
    let mut expected = change(0);
    expected.isr = Some(nodes(&[0, 2]).into());
    assert_eq!(records, vec![Record::PartitionChange(expected)]);
    assert_eq!((verdict.error, verdict.leader, verdict.partition_epoch), (ErrorCode::NONE, NodeId(0), 1));
    assert_eq!((verdict.leader_epoch, verdict.isr), (LeaderEpoch(0), nodes(&[0, 2])));
}

#[test]
fn what_is_so_already_is_answered_and_not_written() {
    let (verdict, records) = ask(&image(), proposal(&[0, 1, 2]));
    assert_eq!((verdict.error, verdict.partition_epoch, records), (ErrorCode::NONE, 0, vec![]));
}

#[test]
fn below_the_minimum_who_leaves_stays_eligible() {
    let image = with_config(&image(), "min.insync.replicas", "2");
    let after = partition(&after(&image, ask(&image, proposal(&[0])).1), 0);
    assert_eq!((&after.isr[..], &after.elr[..]), (&nodes(&[0])[..], &nodes(&[1, 2])[..]));
}

#[test]
fn epochs_from_before_are_fenced_and_those_to_come_are_another_controllers() {
    let mut later = change(0);
    later.leader = Some(Some(NodeId(0)));
    let image = after(&image(), vec![Record::PartitionChange(later)]);
    let at = |leader_epoch, partition_epoch| {
        refusal(&image, IsrProposal { leader_epoch: LeaderEpoch(leader_epoch), partition_epoch, ..proposal(&[0]) })
    };
    assert_eq!(at(0, 1), ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(at(1, 0), ErrorCode::INVALID_UPDATE_VERSION);
    assert_eq!(at(2, 1), ErrorCode::NOT_CONTROLLER);
    assert_eq!(at(1, 2), ErrorCode::NOT_CONTROLLER);
}

#[test]
fn only_the_leader_says_who_is_in_sync() {
    let answer = alter(NodeId(1), 101, &[proposal(&[0, 1])], &view(&image())).answer.unwrap();
    assert_eq!(answer[0].error, ErrorCode::INVALID_REQUEST);
    let stale = alter(NodeId(0), 7, &[proposal(&[0, 1])], &view(&image())).answer;
    assert_eq!(stale, error(ErrorCode::STALE_BROKER_EPOCH, "Expected broker epoch 100, but got broker epoch 7"));
}

#[test]
fn an_isr_is_of_replicas_each_once_with_the_leader_among_them() {
    for isr in [&[][..], &[1, 2], &[0, 3], &[0, 1, 1]] {
        assert_eq!(refusal(&image(), proposal(isr)), ErrorCode::INVALID_REQUEST, "{isr:?}");
    }
}

#[test]
fn a_replica_that_is_fenced_or_leaving_or_was_restarted_is_not_in_sync() {
    let fenced = after(&image(), vec![Record::FenceBroker { broker: NodeId(1), epoch: 101 }]);
    assert_eq!(refusal(&fenced, proposal(&[0, 1])), ErrorCode::INELIGIBLE_REPLICA);
    let mut leaving = BrokerChange::new(NodeId(1), 101);
    leaving.in_controlled_shutdown = true;
    let leaving = after(&image(), vec![Record::BrokerChange(leaving)]);
    assert_eq!(refusal(&leaving, proposal(&[0, 1])), ErrorCode::INELIGIBLE_REPLICA);
    let with_epoch = |epoch| IsrProposal { isr: vec![(NodeId(0), 100), (NodeId(1), epoch)], ..proposal(&[]) };
    assert_eq!(refusal(&image(), with_epoch(99)), ErrorCode::INELIGIBLE_REPLICA);
    // One that the leader knows no epoch of is not checked.
    assert_eq!(ask(&image(), with_epoch(-1)).0.error, ErrorCode::NONE);
}

#[test]
fn a_leader_that_recovers_is_alone_until_it_has() {
    let recovers = IsrProposal { recovered: false, ..proposal(&[0]) };
    assert_eq!(refusal(&image(), recovers.clone()), ErrorCode::INVALID_REQUEST);
    let mut unclean = change(0);
    unclean.recovering = Some(true);
    unclean.isr = Some(nodes(&[0]).into());
    let image = after(&image(), vec![Record::PartitionChange(unclean)]);
    let at = |asked: IsrProposal| IsrProposal { partition_epoch: 1, ..asked };
    let several = IsrProposal { recovered: false, ..proposal(&[0, 1]) };
    assert_eq!(refusal(&image, at(several)), ErrorCode::INVALID_REQUEST);
    assert_eq!(ask(&image, at(recovers)).0.error, ErrorCode::NONE);
    let (verdict, records) = ask(&image, at(proposal(&[0])));
    assert!(verdict.recovered);
    assert!(!partition(&after(&image, records), 0).recovering);
}

#[test]
fn the_change_that_completes_a_reassignment_away_from_the_leader_tells_it_to_look_again() {
    let mut moving = change(0);
    moving.replicas = Some(nodes(&[3, 1, 2, 0]).into());
    moving.adding = Some(nodes(&[3]).into());
    moving.removing = Some(nodes(&[0]).into());
    moving.directories = Some([3, 1, 2, 0].map(directory).into_iter().collect());
    let image = after(&image(), vec![Record::PartitionChange(moving)]);
    let joined = IsrProposal { partition_epoch: 1, ..proposal(&[0, 1, 2, 3]) };
    let (verdict, records) = ask(&image, joined);
    assert_eq!(verdict.error, ErrorCode::NEW_LEADER_ELECTED);
    let done = partition(&after(&image, records), 0);
    assert_eq!((done.leader, &done.replicas[..]), (Some(NodeId(3)), &nodes(&[3, 1, 2])[..]));
    assert_eq!((&done.isr[..], &done.adding[..], &done.removing[..]), (&nodes(&[1, 2, 3])[..], &[][..], &[][..]));
}

#[test]
fn what_is_not_there_is_not_known() {
    let topic = TopicId(Uuid::from_u128(9));
    assert_eq!(refusal(&image(), IsrProposal { topic, ..proposal(&[0]) }), ErrorCode::UNKNOWN_TOPIC_ID);
    let partition = PartitionId(5);
    let code = refusal(&image(), IsrProposal { partition, ..proposal(&[0]) });
    assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}
