//! A partition that Apache Kafka 4.3.1 wrote: `golden/kafka-4.3/tiny-0`.
//!
//! Made with `segment.ms=1000` and `index.interval.bytes=300`: 30 batches of 5 records, 6 each plain,
//! zstd, lz4, snappy and gzip, by idempotent producers; then four transactions each of two producers,
//! of which the first aborts the first and third, the second the first and fourth; and a last one, of one
//! record, that was open when the broker stopped.

#![allow(clippy::unwrap_used)]

use klamm::config::topic::TopicConfig;
use klamm::model::{LeaderEpoch, Offset, PartitionId, TimestampMs, TopicPartition};
use klamm::record::{Batches, records};
use klamm::rt::fs::disk::disk;
use klamm::storage::{Log, OpenLog};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const END: Offset = Offset(183);
/// The records are 40 ms apart.
const FIRST_TIME: i64 = 1_700_000_000_000;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-tests/golden/kafka-4.3/tiny-0")
}

/// A copy to work on.
fn copy() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

fn open(dir: &Path, clean: bool) -> Log {
    Log::open(OpenLog {
        fs: disk(),
        dir: dir.to_path_buf(),
        partition: TopicPartition::new("tiny".into(), PartitionId(0)),
        config: Arc::new(TopicConfig { index_interval_bytes: 300, segment_ms: 1000, ..TopicConfig::default() }),
        clean,
        recovery_point: if clean { END } else { Offset::ZERO },
        log_start: Offset::ZERO,
        cleaned_to: None,
        producer_expiry_ms: i64::MAX,
        now: TimestampMs(FIRST_TIME),
    })
    .unwrap()
}

/// Offset, timestamp and value of every record of every batch that is not a marker.
fn all_records(log: &Log) -> Vec<(i64, i64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut at = log.log_start();
    while let Some(slice) = log.read(at, 700, log.log_end(), true).unwrap() {
        let mut bytes = vec![0; slice.len];
        slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
        for batch in Batches::new(&bytes) {
            let (header, batch) = batch.unwrap();
            klamm::record::verify(batch).unwrap();
            at = header.next_offset();
            if header.attributes.is_control() {
                continue;
            }
            let payload = records::open(&header, batch, 1 << 20).unwrap();
            for record in records::Records::new(&header, &payload).unwrap() {
                let record = record.unwrap();
                all.push((record.offset.0, record.timestamp.0, record.value.unwrap().to_vec()));
            }
        }
    }
    assert_eq!(at, log.log_end());
    all
}

fn check(log: &mut Log) {
    log.high_watermark_advanced(END);
    let log = &*log;
    assert_eq!((log.log_start(), log.log_end(), log.segment_count()), (Offset(0), END, 7));
    let all = all_records(log);
    assert_eq!(all.len(), 175);
    for (offset, time, value) in &all[..150] {
        assert_eq!(*time, FIRST_TIME + offset * 40);
        assert_eq!(*value, format!("value-{offset}").into_bytes());
    }
    for (offset, time, _) in &all[..150] {
        let found = log.offset_for_timestamp(TimestampMs(time - 1)).unwrap().unwrap();
        assert_eq!((found.offset.0, found.timestamp.0), (*offset, *time));
    }
    assert_eq!(log.epoch_at(Offset(100)).unwrap(), Some(LeaderEpoch(0)));
    assert_eq!(log.producers().unwrap().len(), 7);
    assert_eq!(log.first_unstable_offset().unwrap(), Some(Offset(182)));
    let aborted = log.aborted_transactions(Offset(0), END).unwrap();
    assert_eq!(aborted.len(), 4);
    assert!(aborted.windows(2).all(|pair| pair[0].last < pair[1].last));
}

#[test]
fn a_clean_kafka_partition_opens_reads_and_goes_on() {
    let dir = copy();
    let mut log = open(dir.path(), true);
    check(&mut log);
    let mut builder = klamm::record::build::BatchBuilder::new(Offset(0));
    builder.push(TimestampMs(FIRST_TIME + 60_000), None, Some(b"ours"), &[]);
    let batch = klamm::record::Batch::verify(builder.build().unwrap()).unwrap();
    assert_eq!(log.append(&mut [batch], LeaderEpoch(1), TimestampMs(FIRST_TIME)).remove(0).unwrap().first, END);
    log.close().unwrap();
    let log = open(dir.path(), true);
    assert_eq!(log.log_end(), END.next());
    assert_eq!(all_records(&log).last().unwrap().2, b"ours");
}

#[test]
fn recovery_builds_the_indexes_and_epochs_that_kafka_wrote() {
    let dir = copy();
    let names: Vec<String> = disk().read_dir(&golden()).unwrap().into_iter().map(|entry| entry.name).collect();
    for name in names.iter().filter(|name| name.ends_with("index") || *name == "leader-epoch-checkpoint") {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    let mut log = open(dir.path(), false);
    check(&mut log);
    log.close().unwrap();
    for name in names.iter().filter(|name| !name.ends_with(".snapshot")) {
        let (ours, kafkas) = (std::fs::read(dir.path().join(name)), std::fs::read(golden().join(name)).unwrap());
        assert_eq!(ours.unwrap_or_default(), kafkas, "{name}");
    }
}

#[test]
fn recovery_writes_snapshots_as_kafka_does() {
    let dir = copy();
    let snapshots: Vec<String> = disk().read_dir(&golden()).unwrap().into_iter().map(|entry| entry.name).collect();
    let snapshots: Vec<_> = snapshots.into_iter().filter(|name| name.ends_with(".snapshot")).collect();
    for name in &snapshots {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    let mut log = open(dir.path(), false);
    log.close().unwrap();
    // The entries may be in any order.
    let entries = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let mut entries: Vec<Vec<u8>> = bytes[10..].chunks(46).map(<[u8]>::to_vec).collect();
        entries.sort();
        (bytes[6..10].to_vec(), entries)
    };
    for name in &snapshots {
        assert_eq!(entries(dir.path().join(name)), entries(golden().join(name)), "{name}");
    }
}
