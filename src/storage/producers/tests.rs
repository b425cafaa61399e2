#![allow(clippy::unwrap_used)]
use super::*;
use crate::model::LeaderEpoch;
use crate::record::Attributes;

const PID: ProducerId = ProducerId(7);

fn batch(epoch: i16, sequence: i32, count: i32, base: i64) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(base),
        batch_length: 100,
        leader_epoch: LeaderEpoch(0),
        magic: 2,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: count - 1,
        base_timestamp: TimestampMs(base),
        max_timestamp: TimestampMs(base + 1000),
        producer_id: PID,
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(sequence),
        record_count: count,
    }
}

fn transactional(mut header: BatchHeader) -> BatchHeader {
    header.attributes = Attributes(0x10);
    header
}

fn marker(epoch: i16, base: i64) -> BatchHeader {
    let mut header = batch(epoch, -1, 1, base);
    header.attributes = Attributes(0x30);
    header
}

const ABORT: EndMarker = EndMarker { aborted: true, coordinator_epoch: 2, timestamp: TimestampMs(5) };
const CLIENT: Check = Check::As(Origin::Client);

/// Appends as `check` says, or gives the error or the duplicate's first offset.
fn put(state: &mut Producers, header: &BatchHeader, check: Check) -> Result<Option<Offset>, AppendError> {
    let end = header.attributes.is_control().then_some(ABORT);
    match Producers::check(state.get(PID), header, end, check)? {
        Verdict::Duplicate(seen) => Ok(Some(seen.first_offset())),
        Verdict::Append(change) => {
            state.commit(&change);
            Ok(None)
        }
    }
}

fn code(result: Result<Option<Offset>, AppendError>) -> i16 {
    result.unwrap_err().code().0
}

#[test]
fn a_producer_that_is_not_known_may_start_at_any_sequence() {
    let mut state = Producers::default();
    assert_eq!(put(&mut state, &batch(3, 1234, 2, 0), CLIENT).unwrap(), None);
    assert_eq!(put(&mut state, &batch(3, 1236, 1, 2), CLIENT).unwrap(), None);
}

#[test]
fn a_gap_in_the_sequence_is_out_of_order() {
    let mut state = Producers::default();
    put(&mut state, &batch(0, 0, 3, 0), CLIENT).unwrap();
    assert_eq!(code(put(&mut state, &batch(0, 4, 1, 3), CLIENT)), 45);
    assert_eq!(code(put(&mut state, &batch(0, 2, 1, 3), CLIENT)), 45);
    assert_eq!(put(&mut state, &batch(0, 3, 1, 3), CLIENT).unwrap(), None);
}

#[test]
fn a_new_epoch_must_start_at_zero() {
    let mut state = Producers::default();
    put(&mut state, &batch(0, 0, 3, 0), CLIENT).unwrap();
    assert_eq!(code(put(&mut state, &batch(1, 3, 1, 3), CLIENT)), 45);
    assert_eq!(put(&mut state, &batch(1, 0, 1, 3), CLIENT).unwrap(), None);
}

#[test]
fn an_old_epoch_is_refused_with_47() {
    let mut state = Producers::default();
    put(&mut state, &batch(1, 0, 1, 0), CLIENT).unwrap();
    assert_eq!(code(put(&mut state, &batch(0, 1, 1, 1), CLIENT)), 47);
    assert_eq!(code(put(&mut state, &batch(0, -1, 1, 1), Check::As(Origin::Coordinator))), 47);
}

#[test]
fn the_sequence_wraps_from_the_largest_int_to_zero() {
    let mut state = Producers::default();
    put(&mut state, &batch(0, i32::MAX - 1, 2, 0), CLIENT).unwrap();
    put(&mut state, &batch(0, 0, 1, 2), CLIENT).unwrap();
    // A batch may itself wrap, and its retry is known by its first and last sequence.
    let mut state = Producers::default();
    put(&mut state, &batch(0, i32::MAX - 1, 5, 0), CLIENT).unwrap();
    assert_eq!(put(&mut state, &batch(0, i32::MAX - 1, 5, 9), CLIENT).unwrap(), Some(Offset(0)));
    assert_eq!(put(&mut state, &batch(0, 3, 1, 5), CLIENT).unwrap(), None);
}

#[test]
fn a_retry_of_the_last_five_batches_is_a_duplicate_and_the_sixth_is_out_of_order() {
    let mut state = Producers::default();
    for i in 0..6 {
        put(&mut state, &batch(0, i * 2, 2, i64::from(i) * 10), CLIENT).unwrap();
    }
    for i in 1..6 {
        let again = put(&mut state, &batch(0, i * 2, 2, 99), CLIENT).unwrap();
        assert_eq!(again, Some(Offset(i64::from(i) * 10)));
    }
    assert_eq!(code(put(&mut state, &batch(0, 0, 2, 99), CLIENT)), 45);
    // Only the exact range is a retry.
    assert_eq!(code(put(&mut state, &batch(0, 10, 1, 99), CLIENT)), 45);
}

#[test]
fn replicated_batches_are_taken_without_checks() {
    let mut state = Producers::default();
    put(&mut state, &batch(5, 10, 1, 0), Check::Replicated).unwrap();
    put(&mut state, &batch(5, 10, 1, 1), Check::Replicated).unwrap();
    put(&mut state, &batch(4, 77, 1, 2), Check::Replicated).unwrap();
    assert_eq!(state.get(PID).unwrap().epoch, ProducerEpoch(4));
}

#[test]
fn an_open_transaction_makes_its_first_offset_unstable_until_its_marker_is_replicated() {
    let mut state = Producers::default();
    put(&mut state, &transactional(batch(0, 0, 2, 10)), CLIENT).unwrap();
    put(&mut state, &transactional(batch(0, 2, 2, 12)), CLIENT).unwrap();
    assert_eq!(state.first_unstable(), Some(Offset(10)));
    put(&mut state, &marker(0, 14), Check::As(Origin::Marker { transaction_version: 0 })).unwrap();
    assert_eq!(state.first_unstable(), Some(Offset(10)), "the marker is not yet below the high watermark");
    state.stable_below(Offset(14));
    assert_eq!(state.first_unstable(), Some(Offset(10)));
    state.stable_below(Offset(15));
    assert_eq!(state.first_unstable(), None);
}

#[test]
fn a_plain_write_inside_a_transaction_is_refused() {
    let mut state = Producers::default();
    put(&mut state, &transactional(batch(0, 0, 2, 10)), CLIENT).unwrap();
    assert_eq!(code(put(&mut state, &batch(0, 2, 1, 12), CLIENT)), 48);
}

#[test]
fn a_marker_of_transaction_version_2_must_raise_the_epoch_unless_it_is_a_retry() {
    let v2 = Check::As(Origin::Marker { transaction_version: 2 });
    let mut state = Producers::default();
    put(&mut state, &transactional(batch(4, 0, 1, 0)), CLIENT).unwrap();
    assert_eq!(code(put(&mut state, &marker(4, 1), v2)), 47);
    assert_eq!(put(&mut state, &marker(5, 1), v2).unwrap(), None);
    assert_eq!(put(&mut state, &marker(5, 2), v2).unwrap(), None, "a retry of a marker is written again");
    assert_eq!(code(put(&mut state, &marker(4, 3), v2)), 47);
    // The next transaction starts at sequence 0 of the new epoch.
    assert_eq!(code(put(&mut state, &transactional(batch(5, 1, 1, 3)), CLIENT)), 45);
    assert_eq!(put(&mut state, &transactional(batch(5, 0, 1, 3)), CLIENT).unwrap(), None);
}

#[test]
fn a_marker_of_an_old_coordinator_is_fenced() {
    let mut state = Producers::default();
    state.load(PID, Entry::new(ProducerEpoch(0), 3, TimestampMs(0), Some(Offset(0))));
    assert_eq!(code(put(&mut state, &marker(0, 5), Check::As(Origin::Marker { transaction_version: 1 }))), 52);
}

#[test]
fn the_last_stable_offset_after_a_marker_is_the_next_open_transaction() {
    let mut state = Producers::default();
    put(&mut state, &transactional(batch(0, 0, 1, 10)), CLIENT).unwrap();
    let done = Completed { producer: PID, first: Offset(10), last: Offset(30), aborted: true };
    assert_eq!(state.last_stable_after(&done), Offset(31));
    state.load(ProducerId(8), Entry::new(ProducerEpoch(0), -1, TimestampMs(0), Some(Offset(20))));
    assert_eq!(state.last_stable_after(&done), Offset(20));
}

#[test]
fn a_marker_is_read_from_key_and_value() {
    let at = TimestampMs(1);
    let parse = |key: &[u8], value: &[u8]| EndMarker::parse(Some(key), Some(value), at);
    let commit = parse(&[0, 0, 0, 1], &[0, 0, 0, 0, 0, 9]).unwrap();
    assert_eq!((commit.aborted, commit.coordinator_epoch), (false, 9));
    assert!(parse(&[0, 0, 0, 0], &[0, 1, 0, 0, 0, 9, 1]).unwrap().aborted, "later versions read as the first");
    assert!(parse(&[0, 0, 0, 2], &[0, 0, 0, 0, 0, 9]).is_none());
    assert!(parse(&[0, 0], &[0, 0, 0, 0, 0, 9]).is_none());
    assert!(parse(&[0, 0, 0, 1], &[0, 0, 0]).is_none());
    assert!(EndMarker::parse(None, None, at).is_none());
}
