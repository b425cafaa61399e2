use super::*;
use crate::record::Compression;
use crate::storage::ReadError;

#[test]
fn an_offset_inside_a_batch_gives_the_whole_batch() {
    let mut rig = Rig::new();
    rig.put_many(3, 4);
    for clean in [false, true] {
        let slice = rig.log.read(Offset(6), 1 << 20, Offset(12), true).unwrap().unwrap();
        assert_eq!(headers(&slice)[0].base_offset, Offset(4));
        if !clean {
            rig.reopen();
        }
    }
}

#[test]
fn offsets_outside_of_the_log_are_out_of_range_and_its_end_is_nothing_yet() {
    let mut rig = Rig::new();
    rig.put_many(2, 5);
    rig.log.delete_records(Offset(3)).unwrap();
    for bad in [-1, 0, 2, 11] {
        assert!(matches!(rig.log.read(Offset(bad), 100, Offset(10), true), Err(ReadError::OutOfRange { .. })), "{bad}");
    }
    assert!(rig.log.read(Offset(10), 100, Offset(10), true).unwrap().is_none());
    assert!(rig.log.read(Offset(3), 100, Offset(10), true).unwrap().is_some());
}

#[test]
fn nothing_at_or_behind_the_end_is_given() {
    let mut rig = Rig::new();
    rig.put_many(30, 3);
    for reopened in [false, true] {
        for end in (0..=90).step_by(3) {
            for from in [0, 1, 40, 75] {
                let slice = rig.log.read(Offset(from), 1 << 20, Offset(end), true).unwrap();
                let Some(slice) = slice else {
                    assert!(from >= end);
                    continue;
                };
                let last = headers(&slice).last().unwrap().next_offset();
                let segment_end = rig.log.segment_end(rig.log.segment_of(Offset(from)));
                assert_eq!(last, Offset(end).min(segment_end), "{from}..{end}");
                assert_eq!(slice.upper_bound, last);
            }
        }
        if !reopened {
            rig.reopen();
        }
    }
}

#[test]
fn max_bytes_cuts_between_batches_but_never_below_one() {
    let mut rig = Rig::new();
    rig.put_many(8, 1);
    let size = plain(1, 0).size();
    for reopened in [false, true] {
        let len = |max, min_one| rig.log.read(Offset(0), max, Offset(8), min_one).unwrap().map(|slice| slice.len);
        // Once it is only on disk, the last index entry within the limit is good enough.
        assert!(len(size * 3 + 1, true) == Some(size * 3) || (reopened && len(size * 3 + 1, true) == Some(size * 2)));
        assert_eq!(len(size - 1, true), Some(size));
        assert_eq!(len(0, true), Some(size));
        assert_eq!(len(size - 1, false), None);
        assert_eq!(len(size, false), Some(size));
        if !reopened {
            rig.reopen();
        }
    }
}

#[test]
fn a_read_at_the_tail_touches_no_file() {
    let mut rig = Rig::with(TopicConfig { segment_bytes: 100_000, ..small() });
    rig.put_many(100, 2);
    let dir = dir();
    // Without its files the log can answer only from memory.
    for name in rig.names() {
        rig.fs.shared().remove_file(&dir.join(name)).unwrap();
    }
    rig.log.files.forget_all();
    let slice = rig.log.read(Offset(151), 1 << 20, Offset(200), true).unwrap().unwrap();
    assert_eq!(headers(&slice).len(), 25);
    let slice = rig.log.read(Offset(151), 400, Offset(180), true).unwrap().unwrap();
    assert_eq!((headers(&slice).len(), slice.upper_bound), (2, Offset(154)));
}

#[test]
fn an_index_that_lies_costs_time_and_nothing_else() {
    let mut rig = Rig::with(TopicConfig { segment_bytes: 100_000, ..small() });
    rig.put_many(200, 3);
    let expected = read_all(&rig.log, Offset(0), 500);
    rig.log.close().unwrap();
    let path = dir().join("00000000000000000000.index");
    let good = rig.fs.shared().read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x15;
        let file = rig.fs.shared().open(&path, crate::rt::fs::Open::ReadWrite).unwrap();
        file.write_all_at(&mut [std::io::IoSlice::new(&bad)], 0).unwrap();
        rig.log = rig.open_again(true);
        for from in [0, 77, 300, 598] {
            let got = read_all(&rig.log, Offset(from), 500);
            assert_eq!(got, expected[from as usize / 3..], "byte {at} from {from}");
        }
    }
}

#[test]
fn a_time_is_searched_inside_batches_and_across_segments() {
    let mut rig = Rig::new();
    for n in 0..40 {
        rig.put(plain(5, n * 100));
    }
    for reopened in [false, true] {
        let at =
            |target| rig.log.offset_for_timestamp(TimestampMs(target)).unwrap().map(|t| (t.offset.0, t.timestamp.0));
        assert_eq!(at(0), Some((0, 0)));
        assert_eq!(at(1203), Some((63, 1203)));
        assert_eq!(at(1205), Some((65, 1300)));
        assert_eq!(at(3904), Some((199, 3904)));
        assert_eq!(at(3905), None);
        let max = rig.log.max_timestamp().unwrap().unwrap();
        assert_eq!(
            (max.offset, max.timestamp, max.leader_epoch),
            (Offset(199), TimestampMs(3904), Some(LeaderEpoch(0)))
        );
        if !reopened {
            rig.reopen();
        }
    }
}

#[test]
fn times_that_go_back_find_the_first_record_that_is_late_enough() {
    let mut rig = Rig::new();
    for time in [500, 100, 900, 200, 900, 300] {
        rig.put(plain(1, time));
    }
    let at = |target| rig.log.offset_for_timestamp(TimestampMs(target)).unwrap().unwrap().offset.0;
    assert_eq!((at(100), at(501), at(900)), (0, 2, 2));
    assert_eq!(rig.log.max_timestamp().unwrap().unwrap().offset, Offset(2));
}

#[test]
fn a_time_is_not_found_below_the_log_start() {
    let mut rig = Rig::new();
    rig.put(plain(10, 100));
    rig.log.delete_records(Offset(5)).unwrap();
    assert_eq!(rig.log.offset_for_timestamp(TimestampMs(100)).unwrap().unwrap().offset, Offset(5));
}

#[test]
fn a_compressed_batch_is_opened_and_one_that_cannot_be_counts_as_a_whole() {
    let mut rig = Rig::new();
    rig.put(build(BatchBuilder::new(Offset(0)).compressed(Compression::Zstd), 10, 100));
    let at = |rig: &Rig, target| rig.log.offset_for_timestamp(TimestampMs(target)).unwrap().unwrap();
    assert_eq!(at(&rig, 107).offset, Offset(7));
    // A batch whose records do not decompress, with a right CRC.
    let good = build(BatchBuilder::new(Offset(0)).compressed(Compression::Gzip), 10, 200).to_bytes();
    let mut bad = good.to_vec();
    bad[61..].fill(0xee);
    let crc = crate::record::crc32c(&bad[21..]);
    bad[17..21].copy_from_slice(&crc.to_be_bytes());
    rig.put(Batch::verify(bad.into()).unwrap());
    assert_eq!((at(&rig, 205).offset, at(&rig, 205).timestamp), (Offset(10), TimestampMs(209)));
}

#[test]
fn an_empty_log_has_no_times_and_no_epochs() {
    let rig = Rig::new();
    assert!(rig.log.max_timestamp().unwrap().is_none());
    assert!(rig.log.offset_for_timestamp(TimestampMs(0)).unwrap().is_none());
    assert!(rig.log.latest_epoch().unwrap().is_none());
    assert!(rig.log.read(Offset(0), 10, Offset(0), true).unwrap().is_none());
}

#[test]
fn epochs_tell_who_wrote_what() {
    let mut rig = Rig::new();
    rig.log.append(&mut [plain(5, 0)], LeaderEpoch(1), NOW);
    rig.log.assign_epoch(LeaderEpoch(3)).unwrap();
    rig.log.append(&mut [plain(5, 0)], LeaderEpoch(3), NOW);
    for reopened in [false, true] {
        let end = |epoch| rig.log.end_offset_for_epoch(LeaderEpoch(epoch)).unwrap().map(|end| (end.epoch.0, end.end.0));
        assert_eq!((end(1), end(2), end(3), end(4)), (Some((1, 5)), Some((1, 5)), Some((3, 10)), None));
        assert_eq!(rig.log.epoch_at(Offset(4)).unwrap(), Some(LeaderEpoch(1)));
        assert_eq!(rig.log.epoch_at(Offset(5)).unwrap(), Some(LeaderEpoch(3)));
        if !reopened {
            rig.reopen();
        }
    }
}
