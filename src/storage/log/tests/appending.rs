use super::*;

fn error(answer: &Result<Appended, crate::storage::AppendError>) -> i16 {
    answer.as_ref().unwrap_err().code().0
}

#[test]
fn offsets_are_consecutive_and_the_leader_epoch_is_stamped() {
    let mut rig = Rig::new();
    let answers = rig.log.append(&mut [plain(3, 0), plain(2, 0)], LeaderEpoch(4), NOW);
    let offsets: Vec<_> = answers.iter().map(|a| a.as_ref().map(|a| (a.first.0, a.last.0)).unwrap()).collect();
    assert_eq!(offsets, [(0, 2), (3, 4)]);
    let slice = rig.log.read(Offset(0), 1 << 20, Offset(5), true).unwrap().unwrap();
    assert!(headers(&slice).iter().all(|header| header.leader_epoch == LeaderEpoch(4)));
    assert_eq!(rig.log.latest_epoch().unwrap(), Some(LeaderEpoch(4)));
}

#[test]
fn a_call_makes_one_write() {
    let mut rig = Rig::new();
    rig.put(plain(1, 0));
    let before = rig.fs.writes();
    rig.append(vec![plain(1, 0), plain(1, 0), plain(1, 0)]);
    assert_eq!(rig.fs.writes() - before, 1);
}

#[test]
fn a_duplicate_answers_with_the_original_offset_and_timestamp_and_is_not_written() {
    let mut rig = Rig::new();
    rig.put(from_producer(1, 0, 0, 2));
    rig.put(from_producer(1, 0, 2, 2));
    let again = rig.append(vec![from_producer(1, 0, 0, 2)]).remove(0).unwrap();
    let first = Offset(0);
    let last = Offset(1);
    let log_start = Offset(0);
    assert_eq!(again, Appended { first, last, append_time: TimestampMs(6), log_start, duplicate: true });
    assert_eq!(rig.log.log_end(), Offset(4));
}

#[test]
fn a_retry_in_the_same_call_as_its_original_is_a_duplicate() {
    let mut rig = Rig::new();
    let answers = rig.append(vec![from_producer(1, 0, 0, 2), from_producer(1, 0, 0, 2), from_producer(1, 0, 2, 1)]);
    let duplicates: Vec<_> = answers.iter().map(|a| a.as_ref().unwrap().duplicate).collect();
    assert_eq!(duplicates, [false, true, false]);
    assert_eq!(rig.log.log_end(), Offset(3));
}

#[test]
fn a_rejected_batch_takes_no_offset_and_does_not_stop_the_others() {
    let mut rig = Rig::new();
    let answers = rig.append(vec![from_producer(1, 0, 0, 1), from_producer(1, 0, 5, 1), plain(1, 0)]);
    assert_eq!((answers[0].is_ok(), error(&answers[1]), answers[2].as_ref().unwrap().first), (true, 45, Offset(1)));
}

#[test]
fn a_batch_larger_than_a_segment_is_refused_with_18() {
    let mut rig = Rig::new();
    assert_eq!(error(&rig.append(vec![plain(100, 0)])[0]), 18);
    assert_eq!(rig.log.log_end(), Offset(0));
}

#[test]
fn a_full_segment_rolls_and_one_call_may_fill_several() {
    let mut rig = Rig::new();
    let answers = rig.append((0..20).map(|_| plain(10, 0)).collect());
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((rig.log.log_end(), rig.log.segment_count()), (Offset(200), 7));
    assert_eq!(read_all(&rig.log, Offset(0), 1 << 20).len(), 20);
}

#[test]
fn a_segment_rolls_when_the_records_times_are_too_far_apart() {
    let mut rig = Rig::with(TopicConfig { segment_ms: 1000, ..small() });
    rig.put(plain(1, 5000));
    rig.put(plain(1, 6000));
    assert_eq!(rig.log.segment_count(), 1);
    rig.put(plain(1, 6001));
    assert_eq!(rig.log.segment_count(), 2);
    // Old records do not roll it, nor does the wall clock.
    let mut late = [plain(1, 0)];
    rig.log.append(&mut late, LeaderEpoch(0), NOW.plus(1_000_000)).remove(0).unwrap();
    assert_eq!(rig.log.segment_count(), 2);
}

#[test]
fn without_record_timestamps_the_wall_clock_rolls_a_segment() {
    let mut rig = Rig::with(TopicConfig { segment_ms: 1000, ..small() });
    let without = || plain(1, -1);
    rig.put(without());
    rig.log.append(&mut [without()], LeaderEpoch(0), NOW.plus(1000)).remove(0).unwrap();
    assert_eq!(rig.log.segment_count(), 1);
    rig.log.append(&mut [without()], LeaderEpoch(0), NOW.plus(1001)).remove(0).unwrap();
    assert_eq!(rig.log.segment_count(), 2);
}

#[test]
fn a_full_index_rolls_the_segment() {
    // Room for 3 time index entries, the last of which is reserved.
    let config = TopicConfig { segment_bytes: 1 << 20, segment_index_bytes: 36, index_interval_bytes: 0, ..small() };
    let mut rig = Rig::with(config);
    rig.put_many(10, 1);
    assert_eq!(rig.log.segment_count(), 4);
    assert_eq!(read_all(&rig.log, Offset(0), 200).len(), 10);
}

#[test]
fn a_follower_takes_the_leaders_offsets_and_rolls_where_a_segment_cannot_hold_them() {
    let mut rig = Rig::new();
    let at = |offset: i64| {
        let mut batch = plain(2, 0);
        batch.assign(Offset(offset), LeaderEpoch(3));
        batch
    };
    let far = i64::from(i32::MAX) + 100;
    let appended = rig.log.append_as_follower(&mut [at(0), at(10), at(far)], NOW).unwrap().unwrap();
    assert_eq!((appended.first.0, appended.last.0), (0, far + 1));
    assert_eq!((rig.log.log_end(), rig.log.segment_count()), (Offset(far + 2), 2));
    assert_eq!(read_all(&rig.log, Offset(0), 1 << 20), [(0, 1), (10, 11), (far, far + 1)]);
    assert_eq!(read_all(&rig.log, Offset(5), 10), [(10, 11), (far, far + 1)]);
    let refused = rig.log.append_as_follower(&mut [at(far)], NOW).unwrap_err();
    assert!(matches!(refused, crate::storage::AppendError::UnexpectedOffset { .. }));
    rig.reopen_unclean();
    assert_eq!(read_all(&rig.log, Offset(0), 1 << 20).len(), 2, "the gap between segments is taken for a loss");
    rig.config.cleanup_compact = true;
}

#[test]
fn a_failed_write_leaves_no_trace_and_the_log_goes_on() {
    let mut rig = Rig::new();
    rig.put(from_producer(1, 0, 0, 1));
    rig.fs.fail_write(1);
    let answers = rig.append(vec![from_producer(1, 0, 1, 1), from_producer(1, 0, 1, 1), plain(1, 0)]);
    assert_eq!(answers.iter().map(error).collect::<Vec<_>>(), [56, 56, 56], "the duplicate fails with its original");
    assert_eq!((rig.log.log_end(), rig.log.size_bytes().unwrap()), (Offset(1), plain_size(1)));
    assert_eq!(rig.put(from_producer(1, 0, 1, 1)), 1);
    assert_eq!(read_all(&rig.log, Offset(0), 1 << 20), [(0, 0), (1, 1)]);
    rig.reopen_unclean();
    assert_eq!(read_all(&rig.log, Offset(0), 1 << 20), [(0, 0), (1, 1)]);
}

fn plain_size(records: i32) -> u64 {
    plain(records, 0).size() as u64
}

#[test]
fn a_full_disk_is_told_from_a_broken_one_and_is_recovered_from() {
    let mut rig = Rig::new();
    rig.put_many(3, 1);
    rig.fs.set_capacity(0);
    let answer = rig.append(vec![plain(1, 0)]).remove(0).unwrap_err();
    let crate::storage::AppendError::Storage(error) = answer else { panic!("{answer}") };
    assert!(matches!(*error, StorageError::Full { .. }) && !error.fails_directory());
    // A roll needs room too.
    assert!(rig.append((0..30).map(|_| plain(1, 0)).collect()).iter().all(Result::is_err));
    rig.fs.set_capacity(u64::MAX);
    assert_eq!(rig.put(plain(1, 0)), 3);
    rig.put_many(40, 1);
    assert_eq!(read_all(&rig.log, Offset(0), 300).len(), 44);
    rig.reopen_unclean();
    assert_eq!(read_all(&rig.log, Offset(0), 300).len(), 44);
}

#[test]
fn log_append_time_is_answered_and_create_time_is_not() {
    let mut rig = Rig::new();
    let config = TopicConfig { timestamp_type: crate::config::topic::TimestampType::LogAppendTime, ..small() };
    let at = crate::model::TopicPartition::new("t".into(), crate::model::PartitionId(0));
    let rules = crate::record::Rules { partition: &at, config: &config, now: NOW, decompressed_bytes_max: 1 << 20 };
    let batch = crate::record::validate(plain(1, 0).to_bytes(), &rules).unwrap();
    assert_eq!(rig.append(vec![batch])[0].as_ref().unwrap().append_time, NOW);
    assert_eq!(rig.append(vec![plain(1, 0)])[0].as_ref().unwrap().append_time, TimestampMs::NONE);
}

#[test]
fn an_aborted_transaction_is_in_the_index_and_a_committed_one_is_not() {
    let mut rig = Rig::new();
    rig.put(in_transaction(1, 0, 0, 2));
    rig.put(in_transaction(2, 0, 0, 2));
    rig.put(plain(1, 0));
    assert_eq!(rig.log.first_unstable_offset().unwrap(), Some(Offset(0)));
    end_transaction(&mut rig, Marker::Abort, 1, 0);
    end_transaction(&mut rig, Marker::Commit, 2, 0);
    let aborted =
        AbortedTransaction { producer_id: ProducerId(1), first: Offset(0), last: Offset(5), last_stable: Offset(2) };
    assert_eq!(rig.log.aborted_transactions(Offset(0), Offset(7)).unwrap(), [aborted]);
    assert_eq!(rig.log.aborted_transactions(Offset(6), Offset(7)).unwrap(), []);
    rig.log.high_watermark_advanced(Offset(7));
    assert_eq!(rig.log.first_unstable_offset().unwrap(), None);
    rig.reopen();
    assert_eq!(rig.log.aborted_transactions(Offset(0), Offset(7)).unwrap(), [aborted]);
    rig.reopen_unclean();
    assert_eq!(rig.log.aborted_transactions(Offset(0), Offset(7)).unwrap(), [aborted]);
}

#[test]
fn a_marker_whose_write_fails_leaves_the_transaction_open_and_no_index_entry() {
    let mut rig = Rig::new();
    rig.put(in_transaction(1, 0, 0, 2));
    for fail in 1..=2 {
        rig.fs.fail_write(fail);
        let origin = Origin::Marker { transaction_version: 0 };
        let answer = rig.log.append_from(origin, &mut [marker(Marker::Abort, 1, 0)], LeaderEpoch(0), NOW).remove(0);
        assert_eq!(error(&answer), 56);
        assert_eq!(rig.log.first_unstable_offset().unwrap(), Some(Offset(0)));
        assert_eq!(rig.log.aborted_transactions(Offset(0), Offset(9)).unwrap(), []);
    }
    end_transaction(&mut rig, Marker::Abort, 1, 0);
    rig.reopen();
    assert_eq!(rig.log.aborted_transactions(Offset(0), Offset(9)).unwrap().len(), 1);
}

#[test]
fn a_flush_under_way_does_not_mind_that_the_log_is_deleted() {
    let mut rig = Rig::new();
    rig.put(plain(1, 0));
    let job = rig.log.flush_job().unwrap();
    rig.fs.shared().rename(&dir(), &PathBuf::from("/data/t-0.0123-delete")).unwrap();
    for file in &job.files {
        file.sync_data().unwrap();
    }
}
