#![allow(clippy::unwrap_used)]

use super::*;
use std::collections::BTreeSet;

fn write(file: &Arc<dyn File>, pos: u64, bytes: &[u8]) {
    file.write_all_at(&mut [IoSlice::new(bytes)], pos).unwrap();
}

fn create(fs: &SimFs, path: &str) -> Arc<dyn File> {
    fs.open(Path::new(path), Open::Create).unwrap()
}

/// A file whose name is durable.
fn known(fs: &SimFs, path: &str) -> Arc<dyn File> {
    let file = create(fs, path);
    fs.sync_dir(Path::new(path).parent().unwrap()).unwrap();
    file
}

fn content(fs: &SimFs, path: &str) -> Vec<u8> {
    fs.read(Path::new(path)).unwrap()
}

#[test]
fn what_was_synced_survives_a_crash_and_the_rest_need_not() {
    let fs = SimFs::new();
    let file = known(&fs, "/a");
    write(&file, 0, b"kept");
    file.sync_data().unwrap();
    write(&file, 4, b"lost");
    assert_eq!(content(&fs, "/a"), b"keptlost");
    fs.crash_losing_all();
    assert_eq!(content(&fs, "/a"), b"kept");
}

#[test]
fn a_new_name_is_durable_only_after_its_directory_was_synced() {
    let fs = SimFs::new();
    let file = create(&fs, "/a");
    write(&file, 0, b"x");
    file.sync_data().unwrap();
    fs.crash_losing_all();
    assert!(!fs.exists(Path::new("/a")));
}

#[test]
fn a_rename_is_durable_only_after_its_directory_was_synced_and_takes_the_content_along() {
    let fs = SimFs::new();
    fs.create_dir_all(Path::new("/d")).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    let file = known(&fs, "/d/a");
    write(&file, 0, b"x");
    file.sync_data().unwrap();
    fs.rename(Path::new("/d"), Path::new("/e")).unwrap();
    assert_eq!(content(&fs, "/e/a"), b"x");
    fs.crash_losing_all();
    assert_eq!(content(&fs, "/d/a"), b"x");
    fs.rename(Path::new("/d"), Path::new("/e")).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    fs.crash_losing_all();
    assert_eq!(content(&fs, "/e/a"), b"x");
    assert!(!fs.exists(Path::new("/d")));
}

#[test]
fn a_removed_file_is_back_after_a_crash_unless_its_directory_was_synced() {
    let fs = SimFs::new();
    let file = known(&fs, "/a");
    write(&file, 0, b"x");
    file.sync_data().unwrap();
    fs.remove_file(Path::new("/a")).unwrap();
    assert!(!fs.exists(Path::new("/a")));
    fs.crash_losing_all();
    assert_eq!(content(&fs, "/a"), b"x");
    fs.remove_file(Path::new("/a")).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    fs.crash_losing_all();
    assert!(!fs.exists(Path::new("/a")));
}

#[test]
fn syncing_the_volume_makes_contents_and_names_durable() {
    let fs = SimFs::new();
    fs.create_dir_all(Path::new("/d")).unwrap();
    write(&create(&fs, "/d/a"), 0, b"x");
    fs.volume(Path::new("/")).unwrap().sync().unwrap();
    fs.crash_losing_all();
    assert_eq!(content(&fs, "/d/a"), b"x");
}

#[test]
fn a_file_that_is_overwritten_atomically_is_the_old_or_the_new_one_whenever_the_power_fails() {
    for n in 1.. {
        let fs = SimFs::new();
        fs.write_atomic(Path::new("/a"), b"old").unwrap();
        fs.crash_at_sync(fs.syncs() + n);
        let done = fs.write_atomic(Path::new("/a"), b"newer").is_ok();
        for seed in 0..20 {
            fs.crash(seed);
            let found = content(&fs, "/a");
            assert!(found == b"old" || found == b"newer", "sync {n}, seed {seed}: {found:?}");
            assert!(!done || found == b"newer", "sync {n}, seed {seed}: an acknowledged write is gone");
        }
        if done {
            assert!(n > 2, "the two syncs of an atomic write were not both visited");
            return;
        }
    }
}

#[test]
fn at_the_chosen_sync_the_power_goes_and_everything_fails_until_the_crash() {
    let fs = SimFs::new();
    let file = known(&fs, "/a");
    fs.crash_at_sync(3);
    write(&file, 0, b"1");
    file.sync_data().unwrap();
    write(&file, 1, b"2");
    assert!(file.sync_data().is_err());
    assert!(fs.is_off());
    assert!(file.read_at(&mut [0], 0).is_err());
    assert!(fs.open(Path::new("/a"), Open::Read).is_err());
    fs.crash_losing_all();
    assert_eq!(content(&fs, "/a"), b"1");
    assert!(file.read_at(&mut [0], 0).is_err(), "a handle of the earlier life still works");
}

#[test]
fn a_crash_may_keep_any_part_of_unsynced_writes_and_tear_the_last() {
    let mut seen = BTreeSet::new();
    for seed in 0..400 {
        let fs = SimFs::new();
        let file = known(&fs, "/a");
        write(&file, 0, b"aa");
        write(&file, 2, b"bb");
        fs.crash(seed);
        seen.insert(content(&fs, "/a"));
    }
    let whole: [&[u8]; 6] = [b"", b"aa", b"aabb", b"\0\0bb", b"a", b"aab"];
    for expected in whole {
        assert!(seen.contains(expected), "{expected:?} was never left");
    }
}

#[test]
fn the_same_seed_gives_the_same_crash() {
    let run = |seed| {
        let fs = SimFs::new();
        let file = known(&fs, "/a");
        for i in 0..50u8 {
            write(&file, u64::from(i) * 3, &[i; 3]);
            create(&fs, &format!("/f{i}"));
        }
        fs.crash(seed);
        (content(&fs, "/a"), fs.read_dir(Path::new("/")).unwrap())
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_failed_sync_loses_its_writes_even_if_the_next_one_succeeds() {
    let fs = SimFs::new();
    let file = known(&fs, "/a");
    write(&file, 0, b"x");
    fs.fail_sync(1);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(content(&fs, "/a"), b"x");
    fs.crash(1);
    assert_eq!(content(&fs, "/a"), b"");
}

#[test]
fn a_failed_write_changes_nothing() {
    let fs = SimFs::new();
    let file = create(&fs, "/a");
    fs.fail_write(2);
    write(&file, 0, b"x");
    assert!(file.write_all_at(&mut [IoSlice::new(b"y")], 1).is_err());
    assert_eq!(content(&fs, "/a"), b"x");
    write(&file, 1, b"z");
}

#[test]
fn a_full_volume_takes_what_fits_and_says_so() {
    let fs = SimFs::new();
    let file = create(&fs, "/a");
    fs.set_capacity(6);
    write(&file, 0, b"1234");
    let full = file.write_all_at(&mut [IoSlice::new(b"56"), IoSlice::new(b"78")], 4).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(content(&fs, "/a"), b"123456");
    assert_eq!(fs.space(Path::new("/")).unwrap(), Space { total: 6, usable: 0 });
    write(&file, 0, b"over");
    fs.remove_file(Path::new("/a")).unwrap();
    assert_eq!(fs.space(Path::new("/")).unwrap().usable, 6);
}

#[test]
fn a_lock_is_exclusive_until_it_is_dropped_or_the_power_fails() {
    let fs = SimFs::new();
    let path = Path::new("/.lock");
    let held = fs.lock(path).unwrap();
    assert_eq!(fs.lock(path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(held);
    let held = fs.lock(path).unwrap();
    fs.crash(0);
    let again = fs.lock(path).unwrap();
    drop(held);
    assert!(fs.lock(path).is_err(), "a lock of an earlier life freed this one");
    drop(again);
}

#[test]
fn cold_reads_would_block() {
    let fs = SimFs::new();
    let file = create(&fs, "/a");
    write(&file, 0, b"x");
    fs.set_cold(true);
    assert_eq!(file.read_at_nowait(&mut [0], 0).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(file.read_at(&mut [0; 4], 0).unwrap(), 1);
}

#[test]
fn what_a_killed_process_wrote_is_there_and_what_it_was_about_to_write_is_not() {
    let fs = SimFs::new();
    let file = known(&fs, "/a");
    fs.kill_process_at_write(2);
    write(&file, 0, b"1");
    assert!(file.write_all_at(&mut [IoSlice::new(b"2")], 1).is_err());
    assert!(fs.is_off() && file.read_at(&mut [0], 0).is_err());
    fs.restart_process();
    assert_eq!(content(&fs, "/a"), b"1");
    assert!(file.read_at(&mut [0], 0).is_err(), "a handle of the earlier life still works");
    write(&create(&fs, "/a"), 1, b"3");
    assert_eq!(content(&fs, "/a"), b"13");
}
