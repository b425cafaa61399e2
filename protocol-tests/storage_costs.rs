//! What the log costs, on the disk of this machine. Prints, and fails only where a cost has the wrong shape.
//!
//! `CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo test --test storage_costs -- --ignored --nocapture`

#![allow(clippy::unwrap_used)]

#[path = "storage/compaction_costs.rs"]
mod compaction_costs;

use klamm::config::topic::TopicConfig;
use klamm::model::{
    LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicPartition,
};
use klamm::record::Batch;
use klamm::record::build::BatchBuilder;
use klamm::rt::fs::disk::disk;
use klamm::storage::{Log, OpenLog};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: TimestampMs = TimestampMs(1_700_000_000_000);

fn open(dir: &Path, clean: bool, config: &Arc<TopicConfig>) -> Log {
    Log::open(OpenLog {
        fs: disk(),
        dir: dir.to_path_buf(),
        partition: TopicPartition::new("t".into(), PartitionId(0)),
        config: config.clone(),
        clean,
        recovery_point: Offset::ZERO,
        log_start: Offset::ZERO,
        cleaned_to: None,
        producer_expiry_ms: i64::MAX,
        now: NOW,
    })
    .unwrap()
}

fn batch(bytes: usize, sequence: Option<i32>) -> Batch {
    let mut builder = BatchBuilder::new(Offset(0));
    if let Some(sequence) = sequence {
        builder = builder.producer(ProducerId(1), ProducerEpoch(0), Sequence(sequence));
    }
    builder.push(NOW, None, Some(&vec![7; bytes - 80]), &[]);
    Batch::verify(builder.build().unwrap()).unwrap()
}

/// Runs `step` `n` times; the median and the 99th percentile.
fn measure(name: &str, n: usize, mut step: impl FnMut(usize)) -> Duration {
    let mut times: Vec<Duration> = (0..n)
        .map(|i| {
            let start = Instant::now();
            step(i);
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("{name:<60} p50 {:>10.2?}  p99 {:>10.2?}", times[n / 2], times[n * 99 / 100]);
    times[n / 2]
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[ignore = "prints measurements"]
fn costs_of_appending_and_reading() {
    let dir = tempfile::tempdir().unwrap();
    let config = Arc::new(TopicConfig::default());
    let mut log = open(&dir.path().join("t-0"), true, &config);
    for size in [200, 1024, 16 << 10] {
        let mut batches: Vec<Batch> = (0..20_000).map(|_| batch(size, None)).collect();
        measure(&format!("append of a batch of {size} bytes"), batches.len(), |i| {
            let one = std::slice::from_mut(&mut batches[i]);
            log.append(one, LeaderEpoch(0), NOW).remove(0).unwrap();
        });
    }
    let mut batches: Vec<Batch> = (0..20_000).map(|i| batch(16 << 10, Some(i))).collect();
    measure("append of a batch of 16 KB, idempotent", batches.len(), |i| {
        let one = std::slice::from_mut(&mut batches[i]);
        log.append(one, LeaderEpoch(0), NOW).remove(0).unwrap();
    });
    measure("append of 8 batches of 16 KB in one call, each", 2000, |i| {
        let mut eight: Vec<Batch> = (0..8).map(|_| batches[i].clone()).collect();
        for (n, batch_of) in eight.iter_mut().enumerate() {
            *batch_of = batch(16 << 10, Some((20_000 + i * 8 + n) as i32));
        }
        assert!(log.append(&mut eight, LeaderEpoch(0), NOW).iter().all(Result::is_ok));
    });
    let end = log.log_end();
    println!("the log: {} MB in {} segments, {end} offsets", log.size_bytes().unwrap() >> 20, log.segment_count());
    let find = |log: &Log, from: i64| log.read(Offset(from), 1 << 20, end, true).unwrap().unwrap();
    let tail = measure("read at the tail (position only)", 20_000, |i| drop(find(&log, end.0 - 1 - (i % 8) as i64)));
    let old = measure("read anywhere (position only)", 20_000, |i| drop(find(&log, (i as i64 * 7919) % end.0)));
    assert!(tail < Duration::from_micros(5) && old < Duration::from_micros(200), "{tail:?} {old:?}");
    measure("search by time", 1000, |_| {
        log.offset_for_timestamp(NOW).unwrap().unwrap();
    });
    let start = Instant::now();
    log.close().unwrap();
    println!("close {:.2?}", start.elapsed());
    let start = Instant::now();
    let log = open(&dir.path().join("t-0"), true, &config);
    println!("clean open {:.2?}", start.elapsed());
    assert_eq!(log.log_end(), end);
    let start = Instant::now();
    let log = open(&dir.path().join("t-0"), false, &config);
    println!("recovery of {} MB {:.2?}", log.size_bytes().unwrap() >> 20, start.elapsed());
}

#[test]
#[ignore = "prints measurements"]
fn costs_of_ten_thousand_partitions() {
    const COUNT: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let config = Arc::new(TopicConfig::default());
    let path = |n: usize| dir.path().join(format!("t-{n}"));
    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let create = |n: usize| {
        let mut log = open(&path(n), true, &config);
        for i in 0..3 {
            log.append(&mut [batch(1024, Some(i))], LeaderEpoch(0), NOW).remove(0).unwrap();
        }
        log
    };
    // One at a time, so that the limit on open files does not matter.
    let start = Instant::now();
    for n in 0..COUNT {
        create(n).prepare_close().unwrap();
    }
    println!("create, append and close {COUNT}: {:.2?}", start.elapsed());
    let (before, files) = (resident_kb(), open_files());
    let start = Instant::now();
    let logs: Vec<Log> = (0..COUNT).map(|n| open(&path(n), true, &config)).collect();
    println!(
        "clean open of {COUNT}: {:.2?}, {} bytes each, {} files open",
        start.elapsed(),
        (resident_kb() - before) * 1024 / COUNT as u64,
        open_files() - files
    );
    assert_eq!(open_files(), files);
    // The others stay, so that their memory is not what is used now.
    let (used, mut idle) = (500, logs);
    let mut warm = batch(8192, Some(3));
    idle[COUNT - 1].append(std::slice::from_mut(&mut warm), LeaderEpoch(0), NOW).remove(0).unwrap();
    let before = resident_kb();
    for log in &mut idle[..used] {
        for i in 3..200 {
            log.append(&mut [batch(8192, Some(i))], LeaderEpoch(0), NOW).remove(0).unwrap();
        }
        log.read(Offset(0), 1000, Offset(100), true).unwrap();
    }
    println!("after 200 appends and a read: {} bytes more each", (resident_kb() - before) * 1024 / used as u64);
}
