//! What members say of their records.

use super::*;
use crate::model::ErrorCode;

fn refused(outcome: Result<Option<Write>, Rejected>) -> (ErrorCode, &'static str) {
    let rejected = outcome.unwrap_err();
    (rejected.code, rejected.message)
}

#[test]
fn accepted_records_are_settled_once_that_is_kept() {
    let mut bench = Bench::held(0, 9);
    let write = bench.say("a", 0, 9, &[Kind::Accept]).unwrap().unwrap();
    assert_eq!(write.batches, [kept(0, 9, Delivery::Acknowledged, 1)]);
    assert_eq!((write.start, write.complete), (Offset(0), 10));
    assert_eq!(bench.places(), (0, 10, 10), "not before");
    assert!(bench.partition.written(write.id, true));
    assert_eq!(bench.places(), (10, 10, 10));
}

#[test]
fn what_could_not_be_kept_is_with_its_member_as_before() {
    let mut bench = Bench::held(0, 9);
    let write = bench.say("a", 0, 9, &[Kind::Accept]).unwrap().unwrap();
    assert!(!bench.partition.written(write.id, false));
    assert_eq!(bench.partition.next_deadline(), Some(30_000));
    assert_eq!(bench.fetch("b", &[(0, 9)]), []);
    assert_eq!(bench.settle("a", 0, 9, Kind::Accept), [kept(0, 9, Delivery::Acknowledged, 1)]);
}

#[test]
fn released_records_are_available_again_once_that_is_kept() {
    let mut bench = Bench::held(0, 9);
    let write = bench.say("a", 3, 5, &[Kind::Release]).unwrap().unwrap();
    assert_eq!(write.batches, [kept(3, 5, Delivery::Available, 1)]);
    assert_eq!(write.complete, 0);
    assert_eq!(bench.places(), (0, 10, 10));
    assert!(bench.partition.written(write.id, true));
    assert_eq!(bench.places(), (0, 10, 3));
    assert_eq!(bench.fetch("b", &[(0, 9)]), [(3, 5, 2)]);
}

#[test]
fn a_record_that_is_released_after_its_last_delivery_is_archived() {
    let mut bench = Bench::at(0);
    bench.terms.delivery_limit = 2;
    assert_eq!(bench.fetch("a", &[(0, 0)]), [(0, 0, 1)]);
    bench.settle("a", 0, 0, Kind::Release);
    assert_eq!(bench.fetch("a", &[(0, 0)]), [(0, 0, 2)]);
    assert_eq!(bench.settle("a", 0, 0, Kind::Release), [kept(0, 0, Delivery::Archived, 2)]);
    assert_eq!(bench.places(), (1, 1, 1));
}

#[test]
fn each_record_has_its_own_fate() {
    let mut bench = Bench::held(0, 5);
    let kinds = [Kind::Accept, Kind::Accept, Kind::Release, Kind::Reject, Kind::Gap, Kind::Renew];
    let write = bench.say("a", 0, 5, &kinds).unwrap().unwrap();
    assert_eq!(
        write.batches,
        [kept(0, 1, Delivery::Acknowledged, 1), kept(2, 2, Delivery::Available, 1), kept(3, 4, Delivery::Archived, 1),]
    );
    bench.partition.written(write.id, true);
    assert_eq!(bench.places(), (2, 6, 2));
}

#[test]
fn one_acknowledgement_may_go_over_several_fetches() {
    let mut bench = Bench::held(0, 9);
    bench.fetch("a", &[(10, 19)]);
    assert_eq!(bench.settle("a", 5, 14, Kind::Accept), [kept(5, 14, Delivery::Acknowledged, 1)]);
    assert_eq!(bench.places(), (0, 20, 20));
    bench.settle("a", 0, 4, Kind::Accept);
    assert_eq!(bench.places(), (15, 20, 20));
}

#[test]
fn a_member_cannot_decide_about_anothers_records() {
    let mut bench = Bench::held(0, 9);
    let whole = refused(bench.say("b", 0, 9, &[Kind::Accept]));
    assert_eq!(whole, (ErrorCode::INVALID_RECORD_STATE, "Member is not the owner of batch record"));
    bench.settle("a", 0, 4, Kind::Accept);
    let part = refused(bench.say("b", 5, 9, &[Kind::Accept]));
    assert_eq!(part, (ErrorCode::INVALID_RECORD_STATE, "Member is not the owner of offset"));
}

#[test]
fn nothing_is_decided_twice() {
    let mut bench = Bench::held(0, 9);
    let write = bench.say("a", 0, 9, &[Kind::Accept]).unwrap().unwrap();
    let again = refused(bench.say("a", 0, 9, &[Kind::Release]));
    assert_eq!(again.0, ErrorCode::INVALID_RECORD_STATE);
    bench.partition.written(write.id, true);
    assert_eq!(bench.say("a", 0, 9, &[Kind::Release]), Ok(None), "before the start nothing is decided");
}

#[test]
fn what_is_refused_in_part_is_refused_as_a_whole() {
    let mut bench = Bench::held(0, 9);
    bench.fetch("b", &[(10, 19)]);
    let said =
        [(0, 9), (10, 19)].map(|(first, last)| Acknowledgement { span: span(first, last), kinds: vec![Kind::Accept] });
    let outcome = bench.partition.acknowledge(&MemberId::new("a"), &said, &TERMS, 0);
    assert_eq!(refused(outcome).1, "Member is not the owner of batch record");
    let write = bench.say("a", 0, 9, &[Kind::Accept]).unwrap().unwrap();
    assert_eq!(write.complete, 10);
}

#[test]
fn offsets_that_were_never_given_out_cannot_be_acknowledged() {
    let mut bench = Bench::at(5);
    assert_eq!(refused(bench.say("a", 5, 6, &[Kind::Accept])).0, ErrorCode::INVALID_RECORD_STATE);
    bench.fetch("a", &[(5, 9)]);
    let past = refused(bench.say("a", 10, 12, &[Kind::Accept]));
    assert_eq!(
        past,
        (ErrorCode::INVALID_REQUEST, "Batch record not found. The first offset in request is past acquired records.")
    );
    let past = refused(bench.say("a", 8, 12, &[Kind::Accept]));
    assert_eq!(
        past,
        (ErrorCode::INVALID_REQUEST, "Batch record not found. The last offset in request is past acquired records.")
    );
}

#[test]
fn offsets_that_the_log_lacks_may_be_acknowledged_with_the_others() {
    let mut bench = Bench::held(0, 4);
    bench.fetch("a", &[(8, 9)]);
    assert_eq!(
        bench.settle("a", 0, 9, Kind::Accept),
        [kept(0, 4, Delivery::Acknowledged, 1), kept(8, 9, Delivery::Acknowledged, 1)]
    );
    assert_eq!(bench.places(), (10, 10, 10));
}

#[test]
fn renewing_moves_the_end_of_the_lock_and_writes_nothing() {
    let mut bench = Bench::held(0, 9);
    bench.now_ms = 20_000;
    assert_eq!(bench.say("a", 0, 9, &[Kind::Renew]), Ok(None));
    assert_eq!(bench.partition.next_deadline(), Some(50_000));
    bench.now_ms = 30_000;
    assert_eq!(bench.expire(), []);
}

#[test]
fn a_group_may_forbid_renewing() {
    let mut bench = Bench::held(0, 9);
    bench.terms.renews = false;
    let outcome = refused(bench.say("a", 0, 9, &[Kind::Renew]));
    assert_eq!(outcome, (ErrorCode::INVALID_RECORD_STATE, "Renewing acquisition locks is not enabled for the group."));
}
