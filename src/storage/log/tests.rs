#![allow(clippy::unwrap_used)]

mod appending;
mod copying;
mod model;
mod opening;
mod reading;
mod shrinking;

use super::*;
use crate::record::build::{BatchBuilder, Marker, end_txn_marker};
use crate::record::{Batch, BatchHeader, Batches};
use crate::rt::fs::sim::SimFs;

const NOW: TimestampMs = TimestampMs(1_000_000);

/// A log over a disk in memory, with small segments.
struct Rig {
    fs: SimFs,
    config: TopicConfig,
    log: Log,
}

fn small() -> TopicConfig {
    TopicConfig { segment_bytes: 2000, index_interval_bytes: 200, ..TopicConfig::default() }
}

impl Rig {
    fn new() -> Rig {
        Rig::with(small())
    }

    fn with(config: TopicConfig) -> Rig {
        let fs = SimFs::new();
        let log = Log::open(open(&fs, &config)).unwrap();
        Rig { fs, config, log }
    }

    fn append(&mut self, mut batches: Vec<Batch>) -> Answers {
        self.log.append(&mut batches, LeaderEpoch(0), NOW)
    }

    /// Appends a batch that must be accepted; gives its first offset.
    fn put(&mut self, batch: Batch) -> i64 {
        self.append(vec![batch]).remove(0).unwrap().first.0
    }

    fn put_many(&mut self, batches: i64, records: i32) {
        for n in 0..batches {
            self.put(plain(records, n));
        }
    }

    fn flush(&mut self) {
        if let Some(job) = self.log.flush_job() {
            job.files.iter().for_each(|file| file.sync_data().unwrap());
            self.log.flushed(job.mark, NOW);
        }
    }

    /// A clean stop and start.
    fn reopen(&mut self) {
        self.log.close().unwrap();
        self.log = self.open_again(true);
    }

    /// As after `kill -9`: nothing is lost, nothing was closed.
    fn reopen_unclean(&mut self) {
        self.log = self.open_again(false);
    }

    fn open_again(&self, clean: bool) -> Log {
        let mut open = open(&self.fs, &self.config);
        open.clean = clean;
        open.recovery_point = self.log.recovery_point();
        open.log_start = self.log.log_start();
        Log::open(open).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut fs = self.fs.shared().read_dir(&dir()).unwrap();
        fs.drain(..).map(|entry| entry.name).collect()
    }
}

fn dir() -> PathBuf {
    PathBuf::from("/data/t-0")
}

fn open(fs: &SimFs, config: &TopicConfig) -> OpenLog {
    OpenLog {
        fs: fs.shared(),
        dir: dir(),
        partition: TopicPartition::new("t".into(), crate::model::PartitionId(0)),
        config: Arc::new(config.clone()),
        clean: true,
        recovery_point: Offset::ZERO,
        log_start: Offset::ZERO,
        cleaned_to: None,
        producer_expiry_ms: 86_400_000,
        now: NOW,
    }
}

/// A batch without a producer; its records are a millisecond apart.
fn plain(records: i32, timestamp: i64) -> Batch {
    build(BatchBuilder::new(Offset(0)), records, timestamp)
}

fn build(mut builder: BatchBuilder, records: i32, timestamp: i64) -> Batch {
    for n in 0..records {
        builder.push(TimestampMs(timestamp + i64::from(n)), None, Some(&[7; 50]), &[]);
    }
    Batch::verify(builder.build().unwrap()).unwrap()
}

fn from_producer(id: i64, epoch: i16, sequence: i32, records: i32) -> Batch {
    build(BatchBuilder::new(Offset(0)).producer(ProducerId(id), ProducerEpoch(epoch), Sequence(sequence)), records, 5)
}

fn in_transaction(id: i64, epoch: i16, sequence: i32, records: i32) -> Batch {
    let builder = BatchBuilder::new(Offset(0)).producer(ProducerId(id), ProducerEpoch(epoch), Sequence(sequence));
    build(builder.transactional(), records, 5)
}

fn marker(kind: Marker, id: i64, epoch: i16) -> Batch {
    let bytes = end_txn_marker(kind, ProducerId(id), ProducerEpoch(epoch), 0, TimestampMs(9)).unwrap();
    Batch::verify(bytes).unwrap()
}

fn end_transaction(rig: &mut Rig, kind: Marker, id: i64, epoch: i16) {
    let origin = Origin::Marker { transaction_version: 0 };
    rig.log.append_from(origin, &mut [marker(kind, id, epoch)], LeaderEpoch(0), NOW).remove(0).unwrap();
}

/// The headers in a slice; every batch is whole and its CRC right.
fn headers(slice: &FileSlice) -> Vec<BatchHeader> {
    let mut bytes = vec![0; slice.len];
    slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
    let headers: Vec<_> = Batches::new(&bytes)
        .map(|batch| {
            let (header, bytes) = batch.unwrap();
            crate::record::verify(bytes).unwrap();
            header
        })
        .collect();
    assert_eq!(headers.iter().map(BatchHeader::size).sum::<usize>(), slice.len);
    headers
}

/// First and last offset of every batch from `from` on, read a piece at a time.
fn read_all(log: &Log, from: Offset, max_bytes: usize) -> Vec<(i64, i64)> {
    let mut all = Vec::new();
    let mut at = from;
    while let Some(slice) = log.read(at, max_bytes, log.log_end(), true).unwrap() {
        for header in headers(&slice) {
            all.push((header.base_offset.0, header.last_offset().0));
            at = header.next_offset();
        }
        assert!(slice.upper_bound >= at);
    }
    assert_eq!(at, log.log_end().max(from));
    all
}
