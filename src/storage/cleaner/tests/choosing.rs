//! When a log is cleaned, and which segments become one.

use super::super::choice::groups;
use super::*;

fn part(base: i64, size: u64, time: i64) -> Part {
    Part { base: Offset(base), size, largest: TimestampMs(time), first: TimestampMs(time) }
}

/// Three sealed segments of 100 bytes and an active one; the times are those of the segments.
fn view() -> View {
    View {
        parts: vec![part(0, 100, 1000), part(10, 100, 2000), part(20, 100, 3000), part(30, 50, 4000)],
        log_start: Offset(0),
        log_end: Offset(35),
        last_stable: Offset(35),
        cleaned_to: None,
        min_lag_ms: 0,
        max_lag_ms: i64::MAX,
    }
}

#[test]
fn the_active_segment_is_never_cleaned() {
    let dirty = view().dirty(NOW);
    assert_eq!((dirty.first, dirty.end, dirty.clean_bytes, dirty.cleanable_bytes), (Offset(0), Offset(30), 0, 300));
    assert_eq!(dirty.ratio(), 1.0);
}

#[test]
fn the_ratio_is_that_of_new_bytes_to_all_that_could_be_cleaned() {
    let dirty = View { cleaned_to: Some(Offset(20)), ..view() }.dirty(NOW);
    assert_eq!((dirty.clean_bytes, dirty.cleanable_bytes), (200, 100));
    assert!(dirty.is_due(0.3) && !dirty.is_due(0.34));
    let clean = View { cleaned_to: Some(Offset(30)), ..view() }.dirty(NOW);
    assert!(!clean.is_due(0.0) && clean.ratio() == 0.0);
}

#[test]
fn only_whole_segments_below_the_last_stable_offset_are_cleaned() {
    let dirty = View { last_stable: Offset(15), ..view() }.dirty(NOW);
    assert_eq!((dirty.end, dirty.cleanable_bytes), (Offset(10), 100));
    let none = View { last_stable: Offset(5), ..view() }.dirty(NOW);
    assert_eq!((none.end, none.cleanable_bytes), (Offset(0), 0));
}

#[test]
fn records_younger_than_the_smallest_lag_are_safe() {
    let view = View { min_lag_ms: 500, ..view() };
    assert_eq!(view.dirty(TimestampMs(2499)).end, Offset(10));
    assert_eq!(view.dirty(TimestampMs(2500)).end, Offset(20));
    assert_eq!(view.dirty(TimestampMs(9000)).end, Offset(30));
}

#[test]
fn the_largest_lag_forces_a_cleaning_whatever_the_ratio() {
    let view = View { max_lag_ms: 700, cleaned_to: Some(Offset(10)), ..view() };
    let overdue = |now| view.dirty(TimestampMs(now)).overdue_ms;
    assert_eq!((overdue(2700), overdue(2701)), (0, 1));
    assert!(view.dirty(TimestampMs(2701)).is_due(1.0) && !view.dirty(TimestampMs(2700)).is_due(1.0));
    let clean = View { cleaned_to: Some(Offset(30)), ..view.clone() };
    assert!(!clean.dirty(TimestampMs(9000)).is_due(1.0), "there is nothing to clean");
}

#[test]
fn a_checkpoint_that_cannot_be_begins_again_at_the_log_start() {
    for (cleaned_to, log_start) in [(40, 0), (5, 10)] {
        let view = View { cleaned_to: Some(Offset(cleaned_to)), log_start: Offset(log_start), ..view() };
        let dirty = view.dirty(NOW);
        assert!(dirty.was_reset && dirty.first == Offset(log_start), "{dirty:?}");
    }
}

fn sizes(parts: &[(i64, u64, u64)]) -> Vec<Size> {
    parts
        .iter()
        .map(|(base, log, index)| Size { base: Offset(*base), log: *log, index: *index, time_index: *index })
        .collect()
}

#[test]
fn segments_become_one_as_long_as_logs_and_indexes_fit() {
    let parts = sizes(&[(0, 50, 1), (10, 50, 1), (20, 10, 1), (30, 90, 8), (40, 5, 8)]);
    assert_eq!(groups(&parts, 100, 10, Offset(50)), [0..2, 2..4, 4..5]);
    assert_eq!(groups(&parts, 40, 10, Offset(50)), [0..1, 1..2, 2..3, 3..4, 4..5]);
    assert!(groups(&[], 40, 10, Offset(50)).is_empty());
}

#[test]
fn a_segment_holds_no_offset_that_its_index_cannot_name() {
    let far = i64::from(i32::MAX);
    let parts = sizes(&[(0, 1, 0), (100, 1, 0), (200, 1, 0)]);
    assert_eq!(groups(&parts, 100, 10, Offset(far + 1)).first(), Some(&(0..3)));
    assert_eq!(groups(&parts, 100, 10, Offset(far + 2)), [0..2, 2..3]);
    let empty = sizes(&[(0, 1, 0), (100, 1, 0), (200, 0, 0)]);
    assert_eq!(groups(&empty, 100, 10, Offset(far + 2)).first(), Some(&(0..3)));
}

#[test]
fn a_log_says_how_dirty_it_is() {
    let rig = Rig::with(TopicConfig { min_compaction_lag_ms: 10, max_compaction_lag_ms: 1000, ..compacted() });
    rig.put("a", Some("1"));
    rig.roll();
    rig.roll();
    let log = rig.log.lock();
    let dirty = log.dirty(NOW.plus(1005)).unwrap();
    assert_eq!((dirty.first, dirty.end, dirty.overdue_ms), (Offset(0), Offset(2), 5));
    assert_eq!(log.dirty(NOW.plus(9)).unwrap().end, Offset(0));
}
