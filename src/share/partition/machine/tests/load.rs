//! What a leader begins with.

use super::*;

#[test]
fn without_state_it_begins_at_the_start_offset() {
    assert_eq!(Bench::at(7).places(), (7, 7, 7));
}

#[test]
fn the_start_moves_over_what_was_settled_and_stops_at_what_was_not() {
    let batches = [
        kept(10, 14, Delivery::Acknowledged, 1),
        kept(15, 19, Delivery::Archived, 5),
        kept(20, 24, Delivery::Available, 2),
        kept(25, 29, Delivery::Acknowledged, 1),
    ];
    let mut bench = Bench::of(SharePartition::load(Offset(10), &batches).unwrap());
    assert_eq!(bench.places(), (20, 30, 20));
    assert_eq!(bench.fetch("a", &[(20, 24)]), [(20, 24, 3)], "delivered once more than the state says");
}

#[test]
fn with_everything_settled_it_goes_on_behind_the_last_batch() {
    let batches = [kept(0, 9, Delivery::Acknowledged, 1)];
    let mut bench = Bench::of(SharePartition::load(Offset(0), &batches).unwrap());
    assert_eq!(bench.places(), (10, 10, 10));
}

#[test]
fn a_gap_between_batches_is_read_and_delivered() {
    let batches = [kept(10, 14, Delivery::Acknowledged, 1), kept(20, 24, Delivery::Acknowledged, 1)];
    let mut bench = Bench::of(SharePartition::load(Offset(5), &batches).unwrap());
    assert_eq!(bench.places(), (5, 25, 5));
    assert_eq!(bench.fetch("a", &[(5, 30)]), [(5, 9, 1), (15, 19, 1), (25, 30, 1)]);
    bench.settle("a", 5, 9, Kind::Accept);
    assert_eq!(bench.places(), (15, 31, 31));
}

#[test]
fn a_gap_that_the_log_does_not_have_is_skipped() {
    let batches = [kept(10, 14, Delivery::Available, 1)];
    let mut bench = Bench::of(SharePartition::load(Offset(0), &batches).unwrap());
    assert_eq!(bench.fetch("a", &[(12, 14)]), [(12, 14, 2)]);
    assert_eq!(bench.places(), (12, 15, 15), "neither 0 to 9 nor 10 and 11 are in the log");
}

#[test]
fn of_a_gap_no_more_is_taken_than_batches_of_the_log_for_the_records_asked_for() {
    let batches = [kept(100, 109, Delivery::Available, 1)];
    let mut bench = Bench::of(SharePartition::load(Offset(0), &batches).unwrap());
    bench.max_records = 15;
    assert_eq!(bench.fetch("a", &[(0, 9), (10, 19), (20, 29)]), [(0, 19, 1)]);
    assert_eq!(bench.places(), (0, 110, 20));
}

#[test]
fn state_that_overlaps_or_lies_before_the_start_is_refused() {
    let of = |batches: &[StateBatch]| SharePartition::load(Offset(10), batches).err();
    let before = kept(5, 12, Delivery::Available, 1);
    assert_eq!(of(&[before]), Some(BadState { first: Offset(5), last: Offset(12), before: Offset(10) }));
    let backwards = kept(12, 11, Delivery::Available, 1);
    assert!(of(&[backwards]).is_some());
    let overlapping = [kept(10, 20, Delivery::Available, 1), kept(20, 21, Delivery::Available, 1)];
    assert!(of(&overlapping).is_some());
}

#[test]
fn when_the_log_begins_later_what_was_before_is_gone() {
    let mut bench = Bench::held(0, 9);
    bench.fetch("b", &[(10, 19)]);
    bench.partition.log_start_moved(Offset(15));
    assert_eq!(bench.places(), (15, 20, 20));
    assert_eq!(bench.say("a", 0, 9, &[Kind::Accept]), Ok(None), "it does not matter any more");
    assert_eq!(bench.settle("b", 10, 19, Kind::Accept), [kept(15, 19, Delivery::Acknowledged, 1)]);
    bench.partition.log_start_moved(Offset(50));
    assert_eq!(bench.places(), (50, 50, 50));
    bench.partition.log_start_moved(Offset(3));
    assert_eq!(bench.places(), (50, 50, 50), "the start never goes back");
}

#[test]
fn a_release_that_is_being_written_when_the_log_start_passes_it_frees_nothing() {
    let mut bench = Bench::held(0, 9);
    let write = bench.say("a", 0, 9, &[Kind::Release]).unwrap().unwrap();
    bench.partition.log_start_moved(Offset(10));
    assert!(!bench.partition.written(write.id, true));
    assert_eq!(bench.places(), (10, 10, 10));
}
