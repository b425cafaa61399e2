use super::*;
use crate::controller::machine::brokers::{register, register_alone, resume, unregister};
use crate::controller::machine::heartbeats::Sessions;

fn image() -> Image {
    with_topic(&cluster(vec![broker(0), broker(1)]), "a", &[&[0, 1], &[1, 0]])
}

fn registration(id: i32) -> Registration {
    Registration {
        broker: NodeId(id),
        cluster_id: "cluster".into(),
        incarnation: Uuid::from_u128(8),
        listeners: Vec::new(),
        features: crate::controller::supported_features(),
        rack: Some("r".into()),
        log_dirs: vec![directory(id).0],
        previous_broker_epoch: -1,
    }
}

fn sessions(image: &Image) -> Sessions {
    Sessions::of(image, DEFAULTS.node, 9000, 0)
}

/// Registers at offset 42, when every session from before is over.
fn decide(registration: &Registration, image: &Image) -> Decision<Result<i64, ApiError>> {
    register(registration, "cluster", Offset(42), &mut sessions(image), 20_000, &view(image))
}

#[test]
fn a_new_broker_is_fenced_and_its_epoch_is_where_its_registration_lies() {
    let image = image();
    let decided = decide(&registration(3), &image);
    let expected =
        BrokerImage { epoch: 42, incarnation: Uuid::from_u128(8), rack: Some("r".into()), fenced: true, ..broker(3) };
    assert_eq!(decided.records, vec![Record::RegisterBroker(RegisterBroker { image: expected })]);
    assert_eq!(decided.answer, Ok(42));
}

#[test]
fn the_only_broker_of_a_cluster_is_unfenced_at_once() {
    let expected = BrokerImage { epoch: 42, incarnation: Uuid::from_u128(8), rack: Some("r".into()), ..broker(3) };
    assert_eq!(
        register_alone(&registration(3), Offset(42), &Image::default()),
        Record::RegisterBroker(RegisterBroker { image: expected })
    );
}

#[test]
fn the_same_incarnation_keeps_its_epoch_and_stays_unfenced() {
    let image = image();
    let same = Registration { incarnation: Uuid::from_u128(7), ..registration(1) };
    let decided = decide(&same, &image);
    let expected = BrokerImage { rack: Some("r".into()), ..broker(1) };
    assert_eq!(decided.records, vec![Record::RegisterBroker(RegisterBroker { image: expected })]);
    assert_eq!(decided.answer, Ok(101));
}

#[test]
fn a_broker_that_was_heard_of_just_now_keeps_its_number() {
    let image = image();
    let at = |now| register(&registration(1), "cluster", Offset(42), &mut sessions(&image), now, &view(&image)).answer;
    let text = "Another broker is registered with that broker id. If the broker was recently restarted this should \
                self-resolve once the heartbeat manager expires the broker's session.";
    assert_eq!(at(9000), error(ErrorCode::DUPLICATE_BROKER_REGISTRATION, text));
    assert!(at(9001).is_ok());
}

#[test]
fn a_broker_of_another_cluster_is_refused() {
    let stranger = Registration { cluster_id: "other".into(), ..registration(3) };
    let text = "Expected cluster ID cluster, but got cluster ID other";
    assert_eq!(decide(&stranger, &image()).answer, error(ErrorCode::INCONSISTENT_CLUSTER_ID, text));
}

#[test]
fn a_broker_that_lacks_a_finalized_feature_is_refused() {
    let old = |features: &[(&str, i16, i16)]| Registration {
        features: features.iter().map(|(name, min, max)| ((*name).to_owned(), *min, *max)).collect(),
        ..registration(3)
    };
    let image = image();
    let range = old(&[("metadata.version", 1, 7)]);
    let text = "Unable to register because the broker does not support finalized version 30 of metadata.version. The \
                broker wants a version between 1 and 7, inclusive.";
    assert_eq!(decide(&range, &image).answer, error(ErrorCode::UNSUPPORTED_VERSION, text));
    let untold = decide(&old(&[("metadata.version", 7, 30)]), &image).answer.unwrap_err();
    assert_eq!(untold.code, ErrorCode::UNSUPPORTED_VERSION);
    let text = "Request features do not contain 'metadata.version'";
    assert_eq!(decide(&old(&[]), &image).answer, error(ErrorCode::INVALID_REGISTRATION, text));
}

#[test]
fn directories_are_there_once_and_of_one_broker() {
    let image = image();
    let with = |log_dirs: &[DirectoryId]| {
        let log_dirs = log_dirs.iter().map(|directory| directory.0).collect();
        decide(&Registration { log_dirs, ..registration(3) }, &image).answer
    };
    let refused = |text| error(ErrorCode::INVALID_REGISTRATION, text);
    assert_eq!(with(&[]), refused("No directories specified in request"));
    assert_eq!(with(&[DirectoryId::LOST]), refused("Reserved directory ID in request"));
    assert_eq!(with(&[directory(3), directory(3)]), refused("Duplicate directory ID in request"));
    let taken = format!("Broker 1 is already registered with directory {:?}", directory(1));
    assert_eq!(with(&[directory(1)]), refused(&taken));
}

#[test]
fn a_restart_moves_what_the_broker_led_before_its_new_epoch_begins() {
    let image = image();
    let clean = Registration { previous_broker_epoch: 101, ..registration(1) };
    let decided = decide(&clean, &image);
    // Two partitions had it in the ISR; the registration comes last.
    assert_eq!((decided.records.len(), decided.answer), (3, Ok(44)));
    let image = after(&image, decided.records);
    assert_eq!((partition(&image, 1).leader, &partition(&image, 1).isr[..]), (Some(NodeId(0)), &nodes(&[0])[..]));
    assert_eq!(image.brokers[&NodeId(1)].epoch, 44);
}

#[test]
fn after_an_unclean_stop_a_broker_is_eligible_no_more() {
    // Alone in the ISR of partition 0.
    let image = with_topic(&cluster(vec![broker(0), broker(1)]), "a", &[&[1]]);
    let stopped = |previous_broker_epoch| {
        let records = decide(&Registration { previous_broker_epoch, ..registration(1) }, &image).records;
        partition(&after(&image, records), 0)
    };
    let clean = stopped(101);
    assert_eq!((clean.leader, &clean.isr[..], &clean.elr[..]), (None, &[][..], &nodes(&[1])[..]));
    let unclean = stopped(-1);
    assert_eq!((unclean.leader, &unclean.isr[..], &unclean.elr[..]), (None, &[][..], &[][..]));
    // It is known who led last: KIP-966's last resort.
    assert_eq!(unclean.last_known_elr[..], nodes(&[1])[..]);
}

#[test]
fn a_broker_that_is_removed_is_in_no_isr() {
    let image = image();
    let decided = unregister(NodeId(1), &mut sessions(&image), &view(&image));
    assert_eq!(decided.records.last(), Some(&Record::UnregisterBroker { broker: NodeId(1), epoch: 101 }));
    let gone = after(&image, decided.records);
    assert_eq!(partition(&gone, 1).leader, Some(NodeId(0)));
    assert!(!gone.brokers.contains_key(&NodeId(1)));
    assert_eq!(
        unregister(NodeId(1), &mut sessions(&gone), &view(&gone)).answer,
        error(ErrorCode::BROKER_ID_NOT_REGISTERED, "Broker ID 1 is not currently registered")
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
