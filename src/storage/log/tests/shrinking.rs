use super::*;

#[test]
fn delete_records_moves_the_start_and_retention_removes_the_segments_below() {
    let mut rig = Rig::with(TopicConfig { cleanup_delete: false, cleanup_compact: true, ..small() });
    rig.put_many(60, 2);
    let count = rig.log.segment_count();
    rig.log.delete_records(Offset(61)).unwrap();
    assert_eq!((rig.log.log_start(), rig.log.segment_count()), (Offset(61), count));
    let dropped = rig.log.apply_retention(Offset(120), NOW).unwrap();
    assert_eq!(rig.log.segment_count(), count - dropped);
    assert!(dropped > 1 && rig.log.segments[0].base <= Offset(61) && rig.log.segments[1].base > Offset(61));
    assert!(rig.log.delete_records(Offset(121)).is_err());
    rig.log.delete_records(Offset(50)).unwrap();
    assert_eq!(rig.log.log_start(), Offset(61), "the start only grows");
}

#[test]
fn retention_by_size_is_per_partition_and_drops_whole_segments() {
    let mut rig = Rig::with(TopicConfig { retention_bytes: 5000, retention_ms: -1, ..small() });
    rig.put_many(60, 2);
    let size = rig.log.size_bytes().unwrap();
    rig.log.apply_retention(Offset(120), NOW).unwrap();
    let now = rig.log.size_bytes().unwrap();
    assert!((5000..7000).contains(&now) && now < size, "{now}");
    assert_eq!(rig.log.log_start(), rig.log.segments[0].base);
    assert_eq!(read_all(&rig.log, rig.log.log_start(), 300).last().unwrap().1, 119);
}

#[test]
fn retention_by_time_takes_the_largest_timestamp_and_the_active_segment_too() {
    let mut rig = Rig::with(TopicConfig { retention_ms: 1000, ..small() });
    for n in 0..30 {
        rig.put(plain(2, NOW.0 + n * 100));
    }
    let last = rig.log.largest(rig.log.segments.len() - 2).unwrap().timestamp;
    rig.log.apply_retention(Offset(60), last.plus(1000)).unwrap();
    assert_eq!(rig.log.segment_count(), 2, "what is just 1000 ms old stays");
    let active = rig.log.log_end();
    rig.log.apply_retention(Offset(60), NOW.plus(100_000)).unwrap();
    assert_eq!((rig.log.segment_count(), rig.log.log_start(), rig.log.log_end()), (1, active, active));
    assert_eq!(rig.log.apply_retention(Offset(60), NOW.plus(100_000)).unwrap(), 0, "an empty segment stays");
    assert_eq!(rig.put(plain(1, 0)), active.0);
}

#[test]
fn retention_does_not_believe_a_time_index_that_contradicts_the_log() {
    let config = TopicConfig { retention_ms: 100_000, ..small() };
    let mut rig = Rig::with(config);
    for n in 0..30 {
        rig.put(plain(2, NOW.0 + n));
    }
    rig.log.close().unwrap();
    for name in rig.names().iter().filter(|name| name.ends_with(".timeindex")) {
        let file = rig.fs.shared().open(&dir().join(name), crate::rt::fs::Open::ReadWrite).unwrap();
        let len = file.len().unwrap();
        file.set_len(0).unwrap();
        // Entries of the year 1970, of offsets that exist.
        let entry: Vec<u8> = 5i64.to_be_bytes().into_iter().chain(1i32.to_be_bytes()).collect();
        for at in 0..len / 12 {
            file.write_all_at(&mut [std::io::IoSlice::new(&entry)], at * 12).unwrap();
        }
    }
    rig.log = rig.open_again(true);
    assert_eq!(rig.log.apply_retention(Offset(60), NOW.plus(50_000)).unwrap(), 0);
    assert!(rig.log.apply_retention(Offset(60), NOW.plus(200_000)).unwrap() > 1);
}

#[test]
fn retention_stops_at_the_high_watermark() {
    let mut rig = Rig::with(TopicConfig { retention_ms: 0, ..small() });
    rig.put_many(60, 2);
    rig.log.apply_retention(Offset(59), NOW.plus(100_000)).unwrap();
    assert!(rig.log.log_start() <= Offset(59) && rig.log.log_start() > Offset(0));
}

#[test]
fn an_empty_cleanup_policy_keeps_everything() {
    let mut rig = Rig::with(TopicConfig { cleanup_delete: false, retention_ms: 0, retention_bytes: 0, ..small() });
    rig.put_many(60, 2);
    assert_eq!(rig.log.apply_retention(Offset(120), NOW.plus(100_000)).unwrap(), 0);
}

#[test]
fn removed_files_wait_for_the_delay() {
    let mut rig = Rig::with(TopicConfig { retention_bytes: 0, ..small() });
    rig.put_many(60, 2);
    rig.log.apply_retention(Offset(120), NOW).unwrap();
    let deleted = rig.names().iter().filter(|name| name.ends_with(".deleted")).count();
    assert!(deleted > 10);
    assert_eq!((rig.log.reap(NOW.plus(59_999)).unwrap(), rig.log.next_reap()), (0, Some(NOW.plus(60_000))));
    assert_eq!(rig.log.reap(NOW.plus(60_000)).unwrap(), deleted);
    assert!(!rig.names().iter().any(|name| name.ends_with(".deleted")));
    assert_eq!(rig.names().iter().filter(|name| name.ends_with(".snapshot")).count(), 1, "{:?}", rig.names());
}

#[test]
fn truncation_drops_whole_batches_and_the_log_goes_on_there() {
    for target in [0, 1, 2, 37, 38, 60, 119] {
        let mut rig = Rig::new();
        rig.put_many(60, 2);
        rig.log.truncate_to(Offset(target), NOW).unwrap();
        let end = Offset(target / 2 * 2);
        assert_eq!(rig.log.log_end(), end);
        assert_eq!(read_all(&rig.log, Offset(0), 300).len() as i64, end.0 / 2);
        assert_eq!(rig.put(plain(1, 7)), end.0);
        rig.put_many(30, 1);
        let before = read_all(&rig.log, Offset(0), 1 << 20);
        rig.reopen();
        assert_eq!(read_all(&rig.log, Offset(0), 300), before);
        rig.reopen_unclean();
        assert_eq!(read_all(&rig.log, Offset(0), 300), before);
    }
}

#[test]
fn truncation_takes_producers_epochs_times_and_transactions_back() {
    let mut rig = Rig::new();
    rig.put(from_producer(1, 0, 0, 5));
    rig.put(in_transaction(2, 0, 0, 5));
    let (producers, time) = (rig.log.producers().unwrap(), rig.log.max_timestamp().unwrap());
    rig.put(from_producer(1, 0, 5, 5));
    end_transaction(&mut rig, Marker::Abort, 2, 0);
    rig.put_many(30, 2);
    rig.log.append(&mut [plain(3, 5000)], LeaderEpoch(9), NOW);
    rig.log.truncate_to(Offset(10), NOW).unwrap();
    assert_eq!((rig.log.producers().unwrap(), rig.log.max_timestamp().unwrap()), (producers, time));
    assert_eq!(rig.log.latest_epoch().unwrap(), Some(LeaderEpoch(0)));
    assert_eq!(rig.log.aborted_transactions(Offset(0), Offset(99)).unwrap(), []);
    assert_eq!(rig.log.first_unstable_offset().unwrap(), Some(Offset(5)));
    assert_eq!(rig.put(from_producer(1, 0, 5, 5)), 10);
}

#[test]
fn truncation_beyond_the_end_drops_only_epochs_that_wrote_nothing() {
    let mut rig = Rig::new();
    rig.put(plain(5, 0));
    rig.log.assign_epoch(LeaderEpoch(7)).unwrap();
    rig.log.truncate_to(Offset(5), NOW).unwrap();
    assert_eq!((rig.log.log_end(), rig.log.latest_epoch().unwrap()), (Offset(5), Some(LeaderEpoch(0))));
}

#[test]
fn truncation_below_the_first_segment_restarts_there() {
    let mut rig = Rig::with(TopicConfig { retention_bytes: 2000, ..small() });
    rig.put_many(60, 2);
    rig.log.apply_retention(Offset(120), NOW).unwrap();
    rig.log.truncate_to(Offset(10), NOW).unwrap();
    assert_eq!((rig.log.log_start(), rig.log.log_end()), (Offset(10), Offset(10)));
}

#[test]
fn a_restarted_log_is_empty_and_stays_so() {
    let mut rig = Rig::new();
    rig.put_many(60, 2);
    rig.put(from_producer(1, 0, 0, 1));
    for _ in 0..2 {
        rig.log.truncate_and_restart_at(Offset(60), NOW).unwrap();
        assert_eq!((rig.log.log_start(), rig.log.log_end()), (Offset(60), Offset(60)));
        assert_eq!(rig.log.producers().unwrap(), []);
        assert_eq!(rig.log.latest_epoch().unwrap(), None);
        rig.reopen();
        assert_eq!((rig.log.log_start(), rig.log.log_end()), (Offset(60), Offset(60)));
        assert_eq!(rig.put(plain(1, 0)), 60);
    }
}
