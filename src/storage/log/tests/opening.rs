use super::*;
use crate::rt::fs::Open;

fn damage(rig: &Rig, name: &str, change: impl FnOnce(&dyn File, u64)) {
    let file = rig.fs.shared().open(&dir().join(name), Open::ReadWrite).unwrap();
    let len = file.len().unwrap();
    change(&*file, len);
}

const FIRST: &str = "00000000000000000000.log";

#[test]
fn a_clean_start_reads_only_the_names() {
    let mut rig = Rig::new();
    rig.put_many(50, 3);
    rig.log.close().unwrap();
    // Empty files would betray any look into them.
    let bytes = rig.fs.shared().read(&dir().join(FIRST)).unwrap();
    for name in rig.names() {
        damage(&rig, &name, |file, _| file.set_len(0).unwrap());
    }
    let log = rig.open_again(true);
    assert_eq!((log.log_end(), log.segment_count(), log.recovery_point()), (Offset(150), 7, Offset(150)));
    assert!(!bytes.is_empty());
}

#[test]
fn a_log_that_does_not_end_where_the_clean_stop_said_is_refused_when_it_is_written() {
    let mut rig = Rig::new();
    rig.put_many(5, 1);
    rig.log.close().unwrap();
    damage(&rig, FIRST, |file, len| file.set_len(len - plain(1, 0).size() as u64).unwrap());
    rig.log = rig.open_again(true);
    let answer = rig.append(vec![plain(1, 0)]).remove(0);
    assert!(answer.unwrap_err().to_string().contains("the clean stop left a producer snapshot at 5"));
}

#[test]
fn a_clean_stop_and_start_lose_nothing() {
    let mut rig = Rig::new();
    rig.put_many(30, 2);
    rig.put(from_producer(4, 1, 0, 3));
    let before = read_all(&rig.log, Offset(0), 1 << 20);
    for _ in 0..3 {
        rig.reopen();
        assert_eq!(read_all(&rig.log, Offset(0), 300), before);
        assert!(rig.append(vec![from_producer(4, 1, 0, 3)]).remove(0).unwrap().duplicate);
        assert_eq!(rig.log.producers().unwrap().len(), 1);
    }
    assert_eq!(rig.put(plain(1, 0)), 63);
    rig.reopen();
    assert_eq!(rig.log.log_end(), Offset(64));
    assert_eq!(rig.names().iter().filter(|name| name.ends_with(".snapshot")).count(), rig.log.segment_count());
}

#[test]
fn a_clean_stop_without_a_write_writes_nothing() {
    let mut rig = Rig::new();
    rig.put_many(3, 2);
    rig.reopen();
    let (writes, syncs) = (rig.fs.writes(), rig.fs.syncs());
    rig.log.read(Offset(0), 100, Offset(6), true).unwrap();
    rig.reopen();
    assert_eq!((rig.fs.writes(), rig.fs.syncs()), (writes, syncs));
}

#[test]
fn after_an_unclean_stop_the_same_log_is_found() {
    let mut rig = Rig::new();
    rig.put_many(60, 2);
    rig.put(from_producer(4, 1, 0, 3));
    rig.put(in_transaction(5, 0, 0, 1));
    let (before, producers) = (read_all(&rig.log, Offset(0), 1 << 20), rig.log.producers().unwrap());
    rig.reopen_unclean();
    assert_eq!(read_all(&rig.log, Offset(0), 300), before);
    assert_eq!(rig.log.producers().unwrap(), producers);
    assert_eq!(rig.log.first_unstable_offset().unwrap(), Some(Offset(123)));
    assert_eq!(rig.log.latest_epoch().unwrap(), Some(LeaderEpoch(0)));
    rig.put_many(20, 1);
    rig.reopen();
    assert_eq!(rig.log.log_end(), Offset(144));
}

#[test]
fn a_torn_or_changed_tail_is_cut_and_what_is_before_stays() {
    let size = plain(2, 0).size() as u64;
    for cut in [1, 60, 61, 100] {
        let mut rig = Rig::with(TopicConfig { segment_bytes: 100_000, ..small() });
        rig.put_many(10, 2);
        damage(&rig, FIRST, |file, len| file.set_len(len - cut).unwrap());
        rig.reopen_unclean();
        assert_eq!((rig.log.log_end(), rig.log.size_bytes().unwrap()), (Offset(18), size * 9));
        assert_eq!(rig.put(plain(1, 0)), 18);
    }
    let mut rig = Rig::with(TopicConfig { segment_bytes: 100_000, ..small() });
    rig.put_many(10, 2);
    damage(&rig, FIRST, |file, _| file.write_all_at(&mut [std::io::IoSlice::new(b"x")], size * 4 + 70).unwrap());
    rig.reopen_unclean();
    assert_eq!(rig.log.log_end(), Offset(8));
}

#[test]
fn segments_behind_a_corruption_are_removed() {
    let mut rig = Rig::new();
    rig.put_many(60, 2);
    assert!(rig.log.segment_count() > 4);
    let second = rig.log.segments[1].base;
    damage(&rig, &files::name(second, Kind::Log, State::Live), |file, len| file.set_len(len - 1).unwrap());
    rig.reopen_unclean();
    assert_eq!(rig.log.segment_count(), 2);
    let end = rig.log.log_end();
    assert_eq!(read_all(&rig.log, Offset(0), 1 << 20).last().unwrap().1 + 1, end.0);
    assert_eq!(rig.put(plain(1, 0)), end.0);
    rig.reopen_unclean();
    assert_eq!(rig.log.log_end(), end.next());
    assert!(rig.log.reap(NOW.plus(60_000)).unwrap() == 0, "the files went with the second start");
}

#[test]
fn a_segment_that_lost_its_end_at_a_batch_boundary_ends_the_log() {
    let mut rig = Rig::new();
    rig.put_many(60, 2);
    let size = plain(2, 0).size() as u64;
    damage(&rig, FIRST, |file, len| file.set_len(len - size).unwrap());
    rig.reopen_unclean();
    assert_eq!(rig.log.segment_count(), 1);
}

#[test]
fn segments_below_the_recovery_point_are_not_read() {
    let mut rig = Rig::new();
    rig.put_many(60, 2);
    rig.flush();
    rig.put_many(3, 1);
    assert_eq!(rig.log.recovery_point(), Offset(120));
    let mut seen = Vec::new();
    let mut open = open(&rig.fs, &rig.config);
    (open.clean, open.recovery_point) = (false, rig.log.recovery_point());
    let log = Log::open_reporting(open, &mut |progress| seen.push(progress)).unwrap();
    assert_eq!(log.log_end(), Offset(123));
    let total = seen.last().unwrap().total_bytes;
    assert!(total < log.size_bytes().unwrap() / 4 && seen.last().unwrap().done_bytes == total);
}

#[test]
fn kafkas_preallocated_segment_and_indexes_are_tolerated() {
    let mut rig = Rig::with(TopicConfig { segment_bytes: 100_000, ..small() });
    rig.put_many(50, 2);
    rig.log.close().unwrap();
    let zeros = |file: &dyn File, len: u64| file.set_len(len + 10_000).unwrap();
    for name in ["00000000000000000000.index", "00000000000000000000.timeindex"] {
        damage(&rig, name, zeros);
    }
    rig.log = rig.open_again(true);
    assert_eq!(read_all(&rig.log, Offset(30), 500).len(), 35);
    assert_eq!(rig.log.max_timestamp().unwrap().unwrap().timestamp, TimestampMs(50));
    rig.put(plain(1, 0));
    rig.reopen();
    damage(&rig, FIRST, zeros);
    rig.reopen_unclean();
    assert_eq!(read_all(&rig.log, Offset(0), 500).len(), 51);
}

#[test]
fn a_snapshot_that_cannot_be_read_is_replaced_by_an_older_one_and_a_replay() {
    let mut rig = Rig::new();
    for n in 0..30 {
        rig.put(from_producer(n % 3, 0, n as i32 / 3, 1));
    }
    let producers = rig.log.producers().unwrap();
    rig.log.close().unwrap();
    let newest = rig.names().into_iter().rfind(|name| name.ends_with(".snapshot")).unwrap();
    damage(&rig, &newest, |file, len| file.set_len(len - 1).unwrap());
    rig.log = rig.open_again(true);
    assert_eq!(rig.log.log_end(), Offset(30));
    assert_eq!(rig.log.producers().unwrap(), producers);
    assert!(!rig.names().contains(&newest));
}

#[test]
fn missing_indexes_are_no_obstacle() {
    let mut rig = Rig::new();
    rig.put_many(60, 2);
    let before = read_all(&rig.log, Offset(0), 1 << 20);
    rig.log.close().unwrap();
    for name in rig.names().iter().filter(|name| name.ends_with("index")) {
        rig.fs.shared().remove_file(&dir().join(name)).unwrap();
    }
    rig.log = rig.open_again(true);
    assert_eq!(read_all(&rig.log, Offset(0), 300), before);
    assert_eq!(rig.put(plain(1, 0)), 120);
}

#[test]
fn leftovers_of_a_deletion_or_a_compaction_are_cleared() {
    let mut rig = Rig::new();
    rig.put_many(3, 2);
    rig.log.close().unwrap();
    for name in [
        "00000000000000000000.log.deleted",
        "00000000000000000000.log.cleaned",
        "00000000000000000000.index.cleaned",
        "00000000000000000007.log.swap",
        "00000000000000000099.index",
        "leader-epoch-checkpoint.tmp",
    ] {
        rig.fs.shared().open(&dir().join(name), Open::Create).unwrap();
    }
    rig.log = rig.open_again(true);
    assert_eq!(rig.log.log_end(), Offset(6));
    assert!(!rig.names().iter().any(|name| name.contains(".log.") || name.contains("99.")), "{:?}", rig.names());
}

#[test]
fn a_finished_compaction_is_put_in_place() {
    let mut rig = Rig::new();
    rig.put_many(60, 2);
    rig.log.close().unwrap();
    let (second, third) = (rig.log.segments[1].base, rig.log.segments[2].base);
    let fs = rig.fs.shared();
    // Compaction merged the first two segments into one.
    let merged: Vec<u8> = [Offset(0), second]
        .into_iter()
        .flat_map(|base| fs.read(&dir().join(files::name(base, Kind::Log, State::Live))).unwrap())
        .collect();
    fs.write_atomic(&dir().join("00000000000000000000.log.swap"), &merged).unwrap();
    fs.write_atomic(&dir().join("00000000000000000000.index.swap"), &[]).unwrap();
    rig.log = rig.open_again(true);
    assert_eq!(rig.log.segments[1].base, third);
    assert_eq!(read_all(&rig.log, Offset(0), 300).len(), 60);
}

#[test]
fn a_log_that_ends_before_its_start_goes_on_at_its_start() {
    let mut rig = Rig::new();
    rig.put_many(3, 2);
    rig.log.close().unwrap();
    let mut open = open(&rig.fs, &rig.config);
    open.log_start = Offset(500);
    rig.log = Log::open(open).unwrap();
    assert_eq!((rig.log.log_start(), rig.log.log_end()), (Offset(500), Offset(500)));
    assert_eq!(rig.put(plain(1, 0)), 500);
    rig.reopen();
    assert_eq!(rig.log.log_end(), Offset(501));
}

#[test]
fn create_refuses_a_directory_that_holds_a_log() {
    let rig = Rig::new();
    assert!(matches!(Log::create(open(&rig.fs, &rig.config)), Err(StorageError::Refused(_))));
}

#[test]
fn a_flush_job_covers_new_names_sealed_segments_and_the_active_one() {
    let mut rig = Rig::new();
    rig.put_many(60, 2);
    assert_eq!(rig.log.unflushed_records(), 120);
    let sealed = rig.log.sealed_flush_job().unwrap();
    rig.put(plain(1, 0));
    let active = rig.log.active().base;
    rig.log.flushed(sealed.mark, NOW.plus(5));
    assert_eq!((rig.log.recovery_point(), rig.log.last_flush_ms()), (active, NOW.plus(5)));
    assert!(rig.log.sealed_flush_job().is_none());
    let job = rig.log.flush_job().unwrap();
    // A segment sealed after the job was made is not complete with it.
    rig.put_many(20, 2);
    rig.log.flushed(job.mark, NOW);
    assert!(rig.log.recovery_point() < Offset(121));
    rig.flush();
    assert_eq!(rig.log.unflushed_records(), 0);
    assert!(rig.log.flush_job().is_none());
}

#[test]
fn a_mark_from_before_a_cut_is_void() {
    let mut rig = Rig::new();
    rig.put_many(10, 1);
    let job = rig.log.flush_job().unwrap();
    rig.log.truncate_to(Offset(5), NOW).unwrap();
    rig.put_many(10, 1);
    rig.log.flushed(job.mark, NOW);
    assert_eq!(rig.log.recovery_point(), Offset(0));
}

#[test]
fn a_torn_epoch_checkpoint_is_rebuilt_from_the_batches() {
    let mut rig = Rig::new();
    for epoch in 0..40 {
        rig.log.append(&mut [plain(3, 0)], LeaderEpoch(epoch * 2), NOW);
    }
    rig.flush();
    rig.log.close().unwrap();
    for clean in [true, false] {
        damage(&rig, "leader-epoch-checkpoint", |file, _| file.set_len(0).unwrap());
        rig.log = rig.open_again(clean);
        assert_eq!(rig.log.epoch_at(Offset(7)).unwrap(), Some(LeaderEpoch(4)));
        assert_eq!(rig.log.latest_epoch().unwrap(), Some(LeaderEpoch(78)));
    }
}

#[test]
fn transactions_below_the_high_watermark_are_stable_however_the_producers_were_loaded() {
    let mut rig = Rig::new();
    rig.put(in_transaction(1, 0, 0, 2));
    end_transaction(&mut rig, Marker::Commit, 1, 0);
    rig.log.close().unwrap();
    // Without its snapshot the state is replayed, marker and all, after the high watermark is known.
    for keep in [true, false] {
        if !keep {
            damage(&rig, "00000000000000000003.snapshot", |file, _| file.set_len(3).unwrap());
        }
        let mut log = rig.open_again(true);
        log.high_watermark_advanced(Offset(3));
        assert_eq!(log.first_unstable_offset().unwrap(), None);
    }
}

#[test]
fn a_reader_without_a_limit_gets_all_there_is() {
    let mut rig = Rig::with(TopicConfig { segment_bytes: 100_000, ..small() });
    rig.put_many(50, 2);
    rig.reopen();
    let slice = rig.log.read(Offset(3), usize::MAX, Offset(100), true).unwrap().unwrap();
    assert_eq!(headers(&slice).len(), 49);
}

#[test]
fn indexes_of_the_active_segment_that_contradict_it_are_built_anew() {
    for content in [vec![0x5a; 240], vec![0x11; 24]] {
        let mut rig = Rig::new();
        rig.put_many(40, 2);
        rig.put(plain(2, 5_000));
        let expected = read_all(&rig.log, Offset(0), 300);
        rig.log.close().unwrap();
        let damaged = rig.names().into_iter().filter(|name| name.ends_with("index"));
        for name in damaged.collect::<Vec<_>>() {
            let file = rig.fs.shared().open(&dir().join(&name), crate::rt::fs::Open::Truncate).unwrap();
            file.write_all_at(&mut [std::io::IoSlice::new(&content)], 0).unwrap();
        }
        rig.log = rig.open_again(true);
        assert_eq!(read_all(&rig.log, Offset(0), 300), expected);
        assert_eq!(rig.put(plain(1, 6_000)), 82);
        assert_eq!(rig.log.offset_for_timestamp(TimestampMs(6_000)).unwrap().unwrap().offset, Offset(82));
        rig.reopen();
        assert_eq!(rig.put(plain(1, 0)), 83);
    }
}
