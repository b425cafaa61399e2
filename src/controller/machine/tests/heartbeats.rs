use super::*;
use crate::controller::machine::heartbeats::{Beat, Sessions, expire, heartbeat};

const TIMEOUT: u64 = 9000;

/// Three brokers; partition 0 is led by 0, partition 1 by 1.
fn image() -> Image {
    with_topic(&cluster(vec![broker(0), broker(1), broker(2)]), "a", &[&[0, 1, 2], &[1, 2, 0]])
}

fn fenced(image: &Image, id: i32) -> Image {
    after(image, expire(NodeId(id), &view(image)).records)
}

fn beat(id: i32) -> Heartbeat {
    Heartbeat {
        broker: NodeId(id),
        broker_epoch: i64::from(id) + 100,
        metadata_offset: 1000,
        want_fence: false,
        want_shut_down: false,
        offline_log_dirs: Vec::new(),
    }
}

fn sessions(image: &Image) -> Sessions {
    Sessions::of(image, DEFAULTS.node, TIMEOUT, 0)
}

fn decide(beat: &Heartbeat, sessions: &mut Sessions, image: &Image) -> (Beat, Vec<Record>) {
    let Decision { records, answer } = heartbeat(beat, sessions, 5000, &view(image));
    (answer.unwrap(), records)
}

fn fencing(id: i32, fenced: bool) -> Record {
    Record::BrokerChange(BrokerChange { fenced: Some(fenced), ..BrokerChange::new(NodeId(id), i64::from(id) + 100) })
}

#[test]
fn a_heartbeat_in_another_epoch_is_stale() {
    let image = image();
    let decided = heartbeat(&Heartbeat { broker_epoch: 7, ..beat(1) }, &mut sessions(&image), 0, &view(&image));
    let text = "Expected broker epoch 101, but got broker epoch 7";
    assert_eq!(decided.answer, error(ErrorCode::STALE_BROKER_EPOCH, text));
    let decided = heartbeat(&beat(9), &mut sessions(&image), 0, &view(&image));
    let text = "No broker registration found for broker id 9";
    assert_eq!(decided.answer, error(ErrorCode::STALE_BROKER_EPOCH, text));
}

#[test]
fn a_running_broker_stays_unfenced_and_nothing_is_written() {
    let image = image();
    let (answer, records) = decide(&beat(1), &mut sessions(&image), &image);
    assert_eq!(records, vec![]);
    assert_eq!(answer.standing, Standing { caught_up: true, fenced: false, should_shut_down: false });
}

#[test]
fn a_broker_is_unfenced_when_it_has_applied_its_own_registration() {
    let image = fenced(&image(), 1);
    let mut sessions = sessions(&image);
    let (answer, records) = decide(&Heartbeat { metadata_offset: 100, ..beat(1) }, &mut sessions, &image);
    assert_eq!((answer.standing.caught_up, answer.standing.fenced, records), (false, true, vec![]));
    let waits = Heartbeat { want_fence: true, ..beat(1) };
    let (answer, records) = decide(&waits, &mut sessions, &image);
    assert_eq!((answer.standing.caught_up, answer.standing.fenced, records), (true, true, vec![]));
    let (answer, records) = decide(&Heartbeat { metadata_offset: 101, ..beat(1) }, &mut sessions, &image);
    assert_eq!(answer.standing, Standing { caught_up: true, fenced: false, should_shut_down: false });
    assert_eq!(records, vec![fencing(1, false)]);
}

#[test]
fn a_broker_that_comes_back_leads_what_has_no_leader_and_may_be_led_by_it() {
    let image = with_topic(&cluster(vec![broker(0), broker(1)]), "a", &[&[1], &[0]]);
    let image = fenced(&image, 1);
    assert_eq!(partition(&image, 0).leader, None);
    let (_, records) = decide(&beat(1), &mut sessions(&image), &image);
    let image = after(&image, records);
    let back = partition(&image, 0);
    assert_eq!((back.leader, &back.isr[..], &back.elr[..]), (Some(NodeId(1)), &nodes(&[1])[..], &[][..]));
    assert_eq!(back.leader_epoch, LeaderEpoch(2));
}

#[test]
fn a_session_is_over_when_its_timeout_has_passed_and_not_before() {
    let image = image();
    let mut sessions = sessions(&image);
    decide(&beat(1), &mut sessions, &image);
    assert_eq!(sessions.next_expiry_ms(&image), Some(TIMEOUT + 1));
    assert_eq!(sessions.expired(&image, TIMEOUT), None);
    assert_eq!(sessions.expired(&image, TIMEOUT + 1), Some(NodeId(0)));
    let image = fenced(&fenced(&image, 0), 2);
    assert_eq!(sessions.expired(&image, 5000 + TIMEOUT), None);
    assert_eq!(sessions.expired(&image, 5001 + TIMEOUT), Some(NodeId(1)));
    assert_eq!(sessions.next_expiry_ms(&fenced(&image, 1)), None);
}

#[test]
fn the_broker_of_the_deciding_node_is_there_as_long_as_it_decides() {
    let image = image();
    let sessions = Sessions::of(&image, NodeId(0), TIMEOUT, 0);
    assert_eq!(sessions.expired(&image, u64::MAX), Some(NodeId(1)));
    let image = fenced(&fenced(&image, 1), 2);
    assert_eq!(sessions.expired(&image, u64::MAX), None);
}

#[test]
fn the_session_of_the_node_that_decided_before_began_when_the_quorum_heard_of_it_last() {
    let image = image();
    let mut sessions = Sessions::of(&image, NodeId(0), TIMEOUT, 20_000);
    sessions.silent_since(NodeId(2), 18_000, 20_000);
    assert_eq!(sessions.next_expiry_ms(&image), Some(18_001 + TIMEOUT));
    assert_eq!(sessions.expired(&image, 18_001 + TIMEOUT), Some(NodeId(2)));
}

#[test]
fn the_node_that_decided_before_keeps_a_third_of_its_session_however_long_it_was_silent() {
    let image = image();
    let mut sessions = Sessions::of(&image, NodeId(0), TIMEOUT, 100_000);
    sessions.silent_since(NodeId(2), 0, 100_000);
    assert_eq!(sessions.expired(&image, 100_000 + TIMEOUT / 3), None);
    assert_eq!(sessions.expired(&image, 100_001 + TIMEOUT / 3), Some(NodeId(2)));
}

#[test]
fn a_fenced_node_that_decided_before_gets_no_session() {
    let image = fenced(&image(), 2);
    let mut sessions = Sessions::of(&image, NodeId(0), TIMEOUT, 20_000);
    sessions.silent_since(NodeId(2), 18_000, 20_000);
    assert!(!sessions.is_valid(NodeId(2), 102, 20_000));
}

#[test]
fn fencing_takes_a_broker_out_of_every_isr_and_elects_others() {
    let image = image();
    let records = expire(NodeId(1), &view(&image)).records;
    let (mut first, mut second) = (change(0), change(1));
    first.isr = Some(nodes(&[0, 2]).into());
    second.isr = Some(nodes(&[2, 0]).into());
    second.leader = Some(Some(NodeId(2)));
    assert_eq!(records, vec![Record::PartitionChange(first), Record::PartitionChange(second), fencing(1, true)]);
}

#[test]
fn a_broker_that_leaves_is_kept_until_the_others_know_who_leads_instead() {
    let image = image();
    let mut sessions = sessions(&image);
    for id in [0, 2] {
        decide(&beat(id), &mut sessions, &image);
    }
    let leaves = Heartbeat { want_shut_down: true, ..beat(1) };
    let (answer, records) = decide(&leaves, &mut sessions, &image);
    assert!(answer.leaving && !answer.standing.fenced && !answer.standing.should_shut_down);
    let mut expected = BrokerChange::new(NodeId(1), 101);
    expected.in_controlled_shutdown = true;
    assert_eq!(records[0], Record::BrokerChange(expected));
    sessions.leaves_at(NodeId(1), Offset(2000));
    let image = after(&image, records);
    assert_eq!(partition(&image, 1).leader, Some(NodeId(2)));

    let (answer, records) = decide(&leaves, &mut sessions, &image);
    assert_eq!((answer.standing.should_shut_down, records), (false, vec![]));
    for id in [0, 2] {
        decide(&Heartbeat { metadata_offset: 2000, ..beat(id) }, &mut sessions, &image);
    }
    let (answer, records) = decide(&leaves, &mut sessions, &image);
    assert_eq!(answer.standing, Standing { caught_up: true, fenced: true, should_shut_down: true });
    assert_eq!(records, vec![fencing(1, true)]);
    // Its successor need not wait for the session to end.
    assert!(!sessions.is_valid(NodeId(1), 101, 5000));
}

#[test]
fn a_broker_that_leads_nothing_may_stop_at_once() {
    let image = with_topic(&cluster(vec![broker(0), broker(1)]), "a", &[&[0, 1]]);
    let (answer, records) = decide(&Heartbeat { want_shut_down: true, ..beat(1) }, &mut sessions(&image), &image);
    assert!(answer.standing.should_shut_down);
    assert_eq!(records.last(), Some(&fencing(1, true)));
    assert_eq!(partition(&after(&image, records), 0).isr[..], nodes(&[0])[..]);
}

#[test]
fn a_lost_directory_gives_its_partitions_to_others_and_the_rest_stays() {
    let two = BrokerImage { directories: vec![directory(1), directory(9)], ..broker(1) };
    let image = with_topic(&cluster(vec![broker(0), two]), "a", &[&[1, 0], &[1, 0]]);
    let mut lies = change(1);
    lies.directories = Some([directory(9), directory(0)].into_iter().collect());
    let mut stays = change(0);
    stays.directories = Some([directory(1), directory(0)].into_iter().collect());
    let image = after(&image, vec![Record::PartitionChange(stays), Record::PartitionChange(lies)]);
    let lost = Heartbeat { offline_log_dirs: vec![directory(9).0], ..beat(1) };
    let (_, records) = decide(&lost, &mut sessions(&image), &image);
    let image = after(&image, records);
    assert_eq!((partition(&image, 0).leader, partition(&image, 1).leader), (Some(NodeId(1)), Some(NodeId(0))));
    assert_eq!(partition(&image, 1).isr[..], nodes(&[0])[..]);
    assert_eq!(image.brokers[&NodeId(1)].directories, vec![directory(1)]);
    // Told again, nothing more is written.
    assert_eq!(decide(&lost, &mut sessions(&image), &image).1, vec![]);
}

#[test]
fn a_broker_that_is_let_in_leads_nothing_that_lay_in_a_directory_it_lost_before() {
    let two = BrokerImage { directories: vec![directory(1), directory(9)], ..broker(1) };
    let image = with_topic(&cluster(vec![broker(0), two]), "a", &[&[1], &[1]]);
    let mut lies = change(1);
    lies.directories = Some([directory(9)].into_iter().collect());
    let mut stays = change(0);
    stays.directories = Some([directory(1)].into_iter().collect());
    let image = after(&image, vec![Record::PartitionChange(stays), Record::PartitionChange(lies)]);
    let image = fenced(&image, 1);
    let lost = Heartbeat { offline_log_dirs: vec![directory(9).0], ..beat(1) };
    let (answer, records) = decide(&lost, &mut sessions(&image), &image);
    let image = after(&image, records);
    assert!(!answer.standing.fenced && !image.brokers[&NodeId(1)].fenced);
    assert_eq!((partition(&image, 0).leader, partition(&image, 1).leader), (Some(NodeId(1)), None));
}
