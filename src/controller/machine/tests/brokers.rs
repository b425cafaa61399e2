use super::*;
use crate::controller::machine::brokers::{register, resume};
use crate::metadata::record::PartitionChange;

fn change(partition: i32) -> PartitionChange {
    PartitionChange::new(TopicId(Uuid::from_u128(1)), PartitionId(partition))
}

fn image() -> Image {
    with_topic(&cluster(vec![broker(0), broker(1)]), "a", &[&[0, 1], &[1, 0]])
}

#[test]
fn registering_gives_the_offset_as_epoch_and_is_unfenced() {
    let registration = Registration {
        node: NodeId(3),
        incarnation: Uuid::from_u128(8),
        endpoints: Vec::new(),
        rack: Some("r".into()),
        directories: vec![directory(3)],
    };
    let expected = BrokerImage { epoch: 42, incarnation: Uuid::from_u128(8), rack: Some("r".into()), ..broker(3) };
    assert_eq!(
        register(&registration, Offset(42), &Image::default()),
        Record::RegisterBroker(RegisterBroker { image: expected })
    );
}

#[test]
fn after_a_clean_stop_a_broker_leads_on_in_the_same_epoch() {
    assert_eq!(resume(NodeId(0), true, &image()), vec![]);
}

#[test]
fn after_an_unclean_stop_the_epochs_of_what_it_led_rise() {
    let mut expected = change(0);
    expected.leader = Some(Some(NodeId(0)));
    let records = resume(NodeId(0), false, &image());
    assert_eq!(records, vec![Record::PartitionChange(expected)]);
    let image = after(&image(), records);
    let partition = image.topic("a").unwrap().partitions[0].clone();
    assert_eq!((partition.leader, partition.leader_epoch), (Some(NodeId(0)), LeaderEpoch(1)));
}

#[test]
fn a_partition_without_a_leader_is_led_again_by_its_isr() {
    let mut lost = change(1);
    lost.leader = Some(None);
    let image = after(&image(), vec![Record::PartitionChange(lost)]);
    let mut expected = change(1);
    expected.leader = Some(Some(NodeId(0)));
    assert_eq!(resume(NodeId(0), true, &image), vec![Record::PartitionChange(expected)]);
}

#[test]
fn with_an_empty_isr_an_eligible_replica_leads_and_becomes_the_isr() {
    let mut lost = change(1);
    lost.leader = Some(None);
    lost.isr = Some(Replicas::new());
    lost.elr = Some(nodes(&[0, 1]).into());
    let image = after(&image(), vec![Record::PartitionChange(lost)]);
    let mut expected = change(1);
    expected.leader = Some(Some(NodeId(0)));
    expected.isr = Some(nodes(&[0]).into());
    expected.elr = Some(nodes(&[1]).into());
    assert_eq!(resume(NodeId(0), true, &image), vec![Record::PartitionChange(expected)]);
    // One that is neither may not.
    assert_eq!(resume(NodeId(7), true, &image), vec![]);
}
