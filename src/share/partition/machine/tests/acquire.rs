//! Which records a member gets.

use super::*;

#[test]
fn nothing_is_delivered_to_two_members_at_once() {
    let mut bench = Bench::held(0, 9);
    assert_eq!(bench.fetch("b", &[(0, 9)]), []);
    assert_eq!(bench.fetch("b", &[(0, 9), (10, 19)]), [(10, 19, 1)]);
}

#[test]
fn the_number_of_records_is_rounded_up_to_a_batch_of_the_log() {
    let mut bench = Bench::at(0);
    bench.max_records = 12;
    assert_eq!(bench.fetch("a", &[(0, 9), (10, 19), (20, 29)]), [(0, 19, 1)]);
    assert_eq!(bench.places(), (0, 20, 20));
}

#[test]
fn records_are_split_by_the_batch_size_at_batches_of_the_log() {
    let mut bench = Bench::at(0);
    bench.batch_size = 15;
    let batches = [(0, 9), (10, 19), (20, 29), (30, 39), (40, 44)];
    assert_eq!(bench.fetch("a", &batches), [(0, 19, 1), (20, 39, 1), (40, 44, 1)]);
}

#[test]
fn with_a_record_limit_no_more_records_are_given_out() {
    let mut bench = Bench::at(0);
    bench.mode = Mode::Records;
    bench.max_records = 4;
    assert_eq!(bench.fetch("a", &[(0, 9)]), [(0, 3, 1)]);
    assert_eq!(bench.places(), (0, 10, 4));
    assert_eq!(bench.fetch("b", &[(0, 9)]), [(4, 7, 1)]);
    assert_eq!(bench.fetch("c", &[(0, 9), (10, 12)]), [(8, 9, 1), (10, 11, 1)]);
    assert_eq!(bench.fetch("d", &[(10, 12)]), [(12, 12, 1)]);
}

#[test]
fn with_a_record_limit_a_batch_that_came_back_is_split() {
    let mut bench = Bench::held(0, 9);
    bench.settle("a", 0, 9, Kind::Release);
    bench.mode = Mode::Records;
    bench.max_records = 4;
    assert_eq!(bench.fetch("b", &[(0, 9)]), [(0, 3, 2)]);
    assert_eq!(bench.places(), (0, 10, 4));
}

#[test]
fn nothing_is_acquired_before_the_start_offset() {
    let mut bench = Bench::at(5);
    assert_eq!(bench.fetch("a", &[(0, 4)]), []);
    assert_eq!(bench.fetch("a", &[(0, 9)]), [(5, 9, 1)]);
}

#[test]
fn offsets_that_the_log_lacks_are_passed_by() {
    let mut bench = Bench::at(0);
    assert_eq!(bench.fetch("a", &[(3, 5)]), [(3, 5, 1)]);
    assert_eq!(bench.places(), (3, 6, 6));
    assert_eq!(bench.fetch("a", &[(10, 12)]), [(10, 12, 1)]);
    bench.settle("a", 3, 5, Kind::Accept);
    assert_eq!(bench.places(), (10, 13, 13));
}

#[test]
fn what_compaction_took_while_it_was_available_is_over() {
    let mut bench = Bench::held(0, 9);
    bench.settle("a", 0, 9, Kind::Release);
    assert_eq!(bench.fetch("b", &[(6, 9)]), [(6, 9, 2)]);
    assert_eq!(bench.places(), (6, 10, 10));
}

#[test]
fn at_most_so_many_records_are_in_flight() {
    let mut bench = Bench::at(0);
    bench.terms.in_flight_max = 25;
    assert_eq!(bench.fetch("a", &[(0, 9), (10, 19), (20, 29), (30, 39)]), [(0, 29, 1)], "whole batches");
    assert!(!bench.partition.has_room(&bench.terms));
    assert_eq!(bench.fetch("a", &[(30, 39)]), []);
    bench.settle("a", 10, 19, Kind::Release);
    assert!(bench.partition.has_room(&bench.terms), "something came back");
    assert_eq!(bench.fetch("b", &[(10, 19), (20, 29), (30, 39)]), [(10, 19, 2)], "but nothing new");
}

#[test]
fn a_batch_that_comes_back_often_comes_in_halves() {
    let mut bench = Bench::at(0);
    bench.terms.delivery_limit = 6;
    for delivery in 1..=3 {
        assert_eq!(bench.fetch("a", &[(0, 99)]), [(0, 99, delivery)]);
        bench.settle("a", 0, 99, Kind::Release);
    }
    assert_eq!(bench.fetch("a", &[(0, 99)]), [(0, 49, 4)]);
    assert_eq!(bench.fetch("a", &[(0, 99)]), [(50, 99, 4)]);
    bench.settle("a", 0, 49, Kind::Release);
    assert_eq!(bench.fetch("a", &[(0, 99)]), [(0, 24, 5)]);
}

#[test]
fn before_its_last_delivery_a_record_comes_alone() {
    let mut bench = Bench::at(0);
    for delivery in 1..=2 {
        assert_eq!(bench.fetch("a", &[(0, 9)]), [(0, 9, delivery)]);
        bench.settle("a", 0, 9, Kind::Release);
    }
    assert_eq!(bench.fetch("a", &[(0, 9)]), [(0, 9, 3)]);
    bench.settle("a", 0, 9, Kind::Release);
    assert_eq!(bench.fetch("a", &[(0, 9)]), [(0, 4, 4)], "ten records, halved: the limit is 5");
    bench.settle("a", 0, 4, Kind::Release);
    assert_eq!(bench.fetch("a", &[(0, 9)]), [(0, 0, 5)]);
    assert_eq!(bench.fetch("a", &[(0, 9)]), [(1, 1, 5)]);
}

#[test]
fn more_records_than_a_throttled_one_allows_may_come_before_it() {
    let mut bench = Bench::held(0, 3);
    bench.settle("a", 0, 3, Kind::Release);
    assert_eq!(bench.fetch("a", &[(0, 3)]), [(0, 3, 2)]);
    bench.settle("a", 3, 3, Kind::Release);
    assert_eq!(bench.fetch("a", &[(0, 3)]), [(3, 3, 3)]);
    bench.settle("a", 0, 2, Kind::Release);
    bench.settle("a", 3, 3, Kind::Release);
    assert_eq!(bench.fetch("b", &[(0, 3)]), [(0, 2, 3), (3, 3, 4)], "half of the batch, 2, was passed already");
}

#[test]
fn what_is_throttled_does_not_come_with_others() {
    let mut bench = Bench::held(0, 9);
    for _ in 0..2 {
        bench.settle("a", 0, 9, Kind::Release);
        bench.fetch("a", &[(0, 9)]);
    }
    assert_eq!(bench.fetch("b", &[(10, 19)]), [(10, 19, 1)]);
    bench.settle("b", 10, 19, Kind::Release);
    bench.settle("a", 5, 9, Kind::Release);
    assert_eq!(bench.fetch("c", &[(0, 9), (10, 19)]), [(5, 9, 4)]);
    assert_eq!(bench.fetch("c", &[(10, 19)]), [(10, 19, 2)]);
}

#[test]
fn records_of_aborted_transactions_are_archived_and_not_given_out() {
    let mut bench = Bench::at(0);
    assert_eq!(bench.fetch_but("a", &log(&[(0, 4), (5, 9), (10, 14)]), &[span(5, 9)]), [(0, 4, 1), (10, 14, 1)]);
    let write = bench.say("a", 0, 4, &[Kind::Accept]).unwrap().unwrap();
    assert_eq!(write.complete, 10, "those that are aborted are settled");
    bench.partition.written(write.id, true);
    assert_eq!(bench.places(), (10, 15, 15));
}

#[test]
fn when_all_of_it_was_aborted_the_start_moves_on() {
    let mut bench = Bench::at(0);
    assert_eq!(bench.fetch_but("a", &log(&[(0, 4), (5, 9)]), &[span(0, 4), span(5, 9)]), []);
    assert_eq!(bench.places(), (10, 10, 10));
}

#[test]
fn a_transaction_is_aborted_from_its_first_record_to_its_marker() {
    let by = |id: i64, first: i64, last: i64, control: bool| LogBatch {
        span: span(first, last),
        producer: Some(Producer { id: ProducerId(id), transactional: true, control }),
    };
    let plain = LogBatch {
        span: span(20, 24),
        producer: Some(Producer { id: ProducerId(1), transactional: false, control: false }),
    };
    let batches =
        [by(1, 0, 4, false), by(2, 5, 9, false), by(1, 10, 10, true), by(1, 11, 14, false), by(2, 15, 15, true), plain];
    let aborted = [Aborted { producer: ProducerId(1), first: Offset(0) }];
    assert_eq!(aborted_spans(&batches, &aborted), [span(0, 4)]);
    let aborted =
        [Aborted { producer: ProducerId(1), first: Offset(11) }, Aborted { producer: ProducerId(2), first: Offset(3) }];
    assert_eq!(aborted_spans(&batches, &aborted), [span(5, 9), span(11, 14)]);
}

#[test]
fn what_was_never_sent_is_available_as_if_nobody_had_had_it() {
    let mut bench = Bench::held(0, 9);
    let taken = Acquired { span: span(0, 9), delivery_count: 1 };
    bench.partition.give_back(&MemberId::new("b"), &[taken]);
    assert_eq!(bench.places(), (0, 10, 10), "it is not b's");
    bench.partition.give_back(&MemberId::new("a"), &[taken]);
    assert_eq!(bench.places(), (0, 10, 0));
    assert_eq!(bench.fetch("b", &[(0, 9)]), [(0, 9, 1)]);
}
