//! What becomes of transactions and producers.

use super::*;

fn clean_after(rig: &mut Rig, ms: i64) -> Vec<String> {
    rig.now = NOW.plus(ms);
    rig.roll();
    rig.roll();
    rig.clean().unwrap();
    rig.shown()
}

fn markers(rig: &Rig) -> Vec<i64> {
    let batches = rig.batches();
    let control = batches.iter().filter(|(header, _)| header.attributes.is_control() && header.record_count > 0);
    control.map(|(header, _)| header.base_offset.0).collect()
}

fn aborted(rig: &Rig) -> Vec<(i64, i64)> {
    let log = rig.log.lock();
    let all = log.aborted_transactions(Offset::ZERO, log.log_end()).unwrap();
    all.iter().map(|entry| (entry.first.0, entry.last.0)).collect()
}

#[test]
fn records_of_an_aborted_transaction_go_and_supersede_nothing() {
    let mut rig = Rig::new();
    rig.put("a", Some("1"));
    rig.append(transactional(7, 0, &[("a", Some("aborted")), ("b", Some("aborted"))]));
    rig.marker(Marker::Abort, 7);
    rig.append(transactional(7, 2, &[("c", Some("1"))]));
    rig.marker(Marker::Commit, 7);
    assert_eq!(clean_after(&mut rig, 0), ["0:a=1", "4:c=1"]);
}

#[test]
fn a_marker_goes_after_the_records_of_its_transaction_and_after_its_horizon() {
    let mut rig = Rig::new();
    rig.append(transactional(7, 0, &[("a", Some("aborted"))]));
    rig.marker(Marker::Abort, 7);
    rig.append(transactional(8, 0, &[("b", Some("1"))]));
    rig.marker(Marker::Commit, 8);
    // So that neither is the last that its producer wrote.
    rig.append(transactional(7, 1, &[("c", Some("1"))]));
    rig.marker(Marker::Commit, 7);
    rig.append(transactional(8, 1, &[("b", Some("2"))]));
    rig.marker(Marker::Commit, 8);
    assert_eq!(clean_after(&mut rig, 0), ["4:c=1", "6:b=2"]);
    assert_eq!((markers(&rig), aborted(&rig)), (vec![1, 3, 5, 7], vec![(0, 1)]));
    // Now the transactions are seen to be empty, and their markers get a horizon.
    clean_after(&mut rig, 10);
    assert_eq!((markers(&rig), aborted(&rig)), (vec![1, 3, 5, 7], vec![]));
    clean_after(&mut rig, 1009);
    assert_eq!(markers(&rig), [1, 3, 5, 7]);
    assert_eq!(clean_after(&mut rig, 1010), ["4:c=1", "6:b=2"]);
    assert_eq!(markers(&rig), [5, 7]);
}

#[test]
fn nothing_from_an_open_transaction_on_is_cleaned() {
    let mut rig = Rig::new();
    rig.put("a", Some("1"));
    rig.put("a", Some("2"));
    rig.roll();
    rig.append(transactional(7, 0, &[("a", Some("open"))]));
    rig.put("a", Some("3"));
    rig.roll();
    rig.roll();
    assert_eq!(rig.clean().unwrap().to, Offset(2));
    assert_eq!(rig.shown(), ["1:a=2", "3:a=open", "4:a=3"]);
    rig.marker(Marker::Commit, 7);
    assert_eq!(clean_after(&mut rig, 0), ["4:a=3"]);
}

#[test]
fn the_last_batch_of_a_producer_stays_empty_so_that_its_sequence_is_known() {
    let mut rig = Rig::new();
    rig.append(idempotent(7, 0, &[("a", Some("1")), ("b", Some("1"))]));
    rig.append(idempotent(7, 2, &[("a", Some("2")), ("b", Some("2"))]));
    rig.put("a", Some("3"));
    rig.put("b", Some("3"));
    assert_eq!(clean_after(&mut rig, 0), ["4:a=3", "5:b=3"]);
    let (header, bytes) = rig.batches().remove(0);
    assert_eq!((header.base_offset, header.last_offset(), header.record_count), (Offset(2), Offset(3), 0));
    assert_eq!((header.last_sequence(), bytes.len()), (Sequence(3), 61));
    // Recovery reads it there.
    rig.reopen(false, Offset::ZERO);
    assert_eq!(rig.log.lock().producers().unwrap()[0].last_sequence, Sequence(3));
    rig.append(idempotent(7, 4, &[("a", Some("4"))]));
}

#[test]
fn the_last_marker_of_a_producer_that_wrote_nothing_else_in_its_epoch_stays() {
    let mut rig = Rig::new();
    rig.append(transactional(7, 0, &[("a", Some("1"))]));
    // As when a coordinator fences a producer.
    let bytes = end_txn_marker(Marker::Abort, ProducerId(7), ProducerEpoch(1), 0, NOW).unwrap();
    rig.append_from(Origin::Marker { transaction_version: 0 }, Batch::verify(bytes).unwrap());
    for ms in [0, 2000, 4000, 6000] {
        clean_after(&mut rig, ms);
    }
    rig.reopen(false, Offset::ZERO);
    let epoch = rig.batches().iter().find(|(h, _)| h.attributes.is_control()).map(|(h, _)| h.producer_epoch);
    assert_eq!(epoch, Some(ProducerEpoch(1)));
}

#[test]
fn a_transaction_over_several_segments_is_known_in_all_of_them() {
    let mut rig = Rig::new();
    for n in 0..3 {
        rig.append(transactional(7, n, &[("a", Some("aborted"))]));
        rig.put("a", Some(&n.to_string()));
        rig.roll();
    }
    rig.marker(Marker::Abort, 7);
    assert_eq!(clean_after(&mut rig, 0), ["7:a=2"]);
    assert_eq!(aborted(&rig), [(0, 9)]);
}
