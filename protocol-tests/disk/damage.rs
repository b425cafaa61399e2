//! Directories that are not as they were left: torn, flipped, missing, padded.
//!
//! The broker opens them, serves what is valid up to the first fault, and goes on from there. Clients check every
//! CRC, so a bad batch that was served would be an error of the read.

use super::*;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

const SIZE: usize = 1000;

/// A topic of one partition with some segments, and where it lies. Every record is a batch of its own.
async fn written(settings: &[&str]) -> (Broker, PathBuf, Ledger) {
    let broker = Broker::with(settings);
    create(&broker, "t", 1, &[]).await;
    let mut ledger = Ledger::default();
    let producer = blunt_producer(&broker);
    let values: Vec<String> = (0..200).map(|n| value(n, SIZE)).collect();
    let sent = values.iter().map(|value| send(&producer, "t", 0, value));
    for (offset, value) in futures_util::future::join_all(sent).await.into_iter().zip(values) {
        ledger.note("t", 0, offset.unwrap(), value);
    }
    let dir = broker.data_dir().join("data/t-0");
    (broker, dir, ledger)
}

/// An index of ten entries is full after ten batches: about twenty segments.
const SEGMENTS: [&str; 2] = ["log.index.size.max.bytes=80", "log.index.interval.bytes=1"];

fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    names(dir).into_iter().filter(|name| name.ends_with(suffix)).map(|name| dir.join(name)).collect()
}

fn active_log(dir: &Path) -> PathBuf {
    files(dir, ".log").pop().unwrap()
}

fn open(path: &Path) -> std::fs::File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// Flips a bit of the byte at `back` from the end.
fn flip(path: &Path, back: u64) {
    let file = open(path);
    let at = file.metadata().unwrap().len() - back;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

/// What is there is what was written, `count` records of it; and the next one follows.
async fn assert_holds(broker: &Broker, ledger: &Ledger, count: usize) {
    let records = read_all(broker, "t", 0);
    assert_eq!(records.len(), count);
    for (record, (_, _, offset, value)) in records.iter().zip(&ledger.0) {
        assert_eq!((record.offset(), record.payload()), (*offset, Some(value.as_bytes())));
    }
    let next = send(&blunt_producer(broker), "t", 0, "next").await.unwrap();
    assert_eq!(next, i64::try_from(count).unwrap());
    assert_eq!(read_all(broker, "t", 0).len(), count + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_behind_the_end_is_cut_off() {
    let (mut broker, dir, ledger) = written(&[]).await;
    broker.kill();
    let log = active_log(&dir);
    let end = std::fs::metadata(&log).unwrap().len();
    open(&log).write_all_at(&[0xa5; 5000], end).unwrap();
    broker.start_again();
    assert_holds(&broker, &ledger, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zeros_behind_the_end_are_cut_off() {
    let (mut broker, dir, ledger) = written(&[]).await;
    broker.kill();
    let log = open(&active_log(&dir));
    log.set_len(log.metadata().unwrap().len() + (1 << 20)).unwrap();
    broker.start_again();
    assert_holds(&broker, &ledger, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_batch_at_the_end_is_cut_off_and_the_rest_served() {
    for torn in [1, 60, 500, SIZE as u64 + 60] {
        let (mut broker, dir, ledger) = written(&[]).await;
        broker.kill();
        let log = open(&active_log(&dir));
        log.set_len(log.metadata().unwrap().len() - torn).unwrap();
        broker.start_again();
        assert_holds(&broker, &ledger, 199).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_ends_the_log_before_its_batch() {
    // In the last batch, in its header, and thirty batches before the end.
    for (back, left) in [(100, 199), (SIZE as u64 + 50, 199), (30 * (SIZE as u64 + 72), 170)] {
        let (mut broker, dir, ledger) = written(&[]).await;
        broker.kill();
        flip(&active_log(&dir), back);
        broker.start_again();
        let records = read_all(&broker, "t", 0).len();
        assert!(records.abs_diff(left) <= 1 && records < 200, "{records} records are left, not about {left}");
        assert_holds(&broker, &ledger, records).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_segment_in_the_middle_ends_the_log_before_the_hole() {
    let (mut broker, dir, ledger) = written(&SEGMENTS).await;
    broker.kill();
    let logs = files(&dir, ".log");
    assert!(logs.len() > 10, "{logs:?}");
    let hole = &logs[logs.len() / 2];
    let base: usize = hole.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    std::fs::remove_file(hole).unwrap();
    broker.start_again();
    assert_holds(&broker, &ledger, base).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_that_are_missing_torn_padded_or_wrong_change_nothing() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("missing", |path| std::fs::remove_file(path).unwrap()),
        ("torn", |path| {
            let file = open(path);
            file.set_len(file.metadata().unwrap().len().saturating_sub(3)).unwrap();
        }),
        // As Kafka's, which are preallocated, after a kill.
        ("padded", |path| open(path).set_len(10 << 20).unwrap()),
        ("wrong", |path| {
            let len = usize::try_from(open(path).metadata().unwrap().len()).unwrap();
            std::fs::write(path, vec![0x5a; len]).unwrap();
        }),
    ];
    for (what, damage) in damages {
        for clean in [true, false] {
            println!("{what}, after a {} stop", if clean { "clean" } else { "unclean" });
            let (mut broker, dir, ledger) = written(&SEGMENTS).await;
            if clean {
                broker.stop()
            } else {
                broker.kill()
            }
            for path in files(&dir, "index") {
                damage(&path);
            }
            broker.start_again();
            assert_holds(&broker, &ledger, 200).await;
            broker.stop();
            broker.start_again();
            assert_eq!(read_all(&broker, "t", 0).len(), 201);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_but_the_logs_may_be_missing_or_nonsense() {
    for content in [None, Some("nonsense")] {
        let (mut broker, dir, ledger) = written(&SEGMENTS).await;
        broker.kill();
        let data = dir.parent().unwrap();
        let beside = files(data, "-checkpoint");
        let own = names(&dir).into_iter().filter(|name| !name.ends_with(".log") && name != "partition.metadata");
        for path in own.map(|name| dir.join(name)).chain(beside) {
            match content {
                None => std::fs::remove_file(path).unwrap(),
                Some(text) => std::fs::write(path, text).unwrap(),
            }
        }
        broker.start_again();
        assert_holds(&broker, &ledger, 200).await;
    }
}
