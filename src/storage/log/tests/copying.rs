use super::*;

fn copy_dir() -> PathBuf {
    PathBuf::from("/other/t-0.0123-future")
}

fn begin(rig: &Rig) -> FutureLog {
    FutureLog::create(OpenLog { dir: copy_dir(), ..open(&rig.fs, &rig.config) }, &rig.log).unwrap()
}

/// Copies until there is no more.
fn catch_up(rig: &Rig, copy: &mut FutureLog, max_bytes: usize) {
    loop {
        match rig.log.piece(copy, max_bytes).unwrap() {
            Piece::Bytes(slice) => {
                let mut bytes = vec![0; slice.len];
                slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
                copy.append(bytes.into(), NOW).unwrap();
            }
            Piece::StartAgain => copy.start_again(&rig.log, NOW).unwrap(),
            Piece::End => return,
        }
    }
}

/// The copy in use, in place of the log.
fn finish(rig: &mut Rig, copy: FutureLog) -> Log {
    copy.finish(&rig.log, NOW).unwrap();
    let mut open = OpenLog { dir: copy_dir(), ..open(&rig.fs, &rig.config) };
    (open.recovery_point, open.log_start) = (rig.log.log_end(), rig.log.log_start());
    Log::open(open).unwrap()
}

fn assert_same(copy: &Log, log: &Log) {
    assert_eq!((copy.log_start(), copy.log_end()), (log.log_start(), log.log_end()));
    assert_eq!(bytes(copy), bytes(log));
    assert_eq!(copy.producers().unwrap(), log.producers().unwrap());
    let (from, to) = (log.log_start(), log.log_end());
    // An epoch without a record is assigned again by whoever opens the log.
    let epochs =
        |log: &Log| log.load_epochs().unwrap().entries().iter().copied().filter(|e| e.start < to).collect::<Vec<_>>();
    assert_eq!(epochs(copy), epochs(log));
    assert_eq!(copy.aborted_transactions(from, to).unwrap(), log.aborted_transactions(from, to).unwrap());
    assert_eq!(copy.first_unstable_offset().unwrap(), log.first_unstable_offset().unwrap());
    assert_eq!(copy.max_timestamp().unwrap(), log.max_timestamp().unwrap());
}

fn bytes(log: &Log) -> Vec<u8> {
    let mut all = Vec::new();
    let mut at = log.log_start();
    while let Some(slice) = log.read(at, 1000, log.log_end(), true).unwrap() {
        let from = all.len();
        all.resize(from + slice.len, 0);
        slice.file.read_exact_at(&mut all[from..], slice.pos).unwrap();
        at = slice.upper_bound;
    }
    all
}

#[test]
fn a_copy_has_the_same_batches_epochs_producers_and_transactions() {
    let mut rig = Rig::new();
    rig.put_many(20, 3);
    rig.put(from_producer(1, 0, 0, 4));
    rig.put(in_transaction(2, 0, 0, 2));
    end_transaction(&mut rig, Marker::Abort, 2, 0);
    rig.log.assign_epoch(LeaderEpoch(3)).unwrap();
    rig.log.append(&mut [plain(5, 70)], LeaderEpoch(3), NOW).remove(0).unwrap();
    let mut copy = begin(&rig);
    catch_up(&rig, &mut copy, 700);
    rig.log.append(&mut [in_transaction(2, 0, 2, 2)], LeaderEpoch(3), NOW).remove(0).unwrap();
    assert!(copy.end() < rig.log.log_end());
    catch_up(&rig, &mut copy, 700);
    rig.log.high_watermark_advanced(rig.log.log_end());
    let copy = finish(&mut rig, copy);
    assert!(copy.segment_count() > 1);
    assert_same(&copy, &rig.log);
}

#[test]
fn a_copy_of_an_empty_log_begins_where_it_begins() {
    let mut rig = Rig::new();
    let copy = begin(&rig);
    let copy = finish(&mut rig, copy);
    assert_same(&copy, &rig.log);

    let mut rig = Rig::with(TopicConfig { retention_ms: 0, ..small() });
    rig.put_many(30, 1);
    rig.log.apply_retention(Offset(30), NOW.plus(100_000)).unwrap();
    assert_eq!(rig.log.log_start(), Offset(30));
    let mut copy = begin(&rig);
    catch_up(&rig, &mut copy, 700);
    let mut copy = finish(&mut rig, copy);
    assert_same(&copy, &rig.log);
    assert_eq!(copy.append(&mut [plain(1, 0)], LeaderEpoch(0), NOW).remove(0).unwrap().first, Offset(30));
}

#[test]
fn a_copy_of_a_log_that_starts_inside_of_a_batch_starts_there() {
    let mut rig = Rig::new();
    rig.put_many(40, 5);
    rig.log.delete_records(Offset(103)).unwrap();
    let mut copy = begin(&rig);
    catch_up(&rig, &mut copy, 700);
    let copy = finish(&mut rig, copy);
    assert_same(&copy, &rig.log);
    assert!(matches!(
        copy.read(Offset(102), 100, copy.log_end(), true),
        Err(crate::storage::ReadError::OutOfRange { .. })
    ));
}

#[test]
fn a_copy_begins_again_when_the_start_overtakes_it() {
    let mut rig = Rig::with(TopicConfig { retention_bytes: 4000, retention_ms: -1, ..small() });
    rig.put_many(20, 2);
    let mut copy = begin(&rig);
    catch_up(&rig, &mut copy, 700);
    rig.put_many(60, 2);
    rig.log.apply_retention(rig.log.log_end(), NOW).unwrap();
    assert!(rig.log.log_start() > copy.end());
    catch_up(&rig, &mut copy, 700);
    let copy = finish(&mut rig, copy);
    assert_same(&copy, &rig.log);
}

#[test]
fn a_copy_begins_again_when_the_log_is_cut() {
    let mut rig = Rig::new();
    rig.put_many(20, 2);
    let mut copy = begin(&rig);
    catch_up(&rig, &mut copy, 700);
    rig.log.truncate_to(Offset(30), NOW).unwrap();
    // As long as before, but with other records.
    rig.put_many(10, 1);
    catch_up(&rig, &mut copy, 700);
    let copy = finish(&mut rig, copy);
    assert_same(&copy, &rig.log);
}

#[test]
fn producers_whose_records_are_gone_are_taken_along_and_known_after_a_crash() {
    let mut rig = Rig::with(TopicConfig { retention_ms: 0, ..small() });
    rig.put(from_producer(7, 0, 0, 2));
    rig.log.apply_retention(rig.log.log_end(), NOW.plus(100_000)).unwrap();
    assert_eq!(rig.log.log_start(), Offset(2));
    rig.config.retention_ms = -1;
    rig.put_many(3, 1);
    let mut copy = begin(&rig);
    catch_up(&rig, &mut copy, 700);
    let copy = finish(&mut rig, copy);
    assert_same(&copy, &rig.log);
    let mut again = OpenLog { dir: copy_dir(), clean: false, ..open(&rig.fs, &rig.config) };
    (again.log_start, again.recovery_point) = (copy.log_start(), copy.recovery_point());
    drop(copy);
    assert_same(&Log::open(again).unwrap(), &rig.log);
}

#[test]
fn a_batch_larger_than_the_segments_have_become_is_copied() {
    let mut rig = Rig::new();
    rig.put(plain(20, 0));
    rig.config.segment_bytes = 500;
    rig.log.set_config(Arc::new(rig.config.clone()));
    rig.put_many(10, 1);
    let mut copy = begin(&rig);
    catch_up(&rig, &mut copy, 700);
    let copy = finish(&mut rig, copy);
    assert_same(&copy, &rig.log);
}

#[test]
fn bytes_with_a_bad_crc_are_not_copied() {
    let mut rig = Rig::new();
    rig.put_many(3, 1);
    let file = rig.fs.shared().open(&dir().join("00000000000000000000.log"), crate::rt::fs::Open::ReadWrite).unwrap();
    file.write_all_at(&mut [std::io::IoSlice::new(b"x")], 100).unwrap();
    let mut copy = begin(&rig);
    let Piece::Bytes(slice) = rig.log.piece(&copy, 1000).unwrap() else { panic!("nothing to copy") };
    let mut bytes = vec![0; slice.len];
    slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
    assert!(matches!(copy.append(bytes.into(), NOW), Err(FutureError::Source(_))));
}
