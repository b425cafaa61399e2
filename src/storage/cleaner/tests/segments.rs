//! What becomes of segments and their files.

use super::*;

fn live(rig: &Rig, suffix: &str) -> Vec<i64> {
    let names = rig.names();
    names.iter().filter_map(|name| name.strip_suffix(suffix)?.parse().ok()).collect()
}

#[test]
fn small_segments_become_one_that_begins_where_the_first_did() {
    let rig = Rig::new();
    for n in 0..40 {
        rig.put(&(n % 5).to_string(), Some(&n.to_string()));
    }
    rig.roll();
    // Each of them is as large as a segment may be; what is left of them is not.
    rig.clean().unwrap();
    rig.put("0", Some("last"));
    rig.roll();
    let before = live(&rig, ".log");
    let cleaned = rig.clean().unwrap();
    let after = live(&rig, ".log");
    assert!(after.len() <= before.len() / 2, "{before:?} {after:?}");
    assert_eq!((after[0], after.last()), (0, before.last()));
    assert_eq!((cleaned.segments_before, cleaned.segments_after), (before.len() - 1, after.len() - 1));
    assert_eq!(live(&rig, ".index"), after);
    assert_eq!(live(&rig, ".timeindex"), after);
    assert!(live(&rig, ".snapshot").iter().all(|base| after.contains(base)));
    assert!(live(&rig, ".cleaned").is_empty() && rig.names().iter().all(|name| !name.contains(".swap")));
}

#[test]
fn the_old_files_go_when_their_delay_is_over() {
    let rig = Rig::new();
    rig.put("a", Some("1"));
    rig.roll();
    rig.roll();
    rig.clean().unwrap();
    let deleted = |rig: &Rig| rig.names().iter().filter(|name| name.ends_with(".deleted")).count();
    assert!(deleted(&rig) >= 3);
    rig.log.lock().reap(TimestampMs(i64::MAX)).unwrap();
    assert_eq!(deleted(&rig), 0);
}

#[test]
fn a_reader_that_holds_a_segment_reads_on_in_it() {
    let rig = Rig::new();
    rig.put("a", Some("1"));
    rig.put("a", Some("2"));
    rig.roll();
    rig.roll();
    let slice = rig.log.lock().read(Offset(0), 200, Offset(2), true).unwrap().unwrap();
    rig.clean().unwrap();
    rig.log.lock().reap(TimestampMs(i64::MAX)).unwrap();
    let mut bytes = vec![0; slice.len];
    slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
    assert_eq!(Slices::new(&bytes).map(|batch| batch.unwrap().0.base_offset.0).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_consumer_finds_its_way_over_the_gaps() {
    let rig = Rig::new();
    for n in 0..60 {
        rig.put(&(n % 3).to_string(), Some(&n.to_string()));
    }
    rig.roll();
    rig.roll();
    rig.clean().unwrap();
    let log = rig.log.lock();
    for from in 0..57 {
        let mut at = Offset(from);
        // Where a segment ended there may be an empty batch.
        loop {
            let slice = log.read(at, 1, log.log_end(), true).unwrap().unwrap();
            let mut bytes = vec![0; slice.len];
            slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
            let header = Slices::new(&bytes).next().unwrap().unwrap().0;
            assert!(header.last_offset() >= at);
            at = header.next_offset();
            if header.record_count > 0 {
                assert_eq!(header.base_offset, Offset(57), "from {from}");
                break;
            }
        }
        assert_eq!(log.offset_for_timestamp(NOW).unwrap().unwrap().offset, Offset(57));
    }
}

#[test]
fn a_log_that_was_cleaned_opens_again_however_it_was_closed() {
    for policy_stays in [true, false] {
        for clean in [true, false] {
            let mut rig = Rig::new();
            for n in 0..60 {
                rig.put(&(n % 3).to_string(), Some(&n.to_string()));
            }
            rig.roll();
            rig.clean().unwrap();
            let rows = rig.rows();
            (rig.config.cleanup_compact, rig.config.cleanup_delete) = (policy_stays, !policy_stays);
            rig.reopen(clean, Offset::ZERO);
            assert_eq!(rig.rows(), rows, "clean {clean}, still compacted {policy_stays}");
            assert!(rig.log.lock().cleaned_to().is_some());
        }
    }
}

#[test]
fn a_log_that_was_cut_meanwhile_is_left_alone() {
    let rig = Rig::new();
    for n in 0..30 {
        rig.put(&(n % 3).to_string(), Some(&n.to_string()));
    }
    rig.roll();
    rig.flush();
    let barrier = rig.log.lock().cleaning_barrier().unwrap().1;
    let plan = rig.log.lock().plan_cleaning(&barrier, NOW).unwrap().unwrap();
    rig.log.lock().truncate_to(Offset(10), NOW).unwrap();
    let rows = rig.rows();
    let new = Replacement {
        base: Offset(0),
        kinds: Vec::new(),
        size: 0,
        largest: crate::storage::segment::Largest::none(Offset(0)),
    };
    assert!(rig.log.lock().plan_cleaning(&barrier, NOW).unwrap().is_none());
    assert!(!rig.log.lock().replace(&plan, 0..2, &new, NOW).unwrap());
    assert!(rig.log.lock().cleaning_source(&plan, Offset(0), Offset(0)).unwrap().is_none());
    assert_eq!(rig.rows(), rows);
}

#[test]
fn a_cleaning_that_is_given_up_at_any_point_leaves_the_log_whole() {
    for patience in 0.. {
        let rig = Rig::new();
        for n in 0..40 {
            rig.put(&(n % 5).to_string(), Some(&n.to_string()));
        }
        rig.roll();
        let last: Vec<Row> = rig.rows().split_off(35);
        rig.patience.set(patience);
        let outcome = clean(&rig, &MEANS, NOW);
        rig.patience.set(u32::MAX);
        assert!(rig.rows().ends_with(&last), "given up after {patience} calls");
        assert!(rig.names().iter().all(|name| !name.ends_with(".cleaned") && !name.ends_with(".swap")));
        match outcome {
            Err(Stop::Aborted) => assert_eq!(rig.log.lock().cleaned_to(), None),
            other => {
                assert!(other.unwrap().is_some() && patience > 10);
                return;
            }
        }
        rig.clean().unwrap();
        assert_eq!(rig.rows()[..5], last[..5]);
    }
}

#[test]
fn a_full_disk_leaves_the_log_as_it_was() {
    let rig = Rig::new();
    for n in 0..40 {
        rig.put(&n.to_string(), Some(&n.to_string()));
    }
    rig.roll();
    let rows = rig.rows();
    let used = rig.fs.shared().space(&dir()).unwrap();
    rig.fs.set_capacity(used.total - used.usable + 100);
    match clean(&rig, &MEANS, NOW) {
        Err(Stop::Storage(error)) => assert!(error.will_pass(), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.rows(), rows);
    rig.fs.set_capacity(u64::MAX / 2);
    rig.clean().unwrap();
    assert_eq!(rig.rows(), rows);
}

#[test]
fn damage_ends_a_cleaning_and_is_not_copied() {
    let rig = Rig::new();
    for n in 0..10 {
        rig.put("a", Some(&n.to_string()));
    }
    rig.roll();
    rig.flush();
    let path = dir().join("00000000000000000000.log");
    let file = rig.fs.shared().open(&path, crate::rt::fs::Open::ReadWrite).unwrap();
    file.write_all_at(&mut [std::io::IoSlice::new(b"?")], 70).unwrap();
    match clean(&rig, &MEANS, NOW) {
        Err(Stop::Storage(StorageError::Corrupt { path: named, .. })) => assert_eq!(named, path),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.log.lock().cleaned_to(), None);
}

#[test]
fn what_is_not_on_disk_is_made_durable_before_it_supersedes_anything() {
    let rig = Rig::new();
    rig.put("a", Some("1"));
    rig.flush();
    rig.put("a", Some("2"));
    rig.roll();
    rig.roll();
    rig.clean().unwrap();
    assert!(rig.log.lock().recovery_point() >= Offset(3));
    rig.fs.crash_losing_all();
    rig.reopen(false, Offset::ZERO);
    assert_eq!(rig.shown(), ["1:a=2"]);
}

#[test]
fn a_swap_that_left_nothing_replaces_what_it_was_made_from() {
    let rig = Rig::new();
    rig.put("a", Some("1"));
    rig.roll();
    rig.put("b", Some("1"));
    rig.log.lock().close().unwrap();
    let fs = rig.fs.shared();
    for kind in ["log", "index", "timeindex"] {
        fs.open(&dir().join(format!("00000000000000000000.{kind}.swap")), crate::rt::fs::Open::Create).unwrap();
    }
    *rig.log.lock() = Log::open(open(&rig.fs, &rig.config)).unwrap();
    assert_eq!(rig.shown(), ["2:b=1"]);
}

#[test]
fn a_log_that_is_cut_is_clean_no_further_than_it_goes() {
    let rig = Rig::new();
    for n in 0..30 {
        rig.put(&(n % 3).to_string(), Some(&n.to_string()));
    }
    rig.roll();
    rig.clean().unwrap();
    let mut log = rig.log.lock();
    let reached = log.cleaned_to().unwrap();
    log.truncate_to(reached.plus(-1), NOW).unwrap();
    assert!(log.cleaned_to().unwrap() <= log.log_end() && log.log_end() < reached);
    log.truncate_and_restart_at(Offset(500), NOW).unwrap();
    assert_eq!(log.cleaned_to(), None);
    log.set_cleaned_to(Some(Offset(501)));
    assert_eq!(log.cleaned_to(), None, "it was taken for clean beyond its end");
}

#[test]
fn a_loss_at_the_end_of_a_segment_that_was_not_cleaned_is_no_gap_of_a_cleaning() {
    let rig = Rig::new();
    for n in 0..30 {
        rig.put(&n.to_string(), Some("x"));
    }
    rig.log.lock().close().unwrap();
    let path = dir().join("00000000000000000000.log");
    let file = rig.fs.shared().open(&path, crate::rt::fs::Open::ReadWrite).unwrap();
    let first = rig.batches()[0].0.size() as u64;
    file.set_len(file.len().unwrap() - first).unwrap();
    *rig.log.lock() = Log::open(OpenLog { clean: false, ..open(&rig.fs, &rig.config) }).unwrap();
    let rows = rig.rows();
    assert!(!rows.is_empty() && rows.len() < 10, "{} records are left", rows.len());
    assert!(rows.iter().zip(0..).all(|(row, n)| row.offset == n));
}
