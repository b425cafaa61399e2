//! Locks that end, and members that go.

use super::*;

#[test]
fn a_lock_ends_at_its_time_and_not_before() {
    let mut bench = Bench::held(0, 9);
    assert_eq!(bench.partition.next_deadline(), Some(30_000));
    bench.now_ms = 29_999;
    assert_eq!(bench.expire(), []);
    bench.now_ms = 30_000;
    assert_eq!(bench.expire(), [kept(0, 9, Delivery::Available, 1)]);
    assert_eq!(bench.fetch("b", &[(0, 9)]), [(0, 9, 2)]);
}

#[test]
fn when_the_lock_of_the_last_delivery_ends_the_record_is_archived() {
    let mut bench = Bench::at(0);
    bench.terms.delivery_limit = 2;
    bench.fetch("a", &[(0, 0)]);
    bench.now_ms = 30_000;
    bench.expire();
    bench.fetch("a", &[(0, 0)]);
    bench.now_ms = 60_000;
    let write = bench.partition.expire(bench.now_ms, &bench.terms).unwrap();
    assert_eq!(write.batches, [kept(0, 0, Delivery::Archived, 2)]);
    assert_eq!((write.start, write.complete), (Offset(0), 1));
    assert_eq!(bench.places(), (1, 1, 1));
}

#[test]
fn a_lock_does_not_end_while_its_records_are_being_decided() {
    let mut bench = Bench::held(0, 9);
    let write = bench.say("a", 0, 9, &[Kind::Accept]).unwrap().unwrap();
    bench.now_ms = 40_000;
    assert_eq!((bench.partition.next_deadline(), bench.expire()), (None, vec![]));
    bench.partition.written(write.id, false);
    assert_eq!(bench.partition.next_deadline(), Some(30_000), "it is over now");
    assert_eq!(bench.expire(), [kept(0, 9, Delivery::Available, 1)]);
}

#[test]
fn a_member_whose_session_ends_gives_back_what_it_holds() {
    let mut bench = Bench::held(0, 9);
    bench.fetch("b", &[(10, 19)]);
    bench.settle("a", 0, 2, Kind::Accept);
    let write = bench.partition.release(&MemberId::new("a"), &TERMS).unwrap();
    assert_eq!(write.batches, [kept(3, 9, Delivery::Available, 1)]);
    assert!(bench.partition.written(write.id, true));
    assert_eq!(bench.places(), (3, 20, 3));
    assert_eq!(bench.partition.release(&MemberId::new("a"), &TERMS), None);
}

#[test]
fn runs_that_are_the_same_again_are_joined() {
    let mut bench = Bench::held(0, 99);
    for offset in (1..100).step_by(2) {
        bench.settle("a", offset, offset, Kind::Accept);
    }
    assert_eq!(bench.partition.runs.len(), 100);
    for offset in (2..100).step_by(2) {
        bench.settle("a", offset, offset, Kind::Reject);
    }
    assert_eq!(bench.partition.runs.len(), 2);
    bench.settle("a", 0, 0, Kind::Accept);
    assert_eq!(bench.places(), (100, 100, 100));
}
